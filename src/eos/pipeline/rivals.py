"""Fitting a head that takes a network's embeddings as they are, and what is stored of it."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from eos.config.cells import logit_scale
from eos.config.schema import Parameters
from eos.heads.rivals import Embedded
from eos.heads.softmax import HeadConfig
from eos.registry import CLASSIFIERS
from eos.storage.files import Arrays

HELD_OUT, PUBLISHED = "held out", "published default"


# What these change of the network's own classifier.
_OF_OWN = {"post_hoc": "logits", "tau_norm": "weight", "row_scaling": "weight", "lws": "weight"}


def is_absent(parameters: Parameters, head: str, data: Arrays) -> bool:
    """Return whether a head cannot be there: the embeddings came without the classifier that it changes."""
    part = _OF_OWN.get(parameters.heads[head].classifier)
    if part == "logits":
        return data["test_logits"].shape[1] == 0
    return part is not None and not (len(data["weight"]) and np.isfinite(data["weight"]).all())


def embedded(parameters: Parameters, dataset: str, network: str, data: Arrays) -> Embedded:
    """Return what a classifier may see of a network: nothing of the test rows.

    `data` is laid out as `eos.storage.layouts.EMBEDDINGS`. A classifier of which only the logits are known
    has no weight here.
    """
    scale = np.float32(logit_scale(parameters, dataset, network))
    known = np.isfinite(data["weight"]).all() and np.isfinite(data["bias"]).all()
    return Embedded(
        features=data["train_features"],
        labels=data["train_labels"],
        validation_features=data["validation_features"],
        validation_labels=data["validation_labels"],
        weight=data["weight"] if known else data["weight"][:0],
        bias=data["bias"] if known else data["bias"][:0],
        validation_logits=scale * data["validation_logits"],
        n_classes=int(data["train_labels"].max()) + 1,
    )


def fit_classifier(
    parameters: Parameters, dataset: str, network: str, head: str, data: Arrays
) -> tuple[Arrays, dict[str, Any]]:
    """Fit a head that `eos.registry.CLASSIFIERS` names.

    Returns
    -------
    arrays
        As `eos.storage.layouts.HEAD` says, without learning curves.
    told
        `chosen`, by parameter that has choices: its `value`, and the `rule` by which it came about; `notes`,
        a sentence for each thing that differs from what was asked.

    Raises
    ------
    InputError
        If it needs what the embeddings lack.
    """
    settings = parameters.heads[head].model_dump()
    recipe = parameters.head_training
    seeds = recipe.seeds
    scale = np.float32(logit_scale(parameters, dataset, network))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        fitted = CLASSIFIERS[settings.pop("classifier")].load()(
            embedded(parameters, dataset, network, data),
            seeds=seeds,
            recipe=HeadConfig(**recipe.model_dump(exclude={"curve_epochs", "seeds"})),
            random_state=parameters.oversampling.random_state,
            **settings,
        )
    runs = len(fitted.weight)
    own = scale * data["test_logits"]
    if fitted.own_logits is not None and scale != 1 and len(fitted.weight[0]):
        # A cosine classifier is a linear one of features at unit length.
        factor, offset = fitted.own_logits
        weight = scale * data["weight"] * factor[:, np.newaxis]
        center = np.zeros(weight.shape[1], dtype=np.float32)
        fitted = replace(fitted, weight=weight[np.newaxis], bias=offset[np.newaxis], center=center)
    curves = dict.fromkeys(("loss", "train_BAC", "test_BAC"), np.empty((runs, 0)))
    arrays: Arrays = {
        "seeds": np.array(seeds if runs == len(seeds) else (0,)),
        "weight": fitted.weight,
        "bias": fitted.bias,
        "center": fitted.center,
        "epoch": np.zeros(runs, dtype=np.int64),
        "held_out_predicted": fitted.held_out_predicted,
        "test_logits": fitted.logits(data["test_features"], own),
        **curves,
    }
    predicted = fitted.held_out_predicted
    rule = HELD_OUT if predicted.size and predicted.min() >= 0 else PUBLISHED
    chosen = {name: {"value": _text(value), "rule": rule} for name, value in fitted.chosen.items()}
    notes = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    return arrays, {"chosen": chosen, "notes": list(dict.fromkeys(notes))}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"
