"""Check params.yaml as a whole, and note what every cell depends on beside its data: -> data/checked/..."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import common
from eos.config.cells import architecture
from eos.config.schema import Parameters, generator_on
from eos.registry import ARCHITECTURES, LOSSES
from eos.storage.files import write_json
from sources import STAGES, sources


@dataclass(frozen=True)
class Reads:
    """What a stage reads: its cells, as far as they differ in that, and the parameters.

    Attributes
    ----------
    cell : tuple of str
        Names of the matrix that the notes of a cell are called by; empty for a stage with one file of notes.
    parameters : tuple of str
        Paths in params.yaml, with the cell's names in braces; `{head}` is every head of its network.
    """

    cell: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


_TRAINING = Reads(
    ("dataset", "network"),
    (
        "datasets.{dataset}.architecture",
        "datasets.{dataset}.normalization",
        "datasets.{dataset}.training",
        "networks.{network}.architecture",
        "networks.{network}.epochs_share",
        "networks.{network}.loss",
        "networks.{network}.mixing",
        "training",
    ),
)
STAGES_READ: Mapping[str, Reads] = {
    "prepare": Reads(("dataset",), ("datasets.{dataset}.source",)),
    "split": Reads(("dataset",), ("datasets.{dataset}.imbalance", "split")),
    "train": _TRAINING,
    "extract": Reads(
        ("dataset", "network"),
        (
            "datasets.{dataset}.architecture",
            "datasets.{dataset}.training",
            "networks.{network}.architecture",
            "networks.{network}.epochs_share",
            "networks.{network}.loss",
            "selection",
            "training.cpu_threads",
            "training.device",
            "training.precision",
        ),
    ),
    "gap": Reads(),
    "oversample": Reads(("network",), ("heads.{head}", "networks.{network}.heads", "oversampling")),
    "retrain": Reads(
        ("network",), ("head_training", "heads.{head}", "networks.{network}.heads", "selection")
    ),
    "score": Reads((), ("axes.networks", "head_training.seeds", "heads", "networks", "selection")),
    "augment": Reads(("pixel_sampler",), ("oversampling", "pixel_samplers.{pixel_sampler}")),
    "train_augmented": _TRAINING,
    "generate": Reads(
        ("dataset", "generator"),
        (
            "datasets.{dataset}.generators",
            "datasets.{dataset}.training",
            "generators.{generator}",
            "oversampling",
            "training.cpu_threads",
            "training.device",
        ),
    ),
    "train_generated": _TRAINING,
    "tables": Reads((), ("axes", "heads", "selection", "tables")),
    "figures": Reads(
        (),
        (
            "axes.cuts",
            "axes.datasets",
            "figures.figure3",
            "figures.figure5",
            "figures.figure7",
            "head_training.epochs",
        ),
    ),
    "figure4": Reads((), ("axes.cuts", "axes.datasets", "figures.figure4")),
    "figure6": Reads(
        (), ("axes.cuts", "axes.networks", "figures.figure6", "heads", "networks", "oversampling")
    ),
}


def main() -> None:
    """Stop at a mistake in the parameters; write a small file for every cell: its parameters and its code.

    And what the cell's names stand for, where neither says it.

    These files are what the stages depend on. In place of lists of parameters and of code in dvc.yaml they
    are closer (a head's parameters concern only the networks that have this head), and keep dvc.lock small,
    which DVC reads and writes after every stage.
    """
    parameters = common.parameters()
    values = parameters.model_dump(mode="json")
    for stage, reads in STAGES_READ.items():
        for names in cells(parameters, reads.cell):
            paths = [path for text in reads.parameters for path in expanded(text, parameters, names)]
            chosen = modules(parameters, names)
            notes = {
                "parameters": {path: look_up(values, path) for path in paths},
                "names": meant(parameters, names),
                "code": sources(STAGES / f"{stage}.py", **chosen),
            }
            write_json(common.notes_file(stage, *names.values()), notes)


def cells(parameters: Parameters, kinds: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the names of each cell, by kind."""
    axes = parameters.axes
    known = {
        "dataset": axes.datasets,
        "network": tuple(parameters.networks),
        "pixel_sampler": axes.pixel_samplers,
        "generator": axes.generators,
    }
    for names in product(*(known[kind] for kind in kinds)):
        yield dict(zip(kinds, names, strict=True))


def expanded(path: str, parameters: Parameters, names: Mapping[str, str]) -> list[str]:
    """Return the paths that a path with names in braces stands for."""
    if "{head}" in path:
        return [path.format(head=head) for head in parameters.networks[names["network"]].heads]
    return [path.format(**names)]


def look_up(values: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path."""
    value: Any = values
    for key in path.split("."):
        value = value[key]
    return value


def modules(parameters: Parameters, names: Mapping[str, str]) -> dict[str, str]:
    """Return the architecture and the loss whose code the cell of a network runs; of no other."""
    if not {"dataset", "network"} <= set(names):
        return {}
    chosen = architecture(parameters, names["dataset"], names["network"])
    return {"architecture": chosen, "loss": parameters.networks[names["network"]].loss.name}


def meant(parameters: Parameters, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what is behind the names of a network in the registry, or a generator on a dataset."""
    found: dict[str, Any] = {}
    for kind, name in modules(parameters, names).items():
        found[kind] = {"architecture": ARCHITECTURES, "loss": LOSSES}[kind][name].where
    if {"dataset", "generator"} <= set(names):
        found["generator"] = generator_on(parameters, **names).model_dump(mode="json")
    return found


if __name__ == "__main__":
    common.run(main)
