"""Every registered name goes from images to a score, on a tiny data set, with what params.yaml must give."""

from typing import Any

import numpy as np
import pytest

from eos.generators.generation import generate
from eos.heads.retraining import retrain
from eos.losses.base import find_loss
from eos.metrics.scores import score
from eos.models.inference import extract, load_network
from eos.registry import ARCHITECTURES, AUGMENTATIONS, GENERATORS, LOSSES, MIXINGS, PIXEL_SAMPLERS, SAMPLERS
from eos.samplers.oversampling import oversample
from eos.samplers.pixels import oversample_images
from eos.training.loop import Images, train
from tests.helpers import DEVICE, given, head_config, train_config

N_CLASSES = 3
LENGTHS = ("epochs", "autoencoder_epochs", "steps")


def pictures(counts: tuple[int, ...], seed: int) -> Images:
    """Return noisy 8x8 pictures of one channel, each class with a bright row of its own."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(seed).integers(0, 80, (len(labels), 8, 8, 1))
    images[np.arange(len(labels)), 2 * labels + 1] += 120
    return Images(images.astype(np.uint8), labels)


TRAIN, TEST = pictures((24, 12, 8), seed=0), pictures((6, 6, 6), seed=1)


def scores_of(
    train_on: Images,
    *,
    architecture: str = "resnet8",
    loss: str = "ce",
    mixing: str | None = None,
    augmentation: str | None = None,
    sampler: str = "random",
) -> dict[str, float]:
    """Train, embed, balance by the sampler, retrain a head, and score it."""
    config = train_config(epochs=1, batch_size=22, crop_padding=1, precision="auto")
    mixed = MIXINGS[mixing].load()(**given("mixing", mixing)) if mixing else None
    trained = train(
        train_on,
        TEST,
        n_classes=N_CLASSES,
        architecture=architecture,
        loss=loss,
        loss_parameters=given("loss", loss),
        mixing=mixed,
        augmentations=[
            AUGMENTATIONS[name].load()(**given("augmentation", name)) for name in [augmentation] if name
        ],
        config=config,
        device=DEVICE,
    )
    network = load_network(
        trained.weights["last"],
        architecture,
        channels=1,
        n_classes=N_CLASSES,
        classifier=find_loss(loss).classifier,
        branches=mixed.branches if mixed else 1,
    )
    (train_rows, _), (test_rows, _) = (
        extract(network, part.images, trained.mean, trained.std, device=DEVICE) for part in (train_on, TEST)
    )
    assert train_rows.shape == (len(train_on.labels), network.n_features)
    balanced = oversample(sampler, train_rows, train_on.labels, random_state=0, **given("sampler", sampler))
    fitted = retrain(
        (balanced.rows(train_rows), balanced.labels),
        (test_rows, TEST.labels),
        (test_rows[:0], TEST.labels[:0]),
        n_classes=N_CLASSES,
        config=head_config(epochs=2),
        curve_epochs=2,
        rule="last",
        seed=0,
    )
    return score(TEST.labels, fitted["test_logits"].argmax(axis=1), N_CLASSES)


def check(scores: dict[str, float]) -> None:
    assert all(0 <= value <= 1 for value in scores.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures(architecture: str) -> None:
    check(scores_of(TRAIN, architecture=architecture))


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: str) -> None:
    check(scores_of(TRAIN, loss=loss))


@pytest.mark.parametrize("mixing", MIXINGS)
def test_mixings(mixing: str) -> None:
    check(scores_of(TRAIN, mixing=mixing))


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_augmentations(augmentation: str) -> None:
    check(scores_of(TRAIN, augmentation=augmentation))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers(sampler: str) -> None:
    check(scores_of(TRAIN, sampler=sampler))


@pytest.mark.parametrize("sampler", PIXEL_SAMPLERS)
def test_pixel_samplers(sampler: str) -> None:
    parameters = given("pixel sampler", sampler)
    made = oversample_images(sampler, TRAIN.images, TRAIN.labels, random_state=0, **parameters)
    assert len(made.features) == 12 + 16
    check(scores_of(Images(np.concatenate([TRAIN.images, made.features]), made.labels)))


@pytest.mark.parametrize("model", GENERATORS)
def test_generators(model: str) -> None:
    short: dict[str, Any] = {name: 2 for name in GENERATORS[model].parameters if name in LENGTHS}
    settings = given("generator", model) | short | {"seed": 0, "device": DEVICE}
    made = generate(model, TRAIN.images, TRAIN.labels, n_classes=N_CLASSES, **settings)
    np.testing.assert_array_equal(np.bincount(made.labels), [0, 12, 16])
    images, labels = np.concatenate([TRAIN.images, made.images]), np.concatenate([TRAIN.labels, made.labels])
    check(scores_of(Images(images, labels)))
