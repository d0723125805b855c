"""A chart, how it becomes a file of the repository, and how a part of a page."""

import copy
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert

from eos.registry import display_name
from eos.report.charts.looks import MUTED, look_of
from eos.report.wording import NOT_RUN
from eos.storage.files import replacing

VEGA_LITE = "6.4"  # vl-convert has several, and would take its newest
# vl-convert brings the first font and measures text by it. A viewer without it has one of the others; Arial
# and Helvetica are as wide.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
# What is drawn in the colour of text, and in that of the ground: a dark page sets these two to others.
INK, PAPER = {"expr": "ink"}, {"expr": "paper"}
_TONES = [{"name": "ink", "value": "#000000"}, {"name": "paper", "value": "#ffffff"}]
_CONFIG = {
    "aria": False,  # GitHub shows the file as an image
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "domainColor": "#555555",
        "tickColor": "#555555",
        "gridColor": "#ececec",
        "titlePadding": 8,
    },
    "axisX": {"grid": False},
    "legend": {
        "labelFontSize": 11,
        "labelLimit": 420,
        "columnPadding": 40,
        "title": None,
    },
    "title": {"fontSize": 13, "subtitleFontSize": 11.5, "subtitlePadding": 5},
}
_CAPTION = 11.5  # font size
_BETWEEN = 24  # pixels from a panel to the next
_FADED = 0.07  # opacity of what was not chosen in the legend


@dataclass(frozen=True)
class Chart:
    """A figure: its Vega-Lite specification, and the tidy rows that it shows.

    Attributes
    ----------
    name
        figure3, figure4, figure5, figure6, figure7, recall, confusion, settings or methods.
    title
        "Figure 3: generalization gap per class".
    caption
        What a person reads off it, one or two sentences.
    spec
        One panel of it: a layered Vega-Lite view of the data named "rows", with neither values nor titles.
    rows
        What all panels show, ready for JSON. A `note` is in the first row of its panel.
    subtitle
        What the file says below the title: the data set and its cuts, say.
    panels
        The columns of the rows whose values tell one panel from another, in the file: beside one another;
        on a page: by choice.
    size
        Width and height of a panel in the file, pixels.
    columns
        How many panels stand side by side in the file.
    above
        Pixels from a panel up to its title, in the file.
    shared
        Whether panels side by side have the same vertical axis: only the first then names it, in the file.
    hover
        Layers that a page has in addition, for the numbers at the pointer.
    """

    name: str
    title: str
    caption: str
    spec: dict[str, Any]
    rows: list[dict[str, Any]]
    subtitle: str = ""
    panels: tuple[str, ...] = ("network",)
    size: tuple[int, int] = (246, 190)
    columns: int = 2
    above: int = 6
    shared: bool = False
    hover: tuple[dict[str, Any], ...] = ()


def rows_of(data: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON has them: numbers to six decimals, nothing where there is no value."""
    rows = json.loads(data.to_json(orient="records", double_precision=6))
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def layered(*layers: Mapping[str, Any], note_lines: int = 1, **rest: Any) -> dict[str, Any]:
    """Return a panel of these layers, and its note of so many lines, which stands above its right end."""
    note = {
        "transform": [{"filter": "isValid(datum.note)"}],
        "mark": {"type": "text", "align": "right", "baseline": "bottom", "fontSize": 10, "color": MUTED},
        "encoding": {
            "x": {"value": "width"}, "y": {"value": 8 - 13 * note_lines}, "text": {"field": "note"},
        },
    }  # fmt: skip
    return {"data": {"name": "rows"}, "layer": [*layers, note], **rest}


def said(text: Any, **mark: Any) -> dict[str, Any]:
    """Return a layer that says a text, or what a column has (`{"field": ...}`)."""
    return {"mark": {"type": "text", **mark}, "encoding": {"text": text}}


def static(chart: Chart) -> dict[str, Any]:
    """Return the specification of the file: all panels, with their rows, the titles and the caption."""
    width, height = chart.size
    panels = [{**panel, "width": width, "height": height} for panel in _static_panels(chart)] or [
        {**_EMPTY, "width": 2 * width, "height": height}
    ]
    columns = min(chart.columns, len(panels))
    whole = min(720, columns * (width + 100))  # roughly, with axes
    title = {
        "text": chart.title,
        "subtitle": chart.subtitle,
        "anchor": "start",
        "frame": "bounds",
        "offset": 12,
    }
    caption = {
        "text": textwrap.wrap(chart.caption, round(whole / _CAPTION * 1.85)),
        "orient": "bottom",
        "anchor": "start",
        "frame": "bounds",
        "fontSize": _CAPTION,
        "fontWeight": "normal",
        "color": "#333333",
        "offset": 12,
    }
    return {
        "$schema": _SCHEMA,
        "background": "white",
        "padding": 8,
        "config": _CONFIG,
        "params": _TONES,
        "datasets": {"rows": chart.rows},
        "title": caption,
        "vconcat": [{"title": title, "concat": panels, "columns": columns, "spacing": _BETWEEN}],
    }


def interactive(chart: Chart) -> dict[str, Any]:
    """Return the specification of a page: one panel, with choices and with the numbers at the pointer.

    Its rows are left out: they are data named "rows", for `datasets` or for the view's `data`. What tells
    panels apart is chosen by selects, heads by clicks on the legend. Two params, `ink` and `paper`, are the
    colours of marks like text and of the ground: a dark page gives them other values. The width is that of
    the page's element.
    """
    spec = copy.deepcopy(chart.spec)
    choices = [_choice(chart, column) for column in ("dataset", *chart.panels)]
    found = {choice["name"]: choice for choice in choices if len(choice["bind"]["options"]) > 1}
    filters = [{"filter": _is_of(name, name)} for name in found]
    spec["transform"] = [*filters, *spec.get("transform", [])]
    _choose_by_legend(list(_leaves(spec["layer"])))
    spec["layer"] += [*copy.deepcopy(list(chart.hover)), _nothing(chart, list(found))]
    return {
        "$schema": _SCHEMA,
        "background": None,
        "config": {
            "view": {"stroke": None},
            "axis": {"gridColor": "#80808033", "titleFontWeight": "normal"},
            "axisX": {"grid": False},
            "legend": {"title": None, "labelLimit": 420},
        },
        "params": [*_TONES, *found.values()],
        "width": "container",
        "height": max(300, round(1.3 * chart.size[1])),
        **spec,
    }


def save_svg(chart: Chart, path: Path) -> None:
    """Write a chart as SVG, whole or not at all: equal charts give equal bytes on every machine.

    That rests on vl-convert: it runs one pinned Vega-Lite in an engine of its own, asks no network, and
    measures text by Liberation Sans, which it carries inside; the versions that a machine may have, 1.07 and
    2.1.5, are as wide. (A letter that it lacks, a Chinese one say, is measured by a font of the machine.)
    Text stays text. Places are rounded to hundredths of a pixel.

    Parameters
    ----------
    chart
        From a function of this package.
    path
        The file.
    """
    drawn = vl_convert.vegalite_to_svg(static(chart), vl_version=VEGA_LITE, allowed_base_urls=[])
    with replacing(path) as temporary:
        temporary.write_text(_shortened(drawn) + "\n", encoding="utf-8", newline="\n")


_SCHEMA = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE[0]}.json"
_EMPTY: dict[str, Any] = {
    "data": {"values": [{}]},
    **said({"value": NOT_RUN}, fontSize=16, color=MUTED),
}


def _nothing(chart: Chart, choices: Sequence[str]) -> dict[str, Any]:
    """Return a layer that says so where a choice has no rows."""
    found = {"/".join(str(row[name]) for name in choices) for row in chart.rows if set(choices) <= set(row)}
    chosen = " + '/' + ".join(choices) or "''"
    return {
        "data": {"values": [{}]},
        "transform": [{"filter": f"indexof({json.dumps(sorted(found))}, {chosen}) < 0"}],
        "mark": {"type": "text", "fontSize": 16, "color": MUTED},
        "encoding": {
            "x": {"value": {"expr": "width / 2"}},
            "y": {"value": {"expr": "height / 2"}},
            "text": {"value": NOT_RUN},
        },
    }


def _static_panels(chart: Chart) -> Iterator[dict[str, Any]]:
    """Yield the chart's panel for each of its values, in the order of the rows, with its title.

    A row without a value is in every panel.
    """
    found = [
        values
        for values in dict.fromkeys(
            tuple(row.get(column, "") for column in chart.panels) for row in chart.rows
        )
        if "" not in values
    ]
    told = [column for at, column in enumerate(chart.panels) if len({values[at] for values in found}) > 1]
    for at, values in enumerate(found):
        named = dict(zip(chart.panels, values, strict=True))
        filters = [{"filter": _is_of(column, json.dumps(value))} for column, value in named.items()]
        words = [_title_of(chart, column, named[column]) for column in told or chart.panels[:1]]
        layers = copy.deepcopy(chart.spec["layer"])
        if words:
            layers.append(_heading(", ".join(words), chart.above))
        if chart.shared and at % chart.columns:
            for layer in _leaves(layers):
                if "field" in layer["encoding"].get("y", {}):
                    layer["encoding"]["y"]["axis"] |= {"labels": False, "title": None}
        yield {**chart.spec, "layer": layers, "transform": [*filters, *chart.spec.get("transform", [])]}


def _heading(text: str, above: int) -> dict[str, Any]:
    """Return the title of a panel: a title of Vega-Lite would stand higher beside a longer axis."""
    mark = {"align": "left", "baseline": "bottom", "fontSize": 12, "fontWeight": "bold"}
    title = said({"value": text}, **mark)
    title["encoding"] |= {"x": {"value": 0}, "y": {"value": -above}}
    return {"data": {"values": [{}]}, **title}


def _is_of(column: str, value: str) -> str:
    """Return the test whether a row is of this value (or of all: it has none)."""
    return f"!isValid(datum['{column}']) || datum['{column}'] == {value}"


def _choice(chart: Chart, column: str) -> dict[str, Any]:
    """Return the select for a column: the values it has, by their titles."""
    values = list(dict.fromkeys(row[column] for row in chart.rows if column in row))
    labels = [_title_of(chart, column, value) for value in values]
    bind = {"input": "select", "options": values, "labels": labels, "name": f"{_CALLED[column]} "}
    return {"name": column, "value": values[0] if values else None, "bind": bind}


_CALLED = {"dataset": "Data set", "network": "Network", "head": "Head"}


def _title_of(chart: Chart, column: str, value: str) -> str:
    """Return what a value is called: what a row says, or the registry."""
    said_by = f"{column}_title"
    return next(
        (row[said_by] for row in chart.rows if said_by in row and row[column] == value), display_name(value)
    )


def _leaves(layers: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the layers, and those inside of them."""
    for layer in layers:
        yield from _leaves(layer["layer"]) if "layer" in layer else [layer]


def _coloured_by(layer: Mapping[str, Any]) -> str | None:
    """Return the column of names that a layer's colour or fill stands for."""
    encoding = layer.get("encoding", {})
    tones = (encoding.get(channel, {}) for channel in ("color", "fill"))
    return next((tone["field"] for tone in tones if tone.get("type") == "nominal"), None)


def _choose_by_legend(layers: list[dict[str, Any]]) -> None:
    """Let clicks on the legend choose among the colours: the other marks fade."""
    coloured = [layer for layer in layers if _coloured_by(layer)]
    for at, layer in enumerate(coloured):
        field = _coloured_by(layer)
        if at == 0:
            select = {"type": "point", "fields": [field], "toggle": "true"}
            layer["params"] = [{"name": "chosen", "select": select, "bind": "legend"}]
        mark = layer["mark"]
        shown = mark.get("opacity", 1) if isinstance(mark, dict) else 1
        layer["encoding"]["opacity"] = {
            "condition": {"param": "chosen", "value": shown},
            "value": _FADED * shown,
        }


def _shortened(svg: str) -> str:
    """Round the places of an SVG to hundredths of a pixel, and leave out what draws nothing."""
    font = f' font-family="{FONT}"'
    root = f"<svg{font}"
    whole = re.sub(r"<[^>]*>", lambda tag: _tag(tag.group().replace(font, "")), svg)
    return whole.replace("<svg", root, 1)


def _tag(tag: str) -> str:
    """Return a tag of an SVG without what draws nothing, its places rounded; text between tags is let be."""
    if re.match(r'<path class="(?:background|foreground)"', tag) and not re.search(r" (?:fill|stroke)=", tag):
        return ""
    tag = re.sub(r' (?:pointer-events|aria-[a-z]+|role|class)="[^"]*"| opacity="1"', "", tag)
    return re.sub(
        r' (?:d|transform|x2|y2|x|y|width|height)="[^"]*"', lambda found: _rounded(found.group()), tag
    )


def _rounded(text: str) -> str:
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number.group()):.2f}", text)


def by_head(labels: Mapping[str, str], colours: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return the colour and the mark of each head, by the column `head`, and a legend with these words.

    `colours` are those that differ from a head's own.
    """
    found = {head: look_of(head, labels) for head in labels}
    names = {"field": "head", "type": "nominal"}
    legend = legend_of(labels)
    tones = [colours.get(head) or colour or INK for head, (colour, _) in found.items()]
    shapes = [shape for _, shape in found.values()]
    return {
        "color": {**names, "scale": {"domain": list(found), "range": tones}, "legend": legend},
        "shape": {**names, "scale": {"domain": list(found), "range": shapes}, "legend": legend},
    }


def legend_of(labels: Mapping[str, str], columns: int = 3) -> dict[str, Any]:
    """Return a legend below the chart that calls values by these labels."""
    words = f"({json.dumps(dict(labels), ensure_ascii=False)})[datum.value]"
    return {"orient": "bottom", "columns": columns, "title": None, "labelExpr": words, "symbolOpacity": 1}


def numbers_at(
    column: str,
    across: Mapping[str, Any],
    labels: Mapping[str, str],
    value: str,
    *,
    title: str,
    by: str = "head",
    form: str = ".3f",
    more: Sequence[tuple[str, str, str]] = (),
    before: Sequence[Mapping[str, Any]] = (),
) -> tuple[dict[str, Any], ...]:
    """Return the layer of a page that shows, at the pointer, the values of all lines at one place.

    The places are in `column`, which people call `title`, the names of the lines in `by`; `form` is the
    format of the values. `more` are columns that all lines share: column, title and format. `before` are
    transforms of the rows.
    """
    told = [(head, label, form) for head, label in labels.items()] + list(more)
    texts = [
        {
            "calculate": f"isValid(datum['{name}']) ? format(datum['{name}'], '{form}') : '{NOT_RUN}'",
            "as": name,
        }
        for name, _, form in told
    ]
    shown = [{"field": column, "type": "nominal", "title": title}]
    shown += [{"field": name, "type": "nominal", "title": title} for name, title, _ in told]
    groups = [column, *(name for name, _, _ in more)]
    return (
        {
            "transform": [*before, {"pivot": by, "value": value, "groupby": groups}, *texts],
            "mark": {"type": "rule", "strokeWidth": 14, "color": MUTED},
            "encoding": {
                "x": dict(across),
                "opacity": {"condition": {"param": "pointed", "empty": False, "value": 0.2}, "value": 0},
                "tooltip": shown,
            },
            "params": [
                {"name": "pointed", "select": {"type": "point", "on": "pointerover", "clear": "pointerout"}}
            ],
        },
    )
