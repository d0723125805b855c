"""Imbalanced splits: how many images each class keeps, and which."""

from collections.abc import Sequence

import numpy as np

from eos.errors import InputError


def exponential_counts(available: np.ndarray, ratio: float) -> np.ndarray:
    """Return class sizes that fall exponentially from the first class to the last.

    Class c of C keeps int(n · ratio^(-c/(C-1))) images (paper, Section IV), where n, the size of class 0,
    is the largest for which every class has enough: CIFAR-10 at 100:1 gives 5000, 2997, … 83, 50.

    Parameters
    ----------
    available
        (C,) How many images each class has, of at least two classes.
    ratio
        Size of the largest class over that of the smallest, at least 1.

    Returns
    -------
    (C,) int64.

    Raises
    ------
    InputError
        If a class would keep no image.
    """
    n_classes = len(available)
    shares = ratio ** -(np.arange(n_classes) / (n_classes - 1))
    # Class 0 sets the size, unless a later class is too small for its share of it.
    sizes = available / shares
    counts = (sizes.min() * shares).astype(np.int64)
    counts[sizes.argmin()] = available[sizes.argmin()]  # all it has, whatever the rounding of the product
    if counts.min() < 1:
        empty = int(np.argmin(counts))
        raise InputError(
            f"imbalance ratio {ratio}: class {empty} would keep no image (the largest keeps {counts.max()}); "
            f"lower the ratio below {counts.max()}"
        )
    return counts


def imbalanced_subset(labels: np.ndarray, counts: np.ndarray, cut: int) -> np.ndarray:
    """Pick `counts[c]` rows of every class c.

    Per class, in label order, the rows in their original order are shuffled by one legacy stream seeded
    with `cut`, and the first ones are kept: the released code's draw, so that equal cuts are equal subsets.

    Parameters
    ----------
    labels
        (n,) int labels 0 … C-1.
    counts
        (C,) rows to keep, at most those that there are.
    cut
        The seed.

    Returns
    -------
    (sum of counts,) int64 row indices, class by class.
    """
    random = np.random.RandomState(cut)
    kept = []
    for label, count in enumerate(counts):
        rows = np.flatnonzero(labels == label)
        random.shuffle(rows)
        kept.append(rows[:count])
    return np.concatenate(kept)


def hold_out(
    labels: np.ndarray, fraction: float, seed: int, *, names: Sequence[str] | None = None
) -> np.ndarray:
    """Draw a stratified validation set: of every class the given fraction, but at least one row.

    Parameters
    ----------
    labels
        (n,) int labels.
    fraction
        Share to hold out, in [0, 1); 0 holds out nothing.
    seed
        Picks the rows.
    names
        What an error calls the classes, by label; None: their numbers.

    Returns
    -------
    (n,) bool mask of the held-out rows.

    Raises
    ------
    InputError
        If a class has a single row, which cannot be both trained on and held out.
    """
    mask = np.zeros(len(labels), dtype=bool)
    if fraction == 0:
        return mask
    random = np.random.default_rng(seed)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            name = label if names is None else repr(names[label])
            raise InputError(
                f"class {name} has one training image, which cannot be held out too; give the class more "
                f"images, or hold out nothing (here a share of {fraction})"
            )
        size = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        mask[random.permutation(rows)[:size]] = True
    return mask
