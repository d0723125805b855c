"""Image data sets: a source gives training and test images, whatever their origin, in one form."""

from dataclasses import dataclass

import numpy as np

from eos.errors import InputError


@dataclass(frozen=True)
class ImageDataset:
    """Labelled images, before any imbalance is made.

    Attributes
    ----------
    train_images, test_images
        uint8 of shape (n, height, width, channels).
    train_labels, test_labels
        int64 of shape (n,), from 0 to the number of classes less one.
    class_names
        One name per label.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]


def digits(*, test_per_class: int, seed: int) -> ImageDataset:
    """Return scikit-learn's bundled handwritten digits: 1,797 grey images of 8x8 pixels, ten classes.

    Parameters
    ----------
    test_per_class
        How many images of every class make the test set, so that it is balanced.
    seed
        Picks them.

    Raises
    ------
    InputError
        If a class would have no image left to train on.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    # The source has 17 grey levels, 0 to 16.
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    test = balanced_test_set(labels, test_per_class, seed)
    return ImageDataset(
        train_images=images[~test],
        train_labels=labels[~test],
        test_images=images[test],
        test_labels=labels[test],
        class_names=tuple(str(digit) for digit in range(10)),
    )


def balanced_test_set(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Draw `per_class` rows of every class at random and return the boolean mask of all rows drawn.

    Raises
    ------
    InputError
        If a class has not more than `per_class` rows.
    """
    random = np.random.default_rng(seed)
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) <= per_class:
            raise InputError(
                f"test_per_class {per_class}: class {label} has {len(rows)} images, so none would be left to "
                f"train on; lower it to {len(rows) - 1} at most"
            )
        mask[random.permutation(rows)[:per_class]] = True
    return mask


# A source's name in the parameters -> the function that gives its images.
SOURCES = {"digits": digits}
