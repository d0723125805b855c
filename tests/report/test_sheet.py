"""The picture of synthetic images: a row per class."""

import numpy as np

from eos.report.sheet import sample_sheet


def test_the_first_images_of_every_class_are_enlarged_side_by_side() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    sheet = sample_sheet(images, np.array([0, 0, 0, 1, 1]), n_classes=3, per_class=2)
    pixels = np.asarray(sheet)
    assert pixels.shape == (3 * 34 + 2, 2 * 34 + 2, 3)
    for row, column, shown in ((0, 0, 0), (0, 1, 1), (1, 0, 3), (1, 1, 4)):
        place = pixels[34 * row + 2 : 34 * row + 34, 34 * column + 2 : 34 * column + 34]
        assert np.array_equal(place, images[shown].repeat(4, axis=0).repeat(4, axis=1))
    assert len(np.unique(pixels[70:])) == 1  # a class without images


def test_grey_images_make_a_grey_picture_and_equal_images_an_equal_one() -> None:
    images, labels = np.full((2, 40, 40, 1), 7, dtype=np.uint8), np.array([0, 1])
    sheets = [sample_sheet(images, labels, n_classes=2) for _ in range(2)]
    assert sheets[0].mode == "L"
    assert sheets[0].size == (10 * 42 + 2, 2 * 42 + 2)  # large images stay as they are
    assert sheets[0].tobytes() == sheets[1].tobytes()
