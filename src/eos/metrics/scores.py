"""Scores of a classifier on an imbalanced problem, all from one confusion matrix.

Balanced accuracy (BAC), geometric mean (GM) and macro-F1 (FM) are those of the paper, and agree with
scikit-learn's and imbalanced-learn's functions of these names, at a small part of their cost: a score is
wanted after every epoch.
"""

import numpy as np


def confusion(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> np.ndarray:
    """Count the rows of each true class that were predicted as each class.

    Parameters
    ----------
    labels, predictions : ndarray of int, shape (n_samples,)
        True and predicted classes, 0 to ``n_classes - 1``, of at least one row.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of int, shape (n_classes, n_classes)
        True classes are rows, predicted classes are columns.
    """
    cells = np.asarray(labels, dtype=np.intp) * n_classes + predictions
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


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
    return float((2 * confusion.diagonal() / (confusion.sum(axis=1) + confusion.sum(axis=0))).mean())


def score(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> dict[str, float]:
    """Return the paper's three scores, each in [0, 1], by name; the arguments are those of `confusion`."""
    counts = confusion(labels, predictions, n_classes)
    return {"BAC": balanced_accuracy(counts), "GM": geometric_mean(counts), "FM": macro_f1(counts)}


def weight_norms(weight: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of each class's weight vector, without its bias (paper, Figure 5).

    For the weight (n_classes, n_features) of a linear classifier it is float64 of shape (n_classes,).
    """
    return np.linalg.norm(weight.astype(np.float64), axis=1)


def _seen(confusion: np.ndarray) -> np.ndarray:
    """Leave out the classes that were neither met nor predicted."""
    seen = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return confusion[np.ix_(seen, seen)]


def _ratio(part: np.ndarray, whole: np.ndarray, *, otherwise: float) -> np.ndarray:
    """Return part / whole, and `otherwise` where the whole is zero."""
    return np.divide(part, whole, out=np.full(len(whole), otherwise), where=whole > 0)
