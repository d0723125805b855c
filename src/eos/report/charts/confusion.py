"""The confusion matrix: which class the test samples of each class are taken for, a panel per head."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pandas as pd

from eos.registry import display_name
from eos.report.charts import looks
from eos.report.charts.chart import Chart, layered, rows_of
from eos.report.wording import NOT_RUN

_MOST = 20  # more rows than this cannot be told apart: classes of neighbouring size are then taken together
_LONGEST = 14  # letters of a class's name
_WRITTEN = 12  # in so few columns there is room for numbers
_BLUES = ["#f7fbff", "#9ecae1", "#2171b5", "#08306b"]  # ColorBrewer
_CAPTION = (
    "A dark diagonal is right. Left of it: test samples taken for a class with more training samples; right "
    "of it: for one with fewer. Above each panel: their share, each class weighing the same."
)


def confusion_data(
    confusion: pd.DataFrame,
    classes: pd.DataFrame,
    dataset: str,
    networks: Sequence[str],
    heads: Iterable[str],
) -> pd.DataFrame:
    """Return which classes the test samples of each class are taken for, as `confusion_chart` shows it.

    Parameters
    ----------
    confusion
        Columns dataset, cut, network, head, class, predicted, count; pairs that do not occur may be missing.
    classes
        Columns dataset, cut, network, head, class, class_name, train_count.
    dataset
        The dataset to show.
    networks, heads
        The rows and the columns of panels, in this order.

    Returns
    -------
    pandas.DataFrame
        One row per network, head, class and predicted class that occurs, in this order, classes by training
        samples, the largest first: dataset, network, head, class, class_name, predicted, predicted_name, and
        share: the part of the class's test samples, mean over the cuts.
    """
    wanted = list(heads)
    shown = confusion["dataset"].eq(dataset) & confusion["network"].isin(networks)
    found = confusion[shown & confusion["head"].isin(wanted)]
    cell = ["dataset", "network", "head"]
    total = found.groupby([*cell, "cut", "class"])["count"].transform("sum")
    cuts = found.groupby([*cell, "class"])["cut"].transform("nunique")
    shares = found.assign(share=found["count"] / total / cuts)
    data = shares.groupby([*cell, "class", "predicted"], as_index=False)["share"].sum()
    known = classes[classes["dataset"] == dataset]
    names = known.drop_duplicates("class").set_index("class")["class_name"]
    for place, column in ((4, "class"), (6, "predicted")):
        data.insert(place, f"{column}_name", data[column].map(names))
    order = looks.class_order(known)
    return looks.in_order(data, {"network": networks, "head": wanted, "class": order, "predicted": order})


def confusion_chart(data: pd.DataFrame, heads: Mapping[str, str], subtitle: str = "") -> Chart:
    """Return what `confusion_data` returns, of one dataset or several: a panel per network and head.

    More than 20 classes are drawn in groups of equal number, by training samples: a cell is the mean over the
    classes of its group, and the diagonal has what stays inside the group.

    Parameters
    ----------
    data
        From `confusion_data`.
    heads
        What the panels call the heads.
    subtitle
        What the file says below the title.
    """
    panels, many, groups, held = [], [], set(), set(data["head"])
    for dataset, cells in data.groupby("dataset", sort=False):
        names = _names(cells)
        group = max(1, ceil(len(names) / _MOST))
        if group > 1:
            groups.add(f"{len(names)} classes in groups of {group}")
        if len(names) / group > _WRITTEN:
            many.append(str(dataset))
        for network, head in product(cells["network"].unique(), [head for head in heads if head in held]):
            shares = cells[(cells["network"] == network) & (cells["head"] == head)]
            panel = _panel(shares, names, group) if len(shares) else pd.DataFrame({"note": [[NOT_RUN]]})
            title = [heads[head], *[None] * (len(panel) - 1)]
            panels.append(panel.assign(dataset=dataset, network=network, head=head, head_title=title))
    rows = pd.concat(panels, ignore_index=True) if panels else pd.DataFrame()
    networks = data["network"].unique().tolist()
    network = f"network: {display_name(networks[0])}" if len(networks) == 1 else ""
    columns = max(1, rows["head"].nunique() if len(rows) else 1)
    turned = any(len(name) > 5 for name in (rows["predicted"].dropna() if len(rows) else ()))
    axis: dict[str, Any] = {"labelExpr": "slice(datum.label, 3)", "ticks": False, "domain": False}
    axis["labelFontSize"] = 8 if many else 11
    across = {
        "x": {"field": "predicted", "type": "ordinal", "axis": {**axis, "labelAngle": -90 if turned else 0}},
        "y": {"field": "true", "type": "ordinal", "title": "true class", "axis": axis},
    }
    share = {"field": "share", "type": "quantitative"}
    blues = {**share, "scale": {"domain": [0, 0.35, 0.7, 1], "range": _BLUES}}
    key = {"orient": "bottom", "format": ".0%", "gradientLength": 160, "title": None} if many else None
    told = [
        {"field": "true", "type": "nominal", "title": "true class, from the largest"},
        {"field": "predicted", "type": "nominal", "title": "predicted"},
        {**share, "title": "share", "format": ".1%"},
    ]
    squares = {
        "transform": [{"filter": "isValid(datum.share)"}],
        "mark": {"type": "rect", "stroke": "white", "strokeWidth": 0.5},
        "encoding": {**across, "color": {**blues, "legend": key}, "tooltip": told},
    }
    dark = {"condition": {"test": "datum.share > 0.55", "value": "white"}, "value": "#333333"}
    numbers = {
        "transform": [
            {"filter": f"datum.share >= 0.005 && indexof({many}, datum.dataset) < 0"},
            {"calculate": "round(100 * datum.share)", "as": "percent"},
        ],
        "mark": {"type": "text", "fontSize": 9.5, "tooltip": None},
        "encoding": {**across, "text": {"field": "percent"}, "color": dark},
    }
    return Chart(
        "confusion",
        "Confusion matrix: share of each class's test samples (%)",
        _CAPTION,
        layered(squares, numbers, note_lines=2, view={"fill": _BLUES[0]}),
        rows_of(rows),
        subtitle=looks.joined(subtitle, network, *sorted(groups)),
        panels=("network", "head"),
        size=(204, 204) if columns > 2 else (300, 300),
        columns=columns,
        above=34,
        shared=True,
    )


def _names(cells: pd.DataFrame) -> "pd.Series[str]":
    """Return the classes' names, in the order of the rows; last those that are predicted only."""
    true = cells.drop_duplicates("class").set_index("class")["class_name"]
    others = cells.drop_duplicates("predicted").set_index("predicted")["predicted_name"]
    return pd.concat([true, others[~others.index.isin(true.index)]])


def _panel(shares: pd.DataFrame, names: "pd.Series[str]", group: int) -> pd.DataFrame:
    """Return the cells of a head, and say how many samples go to larger and to smaller classes."""
    matrix = np.zeros((len(names), len(names)))
    places = (names.index.get_indexer(shares[column]) for column in ("class", "predicted"))
    matrix[tuple(places)] = shares["share"]
    starts = np.arange(0, len(matrix), group)
    sizes = np.diff(np.append(starts, len(matrix)))
    drawn = np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1) / sizes[:, None]
    short = [f"{at:02d} {name}" for at, name in enumerate(looks.shortened(names.iloc[::group], _LONGEST))]
    larger, smaller = np.tril(matrix, -1).sum() / len(matrix), np.triu(matrix, 1).sum() / len(matrix)
    note = [f"taken for a larger class: {larger:.1%}", f"for a smaller class: {smaller:.1%}"]
    # The diagonal is there even where it is zero: it has every row and every column.
    cells = [
        {"true": short[row], "predicted": short[column], "share": share}
        for (row, column), share in np.ndenumerate(drawn)
        if share or row == column
    ]
    return pd.DataFrame(cells).assign(note=[note, *[None] * (len(cells) - 1)])
