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
from collections.abc import Callable, Mapping
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
    try:
        found = path.is_file()
    except OSError as error:  # a name that is too long
        raise InputError(f"folder: {error.strerror}: {folder!s:.200}; name another") from error
    if not found:
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
    try:
        description = json.loads(raw)
    except (ValueError, RecursionError) as error:  # its digest may be right all the same
        raise InputError(f"{path}: not valid JSON ({error}); {_AGAIN}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        other = description.get("format") if isinstance(description, dict) else "no description"
        raise InputError(f"{path}: {other}; this program reads {FORMAT}; {_AGAIN}")
    if missing := KEYS - description.keys():
        raise InputError(f"{path}: does not hold {', '.join(sorted(missing))}; {_AGAIN}")
    for key, fits in _FITS.items():
        value = _at(description, key)
        if not fits(value) and (description["backbone"] is not None or not key.startswith("backbone.")):
            raise InputError(
                f"{path}: does not describe a classifier: {key} {str(value)!a:.80} is not possible; {_AGAIN}"
            )
    backbone = description["backbone"]
    if backbone and not len(backbone["mean"]) == len(backbone["std"]) == backbone["channels"]:
        raise InputError(f"{path}: backbone.mean and backbone.std need a number for each channel; {_AGAIN}")
    return description


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _MOST


def _file(value: Any) -> bool:
    return (
        isinstance(value, dict) and type(value.get("bytes")) is int and isinstance(value.get("sha256"), str)
    )


def _numbers(value: Any, above: float) -> bool:
    return isinstance(value, list) and all(_number(one) and one > above for one in value)


_MOST = 1e30  # of a number, which is to be finite in float32

# What may stand in a description, whoever wrote it: by key, dots leading inside.
_FITS: dict[str, Callable[[Any], bool]] = {
    "class_names": lambda value: (
        isinstance(value, list) and len(value) > 0 and all(isinstance(one, str) for one in value)
    ),
    "n_features": lambda value: _whole(value, 1, 2**31),
    "head.own": lambda value: isinstance(value, bool),
    "head.classifier": lambda value: value in ("linear", "cosine", "unit"),
    "head.scale": _number,
    "backbone": lambda value: value is None or isinstance(value, dict),
    "backbone.architecture": lambda value: isinstance(value, str),
    "backbone.channels": lambda value: type(value) is int and value in (1, 3),
    "backbone.branches": lambda value: type(value) is int and value in (1, 2),
    "backbone.image_size": lambda value: _whole(value, 1, 4096),  # image_files reads no larger ones
    "backbone.mean": lambda value: _numbers(value, -_MOST),
    "backbone.std": lambda value: _numbers(value, 0),
    "computing.device": lambda value: isinstance(value, str),
    "computing.cpu_threads": lambda value: value is None or _whole(value, 1, 2**16),
    "computing.portable": lambda value: isinstance(value, bool),
    "computing.precision": lambda value: isinstance(value, str),
    "files": lambda value: isinstance(value, dict) and all(map(_file, value.values())),
}


def _at(description: Any, key: str) -> Any:
    for part in key.split("."):
        description = description.get(part) if isinstance(description, dict) else None
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

    path, told = folder / name, description["files"].get(name)
    if told is None:
        raise InputError(f"{folder / DESCRIPTION}: files: does not tell of {name}; {_AGAIN}")
    if not path.is_file():
        raise InputError(f"{path}: no such file; {_AGAIN}")
    if path.stat().st_size != told["bytes"]:
        raise InputError(f"{path}: damaged: {path.stat().st_size} bytes, not {told['bytes']}; {_AGAIN}")
    raw = _read(path)
    if hashlib.sha256(raw).hexdigest() != told["sha256"]:
        raise InputError(f"{path}: damaged or changed: its digest is not that of {DESCRIPTION}; {_AGAIN}")
    try:
        return load(raw)
    except (SafetensorError, KeyError, TypeError) as error:  # also of numbers that NumPy does not have
        raise InputError(f"{path}: not safetensors ({error}); {_AGAIN}") from error


def _read(path: Path) -> bytes:
    size, most = path.stat().st_size, LARGEST[path.name]
    if size > most:
        raise InputError(f"{path}: {size} bytes, and none larger than {most} is read; {_AGAIN}")
    return path.read_bytes()


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
