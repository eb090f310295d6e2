"""The Poisson family."""

from __future__ import annotations

import numpy as np
from scipy import sparse, special

from .._typing import Array, Matrix
from ._base import TINY, ExponentialFamily, safe_log
from ._checks import check_parameter
from ._series import expectation_over_counts

_LARGEST_TABULATED = 4096
_LOG_FACTORIALS = special.gammaln(np.arange(_LARGEST_TABULATED + 1) + 1.0)


def log_factorial(X: Array) -> Array:
    """log x!, through Gamma(x + 1) for fractional x; small integers are looked up, which is ten times faster."""
    X = np.asarray(X)
    if X.size and X.max() <= _LARGEST_TABULATED:
        index = X.astype(np.intp)
        if np.array_equal(index, X):
            return _LOG_FACTORIALS[index]
    return special.gammaln(X + 1.0)


class Poisson(ExponentialFamily):
    r"""Counts with rate :math:`\lambda`: :math:`p(x) = \lambda^x e^{-\lambda} / x!`.

    :math:`T = x`, :math:`\eta = \log\lambda`, :math:`A = \lambda`, :math:`h = 1/x!`, W(58). The pseudo entropy is
    :math:`\lambda (1 - \log\lambda)`, W(61). Fractional counts are allowed, with :math:`x! = \Gamma(x + 1)`. Under an
    exposure s the rate is :math:`s \lambda` and :math:`h = s^x / x!`.
    """

    name = "poisson"
    parameter_names = ("rate",)
    support = "non-negative values"
    lower_limit = 0.0
    discrete = True
    constant_base_measure = False
    additive = True
    zero_statistics = True

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X,)

    def log_partition(self, eta: Array) -> Array:
        return np.exp(eta[0])

    def mean(self, eta: Array) -> Array:
        return np.exp(eta)

    def natural(self, mean: Array) -> Array:
        return safe_log(mean)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        rate = np.exp(eta[0])
        return (np.where(rate <= TINY, 0.0, rate),)

    def from_standard(self, *parameters: Array) -> Array:
        (rate,) = parameters
        return safe_log(check_parameter(rate, "rate", low=0.0))[np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        rate = np.exp(eta[0])
        return rate, rate

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        return random_state.poisson(np.exp(eta[0]) * (1.0 if exposure is None else exposure))

    def in_support(self, X: Array) -> Array:
        return (X >= 0) & (X < np.inf)

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return X * np.log(exposure) - log_factorial(X)

    def expected_log_base_measure(self, eta: Array) -> Array:
        rate = np.exp(eta[0])
        return -expectation_over_counts(log_factorial, lambda x, t: x * np.log(t) - t - log_factorial(x), rate, rate)

    def at_zero(self, eta: Array) -> Array:
        return eta[0] <= np.log(TINY)
