"""Phase 1, train a network end to end on the imbalanced images: DATASET CUT NETWORK -> models/networks/..."""

from typing import Any

from eos.pipeline.command import parameters, run


def main(dataset: str, cut: int, network: str) -> dict[str, Any]:
    """Write the weights that each selection rule chooses, what goes with them, and the history."""
    from eos.pipeline.fitting import Job, fit_network
    from eos.pipeline.paths import network_folder

    return fit_network(parameters(), Job(dataset, cut, network, network_folder(dataset, cut, network)))


if __name__ == "__main__":
    run(main)
