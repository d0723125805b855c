"""Synthetic images that are trained on from some epoch on only."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eos.training.checkpoints import FileCheckpoint
from eos.training.config import TrainConfig, sees_synthetic
from eos.training.epoch import EpochImages
from eos.training.loop import Images, Trained, train
from tests.helpers import DEVICE, same_losses, same_training, train_config

CONFIG = train_config(epochs=4, batch_size=16, learning_rate=0.02, crop_padding=1, horizontal_flip=False)


def pictures(n: int, seed: int = 0) -> Images:
    """Return 8x8 noise of three classes."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)
    return Images(images, np.arange(n) % 3)


ALL, TEST = pictures(50), pictures(9, seed=1)
REAL = Images(ALL.images[:30], ALL.labels[:30])


def run(part: Images, config: TrainConfig = CONFIG, **options: Any) -> Trained:
    settings: dict[str, Any] = {"n_classes": 3, "architecture": "resnet8", "loss": "ce", "device": DEVICE}
    # Given, because that of the images of one training is not that of another's.
    return train(part, TEST, config=config, normalization=((0.5,), (0.25,)), **settings, **options)


def late(start: float) -> Trained:
    return run(replace(ALL, n_synthetic=20), replace(CONFIG, synthetic_from=start))


@pytest.mark.parametrize("resample_from", [0.0, 1.0])
def test_rows_drawn_before_are_real_ones(resample_from: float) -> None:
    config = replace(CONFIG, epochs=5, synthetic_from=0.6, resample_from=resample_from)
    images = EpochImages(
        torch.tensor(ALL.images),
        torch.tensor(ALL.labels),
        n_synthetic=20,
        n_classes=3,
        config=config,
        mixing=None,
        augmentations=[],
        mean=[0.5],
        std=[0.25],
        device=torch.device("cpu"),
    )
    generator = torch.Generator().manual_seed(0)
    for epoch, expected in zip(range(1, 6), (30, 30, 30, 50, 50), strict=True):
        drawn = images.draw(epoch, generator)
        assert sum(drawn.sizes) == len(drawn.rows) == expected
        assert drawn.rows.max() < expected
        if resample_from == 1:
            assert drawn.rows.sort().values.tolist() == list(range(expected))
        else:
            assert (drawn.rows.max() >= 30) == (expected == 50)


def test_the_share_of_the_epochs() -> None:
    for epochs, start, first in ((200, 0.8, 161), (10, 0.8, 9), (10, 0.0, 1), (3, 0.5, 3), (1, 0.5, None)):
        config = replace(CONFIG, epochs=epochs, synthetic_from=start)
        seen = [epoch for epoch in range(1, epochs + 1) if sees_synthetic(config, epoch)]
        assert seen == (list(range(first, epochs + 1)) if first else [])


def test_until_it_is_due_a_training_is_that_on_the_real_images() -> None:
    real, half, plain = ([one.loss for one in made.history] for made in (run(REAL), late(0.5), run(ALL)))
    same_losses(real[:2], half[:2])  # of four epochs
    assert real[2:] != half[2:]
    assert plain[0] != half[0]


def test_from_the_start_it_is_the_training_on_all_images() -> None:
    same_training(run(ALL), late(0.0))


def test_resumed_is_uninterrupted(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "c.safetensors")

    def stop(record: Any) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    part, config = replace(ALL, n_synthetic=20), replace(CONFIG, synthetic_from=0.5)
    with pytest.raises(KeyboardInterrupt):
        run(part, config, checkpoint=checkpoint, on_epoch=stop)
    same_training(late(0.5), run(part, config, checkpoint=checkpoint))
