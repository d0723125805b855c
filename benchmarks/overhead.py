"""What DVC and the starts of processes cost: the whole pipeline on digits, in a fresh clone of this commit.

    python -m benchmarks.overhead

It runs everything twice, with `dvc repro` and with stages/warm.py as `make repro` does, and takes as long as
both. `work` is what the stages measure themselves, from after their imports to their end; the rest of the
time on the wall is overhead.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "overhead.csv"
WAYS = {
    "dvc repro": ("dvc", "repro"),
    "make repro": ("python", "stages/warm.py", "repro"),
}


def main() -> None:
    """Print and write one line per way."""
    import pandas as pd

    from eos.storage.files import write_table

    rows = []
    for way, command in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)
            total = timed(command, Path(folder))
            work = worked(Path(folder))
        overhead = total - sum(work)
        rows.append(
            {
                "way": way,
                "stages": len(work),
                "total_seconds": total,
                "work_seconds": sum(work),
                "overhead_seconds": overhead,
                "overhead_per_stage": overhead / len(work),
                "overhead_share": overhead / total,
            }
        )
        print(
            f"{way}: {len(work)} stages in {total:.0f} s, {sum(work):.0f} s of them work; "
            f"overhead {overhead / len(work):.2f} s a stage, {overhead / total:.0%} of the time",
            flush=True,
        )
    write_table(RESULTS, pd.DataFrame(rows).round(3))


def timed(command: tuple[str, ...], folder: Path) -> float:
    """Run a command in a folder and return its seconds; its output goes to this one's."""
    # The folder's own code, also where another clone is installed.
    paths = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
    }
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=os.environ | paths, check=True)
    return time.perf_counter() - start


def worked(folder: Path) -> list[float]:
    """Return the seconds that each stage measured itself."""
    files = sorted((folder / "data/seconds").glob("*/*.json"))
    return [json.loads(file.read_text())["elapsed"] for file in files]


if __name__ == "__main__":
    main()
