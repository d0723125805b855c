"""Bringing every class to the size of the largest by a registered sampler.

A sampler, as the registry names it, is a function of features, labels, seed and its parameters that returns
all rows and all labels, real rows first and unchanged (in a `Cleaned` they may be moved). What differs
from what was asked is a warning; the tables show it as a footnote. Nothing heavier than NumPy is imported
until one is used.
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from eos.errors import InputError
from eos.registry import SAMPLERS, Table, find

Resampled = tuple[np.ndarray, np.ndarray]


class Cleaned(NamedTuple):
    """What a sampler returns that may have moved real rows."""

    features: np.ndarray
    labels: np.ndarray


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
    moved : ndarray of int, shape (r,)
        The numbers of the real rows that the sampler moved, in order; none but for one that cleans.
    moved_features : ndarray of shape (r, d)
        Where to, in the dtype of the input.
    """

    features: np.ndarray
    labels: np.ndarray
    notes: tuple[str, ...]
    moved: np.ndarray
    moved_features: np.ndarray

    def rows(self, real: np.ndarray) -> np.ndarray:
        """Return all rows, (n + m, d), the real ones first: those given, where they were not moved."""
        rows = np.concatenate([real, self.features])
        rows[self.moved] = self.moved_features
        return rows


def untouched(features: np.ndarray, labels: np.ndarray) -> Oversampled:
    """Return what it is where no sampler adds anything."""
    return Oversampled(features[:0], labels, (), np.zeros(0, dtype=np.int64), features[:0])


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

    Raises
    ------
    InputError
        If the sampler is unknown or cannot work with the data: a class is too small, say, or features are no
        floating-point numbers, in which samplers would compute with whole ones.
    """
    sampler = find(samplers, name, what="sampler").load()
    if features.dtype.kind != "f":
        raise InputError(f"sampler {name}: features of {features.dtype}; give float32 or float64")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            result = sampler(features, labels, random_state, **parameters)
        except (ValueError, RuntimeError) as error:
            raise InputError(f"sampler {name}: {error}") from error
    resampled, new_labels = result
    real = resampled[: len(features)]
    if isinstance(result, Cleaned):
        moved = np.flatnonzero((real != features).any(axis=1))
    elif np.array_equal(real, features):
        moved = np.zeros(0, dtype=np.int64)
    else:
        raise RuntimeError(f"sampler {name}: the real rows do not come first and unchanged")
    if not np.isfinite(resampled).all():
        raise InputError(
            f"sampler {name}: the synthetic rows overflow {features.dtype}: values as large as "
            f"{np.abs(features).max():g} cannot be interpolated; scale the features down"
        )
    notes = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    for warning in caught:
        if not issubclass(warning.category, UserWarning):  # meant for developers
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    notes = list(dict.fromkeys(notes))
    return Oversampled(resampled[len(features) :], new_labels, tuple(notes), moved, real[moved])


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

    from eos.samplers.eos import listed_classes

    k_neighbors = _within_smallest_class(k_neighbors, labels)
    m_neighbors = _lowered("m_neighbors", m_neighbors, len(labels) - 1, "no row has more neighbors")
    borderline = BorderlineSMOTE(random_state=seed, k_neighbors=k_neighbors, m_neighbors=m_neighbors)
    rows, new_labels = borderline.fit_resample(features, labels)
    classes, counts = np.unique(new_labels, return_counts=True)
    short = classes[counts < counts.max()]
    if not len(short):
        return rows, new_labels
    warnings.warn(
        "filled by SMOTE, because no member is in danger (at least half of its m_neighbors, but not all, of "
        f"other classes): {listed_classes(short)}",
        stacklevel=1,
    )
    targets = {label: counts.max() for label in short.tolist()}
    filler = SMOTE(sampling_strategy=targets, random_state=seed, k_neighbors=k_neighbors)
    more, more_labels = filler.fit_resample(features, labels)
    n = len(features)
    return np.concatenate([rows, more[n:]]), np.concatenate([new_labels, more_labels[n:]])


def adasyn(features: np.ndarray, labels: np.ndarray, seed: int, *, n_neighbors: int) -> Resampled:
    """Run ADASYN (He et al. 2008) class by class, and SMOTE for the classes that it cannot fill.

    ADASYN asks for samples where a member has neighbors of other classes. Where no member has, it has nothing
    to go by. Its counts are rounded member by member; here they are brought to the size of the largest class:
    samples too many are dropped at random, and SMOTE makes those that are missing. Each class has as many
    neighbors as it has other members, at most `n_neighbors`.
    """
    from imblearn.over_sampling import ADASYN, SMOTE
    from sklearn.utils._param_validation import InvalidParameterError

    from eos.samplers.eos import listed_classes

    classes, counts = np.unique(labels, return_counts=True)
    target, n = int(counts.max()), len(features)
    rows, new_labels = [features], [labels]
    small, left_to_smote = [], []
    for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
        if count == target:
            continue
        if count == 1:
            raise _single_sample(label)
        k = min(n_neighbors, count - 1)
        if k < n_neighbors:
            small.append(label)
        try:
            made, _ = ADASYN(
                sampling_strategy={label: target}, random_state=seed, n_neighbors=k
            ).fit_resample(features, labels)
            made = made[n:]
        except InvalidParameterError:
            raise
        except (
            RuntimeError,
            ValueError,
        ):  # no neighbor of another class; so many members that all round to 0
            left_to_smote.append(label)
            made = features[:0]
        kept = np.random.RandomState(seed).permutation(len(made))[: target - count]
        made = made[np.sort(kept)]
        if missing := target - count - len(made):
            more = SMOTE(sampling_strategy={label: count + missing}, random_state=seed, k_neighbors=k)
            made = np.concatenate([made, more.fit_resample(features, labels)[0][n:]])
        rows.append(made)
        new_labels.append(np.full(target - count, label, dtype=labels.dtype))
    if small:
        warnings.warn(
            f"n_neighbors was reduced from {n_neighbors} to the number of other members: "
            f"{listed_classes(np.array(small))}",
            stacklevel=1,
        )
    if left_to_smote:
        warnings.warn(
            "filled by SMOTE, because no member has a neighbor of another class: "
            f"{listed_classes(np.array(left_to_smote))}",
            stacklevel=1,
        )
    return np.concatenate(rows), np.concatenate(new_labels)


def tailcalib(
    features: np.ndarray, labels: np.ndarray, seed: int, *, n_neighbors: int, alpha: float
) -> Resampled:
    """Run TailCalib (Vigneswaran et al. 2021), borrowing from no more classes than there are.

    Features are used as they are: Tukey's power is 1, the published value for the largest imbalance.
    """
    from eos.samplers.tailcalib import TailCalib

    counts = np.unique(labels, return_counts=True)[1]
    if counts.min() < counts.max():
        reason = f"there are {len(counts)} classes"
        n_neighbors = _lowered("n_neighbors", n_neighbors, len(counts), reason)
    return TailCalib(random_state=seed, n_neighbors=n_neighbors, alpha=alpha).fit_resample(features, labels)


def swim(
    features: np.ndarray,
    labels: np.ndarray,
    seed: int,
    *,
    variant: str,
    spread: float,
    steps: int,
    units: str,
    clip: bool,
) -> Resampled:
    """Run SWIM (Sharma et al. 2018), each class against all others."""
    from eos.samplers.swim import SWIM

    sampler = SWIM(random_state=seed, variant=variant, spread=spread, steps=steps, units=units, clip=clip)
    return sampler.fit_resample(features, labels)


def manifold(
    features: np.ndarray,
    labels: np.ndarray,
    seed: int,
    *,
    form: str,
    noise: float,
    variance: float,
    pooled_rows: float,
    hidden_share: float,
    steps: int,
    per_class: bool,
    passes: int,
    clip: bool,
) -> Resampled:
    """Run manifold-based over-sampling (Bellinger et al. 2018)."""
    from eos.samplers.manifold import ManifoldOverSampler

    sampler = ManifoldOverSampler(
        random_state=seed,
        form=form,
        noise=noise,
        variance=variance,
        pooled_rows=pooled_rows,
        hidden_share=hidden_share,
        steps=steps,
        per_class=per_class,
        passes=passes,
        clip=clip,
    )
    return sampler.fit_resample(features, labels)


def rbo(
    features: np.ndarray,
    labels: np.ndarray,
    seed: int,
    *,
    multiclass: str,
    gamma: float,
    step: float,
    n_steps: int,
    stop_probability: float,
    n_neighbors: int | str,
    units: str,
) -> Resampled:
    """Run RBO, or MC-RBO (Koziarski, Krawczyk and Woźniak 2019, 2020)."""
    from eos.samplers.rbo import RBO

    sampler = RBO(
        random_state=seed,
        multiclass=multiclass,
        gamma=gamma,
        step=step,
        n_steps=n_steps,
        stop_probability=stop_probability,
        n_neighbors=n_neighbors,
        units=units,
    )
    return sampler.fit_resample(features, labels)


def ccr(
    features: np.ndarray,
    labels: np.ndarray,
    seed: int,
    *,
    multiclass: str,
    energy: float,
    units: str,
    p: int,
    selection: str,
    cleaning: str,
    region: str | None,
    gamma: float,
    theta: float,
    n_candidates: int,
    n_neighbors: int | str,
) -> Cleaned:
    """Run CCR, MC-CCR or RB-CCR (Koziarski and others 2017, 2020, 2021), which may move real rows."""
    from eos.samplers.ccr import CCR

    sampler = CCR(
        random_state=seed,
        multiclass=multiclass,
        energy=energy,
        units=units,
        p=p,
        selection=selection,
        cleaning=cleaning,
        region=region,
        gamma=gamma,
        theta=theta,
        n_candidates=n_candidates,
        n_neighbors=n_neighbors,
    )
    return Cleaned(*sampler.fit_resample(features, labels))


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

    return EOS(random_state=seed, **parameters).fit_resample(features, labels)


def _within_smallest_class(k_neighbors: int, labels: np.ndarray) -> int:
    """Lower `k_neighbors` to what the smallest class to be filled has: its size less one."""
    classes, counts = np.unique(labels, return_counts=True)
    smallest = counts.argmin()
    if counts[smallest] == counts.max():
        return k_neighbors  # nothing to fill
    if counts[smallest] == 1:
        raise _single_sample(classes[smallest])
    reason = f"class {classes[smallest]} has {counts[smallest]} samples"
    return _lowered("k_neighbors", k_neighbors, int(counts[smallest]) - 1, reason)


def _single_sample(label: object) -> InputError:
    return InputError(
        f"class {label} has 1 sample, and this sampler interpolates between the samples of a class, so it "
        "needs 2; use sampler random or eos, or give the class more samples"
    )


def _lowered(parameter: str, asked: int, most: int, reason: str) -> int:
    if asked <= most:
        return asked
    warnings.warn(f"{parameter} was reduced from {asked} to {most}, because {reason}", stacklevel=1)
    return most
