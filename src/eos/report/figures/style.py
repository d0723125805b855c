"""The looks that all figures share, and how a figure becomes a file.

Figures are drawn under matplotlib's own defaults plus `_STYLE`, whatever the user's configuration, so that
equal data give equal bytes.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eos.storage.files import replacing

# Okabe and Ito (2008), distinguishable with every common colour vision; the markers say the same again.
LOOKS = {
    "own": ("#000000", "o"),
    "none": ("#7a7a7a", "s"),
    "random": ("#009e73", "v"),
    "smote": ("#56b4e9", "^"),
    "bsmote": ("#0072b2", "D"),
    "balsvm": ("#cc79a7", "P"),
    "eos": ("#d55e00", "X"),
}
MORE_LOOKS = [("#e69f00", "<"), ("#8c510a", ">"), ("#01665e", "h"), ("#5e3c99", "d"), ("#b8a800", "p")]
MUTED = "#7a7a7a"
_CAPTION = 9.5  # font size
_LINE = 1.3 * _CAPTION / 72  # inches from one line of a caption to the next

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "figure.titlesize": 11,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
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
house_style = mpl.rc_context({**_DEFAULTS, **_STYLE})


@house_style
def save_svg(figure: Figure, target: Path | IO[bytes]) -> None:
    """Write a figure as SVG: equal figures give equal bytes (no date, fixed element names, text as outlines).

    Parameters
    ----------
    figure
        A figure of this package.
    target
        The file, written whole or not at all, or an open binary stream.
    """
    if isinstance(target, Path):
        with replacing(target) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
    else:
        figure.savefig(target, format="svg", metadata={"Date": None})


def titled_panels(
    titles: Sequence[str], columns: int, size: tuple[float, float], *, rest: float, sharex: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each title, in so many columns; without titles it says "not run".

    `size` is the width and height of a panel, `rest` the height of what stands above and below them (inches).
    """
    rows = ceil(len(titles) / columns) if titles else 1
    figure = Figure(figsize=(max(7.0, size[0] * columns), size[1] * rows + rest), layout="constrained")
    panels = list(figure.subplots(rows, columns if titles else 1, sharex=sharex, squeeze=False).flat)
    if not titles:
        say_instead(panels[0], "not run")
        panels[0].set_xticks([])
    for axes in panels[max(1, len(titles)) :]:
        axes.set_visible(False)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title, loc="left", fontweight="bold")
    return figure, panels[: len(titles)]


def columns_of(count: int) -> int:
    """Return in how many columns so many panels stand: up to three side by side, more in pairs."""
    return max(1, count if count <= 3 else 2)


def caption_below(
    figure: Figure, caption: str, handles: Sequence[Any] = (), *, ncols: int = 4, handlelength: float = 3
) -> None:
    """Set a caption at the foot of a figure, and the legend of `handles` above it; the figure grows by both.

    The legend has up to `ncols` columns, as many as fit.
    """
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(caption, round(width * 72 / _CAPTION * 1.78))
    text = figure.text(0.08 / width, 0, "\n".join(lines), fontsize=_CAPTION, color="#333333", va="bottom")
    foot = _LINE * len(lines) + 0.12
    below, legend = foot, None
    for columns in range(min(ncols, len(handles)), 0, -1):
        legend = figure.legend(handles=handles, loc="lower center", ncols=columns, handlelength=handlelength)
        box = legend.get_window_extent()
        below = foot + box.height / figure.dpi + 0.1
        if box.width <= width * figure.dpi or columns == 1:
            break
        legend.remove()
    figure.set_size_inches(width, height + below)
    if legend:
        legend.set_bbox_to_anchor((0.5, foot / (height + below)))
    text.set_y(0.06 / (height + below))
    share = below / (height + below)
    figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))  # type: ignore[union-attr, call-arg]


def rule(axes: Axes) -> None:
    """Draw light lines at the heights that the axis names, behind all else."""
    axes.grid(axis="y", color="#efefef", lw=0.8)
    axes.set_axisbelow(True)


def in_order(data: pd.DataFrame, orders: Mapping[Any, Sequence[Any]]) -> pd.DataFrame:
    """Sort rows by the given orders of the columns' names; equal ones stay as they are."""
    return data.sort_values(
        list(orders),
        key=lambda names: names.map({name: place for place, name in enumerate(orders[names.name])}),
        kind="stable",
        ignore_index=True,
    )


def say_instead(axes: Axes, text: str) -> None:
    """Write why a panel is empty into its middle."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", size=14, color=MUTED)
    axes.set_yticks([])
    axes.tick_params(bottom=False)


def say_missing(axes: Axes, missing: Sequence[str], labels: Mapping[str, str]) -> None:
    """Say which heads have no line; an empty panel says so in its middle."""
    if len(missing) == len(labels):
        say_instead(axes, "not run")
    elif missing:
        names = ", ".join(labels[head] for head in missing)
        axes.set_title(f"not run: {names}", loc="right", fontsize=8, color=MUTED)


def look_of(head: str, heads: Iterable[str]) -> tuple[str, str]:
    """Return a head's colour and marker, the same in every figure."""
    if head in LOOKS:
        return LOOKS[head]
    others = [other for other in heads if other not in LOOKS]
    return MORE_LOOKS[others.index(head) % len(MORE_LOOKS)]


def cuts_text(frame: pd.DataFrame, dataset: str) -> str:
    """Name the cuts that a dataset was run on."""
    cuts = sorted(frame.loc[frame["dataset"] == dataset, "cut"].unique())
    return f"cut{'s' if len(cuts) > 1 else ''} {', '.join(map(str, cuts))}" if cuts else "no cut run"


def held(frame: pd.DataFrame, dataset: str, networks: Sequence[str]) -> list[str]:
    """Return those of the networks that a dataset has results of: only these get a panel."""
    found = set(frame.loc[frame["dataset"] == dataset, "network"])
    return [network for network in networks if network in found]


def class_order(classes: pd.DataFrame) -> list[Any]:
    """Return the classes by their training samples, the largest first; equal ones by number."""
    counts = classes.groupby("class")["train_count"].mean()
    return counts.sort_values(ascending=False, kind="stable").index.tolist()


def shortened(names: Iterable[Any], length: int) -> list[str]:
    """Cut the middle out of names that are longer: those of one kind often differ at their ends only."""
    return [name if len(name) <= length else f"{name[: length - 6]}…{name[-5:]}" for name in map(str, names)]
