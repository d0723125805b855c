"""The page on methods: its sentences, grids and what it admits."""

from typing import Any

import pandas as pd
import pytest

from eos.report.methods import compare
from eos.report.methods_page import ALL, methods_page, verdict
from tests.report.methods_frames import CHOSEN, TITLES, blocks_of, compared, made
from tests.report.table_frames import lines_of

TEST = {"own": (0.6, None), "ncm": (0.65, None), "smote": (0.8, None), "eos": (0.7, None)}
HELD_OUT = {"own": (0.6, 0.6), "ncm": (0.65, 0.65), "smote": (0.8, 0.8), "eos": (0.7, 0.7)}


def flat(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


def page(accuracies: Any, **more: Any) -> str:
    return flat(methods_page(compared(accuracies, **more)))


def test_three_sentences_where_rows_were_held_out() -> None:
    accuracies = blocks_of(HELD_OUT, 2)
    accuracies["digits", 0, "asl"]["smote"] = (0.9, 0.9)
    accuracies["digits", 0, "asl"]["own"] = (0.8, 0.8)
    told = verdict(compared(accuracies))
    assert list(told) == ["digits"]
    best, head, poor = told["digits"]
    assert best == (
        "**Use first: ASL with SMOTE.** .9000 on held-out rows, of 8 compared. On test rows .9000: "
        "confirmed, the highest."
    )
    assert head == (
        "**If you cannot retrain the network, use: SMOTE.** .8500 on held-out rows, mean of 2 networks, of 4 "
        "compared. On test rows .8500: confirmed, the highest."
    )
    assert poor.startswith("**Do not bother with** ")
    assert "EOS" in poor
    assert poor.endswith("The test rows agree.")


def test_where_none_were_held_out_the_best_of_many_is_said_to_flatter() -> None:
    best, head, poor = verdict(compared(blocks_of(TEST, 1)))["digits"]
    assert best == (
        "**Use first: CE with SMOTE.** .8000 on test rows, which also picked it: the best of 4 looks "
        "better than it is."
    )
    assert "the best of 4 looks better than it is" in head
    assert poor == "**Do not bother with** EOS (reliably below SMOTE, which is simpler)."


def test_too_few_held_out_rows_to_choose_by_are_said() -> None:
    """Of 24 rows of five classes one class has four."""
    for n, few in ((24, True), (25, False)):
        best, head, _ = verdict(compared(blocks_of(HELD_OUT, 1), n=n))["digits"]
        assert ("**Too few held-out rows to trust this**: a class has 4 rows." in best) == few
        assert "Too few" not in head
    assert "Too few" not in page(blocks_of(TEST, 1), n=24)


def test_rows_that_are_shared_are_said_to_be() -> None:
    assert "there is 1 independent draw of training rows, not 2." in page(blocks_of(TEST, 2))
    assert "independent draw" not in page(blocks_of(TEST, 1))


def test_what_the_test_rows_do_not_confirm_is_said() -> None:
    heads = {"own": (0.6, 0.6), "ncm": (0.9, 0.7), "smote": (0.7, 0.9)}
    text = page(blocks_of(heads, 1))
    assert "On test rows .7000: not confirmed, reliably above it: Class means (the highest is" in text


def test_noise_is_said_to_be_as_good() -> None:
    heads = {"own": (0.7, None), "ncm": (0.8, None), "smote": (0.801, None)}
    _, head, _ = verdict(compared(blocks_of(heads, 2), noise=2.0))["digits"]
    assert "use: Class means.**" in head
    assert head.endswith("As good, within one standard error: SMOTE.")


def test_what_is_below_the_own_classifier_is_told_apart_from_what_a_simpler_head_beats() -> None:
    heads = {"own": (0.7, None), "ncm": (0.6, None), "smote": (0.9, None), "eos": (0.8, None)}
    poor = verdict(compared(blocks_of(heads, 2)))["digits"][2]
    assert poor == (
        "**Do not bother with** Class means (reliably below the network's own classifier); EOS (reliably "
        "below SMOTE, which is simpler)."
    )
    equal = {"own": (0.7, None), "ncm": (0.7, None)}
    assert verdict(compared(blocks_of(equal, 1), noise=3.0))["digits"][2] == (
        "**Do not bother with: nothing** is reliably below the network's own classifier or a simpler head."
    )


def test_all_data_sets_get_one_line_from_what_they_share() -> None:
    tuned = {**HELD_OUT, "eoscv": (0.95, 0.95)}
    accuracies = {**blocks_of(TEST, 2), **blocks_of(tuned, 2, "photographs")}
    told = verdict(compared(accuracies))
    assert list(told) == ["digits", "photographs", ALL]
    assert "EOS, tuned" in told["photographs"][1]
    (line,) = told[ALL]
    assert line.startswith(
        "**On all data sets, use: SMOTE.** .8000 on held-out rows, and on test rows where none"
    )
    assert "Best mean rank on test rows: SMOTE, 1.0 of 4." in line


def test_few_blocks_say_that_there_is_no_rank_test_and_many_have_one() -> None:
    few, many = page(blocks_of(TEST, 2)), page(blocks_of(TEST, 12))
    assert "No rank test: 2 blocks can be compared" in few
    assert "By the paired bootstrap over test rows" in few
    assert "Ranks over 12 blocks: Friedman chi2 = 36.00 (p < .001)" in many
    assert "By Wilcoxon's signed ranks over blocks" in many
    for text in (few, many):
        assert "Seeds and networks of one cut share their rows and are not independent" in text
    accuracies = {**blocks_of(TEST, 2), **blocks_of(TEST, 1, cut=10), **blocks_of(TEST, 1, "other")}
    assert "4 blocks (dataset x cut x network, head seeds averaged) from 3 dataset x cut." in page(accuracies)


def test_pairs_beyond_what_the_blocks_can_tell_have_no_column() -> None:
    text = methods_page(compared(blocks_of(TEST, 10)))
    assert "Not told apart from" in text
    many = {head: (0.5 + 0.05 * place, None) for place, head in enumerate(TITLES)}
    arguments = made(blocks_of(many, 10))
    heads = {**arguments["heads"]}
    frames, cells = [arguments["scores"]], dict(arguments["predictions"])
    for copy in range(4):  # 25 heads, 300 pairs, and the smallest p of ten blocks is .002
        for head in many:
            scores = arguments["scores"]
            frames.append(scores[scores["head"] == head].assign(head=f"{head}{copy}"))
            heads[f"{head}{copy}"] = f"{head} {copy}"
            for cell, rows in arguments["predictions"].items():
                if cell[3] == head:
                    cells[(*cell[:3], f"{head}{copy}")] = rows
    comparison = compare(pd.concat(frames), arguments["chosen"], cells, heads)
    text = methods_page(comparison)
    assert "Not told apart from" not in text
    assert "With 10 blocks no pair of so many is told apart" in flat(text)


def test_the_grid_has_heads_against_networks_and_bold_for_what_is_not_told_apart() -> None:
    accuracies = blocks_of({**TEST, "eoscv": (0.8, None)}, 3)
    del accuracies["digits", 0, "focal"]["ncm"]
    text = methods_page(compared(accuracies))
    grid = lines_of(text)
    assert grid[0] == ["Head", "CE", "ASL", "Focal", "Mean", "Rank", "ECE", "Brier"]
    rows = {line[0]: line[1:] for line in grid[2:7]}
    assert rows["Class means"] == [".6500", ".6500", "not run", ".6500", "4.0", ".1000", ".4000"]
    assert rows["SMOTE"][:4] == ["**.8000**", "**.8000**", "**.8000**", ".8000"]
    assert rows["EOS, tuned"][0] == "**.8000**"
    assert "- Not ranked: Focal (cut 0), which has no Class means." in text


def test_many_networks_take_several_grids_that_fit_a_terminal() -> None:
    text = methods_page(compared({**blocks_of(TEST, 12), **blocks_of(TEST, 3, "other", cut=10)}))
    assert max(map(len, text.splitlines())) <= 98
    headers = [line for line in lines_of(text) if line[0] == "Head"]
    assert len(headers) >= 3
    assert sum(("CE" in line) for line in headers) == 2  # once for each data set


def test_noise_is_told_by_numbers_in_short() -> None:
    heads = {"own": (0.4, None), "ncm": (0.7, None), "smote": (0.701, None), "eos": (0.702, None)}
    grid = lines_of(methods_page(compared(blocks_of(heads, 2), noise=2.0)))
    found = {line[1]: line for line in grid if line[0] in {"1", "2", "3", "4"}}
    near = {line[0]: line[-1] for line in found.values()}
    assert near == {"1": "2-3", "2": "1, 3", "3": "1-2", "4": "none"}
    assert found["Own classifier"][-2:] == ["p < .001", "none"]


def test_chosen_values_are_told_with_their_networks_and_rule() -> None:
    arguments = made(blocks_of(TEST, 3))
    rows: list[Any] = [
        ("digits", 0, network, "eos", "k_neighbors", value, "held out")
        for network, value in (("ce", 10), ("asl", 300), ("focal", 10))
    ]
    rows += [
        ("digits", 0, network, "eos", "step_size", 0.75, "held out") for network in ("ce", "asl", "focal")
    ]
    rows += [("digits", 0, "ce", "ncm", "tau", 1.0, "published default")]
    text = flat(methods_page(compare(**{**arguments, "chosen": pd.DataFrame(rows, columns=CHOSEN)})))
    assert (
        "- Digits, EOS: k_neighbors 10 (CE, Focal), 300 (ASL); step_size 0.75 (chosen on held-out rows)."
        in text
    )
    assert "- Digits, Class means: tau 1 (published default; nothing was held out)." in text
    assert "no head has a parameter that is chosen" in page(blocks_of(TEST, 1))


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_a_single_head_have_a_page(rows: int) -> None:
    arguments = made(blocks_of({"own": (0.5, None)}, 1))
    text = methods_page(compare(**{**arguments, "scores": arguments["scores"].iloc[:rows]}))
    assert ("Nothing was run." in text) == (rows == 0)
    assert text.endswith("\n")
