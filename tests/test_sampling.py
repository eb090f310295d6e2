"""Samples of rows that their contents alone decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from skentropy._data import Block, Rounding, RowSample, hash_rows

rng = np.random.default_rng(0)
X = np.where(rng.uniform(size=(500, 4)) < 0.3, 0.0, rng.gamma(0.5, 1e3, size=(500, 4)))


def rounding(X: Any, relative: bool) -> Rounding:
    location = np.zeros(X.shape[1]) if relative else X.mean(axis=0)
    return Rounding(location, X.mean(axis=0) if relative else X.std(axis=0), relative)


def sample(X: Any, size: int, given: Rounding | None, first: int = 0) -> RowSample:
    block = Block(X, None, None, first)
    return RowSample.of_block(block, np.ones(len(X)), size, 7, given)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("factor", [3600.0, 2.0**70, 1 / 2.54, 1e-9])
def test_samples_are_the_same_in_any_units(relative: bool, factor: float) -> None:
    shift = 0.0 if relative else 32.0 * factor
    moved = X * factor + shift
    plain, other = sample(X, 50, rounding(X, relative)), sample(moved, 50, rounding(moved, relative))
    np.testing.assert_array_equal(other.index, plain.index)


@pytest.mark.parametrize("relative", [False, True])
def test_sparse_rows_have_the_keys_of_dense_ones(relative: bool) -> None:
    given = rounding(X, relative)
    dense = hash_rows(X, None, 7, given)
    np.testing.assert_array_equal(hash_rows(sparse.csr_array(X), None, 7, given), dense)
    assert len(np.unique(dense)) == len(np.unique(X, axis=0))


@pytest.mark.parametrize("relative", [False, True, None])
@pytest.mark.parametrize("size", [30, 1000])
def test_samples_of_blocks_add_up(relative: bool | None, size: int) -> None:
    given = None if relative is None else rounding(X, relative)
    whole = sample(X, size, given)
    parts = sample(X[:200], size, given) + sample(X[200:], size, given, first=200)
    np.testing.assert_array_equal(parts.index, whole.index)
    np.testing.assert_array_equal(parts.keys, whole.keys)


@pytest.mark.parametrize("relative", [False, True])
def test_rows_that_rounding_makes_equal_stay_distinct(relative: bool) -> None:
    near = np.concatenate([X + 1.0, (X + 1.0) * (1.0 + 1e-12)])
    drawn = sample(near, 5000, rounding(near, relative))
    assert len(drawn.index) == len(np.unique(near, axis=0))
    repeated = sample(np.concatenate([near, near]), 5000, rounding(near, relative))
    np.testing.assert_array_equal(repeated.weight, 2.0 * drawn.weight)


def test_zeros_of_either_sign_and_all_that_is_no_number_are_the_same() -> None:
    plain = np.array([[0.0, np.nan, 1.0], [2.0, 0.0, np.nan]])
    other = np.array([[-0.0, -np.nan, 1.0], [2.0, -0.0, np.copysign(np.nan, -1.0)]])
    np.testing.assert_array_equal(hash_rows(other, None, 7), hash_rows(plain, None, 7))
    np.testing.assert_array_equal(hash_rows(plain, np.array([-0.0, 1.0]), 7), hash_rows(plain, np.array([0.0, 1.0]), 7))
