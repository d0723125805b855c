"""Fitting a head that takes a network's embeddings as they are, and what is stored of it."""

from typing import Any

import numpy as np

from eos.config.cells import logit_scale
from eos.config.schema import Parameters
from eos.heads.rivals import Embedded
from eos.heads.softmax import HeadConfig, logits
from eos.registry import CLASSIFIERS
from eos.storage.files import Arrays

HELD_OUT, PUBLISHED = "held out", "published default"


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
) -> tuple[Arrays, dict[str, dict[str, str]]]:
    """Fit a head that `eos.registry.CLASSIFIERS` names.

    Returns
    -------
    arrays
        As `eos.storage.layouts.HEAD` says, without learning curves.
    chosen
        By parameter that has choices: its `value`, and the `rule` by which it came about.

    Raises
    ------
    InputError
        If it needs what the embeddings lack.
    """
    settings = parameters.heads[head].model_dump()
    recipe = parameters.head_training
    seeds = recipe.seeds
    fitted = CLASSIFIERS[settings.pop("classifier")].load()(
        embedded(parameters, dataset, network, data),
        seeds=seeds,
        recipe=HeadConfig(**recipe.model_dump(exclude={"curve_epochs", "seeds"})),
        random_state=parameters.oversampling.random_state,
        **settings,
    )
    runs = len(fitted.weight)
    if fitted.own_logits is None:
        rows = data["test_features"]
        if len(fitted.center):
            rows = unit_rows(rows, fitted.center)
        outputs = [logits(rows, *layer) for layer in zip(fitted.weight, fitted.bias, strict=True)]
    else:
        factor, offset = fitted.own_logits
        outputs = [
            data["test_logits"] * np.float32(logit_scale(parameters, dataset, network)) * factor + offset
        ]
    curves = dict.fromkeys(("loss", "train_BAC", "test_BAC"), np.empty((runs, 0)))
    arrays: Arrays = {
        "seeds": np.array(seeds if runs == len(seeds) else (0,)),
        "weight": fitted.weight,
        "bias": fitted.bias,
        "center": fitted.center,
        "epoch": np.zeros(runs, dtype=np.int64),
        "held_out_BAC": np.full(runs, fitted.held_out_BAC),
        "test_logits": np.stack(outputs),
        **curves,
    }
    rule = HELD_OUT if len(data["validation_labels"]) else PUBLISHED
    return arrays, {name: {"value": _text(value), "rule": rule} for name, value in fitted.chosen.items()}


def unit_rows(features: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Return rows (n, d) centred and brought to unit length; one at the centre stays there."""
    rows = features - center
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=rows, where=lengths > 0)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"
