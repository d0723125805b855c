"""OLTR's parts of a network (Liu et al. 2019): attention on the last map, a memory, meta-embeddings.

The paper has them for large images and 512 features. Here they are put on the backbones for small images,
from the formulas; no published number is of this form, see docs/choices.md.
"""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eos.errors import InputError


class ModulatedAttention(nn.Module):
    """Self-attention on a map, weighted by an attention over its places: ``F + mask * SA(F)``.

    SA is a non-local block: each place gets the mean of all places' values, weighted by the softmax of the
    products of its query with their keys. Its last convolution begins at zero, so that the whole begins as
    the identity. The mask is the softmax, over the places, of a linear layer on the whole map.

    Parameters
    ----------
    width : int
        Channels of the map.
    places : int
        Height times width of the map.
    """

    def __init__(self, width: int, places: int) -> None:
        super().__init__()
        inner = max(1, width // 2)
        self.queries, self.keys, self.values = (
            nn.Conv2d(width, inner, kernel_size=1, bias=False) for _ in range(3)
        )
        self.out = nn.Conv2d(inner, width, kernel_size=1, bias=False)
        self.mask = nn.Linear(width * places, places)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape, `(n, width, height, width of the map)`.

        Raises
        ------
        InputError
            If the map has another number of places, as that of images of another size.
        """
        n, _, height, across = maps.shape
        if height * across != self.mask.out_features:
            raise InputError(
                f"images: their last map has {height} x {across} places, but this network (OLTR) is for "
                f"{self.mask.out_features}; give images of the size that it was trained on"
            )
        queries, keys, values = (layer(maps).flatten(2) for layer in (self.queries, self.keys, self.values))
        weights = (queries.transpose(1, 2) @ keys).softmax(dim=2)
        mixed = (values @ weights.transpose(1, 2)).view(n, values.shape[1], height, across)
        mask = self.mask(maps.flatten(1)).softmax(dim=1).view(n, 1, height, across)
        return maps + mask * self.out(mixed)


class MetaEmbedding(nn.Module):
    """A backbone whose embeddings a memory of the classes enriches.

    With v the mean of the attended map and M the memory, a row for each class:

    - what is recalled: ``o M``, o the softmax of a linear layer (the hallucinator) on v;
    - how much of each feature: ``e = tanh`` of another linear layer (the selector) on v;
    - how well v is known: the reach, a constant over the distance from v to the nearest row of M;
    - the meta-embedding: ``m = reach * (v + e * o M)``;
    - the embedding: ``length * m / (1 + |m|)``, what the paper's classifier multiplies with its unit rows.

    No gradient flows from here to the memory, as in the released code: it learns by its own loss.

    Attributes
    ----------
    trunk : nn.Module
        The backbone, which has the method `maps`.
    memory : Parameter, shape (n_classes, n_features)
    reach : Tensor
        The distance at which a reach is 1.
    largest_reach : Tensor
        Where reaches are cut off: an image may lie on its class's row.
    length : Tensor
        What the length of an embedding approaches, the temperature of the softmax.
    """

    memory: nn.Parameter
    reach: Tensor
    largest_reach: Tensor
    length: Tensor

    def __init__(self, trunk: Any, n_classes: int, places: int) -> None:
        super().__init__()
        self.n_features: int = trunk.n_features
        self.trunk = trunk
        self.attention = ModulatedAttention(self.n_features, places)
        self.hallucinator = nn.Linear(self.n_features, n_classes)
        self.selector = nn.Linear(self.n_features, self.n_features)
        self.memory = nn.Parameter(torch.zeros(n_classes, self.n_features))
        for name in ("reach", "largest_reach", "length"):
            self.register_buffer(name, torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings, `(n, n_features)`."""
        return self._enriched(self._direct(images))

    def with_distances(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings, and the squared distances from v to the memory, `(n, n_classes)`."""
        direct = self._direct(images)
        return self._enriched(direct), squared_distances(direct, self.memory)

    @torch.no_grad()
    def remember(
        self, features: Tensor, labels: Tensor, *, reach: float, largest_reach: float, length: float
    ) -> None:
        """Begin with a memory of the class means.

        Parameters
        ----------
        features : Tensor, shape (n, n_features)
            The trunk's embeddings of the training images.
        labels : Tensor, shape (n,)
            Their classes, each of which has an image.
        reach, largest_reach : float
            Of an image at the median of their distances to the nearest row, and of any at most.
        length : float
            See the class.
        """
        means, typical = memory_of(features.cpu().numpy(), labels.cpu().numpy(), len(self.memory))
        self.memory.copy_(torch.from_numpy(means))
        self.reach.fill_(reach * typical)
        self.largest_reach.fill_(largest_reach)
        self.length.fill_(length)

    def _direct(self, images: Tensor) -> Tensor:
        """Return v, float32 `(n, n_features)`."""
        return self.attention(self.trunk.maps(images)).mean((2, 3), dtype=torch.float32)

    def _enriched(self, direct: Tensor) -> Tensor:
        # In float32 also under autocast: differences of near points, and what they are divided by.
        with torch.autocast(direct.device.type, enabled=False):
            memory = self.memory.detach()
            nearest = squared_distances(direct, memory).amin(dim=1, keepdim=True)
            reach = self.reach * nearest.clamp(min=(self.reach / self.largest_reach) ** 2).rsqrt()
            recalled = self.hallucinator(direct).softmax(dim=1) @ memory
            meta = reach * (direct + self.selector(direct).tanh() * recalled)
            return self.length * meta / (1 + torch.linalg.vector_norm(meta, dim=1, keepdim=True))


def squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    """Return the squared distance from each row to each other one, `(n, n_others)`.

    From differences, not from products: of near points these would leave nothing but rounding.
    """
    return (rows[:, None] - others).square().sum(dim=2)


def memory_of(features: np.ndarray, labels: np.ndarray, n_classes: int) -> tuple[np.ndarray, float]:
    """Return the class means, float32, and the median distance from a row to the nearest of them.

    Where that is 0, as where every class has one image, a warning says so, and it is the median of those that
    are not, or 1 where there are none.
    """
    rows = features.astype(np.float64)
    means = np.stack([rows[labels == label].mean(axis=0) for label in range(n_classes)]).astype(np.float32)
    nearest = np.full(len(rows), np.inf)
    for mean in means:
        np.minimum(nearest, np.sqrt(np.square(rows - mean).sum(axis=1)), out=nearest)
    rounding = _ROUNDING * (1 + np.abs(rows).max())
    typical, apart = float(np.median(nearest)), nearest[nearest > rounding]
    if typical <= rounding:
        typical = float(np.median(apart)) if len(apart) else 1.0
        warnings.warn(
            f"OLTR: half of the {len(rows)} training images lie on a class mean, so their distance is no "
            f"measure of the reach; {typical:.3g} is",
            stacklevel=2,
        )
    return means, typical


# Distances below this share of the largest feature are those of float32 itself.
_ROUNDING = 1e-6


def places_of(trunk: Any, architecture: str, image_size: tuple[int, int], *, channels: int) -> int:
    """Return the number of places, height times width, of the last map of images of a size.

    Raises
    ------
    InputError
        If the architecture has no map to be attended.
    """
    if not hasattr(trunk, "maps"):
        raise InputError(
            f"architecture {architecture!r}: OLTR attends to the last map, and this backbone does not give "
            "one; take a resnet8 to resnet56, wideresnet or densenet"
        )
    was_training = trunk.training
    with torch.inference_mode():  # in evaluation mode: batch normalization keeps its averages
        shape = trunk.eval().maps(torch.zeros(1, channels, *image_size)).shape
    trunk.train(was_training)
    return int(shape[2] * shape[3])
