"""The figure of methods: ranks with bars, or differences with intervals."""

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from eos.report.charts import Chart, methods_chart, methods_data
from eos.report.methods import Comparison, block_ranks, compare, differences_to_best, rank_test
from tests.report.methods_frames import blocks_of, compared, made
from tests.report.test_charts import notes, page, svg, texts

HEADS = {"own": (0.5, None), "ncm": (0.6, None), "smote": (0.7, None), "eos": (0.8, None)}


def draw(comparison: Comparison) -> Chart:
    return methods_chart(methods_data(comparison), comparison.titles, block_ranks(comparison))


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
    comparison = compared(blocks_of(HEADS, 12))
    chart = draw(comparison)
    names = ["00 EOS", "01 SMOTE", "02 Class means", "03 Own classifier"]
    assert [(row["at"], row["rank"]) for row in chart.rows if "rank" in row] == list(
        zip(names, [1, 2, 3, 4], strict=True)
    )
    spans = [(row["from"], row["to"]) for row in chart.rows if "bar" in row]
    assert spans == list(pairwise(names))
    strokes = [row["stroke"] for row in chart.rows if row.get("at") == names[0] and "stroke" in row]
    assert strokes == block_ranks(comparison)["eos"].tolist()
    said = texts(svg(chart))
    assert [text for text in said if text in {name[3:] for name in names}] == [name[3:] for name in names]
    assert {"1.0", "2.0", "3.0", "4.0"} <= set(said)
    bars = [float(x) for x in re.findall(r'translate\(([\d.]+),[^>]*?stroke-width="2.6"', svg(chart))]
    assert len(bars) == 3
    assert bars == sorted(set(bars))  # side by side
    assert min(bars) > chart.size[0]
    assert "orange" in chart.caption
    assert texts(page(chart))


def test_heads_that_are_told_apart_from_the_first_have_another_colour() -> None:
    chart = draw(compared(blocks_of(HEADS, 12)))
    assert [row["apart"] for row in chart.rows if "rank" in row] == [False, False, True, True]
    points = re.findall(r'fill="(#\w+)"[^>]*stroke="#ffffff"', svg(chart))
    assert points == ["#d55e00", "#d55e00", "#5a87a3", "#5a87a3"]


def test_few_blocks_have_differences_by_data_set() -> None:
    comparison = compared({**blocks_of(HEADS, 2), **blocks_of(HEADS, 1, "other")})
    data = methods_data(comparison)
    assert list(data["dataset"]) == ["digits"] * 4 + ["other"] * 4
    expected = differences_to_best(comparison, "other")
    np.testing.assert_array_equal(data.loc[4:, ["low", "high"]], expected[["low", "high"]])
    assert data[["mean_rank", "critical_difference", "bars"]].isna().all(axis=None)


def test_the_differences_are_drawn_with_their_intervals() -> None:
    comparison = compared({**blocks_of(HEADS, 2), **blocks_of(HEADS, 1, "other")})
    chart, data = draw(comparison), methods_data(comparison)
    for dataset in ("digits", "other"):
        rows = [row for row in chart.rows if row["dataset"] == dataset]
        expected = data[data["dataset"] == dataset]
        found = [[row[name] for name in ("difference", "low", "high")] for row in rows]
        np.testing.assert_allclose(found, expected[["difference", "low", "high"]], atol=1e-6)
        assert [row["at"][3:] for row in rows] == ["EOS", "SMOTE", "Class means", "Own classifier"]
    assert notes(chart)[0] == "best: 0.800, over 2 blocks"
    said = texts(svg(chart))
    assert {"Digits", "other", "Own classifier", "best: 0.800, over 2 blocks"} <= set(said)


@pytest.mark.parametrize("networks", [2, 12])
def test_titles_that_are_equal_when_shortened_stay_apart(networks: int) -> None:
    heads: dict[str, Any] = {f"h{place}": (0.4 + 0.015 * place, None) for place in range(30)}
    arguments = made(blocks_of(heads, networks), n=200)
    arguments["heads"] = {head: f"a long title {head} of which the middle is lost in all" for head in heads}
    chart = draw(compare(**arguments))
    assert len({row["at"] for row in chart.rows if "at" in row}) == 30
    said = texts(svg(chart))
    assert len([text for text in said if "…" in text]) == 30


def test_nothing_run_is_said() -> None:
    arguments = made(blocks_of(HEADS, 1))
    nothing = compare(**{**arguments, "scores": arguments["scores"].iloc[:0]})
    assert methods_data(nothing).empty
    assert "not run" in texts(svg(draw(nothing)))
    assert "not run" in texts(page(draw(nothing)))
