"""What tools/grid.py costs beside the work: grids of cells that only sleep.

`python -m benchmarks.grid --cells 100 500 2000` makes projects of so many cells of two stages, runs them and
prints where the time goes. What a worker spends on a cell beside its sleep another machine would spend, too;
the seconds before and after the tasks, in this clone, come once, however many machines there are.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
STAGE = """
import sys, time
from pathlib import Path
kind, cell, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
time.sleep(seconds)
out = Path("data", kind, f"{cell}.txt")
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(f"{kind} {cell}\\n")
"""


def make(folder: Path, cells: int, seconds: float) -> None:
    """Make a repository of so many cells, which sleep for so long in each of their two stages."""
    (folder / "stage.py").write_text(STAGE)
    (folder / ".gitignore").write_text("/data/\n/.grid/\n")
    parameters = yaml.safe_load((ROOT / "params.yaml").read_text())
    one = {"cpus": 1, "gpus": 0, "retries": 1}
    parameters["cluster"] = {"together": 1, "stages": {"train": one, "retrain": one}}
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))

    def stage(kind: str, cell: str, *deps: str) -> dict[str, Any]:
        return {
            "cmd": f"python stage.py {kind} {cell} {seconds}",
            "deps": ["stage.py", *deps],
            "outs": [f"data/{kind}/{cell}.txt"],
        }

    matrix = {"matrix": {"dataset": ["digits"], "cut": [0], "network": [f"n{one}" for one in range(cells)]}}
    cell = "${item.network}"
    stages = {
        "check": stage("check", "all"),
        "train": matrix | stage("train", cell, "data/check/all.txt"),
        "retrain": matrix | stage("retrain", cell, f"data/train/{cell}.txt"),
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    for command in ("git init --quiet", f"{sys.executable} -m dvc init --quiet", "git add ."):
        subprocess.run(command.split(), cwd=folder, check=True)


def measured(cells: int, seconds: float, jobs: int) -> dict[str, float]:
    """Run a grid; return its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), cells, seconds)
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, str(ROOT / "tools" / "grid.py"), "--jobs", str(jobs)],
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        whole = time.perf_counter() - start
        told = json.loads(Path(folder, ".grid", "seconds.json").read_text())
    worked = told["worked"] / cells - 2 * seconds
    return {
        "cells": cells,
        "all": whole,
        "before the tasks": told["planned"],
        "tasks": told["ran"],
        "after the tasks": whole - told["planned"] - told["ran"],
        "a worker's, per cell, beside the sleep": worked,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--seconds", type=float, default=0.5, help="that each of a cell's two stages sleeps")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    for number, cells in enumerate(chosen.cells):
        row = measured(cells, chosen.seconds, chosen.jobs)
        if not number:
            print("\t".join(row), flush=True)
        print("\t".join(f"{value:.4g}" for value in row.values()), flush=True)


if __name__ == "__main__":
    main()
