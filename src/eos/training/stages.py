"""The two stages of OLTR, in one training: a plain network, then the same with attention and memory.

Both are views of one set of weights, so a checkpoint or a captured step needs to know nothing of stages.
"""

import math
from dataclasses import replace
from typing import Any

from eos.losses.base import Loss
from eos.losses.oltr import OLTRLoss
from eos.models.inference import forward
from eos.models.network import Network
from eos.training.config import TrainConfig, learning_rate
from eos.training.epoch import EpochImages
from eos.training.step import Step

# Of the second stage, after each third of it.
_DECAY = 0.1


def first_epochs(loss: Loss, config: TrainConfig) -> int:
    """Return how many epochs come before the second stage; 0 where there are no stages."""
    if not isinstance(loss, OLTRLoss):
        return 0
    return min(math.ceil(loss.first_stage * config.epochs), config.epochs - 1)


def sampling(loss: Loss, config: TrainConfig) -> TrainConfig:
    """Return the configuration with class by class drawn batches from the second stage on."""
    if not isinstance(loss, OLTRLoss):
        return config
    start = first_epochs(loss, config) / config.epochs
    return replace(config, resample_from=min(start, config.resample_from))


class Stages:
    """What each epoch begins with: its learning rates, and the network that it trains.

    A training with another loss than OLTR's has one stage, the recipe's.

    Parameters
    ----------
    step : Step
        Of the whole network, with all weights of both stages.
    """

    def __init__(self, step: Step, images: EpochImages, *, precision: str) -> None:
        self.step = step
        self.images = images
        self.precision = precision
        self.first = first_epochs(step.loss, step.config)
        self.plain = step.network
        if isinstance(step.loss, OLTRLoss):
            backbone: Any = step.network.backbone
            # The hallucinator begins as the first stage's classifier, so it may as well be that.
            self.plain = Network(backbone.trunk, backbone.hallucinator)

    def begin(self, epoch: int) -> float:
        """Prepare the step for an epoch, counted from 1; return its learning rate."""
        config, loss = self.step.config, self.step.loss
        if not isinstance(loss, OLTRLoss):
            rate = learning_rate(config, epoch)
            self.step.set_learning_rate(rate)
        elif epoch <= self.first:
            rate = learning_rate(replace(config, epochs=self.first), epoch)
            self.step.set_learning_rate(rate)
            self.step.active = self.plain
        else:
            done, epochs = epoch - self.first - 1, config.epochs - self.first
            if done == 0:
                self._remember(loss)
            rate = config.learning_rate * _DECAY ** (3 * done // epochs)
            self.step.set_learning_rate(rate, backbone=loss.backbone_rate, memory=loss.memory_rate)
            self.step.active = self.step.network
        return rate

    def _remember(self, loss: OLTRLoss) -> None:
        """Fill the memory with the class means of what the first stage has learned, and begin to train it."""
        features, _ = forward(self.plain, self.images.images, self.images.normalize, precision=self.precision)
        backbone: Any = self.step.network.backbone
        backbone.remember(
            features,
            self.images.labels,
            reach=loss.reach,
            largest_reach=loss.largest_reach,
            length=loss.length,
        )
        self.step.forget_momentum()
