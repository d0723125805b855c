"""Figure 7: balanced accuracy by epoch of the classifier heads."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from eos.registry import display_name
from eos.report.charts import looks
from eos.report.charts.chart import INK, Chart, by_head, layered, legend_of, numbers_at, rows_of

_CAPTION = (
    "A solid line that is flat by the upright one: longer training of the head would change nothing. A "
    "dashed line far above its solid one: the head fits its training set better than it classifies test "
    "samples."
)


def figure7_data(curves: pd.DataFrame, dataset: str, network: str, heads: Iterable[str]) -> pd.DataFrame:
    """Return the balanced accuracy by head epoch that `figure7` shows.

    Parameters
    ----------
    curves
        Columns dataset, cut, network, head, epoch, train_BAC, train_BAC_sd, test_BAC, test_BAC_sd: means and
        standard deviations over the head seeds of a cut.
    dataset, network
        The cell to show.
    heads
        The lines, in this order.

    Returns
    -------
    pandas.DataFrame
        One row per head and epoch: dataset, network, head, epoch, cuts (their number), train_BAC and test_BAC
        (means over the cuts), train_BAC_sd and test_BAC_sd (between head seeds: the root mean square of the
        cuts' standard deviations; empty with one seed).
    """
    wanted = list(heads)
    shown = (curves["dataset"] == dataset) & (curves["network"] == network) & curves["head"].isin(wanted)
    deviations = ["train_BAC_sd", "test_BAC_sd"]
    squared = curves[shown].assign(**{name: curves[name] ** 2 for name in deviations})
    means = ["train_BAC", "train_BAC_sd", "test_BAC", "test_BAC_sd"]
    data = squared.groupby(["dataset", "network", "head", "epoch"], as_index=False).agg(
        cuts=("cut", "nunique"), **{name: (name, "mean") for name in means}
    )
    data[deviations] = np.sqrt(data[deviations].astype(float))
    return looks.in_order(data, {"head": wanted})


def figure7(
    data: pd.DataFrame,
    heads: Mapping[str, str],
    subtitle: str = "",
    *,
    table_epochs: int,
    scores: pd.DataFrame | None = None,
) -> Chart:
    """Return train (dashed) and test (solid) balanced accuracy by head epoch, one colour per head.

    Parameters
    ----------
    data
        From `figure7_data`, of one dataset or of several.
    heads
        What the legend calls the heads, in its order.
    subtitle
        What the file says below the title.
    table_epochs
        The number of epochs behind the tables, marked by an upright line.
    scores
        Columns dataset, cut, network, head, seed, BAC: the network's own classifier is a dotted line.
    """
    panels = []
    for (dataset, network), cells in data.groupby(["dataset", "network"], sort=False):
        shown = [_part(cells, part) for part in ("test", "train")]
        missing = [heads[head] for head in heads if head not in set(cells["head"])]
        if missing:
            shown.append(pd.DataFrame({"note": [f"not run: {', '.join(missing)}"]}))
        if scores is not None:
            of = (scores["dataset"] == dataset) & (scores["network"] == network) & (scores["head"] == "own")
            if of.any():
                shown.append(pd.DataFrame({"part": ["own"], "BAC": [scores.loc[of, "BAC"].mean()]}))
        panels.append(pd.concat(shown).assign(dataset=dataset, network=network))
    rows = rows_of(pd.concat(panels, ignore_index=True)) if panels else []
    labels = {head: heads[head] for head in heads if head in set(data["head"])}
    band = "band: ± 1 standard deviation over the head seeds" if data["test_BAC_sd"].notna().any() else ""
    return Chart(
        "figure7",
        "Figure 7: balanced accuracy by head epoch",
        _CAPTION,
        _spec(labels, table_epochs),
        rows,
        subtitle=looks.joined(subtitle, band),
        size=(580, 260),
        columns=1,
        hover=_hover(labels),
    )


def _part(cells: pd.DataFrame, part: str) -> pd.DataFrame:
    """Return the rows of one line of each head, with the ends of its band."""
    mean, deviation = cells[f"{part}_BAC"], cells[f"{part}_BAC_sd"]
    ends = {"low": mean - deviation, "high": mean + deviation}
    return cells[["head", "epoch"]].assign(part=part, BAC=mean, **ends)


_EPOCH = {
    "field": "epoch",
    "type": "quantitative",
    "title": "epoch of the classifier head",
    "axis": {"tickMinStep": 1, "grid": False},
    "scale": {"nice": False, "zero": False},
}


def _spec(labels: Mapping[str, str], table_epochs: int) -> dict[str, Any]:
    height = {"type": "quantitative", "title": "balanced accuracy (0 to 1)", "scale": {"zero": False}}
    own = {"own": f"{display_name('own')}, test"}
    colour = by_head(labels)["color"]
    colour["legend"] |= {"symbolType": "stroke", "symbolSize": 320}
    parts = {"test": "test samples", "train": "training set, over-sampled", **own}
    dashes = {
        "field": "part",
        "type": "nominal",
        "scale": {"domain": list(parts), "range": [[1, 0], [5, 4], [2, 3]]},
        "legend": {**legend_of(parts), "symbolStrokeColor": INK, "symbolSize": 700},
    }
    band = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "area", "opacity": 0.15},
        "encoding": {
            "x": _EPOCH, "y": {**height, "field": "low"}, "y2": {"field": "high"}, "color": colour,
            "detail": {"field": "part"},
        },
    }  # fmt: skip
    line = {
        "transform": [{"filter": "isValid(datum.head)"}],
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {"x": _EPOCH, "y": {**height, "field": "BAC"}, "color": colour, "strokeDash": dashes},
    }
    rule = {
        "transform": [{"filter": "datum.part == 'own'"}],
        "mark": {"type": "rule", "color": INK, "strokeWidth": 1.3},
        "encoding": {"y": {**height, "field": "BAC"}, "strokeDash": dashes},
    }
    return layered(band, line, rule, *_tables(table_epochs))


def _tables(epochs: int) -> list[dict[str, Any]]:
    """Return the upright line at the epochs behind the tables, and its name."""
    at = {"x": {**_EPOCH, "datum": epochs}}
    del at["x"]["field"]
    text = {
        "type": "text",
        "align": "left",
        "baseline": "bottom",
        "dx": 4,
        "color": looks.MUTED,
        "fontSize": 11,
    }
    once = [{"aggregate": [{"op": "count", "as": "rows"}]}, {"filter": "datum.rows > 0"}]
    name = {"value": f"epochs behind the tables: {epochs}"}
    return [
        {"transform": once, "mark": {"type": "rule", "color": "#9a9a9a"}, "encoding": at},
        {"transform": once, "mark": text, "encoding": {**at, "y": {"value": -5}, "text": name}},
    ]


def _hover(labels: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """Return what tells the numbers of an epoch at the pointer."""
    lines = {
        f"{head}_{part}": f"{label}, {part}" for head, label in labels.items() for part in ("test", "train")
    }
    named = [{"filter": "isValid(datum.head)"}, {"calculate": "datum.head + '_' + datum.part", "as": "head"}]
    return numbers_at("epoch", _EPOCH, lines, "BAC", title="epoch", before=named)
