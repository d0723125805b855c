"""Balanced accuracy by the settings of EOS: which lines there are, and through which points."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eos.report.charts import Chart, settings_chart, settings_data
from tests.report.table_frames import score_frame
from tests.report.test_charts import notes, page, svg, texts


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


def points(chart: Chart, line: str) -> list[tuple[float, ...]]:
    return [(row["K"], row["BAC"]) for row in chart.rows if row.get("line") == line and "K" in row]


def draw(scores: pd.DataFrame = SCORES) -> Chart:
    data = settings_data(scores, "digits", ["ce", "asl", "ldam"], SETTINGS)
    return settings_chart(data, "Digits, cut 0", scores=scores)


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
    chart = draw()
    assert {row["network"] for row in chart.rows} == {"ce"}  # ASL has one setting: nothing to compare
    assert points(chart, "EOS, step 1") == [pytest.approx((10, 0.72)), pytest.approx((300, 0.8))]
    assert points(chart, "EOS, step 0.5") == [(10, 0.78)]
    beside = {row["line"]: row["BAC"] for row in chart.rows if "K" not in row}
    assert beside == {"own": 0.5, "smote": 0.6}
    assert notes(chart) == ["highest: K = 300, step 1: 0.800"]
    (whisker,) = [row for row in chart.rows if row.get("K") == 10 and row["line"] == "EOS, step 1"]
    assert (whisker["low"], whisker["high"]) == pytest.approx(
        (0.72 - 0.04 / 2**0.5, 0.72 + 0.04 / 2**0.5), abs=1e-5
    )
    said = texts(svg(chart))
    assert [text for text in said if text in {"10", "300"}] == ["10", "300"]
    assert {"EOS, step 1", "EOS, step 0.5", "Own classifier", "SMOTE"} <= set(said)
    assert "whiskers" in chart.subtitle
    dashes = re.findall(r'stroke-dasharray="([\d,]+)"', svg(chart).split("role-legend")[0])
    assert sorted(dashes) == ["2,3", "6,4"]


def test_networks_with_one_setting_are_shown_where_there_are_no_others() -> None:
    chart = draw(SCORES[SCORES["network"] == "asl"])
    assert "ASL" in texts(svg(chart))
    assert {row["network"] for row in chart.rows} == {"asl"}
    nothing = draw(SCORES[SCORES["head"] == "own"])
    assert "not run" in texts(svg(nothing))
    assert "not run" in texts(page(nothing))


def test_another_variant_is_a_line_of_its_own() -> None:
    more = score_frame([(0, "ce", "away", 0, 0.3)])
    chart = draw(pd.concat([SCORES, more]))
    assert points(chart, "EOS, step 1, away") == [(10, 0.3)]
    assert "EOS, step 1, away" in texts(svg(chart))


def test_without_scores_there_is_nothing_to_compare_with() -> None:
    chart = settings_chart(settings_data(SCORES, "digits", ["ce"], SETTINGS))
    assert not [row for row in chart.rows if "K" not in row]
    assert "SMOTE" not in texts(svg(chart))
