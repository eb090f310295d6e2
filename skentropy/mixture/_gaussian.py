"""Gaussian components of any covariance; missing entries are latent variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from .._data import Block, ColumnSurvey, Rounding, has_nan
from .._linalg import LOG_2PI, factorise, pack_symmetric, unpack_symmetric
from .._typing import Array, FloatArray
from ..families import Gaussian
from ._components import Components, Limits, SeedRows
from ._gaps import Gaps
from ._gaussian_metric import GaussianMetric, NoLimits
from ._gaussian_parameters import SMALLEST_SHARE, GaussianParameters, GaussianSums, singular_columns
from ._gaussian_rows import CompletedRows, GaussianEvidence, GaussianRows, PooledSums, score_loadings
from ._independent import Independent
from ._observations import Units
from ._report import degenerate_covariances

# A component with less than this share of the weight has no statistics worth dividing.
_EMPTY = 1e-100
# No extrapolation or step of a logarithm of a variance is longer.
_LONGEST_LOG = 100.0
# A component whose smallest variance is this share of the pooled one, and of that some steps ago, collapses.
_COLLAPSED = 1e-3
_COLLAPSING = 0.5


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

    @property
    def label(self) -> str:
        return "Gaussian components of one covariance" if self.tied else "Gaussian components"

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
        return frame.moved(means, S)

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
                for loading in score_loadings(y[rows], roots):
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
        return parameters.moved(means, S)

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
        collapsed = (narrow | parameters.held) & (pooled > SMALLEST_SHARE)
        return np.asarray(collapsed[parameters.group])

    def degenerate(self, parameters: GaussianParameters) -> bool:
        return bool(parameters.held.any() and not self.pooled_parameters(1).held.any())

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

    def correlated_columns(self, parameters: GaussianParameters) -> list[tuple[Array, FloatArray]]:
        scale = self.units.scale
        return [(np.arange(len(scale)), parameters.covariances * scale * scale[:, np.newaxis])]

    def failures(self, estimator: Any, parameters: GaussianParameters) -> Iterator[str]:
        return degenerate_covariances(estimator, singular_columns(parameters), np.diag(self.pooled_covariance) == 0.0)

    def sample(self, standard: tuple[FloatArray, ...], labels: Array, random_state: np.random.RandomState) -> FloatArray:
        means, covariances = standard
        matrices = covariances.reshape(-1, *covariances.shape[-2:])
        scale = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2).max(axis=0))
        factors = factorise(matrices, np.tile(scale, (len(matrices), 1)))
        noise = random_state.normal(size=(len(labels), means.shape[1], 1))
        own = factors[labels] if len(factors) > 1 else factors
        return np.asarray(means[labels] + (own @ noise)[:, :, 0])
