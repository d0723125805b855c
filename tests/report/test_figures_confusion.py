"""The confusion matrix: shares against counts, and what the panels show."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from eos.report.figures import confusion_data, confusion_figure
from tests.report.test_figures import svg, titled

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


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title)


def cells(axes: Axes) -> np.ndarray:
    (mesh,) = [one for one in axes.collections if isinstance(one, QuadMesh)]
    values = mesh.get_array()
    assert values is not None
    return np.asarray(values)


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
    figure = confusion_figure(counts(MATRIX), classes(), "d", ["ce"], HEADS)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Own classifier", "EOS"]  # SMOTE was not run
    axes = panel(figure, "EOS")
    np.testing.assert_allclose(cells(axes), [[1.0, 0.0, 0.0], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["often", "some", "rare"]
    assert [text.get_text() for text in axes.texts] == ["100", "10", "80", "10", "30", "10", "60"]
    assert "taken for a larger class: 16.7%" in axes.get_xlabel()  # (0.1 + 0.3 + 0.1) / 3
    assert "for a smaller class: 3.3%" in axes.get_xlabel()
    assert axes.yaxis_inverted()


def test_every_network_has_a_row_of_panels() -> None:
    both = pd.concat([counts(MATRIX), counts(MATRIX, network="dinov2", heads=("own",))])
    figure = confusion_figure(both, classes(), "d", ["ce", "asl", "dinov2"], HEADS)
    assert [axes.get_ylabel() for axes in figure.axes] == ["CE\ntrue class", "", "dinov2\ntrue class", ""]
    assert [text.get_text() for text in figure.axes[3].texts] == ["not run"]


def test_many_classes_are_drawn_in_groups_of_neighbouring_size() -> None:
    matrix = np.diag(np.full(100, 8)) + np.eye(100, k=1, dtype=int) * 2
    matrix[99, 99] = 10
    many = classes([f"class {i}" for i in range(100)], list(range(1000, 0, -10)))
    figure = confusion_figure(counts(matrix.tolist(), heads=("own",)), many, "d", ["ce"], HEADS)
    drawn = cells(figure.axes[0])
    assert drawn.shape == (20, 20)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn.diagonal()[:-1], (4 * 1.0 + 0.8) / 5)
    assert "100 classes in groups of 5" in figure.get_suptitle()
    assert not figure.axes[0].texts
    assert b"data:image" not in svg(figure)  # a picture inside would hang on the library that packs it


def test_equal_data_give_equal_bytes_and_nothing_says_so() -> None:
    first, second = (svg(confusion_figure(counts(MATRIX), classes(), "d", ["ce"], HEADS)) for _ in range(2))
    assert first == second
    nothing = confusion_figure(counts(MATRIX), classes(), "elsewhere", ["ce"], HEADS)
    assert [text.get_text() for text in nothing.axes[0].texts] == ["not run"]
    assert b"<svg" in svg(nothing)
