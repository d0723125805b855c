"""What every loss has, and how one is found by its name."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from eos.registry import LOSSES, find


class Loss(nn.Module):
    """What every loss has: `loss(logits, targets)` is the mean over a batch, a float32 scalar.

    Parameters
    ----------
    class_counts : sequence of int
        Training images per class, each at least 1.
    """

    #: The classifier whose logits the loss expects; see `eos.models.network.build_network`.
    classifier: ClassVar[Literal["linear", "cosine", "unit"]] = "linear"
    #: Whether targets may be shares of the classes, float32 of shape `(n, n_classes)`.
    soft_targets: ClassVar[bool] = False

    def __init__(self, class_counts: Sequence[int]) -> None:
        super().__init__()
        self.n_classes = len(class_counts)

    def begin_epoch(self, progress: float) -> None:
        """Prepare for an epoch before which the fraction `progress` in [0, 1) of the training was done."""


def find_loss(name: str) -> type[Loss]:
    """Return the loss of that name in `eos.registry`.

    Raises
    ------
    InputError
        If there is none.
    """
    return find(LOSSES, name, what="loss").load()


def build_loss(name: str, class_counts: Sequence[int], parameters: Mapping[str, float]) -> Loss:
    """Return the loss `name`, with its parameters, for training images distributed as `class_counts`.

    Raises
    ------
    InputError
        If there is no such loss.
    """
    return find_loss(name)(class_counts, **parameters)


def power(base: Tensor, exponent: float) -> Tensor:
    """Return `base ** exponent`, `base` in [0, 1], with a finite slope at 0 for exponents below 1 as well."""
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** exponent
