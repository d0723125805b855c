"""The residual blocks; what all backbones have in common is tested in `test_networks`."""

import numpy as np
import pytest
import torch

from eos.models.resnet import _Block


@pytest.mark.parametrize("size", [(6, 6), (5, 7)])
def test_shortcut_is_every_second_pixel_between_zero_channels(size: tuple[int, int]) -> None:
    block = _Block(16, 32).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 16, *size)
    expected = np.zeros((2, 32, (size[0] + 1) // 2, (size[1] + 1) // 2), dtype=np.float32)
    for row in range(expected.shape[2]):
        for column in range(expected.shape[3]):
            expected[:, 8:24, row, column] = np.maximum(x.numpy()[:, :, 2 * row, 2 * column], 0)
    np.testing.assert_array_equal(block(x).detach().numpy(), expected)


def test_shortcut_of_a_block_that_keeps_its_size_is_the_input() -> None:
    block = _Block(16, 16).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(block(x), x.relu())
