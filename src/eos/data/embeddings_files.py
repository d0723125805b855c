"""What a file of embeddings holds, whatever its format: labels at once, features and logits block by block.

Nothing in a file is ever unpickled, and it is never in memory as a whole.
"""

import json
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

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
        or one that would have to be unpickled.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; put it there")
    readers = {".npz": _open_npz, ".safetensors": _open_safetensors, ".parquet": _open_parquet}
    with placed(str(path)):
        return readers[path.suffix](path)


@contextmanager
def _damage(what: str, more: type[Exception] = OSError) -> Iterator[None]:
    """Say that a file is damaged or not `what` it should be."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, more) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"damaged or not {what} ({reason}); write it again") from error


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
        if not shape:
            raise InputError(f"{name}: a single value; give an array")
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
        self.path = path
        with _damage("an .npz archive"), zipfile.ZipFile(path) as archive:
            self.names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def shape_and_type(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with _damage("an .npz archive"), zipfile.ZipFile(self.path) as archive:
            member = archive.open(f"{name}.npy")
            shape, _, dtype = _header(member)
        if dtype.hasobject:
            raise InputError(
                f"{name}: holds Python objects, and reading them would run what the file says; save text as "
                "`array.astype(str)`, numbers as `array.astype('float32')`"
            )
        return shape, dtype

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        self.shape_and_type(name)  # no objects
        with _damage("an .npz archive"), zipfile.ZipFile(self.path) as archive:
            with archive.open(f"{name}.npy") as member:
                shape, by_column, dtype = _header(member)
                if not by_column:
                    row = dtype.itemsize * int(np.prod(shape[1:]))
                    for start, stop in _steps(shape[0], row):
                        block = np.frombuffer(_exactly(member, row * (stop - start)), dtype)
                        yield block.reshape(stop - start, *shape[1:])
                    if member.read(1):  # also has the end checked against the archive's sum
                        raise ValueError("an array is longer than its header says")
                    return
            with archive.open(f"{name}.npy") as member:  # a row is nowhere in one piece
                yield np.lib.format.read_array(member, allow_pickle=False)


def _header(member: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(member)


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
        from safetensors import SafetensorError, safe_open

        with _damage("safetensors", SafetensorError):
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
            except ValueError:
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


def _open_parquet(path: Path) -> Stored:
    import polars

    with _damage("Parquet", polars.exceptions.PolarsError):
        lazy = polars.scan_parquet(path)
        schema = lazy.collect_schema()
        n_rows = lazy.select(polars.len()).collect().item()
    if "label" not in schema:
        raise InputError(f"has no column 'label' (it has {_some(schema)}); add it")
    named = [name for name in ("label", "split") if name in schema]
    with _damage("Parquet", polars.exceptions.PolarsError):
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
    text = kind in (polars.String, polars.Categorical) or kind == polars.Enum
    labels = columns["label"].cast(polars.String).to_list() if text else columns["label"].to_numpy()
    features = _columns(lazy, schema, n_rows)
    return Stored(
        [Group("label", codes, np.asarray(labels, dtype=np.str_ if text else None), features, None)]
    )


def _columns(lazy: Any, schema: Any, n_rows: int) -> Rows:
    """Return the features: the list column `features`, or else all numeric columns in their order."""
    import polars

    if "features" in schema:
        chosen = ["features"]
        kind = schema["features"]
        if not (isinstance(kind, polars.List | polars.Array) and kind.inner and kind.inner.is_numeric()):
            raise InputError(f"features: a column of {kind}; give lists of numbers")
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

    def blocks() -> Iterator[np.ndarray]:
        for start, stop in _steps(n_rows, width):  # large blocks: each decodes what is before it anew
            with _damage("Parquet", polars.exceptions.PolarsError):
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
