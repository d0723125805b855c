"""Reading many image files, each as one square array of the same size."""

import io
import os
import stat
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eos.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

# Formats that hold pixels. Pillow knows others too, but some of them (EPS) start foreign programs.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP")

# Images all the same: they are reported, where other files of unknown formats are passed over.
UNREADABLE_ENDINGS = frozenset({".heic", ".heif", ".jxl", ".svg"})

# Bounds of the memory that one file can take: as it lies, and decoded. Pillow's own bound, 89 million pixels,
# lies between; it is an error here.
MOST_BYTES = 2**28
MOST_SIDE = 4096

MOST_NAMED = 10

SECONDS_BETWEEN_LINES = 10.0

Reader = Callable[[], bytes]


class Clock:
    """Says when it is time for a line of progress."""

    def __init__(self) -> None:
        self.start = self.told = time.monotonic()

    def due(self) -> bool:
        """Return whether the last line, or the start, is long ago."""
        now = time.monotonic()
        if now - self.told < SECONDS_BETWEEN_LINES:
            return False
        self.told = now
        return True


def read_images(files: Sequence[tuple[str, Reader]], *, image_size: int, channels: int) -> np.ndarray:
    """Read image files; where that takes long, print a line now and then with the time left.

    An image is turned as its EXIF data say, converted to grey or RGB, and the largest square in its middle
    is resized (bilinear, antialiased): the shorter side becomes `image_size` pixels, the rest of the longer
    is cut off. 16-bit grey is brought to 8 bits; transparency is dropped; of an animation the first frame
    counts.

    Parameters
    ----------
    files
        A name for messages, and the function that returns the file's content.
    image_size
        Height and width of the result in pixels, at most 4096.
    channels
        1 for grey, 3 for RGB.

    Returns
    -------
    ndarray of uint8, shape (n, image_size, image_size, channels)

    Raises
    ------
    InputError
        If files cannot be read or are no sound images of a known format: it counts them, and names the first
        ten. If the images do not fit into memory.
    """
    images, bad = _read([read for _, read in files], image_size, channels)
    if bad:
        raise unreadable({files[row][0]: reason for row, reason in bad.items()}, len(files))
    return images


@contextmanager
def strict() -> Iterator[None]:
    """Decode in the block: a decompression bomb is an error there, and no other warning is shown."""
    from PIL import Image

    with warnings.catch_warnings(action="ignore"):
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def unreadable(bad: Mapping[str, str], total: int) -> InputError:
    """Return the error that counts what cannot be read, of `total` files, and says why of the first ten."""
    lines = listed([f"{name}: {reason}" for name, reason in bad.items()], separator="\n  ")
    return InputError(f"{len(bad)} of {total} images cannot be read; repair or remove them:\n  {lines}")


def read_paths(
    paths: Sequence[str | os.PathLike[str]], *, image_size: int, channels: int
) -> tuple[np.ndarray, dict[int, str]]:
    """Read image files as `read_images` does, but tell which cannot be read instead of stopping.

    Returns
    -------
    images : ndarray of uint8, shape (n, image_size, image_size, channels)
        One for each path; black where the file cannot be read.
    bad : dict
        What is wrong with each of those: its row, and a reason in a few words.

    Raises
    ------
    InputError
        If the images do not fit into memory.
    """
    return _read([partial(read_file, Path(path)) for path in paths], image_size, channels)


def read_file(path: Path) -> bytes:
    """Return a file's content; `ValueError` or `OSError` for what is no file, or larger than any image."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # to read a pipe would wait for ever
        raise ValueError("neither a file nor a link to one")
    return read_bounded(path.read_bytes, status.st_size)


def read_bounded(read: Reader, size: int) -> bytes:
    """Return what `read` does, or raise `ValueError` before that if it is larger than any image."""
    if size > MOST_BYTES:
        raise ValueError(f"{size} bytes are more than the {MOST_BYTES} that are read of an image")
    return read()


def is_image(name: str, read: Reader) -> bool:
    """Return whether a file's ending is that of an image, or else, whether its content is one's."""
    ending = os.path.splitext(name)[1].lower()
    if ending in _endings() or ending in UNREADABLE_ENDINGS:
        return True
    from PIL import Image

    # TGA files have no signature: many a file of other content would pass for one.
    known = [kind for kind in FORMATS if kind != "TGA"]
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(read()), formats=known):
            return True
    except Exception:  # it cannot be read, so it is no image either
        return False


def listed(items: Iterable[str], *, separator: str = ", ") -> str:
    """Return the first ten in one text, and how many more there are.

    Those with characters that a terminal would not show as they are, or obey, are escaped.
    """
    items = list(items)
    first = list(map(shown, items[:MOST_NAMED]))
    more = len(items) - len(first)
    return separator.join([*first, f"and {more} more"] if more else first)


def shown(text: str) -> str:
    """Return a text, escaped where it has characters that a terminal would not show as they are, or obey."""
    return text if text.isprintable() else ascii(text)


@cache
def _endings() -> frozenset[str]:
    from PIL import Image

    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS)


def _read(readers: Sequence[Reader], image_size: int, channels: int) -> tuple[np.ndarray, dict[int, str]]:
    """Return all images, and the rows and the faults of those that cannot be read."""
    shape = (len(readers), image_size, image_size, channels)
    if not 1 <= image_size <= MOST_SIDE:
        raise InputError(f"image_size {image_size}: images can have 1 to {MOST_SIDE} pixels a side")
    try:
        images = np.zeros(shape, dtype=np.uint8)
    except MemoryError as error:
        raise InputError(
            f"{len(readers)} images of image_size {image_size} do not fit into memory; read fewer or smaller"
        ) from error
    bad: dict[int, str] = {}
    clock = Clock()
    with strict():
        for row, read in enumerate(readers):
            try:
                images[row] = square(decoded(read(), channels), image_size)
            except Exception as error:  # on damaged files, Pillow's decoders raise errors of many kinds
                bad[row] = reason(error)
            if clock.due():
                done = row + 1
                left = (clock.told - clock.start) / done * (len(readers) - done)
                print(f"{done}/{len(readers)} images read  {left:.0f} s left", flush=True)
    return images, bad


def reason(error: Exception) -> str:
    """Return what was wrong; of an unknown format Pillow tells only the address of the file's bytes."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"of none of the known formats: {', '.join(FORMATS)}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def decoded(content: bytes, channels: int) -> "Image":
    """Return an image turned as its EXIF data say, in grey or RGB; on damage, raise errors of many kinds."""
    from PIL import Image, ImageOps

    if not content:
        raise ValueError("the file is empty")
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        ImageOps.exif_transpose(image, in_place=True)
        return _eight_bits(image).convert("L" if channels == 1 else "RGB")


def square(image: "Image", image_size: int) -> np.ndarray:
    """Return the largest square in the middle of an image, resized to (image_size, image_size, channels)."""
    from PIL import Image, ImageOps

    fitted = ImageOps.fit(image, (image_size, image_size), method=Image.Resampling.BILINEAR)
    return np.asarray(fitted).reshape(image_size, image_size, -1)


def _eight_bits(image: "Image") -> "Image":
    """Return grey of 16 bits in 8: Pillow's own conversion turns every value above 255 into white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise ValueError("pixels of 32 bits, whose range is not known; save it with 8 or 16 bits")
    return image
