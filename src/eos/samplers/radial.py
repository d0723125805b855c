"""What the radial samplers, `RBO` and `CCR`, share: the kernel, the order of classes, checks and stacking."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, Literal

import numpy as np
from scipy import sparse

from eos.errors import InputError
from eos.samplers.neighbors import ExactNeighbors
from eos.validation import check_squares, largest_magnitude

#: Values of an array that is computed with at a time, so that it stays in the processor's cache.
BLOCK = 2**15

# The 64th part of ln 2 as a sum, of which the first part has few digits, so that a multiple of it is exact.
_PART = 6.93147180369123816490e-01 / 64, 1.90821492927058770002e-10 / 64
# The first 64 powers of 2^(-1/64), by square roots and products, which all processors round alike.
_POWERS = np.cumprod([1.0, *[sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(0.5))))))] * 63]).view(np.int64)
_LARGEST_EXPONENT = 700.0


def gaussian(squared: np.ndarray) -> np.ndarray:
    """Return ``exp(-squared)``, with a relative error below 1e-13; at least 1e-304.

    NumPy's `exp` gives other last digits on processors with other vector units, and a walk that compares two
    potentials may then go another way. Here every operation is one that all processors round alike.

    Parameters
    ----------
    squared : ndarray of float64
        Not negative.
    """
    exponent = np.minimum(squared, _LARGEST_EXPONENT)
    # exp(-u) = 2^(-n / 64) exp(n ln(2) / 64 - u), where the second exponent is below 0.0055.
    parts = np.rint(exponent * 92.33248261893153)
    rest = parts * _PART[0]
    rest -= exponent
    rest += parts * _PART[1]
    result = rest / 24
    for term in (1 / 6, 0.5, 1.0):
        result += term
        result *= rest
    result += 1
    whole = parts.astype(np.int64)
    bits = _POWERS.take(whole & 63)
    whole &= -64
    whole <<= 46  # from the exponent's place in a float64
    bits -= whole
    result *= bits.view(np.float64)
    return result


def dense_rows(X: Any) -> np.ndarray:
    """Return the rows as a float64 array of its own, or raise the error that says why they are of no use."""
    rows = (X.toarray() if sparse.issparse(X) else X).astype(np.float64)
    check_squares(rows, "X")
    return rows


def by_size(y: np.ndarray) -> list[Any]:
    """Return the labels, the largest class first; of equals the lower label."""
    labels, counts = np.unique(y, return_counts=True)
    return list(labels[np.argsort(-counts, kind="stable")])


def drawn_from_each(
    members: Mapping[Any, np.ndarray], most: int, random_state: np.random.RandomState, *, replace: bool
) -> np.ndarray:
    """Return row numbers drawn from each class, of all together about `most`.

    Parameters
    ----------
    members : mapping from label to ndarray of int
        The row numbers of each class, at least one class.
    most : int
        The size of the largest class.
    random_state : RandomState
        Draws.
    replace : bool
        Whether a row may be drawn several times. Else a class gives as many as it has at most.
    """
    each = max(1, most // len(members))
    return np.concatenate(
        [
            random_state.choice(rows, each if replace else min(each, len(rows)), replace=replace)
            for rows in members.values()
        ]
    )


def nearest_with_itself(rows: np.ndarray, numbers: np.ndarray, most: int | Literal["all"]) -> np.ndarray:
    """Return the rows nearest to some of them, each of those among its own, (n, k + 1).

    Parameters
    ----------
    rows : ndarray of float64, shape (n_rows, n_features)
    numbers : ndarray of int, shape (n,)
        Whose neighbors are looked for.
    most : int or "all"
        k, or fewer where there are fewer other rows.
    """
    if most == "all" or most >= len(rows) - 1:
        return np.broadcast_to(np.arange(len(rows)), (len(numbers), len(rows)))  # takes no memory
    near = ExactNeighbors(most + 1).fit(rows).kneighbors(rows[numbers], return_distance=False)
    # Rows that are equal to it may stand before a row.
    lacking = ~(near == numbers[:, np.newaxis]).any(axis=1)
    near[lacking, -1] = numbers[lacking]
    return near


def in_units(name: str, value: float, unit: float) -> float:
    """Return a length in the unit of the features, or raise the error that says that it is none."""
    length = float(value) * unit
    if not 0 < length < np.inf:
        raise InputError(f"{name}: {value:g} times the unit of the data, {unit:g}, is {length:g} in float64")
    return length


def in_dtype(rows: np.ndarray, like: Any) -> np.ndarray:
    """Return rows in the dtype of `like`, or raise the error that says that it cannot hold them."""
    with np.errstate(over="ignore"):
        rounded = rows.astype(like.dtype)
    if not np.isfinite(rounded).all():
        values = like.data if sparse.issparse(like) else like
        raise InputError(
            f"X: samples of values as large as {largest_magnitude(values):g} overflow {like.dtype}; "
            "scale the features down, or give a smaller step (RBO) or less energy (CCR)"
        )
    return rounded


def stacked(X: Any, parts: list[np.ndarray]) -> Any:
    """Return the rows of `X` and the parts behind them, in the kind and dtype of `X`."""
    rounded = [in_dtype(part, X) for part in parts]
    if sparse.issparse(X):
        return sparse.vstack([X, *(type(X)(part) for part in rounded)], format=X.format)
    return np.concatenate([X, *rounded])
