"""Generative over-samplers learn the classes; stopped or not, equal arguments give equal images."""

import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from eos.errors import InputError
from eos.generators import base, cgan
from eos.generators.bagan import normals
from eos.generators.base import Progress
from eos.generators.generation import Generated, generate
from eos.registry import GENERATORS
from eos.storage.files import Arrays
from eos.training.checkpoints import FileCheckpoint
from tests.helpers import DEVICE, given, same

SMALL: dict[str, dict[str, Any]] = {
    "gamo": {"epochs": 3, "latent_size": 8},
    "bagan": {"autoencoder_epochs": 2, "epochs": 2, "learning_rate": 0.01, "latent_size": 8, "width": 4},
    "cgan": {"steps": 8, "learning_rate": 0.01, "batch_size": 4, "latent_size": 8, "width": 4},
    "deepsmote": {"epochs": 3, "learning_rate": 0.01, "latent_size": 8, "width": 4, "k_neighbors": 2},
}
EVERY = pytest.mark.parametrize("name", GENERATORS)

# Two classes whose distribution is known: a ramp to the right and one downward, whose brightness varies.
RAMP = np.linspace(60, 160, 8)
MEANS = np.stack([np.tile(RAMP, (8, 1)), np.tile(RAMP[:, np.newaxis], (1, 8))])[..., np.newaxis]
SPREAD = 25.0


def ramps(counts: tuple[int, ...], side: int = 8, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    means = MEANS[labels % 2].repeat(side // 8, 1).repeat(side // 8, 2).repeat(channels, 3)
    brightness = random.normal(0, SPREAD, (len(labels), 1, 1, 1))
    images = means + brightness + random.normal(0, 3, means.shape)
    return images.round().clip(0, 255).astype(np.uint8), labels


def run(name: str, images: np.ndarray, labels: np.ndarray, **changed: Any) -> Generated:
    arguments: dict[str, Any] = {"n_classes": int(labels.max()) + 1, "seed": 0, "device": DEVICE}
    return generate(name, images, labels, **(arguments | given("generator", name) | SMALL[name] | changed))


def assert_same(first: Generated, second: Generated) -> None:
    same(first.images, second.images)
    assert np.array_equal(first.labels, second.labels)
    steps, others = ([(row.step, row.name) for row in made.history] for made in (first, second))
    assert steps == others
    same(*([row.value for row in made.history] for made in (first, second)))
    assert first.notes == second.notes


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let CGAN report, and all save, after every few steps."""
    monkeypatch.setattr(cgan, "STEPS_PER_REPORT", 5)
    monkeypatch.setattr(base, "SECONDS_BETWEEN_SAVES", 0)


TRAINED: dict[str, dict[str, Any]] = {
    "gamo": {"epochs": 60, "learning_rate": 0.001},
    "bagan": {
        "autoencoder_epochs": 40,
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 0.00005,
        "autoencoder_learning_rate": 0.001,
        "latent_size": 16,
        "width": 16,
    },
    "cgan": {"steps": 300, "batch_size": 32, "learning_rate": 0.001, "latent_size": 16, "width": 16},
    "deepsmote": {
        "epochs": 60,
        "batch_size": 16,
        "learning_rate": 0.002,
        "latent_size": 16,
        "width": 8,
    },
}
UNTRAINED = {"epochs": 0, "autoencoder_epochs": 0, "steps": 0}


def learned(name: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether the samples of the rare class have about the mean and the spread of its distribution."""
    images, labels = ramps((60, 20))
    made = run(name, images, labels, **parameters).images.astype(float)
    error = np.sqrt(((made.mean(axis=0) - MEANS[1]) ** 2).mean())
    spread = made.mean(axis=(1, 2, 3)).std()
    return bool(error < 20 and SPREAD / 2 < spread < SPREAD * 2)


@pytest.mark.slow
@EVERY
def test_the_samples_have_the_mean_and_the_spread_of_their_class(name: str) -> None:
    assert learned(name, TRAINED[name])


@EVERY
def test_an_untrained_model_fails_that_test(name: str) -> None:
    asked = {key: value for key, value in UNTRAINED.items() if key in GENERATORS[name].parameters}
    assert not learned(name, TRAINED[name] | asked)


@EVERY
@pytest.mark.parametrize(("side", "channels"), [(8, 1), (16, 3), (32, 3), (64, 1)])
def test_every_class_is_filled(name: str, side: int, channels: int) -> None:
    images, labels = ramps((9, 1, 4, 9), side, channels)
    random = torch.get_rng_state()
    made = run(name, images, labels)
    assert made.images.dtype == np.uint8
    assert made.images.shape == (13, side, side, channels)
    assert made.labels.dtype == np.int64
    assert made.labels.tolist() == [1] * 8 + [2] * 5
    assert len(made.notes) == 1
    assert made.notes[0].startswith("class 1 has 1 image: ")
    assert torch.equal(torch.get_rng_state(), random)


@EVERY
def test_unusual_sizes(name: str) -> None:
    """A batch of one row, and a side that is no power of two."""
    images, labels = ramps((5, 1))
    assert (
        len(run(name, images.repeat(2, 1)[:, :12].repeat(2, 2)[:, :, :12], labels, batch_size=4).images) == 4
    )


@EVERY
def test_the_seed_decides(name: str) -> None:
    images, labels = ramps((12, 5, 3))
    assert_same(run(name, images, labels), run(name, images, labels))
    assert not np.array_equal(run(name, images, labels).images, run(name, images, labels, seed=1).images)


class StoppedError(Exception):
    pass


class Memory:
    """A checkpoint that does not outlive the process."""

    def __init__(self) -> None:
        self.arrays: Arrays | None = None

    def load(self) -> Arrays | None:
        return self.arrays

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = dict(arrays)


@EVERY
@pytest.mark.parametrize("stops", [(1,), (2,), (1, 2, 3), (4,)])
@pytest.mark.usefixtures("often")
def test_resumed_is_uninterrupted(name: str, stops: tuple[int, ...]) -> None:
    images, labels = ramps((12, 5, 3))
    whole = run(name, images, labels)
    reports = [row.step for row in whole.history]
    checkpoint = Memory()
    told: list[Progress] = []

    def stop(progress: Progress) -> None:
        told.append(progress)
        if len(told) in stops:
            raise StoppedError

    for _ in range(sum(stop <= len(set(reports)) for stop in stops)):
        with pytest.raises(StoppedError):
            run(name, images, labels, checkpoint=checkpoint, on_progress=stop)
    assert_same(whole, run(name, images, labels, checkpoint=checkpoint, on_progress=stop))
    assert [progress.done for progress in told] == sorted(set(reports))  # nothing twice
    assert told[-1].done == told[-1].total


@pytest.mark.usefixtures("often")
def test_a_damaged_checkpoint_costs_the_epochs_only(tmp_path: Path) -> None:
    images, labels = ramps((12, 5, 3))
    checkpoint = FileCheckpoint(tmp_path / "c.safetensors")

    def stop(progress: Progress) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        run("gamo", images, labels, checkpoint=checkpoint, on_progress=stop)
    # The state after an epoch is saved before it is told of, so that there is one.
    content = bytearray(checkpoint.path.read_bytes())
    content[len(content) // 2] ^= 16
    checkpoint.path.write_bytes(content)
    assert_same(run("gamo", images, labels), run("gamo", images, labels, checkpoint=checkpoint))


def test_saves_are_some_time_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock by which every epoch takes seven seconds, the first twenty have passed after the third."""
    ticks = count(0, 7)
    monkeypatch.setattr(base, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    images, labels = ramps((12, 5))
    checkpoint, saved = Memory(), []

    def look(progress: Progress) -> None:
        arrays = checkpoint.load()
        saved.append(None if arrays is None else int(arrays["done"]))

    run("gamo", images, labels, checkpoint=checkpoint, on_progress=look, epochs=4)
    assert saved == [None, None, 3, 3]


@EVERY
def test_images_of_weights_that_the_last_step_broke_are_an_error(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(self: base.Model, label: int, count: int) -> torch.Tensor:
        return torch.full((count, 1, 8, 8), torch.nan)

    monkeypatch.setattr(GENERATORS[name].load(), "draw", draw)
    with pytest.raises(InputError, match="training diverged: the images of class 1 are not finite; lower le"):
        run(name, *ramps((12, 5, 3)))


def test_gamo_mixes_members_of_the_class() -> None:
    images, labels = ramps((20, 4, 1))
    made = run("gamo", images, labels)
    for label in (1, 2):
        members = images[labels == label]
        own = made.images[made.labels == label]
        assert (own >= members.min(axis=0)).all()
        assert (own <= members.max(axis=0)).all()
    assert len(np.unique(made.images[made.labels == 1], axis=0)) > 4


def test_a_class_of_cgan_does_not_depend_on_the_others() -> None:
    images, labels = ramps((9, 4, 5))
    first = run("cgan", images, labels)
    changed = images.copy()
    changed[labels == 1] //= 2
    second = run("cgan", changed, labels)
    same(first.images[first.labels == 2], second.images[second.labels == 2])
    assert not np.array_equal(first.images[first.labels == 1], second.images[second.labels == 1])


def test_the_halvings_of_cgan() -> None:
    starts = {side: side >> cgan.n_halvings(side) for side in (8, 12, 16, 28, 32, 48, 64)}
    assert starts == {8: 2, 12: 3, 16: 4, 28: 7, 32: 4, 48: 6, 64: 4}


def test_the_normals_of_bagan() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [400, 1])
    codes = random.normal(0, [1, 3], (401, 2))
    means, roots = normals(torch.tensor(codes), torch.tensor(labels), 2, prior_size=10)
    covariances = (roots @ roots).numpy()
    assert np.allclose(means[1], codes[400])
    assert np.allclose(covariances[0], np.cov(codes[:400].T))  # the mean covariance is its own
    assert np.allclose(covariances[1], covariances[0])
    with_two = np.concatenate([labels, [1]])
    codes = np.concatenate([codes, codes[400:] + 2])
    _, roots = normals(torch.tensor(codes), torch.tensor(with_two), 2, prior_size=10)
    own = np.full((2, 2), 2.0)  # the scatter of two points 2 apart in each dimension
    pooled = (np.cov(codes[:400].T) * 399 + own) / 400
    assert np.allclose((roots @ roots)[1].numpy(), (own + 10 * pooled) / 11)


def test_balanced_classes_need_nothing() -> None:
    images, labels = ramps((3, 3))
    made = run("gamo", images, labels)
    assert made.images.shape == (0, 8, 8, 1)
    assert made.labels.shape == (0,)
    assert made.notes == ("every class has 3 images: nothing was generated",)


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("gan", {}, "generators: unknown generator 'gan'; did you mean 'cgan'"),
        ("gamo", {"device": "tpu"}, "unknown device 'tpu'"),
        ("gamo", {"n_classes": 3}, "class 2 of 3 has no image"),
        ("cgan", {"learning_rate": 1e30, "width": 4}, "generator cgan: training diverged: the loss class 1 "),
    ],
)
def test_errors(name: str, changed: dict[str, Any], message: str) -> None:
    images, labels = ramps((4, 2))
    arguments: dict[str, Any] = {"n_classes": 2, "seed": 0, "device": DEVICE}
    with pytest.raises(InputError) as raised:
        generate(
            name,
            images,
            labels,
            **(arguments | given("generator", name) | changed),
        )
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 12, 1), np.uint8), "images of 8x12 pixels; needed are square images"),
        (np.zeros((2, 10, 10, 1), np.uint8), "images of 10x10 pixels"),
        (np.zeros((2, 4, 4, 1), np.uint8), "images of 4x4 pixels"),
        (np.zeros((2, 68, 68, 1), np.uint8), "images of 68x68 pixels"),
    ],
)
def test_images_that_cannot_be_used(images: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as raised:
        generate("gamo", images, np.array([0, 1]), n_classes=2, seed=0)
    assert f"generator gamo: {message}" in str(raised.value)


def test_the_names_cost_nothing() -> None:
    code = "import eos.generators.generation, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "PIL"}
