"""The run times of balancing images and of balancing embeddings (Section V-E2 of the paper)."""

from collections.abc import Sequence

import pandas as pd

from eos.errors import InputError, unknown_name
from eos.registry import display_name
from eos.report.markdown import grid, wrap

# The ways to a balanced classifier, and what each kind consists of, in the order it is done.
PIXEL, GENERATOR, EMBEDDING = "pixel", "generator", "embedding"
_PHASES = {
    PIXEL: ("augment", "train"),
    GENERATOR: ("generate", "train"),
    EMBEDDING: ("train", "extract", "oversample", "retrain"),
}
PHASES = ("augment", "generate", "train", "extract", "oversample", "retrain")
_PLAIN_PHASES = ("train", "extract")  # an embedding way does these with the network trained on plain images

_SIZES = ("rows", "epochs", "parameters")
# The columns with the sizes of what a phase trains: the network, or something else.
_OTHER_SIZES = ("other_rows", "other_epochs", "other_parameters")
_SIZE_COLUMNS = {"train": _SIZES, "generate": _OTHER_SIZES, "retrain": _OTHER_SIZES}
_COLUMNS = [
    *("dataset", "network", "kind", "sampler", "way", "cuts", *PHASES, "total", "ratio"),
    *("epochs", "rows", "parameters", "other_epochs", "other_rows", "other_parameters"),
]
_NOT_MEASURED = "not measured"


def runtime(
    measured: pd.DataFrame,
    network: str,
    *,
    pixel: Sequence[str],
    generators: Sequence[str],
    head: str,
) -> pd.DataFrame:
    """Add up the seconds of each way to a balanced classifier: with pixels, generators, or embeddings.

    Parameters
    ----------
    measured
        One row per measured phase, and at most one per dataset, cut, phase, sampler and network:

        - dataset, cut;
        - phase: "augment" (over-sampling of images), "generate" (training a generator and drawing images from
          it), "train" (a network), "extract" (its embeddings), "oversample" (of embeddings), "retrain" (of a
          head);
        - sampler: the pixel sampler, the generator or the head; for "train" the one whose images the network
          was trained on. Empty ("" or missing) for the plain training and its "extract";
        - network; empty for a phase that all networks share, such as "augment";
        - seconds: NaN where not measured;
        - epochs, rows (per epoch), parameters (trainable ones) of the model that the phase trains; NaN where
          it trains none.
    network
        The network to show.
    pixel, generators, head
        The samplers and generators whose images a network was trained on, and the head of the embedding way:
        one line each, in this order.

    Returns
    -------
    pandas.DataFrame
        Per dataset (in order of appearance) one row per way:

        - dataset, network, kind ("pixel", "generator", "embedding"), sampler, way (its name);
        - cuts: the number of cuts on which every phase of the way was measured;
        - augment, generate, train, extract, oversample, retrain: seconds, means over these cuts, or, where
          there are none, over the cuts on which the phase was measured; NaN where it was not measured or is
          no part of the way;
        - total: their sum, NaN unless every phase was measured; ratio: that over the embedding way's;
        - epochs, rows, parameters: means over the cuts, of the network's training; with `other_`, of that of
          the generator or the head; empty for pixels.

    Raises
    ------
    InputError
        If a phase has an unknown name or a measurement is there twice.
    """
    for phase in measured["phase"].unique():
        if phase not in PHASES:
            raise unknown_name(phase, PHASES, what="phase", place="run times, column phase")
    filled = {name: measured[name].astype(object).fillna("") for name in ("sampler", "network")}
    named = measured.assign(**filled)
    named = named[named["network"].isin([network, ""])]
    key = ["dataset", "cut", "phase", "sampler"]  # of one network: a shared phase must not be there as well
    twice = named.loc[named.duplicated(key), key]
    if len(twice):
        where = ", ".join(f"{name} {str(value) or '(empty)'}" for name, value in twice.iloc[0].items())
        raise InputError(f"run times: the measurement ({where}) is there twice; hand in each once")
    samplers = {PIXEL: pixel, GENERATOR: generators, EMBEDDING: [head]}
    lines = [
        {"dataset": dataset, "network": network, **_measure(named[named["dataset"] == dataset], kind, name)}
        for dataset in measured["dataset"].unique()
        for kind, names in samplers.items()
        for name in names
    ]
    table = pd.DataFrame(lines, columns=_COLUMNS)
    embedding = table[table["kind"] == EMBEDDING].set_index("dataset")["total"]
    return table.assign(ratio=table["total"] / table["dataset"].map(embedding))


def markdown_runtime(table: pd.DataFrame) -> str:
    """Lay out `runtime` as Markdown that also reads well in a terminal 100 columns wide.

    Per dataset: the totals with their ratio to the embedding way, what rows x epochs alone would make of
    that ratio, and the phases.
    """
    networks = ", ".join(display_name(name) for name in table["network"].unique())
    text = [
        f"# Run time: balancing images or embeddings{f' ({networks})' if networks else ''}",
        wrap(
            "Wall-clock seconds, means over the cuts on which every phase of a way was measured. They "
            "compare only within a data set, and only if measured on the same machine under the same load. "
            "Ratio: the total over that of the way through embeddings. The paper (Section V-E2: CIFAR-10, "
            "ResNet-32, mean of three pixel samplers) has 126.9 minutes against 43.9, a ratio of 2.9."
        ),
    ]
    if table.empty:
        text.append("Nothing was measured.")
    for dataset, block in table.groupby("dataset", sort=False):
        words = _training_words(block)
        text += [f"## {display_name(str(dataset))}", _totals(block), *words, _details(block)]
    return "\n\n".join(text) + "\n"


def _title(kind: str, sampler: str) -> str:
    return f"{'pixel ' if kind == PIXEL else ''}{display_name(sampler)}"


def _measure(measured: pd.DataFrame, kind: str, sampler: str) -> dict[str, object]:
    """Return the line of a way, from the measurements of one dataset."""
    title = _title(kind, sampler)
    way = f"training + {title} + head" if kind == EMBEDDING else f"{title} + training"
    phases = {}
    for phase in _PHASES[kind]:
        of = "" if kind == EMBEDDING and phase in _PLAIN_PHASES else sampler
        chosen = (measured["phase"] == phase) & (measured["sampler"] == of)
        phases[phase] = measured[chosen].set_index("cut")
    seconds = pd.DataFrame({phase: rows["seconds"] for phase, rows in phases.items()})
    complete = seconds.dropna()
    means = (seconds if complete.empty else complete).mean()
    line: dict[str, object] = {"kind": kind, "sampler": sampler, "way": way, "cuts": len(complete), **means}
    line["total"] = means.sum(skipna=False)
    for phase in phases.keys() & _SIZE_COLUMNS.keys():
        line |= dict(zip(_SIZE_COLUMNS[phase], phases[phase][list(_SIZES)].mean(), strict=True))
    return line


def _totals(block: pd.DataFrame) -> str:
    return grid(
        ["Way", "Cuts", "Total seconds", "Ratio"],
        [
            [way, str(cuts), _seconds(total), _NOT_MEASURED if pd.isna(ratio) else f"{ratio:.2f}"]
            for way, cuts, total, ratio in block[["way", "cuts", "total", "ratio"]].itertuples(index=False)
        ],
    )


def _training_words(block: pd.DataFrame) -> list[str]:
    """Say, in one paragraph or none, what ratio the rows and epochs of the networks' trainings make alone."""
    work, embedding = block["rows"] * block["epochs"], block["kind"] == EMBEDDING
    plain, others = work[embedding].iloc[0], work[~embedding].dropna()
    if others.empty or not plain > 0:
        return []
    sizes = block["rows"].map("{:,.0f}".format) + " x " + block["epochs"].map("{:,.0f}".format)
    ends = [others.idxmin(), others.idxmax()]
    ratios = (others[ends] / plain).map("{:.2f}".format)
    words = (
        f"The network is trained on {' to '.join(sizes[ends].unique())} rows x epochs of balanced images, "
        f"against {sizes[embedding].iloc[0]} of imbalanced ones for embeddings, which makes a ratio of "
        f"{' to '.join(ratios.unique())} before anything else is counted."
    )
    return [wrap(words)]


def _details(block: pd.DataFrame) -> str:
    cells = []
    for _, line in block.iterrows():
        title = _title(line["kind"], line["sampler"])
        for phase in _PHASES[line["kind"]]:
            sizes = [line[column] for column in _SIZE_COLUMNS.get(phase, ())] or [float("nan")] * 3
            numbers = ["" if pd.isna(size) else f"{size:,.0f}" for size in sizes]
            cells.append([title, phase, _seconds(line[phase]), *numbers])
            title = ""
    return grid(["Way", "Phase", "Seconds", "Rows", "Epochs", "Parameters"], cells)


def _seconds(value: float) -> str:
    if pd.isna(value):
        return _NOT_MEASURED
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
