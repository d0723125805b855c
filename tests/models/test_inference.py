"""Embeddings: the network's own forward pass, on images as they are stored."""

from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.models.inference import extract, load_network, network_input
from eos.models.network import Classifier, Network, build_network
from tests.helpers import DEVICE, same

MEAN, STD = (0.2, 0.5), (0.3, 0.1)


@pytest.fixture
def network() -> Network:
    generator = torch.Generator().manual_seed(0)
    network = build_network("resnet8", channels=2, n_classes=3, generator=generator)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-1, 1, generator=generator)
            module.running_var.uniform_(1, 2, generator=generator)
    return network


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (11, 7, 5, 2), dtype=np.uint8)


def test_input_is_normalised_per_channel(images: np.ndarray) -> None:
    result = network_input(torch.tensor(images), MEAN, STD)
    expected = (images.astype(np.float64) / 255 - MEAN) / STD
    assert result.shape == (11, 2, 7, 5)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(result.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-6)


def test_extract_is_the_forward_pass(network: Network, images: np.ndarray) -> None:
    features, logits = extract(network, images, MEAN, STD, device=DEVICE)
    normalized = ((images / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    x = torch.tensor(normalized, dtype=torch.float32, device=DEVICE)
    network.eval()
    with torch.no_grad():
        same(features, network.backbone(x).cpu(), rtol=1e-4, atol=1e-5)
        same(logits, network(x).cpu(), rtol=1e-4, atol=1e-5)
    assert features.shape == (11, 64)
    assert logits.shape == (11, 3)
    assert features.dtype == logits.dtype == np.float32
    assert not np.allclose(np.linalg.norm(features, axis=1), 1, atol=0.1)


def test_extract_does_not_depend_on_batches_or_the_state_before(network: Network, images: np.ndarray) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    whole = extract(network, images, MEAN, STD, device=DEVICE)
    network.train()
    again = extract(network, images, MEAN, STD, device=DEVICE)
    parts = extract(network, images, MEAN, STD, batch_size=4, device=DEVICE)
    for one, two, three in zip(whole, again, parts, strict=True):
        same(one, two)
        same(one, three, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(before[name], value.cpu()) for name, value in network.state_dict().items())


def test_float32_embeddings_have_the_bytes_of_the_network_as_it_is(
    network: Network, images: np.ndarray
) -> None:
    features, _ = extract(network, images, MEAN, STD, device="cpu")
    with torch.inference_mode():
        expected = network.backbone(network_input(torch.as_tensor(images), MEAN, STD))
    assert features.tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize("architecture", ["resnet8", "wideresnet", "densenet"])
def test_bfloat16_embeddings_are_near_and_finer_than_bfloat16(architecture: str) -> None:
    generator = torch.Generator().manual_seed(0)
    network = build_network(architecture, channels=2, n_classes=3, generator=generator)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 2), dtype=np.uint8)
    exact, _ = extract(network, images, MEAN, STD, device=DEVICE, precision="fp32")
    half, logits = extract(network, images, MEAN, STD, device=DEVICE, precision="bf16")
    assert half.dtype == logits.dtype == np.float32
    error = np.abs(half - exact).max() / exact.max()
    assert 0 < error < 0.05
    rounded = torch.from_numpy(half).bfloat16().float().numpy()
    assert (half != rounded).mean() > 0.5  # the mean over the image was not rounded
    with torch.no_grad():
        expected = network.classifier(torch.from_numpy(half).to(DEVICE)).cpu()
    same(logits, expected, rtol=1e-5, atol=1e-6)


def test_images_too_large_for_the_caches_go_one_by_one(network: Network) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 300, 300, 2), dtype=np.uint8)
    features, logits = extract(network, images, MEAN, STD, device=DEVICE)
    one, _ = extract(network, images[1:], MEAN, STD, device=DEVICE)
    assert features.shape == (2, 64)
    assert logits.shape == (2, 3)
    same(features[1:], one, rtol=1e-5, atol=1e-6)


def test_no_images(network: Network, images: np.ndarray) -> None:
    features, logits = extract(network, images[:0], MEAN, STD, device=DEVICE)
    assert features.shape == (0, 64)
    assert logits.shape == (0, 3)


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_load_network_restores_it(classifier: Classifier, images: np.ndarray) -> None:
    saved = build_network("resnet20", channels=2, n_classes=3, classifier=classifier)
    loaded = load_network(saved.state_dict(), "resnet20", channels=2, n_classes=3, classifier=classifier)
    expected = extract(saved, images, MEAN, STD, device=DEVICE)
    for one, two in zip(expected, extract(loaded, images, MEAN, STD, device=DEVICE), strict=True):
        same(one, two)


@pytest.mark.parametrize(
    "other", [{"n_classes": 4}, {"channels": 1}, {"classifier": "cosine"}, {"architecture": "resnet32"}]
)
def test_weights_of_another_network(other: dict[str, Any]) -> None:
    settings: dict[str, Any] = {
        "architecture": "resnet20",
        "channels": 2,
        "n_classes": 3,
        "classifier": "linear",
    }
    weights = build_network(**settings).state_dict()
    with pytest.raises(InputError, match=r"weights: not those of a resnet.*train the network again"):
        load_network(weights, **{**settings, **other})
