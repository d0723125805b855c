"""Balanced batches for a training loop of one's own; synthetic rows are made when their batch is."""

import math
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eos.errors import InputError
from eos.samplers.eos import EOS, Interpolations
from eos.validation import check_magnitude, check_rows, labels_of_one_kind


class BalancedDataset:
    """A data set balanced by EOS, of which only the triples are stored: base row, enemy row, step.

    It has the rows of ``EOS.fit_resample``, the real ones first, and makes them when they are asked for. It
    is a map-style data set for PyTorch's ``DataLoader``, and needs no torch itself.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Feature embeddings.
    y : array-like of shape (n_samples,)
        Class labels of any kind.
    sampler : EOS
        Draws the triples, once.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels, sorted.
    labels : ndarray of int64, shape (n_balanced,)
        The class of each row, as its number in `classes`.
    triples : eos.samplers.eos.Interpolations
        All rows as triples; a real row has itself as its partner. A loop that mixes something else than
        these features, embeddings that it computes from two images say, takes `base`, `partner` and `step`
        from here.

    See Also
    --------
    eos.BalancedBatchSampler : The batches to go with it, and an example.
    """

    def __init__(self, X: Any, y: npt.ArrayLike, sampler: EOS) -> None:
        if not isinstance(sampler, EOS):
            raise InputError(f"sampler: {sampler!r}; give an EOS, EOS(random_state=0) say")
        self._features, labels = check_rows(
            sampler, X, y, accept_sparse="csr", dtype=[np.float64, np.float32]
        )
        values = self._features.data if sparse.issparse(self._features) else self._features
        check_magnitude(values, "X", float(np.finfo(np.float32).max) / 4, "made into batches of float32")
        made = sampler.fit_interpolations(self._features, labels)
        own = np.arange(len(labels))
        self.classes, self.labels = np.unique(np.concatenate([labels, made.labels]), return_inverse=True)
        self.triples = Interpolations(
            np.concatenate([own, made.base]),
            np.concatenate([own, made.partner]),
            np.concatenate([np.zeros(len(own)), made.step]),
            self.labels,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return features, float32, and class numbers: of one row for an int, of a batch for several."""
        batch = self.triples.rows(self._features, np.atleast_1d(rows))
        batch = (batch.toarray() if sparse.issparse(batch) else batch).astype(np.float32, copy=False)
        return (batch if np.ndim(rows) else batch[0]), self.labels[rows]


class BalancedBatchSampler:
    """Batches of row numbers in which every class has the same share.

    An epoch has as many rows of every class as the largest class has, so that in a `BalancedDataset` each row
    is met once; where a class has fewer, its rows are met several times. Hand it to PyTorch's ``DataLoader``
    as ``sampler``, with ``batch_size=None``: a `BalancedDataset` then makes each batch in one piece.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        The class of each row.
    batch_size : int
        Rows of a batch at most. Batches differ by one row at most, so that none is too small for batch
        normalisation. In a batch, classes differ by two rows at most, by none where their number divides it
        and all batches are of one size.
    random_state : int
        Seeds the order. Epochs differ from each other, and depend on nothing but this and their number.

    Attributes
    ----------
    epoch : int
        The number of epochs begun. Set it to go on with a stopped training.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from eos import EOS, BalancedBatchSampler, BalancedDataset
    >>> X, y = make_classification(n_samples=300, weights=[0.9, 0.1], flip_y=0, random_state=0)
    >>> data = BalancedDataset(X, y, EOS(random_state=0))
    >>> for rows in BalancedBatchSampler(data.labels, batch_size=270, random_state=0):
    ...     features, labels = data[rows]
    ...     print(features.shape, (labels == 1).sum())
    (270, 20) 135
    (270, 20) 135
    """

    def __init__(self, labels: npt.ArrayLike, batch_size: int, random_state: int) -> None:
        if not _whole(batch_size) or batch_size < 1:
            raise InputError(f"batch_size: {batch_size!r}; give a number of rows, at least 1")
        if not _whole(random_state) or random_state < 0:
            raise InputError(f"random_state: {random_state!r}; give a whole number, 0 or more")
        array = labels_of_one_kind(labels, "labels")
        if array.ndim != 1:
            raise InputError(f"labels: shape {array.shape}; give one per row, shape (n_samples,)")
        numbers = np.unique(array, return_inverse=True)[1]
        if numbers.size == 0:
            raise InputError("labels: there are no rows; give at least one")
        self._members = [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]
        self._n_rows = len(self._members) * max(len(members) for members in self._members)
        self.batch_size, self.random_state, self.epoch = batch_size, random_state, 0

    def __len__(self) -> int:
        return math.ceil(self._n_rows / self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        if not _whole(self.epoch) or self.epoch < 0:
            raise InputError(f"epoch: {self.epoch!r}; set it to a whole number, 0 or more")
        rng = np.random.default_rng([self.random_state, self.epoch])
        self.epoch += 1
        per_class = self._n_rows // len(self._members)
        # A row of this matrix has one row of every class, in any order.
        turns = np.column_stack([_shuffled(members, per_class, rng) for members in self._members])
        yield from np.array_split(rng.permuted(turns, axis=1).ravel(), len(self))


def _whole(value: Any) -> bool:
    return isinstance(value, Integral)


def _shuffled(members: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n of the members in random order, each of them equally often but for one."""
    return np.concatenate([rng.permutation(members) for _ in range(math.ceil(n / len(members)))])[:n]
