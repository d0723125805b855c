"""Losses for imbalanced classification, one class each, all used alike."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.registry import LOSSES, find


class Loss(nn.Module):
    """What every loss has: `loss(logits, targets)` is the mean over a batch, a float32 scalar.

    Parameters
    ----------
    class_counts : sequence of int
        Training images per class, each at least 1.
    """

    #: The classifier whose logits the loss expects; see `eos.models.network.build_network`.
    classifier: ClassVar[Literal["linear", "cosine"]] = "linear"

    def __init__(self, class_counts: Sequence[int]) -> None:
        super().__init__()
        self.n_classes = len(class_counts)

    def begin_epoch(self, progress: float) -> None:
        """Prepare for an epoch before which the fraction `progress` in [0, 1) of the training was done."""


class CrossEntropy(Loss):
    """Softmax cross-entropy."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of `logits`, `(n, n_classes)`, for integer `targets`, `(n,)`.

        Targets may be soft as well: shares of the classes, float32 of shape `(n, n_classes)`.
        """
        return functional.cross_entropy(logits.float(), targets)


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
        gamma_positive: float = 0.0,
        gamma_negative: float = 4.0,
        label_smoothing: float = 0.1,
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
        focus = torch.where(target, _power(1 - p, self.gamma_positive), _power(p, self.gamma_negative))
        smooth = target * (1 - self.label_smoothing) + self.label_smoothing / self.n_classes
        return -(smooth * focus * log_p).sum(dim=1).mean()


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

    def __init__(self, class_counts: Sequence[int], *, gamma: float = 2.0) -> None:
        super().__init__(class_counts)
        self.gamma = gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of `logits`, `(n, n_classes)`, for integer `targets`, `(n,)`."""
        cross_entropy = functional.cross_entropy(logits.float(), targets, reduction="none")
        return (_power(1 - torch.exp(-cross_entropy), self.gamma) * cross_entropy).mean()


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
        max_margin: float = 0.5,
        scale: float = 30.0,
        reweight_from: float = 0.8,
        beta: float = 0.9999,
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


def find_loss(name: str) -> type[Loss]:
    """Return the loss of that name in `eos.registry`.

    Raises
    ------
    InputError
        If there is none.
    """
    loss: type[Loss] = find(LOSSES, name, what="loss", place="find_loss").load()
    return loss


def build_loss(name: str, class_counts: Sequence[int], parameters: Mapping[str, float]) -> Loss:
    """Return the loss `name` for training images distributed as `class_counts`.

    Raises
    ------
    InputError
        If there is no such loss.
    """
    return find_loss(name)(class_counts, **parameters)


def _power(base: Tensor, exponent: float) -> Tensor:
    """Return `base ** exponent`, `base` in [0, 1], with a finite slope at 0 for exponents below 1 as well."""
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** exponent
