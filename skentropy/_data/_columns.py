"""Survey the columns of a table before a fit starts, in one pass over its rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import sparse

from .._typing import Array, FloatArray, Matrix
from ._blocks import Block, BlockSource, RowTotals


def has_nan(X: Matrix) -> bool:
    """Whether any value of X, dense or stored, is NaN; no mask as large as X is made."""
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind != "f":
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.isnan(values.min(initial=np.inf)))


@dataclass(frozen=True)
class ColumnSurvey:
    """Column by column: weight of the observed entries, their mean, scatter and exposure, zeros and extreme values.

    Entries of rows without weight count for ``n_zeros`` and ``largest_of_all`` only.

    Means and scatters are merged as by Chan, Golub and LeVeque (1983), so that no digits are lost if means are large.
    """

    weight: FloatArray
    mean: FloatArray
    scatter: FloatArray
    exposure: FloatArray
    smallest_positive: FloatArray
    smallest: FloatArray
    largest: FloatArray
    largest_of_all: FloatArray
    n_zeros: Array
    n_empty_rows: int
    # Whether any row has an exposure other than 1.
    exposed: bool
    totals: RowTotals

    def __add__(self, other: ColumnSurvey) -> ColumnSurvey:
        weight = self.weight + other.weight
        share = np.divide(other.weight, weight, out=np.zeros_like(weight), where=weight > 0)
        step = other.mean - self.mean
        with np.errstate(over="ignore", invalid="ignore"):
            scatter = self.scatter + other.scatter + share * self.weight * step**2
        return ColumnSurvey(
            weight,
            self.mean + share * step,
            scatter,
            self.exposure + other.exposure,
            np.minimum(self.smallest_positive, other.smallest_positive),
            np.minimum(self.smallest, other.smallest),
            np.maximum(self.largest, other.largest),
            np.maximum(self.largest_of_all, other.largest_of_all),
            self.n_zeros + other.n_zeros,
            self.n_empty_rows + other.n_empty_rows,
            self.exposed or other.exposed,
            self.totals + other.totals,
        )

    @property
    def rate(self) -> FloatArray:
        """Mean of each column per unit of exposure, or per row for a sparse table, where it is not used."""
        seen = self.exposure > 0
        return np.divide(self.mean * self.weight, self.exposure, out=np.zeros_like(self.mean), where=seen)

    def take(self, columns: Array) -> ColumnSurvey:
        """The survey of some columns; empty rows are still those without a value in any column."""
        of_rows = ("n_empty_rows", "exposed", "totals")
        taken = {field.name: getattr(self, field.name)[columns] for field in fields(self) if field.name not in of_rows}
        return replace(self, **taken)

    @property
    def constant(self) -> Array:
        """Which columns have a single value. Values are compared, since a computed variance has rounding errors."""
        return np.asarray(self.smallest == self.largest)

    @property
    def variance(self) -> FloatArray:
        """Variance of each column, with the denominator n; exactly zero where all values are the same."""
        varies = (self.weight > 0) & ~self.constant
        return np.divide(self.scatter, self.weight, out=np.zeros_like(self.scatter), where=varies)


def survey_rows(rows: BlockSource, pool: ThreadPoolExecutor | None = None) -> ColumnSurvey:
    """The survey of all rows, which is made once; it gives the totals of the rows as well."""
    if rows.survey is None:
        rows.survey = found = rows.sum(survey_columns, pool)
        rows.totals = found.totals
    result: ColumnSurvey = rows.survey
    return result


def survey_columns(block: Block) -> ColumnSurvey:
    """Survey one block of rows."""
    if sparse.issparse(block.X):
        return _survey_sparse(block)
    X = block.X
    missing = np.isnan(X)
    observed = ~missing
    w = observed * block.row_weight[:, np.newaxis]
    weight = w.sum(axis=0)
    filled = np.where(missing, 0.0, X)
    with np.errstate(over="ignore", invalid="ignore"):  # overflow is refused later, or affects only the choice of units
        mean = np.divide((w * filled).sum(axis=0), weight, out=np.zeros_like(weight), where=weight > 0)
        scatter = (w * (filled - mean) ** 2).sum(axis=0)
    return ColumnSurvey(
        weight=weight,
        mean=mean,
        scatter=scatter,
        exposure=weight if block.exposure is None else block.exposure @ w,
        smallest_positive=np.where(w * (X > 0) > 0, X, np.inf).min(axis=0, initial=np.inf),
        smallest=np.where(w > 0, X, np.inf).min(axis=0, initial=np.inf),
        largest=np.where(w > 0, X, -np.inf).max(axis=0, initial=-np.inf),
        largest_of_all=np.where(missing, -np.inf, X).max(axis=0, initial=-np.inf),
        n_zeros=(X == 0).sum(axis=0),
        n_empty_rows=int(missing.all(axis=1).sum()),
        exposed=block.exposure is not None and bool((block.exposure != 1.0).any()),
        totals=RowTotals.of_block(block),
    )


def _survey_sparse(block: Block) -> ColumnSurvey:
    X = block.X
    n_features = X.shape[1]
    data = X.data
    missing = np.isnan(data)
    rows = np.repeat(np.arange(block.n_rows), np.diff(X.indptr))
    row_weight = block.row_weight
    w = np.where(missing, 0.0, row_weight[rows])
    filled = np.where(missing, 0.0, data)

    def column_sums(values: Array) -> FloatArray:
        return np.bincount(X.indices, weights=values, minlength=n_features).astype(np.float64)

    weight = row_weight.sum() - column_sums(np.where(missing, row_weight[rows], 0.0))
    unstored = weight - column_sums(w)
    with np.errstate(over="ignore", invalid="ignore"):  # as in dense rows
        mean = np.divide(column_sums(w * filled), weight, out=np.zeros_like(weight), where=weight > 0)
        scatter = column_sums(w * (filled - mean[X.indices]) ** 2) + unstored * mean**2
    counted = w > 0
    # A column has unstored zeros unless all of its rows that weigh something are stored.
    has_zeros = np.bincount(X.indices[row_weight[rows] > 0], minlength=n_features) < np.count_nonzero(row_weight)
    positive, smallest = np.full(n_features, np.inf), np.where(has_zeros, 0.0, np.inf)
    largest = np.where(has_zeros, 0.0, -np.inf)
    np.minimum.at(positive, X.indices[counted & (filled > 0)], filled[counted & (filled > 0)])
    np.minimum.at(smallest, X.indices[counted], filled[counted])
    np.maximum.at(largest, X.indices[counted], filled[counted])
    unstored_anywhere = np.bincount(X.indices, minlength=n_features) < block.n_rows
    largest_of_all = np.where(unstored_anywhere, 0.0, -np.inf)
    np.maximum.at(largest_of_all, X.indices[~missing], data[~missing])
    return ColumnSurvey(
        weight=weight,
        mean=mean,
        scatter=scatter,
        exposure=weight,
        smallest_positive=positive,
        smallest=smallest,
        largest=largest,
        largest_of_all=largest_of_all,
        n_zeros=np.zeros(n_features, dtype=int),
        n_empty_rows=0,
        exposed=block.exposure is not None and bool((block.exposure != 1.0).any()),
        totals=RowTotals.of_block(block),
    )
