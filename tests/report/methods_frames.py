"""Made-up scores and predictions of heads on networks, for the tests of their comparison."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from eos.report.methods import Block, Cell, Comparison, compare

N_CLASSES = 5
SCORES = [
    "dataset", "cut", "network", "head", "seed", "selection", "epoch", "BAC", "GM", "FM", "ECE", "Brier",
    "held_out_BAC", "net_gap",
]  # fmt: skip
CHOSEN = ["dataset", "cut", "network", "head", "parameter", "value", "rule"]
TITLES = {
    "own": "Own classifier",
    "ncm": "Class means",
    "smote": "SMOTE",
    "eos": "EOS",
    "eoscv": "EOS, tuned",
}

Rows = tuple[np.ndarray, np.ndarray]
#: By block and head the accuracy on test rows, and on held-out rows (None: nothing was held out).
Accuracies = Mapping[Block, Mapping[str, tuple[float, float | None]]]


def predicted(
    accuracy: float, rng: np.random.Generator, *, n: int, seeds: int, noise: float, difficulty: np.ndarray
) -> Rows:
    """Return balanced labels and what seeds predict: some rows are harder for all heads."""
    labels = np.arange(n) % N_CLASSES
    hardness = difficulty + noise * rng.normal(size=(seeds, n))
    limit = np.quantile(hardness, accuracy, axis=1, keepdims=True)
    return labels, np.where(hardness <= limit, labels, (labels + 1) % N_CLASSES)


def made(
    accuracies: Accuracies, *, n: int = 500, seeds: int = 2, noise: float = 0.5, seed: int = 0
) -> dict[str, Any]:
    """Return the arguments of `compare`."""
    rng = np.random.default_rng(seed)
    rows: list[Any] = []
    test: dict[Cell, Rows] = {}
    held_out: dict[Cell, Rows] = {}
    for block, heads in accuracies.items():
        difficulty, other = rng.normal(size=n), rng.normal(size=n)
        for head, (accuracy, on_held_out) in heads.items():
            of: dict[str, Any] = {"n": n, "seeds": 1 if head == "own" else seeds, "noise": noise}
            cell = (*block, head)
            test[cell] = predicted(accuracy, rng, difficulty=difficulty, **of)
            means = (test[cell][0] == test[cell][1]).mean(axis=1)
            held_means = np.full(len(means), np.nan)
            if on_held_out is not None:
                held_out[cell] = predicted(on_held_out, rng, difficulty=other, **of)
                held_means = (held_out[cell][0] == held_out[cell][1]).mean(axis=1)
            for place, (bac, held) in enumerate(zip(means, held_means, strict=True)):
                rows.append((*cell, place, "last", 10, bac, bac, bac, 0.1, 0.4, held, 1.0))
    return {
        "scores": pd.DataFrame(rows, columns=SCORES),
        "chosen": pd.DataFrame([], columns=CHOSEN),
        "predictions": test,
        "heads": {
            head: title for head, title in TITLES.items() if any(head in row for row in accuracies.values())
        },
        "held_out": held_out,
    }


def compared(accuracies: Accuracies, **more: Any) -> Comparison:
    """Compare heads of these accuracies."""
    return compare(**made(accuracies, **more))


def blocks_of(
    heads: Mapping[str, tuple[float, float | None]], n_networks: int, dataset: str = "digits", cut: int = 0
) -> dict[Block, dict[str, tuple[float, float | None]]]:
    """Return so many networks with the same accuracies."""
    names = ("ce", "asl", "focal", "ldam", "resnet56", "wideresnet", "densenet", "a", "b", "c", "d", "e")
    return {(dataset, cut, name): dict(heads) for name in names[:n_networks]}
