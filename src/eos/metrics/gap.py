"""The generalization gap: how far the test embeddings of a class reach beyond its training embeddings."""

import math

import numpy as np
import numpy.typing as npt

from eos.errors import InputError
from eos.validation import finite_features

Ranges = tuple[np.ndarray, np.ndarray]


def generalization_gap(
    train_features: npt.ArrayLike,
    train_labels: npt.ArrayLike,
    test_features: npt.ArrayLike,
    test_labels: npt.ArrayLike,
) -> np.ndarray:
    r"""Return the generalization gap of each class.

    For class :math:`c`, with training rows :math:`A_c` and test rows :math:`B_c`, summed over features
    :math:`f`:

    .. math:: \sum_f \max(0, \max B_{cf} - \max A_{cf}) + \max(0, \min A_{cf} - \min B_{cf})

    It is zero when the test range lies inside the training range in every feature.

    Parameters
    ----------
    train_features : array-like of shape (n_train, n_features)
        Feature embeddings of the training rows.
    train_labels : array-like of shape (n_train,)
        Their classes.
    test_features : array-like of shape (n_test, n_features)
        Feature embeddings of the test rows.
    test_labels : array-like of shape (n_test,)
        Their classes.

    Returns
    -------
    ndarray of shape (n_classes,), float64
        One value per class in sorted order of the training labels, in the unit of the embeddings. A class
        without test rows has no gap: its value is NaN.

    Raises
    ------
    InputError
        If a matrix holds NaN or infinity, widths or lengths do not match, a label is missing or of another
        kind than the others, or a test class has no training rows, and so no range to compare with.

    References
    ----------
    .. [1] D. Dablain, C. Bellinger, B. Krawczyk, N. Chawla, "Efficient Augmentation for Imbalanced Deep
       Learning", 2023, Section III-B. The formula is that section's text: features are summed, and both ends
       of the range are floored at zero. Algorithm 1 as printed averages the features and takes minima and
       maxima with the same sign.

    Examples
    --------
    >>> from eos import generalization_gap
    >>> generalization_gap([[0.0], [1.0], [5.0]], [0, 0, 1], [[-0.5], [3.0], [5.0]], [0, 0, 1])
    array([2.5, 0. ])
    """
    classes, train_ranges = _train_ranges(train_features, train_labels)
    test_features, test_numbers = _test_rows(test_features, test_labels, classes, train_ranges)
    return _excess(train_ranges, _ranges(test_features, test_numbers, len(classes)))


def outcome_gaps(
    train_features: npt.ArrayLike,
    train_labels: npt.ArrayLike,
    test_features: npt.ArrayLike,
    test_labels: npt.ArrayLike,
    predictions: npt.ArrayLike,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gap of the test rows that were, and of those that were not, classified correctly.

    Both compare with the training range of the rows' *true* class. The paper calls them the gaps of true and
    of false positives (Figure 4).

    Parameters
    ----------
    train_features, train_labels, test_features, test_labels
        As in `generalization_gap`.
    predictions : array-like of shape (n_test,)
        The class predicted for each test row.

    Returns
    -------
    true_positive : ndarray of shape (n_classes,), float64
        Gap of the correctly classified rows of each class; NaN for a class without any.
    false_positive : ndarray of shape (n_classes,), float64
        Gap of the misclassified rows of each class; NaN for a class without any.

    Raises
    ------
    InputError
        As in `generalization_gap`, or if there is not one prediction per test row.
    """
    classes, train_ranges = _train_ranges(train_features, train_labels)
    test_features, test_numbers = _test_rows(test_features, test_labels, classes, train_ranges)
    correct = _labels(predictions, "predictions", len(test_features)) == np.asarray(test_labels)
    true_positive, false_positive = (
        _excess(train_ranges, _ranges(test_features[rows], test_numbers[rows], len(classes)))
        for rows in (correct, ~correct)
    )
    return true_positive, false_positive


def net_gap(per_class: npt.ArrayLike) -> float:
    """Return the mean gap of the classes that have one (paper, Section III-B); NaN if none has.

    Parameters
    ----------
    per_class : array-like of shape (n_classes,)
        What `generalization_gap` returned.
    """
    gaps = np.asarray(per_class, dtype=np.float64)
    defined = gaps[~np.isnan(gaps)]
    return float(defined.mean()) if defined.size else float("nan")


def _excess(train: Ranges, test: Ranges) -> np.ndarray:
    """Sum over features how far the test ranges reach beyond the training ranges; NaN stays NaN."""
    (train_low, train_high), (test_low, test_high) = train, test
    above = np.maximum(0.0, test_high - train_high)
    below = np.maximum(0.0, train_low - test_low)
    return np.asarray((above + below).sum(axis=1))


def _ranges(features: np.ndarray, numbers: np.ndarray, n_classes: int) -> Ranges:
    """Return the minimum and the maximum of every class and feature; NaN for a class without rows."""
    low = np.full((n_classes, features.shape[1]), np.nan)
    high = low.copy()
    # Sorted once and gathered class by class: never a second copy of the whole matrix, however many classes.
    order = np.argsort(numbers, kind="stable")
    ends = np.bincount(numbers, minlength=n_classes).cumsum()
    for number, members in enumerate(np.split(order, ends[:-1])):
        if members.size:
            rows = features[members]
            low[number], high[number] = rows.min(axis=0), rows.max(axis=0)
    return low, high


def _train_ranges(features: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[np.ndarray, Ranges]:
    """Return the sorted classes and their training ranges."""
    features = finite_features(features, "train_features")
    if len(features) == 0:
        raise InputError("train_features: there are no rows; give at least one")
    classes, numbers = np.unique(_labels(labels, "train_labels", len(features)), return_inverse=True)
    return classes, _ranges(features, numbers, len(classes))


def _test_rows(
    features: npt.ArrayLike, labels: npt.ArrayLike, classes: np.ndarray, train_ranges: Ranges
) -> tuple[np.ndarray, np.ndarray]:
    """Return the test features and the positions of their labels among the training `classes`."""
    features = finite_features(features, "test_features")
    width = train_ranges[0].shape[1]
    if features.shape[1] != width:
        raise InputError(
            f"test_features: {features.shape[1]} columns, but train_features has {width}; give embeddings of "
            "the same network"
        )
    labels = _labels(labels, "test_labels", len(features))
    unknown = np.setdiff1d(labels, classes)
    if unknown.size:
        raise InputError(
            f"test_labels: class {unknown[0]} has no training rows to compare with "
            f"({unknown.size} such of {len(classes) + unknown.size} classes); drop its test rows"
        )
    return features, np.searchsorted(classes, labels)


def _labels(labels: npt.ArrayLike, name: str, n_samples: int) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (n_samples,):
        raise InputError(f"{name}: shape {array.shape}; give one per row of features, shape ({n_samples},)")
    if array.dtype.kind in "fO":
        values = array.tolist()
        missing = [row for row, label in enumerate(values) if label is None or _is_nan(label)]
        if missing:
            raise InputError(
                f"{name}: {len(missing)} are missing, the first in row {missing[0]}; drop such rows"
            )
        kinds = sorted({type(label).__name__ for label in values})
        if len(kinds) > 1:
            raise InputError(f"{name}: {' and '.join(kinds)} among each other; give labels of one kind")
    return array


def _is_nan(label: object) -> bool:
    return isinstance(label, float) and math.isnan(label)
