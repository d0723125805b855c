"""The generalization gap: how far the test embeddings of a class reach beyond its training embeddings."""

from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from eos.errors import InputError
from eos.validation import finite_features, labels_of_one_kind, largest_magnitude

Ranges = tuple[np.ndarray, np.ndarray]


@overload
def generalization_gap(
    train_features: npt.ArrayLike,
    train_labels: npt.ArrayLike,
    test_features: npt.ArrayLike,
    test_labels: npt.ArrayLike,
    *,
    named: Literal[False] = False,
) -> np.ndarray: ...


@overload
def generalization_gap(
    train_features: npt.ArrayLike,
    train_labels: npt.ArrayLike,
    test_features: npt.ArrayLike,
    test_labels: npt.ArrayLike,
    *,
    named: Literal[True],
) -> dict[Any, float]: ...


def generalization_gap(
    train_features: npt.ArrayLike,
    train_labels: npt.ArrayLike,
    test_features: npt.ArrayLike,
    test_labels: npt.ArrayLike,
    *,
    named: bool = False,
) -> np.ndarray | dict[Any, float]:
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
    named : bool, default=False
        Return a dictionary from labels to gaps in place of the array.

    Returns
    -------
    ndarray of shape (n_classes,), float64; or dict from label to float, if `named`
        One value per class in sorted order of the training labels, in the unit of the embeddings. A class
        without test rows has no gap: its value is NaN.

    Raises
    ------
    InputError
        If a matrix holds NaN or infinity, widths or lengths do not match, a label is missing or of another
        kind than the others, a test class has no training rows, and so no range to compare with, or values
        are so large that a gap overflows.

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
    >>> generalization_gap([[0.0], [1.0], [5.0]], ["a", "a", "b"], [[3.0], [5.0]], ["a", "b"], named=True)
    {'a': 2.0, 'b': 0.0}
    """
    train_ranges, rows, numbers = _checked(train_features, train_labels, test_features, test_labels)
    gaps = _excess(train_ranges, rows, numbers)
    return dict(zip(np.unique(train_labels).tolist(), gaps.tolist(), strict=True)) if named else gaps


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
        As in `generalization_gap`, which says what errors they raise.
    predictions : array-like of shape (n_test,)
        The class predicted for each test row.

    Returns
    -------
    true_positive, false_positive : ndarray of shape (n_classes,), float64
        Gap of the rows of each class that were classified rightly, and wrongly; NaN for a class without any.
    """
    train_ranges, rows, numbers = _checked(train_features, train_labels, test_features, test_labels)
    right = _labels(predictions, "predictions", len(rows)) == np.asarray(test_labels)
    true_positive, false_positive = (
        _excess(train_ranges, rows[these], numbers[these]) for these in (right, ~right)
    )
    return true_positive, false_positive


def net_gap(per_class: npt.ArrayLike) -> float:
    """Return the mean gap of the classes that have one (paper, Section III-B); NaN if none has.

    `per_class` is what `generalization_gap` returned.
    """
    gaps = np.asarray(per_class, dtype=np.float64)
    defined = gaps[~np.isnan(gaps)]
    return float(defined.mean()) if defined.size else float("nan")


def _excess(train_ranges: Ranges, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Sum over features how far the classes of test rows reach beyond the training ranges; NaN stays NaN."""
    (train_low, train_high), (low, high) = train_ranges, _ranges(rows, numbers, len(train_ranges[0]))
    with np.errstate(over="ignore"):
        gaps: np.ndarray = (np.maximum(0.0, high - train_high) + np.maximum(0.0, train_low - low)).sum(axis=1)
    if np.isinf(gaps).any():
        raise InputError(
            f"test_features: values as large as {largest_magnitude(rows):g} reach so far beyond those of "
            "train_features that their gap overflows float64; scale both down"
        )
    return gaps


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


def _checked(
    train_features: npt.ArrayLike,
    train_labels: npt.ArrayLike,
    test_features: npt.ArrayLike,
    test_labels: npt.ArrayLike,
) -> tuple[Ranges, np.ndarray, np.ndarray]:
    """Return the training ranges, by class in sorted order; the test rows, and their classes' numbers."""
    train = finite_features(train_features, "train_features")
    if len(train) == 0:
        raise InputError("train_features: there are no rows; give at least one")
    classes, train_numbers = np.unique(_labels(train_labels, "train_labels", len(train)), return_inverse=True)
    test = finite_features(test_features, "test_features")
    if test.shape[1] != train.shape[1]:
        raise InputError(
            f"test_features: {test.shape[1]} columns, but train_features has {train.shape[1]}; give "
            "embeddings of the same network"
        )
    labels = _labels(test_labels, "test_labels", len(test))
    unknown = np.setdiff1d(labels, classes)
    if unknown.size:
        raise InputError(
            f"test_labels: class {unknown[0]} has no training rows to compare with "
            f"({unknown.size} such of {len(classes) + unknown.size} classes); drop its test rows"
        )
    return _ranges(train, train_numbers, len(classes)), test, np.searchsorted(classes, labels)


def _labels(labels: npt.ArrayLike, name: str, n_samples: int) -> np.ndarray:
    array = labels_of_one_kind(labels, name)
    if array.shape != (n_samples,):
        raise InputError(f"{name}: shape {array.shape}; give one per row of features, shape ({n_samples},)")
    return array
