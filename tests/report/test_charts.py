"""Charts of lines: their rows against the frames handed in, what file and page say, and the file's bytes."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import vl_convert

from eos.registry import display_name
from eos.report.charts import (
    Chart,
    cuts_text,
    figure3,
    figure3_data,
    figure5,
    figure5_data,
    figure7,
    figure7_data,
    interactive,
    recall_chart,
    recall_data,
    save_svg,
    static,
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


def draw3(frame: pd.DataFrame, networks: Sequence[str], heads: Mapping[str, str] = HEADS) -> Chart:
    return figure3(figure3_data(frame, "d", networks, heads), heads, cuts_text(frame, "d"))


def draw_recall(frame: pd.DataFrame, heads: Mapping[str, str] = HEADS) -> Chart:
    return recall_chart(recall_data(frame, "d", ["ce"], heads), heads)


def draw7(frame: pd.DataFrame, network: str, heads: Mapping[str, str], **rest: Any) -> Chart:
    data = figure7_data(frame, "d", network, heads)
    return figure7(data, heads, cuts_text(frame, "d"), **{"table_epochs": 12, **rest})


def line(chart: Chart, column: str, **named: Any) -> list[Any]:
    """Return a column of the rows that have these values."""
    found = [row for row in chart.rows if all(row.get(name) == value for name, value in named.items())]
    return [row.get(column) for row in found]


def svg(chart: Chart) -> str:
    return vl_convert.vegalite_to_svg(static(chart), vl_version="6.4", allowed_base_urls=[])


def page(chart: Chart, **chosen: str) -> str:
    """Return what a page draws after a choice."""
    spec = {**interactive(chart), "width": 400, "datasets": {"rows": chart.rows}}
    for param in spec["params"]:
        param["value"] = chosen.get(param["name"], param["value"])
    return vl_convert.vegalite_to_svg(spec, vl_version="6.4", allowed_base_urls=[])


def texts(drawn: str) -> list[str]:
    """Return what is written in a picture."""
    return [text for text in re.findall(r"<(?:text|tspan)[^>]*>([^<]+)</", drawn) if text.strip()]


def notes(chart: Chart) -> list[Any]:
    return [row["note"] for row in chart.rows if "note" in row]


def test_figure3_has_a_panel_per_network_with_the_gaps_handed_in() -> None:
    chart = draw3(class_frame(), NETWORKS)
    for network, scale in (("ce", 10), ("ldam", 1)):
        for head, factors in (("eos", [0.5, 1, 1.5]), ("smote", [1, 2, 3]), ("balsvm", [1, 2, 4.5])):
            assert line(chart, "gap", network=network, head=head) == [factor * scale for factor in factors]
        assert line(chart, "train_count", network=network, head="eos") == [100, 50, 33]
        assert not line(chart, "gap", network=network, head="none")  # own and none are one line
    said = texts(svg(chart))
    for text in ("CE", "LDAM", "zero", "two", "EOS", "training samples (bars)", "100", chart.title):
        assert text in said
    assert "dashes on it" in " ".join(said)


def test_lines_that_coincide_take_turns_and_the_others_are_solid() -> None:
    chart = draw3(class_frame(), ["ce"])
    dashes = {head: line(chart, "dash", head=head) for head in ("own", "random", "smote", "balsvm", "eos")}
    assert dashes["smote"] == [[6, 6]] * 3  # over the solid line of the other
    assert {str(dash) for head in dashes if head != "smote" for dash in dashes[head]} == {"None"}
    shown = [line(chart, "hidden", head=head) for head in ("random", "smote")]
    assert shown == [[None, True, None], [True, None, True]]
    strokes = re.findall(
        r'stroke="(#[0-9a-f]+)" stroke-width="([27])"[^>]*?(stroke-dasharray="6,6")?/>', svg(chart)
    )
    assert strokes == [
        ("#b4b4b4", "7", ""), ("#cc79a7", "2", ""), ("#009e73", "2", ""),
        ("#56b4e9", "2", 'stroke-dasharray="6,6"'), ("#d55e00", "2", ""),
    ]  # fmt: skip


def test_heads_missing_from_a_panel_are_named_there_and_those_missing_from_all_are_not() -> None:
    frame = class_frame()
    frame = frame[~((frame["network"] == "ce") & (frame["head"] == "smote"))]
    chart = draw3(frame, ["ce", "focal", "ldam"], titled("own", "smote", "bsmote", "eos"))
    assert [(row["network"], row["note"]) for row in chart.rows if "note" in row] == [
        ("ce", "not run: SMOTE")
    ]
    said = texts(svg(chart))
    assert "not run: SMOTE" in said
    assert not {"Focal", "Borderline-SMOTE"} & set(said)


@pytest.mark.parametrize(
    ("data", "draw"), [(figure3_data, figure3), (figure5_data, figure5), (recall_data, recall_chart)]
)
def test_a_dataset_that_was_not_run_says_so(data: Callable[..., Any], draw: Callable[..., Chart]) -> None:
    chart = draw(data(class_frame(), "elsewhere", NETWORKS, HEADS), HEADS)
    assert "not run" in texts(svg(chart))
    assert "not run" in texts(page(chart))


def test_several_cuts_are_averaged_with_a_band_from_lowest_to_highest() -> None:
    frame = class_frame(cuts=(0, 4))
    data = figure3_data(frame, "d", ["ldam"], ["own", "eos"])
    own = data[data["head"] == "own"]
    assert list(own["gap"]) == [3, 4, 5]
    assert list(own["gap_min"]) == [1, 2, 3]
    assert list(own["gap_max"]) == [5, 6, 7]
    assert set(own["cuts"]) == {2}
    chart = draw3(frame, ["ldam"], titled("own", "smote", "eos"))
    assert line(chart, "gap_min", head="eos") == [0.5, 1, 1.5]
    assert line(chart, "gap_max", head="own") == [5, 6, 7]
    assert line(chart, "gap_max", head="smote") == [None] * 3  # as the own line
    assert chart.subtitle == "d, cuts 0, 4; mean over the cuts, band: lowest to highest cut"
    assert svg(chart).count('class="mark-area') == 2
    assert "mark-area" not in svg(draw3(class_frame(), ["ldam"]))


def test_figure_data_is_in_the_order_asked_for() -> None:
    data = figure3_data(class_frame(), "d", ["ldam", "ce"], ["eos", "none", "own"])
    cells = list(dict.fromkeys(zip(data["network"], data["head"], strict=True)))
    assert cells == [("ldam", "eos"), ("ldam", "own"), ("ce", "eos"), ("ce", "own")]
    assert list(data["class"][:3]) == [0, 1, 2]
    assert set(figure3_data(class_frame(), "d", ["ce"], ["none", "eos"])["head"]) == {"none", "eos"}


def test_figure5_carries_the_weight_norms_of_every_head() -> None:
    data = figure5_data(class_frame(), "d", NETWORKS, HEADS)
    chart = figure5(data, HEADS)
    assert line(chart, "weight_norm", network="ce", head="own") == pytest.approx([1, 1.1, 1.2])
    assert line(chart, "weight_norm", network="ce", head="none") == pytest.approx([2, 2.1, 2.2])
    assert not any("dash" in row for row in chart.rows)


def test_a_head_has_one_colour_in_every_chart_and_heads_without_a_look_differ() -> None:
    heads = titled("own", "smote", "eos", "eos_k50", "mine")
    frame = class_frame(heads=heads)
    charts = [
        draw_recall(frame, heads),
        figure5(figure5_data(frame, "d", ["ce"], heads), heads),
        draw7(curve_frame(), "ce", heads),
    ]
    colours: list[dict[str, str]] = []
    for chart in charts:
        drawn = svg(chart)
        shown = [label for label in heads.values() if label in texts(drawn)]
        legend = drawn[drawn.index("role-legend") :]
        fills = re.findall(r'role-legend-symbol.*?(?:fill|stroke)="(#\w+)"', legend)
        colours.append(dict(zip(shown, fills, strict=False)))
    assert colours[0] == colours[1]
    assert len(set(colours[0].values())) == len(heads)
    assert colours[2] == {name: colours[0][name] for name in ("SMOTE", "EOS")}


def test_many_classes_are_grouped_by_size_and_long_names_cut() -> None:
    names = [f"a class with a long name {i}" for i in range(100)]
    frame = class_frame(names=names, networks=["ce"])
    chart = draw3(frame, ["ce"])
    places = line(chart, "place", head="eos")
    assert len(places) == 20
    assert places[:2] == ["00 a class wi…ame 0", "01 a class wi…ame 5"]
    gaps = (np.arange(100) + 1.0) * 10 * 0.5
    np.testing.assert_allclose(line(chart, "gap", head="eos"), gaps.reshape(20, 5).mean(axis=1))
    said = texts(svg(chart))
    assert "class, by training samples, in groups of 5: their means and first names" in said
    assert "a class wi…ame 5" in said
    assert len(figure3_data(frame, "d", ["ce"], HEADS)) == 5 * 100


def test_classes_stand_by_training_samples_not_by_label() -> None:
    frame = class_frame()
    frame["train_count"] = frame["class"].map({0: 7, 1: 90, 2: 30})
    frame["recall"] = frame["class"] / 10
    chart = draw_recall(frame)
    assert line(chart, "place", head="eos") == ["00 one", "01 two", "02 zero"]
    assert line(chart, "recall", head="eos") == [0.1, 0.2, 0]
    assert line(chart, "train_count", head="eos") == [90, 30, 7]
    said = texts(svg(chart))
    assert said.index("one") < said.index("two") < said.index("zero")


def test_legends_say_what_they_are_told_and_the_caption_stands_at_the_foot() -> None:
    heads = titled("own", "smote") | {"eos": 'EOS (K = 10, "step" 0.5)'}
    drawn = svg(draw_recall(class_frame(), heads))
    said = texts(drawn)
    assert 'EOS (K = 10, "step" 0.5)' in [text.replace("&quot;", '"') for text in said]
    assert said[-1].endswith("network alone does.") or "The rarest classes" in said[-1]


def test_class_names_may_be_numbers_and_marks_of_html(tmp_path: Path) -> None:
    chart = draw3(class_frame().assign(class_name=lambda frame: frame["class"]), ["ce"])
    assert line(chart, "place", head="eos") == ["00 0", "01 1", "02 2"]
    frame = class_frame(names=["<$5>", 'a class="b"', "1.23456"])
    save_svg(draw3(frame, ["ce"], titled("own", "eos")), tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert {"&lt;$5&gt;", 'a class="b"', "1.23456"} <= set(texts(drawn))


def test_figure7_has_train_dashed_and_test_solid_with_the_tables_epoch_marked() -> None:
    scores = pd.DataFrame({"dataset": "d", "network": "ce", "head": "own", "BAC": [0.4, 0.5]})
    chart = draw7(curve_frame(), "ce", titled("smote", "eos"), scores=scores)
    epochs = np.arange(1, 31)
    np.testing.assert_allclose(line(chart, "BAC", head="eos", part="test"), 0.45 + epochs / 100)
    np.testing.assert_allclose(line(chart, "BAC", head="smote", part="train"), 0.5 + epochs / 100)
    np.testing.assert_allclose(line(chart, "low", head="eos", part="test"), 0.42 + epochs / 100)
    assert line(chart, "epoch", head="eos", part="test") == epochs.tolist()
    assert line(chart, "BAC", part="own") == [0.45]
    drawn = svg(chart)
    assert {"epochs behind the tables: 12", "Own classifier, test", "SMOTE"} <= set(texts(drawn))
    lines = re.findall(r'stroke="(#\w+)" stroke-width="2"(?: stroke-dasharray="([\d,]+)")?', drawn)
    assert set(lines) >= {("#d55e00", "1,0"), ("#d55e00", "5,4"), ("#56b4e9", "1,0"), ("#56b4e9", "5,4")}
    assert "band" in chart.subtitle


def test_figure7_without_deviations_has_no_band() -> None:
    frame = curve_frame(deviation=np.nan).assign(train_BAC_sd=np.nan)
    chart = draw7(frame, "ce", titled("eos"))
    assert not any("low" in row for row in chart.rows)
    assert "band" not in chart.subtitle
    assert not line(chart, "BAC", part="own")


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
    assert "not run" in texts(svg(draw7(curve_frame(), "asl", titled("smote", "eos"))))
    assert notes(draw7(curve_frame(), "ce", titled("smote", "balsvm"))) == ["not run: Balanced SVM"]


def test_a_page_has_choices_where_there_are_several_and_draws_what_is_chosen() -> None:
    frame = pd.concat([class_frame(), class_frame(networks=["ce"], names=["cat", "dog"]).assign(dataset="e")])
    data = [recall_data(frame, dataset, NETWORKS, HEADS) for dataset in "de"]
    chart = recall_chart(pd.concat(data), HEADS)
    choices = {param["name"]: param["bind"] for param in interactive(chart)["params"] if "bind" in param}
    assert {name: bind["options"] for name, bind in choices.items()} == {
        "dataset": ["d", "e"],
        "network": ["ce", "ldam"],
    }
    assert choices["network"]["labels"] == ["CE", "LDAM"]
    assert {"zero", "one", "two"} <= set(texts(page(chart)))
    other = set(texts(page(chart, dataset="e")))
    assert {"cat", "dog"} <= other
    assert "zero" not in other
    assert "not run" in texts(page(chart, dataset="e", network="ldam"))
    assert "not run" not in texts(page(chart))
    assert not [name for name in choices if name in str(interactive(draw_recall(class_frame()))["params"])]
    assert "data" not in interactive(chart).get("datasets", {})
    assert interactive(chart)["data"] == {"name": "rows"}


def test_a_page_fades_what_the_legend_did_not_choose_and_keeps_the_chart_as_it_was() -> None:
    chart = draw_recall(class_frame())
    before = svg(chart)
    spec = interactive(chart)
    (lines,) = [layer for layer in spec["layer"] if "layer" in layer]
    (param,) = lines["layer"][0]["params"]
    assert param["bind"] == "legend"
    assert param["select"]["fields"] == ["head"]
    for layer in lines["layer"]:
        assert layer["encoding"]["opacity"]["condition"]["param"] == param["name"]
    assert svg(chart) == before


def test_a_page_tells_the_numbers_at_the_pointer() -> None:
    frame = class_frame()
    frame = frame[~((frame["head"] == "smote") & (frame["class"] == 2))]
    spec = interactive(draw_recall(frame))
    told = {"data": {"name": "rows"}, "datasets": {"rows": draw_recall(frame).rows}, **spec["layer"][-2]}
    told["encoding"] = {**told["encoding"], "text": {"field": "smote"}} | {"opacity": {"value": 1}}
    told["encoding"].pop("tooltip")
    drawn = vl_convert.vegalite_to_svg({**told, "mark": "text", "params": []}, vl_version="6.4")
    assert texts(drawn)[-3:] == ["0.500", "0.500", "not run"]


def test_svg_is_written_whole_and_as_long_as_its_numbers_need(tmp_path: Path) -> None:
    chart = draw7(curve_frame(), "ce", titled("eos"))
    save_svg(chart, tmp_path / "plots" / "figure7.svg")
    content = (tmp_path / "plots" / "figure7.svg").read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["figure7.svg"]
    assert texts(content) == texts(svg(chart))
    assert not re.search(r'(?:d|transform)="[^"]*\.\d{3}', content)
    assert "aria" not in content
    assert len(content) < 0.6 * len(svg(chart))
    assert re.findall(r"https?://[^\"]+", content) == [
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    ]


SCRIPT = """
import sys
from pathlib import Path
from tests.report.test_charts import NETWORKS, class_frame, draw3, save_svg
save_svg(draw3(class_frame(cuts=(0, 4)), NETWORKS), Path(sys.argv[1]))
"""


def test_svg_bytes_are_the_same_in_every_process_and_with_whichever_fonts(tmp_path: Path) -> None:
    """No fonts, another home and another hash seed change nothing."""
    none = tmp_path / "fonts.conf"
    none.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">'
        f"<fontconfig><dir>{tmp_path / 'nothing'}</dir></fontconfig>"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "FONTCONFIG_FILE": str(none),
        "HOME": str(tmp_path),
        "LC_ALL": "C",
    }
    there, here = tmp_path / "there.svg", tmp_path / "here.svg"
    subprocess.run([sys.executable, "-c", SCRIPT, str(there)], env=environment, check=True)
    save_svg(draw3(class_frame(cuts=(0, 4)), NETWORKS), here)
    assert there.read_bytes() == here.read_bytes()
