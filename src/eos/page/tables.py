"""Tables and text of Markdown as parts of a page: cells that sort, the best marked, footnotes at hand."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Columns in which the best cell is marked, by which way is better.
_HIGHER = {"BAC", "GM", "FM", "Mean"}
_LOWER = {"ECE", "Brier", "Rank", "Total seconds"}
_LONG = 12  # items of a list; a longer one is folded
_BROKEN = 44  # characters of a cell; a longer one is broken into lines

_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
_SHARE = re.compile(r"(\d+) of (\d+)$")
_AFTER = re.compile(r" ?(±|\[|:1$)")
_DEVIATION = re.compile(r"( ± [\d.]+)")
_FOOTNOTE = re.compile(r"\[(\d+)\] ?")


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    html
        What it shows.
    number
        What it is sorted by, where it is a number.
    best
        Whether none of its column is better.
    again
        Whether it repeats the cell above, of a group of rows.
    long
        Whether its text may be broken into lines.
    """

    html: str
    number: float | None = None
    best: bool = False
    again: bool = False
    long: bool = False


@dataclass(frozen=True)
class Grid:
    """A table: its heads, and its rows of cells."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether the columns hold numbers, which stand right."""
        columns = zip(*self.rows, strict=True)
        found = tuple(any(cell.number is not None for cell in column) for column in columns)
        return found or (False,) * len(self.head)


@dataclass
class Section:
    """A part of a page of Markdown: its title, and in order what it consists of, HTML or tables."""

    title: str
    parts: list[str | Grid] = field(default_factory=list)

    @property
    def grids(self) -> list[Grid]:
        """The tables among the parts."""
        return [part for part in self.parts if isinstance(part, Grid)]


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Mapping[str, str] | None = None) -> Grid:
    """Return the table of these texts, of which a cell may have Markdown within a line.

    In the first column an empty cell repeats the one above. Cells that end in `[1]` say the note of that name
    where the pointer is.
    """
    filled: list[tuple[Cell, ...]] = []
    for row in rows:
        cells = [Cell(_inline(text, notes or {}), number(text), long=len(text) > _BROKEN) for text in row]
        if filled and not row[0] and any(other[0] for other in rows):
            cells[0] = replace(filled[-1][0], again=True)
        filled.append(tuple(cells))
    return _with_best(_lined_up(Grid(tuple(head), tuple(filled))))


def number(text: str) -> float | None:
    """Return what a cell is sorted by: its first number, or a share; None for text.

    Examples
    --------
    >>> number("**.9327 ± .0012**"), number("3 of 4"), number("p < .001"), number("SMOTE [1]")
    (0.9327, 0.75, 0.001, None)
    """
    plain = text.replace("*", "").strip().removeprefix("p = ").removeprefix("p < ")
    if share := _SHARE.match(plain):
        return int(share[1]) / int(share[2]) if int(share[2]) else None
    found = _NUMBER.match(plain)
    rest = plain[found.end() :] if found else ""
    if not found or (rest and not _AFTER.match(rest)):
        return None
    return float(found.group().replace(",", ""))


def sections(markdown: str) -> list[Section]:
    """Return a page of Markdown by its headings; what stands before the second is the first's.

    Tables that only the width of a terminal has divided are one again. Long lists are folded.
    """
    found = [Section("")]
    sources: list[tuple[list[str], list[list[str]]] | str] = []
    notes: dict[str, str] = {}

    def close() -> None:
        found[-1].parts = [
            part if isinstance(part, str) else grid(*_without_empty(*part), notes)
            for part in _rejoined(sources)
        ]
        sources.clear()
        notes.clear()

    for block in _blocks(_markdown().parse(markdown)):
        kind = block[0].type
        if kind == "heading_open" and block[0].tag in ("h1", "h2"):
            close()
            title = block[1].content
            found.append(Section(title))
        elif kind == "table_open":
            sources.append(_cells(block))
        elif kind == "bullet_list_open":
            notes.update(_notes(block))
            sources.append(_list(block))
        else:
            sources.append(_render(block))
    close()
    return [section for section in found if section.title or section.parts]


def _blocks(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the tokens of each block at the top."""
    blocks: list[list[Token]] = [[]]
    for token in tokens:
        blocks[-1].append(token)
        if token.level == 0 and token.nesting <= 0:
            blocks.append([])
    return blocks[:-1]


def _cells(block: Sequence[Token]) -> tuple[list[str], list[list[str]]]:
    rows: list[list[str]] = []
    for token in block:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token.content.strip())
    return rows[0], rows[1:]


def _rejoined(
    parts: Sequence[tuple[list[str], list[list[str]]] | str],
) -> list[tuple[list[str], list[list[str]]] | str]:
    """Put tables beside one another that follow one another and have the same first column."""
    joined: list[tuple[list[str], list[list[str]]] | str] = []
    for part in parts:
        last = joined[-1] if joined else ""
        if isinstance(part, str) or isinstance(last, str) or not _same_first(last, part):
            joined.append(part)
        else:
            rows = [one + other[1:] for one, other in zip(last[1], part[1], strict=True)]
            joined[-1] = (last[0] + part[0][1:], rows)
    return joined


def _without_empty(head: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out columns that have nothing to say of this data set."""
    kept = [place for place in range(len(head)) if not rows or any(row[place] for row in rows)]
    return [head[place] for place in kept], [[row[place] for place in kept] for row in rows]


def _same_first(one: tuple[list[str], list[list[str]]], other: tuple[list[str], list[list[str]]]) -> bool:
    firsts = [[head[0], *(row[0] for row in rows)] for head, rows in (one, other)]
    return firsts[0] == firsts[1]


def _notes(block: Sequence[Token]) -> dict[str, str]:
    texts = [" ".join(token.content.split()) for token in block if token.type == "inline"]
    marks = ((_FOOTNOTE.match(text), text) for text in texts)
    return {mark[1]: text[mark.end() :] for mark, text in marks if mark}


def _list(block: Sequence[Token]) -> str:
    items = sum(token.type == "list_item_open" for token in block)
    text = _render(block)
    if items <= _LONG:
        return text
    return f"<details><summary>{items} lines</summary>{text}</details>"


def _render(block: Sequence[Token]) -> str:
    md = _markdown()
    return str(md.renderer.render(block, md.options, {}))


def _inline(text: str, notes: Mapping[str, str]) -> str:
    shown = str(_markdown().renderInline(text))

    def mark(found: re.Match[str]) -> str:
        if found[1] not in notes:
            return found.group()
        note = html.escape(notes[found[1]])
        return f'<sup class="note" tabindex="0" title="{note}" aria-label="Note: {note}">{found[1]}</sup>'

    return _FOOTNOTE.sub(mark, shown)


def _lined_up(table: Grid) -> Grid:
    """Give deviations a width of their own, in all cells of a column that has some: numbers stand in line."""
    columns = []
    for column in zip(*table.rows, strict=True):
        texts = [_DEVIATION.sub(r'<span class="sd">\1</span>', cell.html) for cell in column]
        if texts != [cell.html for cell in column]:
            texts = [text if "±" in text or not text else f'{text}<span class="sd"></span>' for text in texts]
        columns.append([replace(cell, html=text) for cell, text in zip(column, texts, strict=True)])
    return replace(table, rows=tuple(zip(*columns, strict=True)))


def _with_best(table: Grid) -> Grid:
    """Mark the best cells of each column for which it is known which way is better."""
    heads = table.head
    by_network = {"Mean", "Rank"} <= set(heads)  # the other columns are networks, and hold BAC
    bests: dict[int, float] = {}
    for place, head in enumerate(heads):
        values = [row[place].number for row in table.rows]
        found = [value for value in values if value is not None]
        if len(found) < 2:
            continue
        if head in _LOWER:
            bests[place] = min(found)
        elif head in _HIGHER or (by_network and place > 0):
            bests[place] = max(found)
    rows = tuple(
        tuple(
            replace(cell, best=place in bests and cell.number == bests[place])
            for place, cell in enumerate(row)
        )
        for row in table.rows
    )
    return replace(table, rows=rows)
