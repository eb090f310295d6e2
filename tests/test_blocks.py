"""Blocks of rows, sums in a fixed order, and BLAS held to one thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_info

from skentropy._blocks import WORKING_SET_BYTES, Block, Rows, Scratch, thread_pool
from skentropy._columns import has_nan


def rows(n: int = 20_000, **options: Any) -> Rows:
    X = np.random.RandomState(0).normal(size=(n, 3))
    return Rows(X, sample_weight=np.arange(n, dtype=float), row_bytes=4096, **options)


def test_blocks_cover_every_row_once() -> None:
    table = rows()
    starts: list[int] = table.map(lambda block: np.full(block.n_rows, block.start)).tolist()
    assert len(starts) == 20_000
    assert set(starts) == set(range(0, 20_000, table.block_size))
    np.testing.assert_array_equal(table.map(lambda block: block.X), table.X)
    assert table.sum(lambda block: block.total_weight) == table.totals.weight == 20_000 * 19_999 / 2


def test_the_size_of_a_block_depends_on_the_working_set_alone() -> None:
    X = np.zeros((10, 3))
    assert Rows(X, row_bytes=560).block_size == 7488
    assert Rows(X, row_bytes=10**9).block_size == 256
    assert Rows(X, row_bytes=1).block_size == 8192


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit_of_a_sum(n_threads: int) -> None:
    table = rows()

    def scatter(block: Block) -> Any:
        return block.X.T @ block.X

    with thread_pool(1) as pool:
        assert pool is None
        serial = table.sum(scatter, pool)
    with thread_pool(n_threads) as pool:
        np.testing.assert_array_equal(table.sum(scatter, pool), serial)
        np.testing.assert_array_equal(table.map(lambda block: block.X, pool), table.X)


def test_an_error_in_a_thread_arrives() -> None:
    def fail(block: Block) -> float:
        if block.start > 10_000:
            raise ZeroDivisionError
        return 0.0

    before = threading.active_count()
    with thread_pool(2) as pool, pytest.raises(ZeroDivisionError):
        rows().sum(fail, pool)
    assert threading.active_count() == before


def test_dtypes() -> None:
    for given, kept in [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64), (np.uint8, np.float64)]:
        for X in (np.ones((5, 2), dtype=given), sparse.csr_matrix(np.ones((5, 2), dtype=given))):
            assert Rows(X).dtype == kept
            assert Rows(X).sum(lambda block: float(block.X.dtype == np.float64)) == 1.0


def test_blocks_are_aligned_and_leave_the_table_alone() -> None:
    table = np.frombuffer(bytes(3) + np.arange(60.0).tobytes(), dtype=np.uint8)[3:].view(np.float64).reshape(20, 3)
    assert not table.flags.aligned
    for X in (table, np.arange(60, dtype=np.float32).reshape(20, 3), np.asfortranarray(np.arange(60.0).reshape(20, 3))):
        before = X.copy()
        rows = Rows(X)
        assert rows.sum(lambda block: float(block.X.flags.aligned)) == 1.0
        np.testing.assert_array_equal(rows.map(lambda block: block.X + 1.0), before + 1.0)
        np.testing.assert_array_equal(X, before)


def test_scratch_keeps_no_more_than_a_block() -> None:
    scratch = Scratch()
    small = scratch.array("a", (10, 20))
    assert np.shares_memory(small, scratch.array("a", (5, 20)))
    assert not np.shares_memory(small, scratch.array("b", (10, 20)))
    large = (WORKING_SET_BYTES // 8, 2)
    assert not np.shares_memory(scratch.array("c", large), scratch.array("c", large))
    assert sum(buffer.nbytes for buffer in scratch._buffers.values()) == 2 * small.nbytes


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_has_nan(dtype: str) -> None:
    X = np.array([[0, 1], [1, 0]]).astype(dtype)
    for table in (X, X[:0], sparse.csr_matrix(X), sparse.csr_matrix(np.zeros_like(X))):
        assert not has_nan(table)
    if X.dtype.kind == "f":
        X[0, 1] = np.nan
        assert has_nan(X)
        assert has_nan(sparse.csr_matrix(X))
        assert has_nan(np.append(X, [[np.inf, -np.inf]], axis=0))


def blas_threads() -> set[int]:
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_blas_is_held_to_one_thread_until_the_last_fit_is_out() -> None:
    before = blas_threads()
    with thread_pool(1):
        with thread_pool(2):
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == before
