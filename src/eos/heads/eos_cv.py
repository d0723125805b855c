"""EOS that chooses its parameters on rows that the network has not seen, as a scikit-learn classifier."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from eos.errors import InputError
from eos.heads.linear_head import LinearHead
from eos.metrics.calibration import class_mean_loss
from eos.samplers.eos import EOS, FallbackWarning
from eos.samplers.neighbors import ExactNeighbors, SharedLists
from eos.validation import check_rows


def _head_has(method: str) -> Any:
    """Return a check that the head, fitted or as given, has a method; without one it is LinearHead."""

    def check(estimator: EOSCV) -> bool:
        head = getattr(estimator, "head_", estimator.head)
        return head is None or hasattr(head, method)

    return check


class EOSCV(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A head on rows balanced by EOS, whose `k_neighbors` and `step_size` are chosen on held-out rows.

    For every split, EOS balances the training rows with every setting of the grid, a clone of the head is
    fitted to each, and scored on the rows left out. The setting with the best mean score then balances all
    rows, and the head is fitted to them. One search, for the largest K, serves all settings of a split.

    **Rows that the network was trained on choose wrongly.** A network separates the rows it has seen far
    better than those it has not, so that among them small steps and near enemies always seem best. Score on
    rows that were held out of the network's training: give them together with the others, and a
    `sklearn.model_selection.PredefinedSplit` whose ``test_fold`` is 0 for the held-out rows and -1 for the
    rest. The default `cv` is right for features that were fitted to none of the rows: those of a network
    that was trained on other data. Where nothing is held out, use ``EOS(k_neighbors="auto",
    step_size="auto")``, which looks at no score.

    Parameters
    ----------
    k_neighbors : sequence of int or "all", default=(10, 100, 300, 1000, "all")
        The candidates for `EOS`'s `k_neighbors`. A K beyond the rows there are is lowered to them.

    step_size : sequence of float or "auto", default=("auto", 0.25, 0.5, 0.75, 1.0)
        The candidates for `EOS`'s `step_size`: numbers in (0, 1], and steps by the size of the class.

    head : classifier, default=None
        What is fitted to the balanced rows; None is ``LinearHead(random_state=random_state)``.

    cv : int, splitter or iterable, default=5
        How rows are held out: a number of stratified folds, a splitter, or pairs of row numbers, as
        everywhere in scikit-learn.

    scoring : str, callable or None, default=None
        A scorer of scikit-learn, or its name; higher is better. None is `eos.heads.eos_cv.log_probability`,
        and ``"balanced_accuracy"`` for a head without `predict_proba`. Where a class has a handful of
        held-out rows, log-probabilities tell settings apart that accuracies do not.

    random_state : int, RandomState instance or None, default=None
        Seeds the draws of EOS, the same ones for every setting, and the default head.

    Attributes
    ----------
    best_k_neighbors_ : int or "all"
    best_step_size_ : float or "auto"
        The chosen setting; of equal scores the first in the order of the grid, K by K.

    best_score_ : float
        Its mean score over the splits, at most 0 with the default scoring. It is the best of many and so
        optimistic.

    cv_results_ : dict of ndarray
        By setting: ``params``, ``param_k_neighbors``, ``param_step_size``, ``split<i>_test_score``,
        ``mean_test_score``, ``std_test_score`` and ``rank_test_score``, as of `GridSearchCV`.

    sampler_ : EOS
        With the chosen setting, fitted to all rows.

    head_ : classifier
        Fitted to all rows, balanced.

    n_splits_ : int
        The number of splits.

    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.

    n_features_in_, feature_names_in_
        Number of features in the input, and their names, where `X` has names that are all strings.

    See Also
    --------
    eos.EOS : The sampler.
    eos.LinearHead : The default head.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.model_selection import PredefinedSplit
    >>> from eos import EOSCV
    >>> X, y = make_classification(n_samples=400, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> seen, held_out = np.arange(300), np.arange(300, 400)  # by the network that made the features
    >>> split = PredefinedSplit(np.r_[np.full(len(seen), -1), np.zeros(len(held_out))])
    >>> model = EOSCV(k_neighbors=[10, "all"], cv=split, random_state=0).fit(X, y)
    >>> model.best_k_neighbors_ in (10, "all")
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "k_neighbors": ["array-like"],
        "step_size": ["array-like"],
        "head": [HasMethods(["fit", "predict"]), None],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        k_neighbors: Sequence[Any] = (10, 100, 300, 1000, "all"),
        step_size: Sequence[Any] = ("auto", 0.25, 0.5, 0.75, 1.0),
        head: Any = None,
        cv: Any = 5,
        scoring: Any = None,
        random_state: Any = None,
    ) -> None:
        self.k_neighbors = k_neighbors
        self.step_size = step_size
        self.head = head
        self.cv = cv
        self.scoring = scoring
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]  # scikit-learn's
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Choose the setting, and fit sampler and head to all rows with it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Feature embeddings, those of the held-out rows among them.
        y : array-like of shape (n_samples,)
            Class labels, at least two different ones.

        Returns
        -------
        self : EOSCV
            The fitted classifier.

        Raises
        ------
        InputError
            If the grid has a value that EOS does not know, or a split leaves one class to train on. It is a
            ValueError, as are scikit-learn's own errors.
        """
        features, labels = check_rows(self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32])
        check_classification_targets(labels)
        classes = np.unique(labels)
        if len(classes) < 2:
            raise InputError(f"y: only one class ({classes[0]}); a classifier needs at least two classes")
        neighbors, steps = _neighbors(self.k_neighbors), _steps(self.step_size)
        seed = self.random_state
        if not isinstance(seed, numbers.Integral):
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        head = LinearHead(random_state=int(seed)) if self.head is None else self.head
        scoring = self.scoring
        if scoring is None:
            scoring = log_probability if hasattr(head, "predict_proba") else "balanced_accuracy"
        scorer = check_scoring(head, scoring=scoring)
        splitter = check_cv(self.cv, labels, classifier=True)
        scores = []
        for number, (train, test) in enumerate(_splits(splitter, features, labels)):
            if len(np.unique(labels[train])) < 2:
                raise InputError(
                    f"cv: split {number} has rows of one class only to train on; use fewer folds, or hold "
                    "out other rows"
                )
            scores.append(
                [
                    _score(scorer(clone(head).fit(*rows), features[test], labels[test]))
                    for rows in _balanced(features[train], labels[train], neighbors, steps, seed)
                ]
            )
        if not scores:
            raise InputError("cv: no row is held out; give a split with held-out rows, or use EOS()")
        grid = [{"k_neighbors": k, "step_size": step} for k, step in product(neighbors, steps)]
        self.cv_results_ = _results(grid, np.array(scores))
        self.n_splits_ = len(scores)
        best = int(self.cv_results_["rank_test_score"].argmin())
        self.best_k_neighbors_, self.best_step_size_ = grid[best].values()
        self.best_score_ = float(self.cv_results_["mean_test_score"][best])
        self.sampler_ = EOS(**grid[best], random_state=seed)
        self.head_ = clone(head).fit(*self.sampler_.fit_resample(features, labels))
        self.classes_ = self.head_.classes_
        return self

    def predict(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the class of each row of `X`, (n_samples, n_features): ndarray of shape (n_samples,)."""
        return self._asked("predict", X)

    @available_if(_head_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the head's probabilities, (n_samples, n_classes), in the order of `classes_`."""
        return self._asked("predict_proba", X)

    @available_if(_head_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: npt.ArrayLike) -> np.ndarray:
        """Return the head's scores, (n_samples,) for two classes and else (n_samples, n_classes)."""
        return self._asked("decision_function", X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        head = LinearHead() if self.head is None else self.head
        tags.input_tags.sparse = get_tags(head).input_tags.sparse
        return tags

    def _asked(self, method: str, X: npt.ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        X = check_rows(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        return getattr(self.head_, method)(X)


def log_probability(head: Any, X: Any, y: np.ndarray) -> float:
    """Return the mean log-probability that a fitted head gives to the true class, averaged over classes.

    It is that at the temperature with which it is largest: how sure a head is in general changes no decision,
    and differs between settings. See `eos.metrics.calibration.class_mean_loss`.

    Parameters
    ----------
    head : classifier
        With `classes_` and `predict_proba`.
    X : {ndarray, sparse matrix} of shape (n, n_features)
    y : ndarray of shape (n,)
        Their classes; one that the head does not know counts as of hardly any probability.

    Returns
    -------
    float
        At most 0.
    """
    probabilities = np.asarray(head.predict_proba(X), dtype=np.float64)
    classes = np.unique(np.concatenate([head.classes_, y]))
    outputs = np.full((len(y), len(classes)), np.log(np.finfo(np.float64).eps))
    columns = np.searchsorted(classes, head.classes_)
    outputs[:, columns] = np.log(np.maximum(probabilities, np.finfo(np.float64).eps))
    return -class_mean_loss(np.searchsorted(classes, y), outputs)


def _neighbors(grid: Iterable[Any]) -> list[Any]:
    for k in (values := list(grid)):
        whole = isinstance(k, numbers.Integral) and int(k) >= 1
        if not whole and not (isinstance(k, str) and k == "all"):
            raise InputError(f'k_neighbors: {k!r} is in the grid; give whole numbers from 1 on, and "all"')
    if not values:
        raise InputError("k_neighbors: the grid is empty; give at least one value")
    return [k if isinstance(k, str) else int(k) for k in values]


def _steps(grid: Iterable[Any]) -> list[Any]:
    for step in (values := list(grid)):
        fraction = isinstance(step, numbers.Real) and 0 < float(step) <= 1
        if not fraction and not (isinstance(step, str) and step == "auto"):
            raise InputError(
                f'step_size: {step!r} is in the grid; give numbers above 0 and at most 1, and "auto"'
            )
    if not values:
        raise InputError("step_size: the grid is empty; give at least one value")
    return [step if isinstance(step, str) else float(step) for step in values]


def _splits(splitter: Any, X: Any, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the numbers of the rows to train on and of those held out, or say what is wrong with them."""
    try:
        for number, split in enumerate(splitter.split(X, y)):
            pair = [np.asarray(rows) for rows in split]
            # A mask of all rows is as good as their numbers.
            pair = [np.flatnonzero(rows) if rows.dtype == bool else rows for rows in pair]
            if not all(_are_row_numbers(rows, len(y)) for rows in pair):
                raise InputError(
                    f"cv: split {number} is not numbers from 0 to {len(y) - 1} of rows to train on and of "
                    "rows held out; give at least one of each"
                )
            yield pair[0], pair[1]
    except InputError:
        raise
    except (TypeError, ValueError) as error:  # not as many rows as folds, no pairs
        raise InputError(f"cv: {str(error).rstrip('.')}; give splits of the {len(y)} rows") from error


def _are_row_numbers(rows: np.ndarray, n_rows: int) -> bool:
    return bool(
        rows.ndim == 1
        and rows.size
        and rows.dtype.kind in "iu"
        and -n_rows <= rows.min()
        and rows.max() < n_rows
    )


def _score(score: Any) -> float:
    if not isinstance(score, numbers.Real) or not np.isfinite(float(score)):
        raise InputError(
            f"scoring: the score {score!r} is not finite; give a scorer that returns a number for every split"
        )
    return float(score)


def _balanced(
    X: Any, y: np.ndarray, neighbors: list[Any], steps: list[Any], seed: int
) -> Iterable[tuple[Any, np.ndarray]]:
    """Yield the rows and labels that ``EOS.fit_resample`` gives for each setting, K by K."""
    numbers_of = [k for k in neighbors if not isinstance(k, str)]
    shared = SharedLists(max(numbers_of, default=0) + 1)
    for k, step in product(neighbors, steps):
        search = k if isinstance(k, str) else ExactNeighbors(k + 1, shared=shared)
        with warnings.catch_warnings():
            # The chosen setting warns, when it is fitted to all rows.
            warnings.simplefilter("ignore", FallbackWarning)
            balanced = EOS(k_neighbors=search, step_size=step, random_state=seed).fit_resample(X, y)
        yield balanced


def _results(grid: list[dict[str, Any]], scores: np.ndarray) -> dict[str, Any]:
    """Return the scores, (n_splits, n_settings), as scikit-learn's searches tell them."""
    mean = scores.mean(axis=0)
    results: dict[str, Any] = {"params": grid}
    for name in grid[0]:
        column = np.empty(len(grid), dtype=object)
        column[:] = [setting[name] for setting in grid]
        results[f"param_{name}"] = column
    results |= {f"split{number}_test_score": split for number, split in enumerate(scores)}
    return results | {
        "mean_test_score": mean,
        "std_test_score": scores.std(axis=0),
        "rank_test_score": rankdata(-mean, method="min").astype(np.int32),
    }
