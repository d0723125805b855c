"""Combined cleaning and resampling: spheres around the members of a class, cleared of others and filled."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from scipy.spatial.distance import cdist
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions

from eos.errors import InputError
from eos.samplers.eos import listed_classes
from eos.samplers.neighbors import ExactNeighbors
from eos.samplers.progress import reported
from eos.samplers.radial import (
    BLOCK,
    by_size,
    dense_rows,
    drawn_from_each,
    gaussian,
    in_dtype,
    in_units,
    nearest_with_itself,
    stacked,
)
from eos.samplers.rows import FloatingRows

# So many nearest foreign rows of a member are looked at first; hardly any sphere reaches further.
_FIRST = 16
# Distances in memory at a time.
_DISTANCES = 2**21
_METRICS = {1: "cityblock", 2: "euclidean"}


class CCR(FloatingRows, BaseOverSampler):
    r"""Over-sample each class in spheres that are first cleared of other classes (CCR, MC-CCR, RB-CCR).

    The sphere of a member grows from radius 0 and spends its energy: one unit of radius costs one more than
    there are foreign rows inside. So a sphere of energy E with k of them inside, at the distances
    :math:`d_1, \ldots, d_k`, has the radius :math:`r = (E + d_1 + \ldots + d_k) / (k + 1)`. Foreign rows are
    moved out of it, to its surface; where several spheres move a row, their moves are added up. Samples are
    drawn in the spheres, more in the small ones.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes to extend, and by how many samples, as in every over-sampler of imbalanced-learn.

    random_state : int, RandomState instance or None, default=None
        The seed, the generator, or None for NumPy's global legacy generator.

    multiclass : {"one_vs_rest", "successive"}, default="one_vs_rest"
        What is foreign to a class. "one_vs_rest", CCR [1]_ class by class: all rows of other classes, as they
        are given; the moves that the classes ask for are added up. "successive", MC-CCR [2]_: the classes are
        filled from the largest to the smallest, each against rows drawn, without replacement, from every
        larger class as it has become, moved and filled; together about as many as the largest class has, and
        none of smaller classes.

    energy : float, default=1.0
        Of each sphere. In units of the data half of the spheres reach a foreign row with 1.

    units : {"data", "original"}, default="data"
        Of `energy`, and of `gamma`. "data": for `energy` the median distance from a member of the class to
        the nearest foreign row that is not equal to it, for `gamma` to the nearest such row of its own class
        (where there is none, the median radius). "original": that of the features.

    p : {1, 2}, default=2
        Distances are city-block (1) or Euclidean (2).

    selection : {"proportional", "random"}, default="proportional"
        Where samples are drawn. "proportional": in each sphere a share of one over its radius, rounded so
        that the sum is exact (largest remainder). "random": in spheres drawn at random.

    cleaning : {"translate", "remove", "ignore"}, default="translate"
        What becomes of foreign rows inside a sphere. "translate": they are moved to its surface, so **the
        first rows of the result are not all those of the input**. "remove": they are left out, and a class
        may be smaller than was asked for. "ignore": nothing.

    region : {"low", "equal", "high"} or None, default=None
        None: a sample is a random direction times a random share of the radius. Else (RB-CCR [3]_)
        `n_candidates` of such points are drawn in a sphere, and samples among those where the class's own
        potential, :math:`\psi(x) = \sum_s e^{-(|x - s| / \gamma)^2}`, is lower than at the seed, higher, or
        about the same; the seed is always one of them. Euclidean only.

    gamma : float, default=1.0
        The reach of the kernel.

    theta : float, default=0.33
        From which share of the way from the seed's potential to the lowest (highest) of the candidates a
        candidate counts as low (high).

    n_candidates : int, default=100
        Of each sphere with a sample.

    n_neighbors : int or "all", default=25
        The potential is that of the seed and the members of its class that are nearest to it: as many as
        this, or all there are. In [3]_ it is that of all, which takes time in proportion to their number.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of samples to generate for each class.

    energy_ : dict
        The energy of the spheres of each class that was filled, in the unit of the features.

    radii_ : dict
        The radius of each member's sphere, in the order of the members, ndarray of shape (n_members,).

    n_features_in_, feature_names_in_
        Number of features in the input, and their names, where `X` has names that are all strings.

    See Also
    --------
    eos.RBO : Walks to where the classes are in balance.

    Notes
    -----
    Test rows are not moved, so a classifier of moved embeddings meets others than it was fitted to;
    ``cleaning="ignore"`` over-samples alone. After the moves a row can still be inside a sphere: of another
    member than those that moved it, or because their moves cancel. A foreign row that is equal to a member is
    moved in a random direction. Where all foreign rows are equal to members there is no unit: members are
    repeated at random, with a `UserWarning`. Directions are those of a cube's random points, as published, so
    they are not uniform on the sphere. Samples may be negative where features cannot be. The largest class,
    if `sampling_strategy` names it, is filled against all rows of the others. If all foreign rows are inside
    a sphere, it grows on at the same price. The rows are the same on every processor. Sparse input is
    accepted, but is made dense.

    References
    ----------
    .. [1] M. Koziarski, M. Woźniak, "CCR: A combined cleaning and resampling algorithm for imbalanced data
       classification", International Journal of Applied Mathematics and Computer Science 27(4), 2017.
    .. [2] M. Koziarski, M. Woźniak, B. Krawczyk, "Combined cleaning and resampling algorithm for multi-class
       imbalanced data with label noise", Knowledge-Based Systems 204, 106223, 2020.
    .. [3] M. Koziarski, C. Bellinger, M. Woźniak, "RB-CCR: Radial-based combined cleaning and resampling
       algorithm for imbalanced data classification", Machine Learning 110, 3059-3093, 2021.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from eos import CCR
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> X_resampled, y_resampled = CCR(random_state=0).fit_resample(X, y)
    >>> X.shape, X_resampled.shape
    ((300, 20), (540, 20))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseOverSampler._parameter_constraints,
        "multiclass": [StrOptions({"one_vs_rest", "successive"})],
        "energy": [Interval(numbers.Real, 0, None, closed="neither")],
        "units": [StrOptions({"data", "original"})],
        "p": [Options(numbers.Integral, {1, 2})],
        "selection": [StrOptions({"proportional", "random"})],
        "cleaning": [StrOptions({"translate", "remove", "ignore"})],
        "region": [StrOptions({"low", "equal", "high"}), None],
        "gamma": [Interval(numbers.Real, 0, None, closed="neither")],
        "theta": [Interval(numbers.Real, 0, 1, closed="both")],
        "n_candidates": [Interval(numbers.Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(numbers.Integral, 1, None, closed="left"), StrOptions({"all"})],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        multiclass: str = "one_vs_rest",
        energy: float = 1.0,
        units: str = "data",
        p: int = 2,
        selection: str = "proportional",
        cleaning: str = "translate",
        region: str | None = None,
        gamma: float = 1.0,
        theta: float = 0.33,
        n_candidates: int = 100,
        n_neighbors: Any = 25,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.multiclass = multiclass
        self.energy = energy
        self.units = units
        self.p = p
        self.selection = selection
        self.cleaning = cleaning
        self.region = region
        self.gamma = gamma
        self.theta = theta
        self.n_candidates = n_candidates
        self.n_neighbors = n_neighbors

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        random_state = check_random_state(self.random_state)
        if self.region is not None and self.p != 2:
            raise InputError(f"region: {self.region!r} with p = {self.p}; give p = 2, or region None")
        self.energy_: dict[Any, float] = {}
        self.radii_: dict[Any, np.ndarray] = {}
        filled = {label: count for label, count in self.sampling_strategy_.items() if count}
        if not filled:
            return X.copy(), y.copy()
        given, successive = dense_rows(X), self.multiclass == "successive"
        # All rows as they have become, the real ones first.
        rows, labels, kept = given.copy(), y, np.ones(len(y), dtype=bool)
        order = by_size(y)
        most = int(np.count_nonzero(y == order[0]))
        for label in [one for one in order if one in filled] if successive else filled:
            larger = order[: order.index(label)] if successive else []
            if larger:
                members = {one: np.flatnonzero((labels == one) & kept) for one in larger}
                foreign = drawn_from_each(members, most, random_state, replace=False)
            else:
                foreign = np.flatnonzero(y != label)
            source = rows if successive else given
            own = np.flatnonzero((y == label) & (kept[: len(y)] if successive else True))
            spheres = self._spheres(label, source[own], source[foreign])
            if spheres is None:
                made = source[own[random_state.randint(len(own), size=filled[label])]]
            else:
                if self.cleaning == "translate":
                    rows[foreign] += spheres.moves(random_state)
                elif self.cleaning == "remove":
                    kept[foreign[spheres.inside()]] = False
                    self._check_classes(labels[kept], order, label)
                made = self._samples(label, source[own], filled[label], random_state)
            rows = np.concatenate([rows, made])
            labels = np.concatenate([labels, np.full(len(made), label, dtype=y.dtype)])
            kept = np.concatenate([kept, np.ones(len(made), dtype=bool)])
        if repeated := [label for label in filled if label not in self.energy_]:
            warnings.warn(
                "members were repeated at random, because all rows of other classes are equal to them: "
                f"{listed_classes(np.array(repeated))}",
                stacklevel=2,
            )
        n = len(given)
        real = X
        if self.cleaning != "ignore":
            moved = in_dtype(rows[:n][kept[:n]], X)
            real = type(X)(moved) if not isinstance(X, np.ndarray) else moved
        return stacked(real, [rows[n:][kept[n:]]]), labels[kept]

    def _check_classes(self, labels: np.ndarray, known: list[Any], label: Any) -> None:
        """Raise the error that says that a class has lost all its rows."""
        if gone := [one for one in known if one not in set(np.unique(labels).tolist())]:
            raise InputError(
                f"energy: {self.energy:g} with cleaning 'remove': the spheres of class {label} leave no row "
                f"of {listed_classes(np.array(gone))}; give less energy, or cleaning 'translate'"
            )

    def _spheres(self, label: Any, members: np.ndarray, foreign: np.ndarray) -> _Spheres | None:
        """Return the spheres around the members of a class; None where there is no unit for their energy."""
        near, distances = _nearest(members, foreign, min(_FIRST, len(foreign)), self.p)
        unit = 1.0
        if self.units == "data":
            least = np.where(distances > 0, distances, np.inf).min(axis=1)
            equal = ~np.isfinite(least)  # to all those near it
            if equal.any() and near.shape[1] < len(foreign):
                _, every = _nearest(members[equal], foreign, len(foreign), self.p)
                least[equal] = np.where(every > 0, every, np.inf).min(axis=1)
            least = least[np.isfinite(least)]
            if not len(least):
                return None
            unit = float(np.median(least))
        energy = in_units("energy", self.energy, unit)
        spheres = _Spheres(members, foreign, near, distances, energy=energy, p=self.p)
        self.energy_[label], self.radii_[label] = energy, spheres.radii
        return spheres

    def _samples(
        self, label: Any, members: np.ndarray, n_samples: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Return samples of a class, (n_samples, n_features), those of a sphere side by side."""
        radii = self.radii_[label]
        if self.selection == "random":
            counts = np.bincount(random_state.randint(len(members), size=n_samples), minlength=len(members))
        else:
            counts = _shares(radii.min() / radii, n_samples)
        if self.region is None:
            seeds = np.repeat(np.arange(len(members)), counts)
            return members[seeds] + _in_ball(radii[seeds, np.newaxis], members.shape[1], self.p, random_state)
        seeds = np.flatnonzero(counts)
        near = nearest_with_itself(members, seeds, self.n_neighbors)
        unit = 1.0
        if self.units == "data":
            unit = _unit(members, seeds, near) or float(np.median(radii))
        gamma = in_units("gamma", self.gamma, unit)
        size = max(1, BLOCK // (self.n_candidates + near.shape[1]))
        drawn = (
            self._in_region(
                members,
                seeds[start : start + size],
                near[start : start + size],
                radii,
                counts=counts,
                gamma=gamma,
                random_state=random_state,
            )
            for start in range(0, len(seeds), size)
        )
        return np.concatenate(list(reported(drawn, -(-len(seeds) // size), f"spheres of class {label}")))

    def _in_region(
        self,
        members: np.ndarray,
        seeds: np.ndarray,
        near: np.ndarray,
        radii: np.ndarray,
        *,
        counts: np.ndarray,
        gamma: float,
        random_state: np.random.RandomState,
    ) -> np.ndarray:
        """Return the samples of some spheres that lie in the region, (sum of their counts, n_features)."""
        reach = np.broadcast_to(radii[seeds, np.newaxis, np.newaxis], (len(seeds), self.n_candidates, 1))
        away = np.zeros((len(seeds), self.n_candidates + 1, members.shape[1]))  # the last one is the seed
        away[:, :-1] = _in_ball(reach, members.shape[1], self.p, random_state)
        # |away - other|^2; einsum, because matrix products depend on the processor.
        other = members[near] - members[seeds, np.newaxis]
        squared = np.einsum("sci,ski->sck", away, other)
        squared *= -2
        squared += np.square(away).sum(axis=2)[:, :, np.newaxis]
        squared += np.square(other).sum(axis=2)[:, np.newaxis]
        with np.errstate(over="ignore"):  # of a far row the kernel is 0
            squared = np.maximum(squared, 0) / gamma / gamma
        potential = gaussian(squared).sum(axis=2)
        there = in_region(potential, self.region, float(self.theta))
        there[:, -1] = True
        made = []
        for number, seed in enumerate(seeds):
            pool, wanted = np.flatnonzero(there[number]), counts[seed]
            picked = random_state.choice(pool, wanted, replace=wanted > len(pool))
            made.append(members[seed] + away[number, picked])
        return np.concatenate(made)


class _Spheres:
    """The spheres around the members of a class.

    Parameters
    ----------
    members, foreign : ndarray of shape (n_members, n_features) and (n_foreign, n_features)
    near, distances : ndarray of shape (n_members, k)
        The numbers of the k nearest foreign rows of each member, and how far they are, the nearest first.
    energy : float
        Of each sphere.
    p : {1, 2}
        Of the distances.
    """

    def __init__(
        self,
        members: np.ndarray,
        foreign: np.ndarray,
        near: np.ndarray,
        distances: np.ndarray,
        *,
        energy: float,
        p: int,
    ) -> None:
        self.members, self.foreign, self.p = members, foreign, p
        self.near, self.distances = near, distances
        self.radii = _radii(distances, energy)
        # Those that have all of these inside may reach further.
        known = near.shape[1] == len(foreign)
        self.further = np.flatnonzero((distances[:, -1] < self.radii) & (not known))
        for part, whole in self._whole():
            self.radii[part] = _radii(np.sort(whole, axis=1), energy)

    def inside(self) -> np.ndarray:
        """Return the numbers of the foreign rows that are in a sphere."""
        found = np.zeros(len(self.foreign), dtype=bool)
        for _, row, _ in self._pairs():
            found[row] = True
        return np.flatnonzero(found)

    def moves(self, random_state: np.random.RandomState) -> np.ndarray:
        """Return by what each foreign row is moved, (n_foreign, n_features)."""
        total = np.zeros_like(self.foreign)
        for member, row, distance in self._pairs():
            size = max(1, 8 * BLOCK // total.shape[1])
            for start in range(0, len(member), size):
                part = slice(start, start + size)
                away = self.foreign[row[part]] - self.members[member[part]]
                equal = np.flatnonzero(distance[part] == 0)
                away[equal] = _directions((len(equal),), total.shape[1], self.p, random_state)
                there = np.where(distance[part] == 0, 1.0, distance[part])
                further = self.radii[member[part]] - distance[part]
                with np.errstate(over="ignore", invalid="ignore"):  # refused afterwards
                    away *= (further / there)[:, np.newaxis]
                    np.add.at(total, row[part], away)
        return total

    def _pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield the members, the foreign rows inside their spheres, and the distances, each (n_pairs,)."""
        inside = self.distances < self.radii[:, np.newaxis]
        inside[self.further] = False
        member, place = np.nonzero(inside)
        yield member, self.near[member, place], self.distances[member, place]
        for part, whole in self._whole():
            place, row = np.nonzero(whole < self.radii[part, np.newaxis])
            yield part[place], row, whole[place, row]

    def _whole(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield members whose spheres reach further, and their distances to all foreign rows."""
        size = max(1, _DISTANCES // len(self.foreign))
        for start in range(0, len(self.further), size):
            part = self.further[start : start + size]
            yield part, cdist(self.members[part], self.foreign, _METRICS[self.p])


def _nearest(members: np.ndarray, foreign: np.ndarray, k: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest foreign rows of each member, the nearest first, and how far they are."""
    near = np.empty((len(members), k), dtype=np.intp)
    if p == 2:
        near[:] = ExactNeighbors(k).fit(foreign).kneighbors(members, return_distance=False)
    else:
        size = max(1, _DISTANCES // len(foreign))
        for start in range(0, len(members), size):
            part = slice(start, start + size)
            near[part] = np.argpartition(cdist(members[part], foreign, _METRICS[p]), k - 1, axis=1)[:, :k]
    distances = np.empty(near.shape)
    size = max(1, 8 * BLOCK // (k * members.shape[1]))
    for start in range(0, len(members), size):
        part = slice(start, start + size)
        distances[part] = _lengths(foreign[near[part]] - members[part, np.newaxis], p)
    order = np.lexsort((near, distances))
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _radii(distances: np.ndarray, energy: float) -> np.ndarray:
    """Return the radius of each sphere.

    Parameters
    ----------
    distances : ndarray of shape (n_members, k)
        Of the nearest foreign rows, in order. Beyond the last there is none.
    energy : float
        Of each sphere.
    """
    up_to = np.cumsum(distances, axis=1)
    # What it costs to reach the m-th row: m d_m less the distances of those before.
    costs = np.arange(1, distances.shape[1] + 1) * distances - (up_to - distances)
    inside = (costs < energy).sum(axis=1)
    before = np.take_along_axis(up_to, np.maximum(inside - 1, 0)[:, np.newaxis], axis=1)[:, 0]
    return (energy + np.where(inside > 0, before, 0)) / (inside + 1)


def _shares(weights: np.ndarray, total: int) -> np.ndarray:
    """Return whole numbers in proportion to the weights whose sum is exact (largest remainder)."""
    quota = total * (weights / weights.sum())
    counts = np.floor(quota).astype(np.intp)
    first = np.argsort(counts - quota, kind="stable")
    counts[first[: total - counts.sum()]] += 1
    return counts


def in_region(potential: np.ndarray, region: str | None, theta: float) -> np.ndarray:
    """Return which candidates are in a region, by their potentials (n_seeds, n_candidates + 1), seed last."""
    own = potential[:, -1:]
    low = potential <= own - theta * (own - potential.min(axis=1, keepdims=True))
    high = potential >= own + theta * (potential.max(axis=1, keepdims=True) - own)
    return {"low": low, "high": high & ~low, "equal": ~low & ~high}[str(region)]


def _unit(members: np.ndarray, seeds: np.ndarray, near: np.ndarray) -> float | None:
    """Return the median distance of a seed to the nearest member that is not equal; None if all are equal."""
    least = np.empty(len(seeds))
    size = max(1, 8 * BLOCK // (near.shape[1] * members.shape[1]))
    for start in range(0, len(seeds), size):
        part = slice(start, start + size)
        lengths = _lengths(members[near[part]] - members[seeds[part], np.newaxis], 2)
        least[part] = np.where(lengths > 0, lengths, np.inf).min(axis=1)
    least = least[np.isfinite(least)]
    return float(np.median(least)) if len(least) else None


def _lengths(rows: np.ndarray, p: int) -> np.ndarray:
    """Return the lengths of vectors in the last axis."""
    if p == 1:
        return np.abs(rows).sum(axis=-1)
    return np.sqrt(np.square(rows).sum(axis=-1))


def _directions(
    shape: tuple[int, ...], n_features: int, p: int, random_state: np.random.RandomState
) -> np.ndarray:
    """Return vectors of length 1, (*shape, n_features): random points of a cube, projected."""
    points = random_state.random_sample((*shape, n_features))
    points *= 2
    points -= 1
    lengths = _lengths(points, p)
    points /= np.where(lengths > 0, lengths, 1)[..., np.newaxis]
    return points


def _in_ball(radii: np.ndarray, n_features: int, p: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return for each radius, (*shape, 1), a random direction times a random share of it."""
    points = _directions(radii.shape[:-1], n_features, p, random_state)
    points *= random_state.random_sample(radii.shape) * radii
    return points
