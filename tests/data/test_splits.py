"""Imbalanced splits are the released code's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eos.data.splits import exponential_counts, hold_out, imbalanced_subset
from eos.errors import InputError


def test_the_counts_of_the_paper() -> None:
    cifar10 = exponential_counts(np.full(10, 5000), 100)
    assert cifar10.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert exponential_counts(np.full(10, 5000), 1).tolist() == [5000] * 10


@given(
    st.lists(st.integers(1, 3000), min_size=2, max_size=12),
    st.floats(1, 50),
)
def test_counts_fall_exponentially_and_no_class_is_asked_for_more_than_it_has(
    available: list[int], ratio: float
) -> None:
    have = np.array(available)
    try:
        counts = exponential_counts(have, ratio)
    except InputError:
        largest = min(n * ratio ** (c / (len(have) - 1)) for c, n in enumerate(available))
        assert largest / ratio < 1 + 1e-9
        return
    assert (counts <= have).all()
    assert (counts >= 1).all()
    assert (counts == have).any()  # it is the largest such profile
    assert (np.diff(counts) <= 0).all()
    share = ratio ** (-1 / (len(have) - 1))
    assert (np.abs(counts[1:] - counts[:-1] * share) <= 1 + share).all()


def test_a_class_must_keep_an_image() -> None:
    with pytest.raises(InputError, match=r"class 2 would keep no image.*lower the ratio below 50"):
        exponential_counts(np.array([50, 50, 50]), 51)


def test_the_subset_is_the_published_draw() -> None:
    labels = np.random.RandomState(5).randint(0, 4, size=200)
    counts = np.array([20, 10, 5, 2])
    for cut in (0, 10, 100):
        np.random.seed(cut)
        expected: list[int] = []
        for label, count in enumerate(counts):
            rows = np.where(labels == label)[0]
            np.random.shuffle(rows)
            expected.extend(rows[:count])
        assert imbalanced_subset(labels, counts, cut).tolist() == expected


@given(st.lists(st.integers(2, 40), min_size=1, max_size=6), st.floats(0.01, 0.99))
def test_every_class_is_held_out_and_trained_on(sizes: list[int], fraction: float) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    mask = hold_out(labels, fraction, seed=1)
    for label, size in enumerate(sizes):
        held = mask[labels == label].sum()
        assert 1 <= held < size
        nearest = min(max(fraction * size, 1), size - 1)
        assert abs(held - nearest) <= 0.5 + 1e-9


def test_holding_out_nothing_and_too_much() -> None:
    labels = np.array([0, 0, 1])
    assert not hold_out(labels, 0, seed=0).any()
    with pytest.raises(InputError, match="class 1 has one training image"):
        hold_out(labels, 0.5, seed=0)
    with pytest.raises(InputError, match=r"class 'rose' has one training image, .*a share of 0.5"):
        hold_out(labels, 0.5, seed=0, names=["daisy", "rose"])
