"""What the generative models share: training that can be stopped and resumed, random draws, pixels.

Every random draw of a model, from its first weights to its last sample, comes from one `torch.Generator` on
the device; torch's global one is not touched.
"""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from eos.errors import InputError
from eos.models.devices import deterministic
from eos.training.checkpoints import pack_optimizer, unpack_optimizer

if TYPE_CHECKING:
    from eos.training.checkpoints import Checkpoint

# The result does not depend on it. The state of the largest model, some 200 MB, is written in about a second.
SECONDS_BETWEEN_SAVES = 20.0
SECONDS_BETWEEN_LINES = 15.0

_DRAWN_AT_ONCE = 256  # bounds the memory


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    done, total : int
        Epochs or steps.
    unit : {"epochs", "steps"}
        Which of the two.
    losses : mapping of str to float
        Means since the last report.
    seconds : float
        Wall-clock time since the last report.
    """

    done: int
    total: int
    unit: str
    losses: Mapping[str, float]
    seconds: float


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


class Model(Protocol):
    """A generative model that is being trained."""

    unit: str
    single: str  # what is to be noted of a class of one image

    @property
    def done(self) -> int:
        """Return the epochs or steps taken."""

    @property
    def total(self) -> int:
        """Return the epochs or steps to take."""

    def advance(self) -> dict[str, float]:
        """Train on for an epoch, or for some steps, and return the mean losses."""

    def pack(self) -> dict[str, np.ndarray]:
        """Return all that changes while training, as named arrays of their own memory."""

    def unpack(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put a fresh model where the packed one was, bit for bit."""

    def fill(self) -> dict[int, np.ndarray]:
        """Return the images, uint8 (m, side, side, channels), that each class lacks, by class."""


def run(
    model: Model,
    place: str,
    device: torch.device,
    checkpoint: "Checkpoint | None",
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
        start = time.perf_counter()
        with deterministic(device):
            losses = model.advance()
        _require_finite(losses, model, place)
        history += [HistoryRow(model.done, name, value) for name, value in losses.items()]
        if checkpoint is not None and time.monotonic() - last_save >= SECONDS_BETWEEN_SAVES:
            text = np.frombuffer(json.dumps(history).encode(), dtype=np.uint8)
            checkpoint.save(model.pack() | {"history": text})
            last_save = time.monotonic()
        if on_progress is not None:
            seconds = time.perf_counter() - start
            on_progress(Progress(model.done, model.total, model.unit, losses, seconds))
    with deterministic(device):
        return model.fill(), history


class Networks(ABC):
    """Networks in training: what changes is in them, in their optimisers and in the random generator.

    A `Model` derives from it, and adds `advance` and `draw`. Whatever else changes is a buffer of a network.

    Attributes
    ----------
    data : Data
    random : torch.Generator
    networks : nn.ModuleDict
    optimizers : dict of str to torch.optim.Optimizer
    done, total : int
    """

    unit = "epochs"

    def __init__(self, data: Data, random: torch.Generator, total: int) -> None:
        self.data = data
        self.random = random
        self.networks = nn.ModuleDict()
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.done = 0
        self.total = total

    @abstractmethod
    def draw(self, label: int, count: int) -> Tensor:
        """Return new images of a class, float (count, channels, side, side) from -1 to 1."""

    def fill(self) -> dict[int, np.ndarray]:
        """Return the images that each class lacks, by class."""
        return {label: self.drawn(label, count) for label, count in self.data.shortfalls.items()}

    @torch.no_grad()
    def drawn(self, label: int, count: int) -> np.ndarray:
        """Return new images of a class, drawn in evaluation mode, as uint8 (count, side, side, channels)."""
        self.networks.eval()
        parts = [
            to_uint8(self.draw(label, min(_DRAWN_AT_ONCE, count - start)))
            for start in range(0, count, _DRAWN_AT_ONCE)
        ]
        return np.concatenate(parts)

    def batches(self, size: int) -> tuple[Tensor, ...]:
        """Return the rows of the training images in a new order, divided into batches."""
        order = torch.randperm(len(self.data.labels), generator=self.random, device=self.random.device)
        return order.split(size)

    def noise(self, *shape: int) -> Tensor:
        """Return standard normal noise."""
        return torch.randn(shape, generator=self.random, device=self.random.device)

    def pack(self) -> dict[str, np.ndarray]:
        """Return all that changes while training."""
        tensors: dict[str, Tensor] = {f"networks.{k}": v for k, v in self.networks.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            tensors |= pack_optimizer(optimizer, f"optimizers.{name}.")
        tensors["random"] = self.random.get_state()
        tensors["done"] = torch.tensor(self.done)
        return {name: value.detach().cpu().numpy().copy() for name, value in tensors.items()}

    def unpack(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put fresh networks where the packed ones were, bit for bit."""
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        prefix = "networks."
        self.networks.load_state_dict(
            {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        )
        for name, optimizer in self.optimizers.items():
            own = f"optimizers.{name}."
            unpack_optimizer(
                optimizer,
                {key.removeprefix(own): value for key, value in tensors.items() if key.startswith(own)},
            )
        self.random.set_state(tensors["random"])
        self.done = int(tensors["done"])


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


@contextmanager
def own_random() -> Iterator[None]:
    """Leave torch's global generator alone while layers are built: their weights are drawn again anyway."""
    with torch.random.fork_rng(devices=[]):
        yield


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
    """Return the optimiser that all three models use: Adam with a first momentum of one half."""
    return torch.optim.Adam(networks.parameters(), lr=learning_rate, betas=(0.5, 0.999), fused=True)


def take_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    """Take one step against the loss; return it without its graph."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


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
    pixels: np.ndarray = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def _require_finite(losses: Mapping[str, float], model: Model, place: str) -> None:
    for name, value in losses.items():
        if not math.isfinite(value):
            raise InputError(
                f"{place}: training diverged: the loss {name} is {value} after {model.done} {model.unit}; "
                "lower learning_rate"
            )
