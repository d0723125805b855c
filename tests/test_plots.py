"""What `dvc plots show` draws, from the templates in .dvc/plots."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tools.plots_page import page

from eos.storage.layouts import COLUMNS, HISTORIES
from tests.helpers import ROOT

TEMPLATES = sorted((ROOT / ".dvc/plots").glob("*.json"))
# What the CSV files of a folder have; a file has its own head.
FOLDERS = {
    "metrics/classes": COLUMNS["classes"],
    "metrics/curves": COLUMNS["curves"],
    "metrics/histories": HISTORIES,
}


def drawn() -> dict[str, str]:
    """Return what dvc.yaml draws by which template."""
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    return {name: told["template"] for one in plots if isinstance(one, dict) for name, told in one.items()}


def fields(value: object) -> set[str]:
    """Return the fields of the data that a template names, but those of its own making."""
    if isinstance(value, list):
        return set().union(*map(fields, value))
    if not isinstance(value, dict):
        return set(re.findall(r"datum\.(\w+)", value)) if isinstance(value, str) else set()
    own = {value["field"]} if isinstance(value.get("field"), str) else set()
    return own.union(*map(fields, value.values()))


def made(value: object) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(made, value))
    if not isinstance(value, dict):
        return set()
    own = {value["as"]} if "as" in value else set()
    return own.union(*map(made, value.values()))


def test_every_template_is_used() -> None:
    assert {path.stem for path in TEMPLATES} == set(drawn().values())


@pytest.mark.parametrize(("source", "template"), drawn().items())
def test_a_template_names_columns_that_there_are(source: str, template: str) -> None:
    columns = FOLDERS.get(source) or pd.read_csv(ROOT / source, nrows=0).columns
    spec = json.loads((ROOT / f".dvc/plots/{template}.json").read_text())
    assert fields(spec)
    assert fields(spec) - made(spec) - set(columns) == {"rev"}


def test_dvc_draws_them_all_and_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page())
    command = [sys.executable, "-m", "dvc", "plots", "show", "-o", str(tmp_path / "out")]
    command += ["--html-template", str(tmp_path / "page.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stderr + done.stdout
    html = (tmp_path / "out/index.html").read_text()
    assert "<DVC_METRIC" not in html
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?https?:", html)
    tables = [path for name in FOLDERS for path in (ROOT / name).glob("*.csv")]
    assert html.count("vegaEmbed(") >= len(tables) + len(drawn()) - len(FOLDERS)
