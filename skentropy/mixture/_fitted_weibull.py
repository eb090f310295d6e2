"""Weibull components with fitted shapes, which determine the statistics and the base measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
from scipy import sparse, special

from .._data import Block, has_nan
from .._messages import list_columns, model_name
from .._typing import Array, FloatArray, Matrix
from ..families import ExponentialFamily, Weibull
from ._components import EMPTY, is_collapsing
from ._feature_attributes import NaturalParameters
from ._feature_metric import FeatureMetric, inverse_root
from ._leveled import Leveled, LeveledEvidence, LeveledRows
from ._levels import Levels, LevelSums
from ._observations import product
from ._report import places

# Shapes lie between these; values with the largest shape differ by a hundred-thousandth.
LEAST_SHAPE, LARGEST_SHAPE = 1e-3, 1e5
# Limits of the shapes for drawing seeds, and the largest logarithm of a power, which must stay a double.
_SEED_SHAPES = (0.05, 20.0)
_LARGEST_LOG = 600.0
# Largest number of Newton steps for a shape, each inside a bracket, and the change of its logarithm that ends them; the
# remaining error is the square of this change.
_MOST_STEPS = 100
_PRECISION = 1e-7
# The change that ends the steps in short runs, and the cost of a power in multiplications.
_ROUGH_PRECISION = 0.03
_POWER_COST = 40


class PooledWeibull(Weibull):
    """The family with the shape of all rows, for drawing seeds."""

    @property
    def absolute(self) -> ExponentialFamily:
        return Weibull()


@dataclass(frozen=True)
class WeibullParameters(NaturalParameters):
    """Logarithms of scales and of shapes (K, D), with the natural parameters and log-partitions that belong to them."""

    log_scales: FloatArray
    log_shapes: FloatArray

    @classmethod
    def of(cls, log_scales: FloatArray, log_shapes: FloatArray) -> Self:
        log_shapes = np.clip(log_shapes, np.log(LEAST_SHAPE), np.log(LARGEST_SHAPE))
        log_partition = np.exp(log_shapes) * log_scales
        with np.errstate(over="ignore", under="ignore"):
            eta = -np.exp(-log_partition)[np.newaxis]
        return cls(eta, log_partition, log_scales, log_shapes)

    @property
    def shapes(self) -> FloatArray:
        return np.exp(self.log_shapes)

    def log_powers(self, levels: Levels) -> FloatArray:
        r""":math:`\log (x / \lambda)^k` of levels, (K, M), limited so that sums of their exponentials do not overflow."""
        powers = self.shapes[:, levels.column] * (_logs(levels) - self.log_scales[:, levels.column])
        return np.minimum(powers, _LARGEST_LOG)

    def log_density(self, levels: Levels) -> FloatArray:
        """Log-densities of levels, (K, M)."""
        powers = self.log_powers(levels)
        return self.log_shapes[:, levels.column] - _logs(levels) + powers - np.exp(powers)

    def log_base(self, levels: Levels) -> FloatArray:
        r""":math:`\log h(x; k) = \log k + (k - 1) \log x` of levels, (K, M)."""
        return self.log_shapes[:, levels.column] + (self.shapes[:, levels.column] - 1.0) * _logs(levels)


@dataclass(frozen=True)
class FittedWeibull(Leveled):
    r"""Products of Weibull distributions of scales :math:`\lambda_{cd}` and shapes :math:`k_{cd}`.

    .. math::  p(x) = h(x; k) e^{\eta x^k - A}, \quad h = k x^{k-1}, \quad \eta = -\lambda^{-k}, \quad A = k \log\lambda

    The entropy identity requires stationarity of the scales alone. Statistics in units are used for seeds; everything else
    is fitted from logarithms of the distinct values, and needs no units. A level of zero is never counted.

    Parameters
    ----------
    family, units, prior_counts, pooled, narrow, levels, pooled_seen, n_runs
        As of ``Leveled``.
    pooled_logs : tuple of ndarray of shape (D,)
        Logarithms of the scales and shapes of the pooled rows.
    """

    pooled_logs: tuple[FloatArray, FloatArray] = field(default_factory=lambda: (np.zeros(1), np.zeros(1)))

    attribute_names = ("scales", "shapes")
    standard_limits = ((0.0, np.inf), (0.0, np.inf))

    # Before a fit.

    def with_pooled(self, summary: Any) -> Self:
        components = super().with_pooled(summary)
        shares = components.pooled_seen
        assert shares is not None
        log_scales, log_shapes = fit_weibull(LevelSums(shares.levels, shares.counts[np.newaxis]))
        scale = np.ones(len(log_shapes[0])) if self.units is None else self.units.scale
        log_u, there = _logs(shares.levels) - np.log(scale)[shares.levels.column], shares.counts > 0.0
        shape = float(np.clip(np.exp(np.median(log_shapes)), *_SEED_SHAPES))
        shape = 1.0 / max(1.0 / shape, float(log_u[there].max()) / _LARGEST_LOG)
        powers = np.exp(shape * log_u, out=np.zeros_like(log_u), where=there)
        return replace(
            components,
            family=PooledWeibull(shape),
            pooled=shares.levels.sum_columns(shares.counts * powers)[np.newaxis],
            pooled_logs=(log_scales[0], log_shapes[0]),
        )

    def row_cost(self, n_features: int) -> int:
        """Powers and logarithms of each entry, in multiplications."""
        return _POWER_COST * n_features

    # EM.

    def read(self, block: Block) -> LeveledRows:
        rows = super().read(block)
        X = np.asarray(block.X, dtype=np.float64)
        # What a sparse matrix does not store has no level.
        levels, indicators = self.levels.indicators(sparse.csr_matrix(np.nan_to_num(X)) if has_nan(X) else X)
        return LeveledRows(rows.statistics, None, rows.missing, None, levels, indicators)

    def observe(
        self, parameters: Any, observations: Any, offsets: FloatArray, out: FloatArray | None = None
    ) -> LeveledEvidence:
        log_joint = product(parameters.log_density(observations.levels), observations.indicators)
        return LeveledEvidence(log_joint + offsets[:, np.newaxis], observations)

    def pooled_parameters(self, n_components: int) -> WeibullParameters:
        log_scales, log_shapes = (np.repeat(value[np.newaxis], n_components, axis=0) for value in self.pooled_logs)
        return WeibullParameters.of(log_scales, log_shapes)

    def maximize(self, statistics: Any) -> WeibullParameters:
        """Scales and shapes that maximise the expected log-density, plus the log prior; exactly."""
        exposures, _, seen = self._with_prior_rows(statistics)
        precision = _PRECISION if self.n_runs == 1 else _ROUGH_PRECISION
        found = fit_weibull(seen, precision)
        empty = exposures <= EMPTY * exposures.sum(axis=0)
        pooled = self.pooled_parameters(len(exposures))
        return WeibullParameters.of(
            np.where(empty, pooled.log_scales, found[0]), np.where(empty, pooled.log_shapes, found[1])
        )

    def entropy(self, parameters: Any, statistics: Any) -> float:
        r"""Pseudo entropies given the shapes, :math:`A - \eta m = k \log\lambda + 1`, W(51), W(52)."""
        return float((statistics.exposures * (parameters.log_partition + 1.0)).sum())

    def log_density(self, parameters: Any, statistics: Any) -> float:
        seen = statistics.seen
        return float((parameters.log_density(seen.levels) * seen.counts).sum())

    def magnitude(self, parameters: Any, statistics: Any) -> float:
        seen = statistics.seen
        terms = np.abs(parameters.log_base(seen.levels)) + 1.0
        partition = np.abs(statistics.exposures * parameters.log_partition).sum()
        return float((terms * seen.counts).sum() + partition)

    def log_prior(self, parameters: Any, statistics: Any | None) -> FloatArray:
        """Log-density of pseudo-observations that are distributed like all rows."""
        if not (self.prior_counts and self.pooled_seen is not None):
            return np.zeros(len(parameters.log_scales))
        at = parameters.log_density(self.pooled_seen.levels)
        return np.asarray(self.prior_counts * (at * self.pooled_seen.counts).sum(axis=1))

    def penalty(self, parameters: Any, statistics: Any) -> float:
        r"""The penalty of :math:`\nu` pseudo-counts: :math:`\nu \sum_{cd} (E_{pooled}[(x / \lambda)^k] - 1)`."""
        if not (self.prior_counts and self.pooled_seen is not None):
            return 0.0
        levels, counts = self.pooled_seen.levels, self.pooled_seen.counts
        powers = np.exp(parameters.log_powers(levels))
        return self.prior_counts * float((levels.sum_columns(counts * powers) - 1.0).sum())

    def pack(self, parameters: Any) -> FloatArray:
        return np.concatenate([parameters.log_scales, parameters.log_shapes], axis=1).ravel()

    def unpack(self, vector: FloatArray, like: Any) -> WeibullParameters | None:
        K, D = like.log_scales.shape
        if not np.isfinite(vector).all():
            return None
        return WeibullParameters.of(*np.split(vector.reshape(K, 2 * D), 2, axis=1))

    # The end of a fit.

    def score(self, parameters: Any, statistics: Any) -> FloatArray:
        """Gradient along the logarithms of the scales and of the shapes."""
        _, _, seen = self._with_prior_rows(statistics)
        slopes = (seen.levels.sum_columns(seen.counts * slope) for slope in _slopes(parameters, seen.levels))
        of_scales, of_shapes = slopes
        return np.concatenate([of_scales, np.where(self._held(parameters), 0.0, of_shapes)], axis=1)

    def row_scores(self, parameters: Any, observations: Any) -> Iterator[FloatArray]:
        levels, indicators = observations.levels, observations.indicators
        of_scales, of_shapes = _slopes(parameters, levels)
        of_shapes = np.where(self._held(parameters)[:, levels.column], 0.0, of_shapes)
        places = list(pairwise(levels.starts))
        for c in range(len(of_scales)):
            yield np.stack(
                [indicators[:, i:j] @ slope[c, i:j] for slope in (of_scales, of_shapes) for i, j in places], axis=1
            )

    @staticmethod
    def _held(parameters: Any) -> Array:
        """Which shapes are at a bound."""
        return (parameters.shapes >= LARGEST_SHAPE * (1 - 1e-9)) | (parameters.shapes <= LEAST_SHAPE * (1 + 1e-9))

    def metric(self, parameters: Any, statistics: Any, counts: FloatArray) -> FeatureMetric:
        """Minus the second derivatives of the expected log-density."""
        _, _, seen = self._with_prior_rows(statistics)
        levels = seen.levels
        k, w = parameters.shapes, parameters.log_powers(levels)
        z = np.exp(w)
        of_scales = k**2 * levels.sum_columns(seen.counts * z)
        mixed = -k * levels.sum_columns(seen.counts * (z - 1.0 + z * w))
        of_shapes = levels.sum_columns(seen.counts * (w * (z - 1.0) + w**2 * z))
        information = np.stack([of_scales, mixed, mixed, of_shapes], axis=-1).reshape(*k.shape, 2, 2)
        there = (counts > 0.0)[:, np.newaxis] & (of_scales > 0.0)
        free = np.stack([there, there & ~self._held(parameters)], axis=-1)
        return FeatureMetric(inverse_root(information * free[..., np.newaxis] * free[..., np.newaxis, :]))

    def moved(self, parameters: Any, direction: FloatArray) -> WeibullParameters | None:
        of_scales, of_shapes = np.split(direction, 2, axis=1)
        moved = WeibullParameters.of(parameters.log_scales + of_scales, parameters.log_shapes + of_shapes)
        return moved if np.isfinite(moved.log_scales).all() and np.isfinite(moved.log_shapes).all() else None

    # Several runs at once.

    def select(self, parameters: Any, components: Array, n_runs: int) -> WeibullParameters:
        return WeibullParameters.of(parameters.log_scales[components], parameters.log_shapes[components])

    def collapsed(self, before: Any, parameters: Any) -> Array:
        logs = parameters.log_shapes, before.log_shapes, self.pooled_logs[1]
        narrow = is_collapsing(*(np.exp(-2.0 * own) for own in logs))  # variances of logarithms, but for a factor
        collapsed = (parameters.shapes >= LARGEST_SHAPE * (1 - 1e-9)) | narrow
        return np.asarray((collapsed & ~self._constant()).any(axis=1))

    def _constant(self) -> Array:
        return np.exp(self.pooled_logs[1]) >= LARGEST_SHAPE * (1 - 1e-9)

    def degenerate(self, parameters: Any) -> bool:
        return bool(((parameters.shapes >= LARGEST_SHAPE * (1 - 1e-9)) & ~self._constant()).any())

    # What users see.

    def standard(self, parameters: Any) -> tuple[FloatArray, ...]:
        return np.exp(parameters.log_scales), parameters.shapes

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        of_scales, of_shapes = np.split(directions, 2, axis=2)
        return np.exp(parameters.log_scales) * of_scales, parameters.shapes * of_shapes

    def natural(self, standard: tuple[FloatArray, ...]) -> WeibullParameters:
        scales, shapes = standard
        return WeibullParameters.of(np.log(scales), np.log(shapes))

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        for name, value in zip(self.attribute_names, standard, strict=True):
            if not ((value > 0.0) & np.isfinite(value)).all():
                raise ValueError(f"{name}{suffix} must be positive and finite; got {value.min():g} to {value.max():g}.")

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        scales, shapes = standard
        pooled_logs = weights @ np.log(scales), weights @ np.log(shapes)
        return replace(self, pooled=np.ones((1, scales.shape[1])), pooled_seen=None, pooled_logs=pooled_logs)

    def n_parameters(self, n_components: int) -> int:
        return 2 * n_components * int(self.pooled.shape[1])

    def column_divergences(self, parameters: Any, component: int) -> FloatArray:
        r"""Divergences, from :math:`E[(x / \lambda')^{k'}] = (\lambda / \lambda')^{k'} \Gamma(1 + k' / k)`."""
        u, k = parameters.log_scales, parameters.shapes
        own_u, own_k = u[component], k[component]
        with np.errstate(over="ignore"):
            powers = np.exp(k * (own_u - u) + special.gammaln(1.0 + k / own_k))
        divergences = np.log(own_k) - np.log(k) - np.euler_gamma * (1.0 - k / own_k) + k * (u - own_u) + powers - 1.0
        return np.asarray(np.maximum(divergences, 0.0))

    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        inverse = 1.0 / parameters.shapes
        log_mean = special.gammaln(1.0 + inverse)
        with np.errstate(over="ignore"):
            means = np.exp(parameters.log_scales + log_mean)
            variances = means**2 * np.expm1(special.gammaln(1.0 + 2.0 * inverse) - 2.0 * log_mean)
        return np.nan_to_num(means), np.nan_to_num(variances, nan=np.inf)

    def failures(self, estimator: Any, parameters: Any) -> Iterator[str]:
        name, constant = model_name(estimator), self._constant()
        if constant.any():
            yield (
                f"{name}: the values are (nearly) all the same in {list_columns(estimator, np.flatnonzero(constant))}; its "
                f"shape is held at a bound of {LARGEST_SHAPE:g}. Leave such columns out."
            )
        collapsed = (parameters.shapes >= LARGEST_SHAPE * (1 - 1e-9)) & ~constant
        if collapsed.any():
            yield (
                f"{name}: {places(estimator, collapsed)} collapsed onto (nearly) a single value; its shape is held at a "
                f"bound of {LARGEST_SHAPE:g}. Use fewer components, or prior_counts > 0."
            )

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        scales, shapes = (value[labels] for value in standard)
        draws = scales * random_state.standard_exponential(scales.shape) ** (1.0 / shapes)
        return np.asarray(np.clip(draws, np.finfo(np.float64).tiny, np.finfo(np.float64).max))


def shape_of_deviation(deviation: FloatArray) -> FloatArray:
    r"""Shapes of Weibull variables whose logarithms have these standard deviations, :math:`\pi / (\sqrt6 k)`."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.pi / np.sqrt(6.0) / deviation)


def fit_weibull(seen: LevelSums, precision: float = _PRECISION) -> tuple[FloatArray, FloatArray]:
    r"""Logarithms of the scales and shapes (K, D) that maximise the likelihood of values with these counts.

    The shape is the root of :math:`1 - k (E_k[\log x] - E[\log x])`; it falls in k. :math:`E_k` is weighted by :math:`x^k`.
    Where nothing is counted the scale is zero.
    """
    levels, counts = seen.levels, seen.counts
    column, there = levels.column, counts > 0.0
    share = np.divide(counts, levels.sum_columns(counts)[:, column], out=np.zeros_like(counts), where=there)
    log_x = _logs(levels)
    centre = levels.sum_columns(share * log_x)
    y = np.where(there, log_x - centre[:, column], 0.0)
    farthest = np.maximum.reduceat(y, levels.starts[:-1], axis=-1)
    start = shape_of_deviation(np.sqrt(levels.sum_columns(share * y * y)))
    t = np.log(np.clip(start, LEAST_SHAPE, LARGEST_SHAPE))
    low, high = np.full(t.shape, np.log(LEAST_SHAPE)), np.full(t.shape, np.log(LARGEST_SHAPE))

    def tilted(k: FloatArray) -> FloatArray:
        return np.asarray(share * np.exp(k[:, column] * (y - farthest[:, column])))

    for _ in range(_MOST_STEPS):
        k = np.exp(t)
        weights = tilted(k)
        with np.errstate(all="ignore"):
            mass = levels.sum_columns(weights)
            mean = levels.sum_columns(weights * y) / mass
            variance = levels.sum_columns(weights * y * y) / mass - mean**2
            value, slope = 1.0 - k * mean, -k * (mean + k * variance)
            new = t - value / slope
        below = value > 0.0
        low, high = np.where(below, t, low), np.where(below, high, t)
        new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        settled = np.abs(new - t) <= precision
        t = new
        if settled.all():
            break
    k = np.exp(t)
    # The scale must be optimal for this shape, to all digits: the identity depends on it.
    with np.errstate(divide="ignore"):
        return centre + farthest + np.log(levels.sum_columns(tilted(k))) / k, t


def _logs(levels: Levels) -> FloatArray:
    return np.log(levels.values, out=np.zeros(len(levels.values)), where=levels.values > 0.0)


def _slopes(parameters: WeibullParameters, levels: Levels) -> tuple[FloatArray, FloatArray]:
    """Derivatives of the levels' log-densities by the logarithms of scale and shape, (K, M)."""
    w = parameters.log_powers(levels)
    z = np.exp(w)
    return parameters.shapes[:, levels.column] * (z - 1.0), 1.0 + w * (1.0 - z)
