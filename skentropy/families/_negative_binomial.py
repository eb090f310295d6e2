"""The negative binomial family."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_probability, is_number
from ._base import LOG_ZERO, TINY, ExponentialFamily, safe_exp, safe_log
from ._relative import EPS, RelativeNegativeBinomial
from ._roots import RootCoordinates
from ._special import expected_log_gamma, log1mexp, log_factorial, log_rising


class NegativeBinomial(RootCoordinates):
    r"""Counts x = 0, 1, 2, ... of successes, each with probability p, before the r-th failure.

    .. math::  p(x) = \binom{x + r - 1}{x} p^x (1 - p)^r

    :math:`T = x`, :math:`\eta = \log p`, :math:`A = -r \log(1 - p)`, :math:`h = \binom{x + r - 1}{x}`. The mean is
    :math:`\mu = rp / (1-p)` and the variance :math:`\mu + \mu^2 / r`. Such counts
    are more dispersed than in the Poisson family, the limit of large r. Fractional counts are allowed, with gamma functions
    for the factorials. Under an exposure s the dispersion parameter is :math:`s r`.

    Parameters
    ----------
    r : float or None, default=None
        The dispersion parameter r, positive. With None mixtures fit it for each component and column (see
        ``NegativeBinomialMixture``); methods that need r then raise an error.

    Examples
    --------
    >>> from skentropy.families import NegativeBinomial
    >>> family = NegativeBinomial(r=2.5)
    >>> eta = family.from_standard(0.4)
    >>> print(f"{family.log_prob(3.0, eta):.4f} {family.entropy(eta):.4f}")
    -2.1446 1.7249
    """

    name = "negative_binomial"
    parameter_names = ("probability",)
    parameter_limits = ((0.0, 1.0),)
    support = "non-negative values"
    lower_limit = 0.0
    discrete = True
    constant_base_measure = False
    additive = True
    zero_statistics = True

    def __init__(self, r: float | None = None) -> None:
        if r is not None and not is_number(r, Real, low=TINY):
            raise ValueError(f"r must be a positive finite number, or None to be fitted; got {r!r}.")
        self.r = r

    @property
    def _known_r(self) -> float:
        if self.r is None:
            raise ValueError(
                "NegativeBinomial() leaves r to be fitted by a mixture, and has no densities of its own; give "
                "NegativeBinomial(r=...) for a family with a known r."
            )
        return self.r

    def relative_to(self, mean: Array, largest: float) -> ExponentialFamily:
        return RelativeNegativeBinomial.where_large(self, mean, largest)

    def rounding_error(self, largest: Array) -> Array:
        return np.asarray(EPS * np.minimum(largest, 10.0 * self._known_r))

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X,)

    def log_partition(self, eta: Array) -> Array:
        return -self._known_r * log1mexp(eta[0])

    def mean(self, eta: Array) -> Array:
        return self._known_r * np.exp(eta) / -np.expm1(eta)

    def covariance(self, eta: Array) -> Array:
        mean = self.mean(eta)
        return (mean + mean**2 / self._known_r)[np.newaxis]

    def natural(self, mean: Array) -> Array:
        # The second form where p is close to one, and log p would lose its digits.
        return np.where(
            mean < self._known_r,
            safe_log(mean / (mean + self._known_r)),
            -np.log1p(self._known_r / np.maximum(mean, self._known_r)),
        )

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return (safe_exp(eta[0]),)

    def from_standard(self, *parameters: Array) -> Array:
        (probability,) = parameters
        return safe_log(check_probability(probability, open_high=True))[np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        mean = self.mean(eta)[0]
        return mean, mean + mean**2 / self._known_r

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        shape = self._known_r * (1.0 if exposure is None else exposure)
        return random_state.poisson(random_state.gamma(shape, np.exp(eta[0]) / -np.expm1(eta[0])))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X >= 0) & (np.inf > X)

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return log_rising(X, self._known_r * exposure) - log_factorial(X)

    def expected_log_base_measure(self, eta: Array) -> Array:
        mean = self.mean(eta)[0]

        def log_generating(w: float) -> Array:
            return -self._known_r * np.log1p(mean / self._known_r * w)

        return expected_log_gamma(log_generating, mean, start=self._known_r) - expected_log_gamma(log_generating, mean)

    def in_domain(self, eta: Array) -> bool:
        return super().in_domain(eta) and bool((eta < 0.0).all())

    def at_zero(self, eta: Array) -> Array:
        return eta[0] <= LOG_ZERO
