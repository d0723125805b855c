"""The residual networks for CIFAR, the backbones of the reference recipe."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.models.convolution import conv3x3, folded


class ResNet(nn.Module):
    """The CIFAR residual network of 6n + 2 layers, without its classifier (He et al. 2016, Section 4.2).

    A 3x3 convolution, three layers of `blocks_per_layer` residual blocks with 16, 32 and 64 channels, the
    last two of which halve the image, and the mean over what is left of it. Any image size will do.
    """

    n_features = 64

    def __init__(self, blocks_per_layer: int, *, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _layer(16, 16, blocks_per_layer)
        self.layer2 = _layer(16, 32, blocks_per_layer)
        self.layer3 = _layer(32, self.n_features, blocks_per_layer)

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature embeddings, `(n, 64)`."""
        return self.maps(images).mean((2, 3), dtype=torch.float32)

    def maps(self, images: Tensor) -> Tensor:
        """Return what the embeddings are means of, `(n, 64, height, width)`."""
        x = self.relu(self.bn1(self.conv1(images)))
        return self.layer3(self.layer2(self.layer1(x)))

    def folded(self) -> "ResNet":
        """Return what `eos.models.convolution.folded` does: a copy for evaluation that takes less time."""
        return folded(self)


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut; the image is halved where the number of channels grows."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.stride = 1 if n_in == n_out else 2
        self.padding = (n_out - n_in) // 2
        self.conv1 = conv3x3(n_in, n_out, self.stride)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = conv3x3(n_out, n_out)
        self.bn2 = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y.add_(self._shortcut(x)), inplace=True)

    def _shortcut(self, x: Tensor) -> Tensor:
        """Return option A of the paper: every second pixel, and zeros for the new channels; no parameters."""
        if self.stride == 1:
            return x
        return functional.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding)
        )


def _layer(n_in: int, n_out: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(_Block(n_in, n_out), *(_Block(n_out, n_out) for _ in range(blocks - 1)))


def resnet8(*, channels: int) -> ResNet:
    """Return the backbone of ResNet-8."""
    return ResNet(1, channels=channels)


def resnet20(*, channels: int) -> ResNet:
    """Return the backbone of ResNet-20."""
    return ResNet(3, channels=channels)


def resnet32(*, channels: int) -> ResNet:
    """Return the backbone of ResNet-32."""
    return ResNet(5, channels=channels)


def resnet56(*, channels: int) -> ResNet:
    """Return the backbone of ResNet-56."""
    return ResNet(9, channels=channels)
