"""The wide residual networks for CIFAR."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.models.convolution import conv3x3


class WideResNet(nn.Module):
    """WRN-(6n + 4)-k without its classifier (Zagoruyko & Komodakis 2016, Table 1).

    A 3x3 convolution with 16 channels, three layers of n pre-activation blocks with 16k, 32k and 64k
    channels, the last two of which halve the image, batch normalisation, ReLU, and the mean over what is left
    of the image. No dropout. Any image size will do.

    Parameters
    ----------
    blocks_per_layer : int
        n, a sixth of the depth less 4.
    width : int
        k, the factor on the channels of a `ResNet`; an embedding has 64k features.
    channels : int
        Channels of the images.
    """

    def __init__(self, blocks_per_layer: int, width: int, *, channels: int) -> None:
        super().__init__()
        self.n_features = 64 * width
        self.conv1 = conv3x3(channels, 16)
        self.layer1 = _layer(16, 16 * width, blocks_per_layer, stride=1)
        self.layer2 = _layer(16 * width, 32 * width, blocks_per_layer, stride=2)
        self.layer3 = _layer(32 * width, self.n_features, blocks_per_layer, stride=2)
        self.bn1 = nn.BatchNorm2d(self.n_features)

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature embeddings, `(n, 64 * width)`."""
        return self.maps(images).mean((2, 3), dtype=torch.float32)

    def maps(self, images: Tensor) -> Tensor:
        """Return what the embeddings are means of, `(n, 64 * width, height, width of the map)`."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(images))))
        return functional.relu(self.bn1(x), inplace=True)


class _Block(nn.Module):
    """Twice batch normalisation, ReLU and a 3x3 convolution, and a shortcut.

    Where the shape changes the shortcut is a 1x1 convolution, of the activations as in the authors' code.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = conv3x3(n_in, n_out, stride)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.conv2 = conv3x3(n_out, n_out)
        self.shortcut: nn.Conv2d | None = None
        if n_in != n_out or stride != 1:
            self.shortcut = nn.Conv2d(n_in, n_out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.bn1(x), inplace=True)
        y = functional.relu(self.bn2(self.conv1(active)), inplace=True)
        y = self.conv2(y)
        return y + (x if self.shortcut is None else self.shortcut(active))


def _layer(n_in: int, n_out: int, blocks: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(_Block(n_in, n_out, stride), *(_Block(n_out, n_out, 1) for _ in range(blocks - 1)))


def wideresnet(*, channels: int) -> WideResNet:
    """Return the backbone of WRN-22-4, which has five times the parameters of ResNet-56."""
    return WideResNet(3, 4, channels=channels)
