"""The exact search: in step with scikit-learn's, right where float32 is not, and shared."""

import threading
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from eos import EOS
from eos.samplers import neighbors
from eos.samplers.neighbors import ExactNeighbors, SharedLists


def nearest(rows: np.ndarray, queries: np.ndarray, n_neighbors: int) -> np.ndarray:
    search = ExactNeighbors(n_neighbors).fit(rows)
    found: np.ndarray = search.kneighbors(queries, return_distance=False)
    return found


def by_hand(rows: np.ndarray, queries: np.ndarray, n_neighbors: int) -> np.ndarray:
    """All differences in the highest precision there is; of equals the first."""
    difference = rows[np.newaxis].astype(np.longdouble) - queries[:, np.newaxis]
    return (difference**2).sum(axis=2).argsort(axis=1, kind="stable")[:, :n_neighbors]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n_rows", "n_features", "n_neighbors"),
    [(1, 1, 1), (7, 2, 7), (300, 3, 5), (1500, 40, 11), (900, 300, 301)],
)
def test_equals_scikit_learn(n_rows: int, n_features: int, n_neighbors: int, dtype: type) -> None:
    rng = np.random.RandomState(n_rows)
    rows: np.ndarray = rng.normal(2, 1, (n_rows, n_features)).astype(dtype)
    queries: np.ndarray = rng.normal(2, 1, (80, n_features)).astype(dtype)
    plain = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(rows)
    assert np.array_equal(
        nearest(rows, queries, n_neighbors), plain.kneighbors(queries, return_distance=False)
    )


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1.0, 1e14, 1e17, 1e150])
@pytest.mark.parametrize("offset", [0.0, 30.0, 1000.0])
def test_order_that_float32_cannot_see(offset: float, scale: float) -> None:
    # In float32 the products of rows so far from the origin, for their spread, say next to nothing.
    rng = np.random.RandomState(0)
    rows = (rng.normal(size=(400, 5)) + offset) * scale
    found = nearest(rows, rows[:50], 8)
    assert np.array_equal(found, by_hand(rows, rows[:50], 8))


def test_rows_of_very_different_size() -> None:
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(600, 4)) * 10.0 ** rng.uniform(-6, 6, (600, 1))
    assert np.array_equal(nearest(rows, rows, 9), by_hand(rows, rows, 9))


def test_of_rows_at_the_same_distance_the_first_comes_first() -> None:
    rows = np.random.RandomState(0).randint(0, 4, (500, 3)).astype(float)  # 64 places for 500 rows
    found = nearest(rows, rows, 20)
    assert np.array_equal(found, by_hand(rows, rows, 20))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16])
def test_rows_of_any_numbers(dtype: type) -> None:
    rows: np.ndarray = np.random.RandomState(0).randint(0, 200, (300, 6)).astype(dtype)
    assert np.array_equal(nearest(rows, rows, 5), by_hand(rows, rows, 5))


def test_many_copies_of_a_row() -> None:
    rows = np.zeros((3000, 4), dtype=np.float32)
    rows[:1000] = np.random.RandomState(0).normal(5, 1, (1000, 4))
    found = nearest(rows, rows[900:1100], 4)
    assert np.array_equal(found, by_hand(rows, rows[900:1100], 4))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [1e2, 1e4, 1e8])
def test_rows_far_from_the_origin(offset: float, dtype: type[np.floating]) -> None:
    rng = np.random.RandomState(0)
    rows = (rng.normal(size=(800, 16)) + offset * rng.choice([-1, 1], 16)).astype(dtype)
    assert np.array_equal(nearest(rows, rows, 6), by_hand(rows, rows, 6))


def test_few_or_many_neighbors_have_the_same_head() -> None:
    rows = np.random.RandomState(0).randint(0, 2, (2000, 8)).astype(np.float32)  # 256 places
    few, many = nearest(rows, rows[:200], 11), nearest(rows, rows[:200], 301)
    assert np.array_equal(few, many[:, :11])
    assert np.array_equal(few, by_hand(rows, rows[:200], 11))


@pytest.mark.parametrize(
    "values", [np.array([[True, False]]), np.array([[-128, 5]], np.int8), np.array([[3.0, -4.0]])]
)
def test_the_largest_magnitude(values: np.ndarray) -> None:
    assert neighbors.largest_magnitude(values) == np.abs(values.astype(float)).max()


@pytest.mark.parametrize(("width", "block", "room"), [(16, 7 * 16, 3), (2, 200, 1), (200, 1, 9)])
@pytest.mark.parametrize("places", [3, 1000])  # of many rows at one place, and of few
def test_tiles_do_not_show(
    monkeypatch: pytest.MonkeyPatch, width: int, block: int, room: int, places: int
) -> None:
    rows = np.random.RandomState(0).randint(0, places, (300, 4)).astype(float)
    expected = {k: by_hand(rows, rows, k) for k in (1, 2, 5, 60)}
    monkeypatch.setattr(neighbors, "_WIDTH", width)
    monkeypatch.setattr(neighbors, "_BLOCK", block)
    monkeypatch.setattr(neighbors, "_ROOM", room)
    monkeypatch.setattr(neighbors, "_ROWS_PER_NEIGHBOR", 1)
    for k, right in expected.items():
        assert np.array_equal(nearest(rows, rows, k), right)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_threads_do_not_show(monkeypatch: pytest.MonkeyPatch, n_threads: int) -> None:
    rows = np.random.RandomState(0).randint(0, 4, (500, 5)).astype(np.float32)
    monkeypatch.setattr(neighbors, "_SMALL", 0)
    monkeypatch.setattr(neighbors, "_QUERIES", 40)
    asked, search = [], neighbors._Products.nearest

    def recorded(products: Any, queries: np.ndarray) -> np.ndarray:
        asked.append((threading.get_ident(), len(queries)))
        time.sleep(0.01)  # long enough for the others to start
        return search(products, queries)

    monkeypatch.setattr(neighbors._Products, "nearest", recorded)
    with threadpool_limits(n_threads, user_api="blas"):
        assert np.array_equal(nearest(rows, rows, 9), by_hand(rows, rows, 9))
    threads, lengths = zip(*asked, strict=True)
    assert len(set(threads)) == n_threads
    assert max(lengths) <= 40
    assert sum(lengths) == 500


@pytest.mark.parametrize("n_copies", [1, 20_000])
def test_memory_is_bounded(n_copies: int) -> None:
    rows = np.random.RandomState(0).normal(size=(20_000, 8)).astype(np.float32)
    rows[:n_copies] = rows[0]
    search = ExactNeighbors(11).fit(rows)
    tracemalloc.start()
    search.kneighbors(rows[:512], return_distance=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 512 * 20_000 * 12  # the distances and numbers of all pairs, had they been there at once


def test_the_rest_is_scikit_learns() -> None:
    rows = np.random.RandomState(0).normal(size=(60, 3))
    ours, plain = ExactNeighbors(4).fit(rows), NearestNeighbors(n_neighbors=4).fit(rows)
    assert np.allclose(ours.kneighbors(rows[:9])[0], plain.kneighbors(rows[:9])[0], atol=1e-6)
    assert np.array_equal(
        ours.kneighbors(return_distance=False), plain.kneighbors(return_distance=False)
    )  # the rows themselves, which do not count then
    assert (ours.kneighbors_graph(rows) != plain.kneighbors_graph(rows)).nnz == 0
    in_sparse = ExactNeighbors(4).fit(sparse.csr_array(rows))
    assert np.array_equal(
        in_sparse.kneighbors(sparse.csr_array(rows[:9]), return_distance=False),
        ours.kneighbors(rows[:9], return_distance=False),
    )
    with pytest.raises(ValueError, match="n_neighbors <= n_samples"):
        ours.kneighbors(rows, 61, return_distance=False)
    with pytest.raises(ValueError, match="features"):
        ours.kneighbors(rows[:, :2], return_distance=False)


class Counted(ExactNeighbors):
    """Counts the searches that are really made."""

    searches = 0

    def _nearest(self, *arguments: Any) -> np.ndarray:
        Counted.searches += 1
        return super()._nearest(*arguments)


def test_one_search_serves_every_k() -> None:
    rng = np.random.RandomState(0)
    y = rng.permutation(np.repeat([0, 1, 2], [60, 12, 7]))
    X = rng.normal(size=(len(y), 4)) + 0.15 * y[:, np.newaxis]
    shared, Counted.searches = SharedLists(21), 0
    for k in (3, 20, 10):
        search = Counted(k + 1, shared=shared)
        resampled, _ = EOS(k_neighbors=search, random_state=0).fit_resample(X, y)
        expected, _ = EOS(k_neighbors=k, random_state=0).fit_resample(X, y)
        assert np.array_equal(resampled, expected)
    assert Counted.searches == 1

    # More than was foreseen, and other rows, are searched for anew.
    more, _ = EOS(k_neighbors=Counted(41, shared=shared), random_state=0).fit_resample(X, y)
    assert np.array_equal(more, EOS(k_neighbors=40, random_state=0).fit_resample(X, y)[0])
    other, _ = EOS(k_neighbors=Counted(4, shared=shared), random_state=0).fit_resample(-2 * X, y)
    assert np.array_equal(other, EOS(k_neighbors=3, random_state=0).fit_resample(-2 * X, y)[0])
    assert Counted.searches == 3


def test_shared_lists_are_as_long_as_there_are_rows() -> None:
    rows = np.arange(5.0)[:, np.newaxis]
    search = clone(ExactNeighbors(2, shared=SharedLists(100))).fit(rows)
    assert search.kneighbors(rows[:1], return_distance=False).tolist() == [[0, 1]]
