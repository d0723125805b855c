"""Scores of a classifier on an imbalanced problem, all from one confusion matrix.

Balanced accuracy (BAC), geometric mean (GM) and macro-F1 (FM) are those of the paper, and agree with
scikit-learn's and imbalanced-learn's functions of these names, at a small part of their cost: a score is
wanted after every epoch.
"""

import numpy as np
import numpy.typing as npt

from eos.errors import InputError
from eos.validation import class_numbers


def confusion(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> np.ndarray:
    """Count the rows of each true class that were predicted as each class.

    Parameters
    ----------
    labels : array-like of int, shape (n_samples,)
        True classes, 0 to ``n_classes - 1``, at least one row.
    predictions : array-like of int, shape (n_samples,)
        Predicted classes.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of int, shape (n_classes, n_classes)
        True classes are rows, predicted classes are columns.

    Raises
    ------
    InputError
        If there are no rows, lengths differ, or a value is not a class number.
    """
    size = np.size(labels)
    if size == 0:
        raise InputError("labels: there are no rows to score; give at least one")
    rows = class_numbers(labels, "labels", n_classes, size)
    columns = class_numbers(predictions, "predictions", n_classes, size)
    return np.bincount(rows * n_classes + columns, minlength=n_classes**2).reshape(n_classes, n_classes)


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Return the recall of each class, shape (n_classes,); NaN for a class without rows."""
    return _ratio(confusion.diagonal(), confusion.sum(axis=1), otherwise=np.nan)


def balanced_accuracy(confusion: np.ndarray) -> float:
    """Return the mean recall of the classes that have rows (scikit-learn's `balanced_accuracy_score`)."""
    return float(np.nanmean(recalls(confusion)))


def geometric_mean(confusion: np.ndarray) -> float:
    """Return the square root of mean sensitivity times mean specificity, both over classes, one versus rest.

    It is imbalanced-learn's ``geometric_mean_score(average="macro")``, which the paper reports, and *not* the
    geometric mean of the recalls. On a balanced test set it is a function of the balanced accuracy alone. As
    there, classes that were neither met nor predicted do not count, and a sensitivity or specificity without
    rows (a class that was only predicted; the only class there is) is 0.
    """
    confusion = _seen(confusion)
    hits = confusion.diagonal()
    members, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    others = confusion.sum() - members
    sensitivity = _ratio(hits, members, otherwise=0.0)
    specificity = _ratio(others - (predicted - hits), others, otherwise=0.0)
    return float(np.sqrt(sensitivity.mean() * specificity.mean()))


def macro_f1(confusion: np.ndarray) -> float:
    """Return the mean F1 of the classes (scikit-learn's ``f1_score(average="macro", zero_division=0)``).

    As there, classes that were neither met nor predicted do not count; one that was only met or only
    predicted has an F1 of 0.
    """
    confusion = _seen(confusion)
    hits = confusion.diagonal()
    return float((2 * hits / (confusion.sum(axis=1) + confusion.sum(axis=0))).mean())


def score(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> dict[str, float]:
    """Return the paper's three scores, each in [0, 1].

    Parameters
    ----------
    labels, predictions, n_classes
        As in `confusion`.

    Returns
    -------
    dict
        ``BAC``: balanced accuracy; ``GM``: geometric mean; ``FM``: macro-F1.

    Raises
    ------
    InputError
        As in `confusion`.
    """
    counts = confusion(labels, predictions, n_classes)
    return {"BAC": balanced_accuracy(counts), "GM": geometric_mean(counts), "FM": macro_f1(counts)}


def weight_norms(weight: npt.ArrayLike) -> np.ndarray:
    """Return the Euclidean norm of each class's weight vector, without its bias (paper, Figure 5).

    Parameters
    ----------
    weight : array-like of shape (n_classes, n_features)
        Weight of a linear classifier.

    Returns
    -------
    ndarray of shape (n_classes,), float64
    """
    return np.asarray(np.linalg.norm(np.asarray(weight, dtype=np.float64), axis=1))


def _seen(confusion: np.ndarray) -> np.ndarray:
    """Leave out the classes that were neither met nor predicted."""
    seen = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return confusion[np.ix_(seen, seen)]


def _ratio(part: np.ndarray, whole: np.ndarray, *, otherwise: float) -> np.ndarray:
    """Return part / whole, and `otherwise` where the whole is zero."""
    return np.divide(part, whole, out=np.full(len(whole), otherwise), where=whole > 0)
