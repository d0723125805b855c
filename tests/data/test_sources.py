"""Sources give images in one form."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from eos.data.digits import digits
from eos.data.image_dataset import ImageDataset
from eos.errors import InputError
from eos.registry import SOURCES
from tests.data.tiny_sources import block_network, write_svhn, write_tree


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Return for every source what it is called with; what it reads lies under `tmp_path`."""
    block_network(monkeypatch)
    write_svhn(tmp_path, monkeypatch)
    write_tree(tmp_path / "own", {"train/a": 5, "train/b": 2})
    return {
        "digits": {"test_per_class": 50, "seed": 0},
        "folder": {
            "path": str(tmp_path / "own"),
            "image_size": 8,
            "channels": 3,
            "test_fraction": 0.2,
            "seed": 0,
            "train_per_class": None,
            "test_per_class": None,
        },
        "torchvision": {"dataset": "svhn", "balance_test": True, "seed": 0},
    }


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_form(
    name: str, tmp_path: Path, arguments: dict[str, dict[str, Any]]
) -> None:
    data = SOURCES[name].load()(tmp_path, **arguments[name])
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert images.dtype == np.uint8
        assert images.ndim == 4
        assert images.flags.c_contiguous
        assert labels.dtype == np.int64
        assert len(images) == len(labels)
        assert set(np.unique(labels)) == set(range(len(data.class_names)))
    assert all(isinstance(class_name, str) for class_name in data.class_names)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_each_time(
    name: str, tmp_path: Path, arguments: dict[str, dict[str, Any]]
) -> None:
    first, again = (SOURCES[name].load()(tmp_path, **arguments[name]) for _ in range(2))
    for field in ("train_images", "train_labels", "test_images", "test_labels"):
        assert np.array_equal(getattr(first, field), getattr(again, field))


def read_digits(test_per_class: int = 50, seed: int = 0) -> ImageDataset:
    return digits(Path("unused"), test_per_class=test_per_class, seed=seed)


def test_digits_are_all_there_once_with_a_balanced_test_set() -> None:
    data = read_digits()
    assert np.bincount(data.test_labels).tolist() == [50] * 10
    assert len(data.train_labels) == 1797 - 500
    both = np.concatenate([data.train_images, data.test_images])
    assert both.max() == 255
    original = load_digits().images.reshape(1797, -1)
    ours = both.reshape(1797, -1) * (16 / 255)
    assert sorted(np.rint(ours).astype(int).tolist()) == sorted(original.astype(int).tolist())


def test_the_seed_picks_the_test_set() -> None:
    assert not np.array_equal(read_digits(seed=0).test_images, read_digits(seed=1).test_images)


def test_a_class_must_keep_an_image_to_train_on() -> None:
    with pytest.raises(InputError, match=r"class 8 has 174 images.*lower it to 173"):
        read_digits(test_per_class=174)
    assert np.bincount(read_digits(test_per_class=173).train_labels).min() == 1
