"""The search with PyTorch, on the device of the tests: in step with scikit-learn's."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from eos import EOS
from eos.samplers import device_neighbors
from eos.samplers.device_neighbors import DeviceNeighbors
from tests.helpers import DEVICE


def embeddings() -> np.ndarray:
    rows: np.ndarray = np.random.RandomState(0).normal(3, 1, (700, 24)).astype(np.float32)
    return rows


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_equals_scikit_learn(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = embeddings()
    monkeypatch.setattr(device_neighbors, "_BLOCK", 128 * 24 * 90)  # 90 queries at a time
    search = DeviceNeighbors(6, device=DEVICE, precision=precision, candidates=128).fit(rows)
    plain = NearestNeighbors(n_neighbors=6).fit(rows.astype(np.float64))
    distances, found = search.kneighbors(rows[:200])
    exact, expected = plain.kneighbors(rows[:200].astype(np.float64))
    assert np.array_equal(found, expected)
    assert np.allclose(distances, exact, atol=1e-4)
    assert (search.kneighbors_graph(rows[:9]) != plain.kneighbors_graph(rows[:9])).nnz == 0


def test_of_rows_at_the_same_distance_the_first_comes_first() -> None:
    rows = np.random.RandomState(0).randint(0, 3, (60, 3)).astype(float)
    search = DeviceNeighbors(8, device=DEVICE, precision="float32").fit(rows)
    squared = ((rows[:, np.newaxis] - rows) ** 2).sum(axis=2)
    expected = squared.argsort(axis=1, kind="stable")[:, :8]
    assert np.array_equal(search.kneighbors(rows, return_distance=False), expected)


def test_serves_eos() -> None:
    rows, labels = embeddings(), np.repeat([0, 1, 2], [500, 150, 50])
    search = DeviceNeighbors(11, device=DEVICE, precision="float32")
    by_object = EOS(k_neighbors=search, random_state=0).fit_resample(rows, labels)[0]
    assert np.array_equal(by_object, EOS(k_neighbors=10, random_state=0).fit_resample(rows, labels)[0])


def test_more_neighbors_than_rows() -> None:
    with pytest.raises(ValueError, match="12 asked for among 10 rows"):
        DeviceNeighbors(12, device=DEVICE).fit(embeddings()[:10]).kneighbors(embeddings()[:2])
