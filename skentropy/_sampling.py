"""A bounded sample of distinct rows that depends on their contents alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ._blocks import Block
from ._typing import Array, FloatArray, Matrix


@dataclass(frozen=True)
class RowSample:
    """The distinct rows with the smallest hash keys, their summed weights and one of their indices, in order of the keys.

    Which rows are drawn, and in which order, depends on their contents alone: neither on the order of the rows nor on
    whether a row stands there twice or once with twice the weight. A bottom-k sketch, hence additive.
    """

    keys: Array
    weight: FloatArray
    index: Array
    size: int

    @classmethod
    def of_block(cls, block: Block, weight: FloatArray, size: int, salt: int) -> RowSample:
        keep = np.flatnonzero(weight > 0)
        return cls._merge(hash_rows(block.X, block.exposure, salt)[keep], weight[keep], block.index[keep], size)

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


def hash_rows(X: Matrix, exposure: FloatArray | None, salt: int) -> Array:
    """64-bit keys of the rows' contents, equal for dense and sparse rows and for float32 and float64 of equal value."""
    multipliers = np.random.Generator(np.random.PCG64(salt)).integers(2**63, size=X.shape[1] + 2, dtype=np.uint64)
    multipliers = multipliers * np.uint64(2) + np.uint64(1)
    with np.errstate(over="ignore"):
        if sparse.issparse(X):
            mixed = _mix(_bits(X.data)) * multipliers[X.indices]
            sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
            keys = sums[X.indptr[1:]] - sums[X.indptr[:-1]]
        else:
            keys = (_mix(_bits(X)) * multipliers[:-2]).sum(axis=1, dtype=np.uint64)
        if exposure is not None:
            keys = keys + _mix(_bits(exposure)) * multipliers[-2]
        return _mix(keys + multipliers[-1])


def _bits(X: Array) -> Array:
    """The bits of the values as doubles; one zero, one NaN."""
    X = X.astype(np.float64) + 0.0
    X[np.isnan(X)] = np.nan
    return X.view(np.uint64)


def _mix(bits: Array) -> Array:
    """MurmurHash3's 64-bit finaliser, which keeps 0 at 0."""
    bits = bits ^ (bits >> np.uint64(33))
    bits = bits * np.uint64(0xFF51AFD7ED558CCD)
    bits = bits ^ (bits >> np.uint64(33))
    bits = bits * np.uint64(0xC4CEB9FE1A85EC53)
    return bits ^ (bits >> np.uint64(33))
