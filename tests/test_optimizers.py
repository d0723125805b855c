import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eos.training.optimizers import SGD, Adam


def network() -> nn.Module:
    torch.manual_seed(0)
    layers: Any = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3))
    return layers.to(memory_format=torch.channels_last)


def trained(optimizer_of: Callable[[nn.Module], Any], rates: list[float]) -> list[Tensor]:
    model = network()
    optimizer = optimizer_of(model)
    images = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    for rate in rates:
        if isinstance(optimizer, torch.optim.Optimizer):
            optimizer.param_groups[0]["lr"] = rate
        else:
            optimizer.learning_rate = rate
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()
    return list(model.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_takes_the_steps_of_torch(momentum: float) -> None:
    rates = [0.001, 0.002, 0.002]
    ours = trained(
        lambda model: SGD(model.parameters(), learning_rate=1.0, momentum=momentum, weight_decay=0.1), rates
    )
    theirs = trained(
        lambda model: torch.optim.SGD(
            model.parameters(), lr=1.0, momentum=momentum, weight_decay=0.1, fused=True
        ),
        rates,
    )
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], next(network().parameters()))


def test_adam_takes_the_steps_of_torch() -> None:
    rates = [0.001, 0.002, 0.002]
    ours = trained(lambda model: Adam(model.parameters(), learning_rate=1.0, betas=(0.5, 0.999)), rates)
    theirs = trained(
        lambda model: torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.5, 0.999), fused=True), rates
    )
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_training_does_not_import_the_compiler() -> None:
    """It would cost seconds in every process that trains."""
    code = (
        "import sys, torch\n"
        "from eos.training.optimizers import SGD, Adam\n"
        "import eos.training.loop, eos.generators.base\n"
        "for make in (lambda w: SGD(w, learning_rate=0.1, momentum=0.9, weight_decay=0.1),\n"
        "             lambda w: Adam(w, learning_rate=0.1, betas=(0.5, 0.9))):\n"
        "    weight = torch.ones(3, requires_grad=True)\n"
        "    optimizer = make([weight])\n"
        "    optimizer.zero_grad()\n"
        "    weight.sum().backward()\n"
        "    optimizer.step()\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
