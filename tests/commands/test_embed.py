"""Pictures to a file of embeddings, by the command itself."""

import argparse
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from eos.commands import embed
from eos.data.embeddings_files import open_embeddings
from eos.data.image_folder import image_folder
from eos.data.torchvision_import import import_torchvision
from eos.errors import InputError
from eos.models.backbones import torchvision_backbone
from eos.models.inference import extract
from eos.models.network import build_network
from eos.models.saved import save_network
from tests.helpers import DEVICE, same, same_files

SIZES = {"train": {"bee": 5, "cat": 3}, "test": {"bee": 2, "cat": 2}}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a tree of small pictures of two classes, all different."""
    random = np.random.default_rng(0)
    for tree, classes in SIZES.items():
        for name, count in classes.items():
            folder = tmp_path / "pictures" / tree / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save(import_torchvision("models").shufflenet_v2_x0_5(weights=None).state_dict(), path)
    return path


def run(*arguments: str | Path) -> None:
    parser = argparse.ArgumentParser()
    embed.add_arguments(parser)
    embed.run(parser.parse_args([*map(str, arguments), "--device", DEVICE, "--precision", "fp32"]))


def trained(folder: Path, class_names: list[str], classifier: Any = "linear") -> Any:
    """Save a network as the stage `train` does, and return it."""
    network = build_network(
        "resnet8",
        channels=3,
        n_classes=len(class_names),
        classifier=classifier,
        generator=torch.Generator().manual_seed(0),
    )
    known = {"architecture": "resnet8", "classifier": classifier, "channels": 3, "class_names": class_names}
    known |= {"branches": 1, "mean": [0.4] * 3, "std": [0.2] * 3, "precision": "fp32", "epochs": {"last": 3}}
    save_network(folder, {"last": network.state_dict()}, known)
    return network


def test_a_librarys_backbone(
    pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows by class and name, each the embedding of its picture, in either format and from an archive."""
    arguments = ("--backbone", "torchvision/shufflenet_v2_x0_5", "--weights", weights, "--batch-size", "3")
    run(pictures, tmp_path / "a.npz", *arguments)
    assert "8 train rows, 4 test rows of 1024 features" in capsys.readouterr().out
    found = np.load(tmp_path / "a.npz", allow_pickle=False)
    assert sorted(found) == [
        "class_names", "test_features", "test_labels", "train_features", "train_labels",
    ]  # fmt: skip
    assert found["class_names"].tolist() == ["bee", "cat"]
    assert found["train_labels"].tolist() == [0] * 5 + [1] * 3
    assert found["test_labels"].tolist() == [0] * 2 + [1] * 2
    backbone = torchvision_backbone("shufflenet_v2_x0_5", weights)
    for tree in SIZES:
        images = [Image.open(path) for path in sorted((pictures / tree).glob("*/*.png"))]
        with torch.inference_mode():
            expected = backbone.module.eval()(torch.stack([backbone.prepare(image) for image in images]))
        np.testing.assert_allclose(found[f"{tree}_features"], expected.numpy(), rtol=1e-3, atol=1e-4)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in sorted(pictures.rglob("*.png"), reverse=True):
            archive.write(path, path.relative_to(pictures))
    run(tmp_path / "packed.zip", tmp_path / "a.safetensors", *arguments)
    with safe_open(tmp_path / "a.safetensors", "numpy") as opened:
        assert json.loads(opened.metadata()["class_names"]) == ["bee", "cat"]
        for name in set(found) - {"class_names"}:
            np.testing.assert_allclose(opened.get_tensor(name), found[name], rtol=1e-3, atol=1e-4)


def test_the_same_pictures_give_the_same_bytes(pictures: Path, weights: Path, tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        run(pictures, tmp_path / name, "--backbone", "torchvision/shufflenet_v2_x0_5", "--weights", weights)
    same_files(tmp_path / "one.npz", tmp_path / "two.npz")


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_a_trained_network_and_its_classifier(pictures: Path, classifier: str, tmp_path: Path) -> None:
    """As the stage `extract` has it of the same pictures; labels count as the network counts its classes."""
    network = trained(tmp_path / "network", ["cat", "bee"], classifier)
    run(pictures, tmp_path / "a.npz", "--backbone", tmp_path / "network", "--image-size", "16")
    found = np.load(tmp_path / "a.npz", allow_pickle=False)
    assert found["class_names"].tolist() == ["cat", "bee"]
    assert found["train_labels"].tolist() == [0] * 3 + [1] * 5
    source = image_folder(
        Path(), path=str(pictures), image_size=16, channels=3, test_fraction=0.2, seed=0,
        train_per_class=None, test_per_class=None,
    )  # fmt: skip
    order = np.argsort(-source.test_labels, kind="stable")
    features, logits = extract(
        network, source.test_images[order], [0.4] * 3, [0.2] * 3, device=DEVICE, precision="fp32"
    )
    np.testing.assert_allclose(found["test_features"], features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["test_logits"], logits, rtol=1e-4, atol=1e-5)
    assert found["classifier_weight"].shape == (2, 64)
    assert ("classifier_bias" in found) == (classifier == "linear")
    assert open_embeddings(tmp_path / "a.npz").unused == []


def test_a_network_of_other_classes_gives_no_logits(pictures: Path, tmp_path: Path) -> None:
    trained(tmp_path / "network", ["cat", "dog"])
    run(pictures, tmp_path / "a.npz", "--backbone", tmp_path / "network", "--image-size", "16")
    found = np.load(tmp_path / "a.npz", allow_pickle=False)
    assert not [name for name in found if "logits" in name or "classifier" in name]
    assert found["class_names"].tolist() == ["bee", "cat"]


def test_without_a_test_tree_there_are_training_rows_only(pictures: Path, tmp_path: Path) -> None:
    trained(tmp_path / "network", ["bee", "cat"])
    (pictures / "test").rename(tmp_path / "elsewhere")
    run(pictures, tmp_path / "a.npz", "--backbone", tmp_path / "network", "--image-size", "16")
    found = np.load(tmp_path / "a.npz", allow_pickle=False)
    assert {"train_features", "train_logits"} <= set(found)
    assert not [name for name in found if name.startswith("test")]


def test_unlabelled_pictures_lie_anywhere(pictures: Path, tmp_path: Path) -> None:
    trained(tmp_path / "network", ["bee", "cat"])
    options = "--backbone", tmp_path / "network", "--image-size", "16"
    run(pictures, tmp_path / "labelled.npz", *options)
    run(pictures / "test", tmp_path / "new.npz", *options, "--unlabelled")
    labelled, new = (np.load(tmp_path / name, allow_pickle=False) for name in ("labelled.npz", "new.npz"))
    assert set(new) == {"features", "files"}
    assert [Path(one).parent.name for one in new["files"]] == ["bee"] * 2 + ["cat"] * 2
    same(new["features"], labelled["test_features"], rtol=1e-5)
    with pytest.raises(InputError, match=r"must end in \.npz"):
        run(pictures, tmp_path / "new.safetensors", *options, "--unlabelled")


def test_all_bad_pictures_are_told_of_and_nothing_is_written(pictures: Path, tmp_path: Path) -> None:
    trained(tmp_path / "network", ["bee", "cat"])
    for name in ("train/bee/0.png", "test/cat/1.png"):
        (pictures / name).write_bytes(b"no picture")
    with pytest.raises(InputError, match="2 of 12 images cannot be read") as caught:
        run(
            pictures, tmp_path / "a.npz", "--backbone", tmp_path / "network", "--image-size", "16",
            "--batch-size", "1",
        )  # fmt: skip
    assert all(name in str(caught.value) for name in ("train/bee/0.png", "test/cat/1.png"))
    assert not (tmp_path / "a.npz").exists()


def test_embeddings_that_are_no_numbers(pictures: Path, tmp_path: Path) -> None:
    network = trained(tmp_path / "network", ["bee", "cat"])
    broken = {name: value * np.nan for name, value in network.state_dict().items()}
    known = json.loads((tmp_path / "network/network.json").read_text())
    del known["sha256"]
    save_network(tmp_path / "network", {"last": broken}, known)
    with pytest.raises(InputError, match="embeddings of 12 of 12 images are not finite"):
        run(pictures, tmp_path / "a.npz", "--backbone", tmp_path / "network", "--image-size", "16")


@pytest.mark.parametrize(
    ("file", "arguments", "told"),
    [
        ("a.csv", ["--backbone", "network"], r"a\.csv: must end in \.npz or \.safetensors"),
        ("a.npz", ["--backbone", "nowhere"], r"neither torchvision/NAME nor timm/NAME, nor the folder"),
        ("a.npz", ["--backbone", "."], r"wants --image-size"),
        ("a.npz", ["--backbone", ".", "--image-size", "8", "--weights", "x"], r"has weights of its own"),
        ("a.npz", ["--backbone", "timm/resnet18", "--image-size", "8"], r"--image-size: is for a trained"),
        ("a.npz", ["--backbone", ".", "--batch-size", "0"], r"--batch-size 0: must be 1 or more"),
    ],
)
def test_arguments_that_cannot_be(
    file: str, arguments: list[str], told: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures.parent)
    with pytest.raises(InputError, match=told):
        run(pictures, file, *arguments)


@pytest.mark.parametrize(
    ("path", "message"),
    [("~nobodyhere/x", "write the path out"), ("n" * 5000, "n: no such folder or archive")],
)
def test_pictures_that_cannot_be_there(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(path, tmp_path / "x.npz", "--backbone", "torchvision/resnet18")


def test_a_file_that_would_be_a_folder(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npz").mkdir()
    with pytest.raises(InputError, match=r"x\.npz: is a folder; name a file to write"):
        run(pictures, tmp_path / "x.npz", "--backbone", "torchvision/resnet18")
