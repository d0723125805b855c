"""dvc.yaml, read alone, tells which code, parameters and files make each result, and that is so."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from eos import registry
from eos.config.cells import PORTABLE
from eos.pipeline.processor import why_not_portable
from tests.helpers import ROOT, parameters

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
COMMITTED: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
# With a set of embeddings, whatever sets there are.
PARAMETERS = {
    **COMMITTED,
    "axes": COMMITTED["axes"] | {"embeddings": ["plants"]},
    "embeddings": {"plants": dict.fromkeys(("networks", "heads", "test_share", "seed", "standardize"))},
}
EVERY = pytest.mark.parametrize("name", STAGES)

# They check, name, find, start and store; they make no result. See the head of dvc.yaml.
PLUMBING = (
    "eos.config", "eos.storage", "eos.registry", "eos.errors", "eos.validation", "eos.pipeline.command",
    "eos.pipeline.paths", "eos.pipeline.processor",
)  # fmt: skip

# What takes long to make again. DVC keeps no run-cache entry for a stage with an output outside the cache.
COSTLY = {
    "train", "extract", "gap", "oversample", "retrain", "augment", "train_augmented", "generate",
    "train_generated", "gap_embeddings", "oversample_embeddings", "retrain_embeddings",
}  # fmt: skip


def path_of(entry: Any) -> str:
    """Return the path of an output, which may have settings."""
    return str(next(iter(entry))) if isinstance(entry, dict) else str(entry)


def deps(name: str) -> list[str]:
    return [path_of(entry) for entry in STAGES[name].get("deps", ())]


def outs(name: str) -> list[str]:
    return [path_of(entry) for entry in STAGES[name]["outs"]]


def code(name: str) -> list[str]:
    return [path for path in deps(name) if path.startswith(("src/", "stages/"))]


def is_of_sets(name: str) -> bool:
    """Say whether a stage is run for each set of embeddings."""
    return bool(STAGES[name].get("matrix", {}).get("dataset") == "${axes.embeddings}")


def cells(name: str, parameters: dict[str, Any] = PARAMETERS) -> Iterator[dict[str, str]]:
    """Yield every cell of a stage, as what its templates stand for."""
    axes = {
        f"axes.{axis}[{index}]": str(value)
        for axis, values in parameters["axes"].items()
        for index, value in enumerate(values)
    }
    matrix = STAGES[name].get("matrix", {})
    for cell in product(*(parameters["axes"][axis[len("${axes.") : -1]] for axis in matrix.values())):
        yield axes | {f"item.{kind}": str(value) for kind, value in zip(matrix, cell, strict=True)}


def filled(text: str, cell: dict[str, str]) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda match: cell[match[1]], text)


def script(name: str) -> Path:
    match = re.match(r"python (stages/\w+\.py)", STAGES[name]["cmd"])
    assert match is not None
    return Path(match[1])


# The paths


@EVERY
def test_every_stage_lists_its_script_and_code_that_is_there(name: str) -> None:
    assert script(name).as_posix() in deps(name)
    for path in code(name):
        assert (ROOT / path).exists(), path


def test_every_script_is_a_stage() -> None:
    assert {script(name) for name in STAGES} == {
        Path("stages") / path.name for path in ROOT.glob("stages/*.py")
    }


@EVERY
def test_every_parameter_is_there(name: str) -> None:
    """Where a key under `params:` is missing, DVC removes the stage's outputs before it complains."""
    for cell in cells(name):
        for path in STAGES[name].get("params", ()):
            section = PARAMETERS
            for key in filled(path, cell).split("."):
                assert key in section, filled(path, cell)
                section = section[key]


@EVERY
def test_every_input_is_an_output_of_another_stage(name: str) -> None:
    made = {filled(path, cell) for other in STAGES for cell in cells(other) for path in outs(other)}
    for cell in cells(name):
        for path in (filled(path, cell) for path in deps(name) if path not in code(name)):
            inside = [one for one in made if one == path or one.startswith(f"{path}/")]
            assert inside or path in {"params.yaml", "data/given/plants"}, path


@EVERY
def test_every_command_gets_its_cell_in_a_form_that_dvc_quotes(name: str) -> None:
    _, _, *arguments = STAGES[name]["cmd"].split()
    used = [word for word in arguments if "$" in word]  # DVC quotes nothing else for the shell
    assert used == ["${item}"] * ("matrix" in STAGES[name])
    fixed = [word for word in arguments if "$" not in word]
    if is_of_sets(name):  # with their one cut, or without
        assert fixed in ([], ["0"])
    else:
        assert fixed == ([name.rpartition("_")[2]] if script(name).name.endswith("_balanced.py") else [])


def test_costly_stages_have_cached_outputs_only_and_light_ones_write_what_is_committed() -> None:
    for name, stage in STAGES.items():
        cached = [
            not isinstance(entry, dict) or entry[path_of(entry)].get("cache", True) for entry in stage["outs"]
        ]
        if name in COSTLY:
            assert all(cached), name
        for path, in_cache in zip(outs(name), cached, strict=True):
            assert in_cache == path.startswith(("data/", "models/")), path


def test_cached_outputs_lie_in_ignored_folders_and_committed_ones_do_not() -> None:
    for stage in STAGES.values():
        for entry in stage["outs"]:
            committed = isinstance(entry, dict) and next(iter(entry.values())).get("cache") is False
            path = re.sub(r"\$\{item\.\w+\}", "x", path_of(entry))
            # A file inside stands for a folder: git matches "/folder/" to nothing that is not there yet.
            path = path if Path(path).suffix else f"{path}/file"
            ignored = (
                subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0
            )
            assert ignored != committed, path


def test_the_seconds_are_in_no_declared_output() -> None:
    """dvc.lock would otherwise be another one in every clone, and name files that no cache has."""
    assert not any("seconds" in path for name in STAGES for path in outs(name))
    assert "seconds" not in (ROOT / "dvc.lock").read_text()


# The code


class Module(NamedTuple):
    """What a file of Python says of itself: functions, classes, and the names it takes from this project."""

    tree: ast.Module
    functions: dict[str, ast.FunctionDef | ast.ClassDef]
    imports: dict[str, tuple[str, str]]  # name -> the module and what it is called there; "" for the module

    def modules(self) -> set[str]:
        return {module for module, _ in self.imports.values()}


def file_of(module: str) -> Path | None:
    """Return the file of a module of this project, relative to the root; None for a package."""
    path = Path("src", *module.split(".")).with_suffix(".py")
    return path if (ROOT / path).exists() else None


@cache
def read(path: Path) -> Module:
    """Read a file of Python; what is imported for type checkers only does not count."""
    tree = ast.parse((ROOT / path).read_text())
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    imports: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in skipped and (node.module or "").startswith("eos"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found = (whole, "") if file_of(whole) else (str(node.module), alias.name)
                imports[alias.asname or alias.name] = found
        assert not (
            isinstance(node, ast.Import) and any(alias.name.startswith("eos.") for alias in node.names)
        )
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return Module(tree, functions, imports)


def is_plumbing(module: str) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in PLUMBING)


def home(module: str, attribute: str) -> str:
    """Return the module that really defines a name: packages hand names out of their modules."""
    while file_of(module) is None:
        module, attribute = read(Path("src", *module.split("."), "__init__.py")).imports[attribute]
    return module


def reached(path: Path) -> set[Path]:
    """Return a file and all files of this project that it imports, or finds by the registry; no plumbing."""
    found: set[Path] = set()
    left = [path]
    while left:
        current = left.pop()
        if current in found:
            continue
        found.add(current)
        for module, attribute in read(current).imports.values():
            if module == "eos.registry" and attribute.isupper():
                entries = getattr(registry, attribute)
                homes = [entry.where.split(":")[0] for entry in entries.values()] if is_table(entries) else []
            else:
                package = Path("src", *module.split("."), attribute, "__init__.py")
                inside = (
                    read(package).imports.items() if package.is_file() else [(attribute, (module, attribute))]
                )
                homes = [home(*pair) for _, pair in inside]
            for one in homes:
                file = file_of(one)
                assert file is not None
                if not is_plumbing(one):
                    left.append(file)
    return found


def is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, registry.Entry) for entry in value.values())


@EVERY
def test_every_stage_lists_all_code_that_makes_its_result(name: str) -> None:
    missing = {
        file.as_posix()
        for file in reached(script(name))
        if not any(file == Path(one) or Path(one) in file.parents for one in code(name))
    }
    assert missing == set()


@EVERY
def test_no_stage_lists_code_that_it_does_not_run(name: str) -> None:
    if name == "check":  # which is plumbing through and through
        return
    found = reached(script(name))
    unused = [
        one for one in code(name) if not any(file == Path(one) or Path(one) in file.parents for file in found)
    ]
    assert unused == []


def test_the_registry_and_the_configuration_are_in_no_list_but_that_of_check() -> None:
    """Adding a sampler or a head must train no network again."""
    for name in STAGES:
        for path in deps(name):
            if any(path.startswith(f"src/{one.replace('.', '/')}") for one in PLUMBING):
                assert name == "check", path


# The parameters

# Sections whose keys are names that an argument or another section picks.
NAMED = {"datasets", "embeddings", "networks", "heads", "pixel_samplers", "generators"}
# What is read by names that are no constants.
READ_OTHERWISE = {
    ("eos.config.cells", "machine"): {
        ("datasets", "*", "portable"),
        ("datasets", "*", "training"),
        *(("training", key) for key in PORTABLE),
    },
}

# What a script that serves datasets of images and sets of embeddings reads for one of the two only.
OF_SETS: set["Read"] = {("embeddings",)}
OF_IMAGES: set["Read"] = {
    ("axes", "cuts"),
    ("axes", "datasets"),
    ("axes", "networks"),
    ("datasets",),
    ("networks",),
    ("tables",),
}

DEFINED = "data/heads.json"  # stands for the section `heads`, which is long

# What is read, but must not make the stage run again.
# `oversample` writes the definitions of a network's classifiers into what `retrain` depends on: the section
# `heads` as well would make dvc.lock half as long again.
CLASSIFIERS_OF_A_NETWORK = {
    ("heads", "*"),
    *(("heads", "*", key) for key in ("classifier", "pop", "sampler")),
    ("oversampling", "random_state"),
}
LEFT_OUT = {
    # Only the number of threads counts, which a data set need not give: DVC fails where a key is missing.
    "generate": {("datasets", "*", "training"), ("training", "precision")},
    # Only of images that a generator has made: one script trains on both kinds.
    "train_augmented": {("generators", "*", "synthetic_from")},
    # Only where no network is given.
    "oversample": {("axes", "networks")},
    "retrain": {("axes", "networks"), ("networks", "*", "heads"), *CLASSIFIERS_OF_A_NETWORK},
    "retrain_embeddings": {("embeddings", "*", "heads"), *CLASSIFIERS_OF_A_NETWORK},
}

Read = tuple[str, ...]


class Reads(ast.NodeVisitor):
    """Collects the paths that a function reads of `parameters` or `parameters()`, and what it calls."""

    def __init__(self) -> None:
        self.aliases: dict[str, Read] = {"parameters": ()}
        self.found: set[Read] = set()
        self.called: set[str] = set()

    def resolve(self, node: ast.expr) -> Read | None:
        match node:
            case ast.Name(name):
                return self.aliases.get(name)
            case ast.Call(func=ast.Name("parameters")):
                return ()
            case ast.Call(func=ast.Attribute(value, attribute)) if attribute.startswith("model_"):
                return self.resolve(value)
            case ast.Attribute(value, attribute):
                path = self.resolve(value)
                return None if path is None else (*path, attribute)
            case ast.Subscript(value):
                path = self.resolve(value)
                return (*path, "*") if path and path[-1] in NAMED and len(path) == 1 else path
        return None

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            self.assign(node)
            return
        if isinstance(node, ast.Compare) and self.resolve(node.comparators[0]) == ("embeddings",):
            return  # which kind of data it is: the stage's name says so
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id != "parameters":
            self.called.add(node.func.id)
        if isinstance(node, ast.expr) and (path := self.resolve(node)) is not None:
            if path:
                self.found.add(path)
            self.read_brackets(node)
            return
        self.generic_visit(node)

    def read_brackets(self, node: ast.expr) -> None:
        """Visit what stands in brackets behind a part of the parameters."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                for argument in (*inner.args, *(keyword.value for keyword in inner.keywords)):
                    self.visit(argument)
            elif isinstance(inner, ast.Subscript):
                self.visit(inner.slice)

    def assign(self, node: ast.Assign) -> None:
        """Note new names for parts of the parameters: what is read of these shows where the names stand."""
        target, value = node.targets[0], node.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=True))
        for name, part in pairs:
            path = self.resolve(part)
            if isinstance(name, ast.Name) and path:
                self.read_brackets(part)
                self.aliases[name.id] = path
            else:
                self.visit(part)


def parameters_read(path: Path, function: str, seen: set[tuple[Path, str]] | None = None) -> set[Read]:
    """Return what a function reads of the parameters, and the functions it calls."""
    seen = set() if seen is None else seen
    module = read(path)
    if (path, function) in seen or function not in module.functions:
        return set()
    seen.add((path, function))
    reads = Reads()
    for statement in module.functions[function].body:
        reads.visit(statement)
    found = set(reads.found)
    for name in reads.called:
        if name in module.functions:
            found |= parameters_read(path, name, seen)
        elif name in module.imports:
            other, attribute = module.imports[name]
            if (other, attribute) in READ_OTHERWISE:
                found |= READ_OTHERWISE[other, attribute]
            elif other.startswith(("eos.pipeline", "eos.config.cells")) and (file := file_of(other)):
                found |= parameters_read(file, attribute, seen)
    if (path.as_posix(), function) == ("src/eos/config/cells.py", "machine"):
        found = READ_OTHERWISE["eos.config.cells", "machine"]
    return found


def read_by(name: str) -> set[Read]:
    """Return what a stage reads of the parameters."""
    other = OF_IMAGES if is_of_sets(name) else OF_SETS
    if name in ("tables", "methods"):  # which are of both
        other = set()
    found = parameters_read(script(name), "main")
    return {path for path in found if not any(covers(entry, path) for entry in other)}


def listed(name: str) -> set[Read]:
    entries = [*STAGES[name].get("params", ()), *(("heads",) if DEFINED in deps(name) else ())]
    return {tuple(re.sub(r"\$\{item\.\w+\}", "*", entry).split(".")) for entry in entries}


def covers(entry: Read, path: Read) -> bool:
    return path[: len(entry)] == entry


@EVERY
def test_every_stage_lists_the_parameters_it_reads(name: str) -> None:
    if name == "check":  # which depends on the file as a whole
        assert "params.yaml" in deps(name)
        return
    found = read_by(name)
    missing = {path for path in found if not any(covers(entry, path) for entry in listed(name))}
    assert missing == LEFT_OUT.get(name, set())


@EVERY
def test_no_stage_lists_parameters_that_it_does_not_read(name: str) -> None:
    found = read_by(name)
    unread = {
        entry
        for entry in listed(name)
        if not any(covers(entry, path) or covers(path, entry) for path in found)
    }
    assert unread == set()


def test_trainings_know_of_no_head_sampler_or_generator() -> None:
    """But for when the images of their generator begin to count."""
    start = ("generators", "*", "synthetic_from")
    assert start in listed("train_generated")
    for name in ("train", "train_augmented", "train_generated"):
        known = listed(name) - ({start} if name == "train_generated" else set())
        assert {entry[0] for entry in known} == {"datasets", "networks", "training"}
        for entry in known:
            assert len(entry) > 1 or entry == ("training",)
            assert "heads" not in entry
            assert "generators" not in entry


# DVC itself


def run(*command: str, folder: Path = ROOT) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def dvc(*arguments: str, folder: Path = ROOT) -> str:
    return run(sys.executable, "-m", "dvc", *arguments, folder=folder)


@pytest.mark.slow
def test_stage_names_are_unique() -> None:
    names = [line.split()[0] for line in dvc("stage", "list", "--name-only").splitlines()]
    assert len(names) == len(set(names))
    axes = parameters().axes
    expected = len(axes.datasets) * len(axes.cuts) * len(axes.networks)
    assert sum(name.startswith("train@") for name in names) == expected
    assert len(names) == sum(len(list(cells(name, COMMITTED))) for name in STAGES)


NOT_MADE_HERE = {"deleted", "not in cache"}


def states(changes: Any) -> Iterator[str]:
    """Yield what `dvc status` says of the parts of a stage."""
    if isinstance(changes, str):
        yield changes
    elif isinstance(changes, dict):
        for change in changes.values():
            yield from states(change)
    else:
        for change in changes:
            yield from states(change)


@pytest.mark.slow
def test_the_committed_lock_is_that_of_the_committed_code(tmp_path: Path) -> None:
    """`dvc repro` has nothing to run: every result in the repository was made by the code beside it."""
    # In a copy without the ignored files: cached outputs of an older commit would count as changed.
    for path in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if path and (ROOT / path).is_file():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, tmp_path / path)
    run("git", "init", "--quiet", folder=tmp_path)
    status = json.loads(dvc("status", "--json", folder=tmp_path))
    assert [name for name, changes in status.items() if set(states(changes)) - NOT_MADE_HERE] == []
    output = dvc("repro", "--dry", "--allow-missing", folder=tmp_path)
    assert "Running stage" not in output
    assert "up to date" in output


@pytest.mark.slow
@pytest.mark.skipif(why_not_portable() is not None, reason=str(why_not_portable()))
@pytest.mark.parametrize("command", ["figure4.py", "figure4.py photographs", "figures.py digits"])
def test_the_committed_figures_are_what_the_code_draws(command: str, tmp_path: Path) -> None:
    """`dvc commit` records code that was not run; these figures need only what is committed."""
    shutil.copytree(ROOT / "metrics", tmp_path / "metrics")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    name, *arguments = command.split()
    run(sys.executable, str(ROOT / "stages" / name), *arguments, folder=tmp_path)
    drawn = list((tmp_path / "plots").rglob("*.svg"))
    assert len(drawn) == (1 if name == "figure4.py" else 6)
    for path in drawn:
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes(), path.name


def test_no_private_name_of_dvc_is_used() -> None:
    """Not even a public one: DVC is a program here, whose next version may look otherwise inside."""
    folders = ("src", "stages", "tools", "benchmarks", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                names = [str(one.value) for one in node.args if isinstance(one, ast.Constant)]
            assert not [name for name in names if re.match(r"dvc(_\w+)?(\.|$)", name)], path


def test_the_file_that_stands_for_the_heads_holds_them(tmp_path: Path) -> None:
    assert STAGES["heads"]["params"] == ["heads"]
    assert outs("heads") == [DEFINED]
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    run(sys.executable, str(ROOT / "stages" / "heads.py"), folder=tmp_path)
    assert json.loads((tmp_path / DEFINED).read_text()) == COMMITTED["heads"]


def test_oversample_writes_what_retrain_has_to_know_of_classifiers() -> None:
    """The other half of `CLASSIFIERS_OF_A_NETWORK`: changed definitions reach `retrain` by this file."""
    source = (ROOT / "stages" / "oversample.py").read_text()
    assert '"classifiers.json", {"heads": classifiers, "random_state": seed}' in source
    assert {("heads",), ("oversampling",)} <= listed("oversample") & listed("oversample_embeddings")
    for kind in ("", "_embeddings"):
        (made,) = outs(f"oversample{kind}")
        assert made in deps(f"retrain{kind}")
