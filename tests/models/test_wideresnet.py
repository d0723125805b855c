"""The wide residual network: sizes against the paper, and its block."""

import pytest
import torch

from eos.models.network import build_network
from eos.models.wideresnet import WideResNet, _Block


@pytest.mark.parametrize(
    ("depth", "width", "millions"), [(40, 4, 8.9), (16, 8, 11.0), (28, 10, 36.5), (22, 8, 17.2)]
)
def test_parameter_counts_are_those_of_the_paper(depth: int, width: int, millions: float) -> None:
    """Zagoruyko & Komodakis 2016, Table 3."""
    with torch.device("meta"):
        network = WideResNet((depth - 4) // 6, width, channels=3)
    count = sum(weight.numel() for weight in network.parameters()) + (64 * width + 1) * 10
    assert count / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_parameter_count_by_hand(channels: int) -> None:
    """WRN-22-4 has 22 layers and 3 shortcuts with weights; each 3x3 layer of a block is normalised first."""
    count = 9 * channels * 16
    for n_in, n_out in ((16, 64), (64, 128), (128, 256)):
        count += 9 * (n_in * n_out + 5 * n_out**2) + n_in * n_out
        count += 2 * (n_in + 5 * n_out)
    count += 2 * 256 + 256 * 10 + 10
    network = build_network("wideresnet", channels=channels, n_classes=10)
    assert sum(weight.numel() for weight in network.parameters()) == count
    assert round(count / 1e6, 1) == 4.3


def test_shortcut_of_a_block_that_keeps_its_shape_is_the_input() -> None:
    block = _Block(16, 16, 1)
    assert block.shortcut is None
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(16, 32, 2), (16, 32, 1), (16, 16, 2)])
def test_shortcut_of_other_blocks_is_a_convolution_of_the_activations(
    n_in: int, n_out: int, stride: int
) -> None:
    block = _Block(n_in, n_out, stride).eval()
    assert block.shortcut is not None
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, n_in, 5, 7)
    active = (x / (1 + block.bn1.eps) ** 0.5).relu()
    weight = block.shortcut.weight[:, :, 0, 0]
    expected = torch.einsum("oc,nchw->nohw", weight, active[:, :, ::stride, ::stride])
    torch.testing.assert_close(block(x), expected)
