"""The Poisson family without zero, for counts that are observed only if they are at least one."""

from __future__ import annotations

import math

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import LOG_ZERO, positive_or_one, safe_exp, safe_log
from ._poisson import LARGEST_LOG_RATE
from ._relative import EPS
from ._roots import RootCoordinates
from ._special import BERNOULLI, expected_log_gamma, in_two_parts, log1mexp, log_factorial, polynomial

# The error of a log-probability of large counts is the spacing of doubles times this, since terms such as log x! cancel.
_ROUNDING = 64.0
# Below this rate functions are computed by their power series.
_SMALL_RATE = 1.0
# The coefficients of x^2, x^4, ... in x / (1 - exp(-x)) - 1 - x / 2.
_OF_EXCESS = [b / math.factorial(2 * k) for k, b in enumerate(BERNOULLI, start=1)]
# Those of its integral, divided by x.
_OF_INTEGRAL = [c / (2 * k) for k, c in enumerate(_OF_EXCESS, start=1)]
# log k! / k! from k = 2 on.
_LOG_FACTORIALS = [math.lgamma(k + 1) / math.factorial(k) for k in range(2, 22)]
# Number of Newton steps for a rate, which leave 1e-16 of what the start is too large.
_N_STEPS = 4


class ZeroTruncatedPoisson(RootCoordinates):
    r"""Counts x = 1, 2, ... of a Poisson distribution with rate :math:`\lambda`, given that they are not zero.

    .. math::  p(x) = \frac{\lambda^x}{x! \, (e^\lambda - 1)}

    :math:`T = x - 1`, :math:`\eta = \log\lambda`, :math:`A = \log\frac{e^\lambda - 1}{\lambda}`, :math:`h = 1/x!`. The
    mean is :math:`\lambda / (1 - e^{-\lambda})`; at a rate of zero all counts are one. The family suits tables without
    counts of zero: lengths of stay, sizes of groups, purchases of buyers. Fractional counts are allowed, with :math:`x! =
    \Gamma(x + 1)`. Exposures are not, since with them the distributions form no exponential family.

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy.families import ZeroTruncatedPoisson
    >>> family = ZeroTruncatedPoisson()
    >>> eta = family.from_standard(2.0)
    >>> family.log_prob(np.array([1.0, 2.0, 4.0]), eta).round(4)
    array([-1.1614, -1.1614, -2.2601])
    >>> print(f"{family.moments(eta)[0]:.4f} {family.entropy(eta):.4f}")
    2.3130 1.5133
    """

    name = "zero_truncated_poisson"
    parameter_names = ("rate",)
    parameter_limits = ((0.0, np.inf),)
    support = "values of at least one"
    lower_limit = 1.0
    discrete = True
    constant_base_measure = False

    def rounding_error(self, largest: Array) -> Array:
        return np.asarray(_ROUNDING * EPS * largest)

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X - 1,)

    def log_partition(self, eta: Array) -> Array:
        def series(rate: Array) -> Array:
            square = rate * rate
            return 0.5 * rate + square * polynomial(square, _OF_INTEGRAL)

        rate = np.exp(eta[0])
        return in_two_parts(rate, _SMALL_RATE, series, lambda rate: rate + log1mexp(-rate) - eta[0])

    def mean(self, eta: Array) -> Array:
        return _excess(np.exp(eta))

    def covariance(self, eta: Array) -> Array:
        return _variance(np.exp(eta))[np.newaxis]

    def natural(self, mean: Array) -> Array:
        return safe_log(_rate(np.asarray(mean, dtype=np.float64)))

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return (safe_exp(eta[0]),)

    def from_standard(self, *parameters: Array) -> Array:
        (rate,) = parameters
        return safe_log(check_parameter(rate, "rate", low=0.0))[np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        return 1.0 + self.mean(eta)[0], self.covariance(eta)[0, 0]

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        """Draw counts: the first event at its time, given that it occurs, and the events of the remaining time."""
        rate = np.exp(eta[0])
        first = -np.log1p(random_state.uniform(size=np.shape(rate)) * np.expm1(-rate))
        return 1 + random_state.poisson(np.maximum(rate - first, 0.0))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X >= 1) & (np.inf > X)

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return -log_factorial(X)

    def expected_log_base_measure(self, eta: Array) -> Array:
        """The expectation under the Poisson distribution, to which zeros add nothing, over the probability of no zero."""

        def series(rate: Array) -> Array:
            # lambda / (exp(lambda) - 1), with the first factor of the series
            return rate * polynomial(rate, _LOG_FACTORIALS) * (1.0 - _deficit(rate))

        def integral(rate: Array) -> Array:
            return expected_log_gamma(lambda w: -rate * w, rate) / -np.expm1(-rate)

        return -in_two_parts(np.exp(eta[0]), _SMALL_RATE, series, integral)

    def in_domain(self, eta: Array) -> bool:
        return super().in_domain(eta) and bool((eta < LARGEST_LOG_RATE).all())

    def at_zero(self, eta: Array) -> Array:
        return eta[0] <= LOG_ZERO


def _excess(rate: Array) -> Array:
    r"""Mean minus one, :math:`\lambda / (1 - e^{-\lambda}) - 1`."""

    def series(rate: Array) -> Array:
        square = rate * rate
        return 0.5 * rate + square * polynomial(square, _OF_EXCESS)

    return in_two_parts(rate, _SMALL_RATE, series, lambda rate: (rate - 1.0 + np.exp(-rate)) / -np.expm1(-rate))


def _deficit(rate: Array) -> Array:
    r""":math:`1 - \lambda / (e^\lambda - 1)`, which is the rate minus the mean's excess over one."""
    with np.errstate(over="ignore"):
        return in_two_parts(rate, _SMALL_RATE, lambda rate: rate - _excess(rate), lambda rate: 1.0 - rate / np.expm1(rate))


def _variance(rate: Array) -> Array:
    return (1.0 + _excess(rate)) * _deficit(rate)


def _upper_rate(excess: Array) -> Array:
    """At most a third more than the rate of a mean minus one, to which it tends at either end."""
    return np.minimum(2.0 * excess, 1.0 + excess)


def _rate(excess: Array) -> Array:
    """The rate of a mean minus one, by Newton's method from above: the mean is convex in the rate."""
    rate = _upper_rate(excess)
    for _ in range(_N_STEPS):
        # The slope of the mean is the variance over the rate.
        rate = rate - rate * ((_excess(rate) - excess) / positive_or_one(_variance(rate)))
    return np.maximum(rate, 0.0)
