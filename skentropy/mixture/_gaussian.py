"""Gaussian components of any covariance; missing entries are latent variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from .._data import Block, ColumnSurvey, Rounding, has_nan
from .._linalg import LOG_2PI, factorise, log_det_of_factors, pack_symmetric, unpack_symmetric
from .._typing import Array, FloatArray
from ..families import Gaussian
from ._components import Components, Limits, SeedRows
from ._gaps import Conditional, Filling, Gaps, Pattern, fillings
from ._gaussian_metric import GaussianMetric, NoLimits
from ._independent import Independent
from ._observations import Units
from ._report import degenerate_covariances

# Eigenvalues of a component's correlations are held above this, its standard deviations there above this share of all
# rows'. A component that has come to its bound leaves it where the eigenvalues are so many times as large.
_SMALLEST_SHARE = 1e-12
_SMALLEST_SCALE = 1e-8
_LEAVES_BOUND = 1e2
# Features whose part of a unit vector is larger make out its direction.
_IN_DIRECTION = 0.1
# A component with less than this share of the weight has no statistics worth dividing.
_EMPTY = 1e-100
# What is kept of a block's rows, so many numbers at most, is not computed twice.
_KEPT_ENTRIES = 2**22
# No extrapolation or step of a logarithm of a variance is longer.
_LONGEST_LOG = 100.0
# A component whose smallest variance is this share of the pooled one, and of that some steps ago, collapses.
_COLLAPSED = 1e-3
_COLLAPSING = 0.5


@dataclass(frozen=True)
class GaussianParameters:
    """Means (K, d), and lower Cholesky factors R of G covariances (G, d, d), each of K / G components; in units.

    ``bounds`` (G, d) are zero, but for covariances that are held at a bound: the scales in which it is.
    """

    means: FloatArray
    factors: FloatArray
    bounds: FloatArray

    @classmethod
    def of(cls, means: FloatArray, covariances: FloatArray, bounds: FloatArray) -> Self:
        """Of covariances (G, d, d), which are kept regular, at the bounds where those are not zero."""
        deviations = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), _SMALLEST_SCALE**2))
        correlations = covariances / deviations[:, :, np.newaxis] / deviations[:, np.newaxis]
        was_held = bounds[:, 0] > 0.0
        least = np.linalg.eigvalsh(correlations)[:, 0]
        held = least < _SMALLEST_SHARE * np.where(was_held, _LEAVES_BOUND, 1.0)
        # The M-step at a bound climbs as long as the bound stays where it is.
        scales = np.where((held & was_held)[:, np.newaxis], bounds, deviations)
        return cls(means, factorise(covariances, scales, _SMALLEST_SHARE), np.where(held[:, np.newaxis], scales, 0.0))

    @cached_property
    def held(self) -> Array:
        """Which covariances are held at a bound, (G,)."""
        return np.asarray(self.bounds[:, 0] > 0.0)

    @cached_property
    def group(self) -> Array:
        """Index of each component's covariance."""
        return np.arange(len(self.means)) * len(self.factors) // len(self.means)

    @cached_property
    def inverses(self) -> FloatArray:
        """R^-1, (G, d, d)."""
        return np.linalg.inv(self.factors)

    @cached_property
    def precisions(self) -> FloatArray:
        """Inverse covariances, (G, d, d)."""
        return np.matmul(self.inverses.transpose(0, 2, 1), self.inverses)

    @cached_property
    def covariances(self) -> FloatArray:
        """(G, d, d)."""
        return np.matmul(self.factors, self.factors.transpose(0, 2, 1))

    @cached_property
    def _conditionals(self) -> dict[bytes, Conditional]:
        return {}

    def conditional(self, missing: Array) -> Conditional:
        """How rows of a pattern are completed; computed once."""
        key = missing.tobytes()
        if key not in self._conditionals:
            self._conditionals[key] = Conditional.of(self.inverses, self.precisions, missing)
        return self._conditionals[key]

    @cached_property
    def log_dets(self) -> FloatArray:
        """Log determinants of the components' covariances, (K,)."""
        return log_det_of_factors(self.factors)[self.group]


@dataclass(frozen=True)
class GaussianSums:
    """Sums over completed rows, with responsibilities r = w q, in the frames y = R^-1 (x - mu) of the E-step's parameters.

    About their own frames mean y is about 0 and mean yy' about 1, so that no digits cancel (theory of the M-step: the new
    factor is R times that of the frame's covariance).

    Attributes
    ----------
    frame : GaussianParameters
    counts : sum of r, (K,)
    first : sum of r E[y], (K, d)
    second : sum of r E[y y'], (K, d, d)
    missing_entropy : sum of r times the entropy of what is missing given what is observed
    log_volume : sum of r times the logarithm of the volume that the units give to what is observed
    """

    frame: GaussianParameters
    counts: FloatArray
    first: FloatArray
    second: FloatArray
    missing_entropy: float
    log_volume: float

    def __add__(self, other: GaussianSums) -> GaussianSums:
        return GaussianSums(
            self.frame,
            self.counts + other.counts,
            self.first + other.first,
            self.second + other.second,
            self.missing_entropy + other.missing_entropy,
            self.log_volume + other.log_volume,
        )

    def plus(self, counts: FloatArray, mean: FloatArray, covariance: FloatArray) -> GaussianSums:
        """With so many rows of a distribution added to each component."""
        U = self.frame.inverses[self.frame.group]
        centre = (U @ (mean - self.frame.means)[:, :, np.newaxis])[:, :, 0]
        second = U @ covariance @ U.transpose(0, 2, 1) + centre[:, :, np.newaxis] * centre[:, np.newaxis]
        n = counts[:, np.newaxis]
        return replace(
            self,
            counts=self.counts + counts,
            first=self.first + n * centre,
            second=self.second + n[:, :, np.newaxis] * second,
        )

    def distances(self, parameters: GaussianParameters) -> FloatArray:
        """Sum of r times the squared Mahalanobis distances from other parameters, (K,)."""
        frame = self.frame
        A = parameters.inverses[parameters.group] @ frame.factors[frame.group]
        b = parameters.inverses[parameters.group] @ (frame.means - parameters.means)[:, :, np.newaxis]
        spread = np.einsum("kij,kjl,kil->k", A, self.second, A, optimize=True)
        cross = np.einsum("kij,kj,ki->k", A, self.first, b[:, :, 0], optimize=True)
        return np.asarray(spread + 2.0 * cross + self.counts * (b[:, :, 0] ** 2).sum(axis=1))


@dataclass(frozen=True)
class PooledSums:
    """Weights and products of all pairs of entries that rows show together, and of single ones; in units."""

    pairs: FloatArray
    sums: FloatArray
    products: FloatArray

    def __add__(self, other: PooledSums) -> PooledSums:
        return PooledSums(self.pairs + other.pairs, self.sums + other.sums, self.products + other.products)


@dataclass(frozen=True)
class GaussianRows:
    """Rows in units, features first (d, n); those with gaps in the order of ``gaps``, with zeros in them.

    ``log_volume`` (n,) is that of what is observed.
    """

    X: FloatArray
    log_volume: FloatArray
    gaps: Gaps | None

    def unsorted(self, values: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """Values (..., n) of the rows in the order in which they came."""
        if self.gaps is None:
            return values
        out = np.empty_like(values) if out is None else out
        out[..., self.gaps.order] = values
        return out


class GaussianEvidence:
    """Log joint densities (K, n) of a block, and its statistics."""

    def __init__(
        self, parameters: GaussianParameters, rows: GaussianRows, offsets: FloatArray, out: FloatArray | None
    ) -> None:
        d, n = rows.X.shape
        K = len(parameters.means)
        self._completed = CompletedRows(parameters, rows)
        self._kept: list[FloatArray] = []
        keep = K * d * n <= _KEPT_ENTRIES
        log_joint = np.empty((K, n)) if out is None or rows.gaps is not None else out
        n_observed = d if rows.gaps is None else d - rows.gaps.n_missing
        constant = n_observed * LOG_2PI + 2.0 * rows.log_volume
        for c in range(K):
            y = self._completed.in_frame(c)
            if keep:
                self._kept.append(y)
            # -2 log N(x_o; mu_o, Sigma_oo): the best x_m leave the distance, and det Sigma_oo = det Sigma det Lambda_mm
            values = np.einsum("ij,ij->j", y, y, out=log_joint[c])
            values += constant
            values += parameters.log_dets[c]
            self._completed.add_log_dets(c, values)
            values *= -0.5
            values += offsets[c]
        self.log_joint = rows.unsorted(log_joint, out)

    def accumulate(self, weights: FloatArray) -> GaussianSums:
        completed, rows, parameters = self._completed, self._completed.rows, self._completed.parameters
        if rows.gaps is not None:
            weights = weights[:, rows.gaps.order]
        K, d = parameters.means.shape
        first, second = np.empty((K, d)), np.empty((K, d, d))
        missing_entropy = 0.0
        for c, w in enumerate(weights):
            y = self._kept[c] if self._kept else completed.in_frame(c)
            first[c] = y @ w
            weighted = y * np.sqrt(w)
            second[c] = weighted @ weighted.T
            if rows.gaps is not None:
                second[c] += completed.spread(c, w)
                missing_entropy += completed.missing_entropy(c, w)
        return GaussianSums(
            frame=parameters,
            counts=weights.sum(axis=1),
            first=first,
            second=second,
            missing_entropy=missing_entropy,
            log_volume=float(weights.sum(axis=0) @ rows.log_volume),
        )


class CompletedRows:
    """Rows with what the components expect in their gaps."""

    def __init__(self, parameters: GaussianParameters, rows: GaussianRows) -> None:
        self.parameters, self.rows = parameters, rows
        self._fillings: list[Filling] = []
        self._patterns: list[tuple[Pattern, Conditional]] = []
        if rows.gaps is not None:
            p = parameters
            self._fillings = list(fillings(rows.X, p.means, p.precisions, p.group, rows.gaps))
            self._patterns = [(pattern, p.conditional(pattern.missing)) for pattern in rows.gaps.patterns]

    def deviations(self, component: int) -> FloatArray:
        """Completed x - mu, but for the gaps of patterns, (d, n)."""
        deviation = self.rows.X - self.parameters.means[component][:, np.newaxis]
        for filling in self._fillings:
            filling.put(deviation, component)
        return deviation

    def in_frame(self, component: int) -> FloatArray:
        """y = R^-1 (x - mu), (d, n)."""
        group = self.parameters.group[component]
        deviation = self.deviations(component)
        if not self._patterns:
            return self.parameters.inverses[group] @ deviation
        y = np.empty_like(deviation)
        before = slice(0, self._patterns[0][0].rows.start)
        y[:, before] = self.parameters.inverses[group] @ deviation[:, before]
        for pattern, conditional in self._patterns:
            y[:, pattern.rows] = conditional.transform[group] @ deviation[:, pattern.rows]
        return y

    def completed(self, component: int) -> FloatArray:
        """Rows in units, (d, n)."""
        deviation, group = self.deviations(component), self.parameters.group[component]
        for pattern, conditional in self._patterns:
            of_rows = deviation[:, pattern.rows]
            of_rows[pattern.missing] = conditional.completion[group] @ of_rows
        return deviation + self.parameters.means[component][:, np.newaxis]

    def add_log_dets(self, component: int, values: FloatArray) -> None:
        """Add each row's log det of the precision of what is missing."""
        group = self.parameters.group[component]
        for filling in self._fillings:
            values[filling.group.rows] += filling.log_det_precisions[group]
        for pattern, conditional in self._patterns:
            values[pattern.rows] += conditional.log_det_precisions[group]

    def spread(self, component: int, weights: FloatArray) -> FloatArray:
        """Weighted sum of the covariances that missing entries leave in the frame, (d, d)."""
        d, group = len(self.rows.X), self.parameters.group[component]
        total = np.zeros((d, d))
        if self._fillings:
            U = self.parameters.inverses[group]
            total += U @ sum(filling.spread(group, weights, d) for filling in self._fillings) @ U.T
        for pattern, conditional in self._patterns:
            roots = conditional.roots[group]
            total += weights[pattern.rows].sum() * (roots @ roots.T)
        return total

    def missing_entropy(self, component: int, weights: FloatArray) -> float:
        """Weighted sum of the entropies of what is missing given what is observed."""
        assert self.rows.gaps is not None
        twice = self.rows.gaps.n_missing * (LOG_2PI + 1.0)
        negative = np.zeros(len(twice))
        self.add_log_dets(component, negative)
        return 0.5 * float(weights @ (twice - negative))

    def roots(self, component: int) -> Iterator[tuple[slice, FloatArray]]:
        """Rows with gaps, and roots of the covariances that their gaps leave in the frame, (n_rows, d, q)."""
        d, group = len(self.rows.X), self.parameters.group[component]
        for filling in self._fillings:
            yield filling.group.rows, self.parameters.inverses[group] @ filling.roots(group, d)
        for pattern, conditional in self._patterns:
            n_rows = pattern.rows.stop - pattern.rows.start
            yield pattern.rows, np.broadcast_to(conditional.roots[group], (n_rows, *conditional.roots.shape[1:]))


def _singular_columns(parameters: GaussianParameters) -> Array:
    """Which features (G, d) make out the directions in which covariances are held at their bounds."""
    scales = np.where(parameters.held[:, np.newaxis], parameters.bounds, 1.0)
    values, vectors = np.linalg.eigh(parameters.covariances / scales[:, :, np.newaxis] / scales[:, np.newaxis])
    at_bound = (values <= _LEAVES_BOUND * _SMALLEST_SHARE)[:, np.newaxis] & parameters.held[:, np.newaxis, np.newaxis]
    return np.asarray(((np.abs(vectors) > _IN_DIRECTION) & at_bound).any(axis=2))


def _score_loadings(y: FloatArray, roots: FloatArray) -> Iterator[FloatArray]:
    """Loadings (n, P) of the scores of y + B e on uncorrelated variables of e ~ N(0, 1); y is (n, d), B (n, d, q)."""

    def symmetric(a: FloatArray, b: FloatArray) -> FloatArray:
        outer = a[:, :, np.newaxis] * b[:, np.newaxis]
        return pack_symmetric(outer + outer.transpose(0, 2, 1)) / np.sqrt(2.0)

    columns = [roots[:, :, k] for k in range(roots.shape[2])]
    for i, b in enumerate(columns):
        yield np.concatenate([b, symmetric(y, b)], axis=1)  # e_i
        for j, other in enumerate(columns[: i + 1]):
            of_products = symmetric(b, other)  # e_i e_j, and (e_i^2 - 1) / sqrt(2)
            yield np.concatenate([np.zeros_like(b), of_products / np.sqrt(2.0) if i == j else of_products], axis=1)


@dataclass(frozen=True)
class CorrelatedGaussian(Components):
    r"""Gaussians :math:`N(x; \mu_c, \Sigma_c)` with full covariances, each its own or all the same.

    Parameters
    ----------
    tied : bool
        Whether all components share one covariance.
    reg_covar : float
        Added to the variances in each M-step, in the data's units.
    units : Units
    prior_counts : float
        Number of pseudo-observations of a conjugate prior on every component.
    pooled_mean, pooled_covariance : ndarray of shape (d,), (d, d)
        Of all rows, in units; those of the pseudo-observations.
    n_runs : int
        Number of mixtures side by side.
    """

    tied: bool = False
    reg_covar: float = 0.0
    units: Units = field(default_factory=lambda: Units(np.zeros(1), np.ones(1)))
    prior_counts: float = 0.0
    pooled_mean: FloatArray = field(default_factory=lambda: np.zeros(1))
    pooled_covariance: FloatArray = field(default_factory=lambda: np.ones((1, 1)))
    n_runs: int = 1

    attribute_names = ("means", "covariances")
    label = "Gaussian components"
    support = Gaussian.support
    lower_limit = -np.inf
    discrete = False
    allows_sparse = False
    allows_exposure = False
    standard_limits = Gaussian.parameter_limits

    @property
    def _diagonal(self) -> Independent:
        """Gaussians of uncorrelated features for the same data."""
        pooled = np.stack([self.pooled_mean, self.pooled_mean**2 + np.diag(self.pooled_covariance)])
        return Independent(Gaussian(), units=self.units, pooled=pooled)

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        units = self._diagonal.prepare(estimator, columns, is_sparse=is_sparse, prior_counts=prior_counts).units
        assert units is not None
        return replace(self, units=units, prior_counts=prior_counts)

    def count_outside(self, block: Block) -> Array:
        return self._diagonal.count_outside(block)

    def summarize(self, observations: GaussianRows, weight: FloatArray) -> PooledSums:
        X = observations.X
        seen: FloatArray = np.ones(X.shape)
        if observations.gaps is not None:
            weight, seen = weight[observations.gaps.order], observations.gaps.observed
        return PooledSums((seen * weight) @ seen.T, X @ weight, (X * weight) @ X.T)

    def with_pooled(self, summary: PooledSums) -> Self:
        """Covariances of pairs of columns from the rows that show both, without negative eigenvalues."""
        weight = np.diag(summary.pairs)
        mean = summary.sums / weight
        together = summary.pairs > 0.0
        products = np.divide(summary.products, summary.pairs, out=np.zeros_like(summary.pairs), where=together)
        covariance = np.where(together, products - np.outer(mean, mean), 0.0)
        if (summary.pairs != weight[0]).any():
            values, vectors = np.linalg.eigh(covariance)
            covariance = (vectors * np.maximum(values, 0.0)) @ vectors.T
        return replace(self, pooled_mean=mean, pooled_covariance=covariance)

    def with_prior(self, prior_counts: float) -> Self:
        return replace(self, prior_counts=prior_counts)

    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        return self._diagonal.rounding(columns)

    def seed_rows(self, block: Block, observations: GaussianRows) -> SeedRows:
        """In the divergence of uncorrelated features, whose missing entries count for nothing."""
        return self._diagonal.seed_rows(block, self._diagonal.read(block))

    def row_cost(self, n_features: int) -> int:
        return 2 * n_features**2

    def row_bytes(self, n_features: int, n_components: int) -> int:
        return 8 * n_features * (n_components + 2)

    # EM.

    def read(self, block: Block) -> GaussianRows:
        X = self.units.apply(block.X).T
        log_scale = np.log(self.units.scale)
        if not has_nan(block.X):
            return GaussianRows(np.ascontiguousarray(X), np.full(block.n_rows, log_scale.sum()), None)
        missing = np.isnan(X)
        gaps = Gaps.of(missing.T)
        X = np.where(missing, 0.0, X)[:, gaps.order]
        return GaussianRows(X, (log_scale @ ~missing)[gaps.order], gaps)

    def observe(
        self, parameters: GaussianParameters, observations: GaussianRows, offsets: FloatArray, out: FloatArray | None = None
    ) -> GaussianEvidence:
        return GaussianEvidence(parameters, observations, offsets, out)

    def pooled_parameters(self, n_components: int) -> GaussianParameters:
        n_groups = self._n_groups(n_components)
        means = np.tile(self.pooled_mean, (n_components, 1))
        covariances = np.tile(self.pooled_covariance, (n_groups, 1, 1))
        return GaussianParameters.of(means, covariances, np.zeros((n_groups, means.shape[1])))

    def expected_rows(
        self, parameters: GaussianParameters, observations: GaussianRows, responsibilities: FloatArray
    ) -> FloatArray:
        completed = CompletedRows(parameters, observations)
        expected = np.zeros(observations.X.shape)
        for c, q in enumerate(responsibilities):
            expected += q * observations.unsorted(completed.completed(c))
        return expected.T * self.units.scale + self.units.location

    def _n_groups(self, n_components: int) -> int:
        return self.n_runs if self.tied else n_components

    def _smoothed(self, statistics: GaussianSums) -> GaussianSums:
        """With the prior's pseudo-observations, and those of all rows where a component has seen nothing."""
        total = statistics.counts.sum()
        empty = statistics.counts <= _EMPTY * total
        added = np.where(empty, _EMPTY * total, 0.0) + self.prior_counts
        if not added.any():
            return statistics
        return statistics.plus(added, self.pooled_mean, self.pooled_covariance)

    def maximize(self, statistics: GaussianSums) -> GaussianParameters:
        r"""M-step in the frames of the E-step: :math:`\mu + R \bar y` and :math:`R S R^\top`, S the covariance of y."""
        statistics = self._smoothed(statistics)
        frame, counts = statistics.frame, statistics.counts
        mean = statistics.first / counts[:, np.newaxis]
        means = frame.means + np.einsum("kij,kj->ki", frame.factors[frame.group], mean)
        scatter = statistics.second - counts[:, np.newaxis, np.newaxis] * mean[:, :, np.newaxis] * mean[:, np.newaxis]
        G, d = len(frame.factors), means.shape[1]
        S = scatter.reshape(G, -1, d, d).sum(axis=1) / counts.reshape(G, -1).sum(axis=1)[:, np.newaxis, np.newaxis]
        if self.reg_covar:
            U = frame.inverses
            S = S + U * (self.reg_covar / self.units.scale**2) @ U.transpose(0, 2, 1)
        return self._moved(frame, means, S)

    @staticmethod
    def _moved(before: GaussianParameters, means: FloatArray, S: FloatArray) -> GaussianParameters:
        """Parameters with other means, and covariances R S R' in the frames of those before."""
        R = before.factors
        try:
            factors = R @ np.linalg.cholesky(S)
        except np.linalg.LinAlgError:
            factors = None
        if factors is not None and not before.held.any():
            # Squares of the diagonal are the variances given the features before.
            variances = (factors**2).sum(axis=2)
            shares = np.diagonal(factors, axis1=1, axis2=2) ** 2 / variances
            if variances.min() > _SMALLEST_SCALE**2 and shares.min() > _LEAVES_BOUND * _SMALLEST_SHARE:
                return GaussianParameters(means, factors, before.bounds)
        return GaussianParameters.of(means, R @ S @ R.transpose(0, 2, 1), before.bounds)

    def log_base_measure(self, block: Block) -> FloatArray:
        return np.zeros(block.n_rows)

    def entropy(self, parameters: GaussianParameters, statistics: GaussianSums) -> float:
        """Entropies of complete rows, less those of the missing entries given the observed ones."""
        d = parameters.means.shape[1]
        complete = 0.5 * float(statistics.counts @ (d * (LOG_2PI + 1.0) + parameters.log_dets))
        return complete - statistics.missing_entropy + statistics.log_volume

    def log_density(self, parameters: GaussianParameters, statistics: GaussianSums) -> float:
        complete = statistics.distances(parameters).sum() + self._log_normalisers(parameters) @ statistics.counts
        return -0.5 * float(complete) + statistics.missing_entropy - statistics.log_volume

    @staticmethod
    def _log_normalisers(parameters: GaussianParameters) -> FloatArray:
        return parameters.means.shape[1] * LOG_2PI + parameters.log_dets

    def magnitude(self, parameters: GaussianParameters, statistics: GaussianSums) -> float:
        complete = statistics.distances(parameters).sum() + np.abs(self._log_normalisers(parameters)) @ statistics.counts
        return 0.5 * float(complete) + abs(statistics.missing_entropy) + abs(statistics.log_volume)

    def _pooled_distances(self, parameters: GaussianParameters) -> FloatArray:
        """Expected squared Mahalanobis distances of the pooled distribution, (K,)."""
        precisions = parameters.precisions[parameters.group]
        step = self.pooled_mean - parameters.means
        distances = (precisions * self.pooled_covariance).sum(axis=(1, 2))
        return np.asarray(distances + np.einsum("ki,kij,kj->k", step, precisions, step))

    def _traces(self, parameters: GaussianParameters) -> FloatArray:
        """Traces of the precisions in the data's units, (K,)."""
        inverse_scale = 1.0 / self.units.scale**2
        return np.asarray(np.diagonal(parameters.precisions, axis1=1, axis2=2) @ inverse_scale)[parameters.group]

    def log_prior(self, parameters: GaussianParameters, statistics: GaussianSums | None) -> FloatArray:
        log_prior = np.zeros(len(parameters.means))
        if self.prior_counts:
            distances = self._pooled_distances(parameters) + self._log_normalisers(parameters)
            log_prior -= 0.5 * self.prior_counts * distances
        if self.reg_covar and statistics is not None:
            counts = statistics.counts + self.prior_counts
            log_prior -= 0.5 * self.reg_covar * counts * self._traces(parameters)
        return log_prior

    def penalty(self, parameters: GaussianParameters, statistics: GaussianSums) -> float:
        penalty = 0.0
        if self.prior_counts:
            d = parameters.means.shape[1]
            penalty += 0.5 * self.prior_counts * float((self._pooled_distances(parameters) - d).sum())
        if self.reg_covar:
            counts = statistics.counts + self.prior_counts
            penalty += 0.5 * self.reg_covar * float(counts @ self._traces(parameters))
        return penalty

    @property
    def climbs(self) -> bool:
        return not self.reg_covar

    def pack(self, parameters: GaussianParameters) -> FloatArray:
        """Means, and logarithms of the covariance matrices."""
        values, vectors = np.linalg.eigh(parameters.covariances)
        logs = np.log(np.maximum(values, np.finfo(float).tiny))
        logarithms = (vectors * logs[:, np.newaxis]) @ vectors.transpose(0, 2, 1)
        return np.concatenate([parameters.means.ravel(), pack_symmetric(logarithms).ravel()])

    def unpack(self, vector: FloatArray, like: GaussianParameters) -> GaussianParameters | None:
        if not np.isfinite(vector).all():
            return None
        G, d, _ = like.factors.shape
        means, packed = np.split(vector, [like.means.size])
        logs, vectors = np.linalg.eigh(unpack_symmetric(packed.reshape(G, -1), d))
        if np.abs(logs).max() > _LONGEST_LOG:
            return None
        covariances = (vectors * np.exp(logs)[:, np.newaxis]) @ vectors.transpose(0, 2, 1)
        return GaussianParameters.of(means.reshape(-1, d), covariances, like.bounds)

    # Where a fit ends.

    def limits(self, parameters: GaussianParameters) -> Limits:
        return NoLimits()

    def n_directions(self, parameters: GaussianParameters) -> int:
        d = parameters.means.shape[1]
        return d + d * (d + 1) // 2

    def score(self, parameters: GaussianParameters, statistics: GaussianSums) -> FloatArray:
        """Along steps of the means and the covariances, both in the components' frames."""
        if self.prior_counts:
            added = np.full(len(parameters.means), self.prior_counts)
            statistics = statistics.plus(added, self.pooled_mean, self.pooled_covariance)
        d = parameters.means.shape[1]
        of_covariance = (statistics.second - statistics.counts[:, np.newaxis, np.newaxis] * np.eye(d)) / np.sqrt(2.0)
        return np.concatenate([statistics.first, pack_symmetric(of_covariance)], axis=1)

    def row_scores(self, parameters: GaussianParameters, observations: GaussianRows) -> Iterator[FloatArray]:
        """E[y] and (E[y y'] - 1) / sqrt(2), component by component."""
        completed = CompletedRows(parameters, observations)
        for c in range(len(parameters.means)):
            y = np.ascontiguousarray(completed.in_frame(c).T)
            second = y[:, :, np.newaxis] * y[:, np.newaxis] - np.eye(y.shape[1])
            for rows, roots in completed.roots(c):
                second[rows] += roots @ roots.transpose(0, 2, 1)
            scores = np.concatenate([y, pack_symmetric(second) / np.sqrt(2.0)], axis=1)
            yield observations.unsorted(scores.T).T

    def latent_information(
        self, parameters: GaussianParameters, observations: GaussianRows, weights: FloatArray
    ) -> FloatArray | None:
        if observations.gaps is None:
            return None
        weights = weights[:, observations.gaps.order]
        completed = CompletedRows(parameters, observations)
        P = self.n_directions(parameters)
        total = np.zeros((len(weights), P, P))
        for c, w in enumerate(weights):
            y = completed.in_frame(c).T
            for rows, roots in completed.roots(c):
                root_weights = np.sqrt(w[rows])[:, np.newaxis]
                for loading in _score_loadings(y[rows], roots):
                    loading *= root_weights
                    total[c] += loading.T @ loading
        return total

    def metric(self, parameters: GaussianParameters, statistics: GaussianSums, counts: FloatArray) -> GaussianMetric:
        return GaussianMetric.at(
            parameters.means.shape[1], statistics.counts + self.prior_counts, parameters.held, self.tied
        )

    def moved(self, parameters: GaussianParameters, direction: FloatArray) -> GaussianParameters | None:
        K, d = parameters.means.shape
        of_means, of_covariances = direction[:, :d], np.sqrt(2.0) * direction[:, d:]
        means = parameters.means + np.einsum("kij,kj->ki", parameters.factors[parameters.group], of_means)
        # A shared covariance moves as all components say together.
        G = len(parameters.factors)
        changes = unpack_symmetric(of_covariances.reshape(G, K // G, -1).mean(axis=1), d)
        logs, vectors = np.linalg.eigh(changes)
        if not np.abs(logs).max() <= _LONGEST_LOG:
            return None
        S = (vectors * np.exp(logs)[:, np.newaxis]) @ vectors.transpose(0, 2, 1)
        return self._moved(parameters, means, S)

    # Several runs at once.

    def for_runs(self, n_runs: int) -> Self:
        return replace(self, n_runs=n_runs)

    def select(self, parameters: GaussianParameters, components: Array, n_runs: int) -> GaussianParameters:
        groups = parameters.group[components]
        if self.tied:
            groups = groups[:: len(components) // n_runs]
        return GaussianParameters(parameters.means[components], parameters.factors[groups], parameters.bounds[groups])

    def with_average_rows(self, statistics: GaussianSums, share: float, n_runs: int) -> GaussianSums:
        by_run = statistics.counts.reshape(n_runs, -1)
        added = share * by_run.mean(axis=1).repeat(by_run.shape[1])
        return statistics.plus(added, self.pooled_mean, self.pooled_covariance)

    def collapsed(self, before: GaussianParameters, parameters: GaussianParameters) -> Array:
        smallest, earlier = (np.linalg.eigvalsh(p.covariances)[:, 0] for p in (parameters, before))
        pooled = float(np.linalg.eigvalsh(self.pooled_covariance)[0])
        narrow = (smallest < _COLLAPSED * pooled) & (smallest < _COLLAPSING * earlier)
        collapsed = (narrow | parameters.held) & (pooled > _SMALLEST_SHARE)
        return np.asarray(collapsed[parameters.group])

    # What users see.

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        means = [("n_components", n_components), ("n_features", n_features)]
        square = [("n_features", n_features)] * 2
        return means, square if self.tied else [("n_components", n_components), *square]

    def standard(self, parameters: GaussianParameters) -> tuple[FloatArray, ...]:
        scale = self.units.scale
        covariances = parameters.covariances * scale * scale[:, np.newaxis]
        return self.units.location + scale * parameters.means, covariances[0] if self.tied else covariances

    def standard_changes(self, parameters: GaussianParameters, directions: FloatArray) -> tuple[FloatArray, ...]:
        r"""Of the means :math:`R d`, of the covariances :math:`R S R^\top`, S the part of the direction that is theirs."""
        M, K, _ = directions.shape
        R, scale = parameters.factors, self.units.scale
        G, d, _ = R.shape
        of_means = np.einsum("kij,mkj->mki", R[parameters.group], directions[..., :d])
        S = np.sqrt(2.0) * unpack_symmetric(directions[..., d:].reshape(M, G, K // G, -1).mean(axis=2), d)
        of_covariances = (R @ S @ R.transpose(0, 2, 1)) * scale * scale[:, np.newaxis]
        return scale * of_means, of_covariances[:, 0] if self.tied else of_covariances

    def natural(self, standard: tuple[FloatArray, ...]) -> GaussianParameters:
        means, covariances = standard
        scale = self.units.scale
        matrices = np.atleast_3d(covariances) if covariances.ndim == 3 else covariances[np.newaxis]
        covariances = matrices / scale / scale[:, np.newaxis]
        return GaussianParameters.of(
            (means - self.units.location) / scale, covariances, np.zeros((len(matrices), len(scale)))
        )

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        means, covariances = standard
        if not np.isfinite(means).all():
            raise ValueError(f"means{suffix} must be finite.")
        matrices = covariances.reshape(-1, *covariances.shape[-2:])
        for c, matrix in enumerate(matrices):
            of = "" if self.tied else f" of component {c}"
            symmetric = np.isfinite(matrix).all() and np.allclose(matrix, matrix.T, rtol=1e-6, atol=0.0)
            if not symmetric or np.linalg.eigvalsh(matrix)[0] <= 0.0:
                raise ValueError(f"covariances{suffix}{of} must be symmetric and positive definite.")

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        means, covariances = standard
        variances = np.broadcast_to(np.diagonal(covariances, axis1=-2, axis2=-1), means.shape)
        units = Units.of_mixture(Gaussian(), weights, (means, variances))
        assert units is not None
        return replace(self, units=units)

    def n_parameters(self, n_components: int) -> int:
        d = len(self.units.scale)
        return n_components * d + (1 if self.tied else n_components) * d * (d + 1) // 2

    def divergence(self, parameters: GaussianParameters, component: int) -> FloatArray:
        d = parameters.means.shape[1]
        U = parameters.inverses[parameters.group]
        spread = ((U @ parameters.factors[parameters.group[component]]) ** 2).sum(axis=(1, 2))
        step = np.einsum("kij,kj->ki", U, parameters.means - parameters.means[component])
        log_ratio = parameters.log_dets - parameters.log_dets[component]
        return np.asarray(0.5 * (spread + (step**2).sum(axis=1) - d + log_ratio))

    def column_divergences(self, parameters: GaussianParameters, component: int) -> FloatArray:
        means, variances = self.moments(parameters)
        ratio = variances[component] / variances
        step = (means - means[component]) ** 2 / variances
        return np.asarray(0.5 * (ratio - np.log(ratio) - 1.0 + step))

    def moments(self, parameters: GaussianParameters) -> tuple[FloatArray, FloatArray]:
        variances = np.diagonal(parameters.covariances, axis1=1, axis2=2)[parameters.group]
        return self.units.location + self.units.scale * parameters.means, self.units.scale**2 * variances

    def failures(self, estimator: Any, parameters: GaussianParameters) -> Iterator[str]:
        return degenerate_covariances(estimator, _singular_columns(parameters), np.diag(self.pooled_covariance) == 0.0)

    def sample(self, standard: tuple[FloatArray, ...], labels: Array, random_state: np.random.RandomState) -> FloatArray:
        means, covariances = standard
        matrices = covariances.reshape(-1, *covariances.shape[-2:])
        scale = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2).max(axis=0))
        factors = factorise(matrices, np.tile(scale, (len(matrices), 1)))
        noise = random_state.normal(size=(len(labels), means.shape[1], 1))
        own = factors[labels] if len(factors) > 1 else factors
        return np.asarray(means[labels] + (own @ noise)[:, :, 0])
