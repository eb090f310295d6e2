"""What a fit must know of its data besides their columns: a pass over the rows, a sum of additive statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .._data import Block, ColumnSurvey, Rounding, RowSample
from .._typing import Array, FloatArray
from ..families import ExponentialFamily
from ._model import MixtureModel, MixtureParameters, MixtureStatistics, Units


def count_outside_support(block: Block, family: ExponentialFamily, zeros_allowed: bool) -> Array:
    """Number of values outside the support, and how many of them are too low; column by column, shape (2, D)."""
    X = block.X
    exposure: Array | float = 1.0
    if sparse.issparse(X):
        if block.exposure is not None:
            exposure = np.repeat(block.exposure, np.diff(X.indptr))
        masks = _is_outside(family, X.data, exposure, zeros_allowed), X.data < family.lower_limit
        return np.stack([np.bincount(X.indices[mask], minlength=X.shape[1]) for mask in masks])
    if block.exposure is not None:
        exposure = block.exposure[:, np.newaxis]
    masks = _is_outside(family, X, exposure, zeros_allowed), family.lower_limit > X
    return np.stack([mask.sum(axis=0) for mask in masks])


def _is_outside(family: ExponentialFamily, values: Array, exposure: Array | float, zeros_allowed: bool) -> Array:
    inside = family.in_support(values, exposure) | np.isnan(values)
    return ~(inside | (values == 0)) if zeros_allowed else ~inside


@dataclass(frozen=True)
class QuerySums:
    """What a fitted mixture says of rows.

    Attributes
    ----------
    outside : as from ``count_outside_support``
    statistics : MixtureStatistics, of the blocks that are inside
    log_base_measure : sum of w log h(x) over these
    """

    outside: Array
    statistics: MixtureStatistics
    log_base_measure: float

    def __add__(self, other: QuerySums) -> QuerySums:
        return QuerySums(
            self.outside + other.outside,
            self.statistics + other.statistics,
            self.log_base_measure + other.log_base_measure,
        )


def evaluate(block: Block, model: MixtureModel, parameters: MixtureParameters) -> QuerySums:
    """Evaluate one block of rows, and count in the same pass the values that the model is not defined for."""
    outside = count_outside_support(block, model.family, zeros_allowed=model.substitutes is not None)
    if outside[0].any():  # the data will be refused, when all such values are counted
        weight, exposure = (None if values is None else values[:0] for values in (block.weight, block.exposure))
        block = Block(block.X[:0], weight, exposure, block.start)
    return QuerySums(outside, model.expect(parameters, block), model.total_log_base_measure(block))


@dataclass(frozen=True)
class DataSummary:
    """Pooled statistics of all rows, the data's constant, and a sample of distinct rows.

    Attributes
    ----------
    sums : sum of w m T(x), shape (S, D)
    exposures : sum of w s m, shape (D,) or (1,)
    log_base_measure : sum of w log h(x)
    sample : RowSample
    """

    sums: FloatArray
    exposures: FloatArray
    log_base_measure: float
    sample: RowSample

    def __add__(self, other: DataSummary) -> DataSummary:
        return DataSummary(
            self.sums + other.sums,
            self.exposures + other.exposures,
            self.log_base_measure + other.log_base_measure,
            self.sample + other.sample,
        )


def rounding_of(family: ExponentialFamily, columns: ColumnSurvey) -> Rounding | None:
    """Values as they are in any units; None where the family knows of no units."""
    units = Units.of_moments(family, columns.mean, columns.variance)
    return None if units is None else Rounding(units.location, units.scale, family.equivariance == "scale")


def summarize(block: Block, model: MixtureModel, sample_size: int, salt: int, rounding: Rounding | None) -> DataSummary:
    """Summarise one block of rows."""
    observations = model.observe(block)
    weight = np.ones(block.n_rows) if block.weight is None else block.weight
    sums = [np.asarray(weight @ T, dtype=np.float64).ravel() for T in observations.statistics]
    return DataSummary(
        sums=np.stack(sums),
        exposures=observations.column_sums(weight[np.newaxis])[0],
        log_base_measure=model.total_log_base_measure(block),
        sample=RowSample.of_block(block, weight, sample_size, salt, rounding),
    )
