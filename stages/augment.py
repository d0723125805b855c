"""Balance the imbalanced images in pixel space: DATASET CUT PIXEL_SAMPLER -> data/augmented/..."""

import time
from typing import Any

from eos.pipeline.command import digest, parameters, run


def main(dataset: str, cut: int, pixel_sampler: str) -> dict[str, Any]:
    """Write the synthetic images, their labels, and what is to be noted."""
    import imblearn.over_sampling  # noqa: F401  (a sampler imports it when first used: not on its clock)
    import numpy as np
    import sklearn.decomposition
    import sklearn.svm  # noqa: F401

    from eos.errors import placed
    from eos.pipeline.paths import PARAMETERS, augmented_file, images_file, split_file
    from eos.samplers.pixels import oversample_images
    from eos.storage.files import write_arrays
    from eos.storage.layouts import IMAGES, SPLIT, read_stored

    data = read_stored(images_file(dataset), IMAGES, "train_images", "train_labels")
    rows = read_stored(split_file(dataset, cut), SPLIT, "train")["train"]
    labels = data["train_labels"][rows]
    definition = parameters().pixel_samplers[pixel_sampler]
    start = time.perf_counter()
    with placed(f"{PARAMETERS}: pixel_samplers.{pixel_sampler}, on {dataset}"):
        balanced = oversample_images(
            definition.sampler,
            data["train_images"][rows],
            labels,
            random_state=parameters().oversampling.random_state,
            **definition.model_dump(exclude={"sampler"}),
        )
    seconds = time.perf_counter() - start
    file = augmented_file(dataset, cut, pixel_sampler)
    write_arrays(
        file,
        {
            "images": balanced.features,
            "labels": balanced.labels[len(labels) :],
            "notes": np.array(balanced.notes, dtype=np.str_),
        },
    )
    print(f"{len(balanced.features)} synthetic images", flush=True)
    return {"seconds": seconds, "made": digest(file)}


if __name__ == "__main__":
    run(main)
