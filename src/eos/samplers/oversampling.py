"""Bringing every class to the size of the largest by a registered sampler.

A sampler, as the registry names it, is a function of features, labels, seed and its parameters that returns
all rows and all labels, real rows first and unchanged. What differs from what was asked is a warning; the
tables show it as a footnote. Nothing heavier than NumPy is imported until one is used.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from eos.errors import InputError
from eos.registry import SAMPLERS, Table, find

Resampled = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Oversampled:
    """What a sampler adds to a data set of n rows.

    Attributes
    ----------
    features : ndarray of shape (m, d)
        The synthetic rows only, in the dtype of the input.
    labels : ndarray of shape (n + m,)
        The labels of all rows, real rows first. Those of the real rows are the input's, except where
        ``balsvm`` was asked to ``relabel="all"``.
    notes : tuple of str
        One sentence for each thing that differs from what was asked.
    """

    features: np.ndarray
    labels: np.ndarray
    notes: tuple[str, ...]


def oversample(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    random_state: int,
    samplers: Table = SAMPLERS,
    **parameters: Any,
) -> Oversampled:
    """Bring every class to the size of the largest with the sampler called `name`.

    Parameters
    ----------
    name : str
        A name in `samplers`.
    features : ndarray of shape (n, d)
        Feature embeddings, float32 or float64, finite.
    labels : ndarray of shape (n,)
        Their labels, of at least two classes.
    random_state : int
        The seed.
    samplers : table of the registry, default=SAMPLERS
        Where the name is looked up.
    **parameters
        The sampler's parameters, as registered.

    Returns
    -------
    Oversampled
        The synthetic rows, the labels of all rows, and notes.

    Raises
    ------
    InputError
        If the sampler or a parameter's value is unknown, the arrays do not fit together, a feature is not
        finite, or a class is too small for the sampler.
    """
    sampler = find(samplers, name, what="sampler").load()
    _check_data(name, features, labels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            resampled, new_labels = sampler(features, labels, random_state, **parameters)
        except InputError:
            raise
        except (ValueError, RuntimeError) as error:
            raise InputError(f"sampler {name}: {error}") from error
    if not np.array_equal(resampled[: len(features)], features):
        raise RuntimeError(f"sampler {name}: the real rows do not come first and unchanged")
    if not np.isfinite(resampled).all():
        raise InputError(
            f"sampler {name}: the synthetic rows overflow {features.dtype}: values as large as "
            f"{np.abs(features).max():g} cannot be interpolated; scale the features down"
        )
    return Oversampled(resampled[len(features) :], new_labels, _notes(caught))


def random(features: np.ndarray, labels: np.ndarray, seed: int) -> Resampled:
    """Repeat rows drawn at random."""
    from imblearn.over_sampling import RandomOverSampler

    return RandomOverSampler(random_state=seed).fit_resample(features, labels)


def smote(features: np.ndarray, labels: np.ndarray, seed: int, *, k_neighbors: int) -> Resampled:
    """Run SMOTE, with fewer neighbours where a class is small."""
    from imblearn.over_sampling import SMOTE

    k_neighbors = _within_smallest_class(k_neighbors, labels)
    return SMOTE(random_state=seed, k_neighbors=k_neighbors).fit_resample(features, labels)


def borderline_smote(
    features: np.ndarray, labels: np.ndarray, seed: int, *, k_neighbors: int, m_neighbors: int
) -> Resampled:
    """Run Borderline-SMOTE, and SMOTE for the classes that it passes over without a word."""
    from imblearn.over_sampling import SMOTE, BorderlineSMOTE

    k_neighbors = _within_smallest_class(k_neighbors, labels)
    m_neighbors = _lowered("m_neighbors", m_neighbors, len(labels) - 1, "no row has more neighbors")
    borderline = BorderlineSMOTE(random_state=seed, k_neighbors=k_neighbors, m_neighbors=m_neighbors)
    rows, new_labels = borderline.fit_resample(features, labels)
    classes, counts = np.unique(new_labels, return_counts=True)
    short = classes[counts < counts.max()]
    if not len(short):
        return rows, new_labels
    _warn(
        "filled by SMOTE, because no member is in danger (at least half of its m_neighbors, but not all, of "
        f"other classes): {_listed(short)}"
    )
    targets = {label: counts.max() for label in short.tolist()}
    filler = SMOTE(sampling_strategy=targets, random_state=seed, k_neighbors=k_neighbors)
    more, more_labels = filler.fit_resample(features, labels)
    n = len(features)
    return np.concatenate([rows, more[n:]]), np.concatenate([new_labels, more_labels[n:]])


def balanced_svm(
    features: np.ndarray, labels: np.ndarray, seed: int, *, k_neighbors: int, relabel: str
) -> Resampled:
    """Run SMOTE, then relabel by a support-vector machine."""
    from eos.samplers.balanced_svm import BalancedSVM

    k_neighbors = _within_smallest_class(k_neighbors, labels)
    sampler = BalancedSVM(random_state=seed, k_neighbors=k_neighbors, relabel=relabel)
    return sampler.fit_resample(features, labels)


def eos(features: np.ndarray, labels: np.ndarray, seed: int, **parameters: Any) -> Resampled:
    """Run EOS; `k_neighbors` may be a search that other heads share."""
    from eos.samplers.eos import EOS

    sampler = EOS(random_state=seed, **parameters)
    resampled = sampler.fit_resample(features, labels)
    if len(sampler.fallback_classes_):
        _warn(
            "paired with their k_neighbors nearest enemies, because no member has an enemy among its "
            f"k_neighbors nearest rows: {_listed(sampler.fallback_classes_)}"
        )
    return resampled


def _within_smallest_class(k_neighbors: int, labels: np.ndarray) -> int:
    """Lower `k_neighbors` to what the smallest class to be filled has: its size less one."""
    classes, counts = np.unique(labels, return_counts=True)
    smallest = counts.argmin()
    if counts[smallest] == counts.max():
        return k_neighbors  # nothing to fill
    if counts[smallest] == 1:
        raise InputError(
            f"class {classes[smallest]} has 1 sample, and this sampler interpolates between the samples of a "
            "class, so it needs 2; use sampler random or eos, or give the class more samples"
        )
    reason = f"class {classes[smallest]} has {counts[smallest]} samples"
    return _lowered("k_neighbors", k_neighbors, int(counts[smallest]) - 1, reason)


def _lowered(parameter: str, asked: int, most: int, reason: str) -> int:
    if asked <= most:
        return asked
    _warn(f"{parameter} was reduced from {asked} to {most}, because {reason}")
    return most


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)


def _listed(classes: np.ndarray) -> str:
    return f"class{'es' if len(classes) > 1 else ''} {', '.join(map(str, classes))}"


def _check_data(name: str, features: np.ndarray, labels: np.ndarray) -> None:
    if features.ndim != 2 or labels.shape != (len(features),):
        raise InputError(
            f"sampler {name}: features of shape {features.shape} and labels of shape {labels.shape}; "
            "needed are (n, d) and (n,)"
        )
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"sampler {name}: {len(bad)} feature values are not finite, the first is "
            f"{features[row, column]} in row {row}, column {column}; "
            "drop such rows, or look at the training that made them"
        )
    if len(np.unique(labels)) < 2:
        raise InputError(
            f"sampler {name}: {len(np.unique(labels))} class in {len(labels)} labels; at least two are needed"
        )


def _notes(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return the user warnings as sentences, each once; hand on the others, meant for developers."""
    notes: dict[str, None] = {}  # a set that keeps the order
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            notes[str(warning.message)] = None
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return tuple(notes)
