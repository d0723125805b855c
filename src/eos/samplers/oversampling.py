"""Every sampler by name, with its parameters, behind one function.

Adding a sampler is one line in `SAMPLERS`. Nothing heavier than NumPy is imported until one is used.
"""

import numbers
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from eos.errors import InputError, unknown_name
from eos.kinds import Positive, Share


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
    name: str, features: np.ndarray, labels: np.ndarray, *, random_state: int, **parameters: Any
) -> Oversampled:
    """Bring every class to the size of the largest with the sampler called `name`.

    Parameters
    ----------
    name : str
        A key of `SAMPLERS`.
    features : ndarray of shape (n, d)
        Feature embeddings, float32 or float64, finite.
    labels : ndarray of shape (n,)
        Their labels, of at least two classes.
    random_state : int
        The seed.
    **parameters
        Parameters of the sampler (see `sampler_parameters`); those not given keep their defaults.

    Returns
    -------
    Oversampled
        The synthetic rows, the labels of all rows, and notes.

    Raises
    ------
    InputError
        If the sampler, a parameter or its value is unknown, the arrays do not fit together, a feature is
        not finite, or a class is too small for the sampler.
    """
    defaults = sampler_parameters(name)
    for parameter in parameters:
        if parameter not in defaults:
            raise unknown_name(parameter, defaults, what="parameter", place=f"sampler {name}")
    _check_data(name, features, labels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            resampled, new_labels = SAMPLERS[name].resample(
                features, labels, random_state, {**defaults, **parameters}
            )
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


def sampler_parameters(name: str) -> dict[str, Any]:
    """Return the parameters that the sampler accepts, with their defaults.

    Raises
    ------
    InputError
        If there is no sampler of that name.
    """
    if name not in SAMPLERS:
        raise unknown_name(name, SAMPLERS, what="sampler", place="samplers")
    return dict(SAMPLERS[name].defaults)


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


# How each sampler is run: features, labels, seed, all parameters -> all rows and all labels.
# What differs from the request is a warning, which `oversample` turns into a note.

_Parameters = dict[str, Any]
_Resampled = tuple[np.ndarray, np.ndarray]


def _random(features: np.ndarray, labels: np.ndarray, seed: int, parameters: _Parameters) -> _Resampled:
    from imblearn.over_sampling import RandomOverSampler

    return RandomOverSampler(random_state=seed, **parameters).fit_resample(features, labels)


def _smote(features: np.ndarray, labels: np.ndarray, seed: int, parameters: _Parameters) -> _Resampled:
    from imblearn.over_sampling import SMOTE

    parameters = _within_smallest_class(parameters, labels)
    return SMOTE(random_state=seed, **parameters).fit_resample(features, labels)


def _borderline_smote(
    features: np.ndarray, labels: np.ndarray, seed: int, parameters: _Parameters
) -> _Resampled:
    """Run Borderline-SMOTE, and SMOTE for the classes that it passes over without a word."""
    from imblearn.over_sampling import SMOTE, BorderlineSMOTE

    parameters = _within_smallest_class(parameters, labels)
    parameters = _lowered(parameters, "m_neighbors", len(labels) - 1, "no row has more neighbors")
    rows, new_labels = BorderlineSMOTE(random_state=seed, **parameters).fit_resample(features, labels)
    classes, counts = np.unique(new_labels, return_counts=True)
    short = classes[counts < counts.max()]
    if not len(short):
        return rows, new_labels
    warnings.warn(
        f"filled by SMOTE, because no member is in danger (at least half of its m_neighbors, but not all, of "
        f"other classes): {_listed(short)}",
        UserWarning,
        stacklevel=2,
    )
    targets = {label: counts.max() for label in short.tolist()}
    smote = SMOTE(sampling_strategy=targets, random_state=seed, k_neighbors=parameters["k_neighbors"])
    more, more_labels = smote.fit_resample(features, labels)
    n = len(features)
    return np.concatenate([rows, more[n:]]), np.concatenate([new_labels, more_labels[n:]])


def _balanced_svm(features: np.ndarray, labels: np.ndarray, seed: int, parameters: _Parameters) -> _Resampled:
    from eos.samplers.balanced_svm import BalancedSVM

    parameters = _within_smallest_class(parameters, labels)
    return BalancedSVM(random_state=seed, **parameters).fit_resample(features, labels)


def _eos(features: np.ndarray, labels: np.ndarray, seed: int, parameters: _Parameters) -> _Resampled:
    from eos.samplers.eos import EOS

    sampler = EOS(random_state=seed, **parameters)
    resampled = sampler.fit_resample(features, labels)
    if len(sampler.fallback_classes_):
        warnings.warn(
            f"paired with their k_neighbors nearest enemies, because no member has an enemy among its "
            f"k_neighbors nearest rows: {_listed(sampler.fallback_classes_)}",
            UserWarning,
            stacklevel=2,
        )
    return resampled


def _within_smallest_class(parameters: _Parameters, labels: np.ndarray) -> _Parameters:
    """Lower `k_neighbors` to what the smallest class to be filled has: its size less one."""
    classes, counts = np.unique(labels, return_counts=True)
    smallest = counts.argmin()
    if counts[smallest] == counts.max():
        return parameters  # nothing to fill
    if counts[smallest] == 1:
        raise InputError(
            f"class {classes[smallest]} has 1 sample, and this sampler interpolates between the samples of a "
            "class, so it needs 2; use sampler random or eos, or give the class more samples"
        )
    reason = f"class {classes[smallest]} has {counts[smallest]} samples"
    return _lowered(parameters, "k_neighbors", int(counts[smallest]) - 1, reason)


def _lowered(parameters: _Parameters, parameter: str, most: int, reason: str) -> _Parameters:
    """Lower one whole-number parameter to `most`; anything else is left to the sampler's own checks."""
    asked = parameters[parameter]
    if not isinstance(asked, numbers.Integral) or asked <= most:
        return parameters
    warnings.warn(
        f"{parameter} was reduced from {asked} to {most}, because {reason}", UserWarning, stacklevel=2
    )
    return {**parameters, parameter: most}


def _listed(classes: np.ndarray) -> str:
    return f"class{'es' if len(classes) > 1 else ''} {', '.join(map(str, classes))}"


@dataclass(frozen=True)
class Sampler:
    """How a sampler is run; the parameters it accepts with their defaults, and their kinds."""

    resample: Callable[[np.ndarray, np.ndarray, int, _Parameters], _Resampled]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, Any] = field(default_factory=dict)


SAMPLERS: dict[str, Sampler] = {
    "random": Sampler(_random),
    "smote": Sampler(_smote, {"k_neighbors": 5}, {"k_neighbors": Positive}),
    "bsmote": Sampler(
        _borderline_smote,
        {"k_neighbors": 5, "m_neighbors": 10},
        {"k_neighbors": Positive, "m_neighbors": Positive},
    ),
    "balsvm": Sampler(
        _balanced_svm,
        {"k_neighbors": 5, "relabel": "synthetic"},
        {"k_neighbors": Positive, "relabel": Literal["synthetic", "all"]},
    ),
    "eos": Sampler(
        _eos,
        {"k_neighbors": 10, "variant": "toward", "step_size": 1.0},
        {"k_neighbors": Positive, "variant": Literal["toward", "away", "released"], "step_size": Share},
    ),
}
