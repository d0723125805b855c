"""What DVC and the starts of processes cost: the whole pipeline on digits, in a fresh clone of this commit.

    python -m benchmarks.overhead

`dvc repro` runs twice, for everything and then with nothing left to do. `work` is what the stages measure
themselves, to their end and with their imports of NumPy and torch; the rest of the time on the wall is DVC's
and that of Python's starts.
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


def main() -> None:
    """Print and write one line per run."""
    import pandas as pd

    from eos.storage.files import write_table

    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["git", "clone", "--quiet", str(ROOT), name], check=True)
        for run in ("everything", "nothing to do"):
            started = time.time()
            total = timed(["dvc", "repro"], folder)
            work = worked(folder, since=started)
            overhead = total - sum(work)
            rows.append(
                {
                    "run": run,
                    "stages": len(work),
                    "total_seconds": total,
                    "work_seconds": sum(work),
                    "overhead_seconds": overhead,
                    "overhead_share": overhead / total,
                }
            )
            print(
                f"dvc repro, {run}: {len(work)} stages in {total:.0f} s, {sum(work):.0f} s of them work; "
                f"overhead {overhead:.0f} s, {overhead / total:.0%} of the time",
                flush=True,
            )
    write_table(RESULTS, pd.DataFrame(rows).round(3))


def timed(command: list[str], folder: Path) -> float:
    """Run a command in a folder and return its seconds; its output goes to this one's."""
    # The folder's own code, also where another clone is installed.
    paths = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
    }
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=os.environ | paths, check=True)
    return time.perf_counter() - start


def worked(folder: Path, since: float) -> list[float]:
    """Return the seconds that each stage measured itself, of those that ran since then."""
    files = [path for path in (folder / "data/seconds").glob("*/*.json") if path.stat().st_mtime >= since]
    return [json.loads(file.read_text())["elapsed"] for file in files]


if __name__ == "__main__":
    main()
