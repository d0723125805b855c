"""What the generative models share: training that can be stopped and resumed, random draws, pixels.

Every random draw of a model, from its first weights to its last sample, comes from a `torch.Generator` of its
own on the device.
"""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from eos.errors import InputError
from eos.models.devices import deterministic
from eos.storage.files import Arrays
from eos.training.checkpoints import FileCheckpoint, pack, unpack

# The result does not depend on it. The state of the largest model, some 200 MB, is written in about a second.
SECONDS_BETWEEN_SAVES = 20.0
SECONDS_BETWEEN_LINES = 15.0

_DRAWN_AT_ONCE = 256  # bounds the memory


class Progress(NamedTuple):
    """How far a training is: epochs or steps (`unit`) done, and the mean losses since the last report."""

    done: int
    total: int
    unit: str
    losses: Mapping[str, float]


class ProgressLines:
    """Prints a line now and then, with the time left."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()
        self.first: int | None = None
        self.total = 0
        self.unit = ""

    def __call__(self, progress: Progress) -> None:
        """Tell how far the training is."""
        now = time.monotonic()
        self.total, self.unit = progress.total, progress.unit
        if self.first is None:
            self.first = progress.done
        if now - self.last < SECONDS_BETWEEN_LINES or progress.done == self.first:
            return
        self.last = now
        left = (now - self.start) / (progress.done - self.first) * (progress.total - progress.done)
        losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
        print(f"{progress.done}/{progress.total} {progress.unit}  {losses}  {left:.0f} s left", flush=True)


class HistoryRow(NamedTuple):
    """One loss: the epochs or steps done, its name, and its mean since the row before of that name."""

    step: int
    name: str
    value: float


@dataclass(frozen=True, eq=False)
class Data:
    """Training images, on the device.

    Attributes
    ----------
    images : Tensor of uint8, shape (n, channels, side, side)
    labels : Tensor of int64, shape (n,)
    counts : tuple of int
        Images per class.
    """

    images: Tensor
    labels: Tensor
    counts: tuple[int, ...]

    @property
    def shortfalls(self) -> dict[int, int]:
        """Return, for every class smaller than the largest, by how many images it is smaller."""
        largest = max(self.counts)
        return {label: largest - count for label, count in enumerate(self.counts) if count < largest}


class Model(ABC):
    """A generative model in training.

    All that changes is in its networks (buffers included), in their optimisers and in its random generator.

    Parameters
    ----------
    data : Data
    random : torch.Generator
        On the device of the images.
    total : int
        Epochs or steps to train for.
    batch_size, latent_size : int
        Images of a batch; numbers that an image is made from.
    """

    unit = "epochs"
    single: str  # what is to be noted of a class of one image
    notes: tuple[str, ...] = ()  # what else is to be noted

    def __init__(
        self, data: Data, random: torch.Generator, total: int, *, batch_size: int, latent_size: int
    ) -> None:
        self.data = data
        self.random = random
        self.device = random.device
        self.total = total
        self.batch_size = batch_size
        self.latent_size = latent_size
        self.n_classes = len(data.counts)
        self.done = 0
        self.networks = nn.ModuleDict()
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def advance(self) -> dict[str, float]:
        """Train on for an epoch, or for some steps, and return the mean losses."""

    @abstractmethod
    def draw(self, label: int, count: int) -> Tensor:
        """Return new images of a class, float (count, channels, side, side) from -1 to 1."""

    def fill(self) -> dict[int, np.ndarray]:
        """Return the images, uint8 (m, side, side, channels), that each class lacks, by class."""
        return {label: self.drawn(label, count) for label, count in self.data.shortfalls.items()}

    @torch.no_grad()
    def drawn(self, label: int, count: int) -> np.ndarray:
        """Return new images of a class, drawn in evaluation mode, as uint8 (count, side, side, channels).

        Raises
        ------
        InputError
            If they are not finite, of weights that the last step broke: the losses do not tell of it.
        """
        self.networks.eval()
        parts = []
        for start in range(0, count, _DRAWN_AT_ONCE):
            images = self.draw(label, min(_DRAWN_AT_ONCE, count - start))
            if not torch.isfinite(images).all():
                raise InputError(
                    f"training diverged: the images of class {label} are not finite; lower learning_rate"
                )
            parts.append(to_uint8(images))
        return np.concatenate(parts)

    def batches(self) -> tuple[Tensor, ...]:
        """Return the rows of the training images in a new order, divided into batches."""
        order = torch.randperm(len(self.data.labels), generator=self.random, device=self.device)
        return order.split(self.batch_size)

    def noise(self, count: int) -> Tensor:
        """Return standard normal noise, (count, latent_size)."""
        return torch.randn((count, self.latent_size), generator=self.random, device=self.device)

    def step(self, optimizer: str, loss: Tensor) -> Tensor:
        """Take one step against the loss; return it without its graph."""
        self.optimizers[optimizer].zero_grad()
        loss.backward()
        self.optimizers[optimizer].step()
        return loss.detach()

    def pack(self) -> Arrays:
        """Return all that changes while training, as named arrays of their own memory."""
        return pack(self.networks, self.optimizers, self.random) | {"done": np.array(self.done)}

    def unpack(self, arrays: Arrays) -> None:
        """Put a fresh model where the packed one was, bit for bit."""
        unpack(arrays, self.networks, self.optimizers, self.random)
        self.done = int(arrays["done"])


def run(
    model: Model,
    place: str,
    checkpoint: FileCheckpoint | None,
    on_progress: Callable[[Progress], None] | None,
) -> tuple[dict[int, np.ndarray], list[HistoryRow]]:
    """Train a model, or train it on from its checkpoint, and return its images by class and its history.

    Raises
    ------
    InputError
        If a loss is no longer a finite number.
    """
    history: list[HistoryRow] = []
    if checkpoint is not None and (saved := checkpoint.load()) is not None:
        model.unpack(saved)
        history = [HistoryRow(*row) for row in json.loads(saved["history"].tobytes())]
    last_save = time.monotonic()
    while model.done < model.total:
        with deterministic(model.device):
            losses = model.advance()
        for name, value in losses.items():
            if not math.isfinite(value):
                raise InputError(
                    f"{place}: training diverged: the loss {name} is {value} after {model.done} "
                    f"{model.unit}; lower learning_rate"
                )
            history.append(HistoryRow(model.done, name, value))
        if checkpoint is not None and time.monotonic() - last_save >= SECONDS_BETWEEN_SAVES:
            text = np.frombuffer(json.dumps(history).encode(), dtype=np.uint8)
            checkpoint.save(model.pack() | {"history": text})
            last_save = time.monotonic()
        if on_progress is not None:
            on_progress(Progress(model.done, model.total, model.unit, losses))
    with deterministic(model.device):
        return model.fill(), history


class Dropout(nn.Module):
    """Dropout whose masks are drawn from a generator that can be saved."""

    def __init__(self, rate: float, random: torch.Generator) -> None:
        super().__init__()
        self.rate = rate
        self.random = random

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`; in training mode with some values zero and the others scaled up."""
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.random, device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


@torch.no_grad()
def glorot(networks: nn.Module, random: torch.Generator) -> None:
    """Draw the weights of all layers as Keras does (Glorot uniform); biases are zero."""
    networks.to(random.device)
    for layer in networks.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight, generator=random)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def adam(networks: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Return the optimiser of the adversarial models: Adam with a first momentum of one half."""
    return torch.optim.Adam(networks.parameters(), lr=learning_rate, betas=(0.5, 0.999), fused=True)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Let gradients pass through networks within the block, without computing those of their weights."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)


def means(steps: list[dict[str, Tensor]]) -> dict[str, float]:
    """Return the mean of each loss over the steps."""
    # Read once, here: reading one value per step would wait for the GPU.
    return {name: torch.stack([step[name] for step in steps]).mean().item() for name in steps[0]}


def from_uint8(images: Tensor) -> Tensor:
    """Return pixels from -1 to 1."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> np.ndarray:
    """Return pixels of (n, channels, side, side), from -1 to 1, as the nearest uint8, channels last."""
    levels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
