"""Reading and writing results: whole files or none, equal bytes for equal content, never a pickle."""

import glob
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eos.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Arrays = dict[str, np.ndarray]

# What to do about a file that cannot be used.
REMAKE = "run `dvc repro` to make it again (`dvc checkout` if it was tracked)"
# And about one that was changed behind DVC's back, which takes it for what it was while it is there.
REPLACE = (
    "remove it and run `dvc repro`, which brings it back or makes it again; where it comes back damaged, "
    "DVC's cache is, too (docs/reliability.md)"
)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it over `path` when the block ends without an error.

    An error of the operating system tells of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    _remove_those_of_the_dead(path)
    try:
        with naming(path, instead_of=temporary):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_those_of_the_dead(path: Path) -> None:
    """Remove what processes that were killed have left of the same file."""
    if os.name != "posix":
        return  # where asking for a process ends it
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        try:
            os.kill(int(left.name.split(".")[-2]), 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except (ValueError, OSError):  # not ours
            continue


@contextmanager
def naming(path: Path, *, instead_of: Path | None = None) -> Iterator[None]:
    """Let an OSError of the block, of a full disk say, tell of `path` where it names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None or error.filename == os.fspath(instead_of or ""):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, keys in the given order."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    InputError
        If the file is missing or is not a JSON object.
    """
    require_file(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); {REPLACE}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, not a JSON object; {REMAKE}")
    return content


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed `.npz`.

    Equal arrays give equal bytes on every version of Python, which `numpy.savez` does not promise: it leaves
    the headers of the archive to the standard library, and they have changed between patch releases.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            # Made from a name alone it has a fixed date.
            info = zipfile.ZipInfo(f"{name}.npy")
            info.create_system = 3  # Unix, also where it is not
            info.file_size = (
                array.nbytes + 128
            )  # which has it choose the header; the true size comes after it
            with archive.open(info, "w") as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_arrays(path: Path, *names: str) -> Arrays:
    """Read the named arrays of an `.npz` (all of them when no name is given).

    Raises
    ------
    InputError
        If the file is missing, truncated, not an archive of arrays, or lacks one of the names.
    """
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            held = [member.removesuffix(".npy") for member in archive.namelist()]
            arrays = {name: _read_array(archive, name) for name in names or held if name in held}
    except Exception as error:  # a damaged archive raises errors of many kinds
        raise InputError(f"{path}: damaged or not an .npz archive ({error}); {REPLACE}") from error
    for name in names:
        if name not in held:
            raise InputError(f"{path}: has no array {name!r} (it holds {', '.join(held)}); {REMAKE}")
    return arrays


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        # The checksum is compared where a member ends, which a damaged shape or type may not reach.
        if member.read():
            raise ValueError(f"{name} is longer than its header says")
        return array


def write_weights(path: Path, weights: Mapping[str, np.ndarray]) -> str:
    """Write a network's named weights as safetensors; return the SHA-256 of the file, in hexadecimal."""
    from safetensors.numpy import save

    # The format is C order, and `save` takes the memory as it lies.
    ordered = {name: np.asarray(value, order="C") for name, value in weights.items()}
    raw = save(ordered)
    with replacing(path) as temporary:
        temporary.write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def read_weights(path: Path, sha256: str) -> Arrays:
    """Read a safetensors file that has this SHA-256: the format itself has no checksum.

    Raises
    ------
    InputError
        If the file is missing, damaged or another one.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    require_file(path)
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise InputError(f"{path}: damaged or changed: its SHA-256 is not {sha256[:8]}..; {REPLACE}")
    try:
        return load(raw)
    except (SafetensorError, KeyError, TypeError) as error:  # also of numbers that NumPy does not have
        raise InputError(f"{path}: not safetensors ({error}); {REPLACE}") from error


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV without its index; floats in their shortest exact form."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_table(path: Path, columns: Sequence[str], *, text: Container[str] = ()) -> "pd.DataFrame":
    """Read a CSV table that must have these columns; those in `text` hold text, the others numbers.

    Raises
    ------
    InputError
        If the file is missing or cut off, cannot be parsed, lacks a column or has text where numbers belong.
    """
    import pandas as pd

    require_file(path)
    try:
        content = path.read_text(encoding="utf-8")
        if not content.endswith("\n"):
            raise ValueError("its last line is cut off")
        table = pd.read_csv(
            io.StringIO(content),
            dtype={name: str for name in columns if name in text},
            # Only a missing number is empty: a head may well be called "null".
            na_values={name: [""] for name in columns if name not in text},
            keep_default_na=False,
        )
    except ValueError as error:
        raise InputError(f"{path}: not a readable CSV table ({error}); {REMAKE}") from error
    for name in columns:
        if name not in table.columns:
            raise InputError(f"{path}: has no column {name!r}; {REMAKE}")
        if name not in text and len(table) and not pd.api.types.is_numeric_dtype(table[name]):
            raise InputError(f"{path}: column {name!r} holds text where numbers belong; {REMAKE}")
    return table


def require_file(path: Path) -> None:
    """Raise `InputError` unless `path` is a file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; {REMAKE}")
