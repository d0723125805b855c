"""EOS that chooses for itself, and its neighbors by angle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imblearn.utils.estimator_checks import parametrize_with_checks
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from eos.samplers.eos import EOS
from tests.samplers.test_eos import blobs


@pytest.mark.slow
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        EOS(random_state=42, k_neighbors="all"),
        EOS(random_state=42, k_neighbors="all", variant="away"),
        EOS(random_state=42, k_neighbors="auto", step_size="auto"),
        EOS(random_state=42, metric="cosine"),
    ]
)
def test_imbalanced_learn_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


# By class sizes


def test_auto_draws_from_all_with_steps_by_class() -> None:
    X, y = blobs([90, 30, 9, 1], spread=0.4)
    auto = EOS(k_neighbors="auto", step_size="auto", random_state=3)
    chosen, whole = (
        sampler.fit_interpolations(X, y)
        for sampler in (auto, EOS(k_neighbors="all", step_size=1.0, random_state=3))
    )
    sizes = {1: 0.2 * np.log(3), 2: 0.2 * np.log(10), 3: 0.2 * np.log(90)}
    assert auto.k_neighbors_ == "all"
    assert auto.step_size_ == pytest.approx(sizes)
    assert np.array_equal(chosen.base, whole.base)
    assert np.array_equal(chosen.partner, whole.partner)
    assert np.allclose(chosen.step, whole.step * np.array([sizes[label] for label in chosen.labels]))


def test_auto_steps_go_no_farther_than_the_enemy_and_follow_the_target() -> None:
    X, y = blobs([400, 2, 30])
    sampler = EOS(step_size="auto", k_neighbors=3, random_state=0, sampling_strategy={1: 398, 2: 60})
    sampler.fit_resample(X, y)
    assert sampler.step_size_ == pytest.approx({1: 1.0, 2: 0.2 * np.log(2)})
    assert sampler.k_neighbors_ == 3


def test_auto_away_and_with_labels_of_any_kind() -> None:
    X, y = blobs([40, 4], spread=0.4)
    names = np.array(["often", "rarely"])[y]
    toward, away = (
        EOS(step_size="auto", variant=variant, random_state=0).fit_interpolations(X, names)
        for variant in ("toward", "away")
    )
    assert np.array_equal(away.step, -toward.step)
    assert 0 < toward.step.max() < 0.2 * np.log(10)


def test_nothing_to_fill_by_auto() -> None:
    sampler = EOS(k_neighbors="auto", step_size="auto", random_state=0)
    assert len(sampler.fit_interpolations(*blobs([5, 5]))) == 0
    assert sampler.step_size_ == {}


# By angle


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosine_neighbors_are_scikit_learns(kind: Any, dtype: type) -> None:
    X, y = blobs([60, 25, 7], n_features=5, spread=0.4)
    X = np.where(np.abs(X) < 0.6, 0, X).astype(dtype)
    sampler = EOS(k_neighbors=4, metric="cosine", random_state=0)
    triples = sampler.fit_interpolations(kind(X), y)
    near = NearestNeighbors(n_neighbors=5, algorithm="brute", metric="cosine").fit(X).kneighbors(X)[1]
    for base, partner in zip(triples.base, triples.partner, strict=True):
        assert partner in near[base]
        assert y[partner] != y[base]
    euclidean = EOS(k_neighbors=4, random_state=0).fit_interpolations(kind(X), y)
    assert not np.array_equal(triples.partner, euclidean.partner)
    # The rows themselves are not scaled.
    resampled, _ = sampler.fit_resample(kind(X), y)
    dense = resampled.toarray() if sparse.issparse(resampled) else resampled
    assert np.array_equal(dense[: len(X)], X)
    assert np.allclose(
        dense[len(X) :],
        X[triples.base] + triples.step[:, np.newaxis] * (X[triples.partner] - X[triples.base]),
        atol=1e-6,
    )


def test_cosine_does_not_see_lengths_and_bears_rows_of_zeros() -> None:
    X, y = blobs([60, 25], n_features=5, spread=0.4)
    lengths = 2.0 ** np.random.RandomState(0).randint(-3, 4, size=(len(X), 1))
    plain, scaled = (
        EOS(k_neighbors=4, metric="cosine", random_state=0).fit_interpolations(rows, y)
        for rows in (X, X * lengths)
    )
    assert np.array_equal(plain.partner, scaled.partner)
    long = (X * lengths * 2.0**80).astype(np.float32)  # their squares are beyond float32
    with np.errstate(over="raise"):
        of_long = EOS(k_neighbors=4, metric="cosine", random_state=0).fit_interpolations(long, y)
    assert np.array_equal(plain.partner, of_long.partner)
    X[:3] = 0
    assert np.isfinite(EOS(metric="cosine", random_state=0).fit_resample(X, y)[0]).all()


def test_cosine_in_the_fallback() -> None:
    y = np.array([0] * 12 + [1] * 4)
    angles = np.r_[np.linspace(1.0, 1.2, 12), np.linspace(0.0, 0.1, 4)]
    X = np.column_stack([np.cos(angles), np.sin(angles)]) * np.r_[np.full(12, 5.0), np.ones(4)][:, np.newaxis]
    with pytest.warns(UserWarning, match="class 1"):
        triples = EOS(k_neighbors=2, metric="cosine", random_state=0).fit_interpolations(X, y)
    assert set(triples.partner) == {0, 1}  # the two at the least angle
