r"""Families relative to a reference, for counts so large that :math:`\eta T(x) - A` and :math:`\log h(x)` nearly cancel.

With the distribution of a reference mean :math:`m_0` as the base measure, and natural parameters relative to its own,

.. math::

    p(x; \eta) = p(x; \eta_0) \exp\bigl((\eta - \eta_0) x - s (A(\eta) - A(\eta_0))\bigr),

the first factor is computed by Loader's saddle-point expansion, in which nothing cancels, and the differences are computed
from the mean parameters themselves. The rounding error of a log-probability is then of the order of the spacing of doubles
times the count, and no longer times :math:`\log x!`.

References
----------
Loader (2000), "Fast and Accurate Computation of Binomial Probabilities".
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from .._typing import Array, Matrix
from ._base import SMALLEST_NORMAL, ExponentialFamily
from ._special import log_binomial, log_poisson, log_ratio

# For larger counts the terms of a log-probability are so large that rounding errors exceed 1e-9.
_LARGE_COUNT = 1e6
# A column with a smaller mean holds zeros only; counts divided by it would overflow.
_SMALLEST_REFERENCE = 1e-280
EPS = float(np.finfo(np.float64).eps)


class RelativeFamily(ExponentialFamily):
    """A family of counts relative to the distributions of given means, one for each trailing index.

    Methods that lose no digits are those of the family itself. The base measure of a count of zero is not one, so sparse
    data are not possible.
    """

    lower_limit = 0.0
    discrete = True
    constant_base_measure = False
    additive = True

    def __init__(self, family: Any, reference: Array) -> None:
        self._family = family
        self.parameter_limits = family.parameter_limits
        inside = (reference > _SMALLEST_REFERENCE) & (reference < family.upper_limit)
        self.reference = np.where(inside, reference, 1.0)
        self.origin = family.natural(self.reference[np.newaxis])

    @property
    def absolute(self) -> ExponentialFamily:
        family: ExponentialFamily = self._family
        return family

    @classmethod
    def where_large(cls, family: ExponentialFamily, mean: Array, largest: float) -> ExponentialFamily:
        """The family relative to these means if counts up to ``largest`` would lose digits; else the family itself."""
        return cls(family, mean) if largest > _LARGE_COUNT else family

    def __getattr__(self, name: str) -> Any:
        if name in ("name", "parameter_names", "support"):
            return getattr(self._family, name)
        raise AttributeError(name)

    @abstractmethod
    def _natural_inside(self, mean: Array) -> Array:
        """Relative natural parameters of means that are not at a limit."""

    @abstractmethod
    def _mean_of_standard(self, *parameters: Array) -> Array:
        """E[x] of standard parameters."""

    @abstractmethod
    def _standard_of_mean(self, mean: Array) -> Array:
        """The standard parameter of a mean."""

    def natural(self, mean: Array) -> Array:
        at_limit = (mean < SMALLEST_NORMAL) | (mean >= self._family.upper_limit)
        inside = self._natural_inside(np.where(at_limit, self.reference, mean))
        return np.where(at_limit, self._family.natural(mean) - self.origin, inside)

    def from_standard(self, *parameters: Array) -> Array:
        self._family.from_standard(*parameters)  # refuses what is outside its range
        return self.natural(self._mean_of_standard(*parameters)[np.newaxis])

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        mean = self.mean(eta)[0]
        zero = self.at_zero(eta) & (mean < self.reference)
        return (np.where(zero, 0.0, self._standard_of_mean(mean)),)

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X,)

    def covariance(self, eta: Array) -> Array:
        return np.asarray(self._family.covariance(self._absolute(eta)))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        return self.mean(eta)[0], self.covariance(eta)[0, 0]

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        return np.asarray(self._family.sample(self._absolute(eta), random_state, exposure))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return np.asarray(self._family.in_support(X, exposure))

    def expected_log_base_measure(self, eta: Array) -> Array:
        """E[log p(x; eta_0)], with log p(x; eta_0) = eta_0 x - A(eta_0) + log h(x)."""
        absolute = self._absolute(eta)
        partition = self._family.log_partition(self.origin)
        inner = self.origin[0] * self.mean(eta)[0]
        return np.asarray(self._family.expected_log_base_measure(absolute) + inner - partition)

    def in_domain(self, eta: Array) -> bool:
        return bool(self._family.in_domain(self._absolute(eta)))

    def at_zero(self, eta: Array) -> Array:
        return np.asarray(self._family.at_zero(self._absolute(eta)))

    def coordinates(self, eta: Array) -> Array:
        return np.asarray(self._family.coordinates(self._absolute(eta)))

    def from_coordinates(self, coordinates: Array, origin: Array) -> Array:
        return np.asarray(self._family.from_coordinates(coordinates, self._absolute(origin)) - self.origin)

    def _absolute(self, eta: Array) -> Array:
        return eta + self.origin


class RelativePoisson(RelativeFamily):
    r"""With :math:`\eta' = \log(\lambda / \lambda_0)` and :math:`A' = \lambda_0 (e^{\eta'} - 1)`."""

    def log_partition(self, eta: Array) -> Array:
        return np.asarray(self.reference * np.expm1(eta[0]))

    def mean(self, eta: Array) -> Array:
        return np.asarray(self.reference * np.exp(eta))

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return log_poisson(X, exposure * self.reference)

    def _natural_inside(self, mean: Array) -> Array:
        return log_ratio(mean, self.reference)

    def _mean_of_standard(self, *parameters: Array) -> Array:
        return np.asarray(parameters[0], dtype=np.float64)

    def _standard_of_mean(self, mean: Array) -> Array:
        return mean


class RelativeBinomial(RelativeFamily):
    r"""With :math:`A' = n \log(1 + p_0 (e^{\eta'} - 1))`, written for the rarer outcome."""

    def __init__(self, family: Any, reference: Array) -> None:
        super().__init__(family, reference)
        self._n, self._p = family.n_trials, self.reference / family.n_trials
        self._q = (family.n_trials - self.reference) / family.n_trials

    def log_partition(self, eta: Array) -> Array:
        # For failures A' / n is eta' more. The form in the rarer outcome has smaller terms.
        rare = self._p < self._q
        share, own = np.where(rare, self._p, self._q), np.where(rare, eta[0], -eta[0])
        with np.errstate(over="ignore"):
            inside = np.log1p(share * np.expm1(own))
        inside = np.where(np.isfinite(inside), inside, np.log(share) + own)
        return np.asarray(self._n * (inside + np.where(rare, 0.0, eta[0])))

    def mean(self, eta: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(self._n / (1.0 + self._q / self._p * np.exp(-eta)))

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return log_binomial(X, exposure * self._n, self._p, self._q)

    def _natural_inside(self, mean: Array) -> Array:
        return log_ratio(mean, self.reference) - log_ratio(self._n - mean, self._n - self.reference)

    def _mean_of_standard(self, *parameters: Array) -> Array:
        return self._n * np.asarray(parameters[0], dtype=np.float64)

    def _standard_of_mean(self, mean: Array) -> Array:
        return mean / self._n


class RelativeNegativeBinomial(RelativeFamily):
    r"""With :math:`A' = -r \log(1 - \frac{m_0}{r} (e^{\eta'} - 1))`; m is the mean :math:`rp / (1 - p)`."""

    def log_partition(self, eta: Array) -> Array:
        r = self._family.r
        return np.asarray(-r * np.log1p(-self.reference / r * np.expm1(eta[0])))

    def mean(self, eta: Array) -> Array:
        return np.asarray(self.reference * np.exp(eta) / (1.0 - self.reference / self._family.r * np.expm1(eta)))

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        # x successes before the r-th failure: r - 1 failures in x + r - 1 trials, and then one more failure.
        r = self._family.r * exposure
        total = self.reference + self._family.r
        binomial = log_binomial(r, X + r, self._family.r / total, self.reference / total)
        return binomial - np.log1p(X / r)

    def _natural_inside(self, mean: Array) -> Array:
        r = self._family.r
        low, high = np.minimum(mean, self.reference), np.maximum(mean, self.reference)
        return np.copysign(np.log1p(r / low * ((high - low) / (high + r))), mean - self.reference)

    def _mean_of_standard(self, *parameters: Array) -> Array:
        p = np.asarray(parameters[0], dtype=np.float64)
        return np.asarray(self._family.r * p / (1.0 - p))

    def _standard_of_mean(self, mean: Array) -> Array:
        return mean / (mean + self._family.r)
