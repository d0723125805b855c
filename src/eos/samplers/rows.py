"""What samplers take: rows as floating-point numbers, labels of one kind, whole numbers of samples."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from imblearn.utils import check_target_type

from eos.errors import InputError
from eos.validation import check_rows, labels_of_one_kind

# Bytes that the addresses of today's processors reach.
_ADDRESSED = 2**47


class FloatingRows:
    """A sampler, beside imbalanced-learn's base class, that never computes in whole numbers.

    Synthetic rows are fractions: on whole-number features they would be cut off, or wrap around.
    """

    sampling_strategy: Any
    sampling_strategy_: dict[Any, int]

    def fit_resample(self, X: Any, y: Any, **params: Any) -> Any:
        """Return the rows and labels of the data set, and the synthetic ones behind them.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features. Other numbers than float32 become float64.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        X_resampled : {ndarray, sparse matrix, frame} of shape (n_samples_new, n_features)
        y_resampled : array-like of shape (n_samples_new,)

        Raises
        ------
        ValueError, TypeError
            If rows, labels or a parameter cannot be used.
        """
        labels_of_one_kind(y, "y")  # before anything compares them
        return super().fit_resample(X, y, **params)  # type: ignore[misc]

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, np.ndarray, bool]:  # noqa: N802 - imbalanced-learn's name
        labels_of_one_kind(y, "y")
        y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
        X, y = check_rows(self, X, y, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32])
        _check_sizes(self.sampling_strategy, X.shape[1] * X.dtype.itemsize)
        return X, y, binarize_y


def _check_sizes(strategy: Any, row_bytes: int) -> None:
    """Raise the error that says that a class cannot have as many rows as a dict asks for."""
    for label, size in strategy.items() if isinstance(strategy, dict) else ():
        if not isinstance(size, numbers.Integral):
            raise InputError(f"sampling_strategy: {size!r} samples of class {label}; give a whole number")
        if int(size) * row_bytes > _ADDRESSED:
            raise InputError(
                f"sampling_strategy: {size} samples of class {label} are more than any memory holds; give "
                "fewer"
            )
