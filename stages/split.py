"""Pick the imbalanced training images: DATASET CUT -> data/splits/<dataset>-<cut>.npz."""

import numpy as np

import common
from eos.data.splits import exponential_counts, hold_out, imbalanced_subset
from eos.errors import placed
from eos.storage.files import write_arrays
from eos.storage.layouts import IMAGES, read_stored


def main(dataset: str, cut: int) -> None:
    """Write the row indices of the imbalanced training (and validation) images and the class counts."""
    parameters = common.parameters()
    images = read_stored(common.images_file(dataset), IMAGES, "train_labels", "class_names")
    labels = images["train_labels"]
    available = np.bincount(labels, minlength=len(images["class_names"]))
    imbalance = parameters.datasets[dataset].imbalance
    counts = available
    if imbalance.profile == "exponential":
        with placed(f"{common.PARAMETERS}: datasets.{dataset}.imbalance"):
            counts = exponential_counts(available, imbalance.ratio)
    subset = imbalanced_subset(labels, counts, cut)
    held_out = hold_out(labels[subset], parameters.split.validation_fraction, seed=cut)
    train = subset[~held_out]
    write_arrays(
        common.split_file(dataset, cut),
        {
            "train": train,
            "validation": subset[held_out],
            "class_counts": np.bincount(labels[train], minlength=len(counts)),
        },
    )


if __name__ == "__main__":
    common.run(main)
