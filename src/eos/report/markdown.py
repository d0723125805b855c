"""The tables as Markdown that also reads well in a terminal 100 columns wide.

The paper sets methods with three metrics each side by side, which does not fit a terminal. Here a data set is
a block of its own, and a method mostly a row. A table that `with_published` has widened shows the published
BAC in the blocks of the paper's data sets; the frame has the other metrics too.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from eos.registry import display_name
from eos.report.wording import METRICS, NOT_RUN, PIXEL, RUN, SELECTIONS, SPACE_TITLES, space_of

_CLASSES = r": class(es)? .*$"
_WIDTH = 98  # columns of a terminal that the printed tables may fill

Cell = tuple[str, str, str]  # network, space, method


def markdown1(
    table: pd.DataFrame,
    notes: pd.DataFrame | None = None,
    settings: Mapping[str, str] | None = None,
    pixel_notes: pd.DataFrame | None = None,
) -> str:
    """Lay out `table1`: per dataset a group of rows for each space, the best BAC of each group bold.

    Parameters
    ----------
    table
        From `table1`, as it is or `with_published`.
    notes, settings
        As for `markdown2`.
    pixel_notes
        Columns dataset, cut, sampler, note: sentences that become footnotes of the sampler's cells in pixel
        space.
    """
    pairs = {cell[0]: None for cell in _cells(table) if not _balances_itself(cell)}
    network = ", ".join(display_name(name) for name in pairs)
    title = f"Table I: over-sampling before training and on embeddings ({network})"
    text = _opening(title, table, "best BAC of each space", settings)
    by_space = "space", SPACE_TITLES.__getitem__
    header = ["Space", "Method"]
    return _grouped(text, table, by_space, header=header, notes=notes, pixel_notes=pixel_notes)


def markdown2(
    table: pd.DataFrame, notes: pd.DataFrame | None = None, settings: Mapping[str, str] | None = None
) -> str:
    """Lay out `table2`: each loss is a group of rows, one per head, and the best BAC of each loss is bold.

    Parameters
    ----------
    table
        From `table2`, as it is or `with_published`.
    notes
        Columns dataset, cut, network, head, note: sentences that become footnotes of their cells.
    settings
        By head, what it was run with; said below the header for the heads that the table has.
    """
    text = _opening("Table II: losses and classifier heads", table, "best BAC of each loss", settings)
    return _grouped(text, table, ("network", display_name), header=["Loss", "Head"], notes=notes)


def markdown3(
    table: pd.DataFrame,
    notes: pd.DataFrame | None = None,
    settings: Mapping[str, str] | None = None,
    pixel_notes: pd.DataFrame | None = None,
) -> str:
    """Lay out `table3`: losses against methods, a line per metric, the best BAC of each loss bold.

    Its cells leave no room for marks, so the remarks below each block name their cells.

    Parameters
    ----------
    table
        From `table3`, as it is or `with_published`.
    notes, settings, pixel_notes
        As for `markdown1`.
    """
    title = "Table III: generated images before training and over-sampled embeddings"
    text = _opening(title, table, "best BAC of each loss", settings)
    for dataset, block in table.groupby("dataset", sort=False):
        first = block[block["network"] == block["network"].iloc[0]]
        rows = []
        for network, group in block.groupby("network", sort=False):
            _, *lines = zip(*_rows([""] * len(group), group, compared(block)), strict=True)
            title = display_name(str(network))
            for metric, cells in zip(_metrics(compared(block)), lines, strict=True):
                # The points of all lines stand under each other: BAC has room for bold, a difference a sign.
                indent = {"BAC": "", "Diff.": " "}.get(metric, "  ")
                rows.append(
                    [title if metric == "BAC" else "", metric, *(f"{indent}{cell}" for cell in cells)]
                )
        header = ["Loss", "", *(display_name(method) for method in first["method"])]
        remarks = _remarks(block, notes, pixel_notes)
        text += [f"## {display_name(str(dataset))}", _spread(block), grid(header, rows), *_named(remarks)]
    return "\n\n".join(text) + "\n"


def markdown4(
    table: pd.DataFrame, notes: pd.DataFrame | None = None, settings: Mapping[str, str] | None = None
) -> str:
    """Lay out `table4`: per dataset one row per K, the best BAC bold.

    Parameters
    ----------
    table
        From `table4`, as it is or `with_published`.
    notes, settings
        As for `markdown2`; the settings stand beside each K.
    """
    network = ", ".join(display_name(name) for name in table["network"].unique())
    title = f"Table IV: EOS by number of neighbours K ({network})"
    text = _opening(title, table, "best BAC of each data set", None)
    for dataset, block in table.groupby("dataset", sort=False):
        marks, footnotes = _numbered(_remarks(block, notes))
        labels = [
            f"{k}{marks.get(cell, '')}" for k, cell in zip(block["k_neighbors"], _cells(block), strict=True)
        ]
        header, rows = ["K", *_metrics(compared(block))], _rows(labels, block, compared(block))
        if settings:
            header.insert(1, "Settings")
            rows = [
                [k, settings.get(head, ""), *cells]
                for head, (k, *cells) in zip(block["head"], rows, strict=True)
            ]
        text += [f"## {display_name(str(dataset))}", _spread(block), grid(header, rows), *footnotes]
    return "\n\n".join(text) + "\n"


def markdown5(
    table: pd.DataFrame, notes: pd.DataFrame | None = None, settings: Mapping[str, str] | None = None
) -> str:
    """Lay out `table5`: each architecture is a group of rows, one per head, its best BAC bold.

    Parameters
    ----------
    table
        From `table5`, as it is or `with_published`.
    notes, settings
        As for `markdown2`.
    """
    text = _opening("Table V: architectures", table, "best BAC of each network", settings)
    return _grouped(text, table, ("network", display_name), header=["Network", "Head"], notes=notes)


def compared(table: pd.DataFrame) -> bool:
    """Say whether a table, or a block of it, has a published value beside ours."""
    return "paper_BAC" in table and bool(table["paper_BAC"].notna().any())


def selection_words(rules: Sequence[str]) -> str:
    """Say in a sentence which epochs the results are from; `rules` holds one rule."""
    return f"Selection `{rules[0]}`: {SELECTIONS.get(rules[0], 'see the parameters')}."


def points(value: float) -> str:
    """Write a fraction as the paper does: .7256, and 1.0000 in full."""
    return f"{value:.4f}".removeprefix("0")


def difference_points(value: float) -> str:
    """Write a difference of fractions with its sign: +.0123."""
    return f"{value:+.4f}".replace("0.", ".", 1)


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up in plain text."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [header, *rows]
    ]
    rule = "|" + "|".join(":" + "-" * (width + 1) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def count(number: int, noun: str) -> str:
    """Return the number and its noun: 1 cut, 2 cuts."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def wrap(text: str, subsequent_indent: str = "") -> str:
    """Break a paragraph into lines that fit the terminal."""
    return textwrap.fill(
        text, _WIDTH, subsequent_indent=subsequent_indent, break_long_words=False, break_on_hyphens=False
    )


def _opening(title: str, table: pd.DataFrame, bold: str, settings: Mapping[str, str] | None) -> list[str]:
    """Return the paragraphs before the first data set."""
    rules = [rule for rule in table["selection"].unique() if rule]
    text = [f"# {title}", wrap(f"{selection_words(rules)} Bold: {bold}.") if rules else "No cell was run."]
    if compared(table):
        if rules and rules[0] != "test":
            text.append("The paper chose its epochs on the TEST set, which flatters; this run did not.")
        text.append(
            wrap(
                "Paper: the published BAC. Diff.: ours minus it. Their GM and FM, and the ± of ours, are in "
                "the table's CSV file."
            )
        )
    methods = [method for method in _method(table).unique() if method in (settings or {})]
    if settings and methods:
        text.append(wrap("; ".join(f"{display_name(name)}: {settings[name]}" for name in methods) + "."))
    return text


def _grouped(
    text: list[str],
    table: pd.DataFrame,
    group: tuple[str, Callable[[str], str]],
    *,
    header: Sequence[str],
    notes: pd.DataFrame | None,
    pixel_notes: pd.DataFrame | None = None,
) -> str:
    """Add the data sets to the opening: rows of one method each, grouped by a column with its titles."""
    column, title = group
    for dataset, block in table.groupby("dataset", sort=False):
        marks, footnotes = _numbered(_remarks(block, notes, pixel_notes))
        rows = []
        for name, members in block.groupby(column, sort=False):
            labels = [f"{_label(cell)}{marks.get(cell, '')}" for cell in _cells(members)]
            titles = [title(str(name))] + [""] * (len(members) - 1)
            cells = _rows(labels, members, compared(block))
            rows += [[first, *rest] for first, rest in zip(titles, cells, strict=True)]
        lines = grid([*header, *_metrics(compared(block))], rows)
        text += [f"## {display_name(str(dataset))}", _spread(block), lines, *footnotes]
    return "\n\n".join(text) + "\n"


def _method(table: pd.DataFrame) -> pd.Series:
    return table["method"] if "method" in table else table["head"]


def _cells(block: pd.DataFrame) -> list[Cell]:
    """Return network, space and method of each row."""
    methods = _method(block)
    spaces = block["space"] if "space" in block else methods.map(space_of)
    return list(zip(block["network"], spaces, methods, strict=True))


def _balances_itself(cell: Cell) -> bool:
    """Say whether the network's own training balances the images: ReMix."""
    return cell[1:] == (PIXEL, "own")


def _label(cell: Cell) -> str:
    return display_name(cell[0]) if _balances_itself(cell) else display_name(cell[2])


def _spread(block: pd.DataFrame) -> str:
    """Say what the means and the ± of one dataset are over."""
    run = block[block["status"] == RUN]
    if run.empty:
        return "No cell was run."
    cuts, seeds, n = (int(run[name].max()) for name in ("cuts", "seeds", "n"))
    text = f"Over {count(cuts, 'cut')} x {count(seeds, 'head seed')}: "
    text += f"mean ± standard deviation of the {n} runs." if n > 1 else "a single run, so no ±."
    if seeds > 1 and (single := _cells(run[run["seeds"] == 1])):
        names = sorted({_label(cell) for cell in single if cell[1] != PIXEL})
        if any(space == PIXEL for _, space, _ in single):
            names.append("networks trained on balanced images")
        listed = ", ".join(names)
        text += f" {listed[0].upper()}{listed[1:]}: one run per cut{', so no ±' if cuts == 1 else ''}."
    return wrap(text)


def _remarks(
    block: pd.DataFrame, notes: pd.DataFrame | None, pixel_notes: pd.DataFrame | None = None
) -> dict[str, list[Cell]]:
    """Return what there is to say about the cells of a dataset: the cells by remark."""
    known = _cells(block)
    cuts = int(block["cuts"].max())
    run = (block["status"] == RUN) & (block["cuts"] < cuts)
    remarks = [
        (f"Run on {held} of {cuts} cuts only.", cell)
        for cell, held, incomplete in zip(known, block["cuts"], run, strict=True)
        if incomplete
    ]
    dataset = block["dataset"].iloc[0]
    for (sampler,), text in _told(dataset, pixel_notes, ["sampler"], cuts):
        remarks += [(text, cell) for cell in known if cell[1:] == (PIXEL, sampler)]
    for (network, head), text in _told(dataset, notes, ["network", "head"], cuts):
        remarks.append((text, (network, space_of(head), head)))
    cells: dict[str, list[Cell]] = {}
    for text, cell in remarks:
        if cell in known:
            cells.setdefault(text, []).append(cell)
    return cells


def _told(
    dataset: str, notes: pd.DataFrame | None, key: list[str], cuts: int
) -> list[tuple[tuple[str, ...], str]]:
    """Return the notes of a dataset; one that does not hold on every cut names its cuts.

    A note ends with the classes it is about; they are left to the notes' own table, so that the same remark
    on several cells is one footnote.
    """
    if notes is None or notes.empty:
        return []
    told = []
    here = notes[notes["dataset"] == dataset]
    remarks = here["note"].str.replace(_CLASSES, " (some classes)", regex=True)
    here = here.assign(note=remarks)
    for (*cell, note), group in here.groupby([*key, "note"], sort=False):
        held = sorted(group["cut"].unique())
        scope = "" if len(held) >= cuts else f" (cut {', '.join(str(cut) for cut in held)})"
        told.append((tuple(cell), f"{note}{scope}"))
    return told


def _numbered(remarks: Mapping[str, Sequence[Cell]]) -> tuple[dict[Cell, str], list[str]]:
    """Return the mark of each cell, and the numbered remarks as paragraphs (none or one)."""
    marks: dict[Cell, str] = {}
    for number, cells in enumerate(remarks.values(), start=1):
        for cell in dict.fromkeys(cells):
            marks[cell] = f"{marks.get(cell, '')} [{number}]"
    return marks, _paragraph(f"[{number}] {text}" for number, text in enumerate(remarks, start=1))


def _named(remarks: Mapping[str, Sequence[Cell]]) -> list[str]:
    """Return the remarks, each behind the names of its cells, as paragraphs (none or one)."""
    lines = []
    for text, cells in remarks.items():
        networks: dict[str, list[str]] = {}
        for cell in dict.fromkeys(cells):
            networks.setdefault(_label(cell), []).append(display_name(cell[0]))
        names = ", ".join(f"{label} ({', '.join(found)})" for label, found in networks.items())
        lines.append(f"{names}: {text}")
    return _paragraph(lines)


def _paragraph(items: Iterable[str]) -> list[str]:
    lines = [wrap(f"- {item}", subsequent_indent="  ") for item in items]
    return ["\n".join(lines)] if lines else []


def _metrics(with_paper: bool) -> list[str]:
    """Return the header of the columns that `_rows` fills."""
    return ["BAC", "Paper", "Diff.", "GM", "FM"] if with_paper else list(METRICS)


def _rows(labels: Sequence[str], group: pd.DataFrame, with_paper: bool) -> list[list[str]]:
    """Return label and metric cells of each row; the best BAC of the group is bold.

    Beside published values there is no room for the ± of GM and FM.
    """
    means = group["BAC"].round(4)  # as printed: equal on paper is equally bold
    rows = []
    for label, best, (_, row) in zip(labels, means == means.max(), group.iterrows(), strict=True):
        bac, gm, fm = (_value(row, name, spread=name == "BAC" or not with_paper) for name in METRICS)
        # The blanks keep the digits of plain and bold cells under each other in a terminal.
        cells = [label, f"**{bac}**" if best else f"  {bac}"]
        if with_paper:
            paper, difference = row["paper_BAC"], row["difference_BAC"]
            cells.append("" if pd.isna(paper) else points(paper))
            cells.append("" if pd.isna(difference) else difference_points(difference))
        rows.append([*cells, gm, fm])
    return rows


def _value(row: "pd.Series[float]", metric: str, *, spread: bool) -> str:
    if row["status"] != RUN:
        return NOT_RUN
    deviation = row[f"{metric}_sd"]
    shown = "" if pd.isna(deviation) or not spread else f" ± {points(deviation)}"
    return f"{points(row[metric])}{shown}"
