"""What tests of several subjects share: the repository's root, its parameters, what these give to a name."""

from functools import cache
from pathlib import Path
from typing import Any

from eos.config.loading import load
from eos.config.schema import EmbeddingSet, Parameters
from eos.heads.softmax import HeadConfig
from eos.training.config import TrainConfig

ROOT = Path(__file__).parents[1]


@cache
def parameters() -> Parameters:
    """Return the repository's own params.yaml, read once."""
    return load(ROOT / "params.yaml")


def with_embeddings(**changes: Any) -> Parameters:
    """Return the parameters with a set of embeddings, "plants", of the networks `ce` and `dinov2`."""
    definition: dict[str, Any] = {
        "networks": {"ce": "ce.npz", "dinov2": "dinov2.npz"},
        "heads": ("own", "smote", "eos"),
        "test_share": None,
        "seed": 0,
        "standardize": False,
        "portable": True,
    }
    own = EmbeddingSet.model_validate(definition | changes)
    axes = parameters().axes.model_copy(update={"embeddings": ("plants",)})
    return parameters().model_copy(update={"axes": axes, "embeddings": {"plants": own}})


def given(kind: str, name: str) -> dict[str, Any]:
    """Return what params.yaml gives to a registered name: nothing where it does not use the name.

    `kind` is "sampler", "classifier", "pixel sampler", "generator", "loss", "mixing" or "augmentation"; of
    several definitions the first counts.
    """
    known = parameters()
    definitions, tag = {
        "sampler": ([head for head in known.heads.values() if not hasattr(head, "classifier")], "sampler"),
        "classifier": ([head for head in known.heads.values() if hasattr(head, "classifier")], "classifier"),
        "pixel sampler": (list(known.pixel_samplers.values()), "sampler"),
        "generator": (list(known.generators.values()), "model"),
        "loss": ([network.loss for network in known.networks.values()], "name"),
        "augmentation": (
            [one for network in known.networks.values() for one in network.augmentations],
            "name",
        ),
        "mixing": ([network.mixing for network in known.networks.values() if network.mixing], "name"),
    }[kind]
    found = [one for one in definitions if getattr(one, tag) == name]
    settings: dict[str, Any] = found[0].model_dump(exclude={tag}) if found else {}
    return settings


def train_config(**changes: Any) -> TrainConfig:
    """Return how params.yaml trains a network in general, with some values changed."""
    general = parameters().training.model_dump(exclude={"device", "cpu_threads", "balanced_epochs_share"})
    return TrainConfig(**general | changes)


def head_config(**changes: Any) -> HeadConfig:
    """Return how params.yaml trains a head, with some values changed."""
    general = parameters().head_training.model_dump(exclude={"curve_epochs", "seeds"})
    return HeadConfig(**general | changes)
