"""The 3x3 convolutions that the backbones are built of."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Convolution(nn.Conv2d):
    """A 3x3 convolution with one pixel of padding and no bias; a stride of 2 halves the image.

    An image of 2x2 pixels, which is what the last stage makes of one of 8x8, goes through one matrix product
    instead. Padding makes up most of what a convolution would read there, and its gradients are slow.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolved images."""
        if input.shape[2:] == (2, 2) and self.stride == (1, 1):
            return _convolve_four_pixels(input, self.weight)
        return super().forward(input)


def _convolve_four_pixels(x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution of images of 2x2 pixels, as one product with a matrix of 4 x 4 blocks.

    Every pixel of the output meets every pixel of the input through one tap of the kernel.
    """
    taps = weight.permute(0, 2, 3, 1).flatten(1, 2).unbind(1)  # nine of (n_out, n_in), row by row
    # For each pixel of the output its tap on the first pixel of the input; those on the others lie beside.
    blocks = [torch.cat([taps[first + k] for k in (0, 1, 3, 4)], dim=1) for first in (4, 3, 1, 0)]
    pixels = x.permute(0, 2, 3, 1).flatten(1)
    y = functional.linear(pixels, torch.cat(blocks))
    return y.view(len(x), 2, 2, weight.shape[0]).permute(0, 3, 1, 2)
