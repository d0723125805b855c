"""Random crops and flips of whole batches, and the normalisation of images."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def draw_crops(n: int, *, crop_padding: int, horizontal_flip: bool, generator: torch.Generator) -> Tensor:
    """Draw the crops of `n` images: the first row and column of each, and whether it is mirrored.

    Parameters
    ----------
    crop_padding : int
        Black pixels that will be put around each image.
    horizontal_flip : bool
        Whether to mirror half of the images, at random.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor of int64, shape (n, 3)
        On the CPU, whatever the device of the images will be.
    """
    top, left = torch.randint(2 * crop_padding + 1, (2, n, 1), generator=generator)
    mirrored = torch.zeros((n, 1), dtype=torch.bool)
    if horizontal_flip:
        mirrored = torch.rand((n, 1), generator=generator) < 0.5
    return torch.cat((top, left, mirrored.long()), dim=1)


def crop(images: Tensor, drawn: Tensor, *, crop_padding: int) -> Tensor:
    """Return the crops that `draw_crops` has drawn, on the same device, of images and type as they are.

    The images are `(n, height, width, channels)`.
    """
    n, height, width, _ = images.shape
    top, left, mirrored = (part[:, None] for part in drawn.unbind(dim=1))
    across = torch.arange(width, device=images.device)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.where(mirrored.bool(), width - 1 - across, across)
    padded = functional.pad(images, (0, 0, *[crop_padding] * 4))
    return padded[torch.arange(n, device=images.device)[:, None, None], rows[:, :, None], columns[:, None]]


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
