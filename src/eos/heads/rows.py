"""Feature rows that are read a batch at a time, so that synthetic ones need not all be in memory."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse


@runtime_checkable
class RowSource(Protocol):
    """Rows of finite features, numbered from 0."""

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows and of features."""

    def copy_rows(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write the rows of these numbers into `out`, shape (len(rows), n_features)."""

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` up to `stop` (or the last), not to be written to."""


@dataclass(frozen=True)
class StoredRows:
    """Rows of an array (n_rows, n_features)."""

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
class SparseRows:
    """Rows of a sparse matrix (n_rows, n_features) in CSR format, made dense a batch at a time."""

    features: "sparse.csr_array | sparse.csr_matrix"

    @property
    def shape(self) -> tuple[int, int]:
        """The matrix's shape."""
        return self.features.shape[0], self.features.shape[1]

    def copy_rows(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write the rows of these numbers into `out`."""
        out[:] = self.features[rows].toarray()

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return a part of the matrix, dense."""
        return self.features[start:stop].toarray()


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
        How far from the base: 0 is the base itself, 1 the partner.
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
    features: np.ndarray, base: np.ndarray, partner: np.ndarray, step: np.ndarray
) -> InterpolatedRows:
    """Return real rows and, after them, the synthetic ones that `EOS.fit_interpolations` places between them.

    Parameters
    ----------
    features, base, partner, step
        As in `InterpolatedRows`, for the synthetic rows alone; `step` may be of another dtype.
    """
    own = np.arange(len(features))  # a real row lies between itself and itself
    return InterpolatedRows(
        features,
        np.concatenate([own, base]),
        np.concatenate([own, partner]),
        np.concatenate([np.zeros(len(own)), step]).astype(features.dtype),
    )
