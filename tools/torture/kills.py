"""Signals at random moments and at chosen ones; `make repro` has to end in the bytes of an undisturbed run.

The moments are those at which something is half done: a file is being written, moved or removed, a program is
being loaded. They are found by looking at the project's files and processes as fast as Python can.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.torture.case import Case
from tools.torture.workplace import PATIENCE, SHORT, Project, end, processes, tail, undisturbed

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

# How long the work takes alone on a core, from which random moments are drawn.
SECONDS = {"trainings": 22.0, "augment": 11.0, "oversample": 7.0, "retrain": 5.0}

# Of these moments, the one that a kill waits for is drawn from the first so many.
MOST = 4

# Looks whether its moment has come, over and over, and says what it has seen when it has.
Look = Callable[[], str]


def cases(seed: int) -> list[Case]:
    """Return a hundred: by moment, work and signal."""
    plan: list[tuple[str, str, int]] = [
        ("at a random moment", "trainings", 8),
        ("at a random moment", "augment", 2),
        ("at a random moment", "oversample", 2),
        ("while dvc.lock is written", "oversample", 3),
        ("while dvc.lock is written", "trainings", 2),
        ("while DVC's cache is filled", "retrain", 3),
        ("while the run cache is written", "oversample", 2),
        ("while a checkpoint is written", "trainings", 2),
        ("when a checkpoint was replaced", "trainings", 1),
        ("while a stage loads its modules", "retrain", 2),
        ("while a stage loads its modules", "augment", 1),
        ("when outputs were removed", "trainings", 1),
    ]
    made = []
    for moment, work, times in plan:
        for number in range(times):
            for sent in SIGNALS:
                name = f"{sent.name} {moment}, {work}, {number}"
                made.append(Case("kills", name, _group(f"{seed} {name}", moment, work, sent)))
    for number in range(4):
        for victim in ("dvc", "stage"):
            name = f"SIGKILL of the {victim} alone, {number}"
            made.append(Case("kills", name, _alone(f"{seed} {name}", victim)))
    for number in range(5):
        name = f"five signals in a row, {number}"
        made.append(Case("kills", name, _chain(f"{seed} {name}")))
    made.append(Case("kills", "SIGKILL while a checkpoint is written, short", _short, sample=True))
    return made


def _group(seed: str, moment: str, work: str, sent: signal.Signals) -> Callable[[Path], str]:
    def attack(folder: Path) -> str:
        made = undisturbed()
        project = made.start(folder / "project", work)
        seen = _stopped(project, moment, work, sent, random.Random(seed))
        return f"{project.must_end_in(made.results())} ({seen})"

    return attack


def _short(folder: Path) -> str:
    made = undisturbed(SHORT)
    project = made.start(folder / "project", "train")
    draw = random.Random(0)
    seen = _stopped(project, "while a checkpoint is written", "train", signal.SIGKILL, draw)
    return f"{project.must_end_in(made.results())} ({seen})"


def _alone(seed: str, victim: str) -> Callable[[Path], str]:
    """Kill one process only, as the system does where memory is short: the others have to end."""

    def attack(folder: Path) -> str:
        made = undisturbed()
        project = made.start(folder / "project", "trainings")
        draw = random.Random(seed)
        running = project.begin(folder / "log")
        start, delay = time.monotonic(), draw.uniform(0, 8)
        try:
            while running.poll() is None:
                found = _stages(project)  # DVC alone is killed while a stage runs, too
                if found and time.monotonic() - start > delay:
                    chosen = found if victim == "stage" else _dvc(project)
                    for pid in chosen:
                        _send(pid, signal.SIGKILL)
                    break
                time.sleep(0.01)
            if running.wait(timeout=PATIENCE) == 0:
                return f"{project.must_end_in(made.results())} (it came too late)"
            _quiet(project, running.pid, f"the {victim} was killed")
        finally:
            end(running)
        return project.must_end_in(made.results())

    return attack


def _chain(seed: str) -> Callable[[Path], str]:
    def attack(folder: Path) -> str:
        made = undisturbed()
        project = made.start(folder / "project", "trainings")
        draw = random.Random(seed)
        seen = []
        for _ in range(5):
            moment = draw.choice(("at a random moment", "while dvc.lock is written", "while a stage loads"))
            seen.append(_stopped(project, moment, "oversample", draw.choice(SIGNALS), draw))
        return f"{project.must_end_in(made.results())} ({'; '.join(seen)})"

    return attack


def _stopped(project: Project, moment: str, work: str, sent: signal.Signals, draw: random.Random) -> str:
    """Run the project, send a signal to its process group at the moment, and return what was seen then."""
    log = project.folder.parent / "log"
    log.unlink(missing_ok=True)
    running = project.begin(log)
    try:
        seen = _wait(running, _look(project, moment, work, draw))
        if seen:
            os.killpg(running.pid, sent)
        start = time.monotonic()
        try:
            running.wait(timeout=60)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running 60 s after {sent.name} ({seen})") from None
        told = log.read_text(errors="replace")
        if running.returncode == 0:  # at the very end, or earlier
            assert time.monotonic() - start < 5, f"{sent.name} ({seen}) was not heeded"
            return f"{sent.name} came too late"
        assert seen, f"exit status {running.returncode} without a signal: {tail(told)}"
        # While Python itself starts, nobody can catch anything.
        traced = "Traceback" in told and "<frozen site>" not in told
        assert not traced, f"a traceback after {sent.name} {moment} ({seen}): {tail(told)}"
        _quiet(project, running.pid, f"{sent.name} {moment} ({seen})")
    finally:
        end(running)
    return seen


def _quiet(project: Project, group: int, after: str) -> None:
    """Raise unless all processes of the project end within some seconds.

    Those whose parent has ended are collected by the system's first process, some time later; till then DVC
    takes them for running ones, and what they had locked for locked.
    """
    until = time.monotonic() + 10
    while (living := project.orphans()) and time.monotonic() < until:
        time.sleep(0.05)
    assert not living, f"still running 10 s after {after}: {'; '.join(living)}"
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < until + 10:
            os.killpg(group, 0)
            time.sleep(0.05)


def _send(pid: int, sent: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.kill(pid, sent)


def _wait(running: "subprocess.Popen[bytes]", look: Look) -> str:
    """Return what was seen at the moment; nothing where the command has ended before."""
    while running.poll() is None:
        for _ in range(50):
            if seen := look():
                return seen
    return ""


def _look(project: Project, moment: str, work: str, draw: random.Random) -> Look:
    """Return what watches for a moment; where it comes again and again, for one of the first."""
    cache = project.folder / ".dvc" / "cache"
    checkpoints = project.folder / ".checkpoints"
    if moment == "at a random moment":
        return _after(draw.uniform(0.2, SECONDS[work]))
    if moment.startswith("while a stage loads"):
        return _loading(project, draw.randint(1, 3), draw.uniform(0.02, 1.0))
    if moment == "while dvc.lock is written":
        return _shrunk(project.folder / "dvc.lock", draw.randint(1, MOST))
    if moment == "while DVC's cache is filled":
        return _new(lambda: _names(cache / "files"), draw.randint(1, MOST))
    if moment == "while the run cache is written":
        return _new(lambda: _names(cache / "runs"), draw.randint(1, 3))
    if moment == "while a checkpoint is written":
        return _new(
            lambda: (name for name in _names(checkpoints) if name.endswith(".tmp")), draw.randint(1, MOST)
        )
    if moment == "when a checkpoint was replaced":
        return _new(lambda: _versions(checkpoints), draw.randint(1, MOST))
    assert moment == "when outputs were removed"
    results = [project.folder / "models", project.folder / "data" / "oversampled"]
    return _gone(lambda: (name for place in results for name in _names(place)), draw.randint(1, MOST))


def _after(seconds: float) -> Look:
    start = time.monotonic()

    def look() -> str:
        time.sleep(0.001)
        return f"after {seconds:.1f} s" if time.monotonic() - start > seconds else ""

    return look


def _shrunk(path: Path, times: int) -> Look:
    """Return what sees a file that is shorter than it was, for the so manyth time."""
    largest = path.stat().st_size if path.exists() else 0
    short, spells = False, 0

    def look() -> str:
        nonlocal largest, short, spells
        size = path.stat().st_size if path.exists() else 0
        spells += size < largest and not short
        short, largest = size < largest, max(largest, size)
        return f"{size} of {largest} bytes" if short and spells == times else ""

    return look


def _new(names: Callable[[], Iterator[str]], times: int) -> Look:
    """Return what sees a name that was not there, for the so manyth time."""
    known = set(names())

    def look() -> str:
        nonlocal known, times
        found = set(names())
        new, known = found - known, found  # a file of a name that was there before is new again
        for name in sorted(new):
            times -= 1
            if not times:
                return name
        return ""

    return look


def _gone(names: Callable[[], Iterator[str]], times: int) -> Look:
    """Return what sees that a file is no longer there, for the so manyth time."""
    known = set(names())

    def look() -> str:
        nonlocal known, times
        found = set(names())
        lost, known = known - found, found
        times -= bool(lost)
        return min(lost) if lost and times <= 0 else ""

    return look


def _names(folder: Path) -> Iterator[str]:
    """Yield the files in a folder, at any depth, while others write and remove them."""
    for place, _, files in os.walk(folder):
        for name in files:
            yield f"{Path(place).name}/{name}"


def _versions(folder: Path) -> Iterator[str]:
    for path in folder.glob("*.safetensors"):
        try:
            yield f"{path.name} of {path.stat().st_mtime_ns}"
        except FileNotFoundError:
            continue


def _loading(project: Project, times: int, delay: float) -> Look:
    """Return what sees a stage that has been loading for so long."""
    known: set[int] = set()

    def look() -> str:
        nonlocal times
        for pid in set(_stages(project)) - known:
            known.add(pid)
            times -= 1
            if not times:
                time.sleep(delay)
                return f"{delay:.2f} s after its start"
        return ""

    return look


def _dvc(project: Project) -> list[int]:
    return [pid for pid, line in processes(project.folder) if line.endswith("/dvc repro")]


def _stages(project: Project) -> list[int]:
    """Return the processes that are stages: not the shells that start them."""
    found = processes(project.folder)
    return [pid for pid, line in found if line.split()[0].endswith("python") and " stages/" in f" {line}"]
