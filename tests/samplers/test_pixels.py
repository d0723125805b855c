"""Over-sampling images in pixel space."""

from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from sklearn.decomposition import PCA
from sklearn.svm import SVC

from eos.errors import InputError
from eos.registry import PIXEL_SAMPLERS
from eos.samplers.pixels import oversample_images

COUNTS = (40, 12, 6)
DEFINITIONS: dict[str, dict[str, Any]] = {
    "random": {},
    "smote": {"k_neighbors": 5},
    "bsmote": {"k_neighbors": 5, "m_neighbors": 10},
    "balsvm": {"k_neighbors": 5, "components": 8, "svm_rows": 1000},
    "eos": {"k_neighbors": 10, "variant": "toward", "step_size": 1.0},
}


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    """Classes of 4x5 colour images around 60, 120 and 180."""
    labels = np.repeat(np.arange(3), COUNTS)
    noise = np.random.default_rng(0).integers(-50, 51, (len(labels), 4, 5, 3))
    return (60 * (labels + 1)[:, None, None, None] + noise).astype(np.uint8), labels


def test_the_definitions_cover_every_sampler() -> None:
    assert {name: set(entry.parameters) for name, entry in PIXEL_SAMPLERS.items()} == {
        name: set(definition) for name, definition in DEFINITIONS.items()
    }


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_class_is_filled_with_images(name: str, images: tuple[np.ndarray, np.ndarray]) -> None:
    balanced = oversample_images(name, *images, random_state=0, **DEFINITIONS[name])
    assert balanced.features.dtype == np.uint8
    assert balanced.features.shape == (28 + 34, 4, 5, 3)
    np.testing.assert_array_equal(balanced.labels[: len(images[1])], images[1])
    if name != "balsvm":  # which may change the labels of synthetic images
        np.testing.assert_array_equal(np.bincount(balanced.labels), [40, 40, 40])
    again = oversample_images(name, *images, random_state=0, **DEFINITIONS[name])
    np.testing.assert_array_equal(balanced.features, again.features)
    np.testing.assert_array_equal(balanced.labels, again.labels)


def test_smote_stays_within_the_pixels_of_its_class(images: tuple[np.ndarray, np.ndarray]) -> None:
    balanced = oversample_images("smote", *images, random_state=0, k_neighbors=3)
    for label in (1, 2):
        real = images[0][images[1] == label]
        new = balanced.features[balanced.labels[len(images[1]) :] == label]
        assert (new >= real.min(axis=0)).all()
        assert (new <= real.max(axis=0)).all()


def test_steps_away_from_the_enemy_are_cut_off_at_black_and_white() -> None:
    """The minority is nearly white and its enemies are black: away from them there is no pixel value left."""
    pictures = np.zeros((24, 2, 2, 1), dtype=np.uint8)
    pictures[20:] = 250
    labels = np.repeat([0, 1], [20, 4])
    parameters = DEFINITIONS["eos"] | {"variant": "away"}
    balanced = oversample_images("eos", pictures, labels, random_state=0, **parameters)
    assert balanced.features.min() >= 250


def test_the_svm_moves_images_that_lie_among_another_class() -> None:
    """One image of class 1 lies among class 0; SMOTE draws lines to it, the SVM takes them back."""
    random = np.random.default_rng(1)
    pictures = np.concatenate(
        [random.integers(0, 40, (60, 3, 3, 1)), random.integers(200, 240, (7, 3, 3, 1)), [[[[20]] * 3] * 3]]
    ).astype(np.uint8)
    labels = np.repeat([0, 1], [60, 8])
    parameters = DEFINITIONS["balsvm"] | {"k_neighbors": 7}
    balanced = oversample_images("balsvm", pictures, labels, random_state=0, **parameters)
    given = balanced.labels[len(labels) :]
    dark = balanced.features.reshape(len(balanced.features), -1).mean(axis=1) < 60
    assert (given[dark] == 0).any()  # SMOTE calls them all 1
    assert (given[~dark] == 1).all()
    np.testing.assert_array_equal(balanced.labels[: len(labels)], labels)


def test_labels_are_an_svms_on_standardised_principal_components() -> None:
    """Written out. One bright pixel has most of the variance, so that without standardising labels differ."""
    random, labels = np.random.default_rng(0), np.repeat(np.arange(3), (60, 30, 20))
    pictures = 100 + labels[:, None, None, None] + random.integers(-20, 21, (len(labels), 4, 5, 3))
    pictures[:, 0, 0, 0] = random.integers(0, 256, len(labels))
    rows = pictures.reshape(len(pictures), -1).astype(np.float32)
    every, before = SMOTE(random_state=0, k_neighbors=5).fit_resample(rows, labels)
    components = PCA(8).fit(rows).transform(every)
    standardised = (components - components.mean(axis=0)) / components.std(axis=0)
    expected, unscaled = (SVC().fit(x, before).predict(x)[len(rows) :] for x in (standardised, components))
    assert not np.array_equal(unscaled, expected)
    balanced = oversample_images(
        "balsvm", pictures.astype(np.uint8), labels, random_state=0, **DEFINITIONS["balsvm"]
    )
    np.testing.assert_array_equal(balanced.labels[len(rows) :], expected)


def test_a_smaller_svm_and_fewer_components_are_noted(images: tuple[np.ndarray, np.ndarray]) -> None:
    parameters = DEFINITIONS["balsvm"] | {"components": 500, "svm_rows": 60}
    notes = oversample_images("balsvm", *images, random_state=0, **parameters).notes
    assert "components was reduced from 500 to 58, because there are 58 images of 60 values" in notes
    assert "the SVM was fitted to 60 of 120 rows" in notes
    parameters |= {"components": 58, "svm_rows": 120}  # just as many
    assert not oversample_images("balsvm", *images, random_state=0, **parameters).notes


def test_balanced_images_get_no_company() -> None:
    pictures = np.zeros((6, 2, 2, 1), dtype=np.uint8)
    for name, definition in DEFINITIONS.items():
        pictures[3:] = 9
        balanced = oversample_images(name, pictures, np.repeat([0, 1], 3), random_state=0, **definition)
        assert balanced.features.shape == (0, 2, 2, 1)


def test_what_is_wrong_is_named(images: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InputError, match="unknown sampler 'smotte'; did you mean 'smote'"):
        oversample_images("smotte", *images, random_state=0)
    alone = np.r_[0:52, 57]
    with pytest.raises(InputError, match="class 2 has 1 sample"):
        oversample_images("smote", images[0][alone], images[1][alone], random_state=0, k_neighbors=5)
