"""The densely connected network: sizes against the paper, its layers and transitions."""

import pytest
import torch

from eos.models.densenet import DenseNet, _Layer, _Transition
from eos.models.network import build_network


@pytest.mark.parametrize(("depth", "growth", "millions"), [(40, 12, 1.0), (100, 12, 7.0), (100, 24, 27.2)])
def test_parameter_counts_are_those_of_the_paper(depth: int, growth: int, millions: float) -> None:
    """Huang et al. 2017, Table 2."""
    with torch.device("meta"):
        network = DenseNet((depth - 4) // 3, growth, channels=3)
    count = sum(weight.numel() for weight in network.parameters()) + (network.n_features + 1) * 10
    assert count / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_parameter_count_by_hand(channels: int) -> None:
    """DenseNet-40: 36 layers that add 12 channels each, and transitions at 160 and 304 channels."""
    widths = [16 + 12 * number for number in range(36)]
    count = 9 * channels * 16 + sum(2 * width + 9 * width * 12 for width in widths)
    count += sum(2 * width + width**2 for width in (160, 304))
    count += 2 * 448 + 448 * 10 + 10
    network = build_network("densenet", channels=channels, n_classes=10)
    assert sum(weight.numel() for weight in network.parameters()) == count
    assert round(count / 1e6, 1) == 1.0


def test_a_layer_adds_channels_behind_those_that_came_in() -> None:
    x = torch.randn(2, 16, 5, 5)
    y = _Layer(16, 12)(x)
    assert y.shape == (2, 28, 5, 5)
    assert torch.equal(y[:, :16], x)
    assert y[:, 16:].std() > 0


@pytest.mark.parametrize("size", [(4, 6), (5, 3), (1, 1)])
def test_a_transition_halves_the_image_and_rounds_up(size: tuple[int, int]) -> None:
    transition = _Transition(3).eval()
    transition.conv1.weight.data = torch.eye(3)[:, :, None, None]
    x = torch.randn(2, 3, *size)
    active = (x / (1 + transition.bn1.eps) ** 0.5).relu()
    y = transition(x)
    assert y.shape[2:] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
    for row in range(y.shape[2]):
        for column in range(y.shape[3]):
            window = active[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            torch.testing.assert_close(y[:, :, row, column], window.mean((2, 3)))
