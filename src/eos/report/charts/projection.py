"""Figure 6: two classes in the plane, without and with synthetic rows."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eos.report.charts import looks
from eos.report.charts.chart import PAPER, Chart, layered, legend_of, rows_of

# The paper's blue and red in a form that everyone can tell apart; the shapes say the same again.
_BLUE, _RED = ("#0072b2", "circle"), ("#d55e00", "triangle-up")
_KINDS = {  # by size of the class, and whether a sampler has made the row
    "majority, synthetic": (*_BLUE, True),
    "minority, synthetic": (*_RED, True),
    "majority, real": (*_BLUE, False),
    "minority, real": (*_RED, False),
}
_CAPTION = (
    "Full marks are real and stand in the same places in every panel; hollow ones are what the sampler made. "
    "Hollow marks among the full ones of the other class: the sampler reaches into it."
)
_POINTS = 300  # more points than this in a panel are drawn smaller


def figure6(data: pd.DataFrame, heads: Mapping[str, str], subtitle: str = "") -> Chart:
    """Return two classes in the plane, one panel per head.

    All panels are one plane: a t-SNE of the real rows and of the synthetic ones of every head. So the real
    points stand still from panel to panel. The majority is the class with more real rows.

    Parameters
    ----------
    data
        From `eos.report.tsne.project_classes`, with the column dataset; of one dataset or of several.
    heads
        The panels, in this order, and their titles; those without points have none.
    subtitle
        What the file says below the title.
    """
    panels, names = [], []
    for dataset, points in data.groupby("dataset", sort=False):
        real = points[~points["synthetic"].astype(bool)].drop_duplicates("class_name")
        classes = real.sort_values("available", ascending=False, kind="stable")["class_name"].tolist()
        names.append((classes[0], classes[-1]))
        found = [head for head in heads if head in set(points["head"])]
        notes = [
            {
                "head": head,
                "head_title": heads[head],
                "note": [_counts(points[points["head"] == head], name) for name in classes],
            }
            for head in found
        ]
        drawn = _drawn(points[points["head"].isin(found)], classes, len(found))
        ends = points[["x", "y"]].agg(["min", "max"])
        panels.append(pd.concat([pd.DataFrame(notes), ends, drawn]).assign(dataset=dataset))
    whole = pd.concat(panels, ignore_index=True) if panels else pd.DataFrame(columns=["kind"])
    most = data.groupby(["dataset", "head"]).size().max() if len(data) else 1
    rows = rows_of(whole)
    kinds = sorted(_KINDS, key=lambda kind: kind.endswith("synthetic"))
    shown = {kind: _label(kind, names) for kind in kinds if kind in set(whole["kind"])}
    left_out = "a seeded draw of the points, real ones first" if _is_drawn(data) else ""
    return Chart(
        "figure6",
        "Figure 6: a large and a small class of the training embeddings",
        _CAPTION,
        _spec(shown, max(0.4, min(1.0, _POINTS / most))),
        rows,
        subtitle=looks.joined(subtitle, "one t-SNE for all panels", left_out),
        panels=("head",),
        size=(210, 190),
        columns=3,
        above=34,
    )


def _drawn(points: pd.DataFrame, classes: list[Any], heads: int) -> pd.DataFrame:
    """Return the points, the synthetic ones first: few real points must not drown in them.

    Those that are in every panel are there once, without a head.
    """
    sizes = points["class_name"].map({classes[-1]: "minority", classes[0]: "majority"})
    made = points["synthetic"].astype(bool)
    kinds = sizes + made.map({True: ", synthetic", False: ", real"})
    rows = points[["head"]].assign(kind=kinds, x=points["x"].round(2), y=points["y"].round(2))
    everywhere = rows.groupby(["kind", "x", "y"])["head"].transform("nunique") == heads
    rows["head"] = rows["head"].where(~everywhere | made)
    rows = rows[rows["head"].notna() | ~rows.duplicated()]
    return looks.in_order(rows, {"kind": list(_KINDS)})


def _label(kind: str, names: list[tuple[str, str]]) -> str:
    """Return what the legend calls a kind of points: by the class, where there are two in all."""
    if len(names) != 1:
        return kind
    majority, minority = names[0]
    return kind.replace("majority", f"{majority} (majority)").replace("minority", f"{minority} (minority)")


def _spec(shown: Mapping[str, str], scale: float) -> dict[str, Any]:
    field = {"field": "kind", "type": "nominal"}
    found = [_KINDS[kind] for kind in shown]
    legend = {**legend_of(shown, 4), "symbolSize": 70}
    looks_of = {
        "fill": ["transparent" if made else colour for colour, _, made in found],
        "stroke": [colour if made else PAPER for colour, _, made in found],
        "shape": [shape for _, shape, _ in found],
    }
    channels = {
        channel: {**field, "scale": {"domain": list(shown), "range": values}, "legend": legend}
        for channel, values in looks_of.items()
    }
    axis: dict[str, Any] = {"labels": False, "ticks": False, "grid": False, "title": None, "domain": False}
    place = {"type": "quantitative", "axis": axis, "scale": {"zero": False, "nice": False, "padding": 8}}
    sizes = {
        "condition": {"test": "indexof(datum.kind, 'real') > 0", "value": 42 * scale},
        "value": 24 * scale,
    }
    at = {"x": {**place, "field": "x"}, "y": {**place, "field": "y"}}
    whole = {  # every panel shows the same part of the plane
        "transform": [{"filter": "isValid(datum.x) && !isValid(datum.kind)"}],
        "mark": {"type": "point", "size": 0, "opacity": 0},
        "encoding": at,
    }
    marks = {
        "transform": [{"filter": "isValid(datum.kind)"}],
        "mark": {"type": "point", "strokeWidth": 0.7, "opacity": 1},
        "encoding": {**at, **channels, "size": sizes, "tooltip": field},
    }
    return layered(whole, marks, note_lines=2, view={"stroke": "#b5b5b5"})


def _is_drawn(data: pd.DataFrame) -> bool:
    """Return whether not all points are shown."""
    shown = data.groupby(["dataset", "head", "class_name", "synthetic"])["available"].agg(["size", "first"])
    return bool((shown["size"] < shown["first"]).any())


def _counts(points: pd.DataFrame, name: str) -> str:
    """Say how many points of a class there are, and of how many they were drawn."""
    kinds = []
    for synthetic, available in points[points["class_name"] == name].groupby("synthetic")["available"]:
        of = "" if len(available) == available.iloc[0] else f" of {available.iloc[0]:,}"
        kinds.append(f"{len(available):,}{of} {'synthetic' if synthetic else 'real'}")
    return f"{name}: {', '.join(kinds)}"
