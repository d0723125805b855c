"""OLTR's attention, memory and meta-embedding: their formulas, written out in float64 here."""

from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.models.inference import extract, load_network
from eos.models.network import Network, UnitClassifier, build_network, classifier_bias, classifier_weights
from eos.models.oltr import MetaEmbedding, ModulatedAttention, memory_of, squared_distances

ATTENDED = ("resnet8", "resnet20", "resnet32", "resnet56", "wideresnet", "densenet")


def network(architecture: str = "resnet8", *, seed: int = 0, size: Any = (8, 8), **options: Any) -> Network:
    settings: dict[str, Any] = {"channels": 1, "n_classes": 4, "classifier": "unit", **options}
    generator = torch.Generator().manual_seed(seed)
    return build_network(architecture, remembering=size, generator=generator, **settings)


def remembering(net: Network, *, reach: float = 1.0, largest_reach: float = 10.0) -> MetaEmbedding:
    """Fill the memory with means of 40 drawn rows, and open the attention."""
    backbone = net.backbone
    assert isinstance(backbone, MetaEmbedding)
    generator = torch.Generator().manual_seed(1)
    rows = torch.rand(40, backbone.n_features, generator=generator)
    backbone.remember(rows, torch.arange(40) % 4, reach=reach, largest_reach=largest_reach, length=16.0)
    with torch.no_grad():
        backbone.attention.out.weight.normal_(generator=generator)
    return backbone


def double(value: torch.Tensor) -> np.ndarray:
    return value.detach().double().numpy()


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def attended(attention: ModulatedAttention, maps: np.ndarray) -> np.ndarray:
    """Return the attention of one map, `(channels, height, width)`, place by place."""
    channels, height, width = maps.shape
    places = maps.reshape(channels, -1).T
    query, key, value, out = (
        double(layer.weight)[:, :, 0, 0]
        for layer in (attention.queries, attention.keys, attention.values, attention.out)
    )
    mask = softmax(double(attention.mask.weight) @ maps.ravel() + double(attention.mask.bias))
    made = []
    for number, place in enumerate(places):
        weights = softmax(np.array([(query @ place) @ (key @ other) for other in places]))
        mixed = sum(weight * (value @ other) for weight, other in zip(weights, places, strict=True))
        made.append(place + mask[number] * (out @ mixed))
    return np.stack(made).T.reshape(channels, height, width)


def embedded(backbone: MetaEmbedding, direct: np.ndarray, *, reach: float, largest: float) -> np.ndarray:
    """Return the embedding of one mean of a map."""
    memory, of_classes, of_features = (
        double(part) for part in (backbone.memory, backbone.hallucinator.weight, backbone.selector.weight)
    )
    recalled = softmax(of_classes @ direct + double(backbone.hallucinator.bias)) @ memory
    selected = np.tanh(of_features @ direct + double(backbone.selector.bias))
    nearest = min(np.sqrt(((direct - row) ** 2).sum()) for row in memory)
    meta = min(reach / nearest if nearest else np.inf, largest) * (direct + selected * recalled)
    length = np.sqrt((meta**2).sum())
    return np.asarray(16.0 * length / (1 + length) * meta / length)


@pytest.mark.parametrize("shape", [(5, 4), (1, 3)])
def test_attention_is_its_formula(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    attention = ModulatedAttention(6, shape[0] * shape[1])
    maps = torch.rand(3, 6, *shape)
    with torch.no_grad():
        found = attention(maps.to(memory_format=torch.channels_last))
    expected = [attended(attention, one) for one in double(maps)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", ATTENDED)
def test_attention_begins_as_the_identity(architecture: str) -> None:
    backbone: Any = network(architecture, size=(9, 7)).eval().backbone
    maps = backbone.trunk.maps(torch.rand(3, 1, 9, 7))
    assert torch.equal(backbone.attention(maps), maps)


def test_embedding_and_logits_are_their_formulas() -> None:
    net = network().eval()
    backbone = remembering(net, reach=0.7)
    images = torch.rand(6, 1, 8, 8)
    maps = [attended(backbone.attention, one) for one in double(backbone.trunk.maps(images))]
    direct = [one.mean(axis=(1, 2)) for one in maps]
    _, typical = memory_of(
        torch.rand(40, 64, generator=torch.Generator().manual_seed(1)).numpy(), np.arange(40) % 4, 4
    )
    expected = [embedded(backbone, one, reach=0.7 * typical, largest=10) for one in direct]
    features = net.backbone(images)
    np.testing.assert_allclose(double(features), expected, rtol=1e-3, atol=1e-4)
    rows = [row / np.sqrt((row**2).sum()) for row in double(net.classifier.weight)]
    logits = [[row @ one for row in rows] for one in expected]
    np.testing.assert_allclose(double(net(images)), logits, rtol=1e-3, atol=1e-4)
    distances = [[((one - row) ** 2).sum() for row in double(backbone.memory)] for one in direct]
    outputs = double(net.outputs(images))
    np.testing.assert_allclose(outputs[:, :4], logits, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outputs[:, 4:], distances, rtol=1e-3)
    np.testing.assert_allclose(classifier_weights(net), rows, rtol=1e-5)
    assert not classifier_bias(net).any()


def test_no_embedding_is_as_long_as_length() -> None:
    net = network().eval()
    remembering(net)
    lengths = torch.linalg.vector_norm(net.backbone(100 * torch.rand(50, 1, 8, 8)), dim=1)
    assert lengths.max() < 16
    assert (net(torch.rand(50, 1, 8, 8)).abs() < 16).all()


def test_reach_is_one_at_the_median_distance_and_cut_off_at_the_memory() -> None:
    """An image on a row of the memory, at distance 0: a finite embedding, and a finite slope."""
    net = network()
    backbone = remembering(net, reach=1.0, largest_reach=4.0)
    typical = backbone.reach.item()
    direction = torch.zeros(64)
    direction[3] = 1.0
    rows = torch.stack([backbone.memory[2] + far * direction for far in (0.0, 1e-9, typical)]).detach()
    rows.requires_grad_()
    made = backbone._enriched(rows)
    for one, row, expected in zip(made, rows, (4.0, 4.0, 1.0), strict=True):
        reach = min(
            typical / max(squared_distances(row[None], backbone.memory).min().item(), 1e-18) ** 0.5, 4
        )
        assert reach == pytest.approx(expected, rel=1e-4)
        np.testing.assert_allclose(
            double(one), embedded(backbone, double(row), reach=typical, largest=4.0), rtol=1e-4, atol=1e-5
        )
    made.sum().backward()
    assert rows.grad is not None
    assert rows.grad.isfinite().all()


def test_memory_is_the_class_means() -> None:
    features = np.array([[0, 0], [4, 0], [10, 3], [10, 0]], dtype=np.float32)
    means, typical = memory_of(features, np.array([0, 0, 1, 2]), 3)
    np.testing.assert_array_equal(means, [[2, 0], [10, 3], [10, 0]])
    assert means.dtype == np.float32
    assert typical == 1.0  # of 2, 2, 0 and 0


def test_memory_where_most_images_are_their_class() -> None:
    """A median of 0 would be a reach of 0 for every image but those."""
    features = np.array([[0, 0], [4, 0], [10, 3], [10, 0], [0, 20]], dtype=np.float32)
    with pytest.warns(UserWarning, match="half of the 5 training images lie on a class mean, .*; 2 is"):
        assert memory_of(features, np.array([0, 0, 1, 2, 3]), 4)[1] == 2.0
    with pytest.warns(UserWarning, match="half of the 4 .*; 1 is"):
        assert memory_of(features[1:], np.arange(4), 4)[1] == 1.0


def test_only_its_loss_moves_the_memory() -> None:
    net = network()
    backbone = remembering(net)
    outputs = net.outputs(torch.rand(8, 1, 8, 8))
    outputs[:, :4].square().sum().backward(retain_graph=True)
    assert backbone.memory.grad is None or not backbone.memory.grad.any()
    outputs[:, 4:].sum().backward()
    assert backbone.memory.grad is not None
    assert backbone.memory.grad.any()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


def test_weights_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    one, again, other = (network(seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], again[name]) for name in one)
    fixed = {name for name in one if torch.equal(one[name], other[name]) and "bn" not in name}
    parts = {"attention.out.weight", "memory", "reach", "largest_reach", "length"}
    assert fixed == {f"backbone.{part}" for part in parts}
    assert one["classifier.weight"].abs().max() <= 1 / 8
    assert one["classifier.weight"].abs().max() > 0.12


@pytest.mark.parametrize("architecture", ATTENDED)
@pytest.mark.parametrize("size", [(8, 8), (5, 9), (1, 1)])
def test_weights_say_what_the_network_is(architecture: str, size: tuple[int, int]) -> None:
    net = network(architecture, size=size).eval()
    again = load_network(net.state_dict(), architecture, channels=1, n_classes=4, classifier="unit").eval()
    images = torch.rand(2, 1, *size)
    assert torch.equal(net(images), again(images))


def test_another_head_on_its_embeddings() -> None:
    """A classifier to take home may be a linear one."""
    net = network().eval()
    backbone = remembering(net)
    head = torch.nn.Linear(64, 4)
    state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    state |= {f"classifier.{name}": value for name, value in head.state_dict().items()}
    loaded = load_network(state, "resnet8", channels=1, n_classes=4).eval()
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(loaded(images), head(backbone(images)))


def test_weights_that_do_not_go_together() -> None:
    state = network().state_dict()
    for name in ("backbone.memory", "backbone.attention.mask.weight"):
        for value in (state[name][:, :-1], state[name].ravel(), torch.empty(0, 0)):
            with pytest.raises(InputError, match="not those of a resnet8"):
                load_network(state | {name: value}, "resnet8", channels=1, n_classes=4, classifier="unit")


def test_backbone_without_a_map() -> None:
    with pytest.raises(InputError, match=r"architecture 'resnet18': OLTR attends to the last map"):
        network("resnet18", channels=3)


def test_images_of_another_size() -> None:
    with pytest.raises(InputError, match=r"last map has 3 x 3 places, but this network .* is for 4"):
        network()(torch.rand(2, 1, 12, 12))


def test_extracts_and_takes_no_images() -> None:
    net = network()
    remembering(net)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    features, logits = extract(net, images, [0.5], [0.25], device="cpu")
    assert features.shape == (5, 64)
    linear = features.astype(np.float64) @ classifier_weights(net).astype(np.float64).T
    np.testing.assert_allclose(logits, linear, rtol=1e-4, atol=1e-5)
    assert [part.shape for part in extract(net, images[:0], [0.5], [0.25], device="cpu")] == [(0, 64), (0, 4)]


def test_float32_under_autocast() -> None:
    net = network().eval()
    remembering(net)
    images = torch.rand(4, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = net.outputs(images)
    assert outputs.dtype == torch.float32
    np.testing.assert_allclose(double(outputs), double(net.outputs(images)), rtol=0.1, atol=0.3)


def test_unit_rows() -> None:
    layer = UnitClassifier(3, 2)
    layer.weight.data = torch.tensor([[3.0, 0, 4.0], [0, 2.0, 0]])
    found = layer(torch.tensor([[5.0, 1.0, 10.0]]))
    np.testing.assert_allclose(found.detach(), [[11.0, 1.0]], rtol=1e-6)
