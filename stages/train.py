"""Phase 1, train a network end to end on the imbalanced images: DATASET CUT NETWORK -> models/networks/..."""

from typing import Any

import common
from eos.storage.layouts import IMAGES, SPLIT, read_stored
from eos.training.loop import Images
from fitting import Cell, fit, images_of


def main(dataset: str, cut: int, network: str) -> dict[str, Any]:
    """Write the weights that each selection rule chooses, what goes with them, and the history."""
    data = read_stored(common.images_file(dataset), IMAGES)
    split = read_stored(common.split_file(dataset, cut), SPLIT, "train", "validation")
    train = images_of(data, split, "train")
    assert train is not None  # `split` leaves every class an image
    cell = Cell(
        dataset=dataset,
        network=network,
        class_names=data["class_names"],
        real=train,
        train=train,
        validation=images_of(data, split, "validation"),
        test=Images(data["test_images"], data["test_labels"]),
        folder=common.network_folder(dataset, cut, network),
        balanced=False,
    )
    return fit(cell)[1]


if __name__ == "__main__":
    common.run(main)
