"""The layout of tables against its text."""

import pandas as pd
import pytest

from eos.report.markdown import markdown1, markdown2, markdown3, markdown4, markdown5
from eos.report.published import with_published
from eos.report.tables import table1, table2, table3, table4, table5
from tests.report.table_frames import (
    NOTES,
    PIXEL_NOTES,
    balanced_frame,
    example_scores,
    lines_of,
    score_frame,
)


@pytest.fixture
def scores() -> pd.DataFrame:
    return example_scores()


def test_one_observation_has_no_deviation(scores: pd.DataFrame) -> None:
    assert lines_of(markdown2(table2(scores, ["ce"], ["eos"])))[-1][2] == "**.9000**"


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
    ]


def test_what_was_not_run_has_no_row_and_is_named_below(scores: pd.DataFrame) -> None:
    text = markdown2(table2(scores, ["ce", "asl", "ldam", "dinov2"], ["own", "smote", "random", "eos"]))
    assert "not run" not in text
    assert text.endswith("- Not run: ASL; Random; SMOTE (LDAM); EOS (LDAM).\n")
    mine = scores.replace({"network": {"ce": "dinov2"}})
    table = table2(mine[mine["network"] == "dinov2"], ["ce", "asl", "dinov2"], ["own", "smote", "eos"])
    assert "Not run" not in markdown2(table)  # the paper's networks mean nothing where none of them was run


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
            ("digits", 0, "ce", "eos_k50", "Why it was not run."),
            ("svhn", 0, "ce", "own", "Another data set."),
        ],
        columns=NOTES,
    )
    text = markdown2(table2(scores, ["ce"], ["own", "eos_k50", "smote"]), notes)
    assert "- eos_k50 (CE): Why it was not run. (cut 0)\n" in text
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
    words = "Nothing that this table compares was run."
    assert words in markdown2(table2(scores.iloc[:0], ["ce"], ["eos"]))
    assert words in markdown2(table2(scores, ["asl"], ["eos"]))
    assert words in markdown4(table4(scores, ["asl"], {"eos": 10}))


def test_table4_has_a_row_for_each_k() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.7), (0, "ce", "eos_k300", 0, 0.8), (0, "asl", "eos", 0, 0.9)])
    neighbors = {"eos": 10, "eos_k50": 50, "eos_k300": 300}
    text = markdown4(table4(scores, ["ce"], neighbors))
    rows = lines_of(text)
    assert text.startswith("# Table IV: EOS by number of neighbours K (CE)\n")
    assert rows[0] == ["K", "BAC", "GM", "FM"]
    assert rows[2:] == [["10", ".7000", ".8000", ".6000"], ["300", "**.8000**", ".9000", ".7000"]]
    assert text.endswith("- Not run: K = 50.\n")


def test_table4_names_the_networks_where_there_are_several() -> None:
    scores = score_frame(
        [(0, n, h, 0, b) for n, h, b in (("a", "eos", 0.7), ("a", "e50", 0.8), ("b", "eos", 0.6))]
    )
    rows = lines_of(markdown4(table4(scores, ["a", "b"], {"eos": 10, "e50": 50})))
    assert rows[0] == ["Network", "K", "BAC", "GM", "FM"]
    assert [row[:3] for row in rows[2:]] == [
        ["a", "10", ".7000"],
        ["", "50", "**.8000**"],
        ["b", "10", "**.6000**"],
    ]


def test_table4_notes_are_footnotes() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.7)])
    notes = pd.DataFrame([("digits", 0, "ce", "eos", "K clipped to 7.")], columns=NOTES)
    text = markdown4(table4(scores, ["ce"], {"eos": 10}), notes)
    assert "| 10 [1] |" in text
    assert text.endswith("- [1] K clipped to 7.\n")


def test_settings_stand_above_table2_and_beside_each_k_of_table4() -> None:
    scores = score_frame([(0, "ce", "smote", 0, 0.7), (0, "ce", "eos", 0, 0.8)])
    settings = {"eos": "K = 10, toward, step size 1", "eos_k50": "not in this table"}
    text = markdown2(table2(scores, ["ce"], ["smote", "eos"]), settings=settings)
    assert "\n\nEOS: K = 10, toward, step size 1.\n\n" in text
    assert "not in this table" not in text
    rows = lines_of(markdown4(table4(scores, ["ce"], {"eos": 10}), settings={"eos": "away, step size 0.5"}))
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


def test_table1_groups_by_space_and_names_remix() -> None:
    smote = [(0, "ce", "smote", seed, 0.7) for seed in (0, 1)]
    scores = score_frame([(0, "ce", "own", 0, 0.5), *smote, (0, "remix", "own", 0, 0.6)])
    balanced = balanced_frame([(0, "smote", "ce", 0.4)])
    table = table1(
        scores, balanced, network="ce", pixel_samplers=["smote", "eos"], remix="remix", heads=["own", "smote"]
    )
    notes = pd.DataFrame([("digits", 0, "ce", "smote", "On embeddings.")], columns=NOTES)
    pixel_notes = pd.DataFrame([("digits", 0, "smote", "On pixels.")], columns=PIXEL_NOTES)
    text = markdown1(table, notes, {"smote": "k = 5", "eos": "K = 10"}, pixel_notes)
    assert text.startswith("# Table I: over-sampling before training and on embeddings (CE)\n")
    assert lines_of(text)[2:] == [
        ["Pixels", "SMOTE [1]", ".4000", ".5000", ".3000"],
        ["", "ReMix", "**.6000**", ".7000", ".5000"],
        ["None", "Own classifier", "**.5000**", ".6000", ".4000"],
        ["Embeddings", "SMOTE [2]", "**.7000 ± .0000**", ".8000 ± .0000", ".6000 ± .0000"],
    ]
    assert text.endswith("- [1] On pixels.\n- [2] On embeddings.\n- Not run: EOS (CE).\n")
    assert "\n\nSMOTE: k = 5.\n\n" in text
    spread = " ".join(text.split())
    assert "Own classifier, networks trained on balanced images: one run per cut, so no ±." in spread


def test_table3_sets_methods_side_by_side_with_a_line_per_metric() -> None:
    scores = score_frame([(0, "ce", "eos", 0, 0.5), (0, "ldam", "eos", 0, 0.6)])
    balanced = balanced_frame([(0, "gamo", "ce", 0.9)])
    table = table3(scores, balanced, networks=["ce", "ldam"], generators=["gamo", "cgan"], head="eos")
    assert lines_of(markdown3(table)) == [
        ["Loss", "", "GAMO", "EOS"],
        lines_of(markdown3(table))[1],
        ["CE", "BAC", "**.9000**", ".5000"],
        ["", "GM", "1.0000", ".6000"],
        ["", "FM", ".8000", ".4000"],
        ["LDAM", "BAC", "not run", "**.6000**"],
        ["", "GM", "not run", ".7000"],
        ["", "FM", "not run", ".5000"],
    ]


def test_table3_names_the_cells_of_its_remarks() -> None:
    scores = score_frame([(cut, n, "eos", 0, 0.5) for cut in (0, 10) for n in ("ce", "ldam")])
    balanced = balanced_frame([(0, "gamo", "ce", 0.9)])
    notes = pd.DataFrame(
        [("digits", cut, n, "eos", "Pairs widened.") for cut in (0, 10) for n in ("ce", "ldam")],
        columns=NOTES,
    )
    table = table3(scores, balanced, networks=["ce", "ldam"], generators=["gamo"], head="eos")
    text = markdown3(table, notes)
    assert text.endswith(
        "- GAMO (CE): Run on 1 of 2 cuts only.\n- EOS (CE, LDAM): Pairs widened.\n- Not run: GAMO (LDAM).\n"
    )


def test_table5_groups_by_architecture() -> None:
    scores = score_frame(
        [(0, n, h, 0, b) for n in ("wideresnet", "densenet") for h, b in (("own", 0.5), ("eos", 0.6))]
    )
    text = markdown5(table5(scores, networks=["wideresnet", "densenet"], heads=["own", "eos"]))
    assert lines_of(text)[0] == ["Network", "Head", "BAC", "GM", "FM"]
    assert lines_of(text)[2:] == [
        ["WideResNet-22-4", "Own classifier", ".5000", ".6000", ".4000"],
        ["", "EOS", "**.6000**", ".7000", ".5000"],
        ["DenseNet-40-12", "Own classifier", ".5000", ".6000", ".4000"],
        ["", "EOS", "**.6000**", ".7000", ".5000"],
    ]


@pytest.fixture
def compared() -> pd.DataFrame:
    """Table II with a data set that the paper has, one head that it has not, and a data set it has not."""
    values = [(0, "ce", "own", 0, 0.73), (0, "ce", "random", 0, 0.75), (0, "ce", "random", 1, 0.75)]
    both = pd.concat([score_frame(values, dataset="cifar10"), score_frame(values)])
    return with_published(table2(both, ["ce"], ["own", "random", "eos"]), 2)


def test_published_values_stand_in_the_blocks_of_their_data_sets_only(compared: pd.DataFrame) -> None:
    lines = lines_of(markdown2(compared))
    assert lines[0] == ["Loss", "Head", "BAC", "Paper", "Diff.", "GM", "FM"]
    assert lines[2:4] == [
        ["CE", "Own classifier", ".7300", ".7256", "+.0044", ".8300", ".6300"],
        ["", "Random", "**.7500 ± .0000**", "", "", ".8500", ".6500"],
    ]
    assert lines[4] == ["Loss", "Head", "BAC", "GM", "FM"]
    assert lines[7] == ["", "Random", "**.7500 ± .0000**", ".8500 ± .0000", ".6500 ± .0000"]


def test_the_papers_selection_is_told_where_ours_is_another(compared: pd.DataFrame) -> None:
    line = "The paper chose its epochs on the TEST set, which flatters; this run did not."
    assert line in markdown2(compared).splitlines()
    assert line not in markdown2(compared.assign(selection="test"))
    assert "Paper: the published BAC." in markdown2(compared.assign(selection="test"))
    digits = markdown2(compared[compared["dataset"] == "digits"])
    assert "paper" not in digits.lower()


def test_tables_with_published_values_fit_a_terminal() -> None:
    networks = ["ce", "asl", "resnet56", "wideresnet", "remix"]
    heads = ["own", "smote", "bsmote", "balsvm", "eos", "eos_k300"]
    seeds = ((cut, seed) for cut in (0, 10) for seed in (0, 1))
    scores = score_frame(
        [(c, n, h, s, 0.7 + s / 9) for c, s in seeds for n in networks for h in heads], dataset="cifar10"
    )
    generators = ["gamo", "bagan", "cgan"]
    balanced = balanced_frame(
        [(cut, p, n, 0.8 + cut / 99) for cut in (0, 10) for p in [*generators, "bsmote"] for n in networks],
        dataset="cifar10",
    )
    notes = pd.DataFrame(
        [
            ("cifar10", 0, n, h, f"A remark that is long {k}. " * 3)
            for n in networks
            for h in heads
            for k in "ab"
        ],
        columns=NOTES,
    )
    pixel_notes = pd.DataFrame([("cifar10", 0, "bsmote", "On pixels.")], columns=PIXEL_NOTES)
    first = table1(scores, balanced, network="ce", pixel_samplers=["bsmote"], remix="remix", heads=heads[:-1])
    third = table3(scores, balanced, networks=["ce", "asl"], generators=generators, head="eos")
    texts = [
        markdown1(with_published(first, 1), notes, pixel_notes=pixel_notes),
        markdown2(with_published(table2(scores, ["ce", "asl"], heads), 2), notes),
        markdown3(with_published(third, 3), notes, pixel_notes=pixel_notes),
        markdown4(
            with_published(table4(scores, ["ce"], {"eos": 10, "eos_k300": 300}), 4),
            notes,
            dict.fromkeys(heads, "toward, step size 1"),
        ),
        markdown5(
            with_published(table5(scores, networks=["resnet56", "wideresnet"], heads=["own", "eos"]), 5),
            notes,
        ),
    ]
    for text in texts:
        grid = [line for line in text.replace("Diff.", "Diff:").splitlines() if line.startswith("|")]
        assert "Paper" in text
        assert len({len(line) for line in grid}) == 1
        assert max(len(line) for line in text.splitlines()) <= 100
        # Plain and bold values, and in Table III all its lines, have their points under each other.
        assert len({line.index(".") for line in grid if "." in line}) == 1
