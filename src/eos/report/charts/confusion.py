"""The confusion matrix: which class the test samples of each class are taken for, a panel per head."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import ceil
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eos.registry import display_name
from eos.report.figures import style

_MOST = 20  # more rows than this cannot be told apart: classes of neighbouring size are then taken together
_LONGEST = 14  # letters of a class's name
_WRITTEN = 12  # in so few columns there is room for numbers
# So few steps are drawn as shapes; more would be an image inside the SVG.
_COLOURS = mpl.colormaps["Blues"].resampled(20)
_CAPTION = (
    "A dark diagonal is right. Left of it: test samples taken for a class with more training samples; right "
    "of it: for one with fewer. Below each panel: their share, each class weighing the same."
)


def confusion_data(
    confusion: pd.DataFrame,
    classes: pd.DataFrame,
    dataset: str,
    networks: Sequence[str],
    heads: Iterable[str],
) -> pd.DataFrame:
    """Return which classes the test samples of each class are taken for, as `confusion_figure` shows it.

    Parameters
    ----------
    confusion
        Columns dataset, cut, network, head, class, predicted, count; pairs that do not occur may be missing.
    classes
        Columns dataset, cut, network, head, class, class_name, train_count.
    dataset
        The dataset to show.
    networks, heads
        The rows and the columns of panels, in this order.

    Returns
    -------
    pandas.DataFrame
        One row per network, head, class and predicted class that occurs, in this order, classes by training
        samples, the largest first: dataset, network, head, class, class_name, predicted, predicted_name, and
        share: the part of the class's test samples, mean over the cuts.
    """
    wanted = list(heads)
    shown = confusion["dataset"].eq(dataset) & confusion["network"].isin(networks)
    found = confusion[shown & confusion["head"].isin(wanted)]
    cell = ["dataset", "network", "head"]
    total = found.groupby([*cell, "cut", "class"])["count"].transform("sum")
    cuts = found.groupby([*cell, "class"])["cut"].transform("nunique")
    shares = found.assign(share=found["count"] / total / cuts)
    data = shares.groupby([*cell, "class", "predicted"], as_index=False)["share"].sum()
    known = classes[classes["dataset"] == dataset]
    names = known.drop_duplicates("class").set_index("class")["class_name"]
    for place, column in ((4, "class"), (6, "predicted")):
        data.insert(place, f"{column}_name", data[column].map(names))
    order = style.class_order(known)
    return style.in_order(data, {"network": networks, "head": wanted, "class": order, "predicted": order})


@style.house_style
def confusion_figure(
    confusion: pd.DataFrame,
    classes: pd.DataFrame,
    dataset: str,
    networks: Sequence[str],
    heads: Mapping[str, str],
) -> Figure:
    """Draw what `confusion_data` returns, a row of panels per network and a panel per head.

    More than 20 classes are drawn in groups of equal number, by training samples: a cell is the mean over the
    classes of its group, and the diagonal has what stays inside the group.
    """
    data = confusion_data(confusion, classes, dataset, networks, heads)
    known = classes[classes["dataset"] == dataset]
    names = known.drop_duplicates("class").set_index("class")["class_name"].reindex(style.class_order(known))
    rows = style.held(data, dataset, networks)
    columns = [head for head in heads if head in set(data["head"])]
    panels_of = list(product(rows, columns))
    titles = [heads[head] for _, head in panels_of]
    longest = 0.08 * max(map(len, style.shortened(names, _LONGEST)), default=0)  # inches, of a turned name
    figure, panels = style.titled_panels(titles, max(1, len(columns)), (3.4, 4.1 + longest), rest=0.6)
    group = max(1, ceil(len(names) / _MOST))
    mesh = None
    for axes, (network, head) in zip(panels, panels_of, strict=True):
        shares = data[(data["network"] == network) & (data["head"] == head)]
        if shares.empty:
            axes.set_xticks([])
            style.say_instead(axes, "not run")
            continue
        matrix = np.zeros((len(names), len(names)))
        places = (names.index.get_indexer(shares[column]) for column in ("class", "predicted"))
        matrix[tuple(places)] = shares["share"]
        mesh = _draw_matrix(axes, matrix, group)
        _name_classes(axes, names, group, left=head == columns[0])
        if head == columns[0]:
            of = "" if len(rows) == 1 else f"{display_name(network)}\n"
            axes.set_ylabel(f"{of}true class" if group == 1 else f"{of}true class (group's first of {group})")
    if mesh is not None and ceil(len(names) / group) > _WRITTEN:
        bar = figure.colorbar(mesh, ax=panels, shrink=0.6, aspect=30, format="{x:.0%}")
        bar.outline.set_visible(False)
    of = f", {display_name(rows[0])}" if len(rows) == 1 else ""
    groups = f"; {len(names)} classes in groups of {group}" if group > 1 else ""
    figure.suptitle(
        f"Confusion matrix{of}: share of each class's test samples (%)\n"
        f"{display_name(dataset)}, {style.cuts_text(confusion, dataset)}; "
        f"classes by training samples, the largest first{groups}"
    )
    style.caption_below(figure, _CAPTION)
    return figure


def _draw_matrix(axes: Axes, matrix: np.ndarray, group: int) -> Any:
    """Draw the shares of one head, and say below how many samples go to larger and to smaller classes."""
    starts = np.arange(0, len(matrix), group)
    sizes = np.diff(np.append(starts, len(matrix)))
    drawn = np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1) / sizes[:, None]
    mesh = axes.pcolormesh(drawn, cmap=_COLOURS, vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
    axes.invert_yaxis()
    if len(drawn) <= _WRITTEN:
        for (row, column), share in np.ndenumerate(drawn):
            if share >= 0.005:
                text: dict[str, Any] = {"color": "white" if share > 0.55 else "#333333", "fontsize": 8.5}
                axes.text(column + 0.5, row + 0.5, f"{100 * share:.0f}", ha="center", va="center", **text)
    larger, smaller = np.tril(matrix, -1).sum() / len(matrix), np.triu(matrix, 1).sum() / len(matrix)
    said = f"taken for a larger class: {larger:.1%}\nfor a smaller class: {smaller:.1%}"
    axes.set_xlabel(f"predicted\n{said}", fontsize=9)
    return mesh


def _name_classes(axes: Axes, names: "pd.Series[Any]", group: int, *, left: bool) -> None:
    """Label both axes by the classes, a group by its first; the true ones only in the left panels."""
    shown = style.shortened(names.iloc[::group], _LONGEST)
    middles = np.arange(len(shown)) + 0.5
    many: dict[str, Any] = {"fontsize": 8 if len(shown) > _WRITTEN else 9}
    turned: dict[str, Any] = {"rotation": 90} if max(map(len, shown)) > 2 else {}
    axes.set_xticks(middles, shown, **many, **turned)
    axes.set_yticks(middles, shown if left else [""] * len(shown), **many)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
