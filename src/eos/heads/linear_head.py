"""The paper's classifier head as a scikit-learn estimator."""

import math
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from threadpoolctl import threadpool_limits

from eos.errors import InputError
from eos.heads.rows import SparseRows
from eos.heads.softmax import HeadConfig, fit
from eos.validation import check_rows, largest_magnitude

# Root mean squares between which the recipe works well. Below, ten epochs are too few steps: at 0.1, layers
# without a sampler on five data sets lost 7 to 62 points of balanced accuracy against their best scale.
# Above, they lost a few.
_SMALL, _LARGE = 0.2, 10.0

# Multiplications of a step from which more threads than one are of use; in less they wait for each other.
_WORTH_THREADS = 2**24


class LinearHead(ClassifierMixin, BaseEstimator):
    """Softmax regression trained by the paper's recipe: mini-batch SGD with momentum and a warm-up.

    A linear layer with a bias, trained from scratch on feature embeddings with the mean cross-entropy. It is
    what replaces a network's own classifier after its embeddings were balanced, and it works on any
    embeddings, in a pipeline behind any imbalanced-learn sampler. The computation is in the dtype of the
    features, float32 or float64.

    Parameters
    ----------
    epochs : int, default=10
        Passes over the training rows.
    learning_rate : float, default=0.1
        Step size after the warm-up.
    batch_size : int, default=128
        Rows per step; the last batch of an epoch may be smaller.
    momentum : float, default=0.9
        Momentum of SGD, in [0, 1), without dampening.
    weight_decay : float, default=2e-4
        Factor of the L2 penalty's gradient; it acts on the weight and on the bias.
    warmup_epochs : int, default=5
        Epochs of warm-up, in which the learning rate is ``learning_rate * epoch / warmup_epochs`` (the epoch
        counted from 1); 0 is no warm-up.
    milestones : sequence of int, default=()
        Epochs after which the learning rate is multiplied by `decay`, each once.
    decay : float, default=0.1
        That factor, in (0, 1].
    class_balanced : bool, default=False
        Draw as many rows per epoch as there are, with replacement: a class, each equally likely, then one of
        its rows. With ``epochs=30, milestones=(10, 20), weight_decay=5e-4`` this is the classifier
        re-training (cRT) of [2]_ with the settings in use for CIFAR. Do not combine it with a sampler.
    logit_adjustment : float, default=0.0
        While training, add this times the logarithm of each class's share of the rows to its output. The
        outputs of the trained layer are then those for classes of the same size. 1 is balanced softmax [3]_,
        other values the logit-adjusted loss of [4]_. Behind a sampler that has made the classes the same
        size, it changes nothing.
    random_state : int, RandomState instance or None, default=None
        Seeds the initial layer and the order of the rows. Pass an int for the same result in every call.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weight of the layer. With two classes, as in scikit-learn's `LogisticRegression`, the single row is
        the second class's weight minus the first's, which gives the same probabilities.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Bias of the layer; with two classes, the second minus the first.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had string column names.

    See Also
    --------
    eos.EOS : The sampler whose balanced embeddings the paper trains this head on.
    eos.NearestClassMean, eos.TauNormalized, eos.PostHocLogitAdjustment : Rivals that need no training of
        their own.
    sklearn.linear_model.LogisticRegression : The same model, fitted to convergence.

    Notes
    -----
    The recipe is made for a network's embeddings, whose features are of the order of 1. Those of unit-length
    embeddings in many dimensions are far smaller: put a StandardScaler in front. `fit` warns where the root
    mean square of the features is below 0.2 or above 10.

    Sparse rows are made dense a batch at a time. The result is that of the dense matrix.

    References
    ----------
    .. [1] D. Dablain, C. Bellinger, B. Krawczyk, N. Chawla, "Efficient Augmentation for Imbalanced Deep
       Learning", 2023: the classifier retraining of its three-phase framework.
    .. [2] B. Kang et al., "Decoupling representation and classifier for long-tailed recognition", ICLR 2020.
    .. [3] J. Ren et al., "Balanced meta-softmax for long-tailed visual recognition", NeurIPS 2020.
    .. [4] A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from eos import LinearHead
    >>> X, y = make_blobs(n_samples=300, centers=3, random_state=0, cluster_std=0.5)
    >>> head = LinearHead(random_state=0).fit(X, y)
    >>> head.predict_proba(X[:2]).shape
    (2, 3)
    >>> head.score(X, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        "milestones": ["array-like"],
        "decay": [Interval(Real, 0, 1, closed="right")],
        "class_balanced": ["boolean"],
        "logit_adjustment": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        epochs: int = 10,
        learning_rate: float = 0.1,
        batch_size: int = 128,
        momentum: float = 0.9,
        weight_decay: float = 2e-4,
        warmup_epochs: int = 5,
        milestones: Sequence[int] = (),
        decay: float = 0.1,
        class_balanced: bool = False,
        logit_adjustment: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.milestones = milestones
        self.decay = decay
        self.class_balanced = class_balanced
        self.logit_adjustment = logit_adjustment
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]  # scikit-learn's
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Train the layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Feature embeddings. Other dtypes than float32 are converted to float64.
        y : array-like of shape (n_samples,)
            Class labels, at least two different ones.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows' losses, not negative; only their ratios count. A row of weight 0 is left out.
            Behind a sampler in a pipeline there is no place for weights: the rows are others there.

        Returns
        -------
        self : LinearHead
            The fitted head.

        Raises
        ------
        InputError
            If there is only one class, or training diverges. It is a ValueError, as are scikit-learn's own
            errors for NaN, mismatched lengths and weights that are negative or all zero.

        Warns
        -----
        UserWarning
            If the features are far from unit scale.
        """
        features, labels = check_rows(self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32])
        check_classification_targets(labels)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"y: only one class ({self.classes_[0]}); a classifier needs at least two classes"
            )
        _warn_of_scale(features)
        weights = None
        if sample_weight is not None:
            weights = checked_weights(sample_weight, features)
            # A row of no weight takes no place in a batch either.
            features, numbers, weights = features[weights > 0], numbers[weights > 0], weights[weights > 0]
            weights = weights / weights.mean()
        config = self.get_params()
        config["milestones"] = _epochs(config["milestones"])
        config["batch_size"] = int(config["batch_size"])  # True is a whole number too
        seed = config.pop("random_state")
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        shape = len(self.classes_), features.shape[1], self.batch_size
        with threadpool_limits(limits=1 if math.prod(shape) < _WORTH_THREADS else None, user_api="blas"):
            weight, bias = fit(
                SparseRows(features) if sparse.issparse(features) else features,
                numbers,
                len(self.classes_),
                HeadConfig(**config),
                int(seed),
                sample_weight=weights,
                dtype=features.dtype,
            )
        if len(self.classes_) == 2:
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        self.coef_, self.intercept_ = weight, bias
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def decision_function(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the outputs of the layer for `X`, array-like or sparse, (n_samples, n_features).

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            One score per class; with two classes a single one, positive for the second class.
        """
        check_is_fitted(self)
        # In float64, so that a row's score does not depend on which rows it is computed with.
        X = check_rows(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        scores = linear_scores(X, self.coef_, self.intercept_)
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the probability of each class, the softmax of the layer's outputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return softmax(self._outputs(X), axis=1)

    def predict_log_proba(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the logarithm of each class's probability, however small that is.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return log_softmax(self._outputs(X), axis=1)

    def predict(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the most probable class of each row, out of `classes_`: ndarray of shape (n_samples,)."""
        scores = self.decision_function(X)
        winners = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[winners]

    def _outputs(self, X: npt.ArrayLike) -> np.ndarray:
        """Return one output for each class, also of two: (n_samples, n_classes)."""
        scores = self.decision_function(X)
        return np.column_stack([np.zeros_like(scores), scores]) if scores.ndim == 1 else scores


def linear_scores(X: Any, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the outputs of a linear layer (C, d), (C,) for rows (n, d), dense or sparse: (n, C).

    Raises
    ------
    InputError
        If they overflow.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scores: np.ndarray = X @ weight.T + bias
    # Differences of outputs are taken later.
    if not np.abs(scores).max(initial=0) <= np.finfo(scores.dtype).max / 4:  # nor is NaN
        largest = largest_magnitude(X.data if sparse.issparse(X) else X)
        raise InputError(
            f"X: outputs of values as large as {largest:g} overflow {scores.dtype}; scale the features as "
            "those of `fit` were"
        )
    return scores


def checked_weights(sample_weight: npt.ArrayLike, X: Any) -> np.ndarray:
    """Return the weights of the rows of `X`, or raise the error that says why they cannot be used."""
    if isinstance(sample_weight, Real):
        sample_weight = float(sample_weight)
    weights: np.ndarray = _check_sample_weight(
        sample_weight, X, ensure_non_negative=True, allow_all_zero_weights=False
    )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise InputError(
            f"sample_weight: the sum of weights as large as {weights.max():g} overflows {weights.dtype}; "
            "scale them down, only their ratios count"
        )
    return weights


def _epochs(milestones: Any) -> tuple[int, ...]:
    """Return the milestones as a tuple, or say which of them is none."""
    for milestone in milestones:
        if not isinstance(milestone, Integral) or milestone < 1:
            raise InputError(f"milestones: {milestone!r} is not an epoch, a whole number from 1")
    return tuple(int(milestone) for milestone in milestones)


def _warn_of_scale(features: Any) -> None:
    values, scaler = features, "StandardScaler()"
    if sparse.issparse(features):
        values, scaler = features.data, "StandardScaler(with_mean=False)"
    with np.errstate(over="ignore"):
        scale = np.linalg.norm(values) / np.sqrt(np.prod(features.shape))
    if not _SMALL <= scale <= _LARGE:
        warnings.warn(
            f"X: the root mean square of the features is {scale:.2g}, far from 1, the scale that the "
            f"training recipe is made for; put scikit-learn's {scaler} in front of LinearHead",
            UserWarning,
            stacklevel=4,  # the caller of `fit`, which scikit-learn wraps
        )
