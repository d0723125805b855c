"""What a file of embeddings holds, whatever its format: labels at once, features and logits block by block.

Nothing in a file is ever unpickled, and it is never in memory as a whole. What it says of an array's size is
compared with the file's own size before there is room made for the array.
"""

import json
import math
import os
import subprocess
import sys
import warnings
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eos.data.archives import MOST_EXPANSION, require_bounded
from eos.data.image_files import MOST_BYTES
from eos.errors import InputError, placed

PARTS = ("train", "validation", "test")
BLOCK = 64 * 1024 * 1024  # bytes of a file that are read at a time


@dataclass(frozen=True)
class Rows:
    """A matrix in a file: its name, shape (n, d) and type, and blocks of consecutive rows, read anew."""

    name: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    blocks: Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Group:
    """Rows that belong together in a file.

    Attributes
    ----------
    name : str
        What errors call the labels.
    parts : ndarray of int, shape (n,)
        Which of `PARTS` each row is of.
    labels : ndarray of shape (n,)
        As they stand in the file.
    features, logits : Rows
        `logits` is None where the file has none.
    """

    name: str
    parts: np.ndarray
    labels: np.ndarray
    features: Rows
    logits: Rows | None


@dataclass(frozen=True)
class Stored:
    """A file: its groups of rows, and what it has of a classifier (weight (C, d), bias (C,)) and names."""

    groups: list[Group]
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    class_names: np.ndarray | None = None
    unused: list[str] = field(default_factory=list)  # what else the file holds


def open_embeddings(path: Path) -> Stored:
    """Open a file of embeddings.

    Parameters
    ----------
    path
        An `.npz` or `.safetensors` file with the arrays train_features, train_labels and so on, or a
        `.parquet` file with the column label; docs/own-embeddings.md has them all.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another format, lacks an array or holds one of the wrong shape,
        or one that would have to be unpickled; if it expands to more than a hundred times its size and 256
        MiB.
    """
    _require_file(path)
    readers = {".npz": _open_npz, ".safetensors": _open_safetensors, ".parquet": _open_parquet}
    with placed(str(path)):
        if path.suffix not in readers:
            raise InputError(f"not a known type of file; known: {', '.join(readers)}")
        return readers[path.suffix](path)


def read_features(path: Path) -> tuple[list[str], np.ndarray]:
    """Read the features of unlabelled rows, and the name of each row where the file has them.

    Parameters
    ----------
    path
        An `.npz` file with the array features and, if there is one, files; any other name is that of an
        `.npy` file.

    Raises
    ------
    InputError
        As `open_embeddings` does.
    """
    _require_file(path)
    with placed(str(path)):
        if path.suffix != ".npz":
            with _damage("an .npy file"), path.open("rb") as file:
                return [], _content(file, _header(file, path.stat().st_size))
        arrays = _Npz(path)
        if "features" not in arrays.names:
            raise InputError(f"it holds no array 'features' (it holds {_some(arrays.names)}); add it")
        shape, _ = arrays.shape_and_type("features")
        names, _ = arrays.shape_and_type("files") if "files" in arrays.names else ((0,), None)
        if names not in ((0,), shape[:1]):
            raise InputError(f"files of shape {names}, but features of shape {shape}; name every row once")
        features, files = arrays.whole("features"), arrays.whole("files")
        assert features is not None
        return [] if files is None else list(map(str, files)), features


def _require_file(path: Path) -> None:
    try:
        found = path.is_file()  # no pipe: to read one would wait for ever
    except OSError as error:  # a name that is too long
        raise InputError(f"{path}: {error.strerror}; name a file") from error
    if not found:
        there = "neither a file nor a link to one" if os.path.lexists(path) else "no such file"
        raise InputError(f"{path}: {there}; put it there")


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Say that a file is damaged or not `what` it should be."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file raises errors of many kinds
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"damaged or not {what} ({reason}); write it again") from error


def _most_bytes(path: Path) -> int:
    """Return what an array may expand to: embeddings hardly compress, so much more is no set of them."""
    return max(MOST_BYTES, MOST_EXPANSION * path.stat().st_size)


def _check_expansion(name: str, size: int, most: int) -> None:
    if size > most:
        raise InputError(
            f"{name}: expands to {size} bytes, and no more than {most} are read of a file of this size; if "
            "you trust it, save it uncompressed"
        )


# Arrays by name


class _Arrays(ABC):
    """The arrays of a file by name."""

    names: list[str]

    @abstractmethod
    def shape_and_type(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and the type of an array."""

    @abstractmethod
    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """Yield consecutive rows of an array, in blocks of about `BLOCK` bytes."""

    def whole(self, name: str) -> np.ndarray | None:
        if name not in self.names:
            return None
        shape, dtype = self.shape_and_type(name)
        if not shape or 0 in shape[1:]:  # rows of nothing take no room: there may be any number
            raise InputError(f"{name}: {'rows of no values' if shape else 'a single value'}; give an array")
        return np.concatenate([np.empty((0, *shape[1:]), dtype), *self.blocks(name)])

    def matrix(self, name: str) -> Rows | None:
        if name not in self.names:
            return None
        shape, dtype = self.shape_and_type(name)
        if len(shape) != 2 or shape[1] == 0 or dtype.kind not in "fiu":
            raise InputError(
                f"{name}: a {dtype} array of shape {shape}; give numbers of shape (rows, columns)"
            )
        return Rows(name, (shape[0], shape[1]), dtype, lambda: self.blocks(name))


class _Npz(_Arrays):
    def __init__(self, path: Path) -> None:
        self.path, self.most = path, _most_bytes(path)
        with _damage("an .npz archive"), zipfile.ZipFile(path) as archive:
            self.names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def shape_and_type(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self._opened(name) as (_, header):
            return header.shape, header.dtype

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        with self._opened(name) as (member, header):
            shape, dtype = header.shape, header.dtype
            if header.by_column:  # a row is nowhere in one piece
                yield _content(member, header)
            else:
                row = dtype.itemsize * math.prod(shape[1:])
                for start, stop in _steps(shape[0], row):
                    block = np.frombuffer(_exactly(member, row * (stop - start)), dtype)
                    yield block.reshape(stop - start, *shape[1:])
                _at_end(member)

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[Any, "_Header"]]:
        with _damage("an .npz archive"), zipfile.ZipFile(self.path) as archive:
            info = archive.getinfo(f"{name}.npy")
            _check_expansion(name, info.file_size, self.most)
            require_bounded(info)
            with archive.open(f"{name}.npy") as member, placed(name):
                yield member, _header(member, info.file_size)


class _Header(NamedTuple):
    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]


def _header(member: Any, size: int) -> _Header:
    """Read the header of an array that lies in `size` bytes, and compare it with them."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings(action="ignore"):  # of a header as Python 2 wrote it
            header = _Header(*read(member))
    except MemoryError as error:  # Python's parser, where brackets or signs lie too deep
        raise ValueError("its header cannot be parsed") from error
    shape, dtype = tuple(map(int, header.shape)), header.dtype  # NumPy takes True for 1
    if dtype.hasobject:
        raise InputError(
            "holds Python objects, and reading them would run what the file says; save text as "
            "`array.astype(str)`, numbers as `array.astype('float32')`"
        )
    if min(shape, default=0) < 0 or dtype.itemsize * math.prod(shape) > size:
        raise ValueError(f"its header tells of shape {shape}, which is more than the file holds")
    return header._replace(shape=shape)


def _content(member: Any, header: _Header) -> np.ndarray:
    """Read the array whose header was read, to its end."""
    shape, by_column, dtype = header
    flat = np.frombuffer(_exactly(member, dtype.itemsize * math.prod(shape)), dtype)
    _at_end(member)
    return flat.reshape(shape, order="F" if by_column else "C")


def _at_end(member: Any) -> None:
    if member.read(1):  # also has the end checked against an archive's sum
        raise ValueError("an array is longer than its header says")


def _exactly(member: Any, size: int) -> bytearray:
    room = bytearray(size)
    view, done = memoryview(room), 0
    while done < size:
        count = member.readinto(view[done:])
        if not count:
            raise EOFError("an array is shorter than its header says")
        done += count
    return room


class _Safetensors(_Arrays):
    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        with _damage("safetensors"):
            self.file = safe_open(path, framework="numpy")
            self.names = list(self.file.keys())
            self.class_names = (self.file.metadata() or {}).get("class_names")

    def shape_and_type(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        part = self.file.get_slice(name)
        kinds = {"F16": "f2", "F32": "f4", "F64": "f8", "BOOL": "?"}
        kinds |= {f"{sign}{8 * size}": f"{sign.lower()}{size}" for sign in "IU" for size in (1, 2, 4, 8)}
        if part.get_dtype() not in kinds:
            raise InputError(f"{name}: of type {part.get_dtype()}; save it as float16, float32 or float64")
        return tuple(part.get_shape()), np.dtype(kinds[part.get_dtype()])

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        shape, dtype = self.shape_and_type(name)
        part = self.file.get_slice(name)
        for start, stop in _steps(shape[0], dtype.itemsize * int(np.prod(shape[1:]))):
            yield part[start:stop]

    def whole(self, name: str) -> np.ndarray | None:
        if name == "class_names" and self.class_names is not None:
            try:
                names = json.loads(self.class_names)
            except (ValueError, RecursionError):
                names = None
            if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
                raise InputError("metadata class_names: no JSON list of texts; write json.dumps(names)")
            return np.array(names, dtype=np.str_)
        return super().whole(name)


def _steps(n_rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    step = max(1, BLOCK // max(1, row_bytes))
    return ((start, min(start + step, n_rows)) for start in range(0, n_rows, step))


def _open_npz(path: Path) -> Stored:
    return _stored(_Npz(path))


def _open_safetensors(path: Path) -> Stored:
    return _stored(_Safetensors(path))


def _stored(arrays: _Arrays) -> Stored:
    groups, known = [], {"classifier_weight", "classifier_bias", "class_names"}
    for number, part in enumerate(PARTS):
        names = [f"{part}_features", f"{part}_labels", f"{part}_logits"]
        known |= set(names)
        missing = [name for name in names[:2] if name not in arrays.names]
        if part == "train" or (set(names) & set(arrays.names)):
            if missing:
                held = ", ".join(arrays.names) or "nothing"
                raise InputError(f"has no array {missing[0]!r} (it holds {held}); add it")
            features, labels, logits = (
                arrays.matrix(names[0]),
                arrays.whole(names[1]),
                arrays.matrix(names[2]),
            )
            assert features is not None and labels is not None  # noqa: PT018
            groups.append(Group(names[1], np.full(features.shape[0], number), labels, features, logits))
    return Stored(
        groups,
        weight=arrays.whole("classifier_weight"),
        bias=arrays.whole("classifier_bias"),
        class_names=arrays.whole("class_names"),
        unused=[name for name in arrays.names if name not in known],
    )


# Columns


@contextmanager
def _parquet() -> Iterator[None]:
    """Say that a file is damaged where polars does, which also panics on some."""
    import polars

    with _damage("Parquet"):
        try:
            yield
        except polars.exceptions.PanicException as error:
            raise ValueError(str(error)) from error


def _open_parquet(path: Path) -> Stored:
    """Open a Parquet file that another process could read: at some damage polars ends the process."""
    search = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", _TRIAL, str(path)],
        env=os.environ | {"PYTHONPATH": search},
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in (0, 1):  # what ends in an exception, does so here, too
        raise InputError(
            f"damaged or not Parquet (polars ends with status {done.returncode}); write it again"
        )
    return _opened_parquet(path)


_TRIAL = """
import sys, pathlib
from eos.data.embeddings_files import _opened_parquet
for group in _opened_parquet(pathlib.Path(sys.argv[1])).groups:
    for block in group.features.blocks():
        pass
"""


def _opened_parquet(path: Path) -> Stored:
    import polars

    with _parquet():
        lazy = polars.scan_parquet(path)
        schema = lazy.collect_schema()
        n_rows = lazy.select(polars.len()).collect().item()
    # A byte for each value: equal ones take up next to nothing in this format, so there may be any number.
    most = _most_bytes(path)
    _check_expansion("its rows", n_rows * max(1, len(schema)), most)
    if "label" not in schema:
        raise InputError(f"has no column 'label' (it has {_some(schema)}); add it")
    named = [name for name in ("label", "split") if name in schema]
    texts = (polars.String, polars.Categorical, polars.Enum)
    if "split" in schema and schema["split"] not in texts:
        raise InputError(f"split: a column of {schema['split']}; write one of {', '.join(PARTS)} in each row")
    with _parquet():
        columns = lazy.select(named).collect()
    codes = np.zeros(n_rows, dtype=np.int64)
    if "split" in schema:
        for number, part in enumerate(PARTS):
            codes[(columns["split"].cast(polars.String) == part).fill_null(value=False).to_numpy()] = number
        others = columns["split"].cast(polars.String).fill_null("null").unique()
        unknown = sorted(set(others.to_list()) - set(PARTS))
        if unknown:
            raise InputError(f"split: {unknown[0]!r} is none of {', '.join(PARTS)}; write one of these")
    if missing := columns["label"].null_count():
        raise InputError(f"label: {missing} are missing; drop such rows")
    kind = columns["label"].dtype
    text = kind in texts
    labels = columns["label"].cast(polars.String).to_list() if text else columns["label"].to_numpy()
    features = _columns(lazy, schema, n_rows, most)
    return Stored(
        [Group("label", codes, np.asarray(labels, dtype=np.str_ if text else None), features, None)]
    )


def _columns(lazy: Any, schema: Any, n_rows: int, most: int) -> Rows:
    """Return the features: the list column `features`, or else all numeric columns in their order."""
    import polars

    if "features" in schema:
        chosen = ["features"]
        kind = schema["features"]
        if not (isinstance(kind, polars.List | polars.Array) and kind.inner and kind.inner.is_numeric()):
            raise InputError(f"features: a column of {kind}; give lists of numbers")
        with _parquet():
            head = lazy.select("features").head(1).collect()["features"]
        width = len(head[0]) if len(head) and head[0] is not None else 0
    else:
        chosen = [name for name in schema if name not in {"label", "split"}]
        if other := [name for name in chosen if not schema[name].is_numeric()]:
            raise InputError(
                f"column {other[0]!r} is of {schema[other[0]]}, no number; drop it, or put the features into "
                "one list column 'features'"
            )
        width = len(chosen)
    if width == 0:
        raise InputError("has no features; add number columns, or a list column 'features'")
    _check_expansion("features", n_rows * width, most)

    def blocks() -> Iterator[np.ndarray]:
        for start, stop in _steps(n_rows, width):  # large blocks: each decodes what is before it anew
            with _parquet():
                frame = lazy.select(chosen).slice(start, stop - start).collect()
            if chosen != ["features"]:
                yield frame.cast(polars.Float32).to_numpy()
                continue
            lists = frame["features"].cast(polars.List(polars.Float32))
            lengths = lists.list.len().fill_null(0).to_numpy()
            if (wrong := np.flatnonzero(lengths != width)).size:
                raise InputError(
                    f"features: row {start + wrong[0]} has {lengths[wrong[0]]} values, the first {width}; "
                    "give lists of one length"
                )
            yield lists.explode().to_numpy().reshape(-1, width)

    return Rows("features", (n_rows, width), np.dtype(np.float32), blocks)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:10]) + (", …" if len(listed) > 10 else "")
