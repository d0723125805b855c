"""Imports go down only, as docs/architecture.md has them."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

from tests.helpers import ROOT

SOURCE = ROOT / "src" / "eos"


def imported(path: Path) -> set[str]:
    """Return the parts of the library that a file imports, wherever it does so, type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "eos":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eos."):
            found.add(str(node.module).split(".")[1])
    return found


def layers() -> dict[str, set[str]]:
    """Return, for every package and module right under src/eos, what it imports of the others."""
    parts: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if name != "__init__":  # which hands out names
            parts.setdefault(name, set()).update(imported(path) - {name})
    return parts


def test_there_is_no_circle() -> None:
    order = list(TopologicalSorter(layers()).static_order())
    assert order[0] == "errors"
    assert order[-1] == "commands"


def test_the_page_has_every_part_with_what_it_imports() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    told = {}
    for name, imports in re.findall(
        r"^\|.*\| `src/eos/(\w+)(?:\.py|/)`[^|]*\| ([^|]+) \|$", page, re.MULTILINE
    ):
        told[name] = set(re.findall(r"`(\w+)`", imports))
        if imports.startswith("all but"):
            told[name] = set(layers()) - {name} - told[name]
    assert told == layers()
