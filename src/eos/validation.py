"""Checks of arrays that people hand in: feature matrices and labels."""

import numpy as np
import numpy.typing as npt

from eos.errors import InputError


def finite_features(
    features: npt.ArrayLike, name: str, *, dtype: type[np.floating] | None = None
) -> np.ndarray:
    """Return `features` as a matrix, or raise the error that says which rows cannot be used.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
    name : str
        What the caller's user calls them; the message begins with it.
    dtype : dtype, optional
        Convert to it; values that overflow count as infinite.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    InputError
        If they are not a numeric matrix with at least one column, or hold NaN or infinity.
    """
    try:
        matrix = np.asarray(features)
    except ValueError as error:  # rows of several lengths
        raise InputError(f"{name}: no matrix ({error}); give rows of one length") from error
    if matrix.dtype == object and hasattr(features, "toarray"):
        raise InputError(f"{name}: a sparse matrix; give a dense one, `toarray()` makes it")
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind not in "fiub":
        raise InputError(
            f"{name}: a {matrix.dtype} array of shape {matrix.shape}; "
            "give numbers of shape (n_samples, n_features)"
        )
    with np.errstate(over="ignore"):
        matrix = matrix.astype(dtype or matrix.dtype, copy=False)
    unusable = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if unusable.size:
        raise InputError(
            f"{name}: {unusable.size} of {len(matrix)} rows hold NaN or infinity, "
            f"the first is row {unusable[0]}; repair or drop them"
        )
    return matrix


def class_numbers(labels: npt.ArrayLike, name: str, n_classes: int, n_samples: int) -> np.ndarray:
    """Return `labels` as an array, or raise the error that says why they are no class numbers.

    Parameters
    ----------
    labels : array-like of int, shape (n_samples,)
    name : str
        What the caller's user calls them; the message begins with it.
    n_classes : int
        Labels are 0 to ``n_classes - 1``.
    n_samples : int
        How many labels there must be.

    Returns
    -------
    ndarray of int, shape (n_samples,)

    Raises
    ------
    InputError
        If the length is another, a label is not an integer, or is out of range.
    """
    numbers = np.asarray(labels)
    if numbers.shape != (n_samples,):
        raise InputError(f"{name}: shape {numbers.shape}; give one label per row, shape ({n_samples},)")
    if numbers.dtype.kind not in "iu":
        raise InputError(f"{name}: dtype {numbers.dtype}; give integers from 0 to {n_classes - 1}")
    outside = np.flatnonzero((numbers < 0) | (numbers >= n_classes))
    if outside.size:
        first = outside[0]
        raise InputError(
            f"{name}: {outside.size} of {n_samples} rows are not a class from 0 to {n_classes - 1}, "
            f"the first is row {first} with class {numbers[first]}"
        )
    return numbers.astype(np.intp, copy=False)
