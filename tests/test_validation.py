"""What people hand in is checked where it comes in, and refused by its name."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from eos import CCR, EOS, RBO, SWIM, BalancedSVM, LinearHead, ManifoldOverSampler, NearestClassMean, TailCalib
from eos.errors import InputError
from eos.validation import check_squares, finite_features, labels_of_one_kind

Y = np.repeat([0, 1], [12, 6])
X = np.random.default_rng(0).normal(size=(18, 3)) + Y[:, np.newaxis]
GAPS = X.copy()
GAPS[4, 1], GAPS[9] = np.nan, np.inf
DAYS = np.datetime64("2020-01-01") + np.arange(54).reshape(18, 3).astype("timedelta64[D]")


@pytest.mark.parametrize(
    "estimator",
    [
        EOS(),
        BalancedSVM(),
        TailCalib(),
        SWIM(),
        ManifoldOverSampler(),
        RBO(),
        CCR(),
        LinearHead(),
        NearestClassMean(),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (DAYS, r"X: holds datetime64\[D\]"),
        (DAYS.tolist(), "date"),
        (list(DAYS), r"X: holds datetime64\[D\]"),
        (DAYS - DAYS[0], r"X: holds timedelta64\[D\]"),
        (X.astype(str), "X: holds <U"),
        (
            pd.DataFrame(X, columns=list("abc")).assign(b=pd.Timestamp("2020")),
            "X: column 'b' holds datetime64",
        ),
        (np.full((18, 3), 10**400, dtype=object), "X: int too large to convert to float"),
        (GAPS, "X: 2 of 18 rows hold NaN or infinity, the first is row 4"),
        (GAPS.tolist(), "X: 2 of 18 rows hold NaN or infinity, the first is row 4"),
        (pd.DataFrame(GAPS), "X: 2 of 18 rows hold NaN or infinity, the first is row 4"),
    ],
    ids=[
        "dates",
        "objects",
        "list",
        "durations",
        "text",
        "frame",
        "beyond float64",
        "gaps",
        "gaps in a list",
        "gaps in a frame",
    ],
)
def test_features_that_are_no_numbers(estimator: Any, features: Any, message: str) -> None:
    fit = getattr(estimator, "fit_resample", estimator.fit)
    with pytest.raises((InputError, TypeError), match=message):
        fit(features, Y)


@pytest.mark.parametrize("estimator", [EOS(), LinearHead()], ids=repr)
def test_gaps_in_a_sparse_matrix(estimator: Any) -> None:
    fit = getattr(estimator, "fit_resample", estimator.fit)
    with pytest.raises(InputError, match="X: 2 of 18 rows hold NaN or infinity, the first is row 4"):
        fit(sparse.csr_matrix(GAPS), Y)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, "a"], "y: int and str among each other"),
        ([0, np.int64(1), np.str_("a")], "y: int and str among each other"),
        ([True, "a"], "y: bool and str among each other"),
        ([b"a", "b"], "y: bytes and str among each other"),
        ([0.0, np.nan, 1.0], "y: 1 are missing, the first in row 1"),
        ([0.0, np.inf, np.nan], "y: 2 are infinite, the first in row 1"),
        (np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"), "y: 1 are missing, the first in row 1"),
        (["a", None, np.nan], "y: 2 are missing, the first in row 1"),
        ([[0, 1], [0]], "y: no labels"),
    ],
)
def test_labels_of_several_kinds_and_missing_ones(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        labels_of_one_kind(labels, "y")


@pytest.mark.parametrize(
    "labels",
    [
        [0, np.int64(1)],
        np.array(["a", np.str_("b")], dtype=object),
        np.array([1, np.int8(2), 10**30], dtype=object),
        [[0, 1], [1, 0]],
        np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]"),
        [True, np.bool_(False)],
        3,
    ],
)
def test_labels_of_one_kind_come_back(labels: Any) -> None:
    assert np.array_equal(labels_of_one_kind(labels, "y"), np.asarray(labels))


def test_wide_floats_become_float64() -> None:
    assert finite_features(np.ones((2, 2), dtype=np.longdouble), "X").dtype == np.float64
    with pytest.raises(InputError, match="X: 1 of 2 rows hold NaN or infinity, the first is row 1"):
        finite_features(np.array([[1], ["1e400"]], dtype=np.longdouble), "X")


def test_squares_that_overflow_or_vanish() -> None:
    for fine in (np.zeros((2, 2)), np.array([[1e-200, 1e150]]), np.array([[-1e-150]])):
        check_squares(fine, "X")
    with pytest.raises(
        InputError, match=r"X: values as large as 2e\+150 cannot be squared in float64; scale"
    ):
        check_squares(np.array([[1.0, -2e150]]), "X")
    with pytest.raises(InputError, match=r"X: no value is larger than 2e-151, .*; scale the features up"):
        check_squares(np.array([[1e-160, -2e-151]]), "X")
