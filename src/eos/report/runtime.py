"""The run times of balancing images and of balancing embeddings (Section V-E2 of the paper)."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from eos.errors import InputError, unknown_name
from eos.registry import display_name
from eos.report.markdown import grid, wrap

PIXEL, GENERATOR, EMBEDDING = "pixel", "generator", "embedding"
# What each kind of way consists of, in the order it is done.
_PHASES = {
    PIXEL: ("augment", "train"),
    GENERATOR: ("generate", "train"),
    EMBEDDING: ("train", "extract", "oversample", "retrain"),
}
PHASES = ("augment", "generate", "train", "extract", "oversample", "retrain")
_PLAIN_PHASES = ("train", "extract")  # an embedding way does these with the network trained on plain images
_OTHER_MODEL = ("generate", "retrain")  # phases that train something else than the network
_SIZES = ("epochs", "rows", "parameters")

_NOT_MEASURED = "not measured"


def runtime(
    measured: pd.DataFrame,
    network: str,
    *,
    pixel: Sequence[str],
    generators: Sequence[str],
    head: str = "eos",
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
    pixel, generators
        The samplers and generators whose images a network was trained on, one line each, in this order.
    head
        The head of the embedding way, which the others are compared with.

    Returns
    -------
    pandas.DataFrame
        Per dataset (in order of appearance) one row per way:

        - dataset, network, kind ("pixel", "generator", "embedding"), sampler, way (its name);
        - cuts: the number of cuts on which every phase of the way was measured;
        - augment, generate, train, extract, oversample, retrain: seconds, means over these cuts, or, where
          there are none, over the cuts on which the phase was measured; NaN where it was not measured or is
          no part of the way;
        - total: their sum (seconds), NaN unless every phase of the way was measured;
        - ratio: total over that of the embedding way;
        - epochs, rows, parameters: means over the cuts, of the network's training;
        - other_epochs, other_rows, other_parameters: the same of the generator or the head; empty for pixels.

    Raises
    ------
    InputError
        If a phase has an unknown name or a measurement is there twice.
    """
    for phase in measured["phase"].unique():
        if phase not in PHASES:
            raise unknown_name(phase, PHASES, what="phase", place="run times, column phase")
    named = measured.assign(
        **{name: measured[name].astype(object).fillna("") for name in ("sampler", "network")}
    )
    named = named[named["network"].isin([network, ""])]
    _check(named)
    ways = [_Way(PIXEL, name) for name in pixel]
    ways += [_Way(GENERATOR, name) for name in generators]
    ways.append(_Way(EMBEDDING, head))
    table = pd.DataFrame(
        [
            {"dataset": dataset, "network": network, **_measure(named[named["dataset"] == dataset], way)}
            for dataset in measured["dataset"].unique()
            for way in ways
        ],
        columns=_columns(),
    )
    embedding = table[table["kind"] == EMBEDDING].set_index("dataset")["total"]
    table["ratio"] = table["total"] / table["dataset"].map(embedding)
    return table


def markdown_runtime(table: pd.DataFrame) -> str:
    """Lay out `runtime` as Markdown that also reads well in a terminal 100 columns wide.

    Per dataset: the totals with their ratio to the embedding way, what rows x epochs alone would make of
    that ratio, and the phases.

    Parameters
    ----------
    table
        From `runtime`.
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
        return "\n\n".join([*text, "Nothing was measured."]) + "\n"
    for dataset, block in table.groupby("dataset", sort=False):
        text += [f"## {display_name(str(dataset))}", _totals(block)]
        if words := _training_words(block):
            text.append(wrap(words))
        text.append(_details(block))
    return "\n\n".join(text) + "\n"


@dataclass(frozen=True)
class _Way:
    kind: str
    sampler: str

    @property
    def title(self) -> str:
        prefix = "pixel " if self.kind == PIXEL else ""
        return f"{prefix}{display_name(self.sampler)}"

    @property
    def name(self) -> str:
        return f"training + {self.title} + head" if self.kind == EMBEDDING else f"{self.title} + training"

    def rows_of(self, measured: pd.DataFrame, phase: str) -> pd.DataFrame:
        plain = self.kind == EMBEDDING and phase in _PLAIN_PHASES
        sampler = "" if plain else self.sampler
        return measured[(measured["phase"] == phase) & (measured["sampler"] == sampler)]


def _columns() -> list[str]:
    other = [f"other_{size}" for size in _SIZES]
    return [
        *["dataset", "network", "kind", "sampler", "way", "cuts"],
        *PHASES,
        *["total", "ratio"],
        *_SIZES,
        *other,
    ]


def _check(measured: pd.DataFrame) -> None:
    key = ["dataset", "cut", "phase", "sampler"]  # of one network: a shared phase must not be there as well
    twice = measured[measured.duplicated(key)]
    if len(twice):
        where = ", ".join(f"{name} {str(twice.iloc[0][name]) or '(empty)'}" for name in key)
        raise InputError(f"run times: the measurement ({where}) is there twice; hand in each once")


def _measure(measured: pd.DataFrame, way: _Way) -> dict[str, object]:
    """Return the line of a way, from the measurements of one dataset."""
    phases = {phase: way.rows_of(measured, phase) for phase in _PHASES[way.kind]}
    seconds = pd.DataFrame({phase: rows.set_index("cut")["seconds"] for phase, rows in phases.items()})
    complete = seconds.dropna()
    means = (seconds if complete.empty else complete).mean()
    line: dict[str, object] = {"kind": way.kind, "sampler": way.sampler, "way": way.name}
    line |= {"cuts": len(complete), **means}
    line["total"] = means.sum() if means.notna().all() else float("nan")
    line |= {size: phases["train"][size].mean() for size in _SIZES}
    for phase in set(phases) & set(_OTHER_MODEL):
        line |= {f"other_{size}": phases[phase][size].mean() for size in _SIZES}
    return line


def _totals(block: pd.DataFrame) -> str:
    columns = (block[name] for name in ("way", "cuts", "total", "ratio"))
    return grid(
        ["Way", "Cuts", "Total seconds", "Ratio"],
        [
            [way, str(cuts), _seconds(total), _NOT_MEASURED if pd.isna(ratio) else f"{ratio:.2f}"]
            for way, cuts, total, ratio in zip(*columns, strict=True)
        ],
    )


def _training_words(block: pd.DataFrame) -> str:
    """Say what ratio the rows and epochs of the networks' trainings make on their own."""
    plain = block[block["kind"] == EMBEDDING].iloc[0]
    others = block[block["kind"] != EMBEDDING].dropna(subset=["rows", "epochs"])
    work = plain["rows"] * plain["epochs"]
    if others.empty or not work > 0:
        return ""
    ratios = others["rows"] * others["epochs"] / work
    ends = [others.loc[ratios.idxmin()], others.loc[ratios.idxmax()]]
    sizes = " to ".join(dict.fromkeys(_size(end) for end in ends))
    ratio = " to ".join(dict.fromkeys(f"{value:.2f}" for value in (ratios.min(), ratios.max())))
    return (
        f"The network is trained on {sizes} rows x epochs of balanced images, against {_size(plain)} of "
        f"imbalanced ones for embeddings, which makes a ratio of {ratio} before anything else is counted."
    )


def _size(line: "pd.Series[float]") -> str:
    return f"{line['rows']:,.0f} x {line['epochs']:,.0f}"


def _details(block: pd.DataFrame) -> str:
    cells = []
    for _, line in block.iterrows():
        title = _Way(line["kind"], line["sampler"]).title
        for phase in _PHASES[line["kind"]]:
            prefix = {"train": "", **dict.fromkeys(_OTHER_MODEL, "other_")}.get(phase)
            sizes = (
                []
                if prefix is None
                else [line[f"{prefix}{size}"] for size in ("rows", "epochs", "parameters")]
            )
            numbers = ["" if pd.isna(size) else f"{size:,.0f}" for size in sizes] or ["", "", ""]
            cells.append([title, phase, _seconds(line[phase]), *numbers])
            title = ""
    return grid(["Way", "Phase", "Seconds", "Rows", "Epochs", "Parameters"], cells)


def _seconds(value: float) -> str:
    if pd.isna(value):
        return _NOT_MEASURED
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
