"""Mixing batches while training: mixup, rebalanced mixup, ReMix.

Two methods have nearly one name. ReMix is by Bellinger, Corizzo and Japkowicz, "Calibrated Resampling for
Imbalanced and Long-Tails in Deep Learning", 2021. "Remix: Rebalanced Mixup" is by Chou et al., 2020, and is
called rebalanced mixup here.

Every random draw comes from a torch generator on the CPU: it is the same on every device, and its state is
all that a training needs to go on after a stop.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eos.models.network import Network


@dataclass(frozen=True)
class Mixture:
    """With which image each one is mixed, and by which shares.

    Attributes
    ----------
    partners : Tensor of int64, shape (n,)
        Rows of the same images.
    own, other : Tensor of float32, shape (n,)
        The image's share in its mixture, and the partner's; together 1.
    """

    partners: Tensor
    own: Tensor
    other: Tensor


class Mixing(Protocol):
    """A way to mix batches; the loss then needs soft targets.

    Attributes
    ----------
    branches : int
        Of the network that it trains; as many images make one input of it, one for each.
    """

    branches: int

    def pairs(self, rows: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the rows of an epoch's inputs, `(n, branches)`, of which `rows`, `(n,)`, are the first ones.

        `labels` are those of all training images. All are on the CPU.
        """

    def chosen(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return which rows of a batch, by their labels on the CPU, make the one that is trained on."""

    def prepare(self, network: Network, progress: float) -> None:
        """Prepare the network for an epoch before which the fraction `progress` of the training was done."""

    def draw(self, n: int, progress: float, generator: torch.Generator) -> Mixture:
        """Draw the mixture of a batch of `n` inputs in such an epoch, on the CPU."""

    def mixed(
        self, images: Tensor, labels: Tensor, counts: Tensor, mixture: Mixture
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mixed images, soft targets, and the class with the larger share in each.

        All are on one device. The images are float `(n * branches, ...)`, augmented and normalised; the
        targets float32 `(n, n_classes)`. The counts are those of the training images of each class,
        `(n_classes,)`.
        """


class Mixup:
    """mixup (Zhang et al. 2018): each image of a batch mixed with another by a share from Beta(alpha, alpha).

    One share is drawn for the whole batch. alpha is above 0.
    """

    branches = 1

    def __init__(self, *, alpha: float) -> None:
        self.alpha = alpha

    def pairs(self, rows: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the rows, each by itself."""
        return rows[:, None]

    def chosen(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return all rows, as they are."""
        return torch.arange(len(labels))

    def prepare(self, network: Network, progress: float) -> None:
        """Leave the network as it is."""

    def share(self, generator: torch.Generator) -> float:
        """Return a share in [0, 1]."""
        # torch's own beta distribution knows the global generator only.
        seed = torch.randint(2**63 - 1, (), generator=generator).item()
        return float(np.random.default_rng(int(seed)).beta(self.alpha, self.alpha))

    def draw(self, n: int, progress: float, generator: torch.Generator) -> Mixture:
        """Draw a share, and a partner for each of `n` images."""
        share = self.share(generator)
        partners = torch.randperm(n, generator=generator)
        return Mixture(partners, torch.full((n,), share), torch.full((n,), 1 - share))

    def mixed(
        self, images: Tensor, labels: Tensor, counts: Tensor, mixture: Mixture
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mix every image with its partner."""
        partners, own, other = mixture.partners, mixture.own, mixture.other
        one_hot = functional.one_hot(labels, len(counts)).float()
        shares = self.label_shares(own, other, counts[labels], counts[labels[partners]])
        targets = shares[0][:, None] * one_hot + shares[1][:, None] * one_hot[partners]
        wide = (len(images), *[1] * (images.ndim - 1))
        mixtures = own.view(wide) * images + other.view(wide) * images[partners]
        return mixtures, targets, torch.where(own >= 0.5, labels, labels[partners])

    def label_shares(
        self, own: Tensor, other: Tensor, counts: Tensor, partner_counts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the shares that an image's label and its partner's have in the target, `(n,)` each."""
        return own, other


class RebalancedMixup(Mixup):
    """Remix, rebalanced mixup (Chou et al. 2020): mixup whose label goes to the much smaller class.

    A mixture of images of two classes, one of them at least `kappa` times as large, gets the smaller class's
    label alone, unless the larger class's share of the image is `tau` or more.

    Parameters
    ----------
    alpha : float
        Of Beta(alpha, alpha), above 0.
    kappa : float
        Ratio of class sizes, at least 1; 3 in the paper.
    tau : float
        Share, in [0, 1]; 0.5 in the paper.
    """

    def __init__(self, *, alpha: float, kappa: float, tau: float) -> None:
        super().__init__(alpha=alpha)
        self.kappa = kappa
        self.tau = tau

    def label_shares(
        self, own: Tensor, other: Tensor, counts: Tensor, partner_counts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give all to the partner where the image's class is the much larger one, and the other way round."""
        ratio = counts / partner_counts
        to_partner = (ratio >= self.kappa) & (own < self.tau)
        to_image = (ratio <= 1 / self.kappa) & (other < self.tau)
        return (
            own.masked_fill(to_partner, 0.0).masked_fill(to_image, 1.0),
            other.masked_fill(to_partner, 1.0).masked_fill(to_image, 0.0),
        )


class Remix(Mixup):
    """ReMix: every batch is balanced, then mixed up with a share from Beta(alpha, alpha), alpha above 0."""

    def chosen(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the rows of a balanced batch of the same size."""
        return balanced_batch(labels, len(labels), generator)


def balanced_batch(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return the rows of a balanced batch, drawn from those of a batch.

    Every class of the batch is filled up to its largest one by members drawn with replacement. From all of
    these rows `size` are drawn without replacement, so that the classes have equal shares on average, not
    exactly.

    Parameters
    ----------
    labels : Tensor of int, shape (n,)
        Classes of the batch, on the CPU.
    size : int
        Rows to return, n say; at most the number of classes times the size of the largest one.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor of int64, shape (size,)
        Positions in `labels`, in random order.
    """
    _, classes, counts = labels.unique(return_inverse=True, return_counts=True)
    by_class = classes.argsort(stable=True)
    starts = counts.cumsum(0) - counts
    filled = torch.arange(len(counts)).repeat_interleave(counts.max() - counts)  # the class of every new row
    places = torch.rand(len(filled), dtype=torch.float64, generator=generator) * counts[filled]
    rows = torch.cat((by_class, by_class[starts[filled] + places.long()]))
    return rows[torch.randperm(len(rows), generator=generator)[:size]]
