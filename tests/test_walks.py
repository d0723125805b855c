"""The walks in docs/ do what they say: each is run from its own text."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import ROOT
from tests.test_end_to_end import copied

pytestmark = pytest.mark.slow


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / "walks" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_from_pictures_to_predictions(tmp_path: Path) -> None:
    clone = copied(tmp_path)
    make, use = blocks("pictures.md", "python")
    clone.succeed("python", "-c", make)
    parameters = tmp_path / "params.yaml"
    (definition,) = blocks("pictures.md", "yaml")
    parameters.write_text(parameters.read_text().replace("\ndatasets:\n", f"\ndatasets:\n{definition}"))
    clone.commit()
    train, export, predict = blocks("pictures.md", "console")
    for lines in (train, export, predict):
        shown = clone.succeed("bash", "-ec", lines)
    assert shown.startswith("file,class,probability,probability_eight,probability_seven,probability_three\n")
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    right = np.array([row["file"].split("/")[1].startswith(row["class"]) for row in rows])
    assert right.mean() > 0.8
    clone.succeed("python", "-c", use)
