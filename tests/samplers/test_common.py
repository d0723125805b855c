"""Every sampler through the same checks: imbalanced-learn's for the classes, ours for the names."""

import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imblearn.utils.estimator_checks import parametrize_with_checks
from sklearn.base import clone

from eos.errors import InputError
from eos.registry import SAMPLERS
from eos.samplers.balanced_svm import BalancedSVM
from eos.samplers.ccr import CCR
from eos.samplers.eos import EOS
from eos.samplers.manifold import ManifoldOverSampler
from eos.samplers.oversampling import oversample
from eos.samplers.rbo import RBO
from eos.samplers.swim import SWIM
from eos.samplers.tailcalib import TailCalib
from tests.helpers import given

ESTIMATORS = [
    EOS(random_state=42),
    EOS(random_state=42, variant="away"),
    EOS(random_state=42, variant="released", k_neighbors=10, step_size=1.0),
    EOS(random_state=42, k_neighbors=10, step_size=1.0),
    EOS(random_state=42, k_neighbors=3, step_size=0.5),
    BalancedSVM(random_state=42),
    BalancedSVM(random_state=42, relabel="all"),
    TailCalib(random_state=42),
    TailCalib(random_state=42, n_neighbors=1, alpha=0.2),
    SWIM(random_state=42),
    SWIM(random_state=42, variant="radial", clip=True),
    SWIM(random_state=42, variant="radial", units="original"),
    ManifoldOverSampler(random_state=42),
    ManifoldOverSampler(random_state=42, pooled_rows=0, clip=True),
    ManifoldOverSampler(random_state=42, form="autoencoder", steps=20),
    ManifoldOverSampler(random_state=42, form="autoencoder", steps=20, per_class=True),
    RBO(random_state=42, n_steps=20),
    RBO(random_state=42, n_steps=20, multiclass="successive", stop_probability=0.0, n_neighbors="all"),
    CCR(random_state=42),
    CCR(random_state=42, multiclass="successive", p=1, selection="random", cleaning="ignore"),
    CCR(random_state=42, region="equal", n_candidates=10),
]


@pytest.mark.slow
@parametrize_with_checks(ESTIMATORS)  # type: ignore[untyped-decorator]
def test_imbalanced_learn_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_clone_and_pickle_give_the_same_samples(estimator: Any) -> None:
    X, y = _data(np.float64)
    fitted = clone(estimator)
    expected, labels = fitted.fit_resample(X, y)
    for copy in (clone(fitted), pickle.loads(pickle.dumps(fitted))):
        X_resampled, y_resampled = copy.fit_resample(X, y)
        assert np.array_equal(X_resampled, expected)
        assert np.array_equal(y_resampled, labels)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_not_finite_is_refused(estimator: Any) -> None:
    for value in (np.nan, np.inf):
        X, y = _data(np.float64)
        X[3, 1] = value
        with pytest.raises(
            InputError, match=f"X: 1 of {len(X)} rows hold NaN or infinity, the first is row 3"
        ):
            clone(estimator).fit_resample(X, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SAMPLERS)
def test_named_sampler(name: str, dtype: type) -> None:
    X, y = _data(dtype)
    before, parameters = (X.copy(), y.copy()), given("sampler", name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = oversample(name, X, y, random_state=3, **parameters)
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])
    assert result.features.dtype == dtype
    assert np.isfinite(result.features).all()
    assert result.labels.dtype == y.dtype
    assert result.features.shape == (2 * 60 - 12 - 7 + 60 - 60, 4)
    assert len(result.labels) == 3 * 60
    assert np.array_equal(result.labels[: len(y)], y)
    assert result.notes == ()
    if name != "balsvm":
        assert Counter(result.labels.tolist()) == {0: 60, 4: 60, 9: 60}

    again = oversample(name, X, y, random_state=3, **parameters)
    assert np.array_equal(result.features, again.features)
    assert np.array_equal(result.labels, again.labels)
    other = oversample(name, X, y, random_state=4, **parameters)
    assert not np.array_equal(result.features, other.features)


@pytest.mark.parametrize("name", SAMPLERS)
def test_named_sampler_has_nothing_to_add_to_balanced_data(name: str) -> None:
    X, _ = _data(np.float64)
    X, y = X[:40], np.repeat([0, 1], 20)
    result = oversample(name, X, y, random_state=0, **given("sampler", name))
    assert result.features.shape == (0, 4)
    assert np.array_equal(result.labels, y)
    assert result.notes == ()


def _data(dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping classes of 60, 12 and 7, rows shuffled."""
    rng = np.random.RandomState(0)
    y = rng.permutation(np.repeat([0, 4, 9], [60, 12, 7]))
    return (rng.normal(size=(len(y), 4)) + 0.15 * y[:, np.newaxis]).astype(dtype), y
