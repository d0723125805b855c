"""Train all networks of the axes that are out of date, several side by side in one process.

Run it in the root of a clone, in place of the trainings of `dvc repro`, and that afterwards for all the rest.
CELL is a training as dvc.yaml names it, train@digits-0-ce say; without any all that are out of date are
trained, whole tables first. What they need is made before, and every group that has ended is recorded in
dvc.lock. Stopped, it goes on from the last epochs of the group that was being trained.
"""

import argparse

from eos.errors import InputError, ending_in_one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cells", nargs="*", metavar="CELL", help="what to train (all that is out of date)")
    parser.add_argument(
        "--together", type=int, metavar="N", help="at most N side by side (8 on a GPU, 1 on a CPU)"
    )
    parser.add_argument(
        "--hours", type=float, metavar="H", help="start no group that is expected to end after H hours"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell the groups, and train nothing")


def run(arguments: argparse.Namespace) -> None:
    """Train.

    Raises
    ------
    InputError
        If an argument is none of those that are possible, or trainings failed.
    """
    from eos.pipeline.command import parameters
    from eos.pipeline.grid import AGAIN, LOWER, train_grid

    for option, value in (("--together", arguments.together), ("--hours", arguments.hours)):
        if value is not None and not value > 0:
            raise InputError(f"{option} {value}: must be above 0")
    with ending_in_one_line(interrupted=f"{AGAIN}: it goes on from here", lower=LOWER):
        train_grid(
            parameters(),
            arguments.cells,
            together=arguments.together,
            hours=arguments.hours,
            dry_run=arguments.dry_run,
        )
