"""Runs attacks, each in a process of its own, writes down at once how each ended, and sums up.

The journal has a line for each attack that was tried. A run that is started again goes on behind it, as long
as the code is the same; of other code everything is tried anew.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.torture.case import Case
from tools.torture.workplace import processes

# An attack that takes longer hangs, whatever its own limits are.
LIMIT = 900.0

SKIPPED = "skipped: "  # what an attack that cannot be made on this machine returns, with the reason behind it


@dataclass(frozen=True)
class Outcome:
    """How an attack ended.

    Attributes
    ----------
    family, name
        Of the attack.
    commit
        The code that was attacked.
    survived
        Whether the project did.
    told
        What the attack returned, or what it raised.
    seconds
        What it took, on the clock.
    megabytes
        The most memory that one of its processes took.
    """

    family: str
    name: str
    commit: str
    survived: bool
    told: str
    seconds: float
    megabytes: int

    @property
    def skipped(self) -> bool:
        """Whether the attack could not be made here."""
        return self.survived and self.told.startswith(SKIPPED)


class Journal:
    """A file with an outcome in each line; those of other code are dropped when it is opened."""

    def __init__(self, path: Path, commit: str) -> None:
        self.path = path
        self.commit = commit
        self.outcomes = [one for one in _read(path) if one.commit == commit]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(_line(one) for one in self.outcomes))

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down."""
        self.outcomes.append(outcome)
        with self.path.open("a") as file:
            file.write(_line(outcome))

    def of(self, cases: Iterable[Case]) -> list[Outcome]:
        """Return the outcomes of these attacks, in their order."""
        found = {(one.family, one.name): one for one in self.outcomes}
        keys = [(case.family, case.name) for case in cases]
        return [found[key] for key in keys if key in found]


def _line(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome)) + "\n"


def _read(path: Path) -> list[Outcome]:
    outcomes = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            outcomes.append(Outcome(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # half a line, of a run that was killed: that attack is tried again
    return outcomes


@dataclass
class _Running:
    case: Case
    folder: Path
    pid: int
    start: float = field(default_factory=time.monotonic)


def attack(
    cases: Sequence[Case],
    journal: Journal,
    *,
    work: Path,
    jobs: int = 1,
    limit: float = LIMIT,
    seconds: float = float("inf"),
    on_outcome: Callable[[Outcome, int], None] = lambda outcome, left: None,
) -> int:
    """Try the attacks that the journal does not have, and write them into it.

    Parameters
    ----------
    cases
        The attacks.
    journal
        What was tried before, and where outcomes go.
    work
        A folder in which each attack gets an empty one, which is removed after it.
    jobs
        How many are tried at a time.
    limit
        Seconds after which an attack is ended, as not survived.
    seconds
        After so many none is begun any more.
    on_outcome
        Is called after each attack, with the number of those that are left.

    Returns
    -------
    int
        How many attacks the time did not suffice for.
    """
    names = [(case.family, case.name) for case in cases]
    assert len(set(names)) == len(names), f"two attacks of one name: {max(names, key=names.count)}"
    tried = {(one.family, one.name) for one in journal.of(cases)}
    waiting = [case for case in cases if (case.family, case.name) not in tried]
    running: list[_Running] = []
    end = time.monotonic() + seconds
    number = 0
    try:
        while running or (waiting and time.monotonic() < end):
            while waiting and len(running) < jobs and time.monotonic() < end:
                number += 1
                running.append(_begin(waiting.pop(0), work / f"{os.getpid()}-{number}"))
            for one in list(running):
                outcome = _ended(one, journal.commit, limit)
                if outcome is not None:
                    running.remove(one)
                    _clean(one)
                    journal.add(outcome)
                    on_outcome(outcome, len(waiting) + len(running))
            time.sleep(0.002)
    finally:  # this run was stopped
        for one in running:
            _clean(one)
    return len(waiting)


def _begin(case: Case, folder: Path) -> _Running:
    """Make the attack in a child: what it loads, changes, leaks or breaks ends with it."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "work").mkdir(parents=True)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return _Running(case, folder, pid)
    try:
        os.setsid()
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            survived, told = True, case.attack(folder / "work")
        except AssertionError as error:
            survived, told = False, str(error) or "an assertion without a word"
        except BaseException as error:  # the attack's own fault, and to be told as well
            survived, told = False, f"{type(error).__name__}: {error}"
        (folder / "outcome").write_text(json.dumps([survived, " ".join(str(told).split())[:2000]]))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _ended(one: _Running, commit: str, limit: float) -> Outcome | None:
    """Return how an attack ended, once it has."""
    elapsed = time.monotonic() - one.start
    pid, status, usage = os.wait4(one.pid, os.WNOHANG)
    survived, told = False, f"still busy after {limit:.0f} seconds"
    if pid == 0:
        if elapsed < limit:
            return None
        os.killpg(one.pid, signal.SIGKILL)
        _, _, usage = os.wait4(one.pid, 0)
    elif (one.folder / "outcome").exists():
        survived, told = json.loads((one.folder / "outcome").read_text())
    else:
        told = f"the attack's own process died (status {status})"
    case, megabytes = one.case, usage.ru_maxrss // 1024
    return Outcome(case.family, case.name, commit, survived, told, round(elapsed, 2), megabytes)


def _clean(one: _Running) -> None:
    """End what an attack has left, and remove its folder."""
    for pid in [one.pid, *(pid for pid, _ in processes(one.folder))]:
        try:
            os.killpg(pid, signal.SIGKILL) if pid == one.pid else os.kill(pid, signal.SIGKILL)
        except OSError:
            continue  # it has ended
    shutil.rmtree(one.folder, ignore_errors=True)


HEADINGS = ("family", "tried", "survived", "skipped", "seconds", "slowest", "megabytes")


def rows(outcomes: Iterable[Outcome]) -> list[tuple[str | int, ...]]:
    """Return the summary's rows, one for each family and one for all; `HEADINGS` names the columns.

    Skipped attacks count as neither tried nor survived. Seconds add up what ran side by side.
    """
    by_family: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by_family.setdefault(one.family, []).append(one)
    groups = [*by_family.items(), ("all", [one for group in by_family.values() for one in group])]
    return [
        (
            family,
            sum(not one.skipped for one in group),
            sum(one.survived and not one.skipped for one in group),
            sum(one.skipped for one in group),
            round(sum(one.seconds for one in group)),
            round(max((one.seconds for one in group), default=0)),
            max((one.megabytes for one in group), default=0),
        )
        for family, group in groups
    ]


def summary(outcomes: Sequence[Outcome], commit: str, seed: int) -> str:
    """Return the summary as Markdown: a table by family, what did not survive, and what was skipped."""
    lines = [
        f"Attacks on {commit}, seed {seed}.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        "|:--" + "|--:" * (len(HEADINGS) - 1) + "|",
        *(f"| {' | '.join(map(str, row))} |" for row in rows(outcomes)),
    ]
    for title, chosen in (
        ("Did not survive", [one for one in outcomes if not one.survived]),
        ("Skipped", [one for one in outcomes if one.skipped]),
    ):
        if chosen:
            lines += ["", f"{title}:", "", *(f"- {one.family}: {one.name}: {one.told}" for one in chosen)]
    return "\n".join(lines) + "\n"


def table(outcomes: Iterable[Outcome]) -> str:
    """Return the rows of the summary as CSV."""
    return "".join(",".join(map(str, row)) + "\n" for row in (HEADINGS, *rows(outcomes)))
