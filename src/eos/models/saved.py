"""A trained network as files: its weights, and a description with all that is needed to use them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eos.errors import InputError, placed
from eos.models.inference import load_network
from eos.models.network import Network
from eos.storage.files import (
    REMAKE,
    REPLACE,
    read_json,
    read_weights,
    require_file,
    write_json,
    write_weights,
)


@dataclass(frozen=True)
class SavedNetwork:
    """A network that was read.

    Attributes
    ----------
    network : Network
    class_names : list of str
        In the order of the outputs.
    mean, std : list of float
        The normalisation of its images, per channel, of values in [0, 1].
    precision : {"fp32", "bf16", "fp16"}
        Of the arithmetic that it was trained in.
    epoch : int
        The epoch that its weights are from, counted from 1.
    """

    network: Network
    class_names: list[str]
    mean: list[float]
    std: list[float]
    precision: str
    epoch: int


def save_network(
    folder: Path, weights: Mapping[str, Mapping[str, Tensor]], description: Mapping[str, Any]
) -> None:
    """Write the weights that each selection rule chose, and `network.json` with what goes with them.

    `network.json` also holds the SHA-256 of every file of weights and, of all its other content, its own.

    Parameters
    ----------
    folder
        Is made where it is missing.
    weights
        State dicts, by selection rule.
    description
        architecture, classifier, branches, channels, class_names, mean, std, precision, and epochs by rule.
    """
    digests = {}
    for rule, state_dict in weights.items():
        arrays = {name: value.numpy() for name, value in state_dict.items()}
        digests[rule] = write_weights(folder / f"{rule}.safetensors", arrays)
    content = {**description, "weights_sha256": digests}
    write_json(folder / "network.json", {**content, "sha256": _digest(content)})


def load_saved(folder: Path, rule: str) -> SavedNetwork:
    """Read the network whose weights a selection rule chose.

    Raises
    ------
    InputError
        If a file is missing or damaged, or the weights are not those of the network described.
    """
    path = folder / f"{rule}.safetensors"
    require_file(path)
    known = read_json(folder / "network.json")
    try:
        if known.pop("sha256") != _digest(known):
            raise InputError(
                f"{folder / 'network.json'}: damaged or changed: its content is not what its digest says; "
                f"{REPLACE}"
            )
        weights = read_weights(path, known["weights_sha256"][rule])
        with placed(str(path)):
            network = load_network(
                {name: torch.from_numpy(value) for name, value in weights.items()},
                known["architecture"],
                channels=known["channels"],
                n_classes=len(known["class_names"]),
                classifier=known["classifier"],
                branches=known["branches"],
            )
        return SavedNetwork(
            network,
            known["class_names"],
            known["mean"],
            known["std"],
            known["precision"],
            known["epochs"][rule],
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / 'network.json'}: does not hold {error}; {REMAKE}") from error


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
