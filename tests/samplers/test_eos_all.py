"""EOS with every row of another class as an enemy: draws, geometry, inputs, no search and no copies."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse, stats

from eos.errors import InputError
from eos.samplers.batches import BalancedDataset
from eos.samplers.eos import EOS
from tests.samplers.test_eos import blobs


@pytest.mark.parametrize("variant", ["toward", "away"])
@pytest.mark.parametrize("seed", [0, 7])
def test_equals_a_plain_loop_draw_by_draw(variant: str, seed: int) -> None:
    X, y = blobs([60, 25, 7, 1], spread=0.4, seed=seed)
    random_state = np.random.RandomState(seed)
    expected, labels = [], []
    in_order = sorted(range(len(y)), key=lambda row: (y[row], row))
    for label in (1, 2, 3):
        members = [row for row in in_order if y[row] == label]
        enemies = [row for row in in_order if y[row] != label]
        n = 60 - len(members)
        bases = [members[place] for place in random_state.randint(len(members), size=n)]
        partners = [enemies[place] for place in random_state.randint(len(enemies), size=n)]
        for base, partner, step in zip(bases, partners, random_state.random_sample(n), strict=True):
            way = X[partner] - X[base]
            expected.append(X[base] + (-1 if variant == "away" else 1) * (0.75 * step) * way)
            labels.append(label)
    sampler = EOS(k_neighbors="all", step_size=0.75, variant=variant, random_state=seed)
    resampled, y_resampled = sampler.fit_resample(X, y)
    assert np.allclose(resampled[len(X) :], expected, rtol=0, atol=1e-14)
    assert y_resampled[len(y) :].tolist() == labels
    assert (sampler.nn_k_, sampler.k_neighbors_, sampler.step_size_) == (None, "all", 0.75)
    assert sampler.fallback_classes_.dtype == y.dtype
    assert len(sampler.fallback_classes_) == 0


def test_every_pair_of_member_and_enemy_is_equally_likely() -> None:
    X, y = blobs([9, 3, 4], spread=50)  # far apart, where a search would find no enemy
    n = 60_000
    triples = EOS(
        k_neighbors="all", random_state=0, sampling_strategy={0: 9, 1: 3 + n, 2: 4}
    ).fit_interpolations(X, y)
    members, enemies = np.flatnonzero(y == 1), np.flatnonzero(y != 1)
    assert set(triples.base) == set(members)
    assert set(triples.partner) == set(enemies)
    pairs = np.unique(triples.base * len(y) + triples.partner, return_counts=True)[1]
    assert len(pairs) == len(members) * len(enemies)
    assert stats.chisquare(pairs).pvalue > 0.001
    assert stats.kstest(triples.step, "uniform").pvalue > 0.001


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("variant", ["toward", "away"])
def test_triples_sparse_rows_and_balanced_data_set_are_the_same(variant: str, dtype: type) -> None:
    X, y = blobs([60, 25, 7], spread=0.4)
    X = np.where(np.abs(X) < 0.6, 0, X).astype(dtype)
    sampler = EOS(k_neighbors="all", variant=variant, random_state=3)
    resampled, labels = sampler.fit_resample(X, y)
    assert Counter(labels.tolist()) == {0: 60, 1: 60, 2: 60}
    assert np.array_equal(resampled[: len(X)], X)
    assert resampled.dtype == dtype
    assert np.array_equal(sampler.fit_interpolations(X, y).rows(X), resampled[len(X) :])
    sparse_rows, sparse_labels = sampler.fit_resample(sparse.csr_array(X), y)
    assert np.allclose(sparse_rows.toarray(), resampled, atol=1e-6)
    assert np.array_equal(sparse_labels, labels)
    data = BalancedDataset(X, y, sampler)
    assert np.array_equal(data[np.arange(len(data))][0], resampled.astype(np.float32))


def test_labels_of_any_kind_and_nothing_to_fill() -> None:
    X, y = blobs([12, 4])
    names = np.where(y == 1, "rare", "common")
    _, labels = EOS(k_neighbors="all", random_state=0).fit_resample(X, names)
    assert Counter(labels.tolist()) == {"rare": 12, "common": 12}
    triples = EOS(k_neighbors="all", random_state=0).fit_interpolations(X[:8], np.repeat(["a", "b"], 4))
    assert triples.rows(X).shape == (0, 3)


def test_released_needs_neighbors() -> None:
    with pytest.raises(
        InputError, match=r'variant: "released" .*k_neighbors="all".*give k_neighbors a number'
    ):
        EOS(k_neighbors="all", variant="released").fit_resample(*blobs([12, 4]))


def test_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: Any, **__: Any) -> None:
        raise AssertionError("a search")

    monkeypatch.setattr("eos.samplers.neighbors.ExactNeighbors.fit", search)
    EOS(k_neighbors="all", random_state=0).fit_resample(*blobs([12, 4]))
    with pytest.raises(AssertionError, match="a search"):
        EOS(k_neighbors=3, random_state=0).fit_resample(*blobs([12, 4]))


def test_triples_of_rows_on_disk_and_of_repeated_rows(tmp_path: Path) -> None:
    X, y = blobs([60, 25, 7], spread=0.4)
    expected = EOS(k_neighbors="all", random_state=0).fit_interpolations(X, y)
    np.save(tmp_path / "rows.npy", X)
    stored = np.load(tmp_path / "rows.npy", mmap_mode="r")
    repeated = np.broadcast_to(X[0], X.shape)
    for rows in (stored, repeated):
        triples = EOS(k_neighbors="all", random_state=0).fit_interpolations(rows, y)
        assert np.array_equal(triples.base, expected.base)
        assert np.array_equal(triples.partner, expected.partner)
        assert np.array_equal(triples.step, expected.step)
