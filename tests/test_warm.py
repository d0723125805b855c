"""dvc whose stages are forks of one process: they see and give what processes of their own would."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Without the libraries, whose import takes seconds.
DVC = f"import sys; sys.path.insert(0, {str(ROOT / 'stages')!r}); import warm; warm.LIBRARIES = ('json',); "
SCRIPT = """
import json, os, sys
import neighbour
words = [*sys.argv, os.getcwd(), os.environ["DVC_STAGE"], "json" in neighbour.LOADED, __name__]
open("told.json", "w").write(json.dumps(words))
print("a line of the stage")
"""
FAILS = {
    "message": ("raise SystemExit('error: told by the stage')", "error: told by the stage"),
    "status": ("raise SystemExit(3)", "exited with 3"),
    "exception": ("1 / 0", "ZeroDivisionError"),
    "signal": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exited with -9"),
}
PIPELINE = {
    "good": {"cmd": "python stages/good.py one two", "outs": ["told.json"]},
    "shell": {"cmd": "echo told > shell.txt", "outs": ["shell.txt"]},
} | {name: {"cmd": f"python stages/{name}.py"} for name in FAILS}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/good.py").write_text(SCRIPT)
    (tmp_path / "stages/neighbour.py").write_text("import sys\nLOADED = set(sys.modules)\n")
    for name, (code, _) in FAILS.items():
        (tmp_path / f"stages/{name}.py").write_text(code)
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": PIPELINE}))  # JSON is YAML
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def repro(folder: Path, *stages: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", f"{DVC} sys.exit(warm.main())", "repro", *stages]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_stage_sees_what_its_own_process_would(project: Path) -> None:
    done = repro(project, "good", "shell")
    assert done.returncode == 0, done.stderr
    assert "a line of the stage" in done.stdout
    told = json.loads((project / "told.json").read_text())
    assert told == ["stages/good.py", "one", "two", os.path.realpath(project), "good", True, "__main__"]
    assert (project / "shell.txt").read_text() == "told\n"


@pytest.mark.parametrize("name", FAILS)
def test_a_stage_that_fails_is_told_of_and_ends_the_run(project: Path, name: str) -> None:
    done = repro(project, name)
    assert done.returncode != 0
    assert FAILS[name][1] in done.stdout + done.stderr


def test_code_is_that_of_the_moment_a_stage_starts(project: Path) -> None:
    """The libraries are loaded before, the project's own files are not."""
    assert repro(project, "good").returncode == 0
    (project / "stages/good.py").write_text("open('told.json', 'w').write('other')")
    assert repro(project, "--force", "good").returncode == 0
    assert (project / "told.json").read_text() == "other"


def test_an_interrupt_while_the_libraries_load_is_not_lost(project: Path) -> None:
    slow = "import pathlib, time; pathlib.Path('loading').touch(); time.sleep(60)"
    (project / "slow.py").write_text(slow)
    # A test run in the background of a shell ignores interrupts, and would hand that on.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = f"{listen}{DVC} warm.LIBRARIES = ('slow',); sys.path.insert(0, '.'); sys.exit(warm.main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "repro", "good"],
        cwd=project,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (project / "loading").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=40) != 0
    assert not (project / "told.json").exists()


def test_dvc_waits_for_a_stage_that_outlives_the_process_that_started_it(project: Path) -> None:
    orphan = "import os, time; os.kill(os.getppid(), 9); time.sleep(1); open('told.json', 'w').write('late')"
    (project / "stages/good.py").write_text(orphan)
    done = repro(project, "good")
    assert done.returncode != 0
    assert "the process that starts the stages was stopped" in done.stdout + done.stderr
    assert (project / "told.json").read_text() == "late"
