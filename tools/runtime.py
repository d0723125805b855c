"""Arrange the seconds that the stages measured on this machine: -> data/seconds/runtime.{csv,md}.

Not in dvc.yaml: seconds differ from run to run, and dvc.lock must not.
"""

from itertools import product
from pathlib import Path
from typing import Any

import common
import pandas as pd

from eos.report.runtime import markdown_runtime, runtime
from eos.storage.files import read_json, write_table, write_text

COLUMNS = ["dataset", "cut", "phase", "sampler", "network", "seconds", "epochs", "rows", "parameters"]


def main() -> None:
    """Write the run-time table of Section V-E2 as CSV and Markdown, and print it."""
    parameters = common.parameters()
    axes, network, head = parameters.axes, parameters.tables.table1.network, parameters.tables.table3.head
    measured: list[dict[str, Any]] = []

    def add(stage: str, cell: str, made: Path, head: str | None = None, **row: Any) -> None:
        """Add what a stage measured of the file it made; nothing where that is not the file that is there."""
        path = common.seconds_file(stage, cell)
        found = read_json(path) if path.exists() and made.exists() else {}
        if head is not None:
            found = found.get("heads", {}).get(head, {})
        if found and found["made"] == common.digest(made):
            measured.append(row | found)

    for dataset, cut in product(axes.datasets, axes.cuts):
        cell = f"{dataset}-{cut}-{network}"
        row: dict[str, Any] = {"dataset": dataset, "cut": cut, "network": network}
        add(
            "train",
            cell,
            common.network_folder(dataset, cut, network) / "last.safetensors",
            phase="train",
            **row,
        )
        add("extract", cell, common.embeddings_file(dataset, cut, network), phase="extract", **row)
        row |= {"sampler": head, "head": head}
        rows_file = common.oversampled_folder(dataset, cut, network) / f"{head}.npz"
        add("oversample", cell, rows_file, phase="oversample", **row)
        head_file = common.heads_folder(dataset, cut, network) / f"{head}.npz"
        add("retrain", cell, head_file, phase="retrain", **row)
        arms: list[tuple[str, str, Any, Any]] = [
            ("augment", "augmented", axes.pixel_samplers, common.augmented_file),
            ("generate", "generated", axes.generators, common.generated_file),
        ]
        for phase, kind, samplers, file in arms:
            for name in samplers:
                row = {"dataset": dataset, "cut": cut, "sampler": name}
                add(phase, f"{dataset}-{cut}-{name}", file(dataset, cut, name), phase=phase, **row)
                weights = (
                    common.balanced_folder(kind, dataset, cut, name, network=network) / "last.safetensors"
                )
                cell = f"{dataset}-{cut}-{name}-{network}"
                add(f"train_{kind}", cell, weights, phase="train", network=network, **row)

    table = runtime(
        pd.DataFrame(measured, columns=COLUMNS),
        network,
        pixel=axes.pixel_samplers,
        generators=axes.generators,
        head=head,
    )
    page = markdown_runtime(table)
    write_table(common.DATA / "seconds" / "runtime.csv", table)
    write_text(common.DATA / "seconds" / "runtime.md", page)
    print(page, end="")


if __name__ == "__main__":
    common.run(main)
