"""The page: what stands on it, and how it becomes HTML."""

import base64
import json
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from eos.errors import InputError
from eos.page.changes import MORE, NOISE, SAME, UNKNOWN, Compared, claims_changed, compare, differing
from eos.page.results import Commit, Results
from eos.page.tables import Grid, Section, grid, sections
from eos.registry import display_name
from eos.report.claims import CLAIMS
from eos.report.markdown import difference_points, points
from eos.storage.files import REMAKE

# The tables, in the order of the page: their files' names, and what a list of contents calls them.
TABLES = {
    "table1": "Table I",
    "table2": "Table II",
    "table3": "Table III",
    "table4": "Table IV",
    "table5": "Table V",
    "cited": "What the paper cites, and rivals",
    "methods": "Methods",
    "claims": "Claims",
}
BYTES = 2_000_000  # of a page at most: pictures are left out first, then the charts with most rows


@dataclass(frozen=True)
class Figure:
    """A chart: its name, title, caption, Vega-Lite specification without rows, and the rows."""

    name: str
    title: str
    caption: str
    spec: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Sheet:
    """A picture of real and generated images: its path, and the PNG file's bytes."""

    path: str
    png: bytes


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Attributes
    ----------
    results
        Of the working tree.
    against
        Those that they are compared with, if any.
    committed
        `params.yaml` as committed; None where that is not known.
    figures, sheets
        Charts and pictures.
    titles
        Of heads, as tables call them.
    seconds
        Columns stage, dataset, seconds; no rows where nothing was measured on this machine.
    machine
        On which they were measured.
    runtime
        The run-time table as Markdown; "" for none.
    scripts
        What draws the charts: Vega, Vega-Lite and vega-embed.
    """

    results: Results
    figures: Sequence[Figure]
    scripts: str
    against: Results | None = None
    committed: Mapping[str, Any] | None = None
    sheets: Sequence[Sheet] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    seconds: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["stage", "dataset", "seconds"])
    )
    machine: str = ""
    runtime: str = ""


def render(page: Page) -> str:
    """Return the page as HTML: the same text for the same results, `BYTES` long at most."""
    left_out: set[str] = set()
    text = _filled(page, left_out)
    while len(text.encode()) > BYTES:
        rest = [figure for figure in page.figures if figure.name not in left_out]
        if page.sheets:
            page = replace(page, sheets=())
        elif rest:
            left_out.add(max(rest, key=lambda figure: len(figure.rows)).name)
        else:
            break  # tables alone are longer, and nothing of them can be spared
        text = _filled(page, left_out)
    return text


def _filled(page: Page, left_out: Container[str]) -> str:
    results = page.results
    shown = {name: sections(results.files[f"metrics/tables/{name}.md"]) for name in _having_tables(results)}
    verdict = shown["methods"][0] if "methods" in shown else None
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests["grid"] = lambda part: isinstance(part, Grid)
    template = environment.from_string(_asset("page.html"))
    stylesheet, script = _asset("page.css"), _asset("page.js")
    return template.render(
        title="EOS: results",
        style=Markup(stylesheet),
        scripts=Markup(_in_script(page.scripts)),
        script=Markup(_in_script(script)),
        data=Markup(_data([figure for figure in page.figures if figure.name not in left_out])),
        commit=results.commit,
        changed=results.changed,
        datasets=[display_name(name) for name in _datasets(results)],
        verdict=_verdict(verdict),
        claims_line=_claims_line(shown),
        runs=_runs(results),
        classes=_classes(results),
        parameters=results.files.get("params.yaml", ""),
        parameters_changed=_parameters(page.committed, results),
        tables=[_table(name, parts, results) for name, parts in shown.items()],
        figures=[
            {**_figure(figure, results), "left_out": figure.name in left_out} for figure in page.figures
        ],
        sheets=_sheets(page.sheets, results),
        seconds=_seconds(page.seconds),
        sum_of_seconds=_time(page.seconds["seconds"].sum()) if len(page.seconds) else "",
        machine=page.machine,
        runtime=sections(page.runtime),
        against=_against(page),
    )


def _asset(name: str) -> str:
    return (resources.files("eos.page") / name).read_text(encoding="utf-8")


def _in_script(text: str) -> str:
    """Return a script that no text of it ends."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _json(value: Any) -> str:
    """Return JSON for a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _data(figures: Sequence[Figure]) -> str:
    """Return specifications and rows as JSON; the names of the columns once."""
    told = {}
    for figure in figures:
        columns = list(dict.fromkeys(name for row in figure.rows for name in row))
        rows = [[_number(row.get(name)) for name in columns] for row in figure.rows]
        told[figure.name] = {"spec": figure.spec, "columns": columns, "rows": rows}
    return _json(told)


def _number(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _having_tables(results: Results) -> list[str]:
    return [name for name in TABLES if f"metrics/tables/{name}.md" in results.files]


def _datasets(results: Results) -> list[str]:
    scores = results.tables("scores")
    return list(dict.fromkeys(scores["dataset"])) if len(scores) else []


def _verdict(methods: Section | None) -> list[str]:
    """Return what `methods.md` says first: which method to use, by data set."""
    parts = [part for part in methods.parts if isinstance(part, str)] if methods else []
    return [Markup(part) for part in parts if "<strong>" in part]


def _claims_line(shown: Mapping[str, list[Section]]) -> str:
    parts = shown["claims"][0].parts if "claims" in shown else []
    return Markup(next((part for part in parts if isinstance(part, str)), ""))


def _runs(results: Results) -> Grid:
    """Return a table of what was run: per data set its rows and classes, networks, heads, cuts and seeds."""
    scores, classes = results.tables("scores"), results.tables("classes")
    rows = []
    for name in _datasets(results):
        mine = scores[scores["dataset"] == name]
        counts = _counts(classes, name)
        sizes = ["", "", "", ""]
        if len(counts):
            largest, smallest = counts["train_count"].max(), counts["train_count"].min()
            ratio = f"{largest / smallest:.3g}:1" if smallest > 0 else ""
            sizes = [
                f"{len(counts)}",
                f"{counts['train_count'].sum():,.0f}",
                f"{largest:,.0f} to {smallest:,.0f}",
                ratio,
            ]
        networks = [display_name(network) for network in dict.fromkeys(mine["network"])]
        seeds = sorted(set(mine["seed"]))
        rows.append(
            [
                display_name(name),
                *sizes,
                ", ".join(map(str, sorted(set(mine["cut"])))),
                ", ".join(networks),
                str(mine["head"].nunique()),
                ", ".join(map(str, seeds)),
                ", ".join(dict.fromkeys(mine["selection"])),
            ]
        )
    head = [
        "Data set",
        "Classes",
        "Training rows",
        "Per class",
        "Imbalance",
        "Cuts",
        "Networks",
        "Heads",
        "Head seeds",
    ]
    return grid([*head, "Epoch"], rows)


def _counts(classes: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the training rows of each class, of the first cut."""
    if not len(classes):
        return classes
    mine = classes[classes["dataset"] == dataset]
    mine = mine[mine["cut"] == mine["cut"].min()]
    return mine.drop_duplicates("class").sort_values("class")


def _classes(results: Results) -> list[tuple[str, Grid]]:
    """Return by data set a table of its classes' training rows."""
    classes = results.tables("classes")
    told = []
    for name in _datasets(results):
        counts = _counts(classes, name)
        rows = [
            [str(row["class"]), str(row["class_name"]), f"{row['train_count']:,.0f}"]
            for row in counts.to_dict("records")
        ]
        told.append((display_name(name), grid(["Class", "Name", "Training rows"], rows)))
    return [(title, table) for title, table in told if table.rows]


def _parameters(committed: Mapping[str, Any] | None, results: Results) -> Grid | None:
    """Return a table of the parameters that differ from the committed ones; None where that is not known."""
    if committed is None:
        return None
    return grid(
        ["Parameter", "Committed", "Here"], [_code(line) for line in differing(committed, results.parameters)]
    )


def _code(line: Sequence[str]) -> list[str]:
    return [f"`{text.replace('`', '')}`" for text in line]


def _command(results: Results, paths: Sequence[str]) -> str:
    """Return what makes these files again: the stages of which `dvc.lock` says so."""
    stages = [
        name
        for name, stage in results.stages.items()
        for out in stage.get("outs", ())
        if any(f"{path}/".startswith(f"{out['path']}/") for path in paths)
    ]
    return f"dvc repro -f -s {' '.join(sorted(set(stages)))}" if stages else "make repro"


def _table(name: str, parts: Sequence[Section], results: Results) -> dict[str, Any]:
    path = f"metrics/tables/{name}.csv"
    csv = results.files.get(path, "")
    first, rest = parts[0], list(parts[1:])
    title = first.title or TABLES[name]
    leading = [
        part for part in first.parts if isinstance(part, Grid) or name != "methods" or "<strong>" not in part
    ]
    return {
        "name": name,
        "title": title,
        "short": TABLES[name],
        "sections": [Section("", leading), *rest],
        "path": path if csv else "",
        "csv": Markup(_in_script(csv)),
        "command": _command(results, [f"metrics/tables/{name}.md"]),
    }


def _figure(figure: Figure, results: Results) -> dict[str, Any]:
    paths = sorted(
        path
        for path in results.files
        if path.startswith("metrics/figures/") and path.endswith(f"/{figure.name}.csv")
    )
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "rows": len(figure.rows),
        "paths": paths,
        "command": _command(results, paths),
    }


def _sheets(sheets: Sequence[Sheet], results: Results) -> list[dict[str, str]]:
    """Return the pictures as data URIs."""
    return [
        {
            "path": sheet.path,
            "uri": "data:image/png;base64," + base64.b64encode(sheet.png).decode("ascii"),
            "command": _command(results, [sheet.path]),
        }
        for sheet in sheets
    ]


def _seconds(seconds: pd.DataFrame) -> Grid | None:
    """Return a table of seconds: a row per stage, a column per data set."""
    if seconds.empty:
        return None
    sums = seconds.pivot_table(index="stage", columns="dataset", values="seconds", aggfunc="sum", sort=False)
    names = list(dict.fromkeys(seconds["dataset"]))
    rows = [
        [f"`{stage}`", *(_time(sums.loc[stage].get(name)) for name in names), _time(sums.loc[stage].sum())]
        for stage in dict.fromkeys(seconds["stage"])
    ]
    return grid(["Stage", *(display_name(name) if name else "All data sets" for name in names), "Sum"], rows)


def _time(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def _against(page: Page) -> dict[str, Any] | None:
    """Return what changed since the other results."""
    other = page.against
    if other is None:
        return None
    compared = [_compared(name, other, page) for name in TABLES if name != "claims"]
    counts = {verdict: sum((one.counts or {}).get(verdict, 0) for one in compared) for verdict in _VERDICTS}
    claims = [results.table("metrics/tables/claims.csv") for results in (other, page.results)]
    held = claims_changed(claims[0], claims[1], CLAIMS)
    headlines = differing(*(_summary(results) for results in (other, page.results)))
    parameters = differing(other.parameters, page.results.parameters)
    return {
        "name": other.name,
        "commit": other.commit or Commit("", "", ""),
        "counts": counts,
        "redefined": any(place.startswith("heads.") for place, _, _ in parameters),
        "judged": counts[NOISE] + counts[MORE],
        "all": sum(counts.values()),
        "by_table": grid(
            [
                "Table",
                "More than noise",
                "Within noise",
                "Cannot be told",
                "The same",
                "New cells",
                "Gone",
                "",
            ],
            [_count_line(one) for one in compared],
        ),
        "tables": [
            {
                "title": one.name,
                "changes": _change_grid(one),
                "added": one.added,
                "removed": one.removed,
            }
            for one in compared
            if one.changes or one.added or one.removed
        ],
        "claims": grid(["Data set", "Claim", "Cell", "Now"], held),
        "summary": grid(["Headline number", "Before", "Now"], headlines),
        "parameters": grid(["Parameter", "Before", "Now"], [_code(line) for line in parameters]),
    }


def _summary(results: Results) -> Any:
    try:
        return json.loads(results.files.get("metrics/summary.json", "{}"))
    except ValueError as error:
        raise InputError(f"metrics/summary.json: not JSON ({error}); {REMAKE}") from error


_VERDICTS = (MORE, NOISE, UNKNOWN, SAME)  # what is asked for first stands first


def _compared(name: str, other: Results, page: Page) -> Compared:
    path = f"metrics/tables/{name}.csv"
    return compare(TABLES[name], other.table(path), page.results.table(path), page.titles)


def _count_line(one: Compared) -> list[str]:
    if one.counts is None:
        return [one.name, *[""] * 6, one.said]
    counts = [str(one.counts[verdict]) for verdict in _VERDICTS]
    return [one.name, *counts, str(len(one.added)), str(len(one.removed)), ""]


def _change_grid(one: Compared) -> Grid:
    rows = []
    for change in one.changes:
        sides = [
            points(side.value) + ("" if math.isnan(side.deviation) else f" ± {points(side.deviation)}")
            for side in (change.old, change.new)
        ]
        difference = difference_points(change.new.value - change.old.value)
        needed = "" if math.isnan(change.needed) else points(change.needed)
        verdict = f"**{change.verdict}**" if change.verdict == MORE else change.verdict
        rows.append([change.cell, change.value, *sides, difference, needed, verdict])
    return grid(["Cell", "Score", "Before", "Now", "Difference", "Noise up to", "The change is"], rows)
