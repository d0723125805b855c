"""scikit-learn's bundled handwritten digits as a data set."""

from pathlib import Path

import numpy as np

from eos.data.image_dataset import ImageDataset, draw_per_class
from eos.errors import InputError


def digits(raw: Path, *, test_per_class: int, seed: int) -> ImageDataset:
    """Return scikit-learn's bundled handwritten digits: 1,797 grey images of 8x8 pixels, ten classes.

    Parameters
    ----------
    raw
        Not used: scikit-learn brings the images.
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
    sizes = np.bincount(labels)
    smallest = int(np.argmin(sizes))
    if sizes[smallest] <= test_per_class:
        raise InputError(
            f"test_per_class {test_per_class}: class {smallest} has {sizes[smallest]} images, so none would "
            f"be left to train on; lower it to {sizes[smallest] - 1} at most"
        )
    # The source has 17 grey levels, 0 to 16.
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    test = draw_per_class(labels, test_per_class, seed)
    return ImageDataset(images[~test], labels[~test], images[test], labels[test], tuple("0123456789"))
