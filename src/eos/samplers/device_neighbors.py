"""Nearest neighbors on a GPU, for data sets on which a processor would take hours."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from eos.errors import InputError
from eos.validation import numeric_matrix

if TYPE_CHECKING:
    import torch

# Values of one block of distances, 3 GB with the products they are made of, and of one of differences, 1 GB.
_DISTANCES, _DIFFERENCES = 2**29, 2**28
# Rows whose least distance is looked at first. Also what a GPU's matrix units want rows to be a multiple of.
_GROUP = 64
# Squares of larger values, and sums of such, may leave the range of float32.
_LARGEST = 1e15


class DeviceNeighbors(BaseEstimator):
    """Brute-force search for the Euclidean nearest rows with PyTorch, for ``EOS(k_neighbors=...)``.

    A block of queries at a time, products in `precision` give candidates, and float32 differences their
    order; of rows at the same distance the first comes first. A neighbor can be missed only where `precision`
    puts it behind all candidates. Beside the rows in float32 and `precision` it takes some 5 GB of the
    device's memory at most.

    Parameters
    ----------
    n_neighbors : int, default=11
        How many; a row that was fitted counts as its own neighbor.

    device : str, default="cuda"
        Where the rows are kept and searched.

    precision : {"bfloat16", "float32"}, default="bfloat16"
        The products' floating-point type.

    candidates : int, default=128
        How many rows are looked at exactly, but at least twice `n_neighbors`.
    """

    def __init__(
        self,
        n_neighbors: int = 11,
        *,
        device: str = "cuda",
        precision: str = "bfloat16",
        candidates: int = 128,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.device = device
        self.precision = precision
        self.candidates = candidates

    def fit(self, X: Any, y: Any = None) -> DeviceNeighbors:
        """Copy the rows, shape (n, d), to the device."""
        import torch

        if self.precision not in ("bfloat16", "float32"):
            raise InputError(f"precision: {self.precision!r} is neither 'bfloat16' nor 'float32'")
        _at_least_one(self.candidates, "candidates")
        try:
            torch.empty(0, device=self.device)
        except (
            RuntimeError,
            AssertionError,
            TypeError,
        ) as error:  # torch's words for an unknown or a missing one
            reason = str(error).splitlines()[0]
            raise InputError(
                f"device: {self.device!r} cannot be used ({reason}); give 'cuda' or 'cpu'"
            ) from error
        self._rows = self._sent(_some_rows(X))
        self.n_samples_fit_, n_features = self._rows.shape
        # Around their middle the products are smaller, and so is their rounding.
        self._middle = self._rows.mean(dim=0)
        # Rows are added up to whole groups, infinitely far from everything.
        n_padded = -(-self.n_samples_fit_ // _GROUP) * _GROUP
        self._low = self._rows.new_zeros((n_padded, n_features), dtype=getattr(torch, self.precision))
        self._squares = self._rows.new_full((n_padded,), torch.inf)
        length = max(1, _DIFFERENCES // n_features)
        for start in range(0, self.n_samples_fit_, length):
            part = slice(start, min(start + length, self.n_samples_fit_))
            self._low[part] = self._rows[part] - self._middle
            self._squares[part] = self._low[part].float().square().sum(dim=1)
        return self

    def kneighbors(self, X: Any, n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """Return the distances, unless not asked for, and the numbers of the nearest rows, nearest first."""
        check_is_fitted(self)
        queries = _some_rows(X)
        if queries.shape[1] != self._rows.shape[1]:
            raise InputError(f"X: {queries.shape[1]} columns, but {self._rows.shape[1]} were fitted")
        distances, rows = self._found(len(queries), lambda part: self._sent(queries[part]), n_neighbors)
        return (distances, rows) if return_distance else rows

    def kneighbors_of_rows(self, rows: np.ndarray, n_neighbors: int | None = None) -> np.ndarray:
        """Return the numbers of the rows nearest to some of the fitted ones, of which there are the numbers.

        They are those of ``kneighbors(X[rows])``, but nothing is copied to the device a second time.
        """
        import torch

        check_is_fitted(self)
        rows = np.asarray(rows)
        # On a GPU a number out of range would end the process's use of it.
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size or not self._has(rows):
            raise InputError(
                f"rows: {rows.dtype} of shape {rows.shape}; give numbers of fitted rows, 0 to "
                f"{self.n_samples_fit_ - 1}, at least one"
            )
        numbers = torch.as_tensor(rows, device=self.device)
        return self._found(len(rows), lambda part: self._rows[numbers[part]], n_neighbors)[1]

    def kneighbors_graph(self, X: Any, n_neighbors: int | None = None) -> Any:
        """Return the neighbors as a sparse matrix of ones (imbalanced-learn asks for the method)."""
        rows = self.kneighbors(X, n_neighbors, return_distance=False)
        starts = np.arange(0, rows.size + 1, rows.shape[1])
        return csr_matrix((np.ones(rows.size), rows.ravel(), starts), shape=(len(rows), self.n_samples_fit_))

    def _has(self, rows: np.ndarray) -> bool:
        return bool(rows.min() >= 0 and rows.max() < self.n_samples_fit_)

    def _sent(self, rows: np.ndarray) -> torch.Tensor:
        import torch

        sent = torch.as_tensor(np.ascontiguousarray(rows), dtype=torch.float32, device=self.device)
        largest = max(abs(float(end)) for end in torch.aminmax(sent))
        if not largest <= _LARGEST:  # nor is NaN
            raise InputError(
                f"X: values as large as {largest:g}, but squared distances in float32 need {_LARGEST:g} at "
                "most; scale the features down, or search with eos.samplers.neighbors.ExactNeighbors"
            )
        return sent

    def _found(
        self, n_queries: int, queries: Callable[[slice], torch.Tensor], n_neighbors: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return distances and row numbers, (n_queries, n_neighbors) both, a block of queries at a time."""
        import torch

        n_neighbors = self.n_neighbors if n_neighbors is None else n_neighbors
        _at_least_one(n_neighbors, "n_neighbors")
        if n_neighbors > self.n_samples_fit_:
            raise InputError(f"n_neighbors: {n_neighbors} asked for among {self.n_samples_fit_} rows")
        n_candidates = min(self.n_samples_fit_, max(self.candidates, 2 * n_neighbors))
        n_features = self._rows.shape[1]
        length = max(1, min(_DISTANCES // len(self._low), _DIFFERENCES // (n_candidates * n_features)))
        found = [
            self._nearest(queries(slice(start, start + length)), n_neighbors, n_candidates)
            for start in range(0, n_queries, length)
        ]
        distances, rows = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
        return distances, rows

    def _nearest(
        self, queries: torch.Tensor, n_neighbors: int, n_candidates: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        candidates = self._candidates(queries, n_candidates)
        squared = self._rows[candidates].sub_(queries[:, None]).square_().sum(dim=2)
        nearest = squared.sort(dim=1, stable=True)
        rows = candidates.gather(1, nearest.indices[:, :n_neighbors])
        return nearest.values[:, :n_neighbors].sqrt(), rows

    def _candidates(self, queries: torch.Tensor, n_candidates: int) -> torch.Tensor:
        """Return the rows that are nearest by `precision`, ascending, (n_queries, n_candidates)."""
        import torch

        low = (queries - self._middle).to(self._low.dtype)
        far = torch.sub(self._squares, low @ self._low.T, alpha=2)
        # The n nearest rows are in the n groups with the least distances. That takes one pass over all
        # distances; to select among all of them takes several.
        least = far.view(len(far), -1, _GROUP).amin(dim=2)
        groups = least.topk(min(n_candidates, least.shape[1]), dim=1, largest=False, sorted=False).indices
        within = torch.arange(_GROUP, device=far.device)
        columns = (groups[:, :, None] * _GROUP + within).flatten(1)
        nearest = far.gather(1, columns).topk(n_candidates, dim=1, largest=False, sorted=False).indices
        return columns.gather(1, nearest).sort(dim=1).values


def _at_least_one(value: Any, name: str) -> None:
    if not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name}: {value!r}; give a whole number from 1")


def _some_rows(X: Any) -> np.ndarray:
    rows = numeric_matrix(X, "X")
    if not len(rows):
        raise InputError("X: there are no rows; give at least one")
    return rows
