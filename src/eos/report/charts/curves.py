"""Figure 7: balanced accuracy by epoch of the classifier heads."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eos.registry import display_name
from eos.report.figures import style

_CAPTION = (
    "A solid line that is flat by the grey one: longer training of the head would change nothing. A dashed "
    "line far above its solid one: the head fits its training set better than it classifies test samples."
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
    return style.in_order(data, {"head": wanted})


@style.house_style
def figure7(
    curves: pd.DataFrame,
    dataset: str,
    network: str,
    heads: Mapping[str, str],
    *,
    table_epochs: int,
    own: float | None = None,
) -> Figure:
    """Draw train (dashed) and test (solid) balanced accuracy by head epoch, one colour per head.

    Parameters
    ----------
    curves, dataset, network
        As for `figure7_data`.
    heads
        The lines, in this order, and what the legend calls them.
    table_epochs
        The number of epochs behind the tables, marked by a vertical line.
    own
        Test balanced accuracy of the network's own classifier, drawn as a horizontal line.
    """
    data = figure7_data(curves, dataset, network, heads)
    figure = Figure(figsize=(8.5, 4.6), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch of the classifier head", ylabel="balanced accuracy (0 to 1)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    style.rule(axes)
    spread = "; band: ± 1 standard deviation over the head seeds" if data["test_BAC_sd"].notna().any() else ""
    figure.suptitle(
        f"Figure 7: balanced accuracy by head epoch, {display_name(network)}\n"
        f"{display_name(dataset)}, {style.cuts_text(curves, dataset)}{spread}"
    )
    for head, line in data.groupby("head", sort=False):
        _draw_curves(axes, line, heads[str(head)], style.look_of(str(head), heads)[0])
    if own is not None:
        axes.axhline(own, color=style.LOOKS["own"][0], lw=1.2, ls=":", label=f"{display_name('own')}, test")
    if data.empty:
        axes.set_xticks([])
    else:
        label = f"epochs behind the tables: {table_epochs}"
        axes.axvline(table_epochs, color="#9a9a9a", lw=1, zorder=0, label=label)
        axes.margins(x=0.02)
    style.say_missing(axes, [head for head in heads if head not in set(data["head"])], heads)
    style.caption_below(figure, _CAPTION, axes.get_legend_handles_labels()[0], ncols=3, handlelength=3)
    return figure


def _draw_curves(axes: Axes, line: pd.DataFrame, title: str, colour: str) -> None:
    epochs = line["epoch"]
    for part, dashes, weight in (("test", "-", 2.0), ("train", "--", 1.4)):
        mean, deviation = line[f"{part}_BAC"], line[f"{part}_BAC_sd"]
        axes.plot(epochs, mean, color=colour, ls=dashes, lw=weight, label=f"{title}, {part}")
        if deviation.notna().any():
            axes.fill_between(epochs, mean - deviation, mean + deviation, color=colour, alpha=0.15, lw=0)
