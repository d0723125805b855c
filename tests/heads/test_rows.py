"""Rows that are computed when they are read: the same bytes as the array of them."""

import numpy as np
import pytest
from scipy import sparse

from eos.heads.rows import RowSource, SparseRows, StoredRows, balanced_rows


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
    for source in (balanced_rows(*given), StoredRows(array), SparseRows(sparse.csr_array(array))):
        np.testing.assert_array_equal(source.block(70, 90), array[70:])
        assert isinstance(source, RowSource)
        room = np.ones((5, 5), np.float32)
        source.copy_rows(chosen, room[:, :-1])
        np.testing.assert_array_equal(room, np.column_stack([array[chosen], np.ones(5)]))


def test_an_array_is_no_source_by_accident() -> None:
    assert not isinstance(triples()[0], RowSource)
