"""The check of feature matrices that people hand in."""

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
