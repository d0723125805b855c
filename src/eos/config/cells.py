"""What the parameters mean for one cell of the grid: names looked up, a dataset's own values put in place."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from eos.config.schema import AUTO, Architecture, GeneratorModel, Parameters, Training
from eos.errors import InputError, unknown_name
from eos.registry import COMBINED, TWO_BRANCH_MIXINGS, display_name
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


def shown_networks(parameters: Parameters, dataset: str, listed: Iterable[str]) -> tuple[str, ...]:
    """Return the networks that a table or figure looks for.

    They are those it lists, and those on the axis that no table lists: somebody has added them. Of a set of
    embeddings they are all.
    """
    known = networks_of(parameters, dataset)
    if dataset in parameters.embeddings:
        return known
    tables = parameters.tables
    elsewhere = {tables.table1.network, tables.table1.remix, tables.table4.network}
    elsewhere |= {*tables.table2.networks, *tables.table3.networks, *tables.table5.networks}
    elsewhere |= {*tables.cited.networks}
    return (*listed, *(network for network in known if network not in elsewhere))


def shown_network(parameters: Parameters, dataset: str, listed: str) -> str:
    """Return the one network that is shown: the listed one, or the first other where it is lacking."""
    known = networks_of(parameters, dataset)
    shown = (listed, *shown_networks(parameters, dataset, (listed,)))
    return next((network for network in shown if network in known), listed)


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


def branches(parameters: Parameters, network: str) -> int:
    """Return how many branches a network has: two where its batches are pairs."""
    mixing = parameters.networks[network].mixing
    return 2 if mixing and mixing.name in TWO_BRANCH_MIXINGS else 1


def generator_on(parameters: Parameters, dataset: str, generator: str) -> Any:
    """Return the definition of a generator's model with the dataset's own values in it."""
    definition = parameters.generators[generator].model_dump(exclude={"synthetic_from"})
    changes = parameters.datasets[dataset].generators.get(generator, {})
    return TypeAdapter(GeneratorModel).validate_python(definition | changes)


def synthetic_from(parameters: Parameters, kind: str, sampler: str) -> float:
    """Return the share of the epochs before which a network on balanced images sees the real ones alone.

    It is that of the generator that `sampler` names where `kind` is "generated", and 0 on other images.
    """
    with suppress(KeyError):  # of no generator there are no images, which is told where they are read
        if kind == "generated":
            return float(parameters.generators[sampler].synthetic_from)
    return 0.0


def sampler_of(parameters: Parameters, head: str) -> str | None:
    """Return the sampler of a head's embeddings, "own" or "none" for none; None for another classifier."""
    definition = parameters.heads[head]
    return None if hasattr(definition, "classifier") else definition.sampler


def is_classifier(parameters: Parameters, head: str) -> bool:
    """Return whether a head is fitted to the embeddings as they are, by `eos.heads.rivals`."""
    return sampler_of(parameters, head) is None


def logit_scale(parameters: Parameters, dataset: str, network: str) -> float:
    """Return what the logits of a network's own classifier are multiplied by in the softmax of its loss.

    It is 1 but for a cosine classifier. Those of given embeddings are taken as they are.
    """
    if dataset in parameters.embeddings:
        return 1.0
    return float(getattr(parameters.networks[network].loss, "scale", 1.0))


def neighbors(parameters: Parameters, head: str) -> int | str | None:
    """Return the number of neighbours K that an EOS head asks for, or "all"; None for any other head."""
    return parameters.heads[head].k_neighbors if sampler_of(parameters, head) == "eos" else None


def step(parameters: Parameters, head: str) -> str:
    """Return how an EOS head steps toward the enemies, in words; nothing for any other head."""
    if sampler_of(parameters, head) != "eos":
        return ""
    definition = parameters.heads[head]
    size = definition.step_size if definition.step_size == "auto" else f"{definition.step_size:g}"
    return f"{definition.variant}, step size {size}"


def settings(parameters: Parameters, heads: tuple[str, ...]) -> dict[str, str]:
    """Return what the EOS heads among `heads` are run with, in words."""
    return {
        head: f"K = {neighbors(parameters, head)}, {said}"
        for head in heads
        if (said := step(parameters, head))
    }


def eos_settings(parameters: Parameters) -> dict[str, dict[str, Any]]:
    """Return what each EOS head with a number of neighbours is run with: k_neighbors, step_size, variant."""
    return {
        name: head.model_dump()
        for name, head in parameters.heads.items()
        if isinstance(neighbors(parameters, name), int) and head.step_size != "auto"
    }


def head_title(parameters: Parameters, head: str) -> str:
    """Return what a head is called: an EOS head by its K, and by what else differs from the paper's."""
    definition = parameters.heads[head]
    if sampler_of(parameters, head) == "eos":
        size = definition.step_size
        title = f"EOS (K = {definition.k_neighbors}"
        title += f", step {size if isinstance(size, str) else f'{size:g}'}" if size != 1 else ""
        return title + (f", {definition.variant})" if definition.variant != "toward" else ")")
    if head in COMBINED or head == getattr(definition, "classifier", getattr(definition, "sampler", None)):
        return display_name(head)
    if not is_classifier(parameters, head):
        return f"{display_name(definition.sampler)} ({head})"
    title, balanced = display_name(definition.classifier), getattr(definition, "sampler", None)
    if balanced:
        title += f" on {display_name(balanced.sampler)}"
        return title if head == f"{definition.classifier}_{balanced.sampler}" else f"{title} ({head})"
    return f"{title} ({head})"


def head_labels(parameters: Parameters, heads: Iterable[str]) -> dict[str, str]:
    """Return what legends call the heads."""
    return {head: head_title(parameters, head) for head in heads}


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

    Without a head, and without a network, it is the recommended one; of a set of embeddings, which has
    networks of its own, the first.

    Raises
    ------
    InputError
        If it is written otherwise, is not on the axes, or is of a head that its network does not get.
    """
    parts = text.split("-")
    if not 2 <= len(parts) <= 4 or not parts[1].isdecimal() or len(parts[1]) > 10:
        raise InputError(
            f"cell {text[:200]!r}: must be DATASET-CUT-NETWORK-HEAD, digits-0-ce-eos say, or without a part "
            "at the end, which is then the recommended one"
        )
    network = parameters.recommended.network
    if parts[0] in parameters.embeddings and network not in (own := networks_of(parameters, parts[0])):
        network = own[0]
    filled_in = ("network", "head")[len(parts) - 2 :]
    parts += [network, parameters.recommended.head][len(parts) - 2 :]
    cell = Cell(parts[0], int(parts[1]), parts[2], parts[3])
    for what, find in _KNOWN.items():
        names, name = find(parameters, cell), getattr(cell, what)
        if name not in names and what in filled_in:
            raise InputError(
                f"cell {text!r}: the recommended {what} {name!r} was not run there; name one of those that "
                f"were: {', '.join(map(str, names))}"
            )
        if name not in names:
            raise unknown_name(name, map(str, names), what=what, place=f"cell {text!r}")
    return cell
