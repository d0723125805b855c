"""All charts of a page, from the tables of a folder."""

import json
from pathlib import Path

import pandas as pd
import pytest

from eos.errors import InputError
from eos.report.charts import charts, recall_data
from eos.storage.files import write_table
from tests.helpers import ROOT
from tests.report.test_charts import HEADS, NETWORKS, class_frame, page, svg, texts

COMMITTED = ROOT / "metrics" / "figures"
NAMES = {
    "methods", "recall", "figure3", "figure4", "figure5", "figure6", "figure7", "confusion", "settings",
}  # fmt: skip


def test_the_committed_tables_give_every_chart_of_all_data_sets() -> None:
    datasets = ["photographs", "digits"]
    found = charts(COMMITTED, datasets, {"smote": "Chawla's"}, table_epochs=10)
    assert {chart.name for chart in found} == NAMES
    for chart in found:
        if chart.name != "methods":
            assert list(dict.fromkeys(row["dataset"] for row in chart.rows)) == datasets, chart.name
        json.dumps(chart.rows, allow_nan=False)
        said = texts(page(chart))
        assert "not run" not in said, chart.name
        if chart.name in {"recall", "figure3", "figure5", "figure7"}:
            assert "Chawla's" in said
            assert "EOS" in said  # which the caller did not name


def test_a_table_that_is_missing_has_no_chart_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    data = recall_data(class_frame(), "d", NETWORKS, HEADS)
    write_table(tmp_path / "d" / "recall.csv", data)
    (chart,) = charts(tmp_path, ["d", "e"], HEADS, table_epochs=10)
    assert chart.name == "recall"
    assert {row["dataset"] for row in chart.rows} == {"d"}
    assert "EOS" in texts(svg(chart))
    write_table(tmp_path / "d" / "recall.csv", data.drop(columns="recall"))
    with pytest.raises(InputError, match=r"recall\.csv: has no column 'recall'"):
        charts(tmp_path, ["d"], HEADS, table_epochs=10)


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path: Path) -> None:
    data = recall_data(class_frame(names=["1", "null", "3"]), "d", NETWORKS, HEADS)
    write_table(tmp_path / "d" / "recall.csv", pd.DataFrame(data))
    (chart,) = charts(tmp_path, ["d"], HEADS, table_epochs=10)
    assert {row["place"] for row in chart.rows} == {"00 1", "01 null", "02 3"}
