"""The confusion matrix: shares against counts, and what the panels show."""

import numpy as np
import pandas as pd
import pytest

from eos.report.charts import Chart, confusion_chart, confusion_data
from tests.report.test_charts import notes, page, svg, texts, titled

HEADS = titled("own", "smote", "eos")
NAMES = ["rare", "often", "some"]
COUNTS = [5, 90, 30]  # so the order is often, some, rare


def classes(names: list[str] = NAMES, counts: list[int] = COUNTS) -> pd.DataFrame:
    rows = [("d", 0, "ce", "own", number, *one) for number, one in enumerate(zip(names, counts, strict=True))]
    columns = ["dataset", "cut", "network", "head", "class", "class_name", "train_count"]
    return pd.DataFrame(rows, columns=columns)


def counts(
    matrix: list[list[int]], *, network: str = "ce", heads: tuple[str, ...] = ("own", "eos"), cut: int = 0
) -> pd.DataFrame:
    """Return the pairs of a matrix that occur, its rows the true classes."""
    pairs = [(c, p, n) for c, row in enumerate(matrix) for p, n in enumerate(row) if n]
    rows = [("d", cut, network, head, *pair) for head in heads for pair in pairs]
    return pd.DataFrame(rows, columns=["dataset", "cut", "network", "head", "class", "predicted", "count"])


MATRIX = [[6, 3, 1], [0, 20, 0], [2, 2, 16]]


def draw(confusion: pd.DataFrame, known: pd.DataFrame, networks: list[str], dataset: str = "d") -> Chart:
    return confusion_chart(confusion_data(confusion, known, dataset, networks, HEADS), HEADS)


def cells(chart: Chart, head: str) -> dict[tuple[str, str], float]:
    rows = [row for row in chart.rows if row["head"] == head and "share" in row]
    return {(row["true"][3:], row["predicted"][3:]): row["share"] for row in rows}


def test_shares_are_of_the_true_class_and_classes_by_training_samples() -> None:
    data = confusion_data(counts(MATRIX), classes(), "d", ["ce"], ["own"])
    told = data[["class_name", "predicted_name", "share"]].to_numpy().tolist()
    assert told == [
        ["often", "often", 1.0],
        ["some", "often", 0.1],
        ["some", "some", 0.8],
        ["some", "rare", 0.1],
        ["rare", "often", 0.3],
        ["rare", "some", 0.1],
        ["rare", "rare", 0.6],
    ]


def test_cuts_weigh_the_same_whatever_their_number_of_samples() -> None:
    other = counts([[60, 40, 0], [0, 20, 0], [2, 2, 16]], cut=1)
    data = confusion_data(pd.concat([counts(MATRIX), other]), classes(), "d", ["ce"], ["own"])
    rare = data[data["class_name"] == "rare"].set_index("predicted_name")["share"]
    assert rare.to_dict() == pytest.approx({"often": (0.3 + 0.4) / 2, "some": 0.05, "rare": 0.6})


def test_a_panel_per_head_has_the_shares_and_says_which_way_the_errors_go() -> None:
    chart = draw(counts(MATRIX), classes(), ["ce"])
    found = cells(chart, "eos")
    assert found == pytest.approx(
        {
            ("often", "often"): 1.0,
            ("some", "often"): 0.1,
            ("some", "some"): 0.8,
            ("some", "rare"): 0.1,
            ("rare", "often"): 0.3,
            ("rare", "some"): 0.1,
            ("rare", "rare"): 0.6,
        }
    )
    said = texts(svg(chart))
    assert {"Own classifier", "EOS", "often", "some", "rare"} <= set(said)
    assert "SMOTE" not in said  # not run
    assert sorted(text for text in said if text.isdecimal()) == sorted(
        2 * ["100", "10", "80", "10", "30", "10", "60"]
    )
    # (0.1 + 0.3 + 0.1) / 3 and 0.1 / 3
    assert notes(chart) == 2 * [["taken for a larger class: 16.7%", "for a smaller class: 3.3%"]]
    assert "taken for a larger class: 16.7%" in said
    assert [row["head_title"] for row in chart.rows if "head_title" in row] == ["Own classifier", "EOS"]


def test_a_class_that_is_never_predicted_has_its_column_and_its_row() -> None:
    chart = draw(counts([[0, 0, 4], [0, 20, 0], [0, 0, 16]], heads=("own",)), classes(), ["ce"])
    assert cells(chart, "own")["rare", "rare"] == 0
    assert texts(svg(chart)).count("rare") == 2


def test_every_network_has_a_row_of_panels_and_those_not_run_keep_their_place() -> None:
    both = pd.concat([counts(MATRIX), counts(MATRIX, network="dinov2", heads=("own",))])
    chart = draw(both, classes(), ["ce", "asl", "dinov2"])
    said = texts(svg(chart))
    titles = ["CE, Own classifier", "CE, EOS", "dinov2, Own classifier", "dinov2, EOS"]
    assert [text for text in said if text in titles] == titles
    assert notes(chart)[-1] == ["not run"]
    assert said.count("not run") == 1
    assert said.count("true class") == 2  # panels side by side share it


def test_many_classes_are_drawn_in_groups_of_neighbouring_size() -> None:
    matrix = np.diag(np.full(100, 8)) + np.eye(100, k=1, dtype=int) * 2
    matrix[99, 99] = 10
    many = classes([f"class {i}" for i in range(100)], list(range(1000, 0, -10)))
    chart = draw(counts(matrix.tolist(), heads=("own",)), many, ["ce"])
    found = cells(chart, "own")
    diagonal = [share for (row, column), share in found.items() if row == column]
    assert len(diagonal) == 20
    np.testing.assert_allclose(diagonal[:-1], (4 * 1.0 + 0.8) / 5)
    rows = {row: sum(share for (of, _), share in found.items() if of == row) for row, _ in found}
    np.testing.assert_allclose(list(rows.values()), 1)
    drawn = svg(chart)
    assert {"class 0", "class 95", "0%", "100%"} <= set(texts(drawn))  # a key in place of numbers
    assert "96" not in texts(drawn)
    assert "100 classes in groups of 5" in chart.subtitle


def test_a_page_has_a_panel_by_choice_and_nothing_says_so() -> None:
    chart = draw(counts(MATRIX), classes(), ["ce"])
    assert {"often", "100", "16"} & set(texts(page(chart, head="eos"))) == {"often", "100"}
    nothing = draw(counts(MATRIX), classes(), ["ce"], "elsewhere")
    assert "not run" in texts(svg(nothing))
    assert "not run" in texts(page(nothing))
