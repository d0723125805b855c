"""Every wrong entry of params.yaml stops with its path and what would be valid."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from eos.config.cells import training_settings
from eos.config.loading import load
from eos.errors import InputError
from eos.registry import CLASSIFIERS, SAMPLERS
from tests.helpers import ROOT, parameters

OWN = {
    "name": "folder",
    "path": "flowers.zip",
    "image_size": 32,
    "channels": 3,
    "test_fraction": 0.2,
    "seed": 0,
    "train_per_class": None,
    "test_per_class": 20,
}


GIVEN = {
    "networks": {"dinov2": "dinov2.npz"},
    "heads": ["none", "eos"],
    "test_share": 0.2,
    "seed": 0,
    "standardize": True,
    "portable": False,
}


@pytest.fixture
def content() -> Any:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def message(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        load(path)
    return str(caught.value)


def change(content: Any, path: str, value: Any) -> Any:
    *parents, last = path.split(".")
    section = content
    for key in parents:
        section = section[key]
    section[last] = value
    return content


def test_the_committed_file_is_valid() -> None:
    assert parameters().axes.datasets == ("digits",)


def test_the_papers_datasets_are_defined_as_in_the_paper() -> None:
    """Section IV: maximum ratios, networks and epochs."""
    found = {
        name: (
            getattr(dataset.imbalance, "ratio", None),
            dataset.architecture.name,
            training_settings(parameters(), name, "ce", rows=404).epochs,
        )
        for name, dataset in parameters().datasets.items()
        if name in {"cifar10", "svhn", "cifar100", "celeba"}
    }
    assert found == {
        "cifar10": (100, "resnet32", 200),
        "svhn": (100, "resnet32", 200),
        "cifar100": (10, "resnet32", 200),
        "celeba": (40, "resnet56", 50),
    }


def test_own_images_are_a_definition_away(tmp_path: Path, content: Any) -> None:
    definition = content["datasets"]["digits"] | {"source": OWN}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(change(content, "datasets.flowers", definition)))
    assert load(path).datasets["flowers"].source.model_dump() == OWN


def test_a_dataset_leaves_steps_to_its_size_and_starts_from_weights(tmp_path: Path, content: Any) -> None:
    own = {"epochs": "auto", "batch_size": 32, "learning_rate": "auto", "horizontal_flip": False}
    change(content, "datasets.cifar10.training", own)
    change(content, "datasets.cifar10.architecture", {"name": "resnet18", "weights": "resnet18.pth"})
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    found = load(path).datasets["cifar10"]
    assert found.training.model_dump(exclude_none=True) == own
    assert (found.architecture.name, found.architecture.weights) == ("resnet18", "resnet18.pth")
    assert load(path).datasets["digits"].architecture.weights is None


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("axes.datasets", ["digit"], "axes.datasets[0]: unknown dataset 'digit'; did you mean 'digits'?"),
        ("axes.networks", ["ce", "cee"], "axes.networks[1]: unknown network 'cee'; did you mean 'ce'?"),
        ("axes.networks", [], "axes.networks: [] is not possible: list at least one"),
        ("axes.cuts", [0, 0], "axes.cuts: [0, 0] is not possible: 0 is listed twice"),
        ("axes.cuts", [-1], "axes.cuts[0]: -1 is not possible"),
        (
            "selection",
            "tset",
            "selection: unknown value 'tset'; did you mean 'test'? known: last, test, validation",
        ),
        ("selection", "validation", "split.validation_fraction is 0"),
        ("datasets.digits.source.name", "digitz", "datasets.digits.source.name: unknown value 'digitz'"),
        (
            "datasets.digits.source.name",
            "torchvison",
            "did you mean 'torchvision'? known: digits, folder, tor",
        ),
        (
            "datasets.digits.source",
            OWN | {"patj": "x"},
            "digits.source: unknown key 'patj'; did you mean 'path'",
        ),
        ("datasets.digits.source", OWN | {"path": ""}, "datasets.digits.source.path: '' is not possible"),
        ("datasets.digits.source", OWN | {"channels": 2}, "source.channels: unknown value 2; known: 1, 3"),
        (
            "datasets.digits.source",
            OWN | {"image_size": 30},
            "datasets.digits.source.image_size: 30 does not suit the generators of axes.generators",
        ),
        ("datasets.digits.source", OWN | {"image_size": 0}, "source.image_size: 0 is not possible"),
        ("datasets.digits.source", OWN | {"test_fraction": 0.0}, "source.test_fraction: 0.0 is not possible"),
        ("datasets.digits.source", OWN | {"test_fraction": 1.0}, "source.test_fraction: 1.0 is not possible"),
        (
            "datasets.digits.normalization",
            {"mean": [0.5] * 3, "std": [0.2] * 3},
            "datasets.digits.normalization: values for 3 channel(s), but images of this source have 1",
        ),
        (
            "datasets.cifar10.normalization",
            {"mean": [0.5], "std": [0.2]},
            "datasets.cifar10.normalization: values for 1 channel(s), but images of this source have 3",
        ),
        (
            "datasets.cifar10.source.dataset",
            "cifar",
            "did you mean 'cifar10'? known: celeba, cifar10, cifar100",
        ),
        ("datasets.svhn.source.balance_test", 1, "datasets.svhn.source.balance_test: 1 is not possible"),
        ("datasets.digits.imbalance.ratio", 0.5, "datasets.digits.imbalance.ratio: 0.5 is not possible"),
        ("datasets.digits.architecture", "resnet23", "unknown value 'resnet23'; did you mean 'resnet"),
        (
            "datasets.digits.training.epoch",
            3,
            "datasets.digits.training: unknown key 'epoch'; did you mean 'epochs'?",
        ),
        ("heads.x-y", {"sampler": "none"}, "'x-y' must begin with a letter and hold only a-z, 0-9 and '_'"),
        ("networks.ce.loss.name", "cee", "networks.ce.loss.name: unknown value 'cee'; did you mean 'ce'?"),
        ("networks.ce.loss.gamma", 1.0, "networks.ce.loss: unknown key 'gamma'; known: name"),
        ("networks.focal.loss", {"name": "focal"}, "networks.focal.loss.gamma: this key is missing"),
        (
            "datasets.digits.source",
            {key: value for key, value in OWN.items() if key != "train_per_class"},
            "datasets.digits.source.train_per_class: this key is missing",
        ),
        ("datasets.digits.portable", "yes", "datasets.digits.portable: 'yes' is not possible"),
        (
            "training.device",
            "cuda",
            "training.device: 'cuda' is not possible for 'digits', which is portable; set it to auto, or",
        ),
        (
            "training.cpu_threads",
            2,
            "training.cpu_threads: 2 is not possible for 'digits', which is portable",
        ),
        (
            "datasets.digits.training.precision",
            "bf16",
            "datasets.digits.training.precision: 'bf16' is not possible for 'digits', which is portable",
        ),
        ("networks.focal.loss.gamma", "high", "networks.focal.loss.gamma: 'high' is not possible"),
        ("networks.ce.heads", [], "networks.ce.heads: [] is not possible: list at least one"),
        ("axes.cuts", 0, "axes.cuts: 0 is not possible: it should be a list"),
        ("heads.eos", 3, "heads.eos: 3 is not possible: it should be a mapping"),
        ("heads.20", {"sampler": "none"}, "'20' must begin with a letter"),
        ("heads.eos.k_neighbors", 10**30, "heads.eos.k_neighbors"),
        ("training.cpu_threads", 100000, "training.cpu_threads: 100000 is not possible"),
        (
            "networks.ce.heads",
            ["own", "smoot"],
            "networks.ce.heads[1]: unknown head 'smoot'; did you mean 'smote'?",
        ),
        ("heads.eos.k_neighbors", 0, "heads.eos.k_neighbors: 0 is not possible"),
        ("heads.eos.k_neighbors", 2.5, "heads.eos.k_neighbors: 2.5 is not possible"),
        ("heads.eos.k_neighbours", 5, "heads.eos: unknown key 'k_neighbours'; did you mean 'k_neighbors'?"),
        ("heads.eos.step_size", 0.0, "heads.eos.step_size: 0.0 is not possible"),
        ("heads.eos.step_size", 1.5, "heads.eos.step_size: 1.5 is not possible"),
        (
            "heads.eos.variant",
            "towards",
            "heads.eos.variant: unknown value 'towards'; did you mean 'toward'?",
        ),
        ("heads.eos.sampler", "eoz", "heads.eos.sampler: unknown value 'eoz'; did you mean 'eos'?"),
        ("heads.eos", {"k_neighbors": 3}, "heads.eos: the key 'sampler' is missing, or 'classifier'"),
        (
            "heads.eos.k_neighbors",
            "al",
            "heads.eos.k_neighbors: 'al' is not possible: give a number, or all or",
        ),
        (
            "heads.eos.step_size",
            "none",
            "heads.eos.step_size: 'none' is not possible: give a number, or auto",
        ),
        (
            "heads.eos_all.variant",
            "released",
            "heads.eos_all: variant 'released' needs a number of neighbours",
        ),
        ("heads.ncm.classifier", "ncn", "heads.ncm.classifier: unknown value 'ncn'; did you mean 'ncm'?"),
        ("heads.tau_norm.tau", -1.0, "heads.tau_norm.tau: -1.0 is not possible"),
        (
            "heads.tau_norm.tau_choices",
            [1.0, 1.0],
            "heads.tau_norm.tau_choices: [1.0, 1.0] is not possible: 1.0 is",
        ),
        ("heads.crt.milestones", [10, 0], "heads.crt.milestones[1]: 0 is not possible"),
        (
            "heads.logistic.sampler",
            {"sampler": "smot"},
            "heads.logistic.sampler.sampler: unknown value 'smot'",
        ),
        ("heads.logistic.sampler", "smote", "heads.logistic.sampler: 'smote' is not possible: it should be"),
        ("heads.eos_cv.k_neighbors_choices", [10, "al"], "heads.eos_cv.k_neighbors_choices[1]: 'al' is not"),
        ("networks.la_mixup_cutout.augmentations", [{"name": "cutot", "size": 3}], "did you mean 'cutout'?"),
        ("networks.ce.augmentations", {"name": "cutout", "size": 3}, "augmentations: {'name': 'cutout'"),
        ("networks.ce.resample_from", 1.5, "networks.ce.resample_from: 1.5 is not possible"),
        ("tables.methods.heads", ["own", "eoss"], "tables.methods.heads[1]: unknown head 'eoss'"),
        ("training.learning_rate", float("nan"), "training.learning_rate"),
        ("training.factors", [0.1], "2 milestones but 1 factors"),
        (
            "datasets.digits.imbalance",
            {"profile": "as_is", "ratio": 20},
            "datasets.digits.imbalance: unknown key 'ratio'; known: profile",
        ),
        (
            "datasets.digits.imbalance.profile",
            "exponentiel",
            "imbalance.profile: unknown value 'exponentiel'; did you mean 'exponential'?",
        ),
        ("datasets.digits.training.balanced_epochs_share", 0.0, "balanced_epochs_share: 0.0 is not possible"),
        ("networks.ce.epochs_share", 1.5, "networks.ce.epochs_share: 1.5 is not possible"),
        ("networks.ce.architecture", "densnet", "unknown value 'densnet'; did you mean 'densenet'?"),
        ("networks.ce.architecture", {"name": "resnet18"}, "architecture.weights: this key is missing"),
        (
            "networks.ce.architecture",
            {"name": "resnet81", "weights": "a.pth"},
            "networks.ce.architecture.name: unknown value 'resnet81'; did you mean 'resnet8'?",
        ),
        (
            "datasets.cifar10.training.epochs",
            "atuo",
            "training.epochs: 'atuo' is not possible: give a number",
        ),
        ("datasets.cifar10.training.epochs", 0, "datasets.cifar10.training.epochs: 0 is not possible"),
        ("training.epochs", "auto", "params.yaml: training.epochs: 'auto' is not possible"),
        ("networks.ce.mixing", {"name": "mixap", "alpha": 0.2}, "networks.ce.mixing.name: unknown value"),
        ("networks.ce.mixing", {"name": "remix", "alpha": 0.0}, "networks.ce.mixing.alpha: 0.0 is not"),
        (
            "networks.remix.loss",
            {"name": "focal", "gamma": 2.0},
            "networks.remix: loss 'focal' cannot be trained on mixed labels; set its name to ce",
        ),
        (
            "networks.densenet.mixing",
            {"name": "bbn"},
            "networks.densenet.architecture: 'densenet' cannot have the two branches that networks.dense",
        ),
        ("networks.bbn.mixing", {"name": "bbn", "alpha": 1.0}, "mixing: unknown key 'alpha'; known: name"),
        (
            "networks.bbn.loss",
            {"name": "focal", "gamma": 2.0},
            "networks.bbn: loss 'focal' cannot be trained on mixed labels; set its name to ce",
        ),
        (
            "axes.pixel_samplers",
            ["smotte"],
            "axes.pixel_samplers[0]: unknown pixel sampler 'smotte'; did",
        ),
        ("axes.generators", ["gan"], "axes.generators[0]: unknown generator 'gan'; did you mean 'cgan'?"),
        ("axes.generator_networks", ["cee"], "axes.generator_networks[0]: unknown network 'cee'"),
        ("pixel_samplers.balsvm.components", 0, "pixel_samplers.balsvm.components: 0 is not possible"),
        ("pixel_samplers.smote.relabel", "all", "pixel_samplers.smote: unknown key 'relabel'"),
        ("generators.gamo.model", "gam", "generators.gamo.model: unknown value 'gam'; did you mean 'gamo'?"),
        (
            "datasets.digits.generators",
            {"gan": {}},
            "datasets.digits.generators: unknown generator 'gan'; did",
        ),
        (
            "datasets.digits.generators.cgan.steps",
            1.5,
            "datasets.digits.generators.cgan.steps: 1.5 is not possible: it should be a valid integer",
        ),
        ("generators.cgan.synthetic_from", 1.0, "generators.cgan.synthetic_from: 1.0 is not possible"),
        (
            "datasets.digits.generators.cgan",
            {"synthetic_from": 0.8},
            "generators.cgan: unknown key 'synthetic_from'",
        ),
        (
            "datasets.digits.generators.cgan",
            {"stepz": 2},
            "generators.cgan: unknown key 'stepz'; did you mean",
        ),
        ("tables.table1.remix", "remics", "tables.table1.remix: unknown network 'remics'; did you"),
        ("tables.table3.head", "eoss", "tables.table3.head: unknown head 'eoss'; did you mean 'eos'?"),
        ("figures.figure6.classes", {"digit": ["1", "2"]}, "figures.figure6.classes: unknown dataset 'di"),
        ("head_training.curve_epochs", 5, "curve_epochs 5 must be at least epochs 10"),
        ("tables.table4.network", "cf", "tables.table4.network: unknown network 'cf'; did you mean 'ce'?"),
        ("tables.table4.heads", ["smote"], "tables.table4.heads[0]: 'smote' is no EOS head"),
        (
            "figures.figure6.classes.digits",
            ["1"],
            "classes.digits: ['1'] is not possible: it has too few values",
        ),
        ("figures.figure6.classes.digits", ["1", "2", "3"], "is not possible: give 2 values at most"),
        ("networks.ce.heads", ["own", 1], "networks.ce.heads[1]: 1 is a number; a name is text: quote it"),
        ("selection", ["last"], "selection: unknown value ['last']; did you mean 'last'?"),
        ("training.crop_padding", 10**21, "training.crop_padding: 1000000000000000000000 is not possible"),
        ("training.crop_padding", 4 * 10**9, "crop_padding: 4000000000 is not possible: it should be less"),
        ("datasets.digits.training.crop_padding", 257, "datasets.digits.training.crop_padding: 257 is not"),
        ("datasets.digits.source", OWN | {"image_size": 10**9}, "source.image_size: 1000000000 is not"),
        ("datasets.cifar10.normalization.mean", [1e39, 0.5, 0.5], "normalization.mean[0]: 1e+39 is not"),
        ("training.learning_rate", 1e39, "training.learning_rate: 1e+39 is not possible"),
        ("generators.cgan.width", 10**9, "generators.cgan.width: 1000000000 is not possible"),
        ("datasets.digits.imbalance.ratio", 1e300, "datasets.digits.imbalance.ratio: 1e+300 is not possible"),
        ("networks.ce.heads", ["own"] * 2000, "networks.ce.heads: \"['own', 'own', 'own',"),
        ("heads.two\nlines\x1b", {"sampler": "own"}, "the name 'two\\nlines\\x1b' must begin"),
        ("trainings", {}, "params.yaml: unknown key 'trainings'; did you mean 'training'?"),
    ],
)
def test_one_clear_error(tmp_path: Path, content: Any, path: str, value: Any, expected: str) -> None:
    text = message(tmp_path, change(content, path, value))
    assert expected in text
    assert text.startswith("params.yaml: ")
    assert len(text.splitlines()) == 1


def test_two_branches_are_wanted_of_the_architecture_of_every_dataset_that_is_run(
    tmp_path: Path, content: Any
) -> None:
    change(content, "axes.networks", ["ce", "bbn"])
    change(content, "datasets.celeba.architecture", "densenet")  # which is not run
    change(content, "datasets.digits.architecture", "wideresnet")
    assert message(tmp_path, content) == (
        "params.yaml: datasets.digits.architecture: 'wideresnet' cannot have the two branches that "
        "networks.bbn.mixing is for; set networks.bbn.architecture to resnet8 or resnet20 or resnet32 or "
        "resnet56 or resnet18, or take bbn off the axes"
    )


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("axes.embeddings", ["plant"], "axes.embeddings[0]: unknown set of embeddings 'plant'; did you mean"),
        (
            "axes.embeddings",
            ["plants"] * 2,
            "axes.embeddings: ['plants', 'plants'] is not possible: 'plants' is",
        ),
        ("axes.datasets", ["plants"], "axes.datasets[0]: unknown dataset 'plants'"),
        ("axes.datasets", [], "axes: datasets and embeddings are both empty; list at least one"),
        ("embeddings.plants.networks", {}, "embeddings.plants.networks: list at least one"),
        (
            "embeddings.plants.networks.dinov2",
            "/disk/dinov2.npz",
            "embeddings.plants.networks.dinov2: '/disk/dinov2.npz' is not possible: name a file (.npz, .saf",
        ),
        (
            "embeddings.plants.networks.dinov2",
            "dinov2.csv",
            "'dinov2.csv' is not possible: name a file (.npz",
        ),
        ("embeddings.plants.networks", {"DINOv2": "a.npz"}, "the name 'DINOv2' must begin with a letter"),
        (
            "embeddings.plants.heads",
            ["eoss"],
            "embeddings.plants.heads[0]: unknown head 'eoss'; did you mean",
        ),
        ("embeddings.plants.heads", [], "embeddings.plants.heads: [] is not possible: list at least one"),
        ("embeddings.plants.test_share", 1.0, "embeddings.plants.test_share: 1.0 is not possible"),
        ("embeddings.plants.cut", 0, "embeddings.plants: unknown key 'cut'"),
        ("embeddings.cifar10", GIVEN, "embeddings.cifar10: a data set of images has this name"),
        ("embeddings.wild-plants", GIVEN, "embeddings: the name 'wild-plants' must begin with a letter"),
        (
            "figures.figure6.classes",
            {"plant": ["a", "b"]},
            "figure6.classes: unknown dataset 'plant'; did you me",
        ),
    ],
)
def test_one_clear_error_about_embeddings(
    tmp_path: Path, content: Any, path: str, value: Any, expected: str
) -> None:
    content["embeddings"]["plants"] = GIVEN | {"networks": dict(GIVEN["networks"])}  # type: ignore[call-overload]
    content["axes"]["embeddings"] = []
    text = message(tmp_path, change(content, path, value))
    assert expected in text
    assert len(text.splitlines()) == 1


def test_embeddings_alone_are_enough(tmp_path: Path, content: Any) -> None:
    content["embeddings"]["plants"] = GIVEN
    content["axes"] |= {"datasets": [], "embeddings": ["plants"]}
    content["figures"]["figure6"]["classes"]["plants"] = ["oak", "yew"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load(path).embeddings["plants"].networks == {"dinov2": "dinov2.npz"}


def test_all_problems_are_told_at_once(tmp_path: Path, content: Any) -> None:
    content["training"]["epochs"] = 0
    content["heads"]["eos"]["step_size"] = 2.0
    assert len(message(tmp_path, content).splitlines()) == 2


def test_one_mistake_that_makes_many_problems_is_told_in_a_few_lines(tmp_path: Path, content: Any) -> None:
    lines = message(tmp_path, change(content, "heads", {})).splitlines()
    assert len(lines) == 11
    assert "embeddings.photographs.heads[0]: unknown head 'own'" in lines[0]
    assert int(lines[-1].removeprefix("params.yaml: and ").removesuffix(" more")) > 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &a [*a]", "an alias (`*name`) stands inside of what it names"),
        ("a: &a {b: *a}", "an alias (`*name`) stands inside of what it names"),
        (
            "\n".join(["a0: &a0 [1]", *(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]" for n in range(1, 12))]),
            "more than 100,000 values",
        ),
        ("a: " + "[" * 1000, "nested too deeply"),
        ("#" * 2**20 + "#", "larger than 1,048,576 bytes"),
        ("axes:\n\tcuts: [0]", "line 2, column 1: found character '\\t'"),
        ("a: 1\na: 2", "line 2, column 1: found duplicate key"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("? [a]\n: 1\n? {b: 1}\n: 2", "unhashable"),
    ],
)
def test_text_that_would_not_end_well(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load(path)
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "`git checkout params.yaml`" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_no_file_of_text_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "text.yaml").write_bytes("axes: größe".encode("latin-1"))
    for path, expected in (
        (tmp_path, "not a file"),
        (tmp_path / "pipe.yaml", "not a file"),
        (Path("/dev/zero"), "not a file"),
        (tmp_path / "text.yaml", "not UTF-8 text: byte 0xf6 at place 8"),
    ):
        with pytest.raises(InputError, match=expected):
            load(path)


def test_numbers_are_read_as_dvc_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text()
    assert "\n  weight_decay: 0.0002\n" in text
    path.write_text(text.replace("\n  weight_decay: 0.0002\n", "\n  weight_decay: 5e-05\n"))
    assert load(path).training.weight_decay == 0.00005
    path.write_text(text + "\nselection: test\n")
    with pytest.raises(InputError, match="duplicate key"):
        load(path)


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "params.yaml")
    path = tmp_path / "params.yaml"
    path.write_text("axes: [")
    with pytest.raises(InputError, match="not valid YAML"):
        load(path)
    path.write_text("just text")
    with pytest.raises(InputError, match="no mapping"):
        load(path)


def test_every_sampler_is_given_all_its_parameters() -> None:
    heads = parameters().heads.values()
    samplers = [head for head in heads if not hasattr(head, "classifier")]
    assert {head.sampler for head in samplers} == {"own", "none", *SAMPLERS}
    for head in samplers:
        if head.sampler in SAMPLERS:
            assert set(head.model_dump()) - {"sampler"} == set(SAMPLERS[head.sampler].parameters)


def test_every_classifier_is_given_all_its_parameters() -> None:
    classifiers = [head for head in parameters().heads.values() if hasattr(head, "classifier")]
    assert {head.classifier for head in classifiers} == set(CLASSIFIERS)
    for head in classifiers:
        assert set(head.model_dump()) - {"classifier"} == set(CLASSIFIERS[head.classifier].parameters)


def test_images_may_stay_as_imbalanced_as_they_are(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(change(content, "datasets.digits.imbalance", {"profile": "as_is"})))
    assert load(path).datasets["digits"].imbalance.profile == "as_is"


def test_empty_axes_leave_the_balanced_networks_out(tmp_path: Path, content: Any) -> None:
    for axis in ("pixel_samplers", "generators"):
        content["axes"][axis] = []
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load(path).axes.generators == ()


def test_what_params_yaml_must_say_is_filled_in_by_nothing(tmp_path: Path, content: Any) -> None:
    """Every key of every section is needed, but those of a data set that replace general ones."""
    path = tmp_path / "params.yaml"
    sections = {name: content[name] for name in ("split", "training", "oversampling", "head_training")}
    sections |= {f"heads.{name}": content["heads"][name] for name in ("smote", "bsmote", "balsvm", "eos")}
    sections |= {f"networks.{name}": content["networks"][name] for name in ("ce", "ldam")}
    content["embeddings"]["plants"] = sections["embeddings.plants"] = dict(GIVEN)
    sections |= {"datasets.digits": content["datasets"]["digits"]}
    sections |= {"datasets.digits.source": content["datasets"]["digits"]["source"]}
    sections |= {f"generators.{name}": content["generators"][name] for name in content["generators"]}
    for place, section in sections.items():
        for key in list(section):
            value = section.pop(key)
            path.write_text(yaml.safe_dump(content))
            with pytest.raises(InputError) as caught:
                load(path)
            assert f"params.yaml: {place}" in str(caught.value)
            assert "is missing" in str(caught.value)
            section[key] = value


def test_reading_the_parameters_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'torch', 'sklearn', 'pandas'} & set(sys.modules)"
    program = f"import sys, eos.config.loading; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
