"""Student t components: Gaussians whose rows have latent scales (Peel and McLachlan 2000)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import gammaln

from .._typing import Array, FloatArray, Matrix
from ..families._gamma import shape_from_log_ratio
from ..families._special import log_minus_digamma, trigamma
from ._components import ComponentMetric
from ._feature_metric import inverse_roots
from ._gaussian import CorrelatedGaussian
from ._gaussian_metric import GaussianMetric
from ._gaussian_parameters import GaussianParameters
from ._gaussian_rows import GaussianRows
from ._student_rows import RowScales, StudentEvidence, StudentParameters, StudentSums, gamma_entropy

# Fitted degrees of freedom lie between these; at the upper bound a component is Gaussian to 1e-4 nats for each row.
LEAST_DEGREES, MOST_DEGREES = 0.1, 1e4
# Given degrees of freedom are at most this: the density is then Gaussian to six digits, and a difference of two large
# numbers.
MOST_GIVEN_DEGREES = 1e6
_START = 10.0


@dataclass(frozen=True)
class StudentMetric:
    """Coordinates of locations and scale matrices, and of shapes, whose units have lengths (K,)."""

    own: ComponentMetric
    lengths: FloatArray

    def directions(self, z: FloatArray) -> FloatArray:
        of_shapes = self.lengths * z[..., -1]
        return np.concatenate([self.own.directions(z[..., :-1]), of_shapes[..., np.newaxis]], axis=-1)

    def gradient(self, score: FloatArray) -> FloatArray:
        return np.column_stack([self.own.gradient(score[:, :-1]), self.lengths * score[:, -1]])


@dataclass(frozen=True)
class StudentT(CorrelatedGaussian):
    r"""Student t: :math:`x | u \sim N(\mu_c, \Sigma_c / u)` with :math:`u \sim \operatorname{Gamma}(\nu_c/2, \nu_c/2)`.

    Parameters
    ----------
    reg_covar, units, prior_counts, pooled_mean, pooled_covariance, n_runs, prior, total_weight, tied
        As of ``CorrelatedGaussian``.
    degrees_of_freedom : float or None
        :math:`\nu` of all components; None if each component's is fitted.
    """

    degrees_of_freedom: float | None = None

    attribute_names: ClassVar[tuple[str, ...]] = ("means", "scales", "degrees_of_freedom")
    shape_arguments: ClassVar[Mapping[str, str]] = {"scales": "scale_type"}
    standard_limits: ClassVar[tuple[tuple[float, float], ...]] = ((-np.inf, np.inf), (0.0, np.inf), (0.0, np.inf))
    covariance_type = "student_t"

    @property
    def label(self) -> str:
        return "Student t components of one scale matrix" if self.tied else "Student t components"

    @property
    def given_names(self) -> tuple[str, ...]:
        return () if self.degrees_of_freedom is None else ("degrees_of_freedom",)

    @property
    def _expands(self) -> bool:
        """Whether the M-step frees the means of the scales u and absorbs them into the scale matrices (PX-EM)."""
        return not (self.tied or self.prior_counts)

    def fits(self, standard: tuple[FloatArray, ...], n_components: int) -> bool:
        given = self.degrees_of_freedom
        return super().fits(standard, n_components) and (given is None or bool((standard[2] == given).all()))

    # EM.

    def observe(
        self, parameters: Any, observations: GaussianRows, offsets: FloatArray, out: FloatArray | None = None
    ) -> Any:
        return StudentEvidence(parameters, observations, offsets, out)

    def pooled_parameters(self, n_components: int) -> StudentParameters:
        degrees = _START if self.degrees_of_freedom is None else self.degrees_of_freedom
        return StudentParameters.with_shapes(super().pooled_parameters(n_components), np.full(n_components, degrees / 2.0))

    def _normalised(self, statistics: Any) -> StudentSums:
        """Statistics with scales u whose mean is one in each component, if the means are free."""
        if not self._expands:
            return statistics
        scales, counts = statistics.scales, statistics.counts
        return statistics.rescaled(np.divide(scales, counts, out=np.ones(len(counts)), where=scales > 0.0))

    def maximize(self, statistics: Any) -> StudentParameters:
        """Means weighted with the scales; scale matrices; and degrees of freedom, as the shape of a gamma distribution."""
        means, S = self._moments(statistics.scaled)
        frame = statistics.scaled.frame
        assert isinstance(frame, StudentParameters)
        if not self._expands:
            by_group = (len(S), -1)
            with_scales = self._divisors(statistics.scaled).reshape(by_group).sum(axis=1)
            with_counts = self._divisors(replace(statistics.scaled, counts=statistics.counts)).reshape(by_group).sum(axis=1)
            ratio = np.divide(with_scales, with_counts, out=np.ones(len(S)), where=with_counts > 0.0)
            S = S * ratio[:, np.newaxis, np.newaxis]
        return StudentParameters.with_shapes(frame.moved(means, S), self._best_shapes(statistics, frame.shapes))

    def _best_shapes(self, statistics: Any, before: FloatArray) -> FloatArray:
        """Solutions of log a - digamma(a) = E[u - log u] - 1 within their bounds; those before, without rows."""
        if self.degrees_of_freedom is not None:
            return before
        s = self._normalised(statistics)
        seen = s.counts > 0.0
        excess = (s.scales - s.log_scales)[seen] / s.counts[seen] - 1.0
        shapes = before.copy()
        shapes[seen] = np.clip(shape_from_log_ratio(excess), LEAST_DEGREES / 2.0, MOST_DEGREES / 2.0)
        return shapes

    def _is_free(self, shapes: FloatArray) -> Array:
        """Which shapes are fitted and not at a bound."""
        inside = (shapes > LEAST_DEGREES / 2.0) & (shapes < MOST_DEGREES / 2.0)
        return inside & (self.degrees_of_freedom is None)

    def _scale_densities(self, parameters: Any, statistics: Any) -> FloatArray:
        """Sum of r E[log p(u)], (K,)."""
        a = parameters.shapes
        constant = a * np.log(a) - gammaln(a)
        return np.asarray(statistics.counts * constant + (a - 1.0) * statistics.log_scales - a * statistics.scales)

    def entropy(self, parameters: Any, statistics: Any) -> float:
        """Entropies of rows given their scales, and of the scales' prior, minus those of the posteriors of latent variables.

        If the prior of the scales is fixed or constrained, its cross-entropy with the posteriors replaces its entropy.
        """
        s, d = self._normalised(statistics), parameters.means.shape[1]
        given_scales = 0.5 * (s.counts * (self._log_normalisers(parameters) + d) - d * s.log_scales)
        of_prior = s.counts * gamma_entropy(parameters.shapes, np.log(parameters.shapes))
        exact = self._is_free(parameters.shapes) & self._expands
        of_prior = np.where(exact, of_prior, -self._scale_densities(parameters, s))
        latent = float(s.entropies.sum()) + s.scaled.missing_entropy
        return float((given_scales + of_prior).sum()) - latent + s.scaled.log_volume

    def log_density(self, parameters: Any, statistics: Any) -> float:
        s, d = self._normalised(statistics), parameters.means.shape[1]
        given_scales = s.counts * self._log_normalisers(parameters) + s.scaled.distances(parameters) - d * s.log_scales
        latent = float(s.entropies.sum()) + s.scaled.missing_entropy
        return float((self._scale_densities(parameters, s) - 0.5 * given_scales).sum()) + latent - s.scaled.log_volume

    def magnitude(self, parameters: Any, statistics: Any) -> float:
        latent = np.abs(statistics.entropies).sum() + np.abs(self._scale_densities(parameters, statistics)).sum()
        return self._magnitude(parameters, statistics.scaled, statistics.counts) + float(latent)

    def pack(self, parameters: Any) -> FloatArray:
        """Gaussian parameters, and logarithms of shapes, as a vector."""
        return np.concatenate([super().pack(parameters), np.log(parameters.shapes)])

    def unpack(self, vector: FloatArray, like: GaussianParameters) -> StudentParameters | None:
        gaussian = super().unpack(vector[: -len(like.means)], like)
        return None if gaussian is None else self._with_log_shapes(gaussian, vector[-len(like.means) :])

    def _with_log_shapes(self, gaussian: GaussianParameters, log_shapes: FloatArray) -> StudentParameters:
        if self.degrees_of_freedom is None:
            log_shapes = np.clip(log_shapes, np.log(LEAST_DEGREES / 2.0), np.log(MOST_DEGREES / 2.0))
        return StudentParameters.with_shapes(gaussian, np.exp(log_shapes))

    # The end of a fit.

    def n_directions(self, parameters: Any) -> int:
        return super().n_directions(parameters) + 1

    def score(self, parameters: Any, statistics: Any) -> FloatArray:
        own = super().score(parameters, replace(statistics.scaled, counts=statistics.counts))
        a = parameters.shapes
        of_shapes = statistics.counts * (log_minus_digamma(a) + 1.0) + statistics.log_scales - statistics.scales
        return np.column_stack([own, a * of_shapes])

    def row_scores(self, parameters: Any, observations: GaussianRows) -> Iterator[FloatArray]:
        return RowScales(parameters, observations).scores()

    def latent_information(self, parameters: Any, observations: GaussianRows, weights: FloatArray) -> FloatArray:
        return RowScales(parameters, observations).latent_information(weights)

    def metric(self, parameters: Any, statistics: Any, counts: FloatArray) -> StudentMetric:
        d, pseudo = parameters.means.shape[1], self.pseudo_rows(len(counts))
        of_means = statistics.scales + (0.0 if pseudo is None else pseudo.counts)
        of_scales = self._divisors(replace(statistics.scaled, counts=statistics.counts))
        own = GaussianMetric.at(d, of_means, of_scales, parameters.held, self.tied)
        a = parameters.shapes
        information = statistics.counts * a * (a * trigamma(a) - 1.0)
        free = self._is_free(a) & (information > 0.0)
        return StudentMetric(own, inverse_roots(information, free))

    def moved(self, parameters: Any, direction: FloatArray) -> StudentParameters | None:
        gaussian = super().moved(parameters, direction[:, :-1])
        return None if gaussian is None else self._with_log_shapes(gaussian, np.log(parameters.shapes) + direction[:, -1])

    # Several runs at once.

    def select(self, parameters: Any, components: Array, n_runs: int) -> StudentParameters:
        gaussian = super().select(parameters, components, n_runs)
        return StudentParameters.with_shapes(gaussian, parameters.shapes[components])

    def with_average_rows(self, statistics: Any, share: float, n_runs: int) -> StudentSums:
        """Add average rows of scale one."""
        scaled = super().with_average_rows(statistics.scaled, share, n_runs)
        return replace(statistics, scaled=scaled, counts=statistics.counts + scaled.counts - statistics.scales)

    # What users see.

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        return *super().axes(n_components, n_features), [("n_components", n_components)]

    def standard(self, parameters: Any) -> tuple[FloatArray, ...]:
        return *super().standard(parameters), 2.0 * parameters.shapes

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        of_gaussian = super().standard_changes(parameters, directions[..., :-1])
        return *of_gaussian, 2.0 * parameters.shapes * directions[..., -1]

    def natural(self, standard: tuple[FloatArray, ...]) -> StudentParameters:
        means, scales, degrees = standard
        return StudentParameters.with_shapes(super().natural((means, scales)), degrees / 2.0)

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        super().check_standard(standard[:2], suffix)
        degrees = standard[2]
        if not ((degrees > 0.0) & (degrees <= MOST_GIVEN_DEGREES)).all():
            raise ValueError(f"degrees_of_freedom{suffix} must be positive, and at most {MOST_GIVEN_DEGREES:.0f}.")

    def _variances(self, standard: tuple[FloatArray, ...]) -> FloatArray:
        return super()._variances(standard[:2])

    def n_parameters(self, n_components: int) -> int:
        return super().n_parameters(n_components) + (n_components if self.degrees_of_freedom is None else 0)

    def _inflation(self, parameters: Any) -> FloatArray:
        """Ratios of covariances to scale matrices, (K,); infinite for two degrees of freedom or less."""
        a = parameters.shapes
        return np.divide(a, a - 1.0, out=np.full(a.shape, np.inf), where=a > 1.0)

    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        means, variances = super().moments(parameters)
        return means, self._inflation(parameters)[:, np.newaxis] * variances

    def correlated_columns(self, parameters: Any) -> list[tuple[Array, FloatArray]]:
        """Correlated columns and their covariances; none if a component has no covariance."""
        inflation = self._inflation(parameters)
        if np.isinf(inflation).any():
            return []
        (columns, scales), *_ = super().correlated_columns(parameters)
        return [(columns, inflation[:, np.newaxis, np.newaxis] * scales[parameters.group])]

    def divergence(self, parameters: Any, component: int) -> FloatArray:
        """Divergences of the joint distributions of rows and scales."""
        return super().divergence(parameters, component) + _of_scales(parameters.shapes, component)

    def column_divergences(self, parameters: Any, component: int) -> FloatArray:
        means, variances = super().moments(parameters)
        ratio = variances[component] / variances
        of_columns = 0.5 * (ratio - np.log(ratio) - 1.0 + (means - means[component]) ** 2 / variances)
        return np.asarray(of_columns + _of_scales(parameters.shapes, component)[:, np.newaxis])

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        means, scales, degrees = standard
        gaussian = super().sample((means, scales), labels, random_state)
        u = random_state.chisquare(degrees[labels]) / degrees[labels]
        return np.asarray(means[labels] + (gaussian - means[labels]) / np.sqrt(u)[:, np.newaxis])


def _of_scales(shapes: FloatArray, component: int) -> FloatArray:
    """Divergences of gamma distributions of mean one from one of them, (K,)."""
    a = shapes[component]
    mean_log = -log_minus_digamma(a)
    constants = shapes * np.log(shapes) - gammaln(shapes)
    return np.asarray(constants[component] - constants + (a - shapes) * (mean_log - 1.0))
