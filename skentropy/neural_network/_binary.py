"""The binary view of rows for models of zeros and ones, and a survey of their columns."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from .._data import Block, BlockSource
from .._messages import list_columns, warn_of_data
from .._typing import Array


def binary(threshold: float | None, block: Block) -> Block:
    """Make rows binary: 1 above the threshold, NaN where missing; without a threshold they must be zeros and ones."""
    values = block.X.data if sparse.issparse(block.X) else block.X
    missing = np.isnan(values)
    if threshold is None:
        if not (missing | (values == 0) | (values == 1)).all():
            raise ValueError("With binarize=None X must hold zeros and ones only (and NaN where missing).")
        return block
    if sparse.issparse(block.X) and threshold >= 0:
        X = block.X.copy()
        X.data = np.where(missing, np.nan, threshold < values)
        X.eliminate_zeros()
        return replace(block, X=X)
    dense = block.dense
    return replace(block, X=np.where(np.isnan(dense), np.nan, threshold < dense))


def survey(estimator: Any, threshold: float | None, rows: BlockSource) -> Array:
    """Weight observed in each column, weight of ones, number of values neither 0 nor 1, number of empty rows; (4, D).

    Raise ValueError for other values than zeros and ones if there is no threshold; warn of a threshold that separates
    nothing.
    """
    weight, ones, invalid, _ = found = rows.sum(partial(_survey_block, threshold))
    if threshold is None:
        if invalid.any():
            raise ValueError(
                "With binarize=None X must hold zeros and ones only (and NaN where missing), but there are "
                f"{invalid.sum():.0f} other values in {list_columns(estimator, np.flatnonzero(invalid))}; set binarize to a "
                "threshold."
            )
        return found
    # A column of zeros, such as the margin of images, gives no warning; a threshold below all values of a column does.
    useless = np.flatnonzero((invalid > 0) & (weight > 0) & (ones > (1.0 - 1e-12) * weight))
    if useless.size:
        warn_of_data(
            f"binarize={threshold:g} turns every value into 1 in {list_columns(estimator, useless)}, which then carries "
            "no information; set binarize to a threshold among the values."
        )
    elif not ones.any():
        warn_of_data(f"binarize={threshold:g} turns every value of X into 0; set it to a threshold among the values.")
    return found


def _survey_block(threshold: float | None, block: Block) -> Array:
    X, weight = block.dense, block.row_weight
    seen = ~np.isnan(X)
    ones = X == 1 if threshold is None else threshold < X
    invalid = seen & (X != 0) & (X != 1)
    empty = np.full(X.shape[1], float((~seen.any(axis=1)).sum()))
    return np.stack([weight @ seen, weight @ ones, invalid.sum(axis=0), empty])
