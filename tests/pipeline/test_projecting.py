"""Which rows Figure 6 shows of a data set."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eos.config.schema import Parameters
from eos.errors import InputError
from eos.pipeline import paths
from eos.pipeline.projecting import project_heads
from eos.storage.files import write_arrays, write_json
from eos.storage.layouts import EMBEDDINGS
from tests import helpers


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a project with embeddings of `ce`: 9, 4 and 6 of three classes, and two by EOS."""
    monkeypatch.chdir(tmp_path)
    random, labels = np.random.default_rng(0), np.repeat([0, 1, 2], [9, 4, 6])
    features = random.normal(size=(19, 3)).astype(np.float32)
    of_embeddings: dict[str, np.ndarray] = {name: np.zeros(1) for name in EMBEDDINGS}
    of_embeddings |= {"train_features": features, "train_labels": labels}
    write_arrays(paths.embeddings_file("digits", 0, "ce"), of_embeddings)
    folder = paths.oversampled_folder("digits", 0, "ce")
    made = {
        "synthetic": features[9:11] + 1,
        "labels": np.append(labels, [1, 1]),
        "moved": np.zeros(0, dtype=int),
        "moved_features": features[:0],
        "gap": np.zeros(3),
    }
    write_arrays(folder / "eos.npz", made)
    write_json(folder / "notes.json", {"eos": []})


def results(network: str = "ce") -> pd.DataFrame:
    """Return what the results tell of the classes: own and eos were run."""
    rows = [
        ("digits", 0, network, head, number, name, count)
        for head in ("own", "eos")
        for number, (name, count) in enumerate((("1", 9), ("8", 4), ("3", 6)))
    ]
    columns = ["dataset", "cut", "network", "head", "class", "class_name", "train_count"]
    return pd.DataFrame(rows, columns=columns)


def parameters(**changed: Any) -> Parameters:
    known = helpers.parameters()
    settings = {"network": "ce", "heads": ("own", "eos", "eos_k999"), "classes": {}, "points": 100} | changed
    figures = known.figures.model_copy(update={"figure6": known.figures.figure6.model_copy(update=settings)})
    return known.model_copy(update={"figures": figures})


@pytest.mark.parametrize(
    ("wanted", "pair", "counts"),
    [
        ({}, ("1", "8"), {"own": (9, 4, 0), "eos": (9, 4, 2)}),  # the largest and the smallest
        ({"digits": ("8", "3")}, ("3", "8"), {"own": (6, 4, 0), "eos": (6, 4, 2)}),  # the larger first
    ],
)
def test_two_classes_of_every_head_that_was_run(
    wanted: dict[str, Any], pair: tuple[str, str], counts: dict[str, tuple[int, int, int]]
) -> None:
    data, network, cut, classes = project_heads(parameters(classes=wanted), "digits", results())
    assert (network, cut, classes) == ("ce", 0, pair)
    found = {}
    for head, rows in data.groupby("head"):
        real = rows[~rows["synthetic"]]["class_name"]
        found[head] = (*((real == name).sum() for name in pair), rows["synthetic"].sum())
    assert found == counts


def test_a_class_that_is_none_is_named() -> None:
    place = r"^params\.yaml: figures\.figure6\.classes\.digits: unknown class '7'"
    with pytest.raises(InputError, match=place):
        project_heads(parameters(classes={"digits": ("1", "7")}), "digits", results())


def test_a_network_that_no_table_lists_takes_the_place_of_one_that_was_not_run() -> None:
    for folder in (paths.DATA / "embeddings", paths.DATA / "oversampled"):
        for path in sorted(folder.rglob("ce*")):
            path.rename(path.with_name(path.name.replace("ce", "dinov2")))
    axes = parameters().axes.model_copy(update={"networks": ("dinov2",)})
    known = parameters().model_copy(update={"axes": axes})
    data, network, _, _ = project_heads(known, "digits", results("dinov2"))
    assert network == "dinov2"
    assert data["head"].unique().tolist() == ["own", "eos"]


@pytest.mark.parametrize("changed", [{"network": "asl"}, {"points": 1}])
def test_nothing_to_show_is_an_empty_table(changed: dict[str, Any]) -> None:
    data, *_ = project_heads(parameters(**changed), "digits", results())
    assert list(data) == ["head", "class_name", "synthetic", "available", "x", "y"]
    assert len(data) == 0
