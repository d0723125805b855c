"""The comparison of heads in words: what to use, what to leave, and the page that shows why."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import pandas as pd

from eos.registry import display_name
from eos.report.markdown import grid, points, selection_words, wrap
from eos.report.methods import (
    FEWEST_BLOCKS,
    FEWEST_ROWS,
    LEVEL,
    RESAMPLES,
    Avoided,
    Candidate,
    Comparison,
    Pick,
    avoided,
    first,
    head_for,
    mean_ranks,
    pairs,
    rank_test,
    value_text,
)
from eos.report.wording import NOT_RUN

#: The key of the sentence on all data sets in what `verdict` returns; no data set has this name.
ALL = ""

_WIDTH = 98  # columns of a terminal
_NAMED = 6  # equals that a sentence names
_RULES = {
    "held out": "chosen on held-out rows",
    "published default": "published default; nothing was held out",
}


def verdict(comparison: Comparison) -> dict[str, list[str]]:
    """Say what to use.

    Returns
    -------
    dict
        By data set three lines: what to use first (a network and a head), what to use if the network cannot
        be retrained (a head), and what not to bother with. With several data sets one more line, of `ALL`,
        from the heads that all their blocks share.
    """
    lines = {}
    for dataset in comparison.datasets:
        poor = avoided(comparison, dataset)
        chosen = first(comparison, dataset)
        few = _of_too_few(comparison, dataset) if chosen and chosen.held_out == "all" else ""
        lines[dataset] = [
            _of_pick(comparison, "Use first", chosen, poor) + few,
            _of_pick(
                comparison, "If you cannot retrain the network, use", head_for(comparison, dataset), poor
            ),
            _of_avoided(comparison, dataset, poor),
        ]
    if len(lines) > 1:
        poor = avoided(comparison)
        pick = _of_pick(comparison, "On all data sets, use", head_for(comparison), poor)
        if ranks := mean_ranks(comparison):
            best = next(iter(ranks))
            pick += (
                f" Best mean rank on test rows: {comparison.titles[best]}, {ranks[best]:.1f} of {len(ranks)}."
            )
        lines[ALL] = [f"{pick} {_of_avoided(comparison, None, poor)}"]
    return lines


def methods_page(comparison: Comparison) -> str:
    """Return the page of a comparison, as Markdown that also reads well in a terminal 100 columns wide."""
    text = ["# Methods: which head, on which network"]
    if not comparison.blocks:
        return "\n\n".join([*text, "Nothing was run."]) + "\n"
    told = verdict(comparison)
    for dataset, lines in told.items():
        if dataset != ALL:
            text.append(wrap(f"**{display_name(dataset)}** ({_extent(comparison, dataset)}):"))
        text.append("\n".join(_bullet(line) for line in lines))
    text += map(wrap, _cautions(comparison))
    for dataset in comparison.datasets:
        text += [f"## {display_name(dataset)}", *_grids(comparison, dataset)]
        text += map(_bullet, _not_ranked(comparison, dataset))
    text += ["## What was chosen", "\n".join(map(_bullet, _choices(comparison)))]
    text += ["## Differences that are noise", *_noise(comparison)]
    text += ["## How this was computed", "\n".join(map(_bullet, _method(comparison)))]
    return "\n\n".join(text) + "\n"


def _of_pick(comparison: Comparison, use: str, pick: Pick | None, poor: Sequence[Avoided]) -> str:
    """Say what was picked, on which rows, what the test rows say of it, and what is as good.

    A head may be within one error of the best and yet reliably below a simpler one, which then is, too.
    """
    if pick is None:
        return f"**{use}: nothing**, because no head was run on all there is to compare."
    where = {
        "all": "on held-out rows",
        "some": "on held-out rows, and on test rows where none were held out",
        "none": "on test rows",
    }[pick.held_out]
    unit = "network" if pick.network is None else "cut"
    text = f"**{use}: {_name(comparison, (pick.network, pick.head))}.** {points(pick.value)} {where}"
    text += f", mean of {pick.n_blocks} {unit}s" if pick.n_blocks > 1 else ""
    if pick.candidates == 1:
        text += "; there was nothing to choose from."
    elif pick.held_out == "none":
        text += f", which also picked it: the best of {pick.candidates} looks better than it is."
    else:
        text += f", of {pick.candidates} compared. On test rows {points(pick.test_value)}: "
        text += _confirmation(comparison, pick)
    if equals := [other for other in pick.equals if other[1] not in {one.head for one in poor}]:
        text += f" As good, within one standard error: {_some(comparison, equals)}."
    return text


def _of_too_few(comparison: Comparison, dataset: str) -> str:
    """Warn where a class has too few held-out rows to choose by."""
    rows = comparison.fewest.get(dataset, FEWEST_ROWS)  # predictions on held-out rows may not be given
    if rows >= FEWEST_ROWS:
        return ""
    return (
        f" **Too few held-out rows to trust this**: a class has {_count(rows, 'row')}. Hold out more by "
        "split.validation_fraction, or take what `recommended` in params.yaml names."
    )


def _confirmation(comparison: Comparison, pick: Pick) -> str:
    """Say whether the test rows bear out what held-out rows picked."""
    highest = f"the highest is {_name(comparison, pick.best)}, {points(pick.best_value)}"
    if pick.above:
        return f"not confirmed, reliably above it: {_some(comparison, pick.above)} ({highest})."
    if pick.best == (pick.network, pick.head):
        return "confirmed, the highest."
    return f"confirmed, nothing is reliably above it ({highest})."


def _of_avoided(comparison: Comparison, dataset: str | None, found: Sequence[Avoided]) -> str:
    """Name the heads that are reliably below the own classifier, and those below others that cost less."""
    titles = comparison.titles
    if not found:
        below = "the network's own classifier or " if "own" in titles else ""
        return f"**Do not bother with: nothing** is reliably below {below}a simpler head."
    by_reason: dict[str, list[str]] = {}
    for one in sorted(found, key=lambda one: one.below != "own"):
        by_reason.setdefault(one.below, []).append(titles[one.head])
    parts = [
        f"{', '.join(names)} (reliably below "
        + ("the network's own classifier)" if reason == "own" else f"{titles[reason]}, which is simpler)")
        for reason, names in by_reason.items()
    ]
    text = f"**Do not bother with** {'; '.join(parts)}."
    if comparison.held_out_in(comparison.shared(dataset)[0]):
        doubted = [titles[one.head] for one in found if not one.confirmed]
        text += f" Not confirmed on test rows: {', '.join(doubted)}." if doubted else " The test rows agree."
    return text


def _some(comparison: Comparison, candidates: Sequence[Candidate]) -> str:
    names = ", ".join(_name(comparison, candidate) for candidate in candidates[:_NAMED])
    more = len(candidates) - _NAMED
    return f"{names} and {more} more" if more > 0 else names


def _extent(comparison: Comparison, dataset: str) -> str:
    """Say what a data set was compared on."""
    blocks = [block for block in comparison.blocks if block[0] == dataset]
    held = len(comparison.held_out_in(blocks))
    rows = (
        "held-out rows chose" if held == len(blocks) else "no rows held out" if not held else "some held out"
    )
    cuts, networks = ({block[place] for block in blocks} for place in (1, 2))
    return f"{_count(len(cuts), 'cut')}, {_count(len(networks), 'network')}; {rows}"


def _cautions(comparison: Comparison) -> list[str]:
    """Say what the page is made of, and what it cannot tell."""
    blocks = list(comparison.blocks)
    cuts = len({block[:2] for block in blocks})
    shared = (
        ""
        if cuts == len(blocks)
        else f" Seeds and networks of one cut share their rows and are not independent: there "
        f"{'is' if cuts == 1 else 'are'} {_count(cuts, 'independent draw')} of training rows, not "
        f"{len(blocks)}."
    )
    told = [
        f"{selection_words(comparison.table['selection'].iloc[0])} {_count(len(blocks), 'block')} (dataset x "
        f"cut x network, head seeds averaged) from {cuts} dataset x cut.{shared}"
    ]
    test, compared = rank_test(comparison), len(comparison.shared()[0])
    if test:
        (chi2, chi2_p), (f, f_p) = test.friedman, test.iman_davenport
        told.append(
            f"Ranks over {compared} blocks: Friedman chi2 = {chi2:.2f} ({_p(chi2_p)}), Iman-Davenport F = "
            f"{f:.2f} ({_p(f_p)}); critical difference of mean ranks (Nemenyi, 5 %) "
            f"{test.critical_difference:.2f}."
        )
    elif compared < FEWEST_BLOCKS:
        told.append(
            f"No rank test: {_count(compared, 'block')} can be compared, and below "
            f"{FEWEST_BLOCKS} ranks say too little. What is said of noise is from the paired bootstrap over "
            "test rows; it knows nothing of another training of the network."
        )
    return told


def _grids(comparison: Comparison, dataset: str) -> list[str]:
    """Return heads against networks, in as many grids as the width takes."""
    table = comparison.table[comparison.table["dataset"] == dataset]
    heads = [head for head in comparison.heads if head in set(table["head"])]
    networks = list(dict.fromkeys(table["network"]))
    columns: list[list[str]] = []
    for network in networks:
        cells = table[table["network"] == network].groupby("head")
        bac, tie = cells["BAC"].mean(), cells["tie"].all()
        texts = [
            f"**{points(bac[head])}**" if tie[head] else f"  {points(bac[head])}"
            for head in heads
            if head in bac
        ]
        found = iter(texts)
        columns.append([display_name(network), *(next(found) if head in bac else NOT_RUN for head in heads)])
    compared = comparison.shared(dataset)[0]
    shared = table[[block in compared for block in _blocks_of(table)]]
    means = shared.groupby("head")[["BAC", "ECE", "Brier"]].mean().reindex(heads)
    ranks = mean_ranks(comparison, dataset)
    if len(networks) > 1:
        columns.append(["Mean", *(points(means.loc[head, "BAC"]) for head in heads)])
    if ranks:
        columns.append(["Rank", *(f"{ranks[head]:.1f}" if head in ranks else "" for head in heads)])
    columns += [[name, *(points(means.loc[head, name]) for head in heads)] for name in ("ECE", "Brier")]
    labels = ["Head", *(comparison.titles[head] for head in heads)]
    parts: list[list[list[str]]] = []
    room = 0
    for column in columns:
        width = max(map(len, column)) + 3
        if width > room:
            parts.append([labels])
            room = _WIDTH - max(map(len, labels)) - 4
        parts[-1].append(column)
        room -= width
    words = "Balanced accuracy by network; bold: the best, and what is not told apart from it at 5 %."
    last = "Mean, rank, ECE" if ranks else "Mean, ECE"
    words += f" {last} and Brier score (both lower is better): over the networks that are compared."
    lines = [list(zip(*part, strict=True)) for part in parts]
    return [wrap(words), *(grid(header, rows) for header, *rows in lines)]


def _not_ranked(comparison: Comparison, dataset: str) -> list[str]:
    """Name the blocks and the heads of a data set that are shown but not compared."""
    blocks, heads = comparison.shared(dataset)
    told = []
    for block, held in comparison.blocks.items():
        if block[0] == dataset and block not in blocks:
            there = [comparison.titles[head] for head in held]
            lacking = [title for title in comparison.titles.values() if title not in there]
            words = f"no {', '.join(lacking)}" if len(lacking) <= _NAMED else f"only {', '.join(there)}"
            told.append(f"Not ranked: {display_name(block[2])} (cut {block[1]}), which has {words}.")
    lacking = [title for head, title in comparison.titles.items() if head not in heads]
    if lacking:
        told.append(f"Not ranked, because not every network has them: {', '.join(lacking)}.")
    return told


def _choices(comparison: Comparison) -> list[str]:
    """Say by data set, head and rule which values were chosen, and on which networks where they differ."""
    chosen = comparison.chosen[comparison.chosen["head"].isin(comparison.heads)]
    told = []
    for (dataset, head, rule), rows in chosen.groupby(["dataset", "head", "rule"], sort=False):
        parts = []
        for parameter, found in rows.groupby("parameter", sort=False):
            by_value = {
                value: list(dict.fromkeys(cells["network"]))
                for value, cells in found.groupby("value", sort=False)
            }
            values = [
                value_text(value)
                + (f" ({', '.join(map(display_name, networks))})" if len(by_value) > 1 else "")
                for value, networks in by_value.items()
            ]
            parts.append(f"{parameter} {', '.join(values)}")
        title = comparison.titles[str(head)]
        told.append(
            f"{display_name(str(dataset))}, {title}: {'; '.join(parts)} ({_RULES.get(str(rule), str(rule))})."
        )
    return told or ["Nothing: no head has a parameter that is chosen."]


def _noise(comparison: Comparison) -> list[str]:
    """Return a grid that says by head from which others it is not told apart, and what that rests on."""
    blocks, heads = comparison.shared()
    if len(heads) < 2:
        return ["No two heads were run on all blocks."]
    frame = pairs(comparison)
    by_rank = frame["test"].iloc[0] == "wilcoxon"
    means = comparison.table[[block in blocks for block in _blocks_of(comparison.table)]]
    means = means.groupby("head")["BAC"].mean()
    order = list(dict.fromkeys([*frame["upper"], frame["lower"].iloc[-1]]))
    places = {head: number for number, head in enumerate(order, 1)}
    noise = frame[frame["noise"]]
    ranks = mean_ranks(comparison)
    # Even a head that is above another in all blocks has this p-value.
    hopeless = by_rank and len(frame) * 2.0 ** (1 - len(blocks)) >= LEVEL
    to_best = dict(zip(frame["lower"], frame["p_best"].head(len(heads) - 1), strict=False))
    rows = []
    for head in order:
        near = [*noise.loc[noise["upper"] == head, "lower"], *noise.loc[noise["lower"] == head, "upper"]]
        row = [str(places[head]), comparison.titles[head], points(means[head])]
        row += [f"{ranks[head]:.1f}"] if ranks else []
        row.append(_p(to_best[head]) if head in to_best else "")
        rows.append(row if hopeless else [*row, _ranges(map(places.get, near))])
    how = "Wilcoxon's signed ranks over blocks" if by_rank else "the paired bootstrap over test rows"
    words = (
        f"By {how}, over {_count(len(blocks), 'block')}, at 5 % after Holm, noise are "
        f"{sum(p >= LEVEL for p in to_best.values())} of the {len(heads) - 1} comparisons with the first, "
        f"and {len(noise)} of all {len(frame)} pairs."
    )
    if hopeless:
        words += (
            f" (With {len(blocks)} blocks no pair of so many is told apart, not even one that all agree on.)"
        )
    header = ["", "Head", "BAC", *(["Rank"] if ranks else []), "To the first"]
    return [wrap(words), grid(header if hopeless else [*header, "Not told apart from"], rows)]


def _method(comparison: Comparison) -> list[str]:
    """Say in five lines how the page was computed."""
    known = bool(comparison.held_out)
    return [
        "Scores are means over head seeds; a block is dataset x cut x network. Blocks that lack a listed "
        "head are shown, not ranked; where all of a data set do, they are ranked by what they share.",
        f"Paired bootstrap: {RESAMPLES:,} draws of rows within each class, the same for all cells of a data "
        "set; p from the standard error of the difference.",
        f"With {FEWEST_BLOCKS} blocks or more: Friedman and Iman-Davenport, Wilcoxon's signed ranks in "
        "pairs, Nemenyi for the figure. Pairs are corrected after Holm, at 5 %.",
        "What to use: on rows held out of the network's training where there are, the simplest head within "
        "one standard error of the best. The error is the larger of that over rows and that over blocks"
        + ("." if known else "; of held-out rows only the latter is known, or that over head seeds."),
        "Tuned heads chose among their settings on the same held-out rows, so their value there is a little "
        "optimistic.",
        "What to leave: reliably below (one-sided, 5 % after Holm, on the same rows) the own classifier or a "
        "head that costs less. The tables have heads from simple to costly.",
    ]


def _name(comparison: Comparison, candidate: Candidate) -> str:
    network, head = candidate
    title = comparison.titles[head]
    return title if network is None else f"{display_name(network)} with {title}"


def _blocks_of(table: pd.DataFrame) -> list[tuple[str, int, str]]:
    return list(table[["dataset", "cut", "network"]].itertuples(index=False, name=None))


def _ranges(numbers: Iterable[int | None]) -> str:
    """Return whole numbers in short: 1-3, 7."""
    found = sorted(number for number in numbers if number is not None)
    parts = []
    for _, run in groupby(enumerate(found), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        parts.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ", ".join(parts) or "none"


def _bullet(text: str) -> str:
    return wrap(f"- {text}", subsequent_indent="  ")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= 0.0005 else "p < .001"
