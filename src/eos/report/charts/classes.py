"""Figures 3 and 5, and the recall: a value per class, one panel per network and one line per head."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import pandas as pd

from eos.report.charts import looks
from eos.report.charts.chart import Chart, by_head, layered, numbers_at, rows_of


@dataclass(frozen=True)
class _View:
    """How a value per class is shown."""

    name: str
    title: str
    axis: list[str]
    caption: str
    scale: dict[str, Any]


_VIEWS = {
    "gap": _View(
        "figure3",
        "Figure 3: generalization gap per class",
        ["generalization gap", "(sum over features, embedding units)"],
        "The higher, the farther the class's test samples reach beyond the range that training has shown. "
        "A line below the grey one: over-sampling has widened that range.",
        {"zero": True},
    ),
    "weight_norm": _View(
        "figure5",
        "Figure 5: classifier weight norm per class",
        ["Euclidean norm of", "the class's weight vector"],
        "A line that falls to the right: the classifier gives more weight to the classes that it has seen "
        "most. A flat one treats them alike.",
        {"zero": False},
    ),
    "recall": _View(
        "recall",
        "Recall per class",
        ["share of the class's test samples", "that are classified correctly"],
        "The rarest classes are on the right. A line above that of the own classifier: this head finds "
        "more of the class than the network alone does.",
        {"domain": [0, 1]},
    ),
}
_PLAIN = ("own", "none")  # heads trained on the embeddings as they are
_PLAIN_LABEL = "Imbalanced embeddings (own, none); dashes on it: the same gap"
_GREY = "#b4b4b4"
_MOST = 20  # more points than this cannot be told apart: classes of neighbouring size are then taken together
_LONGEST = 16  # letters of a class's name
_DASH = 6  # pixels


def figure3_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Iterable[str]
) -> pd.DataFrame:
    """Return the generalization gap per class that `figure3` shows.

    The heads `own` and `none` stand on the same plain embeddings and have one gap: beside `own`, `none` is
    dropped.

    Parameters
    ----------
    classes
        Columns dataset, cut, network, head, class, class_name, train_count, gap.
    dataset
        The dataset to show.
    networks, heads
        The panels and the lines, in this order.

    Returns
    -------
    pandas.DataFrame
        One row per network, head and class, in this order, the classes by their training samples, the largest
        first: dataset, network, head, class, class_name, cuts (their number), train_count and gap (means over
        the cuts), gap_min, gap_max (over the cuts). Cells that were not run have no rows.
    """
    return _class_data(classes, "gap", dataset, networks, heads)


def figure3(data: pd.DataFrame, heads: Mapping[str, str], subtitle: str = "") -> Chart:
    """Return the generalization gap per class.

    Samplers that interpolate inside a class leave its range, and so its gap, as it was: their lines coincide.
    The plain embeddings are therefore a wide grey line, and the heads that coincide with it are dashes on it
    that take turns. More than 20 classes are drawn in groups of equal number, by training samples: the points
    are the means of the groups.

    Parameters
    ----------
    data
        From `figure3_data`, of one dataset or of several.
    heads
        What the legend calls the heads, in its order.
    subtitle
        What the file says below the title.
    """
    return _class_chart(data, "gap", heads, subtitle)


def figure5_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Iterable[str]
) -> pd.DataFrame:
    """Return the classifier weight norm per class that `figure5` shows: as `figure3_data`, of weight_norm."""
    return _class_data(classes, "weight_norm", dataset, networks, heads)


def figure5(data: pd.DataFrame, heads: Mapping[str, str], subtitle: str = "") -> Chart:
    """Return the norm of each class's classifier weights, from what `figure5_data` returns; as `figure3`."""
    return _class_chart(data, "weight_norm", heads, subtitle)


def recall_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Iterable[str]
) -> pd.DataFrame:
    """Return the recall per class that `recall_chart` shows: as `figure3_data`, of recall."""
    return _class_data(classes, "recall", dataset, networks, heads)


def recall_chart(data: pd.DataFrame, heads: Mapping[str, str], subtitle: str = "") -> Chart:
    """Return the recall of each class beside its training samples, from what `recall_data` returns."""
    return _class_chart(data, "recall", heads, subtitle)


def _class_data(
    classes: pd.DataFrame, value: str, dataset: str, networks: Sequence[str], heads: Iterable[str]
) -> pd.DataFrame:
    wanted = list(heads)
    if value == "gap":
        wanted = [head for head in wanted if not (head == "none" and "own" in wanted)]
    shown = (classes["dataset"] == dataset) & classes["network"].isin(networks) & classes["head"].isin(wanted)
    grouped = classes[shown & classes[value].notna()].groupby(
        ["dataset", "network", "head", "class"], as_index=False
    )
    columns = {
        "class_name": ("class_name", "first"),
        "cuts": ("cut", "nunique"),
        "train_count": ("train_count", "mean"),
        value: (value, "mean"),
        f"{value}_min": (value, "min"),
        f"{value}_max": (value, "max"),
    }
    data = grouped.agg(**columns)
    return looks.in_order(data, {"network": networks, "head": wanted, "class": looks.class_order(data)})


def _class_chart(data: pd.DataFrame, value: str, heads: Mapping[str, str], subtitle: str) -> Chart:
    view = _VIEWS[value]
    labels = {head: heads[head] for head in heads if head in set(data["head"])}
    panels, groups = [], set()
    for dataset, cells in data.groupby("dataset", sort=False):
        group = max(1, ceil(cells["class"].nunique() / _MOST))
        placed = _placed(cells, group)
        groups.add(group)
        for network, panel in placed.groupby("network", sort=False):
            panels.append(_panel(panel.assign(dataset=dataset, network=network), value, labels))
    rows = rows_of(pd.concat(panels, ignore_index=True)) if panels else []
    grouped = ", ".join(str(group) for group in sorted(groups) if group > 1)
    longest = max(
        (sum(map(len, set(one["place"]))) - 3 * one["place"].nunique() for one in panels), default=0
    )
    angle = -90 if grouped else -45 if longest > 35 else 0
    across = {
        "field": "place",
        "type": "ordinal",
        "title": "class, by training samples"
        + (f", in groups of {grouped}: their means and first names" if grouped else ""),
        "axis": {"labelExpr": "slice(datum.label, 3)", "labelAngle": angle},
    }
    bars = _imbalance(across, value)
    several = len(data) > 0 and bool(data["cuts"].max() > 1)
    lines = _lines(across, view, labels, value, several=several)
    spec = layered(bars, {"layer": lines}, resolve={"scale": {"y": "independent"}})
    hover = numbers_at(
        "place", across, labels, value, title="class", more=[("train_count", "training samples", ",.0f")]
    )
    spread = "mean over the cuts, band: lowest to highest cut" if several else ""
    subtitle = looks.joined(subtitle, spread)
    size = (246, 190) if data["network"].nunique() > 1 else (540, 230)
    return Chart(view.name, view.title, view.caption, spec, rows, subtitle=subtitle, size=size, hover=hover)


def _placed(cells: pd.DataFrame, group: int) -> pd.DataFrame:
    """Name the place of each class, `00 airplane`, or of its group, and take the means of the groups."""
    order = looks.class_order(cells)
    names = cells.drop_duplicates("class").set_index("class")["class_name"].reindex(order)
    short = looks.shortened(names.iloc[::group], _LONGEST)
    places = {number: f"{at // group:02d} {short[at // group]}" for at, number in enumerate(order)}
    placed = cells.assign(place=cells["class"].map(places)).drop(columns=["class", "class_name", "dataset"])
    return placed.groupby(["network", "head", "place"], sort=False, as_index=False).mean(numeric_only=True)


def _panel(panel: pd.DataFrame, value: str, labels: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of a panel, the widest lines first, and how those that coincide take turns."""
    spots = _coinciding(panel, value)
    wide = _PLAIN if value == "gap" else ()
    found = list(spots)
    drawn = []
    for head in sorted(found, key=lambda head: (head not in wide, head == "eos", len(spots[head]) > 1)):
        line = panel[panel["head"] == head].copy()
        sharing = [other for other in spots[head] if other not in wide]
        if head not in wide and len(spots[head]) > 1:
            turn, of = sharing.index(head), len(sharing)
            if turn:
                line["dash"] = [[_DASH * (of - turn), _DASH * turn]] * len(line)
            line["hidden"] = [True if at % of != turn else None for at in range(len(line))]
        if head != spots[head][0]:  # one band for the lines that coincide
            line[[f"{value}_min", f"{value}_max"]] = None
        drawn.append(line)
    columns = ["dataset", "network", "head", "place", "train_count", value]
    if panel["cuts"].max() > 1:
        columns += [f"{value}_min", f"{value}_max"]
    rows = pd.concat(drawn, ignore_index=True)
    rows = rows[[*columns, *(name for name in ("dash", "hidden") if name in rows)]].astype(object)
    missing = [labels[head] for head in labels if head not in found]
    if missing:
        rows.loc[rows.index[0], "note"] = f"not run: {', '.join(missing)}"
    return rows


def _coinciding(panel: pd.DataFrame, value: str) -> dict[str, list[str]]:
    """Return for each head the heads whose lines cannot be told from its own by eye, itself included."""
    lines = {str(head): line.set_index("place")[value] for head, line in panel.groupby("head", sort=False)}
    visible = 0.01 * panel[value].max()
    return {
        head: [
            other
            for other, points in lines.items()
            if points.index.equals(line.index) and not (points - line).abs().max() > visible
        ]
        for head, line in lines.items()
    }


def _imbalance(across: dict[str, Any], value: str) -> dict[str, Any]:
    """Return the training samples per class as light bars behind the lines, on a log axis of their own."""
    axis: dict[str, Any] = {
        "title": "training samples (bars)",
        "labelColor": looks.MUTED,
        "titleColor": looks.MUTED,
    }
    axis |= {
        "orient": "right",
        "grid": False,
        "values": [10**power for power in range(9)],
        "format": ",.0f",
        "domainColor": looks.MUTED,
    }
    height = {
        "field": "train_count",
        "type": "quantitative",
        "axis": axis,
        "scale": {"type": "log", "domainMin": 0.5, "nice": False},
    }
    mean = {"op": "mean", "field": "train_count", "as": "train_count"}
    return {
        "transform": [{"aggregate": [mean], "groupby": ["place"]}],
        "mark": {"type": "bar", "color": "#808080", "opacity": 0.17, "width": {"band": 0.9}},
        "encoding": {"x": across, "y": height, "y2": {"datum": 0.5}},
    }


def _lines(
    across: dict[str, Any], view: _View, labels: Mapping[str, str], value: str, *, several: bool
) -> list[dict[str, Any]]:
    """Return the band over several cuts, the line and the marks of each head."""
    said = dict(labels)
    plain = next((head for head in _PLAIN if value == "gap" and head in labels), None)
    if plain:
        said[plain] = _PLAIN_LABEL
    colours = by_head(said, {plain: _GREY} if plain else {})
    height = {"field": value, "type": "quantitative", "title": view.axis, "scale": view.scale}
    line = {"x": across, "y": height, **colours}
    band = {
        "transform": [{"filter": f"isValid(datum.{value}_max) && datum.{value}_max > datum.{value}_min"}],
        "mark": {"type": "area", "opacity": 0.15},
        "encoding": {
            "x": across,
            "y": {"field": f"{value}_min", "type": "quantitative", "title": view.axis},
            "y2": {"field": f"{value}_max"},
            "color": colours["color"],
        },
    }
    width: dict[str, Any] = {"value": 2}
    if plain:
        width = {"condition": {"test": f"datum.head == '{plain}'", "value": 7}, "value": 2}
    dashes = {"field": "dash", "type": "nominal", "scale": None}
    marks = {
        "transform": [{"filter": f"!datum.hidden && datum.head != '{plain}'"}],
        "mark": {"type": "point", "filled": True, "size": 46, "strokeWidth": 0.6, "opacity": 1},
        "encoding": line,
    }
    return [
        *([band] if several else []),
        {
            "mark": {"type": "line", "strokeCap": "butt"},
            "encoding": {
                "x": across,
                "y": height,
                "color": colours["color"],
                "strokeWidth": width,
                "strokeDash": dashes,
            },
        },
        marks,
    ]
