"""Figure 6: two classes in the plane, without and with synthetic rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eos.registry import display_name
from eos.report.figures import style

# The paper's blue and red in a form that everyone can tell apart; the shapes say the same again.
_CLASS_LOOKS = [("#0072b2", "o"), ("#d55e00", "^")]
_CAPTION = (
    "Full marks are real and stand in the same places in every panel; hollow ones are what the sampler made. "
    "Hollow marks among the full ones of the other class: the sampler reaches into it."
)
_POINTS = 300  # more points than this in a panel are drawn smaller


@style.house_style
def figure6(
    data: pd.DataFrame,
    heads: Mapping[str, str],
    class_names: tuple[str, str],
    *,
    dataset: str,
    network: str,
    cut: int,
) -> Figure:
    """Draw two classes in the plane, one panel per head.

    All panels are one plane: a t-SNE of the real rows and of the synthetic ones of every head. So the real
    points stand still from panel to panel.

    Parameters
    ----------
    data
        From `eos.report.tsne.project_classes`.
    heads
        The panels, in this order, and their titles; those without points have none.
    class_names
        The majority and the minority class.
    dataset, network, cut
        The cell, for the title.
    """
    shown = [head for head in heads if head in set(data["head"])]
    columns = max(1, min(len(shown), 3))
    titles = [heads[head] for head in shown]
    figure, panels = style.titled_panels(titles, columns, (3.7, 3.3), rest=0.6)
    ends = [(data[axis].min(), data[axis].max()) for axis in ("x", "y")]
    limits = [(low - 0.06 * (high - low), high + 0.06 * (high - low)) for low, high in ends]
    most = data["head"].value_counts().max() if len(data) else 1
    scale = max(0.5, min(1.0, (_POINTS / most) ** 0.5))
    for axes, head in zip(panels, shown, strict=True):
        _draw_head(axes, data[data["head"] == head], class_names, scale)
        axes.set(xlim=limits[0], ylim=limits[1])
    majority, minority = class_names
    figure.suptitle(
        f"Figure 6: classes {majority} (majority) and {minority} (minority) of the training embeddings, "
        f"{display_name(network)}\n{display_name(dataset)}, cut {cut}; "
        f"one t-SNE for all panels{_left_out(data)}"
    )
    kinds = set(zip(data["class_name"], data["synthetic"], strict=True))
    handles = [
        Line2D([], [], label=f"{name}, {_kind(synthetic)}", **_style(look, synthetic=synthetic))
        for name, look in zip(class_names, _CLASS_LOOKS, strict=True)
        for synthetic in (False, True)
        if (name, synthetic) in kinds
    ]
    style.caption_below(figure, _CAPTION, handles, ncols=4 if columns == 3 else 2)
    return figure


def _draw_head(axes: Axes, points: pd.DataFrame, class_names: Sequence[str], scale: float) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#cfcfcf")
    # Few real points must not drown in synthetic ones: these are small, light and below.
    for synthetic in (True, False):
        for name, look in zip(class_names, _CLASS_LOOKS, strict=True):
            kind = points[(points["class_name"] == name) & (points["synthetic"] == synthetic)]
            axes.plot(kind["x"], kind["y"], **_style(look, synthetic=synthetic, scale=scale))
    axes.set_xlabel("\n".join(_counts(points, name) for name in class_names), fontsize=8, color="#4a4a4a")


def _style(look: tuple[str, str], *, synthetic: bool, scale: float = 1.0) -> dict[str, Any]:
    drawn: dict[str, Any] = {"ls": "", "color": look[0], "marker": look[1]}
    if synthetic:
        return drawn | {"ms": 4.5 * scale, "mfc": "none", "mew": 0.8, "alpha": 0.55, "zorder": 2}
    return drawn | {"ms": 6.5 * max(scale, 0.7), "mec": "white", "mew": 0.6, "zorder": 3}


def _left_out(data: pd.DataFrame) -> str:
    """Say in the title that not all points are shown."""
    shown = data.groupby(["head", "class_name", "synthetic"])["available"].agg(["size", "first"])
    return "; a seeded draw of the points, real ones first" if (shown["size"] < shown["first"]).any() else ""


def _counts(points: pd.DataFrame, name: str) -> str:
    """Say how many points of a class there are, and of how many they were drawn."""
    kinds = []
    for synthetic, available in points[points["class_name"] == name].groupby("synthetic")["available"]:
        of = "" if len(available) == available.iloc[0] else f" of {available.iloc[0]:,}"
        kinds.append(f"{len(available):,}{of} {_kind(synthetic)}")
    return f"{name}: {', '.join(kinds)}"


def _kind(synthetic: object) -> str:
    return "synthetic" if synthetic else "real"
