"""Write the classifier of a cell of the grid as one folder that holds all it needs.

Run it in the root of the repository. A cell is DATASET-CUT-NETWORK-HEAD, digits-0-ce-eos say, of what the
last run made: the next experiment may remove it, the folder stays. Without the head, or the network,
digits-0 say, it is the `recommended` one of params.yaml. `python -m eos predict` and `eos.load` use
the folder, anywhere. Of a head with several seeds the first of head_training.seeds counts, not the best on
the test set.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cell", metavar="CELL", help="DATASET-CUT[-NETWORK[-HEAD]]")
    parser.add_argument("model", type=Path, metavar="MODEL", help="the folder to write; must not exist")
    parser.add_argument("--seed", type=int, help="the head's seed: one of head_training.seeds (the first)")


def run(arguments: argparse.Namespace) -> None:
    """Write the folder.

    Raises
    ------
    InputError
        If there is no such cell, the workspace does not hold what the parameters say, or the folder exists.
    """
    from eos.config.cells import find_cell, is_portable
    from eos.pipeline.command import parameters
    from eos.pipeline.processor import hold_to_portable_code

    cell = find_cell(parameters(), arguments.cell)
    if is_portable(parameters(), cell.dataset):
        hold_to_portable_code()
    from eos.pipeline.exporting import export_cell

    for line in export_cell(parameters(), cell, arguments.model, seed=arguments.seed):
        print(line, flush=True)
