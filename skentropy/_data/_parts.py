"""From one table to validated rows: the one place where values are checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, validate_data

from .._typing import Matrix
from ._blocks import Rows
from ._checks import check_columns, check_distinct, check_exposure, check_no_mask, check_weights, naming_infinities
from ._columns import has_nan
from ._containers import as_numbers


@dataclass(frozen=True)
class PartReader:
    """How an estimator reads a part of its data: a table in memory, a block, a partition.

    Parameters
    ----------
    sparse : {"missing", "complete", "no"}
        Whether CSR matrices are accepted, with NaN among their stored values or only without.
    dtype : "numeric" or tuple of dtypes
        As in ``check_array``.
    row_bytes : callable
        Number of features -> bytes that one row takes in the computation.
    exposure : bool
        Whether rows may have an exposure.
    checked : bool
        Whether it is known that the rows hold no infinity.
    columns : tuple or None
        Names that the columns of every part must have, in this order.
    any_names : bool
        Whether any column names are accepted, because a model made from parameters has none.
    surveys : bool
        Whether a fit surveys the columns, which gives the totals of the rows in the same pass.
    """

    sparse: str
    dtype: Any
    row_bytes: Callable[[int], int]
    exposure: bool = False
    checked: bool = False
    columns: tuple[Any, ...] | None = None
    any_names: bool = False
    surveys: bool = False

    @property
    def _options(self) -> dict[str, Any]:
        accept_sparse = False if self.sparse == "no" else "csr"
        finite = False if self.checked else "allow-nan"
        return {"accept_sparse": accept_sparse, "dtype": self.dtype, "ensure_all_finite": finite}

    def check_names(self, estimator: Any, X: Any, *, reset: bool) -> None:
        """Set, or compare, the names and the number of features; X may be a stand-in without the data."""
        check_distinct(X)
        seen = np.empty((0, X.shape[1])) if self.ignores_names(X) else X
        validate_data(estimator, seen, reset=reset, skip_check_array=True)

    def ignores_names(self, X: Any) -> bool:
        """Whether X has names but the fit had none, of which scikit-learn would warn."""
        return self.any_names and hasattr(X, "columns")

    def read_part(self, X: Any, sample_weight: Any = None, exposure: Any = None, part: int = 0) -> Rows | None:
        """Validated rows of one part; None if there are none."""
        if X.shape[0] == 0:
            return None
        try:
            if self.columns is not None:
                check_columns(X.columns, self.columns)
            check_no_mask(X, "X")
            with naming_infinities(X):
                numbers = check_array(as_numbers(X), **self._options)
            return self._in_memory(numbers, sample_weight, exposure, part=part)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"Block {part} of X, counted from 0: {error}") from error

    def _in_memory(self, X: Matrix, sample_weight: Any, exposure: Any, part: int | None = None) -> Rows:
        if sparse.issparse(X):
            if not X.has_canonical_format:
                X = X.copy()
                X.sum_duplicates()
            if self.sparse == "complete" and has_nan(X):
                raise ValueError(
                    "Sparse X must be complete, but it contains NaN; make it dense to have missing values marginalised."
                )
        weight = check_weights(sample_weight, X, all_zero=part is not None)
        if exposure is not None:
            if not self.exposure:
                raise ValueError("X has blocks with an exposure, which is not defined for this model; leave it out.")
            exposure = check_exposure(exposure, X)
        return Rows(X, weight, exposure, row_bytes=self.row_bytes(X.shape[1]), part=part or 0)
