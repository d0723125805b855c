"""TailCalib: synthetic samples from Gaussians whose mean and spread are borrowed from the nearest classes."""

from __future__ import annotations

import numbers
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from threadpoolctl import threadpool_limits

from eos.errors import InputError
from eos.samplers.rows import FloatingRows
from eos.validation import LARGEST_SQUARED, largest_magnitude

# What the published code adds to the diagonal of every covariance, so that it has a Cholesky factor.
_JITTER = 1e-4


class TailCalib(FloatingRows, BaseOverSampler):
    """Over-sample each class by Gaussians that are calibrated by the nearest classes (TailCalib).

    A sample x of a class to be filled gets a Gaussian of its own: its mean is the mean of x and the
    `n_neighbors` class means that are nearest to x (its own class is one of them as a rule), its covariance
    the mean of those classes' covariances. So a class of few samples borrows the spread of classes like it.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes to extend, and how far, as in every over-sampler of imbalanced-learn.

    random_state : int, RandomState instance or None, default=None
        The seed, the generator, or None for NumPy's global legacy generator.

    n_neighbors : int, default=3
        How many classes are borrowed from; at most the number of classes, and fewer where there are fewer.

    alpha : float, default=0.0
        Added to every entry of each covariance, as in [1]_: it shifts all features of a sample by the same
        normal number of this variance.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of samples to generate for each class.

    means_, covariances_ : ndarray of shape (n_classes, n_features) and (n_classes, n_features, n_features)
        Of the classes, in the order of their labels. A class of a single sample has no spread: its covariance
        is 0.

    n_features_in_, feature_names_in_
        Number of features in the input, and their names, where `X` has names that are all strings.

    See Also
    --------
    eos.EOS : Samples towards the nearest enemies.
    imblearn.over_sampling.SMOTE : Interpolates between members of one class.

    Notes
    -----
    Every member of a class gets the same number of samples; what does not divide is given to members drawn at
    random. In [1]_ features are first raised to a power (Tukey's ladder), which test
    features need as well, so it is not a sampler's to do: for the same result transform all of them before.
    The power is 1 in the setting of [1]_ for the largest imbalance of CIFAR.

    As in the published code 1e-4 is added to the variances (1e-10 of the largest, where that is more), so
    that covariances have Cholesky factors. Samples may be negative where features cannot be. The covariances
    take ``n_classes * n_features ** 2`` numbers. Sparse input is accepted, but is made dense.

    References
    ----------
    .. [1] R. Vigneswaran, M. T. Law, V. N. Balasubramanian, M. Tapaswi, "Feature generation for long-tail
       classification", ICVGIP 2021, equations 7 and 8.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from eos import TailCalib
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> X_resampled, y_resampled = TailCalib(random_state=0).fit_resample(X, y)
    >>> X.shape, X_resampled.shape
    ((300, 20), (540, 20))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseOverSampler._parameter_constraints,
        "n_neighbors": [Interval(numbers.Integral, 1, None, closed="left")],
        "alpha": [Interval(numbers.Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        n_neighbors: int = 3,
        alpha: float = 0.0,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.n_neighbors = n_neighbors
        self.alpha = alpha

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        random_state = check_random_state(self.random_state)
        rows = X.toarray() if sparse.issparse(X) else X
        if not (filled := {label: count for label, count in self.sampling_strategy_.items() if count}):
            return X.copy(), y.copy()
        made = [X]
        with threadpool_limits(limits=1, user_api="blas"):  # the sums would depend on their number
            factors = self._fit_classes(rows.astype(np.float64), y)
            for label, n_samples in filled.items():
                members = rows[y == label].astype(np.float64)
                new = self._draw(members, factors, n_samples, random_state)
                with np.errstate(over="ignore"):
                    new = new.astype(X.dtype)
                if not np.isfinite(new).all():
                    raise InputError(
                        f"X: samples of values as large as {largest_magnitude(rows):g} with alpha "
                        f"{self.alpha:g} overflow {X.dtype}; scale the features down, or lower alpha"
                    )
                made.append(type(X)(new) if sparse.issparse(X) else new)
        stacked = sparse.vstack(made, format=X.format) if sparse.issparse(X) else np.concatenate(made)
        labels = [np.full(n_samples, label, dtype=y.dtype) for label, n_samples in filled.items()]
        return stacked, np.concatenate([y, *labels])

    def _fit_classes(self, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Set the classes' means and covariances; return the Cholesky factors of the latter."""
        # As squares of distances between classes are taken later, a class that does not spread is no help.
        if (largest := largest_magnitude(rows)) > LARGEST_SQUARED:
            raise InputError(
                f"X: covariances of values as large as {largest:g} overflow; scale the features down (to "
                f"{LARGEST_SQUARED:g} at most)"
            )
        means, covariances = [], []
        for label in np.unique(y):
            members = rows[y == label]
            means.append(members.mean(axis=0))
            centred = members - means[-1]
            covariances.append(centred.T @ centred / max(1, len(members) - 1))
        self.means_, self.covariances_ = np.stack(means), np.stack(covariances)
        # The jitter has to be more than what rounding can make negative.
        largest = self.covariances_.diagonal(axis1=1, axis2=2).max(initial=0)
        jitter = max(_JITTER, 1e-10 * largest)
        return np.linalg.cholesky(self.covariances_ + jitter * np.eye(rows.shape[1]))

    def _draw(
        self, members: np.ndarray, factors: np.ndarray, n_samples: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Draw samples around the members of a class, (n_samples, n_features)."""
        k = min(self.n_neighbors, len(self.means_))
        base = np.tile(np.arange(len(members)), n_samples // len(members))
        base = np.append(base, random_state.permutation(len(members))[: n_samples % len(members)])
        distances = np.stack([np.square(members - mean).sum(axis=1) for mean in self.means_], axis=1)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        new = ((members + self.means_[nearest].sum(axis=1)) / (k + 1))[base]
        # The mean of k covariances is that of the sum of k independent normal vectors over the root of k.
        for place in range(k):
            normal = random_state.standard_normal((n_samples, members.shape[1]))
            source = nearest[base, place]
            for number in np.unique(source):
                chosen = source == number
                new[chosen] += normal[chosen] @ factors[number].T / np.sqrt(k)
        new += np.sqrt(float(self.alpha)) * random_state.standard_normal((n_samples, 1))
        return new
