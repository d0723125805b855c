"""A picture of synthetic images, to look at."""

import numpy as np
from PIL import Image


def sample_sheet(
    images: np.ndarray, labels: np.ndarray, *, n_classes: int, per_class: int = 10
) -> Image.Image:
    """Return a picture of the first images of every class, one row per class.

    Small images are enlarged, to about 32 pixels. The row of a class without images, and the rest of a row of
    fewer than `per_class`, is empty. Equal arguments give equal pictures.

    Parameters
    ----------
    images : ndarray of uint8, shape (m, side, side, channels)
    labels : ndarray of int, shape (m,)
    n_classes, per_class : int
        Rows and columns.
    """
    side, channels = images.shape[1], images.shape[3]
    factor = max(1, 32 // side)
    cell = factor * side + 2  # with a margin
    sheet = np.full((n_classes * cell + 2, per_class * cell + 2, channels), 96, dtype=np.uint8)
    for label in range(n_classes):
        for column, image in enumerate(images[labels == label][:per_class]):
            top, left = label * cell + 2, column * cell + 2
            large = image.repeat(factor, axis=0).repeat(factor, axis=1)
            sheet[top : top + len(large), left : left + len(large)] = large
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
