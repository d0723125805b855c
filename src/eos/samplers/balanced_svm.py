"""Balanced SVM: SMOTE, then the labels that a support-vector machine gives."""

from __future__ import annotations

import numbers
from typing import Any, ClassVar

import numpy as np
from imblearn.base import BaseSampler
from imblearn.over_sampling import SMOTE
from scipy import sparse
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils._param_validation import StrOptions

from eos.errors import InputError
from eos.samplers.rows import FloatingRows
from eos.validation import check_magnitude, check_squares

# Rows whose kernel values are in memory at a time.
_CHUNK = 512


class BalancedSVM(FloatingRows, BaseSampler):
    """Over-sample with SMOTE, then replace labels by the predictions of an SVM.

    The classes are first balanced by SMOTE. A multi-class support-vector machine with an RBF kernel
    (``C=1``, ``gamma="scale"``) is fitted to the balanced, standardised rows, and its predictions
    replace the labels: a sample that SMOTE put on the far side of the boundary joins the class it
    lies in.

    Because of that the classes need not end at the size that `sampling_strategy` asks for: it says
    how many samples SMOTE generates. So this is a sampler (`BaseSampler`), not one of imbalanced-learn's
    `BaseOverSampler`, whose contract is the exact size.

    Parameters
    ----------
    sampling_strategy, random_state, k_neighbors : default="auto", None, 5
        Those of `imblearn.over_sampling.SMOTE`, which is run with them.

    relabel : {"synthetic", "all"}, default="synthetic"
        Which rows get the label that the SVM predicts: the synthetic ones, or the real ones too, as in
        [1]_, where the SVM's labels replace all targets.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of samples to generate for each class.

    svm_ : Pipeline
        The fitted `StandardScaler` and `SVC`.

    n_features_in_, feature_names_in_
        Number of features in the input, and their names, where `X` has names that are all strings.

    See Also
    --------
    imblearn.over_sampling.SMOTE : The first step alone.
    imblearn.over_sampling.SVMSMOTE : Another method: SMOTE from the support vectors of an SVM.
    eos.EOS : Samples towards the nearest enemies.

    Notes
    -----
    Features that are not floating point are sampled as float64; float32 stays float32. A pandas frame gets
    its own dtypes back, so convert one of whole numbers first. Sparse input is accepted, but is made dense
    for the SVM, which needs centred features.

    References
    ----------
    .. [1] M. A. H. Farquad, I. Bose, "Preprocessing unbalanced data using support vector machine",
       Decision Support Systems 53(1), 226-233, 2012.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from eos import BalancedSVM
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> X_resampled, y_resampled = BalancedSVM(random_state=0).fit_resample(X, y)
    >>> X.shape, X_resampled.shape
    ((300, 20), (540, 20))
    """

    # The base class needs it to read `sampling_strategy` as an over-sampler does.
    _sampling_type = "over-sampling"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SMOTE._parameter_constraints,
        "relabel": [StrOptions({"synthetic", "all"})],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        k_neighbors: Any = 5,
        relabel: str = "synthetic",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.relabel = relabel

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        smote = SMOTE(
            sampling_strategy=self.sampling_strategy,
            random_state=self.random_state,
            k_neighbors=self.k_neighbors,
        )
        values = X.data if sparse.issparse(X) else X
        check_squares(values, "X")
        check_magnitude(values, "X", float(np.finfo(X.dtype).max) / 4, f"interpolated in {X.dtype}")
        self._check_neighbors(y)
        X_balanced, y_balanced = smote.fit_resample(X, y)
        rows = X_balanced.toarray() if sparse.issparse(X_balanced) else X_balanced
        self.svm_ = fitted_svm(rows, y_balanced)
        first = 0 if self.relabel == "all" else len(y)
        if first < len(rows):
            y_balanced[first:] = predicted_labels(self.svm_, rows[first:])
        return X_balanced, y_balanced

    def _check_neighbors(self, y: np.ndarray) -> None:
        """Raise the error that says which class to be filled is too small for SMOTE's search."""
        k = self.k_neighbors
        if not isinstance(k, numbers.Integral):
            k = getattr(k, "n_neighbors", None)  # of an object, which counts the point itself
            k = k - 1 if isinstance(k, numbers.Integral) else 0
        for label, n_samples in self.sampling_strategy_.items():
            others = np.count_nonzero(y == label) - 1
            if n_samples and k > others:
                raise InputError(
                    f"k_neighbors: {k} nearest members of class {label} are looked for, but a member has "
                    f"{others} others; "
                    + (f"give at most {others}" if others else "leave the class out, or give it more samples")
                )


def fitted_svm(rows: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Return ``make_pipeline(StandardScaler(), SVC()).fit(rows, labels)`` for dense rows, in less time.

    The solver looks at the rows of two classes at a time, in their order. With the rows of a class side by
    side in memory it takes a quarter less, and finds the same machine up to the rounding of ``gamma``.
    """
    order = np.argsort(labels, kind="stable")
    scaler = StandardScaler().fit(rows)
    svc = SVC().fit(scaler.transform(rows[order]), labels[order])
    svc.support_ = order[svc.support_].astype(svc.support_.dtype)  # as row numbers of `rows`
    return make_pipeline(scaler, svc)


def predicted_labels(svm: Pipeline, rows: np.ndarray) -> np.ndarray:
    """Return ``svm.predict(rows)``, by matrix products instead of one kernel value after the other.

    A class that wins all of its one-vs-one decisions gets the most votes, whatever the other pairs decide.
    The products are in float32: where no class wins by more than their rounding could change, the row is left
    to `svm` itself. So the labels are its own, not nearly its own.

    Parameters
    ----------
    svm : Pipeline
        A fitted transformer or several, then an `SVC` with an RBF kernel that is fitted to dense rows.
    rows : ndarray of shape (n_samples, n_features)
        Rows in the form that `svm` takes.
    """
    svc = svm[-1]
    scaled = svm[:-1].transform(rows).astype(np.float64, copy=False)
    # Two more columns make the kernel's exponent, -gamma * |row - vector|^2, a single product.
    gamma, vectors = svc._gamma, svc.support_vectors_
    lengths = gamma * np.einsum("ij,ij->i", scaled, scaled)
    left = np.column_stack([scaled, -lengths, np.ones(len(scaled))]).astype(np.float32)
    vector_lengths = gamma * np.einsum("ij,ij->i", vectors, vectors)
    right = np.column_stack([2 * gamma * vectors, np.ones(len(vectors)), -vector_lengths]).astype(np.float32)
    weights, intercepts = _by_class(svc)
    # The relative rounding error grows with the exponent's terms. This is over ten times what was measured.
    slack = 2e-5 * (1 + lengths)

    winners = np.empty(len(rows), dtype=np.intp)
    clear = np.empty(len(rows), dtype=bool)
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        kernel = left[chunk] @ right.T
        np.exp(kernel, out=kernel)
        # pull[i, row, j]: how strongly the support vectors of class i pull the row away from class j.
        pull = np.stack([kernel[:, mine] @ weight for mine, weight in weights])
        lead = pull - pull.T + intercepts[:, np.newaxis] - slack[chunk, np.newaxis] * (pull + pull.T)
        narrowest = lead.min(axis=2)
        winners[chunk] = narrowest.argmax(axis=0)
        clear[chunk] = narrowest.max(axis=0) > 0
    labels = svc.classes_[winners]
    if not clear.all():
        labels[~clear] = svm.predict(rows[~clear])
    return labels


def _by_class(svc: SVC) -> tuple[list[tuple[slice, np.ndarray]], np.ndarray]:
    """Return, for each class, its support vectors' places and weights (places, C); and intercepts (C, C).

    The decision for class i against class j is the pull of i's support vectors less that of j's plus the
    intercept (i, j). scikit-learn has the weights of both with the sign of the lower class, and a column for
    each of the C - 1 others.
    """
    ends = np.cumsum(svc.n_support_)
    places = [slice(end - count, end) for end, count in zip(ends, svc.n_support_, strict=True)]
    weights = [
        np.insert(np.abs(svc.dual_coef_[:, mine]), number, 0, axis=0).T.astype(np.float32)
        for number, mine in enumerate(places)
    ]
    n_classes = len(places)
    intercepts = np.zeros((n_classes, n_classes))
    # With two classes, scikit-learn turns the sign over, so that the decision is for the second one.
    intercepts[np.triu_indices(n_classes, 1)] = svc.intercept_ if n_classes > 2 else -svc.intercept_
    intercepts -= intercepts.T
    np.fill_diagonal(intercepts, np.inf)  # no class decides against itself
    return list(zip(places, weights, strict=True)), intercepts
