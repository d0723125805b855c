"""The recipe by the number of images, and what a training is warned of."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from eos.training.epoch import batches_of
from eos.training.loop import Images, Trained, train
from eos.training.recipe import (
    LARGEST_BATCH,
    LEAST_EPOCHS,
    LEAST_STEPS,
    SMALLEST_BATCH,
    STEPS_PER_EPOCH,
    Steps,
    fitted,
    steps_per_epoch,
    warnings,
)
from tests.helpers import DEVICE, train_config


def automatic(rows: int) -> Steps:
    return fitted(rows, epochs="auto", batch_size="auto", learning_rate="auto")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (200, Steps(epochs=154, batch_size=16, learning_rate=0.00625)),
        (404, Steps(epochs=77, batch_size=16, learning_rate=0.00625)),
        (2_000, Steps(epochs=63, batch_size=64, learning_rate=0.025)),
        (20_000, Steps(epochs=30, batch_size=128, learning_rate=0.05)),
    ],
)
def test_recipes_of_four_sizes(rows: int, expected: Steps) -> None:
    found = automatic(rows)
    assert (found.epochs, found.batch_size) == (expected.epochs, expected.batch_size)
    assert found.learning_rate == pytest.approx(expected.learning_rate)


@pytest.mark.parametrize("rows", [1, 15, 16, 39, 200, 404, 799, 800, 2_000, 3_199, 3_200, 20_000, 10**6])
def test_any_number_of_images_gets_enough_steps_and_no_more_than_that_takes(rows: int) -> None:
    found = automatic(rows)
    steps = steps_per_epoch(rows, found.batch_size)
    assert found.epochs * steps >= LEAST_STEPS
    assert found.epochs == LEAST_EPOCHS or (found.epochs - 1) * steps < LEAST_STEPS
    assert SMALLEST_BATCH <= found.batch_size <= LARGEST_BATCH
    assert math.log2(found.batch_size).is_integer()
    assert found.batch_size == SMALLEST_BATCH or rows / found.batch_size >= STEPS_PER_EPOCH
    assert found.batch_size == LARGEST_BATCH or rows / (2 * found.batch_size) < STEPS_PER_EPOCH
    assert found.learning_rate / found.batch_size == automatic(404).learning_rate / automatic(404).batch_size


def test_what_is_given_stays_and_the_rest_goes_with_it() -> None:
    assert fitted(404, epochs=3, batch_size=5, learning_rate=0.7) == Steps(3, 5, 0.7)
    assert fitted(404, epochs="auto", batch_size=101, learning_rate=0.7).epochs == LEAST_STEPS // 4
    twice, once = (
        fitted(404, epochs=9, batch_size=size, learning_rate="auto").learning_rate for size in (32, 16)
    )
    assert twice == 2 * once


@pytest.mark.parametrize("rows", [1, 3, 4, 16, 19, 20, 129, 388, 404, 431])
@pytest.mark.parametrize("batch_size", [1, 2, 16, 128])
def test_steps_of_an_epoch_are_the_batches_of_the_loop(rows: int, batch_size: int) -> None:
    assert steps_per_epoch(rows, batch_size) == len(batches_of(torch.arange(rows), batch_size))


def pictures(counts: tuple[int, ...], seed: int) -> Images:
    """Return noisy 8 x 8 pictures, each class with a bright row of its own."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(seed).integers(0, 80, (len(labels), 8, 8, 1))
    images[np.arange(len(labels)), 2 * labels + 1] += 60
    return Images(images.astype(np.uint8), labels)


def ending(rows: tuple[int, ...], steps: Steps) -> tuple[Trained, list[str]]:
    config = train_config(
        **vars(steps), crop_padding=0, horizontal_flip=False, precision="fp32", score_every=1000
    )
    trained = train(
        pictures(rows, 0), pictures((40, 40, 40), 1), n_classes=3, architecture="resnet8", loss="ce",
        config=config, device=DEVICE,
    )  # fmt: skip
    last = trained.history[-1]
    assert last.test_BAC is not None
    told = warnings(
        n_classes=3,
        steps=steps.epochs * steps_per_epoch(sum(rows), steps.batch_size),
        test_BAC=last.test_BAC,
        train_BAC=last.train_BAC,
        settled_BAC=trained.settled_BAC,
    )
    return trained, told


def test_a_step_of_all_images_ends_near_chance_with_a_warning_and_small_steps_do_not() -> None:
    rows = (75, 20, 6)
    trained, told = ending(rows, Steps(epochs=1, batch_size=128, learning_rate=0.1))
    assert trained.settled_BAC < 0.5
    assert told[0].startswith("the training ended near chance: balanced accuracy 0.")
    assert "where guessing gives 0.333; steps in all: 1; under the data set's training set epochs" in told[0]
    # A tenth of the steps: the pictures are that easy.
    trained, told = ending(rows, replace(automatic(sum(rows)), epochs=automatic(sum(rows)).epochs // 10))
    assert told == []
    assert trained.history[-1].test_BAC is not None
    assert trained.history[-1].test_BAC >= 0.95


def told_of(**values: float) -> list[str]:
    fine = {"n_classes": 3, "steps": 100, "test_BAC": 0.9, "train_BAC": 0.95, "settled_BAC": 0.95}
    return warnings(**(fine | values))  # type: ignore[arg-type]


def test_a_fine_training_is_not_warned_of() -> None:
    assert told_of() == []
    assert told_of(settled_BAC=1.0) == []  # learned more in its last steps, or on augmented images
    assert told_of(n_classes=2, test_BAC=0.6) == []
    assert told_of(n_classes=1000, test_BAC=0.05) == []


@pytest.mark.parametrize(("n_classes", "test_BAC"), [(2, 0.54), (3, 0.342), (10, 0.14), (1000, 0.0014)])
def test_chance_by_the_number_of_classes(n_classes: int, test_BAC: float) -> None:
    (told,) = told_of(n_classes=n_classes, test_BAC=test_BAC)
    assert f"guessing gives {1 / n_classes:.3f}" in told


def test_batch_normalisation_that_has_not_settled() -> None:
    (told,) = told_of(settled_BAC=0.6)
    assert "batch normalisation has not settled" in told
    assert "0.950 while training, 0.600 by the running averages" in told
    assert len(told_of(settled_BAC=0.6, test_BAC=0.333)) == 2
