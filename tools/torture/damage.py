"""Files that are lost, cut off or changed: it is noticed and mended, or refused by name.

Of what DVC tracks a new size or time tells it that a file was changed. A disk that rots changes neither: then
whatever reads the file has to notice.
"""

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from tools.torture.case import Case
from tools.torture.workplace import RATES, SHORT, STAGES, Project, tail, undisturbed

Damage = Callable[[Path], None]

NETWORK = "models/networks/digits-0/ce"
TRAIN = ("train.py", "digits", "0", "ce")

# What the work tree holds, and the stage that reads it.
READ_BY = {
    "data/images/digits.npz": TRAIN,
    "data/splits/digits-0.npz": TRAIN,
    f"{NETWORK}/last.safetensors": ("extract.py", "digits", "0", "ce"),
    f"{NETWORK}/network.json": ("extract.py", "digits", "0", "ce"),
    "data/embeddings/digits-0/ce.npz": ("oversample.py", "digits", "0", "ce"),
    "data/oversampled/digits-0/ce/eos.npz": ("retrain.py", "digits", "0", "ce"),
    "models/heads/digits-0/ce/eos.npz": ("score.py", "digits", "0"),
    "data/augmented/digits-0/smote.npz": ("train_balanced.py", "augmented", "digits", "0", "smote", "ce"),
    "data/predictions/digits-0.npz": ("tables.py",),
}
OTHERS = (
    "data/gap/digits-0/ce.npz",
    f"{NETWORK}/test.safetensors",
    "models/augmented/digits-0/smote/ce/last.safetensors",
    "metrics/scores/digits-0.csv",
    "metrics/augmented/digits-0/smote.csv",
    "metrics/tables/table2.md",
    "metrics/summary.json",
)


def cases(seed: int) -> list[Case]:
    """Return them by what is damaged."""
    return [
        *_work_tree(),
        *_unseen(seed),
        *_cache(seed),
        *_run_cache(seed),
        *_remote(seed),
        *_checkpoints(seed),
        *_lock_file(seed),
    ]


def removed(path: Path) -> None:
    """Remove a file or a folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cut(share: float) -> Damage:
    """Return what cuts a file off, to a share of its length; 1 stands for all but its last byte."""

    def damage(path: Path) -> None:
        content = path.read_bytes()
        _replace(path, content[: min(int(share * len(content)), len(content) - 1)])

    return damage


def turned(place: float, *, unseen: bool = False) -> Damage:
    """Return what turns a bit, at a share of a file's length; unseen: with the size and the times kept."""

    def damage(path: Path) -> None:
        content, times = bytearray(path.read_bytes()), path.stat()
        content[min(int(place * len(content)), len(content) - 1)] ^= 4
        if not unseen:
            _replace(path, bytes(content))
            return
        mode = path.stat().st_mode
        path.chmod(0o644)
        with path.open("r+b") as file:  # the same inode
            file.write(content)
        path.chmod(mode)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    return damage


def _replace(path: Path, content: bytes) -> None:
    path.unlink()  # it may be protected
    path.write_bytes(content)


def _case(name: str, body: Callable[[Path, Sequence[str]], str], *, sample: bool = False) -> list[Case]:
    """Return the attack on the whole project and, as a sample, the same on a part of it."""
    made = [Case("damage", name, lambda folder: body(folder, STAGES))]
    if sample:
        made.append(Case("damage", f"{name}, short", lambda folder: body(folder, SHORT), sample=True))
    return made


def _work_tree() -> list[Case]:
    """Damage that DVC sees, for the file is not the one that it has written."""
    damages = {"removed": removed, "emptied": cut(0), "cut off": cut(0.5), "with a bit turned": turned(0.5)}
    made = []
    for place in (*READ_BY, *OTHERS):
        for how, damage in damages.items():

            def body(folder: Path, stages: Sequence[str], place: str = place, damage: Damage = damage) -> str:
                known = undisturbed(stages)
                project = known.copy(folder / "project", "after")
                damage(project.folder / place)
                return project.must_end_in(known.results())

            made += _case(f"work tree: {place} {how}", body)
    return made


def _unseen(seed: int) -> list[Case]:
    """Damage that DVC cannot see: the stage that reads the file has to."""
    made = []
    for place in READ_BY:
        for number, share in enumerate((0.0, random.Random(f"{seed} {place}").uniform(0.02, 0.98), 1.0)):

            def body(folder: Path, stages: Sequence[str], place: str = place, share: float = share) -> str:
                known = undisturbed(stages)
                project = known.copy(folder / "project", "after")
                turned(share, unseen=True)(project.folder / place)
                told = refused_or_same(project, place, known.results())
                (project.folder / place).unlink()
                return f"{told}; {project.must_end_in(known.results())}"

            sample = number == 1 and place.startswith("data/splits")
            at = ("first byte", "a byte between", "last byte")[number]
            made += _case(f"unseen: {place}, {at}", body, sample=sample)
    return made


def refused_or_same(project: Project, place: str, expected: dict[str, str]) -> str:
    """Run the stage that reads a damaged file; raise unless it names the file or makes what it should.

    It may do the latter where the damage is in a byte that means nothing: the date in an archive, say.
    """
    done = project.run("python", *_script(place))
    told = done.stdout + done.stderr
    assert "Traceback" not in told, f"a traceback of {place}: {tail(told)}"
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == 1, f"exit status {done.returncode}: {tail(told)}"
        assert len(lines) == 1, f"{len(lines)} errors: {tail(told)}"
        at = place if place == NETWORK else f"{place}:"
        assert lines[0].startswith(f"error: {at}"), lines[0]
        return "refused"
    found = project.results()
    wrong = [name for name in expected if name != place and found.get(name) != expected[name]]
    assert not wrong, f"the damage was taken: {wrong[0]} became another"
    return "harmless"


def _script(place: str) -> list[str]:
    script, *arguments = READ_BY[f"{NETWORK}/last.safetensors" if place == NETWORK else place]
    return [f"stages/{script}", *arguments]


def _cache(seed: int) -> list[Case]:
    """Objects of DVC's cache, with the work tree's file gone; and all of what DVC keeps."""
    made = []
    draw = random.Random(f"{seed} cache")
    damages = {
        "removed": removed,
        "cut off": cut(0.5),
        "with a bit turned": turned(draw.random(), unseen=True),
    }
    for place in (f"{NETWORK}/last.safetensors", "data/embeddings/digits-0/ce.npz", "data/images/digits.npz"):
        for how, damage in damages.items():

            def body(folder: Path, stages: Sequence[str], place: str = place, damage: Damage = damage) -> str:
                known = undisturbed(stages)
                project = known.copy(folder / "project", "after")
                kept = project.kept(place)
                damage(kept)
                (project.folder / place).unlink()
                done = project.repro()
                told = done.stdout + done.stderr
                assert "Traceback" not in told, tail(told)
                if done.returncode == 0 and project.results() == known.results():
                    return project.must_end_in(known.results())
                seen = refused_or_same(project, place, known.results())
                (project.folder / place).unlink(missing_ok=True)
                kept.unlink(missing_ok=True)
                return f"{seen}; {project.must_end_in(known.results())}"

            made += _case(f"cache: object of {place} {how}", body)
    for place in (NETWORK, "data/oversampled/digits-0/ce"):
        for how, damage in damages.items():

            def listed(
                folder: Path, stages: Sequence[str], place: str = place, damage: Damage = damage
            ) -> str:
                known = undisturbed(stages)
                project = known.copy(folder / "project", "after")
                damage(project.kept(place))
                shutil.rmtree(project.folder / place)
                return project.must_end_in(known.results())

            made += _case(f"cache: list of {place} {how}", listed)
    for gone in ((".dvc/cache",), (".dvc/cache", "data", "models"), (".dvc/tmp",), (".site",)):

        def all_gone(folder: Path, stages: Sequence[str], gone: tuple[str, ...] = gone) -> str:
            known = undisturbed(stages)
            project = known.copy(folder / "project", "after")
            for place in gone:
                removed(project.folder / place)
            return project.must_end_in(known.results())

        made += _case(f"cache: {' and '.join(gone)} removed", all_gone)
    return made


def _run_cache(seed: int) -> list[Case]:
    """Entries of the run cache, on the way back to results that it has."""
    draw = random.Random(f"{seed} run cache")
    damages = {
        "removed": removed,
        "emptied": cut(0),
        "cut off": cut(0.5),
        "cut off at a line's end": _cut_at_a_line,
        "with a bit turned": turned(draw.random()),
        "of other text": lambda path: _replace(path, b"\x00\xff: ["),
    }
    made = []
    for how, damage in damages.items():
        for which in ("retrain", "all"):

            def body(folder: Path, stages: Sequence[str], which: str = which, damage: Damage = damage) -> str:
                known = undisturbed(stages)
                project = known.copy(folder / "project", "after")
                entries = [path for path in (project.folder / ".dvc/cache/runs").rglob("*") if path.is_file()]
                chosen = [
                    path for path in entries if which == "all" or b"stages/retrain.py" in path.read_bytes()
                ]
                assert chosen, "there is no such entry"
                for path in chosen:
                    damage(path)
                project.change(RATES["before"])
                return project.must_end_in(known.results("before"))

            made += _case(f"run cache: entries of {which} {how}", body)
    return made


def _cut_at_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    _replace(path, b"".join(lines[: len(lines) // 2]))


def _remote(seed: int) -> list[Case]:
    """Objects of a remote, which a fresh clone pulls."""
    draw = random.Random(f"{seed} remote")
    damages = {"cut off": cut(0.5), "with a bit turned": turned(draw.random())}
    made = []
    for place in (f"{NETWORK}/last.safetensors", "data/embeddings/digits-0/ce.npz", NETWORK):
        for how, damage in damages.items():
            for verified in (False, True):

                def body(
                    folder: Path,
                    stages: Sequence[str],
                    place: str = place,
                    damage: Damage = damage,
                    verified: bool = verified,
                ) -> str:
                    return _pulled(folder, stages, place, damage, verified=verified)

                checked = ", of a remote with `verify true`" if verified else ""
                made += _case(f"remote: object of {place} {how}{checked}", body)
    return made


def _pulled(folder: Path, stages: Sequence[str], place: str, damage: Damage, *, verified: bool) -> str:
    known = undisturbed(stages)
    project = known.copy(folder / "project", "after")
    store = folder / "store"
    project.succeed("dvc", "remote", "add", "--default", "store", str(store))
    if verified:
        project.succeed("dvc", "remote", "modify", "store", "verify", "true")
    project.commit()
    project.succeed("dvc", "push", "--quiet")
    damage(store / project.kept(place).relative_to(project.folder / ".dvc" / "cache"))
    project.succeed("git", "clone", "--quiet", str(project.folder), str(folder / "clone"))
    clone = Project(folder / "clone")
    pulled = clone.run("dvc", "pull")
    told = pulled.stdout + pulled.stderr
    assert "Traceback" not in told, tail(told)
    if pulled.returncode:  # it says what it could not fetch, and the clone makes it
        return f"pull refused; {clone.must_end_in(known.results())}"
    assert not verified or place == NETWORK, "a damaged object was pulled"  # of lists DVC verifies none
    seen = refused_or_same(clone, place, known.results())
    if seen == "harmless":
        return seen
    removed(clone.folder / place)
    clone.kept(place).unlink(missing_ok=True)  # of a list DVC may have kept none
    return f"{seen}; {clone.must_end_in(known.results())}"


def _checkpoints(seed: int) -> list[Case]:
    """Checkpoints: at the worst the training starts anew, and it makes the same weights."""
    draw = random.Random(f"{seed} checkpoints")
    damages: dict[str, Damage] = {
        "as it was": lambda path: None,
        "emptied": cut(0),
        "cut off": cut(0.5),
        "without its last byte": cut(1),
        "with a bit of its length turned": turned(0),
        "with a bit of its names turned": _in_header(draw.random()),
        "of other bytes": lambda path: _replace(path, draw.randbytes(path.stat().st_size)),
        "without an array": _other(lambda arrays: arrays.pop(min(arrays))),
        "with an array more": _other(lambda arrays: arrays.update(more=np.zeros(3))),
        "with an array of another shape": _other(
            lambda arrays: arrays.update({name: value[:1] for name, value in arrays.items() if value.ndim})
        ),
        "of another program": _foreign,
    } | {f"with a bit of its weights turned, {number}": turned(draw.uniform(0.2, 1)) for number in range(4)}
    made = []
    for how, damage in damages.items():

        def body(folder: Path, stages: Sequence[str], damage: Damage = damage, how: str = how) -> str:
            known = undisturbed(stages)
            project = known.copy(folder / "project", "stopped")
            (path,) = (project.folder / ".checkpoints").glob("*.safetensors")
            damage(path)
            done = project.run("python", "stages/train.py", *TRAIN[1:])
            told = done.stdout + done.stderr
            assert done.returncode == 0, f"exit status {done.returncode}: {tail(told)}"
            assert "Traceback" not in told, tail(told)
            resumed = "goes on after epoch" in told
            seen = "went on" if resumed else "started anew"
            assert resumed == (how == "as it was"), f"{seen}: {tail(told)}"
            expected = known.results()
            wrong = [
                name
                for name, digest in project.results().items()
                if name.startswith(NETWORK) and expected.get(name) != digest
            ]
            assert not wrong, f"other bytes in {wrong[0]}"
            assert not project.rests(), f"left behind: {project.rests()}"
            return seen

        made += _case(f"checkpoint {how}", body, sample=how.endswith("turned, 0"))
    return made


def _in_header(place: float) -> Damage:
    """Return what turns a bit among the names and shapes of a safetensors file."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[8 + int(place * int.from_bytes(content[:8], "little"))] ^= 1
        _replace(path, bytes(content))

    return damage


def _foreign(path: Path) -> None:
    path.unlink()
    save_file({"weight": np.ones(3)}, path)


def _other(change: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    """Return what puts a whole file of other arrays in a checkpoint's place."""

    def damage(path: Path) -> None:
        arrays = {name: value.copy() for name, value in load_file(path).items()}
        change(arrays)
        path.unlink()
        save_file(arrays, path)

    return damage


def _lock_file(seed: int) -> list[Case]:
    """dvc.lock, which DVC writes in place: cut off, with its newest version committed or not; or rotten."""
    draw = random.Random(f"{seed} dvc.lock")
    made = []
    for number in range(24):
        share = draw.random()

        def committed(folder: Path, stages: Sequence[str], share: float = share) -> str:
            known = undisturbed(stages)
            project = known.copy(folder / "project", "after")
            cut(share)(project.folder / "dvc.lock")
            assert project.stages_run("bash", "-c", "python tools/mend_lock.py && dvc repro") == []
            return project.must_end_in(known.results())

        made += _case(f"dvc.lock cut off at a random place, {number}", committed)
    for number in range(4):
        share = draw.random()

        def uncommitted(folder: Path, stages: Sequence[str], share: float = share) -> str:
            known = undisturbed(stages)
            project = known.copy(folder / "project", "after")
            project.succeed("git", "reset", "--soft", "HEAD~1")  # the lock file of the results before
            cut(share)(project.folder / "dvc.lock")
            ran = project.stages_run("bash", "-c", "python tools/mend_lock.py && dvc repro")
            dear = {"train", "train_augmented", "augment", "extract", "oversample", "retrain"}
            assert not dear & {name.partition("@")[0] for name in ran}, f"ran again: {ran}"
            return project.must_end_in(known.results())

        made += _case(f"dvc.lock cut off before it was committed, {number}", uncommitted)
    for number in range(8):
        share = draw.random()

        def rotten(folder: Path, stages: Sequence[str], share: float = share) -> str:
            known = undisturbed(stages)
            project = known.copy(folder / "project", "after")
            turned(share)(project.folder / "dvc.lock")
            done = project.repro()
            told = done.stdout + done.stderr
            assert "Traceback" not in told, tail(told)
            if done.returncode == 0:
                return project.must_end_in(known.results())
            assert "dvc.lock" in told, f"dvc.lock is not named: {tail(told)}"
            project.succeed("git", "checkout", "dvc.lock")
            return f"refused; {project.must_end_in(known.results())}"

        made += _case(f"dvc.lock with a bit turned, {number}", rotten)
    return made
