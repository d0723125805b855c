"""Every registered architecture and loss is there, and takes what the registry says it takes."""

import inspect
import subprocess
import sys
from typing import Any

import pytest

from eos.errors import InputError
from eos.losses.base import Loss
from eos.registry import ARCHITECTURES, LOSSES, Entry, find


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_tell_how_long_an_embedding_is(name: str) -> None:
    backbone: Any = ARCHITECTURES[name].load()(channels=1)
    assert backbone.n_features >= 1


@pytest.mark.parametrize("name", LOSSES)
def test_losses_take_the_registered_parameters(name: str) -> None:
    loss = LOSSES[name].load()
    assert issubclass(loss, Loss)
    assert set(inspect.signature(loss).parameters) - {"class_counts"} == set(LOSSES[name].parameters)


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="here: unknown loss 'focall'; did you mean 'focal'"):
        find(LOSSES, "focall", what="loss", place="here")


def test_an_entry_loads_what_it_names() -> None:
    assert Entry("json:dumps").load()([1]) == "[1]"


def test_reading_the_parameters_does_not_load_torch() -> None:
    program = "import sys, eos.config.schema; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
