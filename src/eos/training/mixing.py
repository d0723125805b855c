"""Mixing batches while training: ReMix.

Its batches are balanced by over-sampling, then mixed pairwise, soft labels included.

Bellinger, Corizzo and Japkowicz, "Calibrated Resampling for Imbalanced and Long-Tails in Deep Learning",
2021. It is not the "Remix: Rebalanced Mixup" of Chou et al. (2020), which mixes labels by class sizes.

Every random draw comes from a torch generator on the CPU: it is the same on every device, and its state is
all that a training needs to go on after a stop.
"""

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eos.errors import InputError


class Mixing(Protocol):
    """A way to mix batches; the loss then needs soft targets."""

    def chosen(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return which rows of a batch, by their labels on the CPU, make the one that is trained on."""

    def mixed(
        self, images: Tensor, labels: Tensor, n_classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mixed images, soft targets (n, n_classes), and the class with the larger share in each."""


class Remix:
    """ReMix: every batch is balanced, then mixed up with shares from Beta(alpha, alpha).

    Raises
    ------
    InputError
        If `alpha` is no number above 0.
    """

    def __init__(self, *, alpha: float) -> None:
        if not 0 < alpha < math.inf:
            raise InputError(f"remix: alpha {alpha:g}; give a number above 0, 0.2 say")
        self.alpha = alpha

    def chosen(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the rows of a balanced batch of the same size."""
        return balanced_batch(labels, len(labels), generator)

    def mixed(
        self, images: Tensor, labels: Tensor, n_classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mix every image with another one of the batch; see `mix_batch`."""
        return mix_batch(images, labels, n_classes, self.alpha, generator)


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


def draw_lambda(alpha: float, generator: torch.Generator) -> float:
    """Return a share in [0, 1] from Beta(alpha, alpha), alpha > 0.

    torch's own beta distribution knows the global generator only: one number drawn from `generator` seeds
    NumPy's instead.
    """
    seed = torch.randint(2**63 - 1, (), generator=generator).item()
    return float(np.random.default_rng(int(seed)).beta(alpha, alpha))


def mixed(values: Tensor, partners: Tensor, share: float) -> Tensor:
    """Return `share` of every row and the rest of its partner's: of images, or of labels as one-hot rows.

    Parameters
    ----------
    values : Tensor of float, shape (n, ...)
    partners : Tensor of int64, shape (n,)
        The row that each one is mixed with, on the device of `values`.
    share : float
        In [0, 1].
    """
    return share * values + (1 - share) * values[partners]


def mix_batch(
    images: Tensor, labels: Tensor, n_classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Mix every image of a batch with another one of it, all with the same share.

    Parameters
    ----------
    images : Tensor of float, shape (n, ...)
        Augmented and normalised.
    labels : Tensor of int64, shape (n,)
        Their classes, on the same device.
    n_classes : int
        Number of classes.
    alpha : float
        Of the distribution of the share, Beta(alpha, alpha).
    generator : torch.Generator
        On the CPU, whatever the device of the images.

    Returns
    -------
    images : Tensor
        As those given.
    targets : Tensor of float32, shape (n, n_classes)
        Soft labels: the shares of the one or two classes in each mixture.
    main_labels : Tensor of int64, shape (n,)
        The class of the image with the larger share.
    """
    share = draw_lambda(alpha, generator)
    partners = torch.randperm(len(labels), generator=generator).to(labels.device)
    targets = mixed(functional.one_hot(labels, n_classes).float(), partners, share)
    main_labels = labels if share >= 0.5 else labels[partners]
    return mixed(images, partners, share), targets, main_labels
