"""Figure 6: panels, marks and captions against the points handed in."""

import io
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eos.registry import display_name
from eos.report.figures import figure6, figure6_data, save_svg
from eos.report.tsne import Rows, project_classes

NAMES = ("automobile", "truck")


def points(
    head: str = "eos", *, real: tuple[int, int] = (3, 2), synthetic: int = 4, of: int = 4
) -> pd.DataFrame:
    kinds = [("automobile", False, real[0], real[0]), ("truck", False, real[1], real[1])]
    kinds += [("truck", True, synthetic, of)]
    rows = [
        (head, name, made, available, 10.0 * i, 1.0 * j)
        for i, (name, made, count, available) in enumerate(kinds)
        for j in range(count)
    ]
    return pd.DataFrame(rows, columns=["head", "class_name", "synthetic", "available", "x", "y"])


def draw(data: pd.DataFrame, heads: tuple[str, ...] = ("eos",)) -> Figure:
    titles = {head: display_name(head) for head in heads}
    return figure6(data, titles, NAMES, dataset="cifar10", network="ce", cut=3)


def panel(figure: Figure, title: str) -> Axes:
    (axes,) = [axes for axes in figure.axes if axes.get_title(loc="left") == title]
    return axes


def svg(figure: Figure) -> bytes:
    stream = io.BytesIO()
    save_svg(figure, stream)
    return stream.getvalue()


def drawn(axes: Axes, x: float) -> Any:
    (found,) = [line for line in axes.lines if set(np.asarray(line.get_xdata())) == {x}]
    return found


def test_every_kind_of_point_has_its_own_mark() -> None:
    axes = panel(draw(points()), "EOS")
    majority, minority, made = (drawn(axes, x) for x in (0, 10, 20))
    assert [len(line.get_ydata()) for line in (majority, minority, made)] == [3, 2, 4]
    assert majority.get_color() != minority.get_color() == made.get_color()
    assert majority.get_marker() != minority.get_marker() == made.get_marker()
    assert made.get_markerfacecolor() == "none" != minority.get_markerfacecolor()
    assert made.get_zorder() < minority.get_zorder()


def test_the_caption_counts_and_says_when_points_were_left_out() -> None:
    whole = draw(points())
    assert panel(whole, "EOS").get_xlabel() == "automobile: 3 real\ntruck: 2 real, 4 synthetic"
    assert "draw" not in whole.get_suptitle()
    assert "CIFAR-10, cut 3" in whole.get_suptitle()
    cut = draw(points(of=5000))
    assert panel(cut, "EOS").get_xlabel() == "automobile: 3 real\ntruck: 2 real, 4 of 5,000 synthetic"
    assert "a seeded draw of the points, real ones first" in cut.get_suptitle()


def test_the_legend_names_only_what_is_there() -> None:
    labels = [text.get_text() for text in draw(points()).legends[0].get_texts()]
    assert labels == ["automobile, real", "truck, real", "truck, synthetic"]


def test_heads_without_points_have_no_panel() -> None:
    figure = draw(points(), ("none", "smote", "bsmote", "balsvm", "eos"))
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()] == ["EOS"]
    nothing = draw(project_classes({}, (0, 1), NAMES, points=5, seed=0), ("eos",))
    assert [text.get_text() for text in nothing.axes[0].texts] == ["not run"]
    assert b"<svg" in svg(nothing)


def test_all_panels_show_the_same_part_of_the_plane() -> None:
    apart = points("smote").assign(x=lambda frame: frame["x"] + 90)
    figure = draw(pd.concat([points("none"), apart]), ("none", "smote"))
    one, other = (panel(figure, title) for title in ("No over-sampling", "SMOTE"))
    assert one.get_xlim() == other.get_xlim()
    assert one.get_ylim() == other.get_ylim()
    low, high = one.get_xlim()
    assert low < 0
    assert high > 110


def test_from_rows_to_the_same_bytes() -> None:
    labels = np.repeat([4, 7], [30, 10])
    features = np.random.default_rng(0).normal(size=(40, 4)) + labels[:, None]
    heads = {"eos": Rows(features, labels, np.arange(40) >= 33)}
    first, second = (figure6_data(heads, (4, 7), NAMES, points=20, seed=5) for _ in range(2))
    assert first.groupby(["class_name", "synthetic"]).size().to_dict() == {
        ("automobile", False): 20,
        ("truck", False): 3,
        ("truck", True): 7,
    }
    assert svg(draw(first)) == svg(draw(second))
