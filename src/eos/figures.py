"""Figures 3, 5 and 7 of the paper from tidy results, drawn without any global plotting state.

Every figure has a `…_data` function with the same arguments that returns the tidy numbers behind the picture.
Figures are drawn under matplotlib's own defaults plus `_STYLE`, whatever the user's configuration, so that
equal data give equal bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from eos.files import replacing
from eos.tables import dataset_title, head_title, network_title

# Okabe and Ito (2008), distinguishable with every common colour vision; the markers say the same again.
_LOOKS = {
    "own": ("#000000", "o"),
    "none": ("#7a7a7a", "s"),
    "random": ("#009e73", "v"),
    "smote": ("#56b4e9", "^"),
    "bsmote": ("#0072b2", "D"),
    "balsvm": ("#cc79a7", "P"),
    "eos": ("#d55e00", "X"),
}
_MORE_LOOKS = [("#e69f00", "<"), ("#8c510a", ">"), ("#01665e", "h"), ("#5e3c99", "d"), ("#b8a800", "p")]
_BARS = "#ececec"
_MUTED = "#7a7a7a"
_IMBALANCE = "training samples (right axis)"
_PLAIN = ("own", "none")  # heads trained on the embeddings as they are
_PLAIN_LABEL = "Imbalanced embeddings (own, none);\ndashes on this line: the same gap"

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "figure.titlesize": 11,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 6.5,
    # A class may be called "$5": no text here is a formula.
    "text.parse_math": False,
    # Outlines look the same on every machine, whichever fonts it has; the salt fixes the element names.
    "svg.fonttype": "path",
    "svg.hashsalt": "eos",
}
_DEFAULTS: dict[Any, Any] = {k: v for k, v in mpl.rcParamsDefault.items() if not k.startswith("backend")}
_house_style = mpl.rc_context({**_DEFAULTS, **_STYLE})

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
    """Draw the generalization gap per class, one panel per network and one line per head (Figure 3).

    Samplers that interpolate inside a class leave its range, and so its gap, as it was: their lines coincide.
    The plain embeddings are therefore a wide grey line, and the heads that coincide with it are dashes on it
    that take turns.

    Parameters
    ----------
    classes, dataset, networks, heads
        As for `figure3_data`.
    """
    return _class_panels(
        figure3_data(classes, dataset, networks, heads),
        _Subject(
            value="gap",
            title="Figure 3: generalization gap per class",
            label="generalization gap\n(sum over features, embedding units)",
            dataset=dataset,
            cuts=_cuts(classes, dataset),
            from_zero=True,
            plain_line=True,
        ),
        networks,
        _distinct_embeddings(heads),
    )


def figure5_data(
    classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Sequence[str]
) -> pd.DataFrame:
    """Return the classifier weight norm per class that `figure5` shows.

    Parameters
    ----------
    classes
        Columns dataset, cut, network, head, class, class_name, train_count, weight_norm.
    dataset, networks, heads
        As for `figure3_data`.

    Returns
    -------
    pandas.DataFrame
        As `figure3_data`, with weight_norm in place of gap.
    """
    return _class_data(classes, "weight_norm", dataset, networks, heads)


def figure5(classes: pd.DataFrame, dataset: str, networks: Sequence[str], heads: Sequence[str]) -> Figure:
    """Draw the norm of each class's classifier weights, one panel per network, one line per head (Figure 5).

    Parameters
    ----------
    classes, dataset, networks, heads
        As for `figure5_data`.
    """
    return _class_panels(
        figure5_data(classes, dataset, networks, heads),
        _Subject(
            value="weight_norm",
            title="Figure 5: classifier weight norm per class",
            label="Euclidean norm of the class's weight vector",
            dataset=dataset,
            cuts=_cuts(classes, dataset),
            from_zero=False,
            plain_line=False,
        ),
        networks,
        heads,
    )


def figure7_data(curves: pd.DataFrame, dataset: str, network: str, heads: Sequence[str]) -> pd.DataFrame:
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
    chosen = curves[
        (curves["dataset"] == dataset) & (curves["network"] == network) & curves["head"].isin(heads)
    ]
    squared = chosen.assign(train_BAC_sd=chosen["train_BAC_sd"] ** 2, test_BAC_sd=chosen["test_BAC_sd"] ** 2)
    means = ["train_BAC", "train_BAC_sd", "test_BAC", "test_BAC_sd"]
    data = squared.groupby(["dataset", "network", "head", "epoch"], as_index=False).agg(
        **{"cuts": ("cut", "nunique"), **{name: (name, "mean") for name in means}}
    )
    data[["train_BAC_sd", "test_BAC_sd"]] = np.sqrt(data[["train_BAC_sd", "test_BAC_sd"]].astype(float))
    return _in_order(data, {"head": heads}, "epoch")


@_house_style
def figure7(
    curves: pd.DataFrame,
    dataset: str,
    network: str,
    heads: Sequence[str],
    *,
    table_epochs: int = 10,
    own: float | None = None,
) -> Figure:
    """Draw train (dashed) and test (solid) balanced accuracy by head epoch, one colour per head (Figure 7).

    Parameters
    ----------
    curves, dataset, network, heads
        As for `figure7_data`.
    table_epochs
        The number of epochs behind the tables, marked by a vertical line.
    own
        Test balanced accuracy of the network's own classifier, drawn as a horizontal line.
    """
    data = figure7_data(curves, dataset, network, heads)
    figure = Figure(figsize=(8.5, 5.2), layout="constrained")
    axes = figure.add_subplot()
    cuts = _cuts(curves, dataset)
    title = f"Figure 7: balanced accuracy by head epoch, {network_title(network)}"
    spread = "; band: ± 1 standard deviation over the head seeds" if data["test_BAC_sd"].notna().any() else ""
    figure.suptitle(f"{title}\n{dataset_title(dataset)}, {_cuts_text(cuts)}{spread}")
    axes.set_xlabel("epoch of the classifier head")
    axes.set_ylabel("balanced accuracy (0 to 1)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    missing = [head for head in heads if head not in set(data["head"])]
    for head, line in data.groupby("head", sort=False):
        _draw_curves(axes, line, str(head), _look(str(head), heads))
    if own is not None:
        axes.axhline(own, color=_LOOKS["own"][0], lw=1.2, ls=":", label=f"{head_title('own')}, test")
    if not data.empty:
        axes.axvline(
            table_epochs, color="#9a9a9a", lw=1, zorder=0, label=f"epochs behind the tables: {table_epochs}"
        )
        axes.margins(x=0.02)
    else:
        axes.set_xticks([])
    _say_missing(axes, missing, all_of=heads)
    axes.spines["right"].set_visible(False)
    axes.grid(axis="y", color="#efefef", lw=0.8)
    axes.set_axisbelow(True)
    if handles := axes.get_legend_handles_labels()[0]:
        figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=3)
    return figure


@_house_style
def save_svg(figure: Figure, target: Path | IO[bytes]) -> None:
    """Write a figure as SVG: equal figures give equal bytes (no date, fixed element names, text as outlines).

    Parameters
    ----------
    figure
        A figure of this module.
    target
        The file, written whole or not at all, or an open binary stream.
    """
    if isinstance(target, Path):
        with replacing(target) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
    else:
        figure.savefig(target, format="svg", metadata={"Date": None})


@dataclass(frozen=True)
class _Subject:
    """What a figure of panels over the classes is about."""

    value: str
    title: str
    label: str
    dataset: str
    cuts: list[int]
    from_zero: bool
    plain_line: bool  # the plain embeddings are a wide line that others may coincide with


def _class_data(
    classes: pd.DataFrame, value: str, dataset: str, networks: Sequence[str], heads: Sequence[str]
) -> pd.DataFrame:
    chosen = classes[
        (classes["dataset"] == dataset) & classes["network"].isin(networks) & classes["head"].isin(heads)
    ]
    data = (
        chosen[chosen[value].notna()]
        .groupby(["dataset", "network", "head", "class"], as_index=False)
        .agg(
            **{
                "class_name": ("class_name", "first"),
                "cuts": ("cut", "nunique"),
                "train_count": ("train_count", "mean"),
                value: (value, "mean"),
                f"{value}_min": (value, "min"),
                f"{value}_max": (value, "max"),
            }
        )
    )
    return _in_order(data, {"network": networks, "head": heads}, "class")


def _in_order(data: pd.DataFrame, orders: dict[str, Sequence[str]], last: str) -> pd.DataFrame:
    """Sort rows by the given orders of names, then by the column `last`."""
    keys = [data[name].map({key: i for i, key in enumerate(order)}) for name, order in orders.items()]
    ranks = np.lexsort([data[last], *reversed(keys)])
    return data.iloc[ranks].reset_index(drop=True)


def _distinct_embeddings(heads: Sequence[str]) -> list[str]:
    return [head for head in heads if not (head == "none" and "own" in heads)]


@_house_style
def _class_panels(
    data: pd.DataFrame, subject: _Subject, networks: Sequence[str], heads: Sequence[str]
) -> Figure:
    columns = len(networks) if len(networks) <= 3 else 2
    rows = ceil(len(networks) / columns)
    figure = Figure(figsize=(max(7.0, (4.6 if columns > 2 else 5.6) * columns), 3.0 * rows + 1.6))
    figure.set_layout_engine("constrained")
    panels = list(figure.subplots(rows, columns, sharex=True, squeeze=False).flat)
    names = data.drop_duplicates("class").sort_values("class").set_index("class")["class_name"]
    handles: dict[str, Any] = {}
    for axes, network in zip(panels, networks, strict=False):
        axes.set_title(network_title(network), loc="left", fontweight="bold")
        handles |= _draw_panel(axes, data[data["network"] == network], subject, heads)
    for axes in panels[len(networks) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(networks) - columns) : len(networks)]:
        axes.tick_params(labelbottom=True)  # a panel with an empty place below it keeps its class names
        _name_classes(axes, names)
    figure.suptitle(_panel_title(subject))
    figure.supylabel(subject.label, fontsize=10)
    if ordered := [handles[key] for key in [*heads, _IMBALANCE] if key in handles]:
        ncols = min(2 * columns, 4, len(ordered))
        figure.legend(handles=ordered, loc="outside lower center", ncols=ncols, handlelength=4.5)
    return figure


def _panel_title(subject: _Subject) -> str:
    spread = "; mean over the cuts, band: lowest to highest cut" if len(subject.cuts) > 1 else ""
    return f"{subject.title}\n{dataset_title(subject.dataset)}, {_cuts_text(subject.cuts)}{spread}"


def _draw_panel(axes: Axes, panel: pd.DataFrame, subject: _Subject, heads: Sequence[str]) -> dict[str, Any]:
    """Draw one network, and return the legend's handles by head."""
    handles: dict[str, Any] = {}
    axes.spines["right"].set_visible(False)
    if len(panel):
        handles[_IMBALANCE] = _draw_imbalance(axes, panel)
    spots = _coinciding(panel, subject.value)
    for head, line in panel.groupby("head", sort=False):
        handles[str(head)] = _draw_line(axes, line, subject, _look(str(head), heads), spots[str(head)])
    if subject.from_zero:
        axes.set_ylim(bottom=0)
    _say_missing(axes, [head for head in heads if head not in handles], all_of=heads)
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
    right.tick_params(axis="y", colors=_MUTED)
    right.spines["right"].set_color(_MUTED)
    right.set_ylabel("training samples", color=_MUTED, fontsize=9)
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
    axes: Axes, line: pd.DataFrame, subject: _Subject, look: tuple[str, str], spot: Sequence[str]
) -> Line2D:
    """Draw one head, and return its handle for the legend; the heads on one `spot` share it."""
    head = str(line["head"].iloc[0])
    sharing = [other for other in spot if not (subject.plain_line and other in _PLAIN)]
    style: dict[str, Any] = {
        "color": look[0],
        "marker": "" if len(line) > _NAMED_CLASSES else look[1],
        "label": head_title(head),
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        "zorder": 5 if head == "eos" else 3,
    }
    if subject.plain_line and head in _PLAIN:
        style |= {"lw": 7, "alpha": 0.25, "marker": "", "label": _PLAIN_LABEL, "zorder": 2}
    turns = _turn(sharing.index(head), len(sharing)) if head in sharing and len(spot) > 1 else {}
    axes.plot(line["class"].to_numpy(), line[subject.value].to_numpy(), **(style | turns))
    if line["cuts"].max() > 1 and head == spot[0]:
        low, high = line[f"{subject.value}_min"], line[f"{subject.value}_max"]
        axes.fill_between(line["class"], low, high, color=look[0], alpha=0.13, lw=0)
    return Line2D([], [], **style)


def _turn(turn: int, of: int) -> dict[str, Any]:
    """Return the style of one of several lines on the same spot: they take turns at dashes and at markers."""
    dash = 3.5  # line widths
    dashes = {"ls": (-turn * dash, (dash, dash * (of - 1))), "dash_capstyle": "butt"} if of > 1 else {}
    return {**dashes, "markevery": (turn, of), "zorder": 4}


def _draw_curves(axes: Axes, line: pd.DataFrame, head: str, look: tuple[str, str]) -> None:
    for part, dashes, weight in (("test", "-", 2.0), ("train", "--", 1.4)):
        mean, deviation = line[f"{part}_BAC"], line[f"{part}_BAC_sd"]
        axes.plot(
            line["epoch"], mean, color=look[0], ls=dashes, lw=weight, label=f"{head_title(head)}, {part}"
        )
        if deviation.notna().any():
            axes.fill_between(
                line["epoch"], mean - deviation, mean + deviation, color=look[0], alpha=0.15, lw=0
            )


def _say_missing(axes: Axes, missing: Sequence[str], *, all_of: Sequence[str]) -> None:
    if len(missing) == len(all_of):
        axes.text(
            0.5, 0.5, "not run", transform=axes.transAxes, ha="center", va="center", size=14, color=_MUTED
        )
        axes.set_yticks([])
        axes.tick_params(bottom=False)
    elif missing:
        names = ", ".join(head_title(head) for head in missing)
        axes.set_title(f"not run: {names}", loc="right", fontsize=8, color=_MUTED)


def _name_classes(axes: Axes, names: "pd.Series[str]") -> None:
    """Label the classes: all of them, or every so many where they are too many to read."""
    step = max(1, ceil(len(names) / _NAMED_CLASSES))
    shown = [_short(name) for name in names.iloc[::step]]
    turned: dict[str, Any] = {}
    if step > 1:
        turned = {"rotation": 90}
    elif sum(map(len, shown)) > 45:  # characters that fit side by side under a panel
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(list(names.index[::step]), shown, **turned)
    axes.set_xlabel("class" if step == 1 else f"class, in label order (one in {step} is named)")


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= 16 else f"{text[:15]}…"


def _look(head: str, heads: Sequence[str]) -> tuple[str, str]:
    if head in _LOOKS:
        return _LOOKS[head]
    others = [other for other in heads if other not in _LOOKS]
    return _MORE_LOOKS[others.index(head) % len(_MORE_LOOKS)]


def _cuts(frame: pd.DataFrame, dataset: str) -> list[int]:
    return sorted(int(cut) for cut in frame.loc[frame["dataset"] == dataset, "cut"].unique())


def _cuts_text(cuts: Sequence[int]) -> str:
    if not cuts:
        return "no cut run"
    return f"cut{'s' if len(cuts) > 1 else ''} {', '.join(str(cut) for cut in cuts)}"
