"""What samplers share that work on dense rows: scale, dead features, one thread, stacking."""

from __future__ import annotations

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
    float64 that are at most 1 in magnitude (they are divided by a power of two, so that nothing is rounded),
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
    ) -> list[np.ndarray]:
        """Return the new rows of each class to be filled, in the order of `filled`.

        Parameters
        ----------
        rows : ndarray of float64, shape (n, d)
            At most 1 in magnitude.
        y : ndarray of shape (n,)
        filled : dict
            How many rows each class gets, at least one.
        unit : float
            What a row's values were divided by.
        random_state : RandomState
        """

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        random_state = check_random_state(self.random_state)
        if not (filled := {label: count for label, count in self.sampling_strategy_.items() if count}):
            return X.copy(), y.copy()
        rows = X.toarray() if sparse.issparse(X) else X
        varying = (rows != rows[0]).any(axis=0)
        exponent = int(np.frexp(largest_magnitude(rows[:, varying]))[1])
        scaled = np.ldexp(rows[:, varying].astype(np.float64), -exponent)
        with threadpool_limits(limits=1, user_api="blas"):
            blocks = self._new_rows(scaled, y, filled, float(np.ldexp(1.0, exponent)), random_state)
        made = [X]
        for block in blocks:
            new = np.tile(rows[0], (len(block), 1))
            with np.errstate(over="ignore"):
                new[:, varying] = np.ldexp(block, exponent)
            if not np.isfinite(new).all():
                raise InputError(
                    f"X: samples of values as large as {largest_magnitude(rows):g} overflow {X.dtype}; scale "
                    "the features down"
                )
            if self.clip:
                np.maximum(new, 0, out=new, where=rows.min(axis=0) >= 0)
            made.append(type(X)(new) if sparse.issparse(X) else new)
        stacked = sparse.vstack(made, format=X.format) if sparse.issparse(X) else np.concatenate(made)
        labels = [np.full(count, label, dtype=y.dtype) for label, count in filled.items()]
        return stacked, np.concatenate([y, *labels])
