"""Phase 1: training a network end to end on imbalanced images.

The images live on the device as one tensor, and crops, flips, normalisation and mixing run on whole batches.
Every random draw (weights, order, crops, flips, mixtures) comes from one CPU generator, so it is the same on
every device.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eos.errors import InputError
from eos.losses.base import Loss, build_loss
from eos.metrics.scores import score
from eos.metrics.selection import RULES, BestEpochs
from eos.models.devices import deterministic, pick_device, pick_precision
from eos.models.inference import extract, move, network_input
from eos.models.network import Network, build_network
from eos.models.pretrained import start_from
from eos.storage.files import Arrays
from eos.training.augmentation import augment, normalization_of
from eos.training.checkpoints import FileCheckpoint, pack, part, unpack
from eos.training.config import TrainConfig, learning_rate
from eos.training.mixing import Mixing
from eos.training.policies import Augmentation

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images: uint8 of shape (n, height, width, channels), and their classes, from 0."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class EpochRecord:
    """What happened in one epoch.

    Attributes
    ----------
    epoch : int
        From 1.
    learning_rate : float
    loss : float
        Mean over the training images, as they were met: with ReMix over the mixtures and their soft labels.
    train_BAC : float
        Balanced accuracy of the predictions made while training: on augmented images, by weights that move.
        With ReMix on the mixtures; the true class is then that of the image with the larger share. It is
        thus no number to compare with other trainings: of over-sampled classes and of two images at once.
    seconds : float
        Wall-clock time of the epoch, scoring included.
    test_BAC, test_FM : float or None
        Balanced accuracy and macro-F1 on the test images after the epoch, if it was scored.
    validation_BAC, validation_FM : float or None
        The same on the validation images, if there are any.
    """

    epoch: int
    learning_rate: float
    loss: float
    train_BAC: float
    seconds: float
    test_BAC: float | None = None
    test_FM: float | None = None
    validation_BAC: float | None = None
    validation_FM: float | None = None


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes
    ----------
    weights : dict of str to dict of str to Tensor
        For every selection rule that can be followed (see `eos.metrics.selection`) the weights of the epoch
        it chooses, on the CPU.
    epochs : dict of str to int
        That epoch, from 1.
    history : list of EpochRecord
        One per epoch.
    mean, std : tuple of float
        The normalisation of the images, which the network needs from now on.
    precision : {"fp32", "bf16"}
        What "auto" became.
    n_parameters : int
        Trainable weights.
    settled_BAC : float
        Balanced accuracy of the last epoch's weights on the training images as they are, in evaluation mode:
        against the last `train_BAC` it tells whether batch normalisation has settled.
    """

    weights: dict[str, Weights]
    epochs: dict[str, int]
    history: list[EpochRecord]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    precision: str
    n_parameters: int
    settled_BAC: float


def train(
    train: Images,
    test: Images,
    *,
    validation: Images | None = None,
    n_classes: int,
    architecture: str,
    loss: str,
    loss_parameters: Mapping[str, float] | None = None,
    config: TrainConfig,
    mixing: Mixing | None = None,
    augmentations: Sequence[Augmentation] = (),
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
    pretrained: Mapping[str, Tensor] | None = None,
    device: str = "auto",
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoint: FileCheckpoint | None = None,
    on_resume: Callable[[int], None] | None = None,
) -> Trained:
    """Train a network and keep the weights that each selection rule chooses.

    Parameters
    ----------
    train, test : Images
        Images to learn from and to score, all of one size.
    validation : Images, optional
        Images held out from training; without them the rule `validation` cannot be followed.
    n_classes : int
        Number of classes.
    architecture : str
        A name in `eos.registry.ARCHITECTURES`.
    loss : str
        A name in `eos.registry.LOSSES`; it also decides which classifier the network has.
    loss_parameters : mapping of str to float, optional
        Parameters of the loss.
    config : TrainConfig
        How to train.
    mixing : Mixing, optional
        How to mix batches; the loss must take soft targets. None trains on plain batches.
    augmentations : sequence of Augmentation, default=()
        What else changes the images of a batch, in this order, after crops and flips.
    normalization : pair of sequences of float, optional
        Mean and standard deviation per channel of values in [0, 1]; by default those of the training images.
    pretrained : mapping of str to Tensor, optional
        Weights that the backbone starts from (see `eos.models.pretrained`) in place of drawn ones.
    device : {"auto", "cpu", "cuda"}
        Where to train; "auto" takes a GPU where there is one.
    on_epoch : callable, optional
        Is given the record of each epoch as it ends; after a resumption first those of the epochs before.
    checkpoint : FileCheckpoint, optional
        Is saved to after every epoch. What it holds is taken up: it must come from the same arguments.
    on_resume : callable, optional
        If the checkpoint holds anything, is given the number of epochs already done, once, before `on_epoch`
        is called for them.

    Returns
    -------
    Trained
        On a CPU the same bytes for the same arguments and the same number of threads.

    Raises
    ------
    InputError
        If a name is unknown, a class has no training image, the images are of several sizes, the pretrained
        weights are those of another architecture, there is no such device, or the training diverges.
    """
    scored = {"test": test} if validation is None else {"test": test, "validation": validation}
    counts = _class_counts(train, scored, n_classes)
    training = _Training(
        train,
        scored,
        architecture,
        build_loss(loss, counts, loss_parameters or {}),
        config=config,
        mixing=mixing,
        augmentations=augmentations,
        normalization=normalization,
        pretrained=pretrained,
        device=device,
    )
    history, report = training.history, on_epoch or (lambda record: None)
    if checkpoint is not None and (saved := checkpoint.load()) is not None:
        training.unpack(saved)
        if on_resume is not None:
            on_resume(len(history))
        for record in history:
            report(record)
    while len(history) < config.epochs:
        training.run_epoch()
        if checkpoint is not None:
            checkpoint.save(training.pack())
        report(history[-1])
    return Trained(
        weights=training.weights,
        epochs={rule: training.best.epoch(rule) + 1 for rule in training.weights},
        history=history,
        mean=training.mean,
        std=training.std,
        precision=training.precision,
        n_parameters=sum(weight.numel() for weight in training.network.parameters()),
        settled_BAC=training.score(training.images, train.labels)["BAC"],
    )


class _Training:
    """A training between two epochs: what it works on, and all that changes."""

    def __init__(
        self,
        train: Images,
        scored: Mapping[str, Images],
        architecture: str,
        loss: Loss,
        *,
        config: TrainConfig,
        mixing: Mixing | None,
        augmentations: Sequence[Augmentation],
        normalization: tuple[Sequence[float], Sequence[float]] | None,
        pretrained: Mapping[str, Tensor] | None,
        device: str,
    ) -> None:
        self.config = config
        self.mixing = mixing
        self.augmentations = augmentations
        self.mean, self.std = map(tuple, normalization or normalization_of(train.images))
        self.device = pick_device(device)
        self.precision = pick_precision(config.precision, self.device)
        self.images = torch.as_tensor(train.images, device=self.device)
        self.labels = torch.as_tensor(train.labels, dtype=torch.int64, device=self.device)
        self.counts = self.labels.bincount(minlength=loss.n_classes)
        self.fill = (torch.tensor(self.mean, device=self.device) * 255).round().to(torch.uint8)
        self.scored = {
            name: (torch.as_tensor(one.images, device=self.device), one.labels)
            for name, one in scored.items()
        }
        self.generator = torch.Generator().manual_seed(config.seed)
        self.loss = loss.to(self.device)
        self.network = build_network(
            architecture,
            channels=train.images.shape[3],
            n_classes=loss.n_classes,
            classifier=loss.classifier,
            generator=self.generator,
        )
        if pretrained is not None:
            start_from(self.network.get_submodule("backbone"), pretrained)
        move(self.network, self.device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.history: list[EpochRecord] = []
        self.best = BestEpochs()
        self.weights: dict[str, Weights] = {}  # by selection rule

    def run_epoch(self) -> None:
        """Train for one epoch, score the network if due, and keep its weights for the rules it now suits.

        Raises
        ------
        InputError
            If the loss is no longer a finite number.
        """
        start, config, epoch = time.perf_counter(), self.config, len(self.history) + 1
        rate = learning_rate(config, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.loss.begin_epoch((epoch - 1) / config.epochs)
        with deterministic(self.device):
            loss, train_bac = self._learn()
        if not math.isfinite(loss):
            raise InputError(
                f"training diverged: the loss is {loss} in epoch {epoch} at learning rate {rate:g}; "
                f"lower learning_rate ({config.learning_rate:g}) or lengthen warmup"
            )
        due = epoch % config.score_every == 0 or epoch == config.epochs
        scores = self._scores() if due else {}
        seconds = time.perf_counter() - start
        improved = self._record(EpochRecord(epoch, rate, loss, train_bac, seconds, **scores))
        self.weights |= dict.fromkeys(improved, _snapshot(self.network))

    def pack(self) -> Arrays:
        """Return everything that the training needs to go on from here, as named arrays."""
        arrays = pack(self.network, {"sgd": self.optimizer}, self.generator)
        for rule, weights in self.weights.items():
            arrays |= {f"weights.{rule}.{name}": value.numpy() for name, value in weights.items()}
        # A missing score becomes NaN; no other number can be one.
        return arrays | {"history": np.array([astuple(record) for record in self.history], dtype=np.float64)}

    def unpack(self, arrays: Arrays) -> None:
        """Put a fresh training where the packed one was, bit for bit."""
        unpack(arrays, self.network, {"sgd": self.optimizer}, self.generator)
        for epoch, *numbers in arrays["history"].tolist():
            values: list[Any] = [None if math.isnan(number) else number for number in numbers]
            self._record(EpochRecord(int(epoch), *values))
        kept = {rule: part(arrays, f"weights.{rule}.") for rule in RULES}
        self.weights = {rule: weights for rule, weights in kept.items() if weights}

    def _record(self, record: EpochRecord) -> list[str]:
        """Add an epoch to the history; return the selection rules that choose it, of those so far."""
        self.history.append(record)
        return self.best.update(test_score=record.test_FM, validation_score=record.validation_FM)

    def _learn(self) -> tuple[float, float]:
        """Take one step per batch; return the mean loss, and the balanced accuracy of the predictions."""
        self.network.train()
        all_labels = self.labels.cpu()
        if len(self.history) / self.config.epochs >= self.config.resample_from:
            order = class_balanced_rows(all_labels, self.generator)
        else:
            order = torch.randperm(len(self.labels), generator=self.generator)
        total = torch.zeros((), device=self.device)
        met, predicted = [], []
        # What is collected stays on the device until the end: reading one number would wait for the GPU.
        for batch in _batches(order, self.config.batch_size):
            chosen = batch
            if self.mixing is not None:
                chosen = batch[self.mixing.chosen(all_labels[batch], self.generator)]
            rows = chosen.to(self.device)
            views = augment(
                self.images[rows],
                crop_padding=self.config.crop_padding,
                horizontal_flip=self.config.horizontal_flip,
                generator=self.generator,
            )
            for change in self.augmentations:
                views = change(views, self.fill, self.generator)
            inputs = network_input(views, self.mean, self.std)
            targets = labels = self.labels[rows]
            if self.mixing is not None:
                inputs, targets, labels = self.mixing.mixed(inputs, labels, self.counts, self.generator)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                logits = self.network(inputs)
            loss = self.loss(logits, targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(batch)
            met.append(labels)
            predicted.append(logits.detach().argmax(dim=1))
        truth, predictions = (torch.cat(parts).cpu().numpy() for parts in (met, predicted))
        return total.item() / len(order), score(truth, predictions, self.loss.n_classes)["BAC"]

    def score(self, images: Tensor, labels: np.ndarray) -> dict[str, float]:
        """Return what `eos.metrics.scores.score` gives for images, in evaluation mode."""
        _, logits = extract(
            self.network, images, self.mean, self.std, device=self.device.type, precision=self.precision
        )
        return score(labels, logits.argmax(axis=1), self.loss.n_classes)

    def _scores(self) -> dict[str, float]:
        """Return the balanced accuracy and the macro-F1 of each of the sets of images to score."""
        found = {name: self.score(images, labels) for name, (images, labels) in self.scored.items()}
        return {f"{name}_{kind}": scores[kind] for name, scores in found.items() for kind in ("BAC", "FM")}


def class_balanced_rows(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return as many rows as there are, each of a class drawn uniformly and a member of it drawn uniformly.

    Deferred re-sampling (DRS, Cao et al. 2019) takes them in place of a permutation late in training.
    `labels`, `(n,)`, are on the CPU, and every class from 0 to the largest has a row.
    """
    counts, by_class = labels.bincount(), labels.argsort(stable=True)
    starts = counts.cumsum(0) - counts
    classes = torch.randint(len(counts), (len(labels),), generator=generator)
    places = torch.rand(len(labels), dtype=torch.float64, generator=generator) * counts[classes]
    return by_class[starts[classes] + places.long()]


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Divide the rows into batches; a last one of less than a quarter of the size joins the one before.

    Batch normalisation would take its statistics, once every epoch, from a handful of images: with 4 of 128 a
    training that otherwise reaches 92 % ended at 58 %, and one image shrunk to one pixel has none at all.
    """
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) < batch_size / 4:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _snapshot(network: Network) -> Weights:
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, value in network.state_dict().items()
    }


def _class_counts(train: Images, scored: Mapping[str, Images], n_classes: int) -> list[int]:
    """Return the number of training images per class; raise where one has none, or where sizes differ."""
    shape = train.images.shape[1:]
    for name, one in scored.items():
        if one.images.shape[1:] != shape:
            raise InputError(
                f"{name} images: shape {one.images.shape[1:]}, but the train images have {shape}; "
                "bring them to one size"
            )
    counts: list[int] = np.bincount(train.labels, minlength=n_classes).tolist()
    if 0 in counts:
        raise InputError(
            f"train labels: class {counts.index(0)} has no image; every class needs at least one"
        )
    return counts
