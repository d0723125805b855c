"""The parts of benchmarks/scale.py that can be checked without its hours."""

import numpy as np
import pytest
from benchmarks.data import long_tailed, wide_embeddings
from benchmarks.scale import SHAPES, Measured, exactness, exponent, projected

from eos.samplers.neighbors import ExactNeighbors


@pytest.mark.parametrize("shape", SHAPES)
def test_counts_add_up_and_fall(shape: str) -> None:
    n_classes, total, largest, smallest = SHAPES[shape]
    counts = long_tailed(n_classes, total, largest, smallest)
    assert (len(counts), counts.sum()) == (n_classes, total)
    assert (counts[0], counts[-1]) == (largest, smallest)
    assert (np.diff(counts) <= 0).all()


def test_embeddings_are_the_same_every_time_and_overlap() -> None:
    counts = long_tailed(6, 90, 40, 3)
    features, labels = wide_embeddings(counts, 512)
    assert np.array_equal(features, wide_embeddings(counts, 512)[0])
    assert np.array_equal(np.bincount(labels), counts)
    assert features.dtype == np.float32
    nearest = ExactNeighbors(11).fit(features).kneighbors(features, return_distance=False)
    assert 0.05 < (labels[nearest[:, 1:]] != labels[:, np.newaxis]).mean() < 0.95


def test_exactness_counts_wrong_neighbors() -> None:
    features, _ = wide_embeddings(np.array([50, 20]), 8)
    assert exactness(ExactNeighbors(5).fit(features), features, 30) == 1.0
    moved = features.copy()
    moved[:, 0] += np.linspace(0, 9, len(moved), dtype=np.float32)
    assert 0 < exactness(ExactNeighbors(5).fit(moved), features, 30) < 0.9


def test_growth_is_fitted_and_projected() -> None:
    assert exponent([100, 200, 400], [3.0, 12.0, 48.0]) == pytest.approx((2.0, 3e-4))
    sizes = [
        Measured("imagenet_lt", "processor", rows, 9, 0, 1e-6 * rows**2, 100, 2.0, 1.0, 1.0, 2.0)
        for rows in (10, 1000, 2000, 4000)  # the first is far from the growth at last, and left out
    ]
    result = projected(sizes, 8000)
    assert result["triples_seconds"] == pytest.approx(64.0)
    assert (result["kind"], result["rows"], result["head_rows"]) == ("projected", 8000, 1_280_000)
    assert result["head_seconds"] == pytest.approx(25_600.0)  # 0.02 s a row, 1,000 classes of 1,280
