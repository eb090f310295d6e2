"""Rows of a belief net's data: a sample of rows, and distinct binary rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from .._data import Block, BlockSource, Rows, RowSample
from .._typing import Array, FloatArray, Matrix
from ._exact import observe

# The largest number of rows from which starts are made.
_SAMPLE_ROWS = 2048


def row_bytes(n_latents: int, n_features: int, *, complete: bool = False) -> int:
    """Bytes that an exact E-step uses for a row: all states, or four times those of half of the units."""
    return 8 * ((4 * 2 ** (n_latents - n_latents // 2) if complete else 2**n_latents) + 2 * n_features)


def as_table(X: Matrix, weight: FloatArray, n_latents: int) -> Rows:
    """Zeros, ones and NaN as a table whose blocks suit an exact E-step."""
    values: Array = X.data if sparse.issparse(X) else X
    return Rows(X, weight, row_bytes=row_bytes(n_latents, X.shape[1], complete=not np.isnan(values).any()))


def sample_rows(salt: int, block: Block) -> RowSample:
    """Draw binary rows for starts; the draw depends only on the rows' contents."""
    return RowSample.of_block(replace(block, X=block.dense), block.row_weight, _SAMPLE_ROWS, salt)


def merge_duplicates(rows: Rows, binary_rows: BlockSource, n_latents: int) -> Rows:
    """The distinct rows of a table's binary view, with their weights."""
    packed = np.ascontiguousarray(binary_rows.map(_bits))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    weight = np.bincount(index.ravel(), weights=rows.row_weight, minlength=len(first)).astype(np.float64)
    kept = weight > 0
    first, weight = first[kept], weight[kept]
    X: Any = binary_rows.take(first, weight).X.astype(np.float32) if rows.is_sparse else None
    if not sparse.issparse(X):
        ones, missing = (np.unpackbits(half, axis=1, count=rows.n_features) for half in np.split(packed[first], 2, axis=1))
        X = ones.astype(np.float32)
        X[missing.astype(bool)] = np.nan
    merged = as_table(X, weight, n_latents)
    merged.dtype = rows.dtype
    return merged


def _bits(block: Block) -> Array:
    """Bits of the ones, then of the missing entries, with eight entries per byte."""
    observations = observe(block)
    ones = np.packbits(observations.X > 0, axis=1)
    if observations.missing is None:
        return np.concatenate([ones, np.zeros_like(ones)], axis=1)
    return np.concatenate([ones, np.packbits(observations.missing, axis=1)], axis=1)
