"""Tables from tidy results: means over cuts and head seeds, the paper's layout, a few headline numbers.

Every function takes and returns plain frames or text. The frames hold one row per observation, named as in
the parameters: `scores` one row per dataset, cut, network, head and head seed; `classes` one row per dataset,
cut, network, head and class.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from eos.errors import InputError

METRICS = ("BAC", "GM", "FM")

NETWORK_TITLES = {"ce": "CE", "asl": "ASL", "focal": "Focal", "ldam": "LDAM"}
HEAD_TITLES = {
    "own": "Own classifier",
    "none": "No over-sampling",
    "random": "Random",
    "smote": "SMOTE",
    "bsmote": "Borderline-SMOTE",
    "balsvm": "Balanced SVM",
    "eos": "EOS",
}
DATASET_TITLES = {
    "digits": "Digits",
    "cifar10": "CIFAR-10",
    "svhn": "SVHN",
    "cifar100": "CIFAR-100",
    "celeba": "CelebA",
}
SELECTIONS = {
    "last": "the last epoch; no data chose it",
    "validation": "the best epoch on validation data held out of the training set",
    "test": "the best epoch on the TEST set; the paper's protocol, and optimistic",
}

RUN, NOT_RUN = "run", "not run"
_CELL = ["dataset", "network", "head"]
_COLUMNS = [
    *_CELL, "status", "selection", "n", "cuts", "seeds", "BAC", "BAC_sd", "GM", "GM_sd", "FM", "FM_sd",
]  # fmt: skip
_CLASSES = r": class(es)? .*$"
_WIDTH = 98  # columns of a terminal that the printed tables may fill


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
    _check(scores)
    cells = dict(iter(scores.groupby(_CELL)))
    rows = [
        {
            "dataset": dataset,
            "network": network,
            "head": head,
            **_summarise(cells.get((dataset, network, head))),
        }
        for dataset in scores["dataset"].unique()
        for network in networks
        for head in heads
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


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


def markdown2(
    table: pd.DataFrame, notes: pd.DataFrame | None = None, settings: Mapping[str, str] | None = None
) -> str:
    """Lay out `table2` as Markdown that also reads well in a terminal 100 columns wide.

    The paper sets the heads side by side; seven of them with three metrics each do not fit a terminal, so
    here each loss is a group of rows, one per head, and the best BAC of each loss is bold.

    Parameters
    ----------
    table
        From `table2`.
    notes
        Columns dataset, cut, network, head, note: sentences that become footnotes of their cells.
    settings
        By head, what it was run with; said below the header for the heads that the table has.
    """
    text = [_header("Table II: losses and classifier heads", table, "best BAC of each loss")]
    known = [head for head in table["head"].unique() if head in (settings or {})]
    if settings and known:
        text.append(_wrap("; ".join(f"{head_title(head)}: {settings[head]}" for head in known) + "."))
    for dataset, block in table.groupby("dataset", sort=False):
        marks, footnotes = _footnotes(block, notes)
        rows = []
        for network, group in block.groupby("network", sort=False):
            titles = [network_title(network)] + [""] * (len(group) - 1)
            labels = [f"{head_title(head)}{marks.get((network, head), '')}" for head in group["head"]]
            rows += [[t, *cells] for t, cells in zip(titles, _rows(labels, group), strict=True)]
        text += [f"## {dataset_title(dataset)}", _spread(block), _grid(["Loss", "Head", *METRICS], rows)]
        text += footnotes
    return "\n\n".join(text) + "\n"


def markdown4(
    table: pd.DataFrame, notes: pd.DataFrame | None = None, settings: Mapping[str, str] | None = None
) -> str:
    """Lay out `table4` as Markdown: per dataset one row per K, the best BAC bold.

    Parameters
    ----------
    table
        From `table4`.
    notes, settings
        As for `markdown2`; the settings stand beside each K.
    """
    network = ", ".join(network_title(name) for name in table["network"].unique())
    text = [
        _header(f"Table IV: EOS by number of neighbours K ({network})", table, "best BAC of each data set")
    ]
    for dataset, block in table.groupby("dataset", sort=False):
        marks, footnotes = _footnotes(block, notes)
        cells = zip(block["network"], block["head"], block["k_neighbors"], strict=True)
        labels = [f"{k}{marks.get((network, head), '')}" for network, head, k in cells]
        text += [f"## {dataset_title(dataset)}", _spread(block)]
        header, rows = ["K", *METRICS], _rows(labels, block)
        if settings:
            header.insert(1, "Settings")
            rows = [
                [k, settings.get(head, ""), *cells]
                for head, (k, *cells) in zip(block["head"], rows, strict=True)
            ]
        text += [_grid(header, rows), *footnotes]
    return "\n\n".join(text) + "\n"


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


def dataset_title(name: str) -> str:
    """Return the name a reader knows the dataset by, or the name itself."""
    return DATASET_TITLES.get(name, name)


def network_title(name: str) -> str:
    """Return the name a reader knows the network by, or the name itself."""
    return NETWORK_TITLES.get(name, name)


def head_title(name: str) -> str:
    """Return the name a reader knows the head by, or the name itself."""
    return HEAD_TITLES.get(name, name)


def _check(scores: pd.DataFrame) -> None:
    twice = scores[scores.duplicated(["dataset", "cut", "network", "head", "seed"])]
    if len(twice):
        first = twice.iloc[0]
        where = ", ".join(f"{name} {first[name]}" for name in ("dataset", "cut", "network", "head", "seed"))
        raise InputError(f"scores: the observation ({where}) is there twice; hand in each scores file once")
    rules = sorted(scores["selection"].unique())
    if len(rules) > 1:
        raise InputError(
            f"scores: selection rules {', '.join(rules)} are mixed, and their means compare nothing; "
            "keep the rows of one rule"
        )


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


def _header(title: str, table: pd.DataFrame, bold: str) -> str:
    rules = [rule for rule in table["selection"].unique() if rule]
    if not rules:
        return f"# {title}\n\nNo cell was run."
    text = f"Selection `{rules[0]}`: {SELECTIONS.get(rules[0], 'see the parameters')}. Bold: {bold}."
    return f"# {title}\n\n{_wrap(text)}"


def _spread(block: pd.DataFrame) -> str:
    """Say what the means and the ± of one dataset are over."""
    run = block[block["status"] == RUN]
    if run.empty:
        return "No cell was run."
    cuts, seeds, n = (int(run[name].max()) for name in ("cuts", "seeds", "n"))
    text = f"Over {_count(cuts, 'cut')} x {_count(seeds, 'head seed')}: "
    text += f"mean ± standard deviation of the {n} runs." if n > 1 else "a single run, so no ±."
    if seeds > 1 and (single := sorted(set(run.loc[run["seeds"] == 1, "head"]))):
        names = ", ".join(head_title(head) for head in single)
        text += f" {names}: one run per cut{', so no ±' if cuts == 1 else ''}."
    return _wrap(text)


def _footnotes(
    block: pd.DataFrame, notes: pd.DataFrame | None
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Return the mark of each (network, head), and the footnotes of a dataset as paragraphs (none or one)."""
    cells = set(zip(block["network"], block["head"], strict=True))
    cuts = int(block["cuts"].max())
    where: dict[str, dict[tuple[str, str], None]] = {}
    for text, cell in [*_incomplete(block, cuts), *_told(block["dataset"].iloc[0], notes, cuts)]:
        if cell in cells:
            where.setdefault(text, {})[cell] = None
    marks: dict[tuple[str, str], str] = {}
    for number, noted in enumerate(where.values(), start=1):
        for cell in noted:
            marks[cell] = f"{marks.get(cell, '')} [{number}]"
    lines = [
        _wrap(f"- [{number}] {text}", subsequent_indent="  ") for number, text in enumerate(where, start=1)
    ]
    return marks, ["\n".join(lines)] if lines else []


def _incomplete(block: pd.DataFrame, cuts: int) -> list[tuple[str, tuple[str, str]]]:
    run = block[(block["status"] == RUN) & (block["cuts"] < cuts)]
    cells = zip(run["network"], run["head"], run["cuts"], strict=True)
    return [(f"Run on {held} of {cuts} cuts only.", (network, head)) for network, head, held in cells]


def _told(dataset: str, notes: pd.DataFrame | None, cuts: int) -> list[tuple[str, tuple[str, str]]]:
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
    for (network, head, note), group in here.groupby(["network", "head", "note"], sort=False):
        held = sorted(group["cut"].unique())
        scope = "" if len(held) >= cuts else f" (cut {', '.join(str(cut) for cut in held)})"
        told.append((f"{note}{scope}", (network, head)))
    return told


def _rows(labels: Sequence[str], group: pd.DataFrame) -> list[list[str]]:
    """Return label and metric cells of each row; the best BAC of the group is bold."""
    means = group["BAC"].round(4)  # as printed: equal on paper is equally bold
    rows = []
    for label, best, (_, row) in zip(labels, means == means.max(), group.iterrows(), strict=True):
        bac, gm, fm = (_value(row, metric) for metric in METRICS)
        # The blanks keep the digits of plain and bold cells under each other in a terminal.
        rows.append([label, f"**{bac}**" if best else f"  {bac}", gm, fm])
    return rows


def _value(row: "pd.Series[float]", metric: str) -> str:
    if row["status"] != RUN:
        return NOT_RUN
    deviation = row[f"{metric}_sd"]
    spread = "" if pd.isna(deviation) else f" ± {_points(deviation)}"
    return f"{_points(row[metric])}{spread}"


def _points(value: float) -> str:
    """Write a fraction as the paper does: .7256, and 1.0000 in full."""
    return f"{value:.4f}".removeprefix("0")


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [header, *rows]
    ]
    rule = "|" + "|".join(":" + "-" * (width + 1) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _wrap(text: str, subsequent_indent: str = "") -> str:
    return textwrap.fill(
        text, _WIDTH, subsequent_indent=subsequent_indent, break_long_words=False, break_on_hyphens=False
    )
