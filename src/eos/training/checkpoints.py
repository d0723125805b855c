"""Checkpoints: a training that was stopped goes on from its last epoch, as if it had not been stopped."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from eos.errors import InputError
from eos.storage.files import Arrays, read_weights, write_weights

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


class Checkpoint(Protocol):
    """Where a training keeps what it needs to go on after it was stopped."""

    def load(self) -> dict[str, np.ndarray] | None:
        """Return what was saved last, or None."""

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep `arrays` in place of what was saved before."""


class FileCheckpoint:
    """A checkpoint in one safetensors file, replaced as a whole: a kill while writing does no harm."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Arrays | None:
        """Return what was saved last; None where there is nothing, or nothing that can be read."""
        if not self.path.exists():
            return None
        try:
            return read_weights(self.path)
        except InputError:
            return None  # a damaged disk costs the epochs, not the training

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace what was saved before."""
        write_weights(self.path, arrays)

    def clear(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def fingerprint(arrays: Iterable[np.ndarray], settings: object, code: Iterable[Path]) -> str:
    """Return a name for a training that changes with everything its result depends on.

    Parameters
    ----------
    arrays
        The images and labels it sees.
    settings
        Everything else; its `repr` must tell two different settings apart.
    code
        Source files that it runs.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    digest.update(repr(settings).encode())
    for path in code:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def library_code() -> list[Path]:
    """Return the files of this library: with any change in them a checkpoint is void."""
    return sorted(Path(__file__).parents[1].rglob("*.py"))


def pack_optimizer(optimizer: "Optimizer", prefix: str) -> "dict[str, Tensor]":
    """Return all that an optimizer keeps of its steps, under names with a prefix."""
    return {
        f"{prefix}{number}.{name}": value
        for number, weight in enumerate(_weights(optimizer))
        for name, value in optimizer.state.get(weight, {}).items()
        if value is not None
    }


def unpack_optimizer(optimizer: "Optimizer", tensors: "Mapping[str, Tensor]") -> None:
    """Put a fresh optimizer where the packed one was; the names are without the prefix.

    What has the shape of its weight gets its memory format and device, too.
    """
    import torch

    weights = _weights(optimizer)
    for key, value in tensors.items():
        number, name = key.split(".")
        weight = weights[int(number)]
        room = torch.empty_like(weight) if value.shape == weight.shape else torch.empty_like(value)
        optimizer.state[weight][name] = room.to(weight.device).copy_(value)


def _weights(optimizer: "Optimizer") -> "list[Tensor]":
    return [weight for group in optimizer.param_groups for weight in group["params"]]
