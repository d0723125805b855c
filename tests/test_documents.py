"""What the pages say is so."""

import re
from pathlib import Path

import pandas as pd
import pytest

from eos.registry import display_name

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def readme_table() -> list[str]:
    """Return Table II in short, as the README has to have it: balanced accuracies, losses against heads."""
    table = pd.read_csv(ROOT / "metrics/tables/table2.csv")
    assert table["dataset"].unique().tolist() == ["digits"]
    heads = table["head"].unique()
    lines = [
        "| Loss | " + " | ".join(display_name(head) for head in heads) + " |",
        "|:--|" + "--:|" * len(heads),
    ]
    for network, rows in table.groupby("network", sort=False):
        cells = " | ".join(f"{value:.3f}".lstrip("0") for value in rows["BAC"])
        lines.append(f"| {display_name(str(network))} | {cells} |")
    return lines


def test_the_readme_shows_the_committed_results() -> None:
    assert "\n".join(readme_table()) in (ROOT / "README.md").read_text()


def bench_table(*, seconds: bool) -> str:
    """Return the committed measurements as a table, with or without the seconds."""
    table = pd.read_csv(ROOT / "benchmarks/results/bench.csv")
    assert table["same_result"].all()
    lines = ["| Work | Against | Ratio | Asked | Goal |", "|:--|:--|--:|--:|--:|"]
    if seconds:
        lines = [
            "| Work | Against | Plain, s | Ours, s | Ratio | Asked | Goal |",
            "|:--|:--|--:|--:|--:|--:|--:|",
        ]
    for row in table.itertuples():
        measured = f"{row.baseline_seconds:.3f} | {row.our_seconds:.3f} | " if seconds else ""
        lines.append(
            f"| {row.work} | {row.against} | {measured}{row.ratio:.1f} | {row.at_least:g} | {row.goal:g} |"
        )
    return "\n".join(lines)


def test_the_pages_show_the_committed_measurements() -> None:
    assert bench_table(seconds=False) in (ROOT / "README.md").read_text()
    assert bench_table(seconds=True) in (ROOT / "docs/performance.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_overrides_that_pages_name_exist(page: Path) -> None:
    files = [ROOT / "params.yaml", *sorted((ROOT / "docs" / "results").glob("*/params.yaml"))]
    parameters = "\n".join(file.read_text() for file in files)
    overrides = re.findall(r"-S '?([\w.]+)=", page.read_text())
    for override in overrides:
        for key in override.split("."):
            assert re.search(rf"^ *{key}:", parameters, re.MULTILINE), override


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_make_targets_that_pages_name_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"`make ([a-z-]+)", page.read_text()):
        assert target in targets
