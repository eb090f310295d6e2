"""Prepare rows for summation: leave out rows without weight, and centre the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import FloatArray, Matrix


def with_weight(X: Matrix, weight: FloatArray | None) -> tuple[Any, Any]:
    """The rows with a weight that is not zero, and their weights."""
    if weight is None or weight.all():
        return X, weight
    kept = weight > 0
    return X[kept], weight[kept]


def centre_full_columns(X: Any, centre: FloatArray) -> tuple[Any, FloatArray]:
    """Centre sparse rows in the columns that store every entry; also return the centre in the other columns.

    In the other columns zero is one of the values, so products about zero lose few digits.
    """
    full = np.bincount(X.indices, minlength=X.shape[1]) == X.shape[0]
    if not full.any():
        return X, centre
    shift = np.where(full, centre, 0.0)
    return type(X)((X.data - shift[X.indices], X.indices, X.indptr), shape=X.shape), centre - shift
