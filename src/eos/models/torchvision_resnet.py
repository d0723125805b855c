"""ResNet-18 for ImageNet, as torchvision has it: a backbone that pretrained weights exist for.

It divides the sides of an image by 32. Smaller images are enlarged by a whole factor to that or more, so that
any size will do.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from eos.data.torchvision_import import import_torchvision
from eos.models.network import Backbone


class _Mean(nn.Module):
    """The mean over what is left of the image, in float32 also under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True, dtype=torch.float32)


def _enlarged(module: nn.Module, given: tuple[Tensor]) -> Tensor:
    """Return images of at least 32 pixels a side.

    Not only for the features' sake: of a convolution with a stride on an image of one pixel, oneDNN (3.12)
    leaves the parts of the gradient unset that no pixel has met, if the arithmetic is bfloat16.
    """
    (images,) = given
    factor = -(-32 // min(images.shape[2:]))
    return functional.interpolate(images, scale_factor=factor, mode="nearest") if factor > 1 else images


def resnet18(*, channels: int) -> Backbone:
    """Return the backbone of ResNet-18 (He et al. 2016, Table 1); weights have torchvision's names."""
    body: Any = import_torchvision("models").resnet18(weights=None)
    body.n_features = body.fc.in_features
    body.avgpool, body.fc = _Mean(), nn.Identity()
    if channels != 3:
        body.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    body.conv1.register_forward_pre_hook(_enlarged)
    return body
