"""Linear layers that a formula gives: nearest class mean, tau-normalisation, row re-scaling.

They are shared by the estimators (`eos.heads.estimators`) and the pipeline's heads (`eos.heads.rivals`). All
are computed in float64.
"""

import numpy as np
import numpy.typing as npt

from eos.validation import SMALLEST_SQUARED


def unit_rows(features: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Return features (n, d) less their center (d,), each row at unit length; a row that is 0 stays so."""
    rows = features.astype(np.float64) - center
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    # Squares of such values vanish, or lose digits.
    tiny = np.flatnonzero(lengths < SMALLEST_SQUARED)
    tiny = tiny[rows[tiny].any(axis=1)]
    if tiny.size:
        rows[tiny] /= np.abs(rows[tiny]).max(axis=1, keepdims=True)
        lengths[tiny] = np.linalg.norm(rows[tiny], axis=1, keepdims=True)
    return np.divide(rows, lengths, out=rows, where=lengths > 0)


def nearest_mean_layer(
    features: np.ndarray, labels: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weight (C, d), bias (C,) and center (d,) of nearest class mean (Kang et al. 2020).

    Rows are centred by the mean of all and brought to unit length. The class means c of those rows are not.
    The nearest of them to a row z, which is treated alike, has the largest output ``2 z.c - |c|^2``: its
    squared distance is that of all classes, ``|z|^2``, less the output.

    Parameters
    ----------
    features : ndarray of shape (n, d)
    labels : ndarray of int, shape (n,)
        Each class has at least one row.
    n_classes : int
    """
    center = features.mean(axis=0, dtype=np.float64)
    means = np.stack(
        [unit_rows(features[labels == label], center).mean(axis=0) for label in range(n_classes)]
    )
    return 2 * means, -np.square(means).sum(axis=1), center


def tau_normalized(weight: npt.ArrayLike, tau: float) -> np.ndarray:
    """Return each row of a weight (C, d) over the tau-th power of its norm (Kang et al. 2020).

    A row of zeros stays so.
    """
    rows = np.asarray(weight, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0) ** tau


def row_scaled(weight: np.ndarray, counts: np.ndarray, gamma: float) -> np.ndarray:
    """Return each row of a weight (C, d) over ``(rows of its class / rows of the largest class) ** gamma``.

    It is the re-scaling ("Baseline+RS") of Kim and Kim, "Adjusting decision boundary for class imbalanced
    learning", IEEE Access 2020.
    """
    return weight.astype(np.float64) / ((counts / counts.max()) ** gamma)[:, np.newaxis]
