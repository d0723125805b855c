"""How fast the samplers are, on embeddings as many and as wide as those of CIFAR-10 at 100:1."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, BorderlineSMOTE
from sklearn.neighbors import NearestNeighbors

from benchmarks.compare import Comparison
from benchmarks.data import COUNTS, embeddings, long_tailed
from benchmarks.scale import N_FEATURES, SHAPES
from eos.samplers.eos import EOS, Interpolations
from eos.samplers.neighbors import ExactNeighbors, SharedLists
from eos.samplers.oversampling import oversample
from eos.storage.files import write_arrays
from eos.storage.layouts import EMBEDDINGS, read_stored

Resampled = tuple[np.ndarray, np.ndarray]

GRID, SEEDS = (10, 50, 100, 200, 300), (0, 1, 2)
MANY = 200_000
PLAIN = "k-NN of all rows, twice; a loop per sample"


def comparisons(quick: bool) -> Iterator[Comparison]:
    """Yield the lines of the table, on small sizes if `quick`."""
    X, y = embeddings(tuple(max(count // 10, 10) for count in COUNTS) if quick else COUNTS)
    # The plain way keeps float64, and so do we where the bytes are compared.
    X = X.astype(np.float64)
    for k, at_least, goal in ((10, 3.3, 6.0), (300, 3.0, 5.0)):
        yield Comparison(
            f"EOS `released`, K = {k}",
            PLAIN,
            partial(plain_eos, X, y, k, 0),
            partial(our_eos, X, y, k, 0),
            same_rows,
            at_least,
            goal,
        )
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / name for name in ("in.csv", "in.npz", "out.csv", "out.npz")}
        pd.DataFrame(X).assign(label=y).to_csv(paths["in.csv"], index=False)
        write_arrays(paths["in.npz"], {"train_features": X, "train_labels": y})
        for k, at_least, goal in ((10, 10, 24), (300, 6, 12)):
            yield Comparison(
                f"EOS stage with its file reading and writing, K = {k}",
                f"{PLAIN}; CSV",
                partial(plain_stage, paths["in.csv"], paths["out.csv"], k),
                partial(our_stage, paths["in.npz"], paths["out.npz"], k),
                same_rows,
                at_least,
                goal,
            )
    yield Comparison(
        f"Table IV's grid: {len(GRID)} K x {len(SEEDS)} seeds",
        PLAIN,
        lambda: [plain_eos(X, y, k, seed) for k in GRID for seed in SEEDS],
        partial(our_grid, X, y),
        lambda plain, ours: all(same_rows(*pair) for pair in zip(plain, ours, strict=True)),
        12,
        25,
    )
    single = X.astype(np.float32)
    for name, sampler, at_least, goal in (
        ("BorderlineSMOTE", BorderlineSMOTE, 1, 2),
        ("SMOTE", SMOTE, 0.25, 0.5),
    ):
        yield Comparison(
            "EOS, K = 10",
            f"imbalanced-learn's {name}",
            partial(sampler(random_state=0).fit_resample, single, y),
            partial(EOS(k_neighbors=10, step_size=1.0, random_state=0).fit_resample, single, y),
            same_counts,
            at_least,
            goal,
        )
    # Unlike SMOTE, EOS looks for the neighbors of these rows among those of all classes.
    many, labels = embeddings(
        tuple(round(count * MANY / sum(COUNTS) / (10 if quick else 1)) for count in COUNTS)
    )
    many = many.astype(np.float64)
    yield Comparison(
        f"EOS, K = 10, {len(many):,} x {many.shape[1]}",
        "imbalanced-learn's SMOTE",
        partial(SMOTE(random_state=0).fit_resample, many, labels),
        partial(EOS(k_neighbors=10, step_size=1.0, random_state=0).fit_resample, many, labels),
        same_counts,
        1 / 8,
        1 / 4,
        once=True,
    )
    yield Comparison(
        f"EOS, all enemies, {len(many):,} x {many.shape[1]}",
        "imbalanced-learn's SMOTE",
        partial(SMOTE(random_state=0).fit_resample, many, labels),
        partial(EOS(k_neighbors="all", random_state=0).fit_resample, many, labels),
        same_counts,
        1,
        10,
        once=True,
    )
    del many
    n_classes, total, largest, smallest = SHAPES["inaturalist"]
    counts = long_tailed(n_classes, total, largest, smallest)
    if quick:
        counts = counts[::20]
    # What is drawn depends on the labels alone: one row, repeated, stands for the 3.3 GiB of all.
    rows = np.broadcast_to(np.ones(N_FEATURES, dtype=np.float32), (counts.sum(), N_FEATURES))
    tail = np.repeat(np.arange(len(counts)), counts)
    yield Comparison(
        f"EOS, all enemies, triples of {len(tail):,} x {N_FEATURES:,}, {len(counts):,} classes",
        "a loop over classes that lists the enemies of each",
        partial(plain_triples, tail, 0),
        partial(EOS(k_neighbors="all", random_state=0).fit_interpolations, rows, tail),
        lambda plain, ours: np.array_equal(plain[3], ours.labels) and right_triples(tail, ours),
        1,
        3,
        once=True,
    )


def plain_eos(X: np.ndarray, y: np.ndarray, k: int, seed: int) -> Resampled:
    """Over-sample as published: all rows' neighbors, distances and row numbers apart; one draw per sample."""
    np.random.seed(seed)  # noqa: NPY002
    search = NearestNeighbors(n_neighbors=k + 1).fit(X)
    distances, rows = search.kneighbors(X)[0], search.kneighbors(X)[1]
    assert distances.shape == rows.shape
    enemy = (y[rows[:, 1:]] != y[:, np.newaxis]).astype(float)
    largest = np.bincount(y).max()
    all_rows, all_labels = [X], [y]
    for label in np.unique(y):
        n_samples = largest - np.count_nonzero(y == label)
        if n_samples == 0:
            continue
        bases = np.flatnonzero((y == label) & (enemy.sum(axis=1) > 0))
        chosen = bases[np.random.choice(len(bases), size=n_samples)]  # noqa: NPY002
        partners = []
        for base in chosen:
            # The published slip: a place among neighbors 1..K is looked up in the list 0..K.
            share = enemy[base] / enemy[base].sum()
            partners.append(rows[base, np.random.choice(k, 1, p=share)[0]])  # noqa: NPY002
        steps = np.random.rand(n_samples, 1)  # noqa: NPY002
        all_rows.append(X[chosen] + steps * (X[partners] - X[chosen]))
        all_labels.append(np.full(n_samples, label))
    return np.concatenate(all_rows), np.concatenate(all_labels)


def plain_triples(y: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """Draw bases, enemies among all rows of other classes, and steps; return them and their labels."""
    random = np.random.RandomState(seed)
    counts = np.bincount(y)
    parts = []
    for label, count in enumerate(counts):
        n_samples = counts.max() - count
        own = y == label
        base = random.choice(np.flatnonzero(own), n_samples)
        partner = random.choice(np.flatnonzero(~own), n_samples)
        parts.append((base, partner, random.random_sample(n_samples), np.full(n_samples, label)))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def right_triples(y: np.ndarray, triples: Interpolations) -> bool:
    """Whether bases are of the samples' classes, and partners of others."""
    return np.array_equal(y[triples.base], triples.labels) and bool(
        (y[triples.partner] != triples.labels).all()
    )


def our_eos(X: np.ndarray, y: np.ndarray, k: Any, seed: int) -> Resampled:
    """Over-sample with the library; `k` may be a search."""
    resampled: Resampled = EOS(k_neighbors=k, variant="released", random_state=seed).fit_resample(X, y)
    return resampled


def plain_stage(source: Path, made: Path, k: int) -> Resampled:
    """Read a table, over-sample, write a table."""
    table = pd.read_csv(source)
    X, y = plain_eos(table.drop(columns="label").to_numpy(), table["label"].to_numpy(), k, 0)
    pd.DataFrame(X).assign(label=y).to_csv(made, index=False)
    return X, y


def our_stage(source: Path, made: Path, k: int) -> Resampled:
    """Read stored embeddings, over-sample, write what was added: a head's share of stages/oversample.py."""
    data = read_stored(source, EMBEDDINGS, "train_features", "train_labels")
    X, y = data["train_features"], data["train_labels"]
    balanced = oversample("eos", X, y, random_state=0, k_neighbors=k, variant="released")
    write_arrays(made, {"synthetic": balanced.features, "labels": balanced.labels})
    return np.concatenate([X, balanced.features]), balanced.labels


def our_grid(X: np.ndarray, y: np.ndarray) -> list[Resampled]:
    """Over-sample for every K and seed from one search, that of the largest K."""
    shared = SharedLists(max(GRID) + 1)
    return [our_eos(X, y, ExactNeighbors(k + 1, shared=shared), seed) for k in GRID for seed in SEEDS]


def same_rows(plain: Resampled, ours: Resampled) -> bool:
    """Whether features and labels are equal to the last bit, in the same order."""
    return all(np.array_equal(*pair) for pair in zip(plain, ours, strict=True))


def same_counts(plain: Resampled, ours: Resampled) -> bool:
    """Whether the classes have as many rows: the samplers draw others by design."""
    return np.array_equal(np.bincount(plain[1]), np.bincount(ours[1]))
