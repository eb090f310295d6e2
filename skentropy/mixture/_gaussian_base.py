"""The base of Gaussian components with covariances of any structure; missing entries are latent variables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from .._data import Block, ColumnSurvey, Rounding, has_nan
from .._linalg import LOG_2PI, pack_symmetric
from .._typing import Array, FloatArray
from ..families import Gaussian
from ._components import EMPTY, LEAST_WEIGHT, Components, Limits, NoLimits, SeedRows, is_collapsing
from ._gaps import Gaps
from ._gaussian_parameters import SMALLEST_SHARE, GaussianParameters, GaussianSums
from ._gaussian_rows import CompletedRows, GaussianEvidence, GaussianRows, PooledSums
from ._independent import Independent
from ._observations import Units
from ._prior import NormalInverseWishart, PseudoRows


@dataclass(frozen=True)
class GaussianComponents(Components):
    r"""Gaussians :math:`N(x; \mu_c, \Sigma_c)`; a subclass defines the structure of the covariances, and fits them.

    The M-step of a structure must end at the optimal scale, :math:`\operatorname{tr} \Sigma^{-1} S = d`, where S is the
    covariance of the completed rows. This is the condition under which the identity holds.

    Parameters
    ----------
    reg_covar : float
        Added to the variances in each M-step, in the data's units.
    units : Units
    prior_counts : float
        Number of pseudo-observations of a conjugate prior on every component.
    pooled_mean, pooled_covariance : ndarray of shape (d,), (d, d)
        Mean and covariance of all rows, in units, which are also those of the pseudo-observations.
    prior : NormalInverseWishart or None
        A prior that replaces ``prior_counts``.
    total_weight : float
        Total weight of all rows; zero if it is not known.
    n_runs : int
        Number of mixtures side by side.
    """

    reg_covar: float = 0.0
    units: Units = field(default_factory=lambda: Units(np.zeros(1), np.ones(1)))
    prior_counts: float = 0.0
    pooled_mean: FloatArray = field(default_factory=lambda: np.zeros(1))
    pooled_covariance: FloatArray = field(default_factory=lambda: np.ones((1, 1)))
    n_runs: int = 1
    prior: NormalInverseWishart | None = None
    total_weight: float = 0.0

    support = Gaussian.support
    lower_limit = -np.inf
    discrete = False
    allows_sparse = False
    allows_exposure = False

    @property
    @abstractmethod
    def covariance_type(self) -> str:
        """The structure's name."""

    @property
    def _diagonal(self) -> Independent:
        """Gaussians of uncorrelated features for the same data."""
        pooled = np.stack([self.pooled_mean, self.pooled_mean**2 + np.diag(self.pooled_covariance)])
        return Independent(Gaussian(), units=self.units, pooled=pooled)

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        units = self._diagonal.prepare(estimator, columns, is_sparse=is_sparse, prior_counts=prior_counts).units
        assert units is not None
        if self.prior is not None:
            if prior_counts:
                raise ValueError("prior and prior_counts are both priors; give one of them.")
            self.prior.check(len(units.scale))
        return replace(self, units=units, prior_counts=prior_counts)

    def count_outside(self, block: Block) -> Array:
        return self._diagonal.count_outside(block)

    def summarize(self, observations: GaussianRows, weight: FloatArray) -> PooledSums:
        X, gaps = observations.X, observations.gaps
        seen: FloatArray = np.ones(X.shape)
        if gaps is not None:
            weight = weight[gaps.order]
            seen.ravel()[gaps.places] = 0.0
        return PooledSums(float(weight.sum()), (seen * weight) @ seen.T, X @ weight, (X * weight) @ X.T)

    def with_pooled(self, summary: PooledSums) -> Self:
        """These components with pooled covariances from rows that show both columns; negative eigenvalues are removed."""
        weight = np.diag(summary.pairs)
        mean = summary.sums / weight
        together = summary.pairs > 0.0
        products = np.divide(summary.products, summary.pairs, out=np.zeros_like(summary.pairs), where=together)
        covariance = np.where(together, products - np.outer(mean, mean), 0.0)
        if (summary.pairs != weight[0]).any():
            values, vectors = np.linalg.eigh(covariance)
            covariance = (vectors * np.maximum(values, 0.0)) @ vectors.T
        return replace(self, pooled_mean=mean, pooled_covariance=covariance, total_weight=summary.weight)

    def with_prior(self, prior_counts: float, statistics: Any) -> Self:
        return replace(self, prior_counts=prior_counts)

    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        return self._diagonal.rounding(columns)

    def seed_rows(self, block: Block, observations: GaussianRows) -> SeedRows:
        """Rows as seeds, with the divergence of uncorrelated features, in which missing entries add nothing."""
        return self._diagonal.seed_rows(block, self._diagonal.read(block))

    def row_cost(self, n_features: int) -> int:
        return 2 * n_features**2

    def row_bytes(self, n_features: int, n_components: int) -> int:
        return 8 * n_features * (n_components + 2)

    # EM.

    def read(self, block: Block) -> GaussianRows:
        log_scale = np.log(self.units.scale)
        if not has_nan(block.X):
            X = np.ascontiguousarray(self.units.apply(block.X).T)
            return GaussianRows(X, np.full(block.n_rows, log_scale.sum()), None)
        gaps = Gaps.of(np.isnan(block.X))
        X = np.ascontiguousarray(self.units.apply(block.X[gaps.order]).T)
        X.ravel()[gaps.places] = 0.0
        return GaussianRows(X, gaps.observed_sums(log_scale), gaps)

    def observe(
        self, parameters: GaussianParameters, observations: GaussianRows, offsets: FloatArray, out: FloatArray | None = None
    ) -> GaussianEvidence:
        return GaussianEvidence(parameters, observations, offsets, out)

    def expected_rows(
        self, parameters: GaussianParameters, observations: GaussianRows, responsibilities: FloatArray
    ) -> FloatArray:
        completed = CompletedRows(parameters, observations)
        expected = np.zeros(observations.X.shape)
        for c, q in enumerate(responsibilities):
            expected += q * observations.unsorted(completed.completed(c))
        return expected.T * self.units.scale + np.outer(responsibilities.sum(axis=0), self.units.location)

    def pseudo_rows(self, n_components: int) -> PseudoRows | None:
        """The prior's pseudo-observations of each component; None without a prior."""
        if self.prior is None:
            a = self.prior_counts
            return PseudoRows(a, self.pooled_mean, self.pooled_covariance, a) if a else None
        K = n_components // self.n_runs
        sharing = K if self.covariance_type == "tied" else 1
        unbiased = self.pooled_covariance * (self.total_weight / max(self.total_weight - 1.0, 1.0))
        return self.prior.pseudo_rows(self.units, self.pooled_mean, unbiased, K, sharing)

    def _divisors(self, statistics: GaussianSums) -> FloatArray:
        """The divisors (K,) of the scatters, which also weigh a ridge."""
        pseudo = self.pseudo_rows(len(statistics.counts))
        return statistics.counts if pseudo is None else statistics.counts + pseudo.divisor

    def _moments(self, statistics: GaussianSums) -> tuple[FloatArray, FloatArray]:
        """Means (K, d), and covariances of y in the frames (G, d, d), with the prior and the ridge.

        An empty component gets the moments of all rows.
        """
        least = max(EMPTY * float(statistics.counts.sum()), LEAST_WEIGHT)  # all have less if noise explains all rows
        empty = statistics.counts <= least
        if empty.any():
            statistics = statistics.plus(np.where(empty, least, 0.0), self.pooled_mean, self.pooled_covariance)
        divisors = self._divisors(statistics)
        statistics = with_pseudo_rows(statistics, self.pseudo_rows(len(empty)))
        frame, counts = statistics.frame, statistics.counts
        mean = statistics.first / counts[:, np.newaxis]
        means = frame.means + np.einsum("kij,kj->ki", frame.factors[frame.group], mean)
        scatter = statistics.second - counts[:, np.newaxis, np.newaxis] * mean[:, :, np.newaxis] * mean[:, np.newaxis]
        G, d = len(frame.factors), means.shape[1]
        S = scatter.reshape(G, -1, d, d).sum(axis=1) / divisors.reshape(G, -1).sum(axis=1)[:, np.newaxis, np.newaxis]
        if self.reg_covar:
            U = frame.inverses
            S = S + U * (self.reg_covar / self.units.scale**2) @ U.transpose(0, 2, 1)
        return means, S

    def log_base_measure(self, block: Block) -> FloatArray:
        return np.zeros(block.n_rows)

    def entropy(self, parameters: GaussianParameters, statistics: GaussianSums) -> float:
        """Entropies of complete rows, minus those of the missing entries given the observed ones."""
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
        return self._magnitude(parameters, statistics, statistics.counts)

    def _magnitude(self, parameters: GaussianParameters, statistics: GaussianSums, counts: FloatArray) -> float:
        """Sum of absolute terms, with the distances in the E-step's frames, which have about the same size."""
        distances = np.trace(statistics.second, axis1=1, axis2=2).sum()
        complete = distances + np.abs(self._log_normalisers(parameters)) @ counts
        return 0.5 * float(complete) + abs(statistics.missing_entropy) + abs(statistics.log_volume)

    def _pseudo_distances(self, parameters: GaussianParameters, pseudo: PseudoRows) -> FloatArray:
        """Expected squared Mahalanobis distances of pseudo-observations, times their number, (K,)."""
        precisions = parameters.precisions[parameters.group]
        step = pseudo.mean - parameters.means
        distances = (precisions * pseudo.covariance).sum(axis=(1, 2))
        return pseudo.counts * np.asarray(distances + np.einsum("ki,kij,kj->k", step, precisions, step))

    def _traces(self, parameters: GaussianParameters) -> FloatArray:
        """Traces of the precisions in the data's units, (K,)."""
        inverse_scale = 1.0 / self.units.scale**2
        return np.asarray(np.diagonal(parameters.precisions, axis1=1, axis2=2) @ inverse_scale)[parameters.group]

    def log_prior(self, parameters: GaussianParameters, statistics: GaussianSums | None) -> FloatArray:
        log_prior = np.zeros(len(parameters.means))
        pseudo = self.pseudo_rows(len(parameters.means))
        if pseudo is not None:
            log_prior -= 0.5 * self._pseudo_distances(parameters, pseudo)
            log_prior -= 0.5 * pseudo.divisor * self._log_normalisers(parameters)
        if self.reg_covar and statistics is not None:
            log_prior -= 0.5 * self.reg_covar * self._divisors(statistics) * self._traces(parameters)
        return log_prior

    def penalty(self, parameters: GaussianParameters, statistics: GaussianSums) -> float:
        penalty, pseudo = 0.0, self.pseudo_rows(len(parameters.means))
        if pseudo is not None:
            d = parameters.means.shape[1]
            penalty += 0.5 * float((self._pseudo_distances(parameters, pseudo) - pseudo.divisor * d).sum())
        if self.reg_covar:
            penalty += 0.5 * self.reg_covar * float(self._divisors(statistics) @ self._traces(parameters))
        return penalty

    @property
    def climbs(self) -> bool:
        return not self.reg_covar

    # The end of a fit. Directions are steps of the means and of the logarithms of the covariances, both in the frames.

    def limits(self, parameters: GaussianParameters) -> Limits:
        return NoLimits()

    def score(self, parameters: Any, statistics: GaussianSums) -> FloatArray:
        """Gradient along steps of the means and the covariances, both in the components' frames."""
        divisors = self._divisors(statistics)
        statistics = with_pseudo_rows(statistics, self.pseudo_rows(len(divisors)))
        d = parameters.means.shape[1]
        of_covariance = (statistics.second - divisors[:, np.newaxis, np.newaxis] * np.eye(d)) / np.sqrt(2.0)
        return np.concatenate([statistics.first, pack_symmetric(of_covariance)], axis=1)

    def row_scores(self, parameters: Any, observations: GaussianRows) -> Iterator[FloatArray]:
        return CompletedRows(parameters, observations).scores()

    def latent_information(self, parameters: Any, observations: GaussianRows, weights: FloatArray) -> FloatArray | None:
        if observations.gaps is None:
            return None
        return CompletedRows(parameters, observations).latent_information(weights.take(observations.gaps.order, axis=1))

    # Several runs at once.

    def for_runs(self, n_runs: int) -> Self:
        return replace(self, n_runs=n_runs)

    def with_average_rows(self, statistics: Any, share: float, n_runs: int) -> Any:
        by_run = statistics.counts.reshape(n_runs, -1)
        added = share * by_run.mean(axis=1).repeat(by_run.shape[1])
        return statistics.plus(added, self.pooled_mean, self.pooled_covariance)

    def collapsed(self, before: GaussianParameters, parameters: GaussianParameters) -> Array:
        smallest, earlier = (np.linalg.eigvalsh(p.covariances)[:, 0] for p in (parameters, before))
        pooled = float(np.linalg.eigvalsh(self.pooled_covariance)[0])
        collapsed = (is_collapsing(smallest, earlier, pooled) | parameters.held) & (pooled > SMALLEST_SHARE)
        return np.asarray(collapsed[parameters.group])

    def degenerate(self, parameters: GaussianParameters) -> bool:
        return bool(parameters.held.any() and not self.pooled_parameters(1).held.any())

    # What users see.

    @abstractmethod
    def _variances(self, standard: tuple[FloatArray, ...]) -> FloatArray:
        """Variances (K, d) that belong to fitted attributes."""

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        units = Units.of_mixture(Gaussian(), weights, (standard[0], self._variances(standard)))
        assert units is not None
        return replace(self, units=units)

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


def with_pseudo_rows(statistics: GaussianSums, pseudo: PseudoRows | None) -> GaussianSums:
    """Add a prior's pseudo-observations to each component's statistics."""
    if pseudo is None:
        return statistics
    counts = np.full(len(statistics.counts), pseudo.counts)
    return statistics.plus(counts, pseudo.mean, pseudo.covariance)
