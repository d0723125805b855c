"""Tables from tidy results: means over cuts and seeds, one row per cell, and a few headline numbers.

Every function takes and returns plain frames. The frames that come in hold one row per observation, named as
in the parameters: `scores` one row per dataset, cut, network, head and head seed; `balanced` one row per
dataset, cut, sampler, network and seed, for networks trained on images that `sampler` had balanced before
training; `classes` one row per dataset, cut, network, head and class. `eos.report.markdown` lays tables out.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import pandas as pd

from eos.errors import InputError
from eos.report.wording import METRICS, NO_SPACE, NOT_RUN, PIXEL, RUN, space_of

_SUMMARY = ["status", "selection", "n", "cuts", "seeds", "BAC", "BAC_sd", "GM", "GM_sd", "FM", "FM_sd"]
_METHOD = ["network", "space", "method"]
_OBSERVATION = ["dataset", "cut", *_METHOD, "seed", "selection", *METRICS]


def table1(
    scores: pd.DataFrame,
    balanced: pd.DataFrame,
    *,
    network: str,
    pixel_samplers: Sequence[str],
    remix: str | None,
    heads: Sequence[str],
) -> pd.DataFrame:
    """Summarise over-sampling of images before training beside that of embeddings (Table I of the paper).

    Parameters
    ----------
    scores
        As for `table2`.
    balanced
        Columns dataset, cut, sampler, network, seed, selection, BAC, GM, FM; it may have no rows.
    network
        The network, and so the loss, of both kinds of cells.
    pixel_samplers
        The samplers in pixel space, in this order.
    remix
        The network trained with ReMix, whose own classifier is a cell in pixel space; None for none.
    heads
        The heads of `network`, in this order.

    Returns
    -------
    pandas.DataFrame
        The columns of `table2` with space ("pixel", "embedding", or "none" for heads without samples) and
        method (sampler or head) in the place of head. The cell of ReMix has its network's name, the space
        "pixel" and the method "own".

    Raises
    ------
    InputError
        As `table2`, for both frames; also if they have different selection rules.
    """
    seen = observations(scores, balanced)
    cells = [(network, PIXEL, sampler) for sampler in pixel_samplers]
    if remix is not None:
        # Its batches are mixed from images; as a network of the main line it has no sampler of its own.
        mixed = (seen["network"] == remix) & (seen["space"] == NO_SPACE) & (seen["method"] == "own")
        seen = seen.assign(space=seen["space"].mask(mixed, PIXEL))
        cells.append((remix, PIXEL, "own"))
    cells += [(network, space_of(head), head) for head in heads]
    return _table(seen, _METHOD, cells)


def table2(scores: pd.DataFrame, networks: Sequence[str], heads: Sequence[str]) -> pd.DataFrame:
    """Summarise each cell of dataset, network and head (Table II of the paper).

    Parameters
    ----------
    scores
        Columns dataset, cut, network, head, seed, selection, BAC, GM, FM.
    networks, heads
        The cells to show, in this order.

    Returns
    -------
    pandas.DataFrame
        One row per dataset (in order of appearance), network and head:

        - status: "run", or "not run" for a cell without scores, whose values are empty;
        - n, cuts, seeds: the number of observations, of distinct cuts and of distinct head seeds;
        - BAC, GM, FM: means over the n observations (fractions of 1);
        - BAC_sd, GM_sd, FM_sd: standard deviations (n - 1) between all n observations, so with several cuts
          they hold the variation between cuts as well as between head seeds; empty for one observation.

    Raises
    ------
    InputError
        If `scores` holds an observation twice or mixes selection rules.
    """
    _check(scores, "scores", ["dataset", "cut", "network", "head", "seed"])
    return _table(scores, ["network", "head"], product(networks, heads))


def table3(
    scores: pd.DataFrame,
    balanced: pd.DataFrame,
    *,
    networks: Sequence[str],
    generators: Sequence[str],
    head: str,
) -> pd.DataFrame:
    """Summarise generative over-sampling of images beside one head (Table III of the paper).

    Parameters
    ----------
    scores, balanced
        As for `table1`.
    networks
        The networks (losses), in this order.
    generators
        The samplers of `balanced`, in this order.
    head
        The head to compare them with.

    Returns
    -------
    pandas.DataFrame
        The columns of `table1`; per network the generators, then the head.

    Raises
    ------
    InputError
        As `table1`.
    """
    methods = [*((PIXEL, generator) for generator in generators), (space_of(head), head)]
    cells = [(network, *method) for network in networks for method in methods]
    return _table(observations(scores, balanced), _METHOD, cells)


def table4(scores: pd.DataFrame, network: str, neighbors: Mapping[str, int]) -> pd.DataFrame:
    """Summarise EOS by its number of neighbours K on one network (Table IV of the paper).

    Parameters
    ----------
    scores
        As for `table2`.
    network
        The network whose heads are compared.
    neighbors
        K by head name, in the order to show.

    Returns
    -------
    pandas.DataFrame
        The columns of `table2` with k_neighbors, the K asked for, after head.

    Raises
    ------
    InputError
        As `table2`.
    """
    table = table2(scores, [network], list(neighbors))
    table.insert(3, "k_neighbors", table["head"].map(dict(neighbors)).astype(int))
    return table


def table5(scores: pd.DataFrame, *, networks: Sequence[str], heads: Sequence[str]) -> pd.DataFrame:
    """Summarise heads on several architectures (Table V of the paper).

    Parameters
    ----------
    scores
        As for `table2`.
    networks, heads
        The cells to show, in this order.

    Returns
    -------
    pandas.DataFrame
        The columns of `table1`.

    Raises
    ------
    InputError
        As `table2`.
    """
    cells = [(network, space_of(head), head) for network, head in product(networks, heads)]
    return _table(observations(scores), _METHOD, cells)


def observations(scores: pd.DataFrame, balanced: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the scores of heads and of networks on balanced images as one frame, both named alike.

    Parameters
    ----------
    scores, balanced
        As for `table1`.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, cut, network, space, method, seed, selection, BAC, GM, FM.

    Raises
    ------
    InputError
        As `table1`.
    """
    _check(scores, "scores", ["dataset", "cut", "network", "head", "seed"])
    parts = [scores.assign(space=scores["head"].map(space_of), method=scores["head"])]
    if balanced is not None and len(balanced):
        _check(balanced, "balanced", ["dataset", "cut", "sampler", "network", "seed"])
        parts.append(balanced.assign(space=PIXEL, method=balanced["sampler"]))
    seen = pd.concat([part[_OBSERVATION] for part in parts if len(part)] or [parts[0][_OBSERVATION]])
    _one_rule(seen, "scores and balanced")
    return seen.reset_index(drop=True)


def summary(scores: pd.DataFrame, classes: pd.DataFrame) -> dict[str, float]:
    """Return a few flat headline numbers per dataset, for comparing runs.

    `{dataset}_BAC_{own,none,smote,eos}` (fraction of 1) and `{dataset}_gap_{own,eos}` (embedding units, mean
    over the classes) are means over networks, cuts and seeds, each network weighing the same. They are taken
    over those networks that have all of these heads (all that were scored on the dataset at all), so that
    they can be compared with each other. `{dataset}_cells` counts the scored cells of cut, network and head.
    A number that was not measured is left out.

    Parameters
    ----------
    scores
        As for `table2`.
    classes
        Columns dataset, cut, network, head, class, gap.
    """
    numbers: dict[str, float] = {}
    for dataset in scores["dataset"].unique():
        scored, measured = (frame[frame["dataset"] == dataset] for frame in (scores, classes))
        networks = _comparable_networks(scored, ("own", "none", "smote", "eos"))
        wanted = [("BAC", scored, ("own", "none", "smote", "eos")), ("gap", measured, ("own", "eos"))]
        for value, frame, heads in wanted:
            for head in heads:
                cell = frame[(frame["head"] == head) & frame["network"].isin(networks)]
                if cell[value].notna().any():
                    mean = cell.groupby("network")[value].mean().mean()
                    numbers[f"{dataset}_{value}_{head}"] = round(float(mean), 6)
        numbers[f"{dataset}_cells"] = len(scored.drop_duplicates(["cut", "network", "head"]))
    return numbers


def _check(frame: pd.DataFrame, name: str, key: list[str]) -> None:
    twice = frame[frame.duplicated(key)]
    if len(twice):
        first = twice.iloc[0]
        where = ", ".join(f"{column} {first[column]}" for column in key)
        raise InputError(f"{name}: the observation ({where}) is there twice; hand in each scores file once")
    _one_rule(frame, name)


def _one_rule(frame: pd.DataFrame, name: str) -> None:
    rules = sorted(frame["selection"].unique())
    if len(rules) > 1:
        raise InputError(
            f"{name}: selection rules {', '.join(rules)} are mixed, and their means compare nothing; "
            "keep the rows of one rule"
        )


def _table(seen: pd.DataFrame, key: list[str], cells: Iterable[tuple[str, ...]]) -> pd.DataFrame:
    """Return one row per dataset and cell, a cell being the values of the columns `key`."""
    held = dict(iter(seen.groupby(["dataset", *key])))
    rows = [
        {"dataset": dataset, **dict(zip(key, cell, strict=True)), **_summarise(held.get((dataset, *cell)))}
        for dataset, cell in product(seen["dataset"].unique(), cells)
    ]
    return pd.DataFrame(rows, columns=["dataset", *key, *_SUMMARY])


def _summarise(cell: pd.DataFrame | None) -> dict[str, object]:
    if cell is None:
        return {"status": NOT_RUN, "selection": "", "n": 0, "cuts": 0, "seeds": 0}
    row: dict[str, object] = {
        "status": RUN,
        "selection": cell["selection"].iloc[0],
        "n": len(cell),
        "cuts": cell["cut"].nunique(),
        "seeds": cell["seed"].nunique(),
    }
    for metric in METRICS:
        row[metric] = cell[metric].mean()
        row[f"{metric}_sd"] = cell[metric].std(ddof=1)
    return row


def _comparable_networks(scored: pd.DataFrame, heads: Iterable[str]) -> list[str]:
    """Return the networks that have every one of `heads` that any network has."""
    having = {head: set(scored.loc[scored["head"] == head, "network"]) for head in heads}
    held = [networks for networks in having.values() if networks]
    return sorted(set.intersection(*held)) if held else []
