"""The residual blocks; what all backbones have in common is tested in `test_networks`."""

import numpy as np
import pytest
import torch

from eos.models.resnet import ResNet, _Block, resnet8


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


def with_statistics() -> ResNet:
    """Return a backbone whose batch normalization is far from the identity."""
    torch.manual_seed(0)
    backbone = resnet8(channels=2)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for values in (module.weight, module.running_var):
                torch.nn.init.uniform_(values, 0.5, 2.0)
            for values in (module.bias, module.running_mean):
                torch.nn.init.normal_(values, 0.0, 0.5)
    return backbone


def test_folded_gives_the_embeddings_of_evaluation() -> None:
    backbone = with_statistics()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    folded = backbone.folded()  # of one in training mode
    images = torch.randn(3, 2, 16, 16)
    with torch.no_grad():
        expected = backbone.eval()(images)
        torch.testing.assert_close(folded(images), expected, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
