"""A small project to attack, and how its undisturbed results are told from others.

It is a repository of this one's code with few stages and little work. The attacks start from its results
under one learning rate and ask for those under another, so that all from the trainings on has to run.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.clones import ROOT, Clone, copied, files

# In the environment of all processes that an attack starts: its orphans are found by it.
MARK = "EOS_TORTURE"

KEPT = ROOT / ".torture"

SHORT = ("check", "prepare", "split", "train")  # for the test suite, which has no time for more
STAGES = (
    *("check", "heads", "prepare", "split", "train", "extract", "oversample", "gap", "retrain", "score"),
    *("augment", "train_augmented", "score_augmented", "tables"),
)
NEEDED = (
    *("src", "stages", "tools/mend_lock.py"),
    *("dvc.yaml", "params.yaml", ".dvc", ".dvcignore", ".gitignore"),
)
# What `make repro` does up to its end; by make, for a shell takes signals in its own way.
MAKEFILE = "repro:\n\tpython tools/mend_lock.py\n\tdvc repro\n"
REPRO = ("make", "--silent", "repro")
RESULTS = ("data", "models", "metrics")
LOST = {
    "split": ("split",),
    "train": ("train", "extract", "oversample", "gap", "retrain", "score", "tables"),
    "augment": ("augment", "train_augmented", "score_augmented", "tables"),
    "oversample": ("oversample", "retrain", "score", "tables"),
    "retrain": ("retrain", "score", "tables"),
}
RATES = {"before": 0.02, "after": 0.03}
HEADS = ["own", "none", "eos"]

# A whole run takes 40 seconds on one core: what takes ten times as long hangs.
PATIENCE = 400.0


@dataclass(frozen=True)
class Undisturbed:
    """Projects with their results before and after a change of the learning rate, made once.

    Attributes
    ----------
    folder
        Holds the projects `before` and `after`, each with its finished results committed, and `stopped`,
        which is `before` on its way to `after`, killed while it trained, with the checkpoint that this left.
        Of the short project there is no `before`.
    """

    folder: Path

    def results(self, state: str = "after") -> dict[str, str]:
        """Return the digest of every file of the results, dvc.lock among them."""
        found: dict[str, str] = json.loads((self.folder / f"{state}.json").read_text())
        return found

    def copy(self, folder: Path, state: str) -> "Project":
        """Put one of the projects into a folder of its own."""
        shutil.copytree(self.folder / state, folder, symlinks=True)
        return Project(folder)

    def start(self, folder: Path, work: str) -> "Project":
        """Return a project in which a part of `after` has to be made.

        `work` is "trainings", after the change of the learning rate; or the first of some stages in a row
        whose results were lost, with what DVC's cache had of them; see `LOST`.
        """
        if work == "trainings":
            project = self.copy(folder, "before")
            project.change(RATES["after"])
            return project
        project = self.copy(folder, "after")
        project.lose(LOST[work])
        return project


class Project(Clone):
    """A small project in which commands are run, apart from those that others run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.resolve())
        self.environment |= {
            "PYTHONPATH": str(self.folder / "src"),  # not what is installed, nor what the caller has
            "DVC_SITE_CACHE_DIR": str(self.folder / ".site"),  # it is in /var/tmp else, by the folder's name
            "OMP_NUM_THREADS": "1",
            MARK: str(self.folder),
        }

    def change(self, rate: float) -> None:
        """Ask for the results of a learning rate: trainings, and all behind them, have to run."""
        content = yaml.safe_load((self.folder / "params.yaml").read_text())
        content["datasets"]["digits"]["training"]["learning_rate"] = rate
        self.change_parameters(datasets=content["datasets"])

    def lose(self, stages: Container[str]) -> None:
        """Remove the outputs of some stages, and all that DVC's cache has of them."""
        shutil.rmtree(self.folder / ".dvc" / "cache" / "runs")
        lock = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]
        for out in [
            out for name, one in lock.items() if name.partition("@")[0] in stages for out in one["outs"]
        ]:
            place = self.folder / out["path"]
            for path in [place, *place.rglob("*")]:
                if path.is_file():
                    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
                    self.cached(digest).unlink(missing_ok=True)
            self.cached(out["md5"]).unlink(missing_ok=True)
            shutil.rmtree(place) if place.is_dir() else place.unlink()

    def cached(self, digest: str) -> Path:
        """Return where DVC's cache has what has this digest."""
        return self.folder / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]

    def kept(self, place: str) -> Path:
        """Return where DVC's cache has a file of an output, or the list of a folder that is one."""
        for stage in yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"].values():
            for out in stage["outs"]:
                if place == out["path"]:
                    return self.cached(out["md5"])
                if place.startswith(out["path"] + "/"):
                    listed = json.loads(self.cached(out["md5"]).read_text())
                    rest = place.removeprefix(out["path"] + "/")
                    return self.cached(next(one["md5"] for one in listed if one["relpath"] == rest))
        raise KeyError(place)

    def begin(self, log: Path) -> "subprocess.Popen[bytes]":
        """Start what `repro` does in a session of its own, to be killed; what it says goes to a file."""
        with log.open("ab") as told:
            return subprocess.Popen(
                # What a shell has started in the background ignores Ctrl-C, and so would all from here.
                ["env", "--default-signal=INT", *REPRO],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )

    def repro(self) -> "subprocess.CompletedProcess[str]":
        """Mend dvc.lock, then make what is missing."""
        return subprocess.run(
            REPRO,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def results(self) -> dict[str, str]:
        """Return the digest of every file of the results, by path; run times are none."""
        found = {"dvc.lock": self.folder / "dvc.lock"}
        for place in RESULTS:
            paths = sorted(path for path in (self.folder / place).rglob("*") if path.is_file())
            found |= {str(path.relative_to(self.folder)): path for path in paths}
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in found.items()
            if path.exists() and not name.startswith("data/seconds/")
        }

    def must_end_in(self, expected: dict[str, str]) -> str:
        """Run the steps of `make repro`; raise unless they end in these bytes and leave nothing behind."""
        done = self.repro()
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"the rerun ended with exit status {done.returncode}: {tail(told)}"
        assert "Traceback" not in told, tail(told)
        found = self.results()
        wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
        assert not wrong, f"{len(wrong)} files are not those of the undisturbed run, {wrong[0]} first"
        for object_ in (self.folder / ".dvc" / "cache" / "files" / "md5").glob("??/*"):
            name = (object_.parent.name + object_.name).removesuffix(".dir")
            content = hashlib.md5(object_.read_bytes(), usedforsecurity=False)
            if len(name) == 32:  # not one that a killed DVC was still writing
                assert name == content.hexdigest(), f"{object_.relative_to(self.folder)} is damaged"
        left = self.rests()
        assert not left, f"left behind: {', '.join(map(str, left))}"
        assert not (living := self.orphans()), f"still running: {'; '.join(living)}"
        return "same bytes"

    def rests(self) -> list[Path]:
        """Return half-written files, but for DVC's own in its cache, and checkpoints."""
        found = {*self.folder.rglob("*.tmp"), *(self.folder / ".checkpoints").glob("*")}
        places = sorted(path.relative_to(self.folder) for path in found if path.is_file())
        return [place for place in places if place.parts[0] != ".dvc"]

    def orphans(self) -> list[str]:
        """Return the command lines of the processes that this project's commands have left."""
        return [line for _, line in processes(self.folder)]


def processes(folder: Path) -> list[tuple[int, str]]:
    """Return the running processes of the projects in a folder: their ids and command lines."""
    mark, found = f"{MARK}={folder}", []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                marked = (place / "environ").read_bytes().decode(errors="replace").split("\0")
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended, or is another user's
            # One that has ended and waits to be collected has no line.
            if line and any(one == mark or one.startswith(f"{mark}/") for one in marked):
                found.append((int(place.name), line.strip()))
    return found


def tail(text: str, lines: int = 4) -> str:
    """Return the last lines of what a command has said, in one."""
    told = [line for line in text.splitlines() if line.strip() and not line.startswith("make: ")]
    return " | ".join(told[-lines:])


def undisturbed(stages: Sequence[str] = STAGES) -> Undisturbed:
    """Return the projects of this code and these stages; make them if they are not there, a minute's work."""
    digest = hashlib.sha256(repr(stages).encode())
    for name in files(*NEEDED, "tools/torture/workplace.py"):
        digest.update((ROOT / name).read_bytes())
    kind = f"undisturbed-{len(stages)}-"
    folder = KEPT / (kind + digest.hexdigest()[:12])
    KEPT.mkdir(exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for old in KEPT.glob(f"{kind}*"):
                shutil.rmtree(old)
            _make(Undisturbed(folder), stages)
            (folder / "done").touch()
    return Undisturbed(folder)


def _make(made: Undisturbed, stages: Sequence[str]) -> None:
    whole = stages == STAGES
    for state in ("before", "after") if whole else ("after",):
        place = made.folder / state
        new = state == "before" or not whole
        project = _small(place, stages) if new else made.copy(place, "before")
        project.change(RATES[state])
        finished = project.repro()
        assert finished.returncode == 0, f"{finished.returncode}: {tail(finished.stdout + finished.stderr)}"
        project.commit()
        (made.folder / f"{state}.json").write_text(json.dumps(project.results()))
    project = made.start(made.folder / "stopped", "trainings" if whole else "train")
    running = project.begin(made.folder / "stopped.log")
    seen: set[int] = set()
    while len(seen) < 3 and running.poll() is None:
        seen |= {path.stat().st_mtime_ns for path in (project.folder / ".checkpoints").glob("*.safetensors")}
        time.sleep(0.002)
    end(running)
    assert len(list((project.folder / ".checkpoints").glob("*.safetensors"))) == 1


def end(running: "subprocess.Popen[bytes]") -> int:
    """Kill a command and all of its process group, and return its exit status."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    return running.wait()


def _small(folder: Path, names: Sequence[str]) -> Project:
    """Make the small project, without results."""
    copied(folder, *NEEDED)
    pipeline: dict[str, Any] = yaml.safe_load((folder / "dvc.yaml").read_text())
    stages = {name: pipeline["stages"][name] for name in names}
    if "tables" in stages:
        stages["tables"]["deps"].remove("metrics/generated")
    text = yaml.safe_dump({"stages": stages, "metrics": pipeline["metrics"]}, sort_keys=False)
    (folder / "dvc.yaml").write_text(text)
    (folder / "Makefile").write_text(MAKEFILE)
    with (folder / ".gitignore").open("a") as file:
        file.write("/.site/\n")
    project = Project(folder)
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["datasets"]["digits"]["training"]["epochs"] = 6
    content["networks"]["ce"]["heads"] = HEADS
    grid = {"networks": ["ce"], "heads": HEADS}
    project.change_parameters(
        axes=content["axes"]
        | {"embeddings": [], "networks": ["ce"], "pixel_samplers": ["smote"], "pixel_networks": ["ce"]}
        | {"generators": []},
        datasets=content["datasets"],
        networks=content["networks"],
        head_training=content["head_training"] | {"epochs": 2, "curve_epochs": 3, "seeds": [0, 1]},
        tables=content["tables"]
        | {"table2": grid, "table4": {"network": "ce", "heads": ["eos"]}, "table5": grid},
    )
    project.change(RATES["before"])
    project.commit()  # DVCLive wants one
    return project
