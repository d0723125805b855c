"""Manifold-based over-sampling: noise along the manifold of a class, by principal axes or an auto-encoder."""

from __future__ import annotations

import numbers
import warnings
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.neural_network import MLPRegressor
from sklearn.utils._param_validation import Interval, StrOptions

from eos.samplers.dense import DenseOverSampler, deviations, scatter
from eos.samplers.eos import listed_classes

# Variances below this share of the largest are rounding.
_ROUNDING = 1e-12
# Of the auto-encoder's training: rows of a step, steps whose rows are drawn at once, the rate of Adam.
_BATCH, _STEPS, _LEARNING_RATE = 128, 32, 0.01


class ManifoldOverSampler(DenseOverSampler):
    """Over-sample each class on its manifold, learnt by principal axes or by a denoising auto-encoder.

    Interpolation between members leaves the manifold that a class lies on where that is curved. Here the
    manifold is learnt first, and samples are drawn on it around members of the class.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes to extend, and how far, as in every over-sampler of imbalanced-learn.

    random_state : int, RandomState instance or None, default=None
        The seed, the generator, or None for NumPy's global legacy generator.

    form : {"pca", "autoencoder"}, default="pca"
        - ``"pca"``: the manifold is the flat one of the class's principal axes. A member is projected on it
          and moves along each axis by a normal draw.
        - ``"autoencoder"``: the manifold is what a denoising auto-encoder with one hidden layer returns. A
          member moves by a normal draw in each feature, and the auto-encoder takes it back.

    noise : float, default=0.25
        The standard deviation of these draws: of ``"pca"`` in standard deviations along the axis, of
        ``"autoencoder"`` in standard deviations of the feature, in the training as in the draws.

    variance : float, default=0.95
        Of ``"pca"``: the share of the variance that the principal axes have to explain; the fewest that do
        are kept.

    pooled_rows : float, default=50.0
        Of ``"pca"``: the covariance that all classes have in common, around their means, counts in that of
        each class as this many rows. So a class of few rows has axes at all. 0: each class has its own.

    hidden_share : float, default=0.3
        Of ``"autoencoder"``: the size of the hidden layer as a share of the number of features, at least 2.

    steps : int, default=1000
        Of ``"autoencoder"``: steps of training, each on 128 rows that are drawn at random, of each class
        equally many on average, with noise of their own.

    per_class : bool, default=False
        Of ``"autoencoder"``: whether each class to be filled has an auto-encoder of its own, as published,
        or all share one. One that has seen a few rows only returns those.

    passes : int, default=1
        Of ``"autoencoder"``: how many times in a row it takes a sample back.

    clip : bool, default=False
        Raise negative values to 0 in features of which no row has a negative value, such as those behind a
        ReLU.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of samples to generate for each class.

    n_features_in_, feature_names_in_
        Number of features in the input, and their names, where `X` has names that are all strings.

    Warns
    -----
    UserWarning
        If samples of a class are copies of its members, because it does not vary, and neither pooled rows nor
        a shared auto-encoder help it.

    See Also
    --------
    eos.EOS : Samples towards the nearest enemies.
    eos.SWIM : Samples where the density of the other classes is that of a member.

    Notes
    -----
    The covariance of a class of n rows is ``(1 - w) own + w pooled`` with
    ``w = pooled_rows / (pooled_rows + n - 1)``. [1]_ has classes alone (``pooled_rows=0``,
    ``per_class=True``), of two.

    The auto-encoder is scikit-learn's `MLPRegressor` on standardised features: a hidden layer with the
    logistic function, a linear one, squared error, Adam at a rate of 0.01, no penalty. These are settings of
    this project; noise of 0.1 and a hidden layer of 0.3 of the features are in use for the method of [2]_.

    Features that are the same in all rows stay as they are; so do, with ``pooled_rows=0`` or
    ``per_class=True``, those that are the same in all members. Sparse input is accepted, but is made dense.

    References
    ----------
    .. [1] C. Bellinger, C. Drummond, N. Japkowicz, "Manifold-based synthetic oversampling with manifold
       conformance estimation", Machine Learning 107, 605-637, 2018.
    .. [2] C. Bellinger, N. Japkowicz, C. Drummond, "Synthetic oversampling for advanced radioactive threat
       detection", ICMLA 2015.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from eos import ManifoldOverSampler
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> X_resampled, y_resampled = ManifoldOverSampler(random_state=0).fit_resample(X, y)
    >>> X.shape, X_resampled.shape
    ((300, 20), (540, 20))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseOverSampler._parameter_constraints,
        "form": [StrOptions({"pca", "autoencoder"})],
        "noise": [Interval(numbers.Real, 0, None, closed="left")],
        "variance": [Interval(numbers.Real, 0, 1, closed="right")],
        "pooled_rows": [Interval(numbers.Real, 0, None, closed="left")],
        "hidden_share": [Interval(numbers.Real, 0, 1, closed="right")],
        "steps": [Interval(numbers.Integral, 1, None, closed="left")],
        "per_class": ["boolean"],
        "passes": [Interval(numbers.Integral, 1, None, closed="left")],
        "clip": ["boolean"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        form: str = "pca",
        noise: float = 0.25,
        variance: float = 0.95,
        pooled_rows: float = 50.0,
        hidden_share: float = 0.3,
        steps: int = 1000,
        per_class: bool = False,
        passes: int = 1,
        clip: bool = False,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.form = form
        self.noise = noise
        self.variance = variance
        self.pooled_rows = pooled_rows
        self.hidden_share = hidden_share
        self.steps = steps
        self.per_class = per_class
        self.passes = passes
        self.clip = clip

    def _new_rows(
        self,
        rows: np.ndarray,
        y: np.ndarray,
        filled: dict[Any, int],
        unit: float,
        random_state: np.random.RandomState,
    ) -> np.ndarray:
        make = self._by_axes if self.form == "pca" else self._by_autoencoder
        made, copied = make(rows, y, filled, random_state)
        if copied:
            warnings.warn(
                "samples are copies of members, because the class does not vary: "
                f"{listed_classes(np.array(copied))}",
                UserWarning,
                stacklevel=2,
            )
        return np.concatenate(made)

    def _by_axes(
        self, rows: np.ndarray, y: np.ndarray, filled: dict[Any, int], random_state: np.random.RandomState
    ) -> tuple[list[np.ndarray], list[Any]]:
        """Return the new rows of each class, and the classes whose samples are copies."""
        labels = np.unique(y)
        pooled = sum(scatter(rows[y == label]) for label in labels) / max(1, len(rows) - len(labels))
        pooled_rows = float(self.pooled_rows)
        made, copied = [], []
        for label, n_samples in filled.items():
            members = rows[y == label]
            freedom = len(members) - 1
            # A class of one sample, without pooled rows, has a scatter of 0, which no divisor changes.
            covariance = (scatter(members) + pooled_rows * pooled) / ((freedom + pooled_rows) or 1)
            onto, spread = _axes(covariance, float(self.variance))
            mean = members.mean(axis=0)
            chosen = random_state.randint(len(members), size=n_samples)
            normal = random_state.standard_normal((n_samples, len(mean)))
            made.append(mean + ((members - mean) @ onto)[chosen] + float(self.noise) * (normal @ spread))
            if not spread.any():
                copied.append(label)
        return made, copied

    def _by_autoencoder(
        self, rows: np.ndarray, y: np.ndarray, filled: dict[Any, int], random_state: np.random.RandomState
    ) -> tuple[list[np.ndarray], list[Any]]:
        """Return the new rows of each class, and the classes whose samples are copies."""
        shared = None if self.per_class else _Autoencoder(self, rows, y, random_state)
        made, copied = [], []
        for label, n_samples in filled.items():
            members = rows[y == label]
            coder = shared or _Autoencoder(self, members, y[y == label], random_state)
            chosen = random_state.randint(len(members), size=n_samples)
            if not coder.deviation.any():
                copied.append(label)
                made.append(members[chosen])
                continue
            new = coder.standardised(members)[chosen]
            new += float(self.noise) * random_state.standard_normal(new.shape)
            for _ in range(self.passes):
                new = coder(new)
            made.append(new * coder.deviation + coder.mean)
        return made, copied


def _axes(covariance: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the projection on the principal axes that explain the share, and the covariance's root on them.

    Both are symmetric, so they do not depend on the signs and order in which a library returns the axes.
    """
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    values = np.where(values > _ROUNDING * values[:1], values, 0)
    explained = np.cumsum(values)
    kept = np.searchsorted(explained, share * explained[-1:], side="left")
    used = (np.arange(len(values)) <= kept) & (values > 0)
    vectors = vectors[:, used]
    return vectors @ vectors.T, vectors * np.sqrt(values[used]) @ vectors.T


class _Autoencoder:
    """A denoising auto-encoder that is trained on standardised rows; called with such, it takes them back."""

    def __init__(
        self,
        sampler: ManifoldOverSampler,
        rows: np.ndarray,
        y: np.ndarray,
        random_state: np.random.RandomState,
    ) -> None:
        self.mean, self.deviation = rows.mean(axis=0), deviations(rows)
        if not self.deviation.any():
            return
        self.network = MLPRegressor(
            hidden_layer_sizes=(max(2, round(float(sampler.hidden_share) * rows.shape[1])),),
            activation="logistic",
            alpha=0,
            batch_size=_BATCH,
            learning_rate_init=_LEARNING_RATE,
            random_state=random_state,
        )
        clean = self.standardised(rows)
        members_of = [np.flatnonzero(y == label) for label in np.unique(y)]
        ends = np.cumsum([len(members) for members in members_of])
        order = np.concatenate(members_of)
        for start in range(0, sampler.steps, _STEPS):
            size = _BATCH * min(_STEPS, sampler.steps - start)
            classes = random_state.randint(len(ends), size=size)
            sizes = np.diff(ends, prepend=0)[classes]
            drawn = order[ends[classes] - 1 - (random_state.random_sample(size) * sizes).astype(np.intp)]
            target = clean[drawn]
            noisy = target + float(sampler.noise) * random_state.standard_normal(target.shape)
            # Of a single feature it wants a vector.
            self.network.partial_fit(noisy, target if target.shape[1] > 1 else target[:, 0])

    def standardised(self, rows: np.ndarray) -> np.ndarray:
        """Return rows with the mean 0 and the standard deviation 1; 0 in features that do not vary."""
        return (rows - self.mean) / np.where(self.deviation > 0, self.deviation, np.inf)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return what the auto-encoder makes of standardised rows, (n, d)."""
        return self.network.predict(rows).reshape(rows.shape)
