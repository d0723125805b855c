"""dvc.yaml says what the stages really do."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from eos import registry
from eos.parameters import Parameters, load

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]

# Files that decide no result: a new check or a new wording must not train every network again.
PLUMBING = {
    "stages/common.py",
    "src/eos/__init__.py",
    "src/eos/errors.py",
    "src/eos/generators/__init__.py",
    "src/eos/kinds.py",
    "src/eos/layouts.py",
    "src/eos/parameters.py",
    "src/eos/registry.py",
    "src/eos/samplers/__init__.py",
}

# The sections of the parameters that a call of `eos.cells` reads.
READ_BY_CELLS = {
    "training_recipe": {"datasets", "networks", "training"},
    "architecture": {"datasets", "networks"},
    "neighbors": {"heads"},
    "step": {"heads"},
    "cpu_threads": {"datasets", "training"},
    "generator_on": {"datasets", "generators"},
}
READ_BY_RESULTS = {"read_results": {"axes"}, "read_balanced": {"axes", "selection"}}


def file_of(module: str) -> Path | None:
    for folder in (ROOT / "src", ROOT / "stages"):
        base = folder / Path(*module.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def imports(path: Path) -> set[Path]:
    """Return the project's own files that a file imports, at its top or inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            if node.module == "eos.registry":  # whose lines name the modules that they load
                tables = [getattr(registry, alias.name) for alias in node.names]
                entries = [entry for table in tables if isinstance(table, dict) for entry in table.values()]
                names += [entry.where.partition(":")[0] for entry in entries]
        found |= {target for name in names if (target := file_of(name))}
    return found


def code_of(script: Path) -> set[str]:
    """Return the files whose code a stage runs, the plumbing left out."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if path.relative_to(ROOT).as_posix() not in PLUMBING:
            waiting += imports(path)
    return {path.relative_to(ROOT).as_posix() for path in seen} - PLUMBING


def paths(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_depends_on_the_code_it_runs_and_no_other(name: str) -> None:
    script = re.fullmatch(r"python (stages/\w+\.py)( \$\{item\.\w+\})*", STAGES[name]["cmd"])
    assert script is not None
    declared = {path for path in paths(STAGES[name]["deps"]) if path.endswith(".py")}
    assert declared == code_of(ROOT / script[1])


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_lists_the_parameters_it_reads(name: str) -> None:
    scripts = [path for path in paths(STAGES[name]["deps"]) if path.startswith("stages/")]
    scripts = [path for path in scripts if path != "stages/results.py"]  # whose functions read on their own
    text = "\n".join((ROOT / script).read_text() for script in scripts)
    read = set(re.findall(r"parameters(?:\(\))?\.(\w+)", text))
    for function, sections in READ_BY_CELLS.items():
        if f"{function}(parameters" in text:
            read |= sections
    for function, sections in READ_BY_RESULTS.items():
        if f"{function}(" in text:
            read |= sections
    listed = {path.split(".")[0] for path in STAGES[name].get("params", [])}
    assert listed == {section for section in read if section in Parameters.model_fields}


def test_the_seconds_are_in_no_declared_output() -> None:
    """dvc.lock would otherwise be another one in every clone, and name files that no cache has."""
    assert "seconds" not in (ROOT / "dvc.lock").read_text()


@pytest.mark.parametrize("name", STAGES)
def test_params_exist(name: str) -> None:
    parameters = load(ROOT / "params.yaml")
    cell = {
        "dataset": parameters.axes.datasets[0],
        "network": parameters.axes.networks[0],
        "pixel_sampler": parameters.axes.pixel_samplers[0],
        "generator": parameters.axes.generators[0],
        "cut": str(parameters.axes.cuts[0]),
    }
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for path in STAGES[name].get("params", []):
        section = content
        for key in re.sub(r"\$\{item\.(\w+)\}", lambda match: cell[match[1]], path).split("."):
            assert key in section, path
            section = section[key]


def test_cached_outputs_lie_in_ignored_folders_and_committed_ones_do_not() -> None:
    for stage in STAGES.values():
        for entry in stage["outs"]:
            committed = isinstance(entry, dict) and next(iter(entry.values())).get("cache") is False
            path = re.sub(r"\$\{item\.\w+\}", "x", paths([entry])[0])
            ignored = (
                subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0
            )
            assert ignored != committed, path


def dvc(*arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_stage_names_are_unique() -> None:
    names = [line.split()[0] for line in dvc("stage", "list", "--name-only").splitlines()]
    assert len(names) == len(set(names))
    parameters = load(ROOT / "params.yaml")
    axes = parameters.axes
    cells = len(axes.datasets) * len(axes.cuts) * len(axes.networks)
    assert sum(name.startswith("train@") for name in names) == cells


def test_the_committed_lock_is_that_of_the_committed_code() -> None:
    """`dvc repro` has nothing to run: every result in the repository was made by the code beside it."""
    output = dvc("repro", "--dry", "--allow-missing")
    assert "Running stage" not in output
    assert "up to date" in output
