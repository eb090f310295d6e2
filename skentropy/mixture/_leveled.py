"""Components whose base measures have parameters, which are fitted from the counts of each value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from .._data import Block
from .._typing import FloatArray
from ._independent import FeatureEvidence, FeatureSums, Independent
from ._levels import Levels, LevelSums
from ._observations import Observations, transposed_product


@dataclass(frozen=True)
class LeveledSums(FeatureSums):
    """Additive statistics of the features, and how often each value was seen."""

    seen: LevelSums


@dataclass(frozen=True)
class LeveledRows(Observations):
    """Rows, and the levels of their entries as a sparse matrix (n, M)."""

    levels: Levels = field(default_factory=lambda: Levels.of_columns([np.zeros(1)]))
    indicators: Any = None


@dataclass(frozen=True)
class LeveledEvidence(FeatureEvidence):
    """Log joint densities (K, n) of a block, including base measures."""

    observations: LeveledRows

    def accumulate(self, weights: FloatArray) -> LeveledSums:
        sums = super().accumulate(weights)
        counts = transposed_product(weights, self.observations.indicators)
        return LeveledSums(sums.exposures, sums.sums, LevelSums(self.observations.levels, counts))


@dataclass(frozen=True)
class Leveled(Independent):
    r"""Products of distributions with a base measure :math:`h(x; \phi_{cd})` of each component.

    The statistics count how often each component sees each value. They determine every h, so :math:`\phi` is fitted exactly.
    The entropy identity requires only the other parameters to be stationary: it holds for any :math:`\phi`.

    Parameters
    ----------
    family, units, prior_counts, pooled, narrow
        As in ``Independent``; the family has the pooled :math:`\phi`, and is used to draw seeds.
    levels : Levels
        The distinct values of the data.
    pooled_seen : LevelSums or None
        For each value the share of the rows that have it, (M,).
    n_runs : int
        Number of mixtures side by side.
    """

    levels: Levels = field(default_factory=lambda: Levels.of_columns([np.zeros(1)]))
    pooled_seen: LevelSums | None = None
    n_runs: int = 1

    @property
    def allows_exposure(self) -> bool:
        return False

    def summarize(self, observations: Any, weight: FloatArray) -> LeveledSums:
        sums = super().summarize(observations, weight)
        return LeveledSums(sums.exposures, sums.sums, LevelSums(observations.levels, observations.indicators.T @ weight))

    def with_pooled(self, summary: Any) -> Self:
        exposures = np.broadcast_to(summary.exposures, summary.sums.shape[1:])
        shares = _shares(summary.seen.levels, summary.seen.counts, exposures)
        return replace(super().with_pooled(summary), levels=summary.seen.levels, pooled_seen=shares)

    def with_prior(self, prior_counts: float, statistics: Any) -> Self:
        exposures = np.broadcast_to(statistics.exposures, statistics.sums.shape[1:]).sum(axis=0)
        shares = _shares(statistics.seen.levels, statistics.seen.counts.sum(axis=0), exposures)
        return replace(super().with_prior(prior_counts, statistics), pooled_seen=shares)

    def _with_prior_rows(self, statistics: LeveledSums) -> tuple[FloatArray, FloatArray, LevelSums]:
        """Exposures (K, D), sums (K, D) and counts of levels, including the prior's pseudo-observations."""
        sums, seen = statistics.sums[0], statistics.seen
        exposures = np.broadcast_to(statistics.exposures, sums.shape)
        if self.prior_counts and self.pooled_seen is not None:
            pooled = np.repeat(self.prior_counts * self.pooled_seen.counts[np.newaxis], len(sums), axis=0)
            seen = seen + LevelSums(self.pooled_seen.levels, pooled)
            exposures, sums = exposures + self.prior_counts, sums + self.prior_counts * self.pooled
        return exposures, sums, seen

    def log_base_measure(self, block: Block) -> FloatArray:
        """Zero, since all of the base measure depends on parameters."""
        return np.zeros(block.n_rows)

    def base_measure(self, parameters: Any, statistics: Any) -> float:
        return float((parameters.log_base(statistics.seen.levels) * statistics.seen.counts).sum())

    def n_directions(self, parameters: Any) -> int:
        return 2 * int(parameters.eta.shape[2])

    def for_runs(self, n_runs: int) -> Self:
        return replace(self, n_runs=n_runs)

    def with_average_rows(self, statistics: Any, share: float, n_runs: int) -> LeveledSums:
        more = super().with_average_rows(statistics, share, n_runs)
        assert self.pooled_seen is not None
        added = np.broadcast_to(more.exposures - statistics.exposures, more.sums.shape[1:])
        pooled = self.pooled_seen
        seen = statistics.seen + LevelSums(pooled.levels, added[:, pooled.levels.column] * pooled.counts)
        return LeveledSums(more.exposures, more.sums, seen)

    def cautions(self, estimator: Any, standard: tuple[FloatArray, ...]) -> list[str]:
        return []

    def expected_rows(self, parameters: Any, observations: Any, responsibilities: FloatArray) -> FloatArray:
        return np.asarray(responsibilities.T @ self.moments(parameters)[0])

    def divergence(self, parameters: Any, component: int) -> FloatArray:
        return np.asarray(self.column_divergences(parameters, component).sum(axis=-1))


def _shares(levels: Levels, counts: FloatArray, exposures: FloatArray) -> LevelSums:
    """For each value the share of the rows that have it."""
    return LevelSums(levels, counts / exposures[levels.column])
