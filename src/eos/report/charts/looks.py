"""What all charts share: the colour and mark of a head, the order of rows and classes, short names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from eos.registry import display_name

_X = "M-.6-1L0-.4L.6-1L1-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0L-1-.6Z"
# Okabe and Ito (2008), distinguishable with every common colour vision; the marks say the same again. None:
# the colour of text.
LOOKS: dict[str, tuple[str | None, str]] = {
    "own": (None, "circle"),
    "none": ("#7a7a7a", "square"),
    "random": ("#009e73", "triangle-down"),
    "smote": ("#56b4e9", "triangle-up"),
    "bsmote": ("#0072b2", "diamond"),
    "balsvm": ("#cc79a7", "cross"),
    "eos": ("#d55e00", _X),
}
MORE_LOOKS: list[tuple[str | None, str]] = [
    ("#e69f00", "triangle-left"), ("#8c510a", "triangle-right"), ("#01665e", "diamond"),
    ("#5e3c99", "triangle-down"), ("#b8a800", "cross"),
]  # fmt: skip
MUTED = "#7a7a7a"


def in_order(data: pd.DataFrame, orders: Mapping[Any, Sequence[Any]]) -> pd.DataFrame:
    """Sort rows by the given orders of the columns' names; equal ones stay as they are."""
    return data.sort_values(
        list(orders),
        key=lambda names: names.map({name: place for place, name in enumerate(orders[names.name])}),
        kind="stable",
        ignore_index=True,
    )


def look_of(head: str, heads: Iterable[str]) -> tuple[str | None, str]:
    """Return a head's colour and mark, the same in every chart; a colour of None is that of text."""
    if head in LOOKS:
        return LOOKS[head]
    others = [other for other in heads if other not in LOOKS]
    return MORE_LOOKS[others.index(head) % len(MORE_LOOKS)]


def cuts_text(frame: pd.DataFrame, dataset: str) -> str:
    """Name a dataset and the cuts that it was run on."""
    cuts = sorted(frame.loc[frame["dataset"] == dataset, "cut"].unique())
    named = f"cut{'s' if len(cuts) > 1 else ''} {', '.join(map(str, cuts))}" if cuts else "no cut run"
    return f"{display_name(dataset)}, {named}"


def joined(*parts: str) -> str:
    """Join what there is to say in a subtitle."""
    return "; ".join(part for part in parts if part)


def class_order(classes: pd.DataFrame) -> list[Any]:
    """Return the classes by their training samples, the largest first; equal ones by number."""
    counts = classes.groupby("class")["train_count"].mean()
    return counts.sort_values(ascending=False, kind="stable").index.tolist()


def shortened(names: Iterable[Any], length: int) -> list[str]:
    """Cut the middle out of names that are longer: those of one kind often differ at their ends only."""
    return [name if len(name) <= length else f"{name[: length - 6]}…{name[-5:]}" for name in map(str, names)]
