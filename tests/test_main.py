"""The command line as a whole: what it lists, and how it ends."""

import argparse
import importlib
from pathlib import Path

import pytest

from eos import __main__ as command_line
from tests.helpers import ROOT


def ended(*arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    return str(caught.value.code)


def test_the_table_lists_the_modules() -> None:
    modules = {path.stem for path in (ROOT / "src/eos/commands").glob("*.py")} - {"__init__"}
    assert modules == {name.replace("-", "_") for name in command_line.COMMANDS}


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--help") == "0"
    told = capsys.readouterr().out
    for name in command_line.COMMANDS:
        assert f"\n    {name}" in told


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_every_command_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(name, "--help") == "0"
    module = importlib.import_module(f"eos.commands.{name.replace('-', '_')}")
    assert str(module.__doc__).splitlines()[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "error: the following arguments are required: COMMAND; see python -m eos --help"),
        (("predcit",), "error: argument COMMAND: invalid choice: 'predcit'"),
        (("export", "digits-0-ce-eos"), "error: the following arguments are required: MODEL; see"),
        (("export", "a", "b", "--seed", "x"), "error: argument --seed: invalid int value: 'x'"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], message: str) -> None:
    assert ended(*arguments).startswith(message)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ModuleNotFoundError("no", name="torch"),
            "error: no library 'torch'; pip install 'eos-imbalanced[pipeline]'",
        ),
        (KeyboardInterrupt(), "interrupted; nothing was written"),
        (OSError(28, "No space left on device"), "error: [Errno 28] No space left on device; make room"),
        (MemoryError("9 GiB"), "error: out of memory (9 GiB); give less at a time"),
    ],
)
def test_what_ends_a_command_with_one_line(
    error: BaseException, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(arguments: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr("eos.commands.export.run", fail)
    assert ended("export", "digits-0-ce-eos", "model").startswith(message)
