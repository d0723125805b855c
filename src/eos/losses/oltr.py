"""OLTR's loss, and the recipe of its two stages."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from eos.losses.base import Loss


class OLTRLoss(Loss):
    """Cross-entropy, and a loss that keeps images near their class's row of a memory (Liu et al. 2019).

    A training with it has two stages (`eos.training.stages`). The first is a plain one, of the backbone with
    a linear classifier. In the second the network is an `eos.models.oltr.MetaEmbedding` with unit rows, the
    batches are drawn class by class, and the loss is::

        CE + memory_weight * (attraction + repulsion_weight * max(0, margin - repulsion))

    With d the squared distances of n images to the rows of C classes, the attraction is half the mean of
    those to the own class, the repulsion the sum of those to other classes over n C.

    Parameters
    ----------
    class_counts : sequence of int
        Training images per class.
    first_stage : float
        Share of the epochs that the first stage takes; at least one epoch is left to the second.
    length : float
        What the length of an embedding approaches: 16 in the paper's classifier.
    reach : float
        Of an image as far from the nearest row as half of the training images are when the second stage
        begins. The released code divides 10 by the distance itself, which is for its 512 features: as if
        this were 10 over the median distance.
    largest_reach : float
        Where reaches are cut off.
    memory_weight, repulsion_weight, margin : float
        Of the loss.
    backbone_rate, memory_rate : float
        Learning rates of the second stage of the backbone with its attention, and of the memory, relative to
        that of all else.
    """

    classifier = "unit"

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        first_stage: float,
        length: float,
        reach: float,
        largest_reach: float,
        memory_weight: float,
        repulsion_weight: float,
        margin: float,
        backbone_rate: float,
        memory_rate: float,
    ) -> None:
        super().__init__(class_counts)
        self.first_stage = first_stage
        self.length = length
        self.reach = reach
        self.largest_reach = largest_reach
        self.memory_weight = memory_weight
        self.repulsion_weight = repulsion_weight
        self.margin = margin
        self.backbone_rate = backbone_rate
        self.memory_rate = memory_rate

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss for integer `targets`, `(n,)`.

        Behind the logits, `(n, n_classes)`, may be as many columns of squared distances to the memory;
        without them it is cross-entropy.
        """
        outputs = logits.float()
        logits, distances = outputs[:, : self.n_classes], outputs[:, self.n_classes :]
        loss = functional.cross_entropy(logits, targets)
        if not distances.shape[1]:
            return loss
        own = functional.one_hot(targets, self.n_classes)
        attraction = (own * distances).sum(dim=1).mean() / 2
        repulsion = ((1 - own) * distances).mean()
        kept_apart = (self.margin - repulsion).clamp(min=0)
        return loss + self.memory_weight * (attraction + self.repulsion_weight * kept_apart)
