"""torchvision can be imported, and errors that have another cause stay visible."""

import subprocess
import sys
from typing import NoReturn

import pytest

from eos.data import torchvision_import as vision


def test_torchvision_can_be_imported_in_a_fresh_process_and_again() -> None:
    code = (
        "from eos.data.torchvision_import import import_torchvision as load\n"
        "assert load('datasets').CIFAR10.filename == 'cifar-10-python.tar.gz'\n"
        "assert load('datasets') is load('datasets')\n"
        "assert load('transforms.functional').hflip\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_module_loads_nothing_heavy() -> None:
    code = (
        "import sys, eos.data.digits; print(*{'torch', 'torchvision', 'PIL', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_another_failure_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(name: str) -> NoReturn:
        calls.append(name)
        raise RuntimeError("out of luck")

    monkeypatch.setattr(vision, "import_module", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        vision.import_torchvision("datasets")
    assert calls == ["torchvision.datasets"]


def test_schemas_are_defined_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the definitions do not help, the failure is told and not tried for ever."""
    calls = []

    def fail(name: str) -> NoReturn:
        calls.append(name)
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(vision, "import_module", fail)
    monkeypatch.setattr(vision, "_library", object())
    with pytest.raises(RuntimeError, match="nms does not exist"):
        vision.import_torchvision("datasets")
    assert len(calls) == 1
