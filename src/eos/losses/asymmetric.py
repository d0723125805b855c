"""The asymmetric loss."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from eos.losses.base import Loss, power


class AsymmetricLoss(Loss):
    """ASL (Ridnik et al. 2021) in the single-label form of its authors' code.

    With softmax probabilities p and smoothed targets t, the loss is -sum over classes of t * w * log p, where
    w is (1 - p) ** gamma_positive for the target class and p ** gamma_negative for the others.

    Parameters
    ----------
    class_counts : sequence of int
        Training images per class.
    gamma_positive, gamma_negative : float
        Focusing exponents of the target class and of the other classes.
    label_smoothing : float
        Share of the target that is spread evenly over all classes.
    """

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        gamma_positive: float,
        gamma_negative: float,
        label_smoothing: float,
    ) -> None:
        super().__init__(class_counts)
        self.gamma_positive = gamma_positive
        self.gamma_negative = gamma_negative
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of `logits`, `(n, n_classes)`, for integer `targets`, `(n,)`."""
        log_p = functional.log_softmax(logits.float(), dim=1)
        p = log_p.exp()
        target = functional.one_hot(targets, self.n_classes).bool()
        focus = torch.where(target, power(1 - p, self.gamma_positive), power(p, self.gamma_negative))
        smooth = target * (1 - self.label_smoothing) + self.label_smoothing / self.n_classes
        return -(smooth * focus * log_p).sum(dim=1).mean()
