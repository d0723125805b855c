"""A network comes back from its files as it was, or the file that is wrong is named."""

import json
import random
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
    "branches": 1,
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
def weights(network: Network) -> dict[str, dict[str, Any]]:
    other = build_network("resnet8", channels=1, n_classes=3, classifier="cosine")
    return {"last": network.state_dict(), "test": other.state_dict()}


@pytest.fixture
def folder(tmp_path: Path, weights: dict[str, dict[str, Any]]) -> Path:
    save_network(tmp_path / "new", weights, DESCRIPTION)
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
def test_a_description_that_lacks_something_is_named(
    folder: Path, weights: dict[str, dict[str, Any]], name: str
) -> None:
    save_network(folder, weights, {key: value for key, value in DESCRIPTION.items() if key != name})
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
    folder: Path, weights: dict[str, dict[str, Any]], changed: dict[str, Any], message: str
) -> None:
    save_network(folder, weights, DESCRIPTION | changed)
    with pytest.raises(InputError, match=message):
        load_saved(folder, "last")


def test_missing_and_damaged_weights_are_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"validation\.safetensors: no such file"):
        load_saved(folder, "validation")
    path = folder / "last.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"last\.safetensors: damaged"):
        load_saved(folder, "last")


def flip(path: Path, place: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def test_one_wrong_bit_anywhere_in_the_weights_is_refused(folder: Path) -> None:
    path, draw = folder / "last.safetensors", random.Random(0)
    size = path.stat().st_size
    for place in (0, 7, 8, 20, size - 1, *(draw.randrange(size) for _ in range(40))):
        bit = draw.randrange(8)
        flip(path, place, bit)
        with pytest.raises(InputError, match=r"last\.safetensors: damaged or changed: .*; remove it and run"):
            load_saved(folder, "last")
        flip(path, place, bit)
    assert load_saved(folder, "last").epoch == 9


def test_the_weights_of_another_rule_in_their_place_are_refused(folder: Path) -> None:
    (folder / "test.safetensors").replace(folder / "last.safetensors")
    with pytest.raises(InputError, match=r"last\.safetensors: damaged or changed"):
        load_saved(folder, "last")


def test_one_wrong_bit_anywhere_in_the_description_is_refused_or_says_the_same(folder: Path) -> None:
    path = folder / "network.json"
    whole, draw, refused = json.loads(path.read_text()), random.Random(0), 0
    for place in range(0, path.stat().st_size, 3):
        bit = draw.randrange(8)
        flip(path, place, bit)
        try:
            load_saved(folder, "last")
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{path}: "), place  # noqa: PT017
        else:
            assert json.loads(path.read_text()) == whole, place  # a space that became a line feed, say
        flip(path, place, bit)
    assert refused > 0.3 * path.stat().st_size


def test_a_description_without_digests_is_refused(folder: Path) -> None:
    """Of a network that was trained before there were any."""
    (folder / "network.json").write_text(json.dumps(DESCRIPTION))
    with pytest.raises(InputError, match=r"network\.json: does not hold 'sha256'; run `dvc repro`"):
        load_saved(folder, "last")
