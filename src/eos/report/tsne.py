"""The rows of two classes in one plane, by t-SNE: same rows and seed, same bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from eos.errors import InputError, placed
from eos.validation import finite_features

# t-SNE looks at three times as many neighbours as its perplexity, so four rows allow a perplexity of 1.
FEWEST = 4
_PERPLEXITY = 30.0  # scikit-learn's default, where there are rows enough

_COLUMNS = ["head", "class_name", "synthetic", "available", "x", "y"]


@dataclass(frozen=True)
class Rows:
    """What a head was trained on.

    Attributes
    ----------
    features : ndarray of shape (n, n_features)
    labels : ndarray of int, shape (n,)
    synthetic : ndarray of bool, shape (n,)
        True for the rows that a sampler made.
    """

    features: np.ndarray
    labels: np.ndarray
    synthetic: np.ndarray


def tsne(features: npt.ArrayLike, seed: int) -> np.ndarray:
    """Project rows onto the plane by t-SNE that starts from their principal components.

    The perplexity is 30, and less where there are fewer than 91 rows: a third of the other rows. It runs on
    one thread, because the number of threads changes the order of sums.

    Parameters
    ----------
    features : array-like of shape (n, n_features)
    seed : int
        The same seed and rows give the same bytes.

    Returns
    -------
    ndarray of shape (n, 2), float64
        Without unit; only who is near whom means something.

    Raises
    ------
    InputError
        If there are fewer than 4 rows or 2 features, all rows are the same, or one holds NaN or infinity.

    References
    ----------
    .. [1] L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.
    """
    # Here, because drawing the other figures must not wait for them.
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = finite_features(features, "features", dtype=np.float64)
    if len(rows) < FEWEST or rows.shape[1] < 2:
        raise InputError(
            f"features: shape {rows.shape}; t-SNE needs at least {FEWEST} rows of at least 2 features"
        )
    if (rows == rows[0]).all():
        raise InputError(f"features: all {len(rows)} rows are the same; there is nothing to tell apart")
    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    projection = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    with threadpool_limits(limits=1):
        return projection.fit_transform(rows).astype(np.float64)


def project_classes(
    heads: Mapping[str, Rows], classes: Sequence[int], class_names: Sequence[str], *, points: int, seed: int
) -> pd.DataFrame:
    """Project the rows of some classes onto one plane, by a t-SNE of the rows of all heads together.

    A row that several heads have, as all have the real ones, counts once and has one place.

    Parameters
    ----------
    heads
        The rows of each head.
    classes, class_names
        The classes to show, and what they are called.
    points
        At most so many rows of a class are shown. Real rows are kept before synthetic ones; among equals a
        seeded draw decides, the same one for every head with the same real rows.
    seed
        Of the draws and of t-SNE.

    Returns
    -------
    pandas.DataFrame
        One row per point: head, class_name, synthetic, x, y (without unit, to 3 decimals), and available: how
        many rows of this head, class and kind there were to draw from. Heads and classes are in the order
        given, real rows first.

    Raises
    ------
    InputError
        If lengths do not match, a class has no rows, `points` is not positive, or as `tsne`.
    """
    if points < 1:
        raise InputError(f"points: {points}; show at least 1 row per class")
    if len(classes) != len(class_names):
        raise InputError(f"class_names: {len(class_names)} names for {len(classes)} classes; give one each")
    parts, features = [], []
    for head, rows in heads.items():
        with placed(f"head {head!r}"):
            chosen = _choose_rows(head, rows, classes, class_names, points=points, seed=seed)
        parts.append(chosen)
        features.append(np.asarray(rows.features)[chosen.index])
    if not parts:
        return pd.DataFrame(columns=_COLUMNS)
    _, first, places = np.unique(np.concatenate(features), axis=0, return_index=True, return_inverse=True)
    seen = np.sort(first)  # the different rows, in order of appearance
    plane = tsne(np.concatenate(features)[seen], seed).round(3)
    x, y = plane[np.searchsorted(seen, first[places.ravel()])].T
    return pd.concat(parts, ignore_index=True).assign(x=x, y=y)


def _choose_rows(
    head: str, rows: Rows, classes: Sequence[int], class_names: Sequence[str], *, points: int, seed: int
) -> pd.DataFrame:
    """Return what is told of the points of a head; the index is the number of the row."""
    features, labels, synthetic = (np.asarray(part) for part in (rows.features, rows.labels, rows.synthetic))
    for name, array in (("labels", labels), ("synthetic", synthetic)):
        if array.shape != features.shape[:1]:
            raise InputError(f"{name}: shape {array.shape}; give one per row of features {features.shape}")
    parts = []
    for number, name in zip(classes, class_names, strict=True):
        if number not in labels:
            known = ", ".join(map(str, np.unique(labels)))
            raise InputError(f"class {number} ({name}) has no rows; there are rows of classes {known}")
        generator, room = np.random.default_rng([seed, number]), points
        for made in (False, True):
            kind = np.flatnonzero((labels == number) & (synthetic == made))
            kept = generator.choice(kind, min(len(kind), room), replace=False, shuffle=False)
            room -= len(kept)
            told = {"head": head, "class_name": name, "synthetic": made, "available": len(kind)}
            parts.append(pd.DataFrame(told, index=np.sort(kept)))
    return pd.concat(parts)
