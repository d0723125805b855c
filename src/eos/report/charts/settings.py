"""Balanced accuracy of EOS by number of neighbours K and step size."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from eos.registry import display_name
from eos.report.charts import looks
from eos.report.charts.chart import INK, Chart, layered, legend_of, numbers_at, rows_of

_BESIDE = {"own": [2, 3], "smote": [6, 4]}  # heads without these settings, to compare with, and their dashes
_LINE = ["variant", "step_size"]
_COLOURS = [colour for colour, _ in (looks.LOOKS["eos"], *looks.MORE_LOOKS)]
_CAPTION = (
    "Higher is better; above a dotted or dashed line, EOS beats that head. What is highest is read off the "
    "test set: choose on held-out samples."
)


def settings_data(
    scores: pd.DataFrame, dataset: str, networks: Sequence[str], settings: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Return the balanced accuracy of every setting of EOS that was run.

    Parameters
    ----------
    scores
        Columns dataset, cut, network, head, seed, BAC.
    dataset
        The dataset to show.
    networks
        The panels, in this order.
    settings
        By head: k_neighbors, step_size and variant.

    Returns
    -------
    pandas.DataFrame
        One row per network and head, sorted by variant, step size (the largest first) and K: dataset,
        network, head, variant, step_size, k_neighbors, n (runs: cuts and seeds), BAC (their mean), BAC_sd
        (n - 1).
    """
    shown = scores["dataset"].eq(dataset) & scores["network"].isin(networks) & scores["head"].isin(settings)
    grouped = scores[shown].groupby(["dataset", "network", "head"], as_index=False)
    data = grouped.agg(n=("BAC", "size"), BAC_mean=("BAC", "mean"), BAC_sd=("BAC", "std"))
    data = data.rename(columns={"BAC_mean": "BAC"})
    for place, name in enumerate([*_LINE, "k_neighbors"], 3):
        data.insert(place, name, [settings[head][name] for head in data["head"]])
    data = data.sort_values([*_LINE, "k_neighbors"], ascending=[False, False, True])
    return looks.in_order(data, {"network": networks})


def settings_chart(data: pd.DataFrame, subtitle: str = "", *, scores: pd.DataFrame | None = None) -> Chart:
    """Return what `settings_data` returns: a panel per network, over K a line per step size and variant.

    Parameters
    ----------
    data
        From `settings_data`, of one dataset or of several.
    subtitle
        What the file says below the title.
    scores
        Columns dataset, cut, network, head, seed, BAC: those of the own classifier and of SMOTE are lines.
    """
    settings = data.groupby(["dataset", "network"])["head"].transform("size")
    if (settings > 1).any():  # a network with a single setting has nothing to compare
        data = data[settings > 1]
    panels = []
    for (dataset, network), cells in data.groupby(["dataset", "network"], sort=False):
        points = _points(cells.reset_index(drop=True))
        beside = [] if scores is None else _beside(scores, str(dataset), str(network))
        panels.append(pd.concat([points, pd.DataFrame(beside)]).assign(dataset=dataset, network=network))
    rows = rows_of(pd.concat(panels, ignore_index=True)) if panels else []
    found = data.drop_duplicates(_LINE)[_LINE].itertuples(index=False, name=None)
    lines = [_name(variant, size) for variant, size in found]
    compared = [head for head in _BESIDE if any(row.get("line") == head for row in rows)]
    labels = {line: line for line in lines} | {head: display_name(head) for head in compared}
    whiskers = "whiskers: ± 1 standard deviation over its runs" if data["BAC_sd"].notna().any() else ""
    across = _across(sorted({int(k) for k in data["k_neighbors"]}))
    return Chart(
        "settings",
        "EOS by number of neighbours K and step size",
        _CAPTION,
        _spec(across, labels, lines),
        rows,
        subtitle=looks.joined(subtitle, whiskers),
        size=(260, 150) if data["network"].nunique() > 1 else (540, 210),
        hover=numbers_at(
            "K", across, labels, "BAC", title="K", by="line", before=[{"filter": "isValid(datum.K)"}]
        ),
    )


def _name(variant: str, size: float) -> str:
    return f"EOS, step {size:g}" + ("" if variant == "toward" else f", {variant}")


def _points(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a panel's points; its note is the highest."""
    lines = [_name(variant, size) for variant, size in cells[_LINE].itertuples(index=False, name=None)]
    deviation = cells["BAC_sd"].fillna(0)
    ends = {"low": cells["BAC"] - deviation, "high": cells["BAC"] + deviation}
    points = cells[["BAC"]].assign(line=lines, K=cells["k_neighbors"], **ends).astype(object)
    best = cells.loc[cells["BAC"].idxmax()]
    variant = "" if best["variant"] == "toward" else f", {best['variant']}"
    note = f"highest: K = {best['k_neighbors']:g}, step {best['step_size']:g}{variant}: {best['BAC']:.3f}"
    points.loc[0, "note"] = note
    return points


def _beside(scores: pd.DataFrame, dataset: str, network: str) -> list[dict[str, Any]]:
    """Return the means of the heads to compare with that were run."""
    of = scores[(scores["dataset"] == dataset) & (scores["network"] == network)]
    means = {head: of.loc[of["head"] == head, "BAC"].mean() for head in _BESIDE}
    return [{"line": head, "BAC": mean} for head, mean in means.items() if pd.notna(mean)]


def _across(sizes: Sequence[int]) -> dict[str, Any]:
    ends = [sizes[0] / 1.2, sizes[-1] * 1.2] if sizes else [1, 10]
    return {
        "field": "K",
        "type": "quantitative",
        "title": "K, the neighbours that are searched for enemies (log scale)",
        "scale": {"type": "log", "domain": ends, "nice": False},
        "axis": {"values": list(sizes), "format": ",", "grid": False, "labelOverlap": True},
    }


def _spec(across: Mapping[str, Any], labels: Mapping[str, str], lines: Sequence[str]) -> dict[str, Any]:
    tones: list[Any] = [_COLOURS[at % len(_COLOURS)] for at in range(len(lines))]
    tones += [looks.LOOKS[head][0] or INK for head in labels if head not in lines]
    names = {"field": "line", "type": "nominal"}
    legend = {**legend_of(labels, 4), "symbolType": "stroke", "symbolSize": 320}
    colour = {"color": {**names, "scale": {"domain": list(labels), "range": tones}, "legend": legend}}
    dots = [_BESIDE[head] for head in labels if head in _BESIDE]
    dashes = {
        **names,
        "scale": {"domain": list(labels), "range": [*([[1, 0]] * len(lines)), *dots]},
        "legend": legend,
    }
    height = {"type": "quantitative", "title": "balanced accuracy (0 to 1)", "scale": {"zero": False}}
    points = {"x": across, "y": {**height, "field": "BAC"}, **colour}
    eos = [{"filter": "isValid(datum.K)"}]
    return layered(
        {
            "transform": [{"filter": "!isValid(datum.K) && isValid(datum.BAC)"}],
            "mark": {"type": "rule", "strokeWidth": 1.4},
            "encoding": {"y": points["y"], **colour, "strokeDash": dashes},
        },
        {
            "transform": eos,
            "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.7},
            "encoding": {"x": across, "y": {**height, "field": "low"}, "y2": {"field": "high"}, **colour},
        },
        {"transform": eos, "mark": {"type": "line", "strokeWidth": 2}, "encoding": points},
        {
            "transform": eos,
            "mark": {"type": "point", "filled": True, "size": 40, "opacity": 1},
            "encoding": points,
        },
    )
