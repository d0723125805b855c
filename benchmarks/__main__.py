"""Run the benchmarks, print one table, and write it to benchmarks/results/bench.csv.

Each line runs the plain way and ours in turns, on one thread, and says whether both gave the same result.
Seconds are the processor's, so that they hardly depend on what else the machine does.

    python -m benchmarks [--quick] [--only TEXT] [--rounds 3]
"""

import argparse
import importlib
import sys
from dataclasses import astuple, fields
from pathlib import Path

from benchmarks.compare import Row, measure

RESULTS = Path(__file__).parent / "results" / "bench.csv"
KEY = ["work", "against"]
# Each has a function `comparisons(quick)`.
SUITES = ("samplers", "svm", "heads", "networks")


def main() -> int:
    """Return 0 if all results were the same and, on the full sizes, all ratios high enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing written")
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="only the works that have TEXT in them; the file keeps the others' lines",
    )
    parser.add_argument("--rounds", type=int, help="runs of each way, 3 or with --quick 1; the median counts")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 3)
    rows: list[Row] = []
    print(line("work", "against", "plain s", "ours s", "ratio", "at least", "goal", "same"))
    for suite in SUITES:
        for comparison in importlib.import_module(f"benchmarks.{suite}").comparisons(options.quick):
            if options.only in comparison.work:
                rows.append(measure(comparison, rounds))
                print(told(rows[-1]), flush=True)
    if not options.quick:
        write(rows, others=bool(options.only))
    below = [row for row in rows if not options.quick and row.ratio < row.at_least]
    wrong = [row for row in rows if not row.same_result]
    for row in below:
        print(f"below what is asked for: {row.work}: {row.ratio:.2f} < {row.at_least:g}")
    for row in wrong:
        print(f"not the same result: {row.work}")
    return 1 if below or wrong else 0


def told(row: Row) -> str:
    """Return a row as a line of the printed table."""
    return line(
        row.work,
        row.against,
        f"{row.baseline_seconds:.3f}",
        f"{row.our_seconds:.3f}",
        f"{row.ratio:.2f}",
        f"{row.at_least:g}",
        f"{row.goal:g}",
        "yes" if row.same_result else "NO",
    )


def line(work: str, against: str, *numbers: str) -> str:
    """Return one line of the printed table."""
    return f"{work:<56} {against:<44}" + "".join(f"{number:>10}" for number in numbers)


def write(rows: list[Row], *, others: bool) -> None:
    """Write the table, all at once; with `others` only the lines that were measured change."""
    import pandas as pd

    from eos.storage.files import write_table

    columns = [field.name for field in fields(Row)]
    table = pd.DataFrame([astuple(row) for row in rows], columns=columns).round(4)
    if others and RESULTS.exists():
        table = pd.concat([pd.read_csv(RESULTS), table])
        # In the order of the suites: a line that was measured again stands where it stood.
        first = table.drop_duplicates(KEY)[KEY]
        table = first.merge(table.drop_duplicates(KEY, keep="last"), on=KEY)
    write_table(RESULTS, table)


if __name__ == "__main__":
    sys.exit(main())
