"""The looks that all figures share, and how a figure becomes a file.

Figures are drawn under matplotlib's own defaults plus `_STYLE`, whatever the user's configuration, so that
equal data give equal bytes.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eos.registry import display_name
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
_MORE_LOOKS = [("#e69f00", "<"), ("#8c510a", ">"), ("#01665e", "h"), ("#5e3c99", "d"), ("#b8a800", "p")]
MUTED = "#7a7a7a"

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
    names: Sequence[str], columns: int, size: tuple[float, float], *, rest: float, sharex: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each name, titled with it, in so many columns.

    `size` is the width and height of a panel, `rest` the height of what stands above and below them (inches).
    """
    rows = ceil(len(names) / columns)
    figure = Figure(figsize=(max(7.0, size[0] * columns), size[1] * rows + rest), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharex=sharex, squeeze=False).flat)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        axes.set_title(display_name(name), loc="left", fontweight="bold")
    return figure, panels[: len(names)]


def legend_below(figure: Figure, handles: Sequence[Any], **style: Any) -> None:
    """Set the legend below the panels; none without handles."""
    if handles:
        figure.legend(handles=handles, loc="outside lower center", **style)


def rule(axes: Axes) -> None:
    """Draw light lines at the heights that the axis names, behind all else."""
    axes.grid(axis="y", color="#efefef", lw=0.8)
    axes.set_axisbelow(True)


def in_order(data: pd.DataFrame, orders: Mapping[Any, Sequence[str]]) -> pd.DataFrame:
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


def say_missing(axes: Axes, missing: Sequence[str], *, all_of: Sequence[str]) -> None:
    """Say which heads have no line; an empty panel says so in its middle."""
    if len(missing) == len(all_of):
        say_instead(axes, "not run")
    elif missing:
        names = ", ".join(map(display_name, missing))
        axes.set_title(f"not run: {names}", loc="right", fontsize=8, color=MUTED)


def look_of(head: str, heads: Sequence[str]) -> tuple[str, str]:
    """Return a head's colour and marker, the same in every figure."""
    if head in LOOKS:
        return LOOKS[head]
    others = [other for other in heads if other not in LOOKS]
    return _MORE_LOOKS[others.index(head) % len(_MORE_LOOKS)]


def cuts_text(frame: pd.DataFrame, dataset: str) -> str:
    """Name the cuts that a dataset was run on."""
    cuts = sorted(frame.loc[frame["dataset"] == dataset, "cut"].unique())
    return f"cut{'s' if len(cuts) > 1 else ''} {', '.join(map(str, cuts))}" if cuts else "no cut run"
