"""The head as an estimator: scikit-learn's own checks, none left out, and the same as `eos.heads.softmax`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from eos import LinearHead
from eos.errors import InputError
from eos.heads.softmax import fit, logits
from tests.helpers import head_config


@pytest.mark.slow
@parametrize_with_checks([LinearHead()])  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: BaseEstimator, check: Callable[[Any], None]) -> None:
    check(estimator)


def three_blobs() -> tuple[np.ndarray, np.ndarray]:
    return make_blobs(n_samples=200, centers=3, n_features=4, random_state=0, cluster_std=2.0)


def test_is_the_softmax_module_with_labels() -> None:
    X, y = three_blobs()
    names = np.array(["cat", "dog", "eel"])[y]
    head = LinearHead(epochs=4, learning_rate=0.02, batch_size=32, random_state=7).fit(X, names)
    weight, bias = fit(X, y, 3, head_config(epochs=4, learning_rate=0.02, batch_size=32), 7)
    np.testing.assert_array_equal(head.coef_, weight)
    np.testing.assert_array_equal(head.intercept_, bias)
    np.testing.assert_array_equal(head.classes_, ["cat", "dog", "eel"])
    outputs = logits(X, weight, bias)
    np.testing.assert_allclose(head.decision_function(X), outputs, atol=1e-4)
    exponentials = np.exp(outputs.astype(np.float64) - outputs.max())
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict_proba(X), expected, atol=1e-4)
    np.testing.assert_array_equal(head.predict(X), head.classes_[outputs.argmax(axis=1)])


def test_two_classes_have_one_row_and_the_same_probabilities() -> None:
    X, y = three_blobs()
    X, y = X[y < 2], np.where(y[y < 2] == 1, 5, -5)
    head = LinearHead(random_state=1).fit(X, y)
    assert head.coef_.shape == (1, 4)
    assert head.intercept_.shape == (1,)
    assert head.decision_function(X).shape == (len(X),)
    outputs = logits(X, *fit(X, (y > 0).astype(int), 2, head_config(), 1)).astype(np.float64)
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict_proba(X), expected, atol=1e-4)
    np.testing.assert_array_equal(head.predict(X), np.where(expected[:, 1] > 0.5, 5, -5))


def test_works_behind_a_sampler_on_real_images() -> None:
    X, y = load_digits(return_X_y=True)
    test = np.arange(len(y)) % 3 == 0
    few = ~test & ((y < 5) | (np.arange(len(y)) % 4 == 1))
    pipeline = make_pipeline(StandardScaler(), SMOTE(random_state=0), LinearHead(random_state=0))
    assert pipeline.fit(X[few], y[few]).score(X[test], y[test]) > 0.85


def test_random_state_decides_everything() -> None:
    X, y = three_blobs()
    head = LinearHead(random_state=3)
    np.testing.assert_array_equal(head.fit(X, y).coef_, clone(head).fit(X, y).coef_)
    shared = np.random.RandomState(3)
    first = LinearHead(random_state=shared).fit(X, y).coef_
    second = LinearHead(random_state=shared).fit(X, y).coef_
    assert not np.array_equal(first, second)
    again = LinearHead(random_state=np.random.RandomState(3)).fit(X, y).coef_
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("learning_rate", 0),
        ("batch_size", 0),
        ("momentum", 1.0),
        ("weight_decay", -1.0),
        ("warmup_epochs", -1),
        ("random_state", "seed"),
    ],
)
def test_a_parameter_out_of_range_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"'{name}' parameter of LinearHead"):
        LinearHead(**{name: value}).fit(*three_blobs())


def test_one_class_is_an_error_with_its_name() -> None:
    with pytest.raises(InputError, match=r"only one class \(cat\)"):
        LinearHead().fit([[0.0], [1.0]], ["cat", "cat"])


def test_divergence_is_an_error_with_the_remedy() -> None:
    X, y = three_blobs()
    with pytest.raises(InputError, match="lower learning_rate"):
        LinearHead().fit(X * 1e37, y)
