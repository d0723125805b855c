"""The orderings that the paper reports, cell by cell: which of them hold here, and in the paper's numbers.

A claim of the paper is that one side is above the other. It holds in a cell when the mean of the upper side,
over cuts and seeds, is greater than that of the lower. Equal values do not hold; Balanced SVM, for one, often
*is* SMOTE.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from eos.registry import display_name
from eos.report.markdown import difference_points, grid, points, selection_words, wrap
from eos.report.published import published
from eos.report.tables import observations
from eos.report.wording import EMBEDDING, NO_SPACE, PIXEL

PAPER_LOSSES = ("ce", "asl", "focal", "ldam")
PAPER_ARCHITECTURES = ("resnet56", "wideresnet", "densenet")
PAPER_GENERATORS = ("gamo", "bagan", "cgan")
PAPER_SAMPLERS = ("smote", "bsmote", "balsvm")

# How far below the own gap another sampler's may be and still count as left alone.
TOLERANCE = 0.01

# Each claim by its name, in the order of the report. Heads are known by name: `eos` is meant to have the
# paper's K = 10 and `eos_k300` K = 300.
CLAIMS = {
    "eos_above_own": "EOS above the own classifier",
    "eos_above_smote": "EOS above SMOTE on embeddings",
    "eos_above_bsmote": "EOS above Borderline-SMOTE on embeddings",
    "eos_above_balsvm": "EOS above Balanced SVM on embeddings",
    "embedding_above_pixel": "A sampler on embeddings above itself on pixels",
    "eos_above_gamo": "EOS above GAMO",
    "eos_above_bagan": "EOS above BAGAN",
    "eos_above_cgan": "EOS above CGAN",
    "larger_k": "EOS with K = 300 above K = 10",
    "eos_helps_architecture": "EOS above the own classifier, other architectures",
    "ldam_best_for_eos": "EOS on LDAM above EOS on every other loss",
    "false_positive_gap": "Gap of false positives above that of true positives",
    "gap_grows_with_rarity": "Gap grows as classes get rarer (Spearman above 0)",
    "eos_lowers_gap": "Gap without over-sampling above that with EOS",
    "others_keep_gap": "Gap with other samplers not 1 % below that without",
}
_GAPS = {"false_positive_gap", "eos_lowers_gap", "others_keep_gap"}

_COLUMNS = [
    "dataset", "claim", "cell", "selection", "upper", "upper_sd", "lower", "lower_sd", "difference", "holds",
    "within", "paper_upper", "paper_lower", "paper_holds",
]  # fmt: skip

Cell = tuple[str, str, str]  # network, space, method


@dataclass(frozen=True)
class _Side:
    mean: float
    deviation: float = float("nan")


@dataclass(frozen=True)
class _Pair:
    """One cell of a claim about the balanced accuracy: the upper side, and all it has to be above."""

    claim: str
    cell: str
    upper: Cell
    lower: tuple[Cell, ...]


def claims(
    scores: pd.DataFrame,
    balanced: pd.DataFrame,
    gaps: pd.DataFrame,
    classes: pd.DataFrame,
    *,
    losses: Sequence[str] = PAPER_LOSSES,
    architectures: Sequence[str] = PAPER_ARCHITECTURES,
    generators: Sequence[str] = PAPER_GENERATORS,
) -> pd.DataFrame:
    """Compare the two sides of every claim in every cell that was run.

    Parameters
    ----------
    scores, balanced
        As for `eos.report.tables.table1`.
    gaps
        Columns dataset, cut, network, class, train_count, gap, true_positive_gap, false_positive_gap.
    classes
        Columns dataset, cut, network, head, class, gap.
    losses, architectures
        The networks that claims about losses and about architectures are compared on.
    generators
        The samplers of `balanced` that are generative.

    Returns
    -------
    pandas.DataFrame
        One row per dataset (in order of appearance), claim and cell, over the cuts that all its sides have; a
        cell with a side that was not run has none.

        - claim: a key of `CLAIMS`; cell: the network, or "network/sampler";
        - upper, lower: the means of both sides: balanced accuracies; gaps, per cut the mean over the classes
          that have both sides, then over cuts; or Spearman's correlation between gap and rarity, per cut and
          then over cuts, against 0;
        - upper_sd, lower_sd: standard deviations (n - 1) over all runs, of gaps and correlations over cuts;
          empty for a single one;
        - difference: upper - lower;
        - holds: whether upper > lower; for "others_keep_gap", where upper is the gap with the sampler and
          lower that without, whether upper >= 0.99 lower (`TOLERANCE`);
        - within: whether the difference is no larger than the larger of the two deviations; empty where
          there is none, and for "others_keep_gap", which is no matter of a difference;
        - paper_upper, paper_lower, paper_holds: the same from the paper's own numbers, for balanced
          accuracies of cells that it has; else empty.

    Raises
    ------
    InputError
        As `eos.report.tables.table1`.
    """
    seen = observations(scores, balanced)
    rule = seen["selection"].iloc[0] if len(seen) else ""
    pairs = list(_pairs(losses, architectures, generators))
    rows: list[dict[str, object]] = []
    for dataset in seen["dataset"].unique():
        scored, by_outcome, by_head = (frame[frame["dataset"] == dataset] for frame in (seen, gaps, classes))
        found = [
            *_accuracies(scored, pairs, _paper(dataset)),
            *_outcomes(by_outcome),
            *_heads(by_head, losses),
        ]
        found.sort(key=lambda row: list(CLAIMS).index(str(row["claim"])))
        rows += [{"dataset": dataset, "selection": rule, **row} for row in found]
    truths = dict.fromkeys(["holds", "within", "paper_holds"], "boolean")
    return pd.DataFrame(rows, columns=_COLUMNS).astype(truths)


def claims_summary(frame: pd.DataFrame) -> dict[str, int]:
    """Return `{dataset}_claims_held` and `{dataset}_claims`, the cells that hold and all, per dataset.

    Parameters
    ----------
    frame
        From `claims`.
    """
    numbers = {}
    for dataset, block in frame.groupby("dataset", sort=False):
        numbers[f"{dataset}_claims_held"] = int(block["holds"].sum())
        numbers[f"{dataset}_claims"] = len(block)
    return numbers


def markdown_claims(frame: pd.DataFrame) -> str:
    """Lay out `claims` as Markdown: per dataset a count for each claim, and the cells in doubt.

    Parameters
    ----------
    frame
        From `claims`.
    """
    text = ["# The paper's claims"]
    if frame.empty:
        return "\n\n".join([*text, "No cell was run."]) + "\n"
    held, near = int(frame["holds"].sum()), int(frame["within"].sum())
    alone = int((frame["within"].isna() & (frame["claim"] != "others_keep_gap")).sum())
    rules = list(frame["selection"].unique())
    text.append(wrap(f"{held} of {len(frame)} hold. {selection_words(rules)}"))
    said = (
        '"Within ±" is a difference no larger than one standard deviation over the runs of its less certain '
        f"side, and decides little: {near} of {len(frame)}, held or not."
    )
    if alone:
        said += f" For {alone} more there is no deviation: both sides are single runs."
    text.append(wrap(said))
    if frame["paper_holds"].notna().any() and rules != ["test"]:
        text.append("The paper's numbers are from epochs chosen on the TEST set; these are not.")
    for dataset, block in frame.groupby("dataset", sort=False):
        title = f"{display_name(str(dataset))}: {int(block['holds'].sum())} of {len(block)} hold"
        holds, within = block["holds"].astype(bool), block["within"].fillna(False).astype(bool)
        text += [f"## {title}", _counts(block), *_listed("Not held:", block[~holds])]
        text += _listed("Held, but within ±:", block[holds & within])
    return "\n\n".join(text) + "\n"


def _pairs(losses: Sequence[str], architectures: Sequence[str], generators: Sequence[str]) -> Iterator[_Pair]:
    """Yield the comparisons of balanced accuracies."""
    for network in losses:
        eos = network, EMBEDDING, "eos"
        yield _Pair("eos_above_own", network, eos, ((network, NO_SPACE, "own"),))
        for sampler in PAPER_SAMPLERS:
            yield _Pair(f"eos_above_{sampler}", network, eos, ((network, EMBEDDING, sampler),))
        for sampler in (*PAPER_SAMPLERS, "eos"):
            behind, before = ((network, space, sampler) for space in (EMBEDDING, PIXEL))
            yield _Pair("embedding_above_pixel", f"{network}/{sampler}", behind, (before,))
        for generator in generators:
            yield _Pair(f"eos_above_{generator}", network, eos, ((network, PIXEL, generator),))
        yield _Pair("larger_k", network, (network, EMBEDDING, "eos_k300"), (eos,))
    for network in architectures:
        own = network, NO_SPACE, "own"
        yield _Pair("eos_helps_architecture", network, (network, EMBEDDING, "eos"), (own,))
    others = tuple((network, EMBEDDING, "eos") for network in losses if network != "ldam")
    if "ldam" in losses and others:
        yield _Pair("ldam_best_for_eos", "ldam", ("ldam", EMBEDDING, "eos"), others)


def _paper(dataset: str) -> dict[Cell, float]:
    """Return the paper's balanced accuracies of a data set; EOS with another K than 10 by its head's name."""
    numbers = published()
    numbers = numbers[numbers["dataset"] == dataset]
    other = numbers["k_neighbors"].notna() & (numbers["k_neighbors"] != 10)
    names = numbers["method"].mask(
        other, numbers["method"] + "_k" + numbers["k_neighbors"].map("{:.0f}".format)
    )
    cells = zip(numbers["network"], numbers["space"], names, strict=True)
    return dict(zip(cells, numbers["BAC"], strict=True))


def _accuracies(
    seen: pd.DataFrame, pairs: Sequence[_Pair], paper: Mapping[Cell, float]
) -> Iterator[dict[str, object]]:
    """Yield the comparisons of balanced accuracies on one data set."""
    by_cut = seen.set_index("cut")
    ours = {cell: rows["BAC"] for cell, rows in by_cut.groupby(["network", "space", "method"])}
    for pair in pairs:
        cells = pair.upper, *pair.lower
        cuts = _common_cuts([ours[cell] for cell in cells if cell in ours])
        if not set(cells) <= set(ours) or cuts.empty:
            continue
        upper, *lower = (_side(ours[cell][ours[cell].index.isin(cuts)]) for cell in cells)
        row = _compare(pair.claim, pair.cell, upper, max(lower, key=lambda side: side.mean))
        if set(cells) <= set(paper):
            high, low = paper[pair.upper], max(paper[cell] for cell in pair.lower)
            row |= {"paper_upper": high, "paper_lower": low, "paper_holds": high > low}
        yield row


def _outcomes(gaps: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Yield the comparisons of the networks' own gaps on one data set: by outcome, and with rarity."""
    for network, rows in gaps.groupby("network", sort=False):
        # A class that is always or never classified rightly has but one of the two gaps.
        paired = rows.dropna(subset=["false_positive_gap", "true_positive_gap"])
        if len(paired):
            means = paired.groupby("cut")[["false_positive_gap", "true_positive_gap"]].mean()
            sides = _side(means["false_positive_gap"]), _side(means["true_positive_gap"])
            yield _compare("false_positive_gap", str(network), *sides)
        found = [_correlation(cut) for _, cut in rows.groupby("cut")]
        correlations = pd.Series(found, dtype=float).dropna()
        if len(correlations):
            yield _compare("gap_grows_with_rarity", str(network), _side(correlations), _Side(0.0))


def _heads(classes: pd.DataFrame, losses: Sequence[str]) -> Iterator[dict[str, object]]:
    """Yield the comparisons of the net gaps with and without a sampler on one data set."""
    means = classes.groupby(["network", "head", "cut"])["gap"].mean().dropna()
    nets = {cell: rows.droplevel(["network", "head"]) for cell, rows in means.groupby(["network", "head"])}
    for network, head in product(losses, ("eos", *PAPER_SAMPLERS)):
        pair = [nets[network, name] for name in (head, "own") if (network, name) in nets]
        cuts = _common_cuts(pair)
        if len(pair) < 2 or cuts.empty:
            continue
        sampled, own = (_side(net[cuts]) for net in pair)
        if head == "eos":
            yield _compare("eos_lowers_gap", network, own, sampled)
        else:
            row = _compare("others_keep_gap", f"{network}/{head}", sampled, own)
            yield row | {"holds": sampled.mean >= (1 - TOLERANCE) * own.mean, "within": None}


def _common_cuts(runs: "Sequence[pd.Series[float]]") -> pd.Index:
    """Return the cuts that all of the runs have; they are the index of each."""
    return pd.Index(sorted(set.intersection(*(set(run.index) for run in runs)))) if runs else pd.Index([])


def _correlation(rows: pd.DataFrame) -> float:
    """Return Spearman's correlation between gap and rarity; NaN where either is the same for all classes."""
    known = rows.dropna(subset=["gap"])
    ranks = known[["gap", "train_count"]].rank()
    if (ranks.nunique() < 2).any():
        return float("nan")
    return -float(ranks["gap"].corr(ranks["train_count"]))


def _side(values: "pd.Series[float]") -> _Side:
    return _Side(float(values.mean()), float(values.std(ddof=1)))


def _compare(claim: str, cell: str, upper: _Side, lower: _Side) -> dict[str, object]:
    deviations = pd.Series([upper.deviation, lower.deviation]).dropna()
    difference = upper.mean - lower.mean
    return {
        "claim": claim,
        "cell": cell,
        "upper": upper.mean,
        "upper_sd": upper.deviation,
        "lower": lower.mean,
        "lower_sd": lower.deviation,
        "difference": difference,
        "holds": upper.mean > lower.mean,
        "within": abs(difference) <= deviations.max() if len(deviations) else None,
    }


def _counts(block: pd.DataFrame) -> str:
    """Return the grid of one dataset: how many cells of each claim hold, are near, and hold in the paper."""
    rows = []
    for claim, cells in block.groupby("claim", sort=False):
        near, paper = (cells[name].dropna() for name in ("within", "paper_holds"))
        counts = [f"{int(known.sum())} of {len(known)}" if len(known) else "" for known in (near, paper)]
        held = f"{int(cells['holds'].sum())} of {len(cells)}"
        rows.append([CLAIMS[str(claim)], held, *counts])
    return grid(["Claim", "Hold", "Within ±", "In the paper"], rows)


def _listed(title: str, chosen: pd.DataFrame) -> list[str]:
    """Return the chosen cells of one dataset under their claims, as paragraphs (none or two)."""
    lines = []
    for claim, cells in chosen.groupby("claim", sort=False):
        lines.append(f"- {CLAIMS[str(claim)]}")
        lines += [wrap(f"  - {_figures(row)}", subsequent_indent="    ") for _, row in cells.iterrows()]
    return [title, "\n".join(lines)] if lines else []


def _figures(row: "pd.Series[float]") -> str:
    """Say of a cell which it is, and by how much it differs."""
    network, _, sampler = str(row["cell"]).partition("/")
    names = ", ".join([display_name(network), *([display_name(sampler)] if sampler else [])])
    if row["claim"] == "gap_grows_with_rarity":
        text = f"{names}: {row['upper']:+.2f}"
    elif row["claim"] in _GAPS:
        text = f"{names}: {row['upper']:.2f} against {row['lower']:.2f} ({row['difference']:+.2f})"
    else:
        difference = difference_points(row["difference"])
        text = f"{names}: {points(row['upper'])} against {points(row['lower'])} ({difference})"
    if not pd.isna(row["within"]) and row["within"]:
        text += ", within ±"
    if not pd.isna(row["paper_holds"]):
        text += f"; paper {points(row['paper_upper'])} against {points(row['paper_lower'])}"
    return text
