"""Where data come from: a table read in blocks of rows, and additive statistics summed over the blocks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from scipy import sparse
from threadpoolctl import ThreadpoolController

from ._typing import Array, FloatArray, Matrix

Statistics = TypeVar("Statistics")

# What one block touches should stay in a core's L2 cache; and blocks below the least size are all overhead.
_WORKING_SET_BYTES = 2**20
_BLOCK_SIZES = (256, 8192)
# Rows that a thread takes at a time, in blocks. Part of the order of summation, hence independent of n_jobs.
_BLOCKS_PER_CHUNK = 8
# Chunks that may wait for a thread or, done, for their turn in the sum.
_LOOKAHEAD = 16


@dataclass(frozen=True)
class Block:
    """Consecutive rows in double precision, and a weight and an exposure for each row where there are any."""

    X: Matrix
    weight: FloatArray | None
    exposure: FloatArray | None
    start: int

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0])

    @property
    def total_weight(self) -> float:
        return float(self.n_rows) if self.weight is None else float(self.weight.sum())


class Rows:
    """A table as blocks of rows.

    Parameters
    ----------
    X : ndarray, memmap or CSR matrix of shape (n_samples, n_features)
        Never copied whole; all becomes float64 block by block. ``dtype`` is that of results: float32 for float32.
    sample_weight, exposure : ndarray of shape (n_samples,) or None
    row_bytes : int
        Bytes that one row takes in the caller's computation; decides the size of a block.
    """

    def __init__(
        self,
        X: Matrix,
        sample_weight: FloatArray | None = None,
        exposure: FloatArray | None = None,
        *,
        row_bytes: int = 1,
    ) -> None:
        self.X = X
        self.sample_weight = sample_weight
        self.exposure = exposure
        self.dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
        self.block_size = int(np.clip(_WORKING_SET_BYTES // max(row_bytes, 1) // 64 * 64, *_BLOCK_SIZES))

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.X.shape[0]), int(self.X.shape[1])

    @property
    def total_weight(self) -> float:
        return float(self.shape[0]) if self.sample_weight is None else float(self.sample_weight.sum())

    def block(self, start: int) -> Block:
        """The block of rows from start on."""
        rows = slice(start, min(start + self.block_size, self.shape[0]))
        X = self.X[rows]
        if not sparse.issparse(X):
            X = np.asarray(X)  # a memmap's slice costs more in every operation than an array
        return Block(
            X=X.astype(np.float64, copy=False),
            weight=None if self.sample_weight is None else self.sample_weight[rows],
            exposure=None if self.exposure is None else self.exposure[rows],
            start=start,
        )

    def take(self, index: Array, weight: FloatArray) -> Block:
        """Some rows as one block, in double precision, with other weights."""
        exposure = None if self.exposure is None else self.exposure[index]
        return Block(self.X[index].astype(np.float64), weight, exposure, start=0)

    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        """Sum of function(block) over all blocks, in an order that no pool changes."""
        return _total(self._by_chunk(lambda blocks: _total(map(function, blocks)), pool))

    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Array:
        """function(block) of all blocks, an array with one row a row of the block, as one array."""
        return np.concatenate(list(self._by_chunk(lambda blocks: np.concatenate([*map(function, blocks)]), pool)))

    def _by_chunk(self, function: Callable[[Iterator[Block]], Any], pool: ThreadPoolExecutor | None) -> Iterator[Any]:
        n, step = self.shape[0], self.block_size * _BLOCKS_PER_CHUNK
        chunks = (range(start, min(start + step, n), self.block_size) for start in range(0, n, step))

        def of_chunk(starts: range) -> Any:
            return function(map(self.block, starts))

        return map(of_chunk, chunks) if pool is None or n <= step else _map_in_order(pool, of_chunk, chunks)


def _total(terms: Any) -> Any:
    terms = iter(terms)
    total = next(terms)
    for term in terms:
        total = total + term
    return total


def _map_in_order(pool: ThreadPoolExecutor, function: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
    """Like ``pool.map``, but never further ahead of the consumer than keeps the threads busy."""
    pending: deque[Future[Any]] = deque(pool.submit(function, item) for item in islice(items, _LOOKAHEAD))
    try:
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result
    finally:
        for future in pending:
            future.cancel()


@contextmanager
def thread_pool(n_threads: int) -> Iterator[ThreadPoolExecutor | None]:
    """A pool for ``Rows.sum`` (None for one thread), with BLAS held to one thread while it is open."""
    with _SingleThreadedBLAS():
        if n_threads == 1:
            yield None
            return
        pool = ThreadPoolExecutor(n_threads, thread_name_prefix="skentropy")
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _SingleThreadedBLAS:
    """Holds BLAS to one thread while at least one fit of this process is inside.

    The limit is global to the process: with several fits at once, the first one in sets it and the last one out lifts it.
    """

    _lock = threading.Lock()
    _inside = 0
    _limiter: Any = None

    def __enter__(self) -> None:
        cls = type(self)
        with cls._lock:
            if cls._inside == 0:
                cls._limiter = _threadpool_controller().limit(limits=1, user_api="blas")
            cls._inside += 1

    def __exit__(self, *exception: object) -> None:
        cls = type(self)
        with cls._lock:
            cls._inside -= 1
            if cls._inside == 0:
                cls._limiter.restore_original_limits()


@lru_cache(maxsize=1)
def _threadpool_controller() -> ThreadpoolController:
    return ThreadpoolController()


def blas_threads() -> int:
    """As many threads as BLAS may use at present."""
    pools = _threadpool_controller().info()
    return max((int(pool["num_threads"]) for pool in pools if pool["user_api"] == "blas"), default=1)
