"""What a fit, or a question to a fitted mixture, must know of its data: sums of additive statistics over the rows."""

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
    """What a fitted mixture says of rows.

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
    """Evaluate one block of rows, and count in the same pass the values that the model is not defined for."""
    outside = model.components.count_outside(block)
    if outside[0].any():  # the data will be refused, when all such values are counted
        block = block[:0]
    return QuerySums(outside, model.expect(parameters, block), model.total_log_base_measure(block))


def map_inside(
    rows: BlockSource,
    function: Callable[[Block], Array],
    components: Components,
    refuse: Callable[[Array], None],
    pool: ThreadPoolExecutor | None,
) -> Array:
    """function of all blocks, in a pass that counts the values the components are not defined for; ``refuse`` is told.

    It is called at the end of the pass with all counts, or where that is never seen with those of a block.
    """
    counts: list[Array] = []

    def of_block(block: Block) -> Array:
        outside = components.count_outside(block)
        if outside[0].any():
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
    """Statistics of all rows together, the data's constant, and a sample of distinct rows.

    Attributes
    ----------
    pooled : as from ``Components.summarize``
    log_base_measure : sum of w log h(x)
    sample : RowSample
    """

    pooled: Any
    log_base_measure: float
    sample: RowSample


def summarize(block: Block, components: Components, sample_size: int, salt: int, rounding: Rounding | None) -> DataSummary:
    """Summarise one block of rows."""
    weight = block.row_weight
    return DataSummary(
        pooled=components.summarize(components.read(block), weight),
        log_base_measure=block.weighted_sum(components.log_base_measure(block)),
        # Starts depend on what the user hands over, whatever stands for zeros.
        sample=RowSample.of_block(block.as_given, weight, sample_size, salt, rounding),
    )
