"""The 3x3 convolution that the backbones are built of."""

from torch import nn


def conv3x3(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution with one pixel of padding and no bias; a stride of 2 halves the image."""
    return nn.Conv2d(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False)
