"""The one form in which every source gives its images."""

from dataclasses import dataclass

import numpy as np


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


def draw_per_class(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Draw `per_class` rows of every class at random and return the boolean mask of all rows drawn."""
    random = np.random.default_rng(seed)
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        mask[random.permutation(np.flatnonzero(labels == label))[:per_class]] = True
    return mask
