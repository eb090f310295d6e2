"""Substitutes of zeros for families without a density there; they replace zeros as rows are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._data import Block, ColumnSurvey
from .._messages import list_columns, warn_of_data
from .._typing import FloatArray


@dataclass(frozen=True)
class Substitutes:
    """A view of rows that replaces zeros by one value for each column; NaN leaves the zeros of a column unchanged."""

    values: FloatArray

    def __call__(self, block: Block) -> Block:
        zeros = block.X == 0
        zeros &= ~np.isnan(self.values)
        return replace(block, X=np.where(zeros, self.values, block.X))


def choose_substitutes(estimator: Any, zeros: str | float, columns: ColumnSurvey) -> FloatArray | None:
    """Choose a substitute of zeros for each column, and warn of the choice; None if no zero is replaced."""
    if zeros == "error":
        return None
    if zeros != "warn":
        return np.full(len(columns.mean), float(zeros))
    has_zeros, has_positive = columns.n_zeros > 0, np.isfinite(columns.smallest_positive)
    replaced, of_zeros = has_zeros & has_positive, has_zeros & ~has_positive
    if replaced.any():
        listed = list_columns(estimator, np.flatnonzero(replaced))
        warn_of_data(
            f"{int(columns.n_zeros[replaced].sum())} zeros in {listed} are replaced by half of the column's smallest "
            "positive value; the argument zeros takes another value, or 'error' to refuse zeros."
        )
    if of_zeros.any():
        listed = list_columns(estimator, np.flatnonzero(of_zeros))
        warn_of_data(f"There is no positive value in {listed}, and zeros are replaced by ones; leave such columns out.")
    return np.where(has_positive, 0.5 * columns.smallest_positive, 1.0)
