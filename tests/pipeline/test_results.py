"""The tidy results of all cells, as tables and figures read them."""

from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from eos.config.schema import Parameters
from eos.errors import InputError
from eos.pipeline import paths
from eos.pipeline.results import read_balanced, read_results
from eos.storage.files import write_table
from eos.storage.layouts import BALANCED, COLUMNS, TEXT
from tests import helpers


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parameters(*, selection: str = "last", generators: tuple[str, ...] = ("gamo",)) -> Parameters:
    known = helpers.parameters()
    axes = known.axes.model_copy(
        update={
            "cuts": (0, 10),
            "pixel_samplers": ("smote",),
            "pixel_networks": ("ce",),
            "generators": generators,
            "generator_networks": ("ce", "asl"),
        }
    )
    return known.model_copy(update={"axes": axes, "selection": selection})


def rows(columns: list[str], **values: object) -> pd.DataFrame:
    """Return two rows: text is text, numbers are 1."""
    return pd.DataFrame([{name: "a" if name in TEXT else 1 for name in columns} | values] * 2)


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_files_of_all_cuts_are_one_table(kind: str) -> None:
    for cut in (0, 10, 100):  # the last is not on the axis
        write_table(paths.results_file(kind, "digits", cut), rows(COLUMNS[kind], cut=cut))
    table = read_results(kind, parameters(), ["digits"])
    assert list(table) == COLUMNS[kind]
    assert table["cut"].tolist() == [0, 0, 10, 10]
    assert table.index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", COLUMNS)
def test_scores_without_rows_are_refused_and_notes_may_be_none(kind: str) -> None:
    for cut in (0, 10):
        write_table(paths.results_file(kind, "digits", cut), rows(COLUMNS[kind]).iloc[:0])
    if kind in {"scores", "classes"}:
        with pytest.raises(InputError, match=rf"{kind}/digits-0\.csv: holds no rows; run `dvc repro`"):
            read_results(kind, parameters(), ["digits"])
    else:
        assert len(read_results(kind, parameters(), ["digits"])) == 0


def write_balanced(*, rules: tuple[str, ...] = ("last", "test")) -> None:
    arms = [("augmented", "smote", ("ce",)), ("generated", "gamo", ("ce", "asl"))]
    for (kind, sampler, networks), cut in product(arms, (0, 10)):
        one = {"cut": cut, "sampler": sampler}
        parts = [
            rows(BALANCED, selection=rule, network=network, **one).iloc[:1]
            for network in networks
            for rule in rules
        ]
        write_table(paths.balanced_file(kind, "digits", cut, sampler), pd.concat(parts))


def test_the_scores_of_balanced_images_are_those_of_the_rule() -> None:
    write_balanced()
    table = read_balanced(parameters(selection="test"))
    assert (table["selection"] == "test").all()
    assert table[["sampler", "network", "cut"]].to_numpy().tolist() == [
        ["smote", "ce", 0],
        ["smote", "ce", 10],
        ["gamo", "ce", 0],
        ["gamo", "asl", 0],
        ["gamo", "ce", 10],
        ["gamo", "asl", 10],
    ]


def test_scores_that_lack_the_rule_are_named() -> None:
    write_balanced(rules=("last",))
    with pytest.raises(InputError, match=r"digits-0/smote\.csv: holds no scores under selection 'test'"):
        read_balanced(parameters(selection="test"))


def test_without_networks_on_balanced_images_the_table_is_empty() -> None:
    known = parameters(generators=())
    axes = known.axes.model_copy(update={"pixel_samplers": ()})
    table = read_balanced(known.model_copy(update={"axes": axes}))
    assert list(table) == BALANCED
    assert len(table) == 0
