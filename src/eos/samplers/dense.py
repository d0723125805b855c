"""What samplers share that work on dense rows: scale, dead features, one thread, stacking."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from scipy import sparse
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from eos.errors import InputError
from eos.samplers.rows import FloatingRows
from eos.validation import largest_magnitude


class DenseOverSampler(FloatingRows, BaseOverSampler, ABC):
    """An over-sampler whose subclass makes the new rows, and is spared what all of these have to do.

    A subclass writes `_new_rows` and has the parameters `random_state` and `clip`. It is handed rows in
    float64 that are below 2 in magnitude (they are divided by a power of two, so that nothing is rounded),
    without the features that are the same in every row: those keep their value in the new rows. Products of
    matrices run on one thread, because their sums depend on the number of threads.
    """

    random_state: Any
    clip: bool

    @abstractmethod
    def _new_rows(
        self,
        rows: np.ndarray,
        y: np.ndarray,
        filled: dict[Any, int],
        unit: float,
        random_state: np.random.RandomState,
    ) -> np.ndarray:
        """Return the new rows of the classes to be filled, one class after the other.

        Parameters
        ----------
        rows : ndarray of float64, shape (n, d)
            Below 2 in magnitude, the largest at least 1; at least one feature.
        y : ndarray of shape (n,)
        filled : dict
            How many rows each class gets, at least one.
        unit : float
            What the values of `X` were divided by.
        random_state : RandomState

        Returns
        -------
        ndarray of float64, shape (sum of the numbers in `filled`, d)
        """

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        random_state = check_random_state(self.random_state)
        if not (filled := {label: count for label, count in self.sampling_strategy_.items() if count}):
            return X.copy(), y.copy()
        rows = X.toarray() if sparse.issparse(X) else X
        new = np.repeat(rows[:1], sum(filled.values()), axis=0)
        varying = (rows != rows[0]).any(axis=0)
        if varying.any():
            exponent = int(np.frexp(largest_magnitude(rows[:, varying]))[1]) - 1
            scaled, unit = np.ldexp(rows[:, varying].astype(np.float64), -exponent), 2.0**exponent
            with threadpool_limits(limits=1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
                new[:, varying] = np.ldexp(self._new_rows(scaled, y, filled, unit, random_state), exponent)
            if not np.isfinite(new).all():
                raise InputError(
                    f"X: samples of values as large as {largest_magnitude(rows):g} overflow {X.dtype}; scale "
                    "the features down, or take shorter steps"
                )
        else:
            warnings.warn("samples are copies, because all rows are the same", UserWarning, stacklevel=2)
        if self.clip:
            np.maximum(new, 0, out=new, where=rows.min(axis=0) >= 0)
        made = [X, type(X)(new) if sparse.issparse(X) else new]
        stacked = sparse.vstack(made, format=X.format) if sparse.issparse(X) else np.concatenate(made)
        labels = [np.full(count, label, dtype=y.dtype) for label, count in filled.items()]
        return stacked, np.concatenate([y, *labels])


def deviations(rows: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each feature of rows, (n, d): 0 exactly where it does not vary."""
    return (rows - rows[0]).std(axis=0)


def scatter(rows: np.ndarray) -> np.ndarray:
    """Return the sum of the outer products of the rows' differences from their mean, (d, d).

    It is 0 exactly where a feature does not vary: a mean of equal numbers need not be that number.
    """
    centred = rows - rows[0]
    centred -= centred.mean(axis=0)
    return centred.T @ centred
