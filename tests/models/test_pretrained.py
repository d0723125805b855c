"""Weights from files: of torch, of safetensors, of whole networks; nothing else is ever loaded."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from eos.data.torchvision_import import import_torchvision
from eos.errors import InputError
from eos.models.inference import extract
from eos.models.network import Network, build_network
from eos.models.pretrained import read_state_dict, start_from
from tests.helpers import DEVICE


@pytest.fixture(scope="module")
def whole() -> Any:
    """Return torchvision's ResNet-18, classifier and all, of drawn weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = import_torchvision("models").resnet18(weights=None, num_classes=7)
        for name, value in module.named_buffers():  # as if it had been trained
            if name.endswith(("running_mean", "running_var")):
                value.copy_(torch.rand(value.shape) + 0.5)
    return module.eval()


def started(architecture: str, weights: dict[str, torch.Tensor], channels: int = 3) -> Network:
    network = build_network(architecture, channels=channels, n_classes=3)
    start_from(network.get_submodule("backbone"), weights)
    return network


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_librarys_weights_give_the_librarys_features(whole: Any, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{ending}"
    write: Any = {".pth": torch.save, ".safetensors": save_file}[ending]
    write(whole.state_dict(), path)
    network = started("resnet18", read_state_dict(path))
    seen = []
    whole.fc.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    features, _ = extract(network, images, (0.5,) * 3, (0.25,) * 3, device=DEVICE)
    whole(((torch.from_numpy(images) / 255 - 0.5) / 0.25).permute(0, 3, 1, 2))
    np.testing.assert_allclose(features, seen[0].detach().numpy(), rtol=1e-4, atol=1e-4)


def test_grey_pictures_give_what_three_equal_channels_give(whole: Any) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 1), dtype=np.uint8)
    grey, _ = extract(started("resnet18", whole.state_dict(), 1), images, (0.5,), (0.2,), device=DEVICE)
    colour, _ = extract(
        started("resnet18", whole.state_dict()), images.repeat(3, 3), (0.5,) * 3, (0.2,) * 3, device=DEVICE
    )
    np.testing.assert_allclose(grey, colour, rtol=1e-3, atol=1e-4)


def test_a_network_of_this_pipeline_is_a_start_too() -> None:
    one = build_network("resnet8", channels=3, n_classes=10, generator=torch.Generator().manual_seed(1))
    other = started("resnet8", one.state_dict())
    for name, value in one.get_submodule("backbone").state_dict().items():
        assert torch.equal(other.get_submodule("backbone").state_dict()[name], value), name


@pytest.mark.parametrize(
    ("architecture", "channels", "told"),
    [
        ("densenet", 3, r"\d+ missing: .*; \d+ too many: .*; \d+ of another shape: conv1"),
        ("resnet8", 3, r"\d+ too many: layer1.*; \d+ of another shape: conv1"),
        ("resnet18", 2, r"1 of another shape: conv1\.weight"),
    ],
)
def test_weights_of_another_architecture(whole: Any, architecture: str, channels: int, told: str) -> None:
    with pytest.raises(InputError, match=rf"^weights of another architecture \({told}.*\); name theirs$"):
        started(architecture, whole.state_dict(), channels)


class Harm:
    """Something that does harm when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (Harm(), "holds more than weights, which is never unpickled"),
        ({"state_dict": Harm()}, "holds more than weights, which is never unpickled"),
        ({"state_dict": {"conv1.weight": torch.zeros(1)}}, "holds no state dict of named tensors"),
        ([torch.zeros(1)], "holds no state dict of named tensors"),
    ],
)
def test_what_is_not_weights(
    content: Any, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, "any.pth")
    with pytest.raises(InputError, match=rf"^any\.pth: .*{told}"):
        read_state_dict(Path("any.pth"))
    assert not Path("harm").exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors", "plain.pth"])
def test_damaged_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "plain.pth":
        path.write_bytes(pickle.dumps(Harm()))
    else:
        write = save_file if path.suffix == ".safetensors" else torch.save
        write({"a": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=rf"{name}: damaged"):
        read_state_dict(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file of weights; a relative path starts at"):
        read_state_dict(tmp_path / "nowhere.pth")
