"""The convolution of the backbones: torch's own, in other words."""

import pytest
import torch
from torch.nn import functional

from eos.convolution import Convolution, normalized

SIZES = [(2, 2), (1, 1), (1, 2), (2, 3), (5, 4)]


@pytest.fixture
def normalization() -> torch.nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(1)
    normalization = torch.nn.BatchNorm2d(7)
    for values in (*normalization.parameters(), *normalization.buffers()):
        if values.is_floating_point():
            torch.nn.init.uniform_(values, 0.5, 2, generator=generator)
    return normalization


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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
def test_normalised_in_evaluation(
    normalization: torch.nn.BatchNorm2d, size: tuple[int, int], stride: int
) -> None:
    normalization.eval()
    convolution = Convolution(3, 7, stride)
    x = torch.randn(4, 3, *size)
    torch.testing.assert_close(
        normalized(x, convolution, normalization), normalization(convolution(x)), rtol=1e-4, atol=1e-5
    )


def test_normalised_in_training_takes_the_statistics_of_the_batch(
    normalization: torch.nn.BatchNorm2d,
) -> None:
    convolution = Convolution(3, 7)
    before = normalization.running_mean
    assert before is not None
    before = before.clone()
    x = torch.randn(4, 3, 5, 5)
    y = normalized(x, convolution, normalization)
    torch.testing.assert_close(y.mean((0, 2, 3)), normalization.bias, rtol=1e-4, atol=1e-5)
    assert normalization.running_mean is not None
    assert not torch.equal(normalization.running_mean, before)
