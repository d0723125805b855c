"""Which heads differ: a critical-difference diagram of mean ranks, or differences to the best head."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eos.registry import display_name
from eos.report.figures import style
from eos.report.methods import BLOCK, LEVEL, Comparison, block_ranks, differences_to_best, rank_test

_COLUMNS = [
    "dataset", "head", "blocks", "BAC", "difference", "low", "high", "p_holm", "mean_rank",
    "critical_difference", "bars",
]  # fmt: skip
_ROW = 0.235  # inches from one head to the next
_TOP = style.LOOKS["eos"][0]
_REST = "#5a87a3"


def methods_data(comparison: Comparison) -> pd.DataFrame:
    """Return what `methods_figure` shows.

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


@style.house_style
def methods_figure(comparison: Comparison) -> Figure:
    """Draw what `methods_data` returns: heads from top to bottom, the best first."""
    data = methods_data(comparison)
    return _ranks(comparison, data) if rank_test(comparison) else _differences(comparison, data)


def _ranks(comparison: Comparison, data: pd.DataFrame) -> Figure:
    """Draw the critical-difference diagram, turned by a quarter: names need the room."""
    bars = [
        [place for place, names in enumerate(data["bars"]) if str(number) in names.split()]
        for number in range(
            1, 1 + max((int(name) for names in data["bars"] for name in names.split()), default=0)
        )
    ]
    strip = 0.35 + 0.11 * max(1, len(bars))
    figure = Figure(figsize=(5.6 + strip, 1.35 + _ROW * len(data)), layout="constrained")
    axes, side = figure.subplots(1, 2, sharey=True, width_ratios=[5.0, strip])
    places = np.arange(len(data))
    ranks = block_ranks(comparison)
    for head, place in zip(data["head"], places, strict=True):
        axes.plot(ranks[head], np.full(len(ranks), place), "|", color="#c3d6e2", ms=7, mew=1.2, zorder=1)
    critical = data["critical_difference"].iloc[0]
    for place, rank in zip(places, data["mean_rank"], strict=True):
        told_apart = rank > data["mean_rank"].min() + critical
        axes.plot(rank, place, "o", color=_REST if told_apart else _TOP, mec="white", mew=0.6, ms=7)
        at_edge: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
        axes.text(1.0, place, f"{rank:.1f}", size=8.5, **at_edge)
    _name_heads(axes, comparison, data)
    axes.set_xlim(0.4, 0.5 + 1.13 * len(data))  # room for the numbers
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set_xlabel(f"mean rank over {data['blocks'].iloc[0]} blocks (1: the highest balanced accuracy)")
    for number, group in enumerate(bars):
        side.plot([number, number], [group[0] - 0.25, group[-1] + 0.25], color="#333333", lw=2.4)
    side.set_xlim(-1, max(1, len(bars)))
    side.axis("off")
    figure.suptitle(f"Mean ranks of the heads; critical difference {critical:.2f}")
    caption = (
        "Heads along one bar are not told apart (Nemenyi, 5 %); orange: not told apart from the first. Light "
        "strokes: the blocks. A block is dataset x cut x network; networks of one cut are not independent."
    )
    style.caption_below(figure, caption)
    return figure


def _differences(comparison: Comparison, data: pd.DataFrame) -> Figure:
    """Draw the difference of each head to the best, a panel per data set."""
    shown = list(dict.fromkeys(data["dataset"]))
    most = int(data["dataset"].value_counts().max()) if len(data) else 3
    columns = min(2, max(1, len(shown)))
    titles = [display_name(dataset) for dataset in shown]
    size = (6.2 if columns == 1 else 5.2, 0.75 + _ROW * most)
    figure, panels = style.titled_panels(titles, columns, size, rest=0.6)
    for axes, dataset in zip(panels, shown, strict=True):
        rows = data[data["dataset"] == dataset].reset_index(drop=True)
        blocks = rows["blocks"].iloc[0]
        best = f"best: {rows['BAC'].iloc[0]:.3f}, over {blocks} block{'' if blocks == 1 else 's'}"
        axes.set_title(best, loc="right", fontsize=9, color=style.MUTED)
        axes.axvline(0, color="#333333", lw=0.8, zorder=0)
        for place, row in rows.iterrows():
            colour = _TOP if row["p_holm"] >= LEVEL else _REST
            axes.plot([row["low"], row["high"]], [place, place], color=colour, lw=1.4, solid_capstyle="butt")
            axes.plot(row["difference"], place, "o", color=colour, mec="white", mew=0.6, ms=6.5)
        _name_heads(axes, comparison, rows)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_xlabel("balanced accuracy, difference to the best")
    figure.suptitle("Difference of each head to the best")
    style.caption_below(
        figure,
        "Lines: 95 % intervals by the paired bootstrap over test rows, head seeds averaged. Orange: not told "
        "apart from the best at 5 % after Holm. A block is cut x network; the intervals leave out another "
        "training.",
    )
    return figure


def _name_heads(axes: Axes, comparison: Comparison, rows: pd.DataFrame) -> None:
    """Write the names of the heads at their heights, the first at the top."""
    names = style.shortened((comparison.titles[head] for head in rows["head"]), 34)
    axes.set_yticks(np.arange(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="#efefef", lw=0.8)
    axes.set_axisbelow(True)
