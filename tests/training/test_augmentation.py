"""Crops and flips of whole batches, and the normalisation of images."""

from typing import Any

import numpy as np
import pytest
import torch

from eos.training.augmentation import crop, draw_crops, normalization_of


def test_normalization() -> None:
    images = np.random.default_rng(0).integers(0, 200, (9, 4, 5, 2), dtype=np.uint8)
    mean, std = normalization_of(images)
    np.testing.assert_allclose(mean, images.mean((0, 1, 2)) / 255)
    np.testing.assert_allclose(std, images.std((0, 1, 2)) / 255)
    mean, std = normalization_of(np.full((2, 3, 3, 1), 51, dtype=np.uint8))
    assert mean == pytest.approx((0.2,))
    assert std == (1 / 255,)


def augmented(images: np.ndarray, seed: int = 0, **options: Any) -> np.ndarray:
    settings: dict[str, Any] = {"crop_padding": 0, "horizontal_flip": False, **options}
    drawn = draw_crops(len(images), generator=torch.Generator().manual_seed(seed), **settings)
    return crop(torch.tensor(images), drawn, crop_padding=settings["crop_padding"]).numpy()


@pytest.fixture
def distinct() -> np.ndarray:
    """200 copies of one image whose 6 x 5 pixels all differ, and are not black."""
    image = np.arange(1, 61, dtype=np.uint8).reshape(6, 5, 2)
    return np.repeat(image[np.newaxis], 200, axis=0)


def test_no_augmentation_is_the_identity(distinct: np.ndarray) -> None:
    np.testing.assert_array_equal(augmented(distinct), distinct)


def test_flips_only_mirror(distinct: np.ndarray) -> None:
    result = augmented(distinct, horizontal_flip=True)
    mirrored = np.array([np.array_equal(view, distinct[0, :, ::-1]) for view in result])
    same = np.array([np.array_equal(view, distinct[0]) for view in result])
    assert (mirrored ^ same).all()
    assert 70 < mirrored.sum() < 130


@pytest.mark.parametrize("horizontal_flip", [False, True])
def test_crops_are_windows_of_the_padded_image(distinct: np.ndarray, horizontal_flip: bool) -> None:
    padded = np.pad(distinct[0], ((2, 2), (2, 2), (0, 0)))
    windows = {}
    for top in range(5):
        for left in range(5):
            window = padded[top : top + 6, left : left + 5]
            windows[window.tobytes()] = (top, left, False)
            if horizontal_flip:
                windows[window[:, ::-1].tobytes()] = (top, left, True)
    result = augmented(distinct, crop_padding=2, horizontal_flip=horizontal_flip)
    seen = [windows[view.tobytes()] for view in result]  # a KeyError is a view that is no window
    # Every offset turns up, rows and columns are drawn apart, and so is every image.
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(5))
    assert len(set(seen)) > 20
    assert any(top != left for top, left, _ in seen)


def test_augmentation_follows_its_generator(distinct: np.ndarray) -> None:
    options = {"crop_padding": 1, "horizontal_flip": True}
    np.testing.assert_array_equal(augmented(distinct, 1, **options), augmented(distinct, 1, **options))
    assert not np.array_equal(augmented(distinct, 1, **options), augmented(distinct, 2, **options))
