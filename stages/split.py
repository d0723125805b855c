"""Pick the imbalanced training images: DATASET CUT -> data/splits/<dataset>-<cut>.npz."""

from eos.pipeline.command import parameters, run


def main(dataset: str, cut: int) -> None:
    """Write the row indices of the imbalanced training (and validation) images and the class counts."""
    import numpy as np

    from eos.data.splits import exponential_counts, hold_out, imbalanced_subset
    from eos.errors import placed
    from eos.pipeline.paths import PARAMETERS, images_file, split_file
    from eos.storage.files import write_arrays
    from eos.storage.layouts import IMAGES, read_stored

    images = read_stored(images_file(dataset), IMAGES, "train_labels", "class_names")
    labels = images["train_labels"]
    counts = np.bincount(labels, minlength=len(images["class_names"]))
    imbalance = parameters().datasets[dataset].imbalance
    if imbalance.profile == "exponential":
        with placed(f"{PARAMETERS}: datasets.{dataset}.imbalance"):
            counts = exponential_counts(counts, imbalance.ratio)
    subset = imbalanced_subset(labels, counts, cut)
    names = images["class_names"].tolist()
    with placed(f"{PARAMETERS}: split.validation_fraction"):
        held_out = hold_out(labels[subset], parameters().split.validation_fraction, seed=cut, names=names)
    train = subset[~held_out]
    write_arrays(
        split_file(dataset, cut),
        {
            "train": train,
            "validation": subset[held_out],
            "class_counts": np.bincount(labels[train], minlength=len(counts)),
        },
    )


if __name__ == "__main__":
    run(main)
