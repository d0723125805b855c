"""Radial-based over-sampling: samples walk from members of a class to where the classes are in balance."""

from __future__ import annotations

import numbers
import warnings
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from eos.samplers.eos import listed_classes
from eos.samplers.progress import reported
from eos.samplers.radial import (
    BLOCK,
    by_size,
    dense_rows,
    drawn_from_each,
    gaussian,
    in_units,
    nearest_with_itself,
    stacked,
)
from eos.samplers.rows import FloatingRows


class RBO(FloatingRows, BaseOverSampler):
    r"""Over-sample each class by random walks to where a radial potential is in balance (RBO, MC-RBO).

    With :math:`d` the city-block distance, a class has at x the potential

    .. math:: \phi(x) = \sum_{m\ \text{foreign}} e^{-(d(x, m)/\gamma)^2} - \sum_{s\ \text{own}}
        e^{-(d(x, s)/\gamma)^2}.

    Each sample starts at a member drawn at random and tries steps along one feature, up or down; a step is
    kept if the potential's magnitude falls.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes to extend, and how far, as in every over-sampler of imbalanced-learn.

    random_state : int, RandomState instance or None, default=None
        The seed, the generator, or None for NumPy's global legacy generator.

    multiclass : {"one_vs_rest", "successive"}, default="one_vs_rest"
        What is foreign to a class. "one_vs_rest", RBO [1]_: all rows of other classes, as they are given.
        "successive", MC-RBO [2]_: the classes are filled from the largest to the smallest, each against rows
        drawn, with replacement, from every larger class as it has become; together about as many as the
        largest class has, and none of smaller classes. There a direction that has failed is not tried again
        before another succeeded, nor is the way back, and a walk without a direction left ends.

    gamma : float, default=1.0
        The reach of the kernel.

    step : float, default=0.02
        The length of a step.

    n_steps : int, default=500
        How many steps are tried at most.

    stop_probability : float, default=0.02
        The probability that a walk ends after a step. With 0, as in [2]_, walks are as long as `n_steps`.

    n_neighbors : int or "all", default=25
        The potential is that of the seed and the rows that are nearest to it (Euclidean): as many as this, or
        all there are. In [1]_ it is that of all rows, which takes time in proportion to their number.

    units : {"data", "original"}, default="data"
        Of `gamma` and `step`. "data": the median city-block distance from a member of the class to the
        nearest of its neighbors that is not equal to it, of any class. "original": that of the features; the
        published values, a gamma of 0.05 and a step of 0.001, are for features between 0 and 1.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of samples to generate for each class.

    gamma_ : dict
        The reach of the kernel for each class that was filled, in the unit of the features.

    n_features_in_, feature_names_in_
        Number of features in the input, and their names, where `X` has names that are all strings.

    See Also
    --------
    eos.CCR : Draws samples in spheres, and moves foreign rows out of them.

    Notes
    -----
    A class whose members are equal to all rows near them has no distance for a unit: its members are repeated
    at random, with a `UserWarning`. Samples may be negative where features cannot be. The largest class, if
    `sampling_strategy` names it, is filled against all rows of the others. The rows are the same on every
    processor. Sparse input is accepted, but is made dense.

    References
    ----------
    .. [1] M. Koziarski, B. Krawczyk, M. Woźniak, "Radial-based oversampling for noisy imbalanced data
       classification", Neurocomputing 343, 19-33, 2019.
    .. [2] B. Krawczyk, M. Koziarski, M. Woźniak, "Radial-based oversampling for multiclass imbalanced data
       classification", IEEE Transactions on Neural Networks and Learning Systems 31(8), 2818-2831, 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from eos import RBO
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> X_resampled, y_resampled = RBO(random_state=0).fit_resample(X, y)
    >>> X.shape, X_resampled.shape
    ((300, 20), (540, 20))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseOverSampler._parameter_constraints,
        "multiclass": [StrOptions({"one_vs_rest", "successive"})],
        "gamma": [Interval(numbers.Real, 0, None, closed="neither")],
        "step": [Interval(numbers.Real, 0, None, closed="neither")],
        "n_steps": [Interval(numbers.Integral, 1, None, closed="left")],
        "stop_probability": [Interval(numbers.Real, 0, 1, closed="left")],
        "n_neighbors": [Interval(numbers.Integral, 1, None, closed="left"), StrOptions({"all"})],
        "units": [StrOptions({"data", "original"})],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        multiclass: str = "one_vs_rest",
        gamma: float = 1.0,
        step: float = 0.02,
        n_steps: int = 500,
        stop_probability: float = 0.02,
        n_neighbors: Any = 25,
        units: str = "data",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.multiclass = multiclass
        self.gamma = gamma
        self.step = step
        self.n_steps = n_steps
        self.stop_probability = stop_probability
        self.n_neighbors = n_neighbors
        self.units = units

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        random_state = check_random_state(self.random_state)
        self.gamma_: dict[Any, float] = {}
        filled = {label: count for label, count in self.sampling_strategy_.items() if count}
        if not filled:
            return X.copy(), y.copy()
        rows = dense_rows(X)
        made: dict[Any, np.ndarray] = {}
        if self.multiclass == "one_vs_rest":
            for label, n_samples in filled.items():
                made[label] = self._grown(label, rows[y == label], rows[y != label], n_samples, random_state)
        else:
            self._successively(rows, y, filled, made, random_state)
        if repeated := [label for label in filled if label not in self.gamma_]:
            warnings.warn(
                "members were repeated at random, because they are equal to all rows near them: "
                f"{listed_classes(np.array(repeated))}",
                stacklevel=2,
            )
        labels = [np.full(n_samples, label, dtype=y.dtype) for label, n_samples in filled.items()]
        return stacked(X, [made[label] for label in filled]), np.concatenate([y, *labels])

    def _successively(
        self,
        rows: np.ndarray,
        y: np.ndarray,
        filled: dict[Any, int],
        made: dict[Any, np.ndarray],
        random_state: np.random.RandomState,
    ) -> None:
        """Put the samples of each class into `made`, class by class, the largest first."""
        order = by_size(y)
        most = int(np.count_nonzero(y == order[0]))
        for place, label in enumerate(order):
            if label not in filled:
                continue
            if place == 0:
                foreign = rows[y != label]
            else:
                # The larger classes as they have become, one behind the other.
                grown = [np.concatenate([rows[y == one], made.get(one, rows[:0])]) for one in order[:place]]
                starts = np.cumsum([0, *map(len, grown)])
                members = {
                    one: np.arange(start, start + len(part))
                    for one, start, part in zip(order, starts, grown, strict=False)
                }
                foreign = np.concatenate(grown)[drawn_from_each(members, most, random_state, replace=True)]
            made[label] = self._grown(label, rows[y == label], foreign, filled[label], random_state)

    def _grown(
        self,
        label: Any,
        members: np.ndarray,
        foreign: np.ndarray,
        n_samples: int,
        random_state: np.random.RandomState,
    ) -> np.ndarray:
        """Return samples of a class, (n_samples, n_features), those of a seed side by side."""
        seeds = np.sort(random_state.randint(len(members), size=n_samples))
        # Own rows stand first, so the number of a seed is that of its row.
        rows = np.concatenate([members, foreign])
        near = nearest_with_itself(rows, np.arange(len(members)), self.n_neighbors)
        unit = _unit(rows, near) if self.units == "data" else 1.0
        if unit is None:
            return members[seeds]
        self.gamma_[label] = gamma = in_units("gamma", self.gamma, unit)
        step = in_units("step", self.step, unit)
        size = max(1, 2 * BLOCK // near.shape[1])
        parts = -(-n_samples // size)
        walks = (
            _walk(
                rows,
                near,
                len(members),
                seeds[start : start + size],
                gamma=gamma,
                step=step,
                n_steps=self.n_steps,
                stop_probability=float(self.stop_probability),
                again=self.multiclass == "one_vs_rest",
                random_state=random_state,
            )
            for start in range(0, n_samples, size)
        )
        return np.concatenate(list(reported(walks, parts, f"walks of class {label}")))


def _city_block(rows: np.ndarray, seeds: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return the distances of seeds to rows near them, (n_seeds, k + 1)."""
    distance = np.empty(near.shape)
    size = max(1, 32 * BLOCK // (near.shape[1] * rows.shape[1]))
    for start in range(0, len(seeds), size):
        part = slice(start, start + size)
        difference = rows[near[part]]
        difference -= rows[seeds[part], np.newaxis]
        distance[part] = np.abs(difference, out=difference).sum(axis=2)
    return distance


def _unit(rows: np.ndarray, near: np.ndarray) -> float | None:
    """Return the median distance of a member to the nearest row that is not equal; None if all are equal."""
    least = np.empty(len(near))
    size = max(1, 32 * BLOCK // (near.shape[1] * rows.shape[1]))
    for start in range(0, len(near), size):
        part = np.arange(start, min(start + size, len(near)))
        distance = _city_block(rows, part, near[part])
        least[part] = np.where(distance > 0, distance, np.inf).min(axis=1)
    least = least[np.isfinite(least)]
    return float(np.median(least)) if len(least) else None


def _walk(
    rows: np.ndarray,
    near: np.ndarray,
    n_members: int,
    seeds: np.ndarray,
    *,
    gamma: float,
    step: float,
    n_steps: int,
    stop_probability: float,
    again: bool,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Return where the walks end that begin at `seeds`, all of them a step at a time.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Those of the members stand first.
    near : ndarray of shape (n_members, k + 1)
        The rows that make the potential around each member.
    n_members : int
        How many members there are.
    seeds : ndarray of int, shape (n,), sorted
        The member that each walk begins at.
    gamma, step, n_steps, stop_probability
        As in `RBO`, lengths in the unit of the features.
    again : bool
        Whether directions are drawn with replacement.
    random_state : RandomState
        Draws.

    Returns
    -------
    ndarray of shape (n, n_features)
    """
    n_features = rows.shape[1]
    places = rows[seeds]
    different, which = np.unique(seeds, return_inverse=True)
    distance = _city_block(rows, different, near[different])[which]
    offset, values = near[seeds] * n_features, rows.ravel()
    sign = np.where(near[seeds] < n_members, -1.0, 1.0)
    level = _levels(distance, sign, gamma)
    # Direction 2 f is up along feature f, 2 f + 1 down. Of those in `order` the first `left` may be tried.
    walk, left = np.arange(len(seeds)), np.full(len(seeds), 2 * n_features)
    order = None if again else _Order(len(seeds), 2 * n_features)
    for _ in range(n_steps):
        drawn = (random_state.random_sample(len(walk)) * left).astype(np.intp)
        direction = drawn if order is None else order.take(drawn, left)
        feature = direction >> 1
        old = places[walk, feature]
        new = old + np.where(direction & 1, -step, step)
        column = values.take(offset + feature[:, np.newaxis])
        trial = np.abs(new[:, np.newaxis] - column)
        trial -= np.abs(old[:, np.newaxis] - column)
        trial += distance
        new_level = _levels(trial, sign, gamma)
        better = np.flatnonzero(new_level < level)
        places[walk[better], feature[better]] = new[better]
        distance[better], level[better] = trial[better], new_level[better]
        goes_on = np.ones(len(walk), dtype=bool)
        if order is not None:
            left -= 1
            left[better] = order.reset(better, direction[better] ^ 1)
            goes_on = left > 0
        if stop_probability:
            goes_on &= random_state.random_sample(len(walk)) >= stop_probability
        if not goes_on.all():
            walk, left, level = walk[goes_on], left[goes_on], level[goes_on]
            offset, sign, distance = offset[goes_on], sign[goes_on], distance[goes_on]
            if order is not None:
                order.keep(goes_on)
            if not len(walk):
                break
    return places


def _levels(distance: np.ndarray, sign: np.ndarray, gamma: float) -> np.ndarray:
    """Return the magnitudes of potentials, (n,), from distances and signs of rows, each (n, k + 1)."""
    with np.errstate(over="ignore"):  # of a far row the kernel is 0
        scaled = distance / gamma
        np.square(scaled, out=scaled)
    kernel = gaussian(scaled)
    kernel *= sign
    return np.abs(kernel.sum(axis=1))


class _Order:
    """For each of some walks an order of its directions, of which the first few have not been tried."""

    def __init__(self, n_walks: int, n_directions: int) -> None:
        dtype = np.int16 if n_directions < 2**15 else np.int32
        self.direction = np.tile(np.arange(n_directions, dtype=dtype), (n_walks, 1))
        self.place = self.direction.copy()  # of each direction

    def take(self, drawn: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Return the directions in the drawn places, and put them behind those that are left."""
        walks = np.arange(len(drawn))
        direction = self.direction[walks, drawn].astype(np.intp)
        self._swap(walks, drawn, left - 1)
        return direction

    def reset(self, walks: np.ndarray, last: np.ndarray) -> int:
        """Let all directions of some walks be tried again, but for one of each; return how many they are."""
        end = self.direction.shape[1] - 1
        self._swap(walks, self.place[walks, last].astype(np.intp), np.full(len(walks), end))
        return end

    def keep(self, walks: np.ndarray) -> None:
        """Forget the walks that have ended."""
        self.direction, self.place = self.direction[walks], self.place[walks]

    def _swap(self, walks: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
        first, second = self.direction[walks, one], self.direction[walks, other]
        self.direction[walks, one], self.direction[walks, other] = second, first
        self.place[walks, first], self.place[walks, second] = other, one
