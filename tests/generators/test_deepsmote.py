"""DeepSMOTE: the two forms of its penalty, its codes' neighbors, and images between those of a class."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eos.generators import deepsmote
from eos.generators.base import Data, from_uint8
from eos.generators.deepsmote import DeepSmote, nearest
from eos.generators.generation import Generated, generate
from tests.helpers import DEVICE, given

SETTINGS: dict[str, Any] = {"batch_size": 16, "learning_rate": 0.002, "latent_size": 16, "width": 8}


def bars(counts: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return 8x8 images of one bright row each, whose place is the class and whose brightness varies."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    images = random.integers(0, 20, (len(labels), 8, 8, 1))
    images[np.arange(len(labels)), 2 * labels] += random.integers(120, 220, (len(labels), 1, 1))
    return images.astype(np.uint8), labels


def run(images: np.ndarray, labels: np.ndarray, **changed: Any) -> Generated:
    arguments = given("generator", "deepsmote") | SETTINGS | {"n_classes": int(labels.max()) + 1}
    return generate("deepsmote", images, labels, **(arguments | {"seed": 0, "device": DEVICE} | changed))


def model_of(counts: tuple[int, ...], **changed: Any) -> DeepSmote:
    images, labels = bars(counts)
    data = Data(torch.tensor(images).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels), counts)
    settings = given("generator", "deepsmote") | SETTINGS | {"epochs": 2} | changed
    return DeepSmote(data, torch.Generator().manual_seed(0), **settings)


@pytest.mark.parametrize("form", ["paper", "released"])
def test_the_autoencoder_reproduces_bars_and_what_it_makes_are_bars_of_the_class(form: str) -> None:
    """A mean image for all would be off by the variance of the images."""
    images, labels = bars((40, 20, 10))
    made = run(images, labels, epochs=40, width=4, form=form)
    errors = [row.value for row in made.history if row.name == "reconstruction"]
    variance = (images / 127.5).var(axis=0).mean()
    assert errors[0] > variance
    assert min(errors) < variance / 5
    means = np.stack([images[labels == label].mean(axis=0) for label in range(3)])
    distances = ((made.images[:, np.newaxis].astype(float) - means) ** 2).sum(axis=(2, 3, 4))
    assert (distances.argmin(axis=1) == made.labels).mean() > 0.95


def gradients(part: torch.nn.Module) -> list[Tensor | None]:
    return [weight.grad for weight in part.parameters()]


def test_the_penalty_teaches_the_encoder_in_the_form_of_the_paper_alone() -> None:
    for form in ("paper", "released"):
        model = model_of((9, 4), form=form)
        model.networks.train()
        model.penalty(model.members[1]).backward()
        taught = [grad is not None and bool(grad.any()) for grad in gradients(model.encoder)]
        assert any(taught) == (form == "paper")
        assert all(grad is not None and grad.any() for grad in gradients(model.decoder))


def drawn_members(monkeypatch: pytest.MonkeyPatch, model: DeepSmote) -> tuple[list[Tensor], list[Tensor]]:
    """Let the autoencoder be the identity on flattened images; return what is encoded and decoded."""
    encoded: list[Tensor] = []
    decoded: list[Tensor] = []

    def encode(images: Tensor) -> Tensor:
        encoded.append(images)
        return images.flatten(1)

    def decode(codes: Tensor) -> Tensor:
        decoded.append(codes.unflatten(1, (1, 8, 8)))
        return decoded[-1]

    monkeypatch.setattr(model, "encoder", encode)
    monkeypatch.setattr(model, "decoder", decode)
    return encoded, decoded


def test_the_released_penalty_is_a_reconstruction_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of((120, 4), form="released")
    encoded, decoded = drawn_members(monkeypatch, model)
    assert model.penalty(model.members[0]).item() == 0
    assert len(encoded[0]) == 100
    assert torch.equal(encoded[0], decoded[0])


def test_the_penalty_of_the_paper_decodes_every_code_in_the_place_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_of((20, 4), form="paper")
    encoded, decoded = drawn_members(monkeypatch, model)
    for number, size in ((0, 16), (1, 4)):  # a batch at most
        penalty = model.penalty(model.members[number]).item()
        images, others = encoded[-1].flatten(1), decoded[-1].flatten(1)
        assert len(images) == size
        assert penalty == pytest.approx(((images - others) ** 2).mean().item())
        own = from_uint8(model.data.images[model.data.labels == number]).flatten(1)
        assert (torch.cdist(images, own).min(dim=1).values < 1e-5).all()
        assert len(images.unique(dim=0)) == len(others.unique(dim=0)) == size  # a permutation ...
        assert not (images == others).all(dim=1).any()  # ... in which none stays where it was


def test_the_loss_is_the_sum_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of((9, 4))
    losses: list[float] = []

    def note(name: str, loss: Tensor) -> Tensor:
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(model, "step", note)
    told = model.advance()
    assert np.mean(losses) == pytest.approx(told["reconstruction"] + told["penalty"], rel=1e-5)


def test_the_epoch_of_the_lowest_loss_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of((9, 4), epochs=3)
    totals = iter((0.5, 0.2, 0.4))
    kept = []

    def means(steps: list[dict[str, Tensor]]) -> dict[str, float]:
        return {"reconstruction": next(totals), "penalty": 0.0}

    monkeypatch.setattr(deepsmote, "means", means)
    for _ in range(3):
        model.advance()
        kept.append(
            {name: value.clone() for name, value in model.networks["autoencoder"].state_dict().items()}
        )
    best = model.best.state_dict()
    same = [all(torch.equal(best[name], value) for name, value in state.items()) for state in kept]
    assert same == [False, True, False]
    again = model_of((9, 4), epochs=3)
    again.unpack(model.pack())
    assert again.lowest.item() == 0.2


def test_nearest_are_those_of_a_full_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepsmote, "_CODES_AT_ONCE", 7)
    codes = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    expected = []
    for code in codes.astype(np.float64):
        expected.append(np.argsort(((codes - code) ** 2).sum(axis=1))[1:4])
    assert nearest(torch.tensor(codes), 3).tolist() == np.array(expected).tolist()
    assert nearest(torch.tensor(codes[:3]), 5).shape == (3, 2)
    assert nearest(torch.tensor(codes[:1]), 5).shape == (1, 0)
    repeated = nearest(torch.zeros(4, 5), 3)  # no code is its own neighbor
    assert all(row not in repeated[row].tolist() for row in range(4))


def test_samples_are_between_a_code_and_a_near_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of((9, 6), k_neighbors=2)
    points: list[Tensor] = []

    class Decoder(torch.nn.Module):
        def forward(self, codes: Tensor) -> Tensor:
            points.append(codes)
            return torch.zeros(len(codes), 1, 8, 8)

    model.best["decoder"] = Decoder()
    model.fill()
    codes, neighbors = model.codes[1]
    with torch.no_grad():
        model.draw(1, 300)
    starts = codes[:, None].expand(-1, 2, -1).flatten(0, 1)
    ways = codes[neighbors].flatten(0, 1) - starts
    taken = set()
    for point in points[-1]:
        shares = ((point - starts) * ways).sum(dim=1) / (ways**2).sum(dim=1)
        off = ((starts + shares[:, None] * ways - point) ** 2).sum(dim=1)
        on = (off < 1e-8) & (shares >= -1e-4) & (shares <= 1 + 1e-4)
        assert on.any()
        taken.add(int(on.int().argmax()))
    # Every pair is taken; of two that are each other's neighbor the first stands for both.
    assert len(taken) >= 6


def test_the_penalty_is_of_any_class(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of((40, 20, 10), batch_size=4)
    seen: list[int] = []
    penalty = model.penalty

    def recorded(members: Tensor) -> Tensor:
        seen.append(len(members))
        return penalty(members)

    monkeypatch.setattr(model, "penalty", recorded)
    for _ in range(4):
        model.advance()
    drawn = [seen.count(size) for size in (40, 20, 10)]
    assert sum(drawn) == len(seen) >= 64
    assert min(drawn) > len(seen) / 6  # a third each; by their sizes the last would have a seventh


def test_its_layers_are_those_of_the_port() -> None:
    model = model_of((4, 2))
    kinds = [type(layer).__name__ for layer in model.encoder.modules() if not list(layer.children())]
    assert kinds == ["Conv2d", "LeakyReLU", *["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3, "Flatten", "Linear"]
    slopes = {one.negative_slope for one in model.encoder.modules() if isinstance(one, torch.nn.LeakyReLU)}
    assert slopes == {0.2}
    kinds = [type(layer).__name__ for layer in model.decoder.modules() if not list(layer.children())]
    assert kinds[-1] == "Tanh"
    assert kinds.count("BatchNorm2d") == 2


def test_a_single_image_is_decoded_as_it_is() -> None:
    images, labels = bars((6, 1))
    made = run(images, labels, epochs=1)
    assert len(np.unique(made.images, axis=0)) == 1
    assert made.notes == ("class 1 has 1 image: its samples are copies of what the autoencoder makes of it",)


def test_fewer_neighbors_are_noted() -> None:
    images, labels = bars((12, 5, 6, 2))
    told = run(images, labels, epochs=1).notes
    assert told == ("k_neighbors was reduced from 5 to the number of other members: classes 1, 3",)
    assert run(*bars((12, 6)), epochs=1).notes == ()


def test_a_batch_of_one_image_joins_the_one_before() -> None:
    sizes = [
        [len(batch) for batch in model_of(counts, batch_size=4).batches()] for counts in ((7, 2), (5, 1))
    ]
    assert sizes == [[4, 5], [4, 2]]
    assert len(run(*bars((2, 1)), epochs=1, batch_size=2).images) == 1


def test_its_layers_on_32_pixels_are_the_published_ones() -> None:
    images = torch.zeros((3, 3, 32, 32), dtype=torch.uint8)
    settings = given("generator", "deepsmote")
    model = DeepSmote(Data(images, torch.tensor([0, 0, 1]), (2, 1)), torch.Generator(), **settings)
    shapes = {
        part: [tuple(weight.shape) for weight in network.parameters() if weight.ndim > 1]
        for part, network in (("encoder", model.encoder), ("decoder", model.decoder))
    }
    assert shapes["encoder"] == [
        *((64, 3, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (600, 512)),
    ]
    assert shapes["decoder"] == [
        *((512 * 8 * 8, 600), (512, 256, 4, 4), (256, 128, 4, 4), (128, 3, 3, 3)),
    ]


def test_first_weights_are_those_that_torch_draws() -> None:
    """Uniform, up to one over the root of the inputs of a neuron; of all of them the deviation tells."""
    model = model_of((2, 1), width=16, latent_size=64)
    torch.manual_seed(0)
    for layer in model.networks["autoencoder"].modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            drawn = layer.weight.std().item()
            layer.reset_parameters()
            assert drawn == pytest.approx(layer.weight.std().item(), rel=0.1)
