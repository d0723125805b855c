"""Small tidy frames for the tests of tables, and a reader of printed ones."""

import pandas as pd

SCORES = ["dataset", "cut", "network", "head", "seed", "selection", "BAC", "GM", "FM"]
BALANCED = ["dataset", "cut", "sampler", "network", "seed", "selection", "BAC", "GM", "FM"]
GAPS = [
    "dataset", "cut", "network", "class", "train_count", "gap", "true_positive_gap", "false_positive_gap",
]  # fmt: skip
CLASSES = ["dataset", "cut", "network", "head", "class", "gap"]
NOTES = ["dataset", "cut", "network", "head", "note"]
PIXEL_NOTES = ["dataset", "cut", "sampler", "note"]


def score_frame(
    values: list[tuple[int, str, str, int, float]], *, dataset: str = "digits", selection: str = "last"
) -> pd.DataFrame:
    """One row per (cut, network, head, seed, BAC); GM and FM are BAC + .1 and BAC - .1."""
    rows = [(dataset, c, n, h, s, selection, b, b + 0.1, b - 0.1) for c, n, h, s, b in values]
    return pd.DataFrame(rows, columns=SCORES)


def balanced_frame(
    values: list[tuple[int, str, str, float]], *, dataset: str = "digits", selection: str = "last"
) -> pd.DataFrame:
    """One row per (cut, sampler, network, BAC), else as `score_frame`."""
    rows = [(dataset, c, p, n, 0, selection, b, b + 0.1, b - 0.1) for c, p, n, b in values]
    return pd.DataFrame(rows, columns=BALANCED)


def example_scores() -> pd.DataFrame:
    """Two networks, three heads; some lack a cut or a seed."""
    return score_frame(
        [
            (0, "ce", "own", 0, 0.70),
            (10, "ce", "own", 0, 0.74),
            (0, "ce", "smote", 0, 0.71),
            (0, "ce", "smote", 1, 0.73),
            (10, "ce", "smote", 0, 0.75),
            (10, "ce", "smote", 1, 0.81),
            (0, "ce", "eos", 0, 0.90),
            (0, "ldam", "own", 0, 0.50),
        ]
    )


def lines_of(text: str) -> list[list[str]]:
    """Return the cells of the lines of all grids in a text."""
    return [
        [part.strip() for part in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
