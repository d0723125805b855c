"""OLTR's two stages in one training: their boundary, their rates, a stop anywhere, and that they learn."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.losses.base import build_loss
from eos.models.inference import extract, load_network
from eos.models.network import Network, build_network
from eos.models.oltr import memory_of
from eos.models.saved import load_saved, save_network
from eos.training.checkpoints import FileCheckpoint
from eos.training.config import learning_rate
from eos.training.epoch import class_balanced_rows
from eos.training.loop import EpochRecord, Images, Training, train
from eos.training.stages import first_epochs, sampling
from tests.helpers import DEVICE, given, same, same_training, train_config

CONFIG = train_config(
    epochs=5, batch_size=16, learning_rate=0.02, crop_padding=1, horizontal_flip=False, precision="fp32"
)


def bars(counts: tuple[int, ...], seed: int) -> Images:
    """Return noisy 8x8 pictures of one channel, each class with a faint bright row of its own."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(seed).integers(0, 200, (len(labels), 8, 8, 1))
    images[np.arange(len(labels)), 2 * labels + 1] += 55
    return Images(images.astype(np.uint8), labels)


TRAIN, TEST = bars((40, 16, 6), seed=0), bars((10, 10, 10), seed=1)


def options(**changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "n_classes": 3,
        "architecture": "resnet8",
        "loss": "oltr",
        "config": CONFIG,
        "device": DEVICE,
    }
    settings |= changes
    settings["loss_parameters"] = given("loss", settings["loss"]) | changes.get("loss_parameters", {})
    return settings


def loss_of(first_stage: float) -> Any:
    return build_loss("oltr", [40, 16, 6], given("loss", "oltr") | {"first_stage": first_stage})


@pytest.mark.parametrize(
    ("share", "epochs", "first"),
    [(0.7, 200, 140), (0.7, 30, 21), (0.7, 5, 4), (0.7, 1, 0), (0.99, 2, 1), (0.0, 10, 0), (0.5, 3, 2)],
)
def test_an_epoch_is_left_to_the_second_stage(share: float, epochs: int, first: int) -> None:
    loss, config = loss_of(share), replace(CONFIG, epochs=epochs)
    assert first_epochs(loss, config) == first
    drawn = sampling(loss, config)
    balanced = [epoch for epoch in range(1, epochs + 1) if (epoch - 1) / epochs >= drawn.resample_from]
    assert balanced == list(range(first + 1, epochs + 1))


def test_other_losses_have_no_stages() -> None:
    loss = build_loss("ce", [3, 2], {})
    assert first_epochs(loss, CONFIG) == 0
    assert sampling(loss, CONFIG) == CONFIG


def test_rates_of_each_epoch_and_part() -> None:
    training = Training(TRAIN, TEST, **options(config=replace(CONFIG, epochs=20, learning_rate=0.1)))
    told, groups = [], []
    for epoch in range(1, 21):
        told.append(training.stages.begin(epoch))
        groups.append({group["part"]: float(group["lr"]) for group in training.step.optimizer.param_groups})
    first = replace(training.config, epochs=14)
    assert told[:14] == [learning_rate(first, epoch) for epoch in range(1, 15)]
    np.testing.assert_allclose(told[14:], [0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    for number, (rate, parts) in enumerate(zip(told, groups, strict=True)):
        slow = rate * (1.0 if number < 14 else 0.1)
        assert parts == pytest.approx({"backbone": slow, "memory": slow, "rest": rate})


def test_every_weight_has_one_rate() -> None:
    training = Training(TRAIN, TEST, **options())
    grouped = [id(one) for group in training.step.optimizer.param_groups for one in group["params"]]
    assert sorted(grouped) == sorted(map(id, training.network.parameters()))


def test_the_second_stage_begins_with_what_the_first_has_learned() -> None:
    """Attention off, class means of the embeddings, no momentum; until then only the plain network moves."""
    training = Training(TRAIN, TEST, **options())
    begun = {name: value.clone() for name, value in training.network.state_dict().items()}
    steps = training.run()
    for _ in range(4 * 4 + 1):  # epochs of 4 batches, and the first of the second stage is sent
        state = {name: value.clone() for name, value in training.network.state_dict().items()}
        next(steps)
    moved = {name for name, value in state.items() if not torch.equal(value, begun[name])}
    backbone: Any = training.network.backbone
    plain = {f"backbone.trunk.{name}" for name in backbone.trunk.state_dict()}
    assert moved == plain | {"backbone.hallucinator.weight", "backbone.hallucinator.bias"}
    assert training.step.active is training.network

    trained = build_network("resnet8", channels=1, n_classes=3)
    trained.backbone.load_state_dict(  # type: ignore[attr-defined]
        {name.removeprefix("backbone.trunk."): state[name] for name in plain}
    )
    features, _ = extract(trained, TRAIN.images, training.mean, training.std, device=DEVICE)
    means, typical = memory_of(features, TRAIN.labels, 3)
    settings = given("loss", "oltr")
    same(backbone.reach.cpu(), np.float32(settings["reach"] * typical), rtol=1e-4)
    assert backbone.length.item() == settings["length"]
    assert backbone.largest_reach.item() == settings["largest_reach"]
    # Momentum is that of one step: the gradient, and what the weight decays by.
    weight = backbone.trunk.layer3[-1].conv2.weight
    momentum = training.step.optimizer.state[weight]["momentum_buffer"]
    before = state["backbone.trunk.layer3.0.conv2.weight"].to(weight.device)
    decay = training.config.weight_decay
    same(momentum.cpu(), (weight.grad + decay * before).cpu(), rtol=1e-4, atol=1e-7)
    # One step at a low rate, with a low weight, from the means.
    same(backbone.memory.detach().cpu(), means, rtol=1e-2, atol=1e-3)


def test_the_first_stage_is_cross_entropy_of_a_plain_network() -> None:
    """Batches are drawn as they come, and the loss is that of the trunk with the hallucinator on top."""
    config = replace(CONFIG, epochs=2, learning_rate=1e-30, warmup=0.0, crop_padding=0, batch_size=100)
    training = Training(TRAIN, TEST, **options(config=config))
    backbone: Any = training.network.backbone
    record = train(TRAIN, TEST, **options(config=config)).history[0]
    inputs = training.images.normalize(training.images.images)
    with torch.no_grad():
        logits = Network(backbone.trunk, backbone.hallucinator).train()(inputs)
        expected = torch.nn.functional.cross_entropy(logits, training.images.labels).item()
    assert record.loss == pytest.approx(expected, rel=1e-4)


def test_the_second_stage_draws_class_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def noted(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        drawn.append(len(training.history) + 1)
        return class_balanced_rows(labels, generator)

    monkeypatch.setattr("eos.training.epoch.class_balanced_rows", noted)
    training = Training(TRAIN, TEST, **options(loss_parameters={"first_stage": 0.4}, device="cpu"))
    for _ in training.run():
        pass
    assert drawn == [3, 4, 5]


def test_no_rule_chooses_an_epoch_of_the_first_stage() -> None:
    """Such an epoch may score better, but its weights are those of another network."""
    found = train(TRAIN, TEST, validation=TEST, **options(config=replace(CONFIG, epochs=10)))
    scores = [record.test_FM or 0 for record in found.history]
    assert len(scores) == 10
    assert all(record.test_BAC is not None for record in found.history)
    best = 8 + int(np.argmax(scores[7:]))
    assert found.epochs == {"last": 10, "test": best, "validation": best}


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("stop", [1, 2, 3, 4])  # the second stage begins with the third epoch
def test_a_stopped_training_goes_on(stop: int, tmp_path: Path) -> None:
    def at(record: EpochRecord) -> None:
        if record.epoch == stop:
            raise StoppedError

    settings = options(loss_parameters={"first_stage": 0.4})
    checkpoint = FileCheckpoint(tmp_path / "checkpoint.safetensors")
    with pytest.raises(StoppedError):
        train(TRAIN, TEST, checkpoint=checkpoint, on_epoch=at, **settings)
    done: list[int] = []
    resumed = train(TRAIN, TEST, checkpoint=checkpoint, on_resume=done.append, **settings)
    assert done == [stop]
    same_training(train(TRAIN, TEST, **settings), resumed)


def test_a_finished_training_goes_on(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "checkpoint.safetensors")
    whole = train(TRAIN, TEST, checkpoint=checkpoint, **options())
    again = train(TRAIN, TEST, checkpoint=checkpoint, **options())
    same_training(whole, again)
    assert again.settled_BAC == whole.settled_BAC


def test_saved_and_read(tmp_path: Path) -> None:
    found = train(TRAIN, TEST, **options())
    description = {
        "architecture": "resnet8",
        "classifier": "unit",
        "branches": 1,
        "channels": 1,
        "class_names": ["a", "b", "c"],
        "mean": found.mean,
        "std": found.std,
        "precision": found.precision,
        "epochs": found.epochs,
    }
    save_network(tmp_path, found.weights, description)
    saved = load_saved(tmp_path, "last")
    network = load_network(found.weights["last"], "resnet8", channels=1, n_classes=3, classifier="unit")
    both = [
        extract(one, TEST.images, found.mean, found.std, device=DEVICE) for one in (saved.network, network)
    ]
    for one, other in zip(*both, strict=True):
        same(one, other)
    recall = [(both[0][1].argmax(axis=1) == label)[TEST.labels == label].mean() for label in range(3)]
    assert np.mean(recall) == pytest.approx(found.history[-1].test_BAC)


def test_pretrained_weights_are_the_trunk_s() -> None:
    start = build_network("resnet8", channels=1, n_classes=7, generator=torch.Generator().manual_seed(5))
    weights = {name: value.clone() for name, value in start.state_dict().items()}
    training = Training(TRAIN, TEST, **options(pretrained=weights, device="cpu"))
    backbone: Any = training.network.backbone
    for name, value in backbone.trunk.state_dict().items():
        assert torch.equal(value, weights[f"backbone.{name}"])


@pytest.mark.parametrize("counts", [(12, 5, 1), (1, 1, 1)])
def test_classes_of_one_image(counts: tuple[int, ...]) -> None:
    with pytest.warns(UserWarning, match="OLTR") if counts[0] == 1 else contextlib.nullcontext():
        found = train(bars(counts, seed=2), TEST, **options(config=replace(CONFIG, epochs=3)))
    assert np.isfinite([record.loss for record in found.history]).all()
    assert all(value.isfinite().all() for value in found.weights["last"].values())


def test_half_precision() -> None:
    found, exact = (
        [record.loss for record in train(TRAIN, TEST, **options(config=config)).history]
        for config in (replace(CONFIG, precision="bf16"), CONFIG)
    )
    np.testing.assert_allclose(found, exact, rtol=0.15)


def test_a_backbone_without_a_map_is_an_error() -> None:
    with pytest.raises(InputError, match="architecture 'resnet18': OLTR attends to the last map"):
        train(TRAIN, TEST, **options(architecture="resnet18"))


def test_a_constant_image_is_no_harm() -> None:
    """All embeddings are one point, and so is the memory: distances of 0 everywhere."""
    black = Images(np.zeros((12, 8, 8, 1), dtype=np.uint8), np.arange(12) % 3)
    with pytest.warns(UserWarning, match="half of the 12 training images lie on a class mean"):
        found = train(black, black, **options(config=replace(CONFIG, epochs=3)))
    assert all(value.isfinite().all() for value in found.weights["last"].values())


def test_learns_what_few_images_of_a_class_show() -> None:
    """Noisy bars, 20 to 1: better than cross-entropy (of four seeds by .05 to .20)."""
    images, unseen = bars((120, 24, 6), seed=10), bars((50, 50, 50), seed=50)
    config = replace(CONFIG, epochs=10, score_every=10)
    plain, ours = (
        train(images, unseen, **options(loss=name, config=config)).history[-1].test_BAC or 0
        for name in ("ce", "oltr")
    )
    assert ours > plain + 0.02
    assert ours > 0.7
