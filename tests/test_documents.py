"""What the pages say is so."""

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

import eos
from eos.pipeline.processor import why_not_portable
from eos.registry import display_name
from tests.helpers import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def table_in_short(table: pd.DataFrame) -> list[str]:
    """Return Table II in short: balanced accuracies, losses against heads."""
    heads = table["head"].unique()
    lines = [
        "| Loss | " + " | ".join(display_name(head) for head in heads) + " |",
        "|:--|" + "--:|" * len(heads),
    ]
    for network, rows in table.groupby("network", sort=False):
        cells = " | ".join(f"{value:.3f}".lstrip("0") for value in rows["BAC"])
        lines.append(f"| {display_name(str(network))} | {cells} |")
    return lines


@pytest.mark.skipif(why_not_portable() is not None, reason=f"{why_not_portable()}: other last digits")
def test_the_page_of_results_shows_the_committed_ones() -> None:
    for dataset, table in pd.read_csv(ROOT / "metrics/tables/table2.csv").groupby("dataset"):
        assert "\n".join(table_in_short(table)) in (ROOT / "docs/verdict.md").read_text(), dataset


# The rows of the README's verdict, by a part of their names.
VERDICT = {
    "own classifier": "own",
    "SMOTE": "smote",
    "the paper's EOS, K = 10": "eos",
    "the paper's EOS, K = 300": "eos_k300",
    "nearest class mean": "ncm",
    "post-hoc logit adjustment": "post_hoc",
    "logit-adjusted head": "logit_adjusted_head",
    "logistic regression on SMOTE": "logistic_smote",
    "EOS with its defaults (`eos_auto`)": "eos_auto",
    "EOS, tuned on held-out rows (`eos_cv`; on digits, without any, it is `eos_auto`)": "eos_cv",
}


@pytest.mark.skipif(why_not_portable() is not None, reason=f"{why_not_portable()}: other last digits")
def test_the_verdict_of_the_readme_is_that_of_the_committed_results() -> None:
    table = pd.read_csv(ROOT / "metrics/tables/methods.csv")
    means = {
        dataset: rows.pivot(index="head", columns="network", values="BAC").dropna(axis="columns")
        for dataset, rows in table.groupby("dataset")
    }
    assert means["digits"].shape[1] == 10
    readme = (ROOT / "README.md").read_text().replace("**", "")
    for name, head in VERDICT.items():
        photographs = means["photographs"].loc[head, ["ce", "ldam", "la_mixup"]]
        values = [means["digits"].loc[head].mean(), *photographs]
        cells = " | ".join(f"{value:.3f}".lstrip("0") for value in values)
        assert f"\n| {name} | {cells} |\n" in readme, cells
    claims = pd.read_csv(ROOT / "metrics/tables/claims.csv").query("dataset == 'photographs'")
    held = f"{claims['holds'].sum()} of {len(claims)}"
    assert f"[{held} claims](metrics/tables/claims.md)" in readme
    assert f"[{held} hold](../metrics/tables/claims.md)" in (ROOT / "docs/verdict.md").read_text()


# The heads whose accuracies docs/sampler.md shows, in the order of its rows.
SAMPLERS = [
    "eos_auto",
    "tailcalib",
    "rbo",
    "mc_rbo",
    "ccr",
    "ccr_ignore",
    "swim",
    "swim_radial",
    "manifold",
    "manifold_dae",
]


@pytest.mark.skipif(why_not_portable() is not None, reason=f"{why_not_portable()}: other last digits")
def test_the_choice_of_a_sampler_shows_the_committed_results() -> None:
    table = pd.read_csv(ROOT / "metrics/tables/cited.csv").query(
        "dataset == 'photographs' and network == 'ce'"
    )
    accuracy = table.set_index("method")["BAC"].map(lambda value: f"{value:.3f}".lstrip("0"))
    page = (ROOT / "docs/sampler.md").read_text()
    assert f"[SMOTE: {accuracy['smote']}]" in page
    shown = re.findall(r"^\|.* \| (\.\d{3}) \|", page, re.MULTILINE)
    assert shown == [accuracy[head] for head in SAMPLERS]


def test_the_page_on_speed_shows_the_committed_measurements() -> None:
    table = pd.read_csv(ROOT / "benchmarks/results/bench.csv")
    assert table["same_result"].all()
    lines = [
        "| Work | Against | Plain, s | Ours, s | Ratio | Asked | Goal |",
        "|:--|:--|--:|--:|--:|--:|--:|",
    ]
    for row in table.itertuples():
        seconds = f"{row.baseline_seconds:.3f} | {row.our_seconds:.3f}"
        asked = f"{row.at_least:g} | {row.goal:g}"
        lines.append(f"| {row.work} | {row.against} | {seconds} | {row.ratio:.1f} | {asked} |")
    assert "\n".join(lines) in (ROOT / "docs/performance.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_overrides_that_pages_name_exist(page: Path) -> None:
    parameters = (ROOT / "params.yaml").read_text() + page.read_text()  # a page may define a data set
    for override in re.findall(r"-S '?([\w.]+)=", page.read_text()):
        for key in override.split("."):
            assert re.search(rf"^ *{key}:", parameters, re.MULTILINE), override


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_make_targets_that_pages_name_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE):
        assert target in targets


@pytest.mark.parametrize("page", [*PAGES, ROOT / "Makefile"], ids=name_of)
def test_the_programs_that_pages_name_are_there(page: Path) -> None:
    for place in re.findall(
        r"\b((?:stages|tools|tests|src/eos|docs)/[\w/-]+\.(?:py|sh|md))\b", page.read_text()
    ):
        if page.name != "CHANGELOG.md":  # which names what is gone
            assert (ROOT / place).exists(), place


def test_the_api_page_has_every_public_name() -> None:
    documented = re.findall(r"^\.\. auto\w+:: eos\.(\w+)$", (ROOT / "docs/api.rst").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(eos.__all__)


def test_the_extras_are_what_requirements_pin() -> None:
    """Whoever installs an extra gets every library of the pinned set, but those that only some tools want."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras["predict"]) <= set(extras["pipeline"])
    named = [name for extra in ("pipeline", "backbones", "docs", "dev") for name in extras[extra]]
    named += project["dependencies"]
    listed = {re.split(r"[\[<>=]", name)[0].lower() for name in named} - {project["name"]}
    lines = (ROOT / "requirements.txt").read_text().lower().splitlines()
    pinned = {re.split(r"\[|==", line)[0] for line in lines if "==" in line}
    assert listed <= pinned
    assert pinned <= listed | {"ruamel.yaml.clib"}
