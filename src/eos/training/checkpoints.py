"""Checkpoints: a training that was stopped goes on from its last epoch, as if it had not been stopped."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from eos.errors import InputError
from eos.storage.files import Arrays, read_weights, write_weights


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
    return sorted(Path(__file__).parent.rglob("*.py"))
