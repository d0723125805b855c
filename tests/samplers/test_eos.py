"""EOS: geometry, draws, neighbors, the published code, inputs."""

import warnings
from collections import Counter
from typing import Any

import faiss
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import InvalidParameterError

from eos.errors import InputError
from eos.samplers.eos import EOS, FallbackWarning, _places, _without_self

VARIANTS = ["toward", "away", "released"]
TOLERANCE = 1e-9


def paper_eos(*arguments: Any, **changes: Any) -> EOS:
    """Return EOS with the paper's K and steps where nothing else is said."""
    return EOS(*arguments, **{"k_neighbors": 10, "step_size": 1.0} | changes)


def blobs(
    sizes: list[int], *, n_features: int = 3, spread: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes labelled 0, 1, ..., their centres `spread` apart on a diagonal, rows shuffled."""
    rng = np.random.RandomState(seed)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rng.normal(size=(len(y), n_features)) + spread * y[:, np.newaxis], y


# The published procedure, as a plain loop over NumPy's global legacy generator.


def plain_loop(X: np.ndarray, y: np.ndarray, k: int, variant: str) -> tuple[np.ndarray, list[int]]:
    largest = max(Counter(y.tolist()).values())
    samples, labels = [], []
    for label in sorted(set(y.tolist())):
        members = [row for row in range(len(y)) if y[row] == label]
        n_samples = largest - len(members)
        if n_samples == 0:
            continue
        neighbors, probabilities = [], []
        for member in members:
            nearest = np.argsort(((X - X[member]) ** 2).sum(axis=1), kind="stable")[: k + 1]
            enemy = [float(y[row] != label) for row in nearest[1:]]
            if sum(enemy) > 0:
                neighbors.append(nearest)
                probabilities.append([value / sum(enemy) for value in enemy])
        chosen = np.random.choice(range(len(neighbors)), size=n_samples)
        partners = []
        for base in chosen:
            position = np.random.choice(range(k), 1, p=probabilities[base])[0]
            # The published code forgets that entry 0 of the list is the base itself.
            partners.append(neighbors[base][position if variant == "released" else position + 1])
        steps = np.random.rand(n_samples, 1)
        base_rows = X[[neighbors[base][0] for base in chosen]]
        difference = base_rows - X[partners] if variant == "away" else X[partners] - base_rows
        samples.append(base_rows + steps * difference)
        labels += [label] * n_samples
    return np.concatenate(samples), labels


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [0, 1, 10, 12345])
@pytest.mark.parametrize(
    ("sizes", "n_features", "k"),
    [([40, 9], 2, 1), ([60, 25, 7, 3], 5, 3), ([30, 50, 12], 3, 10), ([90, 60, 30, 10, 2], 16, 49)],
)
def test_equals_the_plain_loop_draw_by_draw(
    variant: str, seed: int, sizes: list[int], n_features: int, k: int
) -> None:
    X, y = blobs(sizes, n_features=n_features, spread=0.4, seed=seed)
    np.random.seed(seed)
    expected, labels = plain_loop(X, y, k, variant)
    X_resampled, y_resampled = paper_eos(random_state=seed, k_neighbors=k, variant=variant).fit_resample(X, y)
    assert X_resampled.dtype == np.float64
    assert np.array_equal(X_resampled[len(X) :], expected)
    assert np.array_equal(y_resampled[len(y) :], labels)


def test_released_without_random_state_uses_the_global_generator() -> None:
    X, y = blobs([30, 8], spread=0.4)
    np.random.seed(7)
    X_global, _ = paper_eos(variant="released").fit_resample(X, y)
    X_seeded, _ = paper_eos(variant="released", random_state=7).fit_resample(X, y)
    assert np.array_equal(X_global, X_seeded)


def test_released_takes_its_partner_one_place_early() -> None:
    # On a line, the member at 0 has neighbors 1 (same class), 2 and 3 (enemies): the drawn places 1 and 2
    # of 1, 2, 3 are read in the list 0, 1, 2, 3, so its partners are 1 and 2, never 3.
    X, y = np.array([[0.0], [1], [2], [3], [50], [51], [52]]), np.array([1, 1, 0, 0, 0, 0, 0])
    X_resampled, _ = paper_eos(
        k_neighbors=3, variant="released", random_state=0, sampling_strategy={1: 500}
    ).fit_resample(X, y)
    assert 1.9 < X_resampled[len(X) :].max() < 2
    X_resampled, _ = paper_eos(
        k_neighbors=3, variant="toward", random_state=0, sampling_strategy={1: 500}
    ).fit_resample(X, y)
    assert 2.9 < X_resampled[len(X) :].max() < 3


# Triples


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_triples_are_the_rows_that_fit_resample_adds(variant: str, dtype: type) -> None:
    X, y = blobs([60, 25, 7], spread=0.4)
    X = X.astype(dtype)
    sampler = paper_eos(random_state=3, variant=variant, step_size=0.5)
    resampled, labels = sampler.fit_resample(X, y)
    triples = sampler.fit_interpolations(X, y)
    assert len(triples) == 2 * 60 - 25 - 7
    assert np.array_equal(triples.rows(X), resampled[len(X) :])
    assert triples.rows(X).dtype == dtype
    assert np.array_equal(triples.labels, labels[len(y) :])
    assert np.array_equal(y[triples.base], triples.labels)
    assert (np.sign(triples.step) == (-1 if variant == "away" else 1)).all()
    assert np.abs(triples.step).max() < 0.5

    some = np.array([80, 3, 3])
    assert np.array_equal(triples.rows(X, some), resampled[len(X) :][some])
    assert np.array_equal(triples.rows(sparse.csr_array(X), some).toarray(), triples.rows(X, some))


def test_triples_are_none_where_the_classes_are_equal() -> None:
    X, y = blobs([5, 5])
    triples = paper_eos(random_state=0, k_neighbors=3).fit_interpolations(X, y.astype(str))
    assert triples.rows(X).shape == (0, 3)
    assert triples.labels.dtype == y.astype(str).dtype


def test_triples_of_bad_parameters() -> None:
    with pytest.raises(InvalidParameterError, match="'step_size' parameter of EOS"):
        paper_eos(step_size=0).fit_interpolations(*blobs([12, 4]))


# Geometry


def allowed_pairs(X: np.ndarray, y: np.ndarray, label: int, k: int) -> list[tuple[np.intp, np.intp]]:
    """Return (member, enemy) row numbers that may be paired; ties at the K-th distance all count."""
    members, enemies = np.flatnonzero(y == label), np.flatnonzero(y != label)
    distances = np.sqrt(((X[:, np.newaxis] - X) ** 2).sum(axis=2))
    near, certain = [], False
    for member in members:
        farthest = np.sort(np.delete(distances[member], member))[:k][-1]
        near += [(member, e) for e in enemies if distances[member, e] <= farthest + TOLERANCE]
        certain |= any(distances[member, e] < farthest - TOLERANCE for e in enemies)
        certain |= k >= len(y) - 1
    if certain:
        return near
    # Either no member has an enemy among its neighbors, or a tie decides: then both rules are right.
    for member in members:
        farthest = np.sort(distances[member, enemies])[:k][-1]
        near += [(member, e) for e in enemies if distances[member, e] <= farthest + TOLERANCE]
    return near


def on_a_segment(sample: np.ndarray, base: np.ndarray, enemy: np.ndarray, most: float, sign: int) -> bool:
    """Whether the sample is ``base + sign * r * (enemy - base)`` for some r in [0, most], for any pair."""
    direction, offset = sign * (enemy - base), sample - base
    length = (direction**2).sum(axis=1)
    r = (offset * direction).sum(axis=1) / np.where(length > 0, length, 1)
    gap = np.abs(offset - r[:, np.newaxis] * direction).max(axis=1)
    return bool(((gap < TOLERANCE) & (r >= -TOLERANCE) & (r <= most + TOLERANCE)).any())


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    sizes = draw(st.lists(st.integers(1, 12), min_size=2, max_size=4))
    X, y = blobs(
        sizes,
        n_features=draw(st.integers(1, 4)),
        spread=draw(st.sampled_from([0.0, 1.0, 30.0])),
        seed=draw(st.integers(0, 2**32 - 1)),
    )
    for row in draw(st.lists(st.integers(0, len(y) - 1), max_size=4)):
        X[row] = X[0]  # duplicates, across classes too
    return {
        "X": X,
        "y": y,
        "k": draw(st.integers(1, 15)),
        "step_size": draw(st.sampled_from([0.1, 0.5, 1.0])),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


@pytest.mark.parametrize(("variant", "sign"), [("toward", 1), ("away", -1)])
@given(problem=problems())
@settings(max_examples=60)
def test_every_sample_is_between_a_member_and_a_near_enemy(
    variant: str, sign: int, problem: dict[str, Any]
) -> None:
    X, y, k, step_size = problem["X"], problem["y"], problem["k"], problem["step_size"]
    eos = paper_eos(k_neighbors=k, variant=variant, step_size=step_size, random_state=problem["seed"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # k may exceed the rows there are
        X_resampled, y_resampled = eos.fit_resample(X, y)

    assert np.array_equal(X_resampled[: len(X)], X)
    assert np.array_equal(y_resampled[: len(y)], y)
    counts = Counter(y.tolist())
    assert Counter(y_resampled.tolist()) == dict.fromkeys(counts, max(counts.values()))
    assert eos.k_neighbors_ == min(k, len(y) - 1)
    pairs = {label: np.array(allowed_pairs(X, y, label, eos.k_neighbors_)) for label in counts}
    for sample, label in zip(X_resampled[len(X) :], y_resampled[len(y) :], strict=True):
        base, enemy = X[pairs[label].T]
        assert on_a_segment(sample, base, enemy, step_size, sign)


@given(problem=problems(), variant=st.sampled_from(VARIANTS))
@settings(max_examples=40)
def test_reaches_any_target_and_is_deterministic(problem: dict[str, Any], variant: str) -> None:
    X, y = problem["X"], problem["y"]
    targets = {label: count + 3 * label for label, count in Counter(y.tolist()).items()}
    eos = paper_eos(sampling_strategy=targets, k_neighbors=problem["k"], variant=variant, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        X_resampled, y_resampled = eos.fit_resample(X, y)
        X_again, y_again = eos.fit_resample(X, y)
    assert Counter(y_resampled.tolist()) == targets
    assert np.array_equal(X_resampled[: len(X)], X)
    assert np.array_equal(X_resampled, X_again)
    assert np.array_equal(y_resampled, y_again)


def test_draws_are_uniform() -> None:
    # The members 0 and 100 have two enemies each among their two neighbors, so a quarter of the samples
    # goes each of the ways 0 to -1, 0 to 1.5, 100 to 101 and 100 to 102.
    X = np.array([[0.0], [100], [-1], [1.5], [101], [102], [500]])
    y = np.array([1, 1, 0, 0, 0, 0, 0])
    X_resampled, _ = paper_eos(k_neighbors=2, sampling_strategy={1: 40_002}, random_state=0).fit_resample(
        X, y
    )
    new = X_resampled[len(X) :, 0]
    assert np.isclose(np.mean(new < 50), 0.5, atol=0.01)
    assert np.isclose(np.mean(new < 0), 0.25, atol=0.01)
    beyond = new[new > 101]  # half of what goes from 100 to 102
    assert np.isclose(len(beyond) / len(new), 0.125, atol=0.01)
    steps = -new[new < 0]
    assert np.allclose(np.quantile(steps, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02)


@pytest.mark.parametrize("count", [1, 3, 10, 49, 300])
def test_places_are_those_of_choice_to_the_last_bit(count: int) -> None:
    # `RandomState.choice` looks one uniform number up in the normalised cumulated probabilities; numbers on
    # and right beside those borders are where another formula would go wrong.
    borders = np.cumsum([1 / count] * count)
    borders /= borders[-1]
    uniform = np.concatenate([[0.0], borders[:-1], np.nextafter(borders, 0), np.nextafter(borders[:-1], 1)])
    expected = [int((borders <= number).sum()) for number in uniform]
    assert _places(uniform, np.full(len(uniform), count)).tolist() == expected


# Neighbors


def separated() -> tuple[np.ndarray, np.ndarray]:
    """A large class, and a small one that is far from all else."""
    X, y = blobs([30, 8], spread=100)
    return X, y


@pytest.mark.parametrize("variant", VARIANTS)
def test_fallback_pairs_every_member_with_its_k_nearest_enemies(variant: str) -> None:
    X, y = separated()
    eos = paper_eos(k_neighbors=3, variant=variant, sampling_strategy={1: 408}, random_state=0)
    with pytest.warns(
        FallbackWarning, match="nearest enemies, because no member .* rows: class 1$"
    ) as caught:
        X_resampled, _ = eos.fit_resample(X, y)
    assert len(caught) == 1
    assert eos.fallback_classes_.tolist() == [1]
    members, enemies = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    used = set()
    for sample in X_resampled[len(X) :]:
        for member in members:
            distances = ((X[enemies] - X[member]) ** 2).sum(axis=1)
            for enemy in enemies[np.argsort(distances)[:3]]:
                sign = -1 if variant == "away" else 1
                if on_a_segment(sample, X[[member]], X[[enemy]], 1.0, sign):
                    used.add((member, enemy))
                    break
            else:
                continue
            break
        else:
            pytest.fail(f"{sample} is on no segment to one of the three nearest enemies")
    assert len(used) == 8 * 3


def test_fallback_classes_are_empty_when_none_is_needed() -> None:
    X, y = blobs([30, 8], spread=0.5)
    eos = paper_eos(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        eos.fit_resample(X, y)
    assert eos.fallback_classes_.shape == (0,)
    assert eos.fallback_classes_.dtype == y.dtype


def test_fallback_with_fewer_enemies_than_k() -> None:
    X, y = separated()
    X, y = X[np.argsort(-y)][:10], np.sort(y)[::-1][:10]  # eight of class 1, two of class 0
    eos = paper_eos(k_neighbors=5, sampling_strategy={1: 20}, random_state=0)
    with pytest.warns(FallbackWarning, match="class 1"):
        _, y_resampled = eos.fit_resample(X, y)
    assert eos.fallback_classes_.tolist() == [1]
    assert Counter(y_resampled.tolist()) == {1: 20, 0: 2}


@pytest.mark.parametrize("variant", VARIANTS)
def test_class_of_one_sample(variant: str) -> None:
    X, y = np.array([[0.0, 0.0], [4, 0], [0, 3], [9, 9], [8, 9]]), np.array([1, 0, 0, 0, 0])
    X_resampled, y_resampled = paper_eos(
        k_neighbors=2, variant=variant, sampling_strategy={1: 50}, random_state=0
    ).fit_resample(X, y)
    new = X_resampled[5:]
    assert Counter(y_resampled.tolist()) == {0: 4, 1: 50}
    # Its neighbors are (0, 3) and (4, 0); one place early they are itself and (0, 3).
    expected = {
        "toward": {(0.0, 1.0), (1.0, 0.0)},
        "away": {(0.0, -1.0), (-1.0, 0.0)},
        "released": {(0.0, 0.0), (0.0, 1.0)},
    }
    assert {tuple(np.sign(row).tolist()) for row in new} == expected[variant]


def test_two_rows_are_enough() -> None:
    X_resampled, _ = paper_eos(k_neighbors=1, sampling_strategy={1: 9}, random_state=0).fit_resample(
        [[0.0], [1.0]], [1, 0]
    )
    assert np.ravel(X_resampled).min() == 0
    assert np.ravel(X_resampled).max() == 1


def test_a_member_is_not_its_own_neighbor_among_duplicates() -> None:
    # Five members at 0 and one enemy at 0: whatever order the search returns them in, K = 5 others are the
    # four duplicates and the enemy, so all five members are bases and all samples lie at 0.
    X = np.array([[0.0]] * 6 + [[10.0 + i] for i in range(8)])
    y = np.array([1, 1, 1, 0, 1, 1] + [0] * 8)
    eos = paper_eos(k_neighbors=5, random_state=0)
    X_resampled, _ = eos.fit_resample(X, y)
    assert not X_resampled[len(X) :].any()
    assert not len(eos.fallback_classes_)


def test_more_duplicates_than_neighbors_still_gives_k_others() -> None:
    # A search that returns only the first duplicates leaves some members out of their own list.
    X = np.array([[0.0]] * 8 + [[1.0]] * 12)
    y = np.array([1] * 8 + [0] * 12)
    eos = paper_eos(k_neighbors=3, random_state=0)
    with pytest.warns(FallbackWarning, match="class 1"):
        X_resampled, _ = eos.fit_resample(X, y)
    assert eos.fallback_classes_.tolist() == [1]
    new = X_resampled[len(X) :]
    assert new.min() >= 0
    assert 0 < new.max() < 1


def test_a_row_that_is_missing_from_its_own_list_loses_the_last_entry() -> None:
    rows = np.array([[7, 4, 5], [2, 8, 6], [1, 2, 9], [5, 6, 4]])
    assert _without_self(rows, np.array([7, 8, 9, 3])).tolist() == [[4, 5], [2, 6], [1, 2], [5, 6]]


def test_k_is_clipped_with_a_warning() -> None:
    X, y = blobs([12, 4])
    eos = paper_eos(k_neighbors=16, random_state=0)
    with pytest.warns(FallbackWarning, match="k_neighbors was reduced from 16 to 15"):
        clipped, _ = eos.fit_resample(X, y)
    assert eos.k_neighbors_ == 15
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact, _ = paper_eos(k_neighbors=15, random_state=0).fit_resample(X, y)
    assert np.array_equal(clipped, exact)


@pytest.mark.parametrize("variant", VARIANTS)
def test_neighbors_object_counts_the_point_itself(variant: str) -> None:
    X, y = blobs([50, 12, 5], spread=0.7)
    search = NearestNeighbors(n_neighbors=5, algorithm="kd_tree")
    by_object = paper_eos(k_neighbors=search, variant=variant, random_state=0)
    by_number = paper_eos(k_neighbors=4, variant=variant, random_state=0)
    assert np.array_equal(by_object.fit_resample(X, y)[0], by_number.fit_resample(X, y)[0])
    assert by_object.k_neighbors_ == by_number.k_neighbors_ == 4
    assert by_object.nn_k_ is not search
    assert not hasattr(search, "n_samples_fit_")


def test_neighbors_object_in_the_fallback() -> None:
    X, y = separated()
    search = NearestNeighbors(n_neighbors=4, algorithm="kd_tree")
    with pytest.warns(FallbackWarning):
        by_object, _ = paper_eos(k_neighbors=search, random_state=0).fit_resample(X, y)
    with pytest.warns(FallbackWarning):
        by_number, _ = paper_eos(k_neighbors=3, random_state=0).fit_resample(X, y)
    assert np.array_equal(by_object, by_number)


class Faiss:
    """An index of Faiss, with no more of scikit-learn's interface than EOS needs."""

    def __init__(self, n_neighbors: int, kind: str) -> None:
        self.n_neighbors, self.kind = n_neighbors, kind

    def fit(self, X: np.ndarray) -> None:
        self.index = faiss.index_factory(X.shape[1], self.kind)
        self.index.train(X.astype(np.float32))
        self.index.add(X.astype(np.float32))

    def kneighbors(self, X: np.ndarray, n_neighbors: int, return_distance: bool) -> np.ndarray:
        assert not return_distance
        rows: np.ndarray = self.index.search(X.astype(np.float32), n_neighbors)[1]
        return rows


@pytest.mark.parametrize("spread", [0.7, 100.0])
def test_any_object_with_kneighbors(spread: float) -> None:
    X, y = blobs([500, 60, 25], n_features=8, spread=spread)
    with warnings.catch_warnings():
        warnings.simplefilter("error" if spread < 1 else "ignore", FallbackWarning)
        by_number = paper_eos(k_neighbors=6, random_state=0)
        expected, _ = by_number.fit_resample(X, y)
        search = Faiss(7, "Flat")
        resampled, _ = paper_eos(k_neighbors=search, random_state=0).fit_resample(X, y)
        near, labels = paper_eos(k_neighbors=Faiss(7, "HNSW16"), random_state=0).fit_resample(X, y)
    assert by_number.fallback_classes_.tolist() == ([] if spread < 1 else [1, 2])
    assert np.array_equal(resampled, expected)
    assert not hasattr(search, "index")  # a copy was fitted
    # Approximate: for nearly all members the same enemies, in the same classes' numbers.
    assert Counter(labels.tolist()) == {0: 500, 1: 500, 2: 500}
    assert np.isclose(near, expected).all(axis=1).mean() > 0.8


def test_an_index_that_finds_too_few_is_refused() -> None:
    X, y = blobs([200, 60], n_features=4, spread=0.7)  # Faiss looks at one of 20 cells, and fills up with -1
    with pytest.raises(InputError, match=r"Faiss.kneighbors must return 41 row numbers, .*, from -1 to"):
        paper_eos(k_neighbors=Faiss(41, "IVF20,Flat"), random_state=0).fit_resample(X, y)


@pytest.mark.parametrize("n_neighbors", [None, 2.5, 1])
def test_neighbors_object_must_say_how_many(n_neighbors: Any) -> None:
    X, y = blobs([12, 4])
    with pytest.raises(InputError, match=rf"n_neighbors={n_neighbors}; .* whole number of at least 2"):
        paper_eos(k_neighbors=Faiss(n_neighbors, "Flat")).fit_resample(X, y)


class Recording(NearestNeighbors):
    """A search that keeps the rows it was asked about."""

    asked: list[np.ndarray]

    def fit(self, X: np.ndarray, y: None = None) -> "Recording":
        self.asked = []
        return super().fit(X, y)

    def kneighbors(self, X: Any = None, n_neighbors: Any = None, return_distance: bool = True) -> Any:
        self.asked.append(X)
        return super().kneighbors(X, n_neighbors, return_distance)


def test_only_classes_to_be_filled_are_searched() -> None:
    X, y = blobs([40, 12, 40, 5], spread=0.5)
    eos = paper_eos(k_neighbors=Recording(n_neighbors=6), random_state=0)
    eos.fit_resample(X, y)
    assert np.array_equal(np.concatenate(eos.nn_k_.asked), np.concatenate([X[y == 1], X[y == 3]]))


def test_rows_are_searched_for_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = blobs([40, 12, 40, 5], spread=0.5)
    expected, _ = paper_eos(random_state=0).fit_resample(X, y)
    monkeypatch.setattr("eos.samplers.eos._QUERIED_VALUES", 5 * X.shape[1])
    eos = paper_eos(k_neighbors=Recording(n_neighbors=11), random_state=0)
    X_resampled, _ = eos.fit_resample(X, y)
    assert [len(asked) for asked in eos.nn_k_.asked] == [5, 5, 5, 2]
    assert np.array_equal(X_resampled, expected)


# Inputs


@pytest.mark.parametrize("variant", VARIANTS)
def test_float32(variant: str) -> None:
    X, y = blobs([50, 12], spread=0.5)
    exact, _ = paper_eos(variant=variant, random_state=0).fit_resample(X, y)
    single, _ = paper_eos(variant=variant, random_state=0).fit_resample(X.astype(np.float32), y)
    assert single.dtype == np.float32
    assert np.allclose(single, exact, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_whole_numbers_become_float64(dtype: type) -> None:
    X, y = blobs([50, 12], spread=0.5)
    X = np.clip(X * 30 + 100, 0, 255).astype(dtype)
    X_resampled, _ = paper_eos(random_state=0).fit_resample(X, y)
    assert X_resampled.dtype == np.float64
    assert np.array_equal(X_resampled, paper_eos(random_state=0).fit_resample(X.astype(float), y)[0])
    assert not np.array_equal(X_resampled, np.rint(X_resampled))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("variant", VARIANTS)
def test_sparse_equals_dense(variant: str, make: Any, dtype: type) -> None:
    X, y = blobs([50, 12, 6], spread=0.5)
    X = np.where(np.abs(X) < 0.6, 0, X).astype(dtype)
    dense, labels = paper_eos(variant=variant, random_state=0).fit_resample(X, y)
    result, sparse_labels = paper_eos(variant=variant, random_state=0).fit_resample(make(X), y)
    assert sparse.issparse(result)
    assert result.format == make(X).format
    assert result.dtype == dtype
    assert np.allclose(result.toarray(), dense, atol=1e-6)
    assert np.array_equal(sparse_labels, labels)


def test_pandas_keeps_names_and_dtypes() -> None:
    X, y = blobs([50, 12], spread=0.5)
    frame = pd.DataFrame(X.astype(np.float32), columns=["a", "b", "c"])
    labels = pd.Series(np.where(y == 1, "rare", "common"), name="label")
    eos = paper_eos(random_state=0)
    X_resampled, y_resampled = eos.fit_resample(frame, labels)
    expected, _ = paper_eos(random_state=0).fit_resample(X.astype(np.float32), y)
    assert X_resampled.columns.tolist() == eos.feature_names_in_.tolist() == ["a", "b", "c"]
    assert (X_resampled.dtypes == np.float32).all()
    assert np.array_equal(X_resampled.to_numpy(), expected)
    assert y_resampled.name == "label"
    assert y_resampled.value_counts().to_dict() == {"rare": 50, "common": 50}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k_neighbors": 0}, "'k_neighbors' parameter of EOS"),
        ({"k_neighbors": 2.5}, "'k_neighbors' parameter of EOS"),
        ({"variant": "towards"}, "'variant' parameter of EOS"),
        ({"step_size": 0}, "'step_size' parameter of EOS"),
        ({"step_size": 1.01}, "'step_size' parameter of EOS"),
        ({"step_size": float("nan")}, "'step_size' parameter of EOS"),
        ({"metric": "manhattan"}, "'metric' parameter of EOS"),
        ({"random_state": "a"}, "'random_state' parameter of EOS"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    X, y = blobs([12, 4])
    with pytest.raises(InvalidParameterError, match=message):
        paper_eos(**parameters).fit_resample(X, y)


def test_parameters_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        EOS("auto")  # type: ignore[call-arg]


def test_rows_of_triples_are_the_same_for_every_kind_of_input() -> None:
    y = np.array([0, 0, 0, 0, 1])
    X = np.array([[0, 1], [4, 9], [7, 2], [3, 3], [5, 5]])
    triples = paper_eos(k_neighbors=2, random_state=0).fit_interpolations(X, y)
    expected = paper_eos(k_neighbors=2, random_state=0).fit_resample(X.astype(float), y)[0][5:]
    for like in (X, X.tolist(), pd.DataFrame(X), X.astype(float)):
        assert np.array_equal(triples.rows(like), expected)
    assert not np.array_equal(expected, X[triples.base])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_too_large_for_a_step_are_refused(dtype: type[np.floating]) -> None:
    """Away from an enemy on the other side of 0 a sample lies three times as far out."""
    ends = np.array([[-1.0], [0.5], [1.0]], dtype=dtype) * np.finfo(dtype).max
    for share in (0.9, 0.26):
        for made in (paper_eos().fit_resample, paper_eos().fit_interpolations):
            with pytest.raises(ValueError, match=r"values as large as .* cannot be interpolated.*scale"):
                made(ends * dtype(share), [0, 0, 1])
    for variant in ("toward", "away"):
        sampler = EOS(k_neighbors="all", variant=variant, step_size=1.0, random_state=0)
        X, y = ends.repeat(9, axis=0) * dtype(0.24), np.repeat([1, 0, 0], 9)
        with np.errstate(over="raise"):
            assert np.isfinite(sampler.fit_resample(X, y)[0]).all()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("factor", "message"), [(1e200, "as large as"), (1e-200, "no value is larger than")])
def test_a_search_refuses_values_whose_squares_are_of_no_use(
    metric: str, factor: float, message: str
) -> None:
    X, y = blobs([12, 4])
    with pytest.raises(InputError, match=f"X: .*{message} "):
        paper_eos(k_neighbors=3, metric=metric).fit_resample(X * factor, y)
    assert np.isfinite(EOS().fit_resample(X * factor, y)[0]).all()  # which searches for nothing


@pytest.mark.parametrize("k_neighbors", [3, "all"])
def test_dates_as_labels(k_neighbors: Any) -> None:
    X, y = blobs([12, 4])
    days = np.datetime64("2020-01-01", "ns") + y.astype("timedelta64[D]")
    expected, numbers = EOS(k_neighbors=k_neighbors, random_state=0).fit_resample(X, y)
    rows, labels = EOS(k_neighbors=k_neighbors, random_state=0).fit_resample(X, days)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(
        labels, np.datetime64("2020-01-01", "ns") + numbers.astype("timedelta64[D]")
    )


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (10.5, "10.5 samples of class 1; give a whole"),
        ("x", "'x' samples"),
        (10**21, f"{10**21} samples .* fewer"),
    ],
)
def test_numbers_of_samples_that_cannot_be(size: Any, message: str) -> None:
    X, y = blobs([12, 4])
    for made in (
        EOS(sampling_strategy={1: size}).fit_resample,
        EOS(sampling_strategy={1: size}).fit_interpolations,
    ):
        with pytest.raises(InputError, match=f"sampling_strategy: {message}"):
            made(X, y)


def test_triples_of_fractions_as_labels_are_refused_as_by_fit_resample() -> None:
    X, y = blobs([12, 4])
    for made in (EOS().fit_resample, EOS().fit_interpolations):
        with pytest.raises(ValueError, match="Unknown label type: continuous"):
            made(X, y + 0.5)
