"""Every registered name is there, and takes what the registry says it takes."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eos import registry
from eos.errors import InputError
from eos.losses.base import Loss
from eos.registry import ARCHITECTURES, LOSSES, SOFT_TARGET_LOSSES, Entry, display_name, find
from eos.samplers.eos import EOS

TABLES: dict[str, registry.Table] = {
    name: value
    for name, value in vars(registry).items()
    if name.isupper()
    and isinstance(value, dict)
    and all(isinstance(entry, Entry) for entry in value.values())
}


def entries() -> Iterator[Any]:
    for table, names in TABLES.items():
        for name, entry in names.items():
            yield pytest.param(entry, id=f"{table}-{name}")


def test_there_are_tables() -> None:
    assert {"SOURCES", "ARCHITECTURES", "LOSSES", "MIXINGS", "SAMPLERS", "HEADS", "CLASSIFIERS"} <= set(
        TABLES
    )


@pytest.mark.parametrize("entry", entries())
def test_every_name_stands_for_what_takes_its_parameters(entry: Entry) -> None:
    """The parameters are the keyword-only ones; the others are handed over by whoever calls it."""
    loaded = entry.load()
    signature = inspect.signature(loaded).parameters.values()
    taken = {one.name for one in signature if one.kind is one.KEYWORD_ONLY}
    if any(one.kind is one.VAR_KEYWORD for one in signature):  # handed on, to the class EOS
        # The pipeline has Euclidean neighbors alone.
        taken = set(inspect.signature(EOS).parameters) - {"sampling_strategy", "random_state", "metric"}
    if entry in ARCHITECTURES.values():
        taken -= {"channels"}
    if entry in registry.CLASSIFIERS.values():
        taken -= {"seeds", "recipe", "random_state"}
    if entry in (registry.HEADS["own"], registry.HEADS["none"]):
        taken = set()  # these stand for no function that is called with parameters
    assert taken == set(entry.parameters)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_tell_how_long_an_embedding_is(name: str) -> None:
    backbone: Any = ARCHITECTURES[name].load()(channels=1)
    assert backbone.n_features >= 1


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_losses_and_say_whether_they_take_shares(name: str) -> None:
    loss = LOSSES[name].load()
    assert issubclass(loss, Loss)
    assert loss.soft_targets == (name in SOFT_TARGET_LOSSES)


def test_unknown_names() -> None:
    with pytest.raises(InputError, match=r"^losses: unknown loss 'focall'; did you mean 'focal'"):
        find(LOSSES, "focall", what="loss")


def test_an_entry_loads_what_it_names() -> None:
    assert Entry("json:dumps", "Dumps").load()([1]) == "[1]"


def test_display_names() -> None:
    titles = {
        "digits": "Digits",
        "svhn": "SVHN",
        "ce": "CE",
        "wideresnet": "WideResNet-22-4",
        "remix": "ReMix",
        "own": "Own classifier",
        "gamo": "GAMO",
        "la_mixup": "LA + mixup",
    }
    assert {name: display_name(name) for name in titles} == titles
    assert display_name("a_name_of_nobody") == "a_name_of_nobody"


def test_no_name_has_two_titles() -> None:
    titles: dict[str, set[str]] = {}
    for names in TABLES.values():
        for name, entry in names.items():
            titles.setdefault(name, set()).add(entry.title)
    assert {name: found for name, found in titles.items() if len(found) > 1} == {}


def test_the_registry_is_light() -> None:
    """It imports nothing of this library but its errors, and nothing large."""
    program = (
        "import sys, eos.registry; "
        "print(*sorted(name for name in sys.modules if name.startswith('eos.')), "
        "*({'numpy', 'torch', 'sklearn', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["eos.errors", "eos.registry"]


def test_the_code_of_a_name_lies_in_the_package_of_its_kind() -> None:
    """dvc.yaml lists packages: what a name stands for must lie in one of those that its stages list."""
    packages = {
        "SOURCES": "data", "TORCHVISION_DATASETS": "data", "ARCHITECTURES": "models", "LOSSES": "losses",
        "MIXINGS": "training", "AUGMENTATIONS": "training", "CLASSIFIERS": "heads", "SAMPLERS": "samplers",
        "PIXEL_SAMPLERS": "samplers", "GENERATORS": "generators",
    }  # fmt: skip
    assert set(TABLES) - {"HEADS"} == set(packages)
    for table, package in packages.items():
        for entry in TABLES[table].values():
            module = sys.modules[entry.load().__module__]
            assert Path(str(module.__file__)).parent.name == package
            assert entry.where.startswith(f"eos.{package}.")
