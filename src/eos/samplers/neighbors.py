"""Exact nearest neighbors: candidates by products in float32, their order by float64 where it is close."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

# Values of one block of distances: 64 MB of float32.
_BLOCK = 2**24
# Squares of larger values, and differences of such, may leave the range of float32.
_LARGEST = 1e15
# Rows whose centre has more than this many times the square of their spread are moved to the origin.
_FAR = 4.0
# A query with this many times as many candidates as neighbors is decided by itself: rows are repeated.
_CROWD = 8


class ExactNeighbors(NearestNeighbors):
    """Brute-force search for the Euclidean nearest rows, half as fast again as scikit-learn's and exact.

    It is scikit-learn's `NearestNeighbors(algorithm="brute")` except for what over-sampling asks of it: the
    row numbers alone (``kneighbors(X, return_distance=False)``) among dense rows. Those are found by products
    in float32, of rows that are moved to the origin where they lie far from it. Their rounding is bounded,
    and what could be within the bound is decided by differences in float64. So the rows and their order are
    exact, and do not depend on the number of threads or of neighbors asked for. Of rows at the same distance
    the first comes first. Values beyond 1e15 are left to scikit-learn.

    Parameters
    ----------
    n_neighbors : int, default=11
        How many; a row that was fitted counts as its own neighbor.

    shared : SharedLists, default=None
        Where lists are kept for other searches; clones of this one use the same.

    Examples
    --------
    >>> import numpy as np
    >>> from eos.samplers.neighbors import ExactNeighbors
    >>> rows = np.array([[0.0], [5.0], [1.0]])
    >>> ExactNeighbors(2).fit(rows).kneighbors(rows, return_distance=False).tolist()
    [[0, 2], [1, 2], [2, 0]]
    """

    def __init__(self, n_neighbors: int = 11, *, shared: SharedLists | None = None) -> None:
        super().__init__(n_neighbors=n_neighbors, algorithm="brute")
        self.shared = shared

    def kneighbors(self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """Find the nearest of the fitted rows, as `NearestNeighbors.kneighbors` does."""
        check_is_fitted(self)
        n_neighbors = self.n_neighbors if n_neighbors is None else n_neighbors
        plain = return_distance or X is None or sparse.issparse(X) or sparse.issparse(self._fit_X)
        if plain or not 1 <= n_neighbors <= len(self._fit_X):
            return super().kneighbors(X, n_neighbors, return_distance)
        queries = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        if self.shared is None:
            return self._nearest(queries, n_neighbors)
        return self.shared.nearest(self, queries, n_neighbors)

    def _nearest(self, queries: np.ndarray, n_neighbors: int) -> np.ndarray:
        rows = self._fit_X
        if max(largest_magnitude(rows), largest_magnitude(queries)) > _LARGEST:
            with threadpool_limits(1):  # which of equals scikit-learn takes depends on how many there are
                return super().kneighbors(queries, n_neighbors, return_distance=False)
        products = _Products(rows, n_neighbors)
        length = max(1, _BLOCK // len(rows))
        blocks = (queries[start : start + length] for start in range(0, len(queries), length))
        return np.concatenate([products.nearest(block) for block in blocks])


class SharedLists:
    """Lists of nearest rows, kept: a search for fewer neighbors of the same rows takes the head of a list.

    It pays where several samplers differ in K only:

    >>> from sklearn.datasets import make_classification
    >>> from eos import EOS
    >>> from eos.samplers.neighbors import ExactNeighbors, SharedLists
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> shared = SharedLists(51)
    >>> for k in (10, 50):  # an object's `n_neighbors` counts the row itself
    ...     sampler = EOS(k_neighbors=ExactNeighbors(k + 1, shared=shared), random_state=0)
    ...     X_resampled, y_resampled = sampler.fit_resample(X, y)

    Parameters
    ----------
    n_neighbors : int
        The least number of neighbors to search for: the largest that will be asked for.
    """

    def __init__(self, n_neighbors: int) -> None:
        self.n_neighbors = n_neighbors
        self._lists: dict[tuple[bytes, bytes], np.ndarray] = {}

    def nearest(self, search: ExactNeighbors, queries: np.ndarray, n_neighbors: int) -> np.ndarray:
        """Return the rows nearest to each query, (n_queries, n_neighbors); `search` finds them once."""
        rows = search._fit_X
        key = _digest(rows), _digest(queries)
        kept = self._lists.get(key)
        if kept is None or kept.shape[1] < n_neighbors:
            most = min(max(n_neighbors, self.n_neighbors), len(rows))
            kept = self._lists[key] = search._nearest(queries, most)
        return kept[:, :n_neighbors]

    def __sklearn_clone__(self) -> SharedLists:
        """Return itself: samplers clone the search that they are given."""
        return self


def _digest(array: np.ndarray) -> bytes:
    digest = hashlib.blake2b(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


class _Products:
    """The search among `rows`, for as many queries at once as there is room for distances to all rows."""

    def __init__(self, rows: np.ndarray, n_neighbors: int) -> None:
        self.rows, self.n_neighbors = rows, n_neighbors
        self.origin = _far_centre(rows)
        if self.origin is None:
            self.singles = rows.astype(np.float32, copy=False)
            self.squares = _squares(rows).astype(np.float32)
            return
        self.singles = np.empty(rows.shape, dtype=np.float32)
        self.squares = np.empty(len(rows), dtype=np.float32)
        for part in _parts(rows):
            moved = rows[part] - self.origin
            self.singles[part], self.squares[part] = moved, _squares(moved)

    def nearest(self, queries: np.ndarray) -> np.ndarray:
        """Return the rows nearest to each query, (n_queries, n_neighbors)."""
        n_rows, n_features = self.rows.shape
        moved = queries if self.origin is None else queries - self.origin
        # Squared, and less the query's own square, which is the same for all rows.
        distances = (-2 * moved).astype(np.float32) @ self.singles.T
        distances += self.squares
        bound = self._bound(distances).astype(np.float64)
        error = _error(bound, _squares(moved), n_features)
        limit = np.nextafter((bound + 2 * error).astype(np.float32), np.float32(np.inf))
        hits = np.flatnonzero(distances <= limit[:, np.newaxis])
        query, row = np.divmod(hits, n_rows)
        counts = np.bincount(query, minlength=len(queries))
        crowded = counts > _CROWD * self.n_neighbors
        kept = ~crowded[query]
        found = self._ordered(queries, query[kept], row[kept], distances.ravel()[hits[kept]], error)
        ends = np.cumsum(counts)
        for one in np.flatnonzero(crowded):
            candidates = row[ends[one] - counts[one] : ends[one]]
            exact = self._exact(queries, np.full(len(candidates), one), candidates)
            found[one] = candidates[np.argsort(exact, kind="stable")[: self.n_neighbors]]
        return found

    def _bound(self, distances: np.ndarray) -> np.ndarray:
        """Return for each query a distance that at least `n_neighbors` rows are within, hardly more.

        It is the n-th smallest of the least distances of groups of rows. There are several times as many
        groups, and finding it takes a fraction of the time that the n-th smallest of all distances takes.
        """
        n_rows = distances.shape[1]
        size = max(1, min(32, n_rows // (8 * self.n_neighbors)))
        groups = distances[:, : n_rows // size * size].reshape(len(distances), size, -1)
        place = self.n_neighbors - 1
        return np.partition(groups.min(axis=1), place, axis=1)[:, place]

    def _ordered(
        self, queries: np.ndarray, query: np.ndarray, row: np.ndarray, distance: np.ndarray, error: np.ndarray
    ) -> np.ndarray:
        """Return each query's nearest candidates; candidate i is `row[i]`, for `query[i]` (ascending)."""
        counts = np.bincount(query, minlength=len(queries))
        place = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = len(queries), max(self.n_neighbors, counts.max())
        rows, distances = np.zeros(shape, dtype=np.intp), np.full(shape, np.inf, dtype=np.float32)
        rows[query, place], distances[query, place] = row, distance
        order = distances.argsort(axis=1)
        rows = np.take_along_axis(rows, order, axis=1)
        distances = np.take_along_axis(distances, order, axis=1)
        # Those that are not clearly apart from the next are measured exactly, and change places.
        close = distances[:, 1:] <= distances[:, :-1] + (2 * error[:, np.newaxis]).astype(np.float32)
        close &= distances[:, 1:] < np.inf
        unsure = np.pad(close, ((0, 0), (0, 1))) | np.pad(close, ((0, 0), (1, 0)))
        query, row = np.nonzero(unsure)[0], rows[unsure]
        rows[unsure] = row[np.lexsort((row, self._exact(queries, query, row), query))]
        return rows[:, : self.n_neighbors]

    def _exact(self, queries: np.ndarray, query: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return the squared distance of each pair, in float64, some pairs at a time."""
        length = max(1, _BLOCK // 16 // self.rows.shape[1])
        squared = np.empty(len(query))
        for start in range(0, len(query), length):
            pairs = slice(start, start + length)
            difference = self.rows[row[pairs]].astype(np.float64)
            difference -= queries[query[pairs]]
            squared[pairs] = _squares(difference)
        return squared


def _error(bound: np.ndarray, own: np.ndarray, n_features: int) -> np.ndarray:
    """Return how far the float32 distance of a row that is within `bound` of its query may be off.

    With the unit roundoff u, a product of d features is off by at most d u |query| |row| in whatever order
    it is summed, and by 2 u more for its factors' rounding; the row's square, the sum of both and comparing
    it add less than 4 u |row|^2. A row at the distance D has |row| <= |query| + D. The rest is room for the
    errors of D and of higher order, and for squares too small for float32.
    """
    single = np.finfo(np.float32)
    unit = single.eps / 2
    length = np.sqrt(own)
    reach = length + np.sqrt(np.maximum(bound + own, 0) + 8 * (n_features + 4) * unit * own)
    return 1.1 * unit * reach * (2 * (n_features + 4) * length + 4 * reach) + n_features * single.tiny


def largest_magnitude(values: np.ndarray) -> float:
    """Return the largest magnitude; `np.abs` would be a second array of the size of the first."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def _far_centre(rows: np.ndarray) -> np.ndarray | None:
    """Return the rows' centre if they lie far from the origin for their spread; there products round more.

    Where they do not, moving them would take a second array of their size for little.
    """
    centre = rows.mean(axis=0, dtype=np.float64)
    spread = sum(float(_squares(rows[part] - centre).sum()) for part in _parts(rows)) / len(rows)
    return centre if float(centre @ centre) > _FAR * spread else None


def _parts(rows: np.ndarray) -> list[slice]:
    """Return slices that together make all rows, each of few enough values for a copy in float64."""
    length = max(1, _BLOCK // 16 // rows.shape[1])
    return [slice(start, start + length) for start in range(0, len(rows), length)]


def _squares(rows: np.ndarray) -> np.ndarray:
    """Return the squared length of each row, in float64."""
    return np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
