"""Tables: numbers against hand-computed ones, the layout against its text."""

import math
from typing import Any

import pandas as pd
import pytest

from eos.errors import InputError
from eos.tables import markdown2, markdown4, summary, table2, table4

SCORES = ["dataset", "cut", "network", "head", "seed", "selection", "BAC", "GM", "FM"]
NOTES = ["dataset", "cut", "network", "head", "note"]


def score_frame(
    values: list[tuple[int, str, str, int, float]], *, dataset: str = "digits", selection: str = "last"
) -> pd.DataFrame:
    """One row per (cut, network, head, seed, BAC); GM and FM are BAC + .1 and BAC - .1."""
    rows = [(dataset, c, n, h, s, selection, b, b + 0.1, b - 0.1) for c, n, h, s, b in values]
    return pd.DataFrame(rows, columns=SCORES)


@pytest.fixture
def scores() -> pd.DataFrame:
    return score_frame(
        [
            (0, "ce", "own", 0, 0.70),
            (10, "ce", "own", 0, 0.74),
            (0, "ce", "smote", 0, 0.71),
            (0, "ce", "smote", 1, 0.73),
            (10, "ce", "smote", 0, 0.75),
            (10, "ce", "smote", 1, 0.81),
            (0, "ce", "eos", 0, 0.90),
            (0, "ldam", "own", 0, 0.50),
        ]
    )


def cell(table: pd.DataFrame, network: str, head: str) -> dict[Any, Any]:
    (row,) = table[(table["network"] == network) & (table["head"] == head)].to_dict("records")
    return row


def lines_of(text: str) -> list[list[str]]:
    return [
        [part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]


def test_means_and_deviations_are_over_all_cuts_and_seeds(scores: pd.DataFrame) -> None:
    row = cell(table2(scores, ["ce"], ["smote"]), "ce", "smote")
    values = [0.71, 0.73, 0.75, 0.81]
    mean = sum(values) / 4
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 3)
    assert row["BAC"] == pytest.approx(mean)
    assert row["GM"] == pytest.approx(mean + 0.1)
    assert row["FM"] == pytest.approx(mean - 0.1)
    assert [row[f"{m}_sd"] for m in ("BAC", "GM", "FM")] == pytest.approx([deviation] * 3)
    assert (row["n"], row["cuts"], row["seeds"], row["selection"]) == (4, 2, 2, "last")


def test_one_observation_has_no_deviation(scores: pd.DataFrame) -> None:
    row = cell(table2(scores, ["ce"], ["eos"]), "ce", "eos")
    assert row["BAC"] == 0.90
    assert math.isnan(row["BAC_sd"])
    assert lines_of(markdown2(table2(scores, ["ce"], ["eos"])))[-1][2] == "**.9000**"


def test_cells_follow_the_order_asked_for_and_missing_ones_say_so(scores: pd.DataFrame) -> None:
    table = table2(scores, ["ldam", "ce"], ["eos", "own"])
    cells = list(zip(table["network"], table["head"], table["status"], strict=True))
    assert cells == [
        ("ldam", "eos", "not run"),
        ("ldam", "own", "run"),
        ("ce", "eos", "run"),
        ("ce", "own", "run"),
    ]
    missing = cell(table, "ldam", "eos")
    assert all(math.isnan(missing[name]) for name in ("BAC", "BAC_sd", "GM", "GM_sd", "FM", "FM_sd"))
    assert table.to_csv(index=False).splitlines()[1] == "digits,ldam,eos,not run,,0,0,0,,,,,,"


def test_heads_not_asked_for_are_left_out(scores: pd.DataFrame) -> None:
    assert set(table2(scores, ["ce"], ["own", "eos"])["head"]) == {"own", "eos"}


def test_markdown_shows_points_bolds_the_best_of_each_loss_and_names_missing_cells(
    scores: pd.DataFrame,
) -> None:
    rows = lines_of(markdown2(table2(scores, ["ce", "ldam"], ["own", "smote", "eos"])))
    assert rows[0] == ["Loss", "Head", "BAC", "GM", "FM"]
    assert rows[2:] == [
        ["CE", "Own classifier", ".7200 ± .0283", ".8200 ± .0283", ".6200 ± .0283"],
        ["", "SMOTE", ".7500 ± .0432", ".8500 ± .0432", ".6500 ± .0432"],
        ["", "EOS [1]", "**.9000**", "1.0000", ".8000"],
        ["LDAM", "Own classifier [1]", "**.5000**", ".6000", ".4000"],
        ["", "SMOTE", "not run", "not run", "not run"],
        ["", "EOS", "not run", "not run", "not run"],
    ]


def test_equal_as_printed_is_equally_bold() -> None:
    scores = score_frame(
        [(0, "ce", "own", 0, 0.70001), (0, "ce", "eos", 0, 0.70004), (0, "ce", "none", 0, 0.6)]
    )
    text = markdown2(table2(scores, ["ce"], ["own", "none", "eos"]))
    assert [row[2] for row in lines_of(text)[2:]] == ["**.7000**", ".6000", "**.7000**"]


def test_markdown_fits_a_terminal_and_lines_up(scores: pd.DataFrame) -> None:
    notes = pd.DataFrame([("digits", 0, "ce", "smote", "A sentence of some length. " * 9)], columns=NOTES)
    text = markdown2(table2(scores, ["ce", "ldam"], ["own", "none", "bsmote", "smote", "eos"]), notes)
    grid = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in grid}) == 1
    assert max(len(line) for line in text.splitlines()) <= 100
    # The digits of bold and plain cells stand under each other.
    assert len({line.index(".") for line in grid if "." in line}) == 1


def test_markdown_says_what_the_spread_is_over(scores: pd.DataFrame) -> None:
    text = " ".join(markdown2(table2(scores, ["ce"], ["own", "smote"])).split())
    assert "Over 2 cuts x 2 head seeds: mean ± standard deviation of the 4 runs." in text
    assert "Own classifier: one run per cut." in text
    one = " ".join(markdown2(table2(scores[scores["cut"] == 0], ["ce"], ["own", "smote"])).split())
    assert "Over 1 cut x 2 head seeds" in one
    assert "Own classifier: one run per cut, so no ±." in one


@pytest.mark.parametrize(("rule", "words"), [("last", "last epoch"), ("test", "optimistic")])
def test_markdown_names_the_selection_rule(rule: str, words: str) -> None:
    scores = score_frame([(0, "ce", "own", 0, 0.7)], selection=rule)
    header = markdown2(table2(scores, ["ce"], ["own"])).splitlines()[2]
    assert f"`{rule}`" in header
    assert words in header


def test_notes_become_numbered_footnotes_of_their_cells(scores: pd.DataFrame) -> None:
    notes = pd.DataFrame(
        [
            ("digits", 0, "ce", "smote", "Class 3 was copied."),
            ("digits", 10, "ce", "smote", "Class 3 was copied."),
            ("digits", 10, "ce", "own", "Stopped early."),
            ("digits", 0, "ce", "random", "Not in this table."),
            ("svhn", 0, "ce", "own", "Another data set."),
        ],
        columns=NOTES,
    )
    text = markdown2(table2(scores, ["ce"], ["own", "smote"]), notes)
    marks = {row[1].rpartition(" ")[0]: row[1].rpartition(" ")[2] for row in lines_of(text)[2:]}
    assert f"- {marks['SMOTE']} Class 3 was copied.\n" in text  # on every cut: no cut is named
    assert f"- {marks['Own classifier']} Stopped early. (cut 10)\n" in text
    assert "Not in this table" not in text
    assert "Another data set" not in text


def test_a_cell_that_lacks_a_cut_says_so(scores: pd.DataFrame) -> None:
    text = markdown2(table2(scores, ["ce"], ["smote", "eos"]))
    assert "EOS [1]" in text
    assert "- [1] Run on 1 of 2 cuts only." in text


def test_every_dataset_has_its_block(scores: pd.DataFrame) -> None:
    both = pd.concat([scores, score_frame([(0, "ce", "eos", 0, 0.4)], dataset="cifar10")])
    text = markdown2(table2(both, ["ce"], ["eos"]))
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Digits", "## CIFAR-10"]
    assert text.count("**") == 4


def test_names_without_a_title_stand_for_themselves() -> None:
    scores = score_frame([(0, "my_net", "my_head", 0, 0.4)], dataset="my_data")
    text = markdown2(table2(scores, ["my_net"], ["my_head"]))
    assert "## my_data" in text
    assert "| my_net | my_head |" in text


def test_no_scores_make_a_table_that_says_so(scores: pd.DataFrame) -> None:
    assert "No cell was run." in markdown2(table2(scores.iloc[:0], ["ce"], ["eos"]))


def test_an_observation_twice_is_refused(scores: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="dataset digits, cut 0, network ce, head own, seed 0"):
        table2(pd.concat([scores, scores.iloc[:1]]), ["ce"], ["own"])


def test_mixed_selection_rules_are_refused(scores: pd.DataFrame) -> None:
    more = score_frame([(0, "ce", "none", 0, 0.7)], selection="test")
    with pytest.raises(InputError, match="last, test are mixed"):
        table2(pd.concat([scores, more]), ["ce"], ["own"])


def test_table4_has_the_neighbours_asked_for() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.7), (0, "ce", "eos_k300", 0, 0.8), (0, "asl", "eos", 0, 0.9)])
    neighbors = {"eos": 10, "eos_k50": 50, "eos_k300": 300}
    table = table4(scores, "ce", neighbors)
    assert list(table["k_neighbors"]) == [10, 50, 300]
    assert list(table["status"]) == ["run", "not run", "run"]
    assert list(table["BAC"].dropna()) == [0.7, 0.8]
    rows = lines_of(markdown4(table))
    assert rows[0] == ["K", "BAC", "GM", "FM"]
    assert rows[2:] == [
        ["10", ".7000", ".8000", ".6000"],
        ["50", "not run", "not run", "not run"],
        ["300", "**.8000**", ".9000", ".7000"],
    ]


def test_table4_notes_are_footnotes() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.7)])
    notes = pd.DataFrame([("digits", 0, "ce", "eos", "K clipped to 7.")], columns=NOTES)
    text = markdown4(table4(scores, "ce", {"eos": 10}), notes)
    assert "| 10 [1] |" in text
    assert text.endswith("- [1] K clipped to 7.\n")


def test_summary_averages_over_networks_cuts_seeds_and_classes() -> None:
    scores = score_frame(
        [
            (0, "ce", "own", 0, 0.70),
            (0, "ce", "eos", 0, 0.80),
            (0, "ce", "eos", 1, 0.90),
            (0, "asl", "own", 0, 0.60),
            (0, "asl", "eos", 0, 0.75),
            (0, "extra", "own", 0, 0.10),  # has no EOS head: would make the two means differ in kind
        ]
    )
    gaps = [
        ("ce", "own", 0, 1.0), ("ce", "own", 1, 3.0), ("asl", "own", 0, 5.0), ("asl", "own", 1, 5.0),
        ("ce", "eos", 0, 0.5), ("ce", "eos", 1, 0.5), ("asl", "eos", 0, 1.0), ("asl", "eos", 1, 2.0),
    ]  # fmt: skip
    classes = pd.DataFrame(
        [("digits", 0, *gap) for gap in gaps], columns=["dataset", "cut", "network", "head", "class", "gap"]
    )
    numbers = summary(scores, classes)
    assert numbers == {
        "digits_BAC_own": pytest.approx(0.65),
        "digits_BAC_eos": pytest.approx((0.85 + 0.75) / 2),
        "digits_gap_own": pytest.approx((2.0 + 5.0) / 2),
        "digits_gap_eos": pytest.approx((0.5 + 1.5) / 2),
        "digits_cells": 5,
    }
    assert list(numbers)[-1] == "digits_cells"


def test_settings_stand_above_table2_and_beside_each_k_of_table4() -> None:
    scores = score_frame([(0, "ce", "smote", 0, 0.7), (0, "ce", "eos", 0, 0.8)])
    settings = {"eos": "K = 10, toward, step size 1", "eos_k50": "not in this table"}
    text = markdown2(table2(scores, ["ce"], ["smote", "eos"]), settings=settings)
    assert "\n\nEOS: K = 10, toward, step size 1.\n\n" in text
    assert "not in this table" not in text
    rows = lines_of(markdown4(table4(scores, "ce", {"eos": 10}), settings={"eos": "away, step size 0.5"}))
    assert rows[0][:2] == ["K", "Settings"]
    assert rows[2][:2] == ["10", "away, step size 0.5"]


def test_notes_that_differ_in_their_classes_only_are_one_footnote() -> None:
    scores = score_frame([(0, "ce", "bsmote", 0, 0.7), (0, "asl", "bsmote", 0, 0.8)])
    rows = [
        ("digits", 0, network, "bsmote", f"filled by SMOTE, because so: {classes}")
        for network, classes in (("ce", "classes 1, 2"), ("asl", "class 3"))
    ]
    text = markdown2(table2(scores, ["ce", "asl"], ["bsmote"]), pd.DataFrame(rows, columns=NOTES))
    assert text.count("Borderline-SMOTE [1]") == 2
    assert text.endswith("- [1] filled by SMOTE, because so (some classes)\n")
