"""The densely connected networks for CIFAR."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.models.convolution import Convolution


class DenseNet(nn.Module):
    """The basic DenseNet of 3n + 4 layers, without its classifier (Huang et al. 2017, Section 3).

    A 3x3 convolution with 16 channels, three dense blocks, between them transitions that halve the image,
    batch normalisation, ReLU, and the mean over what is left of the image. Neither bottleneck layers nor
    compression (those make a DenseNet-BC), and no dropout, as the paper has it for augmented images. Any
    image size will do.

    Parameters
    ----------
    layers_per_block : int
        n; 12 for DenseNet-40.
    growth : int
        Channels that each layer adds; an embedding has 16 + 3 * n * growth features: 448 for DenseNet-40 with
        growth rate 12.
    channels : int
        Channels of the images.
    """

    def __init__(self, layers_per_block: int, growth: int, *, channels: int) -> None:
        super().__init__()
        width = 16
        self.convolution = Convolution(channels, width)
        blocks: list[nn.Module] = []
        for number in range(3):
            if number:
                blocks.append(_Transition(width))
            for _ in range(layers_per_block):
                blocks.append(_Layer(width, growth))
                width += growth
        self.blocks = nn.Sequential(*blocks)
        self.normalization = nn.BatchNorm2d(width)
        self.n_features = width

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature embeddings, `(n, n_features)`."""
        x = self.blocks(self.convolution(images))
        active = functional.relu(self.normalization(x), inplace=True)
        return active.mean((2, 3), dtype=torch.float32)


class _Layer(nn.Module):
    """Batch normalisation, ReLU and a 3x3 convolution, whose channels are put behind those that came in."""

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        self.normalization = nn.BatchNorm2d(n_in)
        self.convolution = Convolution(n_in, growth)

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolution(functional.relu(self.normalization(x), inplace=True))
        return torch.cat((x, y), dim=1)


class _Transition(nn.Module):
    """Batch normalisation, ReLU, a 1x1 convolution, and the mean of every 2x2 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.normalization = nn.BatchNorm2d(width)
        self.convolution = nn.Conv2d(width, width, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolution(functional.relu(self.normalization(x), inplace=True))
        # Rounded up, a last row of an odd number is a mean by itself, and one pixel stays one pixel.
        return functional.avg_pool2d(y, 2, ceil_mode=True)


def densenet(*, channels: int) -> DenseNet:
    """Return the backbone of DenseNet-40 with growth rate 12."""
    return DenseNet(12, 12, channels=channels)
