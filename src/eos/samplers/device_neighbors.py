"""Nearest neighbors on a GPU, for data sets on which a processor would take hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    import torch

# Values of one block of distances or differences: 1 GB of float32.
_BLOCK = 2**28


class DeviceNeighbors(BaseEstimator):
    """Brute-force search for the Euclidean nearest rows with PyTorch, for ``EOS(k_neighbors=...)``.

    A block of queries at a time, products in `precision` give candidates, and float32 differences their
    order; of rows at the same distance the first comes first. A neighbor can be missed only where `precision`
    puts it behind all candidates.

    Parameters
    ----------
    n_neighbors : int, default=11
        How many; a row that was fitted counts as its own neighbor.

    device : str, default="cuda"
        Where the rows are kept and searched.

    precision : str, default="bfloat16"
        The products' floating-point type, a name of PyTorch's.

    candidates : int, default=256
        How many rows are looked at exactly, but at least twice `n_neighbors`.
    """

    def __init__(
        self,
        n_neighbors: int = 11,
        *,
        device: str = "cuda",
        precision: str = "bfloat16",
        candidates: int = 256,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.device = device
        self.precision = precision
        self.candidates = candidates

    def fit(self, X: Any, y: Any = None) -> DeviceNeighbors:
        """Copy the rows, shape (n, d), to the device."""
        import torch

        self._rows = self._sent(X)
        # Around their middle the products are smaller, and so is their rounding.
        self._middle = self._rows.mean(dim=0)
        self._low = (self._rows - self._middle).to(getattr(torch, self.precision))
        self._squares = self._low.float().square().sum(dim=1)
        self.n_samples_fit_ = len(self._rows)
        return self

    def kneighbors(self, X: Any, n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """Return the distances, unless not asked for, and the numbers of the nearest rows, nearest first."""
        n_rows, n_features = self._rows.shape
        n_neighbors = n_neighbors or self.n_neighbors
        if n_neighbors > n_rows:
            raise ValueError(f"n_neighbors: {n_neighbors} asked for among {n_rows} rows")
        n_candidates = min(n_rows, max(self.candidates, 2 * n_neighbors))
        length = max(1, _BLOCK // max(n_rows, n_candidates * n_features))
        found = [
            self._nearest(self._sent(X[start : start + length]), n_neighbors, n_candidates)
            for start in range(0, len(X), length)
        ]
        distances, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return (distances, rows) if return_distance else rows

    def kneighbors_graph(self, X: Any, n_neighbors: int | None = None) -> Any:
        """Return the neighbors as a sparse matrix of ones (imbalanced-learn asks for the method)."""
        rows = self.kneighbors(X, n_neighbors, return_distance=False)
        starts = np.arange(0, rows.size + 1, rows.shape[1])
        return csr_matrix((np.ones(rows.size), rows.ravel(), starts), shape=(len(rows), self.n_samples_fit_))

    def _sent(self, rows: np.ndarray) -> torch.Tensor:
        import torch

        return torch.as_tensor(np.ascontiguousarray(rows), dtype=torch.float32, device=self.device)

    def _nearest(
        self, queries: torch.Tensor, n_neighbors: int, n_candidates: int
    ) -> tuple[np.ndarray, np.ndarray]:
        low = (queries - self._middle).to(self._low.dtype)
        far = self._squares - 2 * (low @ self._low.T)
        candidates = far.topk(n_candidates, dim=1, largest=False, sorted=False).indices.sort(dim=1).values
        squared = (self._rows[candidates] - queries[:, None]).square().sum(dim=2)
        nearest = squared.sort(dim=1, stable=True)
        rows = candidates.gather(1, nearest.indices[:, :n_neighbors])
        return nearest.values[:, :n_neighbors].sqrt().cpu().numpy(), rows.cpu().numpy()
