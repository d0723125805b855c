"""The claims of the paper, cell by cell: which of them hold here, and in the paper's numbers.

Each says that one side is above the other. It holds in a cell when the mean of the upper side, over cuts and
seeds, is greater than that of the lower. Equal values do not hold; Balanced SVM, for one, often *is* SMOTE.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd

from eos.registry import display_name
from eos.report.markdown import difference_points, grid, points, selection_words, wrap
from eos.report.published import published
from eos.report.tables import CELL, Cell, observations
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

Row = dict[str, Any]


def claims(
    scores: pd.DataFrame, balanced: pd.DataFrame, gaps: pd.DataFrame, classes: pd.DataFrame
) -> pd.DataFrame:
    """Compare the two sides of every claim in every cell that was run.

    Parameters
    ----------
    scores, balanced
        Observations, as `eos.report.tables` has them.
    gaps
        Columns dataset, cut, network, class, train_count, gap, true_positive_gap, false_positive_gap.
    classes
        Columns dataset, cut, network, head, class, gap.

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
        As `eos.report.tables.observations`.
    """
    rows: list[Row] = []
    for dataset, scored in observations(scores, balanced).groupby("dataset", sort=False):
        by_outcome, by_head = (frame[frame["dataset"] == dataset] for frame in (gaps, classes))
        found = [*_accuracies(scored, str(dataset)), *_outcomes(by_outcome), *_nets(by_head)]
        found.sort(key=lambda row: list(CLAIMS).index(row["claim"]))
        rows += [{"dataset": dataset, "selection": scored["selection"].iloc[0], **row} for row in found]
    truths = dict.fromkeys(["holds", "within", "paper_holds"], "boolean")
    return pd.DataFrame(rows, columns=_COLUMNS).astype(truths)


def claims_held(frame: pd.DataFrame) -> dict[str, int]:
    """Return, by dataset, how many of the cells of `claims` hold."""
    return {
        str(dataset): int(block["holds"].sum()) for dataset, block in frame.groupby("dataset", sort=False)
    }


def markdown_claims(frame: pd.DataFrame) -> str:
    """Lay out `claims` as Markdown: per dataset a count for each claim, and the cells in doubt."""
    text = ["# The paper's claims"]
    if frame.empty:
        return "\n\n".join([*text, "No cell was run."]) + "\n"
    rule = frame["selection"].iloc[0]
    text.append(wrap(f"{frame['holds'].sum()} of {len(frame)} hold. {selection_words(rule)}"))
    said = (
        '"Within ±" is a difference no larger than one standard deviation over the runs of its less certain '
        f"side, and decides little: {frame['within'].sum()} of {len(frame)}, held or not."
    )
    if alone := (frame["within"].isna() & (frame["claim"] != "others_keep_gap")).sum():
        said += f" For {alone} more there is no deviation: both sides are single runs."
    text.append(wrap(said))
    if frame["paper_holds"].notna().any() and rule != "test":
        text.append("The paper's numbers are from epochs chosen on the TEST set; these are not.")
    for dataset, block in frame.groupby("dataset", sort=False):
        holds, within = block["holds"], block["within"].fillna(False)
        text += [
            f"## {display_name(str(dataset))}: {holds.sum()} of {len(block)} hold",
            _counts(block),
            *_listed("Not held:", block[~holds]),
            *_listed("Held, but within ±:", block[holds & within]),
        ]
    return "\n\n".join(text) + "\n"


def _losses(networks: Iterable[str]) -> list[str]:
    """Return the networks that count as losses: all but the paper's other architectures."""
    return [network for network in dict.fromkeys(networks) if network not in PAPER_ARCHITECTURES]


def _pairs(networks: Iterable[str]) -> Iterator[tuple[str, str, list[Cell]]]:
    """Yield the claims on balanced accuracies: claim, cell, the upper side before all it has to be above."""
    for network in _losses([*PAPER_LOSSES, *networks]):
        own, eos = (network, NO_SPACE, "own"), (network, EMBEDDING, "eos")
        yield "eos_above_own", network, [eos, own]
        for sampler in PAPER_SAMPLERS:
            yield f"eos_above_{sampler}", network, [eos, (network, EMBEDDING, sampler)]
        for sampler in (*PAPER_SAMPLERS, "eos"):
            sides = [(network, space, sampler) for space in (EMBEDDING, PIXEL)]
            yield "embedding_above_pixel", f"{network}/{sampler}", sides
        for generator in PAPER_GENERATORS:
            yield f"eos_above_{generator}", network, [eos, (network, PIXEL, generator)]
        yield "larger_k", network, [(network, EMBEDDING, "eos_k300"), eos]
    for network in PAPER_ARCHITECTURES:
        sides = [(network, EMBEDDING, "eos"), (network, NO_SPACE, "own")]
        yield "eos_helps_architecture", network, sides
    against = [(network, EMBEDDING, "eos") for network in PAPER_LOSSES if network != "ldam"]
    yield "ldam_best_for_eos", "ldam", [("ldam", EMBEDDING, "eos"), *against]


def _paper(dataset: str) -> dict[Cell, float]:
    """Return the paper's balanced accuracies of a data set; EOS with another K than 10 by its head's name."""
    numbers = published()
    size = numbers["k_neighbors"].map(lambda k: f"_k{k:.0f}" if k > 10 else "")
    named = numbers.assign(method=numbers["method"] + size).set_index(CELL)
    return named.loc[named["dataset"] == dataset, "BAC"].to_dict()


def _accuracies(seen: pd.DataFrame, dataset: str) -> Iterator[Row]:
    """Yield the comparisons of balanced accuracies on one data set."""
    runs = {cell: rows["BAC"] for cell, rows in seen.set_index("cut").groupby(CELL)}
    paper = _paper(dataset)
    for claim, name, cells in _pairs(seen["network"].unique()):
        if sides := _sides(runs, cells):
            row = _compare(claim, name, sides[0], max(sides[1:], key=pd.Series.mean))
            if paper.keys() >= set(cells):
                upper, lower = paper[cells[0]], max(paper[cell] for cell in cells[1:])
                row |= {"paper_upper": upper, "paper_lower": lower, "paper_holds": upper > lower}
            yield row


def _outcomes(gaps: pd.DataFrame) -> Iterator[Row]:
    """Yield the comparisons of the networks' own gaps on one data set: by outcome, and with rarity."""
    for network, rows in gaps.groupby("network", sort=False):
        # A class that is always or never classified rightly has but one of the two gaps.
        sides = rows.set_index("cut")[["false_positive_gap", "true_positive_gap"]].dropna()
        if len(sides):
            means = sides.groupby("cut").mean()
            yield _compare("false_positive_gap", str(network), *(means[side] for side in means))
        found = pd.Series([_correlation(cut) for _, cut in rows.groupby("cut")], dtype=float).dropna()
        if len(found):
            yield _compare("gap_grows_with_rarity", str(network), found, pd.Series([0.0]))


def _nets(classes: pd.DataFrame) -> Iterator[Row]:
    """Yield the comparisons of the net gaps with and without a sampler on one data set."""
    means = classes.groupby(["network", "head", "cut"])["gap"].mean().dropna()
    nets = {cell: net.droplevel(["network", "head"]) for cell, net in means.groupby(["network", "head"])}
    losses = _losses([*PAPER_LOSSES, *classes["network"].unique()])
    for network, head in product(losses, ("eos", *PAPER_SAMPLERS)):
        if sides := _sides(nets, [(network, head), (network, "own")]):
            sampled, own = sides
            if head == "eos":
                yield _compare("eos_lowers_gap", network, own, sampled)
            else:
                row = _compare("others_keep_gap", f"{network}/{head}", sampled, own)
                yield row | {"holds": row["upper"] >= (1 - TOLERANCE) * row["lower"], "within": None}


def _sides(runs: "Mapping[Any, pd.Series[float]]", cells: Sequence[Any]) -> "list[pd.Series[float]]":
    """Return the runs of the cells, whose index is the cut, on the cuts that all of them have.

    Nothing where there is no such cut, or one of the cells was not run.
    """
    found = [runs[cell] for cell in cells if cell in runs]
    cuts = set.intersection(*(set(run.index) for run in found)) if len(found) == len(cells) else set()
    return [run[run.index.isin(cuts)] for run in found] if cuts else []


def _correlation(rows: pd.DataFrame) -> float:
    """Return Spearman's correlation between gap and rarity; NaN where either is the same for all classes."""
    ranks = rows.dropna(subset=["gap"])[["gap", "train_count"]].rank()
    if (ranks.nunique() < 2).any():
        return float("nan")
    return -float(ranks["gap"].corr(ranks["train_count"]))


def _compare(claim: str, cell: str, upper: "pd.Series[float]", lower: "pd.Series[float]") -> Row:
    row: Row = {"claim": claim, "cell": cell}
    for name, side in (("upper", upper), ("lower", lower)):
        row |= {name: float(side.mean()), f"{name}_sd": float(side.std(ddof=1))}
    difference = row["upper"] - row["lower"]
    deviations = pd.Series([row["upper_sd"], row["lower_sd"]]).dropna()
    within = abs(difference) <= deviations.max() if len(deviations) else None
    return row | {"difference": difference, "holds": difference > 0, "within": within}


def _counts(block: pd.DataFrame) -> str:
    """Return the grid of one dataset: how many cells of each claim hold, are near, and hold in the paper."""
    rows = []
    for claim, cells in block.groupby("claim", sort=False):
        known = [cells[name].dropna() for name in ("holds", "within", "paper_holds")]
        counts = [f"{truths.sum()} of {len(truths)}" if len(truths) else "" for truths in known]
        rows.append([CLAIMS[str(claim)], *counts])
    return grid(["Claim", "Hold", "Within ±", "In the paper"], rows)


def _listed(title: str, chosen: pd.DataFrame) -> list[str]:
    """Return the chosen cells of one dataset under their claims, as paragraphs (none or two)."""
    lines = []
    for claim, cells in chosen.groupby("claim", sort=False):
        lines.append(f"- {CLAIMS[str(claim)]}")
        lines += [wrap(f"  - {_figures(row)}", subsequent_indent="    ") for _, row in cells.iterrows()]
    return [title, "\n".join(lines)] if lines else []


def _figures(row: "pd.Series[Any]") -> str:
    """Say of a cell which it is, and by how much it differs."""
    upper, lower, difference = row[["upper", "lower", "difference"]]
    if row["claim"] == "gap_grows_with_rarity":
        text = f"{upper:+.2f}"
    elif row["claim"] in _GAPS:
        text = f"{upper:.2f} against {lower:.2f} ({difference:+.2f})"
    else:
        text = f"{points(upper)} against {points(lower)} ({difference_points(difference)})"
    if not pd.isna(row["within"]) and row["within"]:
        text += ", within ±"
    if not pd.isna(row["paper_holds"]):
        text += f"; paper {points(row['paper_upper'])} against {points(row['paper_lower'])}"
    return f"{', '.join(map(display_name, row['cell'].split('/')))}: {text}"
