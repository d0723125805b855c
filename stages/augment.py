"""Balance the imbalanced images in pixel space: DATASET CUT PIXEL_SAMPLER -> data/augmented/..."""

import numpy as np

import common
from eos.errors import placed
from eos.files import write_arrays
from eos.layouts import IMAGES, SPLIT, read_stored
from eos.pixels import oversample_images


def main(dataset: str, cut: int, pixel_sampler: str) -> None:
    """Write the synthetic images, their labels, and what is to be noted."""
    parameters = common.parameters()
    data = read_stored(common.images_file(dataset), IMAGES, "train_images", "train_labels")
    rows = read_stored(common.split_file(dataset, cut), SPLIT, "train")["train"]
    labels = data["train_labels"][rows]
    definition = parameters.pixel_samplers[pixel_sampler]
    with placed(f"{common.PARAMETERS}: pixel_samplers.{pixel_sampler}, on {dataset}"):
        balanced = oversample_images(
            definition.sampler,
            data["train_images"][rows],
            labels,
            random_state=parameters.oversampling.random_state,
            **definition.model_dump(exclude={"sampler"}),
        )
    write_arrays(
        common.augmented_file(dataset, cut, pixel_sampler),
        {
            "images": balanced.features,
            "labels": balanced.labels[len(labels) :],
            "notes": np.array(balanced.notes, dtype=np.str_),
        },
    )
    print(f"{len(balanced.features)} synthetic images", flush=True)


if __name__ == "__main__":
    common.run(main)
