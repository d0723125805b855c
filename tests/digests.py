"""Compute a little of everything that the pipeline computes, and print a digest of each result.

Few images and few steps, because an emulated processor is a hundred times slower; but widths, embeddings and
most batches of the real sizes, because the libraries choose their code by these, too.

Two machines that print the same lines compute the same bytes. `tools/other_processor.sh` runs this on several
processors, docs/portability.md says what came out. Not in dvc.yaml: it makes no result.
"""

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eos.config.loading import load
from eos.config.schema import ExponentialImbalance, Parameters
from eos.pipeline.processor import SWITCHES, hold_to_portable_code

if TYPE_CHECKING:  # NumPy must not load before the switches are set
    from numpy import ndarray

    from eos.training.loop import Trained

ROOT = Path(__file__).parents[1]
DATASET = "digits"
# A generator trains for this long.
SHORT = {"epochs": 1, "autoencoder_epochs": 1, "steps": 3}

Results = Iterator[tuple[str, bytes]]


@dataclass(frozen=True)
class Inputs:
    """What everything is computed from.

    Attributes
    ----------
    parameters : Parameters
        Of the pipeline.
    images, labels, test_images, test_labels : ndarray
        The imbalanced training images of the first cut, and the test images.
    rows, test_rows : ndarray of float32, shape (n, 64)
        Their pixels. They stand for embeddings, as long as those of ResNet-8: what is computed from them does
        not differ only because a network did.
    """

    parameters: Parameters
    images: "ndarray"
    labels: "ndarray"
    test_images: "ndarray"
    test_labels: "ndarray"
    rows: "ndarray"
    test_rows: "ndarray"


def main() -> None:
    """Print one line per result, its name and its digest, as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--without",
        metavar="SWITCH",
        nargs="+",
        choices=["all", *SWITCHES],
        default=[],
        help="leave these of the environment variables of eos.pipeline.processor as they are",
    )
    hold_back = parser.parse_args().without
    found = dict(os.environ)
    hold_to_portable_code()
    if hold_back == ["all"]:
        os.environ.clear()
        os.environ.update(found)
    for name in hold_back:
        os.environ.pop(name, None)
        if name in found:
            os.environ[name] = found[name]

    from eos.config.cells import machine
    from eos.models.devices import limit_threads

    parameters = load(ROOT / "params.yaml")
    limit_threads(machine(parameters, DATASET)["cpu_threads"])
    inputs = read_inputs(parameters)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in chain(
            networks(inputs),
            samplers(inputs),
            heads(inputs),
            classifiers(inputs),
            generators(inputs),
            reports(inputs, Path(folder)),
        ):
            print(f"{name:32} {hashlib.sha256(content).hexdigest()[:8]}", flush=True)
    print(f"code in use: {code_in_use()}", file=sys.stderr)


def read_inputs(parameters: Parameters) -> Inputs:
    """Return the images of the first cut."""
    import numpy as np

    from eos.data.splits import exponential_counts, imbalanced_subset
    from eos.registry import SOURCES

    definition = parameters.datasets[DATASET]
    data = SOURCES[definition.source.name].load()(ROOT, **definition.source.model_dump(exclude={"name"}))
    assert isinstance(definition.imbalance, ExponentialImbalance)
    counts = exponential_counts(np.bincount(data.train_labels), definition.imbalance.ratio)
    chosen = imbalanced_subset(data.train_labels, counts, cut=0)
    images, test_images = data.train_images[chosen], data.test_images
    rows, test_rows = (
        part.reshape(len(part), -1).astype(np.float32) / np.float32(255) for part in (images, test_images)
    )
    return Inputs(
        parameters, images, data.train_labels[chosen], test_images, data.test_labels, rows, test_rows
    )


def networks(inputs: Inputs) -> Results:
    """Train every network of the parameters for a few steps; extract embeddings, and measure the gap."""
    from eos.config.cells import architecture
    from eos.losses.base import find_loss
    from eos.metrics.gap import generalization_gap, outcome_gaps
    from eos.models.inference import extract, load_network

    for name, network in inputs.parameters.networks.items():
        trained = train_little(inputs, name)
        yield (
            f"network {name}",
            of_arrays(trained.weights["last"] | {"loss": [record.loss for record in trained.history]}),
        )
        if name in ("ce", "ldam"):
            loaded = load_network(
                trained.weights["last"],
                architecture(inputs.parameters, DATASET, name).name,
                channels=1,
                n_classes=10,
                classifier=find_loss(network.loss.name).classifier,
            )
            normalization = trained.mean, trained.std
            features, outputs = extract(loaded, inputs.images, *normalization, device="cpu")
            tested, test_outputs = extract(loaded, inputs.test_images, *normalization, device="cpu")
            yield f"embeddings {name}", of_arrays({"train": features, "test": tested, "outputs": outputs})
            pair = features, inputs.labels, tested, inputs.test_labels
            right, wrong = outcome_gaps(*pair, test_outputs.argmax(axis=1))
            yield (
                f"gap {name}",
                of_arrays({"all": generalization_gap(*pair), "right": right, "wrong": wrong}),
            )


def train_little(inputs: Inputs, network: str) -> "Trained":
    """Train a ResNet-8 for two epochs of two batches, a larger network on one small batch."""
    from eos.config.cells import architecture, training_settings
    from eos.pipeline.fitting import built
    from eos.registry import AUGMENTATIONS, MIXINGS
    from eos.training.config import TrainConfig
    from eos.training.loop import Images, train

    definition = inputs.parameters.networks[network]
    settings = training_settings(inputs.parameters, DATASET, network, rows=len(inputs.labels))
    config = TrainConfig(
        **settings.model_dump(exclude={"device", "cpu_threads", "balanced_epochs_share"}),
        resample_from=definition.resample_from,
    )
    name = architecture(inputs.parameters, DATASET, network).name
    epochs, size = (2, 12) if name == "resnet8" else (1, 2)
    some, scored = few(inputs.labels, size), few(inputs.test_labels, 2)
    loss, mixing = definition.loss.model_dump(exclude={"name"}), definition.mixing
    if "reweight_from" in loss:
        loss["reweight_from"] = 0.5  # in the second epoch
    return train(
        Images(inputs.images[some], inputs.labels[some]),
        Images(inputs.test_images[scored], inputs.test_labels[scored]),
        n_classes=10,
        architecture=name,
        loss=definition.loss.name,
        loss_parameters=loss,
        config=replace(config, epochs=epochs),
        mixing=built(MIXINGS, mixing) if mixing else None,
        augmentations=[built(AUGMENTATIONS, one) for one in definition.augmentations],
        device=settings.device,
    )


def samplers(inputs: Inputs) -> Results:
    """Over-sample rows by the sampler of every head, and images by every sampler of images."""
    from sklearn.decomposition import PCA

    from eos.samplers.balanced_svm import fitted_svm
    from eos.samplers.oversampling import oversample
    from eos.samplers.pixels import oversample_images

    seed = inputs.parameters.oversampling.random_state
    definitions = {name: head.model_dump() for name, head in inputs.parameters.heads.items()}
    for variant in ("away", "released"):
        definitions[f"eos {variant}"] = definitions["eos"] | {"variant": variant}
    for name, settings in definitions.items():
        sampler = settings.pop("sampler", None)
        if "classifier" not in settings and sampler not in ("own", "none"):
            made = oversample(sampler, inputs.rows, inputs.labels, random_state=seed, **settings)
            yield f"sampler {name}", of_arrays({"rows": made.features, "labels": made.labels})
    for name, definition in inputs.parameters.pixel_samplers.items():
        settings = definition.model_dump()
        sampler = settings.pop("sampler")
        made = oversample_images(sampler, inputs.images, inputs.labels, random_state=seed, **settings)
        yield f"pixels {name}", of_arrays({"images": made.features, "labels": made.labels})
    # The labels above hardly depend on the last digits; these do.
    svm = fitted_svm(inputs.rows, inputs.labels)
    decisions = svm.decision_function(inputs.test_rows)
    yield "SVM decisions", of_arrays({"dual": svm[-1].dual_coef_, "decisions": decisions})
    axes = PCA(40, svd_solver="covariance_eigh").fit(inputs.rows)
    yield "PCA", of_arrays({"axes": axes.components_, "scores": axes.transform(inputs.test_rows)})


def heads(inputs: Inputs) -> Results:
    """Fit a head as the pipeline does, and the estimator."""
    from eos.heads.linear_head import LinearHead
    from eos.heads.retraining import retrain
    from eos.heads.softmax import HeadConfig

    settings, seed = inputs.parameters.head_training, inputs.parameters.oversampling.random_state
    head = retrain(
        (inputs.rows, inputs.labels),
        (inputs.test_rows, inputs.test_labels),
        (inputs.test_rows[:0], inputs.test_labels[:0]),
        n_classes=10,
        config=HeadConfig(**settings.model_dump(exclude={"curve_epochs", "seeds"})),
        curve_epochs=settings.curve_epochs,
        rule="last",
        seed=settings.seeds[0],
    )
    yield "head", of_arrays(head)
    estimator = LinearHead(random_state=seed).fit(inputs.rows, inputs.labels)
    yield "LinearHead", of_arrays({"probabilities": estimator.predict_proba(inputs.test_rows)})


def classifiers(inputs: Inputs) -> Results:
    """Fit every head that is a classifier of its own, its parameters chosen on some of the test rows."""
    from eos.config.cells import is_classifier
    from eos.heads.softmax import HeadConfig, fit, logits
    from eos.pipeline.rivals import fit_classifier

    settings, some = inputs.parameters.head_training, few(inputs.test_labels, 8)
    config = HeadConfig(**settings.model_dump(exclude={"curve_epochs", "seeds"}))
    weight, bias = fit(inputs.rows, inputs.labels, 10, config, settings.seeds[0])
    data = {
        "weight": weight,
        "bias": bias,
        "train_features": inputs.rows,
        "train_labels": inputs.labels,
        "validation_features": inputs.test_rows[some],
        "validation_labels": inputs.test_labels[some],
        "validation_logits": logits(inputs.test_rows[some], weight, bias),
        "test_features": inputs.test_rows,
        "test_logits": logits(inputs.test_rows, weight, bias),
    }
    for name in inputs.parameters.heads:
        if is_classifier(inputs.parameters, name):
            arrays, told = fit_classifier(inputs.parameters, DATASET, "ce", name, data)
            kept = {key: arrays[key] for key in ("weight", "bias", "test_logits", "held_out_predicted")}
            yield f"classifier {name}", of_arrays(kept) + str(told).encode()


def generators(inputs: Inputs) -> Results:
    """Train every generator of the parameters for an epoch or a few steps, and let it balance the images."""
    import torch

    from eos.config.cells import generator_on
    from eos.generators.base import Data
    from eos.registry import GENERATORS

    some = few(inputs.labels, 3)[:-1]  # one class lacks one image
    images, labels = inputs.images[some], inputs.labels[some]
    counts = tuple((labels == label).sum().item() for label in range(10))
    data = Data(torch.tensor(images).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels), counts)
    for name in inputs.parameters.generators:
        settings = generator_on(inputs.parameters, DATASET, name).model_dump()
        settings |= {key: value for key, value in SHORT.items() if key in settings}
        random = torch.Generator().manual_seed(inputs.parameters.oversampling.random_state)
        model = GENERATORS[settings.pop("model")].load()(data, random, **settings)
        while model.done < model.total:
            model.advance()
        made = {f"images {label}": images for label, images in model.fill().items()}
        # The images are rounded: the weights have all digits.
        yield f"generator {name}", of_arrays(made | model.networks.state_dict())


def reports(inputs: Inputs, folder: Path) -> Results:
    """Project rows by t-SNE; draw a figure and a sheet of images; write a table, and means of its numbers."""
    import numpy as np
    import pandas as pd

    from eos.report.charts import figure6, figure6_data, save_svg
    from eos.report.sheet import sample_sheet
    from eos.report.tsne import Rows, tsne
    from eos.storage.files import write_table

    seed = inputs.parameters.oversampling.random_state
    yield "t-SNE", of_arrays({"plane": tsne(inputs.test_rows[few(inputs.test_labels, 10)], seed)})
    heads = {"eos": Rows(inputs.test_rows, inputs.test_labels, np.arange(len(inputs.test_rows)) % 2 == 1)}
    points = figure6_data(heads, (1, 8), ("1", "8"), points=20, seed=seed)
    chart = figure6(points.assign(dataset=DATASET), {"eos": "EOS"}, "digits, CE, cut 0")
    save_svg(chart, folder / "figure.svg")
    yield "figure, SVG", (folder / "figure.svg").read_bytes()
    made, real = (inputs.test_images, inputs.test_labels), (inputs.images, inputs.labels)
    sheet = sample_sheet(made, real, [str(label) for label in range(10)], title="GAMO")
    sheet.save(folder / "sheet.png", format="png")
    yield "sheet, PNG", (folder / "sheet.png").read_bytes()
    table = pd.DataFrame(inputs.rows).assign(label=inputs.labels)
    means = table.groupby("label").agg(["mean", "std"])
    write_table(folder / "table.csv", means.set_axis(map("{0[0]} {0[1]}".format, means.columns), axis=1))
    yield "table, CSV", (folder / "table.csv").read_bytes()


def few(labels: "ndarray", per_class: int) -> "ndarray":
    """Return the first rows of every class."""
    import numpy as np

    return np.concatenate([np.flatnonzero(labels == label)[:per_class] for label in range(10)])


def of_arrays(arrays: Mapping[str, Any]) -> bytes:
    """Return names, types, shapes and contents as bytes."""
    import numpy as np

    parts = []
    for name, value in arrays.items():
        array = np.asarray(value)
        parts += [f"{name} {array.dtype.str} {array.shape}".encode(), array.tobytes()]
    return b"\n".join(parts)


def code_in_use() -> str:
    """Return what the libraries chose, in words."""
    import torch
    from threadpoolctl import threadpool_info

    pools = {pool.get("architecture") for pool in threadpool_info()} - {None}
    return f"torch {torch.backends.cpu.get_cpu_capability()}, OpenBLAS {' '.join(sorted(pools))}"


if __name__ == "__main__":
    main()
