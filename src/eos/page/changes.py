"""Two results side by side: what changed, and whether it is more than noise.

The rule is Welch's test of two means at 5 %: a change is more than noise where it exceeds Student's quantile
times the standard error of the difference, of which each side gives sd² / runs. With several cuts a run is a
cut, for the seeds of one share its rows; with one it is a seed of the head. Where a side has one run, or all
runs of both gave the same, there is nothing to judge by, and the page says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from eos.registry import display_name

SAME, NOISE, MORE, UNKNOWN = "the same", "within noise", "more than noise", "cannot be told"
LEVEL = 0.05
VALUES = ("BAC", "GM", "FM", "ECE", "Brier")
# Of these a table has some; together they tell its rows apart.
_KEYS = ("dataset", "cut", "group", "network", "space", "method", "head", "k_neighbors", "claim", "cell")
_TEXT = {"dataset": str, "network": str, "method": str, "head": str, "k_neighbors": str, "cell": str}
_EQUAL = 1e-9  # what summation in another order leaves


@dataclass(frozen=True)
class Mean:
    """A mean over runs, and the standard deviation between them (n - 1); NaN of one."""

    value: float
    deviation: float = math.nan
    runs: int = 1


@dataclass(frozen=True)
class Change:
    """A cell of a table in both results."""

    cell: str
    value: str
    old: Mean
    new: Mean
    needed: float
    verdict: str


@dataclass(frozen=True)
class Compared:
    """A table in both results.

    Attributes
    ----------
    name
        Of the table.
    changes
        Cells and values that differ.
    counts
        How many of its values got which verdict.
    added, removed
        Cells that only the new or the old result has.
    said
        What stands in place of these, where one of the results has no such table.
    """

    name: str
    changes: tuple[Change, ...] = ()
    counts: Mapping[str, int] | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    said: str = ""


def judge(old: Mean, new: Mean) -> tuple[str, float]:
    """Return whether two means differ by more than noise, and by how much they would have to.

    Returns
    -------
    verdict
        `SAME`, `NOISE`, `MORE` or `UNKNOWN`.
    needed
        The difference that noise reaches in one of twenty cases; NaN where that is not known.

    Examples
    --------
    >>> judge(Mean(0.90, 0.01, 3), Mean(0.91, 0.01, 3))[0]
    'within noise'
    >>> judge(Mean(0.90, 0.01, 3), Mean(0.93, 0.01, 3))[0]
    'more than noise'
    """
    needed = _needed(old, new)
    if abs(new.value - old.value) < _EQUAL:
        return SAME, needed
    if math.isnan(needed):
        return UNKNOWN, needed
    return (MORE if abs(new.value - old.value) > needed else NOISE), needed


def _needed(old: Mean, new: Mean) -> float:
    sides = [(side.deviation**2 / side.runs, side.runs) for side in (old, new) if side.runs > 1]
    variance = sum(part for part, _ in sides)
    if len(sides) < 2 or not variance > 0:
        return math.nan
    from scipy.stats import t

    freedom = variance**2 / sum(part**2 / (runs - 1) for part, runs in sides)
    return float(t.ppf(1 - LEVEL / 2, freedom)) * math.sqrt(variance)


def compare(
    name: str, old: pd.DataFrame | None, new: pd.DataFrame | None, titles: Mapping[str, str]
) -> Compared:
    """Compare a table of scores cell by cell.

    Parameters
    ----------
    name
        What the page calls it.
    old, new
        Rows of cells with some of the columns BAC, GM, FM, ECE, Brier, their deviations (`BAC_sd`), and the
        numbers of cuts and seeds; None where a result has no such table.
    titles
        Of heads, as tables call them.
    """
    if old is None or new is None:
        where = "the other result" if old is None else "this result"
        return Compared(name, said=f"not in {where}: nothing to compare")
    keys = [key for key in _KEYS if key in old and key in new]
    sides = [_rows(table, keys) for table in (old, new)]
    changes, counts = [], dict.fromkeys((SAME, NOISE, MORE, UNKNOWN), 0)
    for key in [key for key in sides[1] if key in sides[0]]:
        rows = [side[key] for side in sides]
        for value in VALUES:
            before, now = (_mean(row, value) for row in rows)
            if math.isnan(before.value) or math.isnan(now.value):
                continue
            verdict, needed = judge(before, now)
            counts[verdict] += 1
            if verdict != SAME:
                changes.append(Change(_named(keys, key, titles), value, before, now, needed, verdict))
    added = tuple(_named(keys, key, titles) for key in sides[1] if key not in sides[0])
    removed = tuple(_named(keys, key, titles) for key in sides[0] if key not in sides[1])
    return Compared(name, tuple(changes), counts, added, removed)


def claims_changed(
    old: pd.DataFrame | None, new: pd.DataFrame | None, titles: Mapping[str, str]
) -> list[tuple[str, str, str, str]]:
    """Return the claims that hold in one result alone: data set, claim, cell, what became of it."""
    if old is None or new is None:
        return []
    keys = ["dataset", "claim", "cell"]
    held = [{key: bool(row["holds"]) for key, row in _rows(table, keys).items()} for table in (old, new)]
    told = {True: "holds now", False: "holds no more"}
    both = [key for key in held[1] if key in held[0] and held[0][key] != held[1][key]]
    return [
        (
            display_name(key[0]),
            titles.get(key[1], key[1]),
            ", ".join(map(display_name, key[2].split("/"))),
            told[held[1][key]],
        )
        for key in both
    ]


def differing(old: Any, new: Any, place: str = "") -> list[tuple[str, str, str]]:
    """Return what differs between two trees of parameters: the place, the old value and the new one."""
    # What one side lacks is told value by value, too: a new data set is a mapping of its own.
    if isinstance(old, Mapping) and old and new is _ABSENT:
        new = {}
    if isinstance(new, Mapping) and new and old is _ABSENT:
        old = {}
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        inside = f"{place}." if place else ""
        return [
            line
            for key in dict.fromkeys([*old, *new])
            for line in differing(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{inside}{key}")
        ]
    return [] if old == new else [(place, _short(old), _short(new))]


_ABSENT = object()


def _short(value: Any) -> str:
    text = "-" if value is _ABSENT else "null" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _rows(table: pd.DataFrame, keys: list[str]) -> dict[tuple[str, ...], dict[str, Any]]:
    texts = table[keys].fillna("").astype(str)
    return dict(zip(texts.itertuples(index=False, name=None), table.to_dict("records"), strict=True))


def _mean(row: Mapping[str, Any], value: str) -> Mean:
    runs = row.get("cuts", 1)
    if not runs > 1:
        runs = row.get("seeds", 1)
    return Mean(float(row.get(value, math.nan)), float(row.get(f"{value}_sd", math.nan)), int(runs))


def _named(keys: list[str], key: tuple[str, ...], titles: Mapping[str, str]) -> str:
    words = []
    for column, text in zip(keys, key, strict=True):
        if column in ("group", "space") or not text:
            continue
        if column == "k_neighbors":
            words.append(f"K = {text.removesuffix('.0')}")
        else:
            words.append(f"cut {text}" if column == "cut" else _names(text, titles))
    if "space" in keys and key[keys.index("space")] == "pixel":
        words.append("(on images)")
    return ", ".join(words).replace(", (", " (")


def _names(text: str, titles: Mapping[str, str]) -> str:
    return titles.get(text, display_name(text))
