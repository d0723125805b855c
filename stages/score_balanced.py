"""Collect the scores of the networks on a sampler's images: KIND DATASET CUT SAMPLER -> metrics/<kind>/..."""

from typing import Literal

from eos.pipeline.command import parameters, run


def main(kind: Literal["augmented", "generated"], dataset: str, cut: int, sampler: str) -> None:
    """Write one row per network and selection rule; the images are `augmented` or `generated`."""
    import pandas as pd

    from eos.pipeline.paths import balanced_file, balanced_folder
    from eos.storage.files import read_table, write_table
    from eos.storage.layouts import BALANCED, TEXT

    axes = parameters().axes
    networks = axes.pixel_networks if kind == "augmented" else axes.generator_networks
    folders = [balanced_folder(kind, dataset, cut, sampler, network=network) for network in networks]
    tables = [read_table(folder / "scores.csv", BALANCED, text=TEXT) for folder in folders]
    write_table(balanced_file(kind, dataset, cut, sampler), pd.concat(tables))


if __name__ == "__main__":
    run(main)
