"""The paper's claims: both ways, by hand."""

from typing import Any

import pandas as pd
import pytest

from eos.errors import InputError
from eos.report.claims import CLAIMS, claims, claims_held, markdown_claims
from tests.report.table_frames import CLASSES, GAPS, balanced_frame, lines_of, score_frame

NO_GAPS, NO_CLASSES = pd.DataFrame(columns=GAPS), pd.DataFrame(columns=CLASSES)


def of_scores(
    values: list[tuple[int, str, str, int, float]],
    balanced: list[tuple[int, str, str, float]] | None = None,
    *,
    dataset: str = "digits",
) -> pd.DataFrame:
    return claims(
        score_frame(values, dataset=dataset),
        balanced_frame(balanced or [], dataset=dataset),
        NO_GAPS,
        NO_CLASSES,
    )


def of_gaps(gaps: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame([("digits", *row) for row in gaps], columns=GAPS)
    return claims(score_frame([(0, "ce", "none", 0, 0.5)]), balanced_frame([]), frame, NO_CLASSES)


def of_classes(classes: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame([("digits", *row) for row in classes], columns=CLASSES)
    return claims(score_frame([(0, "ce", "none", 0, 0.5)]), balanced_frame([]), NO_GAPS, frame)


def held(frame: pd.DataFrame) -> dict[tuple[str, str], bool]:
    """Return whether each claim holds in each cell."""
    cells = zip(frame["claim"], frame["cell"], strict=True)
    return dict(zip(cells, frame["holds"].tolist(), strict=True))


def test_eos_against_the_own_classifier_and_samplers_of_the_same_network() -> None:
    heads = {"own": 0.6, "smote": 0.8, "bsmote": 0.7, "balsvm": 0.7000001, "eos": 0.7, "random": 0.9}
    frame = of_scores(
        [(0, "ce", head, 0, bac) for head, bac in heads.items()]
        + [(0, "asl", "own", 0, 0.71), (0, "asl", "eos", 0, 0.70), (0, "focal", "smote", 0, 0.1)]
    )
    assert held(frame) == {
        ("eos_above_own", "ce"): True,
        ("eos_above_own", "asl"): False,
        ("eos_above_smote", "ce"): False,
        ("eos_above_bsmote", "ce"): False,  # equal is not above
        ("eos_above_balsvm", "ce"): False,
    }


def test_embeddings_against_pixels_and_generators() -> None:
    frame = of_scores(
        [(0, "ce", "smote", 0, 0.7), (0, "ce", "eos", 0, 0.6), (0, "asl", "eos", 0, 0.5)],
        [
            (0, "smote", "ce", 0.6),
            (0, "eos", "ce", 0.7),
            (0, "bsmote", "ce", 0.1),
            (0, "gamo", "ce", 0.5),
            (0, "bagan", "ce", 0.6),
            (0, "cgan", "ce", 0.9),
            (0, "cgan", "asl", 0.4),
        ],
    )
    assert held(frame[frame["claim"] != "eos_above_smote"]) == {
        ("embedding_above_pixel", "ce/smote"): True,
        ("embedding_above_pixel", "ce/eos"): False,
        ("eos_above_gamo", "ce"): True,
        ("eos_above_bagan", "ce"): False,  # equal is not above
        ("eos_above_cgan", "ce"): False,
        ("eos_above_cgan", "asl"): True,
    }


def test_neighbours_and_architectures() -> None:
    frame = of_scores(
        [
            (0, "ce", "eos", 0, 0.7),
            (0, "ce", "eos_k300", 0, 0.6),
            (0, "densenet", "own", 0, 0.5),
            (0, "densenet", "eos", 0, 0.6),
            (0, "resnet56", "own", 0, 0.5),
        ]
    )
    assert held(frame) == {("larger_k", "ce"): False, ("eos_helps_architecture", "densenet"): True}


@pytest.mark.parametrize(("focal", "holds"), [(0.69, True), (0.71, False)])
def test_ldam_is_held_against_the_best_of_the_others(focal: float, holds: bool) -> None:
    others = [(0, "ce", "eos", 0, 0.5), (0, "asl", "eos", 0, 0.6), (0, "focal", "eos", 0, focal)]
    frame = of_scores([*others, (0, "ldam", "eos", 0, 0.7)], dataset="cifar10")
    assert held(frame) == {("ldam_best_for_eos", "ldam"): holds}
    assert frame["lower"].tolist() == [focal]
    assert frame[["paper_upper", "paper_lower"]].to_numpy().tolist() == [[0.7865, 0.7831]]
    assert of_scores([*others[:2], (0, "ldam", "eos", 0, 0.7)]).empty  # one loss was not run


def test_means_are_over_cuts_and_seeds_that_both_sides_have() -> None:
    frame = of_scores(
        [
            (0, "ce", "eos", 0, 0.60),
            (0, "ce", "eos", 1, 0.64),
            (10, "ce", "eos", 0, 0.70),
            (10, "ce", "eos", 1, 0.74),
            (100, "ce", "eos", 0, 0.99),
            (0, "ce", "own", 0, 0.65),
            (10, "ce", "own", 0, 0.71),
        ]
    )
    (row,) = frame.to_dict("records")
    assert (row["upper"], row["lower"]) == pytest.approx((0.67, 0.68))
    assert row["upper_sd"] == pytest.approx((2 * (0.07**2 + 0.03**2) / 3) ** 0.5)
    assert row["lower_sd"] == pytest.approx((2 * 0.03**2) ** 0.5)
    assert row["difference"] == pytest.approx(-0.01)
    assert not row["holds"]
    assert row["within"]
    apart = of_scores([(0, "ce", "eos", 0, 0.6), (10, "ce", "own", 0, 0.5)])
    assert apart.empty


def test_a_difference_is_within_the_deviation_of_the_less_certain_side_or_unknown() -> None:
    def within(eos: list[float], own: list[float]) -> list[Any]:
        sides = {"eos": eos, "own": own}
        return of_scores(
            [(0, "ce", head, seed, bac) for head, bacs in sides.items() for seed, bac in enumerate(bacs)]
        )["within"].tolist()

    assert within([0.6, 0.8], [0.6]) == [True]  # .1 against a deviation of .14
    assert within([0.6, 0.8], [0.5]) == [False]
    assert within([0.6, 0.8], [0.61, 0.59]) == [True]  # .14 and .014
    assert within([0.7], [0.5]) == [pd.NA]


def test_the_papers_own_numbers_stand_beside_ours() -> None:
    runs = [(0, "ldam", "own", 0, 0.9), (0, "ldam", "eos", 0, 0.8), (0, "ce", "eos", 0, 0.7)]
    more = [(0, "ce", "eos_k300", 0, 0.8), (0, "ce", "balsvm", 0, 0.6)]
    frame = of_scores([*runs, *more], [(0, "balsvm", "ce", 0.7)], dataset="cifar10").set_index("claim")
    columns = ["paper_upper", "paper_lower", "paper_holds"]
    assert frame.loc["eos_above_own", columns].tolist() == [0.7865, 0.7780, True]
    assert frame.loc["larger_k", columns].tolist() == [0.7722, 0.7581, True]
    assert frame.loc["embedding_above_pixel", columns].tolist() == [0.7381, 0.7418, False]
    assert of_scores(runs)["paper_holds"].tolist() == [pd.NA]


def test_equal_numbers_of_the_paper_do_not_hold() -> None:
    frame = of_scores([(0, "ce", "eos", 0, 0.9)], [(0, "cgan", "ce", 0.8)], dataset="celeba")
    assert frame[["holds", "paper_holds"]].to_numpy().tolist() == [[True, False]]


def test_gaps_by_outcome_are_means_over_classes_that_have_both() -> None:
    frame = of_gaps(
        [
            (0, "ce", 0, 5, 1.0, 2.0, 6.0),
            (0, "ce", 1, 5, 1.0, 4.0, 1.0),
            (0, "ce", 2, 5, 1.0, 90.0, None),
            (10, "ce", 0, 5, 1.0, 1.0, 1.0),
            (0, "asl", 0, 5, 1.0, 2.0, 1.0),
            (0, "ldam", 0, 5, 1.0, 2.0, None),
        ]
    )
    assert held(frame) == {("false_positive_gap", "ce"): True, ("false_positive_gap", "asl"): False}
    first = frame.iloc[0]
    assert (first["upper"], first["lower"]) == ((3.5 + 1) / 2, (3 + 1) / 2)
    assert first["upper_sd"] == pytest.approx(2.5 / 2**0.5)


def test_the_gap_grows_with_rarity_where_ranks_agree() -> None:
    gaps = {"ce": [1.0, 2.0, 4.0, 3.0], "asl": [4.0, 3.0, 2.0, 1.0], "ldam": [1.0, 1.0, 1.0, 1.0]}
    rows = [
        (0, network, c, 100 // (c + 1), gap, None, None)
        for network, values in gaps.items()
        for c, gap in enumerate(values)
    ]
    frame = of_gaps(rows)
    assert held(frame) == {("gap_grows_with_rarity", "ce"): True, ("gap_grows_with_rarity", "asl"): False}
    assert frame["upper"].tolist() == pytest.approx([0.8, -1.0])  # 1 - 6 * 2 / (4 * 15), by Spearman
    assert of_gaps([(0, "ce", c, 7, float(c), None, None) for c in range(3)]).empty  # no class is rarer


def test_only_eos_lowers_the_gap() -> None:
    gaps = {"own": (10.0, 30.0), "eos": (4.0, 8.0), "smote": (10.0, 29.7), "balsvm": (10.0, 29.0)}
    frame = of_classes([(0, "ce", head, c, gap) for head, pair in gaps.items() for c, gap in enumerate(pair)])
    assert held(frame) == {
        ("eos_lowers_gap", "ce"): True,
        ("others_keep_gap", "ce/smote"): True,  # .75 % lower
        ("others_keep_gap", "ce/balsvm"): False,  # 2.5 % lower
    }
    assert frame[["upper", "lower"]].iloc[0].tolist() == [20.0, 6.0]
    higher = of_classes([(0, "ce", "own", 0, 1.0), (0, "ce", "eos", 0, 1.0), (0, "asl", "own", 0, 1.0)])
    assert held(higher) == {("eos_lowers_gap", "ce"): False}


def test_cells_come_by_dataset_then_claim() -> None:
    values = [(0, "ce", "eos_k300", 0, 0.7), (0, "ce", "eos", 0, 0.6), (0, "ce", "own", 0, 0.5)]
    scores = pd.concat([score_frame(values, dataset="svhn"), score_frame(values)])
    gaps = pd.DataFrame([("digits", 0, "ce", 0, 5, 1.0, 2.0, 6.0)], columns=GAPS)
    frame = claims(scores, balanced_frame([]), gaps, NO_CLASSES)
    assert frame[["dataset", "claim"]].to_numpy().tolist() == [
        ["svhn", "eos_above_own"],
        ["svhn", "larger_k"],
        ["digits", "eos_above_own"],
        ["digits", "larger_k"],
        ["digits", "false_positive_gap"],
    ]
    assert claims_held(frame) == {"svhn": 2, "digits": 3}


def test_mixed_selection_rules_are_refused() -> None:
    balanced = balanced_frame([(0, "gamo", "ce", 0.5)], selection="test")
    with pytest.raises(InputError, match="last, test are mixed"):
        claims(score_frame([(0, "ce", "eos", 0, 0.5)]), balanced, NO_GAPS, NO_CLASSES)


def test_the_page_counts_and_lists_what_does_not_hold() -> None:
    runs = [(0, "ce", "eos", 0, 0.76), (0, "ce", "eos", 1, 0.78), (0, "ce", "own", 0, 0.70)]
    ldam = [(0, "ldam", "eos", 0, 0.78), (0, "ldam", "eos", 1, 0.80), (0, "ldam", "own", 0, 0.80)]
    frame = of_scores(
        [*runs, *ldam, (0, "ce", "smote", 0, 0.8)], [(0, "smote", "ce", 0.9)], dataset="cifar10"
    )
    text = markdown_claims(frame)
    assert "1 of 4 hold. Selection `last`" in text
    assert "## CIFAR-10: 1 of 4 hold" in text
    assert lines_of(text)[0] == ["Claim", "Hold", "Within ±", "In the paper"]
    assert lines_of(text)[2:] == [
        [CLAIMS["eos_above_own"], "1 of 2", "1 of 2", "2 of 2"],
        [CLAIMS["eos_above_smote"], "0 of 1", "0 of 1", "1 of 1"],
        [CLAIMS["embedding_above_pixel"], "0 of 1", "", "1 of 1"],
    ]
    assert text.endswith(
        "Not held:\n\n"
        "- EOS above the own classifier\n"
        "  - LDAM: .7900 against .8000 (-.0100), within ±; paper .7865 against .7780\n"
        "- EOS above SMOTE on embeddings\n"
        "  - CE: .7700 against .8000 (-.0300); paper .7581 against .7390\n"
        "- A sampler on embeddings above itself on pixels\n"
        "  - CE, SMOTE: .8000 against .9000 (-.1000); paper .7390 against .7293\n"
    )
    said = " ".join(text.split())
    assert "decides little: 1 of 4, held or not. For 1 more there is no deviation" in said
    assert "The paper's numbers are from epochs chosen on the TEST set; these are not." in said


def test_the_page_lists_what_holds_by_less_than_a_deviation() -> None:
    text = markdown_claims(
        of_scores([(0, "ce", "eos", 0, 0.7), (0, "ce", "eos", 1, 0.8), (0, "ce", "own", 0, 0.74)])
    )
    assert "Not held" not in text
    assert text.endswith(
        "Held, but within ±:\n\n"
        "- EOS above the own classifier\n  - CE: .7500 against .7400 (+.0100), within ±\n"
    )


def test_a_cell_that_takes_two_lines_goes_on_indented() -> None:
    network = "of_a_backbone_that_somebody_gave_a_very_long_name_of_its_own"
    runs = [(0, network, "eos", seed, bac) for seed, bac in enumerate((0.7, 0.8))]
    text = markdown_claims(of_scores([*runs, (0, network, "own", 0, 0.74)]))
    first, second = text.splitlines()[-2:]
    assert first.startswith("  - ")
    assert second.startswith("    ")
    assert max(map(len, (first, second))) <= 100


def test_the_page_of_gaps_has_their_unit() -> None:
    gaps = [(0, "ce", c, 9 - c, 3.0 - c, 8.25, 7.0) for c in range(3)]
    text = markdown_claims(of_gaps(gaps))
    assert "  - CE: 7.00 against 8.25 (-1.25)\n" in text
    assert text.endswith("  - CE: -1.00\n")
    assert "paper's numbers" not in text


def test_nothing_run_is_said() -> None:
    empty = of_scores([])
    assert empty.empty
    assert "No cell was run." in markdown_claims(empty)
    assert claims_held(empty) == {}


def test_the_page_fits_a_terminal() -> None:
    heads = ["own", "smote", "bsmote", "balsvm", "eos", "eos_k300"]
    networks = ["ce", "ldam", "wideresnet"]
    scores = [(0, n, h, s, 0.7 - i / 99) for n in networks for i, h in enumerate(heads) for s in (0, 1)]
    balanced = [(0, p, n, 0.9) for p in [*heads[1:5], "gamo"] for n in networks]
    text = markdown_claims(of_scores(scores, balanced, dataset="cifar10"))
    assert max(len(line) for line in text.splitlines()) <= 100
