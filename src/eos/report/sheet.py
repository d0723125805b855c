"""A picture of synthetic images beside real ones, to look at."""

import io
from collections.abc import Sequence
from html import escape

import numpy as np
import vl_convert
from PIL import Image

_MARGIN = 3
_COLUMN = "class (images)"
_GREY = 96  # behind the images
_FONT = "Liberation Sans"  # which vl-convert carries inside, so that every machine has it
_LINE = 16  # pixels


def sample_sheet(
    synthetic: tuple[np.ndarray, np.ndarray],
    real: tuple[np.ndarray, np.ndarray],
    class_names: Sequence[str],
    *,
    title: str,
    n_real: int = 5,
    n_synthetic: int = 10,
) -> Image.Image:
    """Return a picture of the first images, real and synthetic ones side by side, a row per class.

    Classes are in the order of their real images, most first; each is named, with their number. Small images
    are enlarged, to about 40 pixels. Where there are fewer images than places, places are empty. Equal
    arguments give equal pictures.

    Parameters
    ----------
    synthetic, real : tuple of ndarray
        Images, uint8 of shape (m, side, side, channels), and their labels, integers of shape (m,).
    class_names : sequence of str
        By label.
    title : str
        What made the synthetic images.
    n_real, n_synthetic : int
        Columns.
    """
    side, channels = synthetic[0].shape[1], synthetic[0].shape[3]
    factor = max(1, 40 // side)
    cell, gap = factor * side + _MARGIN, 4 * _MARGIN
    counts = np.bincount(real[1], minlength=len(class_names))
    names = [name if len(name) <= 24 else f"{name[:23]}…" for name in class_names]
    texts = [_drawn(f"{name} ({count:,})") for name, count in zip(names, counts, strict=True)]
    first, heading = _drawn(_COLUMN), _drawn(f"made by {title}")
    left = max(text.width for text in [*texts, first]) + 4 * _MARGIN
    made = left + n_real * cell + gap  # where the synthetic images begin
    width = max(made + n_synthetic * cell, made + heading.width + _MARGIN) + _MARGIN
    height = cell * len(class_names) + _MARGIN
    top = 22
    sheet = np.full((top + height, width, channels), _GREY, dtype=np.uint8)
    sheet[:, :left] = sheet[:top] = 255
    order = np.argsort(-counts, kind="stable")
    for row, label in enumerate(order):
        for (images, labels), start, most in ((real, left, n_real), (synthetic, made, n_synthetic)):
            for column, image in enumerate(images[labels == label][:most]):
                x, y = start + column * cell + _MARGIN, top + row * cell + _MARGIN
                large = image.repeat(factor, axis=0).repeat(factor, axis=1)
                sheet[y : y + len(large), x : x + len(large)] = large
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    ends = left - 2 * _MARGIN  # of the words before the images
    headings = (first, ends - first.width), (_drawn("real"), left + _MARGIN), (heading, made + _MARGIN)
    for text, x in headings:
        picture.paste(text, (x, (top - _LINE) // 2))
    for row, label in enumerate(order):
        middle = top + row * cell + (cell + _MARGIN) // 2
        picture.paste(texts[label], (ends - texts[label].width, middle - _LINE // 2))
    return picture


def _drawn(text: str) -> Image.Image:
    """Return a text as a grey picture, as wide as it is."""
    width = 40 + 16 * len(text)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_LINE}">'
        f'<rect width="{width}" height="{_LINE}" fill="white"/>'
        f'<text y="12" font-family="{_FONT}" font-size="12">{escape(text)}</text></svg>'
    )
    picture = Image.open(io.BytesIO(vl_convert.svg_to_png(svg))).convert("L")
    found = picture.point(lambda tone: 255 - tone).getbbox()
    return picture.crop((0, 0, found[2] if found else 1, _LINE))
