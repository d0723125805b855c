"""Cross-entropy with logits that are adjusted by the class sizes: logit-adjusted and vector-scaling loss."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from eos.losses.base import Loss


class VectorScalingLoss(Loss):
    """Vector-scaling loss (Kini et al. 2021): cross-entropy of ``logits * factor + tau * log(prior)``.

    With n training images of a class, its factor is ``(n / n_max) ** gamma``, its prior n / sum(n). The
    network is used as it is: nothing is added to or multiplied with its logits when it predicts.

    Parameters
    ----------
    class_counts : sequence of int
        Training images per class.
    gamma : float
        Exponent of the factors; 0 leaves them out.
    tau : float
        Weight of the log prior; 0 leaves it out.
    """

    soft_targets = True
    factors: Tensor
    offsets: Tensor

    def __init__(self, class_counts: Sequence[int], *, gamma: float, tau: float) -> None:
        super().__init__(class_counts)
        counts = torch.tensor(class_counts, dtype=torch.float64)
        self.register_buffer("factors", ((counts / counts.max()) ** gamma).float())
        self.register_buffer("offsets", (tau * (counts / counts.sum()).log()).float())

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of `logits`, `(n, n_classes)`, for integer `targets`, `(n,)`.

        Targets may be soft as well: shares of the classes, float32 of shape `(n, n_classes)`.
        """
        return functional.cross_entropy(logits.float() * self.factors + self.offsets, targets)


class LogitAdjustedLoss(VectorScalingLoss):
    """Logit-adjusted loss (Menon et al. 2021): cross-entropy of ``logits + tau * log(prior)``.

    With tau = 1 it is the balanced softmax (Ren et al. 2020).

    Parameters
    ----------
    class_counts : sequence of int
        Training images per class.
    tau : float
        Weight of the log prior.
    """

    def __init__(self, class_counts: Sequence[int], *, tau: float) -> None:
        super().__init__(class_counts, gamma=0.0, tau=tau)
