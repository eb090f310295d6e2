r"""Negative binomial distributions with a mean and a dispersion, which is zero in the Poisson limit.

.. math::

    p(x) = h(x; a) \exp(\eta x - A), \qquad h = \frac{\Gamma(x + r)}{\Gamma(r)\, x!}, \quad
    \eta = \log\frac{a \mu}{1 + a \mu}, \quad A = \frac{\log(1 + a \mu)}{a},

with the mean :math:`\mu`, the dispersion a and :math:`r = 1 / a`; in the limit :math:`h = 1 / x!`, :math:`\eta = \log \mu`
and :math:`A = \mu`. The variance is :math:`\mu + a \mu^2`. Slopes are taken of :math:`B = \log h + \log x! + x \log a`,
which vanishes in the limit: for whole numbers it is :math:`\sum_{j<x} \log(1 + a j)`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import Array, FloatArray
from ._base import SMALLEST_NORMAL, ExponentialFamily, positive_or_one, safe_log
from ._negative_binomial import NegativeBinomial
from ._poisson import Poisson
from ._relative import EPS
from ._special import log_factorial, log_minus_digamma, stirling_remainder, trigamma

# A dispersion is zero or lies between these.
LEAST_DISPERSION = float(np.exp(-16.0))
LARGEST_DISPERSION = float(np.exp(8.0))
# If the dispersion times the count is less, B and its slopes are computed from power series.
_SMALL = 1e-3
# Largest number of Newton steps for a dispersion, each inside a bracket. They end when the logarithm changes by less; the
# remaining error is the square of that.
_MOST_STEPS = 100
_PRECISION = 1e-6


def dispersed(mean: Array, dispersion: Array) -> tuple[Array, Array]:
    """Natural parameter and log-partition for a mean and a dispersion."""
    z = dispersion * mean
    # Logarithms of z / (1 + z), also where that is close to one.
    log_p = -np.log1p(1.0 / np.maximum(z, SMALLEST_NORMAL))
    eta = np.where((dispersion > 0.0) & (mean >= SMALLEST_NORMAL), log_p, safe_log(mean))
    return eta, _over(np.log1p(z), dispersion, mean)


def log_base_measure(x: Array, a: Array) -> Array:
    """log h(x; a) in terms of Stirling's remainders, in which large terms have cancelled analytically."""
    r = 1.0 / positive_or_one(a)
    positive = x >= SMALLEST_NORMAL
    count = positive_or_one(x)
    with np.errstate(over="ignore"):
        log_h = count * np.log1p(r / count) + (r - 0.5) * np.log1p(count / r) - 0.5 * np.log(2.0 * np.pi * count)
    log_h = log_h + stirling_remainder(count + r) - stirling_remainder(r) - stirling_remainder(count)
    return np.where(positive, np.where(a > 0.0, log_h, -log_factorial(count)), 0.0)


def log_rising_slope(x: Array, a: Array, less: Array | float = 0.0) -> Array:
    """Derivative of B by log a, minus ``less`` times x."""
    r = 1.0 / positive_or_one(a)
    exact = (1.0 - less) * x - r * _digamma_difference(x, a, r)
    return _near_zero(x, a, exact, (1.0, -1.0, 1.0, -1.0, 1.0), less * x)


def log_rising_curvature(x: Array, a: Array) -> Array:
    """Second derivative of B by log a."""
    r = 1.0 / positive_or_one(a)
    exact = r * _digamma_difference(x, a, r) + r**2 * (trigamma(x + r) - trigamma(r))
    return _near_zero(x, a, exact, (1.0, -2.0, 3.0, -4.0, 5.0))


def partition_slope(mean: Array, a: Array, more: Array | float = 0.0) -> Array:
    r"""The other terms that depend on log a, if the mean is that of the data; plus ``more`` times the mean.

    .. math::

        \frac{\partial}{\partial \log a} \bigl((\eta - \log a) \mu - A\bigr) = \frac{\log(1 + z) - z}{a}, \quad z = a \mu
    """
    z = a * mean
    series = z**2 * (-1 / 2 + z * (1 / 3 + z * (-1 / 4 + z / 5))) + more * z
    return _over(np.where(z < _SMALL, series, np.log1p(z) - (1.0 - more) * z), a, 0.0)


def partition_curvature(mean: Array, a: Array) -> Array:
    r"""The second derivative, :math:`(z / (1 + z) - \log(1 + z)) / a`."""
    z = a * mean
    series = z**2 * (-1 / 2 + z * (2 / 3 + z * (-3 / 4 + 4 * z / 5)))
    return _over(np.where(z < _SMALL, series, z / (1.0 + z) - np.log1p(z)), a, 0.0)


def fit_dispersion(slope: Callable[[Array], tuple[Array, Array]], excess: Array, start: Array) -> FloatArray:
    """Dispersions that maximise a likelihood.

    The maximum is unique, and zero where the variance is no larger than the mean (Levin and Reeds 1977, "Compound
    multinomial likelihood functions are unimodal").

    Parameters
    ----------
    slope : callable
        First and second derivative of the likelihood by log a, of an array of dispersions.
    excess : array
        A number with the sign of the slope at zero.
    start : array
        A first guess, such as the estimate by moments.
    """
    low, high = np.full(excess.shape, np.log(LEAST_DISPERSION)), np.full(excess.shape, np.log(LARGEST_DISPERSION))
    log_a = np.log(np.clip(np.nan_to_num(start), LEAST_DISPERSION, LARGEST_DISPERSION))
    for _ in range(_MOST_STEPS):
        first, second = slope(np.exp(log_a))
        low, high = np.where(first > 0.0, log_a, low), np.where(first > 0.0, high, log_a)
        # Where the likelihood is not concave, Newton's step leads out of the bracket.
        with np.errstate(all="ignore"):
            new = log_a - first / second
        new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        settled = (np.abs(new - log_a) <= _PRECISION) | (excess <= 0.0)
        log_a = new
        if settled.all():
            break
    a = np.exp(log_a)
    return np.where((excess > 0.0) & (a > LEAST_DISPERSION * (1.0 + 1e-6)), np.minimum(a, LARGEST_DISPERSION), 0.0)


class DispersedPoisson(Poisson):
    """Negative binomials with known dispersions; natural parameters are reduced by log a, which includes the limit a = 0.

    The family serves seeds and draws. It lacks the base measure, which depends on the fitted dispersions.

    Parameters
    ----------
    dispersion : float or array, default=0.0
        Broadcasts against natural parameters without their first axis.
    """

    name = "negative_binomial"

    def __init__(self, dispersion: float | Array = 0.0) -> None:
        self.dispersion = dispersion

    @property
    def absolute(self) -> ExponentialFamily:
        return NegativeBinomial()

    def relative_to(self, mean: Array, largest: float) -> ExponentialFamily:
        return self

    def rounding_error(self, largest: Array) -> Array:
        return np.asarray(EPS * largest)

    def log_partition(self, eta: Array) -> Array:
        mean = self.mean(eta)[0]
        return _over(np.log1p(self.dispersion * mean), self.dispersion, mean)

    def mean(self, eta: Array) -> Array:
        odds = np.exp(eta)
        return odds / (1.0 - self.dispersion * odds)

    def natural(self, mean: Array) -> Array:
        return safe_log(mean) - np.log1p(self.dispersion * mean)

    def covariance(self, eta: Array) -> Array:
        return self.moments(eta)[1][np.newaxis, np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        mean = self.mean(eta)[0]
        return mean, mean + self.dispersion * mean**2

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        mean, a = np.broadcast_arrays(self.mean(eta)[0], self.dispersion)
        own = positive_or_one(a)
        rate = np.where(a > 0.0, random_state.gamma(1.0 / own, own * mean), mean)
        return random_state.poisson(rate)


def _over(value: Array, a: Array | float, at_zero: Array | float) -> Array:
    a = np.asarray(a)
    return np.where(a > 0.0, value / positive_or_one(a), at_zero)


def _digamma_difference(x: Array, a: Array, r: Array) -> Array:
    return np.log1p(a * x) - log_minus_digamma(x + r) + log_minus_digamma(r)


def _near_zero(x: Array, a: Array, exact: Array, coefficients: tuple[float, ...], less: Array | float = 0.0) -> Array:
    """For a near zero a series in a^k with sums of j^k over j < x, minus ``less``; otherwise the exact value."""
    n1, twice = x * (x - 1.0) / 2.0, 2.0 * x - 1.0
    sums = (n1, n1 * twice / 3.0, n1**2, n1 * twice * (6.0 * n1 - 1.0) / 15.0, n1**2 * (4.0 * n1 - 1.0) / 3.0)
    series = sum(c * a ** (k + 1) * power for k, (c, power) in enumerate(zip(coefficients, sums, strict=True)))
    return np.where((a < _SMALL) & (a * x < _SMALL), series - less, exact)
