"""Bring a dataset's images into one form: DATASET -> data/images/<dataset>.npz."""

import numpy as np

import common
from eos.data.digits import SOURCES
from eos.errors import placed
from eos.storage.files import write_arrays


def main(dataset: str) -> None:
    """Write the training and test images of `dataset`, their labels and the class names."""
    source = common.parameters().datasets[dataset].source
    with placed(f"{common.PARAMETERS}: datasets.{dataset}.source"):
        data = SOURCES[source.name](common.DATA / "raw", **source.model_dump(exclude={"name"}))
    write_arrays(
        common.images_file(dataset),
        {
            "train_images": data.train_images,
            "train_labels": data.train_labels,
            "test_images": data.test_images,
            "test_labels": data.test_labels,
            "class_names": np.array(data.class_names),
        },
    )


if __name__ == "__main__":
    common.run(main)
