"""Where data come from: rows, wherever they are, and additive statistics summed over blocks of them."""

from __future__ import annotations

import math
import operator
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial, reduce
from itertools import islice
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from scipy import sparse

from .._typing import Array, FloatArray, Matrix

Statistics = TypeVar("Statistics")

# The memory that one block touches should stay in the cache. Small blocks are all overhead, above all with threads, which
# wait for the interpreter at every operation.
WORKING_SET_BYTES = 2**22
_BLOCK_SIZES = (256, 8192)
# Rows that a thread takes at a time, in blocks. Part of the order of summation, hence independent of n_jobs.
_BLOCKS_PER_CHUNK = 2
# The lower bits of a row's index, so many, are its place in its part; the bits above them are the index of the part.
_PART_BITS = 40
# Chunks that may wait for a thread or, done, for their turn in the sum.
_LOOKAHEAD = 16


@dataclass(frozen=True)
class Additive:
    """Sums over rows, which are added field by field; the fields in ``_shared`` are the same for all rows."""

    _shared: ClassVar[tuple[str, ...]] = ()

    def __add__(self, other: Self) -> Self:
        names = (field.name for field in fields(self) if field.name not in self._shared)
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True)
class Block:
    """Consecutive rows in double precision, and a weight and an exposure for each row where there are any.

    X is memory that the next block of the same pass may take over: what is to be kept of it is copied. Where a view has
    other values, ``given`` is X as the user handed it over. A table of one block is the same block in every pass, and
    ``kept`` is then where something is kept that was made of it, with what made it.
    """

    X: Matrix
    weight: FloatArray | None
    exposure: FloatArray | None
    start: int
    kept: list[tuple[Any, Any]] | None = None
    given: Matrix | None = None

    def __getitem__(self, rows: slice) -> Block:
        """Some of the rows."""
        columns = (self.weight, self.exposure, self.given)
        weight, exposure, given = (None if values is None else values[rows] for values in columns)
        return Block(self.X[rows], weight, exposure, self.start + rows.indices(self.n_rows)[0], given=given)

    @property
    def as_given(self) -> Block:
        """The same rows as the user handed them over."""
        return self if self.given is None else replace(self, X=self.given, given=None, kept=None)

    def once(self, maker: Any, make: Callable[[Block], Any]) -> Any:
        """What is made of the block; of one that comes in every pass it is made once, as long as nothing else is."""
        if self.kept is None:
            return make(self)
        for known, made in self.kept:
            if known is maker:
                return made
        made = make(self)
        self.kept[:] = [(maker, made)]
        return made

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0])

    @property
    def index(self) -> Array:
        """What the rows are called in their source."""
        return np.arange(self.start, self.start + self.n_rows)

    @property
    def row_weight(self) -> FloatArray:
        """The weight of each row, one where there are none."""
        return np.ones(self.n_rows) if self.weight is None else self.weight

    @property
    def total_weight(self) -> float:
        return float(self.n_rows) if self.weight is None else float(self.weight.sum())

    def weighted_sum(self, values: FloatArray) -> float:
        """The sum of one value a row, each times the row's weight."""
        return float(values.sum() if self.weight is None else self.weight @ values)


def join_blocks(blocks: list[Block], places: Array) -> Block:
    """One block of the rows of several, each row at its place."""
    order = np.argsort(places)
    tables = [block.X for block in blocks]
    X: Any = sparse.vstack(tables, format="csr") if sparse.issparse(tables[0]) else np.concatenate(tables)
    weights, exposures = ([getattr(block, name) for block in blocks] for name in ("weight", "exposure"))
    exposure = None if exposures[0] is None else np.concatenate(exposures)[order]
    return Block(X[order], np.concatenate(weights)[order], exposure, start=0)


class Scratch(threading.local):
    """Arrays that a thread fills anew for every block, in memory that stays its own, unless they are larger than blocks are.

    Fresh arrays would be fresh pages where ``free`` hands memory back at once, as in the workers of Dask.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, FloatArray] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """An array with arbitrary values, good until the next one of this name."""
        size = math.prod(shape)
        if 8 * size > WORKING_SET_BYTES:
            return np.empty(shape)
        if name not in self._buffers or self._buffers[name].size < size:
            self._buffers[name] = np.empty(size)
        return self._buffers[name][:size].reshape(shape)


@dataclass(frozen=True)
class RowTotals(Additive):
    """Number of rows, and their total weight."""

    n_rows: int
    weight: float

    @classmethod
    def of_block(cls, block: Block) -> RowTotals:
        return cls(block.n_rows, block.total_weight)


class Prepared(Protocol):
    """Something made of the rows of each part of a source, kept where the part is."""

    def sum(self, function: Callable[[Any], Statistics]) -> Statistics:
        """Sum of function(what was made of a part) over the parts."""


class BlockSource(ABC):
    """Rows that are read block by block, to sum statistics over them.

    Attributes
    ----------
    n_features : int
    dtype : numpy dtype
        That of results: float32 for float32, else float64. All computations are in double precision.
    is_sparse : bool
    maps_lazily : bool
        Whether what ``map`` returns is computed later, when and where nobody here knows.
    """

    n_features: int
    dtype: np.dtype[Any]
    is_sparse: bool
    maps_lazily: bool = False

    @abstractmethod
    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        """Sum of function(block) over all blocks, in an order that no pool changes."""

    @abstractmethod
    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Any:
        """function(block) of all blocks, an array with one row a row of the block, as one array."""

    @abstractmethod
    def take(self, index: Array, weight: FloatArray) -> Block:
        """Some rows, by what ``Block.index`` calls them, as one block with other weights."""

    @cached_property
    def totals(self) -> RowTotals:
        return self.sum(RowTotals.of_block)

    def view(self, function: Callable[[Block], Block]) -> View:
        """The same rows with other values, which function(block) makes of each block whenever it is read."""
        return View(self, function)


class View(BlockSource):
    """Rows of a source with other values, as many and as wide."""

    def __init__(self, source: BlockSource, function: Callable[[Block], Block]) -> None:
        self._source, self._function = source, function
        self.n_features, self.dtype, self.is_sparse = source.n_features, source.dtype, source.is_sparse
        self.maps_lazily = source.maps_lazily

    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        return self._source.sum(partial(_through, self._function, function), pool)

    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Any:
        return self._source.map(partial(_through, self._function, function), pool)

    def take(self, index: Array, weight: FloatArray) -> Block:
        return _view_block(self._function, self._source.take(index, weight))


def _through(view: Callable[[Block], Block], function: Callable[[Block], Any], block: Block) -> Any:
    return function(block.once(view, partial(_view_block, view)))


def _view_block(view: Callable[[Block], Block], block: Block) -> Block:
    """What a view makes of a block, which tells what it was made of and keeps what is made of it."""
    given = block.X if block.given is None else block.given
    return replace(view(block), given=given, kept=None if block.kept is None else [])


class Source(BlockSource):
    """Rows as a user has handed them over, in one or several parts."""

    @abstractmethod
    def prepare(self, function: Callable[[Rows], Any]) -> Prepared:
        """Something made once of the rows of each part, to be summed over many times; None is left out."""

    @abstractmethod
    def parts(self) -> Iterator[Rows]:
        """The rows part by part, each in this process when its turn comes."""


class Rows(Source):
    """A table in memory, or mapped into it, as blocks of rows.

    Parameters
    ----------
    X : ndarray, memmap or CSR matrix of shape (n_samples, n_features)
        Never copied whole; all becomes float64 block by block.
    sample_weight, exposure : ndarray of shape (n_samples,) or None
    row_bytes : int
        Bytes that one row takes in the caller's computation; decides the size of a block.
    part : int
        Which part of a larger source the table is.
    """

    def __init__(
        self,
        X: Matrix,
        sample_weight: FloatArray | None = None,
        exposure: FloatArray | None = None,
        *,
        row_bytes: int = 1,
        part: int = 0,
    ) -> None:
        self.X = X
        self.sample_weight = sample_weight
        self.exposure = exposure
        self.n_features = int(X.shape[1])
        self.dtype = result_dtype(X.dtype)
        self.is_sparse = sparse.issparse(X)
        self.block_size = int(np.clip(WORKING_SET_BYTES // max(row_bytes, 1) // 64 * 64, *_BLOCK_SIZES))
        self._first = part << _PART_BITS

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0])

    @property
    def row_weight(self) -> FloatArray:
        """The weight of each row, one where there are none."""
        return np.ones(self.n_rows) if self.sample_weight is None else self.sample_weight

    @cached_property
    def totals(self) -> RowTotals:
        weight = self.n_rows if self.sample_weight is None else self.sample_weight.sum()
        return RowTotals(self.n_rows, float(weight))

    @cached_property
    def _only_block(self) -> Block:
        return replace(self._block(0, Scratch()), kept=[])

    def _block(self, start: int, scratch: Scratch) -> Block:
        """The block of rows from start on."""
        rows = slice(start, min(start + self.block_size, self.n_rows))
        X = self.X[rows]
        if sparse.issparse(X):
            X = X.astype(np.float64, copy=False)
        elif X.dtype != np.float64 or not X.flags.aligned:  # as arrays often are that came over a network
            X, stored = scratch.array("X", X.shape), X
            np.copyto(X, stored)
        else:
            X = np.asarray(X)  # a memmap's slice costs more in every operation than an array
        return Block(
            X=X,
            weight=None if self.sample_weight is None else self.sample_weight[rows],
            exposure=None if self.exposure is None else self.exposure[rows],
            start=self._first + start,
        )

    def take(self, index: Array, weight: FloatArray) -> Block:
        index = index - self._first
        exposure = None if self.exposure is None else self.exposure[index]
        return Block(self.X[index].astype(np.float64), weight, exposure, start=0)

    def prepare(self, function: Callable[[Rows], Any]) -> Prepared:
        return _One(function(self))

    def parts(self) -> Iterator[Rows]:
        yield self

    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        if self.n_rows <= self.block_size:
            return function(self._only_block)
        return total(self._by_chunk(lambda blocks: total(map(function, blocks)), pool))

    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Array:
        if self.n_rows <= self.block_size:
            return np.concatenate([function(self._only_block)])
        return np.concatenate(list(self._by_chunk(lambda blocks: np.concatenate([*map(function, blocks)]), pool)))

    def _by_chunk(self, function: Callable[[Iterator[Block]], Any], pool: ThreadPoolExecutor | None) -> Iterator[Any]:
        n, step = self.n_rows, self.block_size * _BLOCKS_PER_CHUNK
        chunks = (range(start, min(start + step, n), self.block_size) for start in range(0, n, step))
        scratch = Scratch()

        def of_chunk(starts: range) -> Any:
            return function(self._block(start, scratch) for start in starts)

        return map(of_chunk, chunks) if pool is None or n <= step else _map_in_order(pool, of_chunk, chunks)


@dataclass(frozen=True)
class _One:
    """What was made of a source with one part."""

    value: Any

    def sum(self, function: Callable[[Any], Statistics]) -> Statistics:
        return function(self.value)


def total(terms: Any) -> Any:
    """The sum of at least one term, from left to right."""
    return reduce(operator.add, terms)


def result_dtype(dtype: Any) -> np.dtype[Any]:
    """The type of results: that of the data where it is float32, else float64."""
    return np.dtype(np.float32 if np.dtype(dtype).newbyteorder("=") == np.float32 else np.float64)


def part_of(index: Array) -> Array:
    """Which part of its source each row is of."""
    return index >> _PART_BITS


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
