"""Phase 1 for a cell: training a network with the parameters' settings, resumably, and scoring it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dvclive import Live

from eos.config.cells import architecture, training_settings
from eos.config.schema import Parameters
from eos.errors import placed
from eos.losses.base import find_loss
from eos.metrics.scores import score
from eos.models.devices import limit_threads
from eos.models.inference import extract
from eos.models.pretrained import read_state_dict
from eos.models.saved import load_saved, save_network
from eos.pipeline import paths
from eos.pipeline.command import digest
from eos.registry import AUGMENTATIONS, MIXINGS, Table
from eos.storage.files import Arrays, write_table
from eos.storage.layouts import BALANCED, IMAGES, NOTES_BETWEEN, SPLIT, SYNTHETIC, read_stored
from eos.training.augmentation import normalization_of
from eos.training.checkpoints import FileCheckpoint, fingerprint, library_code
from eos.training.config import TrainConfig
from eos.training.loop import EpochRecord, Images, train
from eos.training.recipe import steps_per_epoch, warnings

LOGGED = ("learning_rate", "loss", "train_BAC", "test_BAC", "test_FM", "validation_BAC", "validation_FM")


def fit_network(
    parameters: Parameters,
    dataset: str,
    cut: int,
    network: str,
    *,
    folder: Path,
    synthetic: Path | None = None,
    sampler: str = "",
) -> dict[str, Any]:
    """Train on the imbalanced images, and on `synthetic` ones where given; write what comes of it.

    Into `folder` go the weights that each selection rule chooses, the training history, `network.json` with
    what else is needed to use the weights, and, of a network on images that `sampler` balanced, `scores.csv`.

    Returns
    -------
    dict
        The `seconds` of all epochs, also of those before a resumption; the `epochs`, training `rows` and
        trainable `parameters`, by which the run-time table explains them; and what was `made`.
    """
    definition, given = parameters.networks[network], parameters.datasets[dataset].normalization
    data = read_stored(paths.images_file(dataset), IMAGES)
    split = read_stored(paths.split_file(dataset, cut), SPLIT, "train", "validation")
    real, validation = _images_of(data, split["train"]), _images_of(data, split["validation"])
    test = Images(data["test_images"], data["test_labels"])
    assert real is not None  # `split` leaves every class an image
    notes: list[str] = []
    images = real
    if synthetic is not None:
        added = read_stored(synthetic, SYNTHETIC)
        images = Images(
            np.concatenate([real.images, added["images"]]), np.concatenate([real.labels, added["labels"]])
        )
        notes = added["notes"].tolist()
    settings = training_settings(
        parameters, dataset, network, rows=len(images.labels), balanced=synthetic is not None
    )
    limit_threads(settings.cpu_threads)
    chosen = architecture(parameters, dataset, network)
    mixing, augmentations = definition.mixing, definition.augmentations
    place = f"{paths.PARAMETERS}: networks.{network} on {dataset}"
    with placed(place):
        weights = read_state_dict(Path(chosen.weights).expanduser()) if chosen.weights else None
    arguments: dict[str, Any] = {
        "n_classes": len(data["class_names"]),
        "architecture": chosen.name,
        "loss": definition.loss.name,
        "loss_parameters": definition.loss.model_dump(exclude={"name"}),
        "config": TrainConfig(
            **settings.model_dump(exclude={"device", "cpu_threads", "balanced_epochs_share"}),
            resample_from=definition.resample_from,
        ),
        "normalization": (given.mean, given.std) if given else normalization_of(real.images),
        "device": settings.device,
    }
    # A checkpoint is taken up only by the training that wrote it: same images, settings and code.
    seen = [part for one in (images, validation, test) if one for part in (one.images, one.labels)]
    seen += [value.float().numpy() for value in (weights or {}).values()]
    key = fingerprint(seen, (arguments, mixing, augmentations, settings.cpu_threads), library_code())
    checkpoint = FileCheckpoint(paths.CHECKPOINTS / f"{key}.safetensors")
    steps = steps_per_epoch(len(images.labels), settings.batch_size)
    print(
        f"{len(images.labels)} training images: {settings.epochs} epochs of {steps} steps, batch size "
        f"{settings.batch_size}, learning rate {settings.learning_rate:g}",
        flush=True,
    )
    with placed(place), Live(str(folder / "history"), dvcyaml=None, save_dvc_exp=False) as live:
        log = EpochLog(settings.epochs, live)
        trained = train(
            images,
            test,
            validation=validation,
            mixing=built(MIXINGS, mixing) if mixing else None,
            augmentations=[built(AUGMENTATIONS, one) for one in augmentations],
            on_epoch=log,
            on_resume=log.resume,
            checkpoint=checkpoint,
            pretrained=weights,
            **arguments,
        )
    last = trained.history[-1]
    assert last.test_BAC is not None  # the last epoch is scored
    for told in warnings(
        n_classes=arguments["n_classes"],
        steps=settings.epochs * steps,
        test_BAC=last.test_BAC,
        train_BAC=last.train_BAC,
        settled_BAC=trained.settled_BAC,
    ):
        print(f"warning: {told}", flush=True)
    description = {
        "architecture": arguments["architecture"],
        "classifier": find_loss(definition.loss.name).classifier,
        "channels": test.images.shape[3],
        "class_names": data["class_names"].tolist(),
        "mean": trained.mean,
        "std": trained.std,
        "precision": trained.precision,
        "epochs": trained.epochs,
    }
    save_network(folder, trained.weights, description)
    if synthetic is not None:
        row = {"dataset": dataset, "cut": cut, "sampler": sampler, "network": network, "seed": 0}
        rows = [
            row
            | {"selection": rule, "epoch": epoch, "note": NOTES_BETWEEN.join(notes)}
            | _test_scores(folder, rule, test, device=settings.device)
            for rule, epoch in trained.epochs.items()
        ]
        write_table(folder / "scores.csv", pd.DataFrame(rows, columns=BALANCED))
    checkpoint.clear()
    return {
        "seconds": sum(record.seconds for record in trained.history),
        "epochs": settings.epochs,
        "rows": len(images.labels),
        "parameters": trained.n_parameters,
        "made": digest(folder / "last.safetensors"),
    }


def built(table: Table, definition: Any) -> Any:
    """Return what a definition names, with its parameters."""
    return table[definition.name].load()(**definition.model_dump(exclude={"name"}))


def _images_of(data: Arrays, rows: np.ndarray) -> Images | None:
    return Images(data["train_images"][rows], data["train_labels"][rows]) if len(rows) else None


def _test_scores(folder: Path, rule: str, test: Images, *, device: str) -> dict[str, float]:
    """Return the scores, on the test images, of the weights that a selection rule chose."""
    saved = load_saved(folder, rule)
    _, logits = extract(
        saved.network, test.images, saved.mean, saved.std, device=device, precision=saved.precision
    )
    return score(test.labels, logits.argmax(axis=1), len(saved.class_names))


class EpochLog:
    """Log every epoch, and print a line for about every tenth of them, with the time left."""

    def __init__(self, epochs: int, live: Live) -> None:
        self.epochs = epochs
        self.done = 0  # epochs that an earlier run has told of
        self.live = live
        self.seconds = 0.0

    def resume(self, done: int) -> None:
        """Tell that the first `done` epochs were trained before."""
        self.done = done
        print(f"goes on after epoch {done}, where it was stopped", flush=True)

    def __call__(self, record: EpochRecord) -> None:
        """Report one epoch."""
        self.live.step = record.epoch
        for name in LOGGED:
            value = getattr(record, name)
            if value is not None:
                self.live.log_metric(name, value)
        self.live.next_step()
        self.seconds += record.seconds
        last = record.epoch == self.epochs
        if record.epoch <= self.done or (record.epoch % max(1, self.epochs // 10) and not last):
            return
        left = self.seconds / record.epoch * (self.epochs - record.epoch)
        tested = "" if record.test_BAC is None else f" test {record.test_BAC:.3f}"
        print(
            f"epoch {record.epoch}/{self.epochs}  loss {record.loss:.4f}  "
            f"BAC train {record.train_BAC:.3f}{tested}  {left:.0f} s left",
            flush=True,
        )
