"""The picture of synthetic images beside real ones: a row per class."""

import numpy as np

from eos.report.sheet import sample_sheet

NAMES = ["rare", "often", "with a name that is far too long to be read"]


def coloured(labels: np.ndarray, *, blue: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of one colour for each label: its red says which it is."""
    images = np.zeros((len(labels), 8, 8, 3), dtype=np.uint8)
    images[..., 0], images[..., 2] = (10 * np.arange(1, len(labels) + 1))[:, None, None], blue
    return images, labels


def test_real_and_synthetic_images_of_every_class_stand_side_by_side_the_largest_class_first() -> None:
    real = coloured(np.array([0, 1, 1, 1, 2, 2]), blue=200)
    made = coloured(np.array([0, 0, 2]), blue=250)
    pixels = np.asarray(sample_sheet(made, real, NAMES, title="GAMO", n_real=2, n_synthetic=2))
    centres = []
    for blue in (200, 250):
        images = pixels[..., 0] * ((pixels[..., 2] == blue) & (pixels[..., 1] == 0))  # text is grey
        places = {int(red): np.argwhere(images == red) for red in np.unique(images) if red}
        assert all(len(place) == 40 * 40 for place in places.values())  # enlarged from 8 x 8
        centres.append({red: place.mean(axis=0) for red, place in places.items()})
    shown, synthetic = centres
    assert set(shown) == {10, 20, 30, 50, 60}  # the fourth is the third of its class
    assert set(synthetic) == {10, 20, 30}
    assert shown[20][0] < shown[50][0] < shown[10][0]  # rows: 3, 2 and 1 real images
    assert synthetic[10][0] == shown[10][0]
    assert synthetic[30][0] == shown[50][0]
    assert max(place[1] for place in shown.values()) < min(place[1] for place in synthetic.values())


def test_grey_images_make_a_grey_picture_and_equal_images_an_equal_one() -> None:
    images, labels = np.full((2, 40, 40, 1), 7, dtype=np.uint8), np.array([0, 1])
    sheets = [sample_sheet((images, labels), (images, labels), ["a", "b"], title="CGAN") for _ in range(2)]
    assert sheets[0].mode == "L"
    assert (np.asarray(sheets[0]) == 7).sum() >= 4 * 40 * 40  # large images stay as they are
    assert sheets[0].tobytes() == sheets[1].tobytes()


def test_the_classes_names_stand_left_of_their_rows() -> None:
    images, labels = np.zeros((2, 40, 40, 1), dtype=np.uint8), np.array([0, 1])
    one, other = (
        np.asarray(sample_sheet((images, labels), (images, labels), names, title="CGAN"))
        for names in (["aa", "bb"], ["aa", "cc"])
    )
    assert one.shape == other.shape
    rows, columns = np.nonzero(one != other)
    assert len(rows) > 0
    assert rows.min() > one.shape[0] // 2  # in the second row
    assert columns.max() < one.shape[1] // 5
