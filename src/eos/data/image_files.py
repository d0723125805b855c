"""Reading many image files, each as one square array of the same size."""

import io
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eos.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

# Formats that hold pixels. Pillow knows others too, but some of them (EPS) start foreign programs.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP")

SECONDS_BETWEEN_LINES = 10.0


def read_images(
    files: Sequence[tuple[str, Callable[[], bytes]]], *, image_size: int, channels: int
) -> np.ndarray:
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
        Height and width of the result in pixels.
    channels
        1 for grey, 3 for RGB.

    Returns
    -------
    ndarray of uint8, shape (n, image_size, image_size, channels)

    Raises
    ------
    InputError
        If a file cannot be read or is no sound image of a known format.
    """
    images = np.empty((len(files), image_size, image_size, channels), dtype=np.uint8)
    start = told = time.monotonic()
    for index, (name, read) in enumerate(files):
        try:
            images[index] = _square(read(), image_size, channels)
        except Exception as error:  # on damaged files, Pillow's decoders raise errors of many kinds
            raise InputError(
                f"{name}: not a readable image ({_reason(error)}); repair or remove it"
            ) from error
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_LINES:
            told, done = now, index + 1
            left = (now - start) / done * (len(files) - done)
            print(f"{done}/{len(files)} images read  {left:.0f} s left", flush=True)
    return images


def _reason(error: Exception) -> str:
    """Return what was wrong; of an unknown format Pillow tells only the address of the file's bytes."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"of none of the known formats: {', '.join(FORMATS)}"
    return str(error) or type(error).__name__


def _square(content: bytes, image_size: int, channels: int) -> np.ndarray:
    """Decode one image into (image_size, image_size, channels)."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        ImageOps.exif_transpose(image, in_place=True)
        fitted = ImageOps.fit(
            _eight_bits(image).convert("L" if channels == 1 else "RGB"),
            (image_size, image_size),
            method=Image.Resampling.BILINEAR,
        )
    return np.asarray(fitted).reshape(image_size, image_size, channels)


def _eight_bits(image: "Image") -> "Image":
    """Return grey of 16 bits in 8: Pillow's own conversion turns every value above 255 into white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise ValueError("pixels of 32 bits, whose range is not known; save it with 8 or 16 bits")
    return image
