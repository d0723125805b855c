"""The residual networks for ImageNet, as torchvision has them: those that pretrained weights exist for."""

from typing import Any

import torch
from torch import Tensor, nn

from eos.data.torchvision_import import import_torchvision
from eos.models.network import Backbone


class _Mean(nn.Module):
    """The mean over what is left of the image, in float32 also under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True, dtype=torch.float32)


def _backbone(name: str, channels: int) -> Backbone:
    """Return a network of torchvision without its classifier; its weights keep their names."""
    body: Any = getattr(import_torchvision("models"), name)(weights=None)
    body.n_features = body.fc.in_features
    body.avgpool, body.fc = _Mean(), nn.Identity()
    if channels != 3:
        body.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return body


def resnet18(*, channels: int) -> Backbone:
    """Return the backbone of ResNet-18 (He et al. 2016, Table 1); it divides the sides of an image by 32."""
    return _backbone("resnet18", channels)


def resnet50(*, channels: int) -> Backbone:
    """Return the backbone of ResNet-50 (He et al. 2016, Table 1); it divides the sides of an image by 32."""
    return _backbone("resnet50", channels)
