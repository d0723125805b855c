"""The README, docs/sampler.md and the walks work as they stand: their blocks run in order in an empty folder.

In the README that is its Python; its commands are those of a walk. In a walk it is its shell commands, too. A
text block right after one of them is what it prints; decimal numbers may differ in their last digits from
machine to machine.
"""

import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers import ROOT

# `pictures.md` needs a clone: tests/test_walk_pictures.py.
SAMPLER = ROOT / "docs/sampler.md"
PAGES = [ROOT / "README.md", SAMPLER] + [
    page for page in sorted((ROOT / "docs" / "walks").glob("*.md")) if page.stem != "pictures"
]
DECIMAL = re.compile(r"\d*\.\d+")


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Return language, text and expected output ("" for none shown) of the blocks that are run."""
    run = "python" if page.name == "README.md" else "python|console"
    pattern = rf"^```({run})\n(.*?)^```$(?:\s*^```text\n(.*?)^```$)?"
    return re.findall(pattern, page.read_text(), flags=re.DOTALL | re.MULTILINE)


def run(language: str, code: str, place: str, names: dict[str, Any]) -> str:
    """Run a block in the current folder and return what it prints."""
    if language == "python":
        with redirect_stdout(StringIO()) as printed:
            exec(compile(code, place, "exec"), names)
        return printed.getvalue()
    paths = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    environment = {**os.environ, **paths, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{place}\n{done.stderr}"
    return done.stdout


def without_decimals(text: str) -> list[str]:
    return [" ".join(DECIMAL.sub(".", line).split()) for line in text.strip().splitlines()]


@pytest.mark.filterwarnings("error:X. the root mean square:UserWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_works_as_it_stands(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    found = blocks(page)
    assert found
    for number, (language, code, expected) in enumerate(found, start=1):
        printed = run(language, code, f"{page.name}, block {number}", names)
        if expected:
            assert without_decimals(printed) == without_decimals(expected), printed
            shown = [float(value) for value in DECIMAL.findall(expected)]
            assert [float(value) for value in DECIMAL.findall(printed)] == pytest.approx(shown, abs=0.03), (
                printed
            )


def commands(page: Path) -> list[str]:
    """Return the commands of a page, without their comments; one may go on over several lines."""
    text = "".join(re.findall(r"^```console\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE))
    lines = text.replace("\\\n", " ").splitlines()
    return [" ".join(line.partition(" # ")[0].split()) for line in lines]


def test_every_command_of_the_readme_is_run() -> None:
    """By continuous integration, or by `test_walk_pictures`."""
    run_by_ci = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("make ")]
    found = commands(ROOT / "README.md")
    assert len(found) == 5
    assert set(found) <= {*run_by_ci, *commands(ROOT / "docs/walks/pictures.md")}


def test_the_network_of_the_page_finds_the_rare_classes() -> None:
    names: dict[str, Any] = {}
    for language, code, _ in blocks(SAMPLER):
        if "EOSCV(" not in code:
            run(language, code, SAMPLER.name, names)
    outputs = names["network"](torch.tensor(names["X_test"], dtype=torch.float32))
    found = outputs.argmax(dim=1).numpy() == np.searchsorted(names["data"].classes, names["y_test"])
    for label in names["data"].classes:
        assert found[names["y_test"] == label].mean() > 0.5  # chance: a third
