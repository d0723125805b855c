"""The checks of feature matrices and labels that people hand in."""

import math
import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

from eos.errors import InputError

# Squares of larger values, and sums and differences of such, may leave the range of float64; squares of
# smaller ones vanish in it.
LARGEST_SQUARED, SMALLEST_SQUARED = 1e150, 1e-150


def numeric_matrix(features: npt.ArrayLike, name: str) -> np.ndarray:
    """Return `features` as a matrix of numbers, or raise the error that says why it is none.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
    name : str
        What the caller's user calls them; the message begins with it.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    InputError
        If they are not a numeric matrix with at least one column.
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
    return matrix


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
        Convert to it; values that overflow count as infinite. Wider ones than float64 become float64.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    InputError
        If they are not a numeric matrix with at least one column, or hold NaN or infinity.
    """
    matrix = numeric_matrix(features, name)
    own = np.float64 if matrix.dtype.itemsize > 8 else matrix.dtype
    with np.errstate(over="ignore"):
        matrix = matrix.astype(dtype or own, copy=False)
    unusable = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if unusable.size:
        raise _not_finite(name, unusable, len(matrix))
    return matrix


def labels_of_one_kind(labels: npt.ArrayLike, name: str) -> np.ndarray:
    """Return labels of any shape as an array, or raise the error that says which cannot be used.

    Parameters
    ----------
    labels : array-like
    name : str
        What the caller's user calls them; the message begins with it.

    Raises
    ------
    InputError
        If a label is missing (NaN, infinity, None, NaT), or of another kind than the others.
    """
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise InputError(f"{name}: no labels ({error}); give one per row of features") from error
    if array.dtype.kind in "US" and not isinstance(labels, np.ndarray):
        plain = np.asarray(labels, dtype=object)  # NumPy makes text of NaN and of numbers beside text
        array = array if len({_kind(label) for label in plain.ravel()}) == 1 else plain
    if array.ndim == 0:  # no labels at all, which the caller tells by the shape
        return array
    missing = _missing(array)
    if missing.any():
        rows = np.flatnonzero(missing.reshape(len(array), -1).any(axis=1))
        what = "infinite" if array.dtype.kind == "f" and np.isinf(array).any() else "missing"
        raise InputError(f"{name}: {rows.size} are {what}, the first in row {rows[0]}; drop such rows")
    if array.dtype == object:
        kinds = sorted({_kind(label) for label in array.ravel()})
        if len(kinds) > 1:
            raise InputError(f"{name}: {' and '.join(kinds)} among each other; give labels of one kind")
    return array


def check_rows(estimator: Any, X: Any, y: Any = None, **options: Any) -> Any:
    """Return what scikit-learn's `validate_data` returns, and refuse what it takes for numbers silently.

    Parameters
    ----------
    estimator : estimator object
    X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,), optional
        Labels; without them only `X` is checked.
    **options
        Those of `validate_data`.

    Raises
    ------
    InputError
        If `X` holds NaN, infinity, dates, durations, text, or whole numbers beyond float64; if labels are
        missing or of several kinds. It is a ValueError. Those of scikit-learn are ValueErrors or TypeErrors.
    """
    from sklearn.utils.validation import validate_data

    _refuse_other_kinds(X, "X")
    labels = {} if y is None and options.get("reset") is False else {"y": y}
    if y is not None:
        labels_of_one_kind(y, "y")
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # it adds all values up, to find NaN
            return validate_data(estimator, X, **labels, **options)
    except OverflowError as error:
        raise InputError(f"X: {error}; give values that float64 can hold") from error
    except ValueError as error:
        # That of scikit-learn names no row, and sends people to estimators that are of no use here.
        if str(error).startswith(("Input X contains NaN", "Input X contains infinity")):
            unusable = _rows_not_finite(X)
            if unusable.size:
                raise _not_finite("X", unusable, X.shape[0] if hasattr(X, "shape") else len(X)) from error
        raise


def _rows_not_finite(features: Any) -> np.ndarray:
    """Return the numbers of the rows that hold NaN or infinity; of what is no matrix of numbers, none."""
    if hasattr(features, "tocoo"):
        entries = features.tocoo()
        return np.unique(entries.row[~np.isfinite(entries.data)])
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = np.asarray(features, dtype=np.float64)
    except (TypeError, ValueError):  # pandas.NA, say
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(~np.isfinite(matrix).all(axis=1))


def _not_finite(name: str, rows: np.ndarray, n_rows: int) -> InputError:
    """Return the error that says which of the rows hold NaN or infinity."""
    return InputError(
        f"{name}: {rows.size} of {n_rows} rows hold NaN or infinity, the first is row {rows[0]}; repair or "
        "drop them"
    )


def _refuse_other_kinds(features: Any, name: str) -> None:
    """Raise the error that says that an array, or a frame's column, holds dates, durations or text."""
    if hasattr(features, "dtypes") and hasattr(features, "columns"):
        for column, dtype in zip(features.columns, features.dtypes, strict=True):
            if getattr(dtype, "kind", "") in ("m", "M"):
                raise InputError(f"{name}: column {column!r} holds {dtype}; make numbers of it first")
        return
    dtype = getattr(features, "dtype", None)
    if isinstance(features, list | tuple):
        try:
            dtype = np.asarray(features).dtype
        except ValueError:  # rows of several lengths, which scikit-learn tells of
            return
    if getattr(dtype, "kind", "") in ("m", "M", "U", "S"):
        raise InputError(f"{name}: holds {dtype}; make numbers of it first")


def check_squares(values: np.ndarray, name: str) -> None:
    """Raise the error that says that squared distances among these values are of no use.

    Parameters
    ----------
    values : ndarray of floats
        Finite features, or the stored ones of a sparse matrix.
    name : str
        What the caller's user calls them.

    Raises
    ------
    InputError
        If the squares overflow, or if all of them vanish though not all values are 0.
    """
    check_magnitude(values, name, LARGEST_SQUARED, "squared in float64")
    if 0 < (largest := largest_magnitude(values)) < SMALLEST_SQUARED:
        raise InputError(
            f"{name}: no value is larger than {largest:g}, and squared they vanish in float64; scale the "
            f"features up (to {SMALLEST_SQUARED:g} at least)"
        )


def check_magnitude(values: np.ndarray, name: str, most: float, use: str) -> None:
    """Raise the error that says that values are larger than what they are used for allows.

    Parameters
    ----------
    values : ndarray of floats
    name : str
        What the caller's user calls them.
    most : float
        The largest magnitude that is allowed.
    use : str
        What cannot be done with larger ones, a participle.
    """
    if (largest := largest_magnitude(values)) > most:
        raise InputError(
            f"{name}: values as large as {largest:g} cannot be {use}; scale the features down (to {most:g} "
            "at most)"
        )


def largest_magnitude(values: np.ndarray) -> float:
    """Return the largest magnitude; `np.abs` would be a second array of the size of the first."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def _missing(array: np.ndarray) -> np.ndarray:
    """Return which labels are none."""
    if array.dtype.kind == "f":
        return ~np.isfinite(array)
    if array.dtype.kind in "mM":
        return np.isnat(array)
    if array.dtype != object:
        return np.zeros(array.shape, dtype=bool)
    none = [
        label is None or (isinstance(label, float | np.floating) and not math.isfinite(label))
        for label in array.ravel()
    ]
    return np.array(none, dtype=bool).reshape(array.shape)


def _kind(label: object) -> str:
    """Return what kind of label it is; NumPy's scalars are of Python's kinds."""
    if isinstance(label, bool | np.bool_):
        return "bool"
    for kind in (str, bytes, int, float):
        if isinstance(label, kind):
            return kind.__name__
    if isinstance(label, numbers.Integral):
        return "int"
    return "float" if isinstance(label, numbers.Real) else type(label).__name__
