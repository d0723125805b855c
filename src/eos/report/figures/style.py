"""The looks that all figures share, and how a figure becomes a file.

Figures are drawn under matplotlib's own defaults plus `_STYLE`, whatever the user's configuration, so that
equal data give equal bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
import numpy as np
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


def in_order(data: pd.DataFrame, orders: dict[str, Sequence[str]], last: str) -> pd.DataFrame:
    """Sort rows by the given orders of names, then by the column `last`."""
    keys = [data[name].map({key: i for i, key in enumerate(order)}) for name, order in orders.items()]
    ranks = np.lexsort([data[last], *reversed(keys)])
    return data.iloc[ranks].reset_index(drop=True)


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
        names = ", ".join(display_name(head) for head in missing)
        axes.set_title(f"not run: {names}", loc="right", fontsize=8, color=MUTED)


def look_of(head: str, heads: Sequence[str]) -> tuple[str, str]:
    """Return a head's colour and marker, the same in every figure."""
    if head in LOOKS:
        return LOOKS[head]
    others = [other for other in heads if other not in LOOKS]
    return _MORE_LOOKS[others.index(head) % len(_MORE_LOOKS)]


def cuts_of(frame: pd.DataFrame, dataset: str) -> list[int]:
    """Return the cuts that a dataset was run on."""
    return sorted(int(cut) for cut in frame.loc[frame["dataset"] == dataset, "cut"].unique())


def cuts_text(cuts: Sequence[int]) -> str:
    """Name the cuts in a figure's title."""
    if not cuts:
        return "no cut run"
    return f"cut{'s' if len(cuts) > 1 else ''} {', '.join(str(cut) for cut in cuts)}"
