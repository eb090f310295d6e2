"""Which entries of rows are missing."""

from __future__ import annotations

import numpy as np

from .._typing import Array


def unique_rows(mask: Array) -> tuple[Array, Array]:
    """Distinct rows of a boolean table, and for each row which of them it is."""
    packed = np.ascontiguousarray(np.packbits(mask, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    return mask[first], index.ravel()
