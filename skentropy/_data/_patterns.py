"""Which entries of rows are missing."""

from __future__ import annotations

import numpy as np

from .._typing import Array

_WORD_BYTES = 8


def sort_rows(mask: Array) -> tuple[Array, Array, Array]:
    """The order in which equal rows of a boolean table follow each other, the distinct rows in this order, their numbers."""
    packed = np.packbits(mask, axis=1)
    words = np.zeros((len(mask), -(-packed.shape[1] // _WORD_BYTES) * _WORD_BYTES), dtype=np.uint8)
    words[:, : packed.shape[1]] = packed
    keys = words.view(np.uint64)
    order = keys[:, 0].argsort(kind="stable") if keys.shape[1] == 1 else np.lexsort(keys.T)
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1)))
    return order, mask[order[starts]], np.diff(starts, append=len(mask))


def unique_rows(mask: Array) -> tuple[Array, Array]:
    """Distinct rows of a boolean table, and for each row which of them it is."""
    order, distinct, counts = sort_rows(mask)
    index = np.empty(len(order), dtype=np.intp)
    index[order] = np.repeat(np.arange(len(distinct)), counts)
    return distinct, index
