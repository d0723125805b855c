"""The tables as Markdown that also reads well in a terminal 100 columns wide.

The paper sets methods with three metrics each side by side, which does not fit a terminal. Here a data set is
a block of its own, and a method mostly a row; the best BAC of each group of rows is bold. Cells that were not
run have no row; a footnote names them, of networks only those that the paper has. A table that
`with_published` has widened shows the published BAC in the blocks of the paper's data sets; the frame has the
other metrics too.

`markdown1` to `markdown5` lay out `table1` to `table5`, and take beside the table:

- `notes`: columns dataset, cut, network, head, note: sentences that become footnotes of their cells;
- `pixel_notes`: columns dataset, cut, sampler, note: the same of the sampler's cells in pixel space;
- `settings`: by head, what it was run with; said below the header for the heads that the table has.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from eos.registry import display_name
from eos.report.published import published
from eos.report.tables import CELL, Cell, with_cells
from eos.report.wording import METRICS, NOT_RUN, PIXEL, RUN, SELECTIONS, SPACE_TITLES, space_of

Frame: TypeAlias = pd.DataFrame
Notes: TypeAlias = pd.DataFrame | None
Settings: TypeAlias = Mapping[str, str] | None

_CLASSES = r": class(es)? .*$"
_WIDTH = 98  # columns of a terminal that the printed tables may fill
# They put the points of all lines of Table III under each other: BAC has room for bold, Diff. a sign.
_INDENTS = {"BAC": "", "Paper": "  ", "Diff.": " ", "GM": "  ", "FM": "  "}


def markdown1(table: Frame, notes: Notes = None, settings: Settings = None, pixel_notes: Notes = None) -> str:
    """Lay out `table1`: each space is a group of rows."""
    networks = dict.fromkeys(cell[0] for cell in _cells(table) if not _balances_itself(cell))
    title = (
        f"I: over-sampling before training and on embeddings{f' ({_listed(networks)})' if networks else ''}"
    )
    lay_out = _grouped("space", "Space", "Method")
    return page(title, "space", table, lay_out, notes, settings=settings, pixel_notes=pixel_notes)


def markdown2(table: Frame, notes: Notes = None, settings: Settings = None) -> str:
    """Lay out `table2`: each loss is a group of rows, one per head."""
    lay_out = _grouped("network", "Loss", "Head")
    return page("II: losses and classifier heads", "loss", table, lay_out, notes, settings=settings)


def markdown3(table: Frame, notes: Notes = None, settings: Settings = None, pixel_notes: Notes = None) -> str:
    """Lay out `table3`: losses against methods, a line per metric.

    Its cells leave no room for marks, so the remarks below each block name their cells.
    """
    title = "III: generated images before training and over-sampled embeddings"
    more: dict[str, Any] = {"settings": settings, "pixel_notes": pixel_notes, "marked": False}
    return page(title, "loss", table, _side_by_side, notes, **more)


def markdown4(table: Frame, notes: Notes = None, settings: Settings = None) -> str:
    """Lay out `table4`: a row per K with its settings, and the network where there are several."""

    def by_neighbors(block: Frame, marks: Sequence[str]) -> Frame:
        lines = pd.DataFrame({"K": block["k_neighbors"].map(str) + marks})
        if settings:
            lines["Settings"] = [settings.get(head, "") for head in block["head"]]
        if block["network"].nunique() > 1:
            titles = block["network"].map(display_name)
            lines.insert(0, "Network", titles.mask(titles.duplicated(), ""))
        return lines.join(_values(block, "network"))

    run = table.loc[table["status"] == RUN, "network"].unique()
    title = f"IV: EOS by number of neighbours K{f' ({_listed(run)})' if len(run) else ''}"
    return page(title, "network", table, by_neighbors, notes)


def markdown5(table: Frame, notes: Notes = None, settings: Settings = None) -> str:
    """Lay out `table5`: each architecture is a group of rows, one per head."""
    lay_out = _grouped("network", "Network", "Head")
    return page("V: architectures", "network", table, lay_out, notes, settings=settings)


def selection_words(rule: str) -> str:
    """Say in a sentence which epochs the results are from."""
    return f"Selection `{rule}`: {SELECTIONS.get(rule, 'see the parameters')}."


def points(value: float) -> str:
    """Write a fraction as the paper does: .7256, and 1.0000 in full; nothing where it is missing."""
    return "" if pd.isna(value) else f"{value:.4f}".removeprefix("0")


def difference_points(value: float) -> str:
    """Write a difference of fractions with its sign: +.0123; nothing where it is missing."""
    return "" if pd.isna(value) else f"{value:+.4f}".replace("0.", ".", 1)


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up in plain text."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    first, *rest = (
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (header, *rows)
    )
    rule = "|" + "|".join(":" + "-" * (width + 1) for width in widths) + "|"
    return "\n".join([first, rule, *rest])


def wrap(text: str, subsequent_indent: str = "") -> str:
    """Break a paragraph into lines that fit the terminal."""
    return textwrap.fill(
        text, _WIDTH, subsequent_indent=subsequent_indent, break_long_words=False, break_on_hyphens=False
    )


def page(
    title: str,
    group: str,
    table: Frame,
    lay_out: Callable[[Frame, Sequence[str]], Frame],
    notes: Notes,
    *,
    settings: Settings = None,
    pixel_notes: Notes = None,
    marked: bool = True,
    about: Sequence[str] = (),
    said: Callable[[Frame], list[str]] = lambda block: [],
) -> str:
    """Return a page: an opening, and for each data set a grid with footnotes.

    The best BAC of each `group` is bold. `lay_out` makes the grid of a data set's rows and of the footnotes'
    marks for them; where it does not show the marks (`marked`), the footnotes name their cells. The opening
    ends with the paragraphs `about`; what is `said` of a data set's rows comes behind its grid.
    """
    run = table[table["status"] == RUN]
    text = [f"# Table {title}", *_opening(group, run, settings or {}), *map(wrap, about if len(run) else ())]
    for dataset, block in run.groupby("dataset", sort=False):
        asked, cells_run = table[table["dataset"] == dataset], set(_cells(block))
        remarks = _remarks(asked, notes, pixel_notes)
        on_rows = {
            remark: cells for remark, cells in remarks.items() if marked and cells_run.intersection(cells)
        }
        marks = [
            "".join(f" [{number}]" for number, cells in enumerate(on_rows.values(), 1) if cell in cells)
            for cell in _cells(block)
        ]
        lines = lay_out(block, marks)
        text += [f"## {display_name(str(dataset))}", _spread(block)]
        text += [grid(list(lines), lines.to_numpy().tolist()), *map(wrap, said(block))]
        footnotes = [f"[{number}] {remark}" for number, remark in enumerate(on_rows, 1)]
        footnotes += [
            f"{_named(cells)}: {remark}" for remark, cells in remarks.items() if remark not in on_rows
        ]
        if missing := _not_run(asked):
            footnotes.append(f"Not run: {missing}.")
        footnotes = [wrap(f"- {footnote}", subsequent_indent="  ") for footnote in footnotes]
        text += ["\n".join(footnotes)] if footnotes else []
    return "\n\n".join(text) + "\n"


def _opening(group: str, table: Frame, settings: Mapping[str, str]) -> list[str]:
    """Return the paragraphs between the title and the first data set."""
    rules = table["selection"].unique()
    words = "Nothing that this table compares was run."
    text = [f"{selection_words(rules[0])} Bold: best BAC of each {group}." if len(rules) else words]
    if _compared(table):
        if rules[0] != "test":
            text.append("The paper chose its epochs on the TEST set, which flatters; this run did not.")
        text.append(
            "Paper: the published BAC. Diff.: ours minus it. Their GM and FM, and the ± of ours, are in the "
            "table's CSV file."
        )
    methods = [method for method in with_cells(table)["method"].unique() if method in settings]
    if methods:
        text.append("; ".join(f"{display_name(method)}: {settings[method]}" for method in methods) + ".")
    return [wrap(paragraph) for paragraph in text]


def _grouped(column: str, group: str, member: str) -> Callable[[Frame, Sequence[str]], Frame]:
    """Return a layout of a row per cell, grouped by a column; `group` and `member` are the first headers."""

    def lay_out(block: Frame, marks: Sequence[str]) -> Frame:
        titles = block[column].map(SPACE_TITLES.get if column == "space" else display_name)
        labels = [_label(cell) + mark for cell, mark in zip(_cells(block), marks, strict=True)]
        lines = pd.DataFrame({group: titles, member: labels}).join(_values(block, column))
        lines = lines.iloc[pd.factorize(titles)[0].argsort(kind="stable")]
        return lines.assign(**{group: lines[group].mask(lines[group].duplicated(), "")})

    return lay_out


def _side_by_side(block: Frame, _: Sequence[str]) -> Frame:
    """Lay out networks and metrics against methods."""
    values, methods = _values(block, "network").assign(method=block["method"]), block["method"].unique()
    rows = []
    for network, group in values.groupby(block["network"], sort=False):
        cells = group.set_index("method").reindex(methods).fillna(NOT_RUN)
        for metric in cells:
            title = display_name(str(network)) if metric == "BAC" else ""
            rows.append([title, metric, *(_INDENTS[str(metric)] + cells[metric])])
    return pd.DataFrame(rows, columns=["Loss", "", *map(display_name, methods)])


def _values(block: Frame, column: str) -> Frame:
    """Return the metrics of each row as text; the best BAC of the rows with one value in the column is bold.

    Beside published values there is no room for the ± of GM and FM.
    """
    texts = pd.DataFrame({metric: block[metric].map(points) for metric in METRICS})
    for metric in ["BAC"] if _compared(block) else METRICS:
        texts[metric] += (" ± " + block[f"{metric}_sd"].map(points)).replace(" ± ", "")
    means = block["BAC"].astype(float).round(4)  # as printed: equal on paper is equally bold
    best = means == means.groupby(block[column]).transform("max")
    # The blanks keep the digits of plain and bold cells under each other in a terminal.
    texts["BAC"] = ("  " + texts["BAC"]).mask(best, "**" + texts["BAC"] + "**")
    if _compared(block):
        texts.insert(1, "Paper", block["paper_BAC"].map(points))
        texts.insert(2, "Diff.", block["difference_BAC"].map(difference_points))
    return texts


def _compared(table: Frame) -> bool:
    """Say whether a table, or a block of it, has a published value beside ours."""
    return "paper_BAC" in table and bool(table["paper_BAC"].notna().any())


def _cells(block: Frame) -> list[Cell]:
    return list(with_cells(block)[CELL].itertuples(index=False, name=None))


def _balances_itself(cell: Cell) -> bool:
    """Say whether the network's own training balances the images: ReMix."""
    return cell[1:] == (PIXEL, "own")


def _label(cell: Cell) -> str:
    return display_name(cell[0] if _balances_itself(cell) else cell[2])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(display_name, names))


def _spread(block: Frame) -> str:
    """Say what the means and the ± of one dataset are over."""
    cuts, seeds, n = block[["cuts", "seeds", "n"]].max()
    text = f"Over {_count(cuts, 'cut')} x {_count(seeds, 'head seed')}: "
    text += f"mean ± standard deviation of the {n} runs." if n > 1 else "a single run, so no ±."
    if seeds > 1 and (single := _cells(block[block["seeds"] == 1])):
        names = sorted({_label(cell) for cell in single if cell[1] != PIXEL})
        if any(cell[1] == PIXEL for cell in single):
            names.append("networks trained on balanced images")
        listed = ", ".join(names)
        text += f" {listed[0].upper()}{listed[1:]}: one run per cut{', so no ±' if cuts == 1 else ''}."
    return wrap(text)


def _count(number: int, noun: str) -> str:
    """Return the number and its noun: 1 cut, 2 cuts."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _remarks(block: Frame, notes: Notes, pixel_notes: Notes) -> dict[str, list[Cell]]:
    """Return what there is to say about the cells of a dataset: the cells by remark."""
    known, cuts = _cells(block), block["cuts"].max()
    remarks = [
        (f"Run on {held} of {cuts} cuts only.", cell)
        for cell, held in zip(known, block["cuts"], strict=True)
        if 0 < held < cuts
    ]
    for remark, sampler in _told(block, pixel_notes, ["sampler"]):
        remarks += [(remark, cell) for cell in known if cell[1:] == (PIXEL, sampler)]
    for remark, network, head in _told(block, notes, ["network", "head"]):
        remarks.append((remark, (network, space_of(head), head)))
    cells: dict[str, list[Cell]] = {}
    for remark, cell in remarks:
        if cell in known:
            cells.setdefault(remark, []).append(cell)
    return cells


def _told(block: Frame, notes: Notes, key: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the notes of a dataset with the names of what they are about.

    One that does not hold on every cut names its cuts. A note ends with the classes it is about; they are
    left to the notes' own table, so that the same remark on several cells is one footnote.
    """
    if notes is None or notes.empty:
        return
    here = notes[notes["dataset"] == block["dataset"].iloc[0]]
    here = here.assign(note=here["note"].str.replace(_CLASSES, " (some classes)", regex=True))
    for (*names, note), group in here.groupby([*key, "note"], sort=False):
        held = sorted(group["cut"].unique())
        scope = "" if len(held) >= block["cuts"].max() else f" (cut {', '.join(map(str, held))})"
        yield f"{note}{scope}", *names


def _not_run(block: Frame) -> str:
    """Name the paper's networks that a dataset has no cell of, and the cells that its networks lack."""
    held = set(block.loc[block["status"] == RUN, "network"])
    known = set(published()["network"])
    absent = [network for network in block["network"].unique() if network in known - held]
    parts = [_listed(absent)] if absent and held & known else []
    on_embeddings = {method for _, space, method in _cells(block) if space != PIXEL}
    lacking: dict[str, list[str]] = {}
    for cell, row in zip(_cells(block), block.to_dict("records"), strict=True):
        if cell[0] in held and row["status"] == NOT_RUN:
            label = f"K = {row['k_neighbors']}" if "k_neighbors" in row else _label(cell)
            label += " on pixels" if cell[1] == PIXEL and cell[2] in on_embeddings else ""
            lacking.setdefault(label, []).append(cell[0])
    for label, networks in lacking.items():
        parts.append(label if len(networks) == len(held) else f"{label} ({_listed(networks)})")
    return "; ".join(parts)


def _named(cells: Iterable[Cell]) -> str:
    """Name cells, those of one method together: GAMO (CE, ASL)."""
    networks: dict[str, list[str]] = {}
    for cell in cells:
        networks.setdefault(_label(cell), []).append(cell[0])
    return ", ".join(f"{label} ({_listed(found)})" for label, found in networks.items())
