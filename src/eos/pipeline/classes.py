"""The classes of a dataset: their names, and how many training rows each has."""

import numpy as np

from eos.config.schema import Parameters
from eos.pipeline import paths
from eos.storage.layouts import CLASSES, IMAGES, SPLIT, read_stored


def classes_of(parameters: Parameters, dataset: str, cut: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of the classes and the counts of their training rows, both of shape (C,).

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    if dataset in parameters.embeddings:
        found = read_stored(paths.classes_file(dataset, cut), CLASSES)
        return found["class_names"], found["class_counts"]
    names = read_stored(paths.images_file(dataset), IMAGES, "class_names")["class_names"]
    return names, read_stored(paths.split_file(dataset, cut), SPLIT, "class_counts")["class_counts"]
