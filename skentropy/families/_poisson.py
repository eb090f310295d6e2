"""The Poisson family."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import LOG_ZERO, ExponentialFamily, exp_or_zero, safe_exp, safe_log
from ._relative import EPS, RelativePoisson
from ._roots import RootCoordinates
from ._special import expected_log_gamma, log_factorial

# exp(710) overflows; an extrapolation may try.
LARGEST_LOG_RATE = 700.0


class Poisson(RootCoordinates):
    r"""Counts x = 0, 1, 2, ... with rate :math:`\lambda`.

    .. math::  p(x) = \frac{\lambda^x e^{-\lambda}}{x!}

    :math:`T = x`, :math:`\eta = \log\lambda`, :math:`A = \lambda`, :math:`h = 1/x!`, W(58). The pseudo entropy is
    :math:`\lambda (1 - \log\lambda)`, W(61). Fractional counts are allowed, with :math:`x! = \Gamma(x + 1)`. Under an
    exposure s the rate is :math:`s \lambda` and :math:`h = s^x / x!`.

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy.families import Poisson
    >>> family = Poisson()
    >>> eta = family.from_standard(2.0)
    >>> family.log_prob(np.array([0.0, 1.0, 4.0]), eta).round(4)
    array([-2.    , -1.3069, -2.4055])
    >>> print(f"{family.pseudo_entropy(eta):.4f} {family.entropy(eta):.4f}")
    0.6137 1.7049
    """

    name = "poisson"
    parameter_names = ("rate",)
    parameter_limits = ((0.0, np.inf),)
    support = "non-negative values"
    lower_limit = 0.0
    discrete = True
    constant_base_measure = False
    additive = True
    zero_statistics = True

    def relative_to(self, mean: Array, largest: float) -> ExponentialFamily:
        return RelativePoisson.where_large(self, mean, largest)

    def rounding_error(self, largest: Array) -> Array:
        return np.asarray(EPS * largest)

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X,)

    def log_partition(self, eta: Array) -> Array:
        return exp_or_zero(eta[0])

    def mean(self, eta: Array) -> Array:
        return np.exp(eta)

    def covariance(self, eta: Array) -> Array:
        return np.exp(eta)[np.newaxis]

    def natural(self, mean: Array) -> Array:
        return safe_log(mean)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return (safe_exp(eta[0]),)

    def from_standard(self, *parameters: Array) -> Array:
        (rate,) = parameters
        return safe_log(check_parameter(rate, "rate", low=0.0))[np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        rate = np.exp(eta[0])
        return rate, rate

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        return random_state.poisson(np.exp(eta[0]) * (1.0 if exposure is None else exposure))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X >= 0) & (np.inf > X)

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return X * np.log(exposure) - log_factorial(X)

    def expected_log_base_measure(self, eta: Array) -> Array:
        rate = np.exp(eta[0])
        return -expected_log_gamma(lambda w: -rate * w, rate)

    def in_domain(self, eta: Array) -> bool:
        return super().in_domain(eta) and bool((eta < LARGEST_LOG_RATE).all())

    def at_zero(self, eta: Array) -> Array:
        return eta[0] <= LOG_ZERO
