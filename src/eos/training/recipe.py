"""A recipe that fits the data: length, batches and rate by the number of images, and how a training ended.

The paper's recipe is for thousands of images. On 404 it takes four steps an epoch at its full rate, and ends
at chance.
"""

from dataclasses import dataclass
from typing import Literal

# Steps that a training takes at least. On 404 noisy pictures of three shapes, imbalanced 12:1, a ResNet-32
# ended at .77 and .94 with 1000 of them (two seeds) and at .97 to .98 with 2000 (three).
LEAST_STEPS = 2000
LEAST_EPOCHS = 30
# A batch is the largest power of two that leaves an epoch this many steps, within the two bounds: batch
# normalisation needs a batch, and what is larger than the paper's is no faster.
STEPS_PER_EPOCH = 25
SMALLEST_BATCH, LARGEST_BATCH = 16, 128
# Linear scaling (Goyal et al. 2017, "Accurate, Large Minibatch SGD"): 0.1 for 256 images a step. At two to
# eight times that rate, some trainings on such pictures never left chance.
RATE_PER_IMAGE = 0.1 / 256

Auto = Literal["auto"]


@dataclass(frozen=True)
class Steps:
    """How long a training is, and how large its steps.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        After the warm-up.
    """

    epochs: int
    batch_size: int
    learning_rate: float


def fitted(rows: int, *, epochs: int | Auto, batch_size: int | Auto, learning_rate: float | Auto) -> Steps:
    """Return the recipe for a number of training images; what is given as a number stays.

    A learning rate that is "auto" goes with the batch size, and epochs that are "auto" with the steps of one
    epoch, whether that size is given or not. So 404 images get 77 epochs of 26 steps of 16 images, at a rate
    of 0.00625.
    """
    size = _batch_size(rows) if isinstance(batch_size, str) else batch_size
    if isinstance(epochs, str):
        epochs = max(LEAST_EPOCHS, -(-LEAST_STEPS // steps_per_epoch(rows, size)))
    rate = RATE_PER_IMAGE * size if isinstance(learning_rate, str) else learning_rate
    return Steps(int(epochs), size, rate)


def _batch_size(rows: int) -> int:
    wanted = max(1, rows // STEPS_PER_EPOCH)
    return min(max(1 << (wanted.bit_length() - 1), SMALLEST_BATCH), LARGEST_BATCH)


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Return the number of batches; a last one of less than a quarter of the size joins the one before."""
    full, rest = divmod(rows, batch_size)
    return max(1, full + (rest >= batch_size / 4))


def warnings(
    *, n_classes: int, steps: int, test_BAC: float, train_BAC: float, settled_BAC: float
) -> list[str]:
    """Return what a finished training should be warned of, each with its remedy; mostly nothing.

    Parameters
    ----------
    n_classes
        Number of classes.
    steps
        That the training took in all.
    test_BAC
        Balanced accuracy on the test images.
    train_BAC, settled_BAC
        The same on the training images: as met in the last epoch, batches being normalised by their own
        statistics, and afterwards, by the running averages that a network uses from then on.
    """
    chance = 1 / n_classes
    told = []
    if test_BAC < chance + min(chance / 2, (1 - chance) / 10):
        told.append(
            f"the training ended near chance: balanced accuracy {test_BAC:.3f} on the test images, where "
            f"guessing gives {chance:.3f}"
        )
    if train_BAC - settled_BAC > 0.1:
        told.append(
            f"batch normalisation has not settled: balanced accuracy on the training images {train_BAC:.3f} "
            f"while training, {settled_BAC:.3f} by the running averages that count afterwards"
        )
    remedy = (
        f"steps in all: {steps}; under the data set's training set epochs, batch_size and learning_rate to "
        "auto, or take more epochs, a smaller batch_size or a lower learning_rate, or start from pretrained "
        "weights"
    )
    return [f"{one}; {remedy}" for one in told]
