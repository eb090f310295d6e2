"""Parameter-expanded EM for linear-Gaussian models, with rows grouped by the pattern of their observed entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from .._data import Additive, Prepared, Rows, unique_rows
from .._entropy_sum import EntropySum
from .._linalg import LOG_2PI, invert
from .._typing import Array, FloatArray
from ._gaussian import LinearGaussian
from ._moments import Moments
from ._weighted_rows import with_weight

# Numbers that the E-step processes at a time; they and their copies should stay in the cache.
_CHUNK_SIZE = 2**17
# A noise variance up to this multiple of the floor counts as at the floor.
ON_FLOOR = 1.0 + 1e-6


@dataclass(frozen=True)
class Table:
    """Rows sorted by pattern, zero where missing, and the patterns.

    Attributes
    ----------
    values : (n, d)
    weight : (n,)
    patterns : (P, d), 1 where observed
    starts : (P + 1,), the first row of each pattern, and n
    """

    values: FloatArray
    weight: FloatArray
    patterns: FloatArray
    starts: Array

    @classmethod
    def of(cls, X: FloatArray, weight: FloatArray | None) -> Table:
        """Group rows by pattern, and replace large groups by few rows with the same moments.

        The rows of a pattern enter EM only through their weight, mean and scatter.
        """
        X, weight = with_weight(X, np.ones(len(X)) if weight is None else weight)
        observed = ~np.isnan(X)
        patterns, index = unique_rows(observed)
        order = np.argsort(index, kind="stable")
        X, weight = X[order], weight[order]
        starts = np.searchsorted(index[order], np.arange(len(patterns) + 1))
        values, weights, sizes = [], [], []
        for pattern, start, stop in zip(patterns, starts[:-1], starts[1:], strict=True):
            rows, mass = X[start:stop], weight[start:stop]
            if stop - start > 2 * pattern.sum() > 0:
                rows, mass = _sigma_points(rows, mass, pattern)
            values.append(rows)
            weights.append(mass)
            sizes.append(len(rows))
        stacked = np.concatenate(values)
        stacked[np.isnan(stacked)] = 0.0
        starts = np.concatenate([[0], np.cumsum(sizes)])
        return cls(stacked, np.concatenate(weights), patterns.astype(np.float64), starts)

    @classmethod
    def of_rows(cls, rows: Rows, location: FloatArray, scale: FloatArray) -> Table | None:
        """The table of all rows, centred and scaled; None if none has a weight."""
        if rows.totals.weight == 0.0:
            return None
        X = rows.X.toarray() if rows.is_sparse else rows.X
        return cls.of((X - location) / scale, rows.sample_weight)

    @classmethod
    def with_moments(cls, moments: Moments) -> Table:
        """2 d complete rows: mean +- sqrt(d l_j) u_j with the eigenpairs l, u of the covariance."""
        variances, axes = np.linalg.eigh(moments.covariance)
        d = len(variances)
        offsets = (np.sqrt(d * np.maximum(variances, 0.0)) * axes).T
        values = np.concatenate([moments.mean + offsets, moments.mean - offsets])
        return cls(values, np.full(2 * d, moments.weight / (2 * d)), np.ones((1, d)), np.array([0, 2 * d]))

    @cached_property
    def pattern_weight(self) -> FloatArray:
        """Total weight of each pattern's rows, (P,)."""
        return np.add.reduceat(self.weight, self.starts[:-1])

    @cached_property
    def feature_weight(self) -> FloatArray:
        """Total weight of the rows in which each feature is observed, (d,)."""
        return self.pattern_weight @ self.patterns

    def sum(self, function: Callable[[Table], Any]) -> Any:
        """function(table): a table is all of the data, or a part whose results are added elsewhere."""
        return function(self)

    def chunks(self, row_size: int) -> list[tuple[int, int]]:
        """Ranges of patterns to process together, if each row takes ``row_size`` numbers."""
        most = max(_CHUNK_SIZE // row_size, 64)
        ranges, first = [], 0
        for p in range(1, len(self.starts)):
            if p == len(self.starts) - 1 or self.starts[p + 1] - self.starts[first] > most:
                ranges.append((first, p))
                first = p
        return ranges


def _sigma_points(rows: FloatArray, weight: FloatArray, pattern: Array) -> tuple[FloatArray, FloatArray]:
    of_pattern = Table.with_moments(Moments.of(rows[:, pattern], weight))
    points = np.zeros((len(of_pattern.values), len(pattern)))
    points[:, pattern] = of_pattern.values
    return points, of_pattern.weight


@dataclass(frozen=True)
class TableTotals:
    """Total weight, weight of each feature (d,), sums of squares (d,), and whether the table is complete."""

    weight: float
    features: FloatArray
    squares: FloatArray
    complete: bool

    @classmethod
    def of(cls, table: Table) -> TableTotals:
        squares = table.weight @ table.values**2
        return cls(float(table.pattern_weight.sum()), table.feature_weight, squares, bool(table.patterns.all()))

    def __add__(self, other: TableTotals) -> TableTotals:
        return TableTotals(
            self.weight + other.weight,
            self.features + other.features,
            self.squares + other.squares,
            self.complete and other.complete,
        )


@dataclass(frozen=True)
class GaussianStatistics(Additive):
    """The results of an E-step, summed over rows with their weights; u = (z, 1) has q = (k + 1)(k + 2) / 2 products.

    Attributes
    ----------
    log_likelihood : float
    posterior_entropy : float
    second : (d, q), E[u u'] over the rows in which a feature is observed
    cross : (d, k + 1), x E[u']
    latent : (q,), E[u u'] over all rows
    """

    log_likelihood: float
    posterior_entropy: float
    second: FloatArray
    cross: FloatArray
    latent: FloatArray

    @classmethod
    def of(cls, table: Table, parameters: LinearGaussian, log_scale: FloatArray) -> GaussianStatistics:
        """E-step on one table of features that were divided by scales with these logarithms."""
        d, k = parameters.shape
        upper = np.triu_indices(k + 1)
        scaled = parameters.scaled
        outer = (scaled[:, :, np.newaxis] * parameters.loadings[:, np.newaxis, :]).reshape(d, k * k)
        offset = (scaled.T * parameters.mean).T
        scatter, spread, cross = np.zeros((d, len(upper[0]))), np.zeros((d, len(upper[0]))), np.zeros((d, k + 1))
        latent_scatter, latent_spread = np.zeros(len(upper[0])), np.zeros(len(upper[0]))
        log_det, residual = 0.0, np.zeros(d)
        coefficients = np.column_stack([parameters.loadings, parameters.mean])
        pattern_weight = table.pattern_weight
        for first, last in table.chunks(d + len(upper[0])):
            start, stop = table.starts[first], table.starts[last]
            patterns, mass = table.patterns[first:last], pattern_weight[first:last]
            values, weight = table.values[start:stop], table.weight[start:stop]
            index = np.repeat(np.arange(last - first), np.diff(table.starts[first : last + 1]))
            precision = np.eye(k) + (patterns @ outer).reshape(len(patterns), k, k)
            covariance, log_dets = invert(precision)
            log_det += float(mass @ log_dets)
            projected = values @ scaled - (patterns @ offset)[index]
            u = np.empty((stop - start, k + 1))
            u[:, k] = 1.0
            if len(patterns) == 1:
                u[:, :k] = projected @ covariance[0]
            else:
                u[:, :k] = np.matmul(covariance[index], projected[:, :, np.newaxis])[:, :, 0]
            weighted = weight[:, np.newaxis] * u
            covariances = np.pad(covariance * mass[:, np.newaxis, np.newaxis], ((0, 0), (0, 1), (0, 1)))
            spreads = covariances[:, upper[0], upper[1]]
            pairs = weighted[:, upper[0]] * u[:, upper[1]]
            pairs = np.add.reduceat(pairs, table.starts[first:last] - start)
            scatter += patterns.T @ pairs
            spread += patterns.T @ spreads
            latent_scatter += pairs.sum(axis=0)
            latent_spread += spreads.sum(axis=0)
            cross += values.T @ weighted
            left = (values - u @ coefficients.T) * (patterns[0] if len(patterns) == 1 else patterns[index])
            residual += weight @ (left * left)
        # The Mahalanobis distance is the minimum of a sum of squares, attained at the posterior means, so errors of the
        # means change it little. Residuals are summed row by row, since they may be far smaller than the values.
        distance = residual @ (1.0 / parameters.noise) + latent_scatter[upper[0] == upper[1]][:k].sum()
        log_noise = table.feature_weight @ (np.log(parameters.noise) + LOG_2PI + 2.0 * log_scale)
        return cls(
            log_likelihood=-0.5 * (float(distance) + log_det + float(log_noise)),
            posterior_entropy=0.5 * (k * (1.0 + LOG_2PI) * float(pattern_weight.sum()) - log_det),
            second=scatter + spread,
            cross=cross,
            latent=latent_scatter + latent_spread,
        )


class GaussianModel:
    """The linear-Gaussian model for data with these totals; ``isotropic`` ties the noise of all features, as PPCA does.

    Parameters
    ----------
    totals : TableTotals
    isotropic : bool
    floor : ndarray of shape (d,)
        The least noise variance.
    log_scale : ndarray of shape (d,)
        Logarithms of the scales that the features were divided by.
    """

    def __init__(self, totals: TableTotals, *, isotropic: bool, floor: FloatArray, log_scale: FloatArray) -> None:
        self.isotropic, self.floor, self.log_scale = isotropic, floor, log_scale
        self.total_weight, self.feature_weight, self.squares = totals.weight, totals.features, totals.squares
        self.complete = totals.complete

    def expect(self, parameters: LinearGaussian, table: Table) -> GaussianStatistics:
        """E-step on one table: exact posteriors given the observed entries of each row, reduced to their statistics."""
        return GaussianStatistics.of(table, parameters, self.log_scale)

    def square(self, packed: FloatArray, k: int) -> FloatArray:
        """Symmetric matrices from their upper triangles."""
        upper = np.triu_indices(k + 1)
        full = np.empty((*packed.shape[:-1], k + 1, k + 1))
        full[..., upper[0], upper[1]] = packed
        full[..., upper[1], upper[0]] = packed
        return full

    def _regression(self, statistics: GaussianStatistics) -> FloatArray:
        """Coefficients of each feature's regression on u, (d, k + 1)."""
        k = statistics.cross.shape[1] - 1
        second = self.square(statistics.second, k)
        # If the posteriors have shrunk to points, this matrix is singular up to rounding errors.
        second[:, np.arange(k), np.arange(k)] *= 1.0 + 1e-15
        return np.asarray(np.linalg.solve(second, statistics.cross[:, :, np.newaxis])[:, :, 0])

    def _residual_variance(self, regression: FloatArray, statistics: GaussianStatistics) -> FloatArray:
        """Mean squared residuals of the best regression on the latent variables."""
        residual = self.squares - (regression * statistics.cross).sum(axis=1)
        if self.isotropic:
            return np.full(len(residual), residual.sum() / self.feature_weight.sum())
        return residual / self.feature_weight

    def _latent_moments(self, statistics: GaussianStatistics) -> tuple[FloatArray, FloatArray]:
        """Mean and covariance of the aggregate posterior, which are those of the expanded prior in place of W(4)."""
        k = statistics.cross.shape[1] - 1
        moments = self.square(statistics.latent, k) / self.total_weight
        mean = moments[:k, k]
        return mean, moments[:k, :k] - np.outer(mean, mean)

    def maximize(self, statistics: GaussianStatistics) -> LinearGaussian:
        """PX-EM (Liu, Rubin and Wu 1998): free the prior's mean and covariance, then absorb them into m and W."""
        k = statistics.cross.shape[1] - 1
        regression = self._regression(statistics)
        noise = self._residual_variance(regression, statistics)
        mean, covariance = self._latent_moments(statistics)
        loadings = regression[:, :k]
        return LinearGaussian.of(
            regression[:, k] + loadings @ mean, loadings @ np.linalg.cholesky(covariance), np.maximum(noise, self.floor)
        )

    def entropy_sum(self, parameters: LinearGaussian, statistics: GaussianStatistics) -> EntropySum:
        """Sum of entropies, W(24) and W(32), of posteriors and of the parameters that ``maximize`` makes of them.

        The expanded prior N(a, R) has been absorbed, so the posteriors are those of L^-1 (z - a), R = L L'. A noise variance
        at its floor is not stationary; the penalty is the term of the bound's multiplier.
        """
        k = parameters.shape[1]
        absorbed = 0.5 * float(np.linalg.slogdet(self._latent_moments(statistics)[1])[1])
        terms = self._terms(parameters, statistics.posterior_entropy / self.total_weight - absorbed, k)
        on_floor = parameters.noise <= self.floor
        if not on_floor.any():
            return terms
        share = self._residual_variance(self._regression(statistics), statistics) / parameters.noise
        penalty = 0.5 * float(self.feature_weight[on_floor] @ (1.0 - share[on_floor])) / self.total_weight
        return replace(terms, penalty=penalty)

    def fresh_entropy_sum(self, parameters: LinearGaussian, statistics: GaussianStatistics) -> EntropySum:
        """Sum of entropies of the parameters and their own posteriors."""
        return self._terms(parameters, statistics.posterior_entropy / self.total_weight, parameters.shape[1])

    def _terms(self, parameters: LinearGaussian, posterior: float, k: int) -> EntropySum:
        log_noise = np.log(parameters.noise) + LOG_2PI + 1.0 + 2.0 * self.log_scale
        return EntropySum(
            posterior=posterior,
            prior=0.5 * k * (1.0 + LOG_2PI),
            observable=0.5 * float(self.feature_weight @ log_noise) / self.total_weight,
        )

    def gradient(self, parameters: LinearGaussian, statistics: GaussianStatistics) -> tuple[FloatArray, FloatArray]:
        """Gradient of the total log-likelihood, by Fisher's identity: in (W, m), shape (d, k + 1), and in psi, (d,)."""
        k = parameters.shape[1]
        second = self.square(statistics.second, k)
        coefficients = np.column_stack([parameters.loadings, parameters.mean])
        fitted = np.matmul(second, coefficients[:, :, np.newaxis])[:, :, 0]
        in_loadings = (statistics.cross - fitted) / parameters.noise[:, np.newaxis]
        residual = self.squares - (coefficients * (2.0 * statistics.cross - fitted)).sum(axis=1)
        in_noise = 0.5 * (residual / parameters.noise - self.feature_weight) / parameters.noise
        return in_loadings, in_noise

    def elbo(self, statistics: GaussianStatistics) -> float:
        """Mean log-likelihood: exact posteriors leave no gap."""
        return statistics.log_likelihood / self.total_weight

    def elbo_of_step(self, parameters: LinearGaussian, statistics: GaussianStatistics) -> float:
        """Mean ELBO, which is the entropy sum including the floors' multipliers."""
        return self.entropy_sum(parameters, statistics).value

    def magnitude(self, parameters: LinearGaussian, statistics: GaussianStatistics) -> float:
        log_noise = np.abs(np.log(parameters.noise)) + LOG_2PI + 1.0 + 2.0 * np.abs(self.log_scale)
        terms = self.entropy_sum(parameters, statistics)
        return abs(terms.posterior) + terms.prior + 0.5 * float(self.feature_weight @ log_noise) / self.total_weight

    def log_prior(self, parameters: LinearGaussian, statistics: GaussianStatistics) -> float:
        return 0.0

    def pack(self, parameters: LinearGaussian) -> FloatArray:
        noise = parameters.noise[:1] if self.isotropic else parameters.noise
        return np.concatenate([parameters.mean, parameters.loadings.ravel(), np.log(noise)])

    def unpack(self, vector: FloatArray, like: LinearGaussian) -> LinearGaussian | None:
        d, k = like.shape
        mean, loadings, log_noise = np.split(vector, [d, d + d * k])
        if not np.isfinite(vector).all() or log_noise.max() > 50.0:
            return None
        noise = np.maximum(np.broadcast_to(np.exp(log_noise), d), self.floor)
        return LinearGaussian.of(mean, loadings.reshape(d, k), noise)


@dataclass(frozen=True)
class StandardisedData:
    """Data centred at a location and divided by a scale, as tables of one or more parts, and the model for them."""

    model: GaussianModel
    tables: Prepared
    location: FloatArray
    scale: FloatArray

    @classmethod
    def of(
        cls, tables: Prepared, location: FloatArray, scale: FloatArray, *, isotropic: bool, floor: FloatArray
    ) -> StandardisedData:
        totals = tables.sum(TableTotals.of)
        model = GaussianModel(totals, isotropic=isotropic, floor=floor, log_scale=np.log(scale))
        return cls(model, tables, location, scale)

    def constant(self) -> Array:
        """Which features do not vary. With scales of their own all others have variances of one, but for rounding."""
        return np.rint(self.model.squares / self.model.feature_weight) == 0

    def expect(self, parameters: LinearGaussian) -> GaussianStatistics:
        """E-step on all data."""
        return self.tables.sum(partial(self.model.expect, parameters))
