"""Bad parameters: refused with value, place and remedy before anything is removed or run.

In one process by `eos.config.loading.load`, and in a small project by DVC and the stages. There every file
that git or DVC follows must be as it was, and no text of a name may have been run by a shell: it would make
a file `pwned`. But what the stage `check` writes goes: DVC removes it before it runs the stage.
"""

import copy
import fcntl
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml

from eos.config.loading import load
from eos.errors import InputError
from tools.torture.case import Case

ROOT = Path(__file__).parents[2]
FAMILY = "params"
BYTES, SECONDS = 8 * 2**30, 240

# What a message has to have of a way out.
REMEDY = re.compile(
    r"known: |it should|give |list |must |set it|add it|remove |restore |is a number; a name is text|"
    r"name (a|two|heads)|which says|says which|change it|less than|greater than|too few"
)

# Whole numbers, shares and rates of all sections.
NUMBERS = (
    *("axes.cuts.0", "split.validation_fraction", "oversampling.random_state", "figures.figure6.points"),
    *("training.epochs", "training.learning_rate", "training.crop_padding", "training.milestones.0"),
    *("head_training.batch_size", "head_training.weight_decay", "head_training.seeds.0"),
    *("datasets.digits.imbalance.ratio", "datasets.digits.training.crop_padding"),
    *("datasets.cifar10.normalization.std.1", "networks.ldam.loss.scale", "networks.remix.mixing.alpha"),
    *("heads.smote.k_neighbors", "heads.eos.step_size", "heads.tau_norm.tau_choices.2"),
    *("pixel_samplers.balsvm.svm_rows", "generators.cgan.width", "generators.gamo.learning_rate"),
)
NOT_NUMBERS: dict[str, Any] = {
    "text": "seven",
    "nan": float("nan"),
    "inf": float("inf"),
    "-1": -1,
    "10**21": 10**21,
    "a list": [1, 2],
    "a mapping": {"a": 1},
    "true": True,
    "nothing in quotes": "",
}

# Lists of names, and names.
LISTS = ("axes.datasets", "axes.networks", "axes.pixel_samplers", "axes.generators", "networks.ce.heads")
NOT_LISTS: dict[str, Any] = {
    "an unknown name": ["ghost"],
    "a capital": ["Digits"],
    "another folder": ["../../etc"],
    "text for a shell": ["a; touch pwned"],
    "a hyphen": ["a-b"],
    "two lines": ["a\nb"],
    "a number": [7],
    "a list in a list": [["ce"]],
    "text": "ce",
    "a mapping": {"ce": 1},
    "2,000 names": [f"ghost{n}" for n in range(2000)],
}
SECTIONS = (
    *("axes", "split", "datasets.digits", "datasets.digits.source", "datasets.digits.imbalance"),
    *("networks.ce", "networks.ldam.loss", "heads.eos", "heads.crt", "pixel_samplers.balsvm"),
    *("generators.cgan", "training", "oversampling", "head_training", "tables.table1", "figures.figure6"),
    *("embeddings.photographs", "recommended"),
)
NOTHING_IN = ("datasets", "networks", "heads", "pixel_samplers", "training", "tables", "figures", "axes")


def cases() -> list[Case]:
    """Return the attacks."""
    return [*_values(), *_texts(), *_by_dvc(), *_by_hand(), *_absurd()]


# By value, in one process


@cache
def _committed() -> Any:
    return yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def _changed(place: str, value: Any, *, added: str = "", removed: str = "") -> Any:
    """Return the committed parameters with a value in another place, or a key more or less in a section."""
    content = copy.deepcopy(_committed())
    section, keys = content, place.split(".")
    for key in keys[: None if added or removed else -1]:
        section = section[int(key) if isinstance(section, list) else key]
    if removed:
        del section[removed]
    elif isinstance(section, list):
        section[int(keys[-1])] = value
    else:
        section[added or keys[-1]] = value
    return content


def _shown(place: str) -> str:
    """Return a place as a message shows it: `axes.cuts[0]`."""
    return re.sub(r"\.(\d+)", r"[\1]", place)


def _one_line(message: str, *wanted: str) -> str:
    """Check a message: value and place as they have to be, a remedy, and few and short lines."""
    lines = message.splitlines()
    assert lines, "no message"
    assert len(lines) <= 11, f"{len(lines)} lines: {lines[:3]}"
    for line in lines:
        assert line.isprintable(), f"control characters: {line!r}"
        assert len(line) < 3000, f"a line of {len(line)} characters: {line[:200]}"
    for words in wanted:
        assert words in lines[0], f"{words!r} is not in {lines[0]!r}"
    assert REMEDY.search(lines[0]), f"no remedy: {lines[0]}"
    return "refused"


def _refused(make: Callable[[], Any], wanted: tuple[str, ...], folder: Path) -> str:
    path = folder / "params.yaml"
    path.write_text(yaml.dump(make(), Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")
    before = path.read_bytes()
    try:
        load(path)
    except InputError as error:
        assert path.read_bytes() == before
        return _one_line(str(error), "params.yaml", *wanted)
    raise AssertionError("it was accepted")


def _values() -> Iterator[Case]:
    def case(name: str, make: Callable[[], Any], *wanted: str, sample: bool = False) -> Case:
        return Case(FAMILY, name, partial(_refused, make, wanted), sample=sample)

    for place in NUMBERS:
        for kind, value in NOT_NUMBERS.items():
            told = () if isinstance(value, dict | list) else (repr(value),)
            sample = (place, kind) == ("training.crop_padding", "10**21")
            make = partial(_changed, place, value)
            yield case(f"{place}: {kind}", make, _shown(place), *told, sample=sample)
    for place in LISTS:
        for kind, value in NOT_LISTS.items():
            sample = (place, kind) == ("axes.datasets", "text for a shell")
            told = (repr(value[0]),) if isinstance(value, list) and isinstance(value[0], str) else ()
            yield case(f"{place}: {kind}", partial(_changed, place, value), place, *told, sample=sample)
        twice = _committed_at(place)[:1] * 2
        yield case(f"{place}: twice", partial(_changed, place, twice), place, repr(twice), "listed twice")
    for place in SECTIONS:
        make = partial(_changed, place, 1, added="ghost")
        yield case(f"{place}: an unknown key", make, place, "unknown key 'ghost'")
        for key in list(_committed_at(place))[:2]:
            make = partial(_changed, place, None, removed=key)
            yield case(f"{place}: no {key}", make, place, key, "missing")
        for kind, value in {"a list": [1], "text": "seven", "nothing": None}.items():
            yield case(f"{place}: {kind}", partial(_changed, place, value), place)
    for place in NOTHING_IN:
        sample = place == "heads"
        yield case(f"{place}: nothing in it", partial(_changed, place, {}), sample=sample)


def _committed_at(place: str) -> Any:
    section = _committed()
    for key in place.split("."):
        section = section[key]
    return section


# By text, in a process of its own: with a bound on its memory and its time

READ = """
import sys
from pathlib import Path
from eos.config.loading import load
from eos.errors import InputError
try:
    load(Path("params.yaml"))
except InputError as error:
    sys.exit(f"error: {error}")
"""


def _text(content: str | bytes | Callable[[Path], object], wanted: str, folder: Path) -> str:
    path = folder / "params.yaml"
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    done = _run([sys.executable, "-c", READ], folder, memory=2**30, seconds=60)
    return _told(done, "params.yaml: ", wanted)


def _texts() -> Iterator[Case]:
    committed = (ROOT / "params.yaml").read_text(encoding="utf-8")
    laughs = ["a0: &a0 [1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    maps = ["a0: &a0 {b: 1}", *(f"a{n}: &a{n} {{b: *a{n - 1}, c: *a{n - 1}}}" for n in range(1, 40))]
    texts: dict[str, tuple[str | bytes | Callable[[Path], object], str]] = {
        "nothing at all": ("", "holds no mapping"),
        "only a comment": ("# nothing\n", "holds no mapping"),
        "a list": ("- 1\n", "holds no mapping"),
        "a number": ("7\n", "holds no mapping"),
        "a list in itself": ("a: &a [*a]\n", "stands inside"),
        "a mapping in itself": ("a: &a {b: {c: *a}}\n", "stands inside"),
        "aliases that multiply lists": ("\n".join(laughs), "more than 100,000 values"),
        "aliases that multiply mappings": ("\n".join(maps), "more than 100,000 values"),
        "lists in lists in lists": ("a: " + "[" * 20_000, "nested too deeply"),
        "a tab": (committed.replace("  epochs: 200", "\tepochs: 200", 1), "line "),
        "cut off": ("axes: [\n  digits", "line "),
        "a key twice": (committed + "\nselection: last\n", "duplicate key"),
        "an unknown alias": ("axes: *ghost\n", "ghost"),
        "code of Python": ("a: !!python/object/apply:os.system ['touch pwned']\n", "constructor"),
        "a list as a key": ("? [a]\n: 1\n? {b: 1}\n: 2\n", "not valid YAML"),
        "a control character": ("selection: la\x07st\n", "not valid YAML"),
        "Latin-1": ("axes: größe\n".encode("latin-1"), "not UTF-8"),
        "UTF-16": (committed.encode("utf-16"), "not UTF-8"),
        "zeros": (b"\0" * 1000, "not valid YAML"),
        "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not UTF-8"),
        "100 MB": (lambda path: os.truncate(_touched(path), 10**8), "larger than"),
        "a folder": (lambda path: path.mkdir(), "not a file"),
        "a pipe": (os.mkfifo, "not a file"),
        "/dev/zero": (lambda path: path.symlink_to("/dev/zero"), "not a file"),
        "a link to itself": (lambda path: path.symlink_to("params.yaml"), "params.yaml"),
        "a link to nothing": (lambda path: path.symlink_to("ghost"), "no such file"),
        "an integer of 5,000 digits": ("training: " + "9" * 5000, "params.yaml"),
        "a hexadecimal of 5,000 digits": (
            committed.replace("\n  epochs: 200", "\n  epochs: 0x" + "f" * 5000, 1),
            "training.epochs",
        ),
        "a name of 100,000 letters": (f"selection: {'x' * 100_000}\n", "missing"),
        "60,000 unknown names": ("axes: {networks: [" + ", ".join(f"x{n}" for n in range(60_000)) + "]}", ""),
    }
    for name, (content, wanted) in texts.items():
        yield Case(FAMILY, f"text: {name}", partial(_text, content, wanted), sample=name == "a pipe")


def _touched(path: Path) -> Path:
    path.touch()
    return path


# In a project


def _run(
    command: list[str], folder: Path, *, memory: int = BYTES, seconds: float = SECONDS
) -> "subprocess.CompletedProcess[str]":
    # The processor switches are not passed on: the stages set them.
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("EOS_", "DVC_"))}
    environment = plain | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src") if (folder / "src").is_dir() else str(ROOT / "src"),
        "DVC_SITE_CACHE_DIR": str(folder / ".site"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "OMP_NUM_THREADS": "1",
    }
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"it hangs: {command}") from error


def _told(done: "subprocess.CompletedProcess[str]", *wanted: str) -> str:
    """Check how a command was refused: its exit status, one message, no traceback."""
    said = done.stdout + done.stderr
    assert done.returncode not in (0, -9, -11), f"exit status {done.returncode}: {said[-300:]}"
    assert "Traceback" not in said, said[-1500:]
    lines = [line for line in said.splitlines() if "error: " in line or line.startswith(("ERROR", "usage: "))]
    assert lines, f"no message: {said[-300:]}"
    assert any(all(words in line for words in wanted) for line in lines), f"{wanted} is not in {lines[:3]}"
    return "refused"


def _project(folder: Path) -> Path:
    """Put a project with its first results into a folder; the first attack makes it, for all of a run."""
    shared = folder.resolve().parents[1] / f"bad_params-{_code()}"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "made").exists():
            shutil.rmtree(shared / "project", ignore_errors=True)
            _make(shared / "project")
            (shared / "made").touch()
    shutil.copytree(shared / "project", folder / "project", symlinks=True)
    return folder / "project"


@cache
def _code() -> str:
    """Return a digest of what a project is made from: a run that goes on may find one of an older commit."""
    found = hashlib.sha256()
    for path in sorted(
        one for kind in ("src/**/*.py", "stages/*.py", "dvc.*", "params.yaml") for one in ROOT.glob(kind)
    ):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _make(project: Path) -> None:
    for name in ("src", "stages", "metrics", "plots", "data/given"):
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / name, project / name, ignore=ignored)
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".gitignore", ".dvc/config"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    identity = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (
        ["git", "init", "--quiet"],
        ["dvc", "repro", "split"],
        ["git", "add", "--all"],
        [*identity, "commit", "--quiet", "--message", "state"],
    ):
        done = _run(command, project)
        assert done.returncode == 0, done.stdout + done.stderr


def _digests(project: Path) -> dict[str, str]:
    """Return the digest of every file that an attack must not touch."""
    left_out = (
        ".git/",
        ".dvc/tmp/",
        ".dvc/cache/",
        ".site/",
        "data/seconds/",
        "data/checked.txt",
        "params.yaml",
        ".dvc/config.local",
    )
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(project.rglob("*"))
        if path.is_file()
        and "__pycache__" not in (name := path.relative_to(project).as_posix())
        and not name.startswith(left_out)
    }


def _attacked(
    command: list[str], change: Callable[[str], str] | None, wanted: tuple[str, ...], folder: Path
) -> str:
    project = _project(folder)
    if change is not None:
        path = project / "params.yaml"
        before = path.read_text(encoding="utf-8")
        path.write_text(change(before), encoding="utf-8")
        assert path.read_text(encoding="utf-8") != before, "nothing was changed"
    digests = _digests(project)
    survived = _told(_run(command, project), *wanted)
    assert _digests(project) == digests, "files were removed or changed"
    assert not list(project.rglob("pwned*")), "text of a name was run by a shell"
    return survived


def _replaced(old: str, new: str, text: str) -> str:
    return text.replace(old, new, 1)


def _axis(axis: str, name: str) -> Callable[[str], str]:
    """Return the change that lists a name first on an axis."""
    return partial(_replaced, f"\n  {axis}:\n", f"\n  {axis}:\n  - {json.dumps(name)}\n")


def _by_dvc() -> Iterator[Case]:
    def case(name: str, command: str, change: Any, *wanted: str, sample: bool = False) -> Case:
        return Case(
            FAMILY, f"{command}: {name}", partial(_attacked, command.split(), change, wanted), sample=sample
        )

    yield case("an unknown data set", "dvc repro", _axis("datasets", "ghost"), "axes.datasets[0]", "'ghost'")
    yield case(
        "text for a shell", "dvc repro", _axis("datasets", "a; touch pwned"), "axes.datasets[0]", "pwned"
    )
    yield case("another folder", "dvc repro", _axis("networks", "../../data"), "models/data")
    yield case("a shell, going on", "dvc repro -k", _axis("networks", "$(touch pwned)"), "check")
    yield case(
        "nan", "dvc repro", partial(_replaced, "  epochs: 200", "  epochs: .nan"), "training.epochs", "nan"
    )
    yield case("10**21", "dvc repro", partial(_replaced, "padding: 4", f"padding: {10**21}"), "crop_padding")
    yield case("no heads", "dvc repro", partial(_replaced, "\nheads:\n", "\nheadz:\n"), "unknown key 'headz'")
    for what in (
        "datasets=[ghost]",
        "networks=[ghost]",
        "pixel_samplers=[Smote]",
        "generators=[gan]",
        "cuts=[-1]",
    ):
        axis, name = what.removesuffix("]").split("=[")
        yield case("refused", f"dvc exp run -S axes.{what}", None, f"axes.{axis}[0]", name)
    for what, wanted in {
        "training.epochs=0": "training.epochs: 0",
        "training.crop_padding=1000000000000000000000": "training.crop_padding",
        "training.learning_rate=1e39": "training.learning_rate: 1e+39",
        "selection=tset": "'tset'",
        "axes.cuts=[0,0]": "listed twice",
        "heads.eos.step_size=2.5": "heads.eos.step_size: 2.5",
    }.items():
        yield case("refused", f"dvc exp run -S {what}", None, wanted)
    # What DVC or Hydra refuses, in words of theirs.
    for what in ("axes.datasets=[../digits]", "axes.networks=ce", "foo", "selection=[", "=5", "~axes"):
        yield case("refused", f"dvc exp run -S {what}", None)
    # With the stage that checks passed over.
    shells = (
        "a; touch pwned",
        "$(touch pwned)",
        "`touch pwned`",
        "a' ; touch pwned ; '",
        "a\ntouch pwned",
        "a|touch pwned",
    )
    for name in shells:
        stage = f"figures@{name}"
        attack = partial(_attacked, ["dvc", "repro", "-s", stage], _axis("datasets", name), ("figures@",))
        yield Case(FAMILY, f"dvc repro -s {stage!r}", attack, sample=name == shells[0])
    for axis, stage in {"cuts": "split@digits-", "networks": "extract@digits-0-"}.items():
        name = "0; touch pwned"
        attack = partial(_attacked, ["dvc", "repro", "-s", stage + name], _axis(axis, name), (stage,))
        yield Case(FAMILY, f"dvc repro -s {stage + name!r}", attack)


def _by_hand() -> Iterator[Case]:
    for arguments, wanted in {
        ("train.py",): "usage: python stages/train.py DATASET CUT NETWORK",
        ("train.py", "digits", "0", "ce", "more"): "usage: python stages/train.py DATASET CUT NETWORK",
        ("train.py", "--help"): "usage: python stages/train.py DATASET CUT NETWORK",
        ("train.py", "digit", "0", "ce"): "unknown dataset 'digit'; did you mean 'digits'",
        ("train.py", "digits", "-1", "ce"): "cut '-1': must be a whole number from 0 to 4294967295",
        ("train.py", "digits", "1e3", "ce"): "cut '1e3': must be",
        ("train.py", "digits", str(10**21), "ce"): f"cut '{10**21}': must be",
        ("train.py", "digits", "²", "ce"): "cut '²': must be",
        ("train.py", "digits", "9" * 5000, "ce"): "must be a whole number",
        ("train.py", "digits", "0", ""): "unknown network ''",
        ("train.py", "--cut", "0", "--dataset", "digits", "--network", "ce"): "unknown dataset '0'",
        ("prepare.py", "../../etc/passwd"): "unknown dataset '../../etc/passwd'",
        ("prepare.py", "a; touch pwned"): "unknown dataset 'a; touch pwned'",
        ("generate.py", "digits", "0", "gam"): "unknown generator 'gam'; did you mean 'gamo'",
        ("train_balanced.py", "augment", "digits", "0", "smote", "ce"): "unknown kind 'augment'",
        ("split.py", "digits", "4294967296"): "cut '4294967296': must be",
    }.items():
        script, *texts = arguments
        command = [sys.executable, f"stages/{script}", *texts]
        name = " ".join(text if len(text) < 30 else f"{text[:5]}…" for text in arguments)
        yield Case(FAMILY, f"python stages/{name}", partial(_attacked, command, None, (wanted,)))


# Values that the check lets pass, as absurd as they may be: a result, or one message


def _absurd_value(changes: dict[str, Any], stages: tuple[str, ...], folder: Path) -> str:
    project = _project(folder)
    content = copy.deepcopy(_committed())
    content["datasets"]["digits"]["training"]["epochs"] = 1
    for place, value in changes.items():
        *parents, last = place.split(".")
        section = content
        for key in parents:
            section = section[key]
        section[last] = value
    (project / "params.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
    for stage in stages:
        done = _run([sys.executable, *stage.split()], project)
        if done.returncode:
            _told(done, "error: ")
            assert len(done.stderr.strip().splitlines()) <= 3, done.stderr[-1000:]
            return "refused"
    return "a result"


def _absurd() -> Iterator[Case]:
    own = "datasets.digits.training"
    split = ("stages/split.py digits 0",)
    train = ("stages/train.py digits 0 ce",)
    changes: dict[str, Any]
    for changes in (
        {f"{own}.batch_size": 10**9},
        {f"{own}.crop_padding": 256},
        {f"{own}.learning_rate": 10.0**6},
        {f"{own}.learning_rate": 1e-300},
        {f"{own}.weight_decay": 10.0**6},
        {"training.factors": [1e-300, 10.0**6]},
        {"datasets.digits.normalization": {"mean": [1.0], "std": [1e-300]}},
        {"networks.ce.mixing": {"name": "mixup", "alpha": 1e-300}},
        {"networks.ce.mixing": {"name": "mixup", "alpha": 10.0**6}},
        {"networks.ce.augmentations": [{"name": "cutout", "size": 4096}]},
        {"networks.ce.loss": {"name": "focal", "gamma": 10.0**6}},
        {"networks.ce.loss": {"name": "logit_adjusted", "tau": 10.0**6}},
        {"networks.ce.epochs_share": 1e-300},
    ):
        yield Case(FAMILY, f"training with {json.dumps(changes)}", partial(_absurd_value, changes, train))
    for changes in (
        {"datasets.digits.imbalance.ratio": 10.0**6},
        {"split.validation_fraction": 0.9999999},
        {"split.validation_fraction": 1e-300},
        {"datasets.digits.source.test_per_class": 10**9},
    ):
        stages = ("stages/prepare.py digits", *split)
        yield Case(FAMILY, f"a split with {json.dumps(changes)}", partial(_absurd_value, changes, stages))
    for changes in (
        {"pixel_samplers.smote.k_neighbors": 10**9},
        {"pixel_samplers.eos.k_neighbors": 10**9},
        {"pixel_samplers.eos.step_size": 1e-300},
        {"pixel_samplers.balsvm.components": 10**9},
        {"pixel_samplers.balsvm.svm_rows": 1},
    ):
        name = next(iter(changes)).split(".")[1]
        augment = (f"stages/augment.py digits 0 {name}",)
        yield Case(FAMILY, f"pixels with {json.dumps(changes)}", partial(_absurd_value, changes, augment))
    for changes in (
        {"datasets.digits.generators.cgan": {"steps": 1, "width": 64, "latent_size": 1024}},
        {"datasets.digits.generators.cgan": {"steps": 1, "batch_size": 10**9, "width": 8}},
        {"datasets.digits.generators.gamo": {"epochs": 1, "learning_rate": 10.0**6}},
        {"datasets.digits.generators.gamo": {"epochs": 0}},
    ):
        name = next(iter(changes)).rpartition(".")[2]
        generate = (f"stages/generate.py digits 0 {name}",)
        yield Case(FAMILY, f"images with {json.dumps(changes)}", partial(_absurd_value, changes, generate))
