"""Rivals of the retrained head as scikit-learn estimators, none of which trains by gradient."""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from eos.errors import InputError
from eos.heads.linear_head import checked_weights, linear_scores
from eos.heads.rules import nearest_mean_layer, tau_normalized, unit_rows
from eos.heads.softmax import log_prior
from eos.validation import LARGEST_SQUARED, check_magnitude, check_rows, labels_of_one_kind


class _Decider(ClassifierMixin, BaseEstimator):
    """A classifier that decides by its `decision_function`."""

    def decision_function(self, X: npt.ArrayLike) -> np.ndarray:
        raise NotImplementedError

    def predict(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the class with the largest output, out of `classes_`: ndarray of shape (n_samples,)."""
        scores = self.decision_function(X)
        winners = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[winners]


class NearestClassMean(_Decider):
    """Give each row the class whose mean is nearest, after centring and scaling to unit length (NCM).

    The rows are centred by the mean of all training rows and brought to unit length; each class is the mean
    of its rows after that, which is not brought to unit length again. Nothing is trained, and the size of a
    class has no part in it but in the mean of all.

    Attributes
    ----------
    means_ : ndarray of shape (n_classes, n_features)
        Mean of each class's centred, unit-length rows.
    center_ : ndarray of shape (n_features,)
        Mean of the training rows.
    coef_, intercept_ : ndarray of shape (n_classes, n_features) and (n_classes,)
        The same classifier as a linear layer on centred, unit-length rows: ``2 c`` and ``-|c|^2`` for the
        mean c.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had string column names.

    See Also
    --------
    sklearn.neighbors.NearestCentroid : The same without centring and unit length.
    eos.LinearHead : The paper's retrained head.

    References
    ----------
    .. [1] B. Kang et al., "Decoupling representation and classifier for long-tailed recognition", ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from eos import NearestClassMean
    >>> X, y = make_blobs(n_samples=300, centers=3, random_state=0, cluster_std=0.5)
    >>> NearestClassMean().fit(X, y).score(X, y) > 0.95
    True
    """

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Compute the means.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Feature embeddings.
        y : array-like of shape (n_samples,)
            Class labels, at least two different ones.

        Raises
        ------
        InputError
            If there is only one class.
        """
        features, labels = check_rows(self, X, y, dtype=[np.float64, np.float32])
        check_magnitude(features, "X", LARGEST_SQUARED, "brought to unit length")
        check_classification_targets(labels)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"y: only one class ({self.classes_[0]}); a classifier needs at least two classes"
            )
        self.coef_, self.intercept_, self.center_ = nearest_mean_layer(features, numbers, len(self.classes_))
        self.means_ = self.coef_ / 2
        return self

    def decision_function(self, X: npt.ArrayLike) -> np.ndarray:
        """Return ``2 z.c - |c|^2`` for each row z, centred and of unit length, and each mean c.

        It is largest for the nearest mean.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            One score per class; with two classes the second's less the first's.
        """
        check_is_fitted(self)
        rows: np.ndarray = check_rows(self, X, dtype=np.float64, reset=False)
        check_magnitude(rows, "X", LARGEST_SQUARED, "brought to unit length")
        scores = unit_rows(rows, self.center_) @ self.coef_.T + self.intercept_
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores


class _AroundClassifier(MetaEstimatorMixin, _Decider):
    """What the classifiers around another one share: fitting a clone of it."""

    estimator: Any

    def _fit_estimator(self, X: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None) -> None:
        if y is not None:
            labels_of_one_kind(y, "y")
        given = {} if weights is None else {"sample_weight": weights}
        self.estimator_ = clone(self.estimator).fit(X, y, **given)
        self.classes_ = self.estimator_.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        return tags


class PostHocLogitAdjustment(_AroundClassifier):
    """Take from a classifier's log-probabilities what the sizes of the classes put into them.

    ``tau * log(share of the class in y)`` is subtracted from each class's log-probability. With tau 1 the
    probabilities become those for classes of the same size, if the classifier's own are right.

    Parameters
    ----------
    estimator : estimator object
        A classifier with ``predict_proba``, fitted to the imbalanced rows. Do not put a sampler in it, nor
        give it class weights: the sizes of the classes would be taken out twice.
        `sklearn.frozen.FrozenEstimator` around one that is fitted already leaves it as it is; the shares are
        those of the `y` that `fit` gets.
    tau : float, default=1.0
        How much of the logarithm is subtracted, not negative; 0 is the classifier itself.

    Attributes
    ----------
    estimator_ : estimator object
        The fitted classifier.
    log_prior_ : ndarray of shape (n_classes,)
        Logarithms of the shares.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_, feature_names_in_
        Those of the classifier, where it has them.

    See Also
    --------
    eos.LinearHead : Its `logit_adjustment` does the same to the loss.

    References
    ----------
    .. [1] A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.metrics import balanced_accuracy_score
    >>> from eos import PostHocLogitAdjustment
    >>> X, y = make_classification(n_samples=2000, weights=[0.95, 0.05], class_sep=0.5, random_state=0)
    >>> plain = LogisticRegression().fit(X, y)
    >>> adjusted = PostHocLogitAdjustment(LogisticRegression()).fit(X, y)
    >>> bool(balanced_accuracy_score(y, adjusted.predict(X)) > balanced_accuracy_score(y, plain.predict(X)))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "tau": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, estimator: Any, *, tau: float = 1.0) -> None:
        self.estimator = estimator
        self.tau = tau

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]  # scikit-learn's
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Fit the classifier and count the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            In a form that the classifier takes.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), optional
            Handed on to the classifier; the shares are then shares of the weights.
        """
        self._fit_estimator(X, y, sample_weight)
        labels = column_or_1d(y)
        weights = None if sample_weight is None else checked_weights(sample_weight, labels)
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise InputError(
                f"y: {unknown.tolist()[0]!r} is none of the classes of the fitted estimator; give rows of "
                "its classes"
            )
        numbers = np.searchsorted(self.classes_, labels)
        self.log_prior_ = log_prior(numbers, len(self.classes_), weights)
        with np.errstate(over="ignore"):
            shifts = float(self.tau) * self.log_prior_
        if not np.isfinite(shifts).all():
            raise InputError(
                f"tau: {self.tau:g} times the logarithms of the classes' shares overflows; give a smaller one"
            )
        return self

    def decision_function(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the adjusted log-probabilities.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            They are not normalised. With two classes the second's less the first's.
        """
        scores = self._adjusted(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the adjusted probabilities, (n_samples, n_classes), in the order of `classes_`."""
        return softmax(self._adjusted(X), axis=1)

    def _adjusted(self, X: npt.ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        if hasattr(self.estimator_, "predict_log_proba"):
            logs = self.estimator_.predict_log_proba(X)
        else:
            logs = np.log(np.maximum(self.estimator_.predict_proba(X), np.finfo(np.float64).tiny))
        # Log-probabilities of 0 are raised to the least that can be told from others.
        return np.maximum(logs, np.finfo(np.float64).min / 4) - self.tau * self.log_prior_


class TauNormalized(_AroundClassifier):
    """Bring the weights of a linear classifier's classes closer to the same norm.

    Each class's weight is divided by the tau-th power of its norm; the bias is dropped. Larger classes tend
    to have larger weights. It needs features without a large common offset, such as a network's embeddings.

    Parameters
    ----------
    estimator : estimator object
        A linear classifier, such as `eos.LinearHead`, fitted to the imbalanced rows; it has ``coef_`` after
        `fit`. `sklearn.frozen.FrozenEstimator` around one that is fitted already leaves it as it is.
    tau : float, default=1.0
        The power, not negative. 0 only drops the bias, 1 makes all norms the same.

    Attributes
    ----------
    estimator_ : estimator object
        The fitted classifier.
    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        The normalised weight. With two classes a single row stands for both, so only the bias is dropped.
    intercept_ : ndarray of shape (n_classes,) or (1,)
        Zeros.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_, feature_names_in_
        Those of the classifier, where it has them.

    See Also
    --------
    eos.LinearHead : The paper's retrained head.

    References
    ----------
    .. [1] B. Kang et al., "Decoupling representation and classifier for long-tailed recognition", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from eos import LinearHead, TauNormalized
    >>> X, y = make_blobs(n_samples=300, centers=3, random_state=0, cluster_std=0.5)
    >>> model = TauNormalized(LinearHead(random_state=0)).fit(X, y)
    >>> np.linalg.norm(model.coef_, axis=1).round(6).tolist()
    [1.0, 1.0, 1.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "decision_function"])],
        "tau": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, estimator: Any, *, tau: float = 1.0) -> None:
        self.estimator = estimator
        self.tau = tau

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]  # scikit-learn's
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Fit the classifier and normalise its weight.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            In a form that the classifier takes.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), optional
            Handed on to the classifier.

        Raises
        ------
        InputError
            If the fitted classifier has no weight for each class.
        """
        self._fit_estimator(X, y, sample_weight)
        weight = np.asarray(getattr(self.estimator_, "coef_", None))
        rows = 1 if len(self.classes_) == 2 else len(self.classes_)
        if weight.ndim != 2 or len(weight) != rows:
            raise InputError(
                f"estimator: {type(self.estimator_).__name__} has no coef_ of {rows} rows after fit; give a "
                "linear classifier with one row per class, such as LinearHead or LogisticRegression"
            )
        if rows > 2 and hasattr(self.estimator_, "n_support_"):
            raise InputError(
                "estimator: SVC and NuSVC have one row of coef_ per pair of classes; use LinearSVC"
            )
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            self.coef_ = tau_normalized(weight, float(self.tau))
        if not np.isfinite(self.coef_).all() or (weight.any(axis=1) & ~self.coef_.any(axis=1)).any():
            raise InputError(
                f"tau: the norms of the weights raised to {self.tau:g} leave the range of float64; give a "
                "smaller power"
            )
        self.intercept_ = np.zeros(rows)
        return self

    def decision_function(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the outputs of the normalised layer.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            One score per class; with two classes a single one, positive for the second class.
        """
        check_is_fitted(self)
        X = check_rows(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        scores = linear_scores(X, self.coef_, self.intercept_)
        return scores[:, 0] if len(self.classes_) == 2 else scores
