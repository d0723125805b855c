"""Calibration: whether a classifier that says .8 is right eight times in ten."""

import numpy as np
import numpy.typing as npt

from eos.errors import InputError

# Factors of outputs, from nearly equal probabilities to nearly certain ones.
_INVERSE_TEMPERATURES = 2.0 ** np.arange(-6, 4.5, 0.5)
_SUM_TOLERANCE = 1e-3  # of a row's probabilities in half precision


def calibration(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, n_bins: int = 15, *, balanced: bool = False
) -> dict[str, float]:
    r"""Return the expected calibration error and the Brier score; of both, lower is better.

    The expected calibration error (ECE; Naeini et al. 2015, in the form of Guo et al. 2017) is that of the
    top label. Rows fall into `n_bins` bins of equal width, :math:`(b/B, (b+1)/B]`, by the largest of their
    probabilities, and

    .. math:: \mathrm{ECE} = \sum_b w_b \, |\mathrm{accuracy}_b - \mathrm{confidence}_b|

    with the share :math:`w_b` of the rows. The Brier score (Brier 1950) is the mean over rows of the squared
    distance to the true class, :math:`\sum_c (p_c - [c = y])^2`, between 0 and 2. It rewards accuracy, too;
    the ECE does not.

    Parameters
    ----------
    labels : array-like of int, shape (n_samples,)
        True classes, 0 to ``n_classes - 1``.
    probabilities : array-like of shape (n_samples, n_classes)
        Of each class; each row sums to 1. The first of several largest is the predicted class.
    n_bins : int
        Number of bins of the ECE.
    balanced : bool
        Weigh rows so that all classes that have rows count alike, as in balanced accuracy; otherwise all rows
        count alike. On a balanced test set there is no difference.

    Returns
    -------
    dict
        ECE, in [0, 1], and Brier, in [0, 2].

    Raises
    ------
    InputError
        If shapes do not fit, there is no row, a label is no class, a row is no distribution, or `n_bins` is
        below 1.
    """
    labels, probabilities = _checked(labels, probabilities)
    if n_bins < 1:
        raise InputError(f"n_bins: {n_bins}; give a whole number of at least 1")
    rows = np.arange(len(labels))
    weights = np.ones(len(labels))
    if balanced:
        weights /= np.bincount(labels)[labels]
    predicted = probabilities.argmax(axis=1)
    confidences = probabilities[rows, predicted]
    bins = np.clip(np.ceil(confidences * n_bins).astype(np.intp) - 1, 0, n_bins - 1)
    excess = np.bincount(bins, weights * (confidences - (predicted == labels)), minlength=n_bins)
    distances = probabilities.copy()
    distances[rows, labels] -= 1
    brier = (distances**2).sum(axis=1)
    return {
        "ECE": float(np.abs(excess).sum() / weights.sum()),
        "Brier": float((weights * brier).sum() / weights.sum()),
    }


def _checked(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers and distributions, or raise the error that says which row is none."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or probabilities.size == 0:
        raise InputError(
            f"probabilities: shape {probabilities.shape}, and labels of shape {labels.shape}; "
            "give (n_samples, n_classes) and (n_samples,), of at least one row"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels: {labels.dtype}; give whole numbers")
    outside = np.flatnonzero((labels < 0) | (labels >= probabilities.shape[1]))
    if outside.size:
        raise InputError(
            f"labels: {labels[outside[0]]} in row {outside[0]}; "
            f"give classes from 0 to {probabilities.shape[1] - 1}, the columns of the probabilities"
        )
    # The negation lets NaN through to the error.
    fits = (probabilities >= 0).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1) <= _SUM_TOLERANCE)
    if not fits.all():
        first = np.flatnonzero(~fits)[0]
        raise InputError(
            f"probabilities: row {first} sums to {probabilities[first].sum():g}, or has a negative value or "
            "NaN; give distributions, a softmax makes them"
        )
    return labels, probabilities


def class_mean_loss(labels: np.ndarray, outputs: np.ndarray) -> float:
    """Return the cross-entropy of outputs (n, C), the mean over the classes of each class's mean.

    It is that at the temperature with which it is least, out of a fixed list: heads differ in the scale of
    their outputs, which changes no decision.
    """
    weights = 1.0 / np.bincount(labels)[labels]
    scores = outputs.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(labels)), labels]
    losses = []
    for factor in _INVERSE_TEMPERATURES:
        rows = np.log(np.exp(factor * scores).sum(axis=1)) - factor * own
        losses.append(float((weights * rows).sum() / weights.sum()))
    return min(losses)
