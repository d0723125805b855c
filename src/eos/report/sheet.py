"""A picture of synthetic images beside real ones, to look at."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MARGIN = 3
_COLUMN = "class (images)"
_GREY = 96  # behind the images
_FONT = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # so that every machine has it


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
    font = ImageFont.truetype(str(_FONT), 12, layout_engine=ImageFont.Layout.BASIC)
    counts = np.bincount(real[1], minlength=len(class_names))
    names = [name if len(name) <= 24 else f"{name[:23]}…" for name in class_names]
    texts = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True)]
    left = round(max(font.getlength(text) for text in [*texts, _COLUMN])) + 4 * _MARGIN
    made = left + n_real * cell + gap  # where the synthetic images begin
    heading = f"made by {title}"
    width = max(made + n_synthetic * cell, made + round(font.getlength(heading))) + _MARGIN
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
    draw = ImageDraw.Draw(picture)
    black = 0 if channels == 1 else (0, 0, 0)
    draw.text((left - 2 * _MARGIN, top // 2), _COLUMN, fill=black, font=font, anchor="rm")
    draw.text((left + _MARGIN, top // 2), "real", fill=black, font=font, anchor="lm")
    draw.text((made + _MARGIN, top // 2), heading, fill=black, font=font, anchor="lm")
    for row, label in enumerate(order):
        middle = top + row * cell + (cell + _MARGIN) // 2
        draw.text((left - 2 * _MARGIN, middle), texts[label], fill=black, font=font, anchor="rm")
    return picture
