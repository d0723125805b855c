"""The comparison of heads: known winners, noise, holes, and scipy as the reference of its tests."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import f, friedmanchisquare, rankdata, wilcoxon

from eos.errors import InputError
from eos.report.methods import (
    RESAMPLES,
    Comparison,
    Pick,
    avoided,
    block_ranks,
    compare,
    differences_to_best,
    first,
    head_for,
    holm,
    mean_ranks,
    methods_table,
    pairs,
    rank_test,
)
from tests.report.methods_frames import CHOSEN, blocks_of, compared, made

WINNER = {"own": (0.6, None), "ncm": (0.65, None), "smote": (0.8, None), "eos": (0.7, None)}
HELD_OUT = {"own": (0.6, 0.6), "ncm": (0.65, 0.65), "smote": (0.8, 0.8), "eos": (0.7, 0.7)}
NOISE = {"own": (0.7, None), "ncm": (0.7, None), "smote": (0.7, None)}


def row(comparison: Comparison, head: str, network: str = "ce") -> Any:
    table = methods_table(comparison)
    return table[(table["head"] == head) & (table["network"] == network)].iloc[0]


def picked(pick: Pick | None) -> Pick:
    assert pick is not None
    return pick


# The table.


def test_the_table_has_means_and_deviations_over_seeds() -> None:
    arguments = made(blocks_of(HELD_OUT, 2), seeds=3)
    scores = arguments["scores"]
    seeds = scores[(scores["network"] == "asl") & (scores["head"] == "eos")]
    found = row(compare(**arguments), "eos", "asl")
    assert found["seeds"] == 3
    for name in ("BAC", "held_out_BAC", "ECE", "Brier"):
        assert found[name] == pytest.approx(seeds[name].mean())
    assert found["BAC_sd"] == pytest.approx(np.std(seeds["BAC"], ddof=1))
    assert np.isnan(row(compare(**arguments), "own")["BAC_sd"])


def test_rows_are_in_the_order_of_blocks_and_heads() -> None:
    arguments = made(blocks_of(WINNER, 2))
    arguments["heads"] = {head: head for head in ("smote", "own", "ncm")}  # eos is not listed
    table = methods_table(compare(**arguments))
    assert list(table["head"]) == ["smote", "own", "ncm"] * 2
    assert list(table["network"]) == ["ce"] * 3 + ["asl"] * 3


def test_ranks_are_those_of_scipy_and_equal_heads_share_one() -> None:
    arguments = made(blocks_of(WINNER, 1))
    scores = arguments["scores"]
    scores.loc[scores["head"].isin(["ncm", "eos"]), "BAC"] = [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2]
    table = methods_table(compare(**arguments))
    assert list(table["rank"]) == list(rankdata(-table["BAC"].round(12)))
    assert list(table["rank"]) == [2, 3.5, 1, 3.5]


def test_a_block_that_lacks_a_head_is_listed_and_not_ranked() -> None:
    accuracies = blocks_of(WINNER, 3)
    del accuracies["digits", 0, "asl"]["ncm"]
    comparison = compared(accuracies)
    table = methods_table(comparison)
    assert table.loc[table["network"] == "asl", "rank"].isna().all()
    assert table.loc[table["network"] != "asl", "rank"].notna().all()
    assert row(comparison, "smote", "asl")["tie"]
    assert len(block_ranks(comparison)) == 2


def test_where_no_block_has_all_heads_they_are_ranked_by_what_they_share() -> None:
    tuned = {**HELD_OUT, "eoscv": (0.75, 0.75)}
    accuracies = {**blocks_of(WINNER, 2), **blocks_of(tuned, 2, "photographs")}
    comparison = compared(accuracies)
    assert comparison.shared("digits")[1] == list(WINNER)
    assert comparison.shared("photographs")[1] == list(tuned)
    assert comparison.shared() == (list(accuracies), list(WINNER))
    assert row(comparison, "own")["rank"] == 4
    assert list(mean_ranks(comparison)) == ["smote", "eos", "ncm", "own"]


def test_what_was_chosen_is_said() -> None:
    arguments = made(blocks_of(WINNER, 2))
    rows = [
        ("digits", 0, "ce", "eos", "k_neighbors", 300.0, "held out"),
        ("digits", 0, "ce", "eos", "step_size", 0.75, "held out"),
        ("digits", 0, "asl", "eos", "k_neighbors", 10.0, "published default"),
    ]
    comparison = compare(**{**arguments, "chosen": pd.DataFrame(rows, columns=CHOSEN)})
    assert row(comparison, "eos")["chosen"] == "k_neighbors 300, step_size 0.75 (held out)"
    assert row(comparison, "eos", "asl")["chosen"] == "k_neighbors 10 (published default)"
    assert row(comparison, "own")["chosen"] == ""


# The bootstrap.


def variance(labels: np.ndarray, values: np.ndarray) -> float:
    """Return the variance of the mean over classes of the mean of each class's values, stratified."""
    classes = np.unique(labels)
    parts = [np.var(values[labels == c], ddof=1) / (labels == c).sum() for c in classes]
    return float(np.sum(parts) / len(classes) ** 2)


def test_resamples_have_the_mean_and_the_error_of_the_formula() -> None:
    arguments = made(blocks_of(WINNER, 1), seeds=3)
    rare = np.arange(500) % 5 != 4
    rare |= np.arange(500) < 40  # class 4 has eight rows
    cells = {
        cell: (labels[rare], guess[:, rare]) for cell, (labels, guess) in arguments["predictions"].items()
    }
    comparison = compare(**{**arguments, "predictions": cells})
    labels = cells["digits", 0, "ce", "eos"][0]
    hits = {cell[3]: (guess == labels).mean(axis=0) for cell, (_, guess) in cells.items()}
    drawn = {cell[3]: sample for cell, sample in comparison.test.items()}
    for values, sample in (
        (hits["eos"], drawn["eos"]),
        (hits["eos"] - hits["smote"], drawn["eos"] - drawn["smote"]),  # paired
    ):
        error = variance(labels, values) ** 0.5
        center = np.mean([values[labels == c].mean() for c in range(5)])
        assert sample.shape == (RESAMPLES,)
        assert sample.std() == pytest.approx(error, rel=0.08)
        assert sample.mean() == pytest.approx(center, abs=4 * error / RESAMPLES**0.5)


def test_networks_and_cuts_of_a_data_set_are_drawn_alike_held_out_rows_by_cut() -> None:
    arguments = made(
        {**blocks_of(HELD_OUT, 1), **blocks_of(HELD_OUT, 1, cut=7), **blocks_of(HELD_OUT, 1, "other")}
    )
    for kind in ("predictions", "held_out"):
        same = arguments[kind]["digits", 0, "ce", "eos"]
        arguments[kind] = dict.fromkeys(arguments[kind], same)
    comparison = compare(**arguments)
    one, seven, other = (("digits", 0, "ce", "eos"), ("digits", 7, "ce", "eos"), ("other", 0, "ce", "eos"))
    np.testing.assert_array_equal(comparison.test[one], comparison.test[seven])
    assert (comparison.test[one] != comparison.test[other]).any()
    assert (comparison.held_out[one] != comparison.held_out[seven]).any()


def test_draws_do_not_hang_on_the_other_heads_or_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = made(blocks_of(WINNER, 2))
    cell = ("digits", 0, "asl", "smote")
    drawn = compare(**arguments).test[cell]
    alone = {**arguments, "heads": {"smote": "SMOTE"}}
    np.testing.assert_array_equal(compare(**alone).test[cell], drawn)
    monkeypatch.setattr("eos.report.methods._DRAWS", 99 * RESAMPLES)  # all at once, of classes of 100
    np.testing.assert_array_equal(compare(**arguments).test[cell], drawn)


def test_ties_are_the_best_and_what_is_noise() -> None:
    comparison = compared(blocks_of({**WINNER, "eoscv": (0.795, None)}, 1))
    assert [row(comparison, head)["tie"] for head in ("smote", "eoscv", "own")] == [True, True, False]


# Corrections and tests.


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.6]), [1, 1])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_as_the_step_down_does(p_values: list[float]) -> None:
    expected = set()
    for step, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] * (len(p_values) - step) > 0.05:
            break
        expected.add(int(place))
    assert set(np.flatnonzero(holm(p_values) <= 0.05)) == expected


def test_the_rank_test_is_that_of_scipy_and_of_the_formulas() -> None:
    comparison = compared(blocks_of({**NOISE, "eos": (0.71, None)}, 11))
    test = rank_test(comparison)
    assert test is not None
    values = methods_table(comparison).pivot(index="network", columns="head", values="BAC")
    chi2, p = friedmanchisquare(*values.to_numpy().T)
    assert test.friedman == pytest.approx((chi2, p), abs=1e-8)
    n, k = values.shape
    expected = (n - 1) * chi2 / (n * (k - 1) - chi2)
    assert test.iman_davenport == pytest.approx(
        (expected, f.sf(expected, k - 1, (k - 1) * (n - 1))), abs=1e-8
    )
    ranks = rankdata(-values.to_numpy(), axis=1).mean(axis=0)
    assert test.mean_ranks == pytest.approx(dict(zip(values, ranks, strict=True)))
    assert list(test.mean_ranks.values()) == sorted(ranks)


def test_the_critical_difference_is_that_of_demsars_table() -> None:
    test = rank_test(compared(blocks_of({**NOISE, "eos": (0.71, None)}, 10)))
    assert test is not None
    assert test.critical_difference == pytest.approx(2.569 * (4 * 5 / (6 * 10)) ** 0.5, abs=1e-3)


def test_bars_join_what_is_within_the_critical_difference() -> None:
    heads = {"own": (0.5, None), "ncm": (0.6, None), "smote": (0.7, None), "eos": (0.8, None)}
    test = rank_test(compared(blocks_of(heads, 12)))
    assert test is not None
    assert test.mean_ranks == {"eos": 1, "smote": 2, "ncm": 3, "own": 4}
    assert test.groups() == [("eos", "smote"), ("smote", "ncm"), ("ncm", "own")]  # 1.35 apart at the most


def test_identical_heads_on_all_blocks_have_no_friedman_to_divide_by() -> None:
    arguments = made(blocks_of(NOISE, 10))
    arguments["scores"]["BAC"] = 0.5
    test = rank_test(compare(**arguments))
    assert test is not None
    assert test.friedman == (0, 1)
    assert test.groups() == [("own", "ncm", "smote")]


def test_one_head_that_always_wins_has_an_infinite_f() -> None:
    heads = {"own": (0.5, None), "ncm": (0.6, None), "smote": (0.7, None)}
    test = rank_test(compared(blocks_of(heads, 10)))
    assert test is not None
    assert test.iman_davenport == (np.inf, 0)


@pytest.mark.parametrize("networks", [1, 9])
def test_fewer_than_ten_blocks_have_no_rank_test(networks: int) -> None:
    comparison = compared(blocks_of(WINNER, networks))
    assert rank_test(comparison) is None
    assert set(pairs(comparison)["test"]) == {"bootstrap"}


@pytest.mark.parametrize("step", [None, 0.01])
def test_pairs_are_those_of_wilcoxon_with_and_without_ties(step: float | None) -> None:
    arguments = made(blocks_of({**NOISE, "eos": (0.71, None)}, 10), seeds=1, seed=3)
    scores = arguments["scores"]
    scores["BAC"] += np.random.default_rng(0).normal(scale=0.02, size=len(scores))
    if step:
        scores["BAC"] = (scores["BAC"] / step).round() * step
    comparison = compare(**arguments)
    values = methods_table(comparison).pivot(index="network", columns="head", values="BAC").round(12)
    frame = pairs(comparison)
    for pair in frame.to_dict("records"):
        differences = (values[pair["upper"]] - values[pair["lower"]]).round(12)
        assert pair["p"] == pytest.approx(wilcoxon(differences, zero_method="zsplit").pvalue, abs=1e-9)
        assert pair["difference"] == pytest.approx(differences.mean())
    assert (frame["difference"] >= 0).all()
    np.testing.assert_allclose(frame["p_holm"], holm(frame["p"].to_numpy()))
    np.testing.assert_allclose(frame["p_best"].dropna(), holm(frame["p"].to_numpy()[:3]))


def test_signed_ranks_of_many_blocks_tend_to_the_normal_approximation() -> None:
    accuracies: dict[Any, Any] = {}
    for cut in range(6):
        accuracies |= blocks_of({"own": (0.7, None), "ncm": (0.7, None)}, 10, cut=cut)
    arguments = made(accuracies, n=100)
    values = arguments["scores"].groupby(["head", "cut", "network"])["BAC"].mean().unstack("head").round(12)
    expected = wilcoxon(values["own"] - values["ncm"], zero_method="zsplit", method="asymptotic").pvalue
    assert pairs(compare(**arguments))["p"].item() == pytest.approx(expected, abs=0.02)


def test_differences_to_the_best_have_the_interval_of_the_formula() -> None:
    arguments = made(blocks_of(WINNER, 1))
    frame = differences_to_best(compare(**arguments), "digits").set_index("head")
    assert list(frame.index) == ["smote", "eos", "ncm", "own"]
    hits = {cell[3]: (p == labels).mean(axis=0) for cell, (labels, p) in arguments["predictions"].items()}
    labels = arguments["predictions"]["digits", 0, "ce", "own"][0]
    error = variance(labels, hits["eos"] - hits["smote"]) ** 0.5
    eos = frame.loc["eos"]
    assert eos["difference"] == pytest.approx(hits["eos"].mean() - hits["smote"].mean())
    assert (eos["high"] - eos["low"]) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert frame.loc["smote", ["difference", "low", "high", "p_holm"]].tolist() == [0, 0, 0, 1]


# What to use.


@pytest.mark.parametrize(("heads", "rows"), [(WINNER, "none"), (HELD_OUT, "all")])
def test_a_clear_winner_is_picked(heads: Any, rows: str) -> None:
    accuracies = blocks_of(heads, 3)
    accuracies["digits", 0, "asl"]["smote"] = (0.9, None if rows == "none" else 0.9)
    comparison = compared(accuracies)
    best, head = picked(first(comparison, "digits")), picked(head_for(comparison, "digits"))
    assert (best.network, best.head, best.candidates, best.held_out) == ("asl", "smote", 12, rows)
    assert (head.network, head.head, head.candidates, head.n_blocks) == (None, "smote", 4, 3)
    assert best.equals == head.equals == best.above == ()
    assert best.test_value == pytest.approx(0.9, abs=0.002)
    assert {one.head: one.below for one in avoided(comparison, "digits")} == {"eos": "smote"}


def test_where_all_is_noise_the_simplest_is_picked_and_nothing_avoided() -> None:
    comparison = compared(blocks_of(NOISE, 2), noise=3.0)
    pick = picked(head_for(comparison, "digits"))
    assert pick.head == "own"
    assert avoided(comparison, "digits") == []


def test_identical_heads_are_equal_and_the_first_listed_is_picked() -> None:
    arguments = made(blocks_of(HELD_OUT, 2))
    for network in ("ce", "asl"):
        for kind in ("predictions", "held_out"):
            arguments[kind]["digits", 0, network, "ncm"] = arguments[kind]["digits", 0, network, "smote"]
    scores = arguments["scores"]
    names = ["BAC", "held_out_BAC"]
    scores.loc[scores["head"] == "ncm", names] = scores.loc[scores["head"] == "smote", names].to_numpy()
    comparison = compare(**arguments)
    pick = picked(head_for(comparison, "digits"))
    assert (pick.head, pick.equals) == ("ncm", ((None, "smote"),))
    assert row(comparison, "ncm")["tie"]
    assert row(comparison, "smote")["tie"]
    pair = pairs(comparison).set_index(["upper", "lower"]).loc[("ncm", "smote")]
    assert (pair["p"], pair["difference"]) == (1, 0)


def test_one_block_is_enough() -> None:
    comparison = compared(blocks_of(HELD_OUT, 1))
    pick = picked(head_for(comparison, "digits"))
    assert (pick.head, pick.n_blocks) == ("smote", 1)
    assert row(comparison, "smote")["rank"] == 1


def test_held_out_rows_pick_and_test_rows_only_tell() -> None:
    heads = {"own": (0.6, 0.6), "ncm": (0.9, 0.7), "smote": (0.7, 0.9)}
    pick = picked(head_for(compared(blocks_of(heads, 2)), "digits"))
    assert (pick.head, pick.held_out) == ("smote", "all")
    assert pick.value == pytest.approx(0.9, abs=0.002)
    assert pick.test_value == pytest.approx(0.7, abs=0.002)
    assert pick.above == ((None, "ncm"),)
    assert pick.best == (None, "ncm")


def test_a_head_is_avoided_where_held_out_rows_say_so_and_the_test_rows_may_doubt_it() -> None:
    heads = {
        "own": (0.6, 0.7),
        "ncm": (0.8, 0.8),
        "smote": (0.7, 0.6),
        "eos": (0.7, 0.7),
        "eoscv": (0.9, 0.9),
    }
    found = {one.head: one for one in avoided(compared(blocks_of(heads, 2)), "digits")}
    assert {head: (one.below, one.confirmed) for head, one in found.items()} == {
        "smote": ("own", True),  # on test rows below class means, which are simpler
        "eos": ("ncm", True),
    }
    doubted = {**heads, "smote": (0.95, 0.6)}
    assert not {one.head: one for one in avoided(compared(blocks_of(doubted, 2)), "digits")}[
        "smote"
    ].confirmed


def test_permuted_test_labels_leave_every_pick_by_held_out_rows_unchanged() -> None:
    close = {"own": (0.7, 0.7), "ncm": (0.72, 0.715), "smote": (0.7, 0.72), "eos": (0.6, 0.6)}
    arguments = made({**blocks_of(close, 3), **blocks_of(close, 2, "other")})
    labels = np.random.default_rng(1).permutation(arguments["predictions"]["digits", 0, "ce", "own"][0])
    permuted = {cell: (labels, guess) for cell, (_, guess) in arguments["predictions"].items()}
    scores = arguments["scores"].copy()
    for place, cell in enumerate(
        scores[["dataset", "cut", "network", "head", "seed"]].itertuples(index=False)
    ):
        scores.loc[place, "BAC"] = (permuted[tuple(cell[:4])][1][cell[4]] == labels).mean()
    before, after = compare(**arguments), compare(**{**arguments, "scores": scores, "predictions": permuted})
    assert methods_table(after)["BAC"].max() < 0.3
    asked: list[tuple[Any, str | None]] = [(head_for, None), *product((head_for, first), ("digits", "other"))]
    for ask, dataset in asked:
        one, two = ask(before, dataset), ask(after, dataset)
        for name in ("network", "head", "value", "equals", "held_out"):
            assert getattr(one, name) == getattr(two, name)
    for dataset in ("digits", "other", None):
        reasons = [[(one.head, one.below) for one in avoided(both, dataset)] for both in (before, after)]
        assert reasons[0] == reasons[1]
        assert reasons[0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("networks", [1, 3])
def test_a_pick_is_never_avoided(seed: int, networks: int) -> None:
    rng = np.random.default_rng(seed)
    accuracies = {}
    for block in blocks_of(WINNER, networks):
        accuracies[block] = {head: (0.7, float(rng.uniform(0.66, 0.74))) for head in WINNER}
    for noise in (0.2, 2.0):
        comparison = compared(accuracies, noise=noise)
        pick = picked(head_for(comparison, "digits"))
        assert pick.head not in {one.head for one in avoided(comparison, "digits")}


def test_without_predictions_of_held_out_rows_the_spread_over_blocks_decides() -> None:
    accuracies = blocks_of(HELD_OUT, 4)
    for place, block in enumerate(accuracies):
        up = 0.05 if place % 2 else -0.03
        accuracies[block]["ncm"] = (0.65, 0.8 + up)  # mean .81, over the blocks .77 to .85
        accuracies[block]["eos"] = (0.7, 0.7 + 0.01 * place)
    arguments = made(accuracies)
    arguments["heads"] = {head: arguments["heads"][head] for head in ("own", "smote", "eos", "ncm")}
    comparison = compare(**{**arguments, "held_out": None})
    pick = picked(head_for(comparison, "digits"))
    assert (pick.head, pick.held_out, pick.equals) == ("smote", "all", ((None, "ncm"),))
    assert {one.head: one.below for one in avoided(comparison, "digits")} == {"eos": "smote"}


def test_with_one_block_and_no_predictions_the_seeds_decide() -> None:
    arguments = made(blocks_of(HELD_OUT, 1), seeds=2)
    scores = arguments["scores"]
    scores.loc[scores["head"] == "eos", "held_out_BAC"] = [0.75, 0.87]  # mean .81, error .06
    pick = picked(head_for(compare(**{**arguments, "held_out": None}), "digits"))
    assert (pick.head, pick.equals) == ("smote", ((None, "eos"),))


def test_a_network_is_first_only_where_it_was_run_on_all_cuts() -> None:
    accuracies = {**blocks_of(WINNER, 2), **blocks_of(WINNER, 1, cut=10)}
    accuracies["digits", 0, "asl"] = {"smote": (0.95, None)}
    pick = picked(first(compared(accuracies), "digits"))
    assert (pick.network, pick.head, pick.n_blocks, pick.candidates) == ("ce", "smote", 2, 4)


def test_rows_of_two_kinds_are_not_compared_between_networks() -> None:
    accuracies: dict[Any, Any] = {**blocks_of(HELD_OUT, 1), ("digits", 0, "asl"): WINNER}
    comparison = compared(accuracies)
    best, head = picked(first(comparison, "digits")), picked(head_for(comparison, "digits"))
    assert (best.held_out, head.held_out) == ("none", "some")


def test_a_single_head_and_no_head_at_all() -> None:
    comparison = compared(blocks_of({"own": (0.5, None)}, 2))
    pick = picked(head_for(comparison, "digits"))
    assert (pick.head, pick.candidates) == ("own", 1)
    assert pairs(comparison).empty
    arguments = made(blocks_of(WINNER, 1))
    nothing = compare(**{**arguments, "scores": arguments["scores"].iloc[:0]})
    assert methods_table(nothing).empty
    assert head_for(nothing) is None
    assert pairs(nothing).empty


# What cannot be used.


def test_says_what_cannot_be_used() -> None:
    arguments = made(blocks_of(WINNER, 2))
    cell = ("digits", 0, "asl", "eos")
    labels, guess = arguments["predictions"][cell]
    for changed, message in (
        ({}, "none of digits/0/asl/eos"),
        ({cell: (labels, guess[:, 1:])}, r"digits/0/asl/eos: predictions of shape \(2, 499\) for 500 rows"),
        ({cell: (labels, guess[0])}, r"shape \(500,\)"),
        ({cell: (labels[::-1], guess)}, "digits/0/asl/eos: labels differ"),
    ):
        others = {other: rows for other, rows in arguments["predictions"].items() if other != cell}
        with pytest.raises(InputError, match=message):
            compare(**{**arguments, "predictions": {**others, **changed}})
    twice = pd.concat([arguments["scores"], arguments["scores"].iloc[[3]]])
    with pytest.raises(InputError, match="is there twice"):
        compare(**{**arguments, "scores": twice})


def test_equal_arguments_give_equal_numbers() -> None:
    arguments = made({**blocks_of(HELD_OUT, 2), **blocks_of(HELD_OUT, 1, "other")})
    one, two = compare(**arguments), compare(**arguments)
    for ask, dataset in product((differences_to_best, head_for), ("digits", "other")):
        assert repr(ask(one, dataset)) == repr(ask(two, dataset))
    pd.testing.assert_frame_equal(methods_table(one), methods_table(two))
