"""The sums over rows that a fit, or an evaluation of a fitted mixture, needs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._data import Additive, Block, BlockSource, Rounding, RowSample
from .._typing import Array
from ._components import Components
from ._model import MixtureModel, MixtureParameters, MixtureStatistics


@dataclass(frozen=True)
class QuerySums(Additive):
    """Sums for the evaluation of a fitted mixture.

    Attributes
    ----------
    outside : as from ``Components.count_outside``
    statistics : MixtureStatistics, of the blocks that are inside
    log_base_measure : sum of w log h(x) over these
    """

    outside: Array
    statistics: MixtureStatistics
    log_base_measure: float


def evaluate(block: Block, model: MixtureModel, parameters: MixtureParameters) -> QuerySums:
    """Evaluate one block of rows, and count in the same pass the values outside the support."""
    outside = model.components.count_outside(block)
    if outside.any():  # the data will be refused after all such values have been counted
        block = block[:0]
    return QuerySums(outside, model.expect(parameters, block), model.total_log_base_measure(block))


def pooled_summary(block: Block, components: Components) -> Any:
    """Statistics of all rows of a block together."""
    return components.summarize(components.read(block), block.row_weight)


def map_inside(
    rows: BlockSource,
    function: Callable[[Block], Array],
    components: Components,
    refuse: Callable[[Array], None],
    pool: ThreadPoolExecutor | None,
) -> Array:
    """Map all blocks by a function, in a pass that also counts values outside the support.

    ``refuse`` is called with all counts at the end of the pass, or for lazy results with the counts of each block.
    """
    counts: list[Array] = []

    def of_block(block: Block) -> Array:
        outside = components.count_outside(block)
        if outside.any():
            if rows.maps_lazily:
                refuse(outside)
            counts.append(outside)
            shape = block.X.shape
            block = replace(block, X=type(block.X)(shape) if rows.is_sparse else np.full(shape, np.nan))
        return function(block)

    values: Array = rows.map(of_block, pool)
    if counts:
        refuse(np.sum(counts, axis=0))
    return values


@dataclass(frozen=True)
class DataSummary(Additive):
    """Statistics of all rows together, their base measure, and a sample of distinct rows.

    Attributes
    ----------
    outside : as from ``Components.count_outside``; the others are of the blocks that are inside
    pooled : as from ``Components.summarize``
    log_base_measure : sum of w log h(x)
    sample : RowSample
    """

    outside: Array
    pooled: Any
    log_base_measure: float
    sample: RowSample


def summarize(block: Block, components: Components, sample_size: int, salt: int, rounding: Rounding | None) -> DataSummary:
    """Summarise one block of rows, and count in the same pass the values outside the support."""
    outside = components.count_outside(block)
    block = block[:0] if outside.any() else block
    weight, observations = block.row_weight, components.read(block)
    return DataSummary(
        outside,
        pooled=components.summarize(observations, weight),
        log_base_measure=block.weighted_sum(components.log_base_measure(block)),
        sample=RowSample.of_block(components.as_seeds(block, observations), weight, sample_size, salt, rounding),
    )
