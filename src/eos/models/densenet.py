"""The densely connected networks for CIFAR."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.models.convolution import conv3x3


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
        self.conv1 = conv3x3(channels, width)
        self.block1 = _block(width, growth, layers_per_block)
        width += layers_per_block * growth
        self.transition1 = _Transition(width)
        self.block2 = _block(width, growth, layers_per_block)
        width += layers_per_block * growth
        self.transition2 = _Transition(width)
        self.block3 = _block(width, growth, layers_per_block)
        width += layers_per_block * growth
        self.bn1 = nn.BatchNorm2d(width)
        self.n_features = width

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature embeddings, `(n, n_features)`."""
        return self.maps(images).mean((2, 3), dtype=torch.float32)

    def maps(self, images: Tensor) -> Tensor:
        """Return what the embeddings are means of, `(n, n_features, height, width)`."""
        x = self.transition1(self.block1(self.conv1(images)))
        x = self.block3(self.transition2(self.block2(x)))
        return functional.relu(self.bn1(x), inplace=True)


class _Layer(nn.Module):
    """Batch normalisation, ReLU and a 3x3 convolution, whose channels are put behind those that came in."""

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = conv3x3(n_in, growth)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.relu(self.bn1(x), inplace=True))
        return torch.cat((x, y), dim=1)


class _Transition(nn.Module):
    """Batch normalisation, ReLU, a 1x1 convolution, and the mean of every 2x2 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.relu(self.bn1(x), inplace=True))
        # Rounded up, a last row of an odd number is a mean by itself, and one pixel stays one pixel.
        return functional.avg_pool2d(y, 2, ceil_mode=True)


def _block(width: int, growth: int, layers: int) -> nn.Sequential:
    return nn.Sequential(*(_Layer(width + number * growth, growth) for number in range(layers)))


def densenet(*, channels: int) -> DenseNet:
    """Return the backbone of DenseNet-40 with growth rate 12."""
    return DenseNet(12, 12, channels=channels)
