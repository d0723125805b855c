"""Balanced accuracy by the settings of EOS: which lines there are, and through which points."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eos.report.figures import settings_data, settings_figure
from tests.report.table_frames import score_frame
from tests.report.test_figures import legend, svg


def setting(k: int, size: float = 1.0, variant: str = "toward") -> dict[str, Any]:
    return {"k_neighbors": k, "step_size": size, "variant": variant}


SETTINGS = {
    "half": setting(10, 0.5),
    "wide": setting(300),
    "eos": setting(10),
    "away": setting(10, 1.0, "away"),
}
SCORES = score_frame(
    [
        (0, "ce", "own", 0, 0.5),
        (0, "ce", "smote", 0, 0.6),
        (0, "ce", "eos", 0, 0.7),
        (0, "ce", "eos", 1, 0.74),
        (0, "ce", "wide", 0, 0.8),
        (0, "ce", "half", 0, 0.78),
        (0, "asl", "eos", 0, 0.9),
    ]
)


def points(axes: Axes, label: str) -> list[list[float]]:
    (found,) = [bars for bars in axes.containers if bars.get_label() == label]
    line: Any = found[0]
    return np.transpose(line.get_data()).tolist()


def draw(scores: pd.DataFrame = SCORES) -> Figure:
    return settings_figure(scores, "digits", ["ce", "asl", "ldam"], SETTINGS)


def test_the_data_have_a_row_for_each_setting_that_was_run() -> None:
    data = settings_data(SCORES, "digits", ["asl", "ce"], SETTINGS)
    assert data[["network", "head", "k_neighbors", "step_size", "n"]].to_numpy().tolist() == [
        ["asl", "eos", 10, 1.0, 1],
        ["ce", "eos", 10, 1.0, 2],
        ["ce", "wide", 300, 1.0, 1],
        ["ce", "half", 10, 0.5, 1],
    ]
    assert data["BAC"].tolist() == pytest.approx([0.9, 0.72, 0.8, 0.78])
    assert data["BAC_sd"].tolist() == pytest.approx([np.nan, 0.04 / 2**0.5, np.nan, np.nan], nan_ok=True)


def test_a_line_per_step_size_runs_over_k_beside_the_other_heads() -> None:
    figure = draw()
    (axes,) = figure.axes  # ASL has one setting: nothing to compare
    assert axes.get_title(loc="left") == "CE"
    assert points(axes, "EOS, step 1") == [pytest.approx([10, 0.72]), pytest.approx([300, 0.8])]
    assert points(axes, "EOS, step 0.5") == [[10, 0.78]]
    assert legend(figure) == ["EOS, step 1", "EOS, step 0.5", "Own classifier", "SMOTE"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "300"]
    beside = {str(line.get_label()): np.unique(np.asarray(line.get_ydata())) for line in axes.lines[-2:]}
    assert beside == {"Own classifier": [0.5], "SMOTE": [0.6]}
    assert "K = 300, step 1: 0.800" in " ".join(figure.texts[-1].get_text().split())


def test_networks_with_one_setting_are_shown_where_there_are_no_others() -> None:
    figure = draw(SCORES[SCORES["network"] == "asl"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["ASL"]
    nothing = draw(SCORES[SCORES["head"] == "own"])
    assert [text.get_text() for text in nothing.axes[0].texts] == ["not run"]
    assert b"<svg" in svg(nothing)


def test_another_variant_is_a_line_of_its_own() -> None:
    more = score_frame([(0, "ce", "away", 0, 0.3)])
    figure = draw(pd.concat([SCORES, more]))
    assert points(figure.axes[0], "EOS, step 1, away") == [[10, 0.3]]
    assert svg(figure) == svg(draw(pd.concat([SCORES, more])))
