"""Convolutional networks: a backbone that makes feature embeddings, and a classifier on top of it."""

from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.errors import InputError
from eos.models.oltr import MetaEmbedding, ModulatedAttention, places_of
from eos.models.two_branches import TwoBranches
from eos.registry import ARCHITECTURES, TWO_BRANCH_ARCHITECTURES, find

Classifier = Literal["linear", "cosine", "unit"]


class Backbone(Protocol):
    """A module that maps normalised images, `(n, channels, height, width)`, to embeddings, `(n, n_features)`.

    It takes images of any size, and its embeddings are float32 under autocast, too. The weights it comes with
    do not matter: `build_network` draws them again.
    """

    n_features: int

    def __call__(self, images: Tensor) -> Tensor:
        """Return the feature embeddings."""


class Network(nn.Module):
    """A backbone and its classifier.

    Attributes
    ----------
    backbone : nn.Module
        Maps normalised images, `(n, channels, height, width)`, to feature embeddings, `(n, n_features)`.
    classifier : nn.Module
        Maps feature embeddings to logits, `(n, n_classes)`.
    n_features : int
        Length of one feature embedding.
    """

    def __init__(
        self, backbone: Backbone, classifier: "nn.Linear | CosineClassifier | UnitClassifier"
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.n_features = backbone.n_features

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of normalised images."""
        return self.classifier(self.backbone(images))

    def outputs(self, images: Tensor) -> Tensor:
        """Return what the loss takes: the logits, and of OLTR behind them the distances to the memory.

        The latter are squared, `(n, n_classes)`, too.
        """
        if not isinstance(self.backbone, MetaEmbedding):
            return self(images)
        embeddings, distances = self.backbone.with_distances(images)
        return torch.cat((self.classifier(embeddings), distances), dim=1)


class CosineClassifier(nn.Module):
    """Logits that are the cosines between an embedding and the row of each class (Cao et al. 2019, LDAM).

    No bias. The logits lie in [-1, 1]: the largest is the prediction, and the loss multiplies them by its
    `scale` before the softmax.
    """

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, n_features))

    def forward(self, features: Tensor) -> Tensor:
        """Return the cosines, `(n, n_classes)`."""
        # In float32 also under autocast: the loss multiplies the cosines, rounding and all, by 30.
        with torch.autocast(features.device.type, enabled=False):
            directions = functional.normalize(features.float())
            return functional.linear(directions, functional.normalize(self.weight))


class UnitClassifier(nn.Module):
    """Logits that are the products of an embedding with unit rows, one for each class; no bias.

    OLTR's (Liu et al. 2019), whose embeddings have the squashed length in them already.
    """

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, n_features))

    def forward(self, features: Tensor) -> Tensor:
        """Return the products, `(n, n_classes)`, float32 also under autocast."""
        with torch.autocast(features.device.type, enabled=False):
            return functional.linear(features.float(), functional.normalize(self.weight))


def build_network(
    architecture: str,
    *,
    channels: int,
    n_classes: int,
    classifier: Classifier = "linear",
    branches: int = 1,
    remembering: tuple[int, int] | int | None = None,
    generator: torch.Generator | None = None,
) -> Network:
    """Return a network with freshly drawn weights.

    Convolution and linear weights are Kaiming-normal, as in the released code. Biases are uniform within
    1 / sqrt(n_features), and so are OLTR's unit rows before they are scaled; rows of the cosine classifier
    have unit length.

    Parameters
    ----------
    architecture : str
        A name in `eos.registry.ARCHITECTURES`.
    channels : int
        Channels of the images: 1 for grey, 3 for colour.
    n_classes : int
        Number of classes.
    classifier : {"linear", "cosine", "unit"}
        A linear layer with bias, the `CosineClassifier` that LDAM needs, or OLTR's `UnitClassifier`.
    branches : int
        1, or 2 for a network whose last block is there twice; see `eos.models.two_branches`.
    remembering : pair of int, or int, optional
        Makes the backbone a `MetaEmbedding` (OLTR). It is for images of one size: this height and width, or
        those whose last map has so many places.
    generator : torch.Generator, optional
        Where the weights are drawn from; torch's global one by default.

    Raises
    ------
    InputError
        If there is no such architecture, it cannot have so many branches, or it has no map that a memory's
        attention needs.
    """
    entry = find(ARCHITECTURES, architecture, what="architecture")
    if branches == 2 and architecture not in TWO_BRANCH_ARCHITECTURES:
        raise InputError(
            f"architecture {architecture!r}: a network of two branches is a residual one; take "
            f"{' or '.join(TWO_BRANCH_ARCHITECTURES)}"
        )
    layer = {"linear": nn.Linear, "cosine": CosineClassifier, "unit": UnitClassifier}[classifier]
    # torch draws weights as it builds a layer; all of them are drawn again below, from the one generator.
    with torch.random.fork_rng(devices=[]):
        backbone = entry.load()(channels=channels)
        if branches == 2:
            backbone = TwoBranches(backbone)
        if remembering is not None:
            places = remembering
            if not isinstance(places, int):
                places = places_of(backbone, architecture, places, channels=channels)
            backbone = MetaEmbedding(backbone, n_classes, places)
        network = Network(backbone, layer(backbone.n_features, n_classes))
    _initialize(network, generator)
    return network


def classifier_weights(network: Network) -> np.ndarray:
    """Return the rows that an embedding is multiplied with, one per class, `(n_classes, n_features)` float32.

    For a cosine classifier or one of unit rows they are scaled to unit length: their stored length has no
    effect.
    """
    weight = network.classifier.weight
    if not isinstance(network.classifier, nn.Linear):
        weight = functional.normalize(weight)
    return weight.detach().cpu().numpy()


def classifier_bias(network: Network) -> np.ndarray:
    """Return what is added to each class's output, `(n_classes,)` float32; zeros of one that has none."""
    if not isinstance(network.classifier, nn.Linear):
        return np.zeros(len(network.classifier.weight), dtype=np.float32)
    return network.classifier.bias.detach().cpu().numpy()


@torch.no_grad()
def _initialize(network: Network, generator: torch.Generator | None) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
        if isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        if isinstance(module, CosineClassifier):
            nn.init.uniform_(module.weight, -1, 1, generator=generator)
            module.weight.copy_(functional.normalize(module.weight))
        if isinstance(module, UnitClassifier):
            bound = module.weight.shape[1] ** -0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
    for module in network.modules():
        if isinstance(module, ModulatedAttention):
            nn.init.zeros_(module.out.weight)
