"""Sources give images in one form."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from eos.datasets import SOURCES, digits
from eos.errors import InputError

ARGUMENTS = {"digits": {"test_per_class": 50, "seed": 0}}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_form(name: str) -> None:
    data = SOURCES[name](**ARGUMENTS[name])
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert images.dtype == np.uint8
        assert images.ndim == 4
        assert labels.dtype == np.int64
        assert len(images) == len(labels)
        assert set(np.unique(labels)) == set(range(len(data.class_names)))


def test_digits_are_all_there_once_with_a_balanced_test_set() -> None:
    data = digits(test_per_class=50, seed=0)
    assert np.bincount(data.test_labels).tolist() == [50] * 10
    assert len(data.train_labels) == 1797 - 500
    both = np.concatenate([data.train_images, data.test_images])
    assert both.max() == 255
    original = load_digits().images.reshape(1797, -1)
    ours = both.reshape(1797, -1) * (16 / 255)
    assert sorted(np.rint(ours).astype(int).tolist()) == sorted(original.astype(int).tolist())


def test_the_seed_picks_the_test_set() -> None:
    first, again, other = (digits(test_per_class=50, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.test_images, again.test_images)
    assert not np.array_equal(first.test_images, other.test_images)


def test_a_class_must_keep_an_image_to_train_on() -> None:
    with pytest.raises(InputError, match=r"class 8 has 174 images.*lower it to 173"):
        digits(test_per_class=174, seed=0)
