"""How a stage's script is run: its arguments, the switches, what ends it, and the seconds."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from eos.pipeline import command
from tests import helpers


@pytest.fixture(autouse=True)
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in an empty folder, with what params.yaml gives; return one word each time switches are set."""
    calls: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "parameters", helpers.parameters)
    monkeypatch.setattr(command, "hold_to_portable_code", lambda: calls.append("held"))
    return calls


def run(main: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["stages/one.py", *arguments])
    command.run(main)


def refused(main: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        run(main, monkeypatch, *arguments)
    return str(caught.value.code)


def cell(dataset: str, cut: int, network: str) -> dict[str, Any]:
    assert (dataset, cut, network) in {("digits", 10, "ldam"), ("cifar10", 0, "ce")}
    return {"rows": 7, "seconds": 2.5}


def either(dataset: str, cut: int, network: str = "") -> None:
    assert (dataset, cut, network) in {("plants", 0, ""), ("digits", 0, "ce")}


def balanced(kind: Literal["augmented", "generated"], sampler: str) -> None:
    assert kind == "generated"
    assert sampler in {"gamo", "balsvm"}


@pytest.mark.parametrize(("arguments", "times"), [(("digits", "10", "ldam"), 1), (("cifar10", "0", "ce"), 0)])
def test_arguments_are_converted_and_the_switches_set_for_a_portable_dataset(
    arguments: tuple[str, ...], times: int, held: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(cell, monkeypatch, *arguments)
    assert len(held) == times


def test_a_cell_may_be_given_as_dvc_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run(cell, monkeypatch, "--dataset", "digits", "--cut", "10", "--network", "ldam")
    run(balanced, monkeypatch, "generated", "--generator", "gamo")
    assert Path("data/seconds/one/digits-10-ldam.json").is_file()
    assert "unknown dataset 'x; touch pwned'" in refused(
        cell, monkeypatch, "--dataset", "x; touch pwned", "--cut", "0", "--network", "ce"
    )


@pytest.mark.parametrize("portable", [True, False])
def test_a_set_of_embeddings_is_a_dataset_to_the_stages_that_take_one(
    portable: bool, held: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = helpers.with_embeddings(portable=portable)
    monkeypatch.setattr(command, "parameters", lambda: known)
    monkeypatch.setattr(sys, "argv", ["stages/one.py", "plants", "0"])
    command.run(either, embeddings=True)
    assert len(held) == portable
    assert "unknown dataset 'plants'" in refused(cell, monkeypatch, "plants", "0", "ce")


def test_a_parameter_with_a_default_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    run(either, monkeypatch, "digits", "0", "ce")
    for wrong in (("digits",), ("digits", "0", "ce", "more")):
        assert refused(either, monkeypatch, *wrong) == "usage: python stages/one.py DATASET CUT [NETWORK]"


def test_a_stage_for_all_datasets_runs_under_the_switches(
    held: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(lambda: None, monkeypatch)
    assert held == ["held"]
    assert list(json.loads(Path("data/seconds/one/all.json").read_text())) == ["elapsed", "seconds"]


def test_what_was_measured_is_kept_beside_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    run(cell, monkeypatch, "digits", "10", "ldam")
    told = json.loads(Path("data/seconds/one/digits-10-ldam.json").read_text())
    assert told["elapsed"] > 0
    assert {key: told[key] for key in ("rows", "seconds")} == {"rows": 7, "seconds": 2.5}


def test_a_sampler_is_one_of_pixels_or_a_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    run(balanced, monkeypatch, "generated", "gamo")
    run(balanced, monkeypatch, "generated", "balsvm")
    text = refused(balanced, monkeypatch, "generated", "game")
    place = "params.yaml: pixel_samplers or generators"
    assert text.startswith(f"error: {place}: unknown sampler 'game'; did you mean 'gamo'?")
    assert "unknown kind 'generate'; did you mean 'generated'" in refused(
        balanced, monkeypatch, "generate", "gamo"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits", "0"), "usage: python stages/one.py DATASET CUT NETWORK"),
        (
            ("digit", "0", "ce"),
            "error: params.yaml: datasets: unknown dataset 'digit'; did you mean 'digits'?",
        ),
        (("digits", "0", "cee"), "error: params.yaml: networks: unknown network 'cee'; did you mean 'ce'?"),
        (("digits", "1.5", "ce"), "error: cut '1.5': must be a whole number from 0 to 4294967295"),
        (("digits", "4294967296", "ce"), "error: cut '4294967296': must be a whole number"),
        (("digits", "9" * 5000, "ce"), f"error: cut '{'9' * 40}': must be a whole number"),
    ],
)
def test_wrong_arguments(
    arguments: tuple[str, ...], message: str, held: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(cell, monkeypatch, *arguments).startswith(message)
    assert held == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "interrupted; the same command goes on from here"),
        (
            MemoryError("Unable to allocate 9 GiB\nmore"),
            "error: out of memory (Unable to allocate 9 GiB); lower",
        ),
        (MemoryError(), "error: out of memory (none left); lower"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "error: out of memory (Default",
        ),
        (RuntimeError("CUDA out of memory. Tried"), "error: out of memory (CUDA out of memory"),
        (OSError(28, "No space left on device"), "error: [Errno 28] No space left on device; make room"),
    ],
)
def test_what_ends_a_stage_with_one_line(
    error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def main() -> None:
        raise error

    assert refused(main, monkeypatch).startswith(message)
    assert not Path("data").exists()


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("a defect"), ValueError("a defect")])
def test_a_defect_of_ours_keeps_its_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        raise error

    with pytest.raises(type(error), match="a defect"):
        run(main, monkeypatch)


# A stage of its own process. It says that it runs; what it then does is its first argument.
STAGE = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
sys.path.insert(0, SOURCE)
from eos.pipeline import command
command.SECONDS_BETWEEN_LOOKS, command.SECONDS_TO_STOP = 0.02, 0.2
def main():
    Path("runs").touch()
    while not Path("go on").exists():
        try:
            time.sleep(0.01)
        except KeyboardInterrupt:
            if not Path("deaf").exists():
                raise
    time.sleep(0.2)
    Path("done").touch()
command.run(main)
"""


DVC_STAGE = "DVC_STAGE=train@digits-0-ce"


def start(folder: Path, *, between: str = "", session: bool = False) -> subprocess.Popen[str]:
    """Start that stage by this process, or by a shell which stands for DVC and has a command between them."""
    script = folder / "stage.py"
    script.write_text(STAGE.replace("SOURCE", repr(str(helpers.ROOT / "src"))))
    command = [sys.executable, str(script)]
    if between:
        command = ["sh", "-c", f'{between} "$0" "$1"; true', *command]
    environment = {key: value for key, value in os.environ.items() if key != "DVC_STAGE"}
    if session:
        environment["DVC_STAGE"] = "train@digits-0-ce"
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=session
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, "it ended before"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("between", "deaf"),
    [("env", False), ("env", True), ('sh -c \'"$0" "$1"; true\'', False)],
    ids=["none between", "deaf", "a shell between"],
)
def test_a_stage_ends_with_the_dvc_that_started_it(between: str, deaf: bool, tmp_path: Path) -> None:
    """Also within a computation that Python does not interrupt, and where DVC's shell outlives DVC."""
    if deaf:
        (tmp_path / "deaf").touch()
    dvc = start(tmp_path, between=f"{DVC_STAGE} {between}")
    wait_for(tmp_path / "runs", dvc)
    dvc.kill()
    _, told = dvc.communicate(timeout=60)  # until the stage has ended, too
    assert told == ("" if deaf else "interrupted; the same command goes on from here\n")
    assert not (tmp_path / "done").exists()


def test_a_stage_whose_dvc_died_before_it_looked_ends(tmp_path: Path) -> None:
    """Its parent is then another process, which started neither, in another session."""
    stage = start(tmp_path, session=True)
    _, told = stage.communicate(timeout=60)
    assert (stage.returncode, told) == (1, "interrupted; the same command goes on from here\n")


def test_a_stage_that_was_started_by_hand_goes_on_alone(tmp_path: Path) -> None:
    shell = start(tmp_path, between="env")
    wait_for(tmp_path / "runs", shell)
    shell.kill()
    (tmp_path / "go on").touch()
    assert shell.communicate(timeout=60)[1] == ""
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_stage_with_one_line(number: signal.Signals, tmp_path: Path) -> None:
    stage = start(tmp_path)
    wait_for(tmp_path / "runs", stage)
    stage.send_signal(number)
    _, told = stage.communicate(timeout=60)
    assert (stage.returncode, told) == (1, "interrupted; the same command goes on from here\n")


def test_nothing_that_takes_time_is_loaded_before_a_signal_is_told_of() -> None:
    code = "import sys, eos.pipeline.command; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pydantic", "ruamel", "numpy", "torch"}
    assert "eos.config" not in done.stdout.split()
