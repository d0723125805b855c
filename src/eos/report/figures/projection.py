"""Figure 6: two classes in the plane, without and with synthetic rows."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eos.registry import display_name
from eos.report.figures.style import house_style, say_instead
from eos.report.tsne import Rows, project_classes

# The paper's blue and red in a form that everyone can tell apart; the shapes say the same again.
_CLASS_LOOKS = [("#0072b2", "o"), ("#d55e00", "^")]
_POINTS = 300  # more points than this in a panel are drawn smaller


def figure6_data(
    heads: Mapping[str, Rows],
    classes: tuple[int, int],
    class_names: tuple[str, str],
    *,
    points: int,
    seed: int,
) -> pd.DataFrame:
    """Return the points in the plane that `figure6` shows: majority and minority class under each head.

    Parameters
    ----------
    heads, classes, class_names, points, seed
        As for `eos.report.tsne.project_classes`; the majority class first.

    Returns
    -------
    pandas.DataFrame
        One row per point: head, class_name, synthetic, available, x, y, as `project_classes` makes them.

    Raises
    ------
    InputError
        As `eos.report.tsne.project_classes`.
    """
    return project_classes(heads, classes, class_names, points=points, seed=seed)


@house_style
def figure6(
    data: pd.DataFrame,
    heads: Sequence[str],
    class_names: tuple[str, str],
    *,
    dataset: str,
    network: str,
    cut: int,
) -> Figure:
    """Draw two classes in the plane, one panel per head (Figure 6).

    Every panel is a t-SNE of its own: places and distances in different panels cannot be compared, only how
    the classes lie to each other.

    Parameters
    ----------
    data
        From `figure6_data`.
    heads
        The panels, in this order; one without points says "not run".
    class_names
        The majority and the minority class.
    dataset, network, cut
        The cell, for the title.
    """
    columns = min(len(heads), 3)
    rows = ceil(len(heads) / columns)
    figure = Figure(figsize=(max(7.0, 3.7 * columns), 3.3 * rows + 1.4), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, head in zip(panels, heads, strict=False):
        axes.set_title(display_name(head), loc="left", fontweight="bold")
        _draw_head(axes, data[data["head"] == head], class_names)
    for axes in panels[len(heads) :]:
        axes.set_visible(False)
    majority, minority = class_names
    figure.suptitle(
        f"Figure 6: classes {majority} (majority) and {minority} (minority) of the training embeddings, "
        f"{display_name(network)}\n{display_name(dataset)}, cut {cut}; "
        f"t-SNE, one per panel{_left_out(data)}"
    )
    if handles := _handles(data, class_names):
        figure.legend(handles=handles, loc="outside lower center", ncols=4 if columns == 3 else 2)
    return figure


def _draw_head(axes: Axes, points: pd.DataFrame, class_names: Sequence[str]) -> None:
    axes.set(xticks=[], yticks=[])
    for side in ("left", "right", "top", "bottom"):
        axes.spines[side].set(visible=True, color="#cfcfcf")
    if points.empty:
        say_instead(axes, "not run")
        return
    scale = max(0.5, min(1.0, (_POINTS / len(points)) ** 0.5))
    # Few real points must not drown in synthetic ones: these are small, light and below.
    for synthetic in (True, False):
        for name, look in zip(class_names, _CLASS_LOOKS, strict=True):
            kind = points[(points["class_name"] == name) & (points["synthetic"] == synthetic)]
            axes.plot(kind["x"], kind["y"], **_style(look, synthetic=synthetic, scale=scale))
    axes.margins(0.06)
    axes.set_xlabel("\n".join(_counts(points, name) for name in class_names), fontsize=8, color="#4a4a4a")


def _style(look: tuple[str, str], *, synthetic: bool, scale: float = 1.0) -> dict[str, Any]:
    colour, marker = look
    style: dict[str, Any] = {"ls": "", "marker": marker, "color": colour}
    if synthetic:
        return style | {"ms": 4.5 * scale, "mfc": "none", "mew": 0.8, "alpha": 0.55, "zorder": 2}
    return style | {"ms": 6.5 * max(scale, 0.7), "mec": "white", "mew": 0.6, "zorder": 3}


def _handles(data: pd.DataFrame, class_names: Sequence[str]) -> list[Line2D]:
    kinds = set(zip(data["class_name"], data["synthetic"], strict=True))
    return [
        Line2D([], [], label=f"{name}, {_kind(synthetic)}", **_style(look, synthetic=synthetic))
        for name, look in zip(class_names, _CLASS_LOOKS, strict=True)
        for synthetic in (False, True)
        if (name, synthetic) in kinds
    ]


def _left_out(data: pd.DataFrame) -> str:
    """Say in the title that not all points are shown."""
    shown = data.groupby(["head", "class_name", "synthetic"])["available"].agg(["size", "first"])
    return "; a seeded draw of the points, real ones first" if (shown["size"] < shown["first"]).any() else ""


def _counts(points: pd.DataFrame, name: str) -> str:
    """Say how many points of a class there are, and of how many they were drawn."""
    kinds = []
    for synthetic, kind in points[points["class_name"] == name].groupby("synthetic", sort=True):
        shown, available = len(kind), int(kind["available"].iloc[0])
        of = "" if shown == available else f" of {available:,}"
        kinds.append(f"{shown:,}{of} {_kind(synthetic)}")
    return f"{name}: {', '.join(kinds)}"


def _kind(synthetic: object) -> str:
    return "synthetic" if synthetic else "real"
