"""Rival estimators: scikit-learn's own checks, and the formulas written out another way."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import normalize
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from eos import LinearHead, NearestClassMean, PostHocLogitAdjustment, TauNormalized
from eos.errors import InputError

ESTIMATORS = [
    NearestClassMean(),
    PostHocLogitAdjustment(LogisticRegression()),
    PostHocLogitAdjustment(LinearHead(random_state=0), tau=0.5),
    TauNormalized(LogisticRegression()),
    TauNormalized(LinearHead(random_state=0), tau=0.5),
]


@pytest.mark.slow
@parametrize_with_checks(ESTIMATORS)  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: BaseEstimator, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X: the root mean square")
        check(estimator)


def blobs(*sizes: int, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(n_samples=list(sizes), n_features=5, random_state=1, cluster_std=spread)
    return X, 3 * y - 2


def test_nearest_class_mean_is_scikit_learns_centroid_on_centred_unit_rows() -> None:
    X, y = blobs(80, 30, 10, 50, spread=4.0)
    model = NearestClassMean().fit(X, y)
    center = X.mean(axis=0)
    plain = NearestCentroid().fit(normalize(X - center), y)
    other = blobs(100, 100, 100, 100, spread=6.0)[0]
    expected = plain.predict(normalize(other - center))
    np.testing.assert_array_equal(model.predict(other), expected)
    assert len(np.unique(expected)) == 4
    np.testing.assert_allclose(model.means_, plain.centroids_, atol=1e-12)
    assert np.linalg.norm(model.means_, axis=1).max() < 1  # they are not brought to unit length again
    rows = normalize(other - center)
    distances = np.square(rows[:, np.newaxis] - model.means_).sum(axis=2)
    np.testing.assert_allclose(1 - model.decision_function(other), distances, atol=1e-12)


def test_nearest_class_mean_of_two_classes_and_of_a_row_in_the_centre() -> None:
    X, y = blobs(60, 20)
    model = NearestClassMean().fit(X, y)
    scores = model.decision_function(X)
    assert scores.shape == (80,)
    np.testing.assert_array_equal(model.predict(X), np.where(scores > 0, 1, -2))
    lengths = np.linalg.norm(model.means_, axis=1)
    assert model.predict(X.mean(axis=0, keepdims=True)) == model.classes_[lengths.argmin()]


@pytest.mark.parametrize("sizes", [(400, 40, 10), (400, 20)])
@pytest.mark.parametrize("tau", [0.0, 0.7, 1.0])
@pytest.mark.parametrize(
    "inner",
    [LogisticRegression(), GaussianNB(), KNeighborsClassifier(), LinearHead(random_state=0)],
    ids=repr,
)
def test_post_hoc_divides_probabilities_by_a_power_of_the_shares(
    inner: Any, tau: float, sizes: tuple[int, ...]
) -> None:
    X, y = blobs(*sizes, spread=5.0)
    model = PostHocLogitAdjustment(inner, tau=tau).fit(X, y)
    shares = np.array(sizes) / sum(sizes)
    expected = clone(inner).fit(X, y).predict_proba(X) / shares**tau
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-9)
    np.testing.assert_array_equal(model.predict(X), model.classes_[expected.argmax(axis=1)])
    assert len(model.estimator_.classes_) == len(sizes)


def test_post_hoc_makes_balanced_what_is_calibrated() -> None:
    X, y = blobs(2000, 60, 60, spread=5.0)
    plain = LogisticRegression().fit(X, y)
    adjusted = PostHocLogitAdjustment(FrozenEstimator(plain)).fit(X, y)
    assert adjusted.estimator_.coef_ is plain.coef_
    before, after = (balanced_accuracy_score(y, model.predict(X)) for model in (plain, adjusted))
    assert after > before + 0.05


def test_post_hoc_counts_weights_as_rows() -> None:
    X, y = blobs(40, 20, 20, spread=5.0)
    times = np.random.default_rng(0).integers(1, 4, len(y))
    weighted = PostHocLogitAdjustment(LogisticRegression()).fit(X, y, times)
    repeated = PostHocLogitAdjustment(LogisticRegression()).fit(X.repeat(times, axis=0), y.repeat(times))
    np.testing.assert_allclose(weighted.log_prior_, repeated.log_prior_)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)


def test_post_hoc_tells_apart_what_is_too_small_for_a_probability() -> None:
    X = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    head = PostHocLogitAdjustment(LinearHead(epochs=1, random_state=0)).fit(X, [0, 0, 1])
    head.estimator_.coef_, head.estimator_.intercept_ = np.array([[-1e4, 0.0]]), np.zeros(1)
    expected = -1e4 - np.log(1 / 3) + np.log(2 / 3)
    assert head.decision_function([[1.0, 0.0]]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
def test_tau_normalized_rows(tau: float) -> None:
    X, y = blobs(400, 40, 10, spread=3.0)
    plain = LinearHead(random_state=0).fit(X, y)
    model = TauNormalized(LinearHead(random_state=0), tau=tau).fit(X, y)
    norms = np.sqrt((plain.coef_**2).sum(axis=1))
    outputs = np.stack([X @ row / norm**tau for row, norm in zip(plain.coef_, norms, strict=True)], axis=1)
    np.testing.assert_allclose(model.decision_function(X), outputs, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), model.classes_[outputs.argmax(axis=1)])
    assert not model.intercept_.any()


def test_tau_normalized_of_two_classes_drops_the_bias_alone() -> None:
    X, y = blobs(100, 30)
    plain = LogisticRegression().fit(X, y)
    for tau in (0.0, 1.0):
        model = TauNormalized(LogisticRegression(), tau=tau).fit(X, y)
        expected = np.where(X @ plain.coef_[0] > 0, 1, -2)
        np.testing.assert_array_equal(model.predict(X), expected)


def test_tau_normalized_keeps_a_row_of_zeros() -> None:
    X, y = blobs(20, 20, 20)
    frozen = LogisticRegression().fit(X, y)
    frozen.coef_[1] = 0
    model = TauNormalized(FrozenEstimator(frozen)).fit(X, y)
    assert not model.coef_[1].any()
    np.testing.assert_allclose(np.linalg.norm(model.coef_[[0, 2]], axis=1), 1)


@pytest.mark.parametrize("model", [NearestClassMean(), TauNormalized(LinearHead(random_state=0))], ids=repr)
def test_rows_of_another_width_are_refused(model: Any) -> None:
    X, y = blobs(20, 20, 20)
    model = clone(model).fit(X, y)
    with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 5"):
        model.predict(X[:, :4])
    assert model.n_features_in_ == 5


def test_tau_normalized_takes_sparse_rows() -> None:
    X, y = blobs(40, 20, 20)
    model = TauNormalized(LinearHead(random_state=0)).fit(sparse.csr_array(X), y)
    for rows in (sparse.csr_array(X), sparse.csc_array(X)):
        np.testing.assert_allclose(model.decision_function(rows), model.decision_function(X))


def test_linear_head_as_crt_and_balanced_softmax_lift_the_rare_class() -> None:
    X, y = make_blobs(n_samples=[1000, 20], n_features=4, random_state=0, cluster_std=4.0)
    plain = LinearHead(random_state=0).fit(X, y)
    crt = LinearHead(epochs=30, milestones=(10, 20), class_balanced=True, random_state=0).fit(X, y)
    softmax = LinearHead(logit_adjustment=1.0, random_state=0).fit(X, y)
    before = recall_score(y, plain.predict(X))
    assert min(recall_score(y, model.predict(X)) for model in (crt, softmax)) > before + 0.2


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TauNormalized(KNeighborsClassifier()), "'estimator' parameter of TauNormalized"),
        (TauNormalized(GaussianNB()), "'estimator' parameter of TauNormalized"),
        (TauNormalized(LogisticRegression(), tau=-1), "'tau' parameter of TauNormalized"),
        (PostHocLogitAdjustment(NearestClassMean()), "'estimator' parameter of PostHocLogitAdjustment"),
        (PostHocLogitAdjustment(LogisticRegression(), tau=-0.1), "'tau' parameter"),
        (NearestClassMean(), "only one class"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named(model: Any, message: str) -> None:
    y = [1, 1, 1] if isinstance(model, NearestClassMean) else [1, 2, 1]
    with pytest.raises(ValueError, match=message):
        model.fit([[0.0], [1.0], [2.0]], y)


def test_a_classifier_without_a_weight_per_class_is_refused() -> None:
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier
    from sklearn.svm import SVC

    X, y = blobs(20, 20, 20)
    one_vs_one = SVC(kernel="linear", decision_function_shape="ovo")
    four = make_blobs(n_samples=[20] * 4, random_state=0)
    with pytest.raises(InputError, match="SVC has no coef_ of 4 rows"):
        TauNormalized(one_vs_one).fit(*four)
    stack = StackingClassifier([("forest", RandomForestClassifier(5))], final_estimator=LogisticRegression())
    with pytest.raises(InputError, match="StackingClassifier has no coef_ of 3 rows"):
        TauNormalized(stack).fit(X, y)


def test_rows_of_pairs_of_classes_are_refused() -> None:
    X, y = make_blobs(60, centers=3, random_state=0)
    with pytest.raises(InputError, match="one row of coef_ per pair of classes; use LinearSVC"):
        TauNormalized(SVC(kernel="linear")).fit(X, y)


def test_labels_that_a_fitted_estimator_does_not_know() -> None:
    X, y = make_blobs(60, centers=3, random_state=0)
    frozen = FrozenEstimator(LogisticRegression().fit(X[y != 1], y[y != 1]))
    with pytest.raises(InputError, match="y: 1 is none of the classes of the fitted estimator"):
        PostHocLogitAdjustment(frozen).fit(X, y)


@pytest.mark.parametrize(
    "model",
    [TauNormalized(LinearHead(random_state=0), tau=1e300), PostHocLogitAdjustment(LinearHead(), tau=1.7e308)],
    ids=repr,
)
def test_an_absurd_tau_is_named(model: Any) -> None:
    X, y = make_blobs(n_samples=[60, 20, 10], random_state=0)
    with pytest.raises(InputError, match=rf"tau: .*{re.escape(f'{model.tau:g}')}"):
        model.fit(X, y)


def test_nearest_class_mean_of_values_whose_squares_vanish_or_overflow() -> None:
    X, y = make_blobs(n_samples=90, centers=3, random_state=0, cluster_std=0.5)
    expected = NearestClassMean().fit(X, y)
    tiny = NearestClassMean().fit(X * 2.0**-1000, y)  # about 1e-301
    np.testing.assert_allclose(
        tiny.decision_function(X * 2.0**-1000), expected.decision_function(X), rtol=1e-9
    )
    with pytest.raises(InputError, match=r"X: values as large as .* cannot be brought to unit length"):
        NearestClassMean().fit(X * 1e200, y)
    with pytest.raises(InputError, match=r"X: values as large as .* cannot be brought to unit length"):
        expected.predict(X * 1e200)
