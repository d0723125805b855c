"""Mixing batches while training: ReMix.

Bellinger, Corizzo and Japkowicz, "Calibrated Resampling for Imbalanced and Long-Tails in Deep Learning",
2021. It is not the "Remix: Rebalanced Mixup" of Chou et al. (2020), which mixes labels by class sizes.

Every random draw comes from a torch generator on the CPU: it is the same on every device, and its state is
all that a training needs to go on after a stop.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class Mixing(Protocol):
    """A way to mix batches; the loss then needs soft targets."""

    def chosen(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return which rows of a batch, by their labels on the CPU, make the one that is trained on."""

    def mixed(
        self, images: Tensor, labels: Tensor, n_classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mixed images, soft targets, and the class with the larger share in each.

        The images are float `(n, ...)`, augmented and normalised; the targets float32 `(n, n_classes)`.
        """


class Remix:
    """ReMix: every batch is balanced, then mixed up with a share from Beta(alpha, alpha), alpha above 0."""

    def __init__(self, *, alpha: float) -> None:
        self.alpha = alpha

    def chosen(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the rows of a balanced batch of the same size."""
        return balanced_batch(labels, len(labels), generator)

    def share(self, generator: torch.Generator) -> float:
        """Return a share in [0, 1]."""
        # torch's own beta distribution knows the global generator only.
        seed = torch.randint(2**63 - 1, (), generator=generator).item()
        return float(np.random.default_rng(int(seed)).beta(self.alpha, self.alpha))

    def mixed(
        self, images: Tensor, labels: Tensor, n_classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mix every image of a batch with another one of it, all with the same share."""
        share = self.share(generator)
        partners = torch.randperm(len(labels), generator=generator).to(labels.device)
        one_hot = functional.one_hot(labels, n_classes).float()
        mixtures, targets = (share * own + (1 - share) * own[partners] for own in (images, one_hot))
        return mixtures, targets, labels if share >= 0.5 else labels[partners]


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
