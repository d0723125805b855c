"""Balanced batches: the rows that `fit_resample` makes, every class in every batch."""

from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import make_blobs
from torch.utils.data import DataLoader

from eos import EOS, BalancedBatchSampler, BalancedDataset
from eos.errors import InputError


def imbalanced(dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(n_samples=[60, 20, 5], n_features=4, cluster_std=3.0, random_state=0)
    return X.astype(dtype), np.array(["cat", "dog", "eel"])[y]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_the_rows_are_those_of_fit_resample(dtype: Any, container: Any) -> None:
    X, y = imbalanced(dtype)
    data = BalancedDataset(container(X), y, EOS(random_state=3, step_size=0.5))
    features, labels = EOS(random_state=3, step_size=0.5).fit_resample(container(X), y)
    features = (features.toarray() if sparse.issparse(features) else features).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(data))
    assert len(data) == len(labels) == 180
    np.testing.assert_array_equal(data.classes[data.labels], labels)
    batch, numbers = data[order]
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, features[order])
    np.testing.assert_array_equal(numbers, data.labels[order])
    row, number = data[170]
    np.testing.assert_array_equal(row, features[170])
    assert number == data.labels[170]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 2**32))
def test_every_class_has_the_same_share(labels: list[int], batch_size: int, seed: int) -> None:
    sampler = BalancedBatchSampler(labels, batch_size, seed)
    counts = np.bincount(labels)
    classes = np.flatnonzero(counts)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    for batch in batches:
        shares = np.bincount(np.array(labels)[batch], minlength=len(counts))[classes]
        assert shares.max() - shares.min() <= 2
    times = np.bincount(np.concatenate(batches), minlength=len(labels))
    for number in classes:
        own = times[np.array(labels) == number]
        assert own.sum() == counts.max()
        assert own.max() - own.min() <= 1


def test_batches_that_the_classes_divide_have_them_equally() -> None:
    data = BalancedDataset(*imbalanced(), EOS(random_state=0))
    for rows in BalancedBatchSampler(data.labels, batch_size=36, random_state=0):
        np.testing.assert_array_equal(np.bincount(data.labels[rows]), [12, 12, 12])


def test_the_seed_and_the_epoch_decide_the_order() -> None:
    labels = np.repeat([0, 1], [30, 20])

    def orders(sampler: BalancedBatchSampler, epochs: int) -> list[list[int]]:
        return [np.concatenate(list(sampler)).tolist() for _ in range(epochs)]

    first = orders(BalancedBatchSampler(labels, 8, 5), 3)
    assert first[0] != first[1] != first[2]
    assert orders(BalancedBatchSampler(labels, 8, 5), 3) == first
    assert orders(BalancedBatchSampler(labels, 8, 6), 1)[0] != first[0]
    stopped = BalancedBatchSampler(labels, 8, 5)
    list(islice(stopped, 2))  # an epoch that was not finished
    stopped.epoch = 2
    assert orders(stopped, 1)[0] == first[2]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_data_loader_gives_tensors_of_the_same_batches(workers: int) -> None:
    data: Any = BalancedDataset(*imbalanced(), EOS(random_state=0))
    sampler, again = (BalancedBatchSampler(data.labels, 50, random_state=1) for _ in range(2))
    loader: DataLoader[Any] = DataLoader(data, sampler=sampler, batch_size=None, num_workers=workers)
    assert len(loader) == 4
    for _ in range(2):
        for (features, labels), rows in zip(loader, again, strict=True):
            assert (features.dtype, labels.dtype) == (torch.float32, torch.int64)
            np.testing.assert_array_equal(features, data[rows][0])
            np.testing.assert_array_equal(labels, data[rows][1])


def test_a_data_loader_can_draw_single_rows_too() -> None:
    data: Any = BalancedDataset(*imbalanced(), EOS(random_state=0))
    loader: DataLoader[Any] = DataLoader(data, batch_size=64, shuffle=True)
    assert [tuple(features.shape) for features, _ in loader] == [(64, 4), (64, 4), (52, 4)]


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="batch_size: 0; give"):
        BalancedBatchSampler([0, 1], 0, 0)
    with pytest.raises(InputError, match="labels: there are no rows"):
        BalancedBatchSampler([], 4, 0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        BalancedDataset(np.eye(3), [0, 1], EOS())


def test_labels_of_the_sampler_are_one_per_row() -> None:
    with pytest.raises(InputError, match=r"labels: shape \(3, 3\); give one per row"):
        BalancedBatchSampler(np.eye(3), batch_size=2, random_state=0)


@pytest.mark.parametrize("value", [2.5, float("nan"), "x", None, -1])
def test_numbers_that_are_none_are_named(value: Any) -> None:
    with pytest.raises(InputError, match=f"batch_size: {value!r}; give"):
        BalancedBatchSampler([0, 1], value, 0)
    with pytest.raises(InputError, match=f"random_state: {value!r}; give"):
        BalancedBatchSampler([0, 1], 2, value)
    batches = BalancedBatchSampler([0, 1], 2, 0)
    batches.epoch = value
    with pytest.raises(InputError, match=f"epoch: {value!r}; set"):
        list(batches)


def test_labels_and_samplers_that_are_none_are_named() -> None:
    labels: Any = [0, None]
    with pytest.raises(InputError, match="labels: 1 are missing, the first in row 1"):
        BalancedBatchSampler(labels, 2, 0)
    sampler: Any = EOS
    with pytest.raises(InputError, match=r"sampler: .*; give an EOS"):
        BalancedDataset(*imbalanced(), sampler)


def test_values_that_float32_cannot_hold_are_refused() -> None:
    X, y = imbalanced()
    with pytest.raises(InputError, match=r"X: values as large as .* cannot be made into batches of float32"):
        BalancedDataset(X * 1e39, y, EOS())
