"""Full disks, places that cannot be written to, and a missing folder for temporary files.

Disks are memory: file systems that a process mounts for itself and its children, in a namespace in which it
is root (`unshare`). No other process sees them, and they need no rights, but a kernel that allows it. Quotas
are not among the attacks, for they need a disk: the limits of files' sizes and of inodes stand for them.
"""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tools.torture.case import Case
from tools.torture.runner import SKIPPED
from tools.torture.workplace import PATIENCE, REPRO, SHORT, Project, Undisturbed, tail, undisturbed

PAGE = 4096

# A disk of `options` in a folder's place; what is in the folder is put on it, and taken from it in the end.
FULL = """
set -e
cp -a "$place" "$kept"
mount -t tmpfs -o "$options" tmpfs "$place"
cp -a "$kept/." "$place/"
rm -rf "$kept"
cd "$project"
set +e
bash -c "$command"
status=$?
set -e
cd /
cp -a "$place" "$kept"
exit $status
"""

READ_ONLY = """
set -e
mount --bind "$place" "$place"
mount -o remount,bind,ro "$place"
cd "$project"
exec bash -c "$command"
"""

# What the operating system may say, and what has to stand beside it: a file or folder.
REASONS = (
    *("No space left on device", "Read-only file system", "File too large", "Permission denied"),
    # DVC, of its database, whose place it does not tell.
    *("database or disk is full", "unable to open database file", "disk I/O error"),
)
NAMED = re.compile(r"\b(data|models|metrics|dvc\.lock|tmp|project|database)\b|\.(checkpoints|dvc|site)\b")


def cases() -> list[Case]:
    """Return them by what is wrong with the disk."""
    made = []
    for place, work, margin in (  # what has to be made is not there: a file that is replaced makes room first
        ("models", "train", 8),
        ("models", "train", 400),
        ("models", "retrain", 16),
        ("data", "train", 8),
        ("data", "oversample", 40),
        ("data", "augment", 100),
        ("metrics", "retrain", 4),
        (".checkpoints", "train", 8),
        (".checkpoints", "train", 1500),
        (".dvc/cache", "train", 8),
        (".dvc/cache", "retrain", 60),
        (".dvc/tmp", "retrain", 4),
        (".site", "retrain", 4),
        ("", "train", 40),
        ("", "train", 1000),
        ("", "oversample", 150),
    ):
        name = f"full disk: {place or 'the whole project'}, {margin} KiB free, {work}"
        made.append(Case("disk", name, _full(place, work, margin)))
    made.append(Case("disk", "full disk: data/splits, short", _short, sample=True))
    for place, work in (("models", "train"), ("data", "oversample"), ("", "oversample")):
        name = f"no inodes: {place or 'the whole project'}, {work}"
        made.append(Case("disk", name, _full(place, work, 4096, inodes=2)))
    for place, work in (
        *(
            ("models", "trainings"),
            ("data", "oversample"),
            ("metrics", "retrain"),
            (".checkpoints", "train"),
        ),
        *((".dvc/cache", "retrain"), (".dvc/tmp", "retrain"), (".site", "retrain"), ("", "retrain")),
    ):
        name = f"read-only: {place or 'the whole project'}, {work}"
        made.append(Case("disk", name, _read_only(place, work)))
    for place, work in (
        ("models/heads", "retrain"),
        ("metrics", "retrain"),
        ("data/oversampled", "oversample"),
    ):
        made.append(Case("disk", f"another user's: {place}, {work}", _not_mine(place, work)))
    limits = ((1, "retrain"), (16, "oversample"), (16, "train"), (64, "train"), (300, "train"))
    made += [
        Case("disk", f"files of at most {size} KiB, {work}", _limited(size, work)) for size, work in limits
    ]
    for variable in ("TMPDIR", "HOME"):
        made.append(Case("disk", f"{variable} names no folder", _missing(variable)))
    made.append(Case("disk", "TMPDIR is full", _temporary))
    return made


@functools.cache
def why_no_mounts() -> str:
    """Return why a process cannot mount anything for itself here; nothing where it can."""
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if not shutil.which("unshare"):
        return f"{SKIPPED}there is no unshare"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{SKIPPED}{done.stderr.strip()}" if done.returncode else ""


def _in_namespace(
    project: Project, script: str, place: Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run `make repro`'s steps where the script has mounted something."""
    kept = project.folder.parent / "kept"
    given = {
        "place": str(place),
        "kept": str(kept),
        "project": str(project.folder),
        "command": " ".join(REPRO),
    }
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "bash", "-c", script],
        cwd=project.folder.parent,
        env=project.environment | given | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if kept.exists():
        shutil.rmtree(place)
        kept.rename(place)
    return done


def _full(place: str, work: str, margin: int, *, inodes: int = 0) -> Callable[[Path], str]:
    """Return an attack that leaves so many KiB, and, unless it is 0, so many new files, for a folder."""

    def attack(folder: Path) -> str:
        if reason := why_no_mounts():
            return reason
        return _on_a_full_disk(undisturbed(), folder, place, work, margin=margin, inodes=inodes)

    return attack


def _short(folder: Path) -> str:
    if reason := why_no_mounts():
        return reason
    return _on_a_full_disk(undisturbed(SHORT), folder, "data/splits", "split", margin=4, inodes=0)


def _on_a_full_disk(
    known: Undisturbed, folder: Path, place: str, work: str, *, margin: int, inodes: int
) -> str:
    project = known.start(folder / "project", work)
    where = project.folder / place
    where.mkdir(exist_ok=True)
    used = list(where.rglob("*"))
    pages = sum(-(-path.stat().st_size // PAGE) for path in used if path.is_file())
    options = f"size={pages * PAGE + 1024 * margin}"
    if inodes:
        options += f",nr_inodes={len(used) + 1 + inodes}"
    done = _in_namespace(project, FULL, where, options=options)
    return _refused(project, known, done)


def _read_only(place: str, work: str) -> Callable[[Path], str]:
    def attack(folder: Path) -> str:
        if reason := why_no_mounts():
            return reason
        known = undisturbed()
        project = known.start(folder / "project", work)
        (project.folder / place).mkdir(exist_ok=True)
        done = _in_namespace(project, READ_ONLY, project.folder / place)
        assert done.returncode, "exit status 0 on a read-only disk"
        return _refused(project, known, done)

    return attack


def _not_mine(place: str, work: str) -> Callable[[Path], str]:
    """Return an attack of somebody who may not write into a folder; root may, so it is nobody who tries."""

    def attack(folder: Path) -> str:
        known = undisturbed()
        as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        project = known.start(folder / "project", work)
        for parent in [*folder.resolve().parents][:2]:
            if parent.stat().st_uid == os.getuid() and parent != Path(parent.anchor):
                parent.chmod(parent.stat().st_mode | 0o011)
        tried = project.run(*as_nobody, "python", "-c", "import eos, dvc")
        if os.getuid() or tried.returncode:
            return f"{SKIPPED}needs root, and a Python that nobody may run, too ({tail(tried.stderr, 1)})"
        for path in [project.folder, *project.folder.rglob("*")]:
            os.lchown(path, 65534, 65534)
        barred = project.folder / place
        barred.mkdir(parents=True, exist_ok=True)
        for path in [barred, *barred.rglob("*")]:
            os.lchown(path, 0, 0)
        project.environment["HOME"] = str(project.folder)
        done = project.run(*as_nobody, *REPRO)
        assert done.returncode, "exit status 0 without the right to write"
        for path in [project.folder, *project.folder.rglob("*")]:
            os.lchown(path, 0, 0)
        return _refused(project, known, done)

    return attack


def _limited(size: int, work: str) -> Callable[[Path], str]:
    """Return an attack that forbids a stage files of more than so many KiB; DVC's database is larger."""

    def attack(folder: Path) -> str:
        known = undisturbed()
        project = known.start(folder / "project", work)
        command = f"ulimit -f {size}; exec python stages/{work}.py digits 0 ce"
        return _refused(project, known, project.run("bash", "-c", command))

    return attack


def _missing(variable: str) -> Callable[[Path], str]:
    def attack(folder: Path) -> str:
        known = undisturbed()
        project = known.start(folder / "project", "oversample")
        project.environment[variable] = str(folder / "nowhere")
        return project.must_end_in(known.results())

    return attack


def _temporary(folder: Path) -> str:
    if reason := why_no_mounts():
        return reason
    known = undisturbed()
    project = known.start(folder / "project", "oversample")
    temporary = folder / "temporary"
    temporary.mkdir()
    (temporary / "filled").write_bytes(bytes(PAGE))
    done = _in_namespace(project, FULL, temporary, options=f"size={2 * PAGE}", TMPDIR=str(temporary))
    return _refused(project, known, done)


def _refused(project: Project, known: Undisturbed, done: "subprocess.CompletedProcess[str]") -> str:
    """Raise unless one message told of the place, and a run on a good disk ends in the bytes it should."""
    told = done.stdout + done.stderr
    assert "Traceback" not in told, f"a traceback: {tail(told)}"
    if done.returncode == 0:
        return f"enough room; {project.must_end_in(known.results())}"
    lines = [line for line in told.splitlines() if any(reason in line for reason in REASONS)]
    assert lines, f"exit status {done.returncode} without the reason: {tail(told)}"
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) <= 1, f"{len(errors)} errors: {' | '.join(errors)}"
    # DVC, whose words these are where there is no such line, tells of each file and then of the stage.
    assert any(NAMED.search(line) for line in errors or lines), f"no place is named: {' | '.join(lines)}"
    allowed = [known.results(state) for state in ("before", "after") if (known.folder / state).exists()]
    half = [
        name
        for name, digest in project.results().items()
        if name != "dvc.lock" and digest not in {results.get(name) for results in allowed}
    ]
    # A training's history grows by a line for each epoch; nothing reads it before the training is done.
    half = [name for name in half if "/history/" not in name]
    assert not half, f"half written: {', '.join(half)}"
    left = [path for path in project.rests() if path.suffix == ".tmp"]
    assert not left, f"left behind: {', '.join(map(str, left))}"
    return f"{lines[-1][-160:]}; {project.must_end_in(known.results())}"
