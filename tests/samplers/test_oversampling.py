"""Over-sampling by name: notes, refusals, and what it promises whatever the sampler."""

import subprocess
import sys
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE
from sklearn.neighbors import NearestNeighbors

from eos.errors import InputError
from eos.registry import SAMPLERS, Entry
from eos.samplers.balanced_svm import BalancedSVM
from eos.samplers.eos import EOS
from eos.samplers.oversampling import Oversampled, adasyn, oversample
from tests.helpers import given


def blobs(sizes: dict[int, int], *, spread: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(seed)
    y = rng.permutation(np.repeat(list(sizes), list(sizes.values())))
    return rng.normal(size=(len(y), 4)) + spread * y[:, np.newaxis], y


def balanced(name: str, X: np.ndarray, y: np.ndarray, **changed: Any) -> Oversampled:
    """Over-sample with what params.yaml gives, but for what is changed."""
    return oversample(name, X, y, **(given("sampler", name) | {"random_state": 0} | changed))


def test_results_are_those_of_the_classes() -> None:
    X, y = blobs({0: 60, 1: 20, 2: 9})
    for name, sampler in {
        "smote": SMOTE(random_state=5, k_neighbors=3),
        "bsmote": BorderlineSMOTE(random_state=5, k_neighbors=3, m_neighbors=10),
        "balsvm": BalancedSVM(random_state=5, k_neighbors=3),
        "eos": EOS(random_state=5, k_neighbors=3, step_size=1.0),
    }.items():
        rows, labels = sampler.fit_resample(X, y)
        result = balanced(name, X, y, random_state=5, k_neighbors=3)
        assert np.array_equal(result.features, rows[len(X) :])
        assert np.array_equal(result.labels, labels)


def test_random_repeats_members() -> None:
    X, y = blobs({0: 30, 1: 5})
    result = balanced("random", X, y)
    members = {tuple(row) for row in X[y == 1]}
    assert {tuple(row) for row in result.features} == members


def test_balanced_svm_may_relabel_real_rows() -> None:
    X, y = blobs({0: 60, 1: 20, 2: 9})
    result = balanced("balsvm", X, y, relabel="all")
    assert len(result.labels) == 180
    assert not np.array_equal(result.labels[: len(y)], y)


# ADASYN

ADASYN_ALONE = {"adasyn": Entry("eos.samplers.oversampling:adasyn", "ADASYN")}


def with_adasyn(X: np.ndarray, y: np.ndarray, **changed: Any) -> Oversampled:
    settings: dict[str, Any] = {"random_state": 0, "n_neighbors": 5} | changed
    return oversample("adasyn", X, y, samplers=ADASYN_ALONE, **settings)


@pytest.mark.parametrize("seed", range(6))
def test_adasyn_is_the_librarys_brought_to_the_exact_size(seed: int) -> None:
    X, y = blobs({0: 300, 1: 40, 2: 17}, seed=seed)
    result = with_adasyn(X, y, random_state=seed)
    assert result.notes == ()
    assert Counter(result.labels.tolist()) == dict.fromkeys([0, 1, 2], 300)
    for label, needed in ((1, 260), (2, 283)):
        theirs = ADASYN(random_state=seed, sampling_strategy={label: 300}).fit_resample(X, y)[0][len(X) :]
        ours = result.features[result.labels[len(y) :] == label]
        same = np.isin(ours.view("V32").ravel(), theirs.view("V32").ravel())
        assert same.sum() == min(needed, len(theirs))
        # Those that were missing lie between two members of the class.
        plain = (
            SMOTE(random_state=seed, sampling_strategy={label: 300 - len(theirs)})
            if len(theirs) < needed
            else None
        )
        if plain is not None:
            filled = plain.fit_resample(X, y)[0][len(X) :]
            np.testing.assert_array_equal(ours[~same], filled)


def test_adasyn_cuts_and_fills_both_happen() -> None:
    """In the cases above, so that they test what they say."""
    sizes = [
        len(ADASYN(random_state=seed, sampling_strategy={label: 300}).fit_resample(X, y)[0]) - len(X) - needed
        for seed in range(6)
        for X, y in [blobs({0: 300, 1: 40, 2: 17}, seed=seed)]
        for label, needed in ((1, 260), (2, 283))
    ]
    assert min(sizes) < 0 < max(sizes)


def test_adasyn_falls_back_on_smote_by_class() -> None:
    X, y = blobs({0: 60, 1: 20, 6: 9, 9: 4})
    X[y >= 6] += 50 * y[y >= 6, np.newaxis]  # no neighbor of another class within k
    result = with_adasyn(X, y)
    assert result.notes == (
        "n_neighbors was reduced from 5 to the number of other members: class 9",
        "filled by SMOTE, because no member has a neighbor of another class: classes 6, 9",
    )
    assert Counter(result.labels.tolist()) == dict.fromkeys([0, 1, 6, 9], 60)
    labels = result.labels[len(y) :]
    for label, k in ((6, 5), (9, 3)):
        plain = SMOTE(random_state=0, sampling_strategy={label: 60}, k_neighbors=k).fit_resample(X, y)[0]
        np.testing.assert_array_equal(result.features[labels == label], plain[len(X) :])
    alone = with_adasyn(X[y < 6], y[y < 6])
    np.testing.assert_array_equal(result.features[labels == 1], alone.features)


def test_adasyn_goes_on_where_every_count_rounds_to_nothing() -> None:
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(81, 4)), np.repeat([0, 1], [41, 40])
    with pytest.raises(ValueError, match="No samples will be generated"):
        ADASYN(random_state=0, sampling_strategy={1: 41}).fit_resample(X, y)
    result = with_adasyn(X, y)
    assert Counter(result.labels.tolist()) == {0: 41, 1: 41}


def test_adasyn_refuses_what_it_cannot_do() -> None:
    with pytest.raises(InputError, match=r"class 3 has 1 sample.*use sampler random or eos"):
        with_adasyn(*blobs({0: 20, 3: 1}))
    with pytest.raises(InputError, match=r"sampler adasyn: .*n_neighbors"):
        with_adasyn(*blobs({0: 20, 3: 8}), n_neighbors=0)


def test_adasyn_keeps_types_and_balanced_data() -> None:
    X, y = blobs({0: 20, 3: 8})
    rows, labels = adasyn(X.astype(np.float32), y.astype(np.uint8), 0, n_neighbors=5)
    assert rows.dtype == np.float32
    assert labels.dtype == np.uint8
    rows, labels = adasyn(X[:8], y[:8] * 0, 0, n_neighbors=5)
    np.testing.assert_array_equal(rows, X[:8])


# Notes


@pytest.mark.parametrize("name", ["smote", "bsmote", "balsvm"])
def test_neighborhood_is_clipped_to_the_smallest_class_to_fill(name: str) -> None:
    X, y = blobs({0: 40, 1: 12, 8: 4})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = balanced(name, X, y)
        lower = balanced(name, X, y, k_neighbors=3)
    assert result.notes[0] == "k_neighbors was reduced from 5 to 3, because class 8 has 4 samples"
    assert np.array_equal(result.features, lower.features)
    assert not any("k_neighbors was" in note for note in lower.notes)


def test_other_neighborhoods_are_clipped_to_the_rows_there_are() -> None:
    X, y = blobs({0: 40, 1: 12})
    notes = balanced("eos", X, y, k_neighbors=300).notes
    assert notes == ("k_neighbors was reduced from 300 to 51, because no row has more neighbors",)
    notes = balanced("bsmote", X, y, m_neighbors=60).notes
    assert notes[0] == "m_neighbors was reduced from 60 to 51, because no row has more neighbors"


def test_borderline_smote_falls_back_on_smote() -> None:
    X, y = blobs({0: 60, 1: 20, 6: 9, 9: 7})
    X[y >= 6] += 50 * y[y >= 6, np.newaxis]  # nowhere near another class: no danger
    result = balanced("bsmote", X, y)
    assert len(result.notes) == 1
    assert result.notes[0].startswith("filled by SMOTE")
    assert result.notes[0].endswith(": classes 6, 9")
    assert Counter(result.labels.tolist()) == dict.fromkeys([0, 1, 6, 9], 60)

    labels = result.labels[len(y) :]
    borderline, _ = BorderlineSMOTE(random_state=0).fit_resample(X, y)
    plain, plain_labels = SMOTE(random_state=0, sampling_strategy={6: 60, 9: 60}).fit_resample(X, y)
    assert np.array_equal(result.features[labels == 1], borderline[len(X) :])
    assert np.array_equal(result.features[labels >= 6], plain[len(X) :])
    assert np.array_equal(labels[labels >= 6], plain_labels[len(y) :])


def test_eos_fallback_is_noted() -> None:
    X, y = blobs({0: 60, 1: 20, 6: 9})
    X[y == 6] += 500
    result = balanced("eos", X, y, k_neighbors=5)
    assert len(result.notes) == 1
    assert "nearest enemies" in result.notes[0]
    assert result.notes[0].endswith(": class 6")
    assert Counter(result.labels.tolist()) == {0: 60, 1: 60, 6: 60}


def test_a_search_for_neighbors_is_handed_on_to_eos() -> None:
    X, y = blobs({0: 40, 1: 12})
    by_object = balanced("eos", X, y, k_neighbors=NearestNeighbors(n_neighbors=6))
    by_number = balanced("eos", X, y, k_neighbors=5)
    assert np.array_equal(by_object.features, by_number.features)


def noisy(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    warnings.warn("for users", UserWarning, stacklevel=1)
    warnings.warn("for users", UserWarning, stacklevel=1)
    warnings.warn("for developers", FutureWarning, stacklevel=1)
    return features, labels


def moving(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return features[::-1], labels[::-1]


OTHERS = {name: Entry(f"{__name__}:{name}", name) for name in ("noisy", "moving")}


def test_warnings_for_developers_are_handed_on() -> None:
    with pytest.warns() as caught:
        result = balanced("noisy", *blobs({0: 5, 1: 5}), samplers=OTHERS)
    assert result.notes == ("for users",)
    assert [str(warning.message) for warning in caught] == ["for developers"]


# Refusals


@pytest.mark.parametrize("name", ["smote", "bsmote", "balsvm"])
def test_class_of_one_sample_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"class 3 has 1 sample.*use sampler random or eos"):
        balanced(name, *blobs({0: 20, 3: 1}))


@pytest.mark.parametrize("name", ["random", "eos"])
def test_class_of_one_sample_is_filled(name: str) -> None:
    result = balanced(name, *blobs({0: 20, 3: 1}))
    assert Counter(result.labels.tolist()) == {0: 20, 3: 20}


@pytest.mark.parametrize("name", ["smote", "balsvm"])
def test_small_classes_that_need_no_filling_are_left_alone(name: str) -> None:
    result = balanced(name, *blobs({0: 1, 3: 1}))
    assert result.features.shape == (0, 4)
    assert result.notes == ()


def test_unknown_names_are_refused_with_the_nearest() -> None:
    X, y = blobs({0: 20, 1: 8})
    with pytest.raises(InputError, match="unknown sampler 'smotes'; did you mean 'smote'"):
        balanced("smotes", X, y)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("smote", {"k_neighbors": 0}),
        ("bsmote", {"m_neighbors": 0}),
        ("balsvm", {"relabel": "real"}),
        ("eos", {"variant": "towards"}),
        ("eos", {"step_size": 0.0}),
    ],
)
def test_bad_values_are_refused(name: str, parameters: dict[str, Any]) -> None:
    (parameter,) = parameters
    with pytest.raises(InputError, match=f"sampler {name}: .*{parameter}"):
        balanced(name, *blobs({0: 20, 1: 8}), **parameters)


@pytest.mark.parametrize("name", SAMPLERS)
def test_features_of_whole_numbers_are_refused(name: str) -> None:
    X, y = blobs({0: 20, 1: 8})
    with pytest.raises(InputError, match=f"sampler {name}: features of uint8; give float32 or float64"):
        oversample(name, np.abs(X).astype(np.uint8), y, random_state=0, **given("sampler", name))


def test_a_sampler_that_moves_real_rows_is_caught() -> None:
    with pytest.raises(RuntimeError, match="moving: the real rows do not come first"):
        balanced("moving", *blobs({0: 20, 1: 8}), samplers=OTHERS)


def test_the_samplers_are_not_imported_before_one_is_used() -> None:
    code = (
        "import sys, eos.samplers.oversampling; "
        "print([name for name in ('sklearn', 'imblearn', 'scipy', 'pandas', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
