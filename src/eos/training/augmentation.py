"""Random crops and flips of whole batches, and the normalisation of images."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def augment(
    images: Tensor, *, crop_padding: int, horizontal_flip: bool, generator: torch.Generator
) -> Tensor:
    """Return a random crop, mirrored or not, of every image, each drawn by itself.

    Parameters
    ----------
    images : Tensor of uint8, shape (n, height, width, channels)
    crop_padding : int
        Black pixels put around each image first.
    horizontal_flip : bool
        Whether to mirror half of the images, at random.
    generator : torch.Generator
        On the CPU, whatever the device of the images.

    Returns
    -------
    Tensor
        Of the same type, shape and device.
    """
    n, height, width, _ = images.shape
    top, left = torch.randint(2 * crop_padding + 1, (2, n, 1), generator=generator)
    rows = top + torch.arange(height)
    columns = left + torch.arange(width)
    if horizontal_flip:
        mirrored = torch.rand((n, 1), generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    padded = functional.pad(images, (0, 0, *[crop_padding] * 4))
    index = torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]
    return padded[tuple(part.to(images.device) for part in index)]


def normalization_of(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel of uint8 images, as values in [0, 1].

    The images are `(n, height, width, channels)`. A channel that hardly varies gets the standard deviation of
    one grey level, so that dividing by it is safe.
    """
    levels = np.arange(256) / 255
    means, stds = [], []
    for channel in range(images.shape[3]):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        mean = np.average(levels, weights=counts)
        std = np.sqrt(np.average((levels - mean) ** 2, weights=counts))
        means.append(float(mean))
        stds.append(max(float(std), 1 / 255))
    return tuple(means), tuple(stds)
