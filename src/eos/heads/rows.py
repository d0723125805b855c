"""Feature rows that are read a batch at a time, so that synthetic ones need not all be in memory."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from eos.errors import InputError
from eos.validation import finite_features


@runtime_checkable
class RowSource(Protocol):
    """Rows of finite features, numbered from 0."""

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows and of features."""

    def copy_rows(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write the rows of these numbers into `out`, shape (len(rows), n_features), float32."""

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` up to `stop` (or the last), not to be written to."""


@dataclass(frozen=True)
class StoredRows:
    """Rows of an array (n_rows, n_features), finite, float32."""

    features: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """The array's shape."""
        return self.features.shape[0], self.features.shape[1]

    def copy_rows(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write the rows of these numbers into `out`."""
        self.features.take(rows, axis=0, out=out, mode="clip")  # clip: unbuffered

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return a part of the array itself."""
        return self.features[start:stop]


@dataclass(frozen=True)
class InterpolatedRows:
    """Rows between two rows of an array: ``features[base] + step * (features[partner] - features[base])``.

    They are the bytes that the whole array of them would have: computed in the dtype of `features`, then
    converted to float32.

    Attributes
    ----------
    features : ndarray of shape (n_samples, n_features), floating point
    base, partner : ndarray of int, shape (n_rows,)
        Rows of `features`.
    step : ndarray of shape (n_rows,), in the dtype of `features`
    """

    features: np.ndarray
    base: np.ndarray
    partner: np.ndarray
    step: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows there are between rows, and their features."""
        return len(self.base), self.features.shape[1]

    def copy_rows(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Compute the rows of these numbers, into `out`."""
        out[:] = self._between(self.base.take(rows), self.partner.take(rows), self.step.take(rows))

    def block(self, start: int, stop: int) -> np.ndarray:
        """Compute the rows from `start` up to `stop`."""
        part = slice(start, stop)
        rows = self._between(self.base[part], self.partner[part], self.step[part])
        return rows.astype(np.float32, copy=False)

    def _between(self, base: np.ndarray, partner: np.ndarray, step: np.ndarray) -> np.ndarray:
        start = self.features.take(base, axis=0)
        between = self.features.take(partner, axis=0)
        between -= start
        between *= step[:, np.newaxis]
        between += start
        return between


def balanced_rows(
    features: npt.ArrayLike, base: npt.ArrayLike, partner: npt.ArrayLike, step: npt.ArrayLike
) -> InterpolatedRows:
    """Return real rows and, after them, synthetic ones that are given by where they lie between real ones.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        The real rows, floating point and finite.
    base, partner : array-like of int, shape (n_synthetic,)
        The real rows that a synthetic one lies between.
    step : array-like of shape (n_synthetic,)
        How far from the base: 0 is the base itself, 1 the partner.

    Returns
    -------
    InterpolatedRows
        ``n_samples + n_synthetic`` rows.

    Raises
    ------
    InputError
        If the features are not a finite floating-point matrix, the three others do not fit each other, a row
        number is no whole number or out of range, or a step is no finite number.
    """
    features = finite_features(features, "features")
    if features.dtype.kind != "f":
        raise InputError(f"features: {features.dtype} array; give floating point, steps are fractions")
    base, partner, step = np.asarray(base), np.asarray(partner), np.asarray(step)
    for name, given, kinds in (("base", base, "iu"), ("partner", partner, "iu"), ("step", step, "fiu")):
        if given.dtype.kind not in kinds and given.size:
            what = "whole numbers, the rows of features" if kinds == "iu" else "fractions"
            raise InputError(f"{name}: {given.dtype} array; give {what}")
    step = step.astype(features.dtype)
    if base.ndim != 1 or not base.shape == partner.shape == step.shape:
        raise InputError(
            f"base, partner, step: shapes {base.shape}, {partner.shape}, {step.shape}; "
            "give one of each for every synthetic row"
        )
    n = len(features)
    for name, rows in {"base": base, "partner": partner}.items():
        outside = rows[(rows < 0) | (rows >= n)]
        if outside.size:
            raise InputError(f"{name}: row {outside[0]} is none of the {n} rows of features, 0 to {n - 1}")
    if not np.isfinite(step).all():
        raise InputError(f"step: {np.count_nonzero(~np.isfinite(step))} values are NaN or infinite")
    # A real row lies between itself and itself.
    own = np.arange(n)
    return InterpolatedRows(
        features,
        np.concatenate([own, base.astype(np.intp)]),
        np.concatenate([own, partner.astype(np.intp)]),
        np.concatenate([np.zeros(n, step.dtype), step]),
    )
