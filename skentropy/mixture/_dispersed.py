"""Negative binomial components whose dispersions are fitted: the base measure has a parameter of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, Self

import numpy as np

from .._data import Block, ColumnSurvey
from .._messages import model_name
from .._typing import Array, FloatArray, Matrix
from ..families._base import SMALLEST_NORMAL, positive_or_one, safe_log
from ..families._dispersion import (
    LARGEST_DISPERSION,
    LEAST_DISPERSION,
    DispersedPoisson,
    dispersed,
    fit_dispersion,
    log_base_measure,
    log_rising_curvature,
    log_rising_slope,
    partition_curvature,
    partition_slope,
)
from ..families._special import expected_log_gamma
from ._dispersed_metric import DispersedMetric, MeanLimits
from ._dispersion_likelihood import DispersionLikelihood, shared
from ._feature_attributes import NaturalParameters
from ._leveled import Leveled, LeveledEvidence, LeveledRows
from ._levels import Levels, LevelSums
from ._observations import product
from ._report import degenerate_features, places

# No extrapolation divides a dispersion or a mean by more than two.
_SHARE = 0.5
# The axes of (n_components, n_features) along which dispersions are tied.
TIES = {"full": (), "feature": (0,), "component": (1,), "tied": (0, 1)}


@dataclass(frozen=True)
class DispersedParameters(NaturalParameters):
    """Means and dispersions (K, D), with the natural parameters and log-partitions that belong to them."""

    means: FloatArray
    dispersions: FloatArray
    levels: Levels

    @classmethod
    def of(cls, means: FloatArray, dispersions: FloatArray, levels: Levels) -> Self:
        eta, log_partition = dispersed(means, dispersions)
        return cls(eta[np.newaxis], log_partition, means, dispersions, levels)

    def log_base(self, levels: Levels) -> FloatArray:
        """The log base measures of levels, (K, M)."""
        return self._at_own if levels is self.levels else log_base_measure(levels.values, self.dispersions[:, levels.column])

    @cached_property
    def _at_own(self) -> FloatArray:
        return np.asarray(log_base_measure(self.levels.values, self.dispersions[:, self.levels.column]))


@dataclass(frozen=True)
class Dispersed(Leveled):
    r"""Products of negative binomials of means :math:`\mu_{cd}` and dispersions :math:`a_{cd}`.

    The base measure of an entry is :math:`h(x; a_{cd})`. The entropy identity requires stationarity of the means alone.

    Parameters
    ----------
    family, units, prior_counts, pooled, narrow, levels, pooled_seen, n_runs
        As of ``Leveled``.
    tied : tuple of int
        Axes of (n_components, n_features) along which dispersions are tied.
    pooled_dispersion : float
        The dispersion of the pooled rows, the same in all columns.
    """

    tied: tuple[int, ...] = ()
    pooled_dispersion: float = 0.0

    attribute_names = ("means", "dispersions")
    standard_limits = ((0.0, np.inf), (0.0, np.inf))

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        components = super().prepare(estimator, columns, is_sparse=is_sparse, prior_counts=prior_counts)
        levels = Levels.up_to(columns.largest)
        return components if levels is None else replace(components, levels=levels)

    def with_pooled(self, summary: Any) -> Self:
        components = super().with_pooled(summary)
        everywhere = replace(components, tied=(0, 1)).pooled_parameters(1)
        return components._with_pooled_dispersion(float(everywhere.dispersions[0, 0]))

    def _with_pooled_dispersion(self, dispersion: float) -> Self:
        return replace(self, family=DispersedPoisson(dispersion), pooled_dispersion=dispersion)

    # EM.

    def read(self, block: Block) -> LeveledRows:
        rows = super().read(block)
        levels, indicators = self.levels.indicators(rows.statistics[0])
        return LeveledRows(rows.statistics, None, rows.missing, None, levels, indicators)

    def observe(
        self, parameters: Any, observations: Any, offsets: FloatArray, out: FloatArray | None = None
    ) -> LeveledEvidence:
        log_joint = super().observe(parameters, observations, offsets, out).log_joint
        log_joint += product(parameters.log_base(observations.levels), observations.indicators)
        return LeveledEvidence(log_joint, observations)

    def pooled_parameters(self, n_components: int) -> DispersedParameters:
        means = np.repeat(self.pooled, n_components, axis=0)
        if self.pooled_seen is None:
            dispersions = np.full(means.shape, self.pooled_dispersion)
        else:
            counts = np.repeat(self.pooled_seen.counts[np.newaxis], n_components, axis=0)
            seen = LevelSums(self.pooled_seen.levels, counts)
            dispersions = self._fit(means, np.ones(means.shape), seen, n_components)
        return DispersedParameters.of(means, dispersions, self.levels)

    def maximize(self, statistics: Any) -> DispersedParameters:
        """Means and dispersions that maximise the expected log-density, plus the log prior; exactly."""
        (means,) = self.mean_parameters(statistics)
        exposures, _, seen = self._with_prior_rows(statistics)
        return DispersedParameters.of(means, self._fit(means, exposures, seen, len(means) // self.n_runs), self.levels)

    def _fit(self, means: FloatArray, exposures: FloatArray, seen: LevelSums, n_components: int) -> FloatArray:
        """Dispersions (K, D) for given means, from the counts of values; the components of a run may share dispersions."""
        total = partial(shared, self.tied, n_components=n_components, reduce=np.sum)
        likelihood = DispersionLikelihood.of(means, exposures, seen, total)
        start = likelihood.by_moments()
        return fit_dispersion(likelihood.slopes, start, start)

    def entropy(self, parameters: Any, statistics: Any) -> float:
        """Pseudo entropies given the dispersions, W(51), W(52)."""
        pseudo_entropy = parameters.log_partition - parameters.eta[0] * parameters.means
        return float((statistics.exposures * pseudo_entropy).sum())

    def log_density(self, parameters: Any, statistics: Any) -> float:
        return super().log_density(parameters, statistics) + self.base_measure(parameters, statistics)

    def magnitude(self, parameters: Any, statistics: Any) -> float:
        of_base = np.abs(parameters.log_base(statistics.seen.levels) * statistics.seen.counts).sum()
        return super().magnitude(parameters, statistics) + float(of_base)

    def log_prior(self, parameters: Any, statistics: Any | None) -> FloatArray:
        """Log-density of pseudo-observations that are distributed like all rows, with their base measure."""
        log_prior = super().log_prior(parameters, statistics)
        if self.prior_counts and self.pooled_seen is not None:
            at = parameters.log_base(self.pooled_seen.levels)
            log_prior = log_prior + self.prior_counts * (at * self.pooled_seen.counts).sum(axis=1)
        return log_prior

    def penalty(self, parameters: Any, statistics: Any) -> float:
        return self.prior_counts * float((parameters.eta[0] * (parameters.means - self.pooled)).sum())

    def pack(self, parameters: Any) -> FloatArray:
        return np.concatenate([np.sqrt(parameters.means), np.log1p(parameters.dispersions)], axis=1).ravel()

    def unpack(self, vector: FloatArray, like: Any) -> DispersedParameters | None:
        K, D = like.means.shape
        roots, logs = np.split(vector.reshape(K, 2 * D), 2, axis=1)
        if not np.isfinite(vector).all():
            return None
        means = np.maximum(np.maximum(roots, 0.0) ** 2, _SHARE * like.means)
        with np.errstate(over="ignore"):
            dispersions = np.maximum(np.expm1(np.maximum(logs, 0.0)), _SHARE * like.dispersions)
        return self._at_bounds(means, dispersions)

    def _at_bounds(self, means: FloatArray, dispersions: FloatArray) -> DispersedParameters:
        dispersions = shared(self.tied, dispersions, len(means) // self.n_runs, np.mean)
        dispersions = np.where(dispersions < LEAST_DISPERSION, 0.0, np.minimum(dispersions, LARGEST_DISPERSION))
        return DispersedParameters.of(means, dispersions, self.levels)

    # The end of a fit.

    def limits(self, parameters: Any) -> Any:
        return MeanLimits(self.pooled[0])

    def score(self, parameters: Any, statistics: Any) -> FloatArray:
        """Gradient along the logarithms of the means and of the dispersions."""
        means, a = parameters.means, parameters.dispersions
        exposures, sums, seen = self._with_prior_rows(statistics)
        levels = seen.levels
        of_base = levels.sum_columns(seen.counts * log_rising_slope(levels.values, a[:, levels.column]))
        of_means = (sums - exposures * means) / (1.0 + a * means)
        of_dispersions = of_base + exposures * partition_slope(means, a) - a * means * of_means
        return np.concatenate([of_means, np.where(self._held(parameters), 0.0, of_dispersions)], axis=1)

    def row_scores(self, parameters: Any, observations: Any) -> Iterator[FloatArray]:
        (x,), seen = observations.features(slice(None)), observations.seen(slice(None))
        levels, held = observations.levels, self._held(parameters)
        indicators = observations.indicators
        for c, (mean, a) in enumerate(zip(parameters.means, parameters.dispersions, strict=True)):
            slopes = log_rising_slope(levels.values, a[levels.column])
            of_base = np.stack(
                [indicators[:, start:stop] @ slopes[start:stop] for start, stop in pairwise(levels.starts)], axis=1
            )
            of_means = (x - mean * seen) / (1.0 + a * mean)
            of_dispersions = of_base + seen * partition_slope(mean, a) - a * mean * of_means
            yield np.concatenate([of_means, np.where(held[c], 0.0, of_dispersions)], axis=1)

    def _held(self, parameters: Any) -> Array:
        """Which dispersions are held: those at a bound, and those without effect because the mean is zero."""
        a = parameters.dispersions
        return (a <= 0.0) | (a >= LARGEST_DISPERSION) | (parameters.means <= 0.0)

    def metric(self, parameters: Any, statistics: Any, counts: FloatArray) -> DispersedMetric:
        """Minus the second derivatives of the expected log-density, which are diagonal where the score is zero."""
        means, a = parameters.means, parameters.dispersions
        exposures, _, seen = self._with_prior_rows(statistics)
        levels = seen.levels
        of_base = levels.sum_columns(seen.counts * log_rising_curvature(levels.values, a[:, levels.column]))
        of_means = exposures * means / (1.0 + a * means)
        of_dispersions = -(of_base + exposures * partition_curvature(means, a))
        held = self._held(parameters) | (counts <= 0.0)[:, np.newaxis]
        return DispersedMetric.of(of_means, np.where(held, 0.0, of_dispersions), self.tied)

    def moved(self, parameters: Any, direction: FloatArray) -> DispersedParameters | None:
        of_means, of_dispersions = np.split(direction, 2, axis=1)
        of_dispersions = shared(self.tied, of_dispersions, len(direction) // self.n_runs, np.mean)
        with np.errstate(over="ignore"):
            means, a = parameters.means * np.exp(of_means), parameters.dispersions * np.exp(of_dispersions)
        return self._at_bounds(means, a) if np.isfinite(means).all() else None

    # Several runs at once.

    def select(self, parameters: Any, components: Array, n_runs: int) -> DispersedParameters:
        return DispersedParameters.of(parameters.means[components], parameters.dispersions[components], parameters.levels)

    def collapsed(self, before: Any, parameters: Any) -> Array:
        return np.zeros(len(parameters.means), dtype=bool)

    def degenerate(self, parameters: Any) -> bool:
        return False

    # What users see.

    def standard(self, parameters: Any) -> tuple[FloatArray, ...]:
        return parameters.means, parameters.dispersions

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        of_means, of_dispersions = np.split(directions, 2, axis=2)
        K = len(parameters.means)
        tied = np.stack([shared(self.tied, change, K, np.mean) for change in of_dispersions])
        return parameters.means * of_means, parameters.dispersions * tied

    def natural(self, standard: tuple[FloatArray, ...]) -> DispersedParameters:
        means, dispersions = standard
        return DispersedParameters.of(means, dispersions, self.levels)

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        for name, value in zip(self.attribute_names, standard, strict=True):
            if not ((value >= 0.0) & np.isfinite(value)).all():
                raise ValueError(f"{name}{suffix} must be non-negative and finite; got {value.min():g} to {value.max():g}.")
        if not _is_tied(self.tied, standard[1]):
            raise ValueError(f"dispersions{suffix} must be the same along what dispersion_type ties.")

    def fits(self, standard: tuple[FloatArray, ...], n_components: int) -> bool:
        return super().fits(standard, n_components) and _is_tied(self.tied, standard[1])

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        means, dispersions = standard
        pooled = weights @ means
        excess = weights @ ((1.0 + dispersions) * means**2) - pooled**2
        total = float((pooled**2).sum())
        dispersion = float(excess.sum()) / total if total > 0.0 else 0.0
        components = self._with_pooled_dispersion(min(max(dispersion, 0.0), LARGEST_DISPERSION))
        return replace(components, pooled=pooled[np.newaxis], pooled_seen=None)

    def n_parameters(self, n_components: int) -> int:
        n_features = self.pooled.shape[1]
        sizes = {0: n_components, 1: n_features}
        free = n_components * n_features // int(np.prod([sizes[axis] for axis in self.tied], dtype=int))
        return n_components * n_features + free

    def column_divergences(self, parameters: Any, component: int) -> FloatArray:
        r"""Divergences with the base measures' expectations, from an integral over the probability generating function."""
        mean, a = parameters.means[component], parameters.dispersions[component]
        eta, A = parameters.eta[0], parameters.log_partition
        divergences = mean * (eta[component] - eta) - A[component] + A
        of_base = _expected_base(mean, a, parameters.dispersions)
        divergences = np.maximum(divergences + of_base[component] - of_base, 0.0)
        return np.where((parameters.means < SMALLEST_NORMAL) & (mean > 0.0), np.inf, divergences)

    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        return parameters.means, parameters.means + parameters.dispersions * parameters.means**2

    def failures(self, estimator: Any, parameters: Any) -> Iterator[str]:
        means, a = parameters.means, parameters.dispersions
        yield from degenerate_features(estimator, self.family, self.pooled, safe_log(means)[np.newaxis])
        name = model_name(estimator)
        poisson = (a <= 0.0) & (means > 0.0) & (self.pooled[0] > 0.0)
        if poisson.any():
            instead = "PoissonMixture has fewer parameters." if poisson.all() else "Fewer components or dispersions may do."
            yield (
                f"{name}: {places(estimator, poisson)} no more dispersed than Poisson distributions, at the limit of a "
                f"dispersion of zero. {instead}"
            )
        bound = (a >= LARGEST_DISPERSION) & (means > 0.0)
        if bound.any():
            yield (
                f"{name}: {places(estimator, bound)} so dispersed that the dispersion is held at {LARGEST_DISPERSION:.0f}. "
                "Use fewer components, or prior_counts > 0."
            )

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        means, dispersions = (value[labels] for value in standard)
        family = DispersedPoisson(dispersions)
        return family.sample(family.natural(means[np.newaxis]), random_state)


def _expected_base(mean: FloatArray, dispersion: FloatArray, others: FloatArray) -> FloatArray:
    """E[log h(x; a) + log x!] of negative binomials (D,) for other dispersions a (K, D)."""
    r, own = 1.0 / positive_or_one(others), positive_or_one(dispersion)

    def log_generating(w: float) -> Array:
        # E[(1 - w)^x]
        return np.where(dispersion > 0.0, -np.log1p(own * mean * w) / own, -mean * w)

    return np.where(others > 0.0, expected_log_gamma(log_generating, mean, start=r), 0.0)


def _is_tied(tied: tuple[int, ...], dispersions: FloatArray) -> bool:
    return np.allclose(shared(tied, dispersions, len(dispersions), np.mean), dispersions, rtol=1e-6, atol=0.0)
