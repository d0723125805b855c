"""The figure of methods: ranks with bars, or differences with intervals."""

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from eos.report.figures import save_svg
from eos.report.figures.methods import methods_data, methods_figure
from eos.report.methods import compare, differences_to_best, rank_test
from tests.report.methods_frames import blocks_of, compared, made

HEADS = {"own": (0.5, None), "ncm": (0.6, None), "smote": (0.7, None), "eos": (0.8, None)}


def svg(figure: Figure) -> bytes:
    stream = io.BytesIO()
    save_svg(figure, stream)
    return stream.getvalue()


def names(figure: Figure, panel: int = 0) -> list[str]:
    return [label.get_text() for label in figure.axes[panel].get_yticklabels()]


def test_many_blocks_have_ranks_and_the_bars_they_are_under() -> None:
    comparison = compared(blocks_of(HEADS, 12))
    data = methods_data(comparison)
    assert list(data["head"]) == ["eos", "smote", "ncm", "own"]
    assert list(data["mean_rank"]) == [1, 2, 3, 4]
    assert list(data["bars"]) == ["1", "1 2", "2 3", "3"]
    assert (data["blocks"] == 12).all()
    assert data[["difference", "low", "high", "p_holm", "dataset"]].isna().all(axis=None)
    test = rank_test(comparison)
    assert test is not None
    assert (data["critical_difference"] == test.critical_difference).all()


def test_the_ranks_are_drawn_with_a_bar_for_each_group() -> None:
    figure = methods_figure(compared(blocks_of(HEADS, 12)))
    assert names(figure) == ["EOS", "SMOTE", "Class means", "Own classifier"]
    ranks, bars = figure.axes
    points = [line.get_xdata()[0] for line in ranks.lines if line.get_marker() == "o"]  # type: ignore[index]
    assert points == [1, 2, 3, 4]
    spans = [np.round(np.asarray(line.get_ydata(), float)).tolist() for line in bars.lines]
    assert spans == [[0, 1], [1, 2], [2, 3]]


def test_few_blocks_have_differences_by_data_set() -> None:
    comparison = compared({**blocks_of(HEADS, 2), **blocks_of(HEADS, 1, "other")})
    data = methods_data(comparison)
    assert list(data["dataset"]) == ["digits"] * 4 + ["other"] * 4
    expected = differences_to_best(comparison, "other")
    np.testing.assert_array_equal(data.loc[4:, ["low", "high"]], expected[["low", "high"]])
    assert data[["mean_rank", "critical_difference", "bars"]].isna().all(axis=None)


def test_the_differences_are_drawn_with_their_intervals() -> None:
    comparison = compared({**blocks_of(HEADS, 2), **blocks_of(HEADS, 1, "other")})
    figure, data = methods_figure(comparison), methods_data(comparison)
    digits = data[data["dataset"] == "digits"]
    axes = figure.axes[0]
    assert names(figure) == names(figure, 1) == ["EOS", "SMOTE", "Class means", "Own classifier"]
    points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]  # type: ignore[index]
    assert points == list(digits["difference"])
    intervals = [
        np.asarray(line.get_xdata()).tolist() for line in axes.lines[1:] if line.get_marker() == "None"
    ]
    assert intervals == digits[["low", "high"]].to_numpy().tolist()
    assert axes.get_title(loc="right") == "best: 0.800, over 2 blocks"


@pytest.mark.parametrize("networks", [2, 12])
@pytest.mark.parametrize("n_heads", [5, 30])
def test_no_label_covers_another(networks: int, n_heads: int) -> None:
    heads: dict[str, Any] = {f"h{place}": (0.4 + 0.015 * place, None) for place in range(n_heads)}
    arguments = made(blocks_of(heads, networks), n=200)
    arguments["heads"] = {head: f"{head}, a title of its own length" for head in heads}
    figure = methods_figure(compare(**arguments))
    svg(figure)  # lays it out
    for labels in (figure.axes[0].get_yticklabels(), figure.axes[0].get_xticklabels(), figure.axes[0].texts):
        boxes = [label.get_window_extent() for label in labels if label.get_text()]
        assert not any(one.overlaps(two) for at, one in enumerate(boxes) for two in boxes[:at])


@pytest.mark.parametrize("networks", [2, 12])
def test_equal_data_give_equal_bytes(networks: int) -> None:
    comparison = compared(blocks_of(HEADS, networks))
    assert svg(methods_figure(comparison)) == svg(methods_figure(comparison))


def test_nothing_run_is_said() -> None:
    arguments = made(blocks_of(HEADS, 1))
    nothing = compare(**{**arguments, "scores": arguments["scores"].iloc[:0]})
    assert methods_data(nothing).empty
    assert "not run" in {text.get_text() for text in methods_figure(nothing).axes[0].texts}
