"""Expansive Over-Sampling: synthetic samples between a class and its nearest enemies."""

from __future__ import annotations

import math
import numbers
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_sampling_strategy
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets

from eos.errors import InputError
from eos.samplers.neighbors import ExactNeighbors
from eos.samplers.rows import FloatingRows
from eos.validation import check_magnitude, check_squares, labels_of_one_kind

# Of the rows that are searched for, this many values are copied at once: at most 256 MB.
_QUERIED_VALUES = 2**25
# With step_size="auto", how far the steps of a class go that becomes e times as large.
_AUTO_STEP = 0.2

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]  # bases, partners, steps


class FallbackWarning(UserWarning):
    """EOS did something else than it was asked for, because the data leave no other way."""


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
        The classes of the samples.
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
            Which samples.

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


class EOS(FloatingRows, BaseOverSampler):
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

    k_neighbors : int, "all", "auto" or object, default="auto"
        How many nearest neighbors of a member are searched for enemies, the member itself not counted: the
        exact search `eos.samplers.neighbors.ExactNeighbors` finds them. Or any object with ``n_neighbors``,
        ``fit(X)`` and ``kneighbors(X, n_neighbors, return_distance=False)``, of which a clone is fitted; as
        elsewhere in imbalanced-learn its ``n_neighbors`` counts the point itself, so it is K + 1. If it has
        ``kneighbors_of_rows(rows, n_neighbors)`` too, that is given the numbers of fitted rows in place of
        copies. The notes have one that is approximate. With ``"all"`` every row of another class is an enemy
        of every member, each equally likely: there is no search, and the time grows with the new rows alone.
        ``"auto"`` is ``"all"``. The paper uses 10 and more.

    variant : {"toward", "away", "released"}, default="toward"
        - ``"toward"``: ``base + r * (enemy - base)``, the text and results of [1]_.
        - ``"away"``: ``base + r * (base - enemy)``, Algorithm 2 of [1]_ as printed.
        - ``"released"``: the code published with [1]_. It steps toward, but draws its partner one
          place too early in the list of neighbors: in place of an enemy comes the neighbor just
          before it, which may be of the same class, or the base itself. Under one legacy seed and
          for float64 features it gives the same rows as that code, bit for bit. It needs a number of
          neighbors, so not ``"all"`` or ``"auto"``.

    step_size : float or "auto", default="auto"
        The largest fraction of the way to the enemy, in (0, 1]: steps r are uniform in
        [0, step_size). The paper uses 1. ``"auto"`` gives each class its own by how many times as large it
        becomes, m: ``min(1, 0.2 * log(m))``, 0.46 where it is filled tenfold and 0.92 where hundredfold.

    metric : {"euclidean", "cosine"}, default="euclidean"
        What is near in the search for neighbors: with ``"cosine"`` rows of unit length are searched, of
        which a copy is made. The samples are made of the rows as they are.

    Attributes
    ----------
    sampling_strategy_ : dict
        The number of samples to generate for each class.

    nn_k_ : estimator object or None
        The nearest-neighbor search, fitted on all rows; None for ``"all"``.

    k_neighbors_ : int or "all"
        The K that was used: `k_neighbors`, or the number of other rows where that is less.

    step_size_ : float or dict of class to float
        The largest step that was used: `step_size`, or for ``"auto"`` that of each class.

    fallback_classes_ : ndarray of shape (n_fallback_classes,)
        The classes of which no member had an enemy among its K neighbors, so that every member was
        paired with its K nearest enemies instead (with all of them where there are fewer).

    n_features_in_, feature_names_in_
        Number of features in the input, and their names, where `X` has names that are all strings.

    Warns
    -----
    eos.FallbackWarning
        If K was lowered, and if there are `fallback_classes_`: such a class is far from all others for K.
        ``warnings.simplefilter("ignore", FallbackWarning)`` silences both.

    See Also
    --------
    imblearn.over_sampling.SMOTE : Interpolates between members of one class.
    eos.BalancedSVM : SMOTE with the labels of a support-vector machine.

    Notes
    -----
    Per class, in the order of the labels, three draws are made, each for all samples at once: the
    bases, uniformly among the members that have an enemy; one partner each, uniformly among the
    enemies of that base; the steps. With ``k_neighbors="all"`` the draws are whole numbers of
    `RandomState.randint`, each exactly as likely as the others.

    Features that are not floating point are sampled as float64; float32 stays float32. A pandas frame gets
    its own dtypes back, as from every sampler of imbalanced-learn, so convert one of whole numbers first.

    The defaults are not the paper's setting, which is ``EOS(k_neighbors=10, step_size=1.0)``. They are for
    embeddings of which no rows were held out of the network's training; on held-out rows `eos.EOSCV` chooses.
    The less of a class there is, the less of its range its rows show, and the farther its samples go. The
    factor 0.2 was set on 48 embeddings, and the rule compared with fixed settings on others
    (``docs/results/self-tuning`` of the project). No rule that was tried by what the training rows show
    (spread within and between classes, share of enemies among neighbors, training accuracy) was better than
    the best constant.

    The exact search takes time in proportion to the rows of all classes to be filled times all rows. It says
    on a terminal how far it is. Millions of rows are for an approximate search, such as one by Faiss
    (``pip install faiss-cpu``). It finds most of the neighbors, which is enough for sampling among them:

    >>> import faiss, math
    >>> import numpy as np
    >>> class FaissNeighbors:
    ...     def __init__(self, n_neighbors):
    ...         self.n_neighbors = n_neighbors
    ...     def fit(self, X):
    ...         cells = math.isqrt(len(X))
    ...         self.index = faiss.index_factory(X.shape[1], f"IVF{cells},Flat")
    ...         self.index.train(np.float32(X))
    ...         self.index.add(np.float32(X))
    ...         self.index.nprobe = max(8, cells // 16)  # cells that are searched; more find more
    ...         return self
    ...     def kneighbors(self, X, n_neighbors, return_distance=False):
    ...         return self.index.search(np.float32(X), n_neighbors)[1]
    >>> from eos import EOS
    >>> sampler = EOS(k_neighbors=FaissNeighbors(11), random_state=0)

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseOverSampler._parameter_constraints,
        "k_neighbors": [
            Interval(numbers.Integral, 1, None, closed="left"),
            HasMethods(["fit", "kneighbors"]),
            StrOptions({"all", "auto"}),
        ],
        "variant": [StrOptions({"toward", "away", "released"})],
        "step_size": [Interval(numbers.Real, 0, 1, closed="right"), StrOptions({"auto"})],
        "metric": [StrOptions({"euclidean", "cosine"})],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        k_neighbors: Any = "auto",
        variant: str = "toward",
        step_size: float | str = "auto",
        metric: str = "euclidean",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.variant = variant
        self.step_size = step_size
        self.metric = metric

    def fit_interpolations(self, X: Any, y: Any) -> Interpolations:
        """Draw the samples as triples, without making their rows.

        `fit_resample` makes the rows of the very same triples. A classifier that takes its rows in batches
        can be trained on the triples, so that the balanced data set never exists in memory.

        Parameters
        ----------
        X, y
            As for `fit_resample`: {array-like, sparse matrix} of shape (n_samples, n_features), and labels.

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
        labels_of_one_kind(y, "y")  # before anything compares them
        check_classification_targets(y)
        X, y, _ = self._check_X_y(X, y)
        self.sampling_strategy_ = check_sampling_strategy(self.sampling_strategy, y, self._sampling_type)
        return self._interpolations(X, y)

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        made = self._interpolations(X, y)
        blocks = [X, made.rows(X)]
        stacked = sparse.vstack(blocks, format=X.format) if sparse.issparse(X) else np.concatenate(blocks)
        return stacked, np.concatenate([y, made.labels])

    def _interpolations(self, X: Any, y: np.ndarray) -> Interpolations:
        values = X.data if sparse.issparse(X) else X
        check_magnitude(values, "X", float(np.finfo(X.dtype).max) / 4, f"interpolated in {X.dtype}")
        random_state = check_random_state(self.random_state)
        members_of = _members(y)
        filled = {label: count for label, count in self.sampling_strategy_.items() if count}
        self.step_size_: Any = self.step_size
        if self.step_size == "auto":
            self.step_size_ = {
                label: _auto_step(len(members_of[label]), n_samples) for label, n_samples in filled.items()
            }
        if isinstance(self.k_neighbors, str):
            drawn = self._drawn_from_all(y, members_of, filled, random_state)
        else:
            drawn = self._drawn_near(X, y, members_of, filled, random_state)
        nowhere = np.empty(0, dtype=np.intp)
        base, partner, step = (
            np.concatenate(parts) for parts in zip((nowhere, nowhere, np.empty(0)), *drawn, strict=True)
        )
        labels = [np.full(count, label, dtype=y.dtype) for label, count in filled.items()]
        if isinstance(self.step_size_, dict):
            step *= np.repeat([*self.step_size_.values()], [*filled.values()])
        else:
            step *= self.step_size_
        if self.variant == "away":
            step *= -1
        return Interpolations(base, partner, step, np.concatenate([y[:0], *labels]))

    def _drawn_from_all(
        self,
        y: np.ndarray,
        members_of: dict[Any, np.ndarray],
        filled: dict[Any, int],
        random_state: np.random.RandomState,
    ) -> list[Triples]:
        """Draw bases, enemies and steps in [0, 1) for each class; any row of another class is an enemy."""
        if self.variant == "released":
            raise InputError(
                'variant: "released" repeats a slip in lists of neighbors, and k_neighbors="all" has none; '
                'give k_neighbors a number, or variant "toward"'
            )
        self.nn_k_: Any = None
        self.k_neighbors_: Any = "all"
        self.fallback_classes_ = y[:0]
        # Sorted by class, the enemies of a class are the rows before its first and after its last.
        rows = np.concatenate([*members_of.values()])
        sizes = [len(members) for members in members_of.values()]
        starts = dict(zip(members_of, np.cumsum(sizes) - sizes, strict=True))
        drawn = []
        for label, n_samples in filled.items():
            members = members_of[label]
            base = members[random_state.randint(len(members), size=n_samples)]
            place = random_state.randint(len(rows) - len(members), size=n_samples)
            place[place >= starts[label]] += len(members)
            drawn.append((base, rows[place], random_state.random_sample(n_samples)))
        return drawn

    def _drawn_near(
        self,
        X: Any,
        y: np.ndarray,
        members_of: dict[Any, np.ndarray],
        filled: dict[Any, int],
        random_state: np.random.RandomState,
    ) -> list[Triples]:
        """Draw bases, enemies among their neighbors, and steps in [0, 1) for each class."""
        check_squares(X.data if sparse.issparse(X) else X, "X")
        self._fit_neighbors(X)
        neighbors = self._nearest_rows(X, [members_of[label] for label in filled])
        fallback_classes, drawn = [], []
        for (label, n_samples), rows in zip(filled.items(), neighbors, strict=True):
            bases, partners, enemies = self._candidates(y, members_of[label], rows)
            if not enemies.any():
                fallback_classes.append(label)
                bases, partners = members_of[label], self._nearest_enemies(X, y, members_of[label])
                enemies = np.ones(partners.shape, dtype=bool)
            drawn.append(_draw(bases, partners, enemies, n_samples, random_state))
        self.fallback_classes_ = np.array(fallback_classes, dtype=y.dtype)
        if fallback_classes:
            warnings.warn(
                "paired with their k_neighbors nearest enemies, because no member has an enemy among its "
                f"k_neighbors nearest rows: {listed_classes(self.fallback_classes_)}",
                FallbackWarning,
                stacklevel=2,
            )
        return drawn

    def _fit_neighbors(self, X: Any) -> None:
        """Fit the search on all rows and set K, clipped to the number of other rows."""
        search = self._new_search()
        n_neighbors = getattr(search, "n_neighbors", None)
        if not isinstance(n_neighbors, numbers.Integral) or n_neighbors < 2:
            raise InputError(
                f"k_neighbors: the object has n_neighbors={n_neighbors}; it counts the point itself, so "
                "it must be a whole number of at least 2"
            )
        asked, others = int(n_neighbors) - 1, X.shape[0] - 1
        if asked > others:
            warnings.warn(
                f"k_neighbors was reduced from {asked} to {others}, because no row has more neighbors",
                FallbackWarning,
                stacklevel=2,
            )
        self.nn_k_ = search
        self.nn_k_.fit(self._searched(X))
        self.k_neighbors_ = min(asked, others)

    def _new_search(self) -> Any:
        if isinstance(self.k_neighbors, numbers.Integral):
            return ExactNeighbors(int(self.k_neighbors) + 1)
        return clone(self.k_neighbors, safe=False)

    def _nearest_rows(self, X: Any, members: list[np.ndarray]) -> list[np.ndarray]:
        """Return, for each class's members, their K + 1 nearest rows, themselves among them."""
        if not members:
            return []
        queries = np.concatenate(members)
        n_neighbors = self.k_neighbors_ + 1
        if hasattr(self.nn_k_, "kneighbors_of_rows"):
            rows = self.nn_k_.kneighbors_of_rows(queries, n_neighbors)
            found = [_checked(self.nn_k_, rows, len(queries), n_neighbors, X.shape[0])]
        else:
            length = max(1, _QUERIED_VALUES // X.shape[1])
            found = [
                _found(
                    self.nn_k_, self._searched(X[queries[start : start + length]]), n_neighbors, X.shape[0]
                )
                for start in range(0, len(queries), length)
            ]
        return np.split(np.concatenate(found), np.cumsum([len(rows) for rows in members[:-1]]))

    def _candidates(
        self, y: np.ndarray, members: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return n bases, K possible partners of each, and which of them may be drawn, (n, K)."""
        label = y[members[0]]
        if self.variant == "released":
            # The published slip: a place among neighbors 1..K is looked up in the list 0..K.
            return rows[:, 0], rows[:, :-1], y[rows[:, 1:]] != label
        rows = _without_self(rows, members)
        return members, rows, y[rows] != label

    def _nearest_enemies(self, X: Any, y: np.ndarray, members: np.ndarray) -> np.ndarray:
        """Return the K nearest enemies of every member, (n, K)."""
        enemies = np.flatnonzero(y != y[members[0]])
        search = self._new_search()
        search.fit(self._searched(X[enemies]))
        n_neighbors = min(self.k_neighbors_, len(enemies))
        return enemies[_found(search, self._searched(X[members]), n_neighbors, len(enemies))]

    def _searched(self, rows: Any) -> Any:
        """Return the rows as the search is to see them."""
        return rows if self.metric == "euclidean" else _of_unit_length(rows)


def listed_classes(classes: np.ndarray) -> str:
    """Return labels as a sentence has them: class 1, or classes 1, 2."""
    return f"class{'es' if len(classes) > 1 else ''} {', '.join(map(str, classes))}"


def _found(search: Any, queries: Any, n_neighbors: int, n_rows: int) -> np.ndarray:
    """Return the numbers of the rows that the search finds nearest, (n_queries, n_neighbors)."""
    rows = search.kneighbors(queries, n_neighbors, return_distance=False)
    return _checked(search, rows, queries.shape[0], n_neighbors, n_rows)


def _checked(search: Any, rows: Any, n_queries: int, n_neighbors: int, n_rows: int) -> np.ndarray:
    """Return the row numbers that a search has returned, (n_queries, n_neighbors), or raise InputError."""
    rows, shape = np.asarray(rows), (n_queries, n_neighbors)
    if rows.shape != shape or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n_rows:
        raise InputError(
            f"k_neighbors: {type(search).__name__}.kneighbors must return {n_neighbors} row numbers, from 0 "
            f"to {n_rows - 1}, for each of {shape[0]} queries; it returned {rows.dtype} of shape "
            f"{rows.shape}, from {rows.min(initial=0)} to {rows.max(initial=0)}. An approximate search that "
            "finds too few (Faiss then returns -1) has to look further"
        )
    return rows


def _auto_step(n_members: int, n_samples: int) -> float:
    """Return how far the samples of a class go at most, by how much larger they make it."""
    return min(1.0, _AUTO_STEP * math.log((n_members + n_samples) / n_members))


def _of_unit_length(rows: Any) -> Any:
    """Return the rows, dense or sparse, at length 1; rows of zeros stay as they are."""
    if sparse.issparse(rows):
        squared = np.asarray(rows.astype(np.float64).power(2).sum(axis=1)).ravel()
    else:
        squared = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    factors = 1 / np.sqrt(np.where(squared > 0, squared, 1))
    if sparse.issparse(rows):
        return (sparse.diags_array(factors) @ rows).astype(rows.dtype).asformat(rows.format)
    return rows * factors.astype(rows.dtype)[:, np.newaxis]


def _draw(
    bases: np.ndarray,
    partners: np.ndarray,
    allowed: np.ndarray,
    n_samples: int,
    random_state: np.random.RandomState,
) -> Triples:
    """Draw bases that have an allowed partner, such partners and steps in [0, 1), each (n_samples,)."""
    counts = np.count_nonzero(allowed, axis=1)
    bases, partners, counts = bases[counts > 0], partners[allowed], counts[counts > 0]
    base = random_state.choice(len(bases), size=n_samples)
    place = _places(random_state.random_sample(n_samples), counts[base])
    step = random_state.random_sample(n_samples)
    starts = np.cumsum(counts) - counts
    return bases[base], partners[starts[base] + place], step


def _members(y: np.ndarray) -> dict[Any, np.ndarray]:
    """Return the row numbers of each label, ascending."""
    order = np.argsort(y, kind="stable")
    labels, starts = np.unique(y[order], return_index=True)
    return dict(zip(labels, np.split(order, starts[1:]), strict=True))


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
