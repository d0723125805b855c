"""Bring a dataset's images into one form: DATASET -> data/images/<dataset>.npz."""

from eos.pipeline.command import parameters, run


def main(dataset: str) -> None:
    """Write the training and test images of `dataset`, their labels and the class names."""
    import numpy as np

    from eos.errors import placed
    from eos.pipeline.paths import DATA, PARAMETERS, images_file
    from eos.registry import SOURCES
    from eos.storage.files import write_arrays

    source = parameters().datasets[dataset].source
    with placed(f"{PARAMETERS}: datasets.{dataset}.source"):
        data = SOURCES[source.name].load()(DATA / "raw", **source.model_dump(exclude={"name"}))
    write_arrays(
        images_file(dataset),
        {
            "train_images": data.train_images,
            "train_labels": data.train_labels,
            "test_images": data.test_images,
            "test_labels": data.test_labels,
            "class_names": np.array(data.class_names),
        },
    )


if __name__ == "__main__":
    run(main)
