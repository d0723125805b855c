"""Figures 3 and 5: a value per class, one panel per network and one line per head."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from eos.registry import display_name
from eos.report.figures import style

_LABELS = {
    "gap": (
        "Figure 3: generalization gap per class",
        "generalization gap\n(sum over features, embedding units)",
    ),
    "weight_norm": (
        "Figure 5: classifier weight norm per class",
        "Euclidean norm of the class's weight vector",
    ),
}
_BARS = "#ececec"
_IMBALANCE = "training samples (right axis)"
_PLAIN = ("own", "none")  # heads trained on the embeddings as they are
_PLAIN_LABEL = "Imbalanced embeddings (own, none);\ndashes on this line: the same gap"
_NAMED_CLASSES = 20  # more class names than this cannot be read side by side


def figure3_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Sequence[str]
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
        One row per network, head and class, in this order: dataset, network, head, class, class_name, cuts
        (their number), train_count and gap (means over the cuts), gap_min, gap_max (over the cuts). Cells
        that were not run have no rows.
    """
    return _class_data(classes, "gap", dataset, networks, _distinct_embeddings(heads))


def figure3(classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Sequence[str]) -> Figure:
    """Draw the generalization gap per class, from what `figure3_data` takes.

    Samplers that interpolate inside a class leave its range, and so its gap, as it was: their lines coincide.
    The plain embeddings are therefore a wide grey line, and the heads that coincide with it are dashes on it
    that take turns.
    """
    return _class_panels(classes, "gap", dataset, networks, _distinct_embeddings(heads))


def figure5_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Sequence[str]
) -> pd.DataFrame:
    """Return the classifier weight norm per class that `figure5` shows: as `figure3_data`, of weight_norm."""
    return _class_data(classes, "weight_norm", dataset, networks, heads)


def figure5(classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Sequence[str]) -> Figure:
    """Draw the norm of each class's classifier weights, from what `figure5_data` takes."""
    return _class_panels(classes, "weight_norm", dataset, networks, heads)


def _class_data(
    classes: pd.DataFrame, value: str, dataset: str, networks: Sequence[str], heads: Sequence[str]
) -> pd.DataFrame:
    shown = (classes["dataset"] == dataset) & classes["network"].isin(networks) & classes["head"].isin(heads)
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
    return style.in_order(grouped.agg(**columns), {"network": networks, "head": heads})


def _distinct_embeddings(heads: Sequence[str]) -> list[str]:
    return [head for head in heads if not (head == "none" and "own" in heads)]


@style.house_style
def _class_panels(
    classes: pd.DataFrame, value: str, dataset: str, networks: Sequence[str], heads: Sequence[str]
) -> Figure:
    data = _class_data(classes, value, dataset, networks, heads)
    columns = len(networks) if len(networks) <= 3 else 2
    size = (4.6 if columns > 2 else 5.6, 3.0)
    figure, panels = style.titled_panels(networks, columns, size, rest=1.6, sharex=True)
    handles: dict[str, Any] = {}
    for axes, network in zip(panels, networks, strict=True):
        handles |= _draw_panel(axes, data[data["network"] == network], value, heads)
    names = data.drop_duplicates("class").sort_values("class").set_index("class")["class_name"]
    for axes in panels[-columns:]:
        axes.tick_params(labelbottom=True)  # a panel with an empty place below it keeps its class names
        _name_classes(axes, names)
    title, label = _LABELS[value]
    cuts = classes.loc[classes["dataset"] == dataset, "cut"]
    spread = "; mean over the cuts, band: lowest to highest cut" if cuts.nunique() > 1 else ""
    figure.suptitle(f"{title}\n{display_name(dataset)}, {style.cuts_text(classes, dataset)}{spread}")
    figure.supylabel(label, fontsize=10)
    ordered = [handles[key] for key in [*heads, _IMBALANCE] if key in handles]
    style.legend_below(figure, ordered, ncols=min(2 * columns, 4, len(ordered)), handlelength=4.5)
    return figure


def _draw_panel(axes: Axes, panel: pd.DataFrame, value: str, heads: Sequence[str]) -> dict[str, Any]:
    """Draw one network, and return the legend's handles by head."""
    handles: dict[str, Any] = {}
    if len(panel):
        handles[_IMBALANCE] = _draw_imbalance(axes, panel)
    spots = _coinciding(panel, value)
    for head, line in panel.groupby("head", sort=False):
        handles[str(head)] = _draw_line(axes, line, value, style.look_of(str(head), heads), spots[str(head)])
    if value == "gap":
        axes.set_ylim(bottom=0)
    style.say_missing(axes, [head for head in heads if head not in handles], all_of=heads)
    return handles


def _draw_imbalance(axes: Axes, panel: pd.DataFrame) -> BarContainer:
    """Draw the training samples per class as light bars behind the lines, on a log axis of their own."""
    right = axes.twinx()
    right.set_zorder(0)
    axes.set_zorder(1)
    axes.patch.set_visible(False)
    counts = panel.drop_duplicates("class")
    width = 1.0 if len(counts) > _NAMED_CLASSES else 0.9
    bars = right.bar(counts["class"], counts["train_count"], color=_BARS, width=width, label=_IMBALANCE)
    right.set_yscale("log")
    right.set_ylim(0.5, counts["train_count"].max() * 1.5)
    right.yaxis.set_major_locator(LogLocator(numticks=6))
    right.yaxis.set_minor_locator(NullLocator())
    right.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    right.tick_params(axis="y", colors=style.MUTED)
    right.spines["right"].set(visible=True, color=style.MUTED)
    right.set_ylabel("training samples", color=style.MUTED, fontsize=9)
    return bars


def _coinciding(panel: pd.DataFrame, value: str) -> dict[str, list[str]]:
    """Return for each head the heads whose lines cannot be told from its own by eye, itself included."""
    lines = {str(head): line.set_index("class")[value] for head, line in panel.groupby("head", sort=False)}
    visible = 0.005 * panel[value].max()
    return {
        head: [
            other
            for other, points in lines.items()
            if points.index.equals(line.index) and not (points - line).abs().max() > visible
        ]
        for head, line in lines.items()
    }


def _draw_line(
    axes: Axes, line: pd.DataFrame, value: str, look: tuple[str, str], spot: Sequence[str]
) -> Line2D:
    """Draw one head, and return its handle for the legend; the heads on one `spot` share it."""
    head, wide = str(line["head"].iloc[0]), _PLAIN if value == "gap" else ()
    drawn: dict[str, Any] = {
        "color": look[0],
        "marker": "" if len(line) > _NAMED_CLASSES else look[1],
        "label": display_name(head),
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        "zorder": 5 if head == "eos" else 3,
    }
    turns: dict[str, Any] = {}
    if head in wide:
        drawn |= {"lw": 7, "alpha": 0.25, "marker": "", "label": _PLAIN_LABEL, "zorder": 2}
    elif len(spot) > 1:
        sharing = [other for other in spot if other not in wide]
        turns = _turn(sharing.index(head), len(sharing))
    axes.plot(line["class"].to_numpy(), line[value].to_numpy(), **(drawn | turns))
    if line["cuts"].max() > 1 and head == spot[0]:
        low, high = line[f"{value}_min"], line[f"{value}_max"]
        axes.fill_between(line["class"], low, high, color=look[0], alpha=0.13, lw=0)
    return Line2D([], [], **drawn)


def _turn(turn: int, of: int) -> dict[str, Any]:
    """Return the style of one of several lines on the same spot: they take turns at dashes and at markers."""
    dash = 3.5  # line widths
    dashes = {"ls": (-turn * dash, (dash, dash * (of - 1))), "dash_capstyle": "butt"} if of > 1 else {}
    return {**dashes, "markevery": (turn, of), "zorder": 4}


def _name_classes(axes: Axes, names: "pd.Series[Any]") -> None:
    """Label the classes: all of them, or every so many where they are too many to read."""
    step = max(1, ceil(len(names) / _NAMED_CLASSES))
    shown = [name if len(name) <= 16 else f"{name[:15]}…" for name in map(str, names.iloc[::step])]
    turned: dict[str, Any] = {}
    if step > 1:
        turned = {"rotation": 90}
    elif sum(map(len, shown)) > 45:  # characters that fit side by side under a panel
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(list(names.index[::step]), shown, **turned)
    axes.set_xlabel("class" if step == 1 else f"class, in label order (one in {step} is named)")
