"""Scores: exactly those of scikit-learn and imbalanced-learn, whatever classes are met or predicted."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.metrics import geometric_mean_score
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, recall_score

from eos.metrics.scores import balanced_accuracy, confusion, geometric_mean, recalls, score, weight_norms

Outcome = tuple[np.ndarray, np.ndarray]


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    """Draw labels and predictions among five classes: unbalanced, some never met, some never predicted."""
    classes = st.integers(0, 4)
    labels = draw(st.lists(classes, min_size=1, max_size=30))
    guesses = draw(st.lists(classes, min_size=len(labels), max_size=len(labels)))
    right = draw(st.lists(st.booleans(), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.where(right, labels, guesses)


@given(outcomes())
def test_equal_the_reference_scores(outcome: Outcome) -> None:
    labels, predictions = outcome
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the references warn about classes that were never met
        expected = {
            "BAC": balanced_accuracy_score(labels, predictions),
            "GM": geometric_mean_score(labels, predictions, average="macro"),
            "FM": f1_score(labels, predictions, average="macro", zero_division=0),
        }
    assert score(labels, predictions, 5) == pytest.approx(expected, abs=1e-12)


@given(outcomes())
def test_counts_and_recalls_equal_scikit_learn(outcome: Outcome) -> None:
    labels, predictions = outcome
    counts = confusion(labels, predictions, 5)
    np.testing.assert_array_equal(counts, confusion_matrix(labels, predictions, labels=range(5)))
    expected = recall_score(labels, predictions, labels=range(5), average=None, zero_division=np.nan)
    np.testing.assert_allclose(recalls(counts), expected)


@given(outcomes())
def test_on_a_balanced_test_set_gm_is_a_function_of_bac(outcome: Outcome) -> None:
    _, predictions = outcome
    predictions = np.tile(predictions, 5)[: 5 * (len(predictions) // 5 + 1)]
    labels = np.arange(len(predictions)) % 5
    counts = confusion(labels, predictions, 5)
    bac = balanced_accuracy(counts)
    assert geometric_mean(counts) == pytest.approx(np.sqrt(bac * (1 - (1 - bac) / 4)))


def test_one_case_by_hand() -> None:
    # class 0: 3 of 4 right; class 1: 1 of 2; class 2: never predicted, 0 of 1
    labels, predictions = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 0, 1])
    result = score(labels, predictions, 3)
    assert result["BAC"] == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert result["FM"] == pytest.approx((2 * 3 / 8 + 2 * 1 / 5 + 0) / 3)
    specificity = (2 / 3 + 3 / 5 + 6 / 6) / 3
    assert result["GM"] == pytest.approx(np.sqrt((3 / 4 + 1 / 2 + 0) / 3 * specificity))


def test_weight_norms_are_euclidean() -> None:
    np.testing.assert_allclose(weight_norms(np.array([[3, 4], [0, 0]], np.float32)), [5.0, 0.0])
