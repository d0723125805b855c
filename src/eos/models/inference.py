"""Running a trained network: images to feature embeddings and logits, the same bytes every time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eos.errors import InputError
from eos.models.devices import HALF, deterministic, in_precision, pick_device, pick_precision
from eos.models.network import Classifier, Network, build_network

_CACHED_PIXELS = 64 * 32 * 32  # what passes from one of a CPU's caches to the next


def load_network(
    weights: Mapping[str, Tensor],
    architecture: str,
    *,
    channels: int,
    n_classes: int,
    classifier: Classifier = "linear",
    branches: int = 1,
) -> Network:
    """Return the network that has the given weights.

    Parameters
    ----------
    weights : mapping of str to Tensor
        As `eos.training.loop.train` returns them.
    architecture, channels, n_classes, classifier, branches
        What it was trained as; see `eos.models.network.build_network`.

    Raises
    ------
    InputError
        If the weights are those of another network.
    """
    network = build_network(
        architecture,
        channels=channels,
        n_classes=n_classes,
        classifier=classifier,
        branches=branches,
        remembering=_places(weights),
    )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]  # torch lists every array, one a line
        raise InputError(
            f"weights: not those of a {architecture} of {branches} branch(es) for {channels} channel(s) and "
            f"{n_classes} classes with a {classifier} classifier; train the network again ({reason})"
        ) from error
    return network


def _places(weights: Mapping[str, Tensor]) -> int | None:
    """Return the places of the last map if weights are those of a memory (OLTR), which tell it."""
    memory = weights.get("backbone.memory", torch.empty(0))
    mask = weights.get("backbone.attention.mask.weight", torch.empty(0))
    known = memory.ndim == mask.ndim == 2 and 0 < mask.shape[1] == memory.shape[1] * len(mask)
    return len(mask) if known else None


def extract(
    network: Network,
    images: np.ndarray | Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature embeddings and the logits of images.

    In evaluation mode, without augmentation; the embeddings are not normalised, as in the released code.

    Parameters
    ----------
    network : Network
        Is moved to the device and put into evaluation mode.
    images : array or Tensor of uint8, shape (n, height, width, channels)
        Images as they are stored.
    mean, std : sequence of float, one per channel
        The normalisation that the network was trained with, for values in [0, 1].
    batch_size : int, optional
        Images per step; bounds the memory. By default few enough for the caches of a CPU.
    device : {"auto", "cpu", "cuda"}
        Where to compute; see `pick_device`.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of the backbone's arithmetic; see `pick_precision`. The mean over the image, which makes the embedding
        of what the convolutions give, is in float32 either way, and so is the classifier.

    Returns
    -------
    features : ndarray of float32, shape (n, n_features)
    logits : ndarray of float32, shape (n, n_classes)
    """
    place = pick_device(device)
    move(network, place)
    outputs = forward(
        network,
        torch.as_tensor(images),
        normalizer(mean, std, place),
        batch_size=batch_size,
        precision=pick_precision(precision, place),
    )
    features, logits = (part.cpu().numpy() for part in outputs)
    return features, logits


def forward(
    network: Network,
    images: Tensor,
    normalize: Callable[[Tensor], Tensor],
    *,
    batch_size: int | None = None,
    precision: str,
) -> tuple[Tensor, Tensor]:
    """Do what `extract` does on the network's device, and leave the results there: a GPU is not waited for.

    `normalize` is a `normalizer` of that device, `precision` what `pick_precision` returned.
    """
    place = network.classifier.weight.device
    network.eval()
    if batch_size is None:
        pixels = images.shape[1] * images.shape[2]
        batch_size = 1024 if place.type == "cuda" else max(1, _CACHED_PIXELS // pixels)
    features, logits = [], []
    backbone: Any = network.backbone
    # In float32 it would save less, and the embeddings of committed results would be others.
    if precision in HALF and hasattr(backbone, "folded"):
        backbone = backbone.folded().to(HALF[precision])
    with deterministic(place), torch.inference_mode():
        for batch in images.split(batch_size):
            inputs = normalize(batch.to(place))
            with in_precision(precision, place):
                embedded = backbone(inputs)
            features.append(embedded)
            logits.append(network.classifier(embedded))
        return torch.cat(features), torch.cat(logits)


def normalizer(
    mean: Sequence[float], std: Sequence[float], device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Return a function that turns stored images into what a network takes.

    It normalises uint8 images (n, height, width, channels) of the device to float32 (n, channels, height,
    width). The pixels are not moved: the result is in the channels-last memory format, the faster one here.
    """
    offset = torch.tensor(mean, device=device) * 255
    scale = torch.tensor(std, device=device) * 255
    return lambda images: ((images.float() - offset) / scale).permute(0, 3, 1, 2)


def network_input(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return what a `normalizer` of the images' device makes of them."""
    return normalizer(mean, std, images.device)(images)


def move(network: Network, device: torch.device) -> None:
    """Move a network to a device, its weights in the memory format of `network_input`."""
    module: Any = network  # torch's type hints lack memory_format
    module.to(device, memory_format=torch.channels_last)
