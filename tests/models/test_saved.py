"""A network comes back from its files as it was, or the file that is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from eos.errors import InputError
from eos.models.network import Network, build_network
from eos.models.saved import load_saved, save_network

DESCRIPTION = {
    "architecture": "resnet8",
    "classifier": "cosine",
    "channels": 1,
    "class_names": ["cat", "dog", "eel"],
    "mean": [0.3],
    "std": [0.4],
    "precision": "fp32",
    "epochs": {"last": 9, "test": 4},
}


@pytest.fixture
def network() -> Network:
    return build_network("resnet8", channels=1, n_classes=3, classifier="cosine")


@pytest.fixture
def folder(tmp_path: Path, network: Network) -> Path:
    other = build_network("resnet8", channels=1, n_classes=3, classifier="cosine")
    save_network(tmp_path / "new", {"last": network.state_dict(), "test": other.state_dict()}, DESCRIPTION)
    return tmp_path / "new"


def test_what_was_saved_comes_back(folder: Path, network: Network) -> None:
    saved = load_saved(folder, "last")
    for name, value in network.state_dict().items():
        assert torch.equal(saved.network.state_dict()[name], value), name
    assert (saved.class_names, saved.precision, saved.epoch) == (["cat", "dog", "eel"], "fp32", 9)
    assert (saved.mean, saved.std) == ([0.3], [0.4])
    assert load_saved(folder, "test").epoch == 4
    assert not torch.equal(
        load_saved(folder, "test").network.classifier.weight, saved.network.classifier.weight
    )


@pytest.mark.parametrize("name", DESCRIPTION)
def test_a_description_that_lacks_something_is_named(folder: Path, name: str) -> None:
    path = folder / "network.json"
    path.write_text(json.dumps({key: value for key, value in DESCRIPTION.items() if key != name}))
    with pytest.raises(InputError, match=rf"network\.json: does not hold '{name}'; run `dvc repro`"):
        load_saved(folder, "last")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"class_names": ["cat"]}, r"last\.safetensors: weights: not those of a resnet8"),
        ({"architecture": "resnet20"}, r"last\.safetensors: weights: not those of a resnet20"),
        ({"epochs": {}}, r"network\.json: does not hold 'last'"),
    ],
)
def test_a_description_of_another_network_is_named(
    folder: Path, changed: dict[str, Any], message: str
) -> None:
    (folder / "network.json").write_text(json.dumps(DESCRIPTION | changed))
    with pytest.raises(InputError, match=message):
        load_saved(folder, "last")


def test_missing_and_damaged_weights_are_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"validation\.safetensors: no such file"):
        load_saved(folder, "validation")
    path = folder / "last.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"last\.safetensors: damaged"):
        load_saved(folder, "last")
