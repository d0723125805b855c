"""The embeddings that the benchmarks work on: as many and as wide as those of CIFAR-10 at 100:1."""

import numpy as np

COUNTS = (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)
N_FEATURES = 64


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
