"""Networks of two branches: one trunk, and the last residual block twice (BBN, Zhou et al. 2020)."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from eos.models.convolution import folded


class TwoBranches(nn.Module):
    """A residual network whose last block is there twice, each of weights of its own.

    The *conventional* branch, under the name that the block had, learns from images as they come. The
    *rebalancing* branch, `rebalancing`, learns from those of a sampler that prefers the small classes. All
    before them, the trunk, is shared. An embedding is what the conventional branch makes of an image, then
    what the other makes of it.

    While it is trained it takes pairs of images, one for each branch, and weighs the two halves of the
    embedding by `2 alpha` and `2 (1 - alpha)`: at 0.5 they are what they are in evaluation.

    Parameters
    ----------
    backbone : nn.Module
        A residual network: children that an image passes in this order, `layer1` and so on the last ones but
        for a pooling and a classifier (`avgpool`, `fc`). Its children become those of this module.

    Attributes
    ----------
    n_features : int
        Length of one embedding, twice the backbone's.
    twin : str
        Where the names of the conventional branch's weights begin: `"layer3.4."`, say.
    alpha : Tensor, float32, scalar
        See above. A captured step reads it from the device, so it is filled in place. It is no weight, and
        not in the state dict.
    """

    alpha: Tensor

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        given: Any = backbone
        self.n_features = 2 * given.n_features
        children = {name: child for name, child in backbone.named_children() if name not in ("avgpool", "fc")}
        for name, child in children.items():
            self.add_module(name, child)
        *self._before, self._last = children
        last: Any = children[self._last]
        self.twin = f"{self._last}.{len(last) - 1}."
        self.rebalancing = deepcopy(last[-1])
        self.register_buffer("alpha", torch.tensor(0.5), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature embeddings, `(n, n_features)`.

        Parameters
        ----------
        images : Tensor, shape (n, channels, height, width) or (n, 2, channels, height, width)
            Images for both branches alike, or a pair for each embedding: one for the conventional branch, one
            for the rebalancing branch. Batch normalisation takes the statistics of each half by itself, and
            the trunk's running averages move twice.
        """
        conventional = self.get_submodule(self.twin[:-1])
        if images.ndim == 4:
            shared = self._trunk(images)
            return torch.cat((_mean(conventional(shared)), _mean(self.rebalancing(shared))), dim=1)
        one, other = (half.contiguous(memory_format=torch.channels_last) for half in images.unbind(1))
        features = _mean(conventional(self._trunk(one))), _mean(self.rebalancing(self._trunk(other)))
        return torch.cat((2 * self.alpha * features[0], 2 * (1 - self.alpha) * features[1]), dim=1)

    def folded(self) -> "TwoBranches":
        """Return what `eos.models.convolution.folded` does: a copy for evaluation that takes less time."""
        return folded(self)

    def _trunk(self, x: Tensor) -> Tensor:
        for name in self._before:
            x = self.get_submodule(name)(x)
        last: Any = self.get_submodule(self._last)
        for block in list(last)[:-1]:
            x = block(x)
        return x


def _mean(x: Tensor) -> Tensor:
    """Return the mean over the image, in float32 also under autocast."""
    return x.mean((2, 3), dtype=torch.float32)
