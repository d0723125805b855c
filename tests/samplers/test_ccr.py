"""CCR: spheres worked out by hand, and against transcriptions of the published steps."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils._param_validation import InvalidParameterError

from eos.samplers.ccr import CCR, in_region
from eos.samplers.oversampling import ccr, oversample
from tests.helpers import given


def classes(n_features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping classes of 60, 9 and 5, rows shuffled."""
    rng = np.random.RandomState(2)
    y = rng.permutation(np.repeat([1, 4, 9], [60, 9, 5]))
    return rng.normal(size=(len(y), n_features)) + 0.1 * y[:, np.newaxis], y


def length(x: np.ndarray, p: int) -> float:
    return float(np.abs(x).sum() if p == 1 else np.sqrt((x**2).sum()))


def radius(distances: np.ndarray, energy: float) -> float:
    """Let a sphere grow step by step, as published."""
    r, k, distances = 0.0, 0, np.sort(distances)
    while k < len(distances):
        step = energy / (k + 1)
        if distances[k] >= r + step:
            return r + step
        step = distances[k] - (distances[k - 1] if k else 0)
        r, energy, k = r + step, energy - step * (k + 1), k + 1
    return r + energy / (k + 1)


def cleaned(own: np.ndarray, foreign: np.ndarray, energy: float, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the radii and the moves of foreign rows, one pair after the other."""
    radii, moves = [], np.zeros_like(foreign)
    for x in own:
        distances = np.array([length(m - x, p) for m in foreign])
        radii.append(radius(distances, energy))
        for number, (m, d) in enumerate(zip(foreign, distances, strict=True)):
            if d < radii[-1]:
                moves[number] += (radii[-1] - d) / d * (m - x)
    return np.array(radii), moves


def one_sphere(foreign: Any, **changed: Any) -> tuple[np.ndarray, float]:
    """Return what becomes of foreign rows of one sphere around the origin, and its radius."""
    foreign = np.array(foreign, dtype=float)
    X = np.concatenate([foreign, np.zeros((1, foreign.shape[1]))])
    y = np.repeat([0, 1], [len(foreign), 1])
    sampler = CCR(units="original", random_state=0, sampling_strategy={1: 9}, **changed)
    rows, labels = sampler.fit_resample(X, y)
    new = rows[-8:]
    r = float(sampler.radii_[1][0])
    assert all(length(x, sampler.p) <= r for x in new)
    assert max(length(x, sampler.p) for x in new) > r / 3
    return rows[labels == 0], r


def test_one_feature_by_hand() -> None:
    # To 1 it costs 1, from there to 2 another 2: all of the energy.
    rows, r = one_sphere([[4], [1], [2]], energy=3.0)
    assert r == 2
    np.testing.assert_array_equal(rows, [[4], [2], [2]])
    # One more: half of it for the second row, each third of the rest.
    rows, r = one_sphere([[4], [-1], [2]], energy=4.5)
    assert r == 2.5
    np.testing.assert_array_equal(rows, [[4], [-2.5], [2.5]])
    # Past the last row the price stays: 1 + 2 + 3 * 2 + 4 * 3.
    rows, r = one_sphere([[4], [-1], [2]], energy=21.0)
    assert r == 7
    np.testing.assert_array_equal(rows, [[7], [-7], [7]])
    rows, r = one_sphere([[4], [-1], [2]], energy=0.5)
    assert r == 0.5
    np.testing.assert_array_equal(rows, [[4], [-1], [2]])


def test_two_features_by_hand() -> None:
    rows, r = one_sphere([[3, 4], [0, 10]], energy=7.0)
    assert r == 6  # (7 + 5) / 2
    np.testing.assert_allclose(rows, np.array([[3.6, 4.8], [0, 10]]))
    rows, r = one_sphere([[3, 4], [0, 10]], energy=8.0, p=1)
    assert r == 7.5  # (8 + 7) / 2
    np.testing.assert_allclose(rows, np.array([[3 + 1.5 / 7, 4 + 2 / 7], [0, 10]]))


def test_cleaning_by_hand() -> None:
    rows, _ = one_sphere([[3, 4], [0, 10]], energy=7.0, cleaning="ignore")
    np.testing.assert_array_equal(rows, [[3, 4], [0, 10]])
    rows, _ = one_sphere([[3, 4], [0, 10]], energy=7.0, cleaning="remove")
    np.testing.assert_array_equal(rows, [[0, 10]])
    with pytest.raises(ValueError, match=r"energy: 90 with cleaning 'remove': .* leave no row of class 0"):
        one_sphere([[3, 4], [0, 10]], energy=90.0, cleaning="remove")


def test_a_foreign_row_on_a_member_goes_somewhere() -> None:
    for p in (1, 2):
        rows, r = one_sphere([[0, 0], [0, 0], [9, 9]], energy=6.0, p=p)
        assert r == 2
        assert [length(x, p) for x in rows[:2]] == pytest.approx([2, 2])
        assert not np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("energy", [0.3, 2.0, 40.0, 1e4])  # from no row inside to all
def test_spheres_and_moves_are_those_of_the_paper(energy: float, p: int) -> None:
    X, y = classes()
    sampler = CCR(random_state=0, energy=energy, p=p, units="original")
    rows, labels = sampler.fit_resample(X, y)
    total = np.zeros_like(X)
    for label in (4, 9):
        radii, moves = cleaned(X[y == label], X[y != label], energy, p)
        np.testing.assert_allclose(sampler.radii_[label], radii)
        total[y != label] += moves
        # All of the energy is spent.
        for x, r in zip(X[y == label], sampler.radii_[label], strict=True):
            inside = [max(0, r - length(m - x, p)) for m in X[y != label]]
            assert r + sum(inside) == pytest.approx(energy)
        # Each sample lies in a sphere.
        for new in rows[len(X) :][labels[len(X) :] == label]:
            away = [length(new - x, p) for x in X[y == label]]
            assert (np.array(away) <= sampler.radii_[label] * (1 + 1e-12)).any()
    np.testing.assert_allclose(rows[: len(X)], X + total, atol=1e-9 * max(1, np.abs(total).max()))
    np.testing.assert_array_equal(labels[: len(y)], y)
    assert Counter(labels.tolist()) == {1: 60, 4: 60, 9: 60}


def test_no_foreign_row_is_left_in_a_sphere_that_stands_alone() -> None:
    rng = np.random.RandomState(0)
    centres = np.array([[0.0, 0], [100, 0], [0, 100]])
    around = np.concatenate([c + rng.normal(size=(30, 2)) for c in centres])
    X, y = np.concatenate([around, centres]), np.repeat([0, 1], [90, 3])
    sampler = CCR(random_state=0, energy=9.0, units="original")
    rows, _ = sampler.fit_resample(X, y)
    distance = np.linalg.norm(rows[:90, np.newaxis] - centres, axis=2)
    before = np.linalg.norm(X[:90, np.newaxis] - centres, axis=2)
    assert (before < sampler.radii_[1]).sum() > 20
    assert (distance > sampler.radii_[1] - 1e-9).all()


@pytest.mark.parametrize("selection", ["proportional", "random"])
def test_samples_are_shared_out_exactly(selection: str) -> None:
    """Members far apart: each sample is near its own."""
    own = np.array([[0.0], [100], [200], [300]])
    foreign = np.concatenate([own - 10, [[111.0]], [[207.0]], np.full((40, 1), 900.0)])
    X, y = np.concatenate([own, foreign]), np.repeat([1, 0], [4, len(foreign)])
    sampler = CCR(random_state=0, energy=12.0, units="original", selection=selection, cleaning="ignore")
    rows, _ = sampler.fit_resample(X, y)
    counts = np.bincount(np.rint(rows[len(X) :, 0] / 100).astype(int), minlength=4)
    assert counts.sum() == len(foreign) - 4
    radii = np.array([11, 11, 9.5, 11])  # (12 + 10) / 2, in the third (12 + 7) / 2
    np.testing.assert_allclose(sampler.radii_[1], radii)
    quota = counts.sum() / radii / (1 / radii).sum()
    if selection == "proportional":
        assert (np.abs(counts - quota) < 1).all()
    else:
        assert (np.abs(counts - quota) >= 1).any()


def test_the_unit_is_the_median_distance_to_the_nearest_foreign_row() -> None:
    X = np.array([[0.0], [10], [30], [40], [1], [13], [25], [40], [90]])
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0])
    sampler = CCR(random_state=0, energy=2.0)
    sampler.fit_resample(X, y)
    assert sampler.energy_ == {1: 8.0}  # of 1, 3, 5 and 15: the row that is equal to the last is passed over
    for factor in (1.0, 8.0):
        rows, _ = CCR(random_state=0, energy=2.0, region="low").fit_resample(factor * X, y)
        if factor == 1:
            plain = rows
    np.testing.assert_array_equal(rows, 8 * plain)


def test_classes_follow_one_another_in_the_successive_form() -> None:
    X, y = classes()
    sampler = CCR(random_state=4, multiclass="successive", energy=3.0, units="original", selection="random")
    rows, labels = sampler.fit_resample(X, y)
    rng = np.random.RandomState(4)
    now = {label: X[y == label].copy() for label in (1, 4, 9)}
    for place, label in enumerate((4, 9), start=1):
        draws = [(one, rng.choice(len(now[one]), min(60 // place, len(now[one])), replace=False))
                 for one in (1, 4)[:place]]  # fmt: skip
        foreign = np.concatenate([now[one][drawn] for one, drawn in draws])
        radii, moves = cleaned(now[label], foreign, 3.0, 2)
        np.testing.assert_allclose(sampler.radii_[label], radii)
        start = 0
        for one, drawn in draws:
            now[one][drawn] += moves[start : start + len(drawn)]
            start += len(drawn)
        n = 60 - len(now[label])
        counts = np.bincount(rng.randint(len(radii), size=n), minlength=len(radii))
        seeds = np.repeat(np.arange(len(radii)), counts)
        away = 2 * rng.random_sample((n, 3)) - 1
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        away *= rng.random_sample((n, 1)) * radii[seeds, np.newaxis]
        now[label] = np.concatenate([now[label], now[label][seeds] + away])
    assert (now[4][9:] != 0).all()
    for label in (1, 4, 9):
        np.testing.assert_allclose(rows[labels == label], now[label])


def test_successive_removal() -> None:
    X, y = classes()
    sampler = CCR(random_state=4, multiclass="successive", energy=2.0, units="original", cleaning="remove")
    rows, labels = sampler.fit_resample(X, y)
    counts = Counter(labels.tolist())
    assert counts[9] == 60
    assert 0 < counts[1] < 60
    assert {tuple(row) for row in rows[labels == 1]} < {tuple(row) for row in X[y == 1]}


@pytest.mark.parametrize("region", ["low", "equal", "high"])
def test_candidates_of_a_region_against_a_transcription(region: str) -> None:
    X, y = classes()
    settings: dict[str, Any] = {"energy": 6.0, "units": "original", "gamma": 0.8, "n_candidates": 30}
    sampler = CCR(random_state=7, region=region, sampling_strategy={4: 60}, **settings, n_neighbors="all")
    made = sampler.fit_resample(X, y)[0][len(X) :]
    own, radii, rng = X[y == 4], sampler.radii_[4], np.random.RandomState(7)
    share = 51 / radii / (1 / radii).sum()
    counts = np.floor(share).astype(int)
    for number in np.argsort(counts - share, kind="stable")[: 51 - counts.sum()]:
        counts[number] += 1
    directions = 2 * rng.random_sample((9, 30, 3)) - 1
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    away = directions * rng.random_sample((9, 30, 1)) * radii[:, np.newaxis, np.newaxis]
    expected, kinds = [], Counter[str]()
    for seed in range(9):
        points = [own[seed] + one for one in away[seed]]
        psi = [sum(np.exp(-((length(x - s, 2) / 0.8) ** 2)) for s in own) for x in [*points, own[seed]]]
        mine, pool = psi[-1], []
        for number, one in enumerate(psi[:-1]):
            if one <= mine - 0.33 * (mine - min(psi)):
                kind = "low"
            elif one >= mine + 0.33 * (max(psi) - mine):
                kind = "high"
            else:
                kind = "equal"
            kinds[kind] += 1
            if kind == region:
                pool.append(number)
        pool.append(30)
        picked = rng.choice(pool, counts[seed], replace=counts[seed] > len(pool))
        expected += [own[seed] if number == 30 else points[number] for number in picked]
    assert min(kinds[one] for one in ("low", "equal", "high")) > 10
    np.testing.assert_allclose(made, expected, rtol=1e-9)


def test_regions_of_a_peak_and_of_a_valley() -> None:
    # The seed is last. Nothing is higher than a peak, nothing lower than a valley.
    peak, valley = np.array([[0.0, 6, 7, 9, 10]]), np.array([[10.0, 4, 3, 1, 0]])
    told = {
        region: (in_region(peak, region, 0.33).tolist(), in_region(valley, region, 0.33).tolist())
        for region in ("low", "high", "equal")
    }
    assert told["low"] == ([[True, True, False, False, False]], [[False, False, False, False, True]])
    assert told["high"] == ([[False, False, False, False, True]], [[True, True, False, False, False]])
    assert told["equal"] == ([[False, False, True, True, False]], [[False, False, True, True, False]])


def test_classes_without_a_distance_are_repeated() -> None:
    X, y = np.repeat([[0.0, 1.0], [0.0, 1.0]], [9, 4], axis=0), np.repeat([0, 1], [9, 4])
    for multiclass in ("one_vs_rest", "successive"):
        with pytest.warns(UserWarning, match="members were repeated at random, .*: class 1"):
            rows, _ = CCR(random_state=0, multiclass=multiclass).fit_resample(X, y)
        np.testing.assert_array_equal(rows, np.tile([0.0, 1.0], (18, 1)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("region", [None, "low", "equal", "high"])
def test_a_class_of_one_a_dead_feature_and_separated_classes(region: str | None) -> None:
    X, y = classes()
    X[:, 1] = 0
    X[y == 9] += 1e4
    X[y == 9] = X[y == 9][0]  # all equal
    y[np.flatnonzero(y == 4)[1:]] = 1
    for multiclass in ("one_vs_rest", "successive"):
        rows, labels = CCR(random_state=0, multiclass=multiclass, region=region).fit_resample(X, y)
        assert np.isfinite(rows).all()
        assert len(set(Counter(labels.tolist()).values())) == 1


def test_the_largest_class_can_be_extended_and_others_left() -> None:
    X, y = classes()
    for multiclass in ("one_vs_rest", "successive"):
        sampler = CCR(random_state=0, multiclass=multiclass, sampling_strategy={1: 70, 9: 7})
        assert Counter(sampler.fit_resample(X, y)[1].tolist()) == {1: 70, 4: 9, 9: 7}


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_equals_dense(make: Any) -> None:
    X, y = classes()
    for cleaning in ("translate", "remove", "ignore"):
        dense = CCR(random_state=0, cleaning=cleaning).fit_resample(X, y)[0]
        result = CCR(random_state=0, cleaning=cleaning).fit_resample(make(X), y)[0]
        assert isinstance(result, make)
        np.testing.assert_array_equal(result.toarray(), dense)


def test_float32_is_that_of_float64_rounded() -> None:
    X, y = classes()
    single, double = (
        CCR(random_state=0, region="equal").fit_resample(X.astype(np.float32).astype(kind), y)[0]
        for kind in (np.float32, float)
    )
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("gamma", [1e-300, 1e300])
@pytest.mark.parametrize("energy", [1e-300, 1e100])
def test_extreme_parameters(energy: float, gamma: float) -> None:
    X, y = classes()
    for region in (None, "low", "equal", "high"):
        rows, _ = CCR(random_state=0, energy=energy, gamma=gamma, region=region).fit_resample(X, y)
        assert np.isfinite(rows).all()


def test_what_cannot_be_computed_is_refused() -> None:
    X, y = classes()
    with pytest.raises(ValueError, match=r"X: values as large as .* cannot be squared"):
        CCR(random_state=0).fit_resample(X * 1e200, y)
    with pytest.raises(ValueError, match="overflow float32; scale the features down"):
        CCR(random_state=0, units="original", energy=1e42).fit_resample(X.astype(np.float32), y)
    with pytest.raises(ValueError, match=r"energy: 1e\+308 times the unit of the data, .*, is inf"):
        CCR(random_state=0, energy=1e308).fit_resample(1000 * X, y)
    with pytest.raises(ValueError, match="region: 'low' with p = 1; give p = 2, or region None"):
        CCR(random_state=0, region="low", p=1).fit_resample(X, y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"multiclass": "all"}, {"energy": 0.0}, {"units": "pixels"}, {"p": 3}, {"selection": "all"},
        {"cleaning": "wash"}, {"region": "L"}, {"gamma": 0.0}, {"theta": 1.5}, {"n_candidates": 0},
        {"n_neighbors": 0},
    ],
)  # fmt: skip
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
        CCR(**parameters).fit_resample(*classes())


def test_named_function_is_the_sampler_and_says_which_rows_it_moved() -> None:
    X, y = classes()
    for changes in ({}, {"multiclass": "successive", "region": "low"}, {"cleaning": "ignore"}):
        parameters = given("sampler", "ccr") | changes
        rows, labels = CCR(random_state=5, **parameters).fit_resample(X, y)
        result = ccr(X, y, 5, **parameters)
        np.testing.assert_array_equal(result[0], rows)
        np.testing.assert_array_equal(result[1], labels)
        made = oversample("ccr", X, y, random_state=5, **parameters)
        np.testing.assert_array_equal(made.features, rows[len(X) :])
        np.testing.assert_array_equal(made.rows(X), rows)
        np.testing.assert_array_equal(made.moved, np.flatnonzero((rows[: len(X)] != X).any(axis=1)))
        np.testing.assert_array_equal(made.moved_features, rows[made.moved])
        assert (0 < len(made.moved) < len(X)) == (parameters["cleaning"] == "translate")
