"""Bad files to every reader: refused in one message with the place and the fault, or read as they should be.

Each call may take 20 s and 1 GiB more memory than there was; a pipe that is opened, a bomb that is expanded
or room made for what a header claims ends there. A refusal is an `InputError`, from a command
exit status 1 and "error: ...", whose text has the file's name and matches what the case expects.
"""

import gzip
import hashlib
import io
import json
import lzma
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from eos.errors import InputError
from tools.torture.case import Case

_SECONDS, _BYTES = 20, 2**30
_ROOT = Path(__file__).parents[2]

Files = dict[str, bytes]  # by path; one that ends in "/" is a folder
Call = Callable[[], object]


def cases() -> list[Case]:
    """Return the attacks."""
    told = [
        *_trees(),
        *_archives(),
        *_no_files(),
        *_images(),
        *_embeddings(),
        *_npz(),
        *_parquet(),
        *_features(),
        *_classifiers(),
        *_networks(),
        *_commands(),
    ]
    seen: set[str] = set()
    made = []
    for kind, name, attack in told:  # the suite runs the first of some kinds
        made.append(Case("files", f"{kind}: {name}", attack, sample=kind in _SAMPLED - seen))
        seen.add(kind)
    return made


_SAMPLED = {
    "folder of images",
    "tar.gz of images",
    "zip member",
    "no file as set.zip",
    "image",
    "embeddings in safetensors",
    "an array of an npz",
    "an npy",
    "classifier.json",
}

Attack = tuple[str, str, Callable[[Path], str]]


# How a call is watched


class _TooLongError(BaseException):
    """Not to be caught by a reader as damage."""


@contextmanager
def watched() -> Iterator[None]:
    """Bound the time and the memory of the block, and take a warning for an error."""

    def late(_: int, __: FrameType | None) -> NoReturn:
        raise _TooLongError

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _BYTES, before[1]))
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("error", RuntimeWarning)
            yield
    except _TooLongError:
        raise AssertionError(f"not done in {_SECONDS} s") from None
    except MemoryError as error:
        raise AssertionError(f"took more than {_BYTES} bytes: {error!r}") from error
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


def refused(call: Call, *expected: str) -> str:
    """Assert that a call raises `InputError` that matches every pattern, in text that a terminal can show."""
    try:
        with watched():
            made = call()
    except InputError as error:
        told = str(error)
    else:
        raise AssertionError(f"taken: {made!r:.200}")
    check(told, *expected)
    return "refused"


def check(told: str, *expected: str) -> None:
    """Assert that a message matches every pattern and has no control character."""
    for pattern in expected:
        assert re.search(pattern, told, re.DOTALL), f"{pattern!r} is not in {told[:1000]!r}"
    odd = [letter for letter in told if unicodedata.category(letter) in {"Cc", "Cf"} and letter != "\n"]
    assert not odd, f"control characters {odd} in {told[:1000]!r}"
    assert len(told) < 8000, f"{len(told)} letters: {told[:1000]!r}"


def main(*arguments: str) -> str:
    """Run a command in this process; return its error, "" where it has none."""
    from eos.__main__ import main as command

    with watched(), redirect_stderr(io.StringIO()):
        try:
            command(arguments)
        except SystemExit as ended:
            if isinstance(ended.code, str):
                return ended.code
            return f"exit status {ended.code} without a message"
    return ""


# Images


def encoded(kind: str = "PNG", size: tuple[int, int] = (8, 8), mode: str = "RGB", seed: int = 0) -> bytes:
    """Return an image of noise as a file."""
    channels = len(mode) if mode in {"RGB", "RGBA"} else 1
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    image = Image.fromarray(pixels if channels > 1 else pixels[..., 0])
    if mode == "F":
        image = image.convert("F")
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def huge_png(width: int = 12_900) -> bytes:
    """Return a small PNG that says it has width² pixels, all of them black."""
    line = zlib.compressobj()
    rows = line.compress(bytes((width // 8 + 1) * width)) + line.flush()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, width, 1, 0, 0, 0, 0)),
        (b"IDAT", rows),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def tree() -> Files:
    """Return two classes of three images in train/ and two in test/."""
    counts = {"train": 3, "test": 2}
    return {
        f"{part}/{name}/{number}.png": encoded(seed=number)
        for part, count in counts.items()
        for name in ("cat", "dog")
        for number in range(count)
    }


def pack(place: Path, files: Mapping[str, bytes], form: str) -> Path:
    """Write files as a folder or an archive, and return where."""
    if form == "folder":
        for name, content in files.items():
            path = place / "set" / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.write_bytes(content)
        (place / "set").mkdir(exist_ok=True)
        return place / "set"
    path = place / f"set.{form}"
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        return path
    mode: Any = f"w:{form.partition('.')[2]}"
    with tarfile.open(path, mode, errors="surrogateescape") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.size, info.type = len(content), tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            tar.addfile(info, io.BytesIO(content))
    return path


def read_tree(path: Path | str) -> Any:
    """Read a tree as the stage `prepare` does."""
    from eos.data.image_folder import image_folder

    return image_folder(
        Path(),
        path=str(path),
        image_size=8,
        channels=3,
        test_fraction=0.25,
        seed=0,
        train_per_class=None,
        test_per_class=None,
    )


def _without(*starts: str) -> Files:
    return {name: content for name, content in tree().items() if not name.startswith(starts)}


def _called(name: str) -> Files:
    return {path.replace("cat", name): content for path, content in tree().items()}


def _with(**files: bytes) -> Files:
    return tree() | {"train/cat/" + name.replace("__", "."): content for name, content in files.items()}


FORMS = ("folder", "zip", "tar", "tar.gz", "tar.xz")


def _trees() -> Iterator[Attack]:
    control = "1 class names hold control characters or are not UTF-8: '{}'; rename"
    attacks: list[tuple[str, Files, str]] = [
        ("nothing in it", {}, r"holds no folder train/; lay"),
        ("no train/", {"cat/1.png": encoded()}, r"holds no folder train/"),
        ("an empty train/", {"train/": b""}, r"train/ holds 0 classes; there must be two"),
        ("one class", _without("train/dog", "test/dog"), r"train/ holds 1 classes; there must be two"),
        (
            "an empty class",
            tree() | {"train/eel/": b"", "test/eel/": b""},
            r"train/eel/.* holds no image; add",
        ),
        (
            "no class in train/",
            {**tree(), "test/eel/1.png": encoded()},
            r"class 'eel' is in test/ but not in train/",
        ),
        ("no class in test/", _without("test/dog"), r"class 'dog' is in train/ but not in test/"),
        (
            "one image and no test/",
            _without("test/", "train/cat/1", "train/cat/2"),
            r"class 'cat' has one im",
        ),
        ("an ESC in a class", _called("\x1b[31mred"), re.escape(control.format(r"\x1b[31mred"))),
        ("a line's end in a class", _called("two\nlines"), re.escape(control.format(r"two\nlines"))),
        ("a class written from right to left", _called("\u202egpj"), re.escape(control.format(r"\u202egpj"))),
        ("no letter of XML in a class", _called("\uffff"), re.escape(control.format(r"\uffff"))),
        ("a blank class", _called("\u00a0 "), r"'\\xa0 ': the name of a class is blank; rename"),
        ("an image cut off", _with(x__png=encoded()[:60]), r"1 of 11 images .*cat/x\.png: \S"),
        (
            "text called an image",
            _with(x__png=b"no image"),
            r"1 of 11 images .*cat/x\.png: of none of the kn",
        ),
        ("an empty image", _with(x__png=b""), r"1 of 11 images .*cat/x\.png: the file is empty"),
        ("an image of 166 million pixels", _with(x__png=huge_png()), r"cat/x\.png: .*166410000 pixels\) exc"),
        ("pixels of 32 bits", _with(x__tif=encoded("TIFF", mode="F")), r"cat/x\.tif: pixels of 32 bits"),
        ("a drawing", _with(x__svg=b"<svg/>"), r"1 of 11 images .*cat/x\.svg: of none of the known"),
        (
            "twelve bad images",
            _with(**{f"{one}__png": b"x" for one in range(10, 22)}),
            r"^[^\n]*12 of 22 im.*and 2",
        ),
        (
            "an image too deep",
            tree() | {"train/cat/more/x.png": encoded()},
            r"train/cat/more/; images belong",
        ),
        ("an image too high", tree() | {"train/x.png": encoded()}, r"1 files or folders .*train/x\.png"),
        (
            "two sets",
            {f"{one}/{name}": data for one in "ab" for name, data in tree().items()},
            r"holds a/train/ ",
        ),
    ]
    for name, files, expected in attacks:
        for form in FORMS:

            def attack(place: Path, files: Files = files, form: str = form, expected: str = expected) -> str:
                path = pack(place, files, form)
                return refused(lambda: read_tree(path), f"^{re.escape(str(path))}: ", expected)

            yield f"{form} of images", name, attack
    for form in FORMS:
        yield f"{form} of images", "an accent written in two ways is one class", partial(_one_name, form=form)
        yield f"{form} of images", "hidden files and others", partial(_passed_over, form=form)
    for form in ("folder", "tar"):
        yield f"{form} of images", "a class that is no UTF-8", partial(_no_utf8, form=form)


def _one_name(place: Path, form: str) -> str:
    one, other = (unicodedata.normalize(kind, "é") for kind in ("NFC", "NFD"))
    files = {
        path.replace("cat", other if path.startswith("test") else one): data for path, data in tree().items()
    }
    with watched():
        made = read_tree(pack(place, files, form))
    assert made.class_names == ("dog", one), made.class_names
    return "one class"


def _passed_over(place: Path, form: str) -> str:
    more = {
        "train/cat/.hidden.png": b"x",
        "train/cat/notes.txt": b"x",
        ".git/train/x": b"",
        "__MACOSX/train/x": b"",
    }
    with watched():
        made = read_tree(pack(place, tree() | more, form))
    assert (len(made.train_images), len(made.test_images)) == (6, 4)
    return "passed over"


def _no_utf8(place: Path, form: str) -> str:
    path = pack(place, _called("\udcff"), form)
    return refused(lambda: read_tree(path), r"1 class names hold .* or are not UTF-8: '\\udcff'; rename")


# Archives


def _archives() -> Iterator[Attack]:
    for form in FORMS[1:]:
        yield form, "cut off at 40 places", partial(_cut_archive, form=form)
        yield form, "a byte changed, 60 times", partial(_changed_archive, form=form)
        yield (
            form,
            "empty",
            partial(_archive_of, form=form, content=b"", expected=r"cannot be read \([^\n]+get or"),
        )
        yield (
            form,
            "foreign",
            partial(_archive_of, form=form, content=b"no " * 999, expected=r"cannot be read \("),
        )
        yield form, "the whole set twice, one behind the other", partial(_twice, form=form)
    for name, told in (
        ("../x.png", "leads out"),
        ("/etc/x.png", "leads out"),
        ("C:\\x.png", "leads out"),
        ("a\\..\\..\\x.png", "leads out"),
        ("//server/share/x.png", "leads out"),
    ):
        for form in ("zip", "tar"):
            yield f"{form} member", f"called {name}", partial(_member, form=form, name=name, expected=told)
    kinds = {
        "SYMTYPE": "is a link",
        "LNKTYPE": "is a link",
        "CHRTYPE": "is a device",
        "FIFOTYPE": "is a device",
    }
    for kind, told in kinds.items():
        yield "tar member", f"of type {kind}", partial(_tar_kind, kind=getattr(tarfile, kind), expected=told)
    for kind in "LKxgS0":
        for form in ("tar", "tar.gz", "tar.xz"):
            yield "tar bomb", f"{kind} of 8 GB in {form}", partial(_tar_bomb, form=form, kind=kind)
    yield "tar bomb", "100,000 members", _many_members
    yield "tar bomb", "2 GB of zeros behind the end", _zeros_behind
    yield "tar bomb", "2 GB that are there, of one member", _true_bomb
    for method in ("DEFLATED", "BZIP2", "LZMA"):
        yield (
            "zip bomb",
            f"320 MB of one member, {method}",
            partial(_zip_bomb, method=method, told=20 * 2**24),
        )
        yield "zip bomb", f"1 GB that says it is 1 kB, {method}", partial(_zip_bomb, method=method, told=1000)
    for what, where, value in (("encrypted", 6, 1), ("of an unknown method", 8, 77)):
        yield "zip member", what, partial(_zip_field, where=where, value=value)


def _cut_archive(place: Path, form: str) -> str:
    path = pack(place, tree(), form)
    whole = path.read_bytes()
    end = len(whole) - (10240 if form == "tar" else 0)  # zeros: the end, several times
    for cut in np.linspace(0, end - 1, 40).astype(int):
        path.write_bytes(whole[:cut])
        refused(lambda: read_tree(path), f"^{re.escape(str(path))}: ")
    return "refused"


def _changed_archive(place: Path, form: str) -> str:
    """Read the same images, or refuse: all but a plain tar have sums of what they hold."""
    path = pack(place, tree(), form)
    whole, known = path.read_bytes(), read_tree_quietly(path)
    random = np.random.default_rng(0)
    for where in random.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[where] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            with watched():
                made = read_tree(path)
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017
            check(ascii(str(error)))
            continue
        if form != "tar" and made.class_names == known.class_names:
            assert images_of(made) <= images_of(known), f"byte {where}: other images"
    return "refused or the same"


def images_of(made: Any) -> set[bytes]:
    """Return the training images: a changed name may change their order."""
    return {image.tobytes() for image in made.train_images}


def read_tree_quietly(path: Path) -> Any:
    """Read a tree under watch."""
    with watched():
        return read_tree(path)


def _archive_of(place: Path, form: str, content: bytes, expected: str) -> str:
    path = place / f"set.{form}"
    path.write_bytes(content)
    return refused(lambda: read_tree(path), f"^{re.escape(str(path))}: {expected}")


def _twice(place: Path, form: str) -> str:
    """Take a set twice for one: where a name is there twice, the last counts, as for unzip and tar."""
    path = pack(place, tree(), form)
    path.write_bytes(path.read_bytes() * 2)
    try:
        made = read_tree_quietly(path)
    except InputError:
        return "refused"
    assert len(made.train_images) == 6
    return "read once"


def _member(place: Path, form: str, name: str, expected: str) -> str:
    path = pack(place, tree() | {name: encoded()}, form)
    return refused(lambda: read_tree(path), f"1 members may not be read: {re.escape(repr(name))}.*{expected}")


def _tar_kind(place: Path, kind: bytes, expected: str) -> str:
    path = pack(place, tree(), "tar")
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("train/cat/x.png")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    return refused(lambda: read_tree(path), f"1 members may not be read: 'train/cat/x.png' {expected}")


def _header(name: str, size: int, kind: bytes = b"0") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def _compressed(form: str, content: bytes) -> bytes:
    compress: dict[str, Any] = {"tar": bytes, "tar.gz": gzip.compress, "tar.xz": lzma.compress}
    packed: bytes = compress[form](content)
    return packed


_EXPANDS = (
    r"expands to more than \d+ bytes, which is much for an archive of its size; if you trust it, unpack"
)


def _tar_bomb(place: Path, form: str, kind: str) -> str:
    return _archive_of(
        place, form, _compressed(form, _header("train/cat/x.png", 2**33, kind.encode())), _EXPANDS
    )


def _many_members(place: Path) -> str:
    return _archive_of(place, "tar.gz", gzip.compress(_header("train/a/x.png", 0) * 100_000), _EXPANDS)


def _zeros_behind(place: Path) -> str:
    content = gzip.compress(_header("x", 0)) + gzip.compress(bytes(2**26)) * 32
    return _archive_of(place, "tar.gz", content, _EXPANDS)


def _true_bomb(place: Path) -> str:
    content = gzip.compress(_header("train/cat/x.png", 2**31)) + gzip.compress(bytes(2**26)) * 32
    return _archive_of(place, "tar.gz", content, _EXPANDS)


def _zip_bomb(place: Path, method: str, told: int) -> str:
    """Write a gigabyte of zeros as one member, and what the directory tells of it."""
    path = pack(place, tree(), "zip")
    with zipfile.ZipFile(path, "a", getattr(zipfile, f"ZIP_{method}")) as packed:
        info = zipfile.ZipInfo("train/cat/x.png")
        info.compress_type = packed.compression
        with packed.open(info, "w", force_zip64=True) as member:
            for _ in range(64 if told == 1000 else 20):
                member.write(bytes(2**24))
        packed.infolist()[-1].file_size = told
    expected = (
        _EXPANDS
        if told > 1000
        else r"1 of 11 images cannot be read.*train/cat/x\.png: (Bad CRC-32|compressed by another method)"
    )
    return refused(lambda: read_tree(path), expected)


def _zip_field(place: Path, where: int, value: int) -> str:
    """Change a field of the first member's headers."""
    path = pack(place, tree(), "zip")
    content = bytearray(path.read_bytes())
    for magic, more in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
        at = content.index(magic) + where + more
        content[at : at + 2] = struct.pack("<H", value)
    path.write_bytes(content)
    return refused(lambda: read_tree(path), r"1 of 10 images cannot be read|cannot be read \(")


# What is no file


def special(place: Path, kind: str, name: str) -> Path:
    """Make what is no file, or cannot be reached, and return where."""
    path = place / name
    match kind:
        case "a pipe":
            os.mkfifo(path)
        case "a socket":
            here = Path.cwd()
            os.chdir(place)  # a socket's path is short
            try:
                socket.socket(socket.AF_UNIX).bind(name)
            finally:
                os.chdir(here)
        case "a link to /dev/zero":
            path.symlink_to("/dev/zero")
        case "a link to itself":
            path.symlink_to(name)
        case "a name of 5,000 letters":
            return place / ("n" * 5000 + name)
        case "a path of 5,000 letters":
            return place / ("deep/" * 1000) / name
        case "a folder":
            path.mkdir()
        case "nothing":
            pass
        case "a sparse file of 300 MB":
            with path.open("wb") as file:
                file.truncate(300 * 2**20)
    return path


SPECIAL = (
    "a pipe",
    "a socket",
    "a link to /dev/zero",
    "a link to itself",
    "a name of 5,000 letters",
    "a path of 5,000 letters",
    "nothing",
)


def _no_files() -> Iterator[Attack]:
    """Yield what is no file, where each reader expects one."""
    readers: dict[str, Callable[[Path, str], str]] = {
        "set.zip": lambda path, said: refused(
            lambda: read_tree(path), said, "no such folder or arch|but a pipe or"
        ),
        "set.tar.gz": lambda path, said: refused(
            lambda: read_tree(path), said, "no such folder or ar|but a pipe or"
        ),
        "cat.png": lambda path, said: refused(
            lambda: read_one(path), said, "1 of 2 .*: (neither a file|No such|Fil|To)"
        ),
        "x.npz": lambda path, said: refused(lambda: read_rows(path), said, "put it there|name a file"),
        "x.parquet": lambda path, said: refused(lambda: read_rows(path), said, "put it there|name a file"),
        "x.safetensors": lambda path, said: refused(
            lambda: read_rows(path), said, "put it there|name a file"
        ),
        "x.npy": lambda path, said: _predicted(
            path, said, "no file of features that can be used|no such picture"
        ),
    }
    for name, attack in readers.items():
        for kind in SPECIAL:
            yield f"no file as {name}", kind, partial(_special, kind=kind, name=name, attack=attack)
    for name in ("classifier.json", "head.safetensors", "backbone.safetensors"):
        for kind in SPECIAL[:4]:
            yield f"no file as {name}", kind, partial(_part_of_classifier, kind=kind, name=name)
    for kind in ("a name of 5,000 letters", "a path of 5,000 letters", "nothing", "a pipe"):
        yield (
            "no file as a classifier",
            kind,
            partial(
                _special,
                kind=kind,
                name="model",
                attack=lambda path, said: refused(lambda: load(path), said, "no such folder|name another"),
            ),
        )
    yield (
        "no folder",
        "~ of no user",
        lambda _: refused(lambda: read_tree("~nobodyhere/x"), "home dir.*write the path out"),
    )
    yield (
        "no folder",
        "a zero byte",
        lambda _: refused(lambda: read_tree("a\0b"), "no such folder or archive"),
    )
    yield (
        "no folder",
        "of an unknown ending",
        lambda place: refused(
            lambda: read_tree(_made(place / "x.rar", b"Rar!")),
            r"x\.rar: not a known type of archive; known: \.tar",
        ),
    )


def _made(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _special(place: Path, kind: str, name: str, attack: Callable[[Path, str], str]) -> str:
    path = special(place, kind, name)
    return attack(path, re.escape(str(path)[:100]))


def _part_of_classifier(place: Path, kind: str, name: str) -> str:
    folder = classifier(place, backbone=True)
    (folder / name).unlink()
    special(folder, kind, name)
    return refused(lambda: load(folder), re.escape(str(folder)), f"{name}(: no such file| is missing)")


# Single images


def read_one(path: Path) -> Any:
    """Read one image that is bad beside one that is good, as `Classifier.predict` does."""
    from eos.data.image_files import read_paths, unreadable

    good = next(one for one in path.parents if os.path.isdir(one))
    (good / "good-one.png").write_bytes(encoded())
    images, bad = read_paths([path, good / "good-one.png"], image_size=8, channels=3)
    assert images[1].any()
    if bad:
        raise unreadable({str(path): reason for reason in bad.values()}, 2)
    return images


def _images() -> Iterator[Attack]:
    for kind in ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP"):
        yield "image", f"{kind}, cut off at 30 places", partial(_cut_image, kind=kind)
        yield "image", f"{kind}, bytes changed, 60 times", partial(_changed_image, kind=kind)
    for size in (0, -1, 4097, 10**9, 10**30):
        yield "image", f"to be of {size:.3g} pixels a side", partial(_image_size, size=size)
    yield (
        "image",
        "a sparse file of 300 MB",
        lambda place: refused(
            lambda: read_one(special(place, "a sparse file of 300 MB", "x.png")),
            r"314572800 bytes are more than the 268435456 that are read",
        ),
    )
    yield (
        "image",
        "EPS, which Pillow gives to a program",
        lambda place: refused(
            lambda: read_one(_made(place / "x.png", encoded("EPS"))), "of none of the known formats"
        ),
    )
    yield (
        "image",
        "thin: one pixel by 60,000",
        lambda place: _taken(_made(place / "x.png", encoded(size=(1, 60_000)))),
    )
    yield (
        "image",
        "more images than there is memory",
        lambda _: refused(_many_images, "10000000 images of image_size 4096 do not fit into memory"),
    )


def _many_images() -> Any:
    from eos.data.image_files import read_images

    return read_images([("", bytes)] * 10**7, image_size=4096, channels=3)


def _taken(path: Path) -> str:
    with watched():
        read_one(path)
    return "read"


def _image_size(_: Path, size: int) -> str:
    from eos.data.image_files import read_images

    call: Call = lambda: read_images([("x.png", encoded)], image_size=size, channels=3)  # noqa: E731
    return refused(call, f"image_size {size}: images can have 1 to 4096 pixels")


def _cut_image(place: Path, kind: str) -> str:
    whole, path = encoded(kind, (64, 48)), place / "x.png"
    for cut in np.linspace(0, len(whole) // 2, 30).astype(int):
        path.write_bytes(whole[:cut])
        try:
            with watched():
                read_one(path)
        except InputError as error:
            check(str(error), r"^1 of 2 images cannot be read.*x\.png: \S")
        else:
            assert cut > 100 or kind in {"TGA", "GIF"}, f"{cut} of {len(whole)} bytes were taken"
    return "refused"


def _changed_image(place: Path, kind: str) -> str:
    whole, path = encoded(kind, (64, 48)), place / "x.png"
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for where in random.integers(0, min(len(whole), 400), 3):
            damaged[where] = int(random.integers(256))
        path.write_bytes(damaged)
        try:
            with watched(), quiet():
                read_one(path)
        except InputError as error:
            assert re.search(r"^1 of 2 images cannot be read.*x\.png: \S", str(error), re.DOTALL)  # noqa: PT017
    return "refused or read"


# Files of embeddings

Arrays = dict[str, np.ndarray]


def arrays() -> Arrays:
    """Return a file of embeddings, with all that it may hold."""
    random = np.random.default_rng(0)
    made: Arrays = {}
    for part, count in (("train", 12), ("validation", 4), ("test", 6)):
        made[f"{part}_features"] = random.normal(size=(count, 5)).astype(np.float32)
        made[f"{part}_labels"] = np.arange(count) % 2
        made[f"{part}_logits"] = random.normal(size=(count, 2)).astype(np.float32)
    made["classifier_weight"] = random.normal(size=(2, 5)).astype(np.float32)
    made["classifier_bias"] = np.zeros(2, np.float32)
    return made


def read_rows(path: Path, **changes: Any) -> Any:
    """Read a file of embeddings as the stage `prepare_embeddings` does."""
    from eos.data.embeddings import read_embeddings

    given: dict[str, Any] = {"test_share": 0.3, "validation_fraction": 0.2, "seed": 0, "standardize": True}
    return read_embeddings(path, **given | changes)


def write_rows(path: Path, content: Arrays, names: list[str] | None = None) -> Path:
    """Write arrays as a file of embeddings of the kind that its name says."""
    if path.suffix == ".npz":
        more: Any = {} if names is None else {"class_names": np.array(names)}
        np.savez(path, **content | more)
    else:
        from safetensors.numpy import save_file

        ordered = {name: np.asarray(array, order="C") for name, array in content.items()}
        save_file(ordered, path, metadata=None if names is None else {"class_names": json.dumps(names)})
    return path


def _set(name: str, row: Any, value: Any, dtype: Any = None) -> Arrays:
    made = arrays()
    changed = made[name].astype(dtype or made[name].dtype)
    changed[row] = value
    return made | {name: changed}


def _embeddings() -> Iterator[Attack]:
    both = arrays()
    train, labels = both["train_features"], both["train_labels"]
    attacks: list[tuple[str, Arrays, list[str] | None, str]] = [
        ("nothing in it", {"x": train}, None, "has no array 'train_features'"),
        ("no labels", {"train_features": train}, None, "has no array 'train_labels'"),
        (
            "labels too few",
            both | {"train_labels": labels[1:]},
            None,
            r"train_labels: shape \(11,\); give one label",
        ),
        (
            "labels in a matrix",
            both | {"train_labels": labels[:, None]},
            None,
            r"train_labels: shape \(12, 1\)",
        ),
        (
            "labels of no values",
            both | {"train_labels": np.empty((12, 0))},
            None,
            "train_labels: rows of no values",
        ),
        ("one value as labels", both | {"train_labels": np.array(1)}, None, "train_labels: a single value"),
        (
            "labels of halves",
            _set("train_labels", 3, 0.5, float),
            None,
            "train_labels: 0.5 in row 3 is missing or",
        ),
        (
            "a label NaN",
            _set("test_labels", 3, np.nan, float),
            None,
            "test_labels: nan in row 3 is missing or no",
        ),
        (
            "a label of 2**63",
            _set("train_labels", 3, 2**63, "u8"),
            None,
            "train_labels: 9223372036854775808 in row 3",
        ),
        (
            "a class of test rows only",
            _set("test_labels", 3, 7),
            None,
            "test_labels, row 3: 7 is a class without",
        ),
        ("one class", both | {"train_labels": labels * 0}, None, "1 class among the training labels"),
        (
            "features of no columns",
            both | {"train_features": train[:, :0]},
            None,
            r"train_features: a float32 array",
        ),
        (
            "features of another width",
            both | {"test_features": np.ones((6, 4))},
            None,
            "test_features: 4 columns, but",
        ),
        (
            "features in three dimensions",
            both | {"train_features": train[None]},
            None,
            r"shape \(1, 12, 5\); give num",
        ),
        (
            "features that are bool",
            both | {"train_features": train > 0},
            None,
            "train_features: a bool array",
        ),
        (
            "a feature NaN",
            _set("test_features", (4, 1), np.nan),
            None,
            "test_features: row 4 holds NaN, infinity",
        ),
        (
            "a feature infinite",
            _set("train_features", (5, 1), -np.inf),
            None,
            "train_features: row 5 holds NaN",
        ),
        (
            "a feature of 1e300",
            _set("train_features", (5, 1), 1e300, float),
            None,
            "train_features: row 5 holds .*too l",
        ),
        (
            "logits of three classes",
            both | {"test_logits": np.ones((6, 3))},
            None,
            r"test_logits: shape \(6, 3\)",
        ),
        ("a logit NaN", _set("test_logits", (2, 0), np.nan), None, "test_logits: row 2 holds NaN"),
        (
            "a weight of another shape",
            both | {"classifier_weight": np.ones((5, 2))},
            None,
            r"classifier_weight: .*\(5, 2\)",
        ),
        ("a bias NaN", _set("classifier_bias", 0, np.nan), None, "classifier_bias: holds NaN"),
        ("a name with ESC", both, ["a", "\x1b[31m"], r"class name '\\x1b\[31m' is blank or has control char"),
        ("a blank name", both, ["a", " "], "class name ' ' is blank or has control"),
        (
            "a name from right to left",
            both,
            ["a", "\u202egpj"],
            r"class name '\\u202egpj' is blank or has con",
        ),
        ("a name twice", both, ["a", "a"], "class_names: 'a' is there twice"),
        (
            "an accent in two ways",
            both,
            ["é", "e\u0301"],
            "is there twice; name each class once, its accents",
        ),
        ("a name too few", both, ["a"], "1 class among the training labels"),
        ("a class without rows", both, ["a", "b", "c"], "class 'c' has no training rows"),
        ("100,000 names", both, [str(one) for one in range(100_000)], "class '2' has no training rows"),
        (
            "no training rows",
            both | {name: both[name][:0] for name in both if "train" in name},
            None,
            "no training rows",
        ),
    ]
    for name, content, names, expected in attacks:
        for ending in ("npz", "safetensors"):

            def attack(
                place: Path,
                content: Arrays = content,
                names: list[str] | None = names,
                expected: str = expected,
                ending: str = ending,
            ) -> str:
                path = write_rows(place / f"x.{ending}", content, names)
                return refused(lambda: read_rows(path), f"^{re.escape(str(path))}: ", expected)

            yield f"embeddings in {ending}", name, attack
    for ending in ("npz", "safetensors", "parquet"):
        for name, raw in (("empty", b""), ("foreign", b"no such thing" * 99)):
            yield f"embeddings in {ending}", name, partial(_rows_of, ending=ending, content=raw)
        yield f"embeddings in {ending}", "cut off at 40 places", partial(_cut_rows, ending=ending)
        yield f"embeddings in {ending}", "a byte changed, 100 times", partial(_changed_rows, ending=ending)
    for ending in ("csv", "npy", "NPZ", "pkl"):
        yield "embeddings", f"in .{ending}", partial(_unknown_rows, ending=ending)
    for name, metadata in (
        ("deep", "[" * 5000),
        ("no list", '{"a": 1}'),
        ("numbers", "[1, 2]"),
        ("no JSON", "a, b"),
    ):
        yield "embeddings in safetensors", f"class_names: {name}", partial(_bad_names, metadata=metadata)
    yield (
        "embeddings in safetensors",
        "a header of 2**60 bytes",
        lambda place: refused(
            lambda: read_rows(_made(place / "x.safetensors", struct.pack("<Q", 2**60) + b"{}")),
            "damaged or not safetensors",
        ),
    )
    header = json.dumps(
        {"train_features": {"dtype": "F32", "shape": [2**40, 4], "data_offsets": [0, 16]}}
    ).encode()
    yield (
        "embeddings in safetensors",
        "a shape larger than the file",
        lambda place: refused(
            lambda: read_rows(
                _made(place / "x.safetensors", struct.pack("<Q", len(header)) + header + bytes(16))
            ),
            "damaged or not safetensors",
        ),
    )
    many = json.dumps(
        {
            "train_features": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]},
            "train_labels": {"dtype": "F32", "shape": [2**60, 0], "data_offsets": [4, 4]},
        }
    ).encode()
    yield (
        "embeddings in safetensors",
        "2**60 labels of no values",
        lambda place: refused(
            lambda: read_rows(_made(place / "x.safetensors", struct.pack("<Q", len(many)) + many + bytes(4))),
            "train_labels: rows of no values",
        ),
    )


def _unknown_rows(place: Path, ending: str) -> str:
    path = _made(place / f"x.{ending}", b"1,2\n")
    return refused(lambda: read_rows(path), rf"x\.{ending}: not a known type of file; known: \.npz")


def _bad_names(place: Path, metadata: str) -> str:
    from safetensors.numpy import save_file

    save_file(arrays(), place / "x.safetensors", metadata={"class_names": metadata})
    return refused(
        lambda: read_rows(place / "x.safetensors"), r"class_names: no JSON list of texts; write json\.du"
    )


def _rows_of(place: Path, ending: str, content: bytes) -> str:
    path = _made(place / f"x.{ending}", content)
    return refused(
        lambda: read_rows(path), f"^{re.escape(str(path))}: damaged or not [^\n]+; write it again$"
    )


def rows_file(place: Path, ending: str) -> Path:
    """Write a sound file of embeddings."""
    if ending != "parquet":
        return write_rows(place / f"x.{ending}", arrays())
    return write_columns(place / "x.parquet", {})


def write_columns(path: Path, changes: Mapping[str, Any]) -> Path:
    """Write a sound Parquet file with some columns changed; None takes one out."""
    import polars

    columns = {
        "label": ["a", "b"] * 6,
        "split": ["train"] * 8 + ["test"] * 4,
        "features": np.random.default_rng(0).normal(size=(12, 5)).tolist(),
    }
    frame = {name: values for name, values in (columns | dict(changes)).items() if values is not None}
    polars.DataFrame(frame).write_parquet(path)
    return path


def _cut_rows(place: Path, ending: str) -> str:
    path = rows_file(place, ending)
    whole = path.read_bytes()
    for cut in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:cut])
        refused(lambda: read_rows(path), f"^{re.escape(str(path))}: ")
    return "refused"


def _changed_rows(place: Path, ending: str) -> str:
    path = rows_file(place, ending)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for where in random.integers(0, len(whole), 100):
        damaged = bytearray(whole)
        damaged[where] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            with watched(), quiet():
                read_rows(path)
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017
    return "refused or read"


@contextmanager
def quiet() -> Iterator[None]:
    """Take away what a library writes of itself to the standard error: polars tells there where it panics."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def npy(header: str, content: bytes = b"", version: int = 1) -> bytes:
    """Return an .npy file with a header as given."""
    raw = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + length + raw + content


def _npz() -> Iterator[Attack]:
    shape = "{'descr': '%s', 'fortran_order': %s, 'shape': %s}"
    headers: list[tuple[str, bytes]] = [
        ("an array of objects", npy(shape % ("|O", False, (12, 5)), b"cos\nsystem\n(S'true'\ntR.")),
        ("2**40 rows", npy(shape % ("<f4", False, (2**40, 5)))),
        ("2**70 rows", npy(shape % ("<f4", False, (2**70, 5)))),
        ("2**40 columns", npy(shape % ("<f4", False, (1, 2**40)))),
        ("2**40 columns, by column", npy(shape % ("<f4", True, (1, 2**40)))),
        ("rows below nothing", npy(shape % ("<f4", False, (-12, 5)))),
        ("rows and columns below nothing", npy(shape % ("<f4", False, (-12, -5)), bytes(240))),
        ("text of 2**30 letters", npy(shape % ("<U1073741824", False, (12,)))),
        ("text of no letters", npy(shape % ("<U0", False, (2**60,)))),
        (
            "a type of arrays",
            npy("{'descr': ('<f4', (5,)), 'fortran_order': False, 'shape': (12,)}", bytes(240)),
        ),
        (
            "a type of fields",
            npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (12,)}", bytes(48)),
        ),
        ("brackets left open", npy("(" * 300)),
        ("9,000 signs", npy("-" * 9000 + "1")),
        ("a list as a key", npy("{[]: 1}")),
        ("a string left open", npy("{'descr")),
        ("a call", npy("__import__('os').system('true')")),
        ("a shape of text", npy("{'descr': '<f4', 'fortran_order': False, 'shape': 'ab'}")),
        ("a shape of bool", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True, True)}", bytes(4))),
        ("version 9", b"\x93NUMPY\x09\x09" + bytes(99)),
        ("a header of 4 GB", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(99)),
        ("more than its header says", npy(shape % ("<f4", False, (12, 5)), bytes(244))),
        ("less than its header says", npy(shape % ("<f4", False, (12, 5)), bytes(236))),
    ]
    for name, content in headers:
        for array in ("train_features", "train_labels"):
            yield (
                "an array of an npz",
                f"{name}, as {array}",
                partial(_npz_member, name=array, content=content),
            )
        yield "an npy", name, partial(_npy, content=content, fits=name == "more than its header says")
    for method in ("DEFLATED", "BZIP2", "LZMA"):
        for told in (0, 1000):
            what = f"512 MB of zeros that say they are {told or 'what they are'}"
            yield "npz bomb", f"{what}, {method}", partial(_npz_bomb, method=method, told=told)
    for what, where, value in (("encrypted", 6, 1), ("of an unknown method", 8, 77)):
        yield "an array of an npz", what, partial(_npz_field, where=where, value=value)


def _npz_member(place: Path, name: str, content: bytes) -> str:
    path = place / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in (arrays() | {name: np.empty(0)}).items():
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(f"{key}.npy", content if key == name else file.getvalue())
    return refused(lambda: read_rows(path), f"^{re.escape(str(path))}: .*(write it again|; give|save )")


def _npz_bomb(place: Path, method: str, told: int) -> str:
    path = write_rows(place / "x.npz", arrays() | {"train_features": np.zeros((1, 1))})
    with zipfile.ZipFile(path) as before:
        others = {name: before.read(name) for name in before.namelist() if name != "train_features.npy"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in others.items():
            archive.writestr(name, content)
        info = zipfile.ZipInfo("train_features.npy")
        info.compress_type = getattr(zipfile, f"ZIP_{method}")
        with archive.open(info, "w", force_zip64=True) as member:
            member.write(npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (12, {2**29 // 48})}}"))
            for _ in range(32):
                member.write(bytes(2**24))
        if told:
            archive.infolist()[-1].file_size = told
    expected = (
        "(its header tells of shape|.*Bad CRC|.*another method)"
        if told == 1000
        else r"expands to \d+ bytes, and no more than 268435456 are"
    )
    return refused(lambda: read_rows(path), f"^{re.escape(str(path))}: ", expected)


def _npz_field(place: Path, where: int, value: int) -> str:
    path = write_rows(place / "x.npz", arrays())
    content = bytearray(path.read_bytes())
    for magic, more in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
        at = content.index(magic) + where + more
        content[at : at + 2] = struct.pack("<H", value)
    path.write_bytes(content)
    return refused(lambda: read_rows(path), r"x\.npz: damaged or not an \.npz archive \(.+\); write it again")


def _parquet() -> Iterator[Attack]:
    rows = np.random.default_rng(0).normal(size=(12, 5)).tolist()
    attacks: list[tuple[str, dict[str, Any], str]] = [
        ("no label", {"label": None}, "has no column 'label'"),
        ("a label missing", {"label": [None, *("ab" * 6)[1:]]}, "label: 1 are missing; drop such rows"),
        ("labels of lists", {"label": [[1]] * 12}, "label: of type object; give whole numbers or text"),
        ("labels of bytes", {"label": [b"\xff", b"a"] * 6}, "label: of type object"),
        ("labels of halves", {"label": [0.5, 1] * 6}, "label: 0.5 in row 0 is missing or no whole"),
        (
            "a split that is none",
            {"split": ["tset"] * 12},
            "split: 'tset' is none of train, validation, test",
        ),
        ("a split missing", {"split": [None] + ["train"] * 11}, "split: 'null' is none of train"),
        ("splits of numbers", {"split": list(range(12))}, "split: a column of Int64; write one of train"),
        ("splits of lists", {"split": [[1]] * 12}, r"split: a column of List\(Int64\)"),
        ("splits of bytes", {"split": [b"\xff"] * 12}, "split: a column of Binary"),
        ("no features", {"features": None}, "has no features"),
        ("features of text", {"features": ["1"] * 12}, "features: a column of String; give lists of numbers"),
        (
            "a text beside numbers",
            {"features": None, "x": [1.0] * 12, "y": ["1"] * 12},
            "column 'y' is of String",
        ),
        (
            "lists of two lengths",
            {"features": [*rows[:7], rows[7][1:], *rows[8:]]},
            "row 7 has 4 values, the first 5",
        ),
        ("a list missing", {"features": [*rows[:7], None, *rows[8:]]}, "row 7 has 0 values, the first 5"),
        (
            "a number missing",
            {"features": [*rows[:7], [None, *rows[7][1:]], *rows[8:]]},
            "features: row 7 holds NaN",
        ),
        ("empty lists", {"features": [[]] * 12}, "features: a column of List"),
        ("lists of text", {"features": [["a"]] * 12}, "features: a column of List"),
    ]
    for name, changes, expected in attacks:

        def attack(place: Path, changes: dict[str, Any] = changes, expected: str = expected) -> str:
            path = write_columns(place / "x.parquet", changes)
            return refused(lambda: read_rows(path), f"^{re.escape(str(path))}: ", expected)

        yield "embeddings in parquet", name, attack
    yield "embeddings in parquet", "2**29 rows in some kilobytes", _parquet_bomb


def _parquet_bomb(place: Path) -> str:
    import polars

    path, small = place / "x.parquet", place / "small.parquet"
    rows = 2**22
    polars.DataFrame({"label": np.zeros(rows, np.int8), "x": np.zeros(rows, np.int8)}).write_parquet(small)
    frame = polars.scan_parquet([small] * 128)
    frame.sink_parquet(path)
    small.unlink()
    assert path.stat().st_size < 2**22, path.stat().st_size
    return refused(
        lambda: read_rows(path), r"x\.parquet: its rows: expands to \d+ bytes, and no more than 268435456"
    )


# Exported classifiers, and features to classify


def classifier(place: Path, *, backbone: bool = False, changes: Mapping[str, Any] | None = None) -> Path:
    """Write an exported classifier, its description changed by dotted keys, and return its folder."""
    from eos.classifier.folder import BACKBONE, HEAD, write_folder

    description: dict[str, Any] = {
        "class_names": ["cat", "dog"],
        "n_features": 64 if backbone else 5,
        "head": {"own": False, "classifier": "linear", "scale": 1.0},
        "backbone": None,
        "computing": {"device": "cpu", "cpu_threads": 1, "portable": False, "precision": "fp32"},
        "trained_on": {},
        "scores": {},
        "versions": {},
    }
    content: dict[str, Arrays] = {
        HEAD: {"weight": np.ones((2, description["n_features"]), np.float32), "bias": np.zeros(2, np.float32)}
    }
    if backbone:
        from eos.models.network import build_network

        known = {
            "architecture": "resnet8",
            "branches": 1,
            "channels": 3,
            "image_size": 8,
            "mean": [0.5] * 3,
            "std": [0.2] * 3,
        }
        description["backbone"] = known
        network: Any = build_network("resnet8", channels=3, n_classes=2, generator=_drawn()).backbone
        content[BACKBONE] = {name: value.numpy() for name, value in network.state_dict().items()}
    folder = place / "model"
    write_folder(folder, description, content)
    if changes:
        rewrite(folder, changes)
    return folder


def _drawn() -> Any:
    """Return a generator: a fuzzer's file is of the same network in every process."""
    import torch

    return torch.Generator().manual_seed(0)


def rewrite(folder: Path, changes: Mapping[str, Any]) -> None:
    """Change a description, and give it the digest that it then has: whoever changes it can do that."""
    path = folder / "classifier.json"
    told = json.loads(path.read_text())
    for key, value in changes.items():
        *above, last = key.split(".")
        inner = told
        for one in above:
            inner = inner[one]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
    sign(path, json.dumps(told | {"sha256": "0" * 64}).encode())


def sign(path: Path, content: bytes) -> None:
    """Write a description with its digest in place of the zeros."""
    blank = b"0" * 64
    path.write_bytes(content.replace(blank, hashlib.sha256(content).hexdigest().encode(), 1))


def load(folder: Path) -> Any:
    """Load a classifier and have it classify images."""
    import eos

    made = eos.load(folder)
    inputs = np.zeros((2, 8, 8, 3), np.uint8) if made.description["backbone"] else np.zeros((2, 5))
    return made.predict_proba(inputs)


def _classifiers() -> Iterator[Attack]:
    values: list[tuple[str, Any]] = [
        ("class_names", 3),
        ("class_names", []),
        ("class_names", [1, 2]),
        ("class_names", "ab"),
        ("n_features", "5"),
        ("n_features", 10**30),
        ("n_features", -1),
        ("n_features", True),
        ("head", None),
        ("head", []),
        ("head.own", ...),
        ("head.classifier", ["linear"]),
        ("head.classifier", "circular"),
        ("head.scale", "1"),
        ("head.scale", 1e300),
        ("head.scale", float("nan")),
        ("backbone", "resnet8"),
        ("backbone", []),
        ("backbone.architecture", 8),
        ("backbone.branches", 3),
        ("backbone.channels", 10**10),
        ("backbone.channels", -3),
        ("backbone.channels", ...),
        ("backbone.image_size", 10**9),
        ("backbone.image_size", 0),
        ("backbone.mean", "abc"),
        ("backbone.mean", [None] * 3),
        ("backbone.mean", [0.5]),
        ("backbone.std", [0, 0, 0]),
        ("backbone.std", [0.2] * 4),
        ("computing", 3),
        ("computing.device", 1),
        ("computing.cpu_threads", -1),
        ("computing.cpu_threads", 10**9),
        ("computing.portable", "no"),
        ("computing.precision", None),
        ("files", []),
        ("files", {}),
        ("files", {"head.safetensors": 3}),
    ]
    for key, value in values:
        name = "taken out" if value is ... else f"{value!r:.30}"
        yield "classifier.json", f"{key}: {name}", partial(_description, key=key, value=value)
    for key, value, expected in (
        ("backbone.architecture", "resnet9", "unknown architecture 'resnet9'; did you"),
        ("backbone.architecture", "resnet20", "weights: not those of a resnet20"),
        ("computing.device", "tpu", "device 'tpu'"),
        ("computing.device", "cuda:99", "device 'cuda:99'"),
    ):
        yield "classifier.json", f"{key}: {value}", partial(_unknown, key=key, value=value, expected=expected)
    for name, content in (
        ("a list", b'[{"sha256": "%s"}]' % (b"0" * 64)),
        ("deep", b'{"sha256": "%s", "format": %s' % (b"0" * 64, b"[" * 9999)),
        ("cut off", b'{"sha256": "%s", "format": ' % (b"0" * 64)),
        ("no UTF-8", b'{"sha256": "%s", "format": "\xff"}' % (b"0" * 64)),
        ("another format", b'{"sha256": "%s", "format": {}}' % (b"0" * 64)),
        ("5,000 digits", b'{"sha256": "%s", "format": %s}' % (b"0" * 64, b"9" * 5000)),
    ):
        yield "classifier.json", f"{name}, with its right digest", partial(_raw_description, content=content)
    for file in ("classifier.json", "head.safetensors", "backbone.safetensors"):
        yield "classifier", f"{file} cut off, changed, foreign, gone", partial(_damaged_classifier, file=file)
    yield "classifier", "weights of bfloat16, with their right digest", _bfloat16
    yield "classifier", "files of 5 GB", _large_classifier


def _description(place: Path, key: str, value: Any) -> str:
    folder = classifier(place, backbone=True, changes={key: value})
    told = refused(
        lambda: load(folder),
        r"classifier\.json: .*(copy|export) (the folder|it) again",
        key.split(".", maxsplit=1)[0],
    )
    error = main("predict", str(folder), str(place))
    check(error, r"^error: .*classifier\.json: ", key.split(".", maxsplit=1)[0])
    return told


def _unknown(place: Path, key: str, value: str, expected: str) -> str:
    folder = classifier(place, backbone=True, changes={key: value})
    return refused(lambda: load(folder), expected)


def _raw_description(place: Path, content: bytes) -> str:
    folder = classifier(place)
    sign(folder / "classifier.json", content)
    return refused(
        lambda: load(folder), rf"^{re.escape(str(folder))}/classifier\.json: .+; copy the folder again"
    )


def _damaged_classifier(place: Path, file: str) -> str:
    folder = classifier(place, backbone=True)
    path, expected = folder / file, rf"{re.escape(file)}(: | is missing)"
    whole = path.read_bytes()
    for content in (
        b"",
        whole[:-1],
        whole[: len(whole) // 2],
        whole + b"\n",
        b"x" * len(whole),
        whole[1:] + b"\0",
    ):
        path.write_bytes(content)
        refused(lambda: load(folder), expected)
    path.unlink()
    return refused(lambda: load(folder), expected)


def _bfloat16(place: Path) -> str:
    folder = classifier(place)
    header = json.dumps({"weight": {"dtype": "BF16", "shape": [2, 5], "data_offsets": [0, 20]}}).encode()
    raw = struct.pack("<Q", len(header)) + header + bytes(20)
    (folder / "head.safetensors").write_bytes(raw)
    told = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    rewrite(folder, {"files": {"head.safetensors": told}})
    return refused(lambda: load(folder), r"head\.safetensors: not safetensors")


def _large_classifier(place: Path) -> str:
    folder = classifier(place)
    size = 5 * 2**30
    with (folder / "head.safetensors").open("wb") as file:
        file.truncate(size)  # sparse: it takes no room
    rewrite(folder, {"files": {"head.safetensors": {"bytes": size, "sha256": "0" * 63 + "1"}}})
    return refused(
        lambda: load(folder), rf"head\.safetensors: {size} bytes, and none larger than 4294967296 is read"
    )


def _predicted(path: Path, *expected: str) -> str:
    """Have a classifier of features predict a good file and a bad one: the good one is predicted."""
    place = next(one for one in path.parents if os.path.isdir(one))
    folder = place / "model" if (place / "model").exists() else classifier(place)
    np.save(place / "good.npy", np.zeros((2, 5)))
    table = place / "table.csv"
    error = main("predict", str(folder), str(path), str(place / "good.npy"), "--csv", str(table))
    check(error, r"^error: 1 of 2 files could not be read", *expected)
    assert table.read_text().count("\n") == 3, "the good file was not predicted"
    return "refused"


def _npy(place: Path, content: bytes, *, fits: bool) -> str:
    path = _made(place / "x.npy", content)
    if fits:
        return _predicted(path, r"x\.npy: no file of features")
    return _predicted(path, r"x\.npy: no file of features that can be used \(")


def _raw_features(place: Path, ending: str, content: bytes) -> str:
    path = _made(place / f"x.{ending}", content)
    return _predicted(path, rf"x\.{ending}: no file of features that can be used \(")


def _features() -> Iterator[Attack]:
    sound = io.BytesIO()
    np.save(sound, np.zeros((3, 5)))
    for name, raw in (("empty", b""), ("foreign", b"x" * 999), ("cut off", sound.getvalue()[:-8])):
        for ending in ("npy", "npz"):
            yield f"features in {ending}", name, partial(_raw_features, ending=ending, content=raw)
    yield (
        "features in npz",
        "an npy file",
        lambda place: _predicted(
            _made(place / "x.npz", sound.getvalue()), r"x\.npz: no file of features that can be used \("
        ),
    )
    for name, content, told in (
        ("no features", {"x": np.zeros((2, 5))}, "no array 'features'"),
        ("names too few", {"features": np.zeros((2, 5)), "files": np.array(["a"])}, r"files of shape \(1,\)"),
        (
            "names in a matrix",
            {"features": np.zeros((2, 5)), "files": np.array([["a"]] * 2)},
            r"files of shape \(2, 1",
        ),
        ("too narrow", {"features": np.zeros((2, 4))}, r"an array of shape \(2, 4\); this classifier takes"),
        ("no rows", {"features": np.zeros((0, 5))}, r"an array of shape \(0, 5\)"),
        ("NaN", {"features": np.full((2, 5), np.nan)}, "values that are no numbers"),
        ("1e300", {"features": np.full((2, 5), 1e300)}, "too large for float32"),
        ("text", {"features": np.full((2, 5), "1")}, "values that are no numbers"),
        ("complex", {"features": np.full((2, 5), 1j)}, "values that are no numbers"),
    ):

        def attack(place: Path, content: Arrays = content, told: str = told) -> str:
            made: Any = content
            np.savez(place / "x.npz", **made)
            return _predicted(place / "x.npz", r"x\.npz: no file of features that can be used \(", told)

        yield "features in npz", name, attack


# Networks of this pipeline, and the command `embed`


def network(place: Path) -> Path:
    """Save a network as the stage `train` does, and return its folder."""
    from eos.models.network import build_network
    from eos.models.saved import save_network

    description = {
        "architecture": "resnet8",
        "classifier": "linear",
        "branches": 1,
        "channels": 3,
        "class_names": ["cat", "dog"],
        "mean": [0.5] * 3,
        "std": [0.2] * 3,
        "precision": "fp32",
        "epochs": {"last": 1},
    }
    made = build_network("resnet8", channels=3, n_classes=2, generator=_drawn())
    save_network(place / "net", {"last": made.state_dict()}, description)
    return place / "net"


def _networks() -> Iterator[Attack]:
    for file in ("network.json", "last.safetensors"):
        for name in ("empty", "foreign", "cut off", "gone", "a pipe", "a folder"):
            yield file, name, partial(_damaged_network, file=file, name=name)
    for name, content in (("a list", "[]"), ("nothing in it", "{}"), ("deep", "[" * 99_999), ("NaN", "NaN")):
        yield "network.json", name, partial(_damaged_network, file="network.json", name=name, content=content)


def _damaged_network(place: Path, file: str, name: str, content: str | None = None) -> str:
    folder, pictures = network(place), pack(place, tree(), "zip")
    path = folder / file
    whole = path.read_bytes()
    path.unlink()
    if name in {"a pipe", "a folder"}:
        special(folder, name, file)
    elif name != "gone":
        damaged = {"empty": b"", "foreign": b"no such thing" * 99, "cut off": whole[: len(whole) // 2]}
        path.write_bytes(damaged[name] if content is None else content.encode())
    out = place / "out.npz"
    error = main(
        "embed", str(pictures), str(out), "--backbone", str(folder), "--image-size", "8", "--device", "cpu"
    )
    check(error, rf"^error: {re.escape(str(path))}: ")
    assert not out.exists()
    assert not list(place.glob(".*")), "a rest was left"
    return "refused"


def _commands() -> Iterator[Attack]:
    """Yield real command lines, each in a process of its own."""
    yield "command line", "embed of a path that is no UTF-8", _embed_odd_path
    yield (
        "command line",
        "embed of ~ and no user",
        partial(
            _command,
            arguments=("embed", "~nobodyhere/x", "x.npz"),
            expected="error: ~nobodyhere/x: .*write the path out",
        ),
    )
    yield (
        "command line",
        "embed of a name of 5,000 letters",
        partial(
            _command,
            arguments=("embed", "n" * 5000, "x.npz"),
            expected="error: n+: no such folder or archive",
        ),
    )
    yield (
        "command line",
        "embed of a pipe",
        partial(
            _command,
            arguments=("embed", "PIPE.zip", "x.npz"),
            expected="error: PIPE.zip: neither a folder nor a file, but a",
        ),
    )
    yield (
        "command line",
        "embed into a folder",
        partial(
            _command, arguments=("embed", "set.zip", "dir.npz"), expected=r"error: dir\.npz: is a folder"
        ),
    )
    yield (
        "command line",
        "embed with a bad image",
        partial(
            _command,
            arguments=("embed", "bad.zip", "x.npz"),
            expected="error: bad.zip: 1 of 11 images cannot be read",
        ),
    )
    yield (
        "command line",
        "predict of pictures, one of them a pipe",
        partial(
            _command,
            arguments=("predict", "model", "PIPE.zip"),
            expected="error: 1 of 1 pictures could not be read",
        ),
    )
    yield (
        "command line",
        "predict by a folder that is no classifier",
        partial(
            _command,
            arguments=("predict", "net", "set.zip"),
            expected="error: net: holds no classifier: classifier.json is",
        ),
    )
    yield (
        "command line",
        "predict by a name of 5,000 letters",
        partial(
            _command,
            arguments=("predict", "n" * 5000, "set.zip"),
            expected="error: folder: File name too long: n+; name",
        ),
    )
    yield (
        "command line",
        "predict of a name of 5,000 letters",
        partial(
            _command,
            arguments=("predict", "model", "n" * 5000),
            expected="error: n+: no such picture or folder",
        ),
    )


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m eos` in a folder, with 8 GiB of address space and a minute at most."""
    return subprocess.run(
        [sys.executable, "-m", "eos", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(_ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33)),
    )


def _command(place: Path, arguments: tuple[str, ...], expected: str) -> str:
    pack(place, _with(x__png=b"no image"), "zip").rename(place / "bad.zip")
    pack(place, tree(), "zip")
    network(place)
    classifier(place, backbone=True)
    os.mkfifo(place / "PIPE.zip")
    (place / "dir.npz").mkdir()
    more = ("--backbone", "net", "--image-size", "8", "--device", "cpu") if arguments[0] == "embed" else ()
    done = run(place, *arguments, *more)
    assert done.returncode == 1, f"exit status {done.returncode}: {done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    check(done.stderr, expected)
    assert not (place / "x.npz").exists()
    return "refused"


def _embed_odd_path(place: Path) -> str:
    network(place)
    pack(place, tree(), "folder").rename(place / "\udcff")
    done = run(place, "embed", "\udcff", "x.npz", "--backbone", "net", "--image-size", "8", "--device", "cpu")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (place / "x.npz").exists()
    return "read"
