"""Rows that are read block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _num_features

from .._typing import Array, FloatArray
from ._blocks import Block, Prepared, Rows, Source, Statistics, join_blocks, part_of, result_dtype, total
from ._parts import PartReader


class RowBlocks:
    """Rows that are read block by block, in each pass again, from files, a database or a generator.

    ``fit``, ``score`` and all other methods that take X accept it in place of an array. Memory holds one block at a time,
    and a bounded number of rows from which mixtures are initialised.

    Parameters
    ----------
    read : callable
        Takes no arguments, and returns a new iterator over the same blocks in the same order. A block is anything that is
        accepted as X, or a tuple ``(X, sample_weight)`` or ``(X, sample_weight, exposure)``. All blocks must be dense, or
        all sparse. Without weights every row counts 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy import PoissonMixture, RowBlocks
    >>> def read():
    ...     for seed in range(20):
    ...         rng = np.random.default_rng(seed)
    ...         yield rng.poisson(np.where(rng.random((500, 1)) < 0.4, [1.0, 9.0], [6.0, 2.0]))
    >>> mixture = PoissonMixture(2, random_state=0).fit(RowBlocks(read))
    >>> sorted(float(rate) for rate in mixture.rates_[:, 0].round(1))
    [1.0, 6.0]
    """

    def __init__(self, read: Callable[[], Iterable[Any]]) -> None:
        if not callable(read):
            raise TypeError(
                f"RowBlocks takes a function that returns a new iterator each time, but got {type(read).__name__}; an "
                "iterator alone would be exhausted after the first pass."
            )
        self._read = read

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        blocks = self._read()
        if hasattr(blocks, "shape"):
            raise TypeError(
                "The function that RowBlocks was given must return an iterator over blocks of rows, but returned a single "
                f"{type(blocks).__name__}."
            )
        for block in blocks:
            if isinstance(block, tuple) and not 1 <= len(block) <= 3:
                raise TypeError(
                    f"A block is X or (X, sample_weight, exposure), the last two optional, but got {len(block)} values."
                )
            X, weight, exposure = (*block, None, None)[:3] if isinstance(block, tuple) else (block, None, None)
            yield (np.asarray(X, dtype=object) if isinstance(X, list) else X), weight, exposure


class StreamedRows(Source):
    """``RowBlocks`` as a source."""

    def __init__(self, reader: PartReader, estimator: Any, blocks: RowBlocks, *, reset: bool) -> None:
        self._reader, self._estimator, self._blocks = reader, estimator, blocks
        others = iter(blocks)
        first = next(others, None)
        if first is None:
            raise ValueError("X has no blocks of rows; the function that RowBlocks was given returned an empty iterator.")
        # The first pass over the rows continues this iterator, so that it reads no block twice.
        self._begun: Any = first, others
        X: Any = first[0]
        reader.check_names(estimator, X, reset=reset)
        self.n_features = int(_num_features(X))
        self.is_sparse = sparse.issparse(X)
        rows = reader.read_part(*first)
        self._n_rows: int | None = None
        self.dtype = result_dtype(getattr(X, "dtype", None)) if rows is None else rows.dtype

    def _pass(self) -> Iterator[tuple[Any, Any, Any]]:
        begun, self._begun = self._begun, None
        if begun is None:
            yield from self._blocks
            return
        first, others = begun
        del begun
        yield first
        del first
        yield from others

    def parts(self) -> Iterator[Rows]:
        part, n_rows = -1, 0
        for part, (X, weight, exposure) in enumerate(self._pass()):
            if _num_features(X) != self.n_features:
                raise ValueError(
                    f"X has {_num_features(X)} features in block {part}, but {self.n_features} features in the first one."
                )
            if sparse.issparse(X) != self.is_sparse:
                kinds = ("dense", "sparse") if self.is_sparse else ("sparse", "dense")
                raise ValueError(f"Block {part} of X, counted from 0, is {kinds[0]}, but the first one is {kinds[1]}.")
            self._reader.check_names(self._estimator, X, reset=False)
            rows = self._reader.read_part(X, weight, exposure, part)
            if rows is not None:
                n_rows += rows.n_rows
                yield rows
        if part < 0:
            raise ValueError(
                "The function that RowBlocks was given returned an exhausted iterator in a later pass over the rows; it "
                "must return a new one each time."
            )
        if n_rows == 0:
            raise ValueError("X has no rows.")
        if self._n_rows not in (None, n_rows):
            raise ValueError(
                f"The function that RowBlocks was given returned {n_rows} rows in this pass, but "
                f"{self._n_rows} in the previous one; it must return the same blocks each time."
            )
        self._n_rows = n_rows

    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        result: Statistics = total(rows.sum(function, pool) for rows in self.parts())
        return result

    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Array:
        return np.concatenate([rows.map(function, pool) for rows in self.parts()])

    def take(self, index: Array, weight: FloatArray) -> Block:
        numbers = part_of(index)
        order, taken = [], []
        for part, (X, _, exposure) in enumerate(self._blocks):
            chosen = np.flatnonzero(numbers == part)
            if chosen.size:
                order.append(chosen)
                rows = self._reader.read_part(X, None, exposure, part)
                assert rows is not None
                taken.append(rows.take(index[chosen], weight[chosen]))
        return join_blocks(taken, np.concatenate(order))

    def prepare(self, function: Callable[[Rows], Any]) -> Prepared:
        return _Afresh(self, function)


@dataclass(frozen=True)
class _Afresh:
    """Things made of the parts of a stream; they are made again for each pass, and none is kept."""

    source: StreamedRows
    function: Callable[[Rows], Any]

    def sum(self, function: Callable[[Any], Statistics]) -> Statistics:
        made = (self.function(rows) for rows in self.source.parts())
        result: Statistics = total(function(value) for value in made if value is not None)
        return result
