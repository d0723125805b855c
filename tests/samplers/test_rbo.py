"""RBO: walks against a transcription, potentials that never grow, and where two classes are in balance."""

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils._param_validation import InvalidParameterError

from eos.samplers.oversampling import oversample, rbo
from eos.samplers.radial import by_size, drawn_from_each, gaussian, nearest_with_itself
from eos.samplers.rbo import RBO
from tests.helpers import given


def classes(n_features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping classes of 40, 9 and 5, rows shuffled."""
    rng = np.random.RandomState(2)
    y = rng.permutation(np.repeat([1, 4, 9], [40, 9, 5]))
    return rng.normal(size=(len(y), n_features)) + 0.1 * y[:, np.newaxis], y


def potential(x: np.ndarray, own: np.ndarray, foreign: np.ndarray, gamma: float) -> float:
    """Return the potential of the paper, all rows counted."""
    kernel = [np.exp(-((np.abs(rows - x).sum(axis=1) / gamma) ** 2)).sum() for rows in (foreign, own)]
    return float(kernel[0] - kernel[1])


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_is_that_of_the_paper(seed: int) -> None:
    X, y = classes()
    sampler = RBO(
        sampling_strategy={9: 6}, random_state=seed, gamma=0.7, step=0.01, n_steps=80, n_neighbors="all",
        units="original",
    )  # fmt: skip
    made = sampler.fit_resample(X, y)[0][-1]
    rng, own, foreign = np.random.RandomState(seed), X[y == 9], X[y != 9]
    x = own[rng.randint(5)].copy()
    tried = 0
    while tried < 80:
        direction = int(rng.random_sample() * 6)
        step = np.zeros(3)
        step[direction // 2] = -0.01 if direction % 2 else 0.01
        if abs(potential(x + step, own, foreign, 0.7)) < abs(potential(x, own, foreign, 0.7)):
            x += step
        tried += 1
        if rng.random_sample() < 0.02:
            break
    np.testing.assert_allclose(made, x, rtol=0, atol=1e-12)
    assert sampler.gamma_ == {9: 0.7}


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_of_the_successive_form_is_that_of_the_paper(seed: int) -> None:
    """Here directions are drawn without replacement; after a success all but the way back are drawn again."""
    X, y = classes()
    X, y = X[y != 4], y[y != 4]
    sampler = RBO(
        sampling_strategy={9: 6}, random_state=seed, multiclass="successive", gamma=2.0, step=0.05,
        n_steps=400, n_neighbors="all", units="original", stop_probability=0.0,
    )  # fmt: skip
    made = sampler.fit_resample(X, y)[0][-1]
    rng, own, larger = np.random.RandomState(seed), X[y == 9], X[y == 1]
    foreign = larger[rng.choice(40, 40)]
    x = own[rng.randint(5)].copy()
    order, left, successes = list(range(6)), 6, 0
    for _ in range(400):
        drawn = int(rng.random_sample() * left)
        left -= 1
        direction = order[drawn]
        order[drawn], order[left] = order[left], direction
        step = np.zeros(3)
        step[direction // 2] = -0.05 if direction % 2 else 0.05
        if abs(potential(x + step, own, foreign, 2.0)) < abs(potential(x, own, foreign, 2.0)):
            x += step
            back, left, successes = order.index(direction ^ 1), 5, successes + 1
            order[back], order[5] = order[5], direction ^ 1
        if not left:
            break
    assert successes > 5
    np.testing.assert_allclose(made, x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_neighbors", [8, "all"])
@pytest.mark.parametrize("multiclass", ["one_vs_rest", "successive"])
def test_the_potentials_magnitude_never_grows_along_a_walk(multiclass: str, n_neighbors: Any) -> None:
    """A walk of s steps is the beginning of one of s + 1."""
    X, y = classes(n_features=8)
    X, y = X[y != 4], y[y != 4]
    levels = []
    for n_steps in range(1, 15):
        sampler = RBO(
            random_state=3, multiclass=multiclass, gamma=1.5, step=0.1, n_steps=n_steps,
            stop_probability=0.0, n_neighbors=n_neighbors,
        )  # fmt: skip
        made = sampler.fit_resample(X, y)[0][len(X) :]
        rng, own, foreign = np.random.RandomState(3), X[y == 9], X[y != 9]
        if multiclass == "successive":
            foreign = foreign[rng.choice(len(foreign), len(foreign))]
        rows, seeds = np.concatenate([own, foreign]), np.sort(rng.randint(5, size=len(made)))
        level = []
        for x, seed in zip(made, seeds, strict=True):
            distance = np.linalg.norm(rows - rows[seed], axis=1)
            distance[seed] = -1
            near = np.argsort(distance, kind="stable")[: len(rows) if n_neighbors == "all" else 9]
            mine, others = rows[near[near < 5]], rows[near[near >= 5]]
            level.append(abs(potential(x, mine, others, sampler.gamma_[9])))
        levels.append(level)
    steps = np.diff(levels, axis=0)
    assert (steps < 1e-12).all()
    assert (steps < -1e-6).any(axis=0).all()  # and every walk gets somewhere


@pytest.mark.parametrize("multiclass", ["one_vs_rest", "successive"])
def test_between_two_rows_the_balance_is_in_the_middle(multiclass: str) -> None:
    sampler = RBO(
        sampling_strategy={1: 4}, random_state=0, multiclass=multiclass, gamma=20.0, step=0.5,
        stop_probability=0.0, units="original",
    )  # fmt: skip
    rows, _ = sampler.fit_resample(np.array([[10.0], [0.0]]), np.array([0, 1]))
    np.testing.assert_array_equal(rows, [[10], [0], [5], [5], [5]])


def test_the_seed_is_a_row_of_the_class_whatever_the_order_of_rows() -> None:
    """Far apart classes: short walks stay near members of their own class."""
    X, y = classes()
    X = X + 100 * y[:, np.newaxis]
    rows, labels = RBO(random_state=0, n_steps=5).fit_resample(X, y)
    assert Counter(labels.tolist()) == {1: 40, 4: 40, 9: 40}
    for label in (4, 9):
        new = rows[len(X) :][labels[len(X) :] == label]
        assert np.abs(new - 100 * label).max() < 10


def test_units_of_the_data_follow_their_scale() -> None:
    X, y = classes()
    for multiclass in ("one_vs_rest", "successive"):
        plain, scaled = (
            RBO(random_state=0, multiclass=multiclass).fit_resample(factor * X, y)[0] for factor in (1.0, 8.0)
        )
        np.testing.assert_array_equal(scaled, 8 * plain)


def test_the_unit_is_the_median_distance_to_the_nearest_row() -> None:
    X, y = np.array([[0.0, 0], [0, 0], [1, 2], [9, 0], [4, 4], [4, 5], [5, 5]]), [1, 1, 1, 1, 0, 0, 0]
    sampler = RBO(sampling_strategy={0: 4}, random_state=0, gamma=2.0).fit(X, y)
    sampler.fit_resample(X, y)
    assert sampler.gamma_ == {0: 2.0}  # 1, 1 and 1
    sampler = RBO(sampling_strategy={1: 5}, random_state=0, gamma=2.0)
    sampler.fit_resample(X, y)
    assert sampler.gamma_ == {1: 6.0}  # 3, 3, 3 and 9 (to (4, 4); Euclidean it is the nearest, too)


def test_smaller_classes_count_in_one_form_only() -> None:
    X, y = classes()
    other = X.copy()
    other[y == 9] += 0.3
    for multiclass, same in (("one_vs_rest", False), ("successive", True)):
        first, second = (
            RBO(random_state=0, multiclass=multiclass).fit_resample(rows, y)[0][len(X) :][:31]
            for rows in (X, other)
        )
        assert np.array_equal(first, second) == same


def test_successive_draws() -> None:
    y = np.array([5, 5, 7, 3, 7, 3, 3])
    assert by_size(y) == [3, 5, 7]
    members = {3: np.array([0, 1, 2]), 5: np.array([10, 11, 12, 13, 14])}
    rng = np.random.RandomState(0)
    drawn = drawn_from_each(members, 9, rng, replace=True)  # 9 // 2 of each
    assert (drawn < 3).sum() == 4 == (drawn >= 10).sum()
    drawn = drawn_from_each(members, 9, rng, replace=False)
    assert sorted(drawn[:3]) == [0, 1, 2]
    assert len(set(drawn[3:])) == 4
    assert len(drawn_from_each(members, 1, rng, replace=True)) == 2


def test_a_row_is_among_its_neighbors_however_many_are_equal() -> None:
    rows = np.array([[0.0]] * 6 + [[1.0]])
    near = nearest_with_itself(rows, np.array([5, 6]), 2)
    assert 5 in near[0]
    assert near[1, 0] == 6
    np.testing.assert_array_equal(nearest_with_itself(rows, np.array([2]), 6), [np.arange(7)])
    np.testing.assert_array_equal(nearest_with_itself(rows, np.array([2]), "all"), [np.arange(7)])


def test_the_kernel_is_exact_and_the_same_on_every_processor() -> None:
    squared = np.concatenate([np.linspace(0, 40, 4001), [1e-300, 699.0]])
    np.testing.assert_allclose(gaussian(squared), np.exp(-squared), rtol=1e-13)
    np.testing.assert_array_equal(gaussian(np.zeros(2)), 1)
    assert (gaussian(np.array([701.0, 1e300, np.inf])) < 1e-303).all()
    assert hashlib.sha256(gaussian(squared).tobytes()).hexdigest()[:16] == "ed81ce706f73b4d0"


def test_classes_without_a_distance_are_repeated() -> None:
    X, y = np.repeat([[0.0, 1.0], [0.0, 1.0]], [9, 4], axis=0), np.repeat([0, 1], [9, 4])
    for multiclass in ("one_vs_rest", "successive"):
        with pytest.warns(UserWarning, match="members were repeated at random, .*: class 1"):
            rows, _ = RBO(random_state=0, multiclass=multiclass).fit_resample(X, y)
        np.testing.assert_array_equal(rows, np.tile([0.0, 1.0], (18, 1)))


@pytest.mark.filterwarnings("error")
def test_a_class_of_one_a_dead_feature_and_far_rows() -> None:
    X, y = classes()
    X[:, 1] = 0
    y[np.flatnonzero(y == 9)[1:]] = 1
    X[np.flatnonzero(y == 1)[0]] = 1e9
    for multiclass in ("one_vs_rest", "successive"):
        rows, labels = RBO(random_state=0, multiclass=multiclass, n_steps=30).fit_resample(X, y)
        assert np.isfinite(rows).all()
        assert len(set(Counter(labels.tolist()).values())) == 1


def test_the_largest_class_can_be_extended_and_others_left() -> None:
    X, y = classes()
    for multiclass in ("one_vs_rest", "successive"):
        labels = RBO(random_state=0, multiclass=multiclass, sampling_strategy={1: 50, 9: 7}).fit_resample(
            X, y
        )[1]
        assert Counter(labels.tolist()) == {1: 50, 4: 9, 9: 7}


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_equals_dense(make: Any) -> None:
    X, y = classes()
    dense = RBO(random_state=0).fit_resample(X, y)[0]
    result = RBO(random_state=0).fit_resample(make(X), y)[0]
    assert isinstance(result, make)
    np.testing.assert_array_equal(result.toarray(), dense)


def test_float32_is_that_of_float64_rounded() -> None:
    X, y = classes()
    single, double = (
        RBO(random_state=0).fit_resample(X.astype(np.float32).astype(kind), y)[0]
        for kind in (np.float32, float)
    )
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("gamma", [1e-300, 1e300])
@pytest.mark.parametrize("step", [1e-300, 1e100])
def test_extreme_parameters(step: float, gamma: float) -> None:
    X, y = classes()
    for multiclass in ("one_vs_rest", "successive"):
        sampler = RBO(random_state=0, step=step, gamma=gamma, n_steps=60, multiclass=multiclass)
        assert np.isfinite(sampler.fit_resample(X, y)[0]).all()


def test_values_whose_squares_overflow_are_refused() -> None:
    X, y = classes()
    with pytest.raises(ValueError, match=r"X: values as large as .* cannot be squared"):
        RBO(random_state=0).fit_resample(X * 1e200, y)
    with pytest.raises(ValueError, match="overflow float32; scale the features down"):
        RBO(random_state=0, units="original", step=1e39, gamma=1e40).fit_resample(X.astype(np.float32), y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"multiclass": "all"}, {"gamma": 0.0}, {"step": -1.0}, {"n_steps": 0}, {"stop_probability": 1.0},
        {"n_neighbors": 0}, {"n_neighbors": "many"}, {"units": "pixels"},
    ],
)  # fmt: skip
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
        RBO(**parameters).fit_resample(*classes())


def test_named_function_is_the_sampler() -> None:
    X, y = classes()
    parameters = given("sampler", "rbo") | {"multiclass": "successive", "n_neighbors": "all"}
    expected = RBO(random_state=5, **parameters).fit_resample(X, y)
    for result in (rbo(X, y, 5, **parameters), RBO(random_state=5, **parameters).fit_resample(X, y)):
        np.testing.assert_array_equal(result[0], expected[0])
    made = oversample("rbo", X, y, random_state=5, **parameters)
    np.testing.assert_array_equal(made.features, expected[0][len(X) :])
    assert len(made.moved) == 0
