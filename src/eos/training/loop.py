"""Phase 1: training a network end to end on imbalanced images.

The images live on the device as one tensor. Every random draw (weights, order, crops, flips, mixtures) comes
from one CPU generator, so it is the same on every device (`eos.training.epoch`). A step is sent to a GPU as
one CUDA graph (`eos.training.step`), and several trainings can share it.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eos.errors import InputError
from eos.losses.base import build_loss
from eos.losses.oltr import OLTRLoss
from eos.metrics.scores import score
from eos.metrics.selection import RULES, BestEpochs
from eos.models.devices import deterministic, kept, pick_device, pick_precision
from eos.models.inference import forward, move
from eos.models.network import build_network
from eos.models.pretrained import start_from
from eos.storage.files import Arrays
from eos.training.augmentation import normalization_of
from eos.training.checkpoints import FileCheckpoint, part
from eos.training.config import TrainConfig
from eos.training.epoch import EpochImages
from eos.training.mixing import Mixing
from eos.training.policies import Augmentation
from eos.training.stages import Stages, sampling
from eos.training.step import CapturedStep, Step

# Of the images of an epoch so many values are made at once on a GPU: 256 MB of float32.
_VALUES_MADE = 2**26

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, height, width, channels)
    labels : ndarray of int, shape (n,)
        Their classes, from 0.
    n_synthetic : int
        How many of them, the last ones, are synthetic. Only a training that begins with the real ones alone
        (`TrainConfig.synthetic_from`) looks at it; every class has a real one.
    """

    images: np.ndarray
    labels: np.ndarray
    n_synthetic: int = 0


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
        thus no number to compare with other trainings: of over-sampled classes and of two images at once. So
        with BBN, whose larger share is that of the image as it comes, in the last three tenths of the epochs
        that of the image which prefers the small classes.
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
    precision : {"fp32", "bf16", "fp16"}
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
    captured: bool = True,
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
    captured : bool, default=True
        Whether a GPU is sent whole steps, as CUDA graphs; see `eos.training.step`.
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
        On a CPU the same bytes for the same arguments and the same number of threads, also beside others.

    Raises
    ------
    InputError
        If a name is unknown, a class has no training image, the images are of several sizes, the pretrained
        weights are those of another architecture, the mixing wants two branches of one that cannot have them,
        there is no such device, or the training diverges.
    """
    training = Training(
        train,
        test,
        validation=validation,
        n_classes=n_classes,
        architecture=architecture,
        loss=loss,
        loss_parameters=loss_parameters,
        config=config,
        mixing=mixing,
        augmentations=augmentations,
        normalization=normalization,
        pretrained=pretrained,
        device=device,
        captured=captured,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
        on_resume=on_resume,
    )
    (result,) = train_together([training])
    if isinstance(result, InputError):
        raise result
    return result


def train_together(trainings: Sequence["Training"]) -> list[Trained | InputError]:
    """Train several networks side by side, each as if it were alone; return what `train` returns of each.

    They take turns, a step each. On a GPU, where each has a stream of its own, their kernels run at the same
    time, which a small network alone does not fill. All are on one device. A training that fails does not
    stop the others: its place has the error that `train` would raise.
    """
    results: dict[int, Trained | InputError] = {}
    running = {number: training.run(beside=len(trainings)) for number, training in enumerate(trainings)}
    while running:
        for number, steps in list(running.items()):
            training = trainings[number]
            try:
                with deterministic(training.device), torch.cuda.stream(training.stream):
                    if next(steps, "done") is None:
                        continue
                    results[number] = training.result()
            except InputError as error:
                results[number] = error
            except torch.OutOfMemoryError as error:
                results[number] = InputError(f"out of GPU memory; let fewer train side by side ({error})")
            del running[number]
    return [results[number] for number in range(len(trainings))]


@dataclass(frozen=True)
class _Sent:
    """An epoch that was sent to the device: copies of what it leaves there, to be read once it is done."""

    epoch: int
    learning_rate: float
    n: int
    loss: Tensor  # summed over the images
    classes: Tensor  # as met
    predicted: Tensor
    logits: dict[str, Tensor]  # of what is scored
    state: dict[str, Tensor]  # of the step, and the generator's
    done: Any  # the event on a GPU after which all is there


class Training:
    """A training that takes turns with others; the parameters are those of `train`.

    On a GPU the seconds of its first epoch have those of the second in them, and the last has hardly any.
    """

    def __init__(
        self,
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
        captured: bool = True,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        checkpoint: FileCheckpoint | None = None,
        on_resume: Callable[[int], None] | None = None,
    ) -> None:
        scored = {"test": test} if validation is None else {"test": test, "validation": validation}
        counts = _class_counts(train, scored, n_classes)
        self.config = config
        self.checkpoint = checkpoint
        self.on_epoch = on_epoch or (lambda record: None)
        self.on_resume = on_resume or (lambda done: None)
        self.mean, self.std = map(tuple, normalization or normalization_of(train.images))
        self.device = pick_device(device)
        self.precision = pick_precision(config.precision, self.device)
        self.stream = torch.cuda.Stream() if self.device.type == "cuda" else None
        self.generator = torch.Generator().manual_seed(config.seed)
        self.labels = train.labels
        self.truth = {name: one.labels for name, one in scored.items()}
        with torch.cuda.stream(self.stream):
            self.loss = build_loss(loss, counts, loss_parameters or {}).to(self.device)
            self.images = EpochImages(
                torch.as_tensor(train.images),
                torch.as_tensor(train.labels, dtype=torch.int64),
                n_synthetic=train.n_synthetic,
                n_classes=n_classes,
                config=sampling(self.loss, config),
                mixing=mixing,
                augmentations=augmentations,
                mean=self.mean,
                std=self.std,
                device=self.device,
            )
            self.scored = {
                name: torch.as_tensor(one.images, device=self.device) for name, one in scored.items()
            }
            self.network = build_network(
                architecture,
                channels=train.images.shape[3],
                n_classes=n_classes,
                classifier=self.loss.classifier,
                branches=self.images.branches,
                remembering=train.images.shape[1:3] if isinstance(self.loss, OLTRLoss) else None,
                generator=self.generator,
            )
            if pretrained is not None:
                backbone = self.network.get_submodule("backbone")
                start_from(getattr(backbone, "trunk", backbone), pretrained)
            move(self.network, self.device)
            self.step = Step(self.network, self.loss, config, precision=self.precision, device=self.device)
        self.stages = Stages(self.step, self.images, precision=self.precision)
        self.take = CapturedStep(self.step) if captured and self.device.type == "cuda" else self.step
        self.history: list[EpochRecord] = []
        self.best = BestEpochs()
        self.weights: dict[str, Weights] = {}  # by selection rule

    def run(self, *, beside: int = 1) -> Iterator[None]:
        """Train to the end, what a checkpoint holds first; yield after each step that was sent to the device.

        `beside` is the number of trainings that share the time on the clock. On a GPU an epoch is read after
        the next one was sent, so that it never waits for the processor.

        Raises
        ------
        InputError
            If the loss is no longer a finite number.
        """
        if self.checkpoint is not None and (saved := self.checkpoint.load()) is not None:
            self.unpack(saved)
            self.on_resume(len(self.history))
            for record in self.history:
                self.on_epoch(record)
        ahead = 0 if self.device.type == "cpu" else 1
        unread: list[_Sent] = []
        start = time.perf_counter()
        for epoch in range(len(self.history) + 1, self.config.epochs + 1):
            unread.append((yield from self._send(epoch)))
            while len(unread) > (ahead if epoch < self.config.epochs else 0):
                self._read(unread.pop(0), seconds=(time.perf_counter() - start) / beside)
                start = time.perf_counter()

    def result(self) -> Trained:
        """Return what the finished training has made.

        Raises
        ------
        InputError
            If the last step has made weights whose outputs are no longer finite numbers.
        """
        logits = self._logits(self.images.images)
        if not torch.isfinite(logits).all():
            raise InputError(
                f"training diverged: the outputs are no longer finite after epoch {self.config.epochs}, the "
                f"last; lower learning_rate ({self.config.learning_rate:g}) or lengthen warmup"
            )
        return Trained(
            weights=self.weights,
            epochs={rule: self.best.epoch(rule) + 1 for rule in self.weights},
            history=self.history,
            mean=self.mean,
            std=self.std,
            precision=self.precision,
            n_parameters=sum(weight.numel() for weight in self.network.parameters()),
            settled_BAC=self._score(logits, self.labels)["BAC"],
        )

    def _send(self, epoch: int) -> Generator[None, None, _Sent]:
        """Send the steps of an epoch, counted from 1, and the scoring after it, if due, to the device."""
        config = self.config
        rate = self.stages.begin(epoch)
        self.loss.begin_epoch((epoch - 1) / config.epochs)
        self.network.train()
        if self.images.mixing is not None:
            self.images.mixing.prepare(self.network, (epoch - 1) / config.epochs)
        drawn = self.images.draw(epoch, self.generator)
        total = torch.zeros((), device=self.device)
        met, predicted, start = [], [], 0
        for sizes in self._portions(drawn.sizes):
            inputs, targets, classes = self.images.make(drawn, start, start + sum(sizes))
            met.append(classes)
            start += sum(sizes)
            for batch, target in zip(inputs.split(sizes), targets.split(sizes), strict=True):
                loss, guessed = self.take(batch, target)
                total += loss * len(batch)
                predicted.append(guessed.clone())
                yield
        due = epoch % config.score_every == 0 or epoch == config.epochs
        logits = {name: kept(self._logits(images)) for name, images in self.scored.items()} if due else {}
        state = {name: kept(value) for name, value in self.step.state().items()}
        state["random"] = self.generator.get_state()
        classes, guesses = kept(torch.cat(met)), kept(torch.cat(predicted))
        done = None if self.stream is None else self.stream.record_event()
        return _Sent(epoch, rate, start, kept(total), classes, guesses, logits, state, done)

    def _portions(self, sizes: list[int]) -> list[list[int]]:
        """Divide the batches into those whose images are made at once."""
        if self.device.type == "cpu":
            return [[size] for size in sizes]
        values = self.images.images[0].numel() * self.images.branches
        together = max(1, _VALUES_MADE // (values * max(sizes)))
        return [sizes[first : first + together] for first in range(0, len(sizes), together)]

    def _read(self, sent: _Sent, *, seconds: float) -> None:
        """Wait for an epoch; record and report it, and keep its weights for the rules that it now suits."""
        if sent.done is not None:
            sent.done.synchronize()
        loss, rate = sent.loss.item() / sent.n, sent.learning_rate
        if not math.isfinite(loss):
            raise InputError(
                f"training diverged: the loss is {loss} in epoch {sent.epoch} at learning rate {rate:g}; "
                f"lower learning_rate ({self.config.learning_rate:g}) or lengthen warmup"
            )
        train_bac = self._score(sent.predicted, sent.classes.numpy())["BAC"]
        found = {name: self._score(logits, self.truth[name]) for name, logits in sent.logits.items()}
        scores = {f"{name}_{kind}": score[kind] for name, score in found.items() for kind in ("BAC", "FM")}
        record = EpochRecord(sent.epoch, rate, loss, train_bac, seconds, **scores)
        state = {name: value.contiguous() for name, value in sent.state.items()}
        weights = {
            name.removeprefix("network."): value
            for name, value in state.items()
            if name.startswith("network.")
        }
        self.weights |= dict.fromkeys(self._record(record), weights)
        if self.checkpoint is not None:
            self.checkpoint.save(self.pack(state))
        self.on_epoch(record)

    def pack(self, state: Mapping[str, Tensor]) -> Arrays:
        """Return everything that the training needs to go on after an epoch, as named arrays."""
        arrays = {name: value.numpy() for name, value in state.items()}
        for rule, weights in self.weights.items():
            arrays |= {f"weights.{rule}.{name}": value.numpy() for name, value in weights.items()}
        # A missing score becomes NaN; no other number can be one.
        return arrays | {"history": np.array([astuple(record) for record in self.history], dtype=np.float64)}

    def unpack(self, arrays: Arrays) -> None:
        """Put a fresh training where the packed one was, bit for bit."""
        with torch.no_grad():
            for name, value in self.step.state().items():
                value.copy_(torch.from_numpy(arrays[name]))
        self.generator.set_state(torch.from_numpy(arrays["random"]))
        for epoch, *numbers in arrays["history"].tolist():
            values: list[Any] = [None if math.isnan(number) else number for number in numbers]
            self._record(EpochRecord(int(epoch), *values))
        packed = {rule: part(arrays, f"weights.{rule}.") for rule in RULES}
        self.weights = {rule: weights for rule, weights in packed.items() if weights}

    def _record(self, record: EpochRecord) -> list[str]:
        """Add an epoch to the history; return the selection rules that choose it, of those so far.

        One before the second stage is scored for the history alone: its network is not the one trained for.
        """
        self.history.append(record)
        if record.epoch <= self.stages.first:
            return self.best.update(test_score=None, validation_score=None)
        return self.best.update(test_score=record.test_FM, validation_score=record.validation_FM)

    def _logits(self, images: Tensor) -> Tensor:
        """Return the network's outputs for images, in evaluation mode, on the device."""
        return forward(self.step.active, images, self.images.normalize, precision=self.precision)[1]

    def _score(self, outputs: Tensor, labels: np.ndarray) -> dict[str, float]:
        """Return what `eos.metrics.scores.score` gives for predicted classes or for logits."""
        found = outputs.cpu().numpy()
        predicted = found.argmax(axis=1) if found.ndim == 2 else found
        return score(labels, predicted, self.loss.n_classes)


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
