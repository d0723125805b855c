"""Balanced SVM: SMOTE's rows, the labels of an SVM written out by hand."""

from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils._param_validation import InvalidParameterError

from eos.errors import InputError
from eos.samplers.balanced_svm import BalancedSVM, fitted_svm, predicted_labels


def overlapping(n_features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Three classes that an SVM cannot separate, on features of very different scales."""
    rng = np.random.RandomState(1)
    y = rng.permutation(np.repeat([2, 5, 7], [60, 25, 10]))
    X = rng.normal(size=(len(y), n_features)) + 0.3 * y[:, np.newaxis]
    return X * 10.0 ** np.arange(n_features) + 5, y


def svm_labels(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Predict the labels of `X` by an SVM fitted to it: C = 1, RBF width 1 / features after standardising."""
    standardised = (X - X.mean(axis=0)) / X.std(axis=0)
    return SVC(C=1.0, kernel="rbf", gamma=1 / X.shape[1]).fit(standardised, y).predict(standardised)


@pytest.mark.parametrize("relabel", ["synthetic", "all"])
@pytest.mark.parametrize("k_neighbors", [2, 5])
def test_rows_are_smotes_and_labels_the_svms(relabel: str, k_neighbors: int) -> None:
    X, y = overlapping()
    rows, before = SMOTE(random_state=3, k_neighbors=k_neighbors).fit_resample(X, y)
    predicted = svm_labels(rows, before)
    first = 0 if relabel == "all" else len(y)
    expected = np.concatenate([before[:first], predicted[first:]])
    X_resampled, y_resampled = BalancedSVM(
        random_state=3, k_neighbors=k_neighbors, relabel=relabel
    ).fit_resample(X, y)
    assert np.array_equal(X_resampled, rows)
    assert np.array_equal(y_resampled, expected)
    assert not np.array_equal(expected[len(y) :], before[len(y) :])  # the case is one where labels change
    assert np.array_equal(y_resampled[: len(y)], y) == (relabel == "synthetic")


def test_sampling_strategy_says_how_many_rows_smote_makes() -> None:
    X, y = overlapping()
    sampler = BalancedSVM(random_state=0, sampling_strategy={7: 30})
    X_resampled, y_resampled = sampler.fit_resample(X, y)
    assert sampler.sampling_strategy_ == {7: 20}
    assert len(X_resampled) == len(y_resampled) == len(X) + 20


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_equals_dense(make: type) -> None:
    X, y = overlapping()
    dense, labels = BalancedSVM(random_state=0).fit_resample(X, y)
    result, sparse_labels = BalancedSVM(random_state=0).fit_resample(make(X), y)
    assert sparse.issparse(result)
    assert np.allclose(result.toarray(), dense)
    assert np.array_equal(sparse_labels, labels)


def test_string_labels() -> None:
    X, y = overlapping()
    names = np.array(["", "", "two", "", "", "five", "", "seven"])[y]
    _, numbers = BalancedSVM(random_state=0, sampling_strategy={5: 60, 7: 60}).fit_resample(X, y)
    _, words = BalancedSVM(random_state=0, sampling_strategy={"five": 60, "seven": 60}).fit_resample(X, names)
    assert words.dtype == names.dtype
    # SMOTE fills the classes in label order, which differs, so only the numbers of rows must agree.
    assert len(words) == len(numbers)
    assert set(words) == {"two", "five", "seven"}


@pytest.mark.parametrize("k_neighbors", [5, NearestNeighbors(n_neighbors=6)])
def test_class_smaller_than_its_neighborhood_is_refused_by_name(k_neighbors: Any) -> None:
    X, y = overlapping()
    keep = np.concatenate([np.flatnonzero(y != 7), np.flatnonzero(y == 7)[:3]])
    with pytest.raises(InputError, match=r"k_neighbors: 5 nearest members of class 7 .* give at most 2"):
        BalancedSVM(random_state=0, k_neighbors=k_neighbors).fit_resample(X[keep], y[keep])
    only_5 = BalancedSVM(random_state=0, sampling_strategy={5: 40}, k_neighbors=k_neighbors)
    assert len(only_5.fit_resample(X[keep], y[keep])[0]) == len(keep) + 15  # no member of 7 is searched for


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, bool, np.float16])
def test_whole_numbers_and_truths_become_float64(dtype: type) -> None:
    X, y = overlapping()
    X = np.abs(X / X.max(axis=0) * 120).astype(dtype)
    rows, _ = BalancedSVM(random_state=3).fit_resample(X, y)
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, SMOTE(random_state=3).fit_resample(X.astype(float), y)[0])


@pytest.mark.parametrize(("factor", "message"), [(1e150, "as large as"), (1e-200, "no value is larger than")])
def test_values_whose_squares_are_of_no_use_are_refused(factor: float, message: str) -> None:
    X, y = overlapping()
    with pytest.raises(InputError, match=f"X: .*{message} .*; scale the features"):
        BalancedSVM(random_state=0).fit_resample(X * factor, y)


@pytest.mark.parametrize("parameters", [{"relabel": "none"}, {"k_neighbors": 0}])
def test_bad_parameters(parameters: dict[str, Any]) -> None:
    X, y = overlapping()
    with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
        BalancedSVM(**parameters).fit_resample(X, y)


def test_the_machine_is_the_one_that_scikit_learn_fits() -> None:
    X, y = overlapping()
    ours, plain = fitted_svm(X, y), make_pipeline(StandardScaler(), SVC()).fit(X, y)
    assert list(ours.named_steps) == list(plain.named_steps)
    np.testing.assert_array_equal(ours[-1].support_, plain[-1].support_)
    np.testing.assert_allclose(ours[-1].dual_coef_, plain[-1].dual_coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.decision_function(X), plain.decision_function(X), rtol=1e-9)


def clouds(n_classes: int, n_features: int) -> tuple[Pipeline, np.ndarray]:
    """Return an SVM of overlapping classes, and other rows, some of them on its boundary or far outside."""
    rng = np.random.default_rng(n_classes)
    y = rng.integers(0, n_classes, 400)
    X = rng.normal(size=(len(y), n_features)) + rng.normal(0, 0.5, (n_classes, n_features))[y]
    svm = make_pipeline(StandardScaler(), SVC()).fit(X, 3 * y + 1)
    rows = rng.normal(size=(1500, n_features))
    rows[::50] *= 100
    if n_classes == 2:  # bisect between a row of each label
        low, high = (rows[svm.predict(rows) == label][:200] for label in (1, 4))
        size = min(len(low), len(high))
        low, high = low[:size], high[:size]
        for _ in range(40):
            middle = (low + high) / 2
            is_low = (svm.predict(middle) == 1)[:, np.newaxis]
            low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
        rows = np.concatenate([rows, low, high])
    return svm, rows


def test_a_row_that_no_support_vector_reaches_gets_the_svms_label() -> None:
    """Of mirrored classes the intercept is 0, so that far away the decision is exactly 0: a tie."""
    X = np.array([[-2.0, 0], [-1, 1], [-1, -1], [2, 0], [1, 1], [1, -1]])
    svm = fitted_svm(X, np.repeat([3, 8], 3))
    far = np.array([[0.0, 1e4], [-1e4, 0.0]])
    assert (svm.decision_function(far) == 0).all()
    np.testing.assert_array_equal(predicted_labels(svm, far), svm.predict(far))


@pytest.mark.parametrize(("n_classes", "n_features"), [(2, 3), (3, 2), (4, 100), (12, 5)])
def test_labels_are_those_that_the_svm_predicts(
    n_classes: int, n_features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    svm, rows = clouds(n_classes, n_features)
    expected = svm.predict(rows)
    assert len(np.unique(expected)) == n_classes
    asked: list[int] = []
    predict = Pipeline.predict

    def counting(svm: Pipeline, X: np.ndarray) -> np.ndarray:
        asked.append(len(X))
        return predict(svm, X)

    monkeypatch.setattr(Pipeline, "predict", counting)
    np.testing.assert_array_equal(predicted_labels(svm, rows), expected)
    if n_classes > 2:
        assert sum(asked) < len(rows) / 4  # only the doubtful ones are left to the SVM
    else:
        assert sum(asked) >= 200  # of each pair at the boundary at least one
