"""The networks: sizes against the literature, any image size, the two classifiers, drawn weights."""

from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.models.inference import move
from eos.models.network import Classifier, CosineClassifier, Network, build_network, classifier_weights
from eos.registry import ARCHITECTURES

#: Features of an embedding, where they are not the 64 of a ResNet.
WIDTHS = {"wideresnet": 256, "densenet": 448, "resnet18": 512}


def network(architecture: str = "resnet20", seed: int = 0, **options: Any) -> Network:
    settings: dict[str, Any] = {"channels": 1, "n_classes": 10, **options}
    return build_network(architecture, generator=torch.Generator().manual_seed(seed), **settings)


@pytest.mark.parametrize(
    ("architecture", "millions"), [("resnet20", 0.27), ("resnet32", 0.46), ("resnet56", 0.85)]
)
def test_parameter_counts_are_those_of_he_et_al_table_6(architecture: str, millions: float) -> None:
    count = sum(weight.numel() for weight in network(architecture, channels=3).parameters())
    assert round(count / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("architecture", "n"), [("resnet8", 1), ("resnet20", 3), ("resnet32", 5), ("resnet56", 9)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_parameter_counts_by_hand(architecture: str, n: int, channels: int) -> None:
    convolutions = 9 * (channels * 16 + 2 * n * 16**2)
    convolutions += 9 * (16 * 32 + (2 * n - 1) * 32**2 + 32 * 64 + (2 * n - 1) * 64**2)
    normalizations = 2 * (16 * (2 * n + 1) + 32 * 2 * n + 64 * 2 * n)
    count = sum(weight.numel() for weight in network(architecture, channels=channels).parameters())
    assert count == convolutions + normalizations + 64 * 10 + 10
    if (architecture, channels) == ("resnet32", 3):
        assert count == 464_154


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("classifier", ["linear", "cosine"])
@pytest.mark.parametrize(
    ("size", "channels"), [((8, 8), 1), ((32, 32), 3), ((7, 7), 2), ((5, 9), 1), ((1, 1), 1)]
)
def test_any_image_size(
    architecture: str, classifier: Classifier, size: tuple[int, int], channels: int
) -> None:
    net = network(architecture, channels=channels, n_classes=4, classifier=classifier).eval()
    images = torch.rand(3, channels, *size)
    features = net.backbone(images)
    assert features.shape == (3, net.n_features) == (3, WIDTHS.get(architecture, 64))
    assert net(images).shape == (3, 4)
    assert torch.equal(net(images), net.classifier(features))
    assert torch.isfinite(net(images)).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3)])
def test_every_weight_learns(architecture: str, size: int, channels: int) -> None:
    net = network(architecture, channels=channels)
    torch.nn.functional.cross_entropy(
        net(torch.randn(4, channels, size, size)), torch.tensor([0, 1, 2, 3])
    ).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_images_stay_channels_last(architecture: str) -> None:
    net = network(architecture, channels=3)
    move(net, torch.device("cpu"))
    seen = []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, given, made: seen.append(made))
    net(torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last))
    assert seen
    assert all(made.is_contiguous(memory_format=torch.channels_last) for made in seen)


def test_the_wide_network_is_five_times_the_largest_residual_one() -> None:
    wide, deep = (
        sum(weight.numel() for weight in network(name, channels=3).parameters())
        for name in ("wideresnet", "resnet56")
    )
    assert wide / deep == pytest.approx(5, abs=0.1)


def test_weights_are_kaiming_normal() -> None:
    net = network("resnet56")
    wide = torch.cat([w.detach().flatten() for w in net.parameters() if w.shape == (64, 64, 3, 3)])
    assert wide.std().item() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.01)
    assert abs(wide.mean().item()) < 0.001
    linear = net.classifier
    assert isinstance(linear, torch.nn.Linear)
    assert linear.weight.std().item() == pytest.approx(np.sqrt(2 / 64), rel=0.1)
    assert 0 < linear.bias.abs().max().item() <= 1 / 8


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_weights_come_from_the_generator_alone(classifier: Classifier) -> None:
    before = torch.get_rng_state()
    one, again, other = (network(seed=seed, classifier=classifier).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], again[name]) for name in one)
    drawn = [name for name in one if "conv" in name]
    assert len(drawn) == 19
    assert not any(torch.equal(one[name], other[name]) for name in drawn)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_cosine_logits_are_cosines() -> None:
    classifier = CosineClassifier(5, 3)
    weight, features = torch.randn(3, 5), torch.randn(4, 5)
    classifier.weight.data = weight
    w, x = weight.double().numpy(), features.double().numpy()
    cosines = [[xi @ wi / np.sqrt((xi @ xi) * (wi @ wi)) for wi in w] for xi in x]
    np.testing.assert_allclose(classifier(features).detach().numpy(), cosines, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(classifier(7 * features).detach().numpy(), cosines, rtol=1e-5, atol=1e-6)


def test_classifier_weights() -> None:
    linear = network()
    np.testing.assert_array_equal(classifier_weights(linear), linear.classifier.weight.detach().numpy())
    cosine = network(classifier="cosine")
    drawn = cosine.classifier.weight.detach().clone()
    np.testing.assert_allclose(drawn.norm(dim=1), np.ones(10), rtol=1e-6)
    cosine.classifier.weight.data *= 3
    np.testing.assert_allclose(classifier_weights(cosine), drawn.numpy(), rtol=1e-6)


def test_unknown_names() -> None:
    with pytest.raises(
        InputError, match=r"unknown architecture 'resnet23'; did you mean 'resnet.*known: .*resnet56"
    ):
        network("resnet23")
