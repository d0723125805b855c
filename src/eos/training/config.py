"""How a network is trained: the settings, and the learning rate that they make."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes
    ----------
    epochs : int
        Passes over the training images.
    batch_size : int
        Images per step; of pairs (BBN) pairs.
    learning_rate : float
        The rate after the warm-up; see the function `learning_rate` for the schedule.
    momentum, weight_decay : float
        Of SGD; all weights decay.
    warmup : float
        Fraction of the epochs over which the rate grows linearly.
    milestones, factors : tuple of float
        From each of these fractions of the epochs on, the rate is `learning_rate` times the factor.
    crop_padding : int
        Black pixels put around an image before a random crop of its size; 0 does not crop.
    horizontal_flip : bool
        Whether half of the images, at random, are mirrored.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of the network's arithmetic, in training and in scoring; "auto" is bfloat16 where the processor or GPU
        has units for it, "fp16" is for GPUs.
    score_every : int
        Epochs from one scoring of the test and validation images to the next; the last is scored anyway.
        The rules that look at these scores choose among the scored epochs.
    seed : int
        Of all random draws.
    resample_from : float
        Fraction of the epochs from which on batches are drawn class by class, with replacement (deferred
        re-sampling); 1 never does.
    synthetic_from : float
        Fraction of the epochs from which on synthetic images are trained on, too (see
        `eos.training.loop.Images`); 0 always does.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    warmup: float
    milestones: tuple[float, ...]
    factors: tuple[float, ...]
    crop_padding: int
    horizontal_flip: bool
    precision: str
    score_every: int
    seed: int
    resample_from: float = 1.0
    synthetic_from: float = 0.0


def sees_synthetic(config: TrainConfig, epoch: int) -> bool:
    """Return whether synthetic images are trained on in an epoch, counted from 1."""
    return (epoch - 1) / config.epochs >= config.synthetic_from


def learning_rate(config: TrainConfig, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 1.

    Linear warm-up, then constant, then `config.learning_rate` (not the rate before) times the factor of the
    last milestone passed. As params.yaml has it, these are the rates of the released code: 0.02 to 0.1
    in epochs 1 to 5, 0.001 from epoch 161, 0.00001 from epoch 181.
    """
    done = (epoch - 1) / config.epochs
    passed = [
        factor for start, factor in zip(config.milestones, config.factors, strict=True) if done >= start
    ]
    if passed:
        return config.learning_rate * passed[-1]
    warmup_epochs = config.warmup * config.epochs
    if epoch < warmup_epochs:
        return config.learning_rate * epoch / warmup_epochs
    return config.learning_rate
