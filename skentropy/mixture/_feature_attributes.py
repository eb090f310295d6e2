"""Independent features as users see them: natural parameters, fitted attributes and quantities that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray, Matrix
from ..families import Bernoulli, Categorical, ExponentialFamily, Poisson
from ..families._base import LOG_ZERO, SMALLEST_NORMAL
from ..families._circle import turned
from ._changes import differences
from ._components import Components
from ._input import check_sums
from ._large_counts import cautions_of_means, relative_to_parameters
from ._observations import Units
from ._one_hot import has_many_categories
from ._report import degenerate_features

# A category with a smaller probability does not occur.
NEVER = 1e-300
# Number of natural parameters of rows that are drawn at a time.
_ENTRIES = 2**18
# The rounding errors of a log-density with larger terms exceed 1e-8 nats.
_LARGEST_TERMS = 1e7


@dataclass(frozen=True)
class NaturalParameters:
    """Natural parameters (S, K, D) in the components' units, and their log-partition (K, D) in the data's."""

    eta: FloatArray
    log_partition: FloatArray


@dataclass(frozen=True)
class FeatureAttributes(Components):
    """Products of one exponential family as users see them; ``Independent`` adds how they are fitted.

    Parameters
    ----------
    family : ExponentialFamily
    units : Units or None
        None where the family has no units to choose.
    pooled : ndarray of shape (S, D)
        Mean statistics of all rows, which are also those of the pseudo-observations.
    narrow : tuple of ndarray of shape (K, D), or None
        Standard parameters, in the data's units, of components so narrow that sums of natural parameters times statistics
        would lose digits; densities are then computed from the standard parameters.
    """

    family: ExponentialFamily
    units: Units | None = None
    pooled: FloatArray = field(default_factory=lambda: np.zeros((1, 1)))
    narrow: tuple[FloatArray, ...] | None = None

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return self.family.attribute_names

    @property
    def label(self) -> str:
        return f"the {self.family.name} family"

    @property
    def support(self) -> str:
        return self.family.support

    @property
    def lower_limit(self) -> float:
        return self.family.lower_limit

    @property
    def discrete(self) -> bool:
        return self.family.discrete

    @property
    def likelihood(self) -> str:
        return "angle" if self.family.circular else super().likelihood

    @property
    def allows_sparse(self) -> bool:
        return self.family.zero_statistics

    @property
    def allows_exposure(self) -> bool:
        return self.family.additive

    def _in_units(self, units: Units | None) -> Self:
        return replace(self, units=units)

    def parameters(self, eta: Array) -> NaturalParameters:
        """Parameters with their log-partition in the data's own units: p(x) = h(x) exp(eta T(u) - A)."""
        log_partition = self.family.log_partition(eta)
        if self.units is not None:
            # h(x) = h(u) scale^degree and dx = scale du.
            log_partition = log_partition + (1.0 + self.family.base_measure_degree) * np.log(self.units.scale)
        return NaturalParameters(eta, log_partition)

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        return tuple([("n_components", n_components), ("n_features", n_features)] for _ in self.attribute_names)

    def standard(self, parameters: NaturalParameters) -> tuple[FloatArray, ...]:
        standard = self.family.to_standard(parameters.eta)
        if self.units is None:
            return standard
        with np.errstate(over="ignore"):
            rescaled = self.family.rescale(standard, self.units.location, self.units.scale)
        return tuple(np.nan_to_num(value, nan=np.nan) for value in rescaled)

    @property
    def standard_limits(self) -> tuple[tuple[float, float], ...]:
        return self.family.parameter_limits or ((-np.inf, np.inf),) * len(self.attribute_names)

    def _by_feature(self, standard: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
        """The attributes as standard parameters of each component and feature."""
        return standard

    def natural(self, standard: tuple[FloatArray, ...]) -> NaturalParameters:
        standard = self._by_feature(standard)
        if self.units is not None:
            standard = self.family.rescale(standard, -self.units.location / self.units.scale, 1.0 / self.units.scale)
        return self.parameters(self.family.from_standard(*standard))

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        check_sums(self.family, standard, suffix)

    def cautions(self, estimator: Any, standard: tuple[FloatArray, ...]) -> list[str]:
        return cautions_of_means(estimator, self.family, self._by_feature(standard))

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        by_feature = self._by_feature(standard)
        family = self.family.for_parameters(by_feature)
        family = family if is_sparse else relative_to_parameters(family, weights, by_feature, exposure)
        components = replace(self, family=family)
        components = components._in_units(Units.of_mixture(family, weights, by_feature, keep_zero=is_sparse))
        parameters = components.natural(standard)
        inner = np.abs(parameters.eta * family.mean(parameters.eta)).sum(axis=0)
        has_form = type(family).stable_log_prob is not ExponentialFamily.stable_log_prob
        largest = (inner + np.abs(parameters.log_partition)).max()
        if has_form and not is_sparse and not float(largest) <= _LARGEST_TERMS:
            components = replace(components, narrow=by_feature)
        return replace(components, pooled=components.pooled_of(weights, parameters))

    def pooled_of(self, weights: FloatArray, parameters: NaturalParameters) -> FloatArray:
        """Mean statistics of all rows, as a mixture expects them."""
        with np.errstate(all="ignore"):
            return np.asarray(np.einsum("k,skd->sd", weights, self.family.mean(parameters.eta)))

    def n_parameters(self, n_components: int) -> int:
        """Number of free parameters; categories that do not occur have none."""
        return n_components * self.family.count_parameters(self.pooled > NEVER)

    def divergence(self, parameters: NaturalParameters, component: int) -> FloatArray:
        return np.asarray(self.family.divergence(parameters.eta[:, [component]], parameters.eta).sum(axis=-1))

    def column_divergences(self, parameters: NaturalParameters, component: int) -> FloatArray:
        own = parameters.eta[:, [component]]
        divergences = self.family.divergence(own, parameters.eta)
        if self.discrete:
            # Log-odds and log-rates are infinite for a probability or rate of zero.
            excluded = (parameters.eta <= LOG_ZERO) & (own > LOG_ZERO) | (parameters.eta >= -LOG_ZERO) & (own < -LOG_ZERO)
            divergences = np.where(excluded.any(axis=0), np.inf, divergences)
        return np.asarray(divergences)

    def moments(self, parameters: NaturalParameters) -> tuple[FloatArray, FloatArray]:
        means, variances = self.family.moments(parameters.eta)
        if self.units is not None:
            means = self.units.location + self.units.scale * means
            variances = self.units.scale**2 * variances
        if self.discrete:
            # A rate or a probability of zero is stored as the smallest double.
            means, variances = (np.where(value < SMALLEST_NORMAL, 0.0, value) for value in (means, variances))
        return means, variances

    @property
    def poisson_columns(self) -> Array:
        return np.arange(self.pooled.shape[1] if type(self.family.absolute) is Poisson else 0)

    @property
    def directions(self) -> dict[str, tuple[str, str]]:
        names = self.attribute_names
        return {names[0]: ("angle", "".join(names[1:2]))} if self.family.circular else {}

    @property
    def circular_columns(self) -> Array:
        return np.arange(self.pooled.shape[1] if self.family.circular else 0)

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        if not self.family.circular:
            return super().standard_changes(parameters, directions)
        direction = self.standard(parameters)[0]

        def without_jumps(moved: Any) -> tuple[FloatArray, ...]:
            angle, *others = self.standard(moved)
            return turned(angle, direction), *others

        return differences(self, parameters, directions, without_jumps)

    def category_probabilities(self, parameters: NaturalParameters) -> dict[int, FloatArray]:
        family = self.family
        if not isinstance(family, Bernoulli | Categorical):
            return {}
        (p,) = family.to_standard(parameters.eta)
        if isinstance(family, Bernoulli):
            p = np.stack([1.0 - p, p], axis=-1)
        n_features = p.shape[1]
        known = family.n_categories if isinstance(family, Categorical) else 2
        sizes = known if isinstance(known, tuple) else (p.shape[2],) * n_features
        return {d: p[:, d, :size] for d, size in zip(range(n_features), sizes, strict=True)}

    def failures(self, estimator: Any, parameters: NaturalParameters) -> Iterator[str]:
        return degenerate_features(estimator, self.family, self.pooled, parameters.eta)

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        eta = self.family.from_standard(*self._by_feature(standard))
        # The draws of categories are the same part by part.
        step = max(1, _ENTRIES // eta[:, 0].size) if has_many_categories(self.family) else max(1, len(labels))
        parts = (labels[start : start + step] for start in range(0, max(len(labels), 1), step))
        return np.concatenate([self.family.sample(eta[:, part], random_state) for part in parts])
