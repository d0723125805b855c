"""TailCalib: the Gaussians of its equations, estimated from many samples."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils._param_validation import InvalidParameterError

from eos.samplers.oversampling import oversample, tailcalib
from eos.samplers.tailcalib import TailCalib

COUNTS = {1: 40_000, 4: 60, 6: 200, 9: 2}


def classes() -> tuple[np.ndarray, np.ndarray]:
    """Four classes with covariances of their own; the last two samples are far from each other."""
    rng = np.random.RandomState(3)
    parts = [
        rng.normal(size=(count, 3)) @ rng.normal(size=(3, 3)) + 4 * rng.normal(size=3)
        for count in COUNTS.values()
    ]
    parts[-1][1] += 5
    return np.concatenate(parts), np.repeat(list(COUNTS), list(COUNTS.values()))


@pytest.mark.parametrize("alpha", [0.0, 0.8])
@pytest.mark.parametrize("n_neighbors", [1, 2, 4])
def test_samples_have_the_calibrated_mean_and_covariance(n_neighbors: int, alpha: float) -> None:
    X, y = classes()
    sampler = TailCalib(n_neighbors=n_neighbors, alpha=alpha, random_state=0)
    new = sampler.fit_resample(X, y)[0][len(X) :][
        -39_998:
    ]  # those of class 9, half of them around each member
    means = np.array([X[y == label].mean(axis=0) for label in COUNTS])
    covariances = np.array([np.cov(X[y == label].T) for label in COUNTS])
    np.testing.assert_allclose(sampler.means_, means)
    np.testing.assert_allclose(sampler.covariances_, covariances)
    for place, x in enumerate(X[y == 9]):
        nearest = np.linalg.norm(means - x, axis=1).argsort()[:n_neighbors]
        mean = np.concatenate([means[nearest], x[np.newaxis]]).mean(axis=0)
        covariance = covariances[nearest].mean(axis=0) + alpha + 1e-4 * np.eye(3)
        mine = new[place::2]
        assert len(mine) == 19_999
        error = 5 * np.sqrt(np.diag(covariance) / len(mine))
        assert (np.abs(mine.mean(axis=0) - mean) < error).all()
        spread = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        assert (np.abs(np.cov(mine.T) - covariance) < 5 * np.sqrt(2 / len(mine)) * spread).all()


def test_members_get_the_same_number_and_classes_the_size_of_the_largest() -> None:
    # Both class means are 0: the first class is the nearest, and has no spread. A sample is half of a member.
    members = 100.0 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    X, y = np.concatenate([np.zeros((11, 2)), members]), np.repeat([0, 1], [11, 4])
    rows, labels = TailCalib(random_state=1, n_neighbors=1).fit_resample(X, y)
    assert Counter(labels.tolist()) == {0: 11, 1: 11}
    new = rows[15:]
    assert 0 < np.abs(new - new.round()).max() < 0.05
    times = [int((np.abs(new - member / 2) < 0.05).all(axis=1).sum()) for member in members]
    assert sorted(times) == [1, 2, 2, 2]


def test_a_class_of_one_sample_is_filled() -> None:
    X, y = np.array([[0.0], [0.0], [0.0], [100.0]]), [0, 0, 0, 1]
    rows = TailCalib(random_state=1, n_neighbors=1).fit_resample(X, y)[0][4:]
    np.testing.assert_allclose(rows, 100, atol=0.1)  # its own mean is the nearest, and has no spread
    assert rows.std() > 0


def test_sampling_strategy_and_balanced_data() -> None:
    X, y = classes()
    sampler = TailCalib(sampling_strategy={9: 30}, random_state=0)
    labels = sampler.fit_resample(X, y)[1]
    assert sampler.sampling_strategy_ == {9: 28}
    assert Counter(labels.tolist()) == COUNTS | {9: 30}
    rows, labels = TailCalib(random_state=0).fit_resample(X[:40], np.repeat([0, 1], 20))
    np.testing.assert_array_equal(rows, X[:40])


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_equals_dense(make: Any) -> None:
    X, y = classes()
    dense = TailCalib(random_state=0, sampling_strategy={9: 50}).fit_resample(X, y)[0]
    result = TailCalib(random_state=0, sampling_strategy={9: 50}).fit_resample(make(X), y)[0]
    assert isinstance(result, make)
    np.testing.assert_array_equal(result.toarray(), dense)


def test_float32_is_that_of_float64_rounded_and_whole_numbers_become_fractions() -> None:
    X, y = classes()
    X = X[-300:].astype(np.float32)
    y = y[-300:]
    single, double = (
        TailCalib(random_state=0).fit_resample(X.astype(kind), y)[0] for kind in (np.float32, float)
    )
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double.astype(np.float32))
    new = TailCalib(random_state=0).fit_resample(X.astype(int), y)[0][300:]
    assert (new % 1 != 0).all()


def test_features_that_are_constant_or_huge() -> None:
    X, y = classes()
    X, y = X[-300:] * 1e6, y[-300:]
    X[:, 1] = X[:, 0]  # a covariance without a Cholesky factor of its own
    assert np.isfinite(TailCalib(random_state=0).fit_resample(X, y)[0]).all()
    with (
        pytest.raises(ValueError, match="overflow; scale the features down"),
        np.errstate(over="ignore", invalid="ignore"),
    ):
        TailCalib(random_state=0).fit_resample(X * 1e200, y)


@pytest.mark.parametrize("parameters", [{"n_neighbors": 0}, {"alpha": -1.0}])
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
        TailCalib(**parameters).fit_resample(*classes())


def test_named_function_is_the_sampler_and_notes_fewer_classes() -> None:
    X, y = classes()
    X, y = X[-262:], y[-262:]
    rows, labels = tailcalib(X, y, 5, n_neighbors=2, alpha=0.1)
    expected = TailCalib(random_state=5, n_neighbors=2, alpha=0.1).fit_resample(X, y)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(labels, expected[1])
    from eos.registry import Entry

    table = {"tailcalib": Entry("eos.samplers.oversampling:tailcalib", "TailCalib")}
    made = oversample("tailcalib", X, y, random_state=5, samplers=table, n_neighbors=9, alpha=0.1)
    assert made.notes == ("n_neighbors was reduced from 9 to 3, because there are 3 classes",)


def test_samples_beyond_float32_are_refused() -> None:
    X, y = classes()
    with pytest.raises(ValueError, match=r"X: samples of values as large as .* overflow float32; scale"):
        TailCalib(random_state=0).fit_resample((X / np.abs(X).max() * 3e38).astype(np.float32), y)


def test_an_alpha_of_any_kind_of_number() -> None:
    X, y = classes()
    rows, _ = TailCalib(random_state=0, alpha=10**21).fit_resample(X, y)
    np.testing.assert_array_equal(rows, TailCalib(random_state=0, alpha=1e21).fit_resample(X, y)[0])
