"""Figure 4: means over the classes that have both gaps, and what the bars say."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from eos.report.figures import figure4, figure4_data, save_svg

NETWORKS = ["ce", "ldam"]
NAN = float("nan")


def gap_frame(**cells: dict[tuple[int, str], tuple[list[float], list[float]]]) -> pd.DataFrame:
    """Build the frame from dataset -> (cut, network) -> true positive and false positive gaps by class."""
    rows = [
        (dataset, cut, network, number, f"class {number}", 10, NAN, true, false)
        for dataset, runs in cells.items()
        for (cut, network), gaps in runs.items()
        for number, (true, false) in enumerate(zip(*gaps, strict=True))
    ]
    columns = ["dataset", "cut", "network", "class", "class_name", "train_count", "gap"]
    return pd.DataFrame(rows, columns=[*columns, "true_positive_gap", "false_positive_gap"])


ONE_CUT = {(0, "ce"): ([1.0, 3.0, 50.0], [4.0, 8.0, NAN]), (0, "ldam"): ([2.0, 2.0, 5.0], [3.0, 3.0, 3.0])}
TWO_CUTS = {**ONE_CUT, (1, "ce"): ([4.0, 2.0, 3.0], [8.0, 10.0, 12.0])}


def panel(figure: Figure, title: str) -> Axes:
    (axes,) = [axes for axes in figure.axes if axes.get_title(loc="left") == title]
    return axes


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def heights(axes: Axes) -> list[list[float]]:
    return [[bar.get_height() for bar in bars] for bars in axes.containers if isinstance(bars, BarContainer)]


def svg(figure: Figure) -> bytes:
    stream = io.BytesIO()
    save_svg(figure, stream)
    return stream.getvalue()


def test_both_means_are_over_the_classes_that_have_both_gaps() -> None:
    ce = figure4_data(gap_frame(d=ONE_CUT), ["d"], NETWORKS).iloc[0]
    assert (ce["true_positive_gap"], ce["false_positive_gap"]) == (2, 6)  # the class with 50 has no other gap
    assert ce["ratio"] == 3
    assert (ce["compared_min"], ce["compared_max"], ce["classes"], ce["cuts"]) == (2, 2, 3, 1)


def test_cuts_are_averaged_with_their_lowest_and_highest() -> None:
    ce = figure4_data(gap_frame(d=TWO_CUTS), ["d"], ["ce"]).iloc[0]
    assert [ce[f"true_positive_gap{end}"] for end in ("_min", "", "_max")] == [2, 2.5, 3]
    assert [ce[f"false_positive_gap{end}"] for end in ("_min", "", "_max")] == [6, 8, 10]
    assert ce["ratio"] == pytest.approx(8 / 2.5)
    assert (ce["cuts"], ce["compared_min"], ce["compared_max"]) == (2, 2, 3)


def test_rows_are_in_the_order_asked_for() -> None:
    data = figure4_data(gap_frame(d=ONE_CUT, e=ONE_CUT), ["e", "d"], ["ldam", "ce"])
    cells = list(zip(data["dataset"], data["network"], strict=True))
    assert cells == [("e", "ldam"), ("e", "ce"), ("d", "ldam"), ("d", "ce")]
    assert figure4_data(gap_frame(d=ONE_CUT), ["elsewhere"], NETWORKS).empty


def test_the_bars_carry_the_means_and_the_ratio_stands_above() -> None:
    figure = figure4(gap_frame(d=ONE_CUT), ["d"], NETWORKS)
    axes = panel(figure, "d")
    assert heights(axes) == [[2, 3], [6, 3]]
    assert texts(axes) == ["3.0x", "1.0x"]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["CE\n2 of 3\nclasses", "LDAM\n3 of 3\nclasses"]
    assert "whiskers" not in figure.get_suptitle()
    assert not axes.collections


def test_whiskers_reach_from_the_lowest_to_the_highest_cut() -> None:
    three = {**TWO_CUTS, (2, "ce"): ([2.0, 2.0, 2.0], [6.0, 6.0, 6.0])}  # the mean is not in the middle
    figure = figure4(gap_frame(d=three), ["d"], ["ce"])
    axes = panel(figure, "d")
    ends: list[Any] = [np.asarray(bar.get_paths()[0].vertices)[:, 1].tolist() for bar in axes.collections]
    assert ends == [pytest.approx([2, 3]), pytest.approx([6, 10])]
    assert "whiskers: lowest to highest cut" in figure.get_suptitle()
    assert axes.get_title(loc="right") == "cuts 0, 1, 2"
    assert "2-3 of 3" in axes.get_xticklabels()[0].get_text()


def test_what_was_not_run_is_left_out() -> None:
    figure = figure4(gap_frame(d=ONE_CUT), ["d", "digits"], ["ce", "focal", "ldam"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["d"]
    assert texts(panel(figure, "d")) == ["3.0x", "1.0x"]
    assert len(figure.legends[0].get_texts()) == 2
    nothing = figure4(gap_frame(d=ONE_CUT), ["elsewhere"], NETWORKS)
    assert texts(nothing.axes[0]) == ["not run"]
    assert b"<svg" in svg(nothing)


def test_a_network_without_errors_has_nothing_to_compare() -> None:
    frame = gap_frame(d={(0, "ce"): ([1.0, 2.0], [NAN, NAN]), (0, "ldam"): ([0.0, 0.0], [1.0, 1.0])})
    data = figure4_data(frame, ["d"], NETWORKS)
    assert data["ratio"].isna().all()  # nothing, and a division by zero
    assert list(data["cuts"]) == [0, 1]
    axes = panel(figure4(frame, ["d"], NETWORKS), "d")
    assert texts(axes) == ["no class\nhas both"]


def test_equal_data_give_equal_bytes() -> None:
    assert svg(figure4(gap_frame(d=TWO_CUTS), ["d"], NETWORKS)) == svg(
        figure4(gap_frame(d=TWO_CUTS), ["d"], NETWORKS)
    )
