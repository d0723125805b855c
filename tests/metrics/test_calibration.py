"""Calibration against a loop over bins, scikit-learn, and cases by hand."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.utils.class_weight import compute_sample_weight

from eos.errors import InputError
from eos.metrics.calibration import calibration, class_mean_loss


def drawn(n_classes: int = 4, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, the last class rare, and probabilities that lean to them."""
    rng = np.random.default_rng(n_classes)
    labels = np.where(rng.random(n) < 0.05, n_classes - 1, rng.integers(0, n_classes, n))
    logits = rng.normal(size=(n, n_classes)) + 1.5 * np.eye(n_classes)[labels]
    exponentials = np.exp(logits)
    return labels, exponentials / exponentials.sum(axis=1, keepdims=True)


def ece_by_loop(labels: np.ndarray, probabilities: np.ndarray, n_bins: int, weights: np.ndarray) -> float:
    total = 0.0
    for low, high in zip(np.arange(n_bins) / n_bins, np.arange(1, n_bins + 1) / n_bins, strict=True):
        top = probabilities.max(axis=1)
        inside = (top > low) & (top <= high)
        if inside.any():
            share = weights[inside] / weights[inside].sum()
            accuracy = (share * (probabilities.argmax(axis=1) == labels)[inside]).sum()
            total += weights[inside].sum() / weights.sum() * abs(accuracy - (share * top[inside]).sum())
    return total


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("n_bins", [1, 7, 15])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_equal_the_references(n_classes: int, n_bins: int, balanced: bool) -> None:
    labels, probabilities = drawn(n_classes)
    weights = compute_sample_weight("balanced" if balanced else None, labels)
    result = calibration(labels, probabilities, n_bins, balanced=balanced)
    expected = ece_by_loop(labels, probabilities, n_bins, weights)
    brier = brier_score_loss(labels, probabilities, sample_weight=weights, scale_by_half=False)
    assert result == pytest.approx({"ECE": expected, "Brier": brier}, abs=1e-12)


def test_a_case_by_hand() -> None:
    # .8 and .8, one of them right: |.5 - .8|; .6, right: |1 - .6|
    result = calibration([0, 1, 1], [[0.8, 0.2], [0.8, 0.2], [0.4, 0.6]])
    assert result["ECE"] == pytest.approx(2 / 3 * 0.3 + 1 / 3 * 0.4)
    assert result["Brier"] == pytest.approx((2 * 0.2**2 + 2 * 0.8**2 + 2 * 0.4**2) / 3)


def test_certain_and_right_is_zero_certain_and_wrong_the_most() -> None:
    assert calibration([0, 1], np.eye(2)) == {"ECE": 0.0, "Brier": 0.0}
    assert calibration([1, 0], np.eye(2)) == {"ECE": 1.0, "Brier": 2.0}


def test_balanced_counts_each_class_alike() -> None:
    labels, probabilities = drawn()
    rare = np.flatnonzero(labels == 3)
    repeated = np.concatenate([np.arange(len(labels)), np.repeat(rare, 9)])  # the rare class ten times
    once, tenfold = (
        calibration(labels[rows], probabilities[rows], balanced=True)
        for rows in (np.arange(len(labels)), repeated)
    )
    assert once == pytest.approx(tenfold)
    assert calibration(labels, probabilities)["Brier"] != pytest.approx(once["Brier"])


def test_single_precision_is_good_enough() -> None:
    labels, probabilities = drawn()
    assert calibration(labels, probabilities.astype(np.float32)) == pytest.approx(
        calibration(labels, probabilities), abs=1e-6
    )


@pytest.mark.parametrize(
    ("labels", "probabilities", "n_bins", "message"),
    [
        ([0], [[0.5, 0.6]], 15, "row 0 sums to 1.1"),
        ([0, 0], [[0.5, 0.5], [1.5, -0.5]], 15, "row 1"),
        ([0], [[np.nan, 1.0]], 15, "row 0"),
        ([2], [[0.5, 0.5]], 15, "2 in row 0; give classes from 0 to 1"),
        ([0, 1], [[0.5, 0.5]], 15, "shape"),
        ([0.0], [[0.5, 0.5]], 15, "whole numbers"),
        ([0], [[0.5, 0.5]], 0, "n_bins: 0"),
        (np.empty(0, int), np.empty((0, 2)), 15, "at least one row"),
    ],
)
def test_says_what_cannot_be_used(
    labels: list[int], probabilities: list[list[float]], n_bins: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        calibration(labels, probabilities, n_bins)


@pytest.mark.parametrize("factor", [1.0, 0.01, 3.0])
def test_class_mean_loss_is_scikit_learns_at_the_best_temperature(factor: float) -> None:
    labels, probabilities = drawn()
    outputs = (factor * np.log(probabilities)).astype(np.float32)
    weights = compute_sample_weight("balanced", labels)
    at = [
        log_loss(labels, softmax(temperature * outputs.astype(float), axis=1), sample_weight=weights)
        for temperature in 2.0 ** np.arange(-6, 4.5, 0.5)
    ]
    assert class_mean_loss(labels, outputs) == pytest.approx(min(at), rel=1e-9)
    assert min(at) < at[0]


def test_class_mean_loss_bears_outputs_of_any_size() -> None:
    labels, outputs = np.array([0, 1, 1]), np.array([[9.0, 0], [2, 1], [-1, 4]])
    plain = class_mean_loss(labels, outputs)
    moved = outputs + np.array([[1e4], [-1e4], [0]])
    assert class_mean_loss(labels, moved) == pytest.approx(plain, rel=1e-9)
    assert class_mean_loss(labels[[0, 2]], 1e5 * outputs[[0, 2]]) == 0  # both right, and certain
