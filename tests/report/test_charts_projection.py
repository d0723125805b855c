"""Figure 6: marks, panels and what they say, against the points handed in."""

import re

import numpy as np
import pandas as pd

from eos.registry import display_name
from eos.report.charts import Chart, figure6, figure6_data
from eos.report.tsne import Rows, project_classes
from tests.report.test_charts import notes, page, svg, texts

NAMES = ("automobile", "truck")


def points(
    head: str = "eos", *, real: tuple[int, int] = (3, 2), synthetic: int = 4, of: int = 4
) -> pd.DataFrame:
    kinds = [("automobile", False, real[0], real[0]), ("truck", False, real[1], real[1])]
    kinds += [("truck", True, synthetic, of)]
    rows = [
        (head, name, made, available, 10.0 * i, 1.0 * j)
        for i, (name, made, count, available) in enumerate(kinds)
        for j in range(count)
    ]
    return pd.DataFrame(rows, columns=["head", "class_name", "synthetic", "available", "x", "y"])


def draw(data: pd.DataFrame, heads: tuple[str, ...] = ("eos",)) -> Chart:
    titles = {head: display_name(head) for head in heads}
    return figure6(data.assign(dataset="cifar10"), titles, "CIFAR-10, CE, cut 3")


def marks(chart: Chart) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for row in chart.rows:
        if "kind" in row:
            found.setdefault(row["kind"], []).append((row["x"], row["y"]))
    return found


def looks(svg: str) -> set[tuple[str, str]]:
    """Return the fill, empty for none, and the stroke of the marks of a picture."""
    inside = svg[: svg.index("role-legend")]
    return set(re.findall(r'translate[^>]*? d="M[^"]{12,}"(?: fill="(#\w+)")? stroke="(#\w+)"', inside))


def test_every_kind_of_point_has_its_own_mark_and_synthetic_ones_are_below() -> None:
    chart = draw(points())
    found = marks(chart)
    assert list(found) == ["minority, synthetic", "majority, real", "minority, real"]
    assert found["majority, real"] == [(0, 0), (0, 1), (0, 2)]
    assert found["minority, real"] == [(10, 0), (10, 1)]
    assert found["minority, synthetic"] == [(20, 0), (20, 1), (20, 2), (20, 3)]
    assert looks(svg(chart)) == {("", "#d55e00"), ("#0072b2", "#ffffff"), ("#d55e00", "#ffffff")}


def test_the_notes_count_and_the_subtitle_says_when_points_were_left_out() -> None:
    whole = draw(points())
    assert notes(whole) == [["automobile: 3 real", "truck: 2 real, 4 synthetic"]]
    assert whole.subtitle == "CIFAR-10, CE, cut 3; one t-SNE for all panels"
    cut = draw(points(of=5000))
    assert notes(cut) == [["automobile: 3 real", "truck: 2 real, 4 of 5,000 synthetic"]]
    assert "a seeded draw of the points, real ones first" in cut.subtitle
    assert "truck: 2 real, 4 of 5,000 synthetic" in texts(svg(cut))


def test_the_legend_names_only_what_is_there() -> None:
    said = texts(svg(draw(points())))
    labels = ["automobile (majority), real", "truck (minority), real", "truck (minority), synthetic"]
    assert [text for text in said if "ority)" in text] == labels
    other = points().assign(dataset="other")
    both = figure6(pd.concat([points().assign(dataset="one"), other]), {"eos": "EOS"})
    assert "majority, real" in texts(page(both))  # the classes differ by data set


def test_heads_without_points_have_no_panel() -> None:
    chart = draw(points(), ("none", "smote", "bsmote", "balsvm", "eos"))
    assert {row["head"] for row in chart.rows if "note" in row} == {"eos"}
    nothing = draw(project_classes({}, (0, 1), NAMES, points=5, seed=0), ("eos",))
    assert "not run" in texts(svg(nothing))
    assert "not run" in texts(page(nothing))


def test_points_of_all_panels_are_there_once_and_stand_still() -> None:
    made = points("smote").assign(x=lambda frame: frame["x"] + 90 * frame["synthetic"])
    without = points("none").query("not synthetic")
    chart = draw(pd.concat([without, made]), ("none", "smote"))
    assert sum(len(places) for places in marks(chart).values()) == 3 + 2 + 4
    places = {
        head: re.findall(
            r'translate\(([^)]*)\)[^>]*fill="#0072b2"', page(chart, head=head).split("role-legend")[0]
        )
        for head in ("none", "smote")
    }
    assert len(places["none"]) == 3
    assert places["none"] == places["smote"]
    elsewhere = made.assign(x=made["x"] + 1)  # real points that are not the same
    apart = draw(pd.concat([without, elsewhere]), ("none", "smote"))
    assert sum(len(places) for places in marks(apart).values()) == 5 + 9


def test_from_rows_to_the_same_points() -> None:
    labels = np.repeat([4, 7], [30, 10])
    features = np.random.default_rng(0).normal(size=(40, 4)) + labels[:, None]
    heads = {"eos": Rows(features, labels, np.arange(40) >= 33)}
    first, second = (figure6_data(heads, (4, 7), NAMES, points=20, seed=5) for _ in range(2))
    assert first.groupby(["class_name", "synthetic"]).size().to_dict() == {
        ("automobile", False): 20,
        ("truck", False): 3,
        ("truck", True): 7,
    }
    assert svg(draw(first)) == svg(draw(second))
