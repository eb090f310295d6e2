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

from .._typing import Array, ArrayLike, FloatArray, Matrix

Statistics = TypeVar("Statistics")

# The memory that one block touches should stay in the cache. Smaller blocks only add overhead, especially with threads,
# which wait for the interpreter at every operation.
WORKING_SET_BYTES = 2**22
_BLOCK_SIZES = (256, 8192)
# Number of blocks that a thread takes at a time. It fixes the order of summation, and therefore must not depend on n_jobs.
_BLOCKS_PER_CHUNK = 2
# Number of lower bits of a row's index that hold its place in its part. The bits above them hold the number of the part.
_PART_BITS = 40
# Number of chunks that may wait for a thread, or for their turn in the sum.
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
    """Consecutive rows in double precision, with the weights and exposures of the rows if there are any.

    The next block of the same pass may overwrite the memory of X, so copy values that you keep. In a view with other values
    ``given`` is X as the user passed it. A table of a single block yields the same block in every pass; its ``kept`` then
    holds the last object computed from the block, together with its maker.
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

    def take_columns(self, columns: ArrayLike) -> Block:
        """Some of the columns."""
        given = None if self.given is None else self.given[:, columns]
        return replace(self, X=self.X[:, columns], given=given, kept=None)

    @property
    def as_given(self) -> Block:
        """The same rows as the user passed them."""
        return self if self.given is None else replace(self, X=self.given, given=None, kept=None)

    def once(self, maker: Any, make: Callable[[Block], Any]) -> Any:
        """Return make(block). If the block recurs in every pass, the result is kept until another maker calls."""
        if self.kept is None:
            return make(self)
        for known, made in self.kept:
            if known is maker:
                return made
        made = make(self)
        self.kept[:] = [(maker, made)]
        return made

    @property
    def dense(self) -> FloatArray:
        """X as an array, also if it is sparse."""
        return np.asarray(self.X.toarray() if sparse.issparse(self.X) else self.X)

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0])

    @property
    def index(self) -> Array:
        """The indices of the rows in their source."""
        return np.arange(self.start, self.start + self.n_rows)

    @property
    def row_weight(self) -> FloatArray:
        """The weight of each row; one if there are no weights."""
        return np.ones(self.n_rows) if self.weight is None else self.weight

    @property
    def total_weight(self) -> float:
        return float(self.n_rows) if self.weight is None else float(self.weight.sum())

    def weighted_sum(self, values: FloatArray) -> float:
        """The sum of one value for each row, times the row's weight."""
        return float(values.sum() if self.weight is None else self.weight @ values)


def join_blocks(blocks: list[Block], places: Array) -> Block:
    """Join blocks to one, with each row at its place."""
    order = np.argsort(places)
    tables = [block.X for block in blocks]
    X: Any = sparse.vstack(tables, format="csr") if sparse.issparse(tables[0]) else np.concatenate(tables)
    weights, exposures = ([getattr(block, name) for block in blocks] for name in ("weight", "exposure"))
    exposure = None if exposures[0] is None else np.concatenate(exposures)[order]
    return Block(X[order], np.concatenate(weights)[order], exposure, start=0)


class Scratch(threading.local):
    """Arrays that a thread reuses for every block, unless they are larger than a block's memory.

    Where ``free`` hands memory back at once, as in the workers of Dask, new arrays would cost new pages each time.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, FloatArray] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """An array with arbitrary values, to be used until the next call with this name."""
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
    """Things made of the rows of each part of a source, each kept where the part is."""

    def sum(self, function: Callable[[Any], Statistics]) -> Statistics:
        """Sum of function(thing) over the things made of the parts."""


class BlockSource(ABC):
    """Rows that are read block by block, to sum statistics over them.

    Attributes
    ----------
    n_features : int
    dtype : numpy dtype
        The type of results: float32 for float32 data, else float64. All computations are in double precision.
    is_sparse : bool
    maps_lazily : bool
        Whether ``map`` returns something that is computed later, elsewhere.
    survey : ColumnSurvey or None
        The survey of the columns, if it has been made.
    """

    n_features: int
    dtype: np.dtype[Any]
    is_sparse: bool
    maps_lazily: bool = False
    survey: Any = None

    @abstractmethod
    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        """Sum of function(block) over all blocks; the order of summation does not depend on the pool."""

    @abstractmethod
    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Any:
        """Concatenate function(block), an array with one row for each row of the block, over all blocks."""

    @abstractmethod
    def take(self, index: Array, weight: FloatArray) -> Block:
        """Some rows, given by their ``Block.index``, as one block with these weights."""

    @cached_property
    def totals(self) -> RowTotals:
        return self.sum(RowTotals.of_block)

    def view(self, function: Callable[[Block], Block]) -> View:
        """The same rows with other values: function(block) makes them whenever a block is read."""
        return View(self, function)


class View(BlockSource):
    """Rows of a source with other values, as many and as wide."""

    def __init__(self, source: BlockSource, function: Callable[[Block], Block]) -> None:
        self._source, self._function = source, function
        self.n_features, self.dtype, self.is_sparse = source.n_features, source.dtype, source.is_sparse
        self.maps_lazily = source.maps_lazily

    @cached_property
    def totals(self) -> RowTotals:
        return self._source.totals

    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        return self._source.sum(partial(_through, self._function, function), pool)

    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Any:
        return self._source.map(partial(_through, self._function, function), pool)

    def take(self, index: Array, weight: FloatArray) -> Block:
        return _view_block(self._function, self._source.take(index, weight))


def _through(view: Callable[[Block], Block], function: Callable[[Block], Any], block: Block) -> Any:
    return function(block.once(view, partial(_view_block, view)))


def _view_block(view: Callable[[Block], Block], block: Block) -> Block:
    """Apply a view to a block; the result knows what was given, and can keep things as the block can."""
    given = block.X if block.given is None else block.given
    return replace(view(block), given=given, kept=None if block.kept is None else [])


class Source(BlockSource):
    """Rows as the user has handed them over, in one or several parts."""

    @abstractmethod
    def prepare(self, function: Callable[[Rows], Any]) -> Prepared:
        """Make something of the rows of each part once, to sum over it many times; None is left out."""

    @abstractmethod
    def parts(self) -> Iterator[Rows]:
        """The rows of one part after the other, brought to this process when its turn comes."""


class Rows(Source):
    """A table in memory, or mapped into it, as blocks of rows.

    Parameters
    ----------
    X : ndarray, memmap or CSR matrix of shape (n_samples, n_features)
        It is never copied as a whole; each block is converted to float64.
    sample_weight, exposure : ndarray of shape (n_samples,) or None
    row_bytes : int
        Bytes that the caller's computation takes for one row; they determine the size of a block.
    part : int
        The number of the part of a larger source that the table is.
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
        """The weight of each row; one if there are no weights."""
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
        elif X.dtype != np.float64 or not X.flags.aligned:  # arrays that came over a network often are not
            X, stored = scratch.array("X", X.shape), X
            np.copyto(X, stored)
        else:
            X = np.asarray(X)  # operations with a slice of a memmap cost more than with an array
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
    """The thing made of a source with one part."""

    value: Any

    def sum(self, function: Callable[[Any], Statistics]) -> Statistics:
        return function(self.value)


def total(terms: Any) -> Any:
    """Add one or more terms from left to right."""
    return reduce(operator.add, terms)


def result_dtype(dtype: Any) -> np.dtype[Any]:
    """The type of results: that of the data where it is float32, else float64."""
    return np.dtype(np.float32 if np.dtype(dtype).newbyteorder("=") == np.float32 else np.float64)


def part_of(index: Array) -> Array:
    """The number of the part that each row belongs to."""
    return index >> _PART_BITS


def _map_in_order(pool: ThreadPoolExecutor, function: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
    """Like ``pool.map``, but only as far ahead of the consumer as keeps the threads busy."""
    pending: deque[Future[Any]] = deque(pool.submit(function, item) for item in islice(items, _LOOKAHEAD))
    try:
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result
    finally:
        for future in pending:
            future.cancel()
