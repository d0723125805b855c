"""What the parameters mean for one cell of the grid: names looked up, a dataset's own values put in place."""

from eos.config.schema import Parameters, Training


def training_recipe(
    parameters: Parameters, dataset: str, network: str, *, balanced: bool = False
) -> Training:
    """Return the recipe of a network on a dataset: the general one, with the dataset's own values in it.

    The epochs are the network's share of the dataset's, and where the images were balanced before training
    (`balanced`) the share of those that `balanced_epochs_share` says; at least one.
    """
    own = parameters.datasets[dataset].training.model_dump(exclude_none=True)
    recipe = parameters.training.model_copy(update=own)
    share = parameters.networks[network].epochs_share * (recipe.balanced_epochs_share if balanced else 1)
    return recipe.model_copy(update={"epochs": max(1, round(recipe.epochs * share))})


def cpu_threads(parameters: Parameters, dataset: str) -> int | None:
    """Return how many threads the networks of a dataset are trained with; None for all."""
    own = parameters.datasets[dataset].training.cpu_threads
    return parameters.training.cpu_threads if own is None else own


def architecture(parameters: Parameters, dataset: str, network: str) -> str:
    """Return the network's architecture, or the dataset's where the network names none."""
    return parameters.networks[network].architecture or parameters.datasets[dataset].architecture


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
