"""Expansive Over-Sampling: synthetic samples between a class and its nearest enemies."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_sampling_strategy, check_target_type
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import validate_data

from eos.samplers.neighbors import ExactNeighbors, largest_magnitude

# Of the rows that are searched for, this many values are copied at once: at most 256 MB.
_QUERIED_VALUES = 2**25


@dataclass(frozen=True)
class Interpolations:
    """Synthetic samples as triples: sample i is ``X[base[i]] + step[i] * (X[partner[i]] - X[base[i]])``.

    Attributes
    ----------
    base, partner : ndarray of int, shape (n_samples,)
        Row numbers of the data set that the triples were drawn from.
    step : ndarray of float64, shape (n_samples,)
        The fraction of the way to the partner; negative away from it.
    labels : ndarray of shape (n_samples,)
        The classes of the samples, those of their bases.
    """

    base: np.ndarray
    partner: np.ndarray
    step: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.base)

    def rows(self, X: Any, selection: Any = slice(None)) -> Any:
        """Return the samples' features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)
            The data set that the triples were drawn from.
        selection : slice, or ndarray of int or bool, default=slice(None)
            Which samples; all, if not given.

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_selected, n_features)
            In the format and dtype of `X`; float64 where `X` is not floating point.
        """
        X = check_array(
            X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], ensure_all_finite=False
        )
        start = X[self.base[selection]]
        difference = X[self.partner[selection]] - start
        steps = self.step[selection].astype(X.dtype)[:, np.newaxis]
        if sparse.issparse(X):
            return start + difference.multiply(steps)
        # In place: the differences become the samples, and there is one array less.
        difference *= steps
        difference += start
        return difference

    @classmethod
    def none(cls, dtype: np.dtype) -> Interpolations:
        """Return no samples, of labels of this dtype."""
        nowhere = np.empty(0, dtype=np.intp)
        return cls(nowhere, nowhere, np.empty(0), np.empty(0, dtype=dtype))

    @classmethod
    def concatenated(cls, parts: Sequence[Interpolations]) -> Interpolations:
        """Return the samples of all parts, at least one, in their order."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class EOS(BaseOverSampler):
    """Over-sample each class towards its nearest enemies (Expansive Over-Sampling).

    A synthetic sample lies on the segment from a member of its class (the base) towards one of the
    base's nearest enemies: a row of another class among the K nearest neighbors of the base in the
    whole data set. Unlike SMOTE, which stays within the hull of a class, this widens the range of
    the class's features in the direction of its neighbors.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes to extend, and how far, as in every over-sampler of imbalanced-learn. ``"auto"``
        brings every class to the size of the largest.

    random_state : int, RandomState instance or None, default=None
        The seed, the generator, or None for NumPy's global legacy generator.

    k_neighbors : int or object, default=10
        How many nearest neighbors of a member are searched for enemies, the member itself not
        counted. Or a nearest-neighbor object with scikit-learn's interface (``fit``, ``kneighbors``,
        ``kneighbors_graph``), of which a clone is fitted; as elsewhere in imbalanced-learn its
        ``n_neighbors`` does count the point itself, so it is K + 1. An int stands for the exact search
        `eos.samplers.neighbors.ExactNeighbors`, which can also share its lists among samplers of different K.

    variant : {"toward", "away", "released"}, default="toward"
        - ``"toward"``: ``base + r * (enemy - base)``, the text and results of [1]_.
        - ``"away"``: ``base + r * (base - enemy)``, Algorithm 2 of [1]_ as printed.
        - ``"released"``: the code published with [1]_. It steps toward, but draws its partner one
          place too early in the list of neighbors: in place of an enemy comes the neighbor just
          before it, which may be of the same class, or the base itself. Under one legacy seed and
          for float64 features it gives the same rows as that code, bit for bit.

    step_size : float, default=1.0
        The largest fraction of the way to the enemy, in (0, 1]: steps r are uniform in
        [0, step_size). The paper uses 1.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of samples to generate for each class.

    nn_k_ : estimator object
        The nearest-neighbor search, fitted on all rows.

    k_neighbors_ : int
        The K that was used: `k_neighbors`, or the number of other rows where that is less.

    fallback_classes_ : ndarray of shape (n_fallback_classes,)
        The classes of which no member had an enemy among its K neighbors, so that every member was
        paired with its K nearest enemies instead (with all of them where there are fewer).

    n_features_in_ : int
        Number of features in the input.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where `X` has names that are all strings.

    Warns
    -----
    UserWarning
        If there are fewer than K other rows, so that K is clipped.

    See Also
    --------
    imblearn.over_sampling.SMOTE : Interpolates between members of one class.
    eos.samplers.balanced_svm.BalancedSVM : SMOTE with the labels of a support-vector machine.

    Notes
    -----
    Per class, in the order of the labels, three draws are made, each for all samples at once: the
    bases, uniformly among the members that have an enemy; one partner each, uniformly among the
    enemies of that base; the steps.

    Features that are not floating point are sampled as float64; float32 stays float32. A pandas frame gets
    its own dtypes back, as from every sampler of imbalanced-learn, so convert one of whole numbers first.

    References
    ----------
    .. [1] D. A. Dablain, C. Bellinger, B. Krawczyk, N. V. Chawla, "Efficient augmentation for
       imbalanced deep learning", Section III-D and Algorithm 2.

    Examples
    --------
    >>> from collections import Counter
    >>> from sklearn.datasets import make_classification
    >>> from eos import EOS
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> sorted(Counter(y.tolist()).items())
    [(0, 270), (1, 30)]
    >>> X_resampled, y_resampled = EOS(random_state=0).fit_resample(X, y)
    >>> sorted(Counter(y_resampled.tolist()).items())
    [(0, 270), (1, 270)]
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseOverSampler._parameter_constraints,
        "k_neighbors": [
            Interval(numbers.Integral, 1, None, closed="left"),
            HasMethods(["kneighbors", "kneighbors_graph"]),
        ],
        "variant": [StrOptions({"toward", "away", "released"})],
        "step_size": [Interval(numbers.Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        k_neighbors: Any = 10,
        variant: str = "toward",
        step_size: float = 1.0,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.variant = variant
        self.step_size = step_size

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, np.ndarray, bool]:  # noqa: N802 - imbalanced-learn's name
        # Steps are fractions: on whole-number features they would be cut off, or wrap around.
        y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
        X, y = validate_data(self, X=X, y=y, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32])
        return X, y, binarize_y

    def fit_interpolations(self, X: Any, y: Any) -> Interpolations:
        """Draw the samples as triples, without making their rows.

        `fit_resample` makes the rows of the very same triples. A classifier that takes its rows in batches
        can be trained on the triples, so that the balanced data set never exists in memory.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The features, as for `fit_resample`.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        Interpolations
            One triple for each row that `fit_resample` would add, in the same order.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import make_classification
        >>> from eos import EOS
        >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
        >>> triples = EOS(random_state=0).fit_interpolations(X, y)
        >>> len(triples)
        240
        >>> X_resampled, _ = EOS(random_state=0).fit_resample(X, y)
        >>> np.array_equal(triples.rows(X), X_resampled[300:])
        True
        """
        self._validate_params()
        X, y, _ = self._check_X_y(X, y)
        self.sampling_strategy_ = check_sampling_strategy(self.sampling_strategy, y, self._sampling_type)
        return self._interpolations(X, y)

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        made = self._interpolations(X, y)
        blocks = [X, made.rows(X)]
        stacked = sparse.vstack(blocks, format=X.format) if sparse.issparse(X) else np.concatenate(blocks)
        return stacked, np.concatenate([y, made.labels])

    def _interpolations(self, X: Any, y: np.ndarray) -> Interpolations:
        values, limit = (X.data if sparse.issparse(X) else X), np.finfo(X.dtype).max / 4
        if (largest := largest_magnitude(values)) > limit:
            raise ValueError(
                f"X: values as large as {largest:g} cannot be interpolated, the steps overflow {X.dtype}; "
                f"scale the features down (to {limit:g} at most)"
            )
        random_state = check_random_state(self.random_state)
        self._fit_neighbors(X)
        members_of = _members(y)
        filled = [label for label, n_samples in self.sampling_strategy_.items() if n_samples]
        neighbors = self._nearest_rows(X, [members_of[label] for label in filled])
        fallback_classes = []
        drawn = [Interpolations.none(y.dtype)]
        for label, rows in zip(filled, neighbors, strict=True):
            members, n_samples = members_of[label], self.sampling_strategy_[label]
            pairs = self._neighbor_pairs(y, members, rows)
            if not len(pairs.bases):
                fallback_classes.append(label)
                pairs = self._enemy_pairs(X, y, members)
            base, partner, step = pairs.draw(n_samples, random_state)
            step *= -self.step_size if self.variant == "away" else self.step_size
            drawn.append(Interpolations(base, partner, step, np.full(n_samples, label, dtype=y.dtype)))
        self.fallback_classes_ = np.array(fallback_classes, dtype=y.dtype)
        return Interpolations.concatenated(drawn)

    def _fit_neighbors(self, X: Any) -> None:
        """Fit the search on all rows and set K, clipped to the number of other rows."""
        if isinstance(self.k_neighbors, numbers.Integral):
            search = ExactNeighbors(int(self.k_neighbors) + 1)
        else:
            search = clone(self.k_neighbors)
        asked, others = search.n_neighbors - 1, X.shape[0] - 1
        if asked < 1:
            raise ValueError(
                f"k_neighbors: the object has n_neighbors={search.n_neighbors}; it counts the point itself, "
                "so it must be at least 2"
            )
        if asked > others:
            warnings.warn(
                f"k_neighbors was reduced from {asked} to {others}, because no row has more neighbors",
                UserWarning,
                stacklevel=2,
            )
        self.nn_k_ = search.fit(X)
        self.k_neighbors_ = min(asked, others)

    def _nearest_rows(self, X: Any, members: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return, for each class's members, their K + 1 nearest rows, themselves among them."""
        if not members:
            return []
        queries = np.concatenate(members)
        length = max(1, _QUERIED_VALUES // X.shape[1])
        found = [
            self.nn_k_.kneighbors(
                X[queries[start : start + length]],
                n_neighbors=self.k_neighbors_ + 1,
                return_distance=False,
            )
            for start in range(0, len(queries), length)
        ]
        return np.split(np.concatenate(found), np.cumsum([len(rows) for rows in members[:-1]]))

    def _neighbor_pairs(self, y: np.ndarray, members: np.ndarray, rows: np.ndarray) -> _Pairs:
        """Pair the members with the enemies among their neighbors; members without one drop out."""
        label = y[members[0]]
        if self.variant == "released":
            # The published slip: a place among neighbors 1..K is looked up in the list 0..K.
            return _Pairs.where(y[rows[:, 1:]] != label, bases=rows[:, 0], partners=rows[:, :-1])
        rows = _without_self(rows, members)
        return _Pairs.where(y[rows] != label, bases=members, partners=rows)

    def _enemy_pairs(self, X: Any, y: np.ndarray, members: np.ndarray) -> _Pairs:
        """Pair every member with its K nearest enemies."""
        enemies = np.flatnonzero(y != y[members[0]])
        search = clone(self.nn_k_).fit(X[enemies])
        n_neighbors = min(self.k_neighbors_, len(enemies))
        rows = enemies[search.kneighbors(X[members], n_neighbors=n_neighbors, return_distance=False)]
        return _Pairs.where(np.ones(rows.shape, dtype=bool), bases=members, partners=rows)


@dataclass(frozen=True)
class _Pairs:
    """Bases, and for each of them the rows it may be paired with, one list after the other."""

    bases: np.ndarray  # (n_bases,) row numbers
    counts: np.ndarray  # (n_bases,) partners of each base, at least one
    partners: np.ndarray  # (sum of counts,) row numbers

    @classmethod
    def where(cls, allowed: np.ndarray, *, bases: np.ndarray, partners: np.ndarray) -> _Pairs:
        """Keep the allowed partners (arrays of n by K) and the bases (n) that have any."""
        counts = np.count_nonzero(allowed, axis=1)
        return cls(bases[counts > 0], counts[counts > 0], partners[allowed])

    def draw(
        self, n_samples: int, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw bases, partners and steps in [0, 1), each of shape (n_samples,), in this order."""
        base = random_state.choice(len(self.bases), size=n_samples)
        place = _places(random_state.random_sample(n_samples), self.counts[base])
        step = random_state.random_sample(n_samples)
        starts = np.cumsum(self.counts) - self.counts
        return self.bases[base], self.partners[starts[base] + place], step


def _members(y: np.ndarray) -> dict[Any, np.ndarray]:
    """Return the row numbers of each label, ascending."""
    order = np.argsort(y, kind="stable")
    labels, starts = np.unique(y[order], return_index=True)
    return dict(zip(labels.tolist(), np.split(order, starts[1:]), strict=True))


def _places(uniform: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Turn one uniform number per sample into a place in a list of `counts` equally likely ones.

    It is the inversion that ``RandomState.choice(..., p=...)`` makes, rounding included, so that a
    loop over such calls gives the same places; ``floor(uniform * counts)`` may differ in the last bit.
    """
    places = np.empty(len(uniform), dtype=np.intp)
    for count in np.unique(counts):
        chosen = counts == count
        cumulated = np.full(count, 1.0 / count).cumsum()
        places[chosen] = np.searchsorted(cumulated / cumulated[-1], uniform[chosen], side="right")
    return places


def _without_self(rows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Drop each member from its row of neighbors, (n, K + 1) to (n, K).

    A member need not come first where rows are duplicated; where it is not even among the K + 1
    (all of them duplicates of it), the last one is dropped.
    """
    dropped = rows == members[:, np.newaxis]
    dropped[~dropped.any(axis=1), -1] = True
    return rows[~dropped].reshape(len(rows), -1)
