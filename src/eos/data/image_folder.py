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
Entries = dict[PurePosixPath, Callable[[], bytes] | None]
# Class name -> the paths of its images.
Classes = dict[str, list[PurePosixPath]]


def image_folder(
    raw: Path,
    *,
    path: str,
    image_size: int,
    channels: int,
    test_fraction: float,
    seed: int,
    train_per_class: int | None = None,
    test_per_class: int | None = None,
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
        train, test = _some(train, train_per_class, seed), test and _some(test, test_per_class, seed)
        names = sorted(train)
        ordered = [(label, file) for label, name in enumerate(names) for file in sorted(train[name])]
        n_train = len(ordered)
        if test is not None:
            ordered += [(label, file) for label, name in enumerate(names) for file in sorted(test[name])]
        print(f"{place}: {len(ordered)} images in {len(names)} classes", flush=True)
        images = _read(place, entries, [file for _, file in ordered], image_size, channels)
    labels = np.array([label for label, _ in ordered], dtype=np.int64)
    in_test = np.arange(len(labels)) >= n_train
    if test is None:
        if train_per_class == 1:
            raise InputError(
                "train_per_class 1: without a folder test/ a class needs two images, one to train on and one "
                "to test; set it to 2 or more"
            )
        in_test = hold_out(labels, test_fraction, seed)
        print(
            f"{place}: no folder test/, so {test_fraction:.3g} of each class, drawn with seed {seed}, make "
            f"the test set: {in_test.sum()} images; {n_train - in_test.sum()} are left to train on",
            flush=True,
        )
    return ImageDataset(
        train_images=images[~in_test],
        train_labels=labels[~in_test],
        test_images=images[in_test],
        test_labels=labels[in_test],
        class_names=tuple(names),
    )


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
    position = {file: index for index, file in enumerate(entries)}
    order = np.argsort([position[file] for file in files])
    readers = [(f"{place}: {files[index]}", entries[files[index]]) for index in order]
    images = read_images(
        [(name, reader) for name, reader in readers if reader], image_size=image_size, channels=channels
    )
    return images[np.argsort(order)]


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
    if place.is_dir():
        yield _visible(_folder_entries(place))
    elif not place.exists():
        raise InputError(f"{place}: no such folder or archive; a relative path starts at {Path.cwd()}")
    elif place.name.lower().endswith(TAR_ENDINGS):
        with ExitStack() as opened:
            with _sound(place):
                tar = opened.enter_context(tarfile.open(place, tarinfo=_StrictHeader))
            yield _visible(_tar_entries(place, tar))
    elif place.name.lower().endswith(ZIP_ENDINGS):
        with ExitStack() as opened:
            with _sound(place):
                packed = opened.enter_context(zipfile.ZipFile(place))
            yield _visible(_zip_entries(place, packed))
    else:
        raise InputError(
            f"{place}: not a known type of archive; known: {', '.join(TAR_ENDINGS + ZIP_ENDINGS)}"
        )


def _visible(entries: Entries) -> Entries:
    return {
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


def _tar_entries(place: Path, archive: tarfile.TarFile) -> Entries:
    with _sound(place):
        members = archive.getmembers()
        # On to the end of the file, where compressed data have their checksum.
        while archive.fileobj and archive.fileobj.read(2**20):
            pass
    entries: Entries = {}
    for member in members:
        file = _inside(place, member.name)
        if member.isdir():
            entries[file] = None
        elif member.isfile():
            entries[file] = partial(_read_member, place, archive, member)
        else:
            kind = "a link" if member.issym() or member.islnk() else "a device or a pipe"
            raise _refused(place, member.name, kind)
    return entries


def _read_member(place: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    with _sound(place):
        content = archive.extractfile(member)
        assert content is not None  # it is a file
        return content.read()


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


def _zip_entries(place: Path, archive: zipfile.ZipFile) -> Entries:
    entries: Entries = {}
    for member in archive.infolist():
        file = _inside(place, member.filename)
        # The upper half holds a Unix mode, where the archive was made on Unix.
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise _refused(place, member.filename, "a link" if kind == stat.S_IFLNK else "a device or a pipe")
        entries[file] = None if member.is_dir() else partial(_read_packed, place, archive, member)
    return entries


def _read_packed(place: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with _sound(place):
        return archive.read(member)


def _inside(place: Path, name: str) -> PurePosixPath:
    """Return a member's path, or raise `InputError` if it leads out of the archive on any system."""
    # Windows' rules take in those of the others: "/" and "\\" both separate, and "C:" is absolute too.
    path = PureWindowsPath(name)
    if path.anchor or ".." in path.parts:
        raise _refused(place, name, "a path that leads out of it")
    return PurePosixPath(name)


def _refused(place: Path, name: str, what: str) -> InputError:
    return InputError(f"{place}: member {name!r} is {what}; pack the images themselves, by relative paths")


@contextmanager
def _sound(place: Path) -> Iterator[None]:
    """Turn what reading a damaged archive raises into `InputError`."""
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        RuntimeError,  # an encrypted zip
    ) as error:
        raise InputError(
            f"{place}: cannot be read ({error}); it may be damaged, cut off or of another type than its "
            "name says: get or pack it again"
        ) from error
