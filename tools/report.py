"""Write the report, one HTML file of all results that needs no network: -> report.html.

Not in dvc.yaml: it also shows the seconds of this machine, and a commit. `--against REVISION` adds what
changed since that commit, and whether it is more than noise.
"""

import argparse
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import vl_convert

from eos.config.cells import head_labels
from eos.errors import ending_in_one_line
from eos.page import Figure, Page, Sheet, read_commit, read_files, render
from eos.pipeline import paths
from eos.pipeline.command import parameters
from eos.report.charts import charts, interactive
from eos.report.charts.chart import VEGA_LITE
from eos.storage.files import read_json, write_text

REPORT = Path("report.html")
SECONDS = paths.DATA / "seconds"
RUNTIME = SECONDS / "runtime.md"  # by tools/runtime.py


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page, and say how large it is."""
    parser = argparse.ArgumentParser(
        prog="python tools/report.py", description="Write the report: one HTML file of all results."
    )
    parser.add_argument(
        "--against", metavar="REVISION", default="", help="say what changed since this commit"
    )
    parser.add_argument("--to", metavar="FILE", type=Path, default=REPORT, help="default: %(default)s")
    asked = parser.parse_args(arguments)
    results = read_files(Path())
    against = read_commit(Path(), asked.against) if asked.against else None
    axes, titles = parameters().axes, head_labels(parameters(), parameters().heads)
    scores = results.tables("scores")
    drawn = charts(
        paths.METRICS / "figures",
        (*axes.datasets, *axes.embeddings),
        titles,
        table_epochs=parameters().head_training.epochs,
        scores=scores if len(scores) else None,
    )
    page = Page(
        results,
        [Figure(one.name, one.title, one.caption, interactive(one), one.rows) for one in drawn],
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE),
        against=against,
        committed=read_commit(Path(), "HEAD").parameters if results.commit else None,
        sheets=[Sheet(path.as_posix(), path.read_bytes()) for path in sorted(paths.PLOTS.glob("*/*.png"))],
        titles=titles,
        seconds=seconds(),
        machine=machine(),
        runtime=RUNTIME.read_text(encoding="utf-8") if RUNTIME.exists() else "",
    )
    text = render(page)
    write_text(asked.to, text)
    print(f"{asked.to}: {len(text.encode()) / 1e6:.2f} MB")


def seconds() -> pd.DataFrame:
    """Return the seconds that the stages measured on this machine: stage, dataset ("" for all), seconds."""
    known = {*parameters().datasets, *parameters().embeddings}
    pipeline = Path("dvc.yaml").read_text(encoding="utf-8")
    rows = []
    for stage in dict.fromkeys(re.findall(r"stages/(\w+)\.py", pipeline)):
        for file in sorted((SECONDS / stage).glob("*.json")):
            dataset = next((part for part in file.stem.split("-") if part in known), "")
            rows.append({"stage": stage, "dataset": dataset, "seconds": read_json(file)["elapsed"]})
    return pd.DataFrame(rows, columns=["stage", "dataset", "seconds"])


def machine() -> str:
    """Return the processor and the system of this machine, in words."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(errors="replace").splitlines() if told.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    processors = f"{os.cpu_count()} logical processors ({name or platform.machine()})"
    return f"{processors}, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    with ending_in_one_line(interrupted="nothing was written", lower="close other programs"):
        main()
