"""BBN: its schedule, its sampler, a step against the formulas in float64, trainings."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from eos.losses.cross_entropy import CrossEntropy
from eos.models.inference import normalizer
from eos.models.network import Network, build_network
from eos.registry import MIXINGS, TWO_BRANCH_MIXINGS
from eos.training.bbn import BBN, alpha, reversed_rows
from eos.training.checkpoints import FileCheckpoint
from eos.training.epoch import EpochImages, class_balanced_rows
from eos.training.loop import EpochRecord, Images, Trained, Training, train, train_together
from eos.training.policies import Cutout
from eos.training.step import Step
from tests.helpers import DEVICE, given, same_training, train_config

CONFIG = train_config(epochs=4, batch_size=16, learning_rate=0.02, crop_padding=1, horizontal_flip=False)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bars(counts: tuple[int, ...], seed: int) -> Images:
    """Return noisy 8x8 pictures, each class with a row of its own that is a little brighter."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(seed).integers(0, 160, (len(labels), 8, 8, 1))
    images[np.arange(len(labels)), 2 * labels] += 30
    return Images(images.astype(np.uint8), labels)


@pytest.fixture(scope="module")
def parts() -> list[Images]:
    """Training images of four classes, 90, 30, 10 and 5 of them, and 200 test images."""
    return [bars((90, 30, 10, 5), seed=0), bars((50,) * 4, seed=1)]


def settings(**options: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"n_classes": 4, "architecture": "resnet8", "loss": "ce", "config": CONFIG}
    return known | {"device": DEVICE, "mixing": BBN()} | options


def test_the_registry_names_the_mixings_of_pairs() -> None:
    for name, entry in MIXINGS.items():
        made = entry.load()(**given("mixing", name))
        assert made.branches == (2 if name in TWO_BRANCH_MIXINGS else 1)


def test_alpha_falls_by_the_square_of_the_epochs_done() -> None:
    found = [alpha((epoch - 1) / 5) for epoch in (1, 2, 3, 4, 5)]
    assert found == pytest.approx([1, 0.96, 0.84, 0.64, 0.36])
    # Of the 200 epochs of the released code: 1 - ((T - 1) / 200)^2.
    assert alpha(159 / 200) == pytest.approx(1 - 25281 / 40000)


def test_classes_are_drawn_by_one_over_their_size() -> None:
    labels = torch.tensor([1] * 60 + [0] * 12 + [2] * 3)[torch.randperm(75, generator=generator())]
    rows = reversed_rows(labels, 40_000, generator())
    shares = torch.bincount(labels[rows]).double() / len(rows)
    weights = np.array([1 / 12, 1 / 60, 1 / 3])
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.01)  # 4 deviations
    for label, size in ((0, 12), (1, 60), (2, 3)):
        members = torch.bincount(rows, minlength=75)[labels == label].double()
        assert len(members) == size
        np.testing.assert_allclose(members / members.sum(), 1 / size, atol=0.035)


@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2], [0] * 100_000 + [1]])
def test_every_row_that_is_drawn_is_there(labels: list[int]) -> None:
    rows = reversed_rows(torch.tensor(labels), 500, generator())
    assert rows.min() >= 0
    assert rows.max() < len(labels)
    if len(labels) > 1000:  # the single one, but for one in a hundred thousand
        assert (rows == len(labels) - 1).double().mean() > 0.99


def test_balanced_rows_are_what_they_were() -> None:
    """Deferred re-sampling shares the draw of members; its rows are those of the first published code."""
    labels = torch.tensor([1, 0, 2, 1, 0, 1])
    source = generator(3)
    classes = torch.randint(3, (6,), generator=source)
    places = torch.rand(6, dtype=torch.float64, generator=source)
    members = {0: [1, 4], 1: [0, 3, 5], 2: [2]}
    expected = [
        members[label][int(place * len(members[label]))]
        for label, place in zip(classes.tolist(), places.tolist(), strict=True)
    ]
    assert class_balanced_rows(labels, generator(3)).tolist() == expected


def epoch_images(part: Images, config: Any = CONFIG, augmentations: Any = ()) -> EpochImages:
    return EpochImages(
        torch.as_tensor(part.images),
        torch.as_tensor(part.labels),
        n_classes=4,
        config=config,
        mixing=BBN(),
        augmentations=augmentations,
        mean=(0.4,),
        std=(0.3,),
        device=torch.device("cpu"),
    )


def test_an_epoch_is_every_image_once_beside_a_drawn_one(parts: list[Images]) -> None:
    images = epoch_images(parts[0], replace(CONFIG, crop_padding=0))
    drawn = images.draw(3, generator())
    assert sum(drawn.sizes) == 135
    assert drawn.sizes[0] == CONFIG.batch_size
    first, second = drawn.rows.view(-1, 2).unbind(1)
    assert sorted(first.tolist()) == list(range(135))
    labels = torch.as_tensor(parts[0].labels)
    assert torch.bincount(labels[second])[3] > torch.bincount(labels[second])[0]
    inputs, targets, classes = images.make(drawn, 0, 135)
    assert inputs.shape == (135, 2, 1, 8, 8)
    pictures = normalizer((0.4,), (0.3,), torch.device("cpu"))(torch.as_tensor(parts[0].images))
    assert torch.equal(inputs[:, 0], pictures[first])
    assert torch.equal(inputs[:, 1], pictures[second])
    share = 1 - (2 / 4) ** 2
    one_hot = torch.eye(4)
    expected = share * one_hot[labels[first]] + (1 - share) * one_hot[labels[second]]
    torch.testing.assert_close(targets, expected)
    assert torch.equal(classes, labels[first])
    late = images.draw(4, generator())  # alpha is 7/16
    _, _, classes = images.make(late, 0, 135)
    assert torch.equal(classes, labels[late.rows.view(-1, 2)[:, 1]])


def test_batches_made_one_by_one_are_those_made_at_once(parts: list[Images]) -> None:
    images = epoch_images(parts[0], augmentations=[Cutout(size=3)])
    drawn = images.draw(2, generator())
    assert len(drawn.crops) == len(drawn.rows) == 2 * 135
    whole = images.make(drawn, 0, 135)
    bounds = np.cumsum([0, *drawn.sizes]).tolist()
    made = [images.make(drawn, *pair) for pair in pairwise(bounds)]
    for one, several in zip(whole, zip(*made, strict=True), strict=True):
        assert torch.equal(one, torch.cat(several))


def test_the_rows_as_they_come_may_be_resampled_late(parts: list[Images]) -> None:
    images = epoch_images(parts[0], replace(CONFIG, resample_from=0.0))
    first, _ = images.draw(1, generator()).rows.view(-1, 2).unbind(1)
    assert len(first.unique()) < 135


# A step in float64, written out from the paper's formulas.


def _convolved(x: Tensor, weights: Mapping[str, Tensor], name: str, number: int, stride: int = 1) -> Tensor:
    """Return a convolution and its batch normalisation by the statistics of the batch."""
    y = functional.conv2d(x, weights[f"{name}conv{number}.weight"], stride=stride, padding=1)
    mean = y.mean((0, 2, 3), keepdim=True)
    deviation = ((y - mean) ** 2).mean((0, 2, 3), keepdim=True).add(1e-5).sqrt()
    scale, shift = (weights[f"{name}bn{number}.{kind}"].view(1, -1, 1, 1) for kind in ("weight", "bias"))
    return scale * (y - mean) / deviation + shift


def _block(x: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    n_out, n_in, *_ = weights[f"{name}conv1.weight"].shape
    stride = 1 if n_in == n_out else 2
    y = _convolved(x, weights, name, 1, stride).clamp(min=0)
    y = _convolved(y, weights, name, 2)
    short = x[:, :, ::stride, ::stride]
    zeros = torch.zeros(len(x), (n_out - n_in) // 2, *short.shape[2:], dtype=x.dtype)
    return (y + torch.cat((zeros, short, zeros), dim=1)).clamp(min=0)


def _trunk(x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    x = _convolved(x, weights, "", 1).clamp(min=0)
    return _block(_block(x, weights, "layer1.0."), weights, "layer2.0.")


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.exp().sum(1).log() - logits[torch.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("progress", [0.0, 0.5, 0.9])
def test_a_step_is_that_of_the_formulas(progress: float) -> None:
    share = 1 - progress**2
    network = build_network("resnet8", channels=1, n_classes=4, branches=2, generator=generator())
    network.train()
    images, labels = torch.randn(24, 1, 8, 8, generator=generator(1)), torch.arange(24) % 5 % 4
    weights = {
        name.removeprefix("backbone."): value.detach().double().requires_grad_()
        for name, value in network.named_parameters()
    }
    one, other = images.double()[0::2], images.double()[1::2]
    f_c = _block(_trunk(one, weights), weights, "layer3.0.").mean((2, 3))
    f_r = _block(_trunk(other, weights), weights, "rebalancing.").mean((2, 3))
    w_c, w_r = weights["classifier.weight"][:, :64], weights["classifier.weight"][:, 64:]
    z = 2 * (share * f_c @ w_c.T + (1 - share) * f_r @ w_r.T) + weights["classifier.bias"]
    expected = share * _cross_entropy(z, labels[0::2]) + (1 - share) * _cross_entropy(z, labels[1::2])
    expected.backward()

    mixing = BBN()
    mixing.prepare(network, progress)
    inputs, targets, classes = mixing.mixed(
        images, labels, torch.ones(4), mixing.draw(12, progress, generator())
    )
    step = Step(network, CrossEntropy([1] * 4), CONFIG, precision="fp32", device=torch.device("cpu"))
    step.set_learning_rate(0.0)
    loss, predicted = step(inputs, targets)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(predicted, z.argmax(1))
    assert torch.equal(classes, labels[0::2] if share >= 0.5 else labels[1::2])
    for name, value in network.named_parameters():
        exact = weights[name.removeprefix("backbone.")].grad
        assert value.grad is not None
        assert exact is not None
        size = float(exact.abs().max())
        torch.testing.assert_close(value.grad.double(), exact, rtol=1e-3, atol=1e-4 * size + 1e-9)
        if progress == 0 and name.startswith("backbone.rebalancing"):
            assert size == 0  # the first epoch is the conventional branch's


def losses(trained: Trained) -> list[float]:
    return [record.loss for record in trained.history]


def test_trainings_repeat_and_differ_by_seed(parts: list[Images]) -> None:
    before = torch.get_rng_state()
    one, again = (train(*parts, **settings()) for _ in range(2))
    same_training(one, again)
    assert torch.equal(before, torch.get_rng_state())
    assert losses(train(*parts, **settings(config=replace(CONFIG, seed=1)))) != losses(one)
    assert losses(train(*parts, **settings(mixing=None))) != losses(one)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3])
def test_resumed_is_uninterrupted(after: int, tmp_path: Path, parts: list[Images]) -> None:
    def stop(record: EpochRecord) -> None:
        if record.epoch == after:
            raise StoppedError

    checkpoint = FileCheckpoint(tmp_path / "c.safetensors")
    with pytest.raises(StoppedError):
        train(*parts, **settings(checkpoint=checkpoint, on_epoch=stop))
    same_training(train(*parts, **settings()), train(*parts, **settings(checkpoint=checkpoint)))


def test_side_by_side_each_has_its_own_alpha(parts: list[Images]) -> None:
    """One mixing may serve trainings of several lengths, which are at different shares at a time."""
    mixing = BBN()
    several = [settings(mixing=mixing, config=replace(CONFIG, epochs=epochs)) for epochs in (2, 4)]
    together = train_together([Training(*parts, **one) for one in several])
    for one, beside in zip(several, together, strict=True):
        assert isinstance(beside, Trained)
        same_training(train(*parts, **one), beside)


def test_the_network_weighs_as_the_epoch_does(parts: list[Images]) -> None:
    shares = []
    training = Training(*parts, **settings(on_epoch=lambda record: shares.append(float(alpha_of()))))

    def alpha_of() -> Tensor:
        network: Network = training.network
        return network.get_buffer("backbone.alpha")

    train_together([training])
    expected = [1, 15 / 16, 3 / 4, 7 / 16]
    assert shares == pytest.approx(expected if DEVICE == "cpu" else [*expected[1:], expected[-1]])


def test_rare_classes_are_found_better_than_by_cross_entropy() -> None:
    """Of faint bars at 20:1; the same network, images as they come, batches, rates and epochs."""
    config = replace(CONFIG, epochs=16, batch_size=32, learning_rate=0.1, score_every=16)
    found: dict[str, list[float]] = {"ce": [], "bbn": []}
    for seed in range(3):
        images = [bars((200, 60, 20, 10), seed=2 * seed), bars((100,) * 4, seed=2 * seed + 1)]
        for name, mixing in (("ce", None), ("bbn", BBN())):
            options = settings(mixing=mixing, config=replace(config, seed=seed))
            found[name].append(train(*images, **options).history[-1].test_BAC or 0)
    assert np.mean(found["bbn"]) > np.mean(found["ce"]) + 0.05, found
