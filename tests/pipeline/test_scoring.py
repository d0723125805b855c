"""The tidy histories of trainings."""

from pathlib import Path

import numpy as np
import pytest

from eos.errors import InputError
from eos.pipeline import paths
from eos.pipeline.scoring import training_histories
from eos.storage.layouts import HISTORIES
from tests import helpers


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def log(network: str, **columns: dict[int, float]) -> None:
    folder = paths.network_folder("digits", 10, network) / "history/plots/metrics"
    folder.mkdir(parents=True)
    for name, values in columns.items():
        lines = [f"step\t{name}", *(f"{step}\t{value}" for step, value in values.items())]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")


def test_epochs_of_all_networks_with_gaps_where_nothing_was_scored() -> None:
    known = helpers.parameters()
    parameters = known.model_copy(update={"axes": known.axes.model_copy(update={"networks": ("ce", "ldam")})})
    log("ce", loss={1: 2.0, 2: 1.5, 3: 1.25}, test_BAC={2: 0.5, 3: 0.625})
    log("ldam", loss={1: 4.0}, test_BAC={1: 0.25}, validation_BAC={1: 0.75})
    found = training_histories(parameters, "digits", 10)
    assert list(found.columns) == HISTORIES
    assert found["network"].tolist() == ["ce", "ce", "ce", "ldam"]
    assert set(found["dataset"]) == {"digits"}
    assert set(found["cut"]) == {10}
    assert found["epoch"].tolist() == [1, 2, 3, 1]
    assert found["loss"].tolist() == [2.0, 1.5, 1.25, 4.0]
    np.testing.assert_array_equal(found["test_BAC"], [np.nan, 0.5, 0.625, 0.25])
    np.testing.assert_array_equal(found["validation_BAC"], [np.nan, np.nan, np.nan, 0.75])
    assert found["learning_rate"].isna().all()


def test_a_network_without_a_history_is_told() -> None:
    with pytest.raises(InputError, match=r"digits-10/\w+/history/plots/metrics/loss.tsv: no such file"):
        training_histories(helpers.parameters(), "digits", 10)
