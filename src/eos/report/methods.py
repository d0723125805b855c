"""Which head to use: every head on every network, and which of their differences are noise.

A *block* is dataset x cut x network, its head seeds averaged. Blocks that have all listed heads are compared;
of a data set that has no such block, all blocks by the heads that they share.
`compare` draws the resamples that all the rest rests on; the tables, `pairs`, `rank_test` and the three
questions (`first`, `head_for`, `avoided`) read them. `eos.report.methods_page` puts it into words, and
`eos.report.charts.methods` draws it.

**The paired bootstrap.** The rows of a data set are drawn anew within each class, once for all its cells, so
that differences are paired; balanced accuracies of the resamples are means over the head seeds. Of a class of
n rows n - 1 are drawn, which makes the variance unbiased (Rao and Wu 1988); a class with a single row adds
none. Draws and counts are whole numbers, so they are the same on every processor.

**Held-out rows choose, test rows report.** Where rows were held out of a network's training and a block has
the balanced accuracy on them for all its heads, they decide the three questions.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
import pandas as pd

from eos.errors import InputError

#: Dataset, cut, network and head.
Cell: TypeAlias = tuple[str, int, str, str]
#: Dataset, cut and network.
Block: TypeAlias = tuple[str, int, str]
#: Network and head; no network where heads are compared within the networks there are.
Candidate: TypeAlias = tuple[str | None, str]
#: By cell: the labels of rows (n,), and what each head seed predicted of them, (n_seeds, n).
Predictions: TypeAlias = Mapping[Cell, tuple[np.ndarray, np.ndarray]]

BLOCK = ["dataset", "cut", "network"]
CELL = [*BLOCK, "head"]
LEVEL = 0.05
FEWEST_BLOCKS = 10  # with fewer, ranks say too little: no rank test
FEWEST_ROWS = 5  # held-out rows of a class: with fewer, one of them decides
RESAMPLES = 2000

_DRAWS = 4_000_000  # at once, which bounds the memory
_SMALL = 12  # decimals that tell equal values apart from those summed in another order
_PRINTED = 9  # decimals of what comes out of logarithms and exponentials, which processors round differently

_COLUMNS = [
    *CELL, "selection", "seeds", "BAC", "BAC_sd", "held_out_BAC", "held_out_BAC_sd", "ECE", "Brier", "rank",
    "tie", "chosen",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` returns."""

    #: `methods_table` returns it.
    table: pd.DataFrame
    #: Columns dataset, cut, network, head, parameter, value, rule.
    chosen: pd.DataFrame
    #: All listed heads in order, the simplest first, by title.
    titles: Mapping[str, str]
    #: By cell, the resampled balanced accuracies, (RESAMPLES,), on test rows and on held-out rows.
    test: Mapping[Cell, np.ndarray]
    held_out: Mapping[Cell, np.ndarray]
    #: By data set with held-out rows, how many the class with the fewest has.
    fewest: Mapping[str, int]

    @property
    def heads(self) -> tuple[str, ...]:
        """All listed heads, the simplest first."""
        return tuple(self.titles)

    @cached_property
    def blocks(self) -> dict[Block, tuple[str, ...]]:
        """All blocks, in order, with the heads that each has."""
        groups = self.table.groupby(BLOCK, sort=False)["head"]
        return {block: tuple(heads) for block, heads in groups}

    @cached_property
    def cells(self) -> dict[Cell, dict[str, Any]]:
        """The rows of the table by cell."""
        return dict(zip(_keys(self.table, CELL), self.table.to_dict("records"), strict=True))

    @property
    def datasets(self) -> list[str]:
        """The data sets, in order."""
        return list(dict.fromkeys(block[0] for block in self.blocks))

    def shared(self, dataset: str | None = None) -> tuple[list[Block], list[str]]:
        """Return what a data set, or all (None), is compared by: blocks, and the heads that all of them have.

        Of a data set these are the blocks with the most of the listed heads.
        """
        asked = self.datasets if dataset is None else [dataset]
        blocks = [block for name in asked for block in _compared(self.blocks, name)]
        held = [self.blocks[block] for block in blocks]
        return blocks, [head for head in self.heads if held and all(head in heads for heads in held)]

    def held_out_in(self, blocks: Iterable[Block]) -> list[Block]:
        """Return those of the blocks whose heads were all scored on held-out rows."""
        return [
            block
            for block in blocks
            if all(not math.isnan(self.cells[*block, head]["held_out_BAC"]) for head in self.blocks[block])
        ]


def compare(
    scores: pd.DataFrame,
    chosen: pd.DataFrame,
    predictions: Predictions,
    heads: Mapping[str, str],
    *,
    held_out: Predictions | None = None,
) -> Comparison:
    """Compare heads on networks.

    Parameters
    ----------
    scores
        One row per head seed: dataset, cut, network, head, seed, selection, BAC, held_out_BAC, ECE, Brier.
        held_out_BAC is the balanced accuracy on rows that the network was not trained on, and empty where
        none were held out. Heads that are not listed are left out.
    chosen
        What was chosen: dataset, cut, network, head, parameter, value, rule ("held out" or "published
        default").
    predictions
        By (dataset, cut, network, head), of every cell of `scores`: the labels of the test rows, (n,), and
        what each head seed predicted, (n_seeds, n). All cells of a data set and cut have the same labels.
    heads
        What tables call each head, in the order of what they cost, the simplest first.
    held_out
        The same on held-out rows. Without it the error of what was measured on them is taken from its spread
        over blocks, or over head seeds where there is one block, and misses that of the rows.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If a seed's score is there twice, a cell has no predictions, or labels and predictions do not fit.
    """
    scores = scores[scores["head"].isin(list(heads))]
    if scores.duplicated([*CELL, "seed"]).any():
        twice = scores[scores.duplicated([*CELL, "seed"])].iloc[0]
        place = "/".join(str(twice[name]) for name in [*CELL, "seed"])
        raise InputError(f"scores: {place} is there twice; give one row per head seed")
    cells = list(dict.fromkeys(_keys(scores, CELL)))
    missing = [cell for cell in cells if cell not in predictions]
    if missing:
        raise InputError(f"predictions: none of {'/'.join(map(str, missing[0]))}; give those of every score")
    known = {cell: held_out[cell] for cell in cells if cell in held_out} if held_out else {}
    # The cuts of a data set have the same test rows, which are then drawn alike, but other held-out rows.
    test = _resampled({cell: predictions[cell] for cell in cells}, "predictions", "{0}")
    on_held_out = _resampled(known, "held_out", "{0}, {1}")
    table = _tabulated(scores, chosen, list(heads), test)
    return Comparison(table, chosen, dict(heads), test, on_held_out, _fewest(known))


def _fewest(predictions: Predictions) -> dict[str, int]:
    """Return by data set how many rows the class with the fewest has."""
    found: dict[str, int] = {}
    for (dataset, *_), (labels, _) in predictions.items():
        rows = int(np.unique(labels, return_counts=True)[1].min(initial=len(labels)))
        found[dataset] = min(rows, found.get(dataset, rows))
    return found


def methods_table(comparison: Comparison) -> pd.DataFrame:
    """Return the tidy table of a comparison.

    Returns
    -------
    pandas.DataFrame
        One row per dataset, cut, network (in order of appearance) and head (in the order listed):

        - selection: the rule that chose the epochs; seeds: the number of head seeds;
        - BAC, held_out_BAC, ECE, Brier: means over them; BAC_sd, held_out_BAC_sd: standard deviations
          (n - 1), empty for one seed;
        - rank: by BAC among the heads that the data set is compared by (`Comparison.shared`), 1 for the
          highest, equal ones share the mean; empty for other heads and blocks;
        - tie: whether it is the best of its block, or not told apart from it by the paired bootstrap at 5 %
          after Holm;
        - chosen: what was chosen, and by which rule.
    """
    return comparison.table.copy()


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number: step-down after Holm (1979)."""
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty_like(p_values)
    factors = np.arange(len(p_values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return corrected


@dataclass(frozen=True)
class RankTest:
    """Mean ranks of heads over blocks, and whether they can differ so by chance."""

    #: By head, the best first; 1 is the highest balanced accuracy.
    mean_ranks: Mapping[str, float]
    n_blocks: int
    #: Friedman (1937): chi squared and its p; Iman and Davenport (1980): the less conservative F and its p.
    friedman: tuple[float, float]
    iman_davenport: tuple[float, float]
    #: Of two mean ranks, at 5 % (Nemenyi 1963; Demsar 2006, section 3.2.2).
    critical_difference: float

    def groups(self) -> list[tuple[str, ...]]:
        """Return the largest sets of heads, the best first, whose mean ranks are within the difference."""
        heads, ranks = list(self.mean_ranks), np.array(list(self.mean_ranks.values()))
        found: list[tuple[str, ...]] = []
        last = 0
        for start, rank in enumerate(ranks):
            end = int((ranks <= rank + self.critical_difference).sum())
            if end > last and end - start > 1:
                found.append(tuple(heads[start:end]))
            last = max(last, end)
        return found


def rank_test(comparison: Comparison) -> RankTest | None:
    """Test the mean ranks of heads over all blocks that are compared.

    None with fewer than ten blocks or three heads, which are too few. Seeds are averaged before; networks of
    one cut count as independent here, which they are not.
    """
    from scipy.stats import f, friedmanchisquare, studentized_range

    blocks, heads = comparison.shared()
    n, k = len(blocks), len(heads)
    if n < FEWEST_BLOCKS or k < 3:
        return None
    values = _matrix(comparison, blocks, heads, "BAC").round(_SMALL)
    ranks = mean_ranks(comparison)
    # Where all heads are equal on all blocks nothing is ranked, and the statistic is 0 / 0.
    same = (values == values[:, :1]).all()
    chi2, p = (0.0, 1.0) if same else map(float, friedmanchisquare(*values.T))
    rest = n * (k - 1) - chi2
    f_value = math.inf if rest <= 0 else (n - 1) * chi2 / rest
    critical = float(studentized_range.ppf(1 - LEVEL, k, np.inf)) / math.sqrt(2)
    return RankTest(
        ranks,
        n,
        (round(chi2, _PRINTED), round(p, _PRINTED)),
        (round(f_value, _PRINTED), round(float(f.sf(f_value, k - 1, (k - 1) * (n - 1))), _PRINTED)),
        round(critical * math.sqrt(k * (k + 1) / (6 * n)), _PRINTED),
    )


def block_ranks(comparison: Comparison, dataset: str | None = None) -> pd.DataFrame:
    """Return the rank of each head, a column, in each block of a data set, or of all: a row."""
    from scipy.stats import rankdata

    blocks, heads = comparison.shared(dataset)
    values = _matrix(comparison, blocks, heads, "BAC").round(_SMALL)
    return pd.DataFrame(rankdata(-values, axis=1) if heads else np.empty((len(blocks), 0)), columns=heads)


def mean_ranks(comparison: Comparison, dataset: str | None = None) -> dict[str, float]:
    """Return the mean rank of each head over the blocks of a data set, or of all; the best first."""
    means = block_ranks(comparison, dataset).mean().round(_SMALL)
    return {str(head): float(rank) for head, rank in means.sort_values(kind="stable").items()}


def pairs(comparison: Comparison) -> pd.DataFrame:
    """Compare heads two by two, over the blocks that `Comparison.shared` has.

    With ten blocks or more by Wilcoxon's signed ranks over blocks (1945), with fewer by the paired
    bootstrap over test rows, averaged over the blocks.

    Returns
    -------
    pandas.DataFrame
        One row per pair:

        - upper, lower: heads, by mean balanced accuracy; difference: of these means;
        - p: of the pair alone; p_holm: corrected for all pairs; p_best: corrected for the comparisons with
          the best head alone, empty for pairs without it;
        - noise: whether p_holm is at least 5 %;
        - test: "wilcoxon" or "bootstrap".
    """
    blocks, heads = comparison.shared()
    values = _matrix(comparison, blocks, heads, "BAC")
    means = values.mean(axis=0).round(_SMALL) if len(blocks) else np.empty(0)
    by_rank = len(blocks) >= FEWEST_BLOCKS
    samples = np.empty((0, 0)) if by_rank else _samples(comparison.test, blocks, heads)
    rows = []
    for upper, lower in combinations(np.argsort(-means, kind="stable"), 2):
        difference = means[upper] - means[lower]
        if by_rank:
            p = _signed_rank(values[:, upper] - values[:, lower])
        else:
            p = _two_sided(difference, (samples[:, upper] - samples[:, lower]).std())
        rows.append((heads[upper], heads[lower], round(difference, _SMALL), round(p, _PRINTED)))
    frame = pd.DataFrame(rows, columns=["upper", "lower", "difference", "p"])
    p_values = frame["p"].to_numpy(dtype=np.float64)
    frame["p_holm"] = holm(p_values).round(_PRINTED)
    # The pairs of the best stand first.
    frame["p_best"] = pd.Series(holm(p_values[: max(0, len(heads) - 1)]).round(_PRINTED))
    return frame.assign(noise=frame["p_holm"] >= LEVEL, test="wilcoxon" if by_rank else "bootstrap")


def differences_to_best(comparison: Comparison, dataset: str | None = None) -> pd.DataFrame:
    """Compare heads with the highest, over the blocks of a data set, or of all, that `shared` has.

    Returns
    -------
    pandas.DataFrame
        One row per head, the highest first: head, blocks (their number), BAC (mean over them), difference
        (to the highest), low and high (its 95 % interval, percentiles of the paired bootstrap over test
        rows), p_holm (corrected for all comparisons with the highest; 1 for itself).
    """
    blocks, heads = comparison.shared(dataset)
    if not heads:
        return pd.DataFrame(columns=["head", "blocks", "BAC", "difference", "low", "high", "p_holm"])
    means = _matrix(comparison, blocks, heads, "BAC").mean(axis=0).round(_SMALL)
    order = np.argsort(-means, kind="stable")
    means, samples = means[order], _samples(comparison.test, blocks, heads)[:, order]
    apart = samples - samples[:, :1]
    p_values = [
        _two_sided(*pair) for pair in zip(means[1:] - means[0], apart[:, 1:].std(axis=0), strict=True)
    ]
    low, high = np.quantile(apart, [LEVEL / 2, 1 - LEVEL / 2], axis=0).round(_PRINTED)
    return pd.DataFrame(
        {
            "head": [heads[place] for place in order],
            "blocks": len(blocks),
            "BAC": means,
            "difference": (means - means[0]).round(_SMALL),
            "low": low,
            "high": high,
            "p_holm": np.append(1.0, holm(p_values).round(_PRINTED)),
        }
    )


@dataclass(frozen=True)
class Pick:
    """An answer to what should be used."""

    network: str | None
    head: str
    #: The mean balanced accuracy on the rows that decided, and on test rows.
    value: float
    test_value: float
    #: How many were there to choose from, and over how many blocks each is a mean.
    candidates: int
    n_blocks: int
    #: Where the deciding rows were held out: "all" blocks, "some" (test rows in the others), "none".
    held_out: str
    #: Others within one standard error of the best, in the order of what they cost.
    equals: tuple[Candidate, ...]
    #: What is above it on test rows, by the paired bootstrap at 5 % after Holm; the highest first.
    above: tuple[Candidate, ...]
    #: The highest on test rows, and its balanced accuracy.
    best: Candidate
    best_value: float


def first(comparison: Comparison, dataset: str) -> Pick | None:
    """Pick a network and a head for a data set: the simplest head within one standard error of the best.

    The balanced accuracies are means over cuts; networks without one of the cuts are left out.
    Equally simple heads are told apart by their balanced accuracy.
    """
    blocks = [block for block in comparison.blocks if block[0] == dataset]
    cuts = list(dict.fromkeys(cut for _, cut, _ in blocks))
    networks = dict.fromkeys(network for _, _, network in blocks)
    candidates = [
        (network, head)
        for head in comparison.heads
        for network in networks
        if all(head in comparison.blocks.get((dataset, cut, network), ()) for cut in cuts)
    ]
    # Rows of one kind only: values on held-out and on test rows cannot be compared.
    held_out = blocks if len(comparison.held_out_in(blocks)) == len(blocks) else []
    cells: list[list[Cell]] = [
        [(dataset, cut, str(network), head) for network, head in candidates] for cut in cuts
    ]
    return _Group(comparison, candidates, cells, held_out).pick() if candidates else None


def head_for(comparison: Comparison, dataset: str | None = None) -> Pick | None:
    """Pick a head over the networks of a data set, or of all: the simplest within one error of the best."""
    return group.pick() if (group := _heads(comparison, dataset)) else None


@dataclass(frozen=True)
class Avoided:
    """A head that is reliably below one that costs less."""

    head: str
    #: The network's own classifier if that is above it, else the simplest head that is.
    below: str
    #: Whether the test rows, too, have it reliably below one that costs less.
    confirmed: bool


def avoided(comparison: Comparison, dataset: str | None = None) -> list[Avoided]:
    """Return the heads that are reliably below the own classifier or below a head that is listed before.

    One-sided, at 5 % after Holm over all these pairs, on the rows that decide.
    """
    group = _heads(comparison, dataset)
    if group is None:
        return []
    below, on_test = group.below(), group.below(test=True)
    return [Avoided(head, reason, head in on_test) for head, reason in below.items()]


def _heads(comparison: Comparison, dataset: str | None) -> "_Group | None":
    """Return the heads that all blocks share, to be compared within these."""
    blocks, heads = comparison.shared(dataset)
    cells = [[(*block, head) for head in heads] for block in blocks]
    candidates: list[Candidate] = [(None, head) for head in heads]
    held_out = comparison.held_out_in(blocks)
    return _Group(comparison, candidates, cells, held_out) if heads else None


class _Group:
    """Candidates over blocks, on the rows that decide and on test rows.

    `cells` has a list per block, with a cell for each candidate; `held_out` are the blocks whose held-out
    rows decide.
    """

    def __init__(
        self,
        comparison: Comparison,
        candidates: Sequence[Candidate],
        cells: Sequence[Sequence[Cell]],
        held_out: Sequence[Block],
    ) -> None:
        self.candidates = candidates
        self.order = [comparison.heads.index(head) for _, head in candidates]
        by_held_out = [[cell[:3] in held_out for cell in row] for row in cells]
        self.share = "all" if np.all(by_held_out) else "some" if np.any(by_held_out) else "none"
        self.test = _values(comparison, cells, "BAC")
        self.values = np.where(by_held_out, _values(comparison, cells, "held_out_BAC"), self.test)
        self.test_samples = _mean_samples([[comparison.test[cell] for cell in row] for row in cells])
        deciding = [
            [
                (comparison.held_out if held else comparison.test).get(cell)
                for cell, held in zip(*row, strict=True)
            ]
            for row in zip(cells, by_held_out, strict=True)
        ]
        known = [[sample for sample in row if sample is not None] for row in deciding]
        complete = all(len(row) == len(candidates) for row in known)
        self.samples = _mean_samples(known) if complete else None
        seeds, deviations = (_values(comparison, cells, name) for name in ("seeds", "held_out_BAC_sd"))
        self.seed_errors = np.nan_to_num(deviations) / np.sqrt(seeds)

    def pick(self) -> Pick:
        """Pick the simplest within one standard error of the best."""
        means, test = (values.mean(axis=0).round(_SMALL) for values in (self.values, self.test))
        best = int(np.argmax(means))
        errors = self.errors(best, self.values, self.samples)
        equal = np.flatnonzero(means[best] - means <= errors).tolist()
        chosen, *others = sorted(equal, key=lambda place: (self.order[place], -means[place]))
        above, highest = self._above(chosen), int(np.argmax(test))
        return Pick(
            network=self.candidates[chosen][0],
            head=self.candidates[chosen][1],
            value=float(means[chosen]),
            test_value=float(test[chosen]),
            candidates=len(means),
            n_blocks=len(self.values),
            held_out=self.share,
            equals=tuple(self.candidates[place] for place in others),
            above=tuple(self.candidates[place] for place in above),
            best=self.candidates[highest],
            best_value=float(test[highest]),
        )

    def below(self, *, test: bool = False) -> dict[str, str]:
        """Return the heads that are reliably below a cheaper one, with the own classifier or the simplest."""
        from scipy.stats import t

        values, samples = (self.test, self.test_samples) if test else (self.values, self.samples)
        means = values.mean(axis=0).round(_SMALL)
        heads = [head for _, head in self.candidates]
        # Without the rows' own error the spread over blocks is all there is, and few blocks make a poor one.
        freedom = np.inf if samples is not None else max(len(values) - 1, 1)
        found, p_values = [], []
        for reference, name in enumerate(heads):
            errors = self.errors(reference, values, samples)
            for place, head in enumerate(heads):
                if head != "own" and (place > reference or (name == "own" and place != reference)):
                    difference = means[reference] - means[place]
                    found.append((head, name))
                    # No error at all: where nothing was repeated, nothing can be told.
                    known = errors[place] > 0 or samples is not None
                    p_values.append(float(t.sf(_ratio(difference, errors[place]), freedom)) if known else 1.0)
        reasons: dict[str, list[str]] = {}
        for (head, name), p in zip(found, holm(p_values), strict=True):
            if p < LEVEL:
                reasons.setdefault(head, []).append(name)
        return {
            head: "own" if "own" in reasons[head] else reasons[head][0] for head in heads if head in reasons
        }

    def errors(self, place: int, values: np.ndarray, samples: np.ndarray | None) -> np.ndarray:
        """Return the standard error of the difference of each candidate to one of them.

        That over rows or that over blocks, whichever is larger; over head seeds where neither is known.
        """
        known = []
        if samples is not None:
            known.append((samples - samples[:, [place]]).std(axis=0))
        if len(values) > 1:
            known.append((values - values[:, [place]]).std(axis=0, ddof=1) / math.sqrt(len(values)))
        if not known:
            known.append(np.hypot(self.seed_errors[0], self.seed_errors[0, place]))
            known[0][place] = 0
        return np.max(known, axis=0).round(_SMALL)

    def _above(self, place: int) -> list[int]:
        """Return what is reliably above one of them on test rows, the highest first."""
        means = self.test.mean(axis=0).round(_SMALL)
        errors = (self.test_samples - self.test_samples[:, [place]]).std(axis=0)
        p_values = [_two_sided(mean - means[place], error) for mean, error in zip(means, errors, strict=True)]
        others = [other for other in range(len(means)) if other != place]
        corrected = dict(zip(others, holm([p_values[other] for other in others]), strict=True))
        reliable = [other for other in others if means[other] > means[place] and corrected[other] < LEVEL]
        return sorted(reliable, key=lambda other: -means[other])


def _tabulated(
    scores: pd.DataFrame, chosen: pd.DataFrame, heads: list[str], test: Mapping[Cell, np.ndarray]
) -> pd.DataFrame:
    """Return the rows of `methods_table`."""
    table = scores.groupby(CELL, sort=False, as_index=False).agg(
        selection=("selection", "first"),
        seeds=("seed", "size"),
        BAC_sd=("BAC", "std"),
        held_out_BAC_sd=("held_out_BAC", "std"),
        **{name: (name, "mean") for name in ("BAC", "held_out_BAC", "ECE", "Brier")},
    )
    blocks = {block: place for place, block in enumerate(dict.fromkeys(_keys(table, BLOCK)))}
    places = [(blocks[cell[:3]], heads.index(cell[3])) for cell in _keys(table, CELL)]
    table = table.iloc[sorted(range(len(places)), key=places.__getitem__)].reset_index(drop=True)
    held = {block: [cell[3] for cell in _keys(table, CELL) if cell[:3] == block] for block in blocks}
    compared = {dataset: _compared(held, dataset) for dataset in table["dataset"].unique()}
    ranked = [
        cell[:3] in compared[cell[0]] and all(cell[3] in held[block] for block in compared[cell[0]])
        for cell in _keys(table, CELL)
    ]
    values = table["BAC"].round(_SMALL).where(ranked)
    table["rank"] = values.groupby([table[name] for name in BLOCK]).rank(ascending=False)
    table["tie"] = False
    for _, block in table.groupby(BLOCK, sort=False):
        table.loc[block.index, "tie"] = _ties(block, test)
    table["chosen"] = [_said(chosen, cell) for cell in _keys(table, CELL)]
    return table[_COLUMNS]


def _compared(blocks: Mapping[Block, Sequence[str]], dataset: str) -> list[Block]:
    """Return the blocks of a data set that have the most heads."""
    sizes = {block: len(held) for block, held in blocks.items() if block[0] == dataset}
    return [block for block, size in sizes.items() if size == max(sizes.values())]


def value_text(value: object) -> str:
    """Return a chosen value without the zeros that a column of floats gives whole numbers."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ties(block: pd.DataFrame, test: Mapping[Cell, np.ndarray]) -> np.ndarray:
    """Return which heads of a block are not told apart from its best."""
    means = block["BAC"].to_numpy().round(_SMALL)
    samples = np.column_stack([test[cell] for cell in _keys(block, CELL)])
    best = int(np.argmax(means))
    errors = (samples - samples[:, [best]]).std(axis=0)
    others = [place for place in range(len(means)) if place != best]
    ties = np.ones(len(means), dtype=bool)
    ties[others] = holm([_two_sided(means[best] - means[place], errors[place]) for place in others]) >= LEVEL
    return ties


def _said(chosen: pd.DataFrame, cell: Cell) -> str:
    """Say what was chosen in a cell: tau 1.5 (held out)."""
    here = chosen[(chosen[CELL] == list(cell)).all(axis=1)]
    by_rule = [
        ", ".join(
            f"{name} {value_text(value)}"
            for name, value in zip(rows["parameter"], rows["value"], strict=True)
        )
        + f" ({rule})"
        for rule, rows in here.groupby("rule", sort=False)
    ]
    return "; ".join(by_rule)


def _resampled(predictions: Predictions, what: str, stream: str) -> dict[Cell, np.ndarray]:
    """Return the resampled balanced accuracies of every cell, (RESAMPLES,).

    `what` the predictions are is for messages. `stream` makes of a data set and cut what the draws hang on.
    """
    by_cut: dict[tuple[str, int], dict[Cell, tuple[np.ndarray, np.ndarray]]] = {}
    for cell, found in predictions.items():
        by_cut.setdefault(cell[:2], {})[cell] = found
    samples: dict[Cell, np.ndarray] = {}
    for rows, cells in by_cut.items():
        labels = np.asarray(next(iter(cells.values()))[0])
        hits, seeds = [], []
        for cell, (own_labels, predicted) in cells.items():
            place = f"{what}: {'/'.join(map(str, cell))}"
            if predicted.ndim != 2 or predicted.shape[1:] != labels.shape or predicted.size == 0:
                raise InputError(
                    f"{place}: predictions of shape {predicted.shape} for {len(labels)} rows; "
                    "give (n_seeds, n), of at least one row"
                )
            if not np.array_equal(own_labels, labels):
                raise InputError(f"{place}: labels differ from those of another cell; give the same rows")
            hits.append((predicted == labels).sum(axis=0))
            seeds.append(len(predicted))
        rng = np.random.default_rng(crc32(stream.format(*rows).encode()))
        drawn = _bootstrap(labels, np.column_stack(hits), rng) / np.array(seeds)
        samples |= dict(zip(cells, drawn.T, strict=True))
    return samples


def _bootstrap(labels: np.ndarray, hits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return mean over classes of the mean hits of rows drawn anew, (RESAMPLES, m), for hits of (n, m).

    Of the rows of a class only the pattern of hits matters, and rows share few patterns: it is counted how
    often each is drawn. Sums of whole numbers below 2^53 are exact in any order, so BLAS may add them.
    """
    classes = np.unique(labels)
    total = np.zeros((RESAMPLES, hits.shape[1]))
    for label in classes:
        patterns, which = np.unique(hits[labels == label], axis=0, return_inverse=True)
        size = max(1, len(which) - 1)
        step = max(1, _DRAWS // size)
        for start in range(0, RESAMPLES, step):
            count = min(step, RESAMPLES - start)
            drawn = which.ravel()[rng.integers(0, len(which), (count, size))]
            drawn += np.arange(0, count * len(patterns), len(patterns))[:, None]
            counts = np.bincount(drawn.ravel(), minlength=count * len(patterns)).reshape(count, -1)
            total[start : start + count] += counts.astype(np.float64) @ patterns.astype(np.float64) / size
    return total / len(classes)


def _matrix(comparison: Comparison, blocks: Sequence[Block], heads: Sequence[str], name: str) -> np.ndarray:
    """Return a column of the table, (blocks, heads)."""
    return _values(comparison, [[(*block, head) for head in heads] for block in blocks], name)


def _values(comparison: Comparison, cells: Sequence[Sequence[Cell]], name: str) -> np.ndarray:
    return np.array([[comparison.cells[cell][name] for cell in row] for row in cells], dtype=np.float64)


def _samples(test: Mapping[Cell, np.ndarray], blocks: Sequence[Block], heads: Sequence[str]) -> np.ndarray:
    return _mean_samples([[test[(*block, head)] for head in heads] for block in blocks])


def _mean_samples(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return the mean over blocks, (RESAMPLES, candidates), added one by one."""
    total = np.zeros((RESAMPLES, len(rows[0]) if rows else 0))
    for row in rows if total.shape[1] else ():
        total += np.column_stack(row)
    return total / max(1, len(rows))


def _two_sided(difference: float, error: float) -> float:
    """Return the p-value of a difference by its bootstrap's standard error.

    The share of resamples on the other side of zero is too coarse after a correction for hundreds of pairs,
    and too certain where few rows differ.
    """
    return math.erfc(_ratio(abs(difference), error) / math.sqrt(2))


def _ratio(difference: float, error: float) -> float:
    """Return difference / error; two that agree in all resamples are equal, or differ for sure."""
    if error > 10**-_SMALL:
        return float(difference / error)
    return math.copysign(math.inf, difference) if abs(difference) > 10**-_SMALL else 0.0


def _signed_rank(differences: np.ndarray) -> float:
    """Return the two-sided p-value of Wilcoxon's signed ranks, exact for any number of blocks.

    Equal ranks are shared; zeros have ranks, half of which count to each side. scipy has the exact
    distribution with neither ties nor zeros only, and else tries out all signs, which takes seconds a pair.
    """
    from scipy.stats import rankdata

    differences = differences.round(_SMALL)
    doubled = np.rint(2 * rankdata(np.abs(differences))).astype(int)  # shared ranks end in .5
    shares = np.ones(1)  # of all signs, by twice the sum of the positive ranks
    for rank in doubled[differences != 0]:
        grown = np.zeros(len(shares) + rank)
        grown[: len(shares)] += shares / 2
        grown[rank:] += shares / 2
        shares = grown
    observed = doubled[differences > 0].sum()
    return min(1.0, 2 * float(min(shares[: observed + 1].sum(), shares[observed:].sum())))


def _keys(frame: pd.DataFrame, columns: list[str]) -> list[Any]:
    return list(frame[columns].itertuples(index=False, name=None))
