"""The convolution of the backbones: torch's own, in other words."""

import pytest
import torch
from torch.nn import functional

from eos.models.convolution import Convolution

SIZES = [(2, 2), (1, 1), (1, 2), (2, 3), (5, 4)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_torch(
    size: tuple[int, int], stride: int, layout: torch.memory_format
) -> None:
    convolution = Convolution(3, 7, stride)
    convolution.weight.data = convolution.weight.data.contiguous(memory_format=layout)
    x = torch.randn(4, 3, *size).contiguous(memory_format=layout).requires_grad_()
    expected = functional.conv2d(x, convolution.weight, stride=stride, padding=1)
    y = convolution(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    upstream = torch.randn_like(expected)
    of = (x, convolution.weight)
    ours = torch.autograd.grad(y, of, upstream)
    for one, two in zip(ours, torch.autograd.grad(expected, of, upstream), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
