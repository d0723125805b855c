"""SWIM: its formulas written out row by row, the levels that samples keep, and data that leave it little."""

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import fractional_matrix_power
from scipy.special import logsumexp
from sklearn.utils._param_validation import InvalidParameterError
from threadpoolctl import threadpool_limits

from eos.errors import InputError
from eos.samplers.oversampling import oversample
from eos.samplers.swim import SWIM
from tests.helpers import given

FORMS: list[dict[str, Any]] = [
    {"variant": "mahalanobis"},
    {"variant": "radial"},
    {"variant": "radial", "units": "original"},
]


def classes(sizes: tuple[int, ...] = (60, 20, 9), width: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes with covariances of their own; some features correlate."""
    rng = np.random.RandomState(1)
    parts = [rng.normal(size=(size, width)) @ rng.normal(size=(width, width)) / 2 + rng.normal(size=width)
             for size in sizes]  # fmt: skip
    return np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes)


def added(X: np.ndarray, y: np.ndarray, **parameters: Any) -> np.ndarray:
    """Return the synthetic rows; warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return SWIM(**{"random_state": 0} | parameters).fit_resample(X, y)[0][len(X) :]


def log_density(x: np.ndarray, majority: np.ndarray, epsilon: float, order: int) -> float:
    return float(logsumexp([-((epsilon * np.linalg.norm(x - m, order)) ** 2) for m in majority]))


# The formulas


def test_mahalanobis_is_the_formula() -> None:
    X, y = classes()
    new = added(X, y, spread=0.4)
    random, expected = np.random.RandomState(0), []
    for label, n_samples in ((1, 40), (2, 51)):
        members, majority = X[y == label], X[y != label]
        covariance = np.cov(majority.T)
        covariance += 1e-3 * np.trace(covariance) / 4 * np.eye(4)
        whiten, colour = (fractional_matrix_power(covariance, power) for power in (-0.5, 0.5))
        w = [whiten @ (x - majority.mean(axis=0)) for x in members]
        deviation = np.std(w, axis=0)
        seeds = random.randint(len(members), size=n_samples)
        draws = random.uniform(-1, 1, size=(n_samples, 4))
        for seed, draw in zip(seeds, draws, strict=True):
            moved = np.array([w[seed][d] + 0.4 * deviation[d] * draw[d] for d in range(4)])
            moved *= np.linalg.norm(w[seed]) / np.linalg.norm(moved)
            expected.append(colour @ moved + majority.mean(axis=0))
    np.testing.assert_allclose(new, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("units", ["data", "original"])
def test_radial_is_the_formula(units: str) -> None:
    X, y = classes()
    new = added(X, y, variant="radial", units=units, spread=0.7, steps=2)
    random, refused = np.random.RandomState(0), 0
    for label, n_samples in ((1, 40), (2, 51)):
        members, majority = X[y == label], X[y != label]
        distances = np.array([[np.linalg.norm(a - b) for a in majority] for b in majority])
        if units == "data":
            order = 2
            epsilon = 1 / np.median([np.sort(row)[1] for row in distances])
        else:
            order, pairs = 1, distances[np.triu_indices(len(distances), 1)]
            epsilon = 0.5 * pairs.std() * pairs.mean()
        made: dict[int, np.ndarray] = {}
        while len(made) < n_samples:
            waiting = [i for i in range(n_samples) if i not in made]
            seeds = dict(zip(waiting, members[random.randint(len(members), size=len(waiting))], strict=True))
            for _ in range(2):
                waiting = [i for i in waiting if i not in made]
                steps = random.standard_normal((len(waiting), 4))
                for i, step in zip(waiting, steps, strict=True):
                    tried = seeds[i] + 0.7 * members.std(axis=0) * step
                    if log_density(tried, majority, epsilon, order) <= log_density(
                        seeds[i], majority, epsilon, order
                    ):
                        made[i] = tried
                    else:
                        refused += 1
        np.testing.assert_allclose(new[:n_samples], [made[i] for i in range(n_samples)], rtol=1e-12)
        new = new[n_samples:]
    assert refused > 10


@pytest.mark.parametrize("width", [1, 4])
def test_samples_keep_the_mahalanobis_distance_of_a_member(width: int) -> None:
    X, y = classes((80, 5), width)
    new = added(X, y)
    covariance = np.atleast_2d(np.cov(X[y == 0].T))
    inverse = np.linalg.inv(covariance + 1e-3 * covariance.trace() / width * np.eye(width))

    def squared(rows: np.ndarray) -> np.ndarray:
        centred = rows - X[y == 0].mean(axis=0)
        return np.einsum("ni,ij,nj->n", centred, inverse, centred)

    apart = np.abs(squared(new)[:, np.newaxis] / squared(X[y == 1]) - 1)
    assert apart.min(axis=1).max() < 1e-9
    assert set(apart.argmin(axis=1)) == set(range(5))


def test_the_majority_is_that_of_the_data_alone() -> None:
    """Samples of the class before are no rows of the majority: those of class 2 keep its distances."""
    X, y = classes()
    new = SWIM(random_state=0).fit_resample(X, y)[0][len(X) :]
    first = np.count_nonzero(y == 0) - np.count_nonzero(y == 1)
    others = X[y != 2]
    covariance = np.cov(others.T)
    inverse = np.linalg.inv(covariance + 1e-3 * covariance.trace() / X.shape[1] * np.eye(X.shape[1]))

    def squared(rows: np.ndarray) -> np.ndarray:
        centred = rows - others.mean(axis=0)
        return np.einsum("ni,ij,nj->n", centred, inverse, centred)

    apart = np.abs(squared(new[first:])[:, np.newaxis] / squared(X[y == 2]) - 1)
    assert apart.min(axis=1).max() < 1e-9
    labels = SWIM(random_state=0, sampling_strategy={2: 30}).fit_resample(X, y)[1]
    assert Counter(labels.tolist()) == {0: 60, 1: 20, 2: 30}


def test_densities_that_are_nothing_in_float64_are_compared_all_the_same() -> None:
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(80, 64)), np.repeat([0, 1], [74, 6])
    X[y == 1] += 60
    new = added(X, y, variant="radial")
    majority = X[y == 0]
    nearest = [np.sort(np.linalg.norm(majority - row, axis=1))[1] for row in majority]
    levels = [log_density(row, majority, 1 / float(np.median(nearest)), 2) for row in X[y == 1]]
    assert max(levels) < -1000
    assert max(log_density(row, majority, 1 / float(np.median(nearest)), 2) for row in new) <= max(levels)
    # Half of the directions lead nearer; as plain sums both are 0, and no step would be refused.
    direction = X[y == 1].mean(axis=0) - majority.mean(axis=0)
    assert ((new @ direction) > (X[y == 1] @ direction).min()).mean() > 0.9


@pytest.mark.parametrize("parameters", FORMS[:2], ids=str)
def test_the_unit_of_the_features_does_not_count(parameters: dict[str, Any]) -> None:
    X, y = classes()
    new = added(X, y, **parameters)
    for power in (-900, 300, 1010):
        np.testing.assert_array_equal(added(np.ldexp(X, power), y, **parameters), np.ldexp(new, power))


def test_the_unit_of_the_features_counts_as_in_the_published_code() -> None:
    X, y = classes()
    for factor in (1e-300, 1e-3, 1e150):
        assert np.isfinite(added(X * factor, y, variant="radial", units="original")).all()
    flat = added(X * 2.0**-300, y, variant="radial", units="original") * 2.0**300
    random = np.random.RandomState(
        0
    )  # with kernels that wide all densities are equal, and no step is refused
    seeds = X[y == 1][random.randint(20, size=40)]
    steps = 0.25 * X[y == 1].std(axis=0) * random.standard_normal((40, 4))
    np.testing.assert_allclose(flat[:40], seeds + steps, rtol=1e-12)


# Features and classes that do not vary


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_dead_features_change_nothing_and_stay(parameters: dict[str, Any]) -> None:
    X, y = classes()
    dead = np.insert(X, [0, 2, 4], [0.0, 7.25, 1e200], axis=1)
    new = added(dead, y, **parameters)
    np.testing.assert_array_equal(new[:, [0, 3, 6]], np.tile([0, 7.25, 1e200], (len(new), 1)))
    np.testing.assert_array_equal(new[:, [1, 2, 4, 5]], added(X, y, **parameters))


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_features_that_are_dead_on_one_side(parameters: dict[str, Any]) -> None:
    X, y = classes((40, 8))
    for side in (0, 1):
        half_dead = X.copy()
        half_dead[y == side, 1] = 0
        new = added(half_dead, y, **parameters)
        assert np.isfinite(new).all()
        if side == 1 and parameters["variant"] == "radial":
            assert not new[:, 1].any()


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_a_class_of_one_sample_borrows_the_spread_of_the_others(parameters: dict[str, Any]) -> None:
    X, y = classes((60, 60, 1))
    sampler = SWIM(random_state=0, **parameters)
    with pytest.warns(UserWarning, match=r"^moved by the spread of the other classes, .* vary: class 2$"):
        new = sampler.fit_resample(X, y)[0][len(X) :]
    assert len(np.unique(new, axis=0)) == len(new) == 59
    assert (np.ptp(new, axis=0) > 0.1 * X[y < 2].std(axis=0)).all()


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_nothing_varies(parameters: dict[str, Any]) -> None:
    sampler = SWIM(random_state=0, **parameters)
    with pytest.warns(UserWarning, match="samples are copies, because all rows are the same"):
        rows = sampler.fit_resample(np.full((5, 3), 2.5), [0, 0, 0, 1, 1])[0]
    np.testing.assert_array_equal(rows, np.full((6, 3), 2.5))
    X = np.array([[0.0, 1.0]] * 4 + [[3.0, 5.0]])
    with pytest.warns(UserWarning, match=r"neither the class nor the others vary: class 1$"):
        rows = sampler.fit_resample(X, [0, 0, 0, 0, 1])[0]
    np.testing.assert_array_equal(rows[5:], X[[4, 4, 4]])


def test_a_majority_that_does_not_vary_has_euclidean_distances() -> None:
    X, y = classes((9, 6))
    X[y == 0] = 3.0
    with pytest.warns(UserWarning, match=r"^kept at their Euclidean distance, .* do not vary: class 1$"):
        new = SWIM(random_state=0).fit_resample(X, y)[0][len(X) :]
    apart = np.linalg.norm(new - 3, axis=1)[:, np.newaxis] - np.linalg.norm(X[y == 1] - 3, axis=1)
    assert np.abs(apart).min(axis=1).max() < 1e-12


def test_seeds_without_a_step_give_way_to_others_and_are_repeated_where_there_is_none() -> None:
    # The first member lies between two bands, where the density is lowest, and no step leads over them.
    X, y = np.array([[-1.0], [-0.9], [0.9], [1.0], [0.0], [9.0]]), np.array([1, 1, 1, 1, 5, 5])
    new = added(X, y, variant="radial", spread=0.01)
    assert (new > 8).all()
    sampler = SWIM(random_state=0, variant="radial", spread=0.01)
    with (
        pytest.warns(UserWarning, match=r"^moved by the spread of the other classes, .*: class 5$"),
        pytest.warns(UserWarning, match=r"^some samples are copies of members, .* as far out: class 5$"),
    ):
        rows = sampler.fit_resample(X[:5], y[:5])[0]
    assert not rows[4:].any()


# What all samplers promise


@pytest.mark.parametrize("parameters", FORMS, ids=str)
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_equals_dense(make: Any, parameters: dict[str, Any]) -> None:
    X, y = classes()
    result = SWIM(random_state=0, **parameters).fit_resample(make(X), y)[0]
    assert isinstance(result, make)
    np.testing.assert_array_equal(result.toarray()[len(X) :], added(X, y, **parameters))


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_threads_change_nothing(parameters: dict[str, Any]) -> None:
    X, y = classes((700, 300), 40)
    with threadpool_limits(2):
        two = added(X, y, **parameters)
    with threadpool_limits(1):
        assert added(X, y, **parameters).tobytes() == two.tobytes()


@pytest.mark.parametrize("parameters", FORMS, ids=str)
def test_clipping_is_of_features_that_are_never_negative(parameters: dict[str, Any]) -> None:
    X, y = classes()
    X[:, :2] = np.maximum(X[:, :2], 0)
    plain, clipped = added(X, y, **parameters), added(X, y, clip=True, **parameters)
    assert (plain[:, :2] < 0).any()
    np.testing.assert_array_equal(clipped[:, :2], np.maximum(plain[:, :2], 0))
    np.testing.assert_array_equal(clipped[:, 2:], plain[:, 2:])


def test_float32_is_that_of_float64_rounded() -> None:
    X, y = classes()
    X = X.astype(np.float32)
    single, double = added(X, y), added(X.astype(float), y)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double.astype(np.float32))


def test_samples_that_overflow_are_refused() -> None:
    X, y = classes()
    with pytest.raises(InputError, match=r"X: samples of values as large as .* overflow float32; scale"):
        SWIM(random_state=0, spread=3).fit_resample((X / np.abs(X).max() * 3.3e38).astype(np.float32), y)
    with pytest.raises(InputError, match="take shorter steps"):
        SWIM(random_state=0, spread=1e308).fit_resample(X, y)


@pytest.mark.parametrize(
    "parameters",
    [{"spread": 0.0}, {"variant": "rbf"}, {"steps": 0}, {"units": "L1"}, {"clip": 2}],
    ids=str,
)
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
        SWIM(**parameters).fit_resample(*classes())


def test_the_named_sampler_is_the_class_and_notes_its_warnings() -> None:
    X, y = classes((30, 12, 1))
    parameters = given("sampler", "swim") | {"variant": "radial", "steps": 3, "spread": 0.5, "clip": True}
    made = oversample("swim", X, y, random_state=5, **parameters)
    with pytest.warns(UserWarning, match="class 2"):
        rows, labels = SWIM(random_state=5, **parameters).fit_resample(X, y)
    np.testing.assert_array_equal(made.features, rows[len(X) :])
    np.testing.assert_array_equal(made.labels, labels)
    assert len(made.notes) == 1
    assert made.notes[0].endswith("because the class does not vary: class 2")
