"""Training the networks of the axes side by side, group by group, and recording them as `dvc repro` does.

A group is trained by a process of its own, which loads the code and params.yaml afresh, has the processor
switches that its data set needs, and gives its memory back at the end. What is out of date, what a network
needs first and what is recorded is DVC's business.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from eos.config.cells import architecture, branches, is_portable, machine, synthetic_from
from eos.config.schema import Parameters
from eos.errors import InputError, ending_in_one_line, unknown_name
from eos.pipeline import paths
from eos.pipeline.command import digest, write_seconds
from eos.pipeline.command import parameters as read_parameters
from eos.pipeline.processor import hold_to_portable_code

# By stage of dvc.yaml, what has balanced the images; and then the stage that did, and where it put them.
KINDS = {"train": "", "train_augmented": "augmented", "train_generated": "generated"}
BALANCED = {
    "augmented": ("augment", paths.augmented_file),
    "generated": ("generate", paths.generated_file),
}
ON_A_GPU = 8  # trainings side by side
AGAIN = "run the same command again"
LOWER = "let fewer train side by side (--together)"

Result = dict[str, Any] | InputError


@dataclass(frozen=True)
class Target:
    """A training as DVC names it; `kind` and `sampler` are empty where the images were not balanced."""

    name: str
    kind: str
    dataset: str
    cut: int
    network: str
    sampler: str

    @property
    def needs(self) -> list[str]:
        """The stages that make its images."""
        cut = f"{self.dataset}-{self.cut}"
        made = [f"prepare@{self.dataset}", f"split@{cut}"]
        return [*made, f"{BALANCED[self.kind][0]}@{cut}-{self.sampler}"] if self.kind else made

    @property
    def folder(self) -> Path:
        """Where its network goes."""
        if self.kind:
            return paths.balanced_folder(
                self.kind, self.dataset, self.cut, self.sampler, network=self.network
            )
        return paths.network_folder(self.dataset, self.cut, self.network)

    @property
    def script(self) -> tuple[str, str]:
        """What the seconds go by: its script in stages/, and that one's arguments."""
        arguments = self.name.partition("@")[2]
        return ("train_balanced", f"{self.kind}-{arguments}") if self.kind else ("train", arguments)


def train_grid(
    parameters: Parameters,
    names: Sequence[str],
    *,
    together: int | None = None,
    hours: float | None = None,
    dry_run: bool = False,
) -> None:
    """Train what is out of date, and record it in `dvc.lock` after every group.

    Parameters
    ----------
    parameters : Parameters
    names : sequence of str
        Trainings as `dvc.yaml` names them; none for all that it has.
    together : int, optional
        At most so many train side by side; by default 8 on a GPU, 1 on a CPU.
    hours : float, optional
        Start no group that would not end within them, by the seconds of the groups before.
    dry_run : bool
        Tell the groups, and do nothing.

    Raises
    ------
    InputError
        If a name is unknown, `params.yaml` or a dependency was changed while a group was trained, or
        trainings failed: at the end, after all others.
    """
    start = time.monotonic()
    targets = _chosen(names)
    changed = _changed(name for one in targets for name in (one.name, *one.needs))
    stale = [one for one in targets if changed & {one.name, *one.needs}]
    groups = grouped(parameters, stale, together)
    for number, group in enumerate(groups, 1):
        print(f"group {number} of {len(groups)}: {' '.join(one.name for one in group)}", flush=True)
    if not groups:
        print(f"nothing to train: {len(targets)} of {len(targets)} networks are up to date", flush=True)
    if dry_run:
        return
    failed: dict[str, InputError] = {}
    measured: list[tuple[list[Target], float]] = []
    for number, group in enumerate(groups, 1):
        expected = _expected(parameters, group, measured)
        if hours is not None and time.monotonic() - start + expected > hours * 3600:
            left = sum(map(len, groups[number - 1 :]))
            print(f"stops before group {number}, {expected:.0f} s by those before: {left} left", flush=True)
            break
        ready, unmade = _prepared(group)
        print(f"group {number} of {len(groups)}: trains {len(ready)} of {len(group)}", flush=True)
        errors, seconds = _trained(parameters, ready)
        measured += [(ready, seconds)] if len(errors) < len(ready) else []
        failed |= unmade | errors
    if failed:
        told = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise InputError(f"{len(failed)} of {len(stale)} networks were not trained: {told}")


# Which, and in which order


def ordered(parameters: Parameters, targets: Sequence[Target]) -> list[Target]:
    """Return the trainings, whole tables first: II of the first cut, of the others, V, I, III, the rest."""
    return sorted(targets, key=lambda one: _rank(parameters, one))


def _rank(parameters: Parameters, target: Target) -> int:
    tables = parameters.tables
    one, three = tables.table1, tables.table3
    wanted: list[tuple[str, Sequence[str], Sequence[str]]] = [
        ("", tables.table2.networks, [""]),
        ("", tables.table5.networks, [""]),
        ("", [one.network, one.remix], [""]),
        ("augmented", [one.network], one.pixel_samplers),
        ("", three.networks, [""]),
        ("generated", three.networks, three.generators),
        ("", tables.cited.networks, [""]),
        ("generated", [tables.cited.network], tables.cited.generators),
    ]
    for rank, (kind, networks, samplers) in enumerate(wanted):
        if target.kind == kind and target.network in networks and target.sampler in samplers:
            return rank if rank or target.cut != parameters.axes.cuts[0] else -1
    return len(wanted)


def grouped(parameters: Parameters, targets: Sequence[Target], together: int | None) -> list[list[Target]]:
    """Return the groups that train side by side, in order.

    A group is one data set's. It takes networks that last about as long, of one architecture, number of
    branches, share of the epochs and kind of images, whatever their cut; and where that leaves room, all of
    another length that the same table wants, if they fit.
    """
    left, groups = ordered(parameters, targets), []
    while left:
        first = left[0]
        room = together or _together(parameters, first.dataset)
        length = _length(parameters, first)
        group = [one for one in left if _length(parameters, one) == length][:room]
        others: dict[object, list[Target]] = {}
        for one in left:
            if one.dataset == first.dataset and _rank(parameters, one) == _rank(parameters, first):
                others.setdefault(_length(parameters, one), []).append(one)
        for more in others.values():
            if more[0] not in group and len(group) + len(more) <= room:
                group += more
        groups.append(group)
        left = [one for one in left if one not in group]
    return groups


def _length(parameters: Parameters, target: Target) -> tuple[str, str, str, int, float, float]:
    """Return what decides how long a training takes, beside the machine."""
    chosen = architecture(parameters, target.dataset, target.network)
    share = parameters.networks[target.network].epochs_share
    late = synthetic_from(parameters, target.kind, target.sampler)
    return target.dataset, target.kind, chosen.name, branches(parameters, target.network), share, late


def _together(parameters: Parameters, dataset: str) -> int:
    """Return how many networks of a data set train side by side where nobody says."""
    device = machine(parameters, dataset)["device"]
    if device == "cpu":
        return 1
    from eos.models.devices import pick_device

    return ON_A_GPU if pick_device(device).type == "cuda" else 1


def _expected(
    parameters: Parameters, group: Sequence[Target], measured: Sequence[tuple[Sequence[Target], float]]
) -> float:
    """Return the seconds that a group may take by the groups before; 0 where there are none.

    By those of the same length if there are some, and longer where there are more side by side.
    """
    lengths = {_length(parameters, one) for one in group}
    alike = [one for one in measured if lengths <= {_length(parameters, target) for target in one[0]}]
    return max(
        (seconds * max(1.0, len(group) / len(before)) for before, seconds in alike or measured), default=0.0
    )


# What DVC knows


def dvc(*arguments: str) -> str:
    """Return what a command of DVC prints; have what it complains of end in one line."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise InputError(
            f"dvc {arguments[0]}: {told[0] if told else 'failed'}; run it in the root of a clone, and no "
            "other DVC beside it"
        )
    return done.stdout


def _chosen(names: Sequence[str]) -> list[Target]:
    """Return the trainings of these names, as dvc.yaml has them in its order; all where there is no name."""
    known = [name for name in dvc("stage", "list", "--name-only").split() if name.partition("@")[0] in KINDS]
    for name in names:
        if name not in known:
            raise unknown_name(name, known, what="training", place="dvc.yaml")
    return [target(name) for name in known if not names or name in names]


def target(name: str) -> Target:
    """Return a training by its name in dvc.yaml; names in params.yaml have no hyphen."""
    stage, _, cell = name.partition("@")
    dataset, cut, *sampler, network = cell.split("-")
    return Target(name, KINDS[stage], dataset, int(cut), network, sampler[0] if sampler else "")


def _changed(names: Iterable[str]) -> set[str]:
    """Return which of these stages `dvc status` tells of.

    It is asked of all: DVC parses dvc.lock anew for every stage that it is given.
    """
    wanted = set(names)
    return wanted & set(json.loads(dvc("status", "--json"))) if wanted else wanted


def _origin(one: Target) -> dict[str, str]:
    """Return what a training is made from: its part of the parameters, code, images."""
    content: dict[str, Any] = yaml.safe_load(Path(paths.PARAMETERS).read_text(encoding="utf-8"))
    network = dict(content["networks"][one.network])
    network.pop("heads")  # which come after it
    dataset = {
        key: content["datasets"][one.dataset][key]
        for key in ("architecture", "normalization", "portable", "training")
    }
    sections = {
        "training": content["training"],
        f"networks.{one.network}": network,
        f"datasets.{one.dataset}": dataset,
    }
    files = [paths.images_file(one.dataset), paths.split_file(one.dataset, one.cut)]
    if one.kind:
        files.append(BALANCED[one.kind][1](one.dataset, one.cut, one.sampler))
    code = [path for folder in ("src", "stages") for path in sorted(Path(folder).rglob("*.py"))]
    return {f"{paths.PARAMETERS}: {name}": repr(value) for name, value in sections.items()} | {
        str(path): digest(path) for path in (*files, *code)
    }


def _commit(group: Sequence[Target], before: Mapping[str, Mapping[str, str]]) -> None:
    """Record in `dvc.lock` what was trained; not where something else would be recorded as its origin."""
    kept, refused = [], []
    for one in group:
        then, now = before[one.name], _origin(one)
        if differing := sorted(key for key in then.keys() | now if then.get(key) != now.get(key)):
            refused.append(f"{one.name} ({', '.join(differing)})")
        else:
            kept.append(one.name)
    if kept:
        dvc("commit", "--force", "--quiet", *kept)
    if refused:
        raise InputError(
            f"changed while they were trained, so not recorded: {'; '.join(refused)}; {AGAIN}, and change "
            "nothing that they are made from until it ends"
        )


def repro(*arguments: str) -> bool:
    """Call `dvc repro`, whose stages find the Python that runs this; return whether it succeeded."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, "-m", "dvc", "repro", *arguments]
    return subprocess.run(command, env=os.environ | {"PATH": path}, check=False).returncode == 0


# A group


def _prepared(group: Sequence[Target]) -> tuple[list[Target], dict[str, InputError]]:
    """Make what a group needs; return what is then to be trained, and an error for what lacks something.

    That a stage before is out of date does not mean that its result is another one.
    """
    needs = list(dict.fromkeys(name for one in group for name in one.needs))
    if _changed(needs):
        repro("--keep-going", *needs)
    unmade = _changed(needs)
    failed = {
        one.name: InputError(f"{lacking[0]} was not made; `dvc repro {lacking[0]}` says why")
        for one in group
        if (lacking := [name for name in one.needs if name in unmade])
    }
    changed = _changed(one.name for one in group if one.name not in failed)
    return [one for one in group if one.name in changed], failed


def _trained(parameters: Parameters, group: Sequence[Target]) -> tuple[dict[str, InputError], float]:
    """Train a group and record it; return what failed, and the seconds, also of epochs before a stop."""
    if not group:
        return {}, 0.0
    before = {one.name: _origin(one) for one in group}
    for one in group:  # as DVC does: files of a former training may not stay beside the new ones
        shutil.rmtree(one.folder, ignore_errors=True)
    start = time.perf_counter()
    results = _in_a_process(group, portable=is_portable(parameters, group[0].dataset))
    elapsed = time.perf_counter() - start
    seconds, failed = [elapsed], {}
    for one, result in zip(group, results, strict=True):
        if isinstance(result, InputError):
            failed[one.name] = result
            print(f"{one.name}: not trained: {result}", flush=True)
        else:
            write_seconds(*one.script, elapsed, result)
            seconds.append(result["seconds"])
    _commit([one for one in group if one.name not in failed], before)
    return failed, max(seconds)


def _in_a_process(group: Sequence[Target], *, portable: bool) -> list[Result]:
    """Train a group in a process of its own; one that dies fails the group and no other."""
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(there, list(group), portable))
    process.start()
    there.close()
    try:
        results: list[Result] = here.recv()
    except EOFError:
        process.join()
        told = (
            f"the process that trained it ended with exit status {process.exitcode}; the lines above say why"
        )
        return [InputError(told)] * len(group)
    except BaseException:
        process.kill()
        raise
    finally:
        process.join()
    return results


def _work(there: Connection, group: Sequence[Target], portable: bool) -> None:
    """Be the process that trains a group, and send the results."""
    Thread(target=_end_with_the_parent, daemon=True).start()
    if portable:
        hold_to_portable_code()
    with ending_in_one_line(interrupted=AGAIN, lower=LOWER):
        try:
            results = _fit(group)
        except KeyboardInterrupt:  # which the parent has, too, and tells
            os._exit(1)
        except InputError as error:  # of what they all see
            results = [error] * len(group)
        there.send(results)


def _end_with_the_parent() -> None:
    """End at once where the command was killed: the next one takes up the checkpoints."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _fit(group: Sequence[Target]) -> list[Result]:
    from eos.pipeline.fitting import Job, fit_networks  # which load torch

    parameters = read_parameters()
    jobs = [
        Job(
            one.dataset,
            one.cut,
            one.network,
            one.folder,
            synthetic=BALANCED[one.kind][1](one.dataset, one.cut, one.sampler) if one.kind else None,
            sampler=one.sampler,
            synthetic_from=synthetic_from(parameters, one.kind, one.sampler),
            label=one.name,
        )
        for one in group
    ]
    return fit_networks(parameters, jobs)
