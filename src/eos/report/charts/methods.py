"""Which heads differ: a critical-difference diagram of mean ranks, or differences to the best head."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eos.registry import display_name
from eos.report.charts import looks
from eos.report.charts.chart import INK, PAPER, Chart, layered, rows_of
from eos.report.methods import BLOCK, LEVEL, Comparison, differences_to_best, rank_test

_COLUMNS = [
    "dataset", "head", "blocks", "BAC", "difference", "low", "high", "p_holm", "mean_rank",
    "critical_difference", "bars",
]  # fmt: skip
_ROW = 21  # pixels from one head to the next
_TOP, _REST = looks.LOOKS["eos"][0], "#5a87a3"
_LONGEST = 34  # letters of a head's name
_RANKS = (
    "Heads along one bar are not told apart (Nemenyi, 5 %); orange: not told apart from the first. Light "
    "strokes: the blocks. A block is dataset x cut x network; networks of one cut are not independent."
)
_DIFFERENCES = (
    "Lines: 95 % intervals by the paired bootstrap over test rows, head seeds averaged. Orange: not told "
    "apart from the best at 5 % after Holm. A block is cut x network; the intervals leave out another "
    "training."
)


def methods_data(comparison: Comparison) -> pd.DataFrame:
    """Return what `methods_chart` shows.

    Returns
    -------
    pandas.DataFrame
        With ten blocks or more one row per head, by mean rank; otherwise one per data set and head, by
        mean balanced accuracy, of the heads that all its blocks share:

        - dataset (empty for ranks, which are over all), head, blocks: over how many blocks;
        - BAC: mean over the blocks;
        - difference: to the highest of them; low, high: its 95 % interval by the paired bootstrap over test
          rows; p_holm: its p-value, corrected for all comparisons with the highest; all empty for ranks;
        - mean_rank; critical_difference: of two mean ranks, at 5 % (Nemenyi); bars: the numbers of the bars
          that a head is under, from left to right; all empty for differences.
    """
    test = rank_test(comparison)
    if test is None:
        frames = [
            differences_to_best(comparison, dataset).assign(dataset=dataset)
            for dataset in comparison.datasets
        ]
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        return frame.reindex(columns=_COLUMNS)
    groups = test.groups()
    blocks, _ = comparison.shared()
    compared = [block in blocks for block in comparison.table[BLOCK].itertuples(index=False, name=None)]
    means = comparison.table[compared].groupby("head")["BAC"].mean()
    rows = [
        {
            "head": head,
            "blocks": test.n_blocks,
            "BAC": means[head],
            "mean_rank": rank,
            "critical_difference": test.critical_difference,
            "bars": " ".join(str(number) for number, group in enumerate(groups, 1) if head in group),
        }
        for head, rank in test.mean_ranks.items()
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def methods_chart(data: pd.DataFrame, titles: Mapping[str, str], ranks: pd.DataFrame | None = None) -> Chart:
    """Return what `methods_data` returns: heads from top to bottom, the best first.

    Parameters
    ----------
    data
        From `methods_data`.
    titles
        What the heads are called.
    ranks
        A column for each head, a row for each block, from `eos.report.methods.block_ranks`: light strokes.
    """
    if len(data) and data["mean_rank"].notna().all():
        return _ranks(data, titles, ranks)
    return _differences(data, titles)


def _ranks(data: pd.DataFrame, titles: Mapping[str, str], ranks: pd.DataFrame | None) -> Chart:
    """Return the critical-difference diagram, turned by a quarter: names need the room."""
    critical, first = data["critical_difference"].iloc[0], data["mean_rank"].min()
    names = _names(data, titles)
    bars: dict[int, list[str]] = {}
    for name, numbers in zip(names, data["bars"], strict=True):
        for number in str(numbers).split():
            bars.setdefault(int(number), []).append(name)
    shown = pd.DataFrame({"at": names, "rank": data["mean_rank"], "BAC": data["BAC"]})
    shown["apart"] = data["mean_rank"] > first + critical
    strokes = [
        {"at": name, "stroke": rank}
        for head, name in zip(data["head"], names, strict=True)
        for rank in ([] if ranks is None else ranks[head])
    ]
    spans = [{"bar": number, "from": group[0], "to": group[-1]} for number, group in sorted(bars.items())]
    rows = pd.concat([shown.astype(object), pd.DataFrame(strokes), pd.DataFrame(spans)], ignore_index=True)
    blocks = int(data["blocks"].iloc[0])
    return Chart(
        "methods",
        f"Mean ranks of the heads; critical difference {critical:.2f}",
        _RANKS,
        _ranks_spec(blocks, len(data)),
        rows_of(rows),
        panels=(),
        size=(430, _ROW * len(data)),
        columns=1,
    )


def _ranks_spec(blocks: int, heads: int) -> dict[str, Any]:
    across = {
        "type": "quantitative",
        "title": f"mean rank over {blocks} blocks (1: the highest balanced accuracy)",
        "axis": {"grid": False, "tickMinStep": 1},
        "scale": {"domain": [0.4, heads + 0.6], "nice": False},
    }
    strokes = {
        "transform": [{"filter": "isValid(datum.stroke)"}],
        "mark": {"type": "tick", "size": 10, "thickness": 1.2, "color": "#b3cbda"},
        "encoding": {"x": {**across, "field": "stroke"}, "y": _HEADS},
    }
    told = [
        {"field": "rank", "type": "quantitative", "title": "mean rank", "format": ".2f"},
        {"field": "BAC", "type": "quantitative", "title": "balanced accuracy", "format": ".3f"},
    ]
    mean = [{"filter": "isValid(datum.rank)"}]
    number = {"type": "text", "align": "left", "dx": 8, "fontSize": 11, "color": INK}
    beside = {"domain": [0, 1], "range": [42, 53]}  # pixels, of the first and the second bar
    spans = {
        "transform": [{"filter": "isValid(datum.bar)"}, {"calculate": "datum.bar - 1", "as": "place"}],
        "mark": {"type": "rule", "strokeWidth": 2.6, "strokeCap": "round", "color": INK},
        "encoding": {
            "x": {"value": "width"}, "y": {**_HEADS, "field": "from"}, "y2": {"field": "to"},
            "xOffset": {"field": "place", "type": "quantitative", "scale": beside},
        },
    }  # fmt: skip
    return layered(
        strokes,
        {
            "transform": mean,
            "mark": {
                "type": "point",
                "filled": True,
                "size": 62,
                "stroke": PAPER,
                "strokeWidth": 0.6,
                "opacity": 1,
            },
            "encoding": {"x": {**across, "field": "rank"}, "y": _HEADS, "color": _APART, "tooltip": told},
        },
        {
            "transform": mean,
            "mark": number,
            "encoding": {
                "x": {"value": "width"},
                "y": _HEADS,
                "text": {"field": "rank", "type": "quantitative", "format": ".1f"},
            },
        },
        spans,
    )


def _differences(data: pd.DataFrame, titles: Mapping[str, str]) -> Chart:
    """Return the difference of each head to the best, a panel per data set."""
    panels = []
    for dataset, cells in data.groupby("dataset", sort=False):
        blocks = int(cells["blocks"].iloc[0])
        rows = cells[["difference", "low", "high", "BAC"]].assign(
            dataset=dataset, at=_names(cells, titles), apart=cells["p_holm"] < LEVEL
        )
        best = f"best: {cells['BAC'].iloc[0]:.3f}, over {blocks} block{'' if blocks == 1 else 's'}"
        panels.append(rows.assign(note=[best, *[None] * (len(rows) - 1)]))
    most = max((len(panel) for panel in panels), default=8)
    return Chart(
        "methods",
        "Difference of each head to the best",
        _DIFFERENCES,
        _differences_spec(),
        rows_of(pd.concat(panels, ignore_index=True)) if panels else [],
        panels=("dataset",),
        size=(430 if len(panels) < 2 else 210, _ROW * most),
    )


def _differences_spec() -> dict[str, Any]:
    across = {
        "type": "quantitative",
        "title": "balanced accuracy, difference to the best",
        "axis": {"grid": False},
    }
    told = [
        {"field": name, "type": "quantitative", "title": title, "format": ".3f"}
        for name, title in (
            ("difference", "difference"), ("low", "from"), ("high", "to"), ("BAC", "balanced accuracy"),
        )
    ]  # fmt: skip
    return layered(
        {
            "mark": {"type": "rule", "strokeWidth": 1.5},
            "encoding": {
                "x": {**across, "field": "low"},
                "x2": {"field": "high"},
                "y": _HEADS,
                "color": _APART,
            },
        },
        {
            "mark": {
                "type": "point",
                "filled": True,
                "size": 56,
                "stroke": PAPER,
                "strokeWidth": 0.6,
                "opacity": 1,
            },
            "encoding": {
                "x": {**across, "field": "difference"},
                "y": _HEADS,
                "color": _APART,
                "tooltip": told,
            },
        },
    )


_HEADS: dict[str, Any] = {
    "field": "at",
    "type": "ordinal",
    "title": None,
    "axis": {"labelExpr": "slice(datum.label, 3)", "labelLimit": 260, "grid": True, "ticks": False},
}
_APART: dict[str, Any] = {
    "field": "apart",
    "type": "nominal",
    "scale": {"domain": [False, True], "range": [_TOP, _REST]},
    "legend": None,
}


def _names(data: pd.DataFrame, titles: Mapping[str, str]) -> list[str]:
    """Return what the rows are called, from top to bottom; no two are the same."""
    short = looks.shortened((titles.get(head, display_name(head)) for head in data["head"]), _LONGEST)
    return [f"{at:02d} {name}" for at, name in enumerate(short)]
