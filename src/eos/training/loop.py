"""Phase 1: training a network end to end on imbalanced images.

The images live on the device as one tensor, and crops, flips, normalisation and mixing run on whole batches.
Every random draw (weights, order, crops, flips, mixtures) comes from one CPU generator, so it is the same on
every device.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
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
from eos.training.augmentation import augment, normalization_of
from eos.training.checkpoints import Checkpoint, pack_optimizer, unpack_optimizer
from eos.training.config import TrainConfig, learning_rate
from eos.training.mixing import Mixing

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, height, width, channels)
    labels : ndarray of int, shape (n,)
        Classes, from 0.

    Raises
    ------
    InputError
        If the arrays are of another type or shape, or of different lengths, or empty.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise InputError(
                f"images: {self.images.dtype} of shape {self.images.shape}; "
                "give uint8 of shape (n, height, width, channels)"
            )
        if self.labels.shape != self.images.shape[:1] or not np.issubdtype(self.labels.dtype, np.integer):
            raise InputError(
                f"labels: {self.labels.dtype} of shape {self.labels.shape} for {len(self.images)} images; "
                "give one whole number each"
            )
        if len(self.images) == 0:
            raise InputError("images: there are none; give at least one")


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
    test_BAC, test_FM : float or None
        Balanced accuracy and macro-F1 on the test images after the epoch, if it was scored.
    validation_BAC, validation_FM : float or None
        The same on the validation images, if there are any.
    seconds : float
        Wall-clock time of the epoch, scoring included.
    """

    epoch: int
    learning_rate: float
    loss: float
    train_BAC: float
    test_BAC: float | None
    test_FM: float | None
    validation_BAC: float | None
    validation_FM: float | None
    seconds: float


_RECORDED = [column.name for column in fields(EpochRecord)]


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
    """

    weights: dict[str, Weights]
    epochs: dict[str, int]
    history: list[EpochRecord]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    precision: str
    n_parameters: int


@dataclass(frozen=True)
class Task:
    """What does not change while training: the config and the images, on the device."""

    config: TrainConfig
    mixing: Mixing | None
    device: torch.device
    precision: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_classes: int
    images: Tensor
    labels: Tensor
    scored: dict[str, tuple[Tensor, np.ndarray]]


@dataclass
class State:
    """All that changes while training, between two epochs."""

    network: Network
    loss: Loss
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    history: list[EpochRecord] = field(default_factory=list)
    best: BestEpochs = field(default_factory=BestEpochs)
    weights: dict[str, Weights] = field(default_factory=dict)


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
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
    device: str = "auto",
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoint: Checkpoint | None = None,
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
    normalization : pair of sequences of float, optional
        Mean and standard deviation per channel of values in [0, 1]; by default those of the training images.
    device : {"auto", "cpu", "cuda"}
        Where to train; "auto" takes a GPU where there is one.
    on_epoch : callable, optional
        Is given the record of each epoch as it ends; after a resumption first those of the epochs before.
    checkpoint : Checkpoint, optional
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
        If a name is unknown, a class has no training image, labels or image sizes do not fit together, there
        is no such device, the batches are mixed and the loss does not take soft targets, or the training
        diverges.
    """
    scored = {"test": test} if validation is None else {"test": test, "validation": validation}
    counts = _class_counts(train, scored, n_classes)
    measure = build_loss(loss, counts, loss_parameters or {})
    if mixing is not None and not measure.soft_targets:
        raise InputError(f"loss {loss!r} cannot be trained on mixed labels; use the loss 'ce', or no mixing")
    place = pick_device(device)
    mean, std = normalization or normalization_of(train.images)
    task = Task(
        config=config,
        mixing=mixing,
        device=place,
        precision=pick_precision(config.precision, place),
        mean=tuple(mean),
        std=tuple(std),
        n_classes=n_classes,
        images=torch.as_tensor(train.images, device=place),
        labels=torch.as_tensor(train.labels, dtype=torch.int64, device=place),
        scored={
            name: (torch.as_tensor(part.images, device=place), part.labels) for name, part in scored.items()
        },
    )
    state = begin(task, architecture, measure)
    report = on_epoch or (lambda record: None)
    if checkpoint is not None and (saved := checkpoint.load()) is not None:
        unpack(state, saved)
        if on_resume is not None:
            on_resume(len(state.history))
        for record in state.history:
            report(record)
    while len(state.history) < config.epochs:
        run_epoch(task, state)
        if checkpoint is not None:
            checkpoint.save(pack(state))
        report(state.history[-1])
    return Trained(
        weights=state.weights,
        epochs={rule: state.best.epoch(rule) + 1 for rule in state.weights},
        history=state.history,
        mean=task.mean,
        std=task.std,
        precision=task.precision,
        n_parameters=sum(weight.numel() for weight in state.network.parameters()),
    )


def begin(task: Task, architecture: str, loss: Loss) -> State:
    """Return the state before the first epoch: fresh weights, drawn with the config's seed."""
    config = task.config
    generator = torch.Generator().manual_seed(config.seed)
    network = build_network(
        architecture,
        channels=task.images.shape[3],
        n_classes=task.n_classes,
        classifier=loss.classifier,
        generator=generator,
    )
    move(network, task.device)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
    return State(network, loss.to(task.device), optimizer, generator)


def run_epoch(task: Task, state: State) -> None:
    """Train for one epoch, score the network if that is due, and keep its weights for the rules it now suits.

    Raises
    ------
    InputError
        If the loss is no longer a finite number.
    """
    start = time.perf_counter()
    epoch = len(state.history) + 1
    rate = learning_rate(task.config, epoch)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.loss.begin_epoch((epoch - 1) / task.config.epochs)
    with deterministic(task.device):
        loss, train_score = _learn(task, state)
    if not math.isfinite(loss):
        raise InputError(
            f"training diverged: the loss is {loss} in epoch {epoch} at learning rate {rate:g}; "
            f"lower learning_rate ({task.config.learning_rate:g}) or lengthen warmup"
        )
    due = epoch % task.config.score_every == 0 or epoch == task.config.epochs
    scores = {name: _score(task, state.network, *part) for name, part in task.scored.items() if due}
    unknown = {"BAC": None, "FM": None}
    test, validation = scores.get("test", unknown), scores.get("validation", unknown)
    improved = state.best.update(test_score=test["FM"], validation_score=validation["FM"])
    state.weights |= dict.fromkeys(improved, _snapshot(state.network))
    state.history.append(
        EpochRecord(
            epoch=epoch,
            learning_rate=rate,
            loss=loss,
            train_BAC=train_score["BAC"],
            test_BAC=test["BAC"],
            test_FM=test["FM"],
            validation_BAC=validation["BAC"],
            validation_FM=validation["FM"],
            seconds=time.perf_counter() - start,
        )
    )


def pack(state: State) -> dict[str, np.ndarray]:
    """Return everything that a training needs to go on from here, as named arrays on the CPU."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= pack_optimizer(state.optimizer, "optimizer.")
    for rule, weights in state.weights.items():
        tensors |= {f"weights.{rule}.{name}": value for name, value in weights.items()}
    tensors["generator"] = state.generator.get_state()
    arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    rows = [[math.nan if value is None else value for value in astuple(record)] for record in state.history]
    return arrays | {"history": np.array(rows, dtype=np.float64)}


@torch.no_grad()
def unpack(state: State, arrays: Mapping[str, np.ndarray]) -> None:
    """Put a fresh state where the packed one was, bit for bit.

    Everything is copied into the tensors that are there, which keeps their memory format and device.
    """
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "history"}

    def part(prefix: str) -> Weights:
        return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    state.network.load_state_dict(part("network."))
    unpack_optimizer(state.optimizer, part("optimizer."))
    state.generator.set_state(tensors["generator"])
    for row in arrays["history"]:
        values: dict[str, Any] = {
            name: None if math.isnan(value) else value
            for name, value in zip(_RECORDED, row.tolist(), strict=True)
        }
        record = EpochRecord(**values | {"epoch": int(values["epoch"])})
        state.best.update(test_score=record.test_FM, validation_score=record.validation_FM)
        state.history.append(record)
    for rule in RULES:
        if weights := part(f"weights.{rule}."):
            state.weights[rule] = weights


def _learn(task: Task, state: State) -> tuple[float, dict[str, float]]:
    """Take one step per batch; return the mean loss and the scores of the predictions made on the way."""
    config, network = task.config, state.network
    network.train()
    order = torch.randperm(len(task.labels), generator=state.generator)
    all_labels = task.labels.cpu()
    total = torch.zeros((), device=task.device)
    labels, predictions = [], []
    # What is collected stays on the device until the epoch ends: reading one number would wait for the GPU.
    for batch in _batches(order, config.batch_size):
        drawn = batch
        if task.mixing is not None:
            drawn = batch[task.mixing.chosen(all_labels[batch], state.generator)]
        rows = drawn.to(task.device)
        views = augment(
            task.images[rows],
            crop_padding=config.crop_padding,
            horizontal_flip=config.horizontal_flip,
            generator=state.generator,
        )
        inputs = network_input(views, task.mean, task.std)
        targets = shown = task.labels[rows]
        if task.mixing is not None:
            inputs, targets, shown = task.mixing.mixed(inputs, shown, task.n_classes, state.generator)
        with torch.autocast(task.device.type, torch.bfloat16, enabled=task.precision == "bf16"):
            logits = network(inputs)
        loss = state.loss(logits, targets)
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        total += loss.detach() * len(batch)
        labels.append(shown)
        predictions.append(logits.detach().argmax(dim=1))
    met, predicted = (torch.cat(parts).cpu().numpy() for parts in (labels, predictions))
    return total.item() / len(order), score(met, predicted, task.n_classes)


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Divide the rows into batches; a last one of less than a quarter of the size joins the one before.

    Batch normalisation would take its statistics, once every epoch, from a handful of images: with 4 of 128 a
    training that otherwise reaches 92 % ended at 58 %, and one image shrunk to one pixel has none at all.
    """
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) < batch_size / 4:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _score(task: Task, network: Network, images: Tensor, labels: np.ndarray) -> dict[str, float]:
    _, logits = extract(
        network, images, task.mean, task.std, device=task.device.type, precision=task.precision
    )
    return score(labels, logits.argmax(axis=1), task.n_classes)


def _snapshot(network: Network) -> Weights:
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, value in network.state_dict().items()
    }


def _class_counts(train: Images, scored: Mapping[str, Images], n_classes: int) -> list[int]:
    """Return the number of training images per class, after checking that all images fit together."""
    shape = train.images.shape[1:]
    for name, part in {"train": train, **scored}.items():
        if part.images.shape[1:] != shape:
            raise InputError(
                f"{name} images: shape {part.images.shape[1:]}, but the train images have {shape}; "
                "bring them to one size"
            )
        outside = part.labels[(part.labels < 0) | (part.labels >= n_classes)]
        if len(outside):
            raise InputError(
                f"{name} labels: {outside[0]} is not a class; give whole numbers from 0 to {n_classes - 1}"
            )
    counts = np.bincount(train.labels, minlength=n_classes)
    if (counts == 0).any():
        raise InputError(
            f"train labels: class {counts.argmin()} has no image; every class needs at least one"
        )
    return [int(count) for count in counts]
