"""Networks of two branches: each is a network of its own behind a trunk that they share."""

from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.models.inference import extract, load_network
from eos.models.network import Network, build_network
from eos.models.pretrained import start_from
from eos.models.two_branches import TwoBranches
from eos.registry import ARCHITECTURES, TWO_BRANCH_ARCHITECTURES
from tests.helpers import DEVICE

#: The last residual block of each, and the features of one branch.
LAST = {
    "resnet8": "layer3.0.",
    "resnet20": "layer3.2.",
    "resnet32": "layer3.4.",
    "resnet56": "layer3.8.",
    "resnet18": "layer4.1.",
}
WIDTHS = {"resnet18": 512}


def built(architecture: str = "resnet8", *, seed: int = 0, channels: int = 2, branches: int = 2) -> Network:
    """Return a network whose batch normalisation is far from the identity."""
    generator = torch.Generator().manual_seed(seed)
    network = build_network(
        architecture, channels=channels, n_classes=3, branches=branches, generator=generator
    )
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for values in (module.weight, module.running_var):
                torch.nn.init.uniform_(values, 0.5, 2.0, generator=generator)
            for values in (module.bias, module.running_mean):
                torch.nn.init.normal_(values, 0.0, 0.5, generator=generator)
    return network


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def branch(network: Network, architecture: str, which: str, channels: int = 2) -> Any:
    """Return a backbone of one branch that has the trunk's weights and those of a branch."""
    last, weights = LAST[architecture], network.get_submodule("backbone").state_dict()
    blocks = {"conventional": last, "rebalancing": "rebalancing."}
    taken = {name: value.clone() for name, value in weights.items() if not name.startswith("rebalancing.")}
    start = blocks[which]
    taken |= {
        last + name.removeprefix(start): value.clone()
        for name, value in weights.items()
        if name.startswith(start)
    }
    backbone: Any = build_network(architecture, channels=channels, n_classes=3).backbone
    backbone.load_state_dict(taken)
    return backbone


def test_the_registry_names_all_that_can_have_two_branches() -> None:
    assert set(LAST) == set(TWO_BRANCH_ARCHITECTURES)
    for architecture in set(ARCHITECTURES) - set(TWO_BRANCH_ARCHITECTURES):
        with pytest.raises(InputError, match=rf"'{architecture}': a network of two branches.* take resnet8"):
            built(architecture)


@pytest.mark.parametrize("architecture", TWO_BRANCH_ARCHITECTURES)
def test_an_embedding_is_what_either_branch_gives(architecture: str) -> None:
    network = built(architecture).eval()
    images = noise(3, 2, 9, 7)
    with torch.no_grad():
        found = network.backbone(images)
        both = [
            branch(network, architecture, which).eval()(images) for which in ("conventional", "rebalancing")
        ]
    width = WIDTHS.get(architecture, 64)
    assert network.n_features == 2 * width
    assert found.shape == (3, 2 * width)
    torch.testing.assert_close(found, torch.cat(both, dim=1), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(both[0], both[1], atol=0.1)  # the branches are drawn apart


@pytest.mark.parametrize("architecture", TWO_BRANCH_ARCHITECTURES)
@pytest.mark.parametrize("share", [1.0, 0.5, 0.36])
def test_pairs_pass_by_themselves_and_are_weighed(architecture: str, share: float) -> None:
    """Also the statistics of batch normalisation are those of either half; the trunk's move twice."""
    network = built(architecture).train()
    backbone: Any = network.backbone
    backbone.alpha.fill_(share)
    one, other = noise(4, 2, 8, 8, seed=1), 3 * noise(4, 2, 8, 8, seed=2) + 1
    alone = [branch(network, architecture, which).train() for which in ("conventional", "rebalancing")]
    before = backbone.get_buffer("bn1.running_mean").clone()
    found = backbone(torch.stack((one, other), dim=1))
    expected = [module(half) for module, half in zip(alone, (one, other), strict=True)]
    weighed = torch.cat((2 * share * expected[0], 2 * (1 - share) * expected[1]), dim=1)
    torch.testing.assert_close(found, weighed, rtol=0, atol=1e-4 * weighed.abs().max().item())
    for name, value in alone[1].named_buffers():
        if name.startswith(LAST[architecture]):
            moved = backbone.get_buffer(name.replace(LAST[architecture], "rebalancing."))
            torch.testing.assert_close(moved, value)
    means = [module.get_buffer("bn1.running_mean") for module in alone]
    batches = [(mean - 0.9 * before) / 0.1 for mean in means]  # momentum 0.1
    torch.testing.assert_close(
        backbone.get_buffer("bn1.running_mean"),
        0.9 * (0.9 * before + 0.1 * batches[0]) + 0.1 * batches[1],
        rtol=1e-4,
        atol=1e-4,
    )
    assert backbone.get_buffer("bn1.num_batches_tracked") == 2


def test_pairs_of_the_same_image_at_one_half_are_evaluation() -> None:
    network, images = built().eval(), noise(3, 2, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(network(torch.stack((images, images), dim=1)), network(images))


def test_parameter_counts_by_hand() -> None:
    count = sum(weight.numel() for weight in built("resnet32", channels=3).parameters())
    block, normalizations = 2 * 9 * 64**2, 2 * 2 * 64
    assert count == 464_154 - (64 * 10 + 10) + block + normalizations + 128 * 3 + 3


@pytest.mark.parametrize("architecture", TWO_BRANCH_ARCHITECTURES)
def test_every_weight_learns(architecture: str) -> None:
    network = built(architecture).train()
    pairs = noise(4, 2, 2, 8, 8)
    torch.nn.functional.cross_entropy(network(pairs), torch.tensor([0, 1, 2, 0])).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("architecture", ["resnet8", "resnet18"])
def test_extracted_in_half_precision_and_folded(architecture: str, precision: str) -> None:
    network = built(architecture)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 2), dtype=np.uint8)
    exact, _ = extract(network, images, (0.5,) * 2, (0.3,) * 2, device=DEVICE)
    found, logits = extract(network, images, (0.5,) * 2, (0.3,) * 2, device=DEVICE, precision=precision)
    assert found.dtype == logits.dtype == np.float32
    assert np.abs(found - exact).max() / np.abs(exact).max() < (0.05 if precision == "bf16" else 1e-6)
    backbone: Any = network.cpu().backbone
    folded = backbone.folded()
    with torch.no_grad():
        inputs = noise(3, 2, 16, 16)
        expected = backbone.eval()(inputs)
        torch.testing.assert_close(folded(inputs), expected, rtol=0, atol=1e-4 * float(expected.max()))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())


def test_alpha_is_no_weight() -> None:
    network = built()
    assert "backbone.alpha" not in network.state_dict()
    weights = network.state_dict()
    loaded = load_network(weights, "resnet8", channels=2, n_classes=3, branches=2)
    assert isinstance(loaded.backbone, TwoBranches)
    assert all(torch.equal(weights[name], value) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize(("saved", "read"), [(1, 2), (2, 1)])
def test_weights_of_other_branches(saved: int, read: int) -> None:
    weights = built(branches=saved).state_dict()
    with pytest.raises(InputError, match=rf"not those of a resnet8 of {read} branch\(es\) for 2 channel"):
        load_network(weights, "resnet8", channels=2, n_classes=3, branches=read)


@pytest.mark.parametrize("architecture", TWO_BRANCH_ARCHITECTURES)
def test_both_branches_start_from_the_one_there_is(architecture: str) -> None:
    start, network = built(architecture, seed=1, branches=1), built(architecture)
    start_from(network.get_submodule("backbone"), start.state_dict())
    given = start.get_submodule("backbone").state_dict()
    for which in ("conventional", "rebalancing"):
        for name, value in branch(network, architecture, which).state_dict().items():
            assert torch.equal(value, given[name]), (which, name)


def test_weights_of_two_branches_keep_both() -> None:
    start, network = built(seed=1), built()
    start_from(network.get_submodule("backbone"), start.state_dict())
    for name, value in network.get_submodule("backbone").state_dict().items():
        assert torch.equal(value, start.get_submodule("backbone").state_dict()[name]), name
