"""What changed between two results, and whether it is more than noise."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from eos.page.changes import MORE, NOISE, SAME, UNKNOWN, Mean, claims_changed, compare, differing, judge


def mean(*values: float) -> Mean:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Mean(float(np.mean(values)), deviation, len(values))


@pytest.mark.parametrize("shift", [0.002, 0.008, 0.012, 0.02, 0.04])
@pytest.mark.parametrize("runs", [2, 3, 10])
def test_the_rule_is_welchs_test_at_5_percent(shift: float, runs: int) -> None:
    rng = np.random.default_rng(runs)
    old, new = rng.normal(0.9, 0.004, runs), rng.normal(0.9 + shift, 0.009, runs + 1)
    p = ttest_ind(old, new, equal_var=False).pvalue
    assert judge(mean(*old), mean(*new))[0] == (MORE if p < 0.05 else NOISE)


def test_what_is_more_than_noise_is_so_by_what_it_needs() -> None:
    old, new = Mean(0.9, 0.01, 3), Mean(0.9, 0.01, 3)
    needed = judge(old, new)[1]
    assert needed == pytest.approx(2.776 * math.sqrt(2 * 0.01**2 / 3), rel=1e-3)
    assert judge(old, Mean(0.9 + 1.01 * needed, 0.01, 3))[0] == MORE
    assert judge(old, Mean(0.9 - 1.01 * needed, 0.01, 3))[0] == MORE
    assert judge(old, Mean(0.9 + 0.99 * needed, 0.01, 3))[0] == NOISE


def test_a_single_run_and_runs_that_all_gave_the_same_cannot_be_told() -> None:
    assert judge(Mean(0.9), Mean(0.95, 0.01, 3))[0] == UNKNOWN
    assert judge(Mean(0.9, 0.0, 3), Mean(0.95, 0.0, 3))[0] == UNKNOWN
    assert judge(Mean(0.9), Mean(0.9))[0] == SAME


def table(**columns: object) -> pd.DataFrame:
    head = {"dataset": "digits", "network": "ce", "head": ["own", "smote", "eos"], "cuts": 1}
    return pd.DataFrame(
        {**head, "seeds": [1, 3, 3], "BAC": [0.9, 0.91, 0.92], "BAC_sd": [math.nan, 0.01, 0.01]} | columns
    )


def test_cells_are_compared_by_their_names_and_not_by_their_places() -> None:
    new = table(BAC=[0.95, 0.912, 0.99]).iloc[::-1]
    compared = compare("Table II", table(), new, {"eos": "EOS (K = 10)"})
    found = {change.cell: change.verdict for change in compared.changes}
    assert found == {
        "Digits, CE, Own classifier": UNKNOWN,
        "Digits, CE, SMOTE": NOISE,
        "Digits, CE, EOS (K = 10)": MORE,
    }
    assert compared.counts == {SAME: 0, NOISE: 1, MORE: 1, UNKNOWN: 1}


def test_with_several_cuts_a_run_is_a_cut() -> None:
    wide = {"cuts": 2, "seeds": 3, "BAC_sd": 0.01}
    compared = compare("", table(**wide), table(**wide, BAC=[0.9, 0.91, 0.945]), {})
    assert compared.changes[0].verdict == NOISE  # of six runs it would be more
    wide["cuts"] = 6
    compared = compare("", table(**wide), table(**wide, BAC=[0.9, 0.91, 0.945]), {})
    assert compared.changes[0].verdict == MORE


def test_cells_that_one_result_alone_has_are_named() -> None:
    compared = compare("", table(), table().iloc[1:], {})
    assert (compared.added, compared.removed) == ((), ("Digits, CE, Own classifier",))
    compared = compare("", table().iloc[1:], table(), {})
    assert (compared.added, compared.removed) == (("Digits, CE, Own classifier",), ())


def test_a_table_that_one_result_lacks_says_so() -> None:
    assert "not in the other result" in compare("", None, table(), {}).said
    assert "not in this result" in compare("", table(), None, {}).said


def test_a_cell_on_images_is_told_from_the_one_on_embeddings() -> None:
    space = {"space": ["none", "pixel", "embedding"], "head": "smote"}
    compared = compare("", table(**space), table(**space, BAC=0.5), {})
    assert [change.cell for change in compared.changes][1:] == [
        "Digits, CE, SMOTE (on images)",
        "Digits, CE, SMOTE",
    ]


def test_claims_that_hold_no_more_are_told() -> None:
    old = pd.DataFrame(
        {"dataset": "digits", "claim": "a", "cell": ["ce", "ldam/smote"], "holds": [True, False]}
    )
    told = claims_changed(old, old.assign(holds=[False, True]), {"a": "A above B"})
    assert told == [
        ("Digits", "A above B", "CE", "holds no more"),
        ("Digits", "A above B", "LDAM, SMOTE", "holds now"),
    ]
    assert claims_changed(old, old, {}) == []


def test_parameters_that_differ_are_named_by_their_place() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    assert differing(old, {"a": {"b": 2, "c": [1, 2]}, "e": 0}) == [
        ("a.b", "1", "2"),
        ("d", "null", "-"),
        ("e", "-", "0"),
    ]
    assert differing(old, old) == []


def test_what_one_side_lacks_is_told_value_by_value() -> None:
    new = {"digits": {"own": 0.9, "more": {"eos": 0.8}}, "none": {}}
    assert differing({}, new) == [
        ("digits.own", "-", "0.9"),
        ("digits.more.eos", "-", "0.8"),
        ("none", "-", "{}"),
    ]
    assert differing(new, {"none": {}}) == [("digits.own", "0.9", "-"), ("digits.more.eos", "0.8", "-")]
