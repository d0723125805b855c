"""All charts from the committed tables of `metrics/figures/`, for the page."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from eos.registry import display_name
from eos.report.charts import looks
from eos.report.charts.chart import Chart
from eos.report.charts.classes import figure3, figure5, recall_chart
from eos.report.charts.confusion import confusion_chart
from eos.report.charts.curves import figure7
from eos.report.charts.methods import methods_chart
from eos.report.charts.outcomes import figure4
from eos.report.charts.projection import figure6
from eos.report.charts.settings import settings_chart
from eos.storage.files import read_table

_TEXT = ("dataset", "network", "head", "class_name", "predicted_name", "variant", "bars")
_PER_CLASS = ["dataset", "network", "head", "class", "class_name", "cuts", "train_count"]
_COLUMNS = {
    "figure3": [*_PER_CLASS, "gap", "gap_min", "gap_max"],
    "figure4": [
        "dataset", "network", "cuts", "classes", "compared_min", "compared_max", "true_positive_gap",
        "true_positive_gap_min", "true_positive_gap_max", "false_positive_gap", "false_positive_gap_min",
        "false_positive_gap_max", "ratio",
    ],
    "figure5": [*_PER_CLASS, "weight_norm", "weight_norm_min", "weight_norm_max"],
    "figure6": ["head", "class_name", "available", "x", "y"],
    "figure7": [
        "dataset",
        "network",
        "head",
        "epoch",
        "train_BAC",
        "train_BAC_sd",
        "test_BAC",
        "test_BAC_sd",
    ],
    "recall": [*_PER_CLASS, "recall", "recall_min", "recall_max"],
    "confusion": [
        "dataset",
        "network",
        "head",
        "class",
        "class_name",
        "predicted",
        "predicted_name",
        "share",
    ],
    "settings": ["dataset", "network", "head", "variant", "step_size", "k_neighbors", "BAC", "BAC_sd"],
    "methods": [
        "dataset", "head", "blocks", "BAC", "difference", "low", "high", "p_holm", "mean_rank",
        "critical_difference", "bars",
    ],
}  # fmt: skip


def charts(
    folder: Path,
    datasets: Sequence[str],
    heads: Mapping[str, str],
    *,
    table_epochs: int,
    scores: pd.DataFrame | None = None,
) -> list[Chart]:
    """Return every chart that the tables have rows of, each of all data sets.

    Parameters
    ----------
    folder
        `metrics/figures`.
    datasets
        Data sets and sets of embeddings, in the order of the choices; one without a table is left out.
    heads
        What legends call the heads, in the legends' order; one that is not here is called as in the registry.
    table_epochs
        The epochs of a head behind the tables, marked in Figure 7.
    scores
        Columns dataset, cut, network, head, seed, BAC: for the lines to compare with in Figure 7 and in the
        settings. Without, they have none.

    Raises
    ------
    InputError
        If a table is damaged.
    """

    def read(name: str) -> pd.DataFrame:
        """Read the tables of all data sets as one."""
        paths = {"": folder / f"{name}.csv"} | {of: folder / of / f"{name}.csv" for of in datasets}
        tables = []
        for dataset, path in paths.items():
            if path.exists():
                table = read_table(path, _COLUMNS[name], text=_TEXT)
                tables.append(table if "dataset" in table else table.assign(dataset=dataset))
        whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"dataset": []})
        return looks.in_order(whole[whole["dataset"].isin(["", *datasets])], {"dataset": ["", *datasets]})

    def words(data: pd.DataFrame) -> dict[str, str]:
        """Return the heads of a table: what else was asked for, it does not know."""
        found = dict.fromkeys(data["head"])
        others = {head: display_name(head) for head in found if head not in heads}
        return {head: title for head, title in (*heads.items(), *others.items()) if head in found}

    makers: dict[str, Callable[[pd.DataFrame], Chart]] = {
        "methods": lambda data: methods_chart(data, heads),
        "recall": lambda data: recall_chart(data, words(data)),
        "figure3": lambda data: figure3(data, words(data)),
        "figure4": figure4,
        "figure5": lambda data: figure5(data, words(data)),
        "figure6": lambda data: figure6(data, words(data)),
        "figure7": lambda data: figure7(data, words(data), table_epochs=table_epochs, scores=scores),
        "confusion": lambda data: confusion_chart(data, words(data)),
        "settings": lambda data: settings_chart(data, scores=scores),
    }
    tables = {name: read(name) for name in makers}
    return [make(tables[name]) for name, make in makers.items() if len(tables[name])]
