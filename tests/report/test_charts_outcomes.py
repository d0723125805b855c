"""Figure 4: means over the classes that have both gaps, and what the bars say."""

from typing import Any

import pandas as pd
import pytest

from eos.report.charts import Chart, figure4, figure4_data
from tests.report.test_charts import page, svg, texts

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


def draw(frame: pd.DataFrame, datasets: list[str], networks: list[str] = NETWORKS) -> Chart:
    return figure4(figure4_data(frame, datasets, networks))


def column(chart: Chart, name: str, outcome: str) -> list[Any]:
    return [row.get(name) for row in chart.rows if row["outcome"] == outcome]


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
    chart = draw(gap_frame(d=ONE_CUT), ["d"])
    assert column(chart, "gap", "true_positive_gap") == [2, 3]
    assert column(chart, "gap", "false_positive_gap") == [6, 3]
    assert column(chart, "said", "true_positive_gap") == ["3.0x", "1.0x"]
    assert column(chart, "top", "true_positive_gap") == [6, 3]
    said = texts(svg(chart))
    assert {"3.0x", "1.0x", "CE", "2 of 3", "LDAM", "3 of 3"} <= set(said)
    assert "whiskers" not in chart.subtitle
    assert not any("low" in row for row in chart.rows)


def test_whiskers_reach_from_the_lowest_to_the_highest_cut() -> None:
    three = {**TWO_CUTS, (2, "ce"): ([2.0, 2.0, 2.0], [6.0, 6.0, 6.0])}  # the mean is not in the middle
    chart = draw(gap_frame(d=three), ["d"], ["ce"])
    ends = [
        [column(chart, end, name)[0] for end in ("low", "high")]
        for name in ("true_positive_gap", "false_positive_gap")
    ]
    assert ends == [[2, 3], [6, 10]]
    assert "whiskers: lowest to highest cut" in chart.subtitle
    assert "2-3 of 3" in texts(svg(chart))
    one, several = (svg(draw(gap_frame(d=cuts), ["d"], ["ce"])) for cuts in (ONE_CUT, three))
    assert several.count("mark-rule role-mark") > one.count("mark-rule role-mark")


def test_what_was_not_run_is_left_out() -> None:
    chart = draw(gap_frame(d=ONE_CUT), ["d", "digits"], ["ce", "focal", "ldam"])
    said = texts(svg(chart))
    assert "d" in said
    assert not {"Digits", "Focal"} & set(said)
    nothing = draw(gap_frame(d=ONE_CUT), ["elsewhere"])
    assert "not run" in texts(svg(nothing))
    assert "not run" in texts(page(nothing))


def test_every_dataset_has_a_panel_and_a_page_one_by_choice() -> None:
    chart = draw(gap_frame(d=ONE_CUT, e={(0, "ce"): ([1.0], [5.0])}), ["d", "e"])
    assert {"d", "e", "3.0x", "5.0x"} <= set(texts(svg(chart)))
    assert {"3.0x", "5.0x"} & set(texts(page(chart, dataset="e"))) == {"5.0x"}


def test_a_network_without_errors_has_nothing_to_compare() -> None:
    frame = gap_frame(d={(0, "ce"): ([1.0, 2.0], [NAN, NAN]), (0, "ldam"): ([0.0, 0.0], [1.0, 1.0])})
    data = figure4_data(frame, ["d"], NETWORKS)
    assert data["ratio"].isna().all()  # nothing, and a division by zero
    assert list(data["cuts"]) == [0, 1]
    said = texts(svg(figure4(data)))
    assert said.count("no class has both") == 1
    assert not [text for text in said if text.endswith("x")]
