"""What the parameters mean for one cell of the grid: names looked up, a dataset's own values put in place."""

from eos.parameters import EOSHead, Parameters, Training


def training_recipe(parameters: Parameters, dataset: str) -> Training:
    """Return the training recipe with the dataset's own values in place of the general ones."""
    own = parameters.datasets[dataset].training.model_dump(exclude_none=True)
    return parameters.training.model_copy(update=own)


def architecture(parameters: Parameters, dataset: str, network: str) -> str:
    """Return the network's architecture, or the dataset's where the network names none."""
    return parameters.networks[network].architecture or parameters.datasets[dataset].architecture


def settings(parameters: Parameters, head: str) -> str:
    """Return what an EOS head is run with, in words; nothing for any other head."""
    definition = parameters.heads[head]
    if not isinstance(definition, EOSHead):
        return ""
    return f"K = {definition.k_neighbors}, {definition.variant}, step size {definition.step_size:g}"


def neighbors(parameters: Parameters, head: str) -> int:
    """Return the number of neighbours K that an EOS head asks for."""
    definition = parameters.heads[head]
    assert isinstance(definition, EOSHead)  # `parameters.load` has seen to it for the heads of Table IV
    return definition.k_neighbors
