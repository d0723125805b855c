"""Backbones of libraries: the features that their classifier would get, the pictures as they prepare them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from eos.data.torchvision_import import import_torchvision
from eos.errors import InputError
from eos.models import backbones
from eos.models.backbones import timm_backbone, torchvision_backbone


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


# Of each kind of last layer, a small network.
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_torchvision(name: str, picture: Image.Image, tmp_path: Path) -> None:
    models = import_torchvision("models")
    torch.manual_seed(0)
    whole = models.get_model(name, weights=None, num_classes=5).eval()
    path = tmp_path / "weights.pth"
    torch.save(whole.state_dict(), path)
    found = torchvision_backbone(name, path)
    prepared = found.prepare(picture)
    assert torch.equal(prepared, models.get_model_weights(name).DEFAULT.transforms()(picture))
    seen = []
    last = [module for module in whole.modules() if isinstance(module, torch.nn.Linear)][-1]
    last.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.inference_mode():
        whole(prepared[None])
        features = found.module.eval()(prepared[None])
    assert features.shape == (1, last.in_features)
    torch.testing.assert_close(features, seen[0])


@pytest.mark.parametrize("classes", [21843, 3, 0])
def test_timm(classes: int, picture: Image.Image, tmp_path: Path) -> None:
    """Weights with the classifier of the library, with somebody's own, with none."""
    import timm

    name = "vit_tiny_patch16_224.augreg_in21k"
    torch.manual_seed(0)
    whole: Any = timm.create_model(name, pretrained=False, num_classes=classes).eval()
    path = tmp_path / "weights.safetensors"
    save_file(whole.state_dict(), path)
    found = timm_backbone(name, path)
    prepared = found.prepare(picture)
    # The mean and the deviation of this model are 0.5, not those of ImageNet.
    assert prepared.shape == (3, 224, 224)
    assert -1 <= prepared.min() < prepared.max() <= 1
    with torch.inference_mode():
        features = found.module.eval()(prepared[None])
        expected = whole.forward_head(whole.forward_features(prepared[None]), pre_logits=True)
    assert features.shape == (1, 192)
    torch.testing.assert_close(features, expected)


@pytest.mark.parametrize("find", [torchvision_backbone, timm_backbone])
def test_names_and_weights_that_are_none(find: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/resnet81: no such model; did you mean 'resnet\d+'"):
        find("resnet81", None)
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"other\.safetensors: .*name theirs"):
        find("resnet18", path)


def test_a_tag_that_timm_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"'resnet18\.none' \(Invalid pretrained tag"):
        timm_backbone("resnet18.none", path)


def test_a_network_without_a_linear_last_layer() -> None:
    with pytest.raises(InputError, match="'squeezenet1_1' has no linear last layer"):
        torchvision_backbone("squeezenet1_1", None)


def test_without_a_file_the_library_downloads_weights_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = import_torchvision("models")
    asked = []

    def get_state_dict(self: Any, **options: Any) -> Any:
        asked.append(options)
        raise OSError("no network")

    monkeypatch.setattr(models.ResNet18_Weights, "get_state_dict", get_state_dict)
    with pytest.raises(InputError, match=r"could not be downloaded \(no network\); .* by --weights"):
        torchvision_backbone("resnet18", None)
    assert asked == [{"check_hash": True, "weights_only": True}]


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"timm is not installed; pip install 'eos-imbalanced\[backbones\]'"):
        backbones.timm_backbone("resnet18", None)
