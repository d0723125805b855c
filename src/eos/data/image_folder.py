"""Anybody's own images: a tree of folders, one per class, as it lies or packed in an archive."""

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from eos.data.image_dataset import ImageDataset
from eos.data.image_files import read_images
from eos.data.splits import hold_out
from eos.errors import InputError

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP_ENDINGS = (".zip",)

# What a folder or an archive holds, by path: the function that reads a file, None for a folder.
Reader = Callable[[], bytes]
Entries = dict[PurePosixPath, Reader | None]
# Class name -> the paths of its images.
Classes = dict[str, list[PurePosixPath]]

# What opening a damaged archive, or one of another type, raises.
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)
_PLAIN = (0, stat.S_IFREG, stat.S_IFDIR)


def image_folder(
    raw: Path,
    *,
    path: str,
    image_size: int,
    channels: int,
    test_fraction: float,
    seed: int,
    train_per_class: int | None,
    test_per_class: int | None,
) -> ImageDataset:
    """Read images laid out as `train/<class>/<image>` and `test/<class>/<image>`.

    The two trees may lie in one enclosing folder; what lies beside them, hidden files and `__MACOSX` are
    passed over. Classes are numbered and images ordered by name, so the result does not depend on how they
    are stored. Without `test/`, images drawn from each class of `train/` make the test set, and a line that
    says so is printed. Archives are read in memory; nothing is unpacked.

    Parameters
    ----------
    raw
        Not used: `path` says where the images are.
    path
        A folder, or an archive: .zip, or .tar, also compressed by gzip, bzip2 or xz.
    image_size
        Height and width in pixels; see `eos.data.image_files.read_images` for images of another size.
    channels
        1 for grey, 3 for RGB.
    test_fraction
        Without `test/`: the share of each class that makes the test set, but at least one image, never all.
    seed
        Picks them, and those that the next two keep.
    train_per_class, test_per_class
        Read at most so many images of each class of `train/` and of `test/`, for a quick trial; all by
        default.

    Raises
    ------
    InputError
        If the path is missing or of unknown type, an archive is damaged or has a member that is a link or
        a device or that lies outside it, the tree is not as above, a class is empty or in one of the two
        trees only, there are fewer than two classes, or a file is not a sound image.
    """
    place = Path(path).expanduser()
    with _entries(place) as entries:
        train, test = _layout(place, entries)
        _check_classes(place, train, test)
        if test is None and train_per_class == 1:
            raise InputError(
                "train_per_class 1: without a folder test/ a class needs two images, one to train on and one "
                "to test; set it to 2 or more"
            )
        names = sorted(train)
        train, test = _some(train, train_per_class, seed), test and _some(test, test_per_class, seed)
        labelled = [
            (file, label)
            for tree in (train, test or {})
            for label, name in enumerate(names)
            for file in sorted(tree.get(name, ()))
        ]
        print(f"{place}: {len(labelled)} images in {len(names)} classes", flush=True)
        images = _read(place, entries, [file for file, _ in labelled], image_size, channels)
    labels = np.array([label for _, label in labelled], dtype=np.int64)
    in_test = np.arange(len(labels)) >= sum(map(len, train.values()))
    if test is None:
        in_test = hold_out(labels, test_fraction, seed)
        print(
            f"{place}: no folder test/, so {test_fraction:.3g} of each class, drawn with seed {seed}, make "
            f"the test set: {in_test.sum()} images; {(~in_test).sum()} are left to train on",
            flush=True,
        )
    in_train = ~in_test
    return ImageDataset(images[in_train], labels[in_train], images[in_test], labels[in_test], tuple(names))


def _some(classes: Classes, most: int | None, seed: int) -> Classes:
    """Return at most `most` files of each class, drawn from all of them."""
    if most is None:
        return classes
    random = np.random.default_rng(seed)
    return {
        name: [files[row] for row in random.permutation(len(files))[:most]]
        for name, files in ((name, sorted(classes[name])) for name in sorted(classes))
    }


def _read(
    place: Path, entries: Entries, files: list[PurePosixPath], image_size: int, channels: int
) -> np.ndarray:
    """Return the images of `files` in that order, read in the order of `entries`.

    A compressed archive can be read forward only: to go back is to decompress it again from its beginning.
    """
    wanted = set(files)
    readers = {file: reader for file, reader in entries.items() if reader and file in wanted}
    named = [(f"{place}: {file}", reader) for file, reader in readers.items()]
    images = read_images(named, image_size=image_size, channels=channels)
    row = {file: number for number, file in enumerate(readers)}
    return images[[row[file] for file in files]]


def _layout(place: Path, entries: Entries) -> tuple[Classes, Classes | None]:
    """Return the images of the training and of the test tree; None where there is no test tree."""
    base = _base(place, entries)
    trees: dict[str, Classes] = {}
    for file, reader in entries.items():
        parts = file.parts[len(base.parts) :] if file.is_relative_to(base) else ()
        match parts, reader is None:
            case ("train" | "test" as tree,), True:
                trees.setdefault(tree, {})
            case ("train" | "test" as tree, name), True:
                trees.setdefault(tree, {}).setdefault(name, [])
            case ("train" | "test" as tree, name, _), False:
                trees.setdefault(tree, {}).setdefault(name, []).append(file)
            case ("train" | "test" as tree, *_), False:
                raise InputError(
                    f"{place}: {file} does not lie in a class's folder; images belong into "
                    f"{tree}/<class>/<image>, neither higher nor deeper"
                )
    return trees["train"], trees.get("test")


def _base(place: Path, entries: Entries) -> PurePosixPath:
    """Return the folder that holds `train/`: the outermost, or one enclosing folder."""
    bases = {
        PurePosixPath(*file.parts[:depth])
        for file, reader in entries.items()
        for depth in (0, 1)
        if file.parts[depth : depth + 1] == ("train",) and (reader is None or len(file.parts) > depth + 1)
    }
    if PurePosixPath() in bases:
        return PurePosixPath()
    if not bases:
        raise InputError(f"{place}: holds no folder train/; lay the images out as train/<class>/<image>")
    if len(bases) > 1:
        found = " and ".join(f"{base}/train/" for base in sorted(bases)[:2])
        raise InputError(f"{place}: holds {found}; a data set has one, so name the folder above it")
    return bases.pop()


def _check_classes(place: Path, train: Classes, test: Classes | None) -> None:
    """Raise `InputError` unless there are two classes or more, none of them empty, the same in both trees.

    Their names go into tables and figures, so they have to be text.
    """
    for name in sorted({*train, *(test or {})}):
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise InputError(f"{place}: class {name!r}: the folder's name is not UTF-8; rename it")
    for tree, classes in (("train", train), ("test", test or {})):
        empty = sorted(name for name, files in classes.items() if not files)
        if empty:
            raise InputError(f"{place}: {tree}/{empty[0]}/ holds no image; add some or remove the folder")
    if len(train) < 2:
        raise InputError(f"{place}: train/ holds {len(train)} classes; there must be two at least")
    if test is None:
        single = sorted(name for name, files in train.items() if len(files) == 1)
        if single:
            raise InputError(
                f"{place}: class {single[0]!r} has one image, which cannot be both trained on and tested on; "
                "add images, or a folder test/"
            )
    elif train.keys() != test.keys():
        name = min(train.keys() ^ test.keys())
        tree, other = ("train", "test") if name in train else ("test", "train")
        raise InputError(
            f"{place}: class {name!r} is in {tree}/ but not in {other}/; both need the same classes"
        )


@contextmanager
def _entries(place: Path) -> Iterator[Entries]:
    """Open a folder or an archive and yield what it holds, hidden things left out."""
    name = place.name.lower()
    if not place.exists():
        raise InputError(f"{place}: no such folder or archive; a relative path starts at {Path.cwd()}")
    if not place.is_dir() and not name.endswith(TAR_ENDINGS + ZIP_ENDINGS):
        raise InputError(
            f"{place}: not a known type of archive; known: {', '.join(TAR_ENDINGS + ZIP_ENDINGS)}"
        )
    with ExitStack() as opened:
        try:
            if place.is_dir():
                entries = _folder_entries(place)
            elif name.endswith(ZIP_ENDINGS):
                entries = _zip_entries(place, opened.enter_context(zipfile.ZipFile(place)))
            else:
                tar = opened.enter_context(tarfile.open(place, tarinfo=_StrictHeader))
                entries = _tar_entries(place, tar)
        except _DAMAGE as error:
            raise InputError(
                f"{place}: cannot be read ({error}); it may be damaged, cut off or of another type than its "
                "name says: get or pack it again"
            ) from error
        yield {
            file: reader
            for file, reader in entries.items()
            if not any(part.startswith(".") or part == "__MACOSX" for part in file.parts)
        }


def _folder_entries(place: Path) -> Entries:
    entries: Entries = {}
    for folder, folders, files in os.walk(place, followlinks=True):
        inside = PurePosixPath(Path(folder).relative_to(place).as_posix())
        for name in folders:
            entries[inside / name] = None
        for name in files:
            entries[inside / name] = partial(_read_file, Path(folder) / name)
        # No image lies deeper than <enclosing>/train/<class>/; what does is met once, as an error.
        if len(inside.parts) > 3:
            folders.clear()
    return entries


def _read_file(file: Path) -> bytes:
    if not file.is_file():  # to read a pipe would wait for ever
        raise ValueError("neither a file nor a link to one")
    return file.read_bytes()


def _zip_entries(place: Path, archive: zipfile.ZipFile) -> Entries:
    entries: Entries = {}
    for member in archive.infolist():
        # The upper half holds a Unix mode, where the archive was made on Unix.
        mode = stat.S_IFMT(member.external_attr >> 16)
        file = _inside(place, member.filename, plain=mode in _PLAIN, link=mode == stat.S_IFLNK)
        entries[file] = None if member.is_dir() else partial(archive.read, member)
    return entries


def _tar_entries(place: Path, archive: tarfile.TarFile) -> Entries:
    members = archive.getmembers()
    # On to the end of the file, where compressed data have their checksum.
    while archive.fileobj and archive.fileobj.read(2**20):
        pass
    entries: Entries = {}
    for member in members:
        plain, link = member.isfile() or member.isdir(), member.issym() or member.islnk()
        file = _inside(place, member.name, plain=plain, link=link)
        entries[file] = None if member.isdir() else partial(_read_member, archive, member)
    return entries


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    assert content is not None  # it is a file
    return content.read()


def _inside(place: Path, name: str, *, plain: bool, link: bool) -> PurePosixPath:
    """Return a member's path, or raise `InputError` unless it is a file or folder inside, on any system."""
    # Windows' rules take in those of the others: "/" and "\\" both separate, and "C:" is absolute too.
    path = PureWindowsPath(name)
    if path.anchor or ".." in path.parts:
        what = "a path that leads out of it"
    elif not plain:
        what = "a link" if link else "a device or a pipe"
    else:
        return PurePosixPath(name)
    raise InputError(f"{place}: member {name!r} is {what}; pack the images themselves, by relative paths")


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
