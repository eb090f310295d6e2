"""Blocks of rows, sums in a fixed order, and BLAS held to one thread."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_info, threadpool_limits

from skentropy import PPCA, PoissonMixture, RowBlocks
from skentropy._data import (
    WORKING_SET_BYTES,
    Block,
    Reader,
    Rows,
    Scratch,
    SingleThreadedBLAS,
    _threads,
    has_nan,
    thread_pool,
)

from .common.threads import no_thread_outlives


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

    with no_thread_outlives(), thread_pool(2) as pool, pytest.raises(ZeroDivisionError):
        rows().sum(fail, pool)


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
    whole = (WORKING_SET_BYTES // 8,)
    assert np.shares_memory(scratch.array("d", whole), scratch.array("d", whole))


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


def test_libraries_side_by_side_have_as_many_threads_as_the_one_with_most(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = [SimpleNamespace(user_api=api, num_threads=n) for api, n in (("blas", 2), ("blas", 4), ("openmp", 9))]
    controller = SimpleNamespace(lib_controllers=libraries)
    monkeypatch.setattr(_threads, "_threadpool_controller", lambda: controller)
    assert _threads.blas_threads() == 4
    libraries.clear()
    assert _threads.blas_threads() == 1


def test_partitions_are_bundled_before_and_after_they_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first sum everything that is stored stays where it is."""
    da = pytest.importorskip("dask.array")
    import skentropy._data._dask as dask_rows

    bundled, bundles = [], dask_rows._bundles
    monkeypatch.setattr(
        dask_rows, "_bundles", lambda keys, stored: bundled.append(not isinstance(stored, tuple)) or bundles(keys, stored)
    )
    X = rows(30).X
    lazy = PPCA()._reader(lambda n_features: 1).read(PPCA(), da.from_array(X, chunks=(10, -1)), None, reset=True)
    for _ in range(4):
        assert lazy.sum(lambda block: block.total_weight) == 30.0
    assert bundled == [False, True]


def blas_threads() -> set[int]:
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_blas_is_held_to_one_thread_until_the_last_fit_is_out() -> None:
    before = blas_threads()
    with thread_pool(1):
        with thread_pool(2):
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == before


class TestSingleThreadedBLAS:
    """Real threads: whichever thread comes first or last, BLAS is limited inside and as before outside."""

    def test_a_fit_in_another_thread_is_limited_after_one_in_this(self) -> None:
        with threadpool_limits(2, user_api="blas"):
            before = blas_threads()
            with SingleThreadedBLAS():
                assert blas_threads() == {1}
            assert blas_threads() == before
            seen: list[set[int]] = []

            def fit() -> None:
                with SingleThreadedBLAS():
                    seen.append(blas_threads())

            thread = threading.Thread(target=fit)
            thread.start()
            thread.join()
            assert seen == [{1}]
            assert blas_threads() == before

    def test_the_last_one_out_lifts_the_limit_also_in_another_thread(self) -> None:
        with threadpool_limits(2, user_api="blas"):
            before = blas_threads()
            first_inside, first_may_go = threading.Event(), threading.Event()
            second_inside, second_may_go = threading.Event(), threading.Event()

            def fit(inside: threading.Event, may_go: threading.Event) -> None:
                with SingleThreadedBLAS():
                    inside.set()
                    may_go.wait(10.0)

            first = threading.Thread(target=fit, args=(first_inside, first_may_go))
            second = threading.Thread(target=fit, args=(second_inside, second_may_go))
            first.start()
            first_inside.wait(10.0)
            second.start()
            second_inside.wait(10.0)
            first_may_go.set()
            first.join()
            assert blas_threads() == {1}
            second_may_go.set()
            second.join()
            assert blas_threads() == before

    def test_the_users_limit_of_one_thread_stays_after_a_fit_with_more(self) -> None:
        with threadpool_limits(2, user_api="blas"), SingleThreadedBLAS():
            assert blas_threads() == {1}
        with threadpool_limits(1, user_api="blas"):
            with SingleThreadedBLAS():
                assert blas_threads() == {1}
            assert blas_threads() == {1}

    def test_the_users_own_limit_works_afterwards(self) -> None:
        thread = threading.Thread(target=SingleThreadedBLAS().__enter__)
        thread.start()
        thread.join()
        SingleThreadedBLAS().__exit__()
        for limit in (1, 2):
            with threadpool_limits(limit, user_api="blas"):
                assert blas_threads() == {limit}


def test_a_small_table_is_the_same_block_in_every_pass() -> None:
    """Also one that is not of doubles, whose copy is its own."""
    X = np.arange(12, dtype=np.float32).reshape(4, 3)
    table = Rows(X, row_bytes=1)
    blocks: list[Block] = []
    for _ in range(2):
        table.map(lambda block: [blocks.append(block), block.X][1])
    assert blocks[0] is blocks[1]
    assert blocks[0].kept == []
    assert blocks[0][:2].kept is None
    np.testing.assert_array_equal(blocks[0].X, X)
    assert rows().sum(lambda block: int(block.kept is None)) > 1


@pytest.mark.parametrize("kind", ["table", "sparse", "stream", "dask"])
def test_a_view_is_the_rows_with_other_values(kind: str) -> None:
    """Whatever they are read from, and however: summed, mapped, taken by their index."""
    X = np.random.RandomState(0).poisson(1.0, size=(700, 3)).astype(float)
    weight: Any = np.arange(700.0)
    given: Any = X if kind != "sparse" else sparse.csr_matrix(X)
    if kind == "stream":
        first, second = (X[:300], weight[:300]), (X[300:], weight[300:])
        given, weight = RowBlocks(lambda: iter([first, second])), None
    if kind == "dask":
        given = pytest.importorskip("dask.array").from_array(X, chunks=(300, 3))
    reader = Reader(sparse="missing", dtype="numeric", row_bytes=lambda n_features: 2**14)
    source = reader.read(PoissonMixture(), given, weight, reset=True)
    view = source.view(squared).view(squared)
    assert (view.n_features, view.dtype, view.is_sparse) == (3, np.float64, kind == "sparse")
    assert view.totals == source.totals
    np.testing.assert_array_equal(np.asarray(view.map(dense)), X**4)
    np.testing.assert_allclose(view.sum(weighted), np.arange(700.0) @ X**4, rtol=1e-12)
    index = source.map(lambda block: block.index)
    chosen = np.array([650, 3, 299])
    taken = view.take(np.asarray(index)[chosen], np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(dense(taken), X[chosen] ** 4)
    np.testing.assert_array_equal(taken.weight, [1.0, 2.0, 3.0])
    for block in (taken, taken[:3]):
        np.testing.assert_array_equal(dense(block.as_given), X[chosen])
    np.testing.assert_array_equal(dense(taken[1:].as_given), X[chosen[1:]])


def test_a_table_of_one_block_is_viewed_once() -> None:
    """And what is made of the view is kept with it."""
    calls = []

    def halved(block: Block) -> Block:
        calls.append(block.start)
        return replace(block, X=block.X / 2)

    def mean(block: Block) -> Any:
        return block.once("mean", lambda block: [calls.append(-1), block.X.mean()][1])

    table = rows(100)
    view = table.view(halved).view(halved)
    assert view.sum(mean) == view.sum(mean) == (table.X / 4).mean()
    assert calls == [0, 0, -1]


def squared(block: Block) -> Block:
    return replace(block, X=block.X.multiply(block.X) if sparse.issparse(block.X) else block.X**2)


def dense(block: Block) -> Any:
    return block.X.toarray() if sparse.issparse(block.X) else block.X


def weighted(block: Block) -> Any:
    return block.weight @ dense(block)
