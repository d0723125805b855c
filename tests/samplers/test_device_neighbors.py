"""The search with PyTorch, here on a processor: in step with scikit-learn's."""

from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors

from eos import EOS
from eos.errors import InputError
from eos.samplers import device_neighbors
from eos.samplers.device_neighbors import DeviceNeighbors
from eos.samplers.neighbors import ExactNeighbors


def embeddings() -> np.ndarray:
    rows: np.ndarray = np.random.RandomState(0).normal(3, 1, (700, 24)).astype(np.float32)
    return rows


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_equals_scikit_learn(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = embeddings()
    monkeypatch.setattr(device_neighbors, "_DIFFERENCES", 128 * 24 * 90)  # 90 queries at a time
    search = DeviceNeighbors(6, device="cpu", precision=precision, candidates=128).fit(rows)
    plain = NearestNeighbors(n_neighbors=6).fit(rows.astype(np.float64))
    distances, found = search.kneighbors(rows[:200])
    exact, expected = plain.kneighbors(rows[:200].astype(np.float64))
    assert np.array_equal(found, expected)
    assert np.allclose(distances, exact, atol=1e-4)
    assert (search.kneighbors_graph(rows[:9]) != plain.kneighbors_graph(rows[:9])).nnz == 0


def test_finds_all_candidates_group_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.concatenate([embeddings()[:500], embeddings()[:40] + 1e-3]).astype(np.float32)  # 8.4 groups
    rows = rows[np.argsort(rows[:, 0])]
    monkeypatch.setattr(device_neighbors, "_DISTANCES", 576 * 70)  # 70 queries at a time
    search = DeviceNeighbors(3, device="cpu", precision="float32", candidates=6).fit(rows)
    expected = ExactNeighbors(3).fit(rows).kneighbors(rows, return_distance=False)
    assert np.array_equal(search.kneighbors(rows, return_distance=False), expected)


@pytest.mark.parametrize("n_rows", [63, 64, 65])
def test_as_many_neighbors_as_rows(n_rows: int) -> None:
    rows = embeddings()[:n_rows]
    search = DeviceNeighbors(n_rows, device="cpu").fit(rows)
    found = search.kneighbors(rows, return_distance=False)
    assert np.array_equal(np.sort(found), np.tile(np.arange(n_rows), (n_rows, 1)))


def test_numbers_of_fitted_rows_serve_as_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_neighbors, "_DIFFERENCES", 128 * 24 * 90)
    rows, chosen = embeddings(), np.random.RandomState(1).permutation(700)[:200]
    search = DeviceNeighbors(11, device="cpu").fit(rows)
    found = search.kneighbors_of_rows(chosen, 5)
    assert np.array_equal(found, search.kneighbors(rows[chosen], 5, return_distance=False))


def test_of_rows_at_the_same_distance_the_first_comes_first() -> None:
    rows = np.random.RandomState(0).randint(0, 3, (60, 3)).astype(float)
    search = DeviceNeighbors(8, device="cpu", precision="float32").fit(rows)
    squared = ((rows[:, np.newaxis] - rows) ** 2).sum(axis=2)
    expected = squared.argsort(axis=1, kind="stable")[:, :8]
    assert np.array_equal(search.kneighbors(rows, return_distance=False), expected)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_serves_eos(metric: str) -> None:
    rows, labels = embeddings(), np.repeat([0, 1, 2], [500, 150, 50])
    search = DeviceNeighbors(11, device="cpu", precision="float32")
    by_object = EOS(k_neighbors=search, metric=metric, random_state=0).fit_resample(rows, labels)[0]
    plain = EOS(k_neighbors=10, metric=metric, random_state=0).fit_resample(rows, labels)[0]
    assert np.array_equal(by_object, plain)


def test_more_neighbors_than_rows() -> None:
    with pytest.raises(ValueError, match="12 asked for among 10 rows"):
        DeviceNeighbors(12, device="cpu").fit(embeddings()[:10]).kneighbors(embeddings()[:2])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 2e15])
def test_values_beyond_float32_are_refused(wrong: float) -> None:
    rows = embeddings()
    search = DeviceNeighbors(5, device="cpu").fit(rows)
    rows[3, 3] = wrong
    with pytest.raises(InputError, match=r"values as large as .* scale the features down"):
        search.kneighbors(rows)
    with pytest.raises(InputError, match="scale the features down"):
        DeviceNeighbors(5, device="cpu").fit(rows)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(InputError, match="precision: 'float16' is neither"):
        DeviceNeighbors(5, device="cpu", precision="float16").fit(embeddings())


@pytest.mark.parametrize("value", [0, -1, 2.5, float("nan"), "x"])
def test_numbers_that_are_none_are_named(value: Any) -> None:
    rows = embeddings()[:50]
    for search, n_neighbors, name in (
        (DeviceNeighbors(value, device="cpu"), None, "n_neighbors"),
        (DeviceNeighbors(3, device="cpu"), value, "n_neighbors"),
        (DeviceNeighbors(3, device="cpu", candidates=value), None, "candidates"),
    ):
        with pytest.raises(InputError, match=f"{name}: {value!r}; give"):
            search.fit(rows).kneighbors(rows, n_neighbors)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 24)), "there are no rows"),
        (np.zeros((3, 0)), r"shape \(3, 0\)"),
        (np.zeros(24), r"shape \(24,\)"),
        (np.zeros((3, 24), dtype=complex), "a complex128"),
        (np.zeros((3, 24)).astype(str), "a <U"),
    ],
)
def test_rows_that_are_none_are_named(rows: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=f"X: .*{message}"):
        DeviceNeighbors(2, device="cpu").fit(rows)
    with pytest.raises(InputError, match=f"X: .*{message}"):
        DeviceNeighbors(2, device="cpu").fit(embeddings()[:50]).kneighbors(rows)


def test_what_was_not_fitted_is_named() -> None:
    search = DeviceNeighbors(2, device="cpu").fit(embeddings()[:50])
    with pytest.raises(InputError, match="X: 23 columns, but 24 were fitted"):
        search.kneighbors(embeddings()[:, :23])
    for rows in ([50], [-1], [0.5], [], [[1]]):
        with pytest.raises(InputError, match=r"rows: .*; give numbers of fitted rows, 0 to 49"):
            search.kneighbors_of_rows(np.array(rows))
    with pytest.raises(NotFittedError):
        DeviceNeighbors(2, device="cpu").kneighbors(embeddings())
    for device in ("nowhere", "cuda:99"):
        with pytest.raises(InputError, match=f"device: '{device}' cannot be used"):
            DeviceNeighbors(2, device=device).fit(embeddings())
