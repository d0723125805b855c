"""Train on images that a pixel sampler balanced: DATASET CUT PIXEL_SAMPLER NETWORK -> models/augmented/..."""

from typing import Any

import common
from balanced import train_balanced


def main(dataset: str, cut: int, pixel_sampler: str, network: str) -> dict[str, Any]:
    """Write the weights that each selection rule chooses, their history, and their scores."""
    return train_balanced(
        dataset,
        cut,
        pixel_sampler,
        network,
        synthetic=common.augmented_file(dataset, cut, pixel_sampler),
        folder=common.balanced_folder("augmented", dataset, cut, pixel_sampler, network=network),
        scores=common.balanced_scores_file("augmented", dataset, cut, pixel_sampler, network=network),
    )


if __name__ == "__main__":
    common.run(main)
