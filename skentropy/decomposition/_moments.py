"""Weighted count, mean and scatter of rows: additive, exact under any split, and stable at any distance from zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .._data import WORKING_SET_BYTES, Block, Rows, Scratch, Source, blas_threads, thread_pool
from .._typing import FloatArray, Matrix
from ._weighted_rows import centre_full_columns, with_weight

# A block with fewer rows per feature than this spends its time on merging scatters.
_ROWS_PER_FEATURE = 16
# Up to this many features a scatter matrix is small, however few the rows.
_SMALL = 500
# The mean of this many rows is close enough to that of all rows that shifting the scatter between them loses no digits.
_ORIGIN_ROWS = 64
# Squares of means that are at most this many times the variances cost the scatter one digit.
_LARGEST_SHIFT = 16.0
_SCRATCH = Scratch()
# With fewer features a block's product with itself is too small to be shared among threads, which take blocks instead.
_SMALL_PRODUCT = 200


@dataclass(frozen=True)
class Moments:
    """Total weight, mean (d,) and scatter (d, d) = sum of w (x - mean)(x - mean)'."""

    weight: float
    mean: FloatArray
    scatter: FloatArray

    @classmethod
    def of(cls, X: FloatArray, weight: FloatArray | None = None) -> Moments:
        """Moments of a dense table, about its own mean."""
        total = float(len(X) if weight is None else weight.sum())
        start = X[:_ORIGIN_ROWS]
        origin = start.mean(axis=0)
        # Rows that lie about zero anyway need no copy.
        about_zero = bool((origin**2 <= _LARGEST_SHIFT * start.var(axis=0)).all())
        centred = X if about_zero else np.subtract(X, origin, out=_SCRATCH.array("centred", X.shape))
        if about_zero:
            origin = np.zeros_like(origin)
        mean = (np.ones(len(X)) if weight is None else weight) @ centred / total
        return cls(total, origin + mean, _scatter(centred, weight, mean, total))

    @classmethod
    def of_block(cls, block: Block) -> Moments:
        """Moments of a block of rows."""
        total, d = block.total_weight, block.X.shape[1]
        if not total:
            return cls(total, np.zeros(d), np.zeros((d, d)))
        X, weight = with_weight(block.X, block.weight)
        if not sparse.issparse(X):
            return cls.of(X, weight)
        weight = np.ones(X.shape[0]) if weight is None else weight
        mean = X.T @ weight / total
        X, left = centre_full_columns(X, mean)
        rest = X.T @ weight / total
        scatter = (X.T @ (sparse.diags(weight) @ X)).toarray() - total * np.outer(rest, rest)
        return cls(total, mean - left + rest, scatter)

    @classmethod
    def of_rows(cls, rows: Source) -> Moments:
        """Moments of rows, wherever they are."""
        if rows.n_features >= _SMALL_PRODUCT:
            return rows.sum(cls.of_block)
        with thread_pool(blas_threads()) as pool:
            return rows.sum(cls.of_block, pool)

    @classmethod
    def of_table(cls, X: Matrix, weight: FloatArray | None = None) -> Moments:
        """Moments of a table, block by block."""
        return cls.of_rows(Rows(X, weight, row_bytes=row_bytes(X.shape[1])))

    def __add__(self, other: Moments) -> Moments:
        """Moments of both together, by the update of Chan, Golub and LeVeque (1983)."""
        if not (self.weight and other.weight):
            return self if self.weight else other
        weight = self.weight + other.weight
        step = other.mean - self.mean
        scatter = np.outer(step * (self.weight * other.weight / weight), step)
        scatter += self.scatter
        scatter += other.scatter
        return Moments(weight, self.mean + step * (other.weight / weight), scatter)

    def discounted(self, factor: float) -> Moments:
        """The moments with every weight multiplied by a factor."""
        return Moments(self.weight * factor, self.mean, self.scatter * factor)

    def standardised(self, location: FloatArray, scale: FloatArray) -> Moments:
        """The moments of (x - location) / scale."""
        return Moments(self.weight, (self.mean - location) / scale, self.scatter / scale / scale[:, np.newaxis])

    @property
    def covariance(self) -> FloatArray:
        """Covariance with denominator 1/n."""
        return self.scatter / self.weight


def row_bytes(n_features: int) -> int:
    """Bytes for a row, such that blocks have several rows for each feature."""
    return min(8 * n_features, WORKING_SET_BYTES // (_ROWS_PER_FEATURE * n_features))


def form_moments(rows: Source) -> bool:
    """Whether to form the scatter matrix of rows: if it is smaller than the table, or small."""
    return not isinstance(rows, Rows) or rows.n_rows > rows.n_features or rows.n_features <= _SMALL


def _scatter(X: FloatArray, weight: FloatArray | None, mean: FloatArray, total: float) -> FloatArray:
    """The scatter of rows about their mean; NaN if rows have gaps, for which it would be of no use."""
    if np.isnan(mean).any():
        return np.full((X.shape[1],) * 2, np.nan)
    scatter = _gram(X, weight)
    scatter -= total * np.outer(mean, mean)
    if (_LARGEST_SHIFT * np.diag(scatter) < total * mean**2).any():  # too little remains, and digits were lost
        scatter = _gram(X - mean, weight)
    return scatter


def _gram(centred: FloatArray, weight: FloatArray | None) -> FloatArray:
    if weight is None:
        return centred.T @ centred
    rooted = centred * np.sqrt(weight)[:, np.newaxis]
    return np.asarray(rooted.T @ rooted)
