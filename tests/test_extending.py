"""The additions that docs/extending.md shows work as they stand there."""

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest
import torch

from eos import registry
from eos.losses.base import build_loss
from eos.models.network import build_network
from eos.registry import Entry
from eos.samplers.oversampling import oversample
from tests.helpers import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), flags=re.DOTALL)


def added(monkeypatch: pytest.MonkeyPatch, name: str, table: registry.Table) -> Entry:
    """Put the page's line with that name into the table, and the block before it into the module it names."""
    number = next(index for index, block in enumerate(BLOCKS) if f'"{name}": Entry(' in block)
    entry: Entry = eval(f"{{{BLOCKS[number]}}}", vars(registry).copy())[name]
    home, attribute = entry.where.split(":")
    if find_spec(home) is None:
        module = ModuleType(home)
        monkeypatch.setitem(sys.modules, home, module)
    else:
        module = import_module(home)
    code = vars(module).copy()
    exec(BLOCKS[number - 1], code)
    monkeypatch.setattr(module, attribute, code[attribute], raising=False)
    monkeypatch.setitem(cast(Any, table), name, entry)
    return entry


def test_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = added(monkeypatch, "rose", registry.SAMPLERS)
    rows = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    made = oversample("rose", rows, np.repeat([0, 1], [8, 4]), random_state=0, shrinkage=0.5)
    np.testing.assert_array_equal(np.bincount(made.labels), [8, 8])
    assert not any((row == rows).all(axis=1).any() for row in made.features)
    assert set(entry.parameters) == {"shrinkage"}


def test_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = added(monkeypatch, "weighted", registry.LOSSES)
    assert set(entry.parameters) == {"power"}
    loss = build_loss("weighted", [30, 10], {"power": 1.0})
    logits, targets = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    one, other = (torch.nn.functional.cross_entropy(logits[:1], targets[i : i + 1]) for i in range(2))
    # The rare class counts three times as much.
    assert loss(logits, targets).item() == pytest.approx(((one + 3 * other) / 4).item())


def test_the_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    added(monkeypatch, "resnet110", registry.ARCHITECTURES)
    network = build_network("resnet110", channels=3, n_classes=10)
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(1.73e6, rel=0.01)
