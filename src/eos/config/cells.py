"""What the parameters mean for one cell of the grid: names looked up, a dataset's own values put in place."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from eos.config.schema import AUTO, Architecture, Generator, Parameters, Training
from eos.errors import InputError, unknown_name
from eos.training.recipe import fitted

# What a portable data set is trained with, behind what params.yaml may say of it.
PORTABLE: dict[str, tuple[Any, Any]] = {
    "device": ("cpu", "auto"),
    "precision": ("fp32", "auto"),
    "cpu_threads": (1, None),
}


def cuts_of(parameters: Parameters, dataset: str) -> tuple[int, ...]:
    """Return the cuts that a dataset is run on; a set of embeddings has one, 0."""
    return (0,) if dataset in parameters.embeddings else parameters.axes.cuts


def networks_of(parameters: Parameters, dataset: str) -> tuple[str, ...]:
    """Return the networks of a dataset: those of the axis; a set of embeddings has its own."""
    if dataset in parameters.embeddings:
        return tuple(parameters.embeddings[dataset].networks)
    return parameters.axes.networks


def heads_of(parameters: Parameters, dataset: str, network: str) -> tuple[str, ...]:
    """Return the heads that a network's embeddings get."""
    if dataset in parameters.embeddings:
        return parameters.embeddings[dataset].heads
    return parameters.networks[network].heads


def shown_networks(parameters: Parameters, dataset: str, listed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the networks to show: those that a table or figure lists; all of a set of embeddings."""
    return tuple(parameters.embeddings[dataset].networks) if dataset in parameters.embeddings else listed


def shown_network(parameters: Parameters, dataset: str, listed: str) -> str:
    """Return the one network that is shown: the listed one; where a set of embeddings lacks it, its first."""
    known = shown_networks(parameters, dataset, (listed,))
    return listed if listed in known else known[0]


def is_portable(parameters: Parameters, dataset: str) -> bool:
    """Return whether the stages of a dataset have to give the same bytes on every processor."""
    if dataset in parameters.embeddings:
        return parameters.embeddings[dataset].portable
    return parameters.datasets[dataset].portable


def training_settings(
    parameters: Parameters, dataset: str, network: str, *, rows: int, balanced: bool = False
) -> Training:
    """Return how a network is trained on a dataset: as in general, with the dataset's own values in it.

    What the dataset leaves to its size (`auto`) is decided by the number of training images, `rows`; see
    `eos.training.recipe.fitted`. The epochs are the network's share of the dataset's, and where the images
    were balanced before training (`balanced`) the share of those that `balanced_epochs_share` says; at least
    one. A portable dataset is trained on one thread of the CPU in float32.
    """
    own = parameters.datasets[dataset].training.model_dump(exclude_none=True)
    settings = parameters.training.model_copy(update=own | machine(parameters, dataset))
    steps = fitted(rows, **{key: getattr(settings, key) for key in AUTO})
    share = parameters.networks[network].epochs_share * (settings.balanced_epochs_share if balanced else 1)
    return settings.model_copy(update=asdict(steps) | {"epochs": max(1, round(steps.epochs * share))})


def machine(parameters: Parameters, dataset: str) -> dict[str, Any]:
    """Return the device, the precision and the threads (None for all) that a dataset's networks get."""
    if parameters.datasets[dataset].portable:
        return {key: value for key, (value, _) in PORTABLE.items()}
    own = parameters.datasets[dataset].training.model_dump(exclude_none=True)
    return {key: own.get(key, getattr(parameters.training, key)) for key in PORTABLE}


def architecture(parameters: Parameters, dataset: str, network: str) -> Architecture:
    """Return the network's architecture, or the dataset's where the network names none, and its weights."""
    return parameters.networks[network].architecture or parameters.datasets[dataset].architecture


def generator_on(parameters: Parameters, dataset: str, generator: str) -> Any:
    """Return a generator's definition with the dataset's own values in it."""
    definition = parameters.generators[generator].model_dump()
    changes = parameters.datasets[dataset].generators.get(generator, {})
    return TypeAdapter(Generator).validate_python(definition | changes)


def neighbors(parameters: Parameters, head: str) -> int | None:
    """Return the number of neighbours K that an EOS head asks for; None for any other head."""
    definition = parameters.heads[head]
    return definition.k_neighbors if definition.sampler == "eos" else None


def step(parameters: Parameters, head: str) -> str:
    """Return how an EOS head steps toward the enemies, in words; nothing for any other head."""
    definition = parameters.heads[head]
    if definition.sampler != "eos":
        return ""
    return f"{definition.variant}, step size {definition.step_size:g}"


def settings(parameters: Parameters, heads: tuple[str, ...]) -> dict[str, str]:
    """Return what the EOS heads among `heads` are run with, in words."""
    return {
        head: f"K = {neighbors(parameters, head)}, {said}"
        for head in heads
        if (said := step(parameters, head))
    }


class Cell(NamedTuple):
    """A cell of the grid."""

    dataset: str
    cut: int
    network: str
    head: str


# What each part of a cell may be, given those before it.
_KNOWN: dict[str, Callable[[Parameters, Cell], tuple[str | int, ...]]] = {
    "dataset": lambda parameters, cell: (*parameters.axes.datasets, *parameters.axes.embeddings),
    "cut": lambda parameters, cell: cuts_of(parameters, cell.dataset),
    "network": lambda parameters, cell: networks_of(parameters, cell.dataset),
    "head": lambda parameters, cell: heads_of(parameters, cell.dataset, cell.network),
}


def find_cell(parameters: Parameters, text: str) -> Cell:
    """Return the cell that is written DATASET-CUT-NETWORK-HEAD.

    Raises
    ------
    InputError
        If it is written otherwise, is not on the axes, or is of a head that its network does not get.
    """
    parts = text.split("-")
    if len(parts) != 4 or not parts[1].isdecimal():
        raise InputError(f"cell {text!r}: must be DATASET-CUT-NETWORK-HEAD, digits-0-ce-eos say")
    cell = Cell(parts[0], int(parts[1]), parts[2], parts[3])
    for what, find in _KNOWN.items():
        names = find(parameters, cell)
        if getattr(cell, what) not in names:
            raise unknown_name(getattr(cell, what), map(str, names), what=what, place=f"cell {text!r}")
    return cell
