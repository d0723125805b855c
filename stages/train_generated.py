"""Train on images that a generator balanced: DATASET CUT GENERATOR NETWORK -> models/generated/..."""

from typing import Any

import common
from balanced import train_balanced


def main(dataset: str, cut: int, generator: str, network: str) -> dict[str, Any]:
    """Write the weights that each selection rule chooses, their history, and their scores."""
    return train_balanced(
        dataset,
        cut,
        generator,
        network,
        synthetic=common.generated_file(dataset, cut, generator),
        folder=common.balanced_folder("generated", dataset, cut, generator, network=network),
        scores=common.balanced_scores_file("generated", dataset, cut, generator, network=network),
    )


if __name__ == "__main__":
    common.run(main)
