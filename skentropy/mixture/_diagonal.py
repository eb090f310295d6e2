"""Gaussian components of uncorrelated features, whose variances may be shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from .._typing import Array, FloatArray
from ._feature_attributes import NaturalParameters
from ._independent import FeatureSums, Independent
from ._observations import Units


@dataclass(frozen=True)
class DiagonalGaussian(Independent):
    """Uncorrelated features, with variances that components, features or both may share.

    Parameters
    ----------
    over_components, over_features : bool
        Whether components, and whether features, share their variances.
    reg_covar : float
        Added to the variances in each M-step, in the data's units.
    n_runs : int
        Number of mixtures side by side.
    """

    over_components: bool = False
    over_features: bool = False
    reg_covar: float = 0.0
    n_runs: int = 1

    attribute_names = ("means", "covariances")
    shape_arguments: ClassVar[Mapping[str, str]] = {"covariances": "covariance_type"}

    @property
    def label(self) -> str:
        shared = [word for word, over in (("tied", self.over_components), ("spherical", self.over_features)) if over]
        return " ".join([*shared, "Gaussian components of uncorrelated features"])

    @property
    def _shares(self) -> bool:
        return self.over_components or self.over_features

    @property
    def climbs(self) -> bool:
        return not self.reg_covar

    def _in_units(self, units: Units | None) -> Self:
        """Features that share a variance have one unit."""
        assert units is not None
        if self.over_features:
            scale = np.sqrt(np.mean(units.scale**2))
            units = Units(units.location, np.full(len(units.scale), scale))
        return replace(self, units=units)

    def for_runs(self, n_runs: int) -> Self:
        return replace(self, n_runs=n_runs)

    def pooled_parameters(self, n_components: int) -> NaturalParameters:
        pooled = super().pooled_parameters(n_components)
        if not self.over_features:
            return pooled
        means, variances = self.family.to_standard(pooled.eta)
        shared = np.broadcast_to(variances.mean(axis=1, keepdims=True), means.shape)
        return self.parameters(self.family.from_standard(means, shared))

    def _shared(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Replace values (K, D) by their weighted means over all components and features that share a variance."""
        weights = np.broadcast_to(weights, values.shape)
        if self.over_features:
            total = weights.sum(axis=-1, keepdims=True)
            values = np.broadcast_to((weights * values).sum(axis=-1, keepdims=True) / total, values.shape)
            weights = np.broadcast_to(total, values.shape)
        if self.over_components:
            by_run = (*values.shape[:-2], self.n_runs, -1, values.shape[-1])
            totals = weights.reshape(by_run).sum(axis=-2, keepdims=True)
            means = (weights * values).reshape(by_run).sum(axis=-2, keepdims=True) / totals
            values = np.broadcast_to(means, weights.reshape(by_run).shape).reshape(values.shape)
        return values

    def held_together(self, held: Array) -> Array:
        return np.full_like(held, held.any()) if self._shares else held

    def maximize(self, statistics: FeatureSums) -> NaturalParameters:
        eta = self.family.natural(self.mean_parameters(statistics))
        if not (self._shares or self.reg_covar):
            return self.parameters(eta)
        means, variances = self.family.to_standard(eta)
        if self._shares:
            seen = statistics.exposures + self.prior_counts
            variances = self._shared(variances, np.maximum(seen, np.finfo(float).tiny))
        if self.reg_covar:
            assert self.units is not None
            variances = variances + self.reg_covar / self.units.scale**2
        return self.parameters(self.family.from_standard(means, variances))

    def _ridge(self, parameters: NaturalParameters, statistics: FeatureSums) -> FloatArray:
        """The ridge's term in each component's objective, (K,)."""
        assert self.units is not None
        precisions = -2.0 * parameters.eta[1] / self.units.scale**2
        seen = statistics.exposures + self.prior_counts
        return 0.5 * self.reg_covar * np.asarray((seen * precisions).sum(axis=1))

    def log_prior(self, parameters: NaturalParameters, statistics: FeatureSums | None) -> FloatArray:
        log_prior = super().log_prior(parameters, statistics)
        if self.reg_covar and statistics is not None:
            log_prior = log_prior - self._ridge(parameters, statistics)
        return log_prior

    def penalty(self, parameters: NaturalParameters, statistics: FeatureSums) -> float:
        penalty = super().penalty(parameters, statistics)
        return penalty + float(self._ridge(parameters, statistics).sum()) if self.reg_covar else penalty

    def metric(self, parameters: NaturalParameters, statistics: FeatureSums, counts: FloatArray) -> Any:
        if not self._shares:
            return super().metric(parameters, statistics, counts)
        seen = np.broadcast_to(statistics.exposures + self.prior_counts, parameters.log_partition.shape)
        return SharedVarianceMetric.of(self, parameters, np.where(counts[:, np.newaxis] > 0.0, seen, 0.0))

    # What users see.

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        components, features = [("n_components", n_components)], [("n_features", n_features)]
        own = ([] if self.over_components else components) + ([] if self.over_features else features)
        return components + features, own

    def _by_feature(self, standard: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
        """Means and variances of each component and feature."""
        means, variances = standard
        if self.over_features:
            variances = variances[..., np.newaxis]
        return means, np.broadcast_to(variances, means.shape)

    def standard(self, parameters: NaturalParameters) -> tuple[FloatArray, ...]:
        means, variances = super().standard(parameters)
        if self.over_features:
            variances = variances[:, 0]
        return means, variances[0] if self.over_components else variances

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        means, variances = standard
        if not np.isfinite(means).all():
            raise ValueError(f"means{suffix} must be finite.")
        if not (np.isfinite(variances).all() and (variances > 0.0).all()):
            raise ValueError(f"covariances{suffix} must be positive.")

    def n_parameters(self, n_components: int) -> int:
        n_features = self.pooled.shape[-1]
        components = 1 if self.over_components else n_components
        return n_components * n_features + components * (1 if self.over_features else n_features)


@dataclass(frozen=True)
class SharedVarianceMetric:
    """Natural parameters move with means and logarithms of variances, of which some are shared.

    Attributes
    ----------
    components : DiagonalGaussian
    of_means, of_variances : ndarray of shape (K, D)
        Lengths of a unit of z: of a mean, and of a shared logarithm of a variance.
    mean, variance : ndarray of shape (K, D)
    """

    components: DiagonalGaussian
    of_means: FloatArray
    of_variances: FloatArray
    mean: FloatArray
    variance: FloatArray

    @classmethod
    def of(cls, components: DiagonalGaussian, parameters: NaturalParameters, seen: FloatArray) -> Self:
        mean, variance = components.family.to_standard(parameters.eta)
        free = (seen > 0.0) & ~components.family.at_bound(parameters.eta)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_means = np.where(free, np.sqrt(variance / seen), 0.0)
            of_variances = np.sqrt(2.0 / components._shared(seen, np.ones_like(seen)))
        return cls(components, of_means, np.where(free.all(), of_variances, 0.0), mean, variance)

    def _project(self, values: FloatArray) -> FloatArray:
        """Project onto directions in which all that share a variance move together."""
        return self.components._shared(values, np.ones_like(values))

    def directions(self, z: FloatArray) -> FloatArray:
        D = self.mean.shape[1]
        of_mean = self.of_means * z[..., :D]
        of_log = self.of_variances * self._project(z[..., D:])
        # eta = (m / v, -1 / (2 v))
        return np.concatenate([(of_mean - self.mean * of_log) / self.variance, of_log / (2.0 * self.variance)], axis=-1)

    def gradient(self, score: FloatArray) -> FloatArray:
        D = self.mean.shape[1]
        first, second = score[:, :D] / self.variance, score[:, D:] / self.variance
        of_log = self.of_variances * (0.5 * second - self.mean * first)
        return np.concatenate([self.of_means * first, self._project(of_log)], axis=1)
