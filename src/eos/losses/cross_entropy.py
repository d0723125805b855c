"""Softmax cross-entropy."""

from torch import Tensor
from torch.nn import functional

from eos.losses.base import Loss


class CrossEntropy(Loss):
    """Softmax cross-entropy."""

    soft_targets = True

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of `logits`, `(n, n_classes)`, for integer `targets`, `(n,)`.

        Targets may be soft as well: shares of the classes, float32 of shape `(n, n_classes)`.
        """
        return functional.cross_entropy(logits.float(), targets)
