"""Which of the project's own files a stage's result depends on."""

import ast
import functools
from collections.abc import Mapping
from pathlib import Path

import common
from eos import registry

SRC, STAGES = Path("src"), Path("stages")

# Files that decide no result: a new check, a new wording or one more name must not train every network again.
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
# What code reads beside the parameters and its inputs.
DATA_OF = {"src/eos/published.py": ("src/eos/published.csv",)}


def sources(script: Path, *, architecture: str | None = None, loss: str | None = None) -> dict[str, str]:
    """Return the files whose code a stage runs, with their digests; the plumbing is left out.

    Imports are followed from the script on, also those inside functions.

    Parameters
    ----------
    script : Path
        In `stages/`.
    architecture, loss : str, optional
        Registered names: of the modules that a registry names only those of these are followed. None: all.
    """
    chosen = {"ARCHITECTURES": architecture, "LOSSES": loss}
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            if path.as_posix() not in PLUMBING:
                waiting += (file for name in imports(path) for file in _files(name, chosen))
    names = {path.as_posix() for path in seen} - PLUMBING
    names |= {data for name in names for data in DATA_OF.get(name, ())}
    return {name: common.digest(Path(name)) for name in sorted(names)}


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports, at its top or inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def _files(name: str, chosen: Mapping[str, str | None]) -> list[Path]:
    """Return the project's files that stand behind an imported name: a table of the registry has many."""
    module, _, attribute = name.rpartition(".")
    table = getattr(registry, attribute, None) if module == "eos.registry" else None
    if isinstance(table, dict):
        only = chosen.get(attribute)
        entries = [entry for key, entry in table.items() if only in (None, key)]
        return [file for entry in entries for file in _files(entry.where.partition(":")[0], chosen)]
    parts = Path(*name.split("."))
    candidates = (
        base / end for base in (SRC, STAGES) for end in (parts.with_suffix(".py"), parts / "__init__.py")
    )
    return [path for path in candidates if path.is_file()]
