"""Moments of rows, and the few rows that stand for many."""

from dataclasses import fields

import numpy as np
import pytest

from skentropy._data import WORKING_SET_BYTES, Block, Rows
from skentropy.decomposition._em_model import Table
from skentropy.decomposition._moments import Moments, row_bytes
from tests.common.data import rows_of_factors


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
def test_moments_about_any_point(offset):
    X, weight = rows_of_factors(150, 6)
    X = X + offset * np.array([1.0, -1.0, 0.5, 0.0, 2.0, 1.0])
    mean = weight @ X / weight.sum()
    whole = Moments.of(X, weight)
    parts = Moments.of(X[:50], weight[:50]) + Moments.of(X[50:], weight[50:])
    for moments in (whole, parts):
        assert moments.weight == pytest.approx(weight.sum(), rel=1e-14)
        np.testing.assert_allclose(moments.mean, mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(moments.scatter, (X - mean).T @ (weight[:, np.newaxis] * (X - mean)), atol=1e-8)
    half = whole.discounted(0.5)
    assert half.weight == 0.5 * whole.weight
    np.testing.assert_allclose(half.covariance, whole.covariance, rtol=1e-14)
    scale = np.arange(1.0, 7.0)
    expected = Moments.of((X - 2.0) / scale, weight)
    found = whole.standardised(np.full(6, 2.0), scale)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found.scatter, expected.scatter, atol=1e-8)


def test_moments_where_the_first_rows_are_not_typical():
    """Scatters about the mean of rows without much weight keep their digits: about the mean of all they are summed anew."""
    X, weight = rows_of_factors(300, 3)
    X[:70] += 1e7
    weight[:70] *= 1e-20
    moments = Moments.of(X, weight)
    mean = weight @ X / weight.sum()
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-7)
    np.testing.assert_allclose(moments.scatter, (X - mean).T @ (weight[:, np.newaxis] * (X - mean)), rtol=1e-7)


def test_rows_of_no_weight_add_nothing_to_moments():
    X, weight = rows_of_factors(20, 3)
    some, none = Moments.of(X, weight), Moments.of_block(Block(X, np.zeros(20), None, start=0))
    assert none.weight == 0.0
    assert (none.mean.shape, none.scatter.shape) == ((3,), (3, 3))
    for both in (some + none, none + some):
        for field in fields(Moments):
            np.testing.assert_array_equal(getattr(both, field.name), getattr(some, field.name))
    assert (none + none).weight == 0.0


@pytest.mark.parametrize("d", [1, 20, 100, 300, 500, 3000])
def test_blocks_for_moments_fill_the_cache_and_have_several_rows_a_feature(d):
    rows = Rows(np.zeros((2, d)), row_bytes=row_bytes(d)).block_size
    in_cache = WORKING_SET_BYTES // (8 * d)
    assert max(in_cache, 16 * d) - 64 < rows <= max(in_cache, 16 * d) or rows == 8192 <= max(in_cache, 16 * d)


def test_few_rows_stand_for_many_with_the_same_moments():
    X, weight = rows_of_factors(60, 4)
    X[30:, 2] = np.nan
    small = Table.of(X, weight)
    assert len(small.values) == 2 * 4 + 2 * 3
    np.testing.assert_array_equal(sorted(np.diff(small.starts)), [6, 8])
    for pattern, start, stop in zip(small.patterns, small.starts[:-1], small.starts[1:], strict=True):
        seen = pattern.astype(bool)
        rows = slice(0, 30) if seen.all() else slice(30, 60)
        expected = Moments.of(X[rows][:, seen], weight[rows])
        found = Moments.of(small.values[start:stop][:, seen], small.weight[start:stop])
        np.testing.assert_allclose(found.weight, expected.weight)
        np.testing.assert_allclose(found.mean, expected.mean)
        np.testing.assert_allclose(found.scatter, expected.scatter, atol=1e-10)


@pytest.mark.parametrize(("complete", "gaps"), [(8, 6), (9, 6), (8, 7), (30, 40)])
def test_rows_are_replaced_where_that_makes_them_fewer(complete, gaps):
    X, weight = rows_of_factors(complete + gaps, 4)
    X[complete:, 2] = np.nan
    small = Table.of(X, weight)
    assert len(small.values) == min(complete, 2 * 4) + min(gaps, 2 * 3)
    kept = {tuple(row) for row in small.values} & {tuple(row) for row in np.nan_to_num(X)}
    assert len(kept) == complete * (complete <= 8) + gaps * (gaps <= 6)


def test_rows_without_any_weight_have_no_table():
    X, weight = rows_of_factors(20, 3)
    X[3, 1] = np.nan
    assert Table.of_rows(Rows(X, np.zeros(20)), np.zeros(3), np.ones(3)) is None
    made = Table.of_rows(Rows(X, weight), np.full(3, 2.0), np.arange(1.0, 4.0))
    direct = Table.of((X - 2.0) / np.arange(1.0, 4.0), weight)
    np.testing.assert_array_equal(made.values, direct.values)
