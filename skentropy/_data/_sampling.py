"""A bounded sample of distinct rows that depends on their contents alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

from .._typing import Array, FloatArray, Matrix
from ._blocks import Block

# The upper bits of a key determine the order of the rows. With a rounding they come from rounded values, so that the order
# does not depend on units; the lower bits then tell apart rows that are equal after rounding.
_LOWER_BITS = np.uint64(2**24 - 1)
_ROUNDED_BITS = 20


@dataclass(frozen=True)
class Rounding:
    """Round values (x - location) / scale, column by column, to few enough bits that they are the same in any units.

    ``relative`` says, for all columns or for each, whether values are rounded to a number of significant bits, as positive
    values of all magnitudes need; otherwise they are rounded to a fraction of the scale.
    """

    location: FloatArray
    scale: FloatArray
    relative: bool | Array

    def __call__(self, values: Array, columns: Any = slice(None)) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            values = (values - self.location[columns]) / self.scale[columns]
            if isinstance(self.relative, bool):
                return values.astype(np.float32) if self.relative else np.rint(np.ldexp(values, _ROUNDED_BITS))
            relative = self.relative[columns]
            return np.where(relative, values.astype(np.float32), np.rint(np.ldexp(values, _ROUNDED_BITS)))


@dataclass(frozen=True)
class RowSample:
    """The distinct rows with the smallest hash keys, their summed weights and one of their indices, in order of the keys.

    The sample and its order depend only on the contents of the rows. They depend neither on the order of the rows, nor on
    whether a row occurs twice or once with twice the weight, nor, with a rounding, on the units of the columns. The sample
    is a bottom-k sketch, and therefore additive.
    """

    keys: Array
    weight: FloatArray
    index: Array
    size: int

    @classmethod
    def of_block(cls, block: Block, weight: FloatArray, size: int, salt: int, rounding: Rounding | None = None) -> RowSample:
        keep = np.flatnonzero(weight > 0)
        keys = hash_rows(block.X, block.exposure, salt, rounding)[keep]
        if rounding is not None and len(keys):
            upper = keys & ~_LOWER_BITS
            low = upper <= np.unique(upper)[:size][-1]
            keep = keep[low]
            exposure = None if block.exposure is None else block.exposure[keep]
            keys = upper[low] | (hash_rows(_mantissas(block.X[keep]), exposure, salt) & _LOWER_BITS)
        return cls._merge(keys, weight[keep], block.index[keep], size)

    @classmethod
    def _merge(cls, keys: Array, weight: FloatArray, index: Array, size: int) -> RowSample:
        keys, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        total = np.bincount(inverse, weights=weight, minlength=len(keys)).astype(np.float64)
        return cls(keys[:size], total[:size], index[first][:size], size)

    def __add__(self, other: RowSample) -> RowSample:
        if len(self.keys) == self.size:
            other = other._below(self.keys[-1])
        pairs: Sequence[tuple[Array, Array]] = [
            (self.keys, other.keys),
            (self.weight, other.weight),
            (self.index, other.index),
        ]
        keys, weight, index = (np.concatenate(pair) for pair in pairs)
        return self._merge(keys, weight, index, self.size)

    def _below(self, key: int) -> RowSample:
        n = int(np.searchsorted(self.keys, key, side="right"))
        return RowSample(self.keys[:n], self.weight[:n], self.index[:n], self.size)


def hash_rows(X: Matrix, exposure: FloatArray | None, salt: int, rounding: Rounding | None = None) -> Array:
    """64-bit keys of the rows' contents, equal for dense and sparse rows and for float32 and float64 of equal value."""
    multipliers = _multipliers(salt, X.shape[1] + 2)
    with np.errstate(over="ignore"):
        if sparse.issparse(X):
            # A key is a sum over all entries. It starts from the sum for a row of zeros; each stored entry replaces a zero.
            zeros = np.zeros(X.shape[1])
            zeros = _mix(_bits(zeros if rounding is None else rounding(zeros)))
            mixed = _mix(_bits(X.data if rounding is None else rounding(X.data, X.indices))) - zeros[X.indices]
            sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed * multipliers[X.indices], dtype=np.uint64)])
            keys = sums[X.indptr[1:]] - sums[X.indptr[:-1]] + (zeros * multipliers[:-2]).sum(dtype=np.uint64)
        else:
            keys = (_mix(_bits(X if rounding is None else rounding(X))) * multipliers[:-2]).sum(axis=1, dtype=np.uint64)
        if exposure is not None:
            keys = keys + _mix(_bits(exposure)) * multipliers[-2]
        return _mix(keys + multipliers[-1])


@lru_cache(maxsize=16)
def _multipliers(salt: int, n: int) -> Array:
    """Odd random numbers."""
    return np.random.Generator(np.random.PCG64(salt)).integers(2**63, size=n, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def _mantissas(X: Matrix) -> Matrix:
    """The values without their powers of two."""
    if sparse.issparse(X):
        return type(X)((np.frexp(X.data)[0], X.indices, X.indptr), shape=X.shape)
    return np.frexp(X)[0]


def _bits(X: Array) -> Array:
    """The bits of the values as doubles, with one pattern for zeros and one for NaN."""
    X = X.astype(np.float64)
    X += 0.0
    X[np.isnan(X)] = np.nan
    return X.view(np.uint64)


def _mix(bits: Array) -> Array:
    """MurmurHash3's 64-bit finaliser, which keeps 0 at 0."""
    bits = bits ^ (bits >> np.uint64(33))
    for multiplier in (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)):
        bits *= multiplier
        bits ^= bits >> np.uint64(33)
    return bits
