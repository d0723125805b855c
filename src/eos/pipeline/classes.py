"""The classes of a dataset: their names, and how many training rows each has."""

import numpy as np

from eos.config.schema import Parameters
from eos.pipeline import paths
from eos.storage.layouts import CLASSES, IMAGES, SPLIT, read_stored


def class_names(parameters: Parameters, dataset: str, cut: int) -> np.ndarray:
    """Return the names of the classes, (C,); `InputError` if a file is missing or damaged."""
    if dataset in parameters.embeddings:
        return read_stored(paths.classes_file(dataset, cut), CLASSES, "class_names")["class_names"]
    return read_stored(paths.images_file(dataset), IMAGES, "class_names")["class_names"]


def class_counts(parameters: Parameters, dataset: str, cut: int) -> np.ndarray:
    """Return how many training rows each class has, (C,); `InputError` if a file is missing or damaged."""
    if dataset in parameters.embeddings:
        return read_stored(paths.classes_file(dataset, cut), CLASSES, "class_counts")["class_counts"]
    return read_stored(paths.split_file(dataset, cut), SPLIT, "class_counts")["class_counts"]
