"""Figure 4: the generalization gap of the test images that were, and that were not, classified correctly."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from eos.registry import display_name
from eos.report.figures.style import MUTED, cuts_of, cuts_text, house_style, in_order, say_instead

# Light and dark, told apart without any colour; no head has these looks.
_LOOKS = {
    "true_positive_gap": ("#c3d6e2", "true positives (test images classified correctly)"),
    "false_positive_gap": ("#5a87a3", "false positives (wrongly)"),
}
_BAR = 0.36  # of a bar, where two networks are 1 apart


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
    cell = ["dataset", "network"]
    per_cut = paired.groupby([*cell, "cut"], as_index=False).agg(
        classes=("class", "nunique"),
        compared=("compared", "sum"),
        **{name: (name, "mean") for name in _LOOKS},
    )
    data = per_cut.groupby(cell, as_index=False).agg(
        cuts=("true_positive_gap", "count"),
        classes=("classes", "max"),
        compared_min=("compared", "min"),
        compared_max=("compared", "max"),
        **{
            f"{name}{end}": (name, how)
            for name in _LOOKS
            for end, how in (("", "mean"), ("_min", "min"), ("_max", "max"))
        },
    )
    data["ratio"] = data["false_positive_gap"] / data["true_positive_gap"].where(
        data["true_positive_gap"] > 0
    )
    ranks = {name: rank for rank, name in enumerate(networks)}
    data["rank"] = data["network"].map(ranks)
    return in_order(data, {"dataset": datasets}, "rank").drop(columns="rank")


@house_style
def figure4(gaps: pd.DataFrame, datasets: Sequence[str], networks: Sequence[str]) -> Figure:
    """Draw the gap of true and of false positives, one panel per dataset, one pair per network (Figure 4).

    Above each pair stands how many times larger the gap of the false positives is. Datasets have panels of
    their own, with axes of their own, because the scale of the embeddings differs between them.

    Parameters
    ----------
    gaps, datasets, networks
        As for `figure4_data`.
    """
    data = figure4_data(gaps, datasets, networks)
    columns = len(datasets) if len(datasets) <= 3 else 2
    rows = ceil(len(datasets) / columns)
    width = max(3.6, 1.15 * len(networks) + 0.8)
    figure = Figure(figsize=(max(7.0, width * columns), 3.1 * rows + 1.5), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    several = bool(len(data)) and bool((data["cuts"] > 1).any())
    for axes, dataset in zip(panels, datasets, strict=False):
        _draw_dataset(axes, data[data["dataset"] == dataset].set_index("network"), networks)
        cuts = cuts_text(cuts_of(gaps, dataset))
        axes.set_title(display_name(dataset), loc="left", fontweight="bold")
        axes.set_title(cuts, loc="right", fontsize=9, color=MUTED)
    for axes in panels[len(datasets) :]:
        axes.set_visible(False)
    spread = " and over the cuts; whiskers: lowest to highest cut" if several else ""
    figure.suptitle(
        "Figure 4: generalization gap of true and of false positives\n"
        f"mean over the classes that have both{spread}"
    )
    figure.supylabel("generalization gap\n(sum over features, embedding units)", fontsize=10)
    handles: dict[str, Any] = {
        str(bars.get_label()): bars
        for axes in panels
        for bars in axes.containers
        if isinstance(bars, BarContainer)
    }
    if handles:
        figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=2)
    return figure


def _draw_dataset(axes: Axes, cells: pd.DataFrame, networks: Sequence[str]) -> None:
    axes.spines["right"].set_visible(False)
    if cells.empty:
        axes.set_xticks([])
        say_instead(axes, "not run")
        return
    run = [network for network in networks if network in cells.index]
    places = np.array([networks.index(network) for network in run], dtype=float)
    shown = cells.loc[run]
    for side, (name, (colour, label)) in zip((-0.5, 0.5), _LOOKS.items(), strict=True):
        low, mean, high = (shown[f"{name}{end}"].to_numpy(float) for end in ("_min", "", "_max"))
        axes.bar(places + side * _BAR, mean, _BAR, color=colour, label=label, edgecolor="white", lw=0.8)
        several = (shown["cuts"] > 1).to_numpy()
        if several.any():
            axes.errorbar(
                (places + side * _BAR)[several],
                mean[several],
                yerr=[(mean - low)[several], (high - mean)[several]],
                fmt="none",
                ecolor="#000000",
                elinewidth=1.1,
                capsize=3.5,
            )
    for place, (_, cell) in zip(places, shown.iterrows(), strict=True):
        _write_ratio(axes, place, cell)
    for place, network in enumerate(networks):
        if network not in cells.index:
            _write_above(axes, place, 0.0, "not run", color=MUTED)
    labels = [f"{display_name(name)}\n{_compared(cells, name)}" for name in networks]
    axes.set_xticks(range(len(networks)), labels)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(networks) - 0.4)
    axes.margins(y=0.14)  # room for the ratios
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#efefef", lw=0.8)
    axes.set_axisbelow(True)


def _write_ratio(axes: Axes, place: float, cell: "pd.Series[float]") -> None:
    tops = [cell["true_positive_gap_max"], cell["false_positive_gap_max"]]
    if np.isnan(tops).all():
        _write_above(axes, place, 0.0, "no class\nhas both", color=MUTED)
    elif not np.isnan(cell["ratio"]):
        _write_above(axes, place, max(tops), f"{cell['ratio']:.1f}x", fontweight="bold")


def _write_above(axes: Axes, place: float, height: float, text: str, **style: Any) -> None:
    axes.annotate(
        text, (place, height), (0, 4), textcoords="offset points", ha="center", va="bottom", **style
    )


def _compared(cells: pd.DataFrame, network: str) -> str:
    """Say how many classes a pair is a mean over."""
    if network not in cells.index:
        return ""
    fewest, most, of = (int(cells.at[network, name]) for name in ("compared_min", "compared_max", "classes"))
    return f"{fewest if fewest == most else f'{fewest}-{most}'} of {of}\nclasses"
