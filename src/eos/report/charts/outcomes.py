"""Figure 4: the generalization gap of the test images that were, and that were not, classified correctly."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from eos.registry import display_name
from eos.report.charts import looks
from eos.report.charts.chart import INK, Chart, layered, legend_of, rows_of

# Light and dark, told apart without any colour; no head has these looks.
_LOOKS = {
    "true_positive_gap": ("#b3cbda", "true positives (test samples classified correctly)"),
    "false_positive_gap": ("#5a87a3", "false positives (wrongly)"),
}
_CAPTION = (
    "Above 1x: the test samples that are classified wrongly reach farther beyond the training range of their "
    "class than those that are classified correctly."
)
_AXIS = ["generalization gap", "(sum over features, embedding units)"]


def figure4_data(gaps: pd.DataFrame, datasets: Sequence[str], networks: Sequence[str]) -> pd.DataFrame:
    """Return the gap of true and of false positives that `figure4` shows.

    A class whose test images are all right, or all wrong, has one of the two gaps only. It is left out of
    both means, so that they are over the same classes: errors come from the rarer classes, whose gaps are
    larger anyway.

    Parameters
    ----------
    gaps
        Columns dataset, cut, network, class, true_positive_gap, false_positive_gap; a gap that a class does
        not have is empty.
    datasets, networks
        The panels and the pairs of bars, in this order.

    Returns
    -------
    pandas.DataFrame
        One row per dataset and network, in this order; cells that were not run have none:

        - dataset, network;
        - cuts: the number of cuts with at least one class that has both gaps;
        - classes: the number of classes; compared_min, compared_max: the fewest and the most of them, over
          the cuts, that have both gaps;
        - true_positive_gap, false_positive_gap: means over these classes, then over the cuts, each with
          `…_min` and `…_max` over the cuts (embedding units; empty where no class has both gaps);
        - ratio: false_positive_gap over true_positive_gap, empty where the latter is zero.
    """
    chosen = gaps[gaps["dataset"].isin(datasets) & gaps["network"].isin(networks)]
    both = chosen[list(_LOOKS)].notna().all(axis=1)
    paired = chosen.assign(compared=both, **{name: chosen[name].where(both) for name in _LOOKS})
    per_cut = paired.groupby(["dataset", "network", "cut"], as_index=False).agg(
        classes=("class", "nunique"),
        compared=("compared", "sum"),
        **{name: (name, "mean") for name in _LOOKS},
    )
    ends = {"": "mean", "_min": "min", "_max": "max"}
    data = per_cut.groupby(["dataset", "network"], as_index=False).agg(
        cuts=("true_positive_gap", "count"),
        classes=("classes", "max"),
        compared_min=("compared", "min"),
        compared_max=("compared", "max"),
        **{f"{name}{end}": (name, how) for name in _LOOKS for end, how in ends.items()},
    )
    true_positive_gap = data["true_positive_gap"]
    data["ratio"] = data["false_positive_gap"] / true_positive_gap.where(true_positive_gap > 0)
    return looks.in_order(data, {"dataset": datasets, "network": networks})


def figure4(data: pd.DataFrame, subtitle: str = "") -> Chart:
    """Return what `figure4_data` returns, one panel per dataset, one pair of bars per network.

    Above each pair stands how many times larger the gap of the false positives is. Datasets have panels of
    their own, with axes of their own, because the scale of the embeddings differs between them.

    Parameters
    ----------
    data
        From `figure4_data`.
    subtitle
        What the file says below the title, before what is in the bars.
    """
    panels = [_rows(cells.reset_index(drop=True)) for _, cells in data.groupby("dataset", sort=False)]
    most = max((panel["at"].nunique() for panel in panels), default=1)
    several = bool((data["cuts"] > 1).any())
    mean = f"mean over the classes that have both{'; whiskers: lowest to highest cut' if several else ''}"
    return Chart(
        "figure4",
        "Figure 4: generalization gap of true and of false positives",
        _CAPTION,
        _spec(several=several),
        rows_of(pd.concat(panels, ignore_index=True)) if panels else [],
        subtitle=looks.joined(subtitle, mean),
        panels=("dataset",),
        size=(max(230, 105 * most), 230),
        above=22,
    )


def _rows(cells: pd.DataFrame) -> pd.DataFrame:
    """Return two rows for each network, a bar each; the first has what stands above the pair."""
    found = []
    for place, cell in cells.iterrows():
        told = _compared(cell)
        shared = {
            "dataset": cell["dataset"],
            "network": cell["network"],
            "at": f"{place:02d} {display_name(str(cell['network']))}\n{told}\nclasses",
        }
        top = max(cell[f"{name}_max"] for name in _LOOKS)
        above = {"top": top, "said": f"{cell['ratio']:.1f}x"} if pd.notna(cell["ratio"]) else {}
        if pd.isna(top):
            above = {"top": 0.0, "said": "no class has both"}
        for name in _LOOKS:
            whisker = {"low": cell[f"{name}_min"], "high": cell[f"{name}_max"]} if cell["cuts"] > 1 else {}
            found.append({**shared, "outcome": name, "gap": cell[name], **whisker, **above})
            above = {}
    return pd.DataFrame(found)


def _spec(*, several: bool) -> dict[str, Any]:
    words = "split(slice(datum.label, 3), '\\n')"
    across = {
        "field": "at",
        "type": "ordinal",
        "title": None,
        "axis": {"labelExpr": words, "labelAngle": 0, "ticks": False, "labelPadding": 5},
        "scale": {"paddingInner": 0.3, "paddingOuter": 0.15},
    }
    height = {"field": "gap", "type": "quantitative", "title": _AXIS}
    outcomes = {"field": "outcome", "type": "nominal"}
    sides = {"xOffset": {**outcomes, "scale": {"domain": list(_LOOKS)}}}
    labels = {name: label for name, (_, label) in _LOOKS.items()}
    tones = {"domain": list(_LOOKS), "range": [colour for colour, _ in _LOOKS.values()]}
    colour = {**outcomes, "scale": tones, "legend": legend_of(labels, 2)}
    told = [
        {"field": "gap", "type": "quantitative", "title": "gap", "format": ".3~f"},
        {"field": "low", "type": "quantitative", "title": "lowest cut", "format": ".3~f"},
        {"field": "high", "type": "quantitative", "title": "highest cut", "format": ".3~f"},
    ]
    bars = {"mark": "bar", "encoding": {"x": across, "y": height, **sides, "color": colour, "tooltip": told}}
    whiskers = {
        "transform": [{"filter": "isValid(datum.high) && datum.high > datum.low"}],
        "mark": {"type": "errorbar", "ticks": True, "color": INK},
        "encoding": {
            "x": across, **sides,
            "y": {"field": "low", "type": "quantitative", "title": _AXIS}, "y2": {"field": "high"},
        },
    }  # fmt: skip
    text = {
        "type": "text",
        "baseline": "bottom",
        "dy": -4,
        "fontWeight": "bold",
        "color": INK,
        "fontSize": 11,
    }
    above = {
        "transform": [{"filter": "isValid(datum.said)"}],
        "mark": text,
        "encoding": {"x": across, "y": {**height, "field": "top"}, "text": {"field": "said"}},
    }
    return layered(bars, *([whiskers] if several else []), above)


def _compared(cell: "pd.Series[float]") -> str:
    """Say how many classes a pair is a mean over."""
    fewest, most, of = (int(cell[name]) for name in ("compared_min", "compared_max", "classes"))
    return f"{fewest if fewest == most else f'{fewest}-{most}'} of {of}"
