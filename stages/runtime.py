"""Arrange the seconds that the stages measured on this machine: -> data/seconds/runtime.{csv,md}.

Not in dvc.yaml: seconds differ from run to run, and dvc.lock must not.
"""

from itertools import product
from typing import Any

import pandas as pd

import common
from eos.cells import training_recipe
from eos.files import read_json, write_table, write_text
from eos.runtime import markdown_runtime, runtime

COLUMNS = ["dataset", "cut", "phase", "sampler", "network", "seconds", "epochs", "rows", "parameters"]


def main() -> None:
    """Write the run-time table of Section V-E2 as CSV and Markdown, and print it."""
    parameters = common.parameters()
    axes, network, head = parameters.axes, parameters.tables.table1.network, parameters.tables.table3.head
    measured: list[dict[str, Any]] = []

    def add(stage: str, cell: str, head: str | None = None, epochs: int | None = None, **row: Any) -> None:
        """Add what a stage measured; nothing where it did not run here, or ran with other epochs."""
        path = common.seconds_file(stage, cell)
        found = read_json(path) if path.exists() else {}
        if head is not None:
            found = found.get("heads", {}).get(head, {})
        if found and (epochs is None or found.get("epochs") == epochs):
            measured.append(row | found)

    for dataset, cut in product(axes.datasets, axes.cuts):
        start = f"{dataset}-{cut}"
        plain: dict[str, Any] = {"dataset": dataset, "cut": cut, "network": network}
        epochs = training_recipe(parameters, dataset, network).epochs
        add("train", f"{start}-{network}", phase="train", epochs=epochs, **plain)
        add("extract", f"{start}-{network}", phase="extract", **plain)
        for stage in ("oversample", "retrain"):
            add(stage, f"{start}-{network}", head=head, phase=stage, sampler=head, **plain)
        epochs = training_recipe(parameters, dataset, network, balanced=True).epochs
        arms = {"augment": (axes.pixel_samplers, "augmented"), "generate": (axes.generators, "generated")}
        for phase, (samplers, kind) in arms.items():
            for name in samplers:
                row: dict[str, Any] = {"dataset": dataset, "cut": cut, "sampler": name}
                add(phase, f"{start}-{name}", phase=phase, **row)
                row |= {"network": network}
                add(f"train_{kind}", f"{start}-{name}-{network}", phase="train", epochs=epochs, **row)

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
