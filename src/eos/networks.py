"""Convolutional networks: a backbone that makes feature embeddings, and a classifier on top of it."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.errors import unknown_name

Classifier = Literal["linear", "cosine"]


class Network(nn.Module):
    """A backbone and its classifier.

    Attributes
    ----------
    features : nn.Module
        Maps normalised images, `(n, channels, height, width)`, to feature embeddings, `(n, n_features)`.
    classifier : nn.Module
        Maps feature embeddings to logits, `(n, n_classes)`.
    n_features : int
        Length of one feature embedding.
    """

    def __init__(self, backbone: "ResNet", classifier: "nn.Linear | CosineClassifier") -> None:
        super().__init__()
        self.features = backbone
        self.classifier = classifier
        self.n_features = backbone.n_features

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of normalised images."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


class ResNet(nn.Module):
    """The CIFAR residual network of 6n + 2 layers, without its classifier (He et al. 2016, Section 4.2).

    A 3x3 convolution, three stages of `blocks_per_stage` residual blocks with 16, 32 and 64 channels, the
    last two of which halve the image, and the mean over what is left of it. Any image size will do.
    """

    n_features = 64

    def __init__(self, blocks_per_stage: int, *, channels: int) -> None:
        super().__init__()
        self.convolution = _convolution(channels, 16)
        self.normalization = nn.BatchNorm2d(16)
        blocks: list[nn.Module] = []
        n_in = 16
        for n_out in (16, 32, self.n_features):
            for _ in range(blocks_per_stage):
                blocks.append(_Block(n_in, n_out))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature embeddings, `(n, 64)`."""
        x = functional.relu(self.normalization(self.convolution(images)), inplace=True)
        return self.blocks(x).mean((2, 3))


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut; the image is halved where the number of channels grows."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.stride = 1 if n_in == n_out else 2
        self.padding = (n_out - n_in) // 2
        self.convolution1 = _convolution(n_in, n_out, self.stride)
        self.normalization1 = nn.BatchNorm2d(n_out)
        self.convolution2 = _convolution(n_out, n_out)
        self.normalization2 = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.normalization1(self.convolution1(x)), inplace=True)
        y = self.normalization2(self.convolution2(y))
        return functional.relu(y.add_(self._shortcut(x)), inplace=True)

    def _shortcut(self, x: Tensor) -> Tensor:
        """Return option A of the paper: every second pixel, and zeros for the new channels; no parameters."""
        if self.stride == 1:
            return x
        return functional.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding)
        )


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


#: Every backbone by name; a builder takes `channels`. The tests cover all of them.
ARCHITECTURES: dict[str, Callable[..., ResNet]] = {
    "resnet20": partial(ResNet, 3),
    "resnet32": partial(ResNet, 5),
    "resnet56": partial(ResNet, 9),
}


def build_network(
    architecture: str,
    *,
    channels: int,
    n_classes: int,
    classifier: Classifier = "linear",
    generator: torch.Generator | None = None,
) -> Network:
    """Return a network with freshly drawn weights.

    Convolution and linear weights are Kaiming-normal, as in the released code. Biases are uniform within
    1 / sqrt(n_features); rows of the cosine classifier have unit length.

    Parameters
    ----------
    architecture : str
        A name in `ARCHITECTURES`.
    channels : int
        Channels of the images: 1 for grey, 3 for colour.
    n_classes : int
        Number of classes.
    classifier : {"linear", "cosine"}
        A linear layer with bias, or the `CosineClassifier` that LDAM needs.
    generator : torch.Generator, optional
        Where the weights are drawn from; torch's global one by default.

    Raises
    ------
    InputError
        If there is no such architecture or classifier.
    """
    if architecture not in ARCHITECTURES:
        raise unknown_name(architecture, ARCHITECTURES, what="architecture", place="build_network")
    if classifier not in _CLASSIFIERS:
        raise unknown_name(classifier, _CLASSIFIERS, what="classifier", place="build_network")
    # torch draws weights as it builds a layer; all of them are drawn again below, from the one generator.
    with torch.random.fork_rng(devices=[]):
        backbone = ARCHITECTURES[architecture](channels=channels)
        network = Network(backbone, _CLASSIFIERS[classifier](backbone.n_features, n_classes))
    _initialize(network, generator)
    return network


def classifier_weights(network: Network) -> np.ndarray:
    """Return the rows that an embedding is multiplied with, one per class, `(n_classes, n_features)` float32.

    For the cosine classifier these are its rows scaled to unit length: their stored length has no effect.
    """
    weight = network.classifier.weight
    if isinstance(network.classifier, CosineClassifier):
        weight = functional.normalize(weight)
    rows: np.ndarray = weight.detach().cpu().numpy()
    return rows


_CLASSIFIERS: dict[str, type[nn.Linear] | type[CosineClassifier]] = {
    "linear": nn.Linear,
    "cosine": CosineClassifier,
}


def _convolution(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False)


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
