"""Balanced SVM: SMOTE's rows, the labels of an SVM written out by hand."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from scipy import sparse
from sklearn.svm import SVC
from sklearn.utils._param_validation import InvalidParameterError

from eos.samplers.balanced_svm import BalancedSVM


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


def test_class_smaller_than_its_neighborhood_is_refused_as_by_smote() -> None:
    X, y = overlapping()
    keep = np.concatenate([np.flatnonzero(y != 7), np.flatnonzero(y == 7)[:3]])
    with pytest.raises(ValueError, match="n_neighbors"):
        BalancedSVM(random_state=0).fit_resample(X[keep], y[keep])


@pytest.mark.parametrize("parameters", [{"relabel": "none"}, {"k_neighbors": 0}])
def test_bad_parameters(parameters: dict) -> None:
    X, y = overlapping()
    with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
        BalancedSVM(**parameters).fit_resample(X, y)
