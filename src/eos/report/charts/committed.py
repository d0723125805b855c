"""All charts from the committed tables of `metrics/figures/`, for the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from eos.report.charts.chart import Chart
from eos.report.charts.classes import figure3, figure5, recall_chart
from eos.storage.files import read_table

_TEXT = ("dataset", "network", "head", "class_name", "predicted_name", "variant", "bars")


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
        What legends call the heads, in the legends' order; all that a table may name.
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
        paths = [folder / dataset / f"{name}.csv" for dataset in datasets]
        tables = [read_table(path, [], text=_TEXT) for path in paths if path.exists()]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    made = []
    for name, draw in (("figure3", figure3), ("figure5", figure5), ("recall", recall_chart)):
        data = read(name)
        if len(data):
            made.append(draw(data, heads))
    return made
