"""SWIM: synthetic samples that keep the density that the other classes have at a member of the class."""

from __future__ import annotations

import numbers
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from scipy.spatial.distance import cdist, pdist
from sklearn.utils._param_validation import Interval, StrOptions

from eos.samplers.dense import DenseOverSampler, deviations, scatter
from eos.samplers.eos import listed_classes
from eos.samplers.neighbors import ExactNeighbors

# Added to the variances of the other classes, as a share of their mean: their covariance has an inverse then.
_RIDGE = 1e-3
# Rows are of the order of 1: of a mean variance below this the roots are of no use.
_LEAST_VARIANCE = 1e-200
# How many rows of the other classes a bandwidth is measured on.
_BANDWIDTH_ROWS = 512
_RELEASED_ROWS = 2048
# Beyond these, exponents have lost their digits, or overflow: rows are of the order of 1.
_LEAST_BANDWIDTH, _LARGEST_EPSILON = 1e-6, 1e100
# How many members a sample tries before it repeats one.
_ROUNDS = 20
# Kernel values that are in memory at a time: 2 MB stay in the cache.
_BLOCK = 2**18


class SWIM(DenseOverSampler):
    """Over-sample each class where the density of all others is that of a member (SWIM).

    The other classes together are the majority, which has rows enough to tell its density by even where the
    class itself has one or two. A sample is a step away from a member of its class (the seed) that keeps
    close to the seed's level of that density.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes to extend, and how far, as in every over-sampler of imbalanced-learn.

    random_state : int, RandomState instance or None, default=None
        The seed, the generator, or None for NumPy's global legacy generator.

    variant : {"mahalanobis", "radial"}, default="mahalanobis"
        - ``"mahalanobis"``: the density is a Gaussian. In the space in which the majority's covariance is the
          identity and its mean 0, a seed moves by a uniform draw in every feature, and is then put back to
          its length: the sample has exactly the seed's Mahalanobis distance to the majority.
        - ``"radial"``: the density is a sum of kernels around the majority's rows. A seed moves by a normal
          draw in every feature, and the step is taken if the density there is no higher.

    spread : float, default=0.25
        How far the steps go: alpha of the first variant, tau of the second, in standard deviations of the
        class, by feature. In the first they are those of the whitened class, and the largest step is this
        many; in the second this many are the standard deviation of the step.

    steps : int, default=5
        Of the radial variant: how many steps are tried from a seed before another seed is drawn.

    units : {"data", "original"}, default="data"
        Of the radial variant, what a kernel ``exp(-(epsilon * distance) ** 2)`` means. ``"data"``: distances
        are Euclidean, and 1 / epsilon is the median distance of a majority row to the nearest other one.
        ``"original"``: as in the published code, distances are sums of differences (L1), and epsilon is half
        of the product of the mean and the standard deviation of the majority's Euclidean distances, which
        depends on the unit of the features. The Mahalanobis variant has no unit.

    clip : bool, default=False
        Raise negative values to 0 in features of which no row has a negative value, such as those behind a
        ReLU. The published method does not, and a clipped sample has another Mahalanobis distance.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of samples to generate for each class.

    n_features_in_, feature_names_in_
        Number of features in the input, and their names, where `X` has names that are all strings.

    Warns
    -----
    UserWarning
        If a class does not vary (it has one member, say), if the majority of a class does not vary, and if
        samples are copies of members. The notes say what is done.

    See Also
    --------
    eos.EOS : Samples towards the nearest enemies.
    eos.ManifoldOverSampler : Samples on the manifold of the class.

    Notes
    -----
    The method is made for two classes. Here each class to be filled has all others for its majority, always
    their rows in `X`, never synthetic ones.

    Samples are drawn around the seed, as in the text of [2]_ and in the published code, which also computes a
    range around the mean of the class, and does not use it. A thousandth of the mean variance is added to the
    majority's variances: the published code returns the data unchanged where one feature is dead. Features
    that are the same in all rows stay as they are.

    Densities are compared as multiples of the largest kernel at the seed. As plain sums they are 0 in the
    published code for most embeddings, and then every step is taken. Where 20 seeds in turn have no step, a
    member is repeated. Bandwidths are measured on at most 512 majority rows drawn at random (2,048 with units
    ``"original"``).

    A class that does not vary has no standard deviation: the majority's takes its place. Where the majority
    does not vary, its Mahalanobis distance is Euclidean. Where neither varies along any feature, members are
    repeated.

    The radial variant takes time in proportion to the samples times the rows: some 40 times SMOTE's on 12,406
    rows of 64 features at 100:1, where the other takes two to three times; with units ``"original"`` some 300
    times. Sparse input is accepted, but
    is made dense.

    References
    ----------
    .. [1] S. Sharma, C. Bellinger, B. Krawczyk, O. Zaiane, N. Japkowicz, "Synthetic oversampling with the
       majority class: a new perspective on handling extreme imbalance", ICDM 2018.
    .. [2] C. Bellinger, S. Sharma, N. Japkowicz, O. Zaiane, "Framework for extreme imbalance classification:
       SWIM - sampling with the majority class", Knowledge and Information Systems 62, 841-866, 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from eos import SWIM
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> X_resampled, y_resampled = SWIM(random_state=0).fit_resample(X, y)
    >>> X.shape, X_resampled.shape
    ((300, 20), (540, 20))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseOverSampler._parameter_constraints,
        "variant": [StrOptions({"mahalanobis", "radial"})],
        "spread": [Interval(numbers.Real, 0, None, closed="neither")],
        "steps": [Interval(numbers.Integral, 1, None, closed="left")],
        "units": [StrOptions({"data", "original"})],
        "clip": ["boolean"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        variant: str = "mahalanobis",
        spread: float = 0.25,
        steps: int = 5,
        units: str = "data",
        clip: bool = False,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.variant = variant
        self.spread = spread
        self.steps = steps
        self.units = units
        self.clip = clip

    def _new_rows(
        self,
        rows: np.ndarray,
        y: np.ndarray,
        filled: dict[Any, int],
        unit: float,
        random_state: np.random.RandomState,
    ) -> np.ndarray:
        new: list[np.ndarray] = []
        copied, borrowing, flat, repeated = [], [], [], []
        for label, n_samples in filled.items():
            members, majority = rows[y == label], rows[y != label]
            if not _varies(members):
                if not _varies(majority):
                    copied.append(label)
                    new.append(np.repeat(members[:1], n_samples, axis=0))
                    continue
                borrowing.append(label)
            if self.variant == "mahalanobis":
                if not _varies(majority):
                    flat.append(label)
                new.append(self._at_distance(members, majority, n_samples, random_state))
            else:
                made, n_repeated = self._at_density(members, majority, unit, n_samples, random_state)
                new.append(made)
                if n_repeated:
                    repeated.append(label)
        for classes, what in (
            (copied, "samples are copies of members, because neither the class nor the others vary"),
            (borrowing, "moved by the spread of the other classes, because the class does not vary"),
            (flat, "kept at their Euclidean distance, because the other classes do not vary"),
            (repeated, "some samples are copies of members, because no step was found that is as far out"),
        ):
            if classes:
                warnings.warn(f"{what}: {listed_classes(np.array(classes))}", UserWarning, stacklevel=2)
        return np.concatenate(new)

    def _at_distance(
        self,
        members: np.ndarray,
        majority: np.ndarray,
        n_samples: int,
        random_state: np.random.RandomState,
    ) -> np.ndarray:
        """Draw samples at their seeds' Mahalanobis distance to the majority, (n_samples, d)."""
        mean, whiten, colour = _whitening(majority)
        whitened = (members - mean) @ whiten
        varying = whitened if _varies(members) else (majority - mean) @ whiten
        deviation = varying.std(axis=0)
        seeds = whitened[random_state.randint(len(members), size=n_samples)]
        moved = seeds + float(self.spread) * deviation * random_state.uniform(-1, 1, size=seeds.shape)
        length = np.linalg.norm(moved, axis=1)
        factor = np.divide(np.linalg.norm(seeds, axis=1), length, out=np.ones(n_samples), where=length > 0)
        return factor[:, np.newaxis] * moved @ colour + mean

    def _at_density(
        self,
        members: np.ndarray,
        majority: np.ndarray,
        unit: float,
        n_samples: int,
        random_state: np.random.RandomState,
    ) -> tuple[np.ndarray, int]:
        """Draw samples where the majority is no denser than at their seeds; say how many are copies."""
        deviation = deviations(members if _varies(members) else majority)
        if not deviation.any():
            return members[random_state.randint(len(members), size=n_samples)], n_samples
        kernels: _Kernels
        if self.units == "data":
            kernels = _Gaussian(majority, random_state)
        else:
            kernels = _Released(majority, unit, random_state)
        nearest, level = kernels.levels(members)
        new = np.empty((n_samples, members.shape[1]))
        waiting = np.arange(n_samples)
        for _ in range(_ROUNDS):
            seeds = random_state.randint(len(members), size=len(waiting))
            for _ in range(self.steps):
                if not len(waiting):
                    return new, 0
                step = random_state.standard_normal((len(waiting), members.shape[1]))
                tried = members[seeds] + float(self.spread) * deviation * step
                taken = kernels.density(tried, nearest[seeds]) <= level[seeds]
                new[waiting[taken]] = tried[taken]
                waiting, seeds = waiting[~taken], seeds[~taken]
        new[waiting] = members[random_state.randint(len(members), size=len(waiting))]
        return new, len(waiting)


def _varies(rows: np.ndarray) -> bool:
    """Return whether there are two rows that differ."""
    return bool((rows != rows[0]).any())


def _whitening(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of the rows and the roots of the inverse of their covariance, and of itself."""
    mean, covariance = rows.mean(axis=0), scatter(rows) / max(1, len(rows) - 1)
    level = covariance.trace() / len(covariance)
    if level < _LEAST_VARIANCE:
        return mean, np.eye(len(mean)), np.eye(len(mean))
    values, vectors = np.linalg.eigh(covariance)
    roots = np.sqrt(values.clip(min=0) + _RIDGE * level)
    return mean, vectors / roots @ vectors.T, vectors * roots @ vectors.T


class _Kernels(ABC):
    """The density of the majority at any row, as a multiple of one of its kernels.

    A kernel is exp(-x), and of many rows far away every one is 0 in float64. Relative to the largest at a
    seed they are not, and only densities at a seed and near it are compared.
    """

    n_rows: int  # of the majority

    @abstractmethod
    def exponents(self, rows: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        """Return the exponent of every kernel less `nearest`, (n,), at each row: (n, n_rows)."""

    def levels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the largest exponent at each row, and the density there as a multiple of its kernel."""
        nearest, sums = np.empty(len(rows)), np.empty(len(rows))
        for part in self._parts(len(rows)):
            kernels = self.exponents(rows[part], np.zeros(len(rows[part])))
            kernels.max(axis=1, out=nearest[part])
            kernels -= nearest[part, np.newaxis]
            np.exp(kernels, out=kernels).sum(axis=1, out=sums[part])
        return nearest, sums

    def density(self, rows: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        """Return the density at each row, (n,), as a multiple of the kernel with the exponent `nearest`."""
        sums = np.empty(len(rows))
        with np.errstate(over="ignore"):  # infinite is too dense
            for part in self._parts(len(rows)):
                kernels = self.exponents(rows[part], nearest[part])
                np.exp(kernels, out=kernels).sum(axis=1, out=sums[part])
        return sums

    def _parts(self, n: int) -> Iterator[slice]:
        length = max(1, _BLOCK // self.n_rows)
        return (slice(start, start + length) for start in range(0, n, length))


class _Gaussian(_Kernels):
    """Kernels exp(-(distance / bandwidth) ** 2), distances Euclidean."""

    def __init__(self, majority: np.ndarray, random_state: np.random.RandomState) -> None:
        self.n_rows = len(majority)
        self.centre = majority.mean(axis=0)
        self.inverse = 1 / max(_bandwidth(majority, random_state), _LEAST_BANDWIDTH)
        around = (majority - self.centre) * self.inverse
        # Two more columns take in the squares, so that exponents are one product.
        self.columns = np.column_stack([2 * around, np.ones(len(around)), -_squares(around)]).T.copy()

    def exponents(self, rows: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        around = (rows - self.centre) * self.inverse
        return np.column_stack([around, -_squares(around) - nearest, np.ones(len(rows))]) @ self.columns


class _Released(_Kernels):
    """Kernels of the published code: exp(-(epsilon * distance) ** 2), distances L1."""

    def __init__(self, majority: np.ndarray, unit: float, random_state: np.random.RandomState) -> None:
        self.n_rows = len(majority)
        self.majority = majority
        distances = pdist(_sample(majority, _RELEASED_ROWS, random_state))
        self.epsilon = 0.0
        if len(distances):
            with np.errstate(over="ignore", under="ignore"):
                # Epsilon is the product of two distances, and is multiplied by a third: all in X's unit.
                epsilon = 0.5 * distances.std() * distances.mean() * unit * unit * unit
            self.epsilon = min(float(epsilon), _LARGEST_EPSILON)

    def exponents(self, rows: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        distances = cdist(rows, self.majority, "cityblock") * self.epsilon
        return -np.square(distances) - nearest[:, np.newaxis]


def _bandwidth(rows: np.ndarray, random_state: np.random.RandomState) -> float:
    """Return the median distance of a row to the nearest other one, of those at any; 0 where none is."""
    queries = _sample(rows, _BANDWIDTH_ROWS, random_state)
    found = ExactNeighbors(2).fit(rows).kneighbors(queries, min(2, len(rows)), return_distance=False)
    distances = np.sqrt(_squares(rows[found[:, -1]] - queries))
    return float(np.median(distances[distances > 0])) if distances.any() else 0.0


def _sample(rows: np.ndarray, most: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return `most` of the rows, drawn at random, or all."""
    return rows if len(rows) <= most else rows[random_state.permutation(len(rows))[:most]]


def _squares(rows: np.ndarray) -> np.ndarray:
    """Return the squared length of each row."""
    return np.square(rows).sum(axis=1)
