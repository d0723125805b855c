"""Label-distribution-aware margins."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from eos.losses.base import Loss


class LDAMLoss(Loss):
    """Label-distribution-aware margins with deferred re-weighting, LDAM-DRW (Cao et al. 2019).

    The logits are cosines. A margin proportional to n ** (-1/4), n the class's training images, is taken off
    the target's cosine; then all are multiplied by `scale` and go through cross-entropy. Late in training
    that is weighted by the inverse effective number of images, (1 - beta) / (1 - beta ** n) (Cui et al.
    2019), scaled to mean 1 over the classes; as in the authors' code a batch's loss is divided by the sum of
    its weights.

    Parameters
    ----------
    class_counts : sequence of int
        Training images per class.
    max_margin : float
        Margin of the smallest class.
    scale : float
        Factor on the cosines, the inverse temperature of the softmax.
    reweight_from : float
        Fraction of the training after which classes are weighted; 1 never weights them.
    beta : float
        Of the effective number, in [0, 1).
    """

    classifier = "cosine"
    margins: Tensor
    balanced_weights: Tensor

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        max_margin: float,
        scale: float,
        reweight_from: float,
        beta: float,
    ) -> None:
        super().__init__(class_counts)
        counts = torch.as_tensor(class_counts, dtype=torch.float64)
        margins = max_margin * (counts.min() / counts) ** 0.25
        weights = (1 - beta) / (1 - beta**counts)
        self.register_buffer("margins", margins.float())
        self.register_buffer("balanced_weights", (weights / weights.mean()).float())
        self.scale = scale
        self.reweight_from = reweight_from
        self.reweighting = False

    def begin_epoch(self, progress: float) -> None:
        """Turn re-weighting on from the first epoch before which `reweight_from` of the training was done."""
        self.reweighting = progress >= self.reweight_from

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of cosines, `(n, n_classes)`, for integer `targets`, `(n,)`."""
        cosines = logits.float() - functional.one_hot(targets, self.n_classes) * self.margins
        weight = self.balanced_weights if self.reweighting else None
        return functional.cross_entropy(self.scale * cosines, targets, weight=weight)
