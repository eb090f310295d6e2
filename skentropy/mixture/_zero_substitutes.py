"""What stands for zeros where a family gives them no density: chosen once by the columns, put in as rows are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._data import Block, ColumnSurvey
from .._messages import list_columns, warn
from .._typing import FloatArray


@dataclass(frozen=True)
class Substitutes:
    """A view of rows in which other values stand for zeros, one a column; NaN where zeros stand for themselves."""

    values: FloatArray

    def __call__(self, block: Block) -> Block:
        zeros = block.X == 0
        zeros &= ~np.isnan(self.values)
        return replace(block, X=np.where(zeros, self.values, block.X))


def choose_substitutes(estimator: Any, zeros: str | float, columns: ColumnSurvey) -> FloatArray | None:
    """Values that stand for zeros, one a column; None where zeros stand for themselves. Warns where it had to choose."""
    if zeros == "error":
        return None
    if zeros != "warn":
        return np.full(len(columns.mean), float(zeros))
    with_zeros = np.flatnonzero(columns.n_zeros)
    if with_zeros.size:
        warn(
            f"{int(columns.n_zeros.sum())} zeros in {list_columns(estimator, with_zeros)} are replaced by half the column's "
            "smallest positive value; set zeros to 'error' or to a value to decide otherwise."
        )
    return np.where(np.isfinite(columns.smallest_positive), 0.5 * columns.smallest_positive, 1.0)
