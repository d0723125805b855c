"""The generalization gap: the formula written as a loop, and the properties that it must have."""

import doctest
import math
import re
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

import eos.metrics.gap
from eos import generalization_gap
from eos.errors import InputError
from eos.metrics.gap import net_gap, outcome_gaps

Problem = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def gap_by_loop(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> list[float]:
    """Return the gaps of the classes, one feature at a time (paper, Section III-B)."""
    gaps = []
    for label in sorted(set(train_labels)):
        members = [row for row, of in zip(train, train_labels, strict=True) if of == label]
        probes = [row for row, of in zip(test, test_labels, strict=True) if of == label]
        total = 0.0 if probes else math.nan
        for feature in range(len(train[0])) if probes else ():
            known = [float(row[feature]) for row in members]
            new = [float(row[feature]) for row in probes]
            total += max(0.0, max(new) - max(known)) + max(0.0, min(known) - min(new))
        gaps.append(total)
    return gaps


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw training and test embeddings of up to four classes; every test class has a training row."""
    n_classes, width = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    n_extra, n_test = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    classes = st.integers(0, n_classes - 1)
    train_labels = [*range(n_classes), *draw(st.lists(classes, min_size=n_extra, max_size=n_extra))]
    test_labels = draw(st.lists(classes, min_size=n_test, max_size=n_test))
    values = st.floats(-100, 100, width=32)
    train = draw(hnp.arrays(np.float32, (len(train_labels), width), elements=values))
    test = draw(hnp.arrays(np.float32, (n_test, width), elements=values))
    # Labels need not be 0 to C-1: a gap per class "in sorted label order".
    return train, 3 * np.array(train_labels) - 4, test, 3 * np.array(test_labels, dtype=int) - 4


@given(problems())
def test_equals_the_formula(problem: Problem) -> None:
    result = generalization_gap(*problem)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, gap_by_loop(*problem), rtol=1e-12)


@given(problems(), st.data())
def test_is_zero_when_the_test_range_lies_inside(problem: Problem, data: st.DataObject) -> None:
    train, train_labels, _, _ = problem
    rows, labels = [], []
    for label in np.unique(train_labels):
        members = train[train_labels == label]
        low, high = members.min(axis=0), members.max(axis=0)
        inside = [data.draw(st.floats(a, b, width=32)) for a, b in zip(low, high, strict=True)]
        rows.append(inside)
        labels.append(label)
    np.testing.assert_array_equal(generalization_gap(train, train_labels, np.array(rows), labels), 0.0)


@given(problems(), st.randoms(use_true_random=False))
def test_does_not_depend_on_row_order(problem: Problem, random: Random) -> None:
    train, train_labels, test, test_labels = problem
    a = random.sample(range(len(train)), len(train))
    b = np.array(random.sample(range(len(test)), len(test)), dtype=int)
    shuffled = generalization_gap(train[a], train_labels[a], test[b], test_labels[b])
    np.testing.assert_array_equal(shuffled, generalization_gap(*problem))


@given(problems(), st.data())
def test_never_grows_with_more_training_rows(problem: Problem, data: st.DataObject) -> None:
    train, train_labels, test, test_labels = problem
    values = st.floats(-200, 200, width=32)
    more = data.draw(hnp.arrays(np.float32, (data.draw(st.integers(1, 5)), train.shape[1]), elements=values))
    their_labels = data.draw(
        st.lists(st.sampled_from(sorted(set(train_labels))), min_size=len(more), max_size=len(more))
    )
    before = generalization_gap(*problem)
    after = generalization_gap(
        np.vstack([train, more]), np.append(train_labels, their_labels), test, test_labels
    )
    defined = ~np.isnan(before)
    np.testing.assert_array_equal(np.isnan(after), ~defined)
    assert (after[defined] <= before[defined]).all()


@given(problems(), st.data())
def test_outcomes_are_the_gap_of_the_rows_that_were_right_and_wrong(
    problem: Problem, data: st.DataObject
) -> None:
    train, train_labels, test, test_labels = problem
    names = sorted(set(train_labels))
    predictions = np.array(
        data.draw(st.lists(st.sampled_from(names), min_size=len(test), max_size=len(test))), dtype=int
    )
    right = [i for i in range(len(test)) if predictions[i] == test_labels[i]]
    wrong = [i for i in range(len(test)) if predictions[i] != test_labels[i]]
    true_positive, false_positive = outcome_gaps(train, train_labels, test, test_labels, predictions)
    expected_tp = gap_by_loop(train, train_labels, test[right], test_labels[right])
    expected_fp = gap_by_loop(train, train_labels, test[wrong], test_labels[wrong])
    np.testing.assert_allclose(true_positive, expected_tp, rtol=1e-12)
    np.testing.assert_allclose(false_positive, expected_fp, rtol=1e-12)


def test_one_case_by_hand() -> None:
    train, train_labels = [[0, 0], [2, 1], [9, 9]], ["a", "a", "b"]
    test, test_labels = [[-1.0, 0.5], [2.5, 3.0], [9.0, 9.0]], ["a", "a", "b"]
    np.testing.assert_array_equal(
        generalization_gap(train, train_labels, test, test_labels), [0.5 + 2 + 1, 0.0]
    )
    true_positive, false_positive = outcome_gaps(train, train_labels, test, test_labels, ["a", "b", "b"])
    np.testing.assert_array_equal(true_positive, [1.0, 0.0])
    np.testing.assert_array_equal(false_positive, [2.5, np.nan])


def test_named_gaps_have_the_labels_as_they_were_given() -> None:
    train, test = np.array([[0.0], [1.0], [5.0]]), np.array([[-0.5], [3.0], [5.0]])
    for labels in (["b", "b", "a"], [7, 7, -1], np.array(["b", "b", "a"], dtype=object)):
        named = generalization_gap(train, labels, test, labels, named=True)
        assert list(named.items()) == [(labels[2], 0.0), (labels[0], 2.5)]
        assert {type(label) for label in named} <= {str, int}
        np.testing.assert_array_equal(generalization_gap(train, labels, test, labels), list(named.values()))
    assert math.isnan(generalization_gap(train, ["b", "b", "a"], test[:2], ["b", "b"], named=True)["a"])


def test_net_gap_is_the_mean_of_the_defined_classes() -> None:
    assert net_gap([1.0, 2.0, 6.0]) == 3.0
    assert net_gap([1.0, math.nan, 3.0]) == 2.0
    assert math.isnan(net_gap([math.nan]))


GOOD = (np.zeros((4, 2)), np.array([0, 0, 1, 1]), np.ones((2, 2)), np.array([0, 1]))


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, np.array([[0, 0], [0, 0], [np.nan, 0], [0, 0.0]]), "train_features: 1 of 4 rows.*row 2"),
        (2, np.array([[0, 0], [np.inf, 0]]), "test_features: 1 of 2 rows.*row 1"),
        (0, np.zeros(4), "train_features: a float64 array of shape"),
        (2, np.zeros((2, 3)), "test_features: 3 columns, but train_features has 2"),
        (1, np.array([0, 0, 1]), "train_labels: shape"),
        (3, np.array([0, 1, 1]), "test_labels: shape"),
        (3, np.array([0, 7]), "test_labels: class 7 has no training rows"),
    ],
)
def test_bad_input_is_named(position: int, value: np.ndarray, message: str) -> None:
    arguments = list(GOOD)
    arguments[position] = value
    a, b, c, d = arguments
    with pytest.raises(InputError, match=message):
        generalization_gap(a, b, c, d)
    with pytest.raises(InputError, match=message):
        outcome_gaps(a, b, c, d, np.array([0, 1]))


def test_no_training_rows_and_missing_predictions_are_named() -> None:
    with pytest.raises(InputError, match="train_features: there are no rows"):
        generalization_gap(np.zeros((0, 2)), [], np.zeros((0, 2)), [])
    with pytest.raises(InputError, match="predictions: shape"):
        outcome_gaps(*GOOD, np.array([0]))


def test_docstring_examples_run() -> None:
    result = doctest.testmod(eos.metrics.gap)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, None, 1, 1], "train_labels: 1 are missing, the first in row 1; drop such rows"),
        (["a", np.nan, "b", "b"], "train_labels: 1 are missing, the first in row 1; drop such rows"),
        (["a", 1, "a", 1], "train_labels: int and str among each other; give labels"),
        ([0.0, 0.0, np.nan, np.nan], "train_labels: 2 are missing, the first in row 2"),
        (np.array(["a", 1, "a", 1], dtype=object), "train_labels: int and str among each other; give labels"),
    ],
)
def test_labels_that_cannot_be_compared(labels: Any, message: str) -> None:
    X = np.arange(8.0).reshape(4, 2)
    with pytest.raises(InputError, match=message):
        generalization_gap(X, labels, X, labels)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (sparse.csr_array(np.eye(4)), r"train_features: a sparse matrix; give a dense one, `toarray\(\)`"),
        ([[1, 2], [3], [1, 2], [2, 3]], "train_features: no matrix .*; give rows of one length"),
    ],
)
def test_features_that_are_no_matrix(features: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        generalization_gap(features, [0, 0, 1, 1], np.eye(4), [0, 0, 1, 1])


@pytest.mark.parametrize("largest", [1.7e308, 1e308])
def test_a_gap_beyond_float64_is_refused(largest: float) -> None:
    train = np.array([[-largest], [0.0]])
    with pytest.raises(
        InputError, match=rf"test_features: values as large as {re.escape(f'{largest:g}')} reach"
    ):
        generalization_gap(train, [0, 1], np.array([[largest], [0.0]]), [0, 1])
    assert generalization_gap(train, [0, 1], train, [0, 1]).tolist() == [0.0, 0.0]
