"""Tables from tidy results: means over cuts and seeds, one row per cell, and a few headline numbers.

Every function takes and returns plain frames. Two of them hold one row per observation, and none twice:

- `scores`, of heads: dataset, cut, network, head, seed, selection, BAC, GM, FM;
- `balanced`, of networks on images that were balanced before training: dataset, cut, sampler (or generator),
  network, seed, selection, BAC, GM, FM. It may have no rows.

`table1` to `table5` are the paper's tables. They have one row per dataset (in order of appearance) and cell,
cells in the order asked for. A cell is a network and a head in Tables II and IV; in the others a network, a
space ("pixel", "embedding", or "none" for heads without samples) and a method, which is a head, or a sampler
or generator of images. Of each they tell:

- status: "run", or "not run" for a cell without scores, whose values are empty; `run_rows` leaves these out;
- selection: the rule that chose the epochs;
- n, cuts, seeds: the number of observations, of distinct cuts and of distinct seeds;
- BAC, GM, FM: means over the n observations (fractions of 1);
- BAC_sd, GM_sd, FM_sd: standard deviations (n - 1) between all n observations, so with several cuts they hold
  the variation between cuts as well as between seeds; empty for one observation.

All raise `InputError` if a frame holds an observation twice or selection rules are mixed.
`eos.report.published` sets the paper's numbers beside a table, `eos.report.markdown` lays it out.
"""

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from eos.errors import InputError
from eos.report.wording import METRICS, NO_SPACE, NOT_RUN, PIXEL, RUN, space_of

Cell = tuple[str, str, str]
CELL = ["network", "space", "method"]

_SUMMARY = ["status", "selection", "n", "cuts", "seeds", "BAC", "BAC_sd", "GM", "GM_sd", "FM", "FM_sd"]
_HEADLINE_HEADS = ("own", "smote", "eos")


def table1(
    scores: pd.DataFrame,
    balanced: pd.DataFrame,
    *,
    network: str,
    pixel_samplers: Sequence[str],
    remix: str | None,
    heads: Sequence[str],
) -> pd.DataFrame:
    """Summarise over-sampling of images before training beside that of embeddings.

    Parameters
    ----------
    scores, balanced
        Observations.
    network
        The network, and so the loss, of the cells.
    pixel_samplers, heads
        The methods in pixel space and behind the network.
    remix
        The network trained with ReMix: a cell between them, of space "pixel" and method "own". None for none.

    Datasets without any cell of space "pixel" have no rows: there is nothing to compare.
    """
    seen = observations(scores, balanced)
    cells = [(network, PIXEL, sampler) for sampler in pixel_samplers]
    if remix is not None:
        # Its batches are mixed from images; as a network of the main line it has no sampler of its own.
        mixed = (seen["network"] == remix) & (seen["space"] == NO_SPACE) & (seen["method"] == "own")
        seen = seen.assign(space=seen["space"].mask(mixed, PIXEL))
        cells.append((remix, PIXEL, "own"))
    return cell_table(seen, cells + [(network, space_of(head), head) for head in heads], beside_pixels=True)


def table2(scores: pd.DataFrame, networks: Sequence[str], heads: Sequence[str]) -> pd.DataFrame:
    """Summarise each head of each network (loss)."""
    table = table5(scores, networks=networks, heads=heads)
    return table.drop(columns="space").rename(columns={"method": "head"})


def table3(
    scores: pd.DataFrame,
    balanced: pd.DataFrame,
    *,
    networks: Sequence[str],
    generators: Sequence[str],
    head: str,
) -> pd.DataFrame:
    """Summarise generative over-sampling of images: per network the generators, then the head beside them.

    Datasets without any cell of a generator have no rows.
    """
    methods = [*((PIXEL, generator) for generator in generators), (space_of(head), head)]
    cells = [(network, *method) for network, method in product(networks, methods)]
    return cell_table(observations(scores, balanced), cells, beside_pixels=True)


def table4(scores: pd.DataFrame, networks: Sequence[str], neighbors: Mapping[str, int | str]) -> pd.DataFrame:
    """Summarise EOS on each network by its number of neighbours, or "all": column k_neighbors, by head."""
    table = table2(scores, networks, list(neighbors))
    table.insert(3, "k_neighbors", table["head"].map(dict(neighbors)).astype(object))
    return table


def table5(scores: pd.DataFrame, *, networks: Sequence[str], heads: Sequence[str]) -> pd.DataFrame:
    """Summarise each head of each network (architecture)."""
    cells = [(network, space_of(head), head) for network, head in product(networks, heads)]
    return cell_table(observations(scores), cells)


def run_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the cells that were run, without the column that says so."""
    return table[table["status"] == RUN].drop(columns="status")


def observations(scores: pd.DataFrame, balanced: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the scores of heads and of networks on balanced images as one frame, cells named alike.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, cut, network, space, method, seed, selection, BAC, GM, FM.
    """
    _check(scores, "scores", ["dataset", "cut", "network", "head", "seed"])
    parts = [with_cells(scores)]
    if balanced is not None and len(balanced):
        _check(balanced, "balanced", ["dataset", "cut", "sampler", "network", "seed"])
        parts.append(balanced.assign(space=PIXEL, method=balanced["sampler"]))
    seen = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    _one_rule(seen, "scores and balanced")
    return seen[["dataset", "cut", *CELL, "seed", "selection", *METRICS]]


def with_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with space and method in its columns; where it has heads, they are the methods."""
    return table.assign(space=table["head"].map(space_of), method=table["head"]) if "head" in table else table


def summary(
    scores: pd.DataFrame, classes: pd.DataFrame, held: Mapping[str, int] | None = None
) -> dict[str, dict[str, float]]:
    """Return a few headline numbers by dataset, for comparing runs.

    They are own, smote and eos, balanced accuracies of these heads, fractions of 1; gap_own and gap_eos,
    generalization gaps in units of the embedding, means over the classes; and claims, what `held` has. The
    others are means over networks, cuts and seeds, each network weighing the same. They are taken over those
    networks that have all of these heads (all that were scored on the dataset at all), so that they can be
    compared with each other. A number that was not measured is left out. Names are short, because `dvc exp
    show` has a column for each.

    Parameters
    ----------
    scores
        Observations.
    classes
        Columns dataset, cut, network, head, class, gap.
    held
        By dataset, how many of the paper's claims hold.
    """
    numbers: dict[str, dict[str, float]] = {}
    for dataset, scored in scores.groupby("dataset", sort=False):
        measured = classes[classes["dataset"] == dataset]
        having = [set(rows["network"]) for head, rows in scored.groupby("head") if head in _HEADLINE_HEADS]
        networks = set.intersection(*having) if having else set()
        found = numbers[str(dataset)] = {}
        for value, frame, heads in (("BAC", scored, _HEADLINE_HEADS), ("gap", measured, ("own", "eos"))):
            for head in heads:
                cells = frame[(frame["head"] == head) & frame["network"].isin(networks)]
                means = cells.groupby("network")[value].mean()
                if means.notna().any():
                    found[head if value == "BAC" else f"gap_{head}"] = round(float(means.mean()), 6)
        if held and dataset in held:
            found["claims"] = held[str(dataset)]
    return numbers


def _check(frame: pd.DataFrame, name: str, key: list[str]) -> None:
    twice = frame.loc[frame.duplicated(key), key]
    if len(twice):
        where = ", ".join(f"{column} {value}" for column, value in twice.iloc[0].items())
        raise InputError(f"{name}: the observation ({where}) is there twice; hand in each scores file once")
    _one_rule(frame, name)


def _one_rule(frame: pd.DataFrame, name: str) -> None:
    rules = sorted(frame["selection"].unique())
    if len(rules) > 1:
        raise InputError(
            f"{name}: selection rules {', '.join(rules)} are mixed, and their means compare nothing; "
            "keep the rows of one rule"
        )


def cell_table(seen: pd.DataFrame, cells: Sequence[Cell], *, beside_pixels: bool = False) -> pd.DataFrame:
    """Return one row per dataset and cell: of all datasets, or of those with cells in pixel space."""
    held = dict(iter(seen.groupby(["dataset", *CELL])))
    on_pixels = {dataset for dataset, *cell in held if cell[1] == PIXEL and tuple(cell) in cells}
    datasets = [one for one in seen["dataset"].unique() if one in on_pixels or not beside_pixels]
    rows = []
    for dataset, cell in product(datasets, cells):
        row: dict[str, object] = {"dataset": dataset, **dict(zip(CELL, cell, strict=True))}
        row |= {"status": NOT_RUN, "selection": "", "n": 0, "cuts": 0, "seeds": 0}
        found = held.get((dataset, *cell))
        if found is not None:
            row |= {"status": RUN, "selection": found["selection"].iloc[0], "n": len(found)}
            row |= {"cuts": found["cut"].nunique(), "seeds": found["seed"].nunique()}
            row |= {metric: found[metric].mean() for metric in METRICS}
            row |= {f"{metric}_sd": found[metric].std(ddof=1) for metric in METRICS}
        rows.append(row)
    return pd.DataFrame(rows, columns=["dataset", *CELL, *_SUMMARY])
