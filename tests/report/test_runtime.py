"""Run times: sums and ratios against numbers added up by hand."""

from collections.abc import Sequence

import pandas as pd
import pytest

from eos.errors import InputError
from eos.report.runtime import PHASES, markdown_runtime, runtime

NAN = float("nan")
COLUMNS = ["phase", "sampler", "network", "seconds", "epochs", "rows", "parameters"]

# Embeddings take 20 + 2 + 1 + 2 = 25 seconds, SMOTE on pixels 5 + 70 = 75, the generator 90 + 35 = 125.
PLAIN = [
    ("train", "", "ce", 20.0, 10, 400, 1000),
    ("extract", "", "ce", 2.0, NAN, NAN, NAN),
    ("oversample", "eos", "ce", 1.0, NAN, NAN, NAN),
    ("retrain", "eos", "ce", 2.0, 5, 1200, 50),
]
SMOTE = [
    ("augment", "smote", "", 5.0, NAN, NAN, NAN),
    ("train", "smote", "ce", 70.0, 10, 1200, 1000),
]
GENERATOR = [
    ("generate", "cgan", "", 90.0, 500, 400, 7000),
    ("train", "cgan", "ce", 35.0, 10, 1200, 1000),
]


def frame(
    rows: Sequence[tuple[object, ...]], *, dataset: str = "d", cut: int = 0, scale: float = 1
) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=COLUMNS)
    return made.assign(dataset=dataset, cut=cut, seconds=made["seconds"] * scale)


def lines(measured: pd.DataFrame, pixel: tuple[str, ...] = ("smote",)) -> pd.DataFrame:
    return runtime(measured, "ce", pixel=pixel, generators=["cgan"], head="eos").set_index("way")


def test_the_seconds_of_every_way_add_up() -> None:
    table = lines(frame([*PLAIN, *SMOTE, *GENERATOR]))
    assert list(table.index) == ["pixel SMOTE + training", "CGAN + training", "training + EOS + head"]
    assert list(table["total"]) == [75, 125, 25]
    assert list(table["ratio"]) == [3, 5, 1]
    assert list(table["cuts"]) == [1, 1, 1]
    seconds = table[list(PHASES)].fillna(0).to_numpy().tolist()
    assert seconds == [[5, 0, 70, 0, 0, 0], [0, 90, 35, 0, 0, 0], [0, 0, 20, 2, 1, 2]]


def test_sizes_are_those_of_the_network_and_of_the_other_model() -> None:
    table = lines(frame([*PLAIN, *SMOTE, *GENERATOR]))
    assert table[["epochs", "rows", "parameters"]].to_numpy().tolist() == [
        [10, 1200, 1000],
        [10, 1200, 1000],
        [10, 400, 1000],
    ]
    other = table[["other_epochs", "other_rows", "other_parameters"]]
    assert other.iloc[0].isna().all()
    assert other.iloc[1:].to_numpy().tolist() == [[500, 400, 7000], [5, 1200, 50]]


def test_cuts_are_averaged_where_a_way_was_measured_whole() -> None:
    """Of cut 2 only the training is there, so it does not count for SMOTE."""
    alone = frame(SMOTE[1:], cut=2, scale=100)
    measured = pd.concat([frame([*PLAIN, *SMOTE]), frame([*PLAIN, *SMOTE], cut=1, scale=3), alone])
    table = lines(measured)
    assert list(table["total"].dropna()) == [150, 50]
    assert table.at["pixel SMOTE + training", "train"] == 140
    assert list(table["cuts"]) == [2, 0, 2]


def test_what_was_not_measured_has_no_total() -> None:
    unmeasured = [*PLAIN[:1], ("extract", "", "ce", NAN, NAN, NAN, NAN), *PLAIN[2:], *SMOTE[1:]]
    table = lines(frame(unmeasured), ("smote", "bsmote"))
    assert table["total"].isna().all()
    assert table["ratio"].isna().all()
    assert table.at["training + EOS + head", "train"] == 20
    assert table.at["pixel SMOTE + training", "train"] == 70
    assert table.at["pixel SMOTE + training", "rows"] == 1200
    assert not table["cuts"].any()


def test_other_networks_do_not_count_and_empty_names_may_be_missing() -> None:
    other = [(*row[:2], "ldam", 1000.0, *row[4:]) for row in PLAIN]
    measured = frame([*PLAIN, *other, *SMOTE])
    expected = lines(measured)
    assert expected.at["training + EOS + head", "total"] == 25
    missing = measured.assign(
        sampler=measured["sampler"].where(measured["sampler"] != ""),
        network=measured["network"].where(measured["network"] != ""),
    )
    pd.testing.assert_frame_equal(lines(missing), expected)
    plain_only = frame(PLAIN[:2]).assign(sampler=NAN)  # a column without any name
    assert lines(plain_only).at["training + EOS + head", "train"] == 20


def test_every_dataset_is_compared_with_its_own_embedding_way() -> None:
    measured = pd.concat([frame([*PLAIN, *SMOTE], dataset="e", scale=2), frame(PLAIN), frame(SMOTE, scale=3)])
    table = runtime(measured, "ce", pixel=["smote"], generators=[], head="eos")
    assert list(zip(table["dataset"], table["ratio"], strict=True)) == [
        ("e", 3),
        ("e", 1),
        ("d", 9),
        ("d", 1),
    ]


def test_bad_measurements() -> None:
    with pytest.raises(InputError, match="unknown phase 'trian'; did you mean 'train'"):
        lines(frame([("trian", "", "ce", 1.0, NAN, NAN, NAN)]))
    with pytest.raises(
        InputError, match=r"\(dataset d, cut 0, phase train, sampler \(empty\)\) is there twice"
    ):
        lines(frame([*PLAIN, PLAIN[0]]))
    with pytest.raises(InputError, match="phase augment, sampler smote"):  # shared, and the network's own
        lines(frame([*SMOTE, ("augment", "smote", "ce", 1.0, NAN, NAN, NAN)]))


def test_markdown_shows_totals_phases_and_why() -> None:
    table = runtime(
        frame([*PLAIN, *SMOTE, *GENERATOR]), "ce", pixel=["smote", "bsmote"], generators=["cgan"], head="eos"
    )
    text = markdown_runtime(table)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["pixel SMOTE + training", "1", "75.0", "3.00"] in cells
    assert ["pixel Borderline-SMOTE + training", "0", "not measured", "not measured"] in cells
    assert ["training + EOS + head", "1", "25.0", "1.00"] in cells
    assert ["EOS", "train", "20.0", "400", "10", "1,000"] in cells
    assert ["", "retrain", "2.00", "1,200", "5", "50"] in cells
    assert ["CGAN", "generate", "90.0", "400", "500", "7,000"] in cells
    words = " ".join(text.split())
    assert "1,200 x 10 rows x epochs of balanced images, against 400 x 10 of imbalanced ones" in words
    assert "makes a ratio of 3.00 before" in words
    assert max(map(len, text.splitlines())) <= 98


def test_markdown_gives_the_range_of_unequal_trainings() -> None:
    longer = [("train", "cgan", "ce", 35.0, 20, 1400, 1000)]
    measured = frame([*PLAIN, *SMOTE, *longer])
    words = " ".join(
        markdown_runtime(runtime(measured, "ce", pixel=["smote"], generators=["cgan"], head="eos")).split()
    )
    assert "on 1,200 x 10 to 1,400 x 20 rows x epochs" in words
    assert "a ratio of 3.00 to 7.00 before" in words


def test_markdown_of_nothing() -> None:
    none = runtime(frame([]), "ce", pixel=["smote"], generators=[], head="eos")
    assert markdown_runtime(none).endswith("Nothing was measured.\n")
    unmeasured = runtime(
        frame([("train", "", "ce", NAN, NAN, NAN, NAN)]),
        "ce",
        pixel=["smote"],
        generators=[],
        head="eos",
    )
    assert "rows x epochs" not in markdown_runtime(unmeasured)
