"""Checkpoints: a training that was stopped goes on from its last epoch, as if it had not been stopped."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from eos.storage.files import Arrays, replacing

_BLANK = b"0" * 64


class FileCheckpoint:
    """What a training needs to go on, in one file, replaced as a whole: a kill while writing does no harm.

    The file is safetensors. Its metadata hold a SHA-256 of its name and of its bytes, with zeros where the
    digest stands: a file that was damaged, or is another training's, costs the epochs, not the training.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Arrays | None:
        """Return what was saved last; None where there is nothing, and, with a line, where it is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        damaged = f"{self.path}: damaged, or not of this training, which starts anew"
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            print(f"{error}: the training starts anew", flush=True)
            return None
        told = re.search(rb'"sha256":"([0-9a-f]{64})"', raw)
        if told is None or told[1] != self._digest(raw[: told.start(1)] + _BLANK + raw[told.end(1) :]):
            print(damaged, flush=True)
            return None
        try:
            return load(raw)
        except (SafetensorError, KeyError, ValueError):  # a digest can be forged
            print(damaged, flush=True)
            return None

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace what was saved before."""
        from safetensors.numpy import save

        ordered = {name: np.asarray(value, order="C") for name, value in arrays.items()}
        raw = save(ordered, metadata={"sha256": _BLANK.decode()})
        with replacing(self.path) as temporary:
            temporary.write_bytes(raw.replace(_BLANK, self._digest(raw), 1))

    def _digest(self, raw: bytes) -> bytes:
        return hashlib.sha256(self.path.name.encode() + raw).hexdigest().encode()

    def clear(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def fingerprint(arrays: Iterable[np.ndarray], settings: object, code: Iterable[Path]) -> str:
    """Return a name, 32 hexadecimal digits, that changes with everything a training's result depends on.

    Parameters
    ----------
    arrays
        The images and labels it sees.
    settings
        Everything else; its `repr` must tell two different settings apart.
    code
        Source files that it runs.
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


def pack(network: nn.Module, optimizers: Mapping[str, Optimizer], random: torch.Generator) -> Arrays:
    """Return all that changes while a network is trained, as named arrays of their own memory."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for optimizer_name, optimizer in optimizers.items():
        for number, kept in optimizer.state_dict()["state"].items():
            prefix = f"optimizer.{optimizer_name}.{number}."
            tensors |= {prefix + name: value for name, value in kept.items() if value is not None}
    tensors["random"] = random.get_state()
    return {name: value.numpy(force=True).copy() for name, value in tensors.items()}


def unpack(
    arrays: Arrays, network: nn.Module, optimizers: Mapping[str, Optimizer], random: torch.Generator
) -> None:
    """Put a fresh network, its optimizers and generator where the packed ones were, bit for bit."""
    network.load_state_dict(part(arrays, "network."))
    for optimizer_name, optimizer in optimizers.items():
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for key, value in part(arrays, f"optimizer.{optimizer_name}.").items():
            number, name = key.split(".")
            weight = weights[int(number)]
            # A momentum has the memory format of its weight, which the file does not know.
            like = weight if value.shape == weight.shape else value
            optimizer.state[weight][name] = torch.empty_like(like, device=weight.device).copy_(value)
    random.set_state(torch.from_numpy(arrays["random"]))


def part(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    """Return the arrays whose names begin with `prefix`, as tensors, under the rest of their names."""
    return {
        name.removeprefix(prefix): torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
