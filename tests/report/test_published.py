"""The paper's numbers: a few against the page, the whole against what they say of each other."""

import math

import pandas as pd
import pytest

from eos.errors import InputError
from eos.report.published import published, with_published
from eos.report.tables import table1, table2, table3, table4, table5
from tests.report.table_frames import balanced_frame, score_frame

NUMBERS = ["BAC", "GM", "FM"]


def paper(table: str, dataset: str, network: str, space: str, method: str, *, k: int = 10) -> list[float]:
    rows = published()
    cell = (rows["table"] == table) & (rows["dataset"] == dataset) & (rows["network"] == network)
    cell &= (rows["space"] == space) & (rows["method"] == method)
    cell &= rows["k_neighbors"].fillna(10) == k
    ((*values,),) = rows.loc[cell, NUMBERS].to_numpy().tolist()
    return values


def test_figures_of_each_table() -> None:
    assert paper("I", "svhn", "ce", "pixel", "smote") == [0.8539, 0.9224, 0.8638]
    assert paper("I", "celeba", "remix", "pixel", "own") == [0.7286, 0.8241, 0.7233]
    assert paper("II", "cifar10", "ce", "none", "own") == [0.7256, 0.8387, 0.7246]
    assert paper("II", "cifar100", "ldam", "embedding", "eos") == [0.5732, 0.7555, 0.5624]
    assert paper("III", "celeba", "asl", "pixel", "cgan") == [0.7019, 0.7922, 0.7281]
    assert paper("IV", "svhn", "ce", "embedding", "eos", k=300) == [0.9103, 0.9500, 0.9098]
    assert paper("V", "cifar10", "densenet", "embedding", "eos") == [0.7820, 0.8735, 0.7817]
    assert paper("V-E3", "cifar10", "ce", "pixel", "eos") == [0.6881, 0.8150, 0.6889]


def test_no_cell_is_missing_or_there_twice() -> None:
    rows = published()
    counts = {"I": 4 * 7, "II": 4 * 4 * 5, "III": 4 * 4 * 4, "IV": 4 * 5, "V": 6, "V-E3": 1}
    assert rows["table"].value_counts().to_dict() == counts
    assert not rows.duplicated(["table", "dataset", "network", "space", "method", "k_neighbors"]).any()
    assert rows[NUMBERS].gt(0.5).all(axis=None)
    assert rows[NUMBERS].lt(1).all(axis=None)
    assert (rows["k_neighbors"].notna() == (rows["method"] == "eos")).all()


def test_a_cell_in_two_tables_has_one_balanced_accuracy() -> None:
    rows = published().fillna({"k_neighbors": 0})
    repeated = rows.groupby(["dataset", "network", "space", "method", "k_neighbors"])["BAC"]
    assert repeated.count().max() == 3
    assert (repeated.nunique() == 1).all()


def test_on_a_balanced_test_set_gm_follows_from_bac() -> None:
    """A slip in copying a number of these tables would break it; the module names the paper's own breaks."""
    rows = published()
    rows = rows[~rows["method"].isin(["gamo", "bagan", "cgan"]) & ~(rows["k_neighbors"] > 10)]
    rows = rows[(rows["table"] != "III") | (rows["dataset"] != "celeba") | (rows["network"] != "focal")]
    others = rows["dataset"].map({"cifar10": 9, "svhn": 9, "cifar100": 99, "celeba": 4})
    expected = (rows["BAC"] * (1 - (1 - rows["BAC"]) / others)) ** 0.5
    off = rows[(rows["GM"] - expected).abs() > 1.2e-4]
    assert off[["table", "dataset", "network", "method"]].to_numpy().tolist() == [
        ["I", "svhn", "ce", "smote"],
        ["II", "cifar10", "asl", "own"],
    ]


def test_ours_minus_theirs() -> None:
    scores = score_frame([(0, "ce", "own", 0, 0.70), (0, "ce", "random", 0, 0.8)], dataset="cifar10")
    wide = with_published(table2(scores, ["ce"], ["own", "random", "eos"]), 2)
    assert wide["paper_BAC"].tolist() == pytest.approx([0.7256, math.nan, 0.7581], nan_ok=True)
    assert wide["paper_GM"].tolist() == pytest.approx([0.8387, math.nan, 0.8589], nan_ok=True)
    differences = wide[[f"difference_{name}" for name in NUMBERS]]
    assert differences.iloc[0].tolist() == pytest.approx([-0.0256, -0.0387, -0.1246])
    assert differences.iloc[1:].isna().all(axis=None)


def test_every_cell_of_table2_is_found() -> None:
    names = ["cifar10", "svhn", "cifar100", "celeba"]
    scores = pd.concat([score_frame([(0, "ce", "own", 0, 0.7)], dataset=name) for name in names])
    table = table2(scores, ["ce", "asl", "focal", "ldam"], ["own", "smote", "bsmote", "balsvm", "eos"])
    found = with_published(table, 2)["paper_BAC"]
    rows = published()
    assert len(found) == 80
    assert sorted(found) == sorted(rows.loc[rows["table"] == "II", "BAC"])


def test_a_data_set_of_our_own_has_empty_cells() -> None:
    wide = with_published(table2(score_frame([(0, "ce", "own", 0, 0.7)]), ["ce"], ["own"]), 2)
    columns = [column for column in wide if column.startswith(("paper", "difference"))]
    assert len(columns) == 6
    assert wide[columns].isna().all(axis=None)


def test_nothing_else_of_the_table_changes() -> None:
    table = table2(score_frame([(0, "ce", "own", 0, 0.7)], dataset="svhn"), ["ce"], ["own"])
    before = table.copy()
    wide = with_published(table, 2)
    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(wide[list(table)], before)


def test_table4_matches_by_k_whatever_the_heads_are_called() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.9)], dataset="svhn")
    wide = with_published(table4(scores, ["ce"], {"eos": 300, "wide": 50, "odd": 77}), 4)
    assert wide["paper_BAC"].tolist() == pytest.approx([0.9103, 0.9024, math.nan], nan_ok=True)
    other = with_published(table4(scores, ["asl"], {"eos": 300}), 4)
    assert other["paper_BAC"].isna().all()


def test_table1_finds_remix_eos_on_pixels_and_the_heads_of_table2() -> None:
    scores = score_frame([(0, "remix", "own", 0, 0.7)], dataset="cifar10")
    table = table1(
        scores,
        balanced_frame([]),
        network="ce",
        pixel_samplers=["smote", "eos"],
        remix="remix",
        heads=["own", "smote", "eos"],
    )
    expected = [0.7293, 0.6881, 0.7331, 0.7256, 0.7390, 0.7581]
    assert with_published(table, 1)["paper_BAC"].tolist() == expected


def test_tables_3_and_5() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.7)], dataset="celeba")
    balanced = balanced_frame([(0, "gamo", "focal", 0.7)], dataset="celeba")
    third = table3(scores, balanced, networks=["focal"], generators=["gamo"], head="eos")
    assert with_published(third, 3)["paper_GM"].tolist() == [0.7753, 0.8742]
    scores = score_frame([(0, "ce", "eos", 0, 0.7)], dataset="cifar10")
    fifth = table5(scores, networks=["resnet56", "resnet20"], heads=["own", "eos"])
    values = with_published(fifth, 5)["paper_FM"].tolist()
    assert values == pytest.approx([0.7188, 0.7339, math.nan, math.nan], nan_ok=True)


def test_another_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown table 6; .*known: 1, 2, 3, 4, 5"):
        with_published(table2(score_frame([]), ["ce"], ["own"]), 6)
