"""Gaussian components with full covariances, one for each component or one for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._linalg import factorise, lower_triangle, unpack_symmetric
from .._typing import Array, FloatArray, Matrix
from ..families import Gaussian
from ._gaussian_base import GaussianComponents
from ._gaussian_metric import GaussianMetric
from ._gaussian_parameters import GaussianParameters, GaussianSums, is_well_rounded, singular_columns
from ._input import check_covariances
from ._report import degenerate_covariances

# The longest step or extrapolation of the logarithm of a variance.
_LONGEST_LOG = 100.0


@dataclass(frozen=True)
class CorrelatedGaussian(GaussianComponents):
    r"""Gaussians :math:`N(x; \mu_c, \Sigma_c)` with unrestricted covariances.

    Parameters
    ----------
    tied : bool
        Whether all components share one covariance.
    reg_covar, units, prior_counts, pooled_mean, pooled_covariance, n_runs, prior, total_weight
        As of ``GaussianComponents``.
    """

    tied: bool = False

    attribute_names: ClassVar[tuple[str, ...]] = ("means", "covariances")
    shape_arguments: ClassVar[Mapping[str, str]] = {"covariances": "covariance_type"}
    standard_limits: ClassVar[tuple[tuple[float, float], ...]] = Gaussian.parameter_limits

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
    def covariance_type(self) -> str:
        return "tied" if self.tied else "full"

    def narrowed(self, standard: tuple[FloatArray, ...], dtype: np.dtype[Any]) -> tuple[FloatArray, ...]:
        return super().narrowed(standard, dtype) if is_well_rounded(standard[1], dtype) else standard

    # EM.

    def pooled_parameters(self, n_components: int) -> GaussianParameters:
        n_groups = self._n_groups(n_components)
        means = np.tile(self.pooled_mean, (n_components, 1))
        covariances = np.tile(self.pooled_covariance, (n_groups, 1, 1))
        return GaussianParameters.of(means, covariances, np.zeros((n_groups, means.shape[1])))

    def _n_groups(self, n_components: int) -> int:
        return self.n_runs if self.tied else n_components

    def maximize(self, statistics: GaussianSums) -> GaussianParameters:
        r"""M-step in the frames of the E-step: :math:`\mu + R \bar y` and :math:`R S R^\top`, S the covariance of y."""
        means, S = self._moments(statistics)
        frame: GaussianParameters = statistics.frame
        return frame.moved(means, S)

    def pack(self, parameters: GaussianParameters) -> FloatArray:
        """Means, and Cholesky factors row after row, with the logarithms of their diagonals."""
        i, j = lower_triangle(parameters.means.shape[1])
        entries = parameters.factors[:, i, j]
        entries[:, i == j] = np.log(entries[:, i == j])
        return np.concatenate([parameters.means.ravel(), entries.ravel()])

    def unpack(self, vector: FloatArray, like: GaussianParameters) -> GaussianParameters | None:
        if not np.isfinite(vector).all():
            return None
        G, d, _ = like.factors.shape
        i, j = lower_triangle(d)
        means, entries = vector[: like.means.size], vector[like.means.size :].reshape(G, -1).copy()
        logs = entries[:, i == j]
        if np.abs(logs).max() > 0.5 * _LONGEST_LOG:
            return None
        entries[:, i == j] = np.exp(logs)
        factors = np.zeros((G, d, d))
        factors[:, i, j] = entries
        return GaussianParameters.of_cholesky(means.reshape(-1, d), factors, like.bounds)

    # The end of a fit.

    def n_directions(self, parameters: GaussianParameters) -> int:
        d = parameters.means.shape[1]
        return d + d * (d + 1) // 2

    def metric(self, parameters: GaussianParameters, statistics: GaussianSums, counts: FloatArray) -> Any:
        d, pseudo = parameters.means.shape[1], self.pseudo_rows(len(parameters.means))
        of_means = statistics.counts if pseudo is None else statistics.counts + pseudo.counts
        return GaussianMetric.at(d, of_means, self._divisors(statistics), parameters.held, self.tied)

    def moved(self, parameters: GaussianParameters, direction: FloatArray) -> GaussianParameters | None:
        K, d = parameters.means.shape
        of_means, of_covariances = direction[:, :d], np.sqrt(2.0) * direction[:, d:]
        means = parameters.means + np.einsum("kij,kj->ki", parameters.factors[parameters.group], of_means)
        # All components together determine the move of a shared covariance.
        G = len(parameters.factors)
        changes = unpack_symmetric(of_covariances.reshape(G, K // G, -1).mean(axis=1), d)
        logs, vectors = np.linalg.eigh(changes)
        if not np.abs(logs).max() <= _LONGEST_LOG:
            return None
        S = (vectors * np.exp(logs)[:, np.newaxis]) @ vectors.transpose(0, 2, 1)
        return parameters.moved(means, S)

    # Several runs at once.

    def select(self, parameters: GaussianParameters, components: Array, n_runs: int) -> GaussianParameters:
        groups = parameters.group[components]
        if self.tied:
            groups = groups[:: len(components) // n_runs]
        return GaussianParameters(parameters.means[components], parameters.factors[groups], parameters.bounds[groups])

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
        r"""Derivatives :math:`R d` of the means and :math:`R S R^\top` of the covariances along directions (d, S)."""
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
        labels = [""] if self.tied else [f" of component {c}" for c in range(len(matrices))]
        check_covariances(matrices, f"{self.attribute_names[1]}{suffix}", labels)

    def _variances(self, standard: tuple[FloatArray, ...]) -> FloatArray:
        means, covariances = standard
        return np.broadcast_to(np.diagonal(covariances, axis1=-2, axis2=-1), means.shape)

    def n_parameters(self, n_components: int) -> int:
        d = len(self.units.scale)
        return n_components * d + (1 if self.tied else n_components) * d * (d + 1) // 2

    def failures(self, estimator: Any, parameters: GaussianParameters) -> Iterator[str]:
        return degenerate_covariances(estimator, singular_columns(parameters), np.diag(self.pooled_covariance) == 0.0)

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        means, covariances = standard
        matrices = covariances.reshape(-1, *covariances.shape[-2:])
        factors = factorise(matrices, np.sqrt(np.diagonal(matrices, axis1=1, axis2=2)))
        noise = random_state.normal(size=(len(labels), means.shape[1], 1))
        own = factors[labels] if len(factors) > 1 else factors
        return np.asarray(means[labels] + (own @ noise)[:, :, 0])
