"""Figures: what the axes carry against the frames handed in, and the bytes of the SVG."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from eos.registry import display_name
from eos.report.figures import (
    figure3,
    figure3_data,
    figure5,
    figure5_data,
    figure7,
    figure7_data,
    recall_data,
    recall_figure,
    save_svg,
)
from tests.helpers import ROOT

NETWORKS = ["ce", "ldam"]


def titled(*heads: str) -> dict[str, str]:
    """Return what legends call the heads."""
    return {head: display_name(head) for head in heads}


HEADS = titled("own", "none", "random", "smote", "balsvm", "eos")


def class_frame(
    *,
    names: Sequence[str] = ("zero", "one", "two"),
    cuts: Sequence[int] = (0,),
    networks: Sequence[str] = NETWORKS,
    heads: Iterable[str] = HEADS,
) -> pd.DataFrame:
    """Gaps that rise with the class; EOS halves them; Balanced SVM raises the last class's; cut c adds c."""
    rows = []
    for cut in cuts:
        for i, network in enumerate(networks):
            for j, head in enumerate(heads):
                for c, name in enumerate(names):
                    gap = (c + 1.0 + cut) * (10 if i == 0 else 1) * (0.5 if head == "eos" else 1)
                    gap *= 1.5 if head == "balsvm" and c == len(names) - 1 else 1
                    rows.append(("d", cut, network, head, c, name, 100 // (c + 1), 0.5, gap, 1 + j + 0.1 * c))
    columns = ["dataset", "cut", "network", "head", "class", "class_name"]
    return pd.DataFrame(rows, columns=[*columns, "train_count", "recall", "gap", "weight_norm"])


def curve_frame(*, cuts: Sequence[int] = (0,), deviation: float = 0.03) -> pd.DataFrame:
    rows = [
        (
            "d",
            cut,
            "ce",
            head,
            epoch,
            1 / epoch,
            start + 0.1 + epoch / 100,
            0.01,
            start + epoch / 100,
            deviation,
        )
        for cut in cuts
        for head, start in (("smote", 0.4), ("eos", 0.45))
        for epoch in range(1, 31)
    ]
    columns = ["dataset", "cut", "network", "head", "epoch", "loss"]
    return pd.DataFrame(rows, columns=[*columns, "train_BAC", "train_BAC_sd", "test_BAC", "test_BAC_sd"])


def panel(figure: Figure, title: str) -> Axes:
    (axes,) = [axes for axes in figure.axes if axes.get_title(loc="left") == title]
    return axes


def line(axes: Axes, label: str) -> Any:
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def band(axes: Axes, number: int) -> tuple[float, float]:
    """Return the lowest and the highest point of a band."""
    heights = np.asarray(axes.collections[number].get_paths()[0].vertices)[:, 1]
    return float(heights.min()), float(heights.max())


def svg(figure: Figure) -> bytes:
    stream = io.BytesIO()
    save_svg(figure, stream)
    return stream.getvalue()


def test_figure3_has_a_panel_per_network_with_the_gaps_handed_in() -> None:
    figure = figure3(class_frame(), "d", NETWORKS, HEADS)
    for title, scale in (("CE", 10), ("LDAM", 1)):
        axes = panel(figure, title)
        assert len(axes.lines) == 5  # own and none are one line
        np.testing.assert_allclose(line(axes, "EOS").get_ydata(), np.array([0.5, 1.0, 1.5]) * scale)
        np.testing.assert_allclose(line(axes, "SMOTE").get_ydata(), np.array([1, 2, 3]) * scale)
        np.testing.assert_array_equal(line(axes, "EOS").get_xdata(), [0, 1, 2])
        assert [label.get_text() for label in axes.get_xticklabels()] == ["zero", "one", "two"]
    assert "embedding units" in figure.get_supylabel()


def test_figure3_draws_the_imbalance_behind_the_lines_on_its_own_log_axis() -> None:
    figure = figure3(class_frame(), "d", ["ce"], HEADS)
    axes, right = figure.axes
    assert [bar.get_bbox().height for bar in right.patches if isinstance(bar, Rectangle)] == [100, 50, 33]
    assert right.get_yscale() == "log"
    assert right.get_ylabel() == "training samples"
    assert right.get_zorder() < axes.get_zorder()
    assert not axes.patch.get_visible()


def test_figure3_lines_that_coincide_take_turns_and_the_others_are_solid() -> None:
    axes = panel(figure3(class_frame(), "d", ["ce"], HEADS), "CE")
    plain = next(found for found in axes.lines if "own, none" in str(found.get_label()))
    assert plain.get_linewidth() > 3 * line(axes, "EOS").get_linewidth()
    assert line(axes, "SMOTE").is_dashed()
    assert line(axes, "Random").is_dashed()
    assert line(axes, "SMOTE")._unscaled_dash_pattern[0] != line(axes, "Random")._unscaled_dash_pattern[0]
    for label in ("EOS", "Balanced SVM"):
        assert not line(axes, label).is_dashed()


def test_lines_and_heads_missing_from_a_panel_say_so() -> None:
    frame = class_frame()
    frame = frame[~((frame["network"] == "ce") & (frame["head"] == "smote"))]
    figure = figure3(frame, "d", ["ce", "ldam"], titled("own", "smote", "eos"))
    assert panel(figure, "CE").get_title(loc="right") == "not run: SMOTE"
    assert panel(figure, "LDAM").get_title(loc="right") == ""


def test_networks_and_heads_that_were_not_run_have_no_panel_and_no_line() -> None:
    figure = figure3(class_frame(), "d", ["ce", "focal", "ldam"], titled("own", "bsmote", "eos"))
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == ["CE", "LDAM"]
    assert panel(figure, "CE").get_title(loc="right") == ""
    assert "Borderline-SMOTE" not in legend(figure)
    assert not texts(figure)


@pytest.mark.parametrize("draw", [figure3, figure5, recall_figure])
def test_a_dataset_that_was_not_run_says_so(draw: Callable[..., Figure]) -> None:
    figure = draw(class_frame(), "elsewhere", NETWORKS, HEADS)
    assert texts(figure) == ["not run"]
    assert b"<svg" in svg(figure)


def test_several_cuts_are_averaged_with_a_band_from_lowest_to_highest() -> None:
    frame = class_frame(cuts=(0, 4))
    data = figure3_data(frame, "d", ["ldam"], ["own", "eos"])
    own = data[data["head"] == "own"]
    assert list(own["gap"]) == [3, 4, 5]
    assert list(own["gap_min"]) == [1, 2, 3]
    assert list(own["gap_max"]) == [5, 6, 7]
    assert set(own["cuts"]) == {2}
    figure = figure3(frame, "d", ["ldam"], titled("own", "eos"))
    axes = panel(figure, "LDAM")
    np.testing.assert_allclose(line(axes, "EOS").get_ydata(), [1.5, 2, 2.5])
    assert [band(axes, 0), band(axes, 1)] == [(1, 7), (0.5, 3.5)]
    assert "cuts 0, 4" in figure.get_suptitle()
    assert not panel(figure3(class_frame(), "d", ["ldam"], titled("own")), "LDAM").collections


def test_figure_data_is_in_the_order_asked_for() -> None:
    data = figure3_data(class_frame(), "d", ["ldam", "ce"], ["eos", "none", "own"])
    cells = list(dict.fromkeys(zip(data["network"], data["head"], strict=True)))
    assert cells == [("ldam", "eos"), ("ldam", "own"), ("ce", "eos"), ("ce", "own")]
    assert list(data["class"][:3]) == [0, 1, 2]
    assert set(figure3_data(class_frame(), "d", ["ce"], ["none", "eos"])["head"]) == {"none", "eos"}


def test_figure5_carries_the_weight_norms_of_every_head() -> None:
    figure = figure5(class_frame(), "d", NETWORKS, HEADS)
    axes = panel(figure, "CE")
    np.testing.assert_allclose(line(axes, "Own classifier").get_ydata(), [1, 1.1, 1.2])
    np.testing.assert_allclose(line(axes, "No over-sampling").get_ydata(), [2, 2.1, 2.2])
    assert not any(found.is_dashed() for found in axes.lines)
    assert legend(figure)[-1] == "training samples (right axis)"
    assert list(figure5_data(class_frame(), "d", ["ce"], ["own"])["weight_norm"]) == pytest.approx(
        [1, 1.1, 1.2]
    )


def test_a_head_has_one_colour_in_every_figure() -> None:
    colours = {
        to_hex(line(panel(figure3(class_frame(), "d", ["ce"], HEADS), "CE"), "EOS").get_color()),
        to_hex(
            line(panel(figure5(class_frame(), "d", ["ce"], titled("eos", "own")), "CE"), "EOS").get_color()
        ),
        to_hex(
            line(
                figure7(curve_frame(), "d", "ce", titled("smote", "eos"), table_epochs=10).axes[0],
                "EOS, test",
            ).get_color()
        ),
    }
    assert len(colours) == 1


def test_heads_without_a_look_of_their_own_differ() -> None:
    heads = titled("eos_k50", "eos_k100", "mine")
    axes = panel(figure5(class_frame(heads=heads), "d", ["ce"], heads), "CE")
    assert len({(found.get_color(), found.get_marker()) for found in axes.lines}) == 3
    assert "mine" in [found.get_label() for found in axes.lines]


def test_many_classes_are_grouped_by_size_and_long_names_cut() -> None:
    names = [f"a class with a long name {i}" for i in range(100)]
    frame = class_frame(names=names, networks=["ce"])
    axes = panel(figure3(frame, "d", ["ce"], HEADS), "CE")
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(labels) == 20
    assert labels[:2] == ["a class wi…ame 0", "a class wi…ame 5"]
    assert "in groups of 5" in axes.get_xlabel()
    gaps = (np.arange(100) + 1.0) * 10 * 0.5
    np.testing.assert_allclose(line(axes, "EOS").get_ydata(), gaps.reshape(20, 5).mean(axis=1))
    assert len(figure3_data(frame, "d", ["ce"], HEADS)) == 5 * 100


def test_classes_stand_by_training_samples_not_by_label() -> None:
    frame = class_frame()
    frame["train_count"] = frame["class"].map({0: 7, 1: 90, 2: 30})
    figure = recall_figure(frame.assign(recall=frame["class"] / 10), "d", ["ce"], HEADS)
    axes = panel(figure, "CE")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["one", "two", "zero"]
    assert list(line(axes, "EOS").get_ydata()) == [0.1, 0.2, 0.0]
    assert [bar.get_height() for bar in figure.axes[1].patches if isinstance(bar, Rectangle)] == [90, 30, 7]
    data = recall_data(frame, "d", ["ce"], ["own", "eos"])
    assert data["class_name"].tolist() == ["one", "two", "zero"] * 2


def test_legends_say_what_they_are_told_and_the_caption_stands_at_the_foot() -> None:
    heads = titled("own", "smote") | {"eos": "EOS (K = 10, step 0.5)"}
    figure = recall_figure(class_frame(), "d", ["ce"], heads)
    assert "EOS (K = 10, step 0.5)" in legend(figure)
    caption = figure.texts[-1]
    assert "The rarest classes are on the right." in caption.get_text()
    figure.draw_without_rendering()
    box, under = figure.legends[0].get_window_extent(), panel(figure, "CE").get_tightbbox()
    assert under is not None
    assert caption.get_window_extent().y1 <= box.y0 < box.y1 <= under.y0
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_a_legend_that_is_too_wide_has_fewer_columns() -> None:
    heads = {head: f"{title}, with a good many words" for head, title in HEADS.items()}
    figure = recall_figure(class_frame(), "d", ["ce"], heads)
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_class_names_may_be_numbers() -> None:
    frame = class_frame().assign(class_name=lambda frame: frame["class"])
    axes = panel(figure3(frame, "d", ["ce"], HEADS), "CE")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]
    assert texts(figure3(frame, "elsewhere", ["ce"], HEADS)) == ["not run"]


def test_class_names_are_never_read_as_formulas() -> None:
    assert b"<svg" in svg(
        figure3(class_frame(names=["$5", r"$\frac$", "100%"]), "d", ["ce"], titled("own", "eos"))
    )


def test_figure7_draws_train_dashed_and_test_solid_with_the_tables_epoch_marked() -> None:
    figure = figure7(curve_frame(), "d", "ce", titled("smote", "eos"), table_epochs=12, own=0.45)
    (axes,) = figure.axes
    epochs = np.arange(1, 31)
    np.testing.assert_allclose(line(axes, "EOS, test").get_ydata(), 0.45 + epochs / 100)
    np.testing.assert_allclose(line(axes, "SMOTE, train").get_ydata(), 0.5 + epochs / 100)
    np.testing.assert_array_equal(line(axes, "EOS, test").get_xdata(), epochs)
    assert line(axes, "EOS, train").is_dashed()
    assert not line(axes, "EOS, test").is_dashed()
    assert list(line(axes, "epochs behind the tables: 12").get_xdata()) == [12, 12]
    assert list(line(axes, "Own classifier, test").get_ydata()) == [0.45, 0.45]
    assert band(axes, 0) == pytest.approx((0.41 - 0.03, 0.7 + 0.03))


def test_figure7_without_deviations_has_no_band() -> None:
    figure = figure7(
        curve_frame(deviation=np.nan).assign(train_BAC_sd=np.nan), "d", "ce", titled("eos"), table_epochs=10
    )
    assert not figure.axes[0].collections
    assert "band" not in figure.get_suptitle()
    assert "Own classifier, test" not in legend(figure)


def test_figure7_data_averages_cuts_and_pools_their_deviations() -> None:
    frame = curve_frame(cuts=(0, 10))
    second = frame["cut"] == 10
    frame.loc[second, "test_BAC"] += 0.1
    frame.loc[second, "test_BAC_sd"] = 0.04
    data = figure7_data(frame, "d", "ce", ["eos", "smote"])
    assert list(data["head"]) == ["eos"] * 30 + ["smote"] * 30
    assert data["test_BAC"][0] == pytest.approx(0.46 + 0.05)
    assert data["test_BAC_sd"][0] == pytest.approx(((0.03**2 + 0.04**2) / 2) ** 0.5)
    assert set(data["cuts"]) == {2}


def test_figure7_says_what_was_not_run() -> None:
    assert texts(figure7(curve_frame(), "d", "asl", titled("smote", "eos"), table_epochs=10)) == ["not run"]
    (axes,) = figure7(curve_frame(), "d", "ce", titled("smote", "balsvm"), table_epochs=10).axes
    assert axes.get_title(loc="right") == "not run: Balanced SVM"


def test_svg_is_written_whole_to_a_path_and_holds_no_date(tmp_path: Path) -> None:
    figure = figure7(curve_frame(), "d", "ce", titled("eos"), table_epochs=10)
    save_svg(figure, tmp_path / "plots" / "figure7.svg")
    content = (tmp_path / "plots" / "figure7.svg").read_bytes()
    assert content == svg(figure7(curve_frame(), "d", "ce", titled("eos"), table_epochs=10))
    assert b"<dc:date>" not in content
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["figure7.svg"]


def test_svg_bytes_are_the_same_in_every_process_and_configuration(tmp_path: Path) -> None:
    """Another hash seed and another user's matplotlib settings change nothing; pyplot is never loaded."""
    (tmp_path / "matplotlibrc").write_text("axes.grid: True\nytick.labelsize: 17\n")
    script = (
        "import sys; import matplotlib; assert matplotlib.rcParams['ytick.labelsize'] == 17; "
        "from tests.report.test_figures import *; "
        "drawn = svg(figure3(class_frame(cuts=(0, 4)), 'd', NETWORKS, HEADS)); "
        "assert 'matplotlib.pyplot' not in sys.modules; sys.stdout.buffer.write(drawn)"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "MPLCONFIGDIR": str(tmp_path),
        "MATPLOTLIBRC": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, check=True)
    assert done.stdout == svg(figure3(class_frame(cuts=(0, 4)), "d", NETWORKS, HEADS))
