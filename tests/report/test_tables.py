"""Tables: numbers against hand-computed ones."""

import math
from typing import Any

import pandas as pd
import pytest

from eos.errors import InputError
from eos.report.tables import observations, run_rows, summary, table1, table2, table3, table4, table5
from tests.report.table_frames import balanced_frame, example_scores, score_frame


@pytest.fixture
def scores() -> pd.DataFrame:
    return example_scores()


def cell(table: pd.DataFrame, network: str, head: str) -> dict[Any, Any]:
    (row,) = table[(table["network"] == network) & (table["head"] == head)].to_dict("records")
    return row


def cells(table: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return list(table[list(names)].itertuples(index=False, name=None))


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


def test_cells_follow_the_order_asked_for_and_missing_ones_say_so(scores: pd.DataFrame) -> None:
    table = table2(scores, ["ldam", "ce"], ["eos", "own"])
    assert cells(table, "network", "head", "status") == [
        ("ldam", "eos", "not run"),
        ("ldam", "own", "run"),
        ("ce", "eos", "run"),
        ("ce", "own", "run"),
    ]
    missing = cell(table, "ldam", "eos")
    assert all(math.isnan(missing[name]) for name in ("BAC", "BAC_sd", "GM", "GM_sd", "FM", "FM_sd"))
    run = run_rows(table)
    assert cells(run, "network", "head") == [("ldam", "own"), ("ce", "eos"), ("ce", "own")]
    assert "status" not in run


def test_heads_not_asked_for_are_left_out(scores: pd.DataFrame) -> None:
    assert set(table2(scores, ["ce"], ["own", "eos"])["head"]) == {"own", "eos"}


def test_an_observation_twice_is_refused(scores: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="dataset digits, cut 0, network ce, head own, seed 0"):
        table2(pd.concat([scores, scores.iloc[:1]]), ["ce"], ["own"])


def test_mixed_selection_rules_are_refused(scores: pd.DataFrame) -> None:
    more = score_frame([(0, "ce", "none", 0, 0.7)], selection="test")
    with pytest.raises(InputError, match="last, test are mixed"):
        table2(pd.concat([scores, more]), ["ce"], ["own"])


def test_table4_has_the_neighbours_asked_for() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.7), (0, "ce", "eos_k300", 0, 0.8), (0, "asl", "eos", 0, 0.9)])
    table = table4(scores, ["ce"], {"eos": 10, "eos_k50": 50, "eos_k300": 300})
    assert list(table["k_neighbors"]) == [10, 50, 300]
    assert list(table["status"]) == ["run", "not run", "run"]
    assert list(table["BAC"].dropna()) == [0.7, 0.8]


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
        "digits": {
            "own": pytest.approx(0.65),
            "eos": pytest.approx((0.85 + 0.75) / 2),
            "gap_own": pytest.approx((2.0 + 5.0) / 2),
            "gap_eos": pytest.approx((0.5 + 1.5) / 2),
        }
    }
    before = score_frame([(0, "ce", "own", 0, 0.5)], dataset="svhn")  # data sets stay in their order
    both = summary(pd.concat([before, scores]), classes, {"digits": 3})
    assert both["digits"].pop("claims") == 3
    assert list(both.items()) == [("svhn", {"own": 0.5}), *numbers.items()]


def test_table1_has_pixels_then_remix_then_heads() -> None:
    scores = score_frame(
        [
            (0, "ce", "own", 0, 0.5),
            (0, "ce", "smote", 0, 0.7),
            (0, "ce", "smote", 1, 0.8),
            (0, "remix", "own", 0, 0.6),
            (0, "asl", "smote", 0, 0.9),
        ]
    )
    balanced = balanced_frame([(0, "smote", "ce", 0.4), (0, "smote", "asl", 0.3)])
    table = table1(
        scores, balanced, network="ce", pixel_samplers=["smote", "eos"], remix="remix", heads=["own", "smote"]
    )
    assert cells(table, "network", "space", "method", "status", "n") == [
        ("ce", "pixel", "smote", "run", 1),
        ("ce", "pixel", "eos", "not run", 0),
        ("remix", "pixel", "own", "run", 1),
        ("ce", "none", "own", "run", 1),
        ("ce", "embedding", "smote", "run", 2),
    ]
    assert table["BAC"].tolist() == pytest.approx([0.4, math.nan, 0.6, 0.5, 0.75], nan_ok=True)
    assert table["BAC_sd"].tolist()[-1] == pytest.approx(math.sqrt(2 * 0.05**2))
    without = table1(scores, balanced, network="ce", pixel_samplers=["smote"], remix=None, heads=["own"])
    assert cells(without, "network", "space") == [("ce", "pixel"), ("ce", "none")]


def test_tables_of_balanced_images_leave_out_datasets_that_have_none() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.5)])
    more = score_frame([(0, "ce", "eos", 0, 0.6)], dataset="svhn")
    arguments = pd.concat([scores, more]), balanced_frame([(0, "gamo", "ce", 0.4), (0, "smote", "ce", 0.3)])
    three = table3(*arguments, networks=["ce"], generators=["gamo"], head="eos")
    assert cells(three, "dataset", "method") == [("digits", "gamo"), ("digits", "eos")]
    samplers: dict[str, Any] = {"pixel_samplers": ["smote"], "heads": ["eos"]}
    one = table1(*arguments, network="ce", remix="remix", **samplers)
    assert set(one["dataset"]) == {"digits"}
    assert len(table3(scores, balanced_frame([]), networks=["ce"], generators=["gamo"], head="eos")) == 0


def test_table3_has_the_generators_then_the_head_of_each_network() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.5), (0, "asl", "eos", 0, 0.6)])
    balanced = balanced_frame([(0, "gamo", "asl", 0.1), (10, "gamo", "asl", 0.3), (0, "smote", "ce", 0.9)])
    table = table3(scores, balanced, networks=["ce", "asl"], generators=["gamo"], head="eos")
    assert cells(table, "network", "space", "method", "cuts") == [
        ("ce", "pixel", "gamo", 0),
        ("ce", "embedding", "eos", 1),
        ("asl", "pixel", "gamo", 2),
        ("asl", "embedding", "eos", 1),
    ]
    assert table["FM"].tolist() == pytest.approx([math.nan, 0.4, 0.1, 0.5], nan_ok=True)


def test_a_dataset_that_only_has_balanced_images_has_its_rows() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.5)])
    balanced = balanced_frame([(0, "gamo", "ce", 0.1)], dataset="svhn")
    table = table3(scores, balanced, networks=["ce"], generators=["gamo"], head="eos")
    assert cells(table, "dataset", "method", "status") == [
        ("svhn", "gamo", "run"),
        ("svhn", "eos", "not run"),
    ]


def test_table5_has_each_head_of_each_architecture() -> None:
    scores = score_frame([(0, "densenet", "own", 0, 0.5), (0, "densenet", "eos", 0, 0.6)])
    table = table5(scores, networks=["resnet56", "densenet"], heads=["own", "eos"])
    assert cells(table, "network", "space", "method", "status") == [
        ("resnet56", "none", "own", "not run"),
        ("resnet56", "embedding", "eos", "not run"),
        ("densenet", "none", "own", "run"),
        ("densenet", "embedding", "eos", "run"),
    ]


def test_selection_rules_may_not_differ_between_heads_and_balanced_images() -> None:
    scores, balanced = score_frame([(0, "ce", "own", 0, 0.7)]), balanced_frame([(0, "gamo", "ce", 0.7)])
    with pytest.raises(InputError, match="scores and balanced: selection rules last, test are mixed"):
        observations(scores, balanced.assign(selection="test"))


def test_a_network_on_balanced_images_twice_is_refused() -> None:
    balanced = balanced_frame([(0, "gamo", "ce", 0.7), (0, "gamo", "ce", 0.7)])
    with pytest.raises(InputError, match=r"balanced: .*sampler gamo, network ce, seed 0. is there twice"):
        observations(score_frame([]), balanced)
