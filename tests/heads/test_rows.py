"""Rows that are computed when they are read: the same bytes as the array of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eos.errors import InputError
from eos.heads.rows import RowSource, StoredRows, balanced_rows


def triples(dtype: str = "float32") -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 4)).astype(dtype)
    return features, rng.integers(0, 30, 50), rng.integers(0, 30, 50), rng.uniform(-1, 1, 50)


def array_of(features: np.ndarray, base: np.ndarray, partner: np.ndarray, step: np.ndarray) -> np.ndarray:
    between = features[base] + step.astype(features.dtype)[:, None] * (features[partner] - features[base])
    return np.concatenate([features, between]).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_balanced_rows_are_the_real_ones_and_those_between(dtype: str) -> None:
    given = triples(dtype)
    rows, expected = balanced_rows(*given), array_of(*given)
    assert rows.shape == expected.shape == (80, 4)
    np.testing.assert_array_equal(rows.block(0, 80), expected)
    assert rows.block(0, 80).dtype == np.float32
    np.testing.assert_array_equal(rows.block(70, 90), expected[70:])


def test_rows_are_copied_into_a_part_of_an_array() -> None:
    given, chosen = triples(), np.array([79, 0, 3, 40, 3])
    array = array_of(*given)
    for source in (balanced_rows(*given), StoredRows(array)):
        assert isinstance(source, RowSource)
        room = np.ones((5, 5), np.float32)
        source.copy_rows(chosen, room[:, :-1])
        np.testing.assert_array_equal(room, np.column_stack([array[chosen], np.ones(5)]))


def test_an_array_is_no_source_by_accident() -> None:
    assert not isinstance(triples()[0], RowSource)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, b, p, s: (np.where(x == x[3, 1], np.nan, x), b, p, s), "features: 1 of 30 rows"),
        (lambda x, b, p, s: (x.astype(int), b, p, s), "features: .*floating point"),
        (lambda x, b, p, s: (x, b, p[1:], s), r"base, partner, step: shapes \(50,\), \(49,\), \(50,\)"),
        (lambda x, b, p, s: (x, np.where(b == b[4], 30, b), p, s), "base: row 30 is none of the 30 rows"),
        (lambda x, b, p, s: (x, b, np.where(p == p[4], -1, p), s), "partner: row -1 is none of the 30 rows"),
        (lambda x, b, p, s: (x, b + 0.5, p, s), "base: float64 array; give whole numbers"),
        (lambda x, b, p, s: (x, b, p > 3, s), "partner: bool array; give whole numbers"),
        (lambda x, b, p, s: (x, b, p, s.astype(str)), "step: <U.* array; give fractions"),
        (lambda x, b, p, s: (x, b, p, s / 0), "step: 50 values are NaN or infinite"),
    ],
)
def test_triples_that_do_not_fit_are_named(change: Callable[..., Any], message: str) -> None:
    with np.errstate(divide="ignore"), pytest.raises(InputError, match=message):
        balanced_rows(*change(*triples()))
