"""The head as an estimator: scikit-learn's own checks, none left out, and the same as `eos.heads.softmax`."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_info, threadpool_limits

from eos import EOS, LinearHead
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
    config = head_config(epochs=4, learning_rate=0.02, batch_size=32)
    weight, bias = fit(X, y, 3, config, 7, dtype=np.float64)
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
        ("milestones", 5),
        ("decay", 0),
        ("class_balanced", "yes"),
        ("logit_adjustment", -1.0),
        ("random_state", "seed"),
    ],
)
def test_a_parameter_out_of_range_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"'{name}' parameter of LinearHead"):
        LinearHead(**{name: value}).fit(*three_blobs())


@pytest.mark.parametrize("milestones", [[0], (3, 2.5)])
def test_a_milestone_that_is_no_epoch_is_named(milestones: Any) -> None:
    with pytest.raises(InputError, match=f"milestones: {milestones[-1]} is not an epoch"):
        LinearHead(milestones=milestones).fit(*three_blobs())


def test_all_parameters_of_the_training_reach_it() -> None:
    X, y = three_blobs()
    parameters: dict[str, Any] = {"milestones": (6,), "class_balanced": True, "logit_adjustment": 0.5}
    for name, value in parameters.items():
        head = LinearHead(random_state=7, **{name: value}).fit(X, y)
        weight, _ = fit(X, y, 3, head_config(**{name: value}), 7, dtype=np.float64)
        np.testing.assert_array_equal(head.coef_, weight)
        assert not np.array_equal(weight, LinearHead(random_state=7).fit(X, y).coef_)
    slower = LinearHead(random_state=7, milestones=[6], decay=0.5).fit(X, y)
    np.testing.assert_array_equal(
        slower.coef_, fit(X, y, 3, head_config(milestones=(6,), decay=0.5), 7, dtype=float)[0]
    )


def test_log_probabilities_are_logarithms_and_never_minus_infinity() -> None:
    X, y = three_blobs()
    for keep in (y >= 0, y < 2):
        head = LinearHead(random_state=1).fit(X[keep], y[keep])
        np.testing.assert_allclose(np.exp(head.predict_log_proba(X)), head.predict_proba(X), rtol=1e-9)
        assert np.isfinite(head.predict_log_proba(X * 1e6)).all()
        assert head.predict_proba(X * 1e6).min() == 0


def test_rows_of_another_width_are_refused() -> None:
    X, y = three_blobs()
    head = LinearHead(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but LinearHead is expecting 4"):
        head.predict(X[:, :3])


def test_one_class_is_an_error_with_its_name() -> None:
    with pytest.raises(InputError, match=r"only one class \(cat\)"):
        LinearHead().fit([[0.0], [1.0]], ["cat", "cat"])


def test_divergence_is_an_error_with_the_remedy() -> None:
    X, y = three_blobs()
    with (
        pytest.raises(InputError, match="lower learning_rate"),
        pytest.warns(UserWarning, match="far from 1"),
    ):
        LinearHead().fit((X * 1e37).astype(np.float32), y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_computation_is_in_the_dtype_of_the_features(dtype: type[np.floating]) -> None:
    X, y = three_blobs()
    head = LinearHead(random_state=0).fit(X.astype(dtype), y)
    weight, bias = fit(X, y, 3, head_config(), 0, dtype=dtype)
    assert head.coef_.dtype == head.intercept_.dtype == dtype
    np.testing.assert_array_equal(head.coef_, weight)
    np.testing.assert_array_equal(head.intercept_, bias)


@pytest.mark.parametrize(("batch_size", "threads"), [(128, 1), (200_000, 2)])
def test_small_steps_run_on_one_thread(
    batch_size: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the result does not depend on the number of threads, and they do not wait for each other."""
    seen: list[int] = []

    def fitted(*_: Any, **__: Any) -> tuple[np.ndarray, np.ndarray]:
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return np.zeros((2, 64)), np.zeros(2)

    monkeypatch.setattr("eos.heads.linear_head.fit", fitted)
    with threadpool_limits(limits=2, user_api="blas"):
        LinearHead(batch_size=batch_size).fit(8 * np.eye(64), np.arange(64) % 2)
    assert set(seen) == {threads}


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_rows_give_the_bytes_of_dense_ones(container: Callable[[np.ndarray], Any]) -> None:
    X, y = three_blobs()
    X = np.where(X > 0, X, 0).astype(np.float32)
    dense, head = (LinearHead(random_state=0).fit(rows, y) for rows in (X, container(X)))
    np.testing.assert_array_equal(head.coef_, dense.coef_)
    np.testing.assert_array_equal(head.intercept_, dense.intercept_)
    np.testing.assert_allclose(head.predict_proba(container(X)), dense.predict_proba(X), rtol=1e-12)


def test_takes_the_sparse_rows_that_eos_makes() -> None:
    X, y = three_blobs()
    few = (y > 0) | (np.arange(len(y)) % 5 == 0)
    model = make_pipeline(EOS(random_state=0), LinearHead(random_state=0))
    assert model.fit(sparse.csr_array(X[few]), y[few]).score(sparse.csr_array(X), y) > 0.9


def test_weights_are_repetitions_where_a_batch_holds_all_rows() -> None:
    X, y = three_blobs()
    times = np.random.default_rng(0).integers(0, 4, len(y))
    head = LinearHead(batch_size=1000, random_state=0)
    repeated = clone(head).fit(X.repeat(times, axis=0), y.repeat(times))
    for weights in (times, times / 7):
        np.testing.assert_allclose(head.fit(X, y, weights).coef_, repeated.coef_, rtol=1e-9)
    assert not np.allclose(head.fit(X, y).coef_, repeated.coef_, rtol=1e-3)


def test_weights_bring_a_rare_class_to_its_recall() -> None:
    X, y = make_blobs(n_samples=[1000, 20], n_features=4, random_state=0, cluster_std=4.0)
    head = LinearHead(random_state=0)
    plain = head.fit(X, y).predict(X)[y == 1].mean()
    weighted = head.fit(X, y, np.where(y == 1, 50.0, 1.0)).predict(X)[y == 1].mean()
    assert weighted > plain + 0.2


@pytest.mark.parametrize(
    ("weights", "message"),
    [(-np.ones(200), "[Nn]egative"), (np.zeros(200), "zero"), (np.ones(3), "sample_weight.shape")],
)
def test_weights_that_cannot_be_used(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LinearHead().fit(*three_blobs(), weights)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_features_far_from_unit_scale_are_told_of_with_the_remedy(factor: float) -> None:
    X, y = three_blobs()
    scale = np.sqrt(np.mean((X * factor) ** 2))
    with pytest.warns(UserWarning, match=re.escape(f"is {scale:.2g}, far from 1")) as told:
        LinearHead().fit(X * factor, y)
    assert "StandardScaler() in front" in str(told[0].message)
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match=r"StandardScaler\(with_mean=False\) in front"):
        LinearHead().fit(sparse.csr_array(X * factor), y)


def test_a_scaler_is_worth_what_the_warning_says() -> None:
    """Unit-length embeddings with many features: the layer learns little in the recipe's few steps."""
    X, y = make_blobs(n_samples=600, centers=10, n_features=768, cluster_std=9.0, random_state=0)
    X = normalize(X)
    model = make_pipeline(StandardScaler(), LinearHead(random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = model.fit(X[:300], y[:300]).score(X[300:], y[300:])
    with pytest.warns(UserWarning, match="far from 1"):
        bare = LinearHead(random_state=0).fit(X[:300], y[:300]).score(X[300:], y[300:])
    assert scaled > bare + 0.1


def test_outputs_that_overflow_are_refused() -> None:
    X, y = make_blobs(n_samples=60, centers=3, random_state=0)
    head = LinearHead(random_state=0).fit(X / 10, y)
    head.coef_ = head.coef_ * 10
    for ask in (head.predict, head.predict_proba, head.decision_function):
        with pytest.raises(InputError, match=r"X: outputs of values as large as 1\.7e\+308 overflow float64"):
            ask(np.full((1, 2), 1.7e308))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"logit_adjustment": 1.7e308}, r"logit_adjustment: 1\.7e\+308 times .* overflows float64"),
        ({"weight_decay": 1e300}, r"diverged in epoch \d.* weight_decay \(1e\+300\)"),
    ],
)
def test_absurd_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    y = np.repeat([0, 1], [40, 20])
    with pytest.raises(InputError, match=message):
        LinearHead(random_state=0, **parameters).fit(np.eye(60), y)


def test_a_sum_of_weights_that_overflows_is_refused() -> None:
    with pytest.raises(InputError, match=r"sample_weight: the sum of weights as large as 1e\+308 overflows"):
        LinearHead(random_state=0).fit(np.eye(6), [0, 0, 0, 1, 1, 1], sample_weight=[1e308] * 6)
