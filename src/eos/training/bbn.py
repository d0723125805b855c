"""BBN, the bilateral-branch network (Zhou et al. 2020): pairs of images for a network of two branches."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from eos.models.network import Network
from eos.training.epoch import members
from eos.training.mixing import Mixture


class BBN:
    """Pairs of an image as it comes and of one of a class drawn by one over its size, mixed in the features.

    The network has two branches, one for each image of a pair (`eos.models.two_branches`). The shares of the
    conventional branch's features and of its image's label are both alpha, those of the other 1 - alpha, so
    the loss of the soft label is `alpha CE(z, y_conventional) + (1 - alpha) CE(z, y_rebalancing)`. alpha
    falls from 1 at the first epoch by the square of the training done: first the features of all images, then
    the small classes. A batch has the usual number of pairs, twice as many images.
    """

    branches = 2

    def pairs(self, rows: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return each row beside one that the reversed sampler has drawn."""
        return torch.stack((rows, reversed_rows(labels, len(rows), generator)), dim=1)

    def chosen(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return all rows, as they are."""
        return torch.arange(len(labels))

    def prepare(self, network: Network, progress: float) -> None:
        """Let the network weigh its branches as this epoch does."""
        backbone: Any = network.backbone
        backbone.alpha.fill_(alpha(progress))

    def draw(self, n: int, progress: float, generator: torch.Generator) -> Mixture:
        """Return the shares of the epoch; nothing is drawn."""
        share = alpha(progress)
        return Mixture(torch.arange(n), torch.full((n,), share), torch.full((n,), 1 - share))

    def mixed(
        self, images: Tensor, labels: Tensor, counts: Tensor, mixture: Mixture
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the pairs, `(n, 2, ...)`, and of each its soft label and the class with the larger share."""
        own, other = mixture.own, mixture.other
        first, second = labels.unflatten(0, (-1, 2)).unbind(1)
        one, two = (functional.one_hot(half, len(counts)).float() for half in (first, second))
        targets = own[:, None] * one + other[:, None] * two
        return images.unflatten(0, (-1, 2)), targets, torch.where(own >= 0.5, first, second)


def alpha(progress: float) -> float:
    """Return the share of the conventional branch in an epoch before which `progress`, in [0, 1), was done.

    That is the `1 - ((T - 1) / T_max)^2` of the released code, T counted from 1.
    """
    return 1 - progress**2


def reversed_rows(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return `n` rows, each of a class drawn by one over its number of rows and a member drawn uniformly.

    `labels`, `(n_rows,)`, are on the CPU, and every class from 0 to the largest has a row. Rows come with
    replacement: with 100 of one class and 1 of another the one is drawn a hundred times as often as all of
    the other together.
    """
    bounds = (1 / labels.bincount().double()).cumsum(0)
    drawn = torch.rand(n, dtype=torch.float64, generator=generator) * bounds[-1]
    return members(torch.searchsorted(bounds, drawn, right=True), labels, generator)
