"""The registry: notes, refusals, and what it promises whatever the sampler."""

import subprocess
import sys
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, BorderlineSMOTE
from sklearn.neighbors import NearestNeighbors

from eos.errors import InputError
from eos.samplers.balanced_svm import BalancedSVM
from eos.samplers.eos import EOS
from eos.samplers.oversampling import SAMPLERS, Sampler, oversample, sampler_parameters


def blobs(sizes: dict[int, int], *, spread: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(seed)
    y = rng.permutation(np.repeat(list(sizes), list(sizes.values())))
    return rng.normal(size=(len(y), 4)) + spread * y[:, np.newaxis], y


def test_results_are_those_of_the_classes() -> None:
    X, y = blobs({0: 60, 1: 20, 2: 9})
    for name, sampler in {
        "smote": SMOTE(random_state=5, k_neighbors=3),
        "bsmote": BorderlineSMOTE(random_state=5, k_neighbors=3, m_neighbors=10),
        "balsvm": BalancedSVM(random_state=5, k_neighbors=3),
        "eos": EOS(random_state=5, k_neighbors=3),
    }.items():
        rows, labels = sampler.fit_resample(X, y)
        result = oversample(name, X, y, random_state=5, k_neighbors=3)
        assert np.array_equal(result.features, rows[len(X) :])
        assert np.array_equal(result.labels, labels)


def test_random_repeats_members() -> None:
    X, y = blobs({0: 30, 1: 5})
    result = oversample("random", X, y, random_state=0)
    members = {tuple(row) for row in X[y == 1]}
    assert {tuple(row) for row in result.features} == members


def test_balanced_svm_may_relabel_real_rows() -> None:
    X, y = blobs({0: 60, 1: 20, 2: 9})
    result = oversample("balsvm", X, y, random_state=0, relabel="all")
    assert len(result.labels) == 180
    assert not np.array_equal(result.labels[: len(y)], y)


# Notes


@pytest.mark.parametrize("name", ["smote", "bsmote", "balsvm"])
def test_neighborhood_is_clipped_to_the_smallest_class_to_fill(name: str) -> None:
    X, y = blobs({0: 40, 1: 12, 8: 4})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = oversample(name, X, y, random_state=0)
        lower = oversample(name, X, y, random_state=0, k_neighbors=3)
    assert result.notes[0] == "k_neighbors was reduced from 5 to 3, because class 8 has 4 samples"
    assert np.array_equal(result.features, lower.features)
    assert not any("k_neighbors was" in note for note in lower.notes)


def test_other_neighborhoods_are_clipped_to_the_rows_there_are() -> None:
    X, y = blobs({0: 40, 1: 12})
    notes = oversample("eos", X, y, random_state=0, k_neighbors=300).notes
    assert notes == ("k_neighbors was reduced from 300 to 51, because no row has more neighbors",)
    notes = oversample("bsmote", X, y, random_state=0, m_neighbors=60).notes
    assert notes[0] == "m_neighbors was reduced from 60 to 51, because no row has more neighbors"


def test_borderline_smote_falls_back_on_smote() -> None:
    X, y = blobs({0: 60, 1: 20, 6: 9, 9: 7})
    X[y >= 6] += 50 * y[y >= 6, np.newaxis]  # nowhere near another class: no danger
    result = oversample("bsmote", X, y, random_state=0)
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
    result = oversample("eos", X, y, random_state=0, k_neighbors=5)
    assert len(result.notes) == 1
    assert "nearest enemies" in result.notes[0]
    assert result.notes[0].endswith(": class 6")
    assert Counter(result.labels.tolist()) == {0: 60, 1: 60, 6: 60}


def test_a_neighbors_object_is_handed_on() -> None:
    X, y = blobs({0: 40, 1: 12})
    search = NearestNeighbors(n_neighbors=6)
    for name in ("eos", "smote"):
        by_object = oversample(name, X, y, random_state=0, k_neighbors=search)
        by_number = oversample(name, X, y, random_state=0, k_neighbors=5)
        assert np.array_equal(by_object.features, by_number.features)


def test_warnings_for_developers_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def resample(features: np.ndarray, labels: np.ndarray, seed: int, parameters: dict) -> Any:
        warnings.warn("for users", UserWarning, stacklevel=1)
        warnings.warn("for users", UserWarning, stacklevel=1)
        warnings.warn("for developers", FutureWarning, stacklevel=1)
        return features, labels

    monkeypatch.setitem(SAMPLERS, "noisy", Sampler(resample, {}))
    with pytest.warns() as caught:
        result = oversample("noisy", *blobs({0: 5, 1: 5}), random_state=0)
    assert result.notes == ("for users",)
    assert [str(warning.message) for warning in caught] == ["for developers"]


# Refusals


@pytest.mark.parametrize("name", ["smote", "bsmote", "balsvm"])
def test_class_of_one_sample_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"class 3 has 1 sample.*use sampler random or eos"):
        oversample(name, *blobs({0: 20, 3: 1}), random_state=0)


@pytest.mark.parametrize("name", ["random", "eos"])
def test_class_of_one_sample_is_filled(name: str) -> None:
    result = oversample(name, *blobs({0: 20, 3: 1}), random_state=0)
    assert Counter(result.labels.tolist()) == {0: 20, 3: 20}


@pytest.mark.parametrize("name", ["smote", "balsvm"])
def test_small_classes_that_need_no_filling_are_left_alone(name: str) -> None:
    result = oversample(name, *blobs({0: 1, 3: 1}), random_state=0)
    assert result.features.shape == (0, 4)
    assert result.notes == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", SAMPLERS)
def test_not_finite_is_refused(name: str, value: float) -> None:
    X, y = blobs({0: 20, 1: 8})
    X[11, 2] = X[20, 0] = value
    with pytest.raises(InputError, match=rf"{name}: 2 .*not finite.*{value} in row 11, column 2"):
        oversample(name, X, y, random_state=0)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    X, y = blobs({0: 20, 1: 8})
    with pytest.raises(InputError, match="unknown sampler 'smotes'; did you mean 'smote'"):
        oversample("smotes", X, y, random_state=0)
    with pytest.raises(InputError, match="unknown sampler 'smotes'"):
        sampler_parameters("smotes")
    with pytest.raises(
        InputError, match="sampler eos: unknown parameter 'k_neighbours'; did you mean 'k_neighbors'"
    ):
        oversample("eos", X, y, random_state=0, k_neighbours=5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("smote", {"k_neighbors": 0}),
        ("bsmote", {"m_neighbors": "many"}),
        ("balsvm", {"relabel": "real"}),
        ("eos", {"variant": "towards"}),
        ("eos", {"step_size": 0.0}),
    ],
)
def test_bad_values_are_refused(name: str, parameters: dict[str, Any]) -> None:
    (parameter,) = parameters
    with pytest.raises(InputError, match=f"sampler {name}: .*{parameter}"):
        oversample(name, *blobs({0: 20, 1: 8}), random_state=0, **parameters)


def test_arrays_that_do_not_fit_are_refused() -> None:
    X, y = blobs({0: 20, 1: 8})
    with pytest.raises(InputError, match=r"\(28, 4\) and labels of shape \(27,\)"):
        oversample("random", X, y[:-1], random_state=0)
    with pytest.raises(InputError, match=r"features of shape \(28,\)"):
        oversample("random", X[:, 0], y, random_state=0)
    with pytest.raises(InputError, match="1 class in 28 labels"):
        oversample("random", X, np.zeros(28, dtype=int), random_state=0)


def test_a_sampler_that_moves_real_rows_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SAMPLERS, "moving", Sampler(lambda X, y, seed, parameters: (X[::-1], y[::-1]), {}))
    with pytest.raises(RuntimeError, match="moving: the real rows do not come first"):
        oversample("moving", *blobs({0: 20, 1: 8}), random_state=0)


def test_parameters_are_a_copy() -> None:
    sampler_parameters("eos")["k_neighbors"] = 99
    assert sampler_parameters("eos")["k_neighbors"] == 10


def test_importing_the_registry_is_light() -> None:
    code = (
        "import sys, eos.samplers.oversampling as r; r.sampler_parameters('eos'); "
        "print([name for name in ('sklearn', 'imblearn', 'scipy', 'pandas', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
