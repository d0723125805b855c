"""What a folder or an archive holds: looked through in bounded time and memory, nothing unpacked."""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple, NoReturn

from eos.data.image_files import MOST_BYTES, Clock, Reader, listed, read_bounded, read_file
from eos.errors import InputError

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP_ENDINGS = (".zip",)

# What a folder or an archive holds: the parts of each path, and the function that reads the file, None for a
# folder.
Entries = dict[tuple[str, ...], Reader | None]

# What compressed files begin with.
_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}

# An archive may expand to so many times its size: images are compressed already. A small one, to MOST_BYTES.
MOST_EXPANSION = 100

# A member counts as much more than its content, because looking at it takes time and memory too.
MEMBER_BYTES = 4096


class _Member(NamedTuple):
    name: str
    kind: int  # as `stat` has it
    size: int
    read: Reader


@contextmanager
def open_entries(place: Path, *, depth: int) -> Iterator[Entries]:
    """Yield what a folder, down to `depth` folders in it, or an archive holds.

    In a folder links are followed: it is its owner's. An archive may come from anywhere: it is refused if it
    expands to more than a hundred times its size and 256 MiB, or has a member that is a link or a device, or
    that lies outside.

    Raises
    ------
    InputError
        Also if there is nothing at `place`, or something else, or a damaged archive. The caller names it.
    """
    try:
        mode = place.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"no such folder or archive ({reason}); a relative path starts at {Path.cwd()}"
        ) from error
    name = place.name.lower()
    if stat.S_ISDIR(mode):
        yield _folder_entries(place, depth)
        return
    if not stat.S_ISREG(mode):  # to read a pipe would wait for ever
        raise InputError("neither a folder nor a file, but a pipe or a device; name one of these")
    if not name.endswith(TAR_ENDINGS + ZIP_ENDINGS):
        raise InputError(f"not a known type of archive; known: {', '.join(TAR_ENDINGS + ZIP_ENDINGS)}")
    with ExitStack() as opened:
        try:
            read = _zip_entries if name.endswith(ZIP_ENDINGS) else _tar_entries
            entries = read(place, opened)
        except InputError:
            raise
        except Exception as error:  # a damaged archive, or one of another type, raises errors of many kinds
            raise InputError(
                f"cannot be read ({error or type(error).__name__}); it may be damaged, cut off or of "
                "another type than its name says: get or pack it again"
            ) from error
        yield entries


def _folder_entries(place: Path, depth: int) -> Entries:
    def refuse(error: OSError) -> NoReturn:
        raise InputError(f"{error.filename}: {error.strerror}; make the folder readable, or remove it")

    entries: Entries = {}
    for folder, folders, files in os.walk(place, followlinks=True, onerror=refuse):
        inside = Path(folder).relative_to(place).parts
        entries.update({(*inside, name): None for name in folders})
        entries.update({(*inside, name): partial(read_file, Path(folder, name)) for name in files})
        if len(inside) == depth:
            folders.clear()
    return entries


def _zip_entries(place: Path, opened: ExitStack) -> Entries:
    archive = opened.enter_context(zipfile.ZipFile(place))

    def read(member: zipfile.ZipInfo) -> bytes:
        require_bounded(member)
        with archive.open(member) as content:
            # No more than it says: asked for all, zipfile expands whatever comes, and cuts it off then.
            return content.read(member.file_size)

    def members() -> Iterator[_Member]:
        for member in archive.infolist():
            # The upper half holds a Unix mode, where the archive was made on Unix.
            kind = stat.S_IFMT(member.external_attr >> 16) or stat.S_IFREG
            kind = stat.S_IFDIR if member.is_dir() else kind
            yield _Member(member.filename, kind, member.file_size, partial(read, member))

    return _checked(place, members())


def require_bounded(member: zipfile.ZipInfo) -> None:
    """Raise `ValueError` for a method of which zipfile expands all it has read, whatever the member's size.

    Some hundred bytes may become gigabytes.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("compressed by another method than deflate; pack it again")


def _tar_entries(place: Path, opened: ExitStack) -> Entries:
    with place.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    stream: Any = _Bounded(opened.enter_context((opener or open)(place, "rb")), _most_bytes(place))
    archive = tarfile.TarFile(fileobj=stream, tarinfo=_StrictHeader)

    def read(member: tarfile.TarInfo) -> bytes:
        content = archive.extractfile(member)
        assert content is not None  # it is a file
        return content.read()

    def members() -> Iterator[_Member]:
        for member in archive:
            kind = stat.S_IFREG if member.isfile() else stat.S_IFDIR if member.isdir() else stat.S_IFCHR
            kind = stat.S_IFLNK if member.issym() or member.islnk() else kind
            yield _Member(member.name, kind, member.size, partial(read, member))

    entries = _checked(place, members())
    # On to the end of the file, where compressed data have their checksum.
    while opener and stream.read(2**16):
        pass
    return entries


def _checked(place: Path, members: Iterator[_Member]) -> Entries:
    """Return the members, or raise `InputError` unless all are files or folders inside, on any system."""
    entries: Entries = {}
    refused: list[str] = []
    most, total, clock = _most_bytes(place), 0, Clock()
    for member in members:
        total += member.size + MEMBER_BYTES
        if member.size < 0 or total > most:
            raise _bomb(most)
        # Windows' rules take in those of the others: "/" and "\\" both separate, and "C:" is absolute too.
        path = PureWindowsPath(member.name)
        if path.anchor or ".." in path.parts:
            refused.append(f"{member.name!r} is a path that leads out of it")
        elif member.kind == stat.S_IFLNK:
            refused.append(f"{member.name!r} is a link")
        elif member.kind not in {stat.S_IFREG, stat.S_IFDIR}:
            refused.append(f"{member.name!r} is a device or a pipe")
        else:
            read = partial(read_bounded, member.read, member.size)
            entries[PurePosixPath(member.name).parts] = None if member.kind == stat.S_IFDIR else read
        if clock.due():
            print(f"{place}: {len(entries)} files and folders found", flush=True)
    if refused:
        raise InputError(
            f"{len(refused)} members may not be read: {listed(refused)}; pack the images themselves, "
            "by relative paths"
        )
    return entries


def _most_bytes(place: Path) -> int:
    return max(MOST_BYTES, MOST_EXPANSION * place.stat().st_size)


def _bomb(most: int) -> InputError:
    return InputError(
        f"expands to more than {most} bytes, which is much for an archive of its size; if you trust it, "
        "unpack it yourself and name the folder"
    )


class _Bounded:
    """What `tarfile` needs of a decompressed file; an error where it expands to more than it may.

    A member's size is checked where it is met. This one also holds for what `tarfile` reads by itself: long
    names, tables of sparse files.
    """

    def __init__(self, stream: Any, most: int) -> None:
        self.stream, self.most = stream, most
        self.tell = stream.tell

    def seek(self, position: int) -> None:
        if position > self.most:
            raise _bomb(self.most)
        self.stream.seek(position)

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MOST_BYTES or self.tell() > self.most:
            raise _bomb(self.most)
        return self.stream.read(size)


class _StrictHeader(tarfile.TarInfo):
    """A member's header, whose damage is an error.

    `tarfile` raises one for the first header only; after that it takes a damaged or missing header for the
    archive's end, so a file cut off between two members would pass for a smaller data set.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_StrictHeader":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf and not any(buf):  # a block of zeros: the end, as it should be
                raise
            raise tarfile.ReadError(str(error)) from error
