"""Exact nearest neighbors: candidates by products in float32, their order by float64 where it is close."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import ThreadpoolController, threadpool_limits

from eos.samplers.progress import reported
from eos.validation import largest_magnitude

# Distances are computed of this many rows at a time, and this many in all: 4 MB of float32 stay in the cache.
_WIDTH, _BLOCK = 2048, 2**20
# For many neighbors a tile is wider than that, so that the first limit is not far from the last.
_ROWS_PER_NEIGHBOR = 64
# A thread takes at most so many queries, of so many values, with room for so many candidates.
_QUERIES, _VALUES, _CANDIDATES = 2**13, 2**22, 2**21
# Candidates for each neighbor that are found before those are dropped that others have ruled out.
_ROOM = 3
# Fewer distances than this are computed on one thread.
_SMALL = 2**24
# Squares of larger values, and differences of such, may leave the range of float32.
_LARGEST = 1e15
# A query with this many times as many candidates as neighbors is decided by itself: rows are repeated.
_CROWD = 8


class ExactNeighbors(NearestNeighbors):
    """Brute-force search for the Euclidean nearest rows, in less time than scikit-learn's and exact.

    It is scikit-learn's `NearestNeighbors(algorithm="brute")` except for what over-sampling asks of it: the
    row numbers alone (``kneighbors(X, return_distance=False)``) among dense rows. Those are found by products
    in float32, of rows as seen from their centre, a tile of rows and queries at a time. The products'
    rounding is bounded, and what could be within the bound is decided by differences in float64. So the rows
    and their order are exact, and do not depend on the number of threads or of neighbors asked for. Of rows
    at the same distance the first comes first. Values beyond 1e15 are left to scikit-learn.

    It takes as many threads as matrix products would (``OMP_NUM_THREADS``), some tens of MB each, and on a
    terminal says how far it is.

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
        if len(rows) * len(queries) < _SMALL:
            return products.nearest(queries)
        most = min(_QUERIES, _VALUES // rows.shape[1], _CANDIDATES // ((1 + _ROOM) * n_neighbors))
        libraries = ThreadpoolController().select(user_api="blas")
        # As many threads as matrix products would have taken; as blocks, all else runs on them too.
        threads = max((library["num_threads"] for library in libraries.info()), default=1)
        parts = threads * -(-len(queries) // (max(1, most) * threads))
        with libraries.limit(limits=1):
            found = Parallel(threads, "threading", return_as="generator")(
                delayed(products.nearest)(part) for part in np.array_split(queries, parts)
            )
            return np.concatenate(list(reported(found, parts, f"neighbors of {len(queries):,} rows")))


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
    """The search among `rows`, of which several threads may ask at a time."""

    def __init__(self, rows: np.ndarray, n_neighbors: int) -> None:
        self.rows, self.n_neighbors = rows, n_neighbors
        # Around their centre the rows are shortest, and products round least.
        self.centre = rows.mean(axis=0, dtype=np.float64).astype(np.result_type(rows, np.float32))
        # In a fixed random order the first rows are a sample of all: their bounds are close to the last.
        self.order = np.random.default_rng(0).permutation(len(rows))
        self.width = min(len(rows), max(_WIDTH, _ROWS_PER_NEIGHBOR * n_neighbors))

    def nearest(self, queries: np.ndarray) -> np.ndarray:
        """Return the rows nearest to each query, (n_queries, n_neighbors)."""
        # Products of few queries are slow: a wide tile is allowed more values.
        length = max(1, _BLOCK // self.width, min(_BLOCK // _WIDTH, 8 * _BLOCK // self.width))
        blocks = [_Candidates(self, queries[at : at + length]) for at in range(0, len(queries), length)]
        distances = np.empty((length, self.width), dtype=np.float32)  # one array for all products
        for start in range(0, len(self.rows), self.width):
            numbers = self.order[start : start + self.width]
            columns = np.empty((len(numbers), self.rows.shape[1] + 1), dtype=np.float32)
            np.subtract(self.rows[numbers], self.centre, out=columns[:, :-1], casting="same_kind")
            columns[:, -1] = _squares(columns[:, :-1])
            for block in blocks:
                block.offer(numbers, columns, distances)
        return np.concatenate([block.ordered() for block in blocks])


class _Candidates:
    """A block of queries, and which of the rows seen so far may be among their nearest.

    Distances are squared, in float32, and less the query's own square, which is the same for all rows.
    """

    def __init__(self, products: _Products, queries: np.ndarray) -> None:
        self.rows, self.queries, self.n_neighbors = products.rows, queries, products.n_neighbors
        # The last column takes in the rows' squares, so that distances are one product.
        self.factors = np.ones((len(queries), queries.shape[1] + 1), dtype=np.float32)
        self.factors[:, :-1] = queries - products.centre
        self.squares = _squares(self.factors[:, :-1])
        self.factors[:, :-1] *= -2
        self.count = np.zeros(len(queries), dtype=np.intp)
        self.room = (1 + _ROOM) * self.n_neighbors
        # The first `count` candidates of each query, in any order.
        self.row = np.zeros((len(queries), self.room), dtype=np.intp)
        self.distance = np.full((len(queries), self.room), np.inf, dtype=np.float32)

    def offer(self, numbers: np.ndarray, columns: np.ndarray, buffer: np.ndarray) -> None:
        """Look at the rows of these `numbers`; `columns` has their values and squares."""
        distances = buffer[: len(self.queries), : len(numbers)]
        np.matmul(self.factors, columns.T, out=distances)
        if not self.count.any():
            self._set_limit(_bound(distances, self.n_neighbors))
        query, place = np.divmod(np.flatnonzero(distances <= self.limit[:, np.newaxis]), len(numbers))
        more = np.bincount(query, minlength=len(self.count))
        column = (self.count - np.cumsum(more) + more)[query] + np.arange(len(query))
        self.count += more
        if (widest := self.count.max()) > self.row.shape[1]:
            missing = max(widest, self.room) - self.row.shape[1]
            self.row = np.pad(self.row, ((0, 0), (0, missing)))
            self.distance = np.pad(self.distance, ((0, 0), (0, missing)), constant_values=np.inf)
        self.row[query, column], self.distance[query, column] = numbers[place], distances[query, place]
        if widest > self.room:
            self._tighten()

    def ordered(self) -> np.ndarray:
        """Return the rows nearest to each query, in their order."""
        self._tighten()
        # Those that are not clearly apart from the next are measured exactly, and change places.
        distance, error = self.distance, (2 * self.error[:, np.newaxis]).astype(np.float32)
        close = (distance[:, 1:] <= distance[:, :-1] + error) & (distance[:, 1:] < np.inf)
        unsure = np.pad(close, ((0, 0), (0, 1))) | np.pad(close, ((0, 0), (1, 0)))
        query, row = np.flatnonzero(unsure) // unsure.shape[1], self.row[unsure]
        self.row[unsure] = row[self._exact_order(query, row)]
        return self.row[:, : self.n_neighbors]

    def _tighten(self) -> None:
        """Sort the candidates by distance, and drop those that others rule out."""
        width = self.count.max()
        self.row, self.distance = self.row[:, :width], self.distance[:, :width]
        self._sort()
        self._set_limit(self.distance[:, self.n_neighbors - 1])
        kept = self.distance <= self.limit[:, np.newaxis]
        self.count = np.count_nonzero(kept, axis=1)
        crowded = self.count > _CROWD * self.n_neighbors
        if crowded.any():  # Rows are repeated, and float32 rules none of them out.
            query, column = np.nonzero(kept & crowded[:, np.newaxis])
            order = self._exact_order(query, self.row[query, column])
            behind = order[np.arange(len(order)) - np.searchsorted(query, query) >= self.n_neighbors]
            kept[query[behind], column[behind]] = False
            self.count[crowded] = self.n_neighbors
        self.distance[~kept] = np.inf
        if crowded.any():
            self._sort()
        self.room = self.count.max() + _ROOM * self.n_neighbors

    def _sort(self) -> None:
        order = self.distance.argsort(axis=1)
        self.row = np.take_along_axis(self.row, order, axis=1)
        self.distance = np.take_along_axis(self.distance, order, axis=1)

    def _set_limit(self, bound: np.ndarray) -> None:
        """Set how far a candidate may be; of each query, `n_neighbors` rows are within the bound."""
        bound = bound.astype(np.float64)
        self.error = _error(bound, self.squares, self.rows.shape[1])
        self.limit = np.nextafter((bound + 2 * self.error).astype(np.float32), np.float32(np.inf))

    def _exact_order(self, query: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return the order of pairs by query, squared distance in float64 and row."""
        length = max(1, _BLOCK // self.rows.shape[1])
        squared = np.empty(len(query))
        for start in range(0, len(query), length):
            pairs = slice(start, start + length)
            difference = self.rows[row[pairs]].astype(np.float64)
            difference -= self.queries[query[pairs]]
            squared[pairs] = _squares(difference)
        return np.lexsort((row, squared, query))


def _bound(distances: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Return for each query a distance that at least `n_neighbors` rows are within, hardly more.

    It is the n-th smallest of the least distances of groups of rows. There are several times as many
    groups, and finding it takes a fraction of the time that the n-th smallest of all distances takes.
    """
    n_rows = distances.shape[1]
    size = max(1, min(32, n_rows // (8 * n_neighbors)))
    groups = distances[:, : n_rows // size * size].reshape(len(distances), size, -1)
    return np.partition(groups.min(axis=1), n_neighbors - 1, axis=1)[:, n_neighbors - 1]


def _error(bound: np.ndarray, own: np.ndarray, n_features: int) -> np.ndarray:
    """Return how far the float32 distance of a row that is within `bound` of its query may be off.

    Rounding to float32 moves a row, as seen from the centre, by u |row| with the unit roundoff u, and a query
    likewise. A product of d features and the row's square is off by at most
    (d + 1) u (2 |query| |row| + |row|^2) in whatever order it is summed; the square's rounding and comparing
    add less than 2 u |row|^2. A row at the distance D has |row| <= |query| + D. The rest is room for the
    errors of D and of higher order, and for squares too small for float32.
    """
    single = np.finfo(np.float32)
    unit = single.eps / 2
    length = np.sqrt(own)
    reach = length + np.sqrt(np.maximum(bound + own, 0) + 8 * (n_features + 4) * unit * own)
    return 1.1 * unit * reach * (n_features + 7) * (2 * length + reach) + n_features * single.tiny


def _squares(rows: np.ndarray) -> np.ndarray:
    """Return the squared length of each row, in float64."""
    return np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
