"""The focal loss."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from eos.losses.base import Loss, power


class FocalLoss(Loss):
    """Focal loss (Lin et al. 2017) without class weights.

    Cross-entropy times (1 - p) ** gamma, where p is the probability given to the target.

    Parameters
    ----------
    class_counts : sequence of int
        Training images per class.
    gamma : float
        Focusing exponent; 0 is cross-entropy.
    """

    def __init__(self, class_counts: Sequence[int], *, gamma: float) -> None:
        super().__init__(class_counts)
        self.gamma = gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of `logits`, `(n, n_classes)`, for integer `targets`, `(n,)`."""
        cross_entropy = functional.cross_entropy(logits.float(), targets, reduction="none")
        return (power(1 - torch.exp(-cross_entropy), self.gamma) * cross_entropy).mean()
