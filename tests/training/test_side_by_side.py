"""Trainings that take turns, and the step that they share with one alone and with a captured one."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.losses.base import Loss, build_loss
from eos.models.network import build_network
from eos.registry import ARCHITECTURES, AUGMENTATIONS, LOSSES, MIXINGS
from eos.training.checkpoints import FileCheckpoint
from eos.training.loop import EpochRecord, Images, Trained, Training, train, train_together
from eos.training.step import Step, phase_of
from tests.helpers import ROOT, given, same_training, train_config

CONFIG = train_config(epochs=3, batch_size=16, learning_rate=0.02, crop_padding=1, precision="fp32")


@pytest.fixture(scope="module")
def images() -> list[Images]:
    """90 training and 30 test images of noise, of three unequal classes."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [70, 35, 15])
    pixels = random.integers(0, 120, (120, 8, 8, 3)) + 50 * labels[:, None, None, None]
    order = random.permutation(120)
    return [Images(pixels[part].astype(np.uint8), labels[part]) for part in (order[:90], order[90:])]


def options(**changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"n_classes": 3, "architecture": "resnet8", "loss": "ce", "config": CONFIG}
    settings |= {"device": "cpu"} | changes
    settings.setdefault("loss_parameters", given("loss", settings["loss"]))
    return settings


def every_kind() -> dict[str, dict[str, Any]]:
    """Return what trainings can differ in, each once."""
    kinds: dict[str, dict[str, Any]] = {f"loss {name}": {"loss": name} for name in LOSSES}
    for name in MIXINGS:
        kinds[f"mixing {name}"] = {"mixing": MIXINGS[name].load()(**given("mixing", name))}
    for name in AUGMENTATIONS:
        made = AUGMENTATIONS[name].load()(**given("augmentation", name))
        kinds[f"augmentation {name}"] = {"augmentations": [made]}
    kinds["resampling"] = {"config": replace(CONFIG, resample_from=0.5)}
    return kinds


def same_bytes(one: Trained, other: Trained) -> bool:
    histories = [[replace(record, seconds=0) for record in trained.history] for trained in (one, other)]
    return histories[0] == histories[1] and all(
        value.numpy().tobytes() == other.weights[rule][name].numpy().tobytes()
        for rule, weights in one.weights.items()
        for name, value in weights.items()
    )


def losses(trained: Trained) -> list[float]:
    return [record.loss for record in trained.history]


def test_side_by_side_each_training_is_as_if_alone(images: list[Images]) -> None:
    """Also where they differ in length, in batches, and in the precision of the network."""
    several = [
        options(),
        options(loss="ldam", config=replace(CONFIG, epochs=5)),
        options(config=replace(CONFIG, batch_size=40, seed=1), mixing=MIXINGS["mixup"].load()(alpha=1.0)),
        options(architecture="resnet20", config=replace(CONFIG, epochs=1, precision="bf16")),
    ]
    together = train_together([Training(*images, **one) for one in several])
    for settings, beside in zip(several, together, strict=True):
        assert isinstance(beside, Trained)
        assert same_bytes(train(*images, **settings), beside)


def test_they_take_turns_step_by_step(images: list[Images]) -> None:
    told: list[str] = []
    trainings = [
        Training(*images, **options(on_epoch=lambda record, n=name: told.append(f"{n}{record.epoch}")))
        for name in "ab"
    ]
    train_together(trainings)
    assert told == ["a1", "b1", "a2", "b2", "a3", "b3"]


def test_one_that_fails_stops_no_other(images: list[Images]) -> None:
    bad = options(config=replace(CONFIG, learning_rate=1e20))
    first, failed, last = train_together([Training(*images, **one) for one in (options(), bad, options())])
    assert isinstance(failed, InputError)
    assert "diverged" in str(failed)
    assert isinstance(first, Trained)
    assert isinstance(last, Trained)
    assert same_bytes(first, last)
    with pytest.raises(InputError, match="diverged"):
        train(*images, **bad)


def test_the_time_on_the_clock_is_shared(images: list[Images], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second after the one before; two trainings take half of it each."""
    ticks: Iterator[int] = iter(range(10**6))
    monkeypatch.setattr("eos.training.loop.time.perf_counter", lambda: next(ticks))
    alone = train(*images, **options())
    (one, _) = train_together([Training(*images, **options()) for _ in range(2)])
    assert isinstance(one, Trained)
    assert [record.seconds for record in alone.history] == [1, 1, 1]
    assert {record.seconds for record in one.history} <= {0.5, 1.0, 1.5}


def parts_of_a_step(precision: str, loss: str = "ce") -> tuple[Step, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = build_loss(loss, [30, 20, 10], given("loss", loss))
    network = build_network(
        "resnet8", channels=1, n_classes=3, classifier=made.classifier, generator=generator
    )
    inputs = torch.randn(12, 1, 8, 8, generator=generator)
    step = Step(network, made, CONFIG, precision=precision, device=torch.device("cpu"))
    return step, inputs, torch.arange(12) % 3


def test_a_step_is_sgd_with_momentum_and_weight_decay() -> None:
    step, inputs, targets = parts_of_a_step("fp32")
    weights = {name: value.detach().clone() for name, value in step.network.named_parameters()}
    buffers = {name: torch.zeros_like(value) for name, value in weights.items()}
    step.network.train()
    for rate in (0.02, 0.005):
        step.set_learning_rate(rate)
        step(inputs, targets)
        for name, value in step.network.named_parameters():
            assert value.grad is not None
            gradient = value.grad + CONFIG.weight_decay * weights[name]
            buffers[name] = CONFIG.momentum * buffers[name] + gradient
            weights[name] = weights[name] - rate * buffers[name]
            torch.testing.assert_close(value.detach(), weights[name], rtol=1e-5, atol=1e-7)
            weights[name] = value.detach().clone()


def test_half_precision_steps_leave_out_an_overflow_and_lower_the_scale() -> None:
    """Of the step that a GPU takes in fp16 a processor can take all but the speed."""
    step, inputs, targets = parts_of_a_step("fp16")
    step.network.train()
    scale = step.state()["scaler.scale"]
    assert scale.item() == 1024
    before = step.network.classifier.weight.detach().clone()
    found = [step(inputs, targets)[0].item() for _ in range(5)]
    assert found[-1] < found[0]
    assert scale.item() == 1024
    assert not torch.equal(before, step.network.classifier.weight)
    exact, *_ = parts_of_a_step("fp32")
    exact.network.train()
    assert found[0] == pytest.approx(exact(inputs, targets)[0].item(), rel=0.01)
    scale.fill_(2.0**60)  # every gradient overflows
    kept = {name: value.detach().clone() for name, value in step.network.named_parameters()}
    step(inputs, targets)
    assert scale.item() == 2.0**59
    assert all(torch.equal(value, kept[name]) for name, value in step.network.named_parameters())


def test_what_a_step_changes_is_its_state() -> None:
    """Put back, the same step gives the same; this is what a capture and a checkpoint rely on."""
    for precision in ("fp32", "fp16"):
        step, inputs, targets = parts_of_a_step(precision)
        step.network.train()
        step(inputs, targets)
        saved = {name: value.clone() for name, value in step.state().items()}
        first = step(inputs, targets)
        changed = {name for name, value in step.state().items() if not torch.equal(value, saved[name])}
        assert {"network.backbone.conv1.weight", "optimizer.sgd.0.momentum_buffer"} <= changed
        step(inputs, targets)
        with torch.no_grad():
            for name, value in step.state().items():
                value.copy_(saved[name])
        assert all(map(torch.equal, step(inputs, targets), first))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_has_a_new_phase_only_where_it_changes(loss: str) -> None:
    made = build_loss(loss, [30, 20, 10], given("loss", loss))
    phases = []
    for epoch in range(10):
        made.begin_epoch(epoch / 10)
        phases.append(phase_of(made))
    changes = [number for number in range(1, 10) if phases[number] != phases[number - 1]]
    assert changes == ([8] if loss == "ldam" else [])


def test_an_attribute_or_a_tensor_of_a_loss_is_a_new_phase() -> None:
    class Growing(Loss):
        def __init__(self) -> None:
            super().__init__([1, 1])
            self.register_buffer("weight", torch.ones(2))
            self._sharpness = 1.0

    made = Growing()
    first = phase_of(made)
    assert phase_of(made) == first
    made._sharpness = 2.0
    second = phase_of(made)
    assert second != first
    kept = made.weight
    made.weight = torch.zeros(2)
    assert phase_of(made) != second
    assert isinstance(kept, torch.Tensor)


# What follows needs a GPU. There it compares the captured step with the plain one.

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")


@pytest.fixture(autouse=True)
def without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cuDNN compute float32 in float32: of TF32, 10 bits, comparisons would see little else."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@needs_gpu
@pytest.mark.parametrize("kind", every_kind())
def test_captured_and_plain_steps_give_the_same_losses(kind: str, images: list[Images]) -> None:
    """To rounding: the operations are the same, but cuBLAS and cuDNN may choose others under capture."""
    settings = options(device="cuda", **every_kind()[kind])
    captured, plain = (train(*images, captured=way, **settings) for way in (True, False))
    assert losses(captured) == pytest.approx(losses(plain), rel=1e-3)
    on_cpu = train(*images, **(settings | {"device": "cpu"}))
    assert captured.history[0].loss == pytest.approx(on_cpu.history[0].loss, rel=1e-2)


@needs_gpu
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_captured(
    architecture: str, images: list[Images], recwarn: pytest.WarningsRecorder
) -> None:
    settings = options(device="cuda", architecture=architecture)
    captured, plain = (train(*images, captured=way, **settings) for way in (True, False))
    assert not [warning for warning in recwarn if "CUDA graph" in str(warning.message)]
    # The maximum over pixels of one architecture adds its gradients in any order.
    assert losses(captured) == pytest.approx(losses(plain), rel=0.05, abs=0.02)


@needs_gpu
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_on_a_gpu(precision: str, images: list[Images]) -> None:
    settings = options(device="cuda", config=replace(CONFIG, precision=precision))
    captured, plain = (train(*images, captured=way, **settings) for way in (True, False))
    assert losses(captured) == pytest.approx(losses(plain), rel=0.05)


@needs_gpu
def test_side_by_side_on_a_gpu(images: list[Images]) -> None:
    several = [options(device="cuda", loss=loss) for loss in ("ce", "ldam", "focal")]
    together = train_together([Training(*images, **one) for one in several])
    for settings, beside in zip(several, together, strict=True):
        assert isinstance(beside, Trained)
        alone = train(*images, **settings)
        assert losses(alone) == pytest.approx(losses(beside), rel=1e-3)


def test_a_damaged_checkpoint_costs_the_epochs_of_its_training_only(
    images: list[Images], tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise StoppedError

    several = [options(loss=loss) for loss in ("ce", "ldam")]
    checkpoints = [FileCheckpoint(tmp_path / f"{number}.safetensors") for number in range(2)]
    for settings, checkpoint in zip(several, checkpoints, strict=True):
        with pytest.raises(StoppedError):
            train(*images, checkpoint=checkpoint, on_epoch=stop, **settings)
    content = bytearray(checkpoints[0].path.read_bytes())
    content[len(content) // 2] ^= 16
    checkpoints[0].path.write_bytes(content)
    done: list[int] = []
    together = train_together(
        [
            Training(
                *images,
                checkpoint=checkpoint,
                on_resume=done.append,
                **settings,
            )
            for settings, checkpoint in zip(several, checkpoints, strict=True)
        ]
    )
    assert done == [2]  # of one of them
    for settings, resumed in zip(several, together, strict=True):
        assert isinstance(resumed, Trained)
        same_training(train(*images, **settings), resumed)


@needs_gpu
def test_a_stopped_captured_training_goes_on(images: list[Images], tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise StoppedError

    settings = options(device="cuda", config=replace(CONFIG, epochs=5))
    checkpoint = FileCheckpoint(tmp_path / "checkpoint.safetensors")
    with pytest.raises(StoppedError):
        train(*images, checkpoint=checkpoint, on_epoch=stop, **settings)
    done: list[int] = []
    resumed = train(*images, checkpoint=checkpoint, on_resume=done.append, **settings)
    assert done == [2]
    whole = train(*images, **settings)
    assert losses(whole) == pytest.approx(losses(resumed), rel=1e-3)


REFUSED = """
import warnings
import torch
from torch import nn
from eos.losses.base import Loss
from eos.losses.cross_entropy import CrossEntropy
from eos.models.network import build_network
from eos.training.step import CapturedStep, Step
from tests.helpers import train_config

class Asking(Loss):  # it looks at a number while it computes, which a capture forbids
    def forward(self, logits, targets):
        loss = nn.functional.cross_entropy(logits.float(), targets)
        return loss * (1.0 if loss.item() > 0 else 0.5)

device, config = torch.device("cuda"), train_config(precision="fp32")
inputs, targets = torch.randn(12, 3, 8, 8, device=device), torch.arange(12, device=device) % 3
torch.cuda.synchronize()
with torch.cuda.stream(torch.cuda.Stream()):
    for loss, told in ((Asking([3, 2, 1]), 1), (CrossEntropy([3, 2, 1]), 0)):
        network = build_network("resnet8", channels=3, n_classes=3).to(device)
        take = CapturedStep(Step(network, loss, config, precision="fp32", device=device))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = take(inputs, targets)[0].item()
        graphs = [one for one in caught if "no CUDA graph" in str(one.message)]
        assert found == found and len(graphs) == told, (found, graphs)
"""


@needs_gpu
def test_a_step_that_cannot_be_captured_is_taken_plainly() -> None:
    """And the next one is captured; in a process of its own, in case it is not."""
    done = subprocess.run(
        [sys.executable, "-c", REFUSED], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
