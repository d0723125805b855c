"""Figures 3 and 5, and the recall: a value per class, one panel per network and one line per head."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _View:
    """How a value per class is shown."""

    title: str
    axis: str
    caption: str


_VIEWS = {
    "gap": _View(
        "Figure 3: generalization gap per class",
        "generalization gap\n(sum over features, embedding units)",
        "The higher, the farther the class's test samples reach beyond the range that training has shown. "
        "A line below the grey one: over-sampling has widened that range.",
    ),
    "weight_norm": _View(
        "Figure 5: classifier weight norm per class",
        "Euclidean norm of the class's weight vector",
        "A line that falls to the right: the classifier gives more weight to the classes that it has seen "
        "most. A flat one treats them alike.",
    ),
    "recall": _View(
        "Recall per class",
        "share of the class's test samples\nthat are classified correctly",
        "The rarest classes are on the right. A line above the black one: this head finds more of the class "
        "than the network's own classifier.",
    ),
}
_BARS = "#ececec"
_IMBALANCE = "training samples (right axis)"
_PLAIN = ("own", "none")  # heads trained on the embeddings as they are
_PLAIN_LABEL = "Imbalanced embeddings (own, none);\ndashes on this line: the same gap"
_MOST = 20  # more points than this cannot be told apart: classes of neighbouring size are then taken together


def figure3_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Iterable[str]
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
        One row per network, head and class, in this order, the classes by their training samples, the largest
        first: dataset, network, head, class, class_name, cuts (their number), train_count and gap (means over
        the cuts), gap_min, gap_max (over the cuts). Cells that were not run have no rows.
    """
    return _class_data(classes, "gap", dataset, networks, heads)


def figure3(classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Mapping[str, str]) -> Figure:
    """Draw the generalization gap per class, from what `figure3_data` takes; `heads` has the legend's words.

    Samplers that interpolate inside a class leave its range, and so its gap, as it was: their lines coincide.
    The plain embeddings are therefore a wide grey line, and the heads that coincide with it are dashes on it
    that take turns. More than 20 classes are drawn in groups of equal number, by training samples: the points
    are the means of the groups.
    """
    return _class_panels(classes, "gap", dataset, networks, heads)


def figure5_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Iterable[str]
) -> pd.DataFrame:
    """Return the classifier weight norm per class that `figure5` shows: as `figure3_data`, of weight_norm."""
    return _class_data(classes, "weight_norm", dataset, networks, heads)


def figure5(classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Mapping[str, str]) -> Figure:
    """Draw the norm of each class's classifier weights, from what `figure5_data` takes; as `figure3`."""
    return _class_panels(classes, "weight_norm", dataset, networks, heads)


def recall_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Iterable[str]
) -> pd.DataFrame:
    """Return the recall per class that `recall_figure` shows: as `figure3_data`, of recall."""
    return _class_data(classes, "recall", dataset, networks, heads)


def recall_figure(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Mapping[str, str]
) -> Figure:
    """Draw the recall of each class beside its training samples, from what `recall_data` takes."""
    return _class_panels(classes, "recall", dataset, networks, heads)


def _class_data(
    classes: pd.DataFrame, value: str, dataset: str, networks: Sequence[str], heads: Iterable[str]
) -> pd.DataFrame:
    wanted = list(heads)
    if value == "gap":
        wanted = [head for head in wanted if not (head == "none" and "own" in wanted)]
    shown = (classes["dataset"] == dataset) & classes["network"].isin(networks) & classes["head"].isin(wanted)
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
    data = grouped.agg(**columns)
    return style.in_order(data, {"network": networks, "head": wanted, "class": style.class_order(data)})


@style.house_style
def _class_panels(
    classes: pd.DataFrame, value: str, dataset: str, networks: Sequence[str], heads: Mapping[str, str]
) -> Figure:
    data = _class_data(classes, value, dataset, networks, heads)
    panels_of = style.held(data, dataset, networks)
    labels = {head: heads[head] for head in heads if head in set(data["head"])}
    columns, view = style.columns_of(len(panels_of)), _VIEWS[value]
    size = (4.6 if columns > 2 else 5.6, 3.0)
    titles = [display_name(network) for network in panels_of]
    figure, panels = style.titled_panels(titles, columns, size, rest=1.0, sharex=True)
    order = style.class_order(data)
    places = {number: place for place, number in enumerate(order)}
    names = (
        data.drop_duplicates("class").set_index("class")["class_name"].reindex(order).reset_index(drop=True)
    )
    group = max(1, ceil(len(order) / _MOST))
    data = data.assign(place=data["class"].map(places) // group)
    drawn = data.groupby(["network", "head", "place"], sort=False, as_index=False).mean(numeric_only=True)
    handles: dict[str, Any] = {}
    for axes, network in zip(panels, panels_of, strict=True):
        handles |= _draw_panel(axes, drawn[drawn["network"] == network], value, labels)
    for axes in panels[-columns:]:
        axes.tick_params(labelbottom=True)  # a panel with an empty place below it keeps its class names
        _name_classes(axes, names, group)
    cuts = classes.loc[classes["dataset"] == dataset, "cut"]
    spread = "; mean over the cuts, band: lowest to highest cut" if cuts.nunique() > 1 else ""
    figure.suptitle(f"{view.title}\n{display_name(dataset)}, {style.cuts_text(classes, dataset)}{spread}")
    figure.supylabel(view.axis, fontsize=10)
    ordered = [handles[key] for key in [*labels, _IMBALANCE] if key in handles]
    style.caption_below(figure, view.caption, ordered, handlelength=4.5)
    return figure


def _draw_panel(axes: Axes, panel: pd.DataFrame, value: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Draw one network, and return the legend's handles by head."""
    handles: dict[str, Any] = {_IMBALANCE: _draw_imbalance(axes, panel)}
    spots = _coinciding(panel, value)
    for head, line in panel.groupby("head", sort=False):
        look = (*style.look_of(str(head), labels), labels[str(head)])
        handles[str(head)] = _draw_line(axes, line, value, look, spots[str(head)])
    if value == "gap":
        axes.set_ylim(bottom=0)
    if value == "recall":
        axes.set_ylim(0, 1.03)
    style.say_missing(axes, [head for head in labels if head not in handles], labels)
    return handles


def _draw_imbalance(axes: Axes, panel: pd.DataFrame) -> BarContainer:
    """Draw the training samples per class as light bars behind the lines, on a log axis of their own."""
    right = axes.twinx()
    right.set_zorder(0)
    axes.set_zorder(1)
    axes.patch.set_visible(False)
    counts = panel.drop_duplicates("place")
    bars = right.bar(counts["place"], counts["train_count"], color=_BARS, width=0.9, label=_IMBALANCE)
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
    lines = {str(head): line.set_index("place")[value] for head, line in panel.groupby("head", sort=False)}
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
    axes: Axes, line: pd.DataFrame, value: str, look: tuple[str, str, str], spot: Sequence[str]
) -> Line2D:
    """Draw one head by colour, marker and label, and return its handle; the heads on one `spot` share it."""
    head, wide = str(line["head"].iloc[0]), _PLAIN if value == "gap" else ()
    drawn: dict[str, Any] = {
        "color": look[0],
        "marker": look[1],
        "label": look[2],
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
    axes.plot(line["place"].to_numpy(), line[value].to_numpy(), **(drawn | turns))
    if line["cuts"].max() > 1 and head == spot[0]:
        low, high = line[f"{value}_min"], line[f"{value}_max"]
        axes.fill_between(line["place"], low, high, color=look[0], alpha=0.13, lw=0)
    return Line2D([], [], **drawn)


def _turn(turn: int, of: int) -> dict[str, Any]:
    """Return the style of one of several lines on the same spot: they take turns at dashes and at markers."""
    dash = 3.5  # line widths
    dashes = {"ls": (-turn * dash, (dash, dash * (of - 1))), "dash_capstyle": "butt"} if of > 1 else {}
    return {**dashes, "markevery": (turn, of), "zorder": 4}


def _name_classes(axes: Axes, names: "pd.Series[Any]", group: int) -> None:
    """Label the classes, a group by its first."""
    shown = style.shortened(names.iloc[::group], 16)
    turned: dict[str, Any] = {}
    if sum(map(len, shown)) > 45:  # characters that fit side by side under a panel
        turned = {"rotation": 90} if group > 1 else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(shown)), shown, **turned)
    grouped = f", in groups of {group}: their means and first names" if group > 1 else ""
    axes.set_xlabel(f"class, by training samples{grouped}")
