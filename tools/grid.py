"""Run the costly stages of dvc.yaml on several processors or machines by Ray, and the rest by `dvc repro`.

    python tools/grid.py --jobs 2          on this machine: what `make repro JOBS=2` calls
    python tools/grid.py --address auto    on the Ray cluster that this machine belongs to

DVC runs one stage at a time. This reads DVC's own graph, takes the stages that `cluster` in params.yaml lists
and that are out of date, and hands every chain of them to Ray as one task. A task unpacks the working tree
into a folder of its own, calls DVC there, and leaves its results in the cache that all machines share, or in
DVC's default remote (--remote). Which task runs where and when, and what happens when a machine is lost, is
Ray's business. What DVC wrote into dvc.lock there is then put into the one here; `dvc repro` runs the rest.
"""

import argparse
import configparser
import fcntl
import hashlib
import io
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from eos.config.cells import machine
from eos.config.loading import load
from eos.config.schema import Parameters
from eos.errors import InputError, ending_in_one_line, unknown_name
from eos.pipeline import grid as side_by_side
from eos.pipeline.grid import dvc, repro
from eos.pipeline.paths import CHECKPOINTS, PARAMETERS

AGAIN = "the same command goes on from here"
LOCK = Path("dvc.lock")
PLACE = Path(".grid")  # logs, results that are not yet in dvc.lock, and what keeps a second one out
SHOWN = 20  # lines of the log of what failed
TELL = 10.0  # seconds between two lines of progress in a log

State = Literal["done", "failed", "skipped"]


# Which tasks there are


@dataclass(frozen=True)
class Task:
    """A chain of stages that one worker runs, one after another."""

    stages: tuple[str, ...]
    cpus: float
    gpus: float
    retries: int
    after: tuple[str, ...] = ()  # names of tasks
    needs: tuple[str, ...] = ()  # the stages whose results it reads, beside its own
    side_by_side: tuple[str, ...] = ()  # those of its stages that train in one process

    @property
    def name(self) -> str:
        """What it is called: by its first stage, and how many come after it."""
        more = len(self.stages) - 1
        return self.stages[0] + (f"+{more}" if more else "")


def graph() -> dict[str, list[str]]:
    """Return the stages of dvc.yaml in its order, each with those that it needs."""
    return edges(dvc("dag", "--dot"))


def edges(dot: str) -> dict[str, list[str]]:
    """Read a graph as `dvc dag --dot` prints it."""
    before: dict[str, list[str]] = {}
    for first, second in re.findall(r'^"([^"]+)"(?: -> "([^"]+)")?;$', dot, re.MULTILINE):
        before.setdefault(first, [])
        if second:
            before.setdefault(second, []).append(first)
    return before


def ancestors(before: Mapping[str, Sequence[str]], names: Iterable[str]) -> set[str]:
    """Return these stages and all that they need."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += before[name]
    return found


def ancestors_in(order: Sequence[str], before: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """Return all that a stage needs, in this order: what trains side by side looks at all of it."""
    found = ancestors(before, [name])
    return [one for one in order if one in found and one != name]


def topological(before: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the stages, each after those that it needs, and else in the order that they have."""
    done: dict[str, None] = {}

    def add(name: str) -> None:
        for one in before[name]:
            if one not in done:
                add(one)
        done.setdefault(name)

    for name in before:
        add(name)
    return list(done)


def outdated(before: Mapping[str, Sequence[str]], changed: Iterable[str]) -> set[str]:
    """Return these stages and all that need one of them."""
    stale = set(changed)
    for name in topological(before):
        if stale.intersection(before[name]):
            stale.add(name)
    return stale


def planned(
    before: Mapping[str, Sequence[str]],
    changed: Iterable[str],
    resources: Mapping[str, Any],
    *,
    gpu: Mapping[str, bool],
    groups: Sequence[Sequence[str]] = (),
) -> list[Task]:
    """Return the tasks: what is out of date and costly, in chains.

    Parameters
    ----------
    before
        The stages that each stage needs.
    changed
        Stages that are out of date; what needs one of them is so, too.
    resources
        By the part of a stage's name before the `@`, what it gets. Stages that are not in it make no task.
    gpu
        By data set, whether it trains on a GPU; elsewhere `gpus` and `together` do not count.
    groups
        Stages that are to be one task because they train side by side.

    Notes
    -----
    A stage goes into the task of the one stage that it needs, if nothing else needs that one and both get the
    same. So a network is one task from its training to its heads where all of it runs on processors, and two
    where it trains on a GPU, which its heads would only keep busy.
    """
    order = topological(before)
    stale = outdated(before, changed)
    costly = {name for name in stale if name.partition("@")[0] in resources}
    # What each needs of the costly ones, without those that another one needs.
    every: dict[str, set[str]] = {}
    direct: dict[str, set[str]] = {}
    for name in order:
        above = {one for need in before[name] for one in ({need} & costly) | every[need]}
        every[name] = above
        direct[name] = above - {one for near in above for one in every[near]}
    for name in (name for name in order if name in costly):
        if between := next((one for one in before[name] if every[one] and one not in costly), None):
            raise InputError(
                f"{PARAMETERS}: cluster.stages: {between.partition('@')[0]} is not in it, but lies between "
                f"stages that are ({name} needs {between}); add it"
            )
    needed_by: dict[str, list[str]] = {}
    for name in costly:
        for one in direct[name]:
            needed_by.setdefault(one, []).append(name)

    def given(name: str) -> tuple[float, float, int]:
        kind, _, cell = name.partition("@")
        one = resources[kind]
        return one.cpus, one.gpus if gpu.get(cell.partition("-")[0]) else 0.0, one.retries

    members: dict[str, list[str]] = {}  # by the first of a task, all
    first: dict[str, str] = {}
    together = {name: group for group in groups for name in group if len(group) > 1}
    for name in (name for name in order if name in costly):
        head = name
        if name in together:
            head = first.get(next((one for one in together[name] if one in first), ""), name)
        elif len(direct[name]) == 1:
            (one,) = direct[name]
            alone = len(needed_by[one]) == 1 and members[first[one]][-1] == one
            if alone and given(one) == given(name) and one not in together:
                head = first[one]
        first[name] = head
        members.setdefault(head, []).append(name)
    tasks: dict[str, Task] = {}
    for head, names in members.items():
        cpus, gpus, retries = given(head)
        tasks[head] = Task(
            tuple(names),
            cpus,
            gpus,
            retries,
            after=tuple(
                dict.fromkeys(
                    tasks[first[one]].name
                    for name in names
                    for one in sorted(direct[name])
                    if first[one] != head
                )
            ),
            needs=tuple(
                dict.fromkeys(
                    one
                    for name in names
                    for one in (before[name] if name not in together else ancestors_in(order, before, name))
                    if one not in names
                )
            ),
            side_by_side=tuple(name for name in names if name in together),
        )
    return list(tasks.values())


def roots(before: Mapping[str, Sequence[str]], resources: Mapping[str, Any]) -> list[str]:
    """Return the stages that are not costly, and that need none that is: they run here, before all others."""
    found: list[str] = []
    for name in topological(before):
        if name.partition("@")[0] not in resources and set(before[name]) <= set(found):
            found.append(name)
    costly = [name for name in before if name.partition("@")[0] in resources]
    needed = ancestors(before, costly)
    return [name for name in found if name in needed]


def grouped(parameters: Parameters, names: Iterable[str], gpu: Mapping[str, bool]) -> list[list[str]]:
    """Return which trainings share a process: those of a data set that trains on a GPU."""
    groups = []
    for kind in side_by_side.KINDS:
        at_most = parameters.cluster.together if kind in parameters.cluster.stages else 1
        targets = [side_by_side.target(name) for name in names if name.partition("@")[0] == kind]
        targets = [one for one in targets if gpu.get(one.dataset)]
        if at_most > 1 and targets:
            groups += side_by_side.grouped(parameters, targets, at_most)
    return [[one.name for one in group] for group in groups]


# What a worker does


@dataclass(frozen=True)
class Setting:
    """What all tasks share. Paths are those of the shared disk; without one there are none."""

    key: str  # tells one clone's files from another's in a folder of temporary ones
    config: str  # .dvc/config.local
    cache: str | None
    checkpoints: str | None
    logs: str | None
    scratch: str | None


@dataclass(frozen=True)
class Outcome:
    """How a task ended."""

    name: str
    state: State
    seconds: float
    log: str
    entries: Mapping[str, Any] = field(default_factory=dict)  # of dvc.lock: its stages, and those before
    measured: Mapping[str, bytes] = field(default_factory=dict)  # data/seconds


def work(files: bytes, setting: Setting, task: Task, board: Any, *after: Outcome) -> Outcome:
    """Run a task in a folder of its own, and say how it ended."""
    if lacking := [one.name for one in after if one.state != "done"]:
        return Outcome(task.name, "skipped", 0.0, f"{lacking[0]} was not made\n")
    start = time.monotonic()
    board.started.remote(task.name)
    scratch = Path(setting.scratch or Path(tempfile.gettempdir()) / f"eos-grid-{os.getuid()}-{setting.key}")
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)  # a remote's keys will be in it
    clones, logs = scratch / "clones", Path(setting.logs or scratch / "logs")
    for folder in (clones, logs):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(clones)
    clone, log = clones / f"{task.name}.{os.uname().nodename}.{os.getpid()}", logs / f"{task.name}.log"
    entries = {name: entry for one in after for name, entry in one.entries.items()}
    try:
        unpack(files, clone)
        configure(clone / ".dvc" / "config.local", setting, scratch)
        # A training that was killed goes on from its checkpoint, in whichever folder it runs next.
        checkpoints = Path(setting.checkpoints or scratch / "checkpoints")
        checkpoints.mkdir(parents=True, exist_ok=True)
        (clone / ".checkpoints").symlink_to(checkpoints)
        # DVC reads all stages at every start and writes them all after every stage: those that the task does
        # not need would only cost time.
        narrow(clone / "dvc.yaml", [*task.needs, *task.stages])
        known = lock_entries(clone / LOCK) | entries
        known = {name: known[name] for name in (*task.needs, *task.stages) if name in known}
        write_lock(clone / LOCK, known)
        with log.open("wb") as stream:
            succeeded = all(called(command, clone, stream) for command in commands(setting, task))
        made = lock_entries(clone / LOCK)
        measured = seconds(clone)
    finally:
        shutil.rmtree(clone, ignore_errors=True)
    if not succeeded:  # the stages before the one that failed
        made = {name: entry for name, entry in made.items() if entry != known.get(name)}
    elapsed, told = time.monotonic() - start, log.read_text("utf-8", "backslashreplace")
    return Outcome(task.name, "done" if succeeded else "failed", elapsed, told, entries | made, measured)


def sweep(clones: Path) -> None:
    """Remove what workers of this machine left that were killed."""
    for left in clones.iterdir():
        task, _, process = left.name.rpartition(".")
        if task.endswith(f".{os.uname().nodename}") and not Path(f"/proc/{process}").exists():
            shutil.rmtree(left, ignore_errors=True)


def unpack(files: bytes, clone: Path) -> None:
    """Make the folder in which a task runs."""
    shutil.rmtree(clone, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        # Which lets links to other places be. Python 3.11 has it from 3.11.4 on; Debian 12 has an older one.
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
        archive.extractall(clone)


def configure(path: Path, setting: Setting, scratch: Path) -> None:
    """Tell DVC that it has no git there, and which cache."""
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(setting.config)
    cache = {
        "dir": setting.cache or str(scratch / "cache"),
        "type": '"reflink,hardlink,symlink,copy"',
    }
    site = str(path.parent / "tmp" / "site")  # of the machine's own, DVC would keep a folder per task
    core = {"no_scm": "true", "analytics": "false", "site_cache_dir": site}
    for section, values in (("core", core), ("cache", cache)):
        if not config.has_section(section):
            config.add_section(section)
        for key, value in values.items():
            config.set(section, key, value)
    with path.open("w", encoding="utf-8") as stream:
        config.write(stream)


def narrow(path: Path, names: Sequence[str]) -> None:
    """Leave these stages in dvc.yaml, by the entries that define them and the values of their matrices."""
    content = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)["stages"]
    cells: dict[str, list[list[str]]] = {}
    for name in names:
        kind, _, cell = name.partition("@")
        cells.setdefault(kind, []).append(cell.split("-"))
    kept = {kind: dict(content[kind]) for kind in cells}
    for kind, entry in kept.items():
        if "matrix" in entry:
            columns = zip(*cells[kind], strict=True)
            entry["matrix"] = dict(zip(entry["matrix"], map(list, map(dict.fromkeys, columns)), strict=True))
    path.write_text(yaml.safe_dump({"stages": kept}, sort_keys=False))


def commands(setting: Setting, task: Task) -> Iterator[list[str]]:
    """Yield what a task calls."""
    carried = setting.cache is None
    if task.needs:
        yield ["-m", "dvc", "pull" if carried else "checkout", *task.needs]
    if task.side_by_side:
        yield ["-m", "eos", "train-grid", *task.side_by_side, "--together", str(len(task.side_by_side))]
    yield ["-m", "dvc", "repro", "--single-item", *task.stages]
    if carried:
        yield ["-m", "dvc", "push", *task.stages]


def called(command: Sequence[str], clone: Path, log: Any) -> bool:
    """Call Python in a task's folder, with that folder's code; return whether it succeeded.

    A worker that is killed takes what it called with it: a training that went on beside the one that Ray
    starts in its place would write the same files. So a second process waits for the end of a pipe, which
    comes with the end of the worker, and kills the first one's group.
    """
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(clone / "src"),
    }
    reading, writing = os.pipe()
    with (
        os.fdopen(writing),
        subprocess.Popen(
            [sys.executable, *command],
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        ) as process,
    ):
        kill = (
            f"import os, sys; sys.stdin.read(); os.killpg({process.pid}, 9)"  # shells differ in their `kill`
        )
        guard = subprocess.Popen([sys.executable, "-ISc", kill], stdin=reading, process_group=0)
        os.close(reading)
        node = os.getppid()
        try:
            while True:
                try:
                    return process.wait(timeout=1) == 0
                except subprocess.TimeoutExpired:
                    if os.getppid() != node:  # Ray's own process of this machine is gone: others take over
                        os._exit(1)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            guard.kill()
            guard.wait()


def seconds(clone: Path) -> dict[str, bytes]:
    """Return what the stages of a task measured of themselves."""
    return {
        str(path.relative_to(clone)): path.read_bytes()
        for path in (clone / "data" / "seconds").glob("*/*.json")
    }


def lock_entries(path: Path) -> dict[str, Any]:
    """Return what DVC knows of each stage."""
    if not path.exists():
        return {}
    from ruamel.yaml import YAML  # DVC's own: PyYAML takes 5e-05 for a text

    entries: dict[str, Any] = YAML(typ="safe").load(path)["stages"]
    return entries


def write_lock(path: Path, entries: Mapping[str, Any]) -> None:
    """Write dvc.lock, as a whole, in the layout in which DVC writes it."""
    from ruamel.yaml import YAML

    writer = YAML()
    writer.default_flow_style = False
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        writer.dump({"schema": "2.0", "stages": dict(entries)}, stream)
    temporary.replace(path)


class Board:
    """An actor that tells which tasks have begun."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def started(self, name: str) -> None:
        """Note a task."""
        self.names.add(name)

    def all(self) -> set[str]:
        """Return those noted."""
        return self.names


# This clone


def packed() -> bytes:
    """Return the files of the working tree that git does not ignore, as they are, in one archive."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise InputError(f"git: {listed.stderr.strip()}; run it in the root of a clone")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in sorted(filter(None, listed.stdout.split("\0"))):
            if os.path.lexists(name):
                archive.add(name)
    return buffer.getvalue()


def local_config() -> str:
    """Return what DVC was told for this clone alone: a remote's keys, say."""
    path = Path(".dvc", "config.local")
    return path.read_text() if path.exists() else ""


def remote_config() -> str:
    """Return that, and the default remote's place where it counts from this clone: tasks run elsewhere."""
    names = subprocess.run(
        [sys.executable, "-m", "dvc", "config", "core.remote"], capture_output=True, text=True, check=False
    ).stdout.split()
    if not names:
        raise InputError("--remote: DVC has no default remote; `dvc remote add --default NAME URL` names one")
    url = dvc("config", f"remote.{names[0]}.url").strip()
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(local_config())
    if "://" not in url:
        section = f"'remote \"{names[0]}\"'"
        if not config.has_section(section):
            config.add_section(section)
        config.set(section, "url", str(Path(".dvc", url).resolve()))
    buffer = io.StringIO()
    config.write(buffer)
    return buffer.getvalue()


@contextmanager
def alone() -> Iterator[None]:
    """Keep a second one out of this clone."""
    PLACE.mkdir(exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{PLACE}: another one runs in this clone; wait for it, or stop it") from error
        yield


# The whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is out of date; return the exit status."""
    chosen = options().parse_args(arguments)
    if chosen.jobs is not None and chosen.jobs < 1:
        raise InputError(f"--jobs {chosen.jobs}: must be 1 or more")
    if chosen.jobs is not None and chosen.address:
        raise InputError(f"--jobs {chosen.jobs}: is for this machine alone; leave it out, or --address")
    parameters = load(PARAMETERS)
    before = graph()
    known = yaml.load(Path("dvc.yaml").read_bytes(), Loader=yaml.CSafeLoader)["stages"]
    for kind in parameters.cluster.stages:
        if kind not in known:
            raise unknown_name(kind, known, what="stage", place=f"{PARAMETERS}: cluster.stages")
    targets = chosen_stages(before, chosen.targets)
    with alone():
        return run(
            parameters, {name: before[name] for name in before if name in targets}, chosen, all_of=before
        )


def chosen_stages(before: Mapping[str, Sequence[str]], names: Sequence[str]) -> set[str]:
    """Return the stages of these names, or entries of dvc.yaml, and what they need; without any all."""
    found = []
    for name in names:
        these = [one for one in before if name in (one, one.partition("@")[0])]
        if not these:
            known = {*before, *(one.partition("@")[0] for one in before)}
            raise unknown_name(name, known, what="stage", place="dvc.yaml")
        found += these
    return ancestors(before, found) if found else set(before)


def options() -> argparse.ArgumentParser:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="python tools/grid.py", description=str(__doc__), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="STAGE", help="as for `dvc repro`; without any, all")
    parser.add_argument("--address", help="the cluster, `auto` say; without it, this machine")
    parser.add_argument("--jobs", type=int, metavar="N", help="processors of this machine to use (all)")
    parser.add_argument(
        "--remote",
        action="store_true",
        help="the machines share no disk: carry results through DVC's default remote",
    )
    parser.add_argument(
        "--scratch", metavar="DIR", help="where tasks get their folders (the machine's temporary one)"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell the tasks, and run nothing")
    return parser


def as_entries(names: Iterable[str], all_of: Iterable[str]) -> list[str]:
    """Return entries of dvc.yaml in place of their stages, where all of an entry's are among the names.

    DVC parses dvc.lock anew for every name that it is given: for 2,000 cells that would last hours.
    """
    names, left = list(names), {name.partition("@")[0] for name in set(all_of) - set(names)}
    return list(dict.fromkeys(name if (kind := name.partition("@")[0]) in left else kind for name in names))


def run(
    parameters: Parameters,
    before: Mapping[str, Sequence[str]],
    chosen: argparse.Namespace,
    *,
    all_of: Iterable[str],
) -> int:
    """Plan, run the tasks, and assemble. The stages of `before` are the chosen ones of all."""
    start = time.monotonic()
    resources = parameters.cluster.stages
    gpu = {name: machine(parameters, name)["device"] != "cpu" for name in parameters.datasets}
    known = list(lock_entries(LOCK))
    config = remote_config() if chosen.remote else local_config()
    start_ray(chosen)
    if not has_gpu():
        gpu = dict.fromkeys(gpu, False)
    if not chosen.dry_run:
        if (first := as_entries(roots(before, resources), all_of)) and not repro(*first):
            return 1
        # What one before this had done when it was killed, unless something newer is there.
        take_in(through_remote=chosen.remote, wanted=set(json.loads(dvc("status", "--json"))))
    # Only now: that a stage before is out of date does not mean that its result is another one.
    changed = set(json.loads(dvc("status", "--json"))) & set(before)
    stale = outdated(before, changed)
    groups = grouped(parameters, [name for name in topological(before) if name in stale], gpu)
    tasks = planned(before, changed, resources, gpu=gpu, groups=groups)
    if chosen.dry_run:
        for task in tasks:
            print(f"{task.name}: {' '.join(task.stages)}")
        if not tasks:
            print("no task: all costly stages are up to date")
        return 0
    costly = {name for task in tasks for name in task.stages}
    if chosen.remote and (given := sorted({name for task in tasks for name in task.needs} - costly)):
        dvc("push", *as_entries(given, all_of))
    fit(tasks, lasting=not chosen.address)
    planned_at = time.monotonic()
    outcomes = sent(tasks, chosen, config)
    note(planned_at - start, time.monotonic() - planned_at, outcomes)
    take_in(through_remote=chosen.remote)
    if any(one.state != "done" for one in outcomes):
        tell(outcomes)
        return 1
    if late := sorted(costly & set(json.loads(dvc("status", "--json")))):
        raise InputError(
            f"{late[0]} and {len(late) - 1} others are out of date again: what they are made from was "
            f"changed while this ran; {AGAIN}"
        )
    if not repro(*chosen.targets):
        return 1
    arrange([*known, *topological(before)])
    return 0


def note(planned: float, ran: float, outcomes: Sequence[Outcome]) -> None:
    """Keep how long what took, for benchmarks/grid.py."""
    worked = sum(one.seconds for one in outcomes)
    content = {"planned": planned, "ran": ran, "worked": worked, "tasks": len(outcomes)}
    (PLACE / "seconds.json").write_text(json.dumps(content))


def take_in(*, through_remote: bool, wanted: set[str] | None = None) -> None:
    """Put the results of tasks, of all or of the wanted stages, into dvc.lock and the working tree at once.

    DVC writes the whole file for every stage that it takes from its run cache: for a grid of 2,000 cells that
    would last hours.
    """
    kept = sorted((PLACE / "entries").glob("*.json"))
    found: dict[str, Any] = {}
    for path in kept:
        found |= json.loads(path.read_text())
    if kept:
        known = set(graph()) if wanted is None else wanted  # not those of parameters that are no longer so
        found = {name: entry for name, entry in found.items() if name in known}
    if found:
        write_lock(LOCK, lock_entries(LOCK) | found)
        # By whole entries, see `as_entries`: of a stage that failed there may be nothing in the cache.
        kinds = dict.fromkeys(name.partition("@")[0] for name in found)
        if through_remote:
            dvc("fetch", *kinds)
        dvc("checkout", "--force", "--allow-missing", *kinds)
    for path in kept:
        path.unlink()


def arrange(order: Sequence[str]) -> None:
    """Have dvc.lock list the stages as `dvc repro` alone does: old ones stay, new ones come in turn."""
    entries = lock_entries(LOCK)
    names = [name for name in dict.fromkeys([*order, *entries]) if name in entries]
    if names != list(entries):
        write_lock(LOCK, {name: entries[name] for name in names})


def start_ray(chosen: argparse.Namespace) -> None:
    """Start Ray on this machine, or join the cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise InputError('ray is not installed; `pip install --editable ".[cluster]"`') from error
    if chosen.address and chosen.address != "auto":
        answers(chosen.address)
    os.environ.setdefault("RAY_task_oom_retries", "3")  # without an end by default
    local = {
        "address": "local",  # also where a cluster runs on this machine
        "num_cpus": chosen.jobs,
        "include_dashboard": False,
        "object_store_memory": 256 * 2**20,
    }
    given = {"address": chosen.address} if chosen.address else local
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **given)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if not chosen.address:
            raise InputError(f"Ray does not start: {error}") from error
        raise InputError(f"--address {chosen.address}: {error}; `ray status` tells of the cluster") from error


def answers(address: str) -> None:
    """Refuse an address where nobody listens, for which Ray waits for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"--address {address}: {error}; give HOST:PORT of a running cluster, or `auto`"
        ) from error


def fit(tasks: Sequence[Task], *, lasting: bool) -> None:
    """Refuse a task that no machine can run, for which Ray waits for ever; tell of it where more may join."""
    import ray

    machines = [one["Resources"] for one in ray.nodes() if one["Alive"]]
    for task in tasks:
        if any(one.get("CPU", 0) >= task.cpus and one.get("GPU", 0) >= task.gpus for one in machines):
            continue
        told = (
            f"{PARAMETERS}: cluster.stages.{task.stages[0].partition('@')[0]}: {task.cpus:g} processors and "
            f"{task.gpus:g} GPUs, and no machine has so many (or --jobs lets it use so many)"
        )
        if lasting:
            raise InputError(f"{told}; ask for less")
        print(f"{told}; its tasks wait for one that has", flush=True)
        return


def has_gpu() -> bool:
    """Say whether the cluster has one."""
    import ray

    return ray.cluster_resources().get("GPU", 0) > 0


def sent(tasks: Sequence[Task], chosen: argparse.Namespace, config: str) -> list[Outcome]:
    """Hand the tasks to Ray, tell how they go on, and return how they ended."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = str(Path.cwd().resolve())
    setting = Setting(
        key=hashlib.sha256(here.encode()).hexdigest()[:12],
        config=config,
        cache=None if chosen.remote else dvc("cache", "dir").strip(),
        checkpoints=None if chosen.remote else str(Path(here, CHECKPOINTS)),
        logs=None if chosen.remote else str(Path(here, PLACE, "logs")),
        scratch=chosen.scratch,
    )
    files = ray.put(packed())
    node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board: Any = ray.remote(Board).options(num_cpus=0, scheduling_strategy=node).remote()
    start = time.monotonic()
    references: dict[str, Any] = {}
    for task in tasks:
        remote = ray.remote(work).options(
            name=task.name, num_cpus=task.cpus, num_gpus=task.gpus, max_retries=task.retries
        )
        references[task.name] = remote.remote(
            files, setting, task, board, *(references[name] for name in task.after)
        )
    outcomes: list[Outcome] = []
    by_name = {task.name: task for task in tasks}
    names = {reference: name for name, reference in references.items()}
    place = {reference: number for number, reference in enumerate(names)}
    told = 0.0
    while names:
        ready, _ = ray.wait(list(names), num_returns=len(names), timeout=1.0)
        for reference in sorted(ready, key=place.__getitem__):  # a task before those that it would have fed
            name = names.pop(reference)
            try:
                outcome = ray.get(reference)
            except ray.exceptions.RayError as error:
                # Ray hands the error of a task that was lost on to those after it.
                lost = {one.name for one in outcomes if one.state != "done"}
                lacking = [one for one in by_name[name].after if one in lost]
                why = [f"{lacking[0]} was not made"] if lacking else str(error).strip().splitlines()[-SHOWN:]
                outcome = Outcome(name, "skipped" if lacking else "failed", 0.0, "\n".join(why) + "\n")
            outcomes.append(outcome)
            if outcome.state != "done":
                print(f"{name}: {outcome.state}", flush=True)
            keep(outcome, by_name[name])
        now = time.monotonic()
        if not names or now - told > TELL:
            told = now
            print(progress(len(tasks), outcomes, ray.get(board.all.remote()), now - start), flush=True)
    return outcomes


def keep(outcome: Outcome, task: Task) -> None:
    """Keep what a task printed, what it measured, and what DVC is to know of its stages."""
    contents = {str(PLACE / "logs" / f"{outcome.name}.log"): outcome.log.encode(), **outcome.measured}
    if entries := {name: outcome.entries[name] for name in task.stages if name in outcome.entries}:
        contents[str(PLACE / "entries" / f"{outcome.name}.json")] = json.dumps(entries).encode()
    for name, content in contents.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(content)
        temporary.replace(path)


def progress(total: int, outcomes: Sequence[Outcome], started: set[str], elapsed: float) -> str:
    """Return a line that tells how far the tasks are."""
    ended = {one.name for one in outcomes}
    count = {state: sum(one.state == state for one in outcomes) for state in ("done", "failed", "skipped")}
    told = f"{count['done']} of {total} tasks done, {len(started - ended)} running"
    told += f", {count['failed']} failed" + (f", {count['skipped']} skipped" if count["skipped"] else "")
    if outcomes and len(ended) < total:
        left = elapsed / len(ended) * (total - len(ended))
        told += f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"
    return told


def tell(outcomes: Sequence[Outcome]) -> None:
    """Print what was not made, and why."""
    print("\nNot made:")
    for one in outcomes:
        if one.state == "done":
            continue
        print(f"  {one.name}: {one.state}; {PLACE / 'logs' / one.name}.log")
        if one.state == "failed":
            print("".join(f"    | {line}\n" for line in one.log.splitlines()[-SHOWN:]), end="")
    print(AGAIN)


if __name__ == "__main__":
    with ending_in_one_line(interrupted=AGAIN, lower="let fewer tasks run at a time (--jobs)"):
        sys.exit(main())
