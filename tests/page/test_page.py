"""The page of the committed results, read, and looked at in a browser."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from tools import report

from eos.errors import InputError
from eos.page import Figure, Page, Results, Sheet, render
from eos.page.page import TABLES
from tests.helpers import ROOT
from tests.page.browser import CHROMIUM, Browser, browser

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


def make(path: Path, *arguments: str, seed: str = "0") -> str:
    """Return the page of the committed results, made by its program."""
    command = [sys.executable, str(ROOT / "tools/report.py"), "--to", str(path), *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    make(path, "--against", "HEAD")
    return path


@pytest.fixture(scope="module")
def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shown(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Show the page in a browser, all charts drawn."""
    with browser(tmp_path_factory.mktemp("browser")) as started:
        started.look(1400)
        started.open(file)
        started.wait("document.querySelectorAll('.chart:not(.drawn)').length === 0")
        yield started


class Links(HTMLParser):
    """What the page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the links and the names of a tag."""
        values = dict(attrs)
        self.found += [
            str(values[name]) for name in ("href", "src", "data", "action", "poster") if name in values
        ]
        self.names |= {str(values["id"])} if "id" in values else set()


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes(text: str, tmp_path: Path) -> None:
    assert make(tmp_path / "again.html", "--against", "HEAD", seed="1") == text


@pytest.mark.slow
def test_it_is_small_and_refers_to_itself_alone(text: str) -> None:
    assert len(text.encode()) < 2_000_000
    links = Links()
    links.feed(text)
    assert all(
        link.startswith("#") and link[1:] in links.names for link in links.found if link[:5] != "data:"
    )
    assert set(TABLES) <= links.names
    assert not re.search(r"@import|url\((?!#)", (ROOT / "src/eos/page/page.css").read_text())


@pytest.mark.slow
def test_it_has_every_value_of_the_tables(text: str) -> None:
    for name in TABLES:
        page = (ROOT / f"metrics/tables/{name}.md").read_text()
        values = {
            value for line in page.splitlines() if line[:1] == "|" for value in re.findall(r"\.\d{4}", line)
        }
        assert not [value for value in values if value not in text]
        assert (ROOT / f"metrics/tables/{name}.csv").read_text() in text


@pytest.mark.slow
def test_nothing_changed_since_the_same_commit(text: str) -> None:
    found = re.search(r"Of (\d+) values that both have, (\d+) are the same", text)
    assert found is not None
    assert int(found[1]) == int(found[2]) > 0


TABLE = "# Table II: heads\n\n| Head | BAC |\n|:--|:--|\n| a | .5 |\n"


def test_results_of_one_table_make_a_page_without_dead_links() -> None:
    made = {"tables": "metrics/tables", "score": "metrics/tab"}
    stages = {name: {"outs": [{"path": path}]} for name, path in made.items()}
    lock = json.dumps({"stages": stages})  # which is YAML
    results = Results({"metrics/tables/table2.md": TABLE, "dvc.lock": lock})
    seconds = pd.DataFrame(
        {"stage": ["train", "train", "tables"], "dataset": ["a", "b", ""], "seconds": [1.5, 2.5, 4.0]}
    )
    text = render(Page(results, [], "", seconds=seconds, machine="a machine", against=results))
    links = Links()
    links.feed(text)
    assert all(link[1:] in links.names for link in links.found)
    assert "<code>dvc repro -f -s tables</code>" in text
    assert "8.0 in all" in text
    assert "a machine" in text


def test_a_head_that_was_defined_otherwise_is_told_and_many_cells_are_folded() -> None:
    def results(head: str, neighbors: int) -> Results:
        table = "".join(f"digits,{head}{number},0.9\n" for number in range(9))
        parameters = f"heads: {{eos: {{k_neighbors: {neighbors}}}}}"
        return Results({"metrics/tables/table2.csv": f"dataset,head,BAC\n{table}", "params.yaml": parameters})

    same, other = results("a", 10), results("b", 100)
    told = "Heads were defined otherwise then"
    assert told not in render(Page(same, [], "", against=same))
    text = render(Page(other, [], "", against=same))
    links = Links()
    links.feed(text)
    assert told in text
    assert "#parameters-changed" in links.found
    assert "parameters-changed" in links.names
    assert text.count("9 cells</summary>") == 2


def test_text_of_results_does_not_end_the_script() -> None:
    row = {"a": "</script><b>", "b": float("nan"), "c": 1 / 3}
    figure = Figure("recall", "Recall", "</script>", {"mark": "<!--"}, [row, {"b": 2}])
    script = "x = '\u2028\x85 ';  \ny = 1"
    text = render(Page(Results({"metrics/tables/table2.md": TABLE}), [figure], f"z = '</script>'; {script}"))
    assert script in text
    assert text.count("</script>") == text.count("<script")
    found = re.search(r'id="charts">(.*?)</script>', text)
    assert found is not None
    told = json.loads(found[1])["recall"]
    assert told["columns"] == ["a", "b", "c"]
    assert told["rows"] == [["</script><b>", None, 0.333333], [None, 2, None]]


def test_a_page_that_is_too_long_leaves_out_pictures_and_then_the_charts_with_most_rows() -> None:
    results = Results({"metrics/tables/table2.md": TABLE})
    small = Figure("recall", "Recall", "", {}, [{"a": 1}])
    large = Figure("figure6", "Figure 6", "", {}, [{"a": "x" * 100}] * 12_000)
    sheet = Sheet("plots/a.png", b"x" * 700_000)
    text = render(Page(results, [large, small], ""))
    assert "too many for a page" not in text
    text = render(Page(results, [large, small], "", sheets=[sheet]))
    assert "data:image/png" not in text
    assert "too many for a page" not in text
    text = render(Page(results, [replace(large, rows=[*large.rows, *large.rows]), small], "", sheets=[sheet]))
    assert len(text.encode()) < 2_000_000
    assert re.findall(r'<figure id="[\w-]+" data-chart="(\w+)"', text) == ["recall"]
    assert "Its 24000 rows are too many for a page." in text


def test_a_revision_that_is_none_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError, match="'nothing': no commit of that name"):
        report.main(["--against", "nothing", "--to", str(tmp_path / "report.html")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@needs_chromium
class TestInABrowser:
    """The page in a headless Chromium."""

    def test_every_table_is_filled(self, shown: Browser) -> None:
        sizes = shown.run(
            "[...document.querySelectorAll('main table')].map(table => [table.tHead.rows[0].cells.length,"
            " ...[...table.tBodies[0].rows].map(row => row.cells.length)])"
        )
        assert len(sizes) > 2 * len(TABLES)
        assert all(len(rows) > 0 and set(rows) == {head} for head, *rows in sizes)
        assert shown.run("[...document.querySelectorAll('article')].every(part => part.querySelector('td'))")

    def test_every_chart_is_drawn(self, shown: Browser) -> None:
        marks = shown.run(
            "Object.fromEntries([...document.querySelectorAll('[data-chart]')].map(one => [one.dataset.chart,"
            " one.querySelectorAll('svg [class*=mark-] path, svg .mark-text text').length]))"
        )
        drawn = {path.stem for path in (ROOT / "metrics/figures").rglob("*.csv")}
        assert set(marks) == drawn
        assert all(number > 20 for number in marks.values()), marks
        sizes = shown.run("[...document.querySelectorAll('.chart svg.marks')].map(one => one.clientHeight)")
        assert all(height > 150 for height in sizes)

    def test_a_head_sorts_by_click_and_by_key(self, shown: Browser) -> None:
        table = "document.querySelector('#table2 table')"
        column = f"[...{table}.tBodies[0].rows].map(row => row.cells[2].textContent.slice(0, 5))"
        head = f"{table}.tHead.rows[0].cells[2]"
        before = shown.run(column)
        shown.run(f"{head}.querySelector('button').click()")
        assert shown.run(column) == sorted(before, reverse=True) != before
        assert shown.run(f"{head}.getAttribute('aria-sort')") == "descending"
        shown.run(f"{head}.querySelector('button').focus()")
        shown.press("Enter")
        assert shown.run(column) == sorted(before)
        assert shown.run(f"{head}.getAttribute('aria-sort')") == "ascending"
        shown.press("Space")
        assert shown.run(column) == before
        assert shown.run(f"{head}.hasAttribute('aria-sort')") is False

    def test_a_sorted_table_says_the_group_in_every_row(self, shown: Browser) -> None:
        again = "getComputedStyle(document.querySelector('#table2 td.again')).color"
        button = "document.querySelector('#table2 th button').click()"
        assert shown.run(again) == "rgba(0, 0, 0, 0)"
        shown.run(button)
        assert shown.run(again) != "rgba(0, 0, 0, 0)"
        shown.run(f"{button}, {button}")

    def test_data_set_and_network_are_chosen(self, shown: Browser) -> None:
        figure = "document.querySelector('#figure-recall')"
        words = f"{figure}.querySelector('.chart').textContent"
        assert "automobile" not in shown.run(words)
        shown.choose("#figure-recall select", "photographs")
        shown.wait(f"{words}.includes('automobile')")
        lines = (
            f"[...{figure}.querySelectorAll('.mark-line path')].map(line => line.getAttribute('d')).join()"
        )
        before = shown.run(lines)
        shown.choose("#figure-recall .vega-bind + .vega-bind select", "ldam")
        shown.wait(f"{lines} !== {json.dumps(before)}")

    def test_a_word_of_the_legend_shows_its_head_alone(self, shown: Browser) -> None:
        faded = (
            "[...document.querySelectorAll('#figure-recall .mark-line path')]"
            ".filter(line => Number(line.getAttribute('opacity')) < 0.5).length"
        )
        assert shown.run(faded) == 0
        shown.click("#figure-recall .role-legend-label text")
        shown.wait(f"{faded} > 0")

    def test_the_pointer_shows_numbers(self, shown: Browser) -> None:
        shown.hover("#figure-recall .mark-symbol path:last-child")
        shown.wait("/\\d/.test(document.querySelector('#vg-tooltip-element.visible')?.textContent ?? '')")

    def test_the_rows_behind_a_chart_are_a_table(self, shown: Browser) -> None:
        shown.run("document.querySelector('#figure-recall .numbers').open = true")
        shown.wait("document.querySelectorAll('#figure-recall .numbers tbody tr').length > 20")

    def test_the_switch_turns_page_and_charts_dark(self, shown: Browser) -> None:
        ground = "getComputedStyle(document.body).backgroundColor"
        label = "document.querySelector('#figure-recall .role-axis-label text').getAttribute('fill')"
        assert shown.run(ground) == "rgb(255, 255, 255)"
        light = shown.run(label)
        shown.run("document.getElementById('theme').click(), document.getElementById('theme').click()")
        assert shown.run(ground) != "rgb(255, 255, 255)"
        shown.wait(f"({label} ?? {json.dumps(light)}) !== {json.dumps(light)}")
        assert "photographs" in shown.run(
            "document.querySelector('#figure-recall select').value"
        )  # a choice stays
        shown.run("document.getElementById('theme').click()")

    def test_sorting_leaves_empty_cells_last(self, shown: Browser) -> None:
        """The published values of the cited table: some cells have none, whichever way it is sorted."""
        table = "document.querySelectorAll('#cited table')[1]"
        column = f"[...{table}.tBodies[0].rows].map(row => row.cells[4].textContent)"
        assert shown.run(f"{table}.tHead.rows[0].cells[4].textContent.trim()") == "Published"
        for _ in range(2):
            shown.run(f"{table}.tHead.rows[0].cells[4].querySelector('button').click()")
            found = [value != "" for value in shown.run(column)]
            assert found == sorted(found, reverse=True)
            assert len(set(found)) == 2

    @pytest.mark.parametrize("dark", [False, True])
    @pytest.mark.parametrize("width", [400, 1400])
    def test_nothing_is_wider_than_the_screen(self, shown: Browser, width: int, dark: bool) -> None:
        shown.look(width, dark=dark)
        shown.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert shown.run("document.documentElement.scrollWidth") <= width
        assert shown.run("getComputedStyle(document.body).backgroundColor !== 'rgb(255, 255, 255)'") is dark

    def test_it_asked_no_network_and_said_no_error(self, shown: Browser) -> None:
        shown.run("1")
        assert [
            request for request in shown.requests if not request.startswith(("file:", "data:", "blob:"))
        ] == []
        assert shown.said == []
