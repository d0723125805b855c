"""The folder of a classifier: a description as JSON, arrays as safetensors, all of it under digests.

The description holds the size and the SHA-256 of every other file, and its own: that of its bytes with zeros
where the digest stands. Nothing here loads NumPy, so that the description can be read before the processor
switches are set.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eos.errors import InputError

if TYPE_CHECKING:
    from eos.storage.files import Arrays

FORMAT = "eos classifier, version 1"
DESCRIPTION, BACKBONE, HEAD = "classifier.json", "backbone.safetensors", "head.safetensors"
KEYS = {"class_names", "n_features", "head", "backbone", "computing", "trained_on", "scores", "versions"}
LARGEST = {DESCRIPTION: 2**24, BACKBONE: 2**32, HEAD: 2**32}  # in bytes

_BLANK = "0" * 64
_AGAIN = "copy the folder again, or export it again"


def write_folder(folder: Path, description: Mapping[str, Any], arrays: Mapping[str, "Arrays"]) -> None:
    """Write a classifier: the whole folder, or nothing.

    Parameters
    ----------
    folder
        Must not exist.
    description
        A value for each of `KEYS`, as JSON has them.
    arrays
        What goes into `HEAD` and, of a classifier of images, into `BACKBONE`.

    Raises
    ------
    InputError
        If the folder exists.
    """
    from eos.storage.files import write_text, write_weights

    if folder.exists():
        raise InputError(f"{folder}: exists already; remove it, or name another folder")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        files = {}
        for name, content in arrays.items():
            write_weights(temporary / name, content)
            raw = (temporary / name).read_bytes()
            files[name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        whole = {"format": FORMAT, "sha256": _BLANK, **description, "files": files}
        text = json.dumps(whole, indent=2, allow_nan=False) + "\n"
        write_text(temporary / DESCRIPTION, text.replace(_BLANK, _digest(text.encode()), 1))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_description(folder: Path) -> dict[str, Any]:
    """Read what a classifier is: `KEYS`, and under `files` the size and digest of each file of arrays.

    Raises
    ------
    InputError
        If the folder holds no classifier, or one of another version, or its description was damaged or
        changed.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; name one that `python -m eos export` wrote")
        raise InputError(
            f"{folder}: holds no classifier: {DESCRIPTION} is missing; `python -m eos export` writes one"
        )
    raw = _read(path)
    told = re.search(rb'"sha256": "([0-9a-f]{64})"', raw)
    if told is None or told[1].decode() != _digest(
        raw[: told.start(1)] + _BLANK.encode() + raw[told.end(1) :]
    ):
        raise InputError(f"{path}: damaged or changed: not what its digest says; {_AGAIN}")
    description: dict[str, Any] = json.loads(raw)
    if description["format"] != FORMAT:
        raise InputError(f"{path}: {description['format']}; this program reads {FORMAT}; {_AGAIN}")
    if missing := KEYS - description.keys():
        raise InputError(f"{path}: does not hold {', '.join(sorted(missing))}; {_AGAIN}")
    return description


def read_arrays(folder: Path, name: str, description: Mapping[str, Any]) -> "Arrays":
    """Read one of a classifier's files of arrays.

    Raises
    ------
    InputError
        If the file is missing, or is not the one that the description tells of.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path, told = folder / name, description["files"][name]
    if not path.is_file():
        raise InputError(f"{path}: no such file; {_AGAIN}")
    if path.stat().st_size != told["bytes"]:
        raise InputError(f"{path}: damaged: {path.stat().st_size} bytes, not {told['bytes']}; {_AGAIN}")
    raw = _read(path)
    if hashlib.sha256(raw).hexdigest() != told["sha256"]:
        raise InputError(f"{path}: damaged or changed: its digest is not that of {DESCRIPTION}; {_AGAIN}")
    try:
        return load(raw)
    except SafetensorError as error:
        raise InputError(f"{path}: not safetensors ({error}); {_AGAIN}") from error


def _read(path: Path) -> bytes:
    size, most = path.stat().st_size, LARGEST[path.name]
    if size > most:
        raise InputError(f"{path}: {size} bytes, and none larger than {most} is read; {_AGAIN}")
    return path.read_bytes()


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
