"""Arrange the seconds that the stages measured on this machine: -> data/seconds/runtime.{csv,md}.

Not in dvc.yaml: seconds differ from run to run, and dvc.lock must not.
"""

import sys
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from eos.errors import InputError
from eos.pipeline import paths
from eos.pipeline.command import digest, parameters
from eos.report.runtime import markdown_runtime, runtime
from eos.storage.files import read_json, write_table, write_text

COLUMNS = ["dataset", "cut", "phase", "sampler", "network", "seconds", "epochs", "rows", "parameters"]
WEIGHTS = "last.safetensors"


def main() -> None:
    """Write the run-time table of Section V-E2 as CSV and Markdown, and print it."""
    axes, tables = parameters().axes, parameters().tables
    network, head = tables.table1.network, tables.table3.head
    arms = [
        ("augment", "augmented", axes.pixel_samplers, paths.augmented_file),
        ("generate", "generated", axes.generators, paths.generated_file),
    ]
    rows = []
    for dataset, cut in product(axes.datasets, axes.cuts):
        cell = dataset, cut, network
        sampled = paths.oversampled_folder(*cell) / f"{head}.npz"
        fitted = paths.heads_folder(*cell) / f"{head}.npz"
        found = [
            ("train", "", network, measured("train", *cell, made=paths.network_folder(*cell) / WEIGHTS)),
            ("extract", "", network, measured("extract", *cell, made=paths.embeddings_file(*cell))),
            ("oversample", head, network, measured("oversample", *cell, made=sampled, head=head)),
            ("retrain", head, network, measured("retrain", *cell, made=fitted, head=head)),
        ]
        for phase, kind, samplers, file in arms:
            for name in samplers:
                weights = paths.balanced_folder(kind, dataset, cut, name, network=network) / WEIGHTS
                made = measured(phase, dataset, cut, name, made=file(dataset, cut, name))
                trained = measured("train_balanced", kind, dataset, cut, name, network, made=weights)
                found += [(phase, name, "", made), ("train", name, network, trained)]
        rows += [
            {"dataset": dataset, "cut": cut, "phase": phase, "sampler": sampler, "network": of, **told}
            for phase, sampler, of, told in found
            if told
        ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    table = runtime(frame, network, pixel=axes.pixel_samplers, generators=axes.generators, head=head)
    page = markdown_runtime(table)
    write_table(paths.DATA / "seconds" / "runtime.csv", table)
    write_text(paths.DATA / "seconds" / "runtime.md", page)
    print(page, end="")


def measured(stage: str, *cell: object, made: Path, head: str | None = None) -> dict[str, Any]:
    """Return what a stage told of a file it made (for a head); nothing where another file is there now."""
    path = paths.seconds_file(stage, "-".join(map(str, cell)))
    told = read_json(path) if path.exists() and made.exists() else {}
    if head is not None:
        told = told.get("heads", {}).get(head, {})
    return told if told and told["made"] == digest(made) else {}


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
