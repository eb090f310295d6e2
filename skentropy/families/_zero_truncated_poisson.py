"""The Poisson family without zero, for counts that are observed only if they are at least one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import LOG_ZERO, ExponentialFamily, safe_exp, safe_log
from ._relative import EPS
from ._roots import RootCoordinates
from ._special import expected_log_gamma, log1mexp, log_factorial

# exp(710) overflows; an extrapolation may try.
_LARGEST_LOG_RATE = 700.0
# The error of a log-probability of large counts is the spacing of doubles times this, since terms such as log x! cancel.
_ROUNDING = 64.0
# Bernoulli numbers over factorials, B_2k / (2k)!: the coefficients of x / (1 - exp(-x)) - 1 - x / 2.
_BERNOULLI = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
    43867 / 5109094217170944000,
)
# Below this rate one term of a series suffices.
_TINY_RATE = 1e-8
# log k! / k! from k = 2 on.
_LOG_FACTORIALS = tuple(math.lgamma(k + 1) / math.factorial(k) for k in range(2, 22))
# Number of Newton steps for a rate, from a start that is at most a third too large.
_N_STEPS = 6


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
        rate = np.exp(eta[0])
        near, far = np.minimum(rate, 1.0), np.maximum(rate, 1.0)
        # The integral of the mean minus one, divided by the rate.
        series = 0.5 * near + _series(near, [b / (2 * k) for k, b in enumerate(_BERNOULLI, start=1)])
        return np.where(rate < 1.0, series, far + log1mexp(-far) - eta[0])

    def mean(self, eta: Array) -> Array:
        return _excess(np.exp(eta))

    def covariance(self, eta: Array) -> Array:
        rate = np.exp(eta)
        return ((1.0 + _excess(rate)) * _deficit(rate))[np.newaxis]

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
        rate = np.exp(eta[0])
        near, far = np.minimum(rate, 1.0), np.maximum(rate, 1.0)
        series = np.zeros_like(near)
        for log_factorial_over_factorial in reversed(_LOG_FACTORIALS):
            series = near * (log_factorial_over_factorial + series)
        # lambda / (exp(lambda) - 1), with the first factor of the series
        series *= 1.0 - _deficit(near)
        return -np.where(rate < 1.0, series, expected_log_gamma(lambda w: -far * w, far) / -np.expm1(-far))

    def in_domain(self, eta: Array) -> bool:
        return ExponentialFamily.in_domain(self, eta) and bool((eta < _LARGEST_LOG_RATE).all())

    def at_zero(self, eta: Array) -> Array:
        return eta[0] <= LOG_ZERO


def _excess(rate: Array) -> Array:
    r"""Mean minus one, :math:`\lambda / (1 - e^{-\lambda}) - 1`, by its series where it is small."""
    near, far = np.minimum(rate, 1.0), np.maximum(rate, 1.0)
    decay = np.exp(-far)
    return np.where(rate < 1.0, 0.5 * near + _series(near, _BERNOULLI), (far - 1.0 + decay) / (1.0 - decay))


def _series(x: Array, coefficients: Sequence[float]) -> Array:
    """The sum of coefficients times x^2, x^4, ..."""
    square, total = x * x, np.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = square * (coefficient + total)
    return total


def _deficit(rate: Array) -> Array:
    r""":math:`1 - \lambda / (e^\lambda - 1)`, which is the rate minus the mean's excess over one."""
    near, far = np.minimum(rate, 1.0), np.maximum(rate, 1.0)
    with np.errstate(over="ignore"):
        return np.where(rate < 1.0, near - _excess(near), 1.0 - far / np.expm1(far))


def _rate(excess: Array) -> Array:
    """The rate of a mean minus one, by Newton's method from above: the mean is convex in the rate."""
    rate = np.minimum(2.0 * excess, 1.0 + excess)
    for _ in range(_N_STEPS):
        usual = np.where(rate > _TINY_RATE, rate, 1.0)
        slope = np.where(rate > _TINY_RATE, (1.0 + _excess(usual)) * _deficit(usual) / usual, 0.5)
        rate = rate - (_excess(rate) - excess) / slope
    return np.asarray(np.maximum(rate, 0.0))
