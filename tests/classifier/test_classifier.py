"""A classifier says of new images what its network and head say, and refuses what it cannot take."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from torch import nn

import eos
from eos.classifier.classifier import Classifier
from eos.classifier.folder import BACKBONE, HEAD, write_folder
from eos.errors import InputError
from eos.models.inference import extract
from eos.models.network import Network, build_network
from tests.helpers import DEVICE, same

NAMES = ["cat", "dog", "eel"]
MEAN, STD = [0.3, 0.4, 0.5], [0.2, 0.2, 0.3]
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)
WEIGHT = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
BIAS = np.array([0, 1, 2], np.float32)


def description(**changes: Any) -> dict[str, Any]:
    backbone = {"architecture": "resnet8", "branches": 1, "channels": 3, "image_size": 8}
    backbone |= {"mean": MEAN, "std": STD}
    return {
        "class_names": NAMES,
        "n_features": 64,
        "head": {"own": False, "classifier": "linear", "scale": 1.0},
        "backbone": backbone,
        "computing": {"device": DEVICE, "cpu_threads": None, "portable": False, "precision": "fp32"},
        "trained_on": {},
        "scores": {},
        "versions": {},
    } | changes


def parts(network: Network) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of a network's backbone and of its classifier."""
    backbone: Any = network.backbone
    return arrays_of(backbone), arrays_of(network.classifier)


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy(force=True) for name, value in module.state_dict().items()}


@pytest.fixture(scope="module")
def network() -> Network:
    return build_network("resnet8", channels=3, n_classes=3, classifier="cosine")


@pytest.fixture
def folder(tmp_path: Path, network: Network) -> Path:
    """Write a retrained head on the network's backbone."""
    write_folder(
        tmp_path / "model",
        description(),
        {BACKBONE: parts(network)[0], HEAD: {"weight": WEIGHT, "bias": BIAS}},
    )
    return tmp_path / "model"


def test_a_retrained_head(folder: Path, network: Network) -> None:
    classifier = eos.load(folder)
    features, _ = extract(network, IMAGES, MEAN, STD, device=DEVICE)
    same(classifier.embed(IMAGES), features)
    expected = features @ WEIGHT.T + BIAS
    same(classifier.logits(IMAGES), expected)
    same(classifier.predict_proba(IMAGES), softmax(expected.astype(np.float64), axis=1), rtol=1e-5)
    assert classifier.predict(IMAGES).tolist() == [NAMES[best] for best in expected.argmax(axis=1)]


def test_the_own_cosine_classifier_is_scaled_for_probabilities_only(tmp_path: Path, network: Network) -> None:
    backbone, head = parts(network)
    own = description(head={"own": True, "classifier": "cosine", "scale": 30.0})
    write_folder(tmp_path / "own", own, {BACKBONE: backbone, HEAD: head})
    classifier = eos.load(tmp_path / "own")
    _, expected = extract(network, IMAGES, MEAN, STD, device=DEVICE)
    same(classifier.logits(IMAGES), expected)
    assert np.abs(expected).max() <= 1
    same(classifier.predict_proba(IMAGES), softmax(30.0 * expected.astype(np.float64), axis=1), rtol=1e-6)


def test_heads_on_a_backbone_with_a_memory(tmp_path: Path) -> None:
    """OLTR: its own classifier of unit rows, and another one on its embeddings."""
    made = build_network("resnet8", channels=3, n_classes=3, classifier="unit", remembering=(8, 8))
    features, logits = extract(made, IMAGES, MEAN, STD, device=DEVICE)
    backbone, own = parts(made)
    other = {"weight": WEIGHT, "bias": BIAS}
    for kind, head, expected in (("unit", own, logits), ("linear", other, features @ WEIGHT.T + BIAS)):
        told = description(head={"own": kind == "unit", "classifier": kind, "scale": 1.0})
        write_folder(tmp_path / kind, told, {BACKBONE: backbone, HEAD: head})
        classifier = eos.load(tmp_path / kind)
        same(classifier.embed(IMAGES), features)
        same(classifier.logits(IMAGES), expected)


def test_paths_are_read_as_arrays_are(folder: Path, tmp_path: Path) -> None:
    classifier = eos.load(folder)
    files = [tmp_path / f"{number}.png" for number in range(len(IMAGES))]
    for file, image in zip(files, IMAGES, strict=True):
        Image.fromarray(image).save(file)
    same(classifier.logits(files), classifier.logits(IMAGES))
    np.testing.assert_array_equal(classifier.predict(str(files[2])), classifier.predict(files[2:3]))
    bad = [tmp_path / "bad.png", tmp_path / "none.png"]
    bad[0].write_text("no picture")
    with pytest.raises(InputError, match=r"(?s)2 of 3 .*bad\.png: .*none\.png: "):
        classifier.predict([bad[0], files[0], bad[1]])


def test_pictures_of_another_size_and_mode_are_brought_to_those_it_knows(
    folder: Path, tmp_path: Path
) -> None:
    for name, mode, size in (
        ("grey.png", "L", (40, 20)),
        ("rgba.png", "RGBA", (8, 9)),
        ("one.png", "1", (3, 3)),
    ):
        Image.new(mode, size, 1).save(tmp_path / name)
        assert eos.load(folder).logits(tmp_path / name).shape == (1, 3)


@pytest.mark.parametrize(
    "inputs",
    [IMAGES[:0], IMAGES[..., :1], IMAGES[0], IMAGES.astype(float), np.zeros((2, 9, 8, 3), np.uint8), []],
    ids=["none", "grey", "one", "float", "size", "nothing"],
)
def test_images_that_it_does_not_take(folder: Path, inputs: Any) -> None:
    message = r"inputs: an array of .* takes uint8 of shape \(n, 8, 8, 3\), n at least 1, or paths"
    with pytest.raises(InputError, match=message):
        eos.load(folder).predict(inputs)


@pytest.fixture
def without_backbone(tmp_path: Path) -> Path:
    write_folder(tmp_path / "head", description(backbone=None), {HEAD: {"weight": WEIGHT, "bias": BIAS}})
    return tmp_path / "head"


def test_a_classifier_without_a_backbone_takes_features(without_backbone: Path) -> None:
    features = np.random.default_rng(2).normal(size=(5, 64))
    classifier = eos.load(without_backbone)
    expected = features.astype(np.float32) @ WEIGHT.T + BIAS
    np.testing.assert_array_equal(classifier.logits(features), expected)
    np.testing.assert_array_equal(classifier.embed(features), features.astype(np.float32))
    assert classifier.predict(features.tolist()).tolist() == [NAMES[best] for best in expected.argmax(axis=1)]


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((2, 63)),
        np.zeros(64),
        np.zeros((0, 64)),
        np.full((1, 64), np.nan),
        np.full((1, 64), 1e39),
        [["a"] * 64],
    ],
)
def test_features_that_it_does_not_take(without_backbone: Path, inputs: Any) -> None:
    with pytest.raises(InputError, match=r"inputs: .*features of shape \(n, 64\), n at least 1"):
        eos.load(without_backbone).predict(inputs)


def test_features_need_no_torch(without_backbone: Path) -> None:
    code = (
        f"import eos, numpy, sys; eos.load({str(without_backbone)!r}).predict(numpy.zeros((1, 64))); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("changes", "head", "message"),
    [
        ({"class_names": ["a", "b"]}, {}, r"head\.safetensors: holds .*\(3, 64\)"),
        ({"n_features": 63}, {}, r"head\.safetensors: holds .*\(3, 64\)"),
        ({}, {"bias": BIAS.astype(np.float64)}, r"not .* in float32"),
        (
            {"backbone": {"architecture": "resnet8"}},
            {},
            r"classifier\.json: does not describe a classifier: backbone\.channels 'None'",
        ),
        ({"head": {}}, {}, r"classifier\.json: does not describe a classifier: head\.own 'None'"),
        ({"class_names": 3}, {}, r"classifier\.json: does not describe a classifier: class_names '3'"),
    ],
)
def test_a_folder_whose_parts_do_not_belong_together(
    tmp_path: Path, network: Network, changes: dict[str, Any], head: dict[str, np.ndarray], message: str
) -> None:
    arrays = {BACKBONE: parts(network)[0], HEAD: {"weight": WEIGHT, "bias": BIAS} | head}
    write_folder(tmp_path / "odd", description(**changes), arrays)
    with pytest.raises(InputError, match=message):
        eos.load(tmp_path / "odd")


def test_weights_of_another_architecture(network: Network) -> None:
    other = description()["backbone"] | {"architecture": "resnet20"}
    with pytest.raises(InputError, match="weights: not those of a resnet20"):
        Classifier(description(backbone=other), {"weight": WEIGHT, "bias": BIAS}, parts(network)[0])


@pytest.mark.parametrize("place", [1, None, b"model", "x" * 5000])
def test_folders_that_are_none(place: Any) -> None:
    with pytest.raises(InputError, match=r"folder: .*; name "):
        eos.load(place)


@pytest.mark.parametrize("device", ["gpu", "", 1])
def test_an_unknown_device(without_backbone: Path, device: Any) -> None:
    with pytest.raises(InputError, match=f"device: unknown device {device!r}"):
        eos.load(without_backbone, device=device)


def test_outputs_that_overflow_are_refused(without_backbone: Path, tmp_path: Path) -> None:
    largest = np.full((1, 64), 3.4e38)
    with pytest.raises(
        InputError, match=r"inputs: outputs of features as large as 3\.4e\+38 overflow float32"
    ):
        eos.load(without_backbone).predict_proba(largest)
    scaled = {"mean": np.zeros(64, np.float32), "deviation": np.full(64, 0.1, np.float32)}
    write_folder(
        tmp_path / "s", description(backbone=None), {HEAD: {"weight": WEIGHT, "bias": BIAS} | scaled}
    )
    with pytest.raises(InputError, match=r"inputs: features as large as 3\.4e\+38 overflow float32 when"):
        eos.load(tmp_path / "s").embed(largest)


@pytest.mark.parametrize(
    "inputs",
    [None, 3, {"a.png"}, {"a": 1}, iter(IMAGES), ["a.png", IMAGES[0]]],
    ids=lambda inputs: type(inputs).__name__,
)
def test_images_that_are_neither_array_nor_paths(folder: Path, inputs: Any) -> None:
    with pytest.raises(InputError, match=r"inputs: (an array of object|an array of int64|no array)"):
        eos.load(folder).predict(inputs)


def test_images_as_views_that_run_backwards_and_cannot_be_written_to(folder: Path) -> None:
    classifier, stored = eos.load(folder), IMAGES[::-1, :, ::-1].copy()
    stored.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(classifier.logits(stored[::-1, :, ::-1]), classifier.logits(IMAGES))
        same(classifier.logits(stored), classifier.logits(stored.copy()))
