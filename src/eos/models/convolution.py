"""The 3x3 convolution that the backbones are built of, and what becomes of convolutions for evaluation."""

from copy import deepcopy
from typing import Any, TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_Module = TypeVar("_Module", bound=nn.Module)

# Convolutions and what normalises them, by the names that residual networks have; a shortcut is a sequence.
_PAIRS = (("conv1", "bn1"), ("conv2", "bn2"), ("0", "1"))


def conv3x3(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution with one pixel of padding and no bias; a stride of 2 halves the image."""
    return nn.Conv2d(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False)


def folded(module: _Module) -> _Module:
    """Return a copy for evaluation, each batch normalization part of the convolution before it.

    For networks whose convolutions come before their normalization. Up to rounding the copy gives what the
    module gives in evaluation mode, in less time.
    """
    copy = deepcopy(module).eval()
    for part in copy.modules():
        for conv, bn in _PAIRS:
            pair: Any = getattr(part, conv, None), getattr(part, bn, None)
            if isinstance(pair[0], nn.Conv2d) and isinstance(pair[1], nn.BatchNorm2d):
                setattr(part, conv, fuse_conv_bn_eval(*pair))
                setattr(part, bn, nn.Identity())
    return copy
