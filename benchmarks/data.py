"""What the benchmarks work on: embeddings, as many and as wide as those of CIFAR-10 at 100:1; settings."""

from pathlib import Path
from typing import Any

import numpy as np

from eos.config.loading import load
from eos.heads.softmax import HeadConfig

COUNTS = (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)
N_FEATURES = 64
PARAMETERS = load(Path("params.yaml"))


def head_config(**changes: Any) -> HeadConfig:
    """Return how params.yaml trains a head, with some values changed."""
    return HeadConfig(**PARAMETERS.head_training.model_dump(exclude={"curve_epochs", "seeds"}) | changes)


def embeddings(counts: tuple[int, ...] = COUNTS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, 64) float32 and labels (n,) of overlapping classes.

    Like a network's embeddings they are not negative, and a class's rows lie around a direction of its own.
    """
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).gamma(1.0, 0.5, (len(counts), N_FEATURES))  # the same for every seed
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = random.normal(0.0, 1.1, (len(labels), N_FEATURES))
    features = np.maximum(centres[labels] + noise, 0.0).astype(np.float32)
    order = random.permutation(len(labels))
    return features[order], labels[order]


def long_tailed(n_classes: int, total: int, largest: int, smallest: int) -> np.ndarray:
    """Return falling counts from `largest` to `smallest` that add up to `total`.

    Their logarithm falls with a power of the class's number, the one that gives the sum.
    """
    place = np.linspace(0, 1, n_classes)

    def counts(power: float) -> np.ndarray:
        exact: np.ndarray = largest * (smallest / largest) ** (place**power)
        return exact

    low, high = 1e-3, 1e3  # the sum grows with the power
    for _ in range(200):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if counts(middle).sum() < total else (low, middle)
    exact = counts(high)
    exact[[0, -1]] = largest, smallest
    whole = np.floor(exact).astype(np.int64)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole


def wide_embeddings(counts: np.ndarray, n_features: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, n_features) float32 and labels of many classes, one block of rows after the other.

    The classes overlap: in so many dimensions they do only if their centres are close.
    """
    random = np.random.default_rng(seed)
    centres = random.gamma(1.0, 0.5, n_features) + random.normal(0.0, 0.2, (len(counts), n_features))
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.empty((len(labels), n_features), dtype=np.float32)
    for start in range(0, len(labels), 4096):
        block = features[start : start + 4096]
        random.standard_normal(dtype=np.float32, out=block)
        block += centres[labels[start : start + 4096]].astype(np.float32)
        np.maximum(block, 0, out=block)
    return features, labels
