"""The distinct values of columns, and how often components see them, which determine the sums of any function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy import sparse

from .._typing import Array, FloatArray, Matrix

# Each whole number below this is a level, even if it does not occur.
_LARGEST_LEVEL = 4096


@dataclass(frozen=True)
class Levels:
    """The values of all columns, one column after the other.

    Attributes
    ----------
    values : ndarray of shape (M,)
        Ascending in each column; at least one value for each column.
    starts : ndarray of shape (D + 1,)
        The position at which the values of each column begin, and the end of the last one.
    whole : bool
        Whether the values of each column are known to be 0, 1, 2, ...
    """

    values: FloatArray
    starts: Array
    whole: bool = False

    @classmethod
    def of_columns(cls, columns: Sequence[FloatArray]) -> Self:
        return cls(np.concatenate(columns), np.cumsum([0, *map(len, columns)]))

    @classmethod
    def up_to(cls, largest: FloatArray) -> Self | None:
        """All whole numbers up to the largest one of each column; None if there are too many."""
        if not largest.size or not largest.max() < _LARGEST_LEVEL:
            return None
        return replace(cls.of_columns([np.arange(np.floor(top) + 1.0) for top in largest]), whole=True)

    @cached_property
    def column(self) -> Array:
        """The column (M,) of each value."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def by_column(self) -> list[FloatArray]:
        return np.split(self.values, self.starts[1:-1])

    def same(self, other: Levels) -> bool:
        return self is other or (np.array_equal(self.starts, other.starts) and np.array_equal(self.values, other.values))

    def sum_columns(self, values: FloatArray) -> FloatArray:
        """Sums over the values of each column, (..., M) to (..., D)."""
        return np.asarray(np.add.reduceat(values, self.starts[:-1], axis=-1))

    def sum_above(self, counts: FloatArray) -> FloatArray:
        """For each value the sum of the counts, (..., M), of larger values in its column."""
        sums = np.cumsum(counts, axis=-1)
        ends = self.starts[1:] - 1
        return np.maximum(np.repeat(sums[..., ends], np.diff(self.starts), axis=-1) - sums, 0.0)

    def indicators(self, X: Matrix) -> tuple[Levels, Matrix]:
        """Levels that include all entries of rows X, and a CSR matrix (n, M) that indicates each entry's level.

        The levels are this object if its values are known to be 0, 1, 2, ... and include all entries. An entry that a sparse
        matrix does not store has no level.
        """
        n, D = X.shape
        data = X.data if sparse.issparse(X) else np.ravel(X)
        column = X.indices if sparse.issparse(X) else np.tile(np.arange(D), n)
        levels: Levels | None = self
        index = data.astype(np.int64) if not data.size or data.max() < _LARGEST_LEVEL else None
        if index is None or not np.array_equal(index, data):
            levels = None
        elif not self.whole or len(self.starts) != D + 1 or (index >= np.diff(self.starts)[column]).any():
            largest = np.zeros(D)
            np.maximum.at(largest, column, data)
            levels = Levels.up_to(largest)
        if levels is None:
            columns, index = [], np.zeros(data.size, dtype=np.int64)
            for d in range(D):
                own = column == d
                values, index[own] = np.unique(data[own], return_inverse=True)
                columns.append(values.astype(np.float64) if values.size else np.zeros(1))
            levels = Levels.of_columns(columns)
        rows = X.indptr if sparse.issparse(X) else np.arange(0, n * D + 1, D)
        places = (index + levels.starts[column]).astype(np.int32)
        shape = n, len(levels.values)
        return levels, sparse.csr_matrix((np.ones(data.size), places, rows.astype(np.int32)), shape=shape)


@dataclass(frozen=True)
class LevelSums:
    """Weighted counts (..., M) of how often components have seen the values of levels (M,)."""

    levels: Levels
    counts: FloatArray

    def __add__(self, other: LevelSums) -> LevelSums:
        if self.levels.same(other.levels):
            return LevelSums(self.levels, self.counts + other.counts)
        pairs = zip(self.levels.by_column(), other.levels.by_column(), strict=True)
        levels = Levels.of_columns([np.union1d(own, others) for own, others in pairs])
        levels = replace(levels, whole=self.levels.whole and other.levels.whole)
        return LevelSums(levels, self.spread(levels) + other.spread(levels))

    def spread(self, levels: Levels) -> FloatArray:
        """The counts at a larger set of levels."""
        counts = np.zeros((*self.counts.shape[:-1], len(levels.values)))
        start = 0
        for mine, all_of_column, offset in zip(self.levels.by_column(), levels.by_column(), levels.starts, strict=False):
            places = offset + np.searchsorted(all_of_column, mine)
            counts[..., places] = self.counts[..., start : start + len(mine)]
            start += len(mine)
        return counts
