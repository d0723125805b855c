"""The additions that docs/extending.md shows work as they stand there."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eos import kinds, registry
from eos.losses import base as losses
from eos.losses.base import build_loss
from eos.models import resnet
from eos.models.network import build_network
from eos.samplers import registry as samplers

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


def added(monkeypatch: pytest.MonkeyPatch, definition: str, module: Any, table: dict[str, Any]) -> None:
    """Put the page's definition into the module, and its line into the table."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    number = next(index for index, block in enumerate(blocks) if block.startswith(definition))
    names = vars(kinds) | vars(module)
    exec(blocks[number], names)
    name = definition.rsplit(maxsplit=1)[-1]
    monkeypatch.setattr(module, name, names[name], raising=False)
    for key, entry in eval(f"{{{blocks[number + 1]}}}", names | vars(registry)).items():
        monkeypatch.setitem(table, key, entry)


def test_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    added(monkeypatch, "def _rose", samplers, samplers.SAMPLERS)
    rows = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    made = samplers.oversample("rose", rows, np.repeat([0, 1], [8, 4]), random_state=0, shrinkage=0.5)
    np.testing.assert_array_equal(np.bincount(made.labels), [8, 8])
    assert not any((row == rows).all(axis=1).any() for row in made.features)
    assert set(samplers.SAMPLERS["rose"].kinds) == set(samplers.sampler_parameters("rose"))


def test_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    added(monkeypatch, "class BalancedSoftmax", losses, registry.LOSSES)
    loss = build_loss("balanced_softmax", [30, 10], {})
    # With equal logits the probabilities are the shares of the classes.
    assert loss(torch.zeros(1, 2), torch.tensor([1])).item() == pytest.approx(-np.log(0.25))


def test_the_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    added(monkeypatch, "def resnet110", resnet, registry.ARCHITECTURES)
    network = build_network("resnet110", channels=3, n_classes=10)
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(1.73e6, rel=0.01)
