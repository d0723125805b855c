"""What each stored file holds: arrays' kinds and shapes, checked as they are read, and tables' columns."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eos.errors import InputError
from eos.storage.files import REMAKE, Arrays, read_arrays

Layout = Mapping[str, str]

# The kind of number (NumPy's letter), then a name for each dimension: equal names are equal sizes.
IMAGES: Layout = {
    "train_images": "u train height width channels",
    "train_labels": "i train",
    "test_images": "u test height width channels",
    "test_labels": "i test",
    "class_names": "U classes",
}
SPLIT: Layout = {"train": "i train", "validation": "i validation", "class_counts": "i classes"}
SYNTHETIC: Layout = {
    "images": "u synthetic height width channels",
    "labels": "i synthetic",
    "notes": "U notes",
}
# Of embeddings that were made elsewhere the epoch is 0 and the precision that of their file; weight and
# logits have no classes where the file has no classifier.
EMBEDDINGS: Layout = {
    "weight": "f classes features",
    "bias": "f classes",  # zeros for a cosine classifier, which has none
    "epoch": "i",
    "precision": "U",  # of the arithmetic that made them
    "train_features": "f train features",
    "train_logits": "f train classes",
    "train_labels": "i train",
    "validation_features": "f validation features",
    "validation_logits": "f validation classes",
    "validation_labels": "i validation",
    "test_features": "f test features",
    "test_logits": "f test classes",
    "test_labels": "i test",
}
# Beside these: what was taken away from every given feature, and what it was then divided by.
STANDARDIZATION: Layout = {"mean": "f features", "deviation": "f features"}
CLASSES: Layout = {"class_names": "U classes", "class_counts": "i classes"}
GAP: Layout = {"gap": "f classes", "true_positive_gap": "f classes", "false_positive_gap": "f classes"}
# Real rows are in the embeddings; here are those that the sampler moved, by their numbers.
OVERSAMPLED: Layout = {
    "synthetic": "f synthetic features",
    "labels": "i all",
    "moved": "i moved",
    "moved_features": "f moved features",
    "gap": "f classes",
}
# What is fitted to the embeddings as they are has no epochs, and one run where nothing is random. Features
# are centred and brought to unit length before the layer where there is a center. What is predicted of
# held-out (validation) rows is -1 where it is not known.
HEAD: Layout = {
    "seeds": "i seeds",
    "weight": "f seeds classes features",
    "bias": "f seeds classes",
    "center": "f width",
    "epoch": "i seeds",
    "held_out_predicted": "i seeds validation",
    "test_logits": "f seeds test classes",
    "loss": "f seeds epochs",
    "train_BAC": "f seeds epochs",
    "test_BAC": "f seeds epochs",
}

CELL = ["dataset", "cut", "network", "head"]
CLASS = ["class", "class_name", "train_count"]
BALANCED = ["dataset", "cut", "sampler", "network", "seed", "selection", "epoch", "BAC", "GM", "FM", "note"]
SCORES = ["BAC", "GM", "FM", "ECE", "Brier"]
COLUMNS = {
    "scores": [*CELL, "seed", "selection", "epoch", *SCORES, "held_out_BAC", "net_gap"],
    "classes": [*CELL, *CLASS, "recall", "gap", "weight_norm"],
    "gaps": [*CELL[:3], *CLASS, "gap", "true_positive_gap", "false_positive_gap"],
    # Pairs of a true and a predicted class that occur, over all head seeds.
    "confusion": [*CELL, "class", "predicted", "count"],
    "curves": [*CELL, "epoch", "loss", "train_BAC", "train_BAC_sd", "test_BAC", "test_BAC_sd"],
    # Parameters that have choices, and how their value came about.
    "chosen": [*CELL, "parameter", "value", "rule"],
    "notes": [*CELL, "note"],
}
# The epochs of a network's training, as the training logs them.
LOGGED = ["learning_rate", "loss", "train_BAC", "test_BAC", "test_FM", "validation_BAC", "validation_FM"]
HISTORIES = [*CELL[:3], "epoch", *LOGGED]
# Between several notes in one field.
NOTES_BETWEEN = " | "
TEXT = {
    "dataset",
    "network",
    "head",
    "sampler",
    "selection",
    "class_name",
    "note",
    "parameter",
    "value",
    "rule",
}


def all_rows(real: np.ndarray, oversampled: Arrays) -> np.ndarray:
    """Return the rows that a head is fitted on, real ones first, from the real ones and an `OVERSAMPLED`."""
    rows = np.concatenate([real, oversampled["synthetic"]])
    rows[oversampled["moved"]] = oversampled["moved_features"]
    return rows


def read_stored(path: Path, layout: Layout, *names: str) -> Arrays:
    """Read the named arrays of a file (all of its layout when no name is given).

    Raises
    ------
    InputError
        If the file is missing or damaged, lacks an array, or holds one of another kind or shape.
    """
    arrays = read_arrays(path, *(names or layout))
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        kind, *dimensions = layout[name].split()
        expected = f"({', '.join(dimensions)})"
        if array.dtype.kind != kind or array.ndim != len(dimensions):
            raise InputError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}, not of kind {kind!r} and shape "
                f"{expected}; {REMAKE}"
            )
        for dimension, size in zip(dimensions, array.shape, strict=True):
            if sizes.setdefault(dimension, size) != size:
                raise InputError(
                    f"{path}: {name} has the shape {array.shape} for {expected}, but {dimension} is "
                    f"{sizes[dimension]} in another of its arrays; {REMAKE}"
                )
    return arrays
