"""Figure 4: the generalization gap of the test images that were, and that were not, classified correctly."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eos.registry import display_name
from eos.report.figures import style

# Light and dark, told apart without any colour; no head has these looks.
_LOOKS = {
    "true_positive_gap": ("#c3d6e2", "true positives (test samples classified correctly)"),
    "false_positive_gap": ("#5a87a3", "false positives (wrongly)"),
}
_CAPTION = (
    "Above 1x: the test samples that are classified wrongly reach farther beyond the training range of their "
    "class than those that are classified correctly."
)
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
    return style.in_order(data, {"dataset": datasets, "network": networks})


@style.house_style
def figure4(gaps: pd.DataFrame, datasets: Sequence[str], networks: Sequence[str]) -> Figure:
    """Draw what `figure4_data` returns, one panel per dataset, one pair of bars per network.

    Above each pair stands how many times larger the gap of the false positives is. Datasets have panels of
    their own, with axes of their own, because the scale of the embeddings differs between them.
    """
    data = figure4_data(gaps, datasets, networks)
    shown = [dataset for dataset in datasets if dataset in set(data["dataset"])]
    most = max((len(style.held(data, dataset, networks)) for dataset in shown), default=1)
    titles = [display_name(dataset) for dataset in shown]
    size = (max(3.6, 1.15 * most + 0.8), 3.1)
    figure, panels = style.titled_panels(titles, style.columns_of(len(shown)), size, rest=1.1)
    handles: dict[str, Any] = {}
    for axes, dataset in zip(panels, shown, strict=True):
        axes.set_title(style.cuts_text(gaps, dataset), loc="right", fontsize=9, color=style.MUTED)
        handles |= _draw_dataset(axes, data[data["dataset"] == dataset].set_index("network"))
    several = (data["cuts"] > 1).any()
    spread = " and over the cuts; whiskers: lowest to highest cut" if several else ""
    figure.suptitle(
        "Figure 4: generalization gap of true and of false positives\n"
        f"mean over the classes that have both{spread}"
    )
    figure.supylabel("generalization gap\n(sum over features, embedding units)", fontsize=10)
    style.caption_below(figure, _CAPTION, list(handles.values()), ncols=2)
    return figure


def _draw_dataset(axes: Axes, cells: pd.DataFrame) -> dict[str, Any]:
    """Draw the bars of one dataset, and return the legend's handles."""
    handles: dict[str, Any] = {}
    several = cells["cuts"] > 1
    places = np.arange(len(cells), dtype=float)
    for side, (name, (colour, label)) in zip((-0.5, 0.5), _LOOKS.items(), strict=True):
        at, mean = places + side * _BAR, cells[name]
        drawn: dict[str, Any] = {"color": colour, "label": label, "edgecolor": "white", "lw": 0.8}
        handles[name] = axes.bar(at, mean, _BAR, **drawn)
        if several.any():
            reach = [mean - cells[f"{name}_min"], cells[f"{name}_max"] - mean]
            whiskers: dict[str, Any] = {"fmt": "none", "ecolor": "#000000", "elinewidth": 1.1, "capsize": 3.5}
            axes.errorbar(at[several], mean[several], yerr=[part[several] for part in reach], **whiskers)
    labels = []
    for place, (network, cell) in zip(places, cells.iterrows(), strict=True):
        _write_above(axes, place, cell)
        labels.append(f"{display_name(str(network))}\n{_compared(cell)}")
    axes.set_xticks(places, labels)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(cells) - 0.4)
    axes.margins(y=0.14)  # room for the ratios
    axes.set_ylim(bottom=0)
    style.rule(axes)
    return handles


def _write_above(axes: Axes, place: float, cell: "pd.Series[float]") -> None:
    """Write the ratio above a pair, or why there is none."""
    top = cell[[f"{name}_max" for name in _LOOKS]].max()
    drawn: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "bottom"}
    if np.isnan(top):
        axes.annotate("no class\nhas both", (place, 0.0), (0, 4), color=style.MUTED, **drawn)
    elif not np.isnan(cell["ratio"]):
        text = f"{cell['ratio']:.1f}x"
        axes.annotate(text, (place, top), (0, 4), fontweight="bold", **drawn)


def _compared(cell: "pd.Series[float]") -> str:
    """Say how many classes a pair is a mean over."""
    fewest, most, of = (int(cell[name]) for name in ("compared_min", "compared_max", "classes"))
    return f"{fewest if fewest == most else f'{fewest}-{most}'} of {of}\nclasses"
