"""Functions that scipy.special lacks, or computes to fewer digits than the families need."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from .._typing import Array
from ._base import SMALLEST_NORMAL, exp_or_zero, positive_or_one, safe_log

Function = Callable[[Array], Array]

# The Bernoulli numbers B_2, B_4, ..., of which many series are made.
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
_OF_DIGAMMA = [b / (2 * k) for k, b in enumerate(BERNOULLI[:5], start=1)]
_OF_LOG_GAMMA = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI[:5], start=1)]
# Those of artanh(v) / v - 1.
_OF_ARTANH = [1 / (2 * k + 1) for k in range(1, 10)]

_N_TABULATED = 4096
_LOG_FACTORIALS = special.gammaln(np.arange(_N_TABULATED) + 1.0)


def log_factorial(X: Array | float) -> Array:
    """log x!, through Gamma(x + 1) for fractional x; small integers are looked up, which is ten times faster."""
    X = np.asarray(X)
    if X.size and X.min() >= 0 and X.max() < _N_TABULATED:
        index = X.astype(np.intp)
        if np.array_equal(index, X):
            return _LOG_FACTORIALS[index]
    return special.gammaln(np.add(X, 1.0, dtype=np.float64))


def log_odds(p: Array) -> Array:
    """log p - log(1 - p), with the finite values -744.44 and 744.44 at 0 and 1."""
    return safe_log(p) - safe_log(1.0 - p)


def log1mexp(x: Array) -> Array:
    """log(1 - exp(x)) for x < 0, without loss of digits at either end."""
    return in_two_parts(x, -np.log(2.0), lambda x: np.log1p(-exp_or_zero(x)), lambda x: np.log(-np.expm1(x)))


def polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    """c_0 + c_1 x + c_2 x^2 + ..."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += coefficient
    return total


def in_two_parts(x: Array, limit: float, below: Function, above: Function) -> Array:
    """below(x) where x is below the limit, above(x) from there on; neither sees values of the other's part."""
    return np.where(x < limit, below(np.minimum(x, limit)), above(np.maximum(x, limit)))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0.0) + np.log1p(exp_or_zero(-np.abs(x)))


def log_minus_digamma(x: Array) -> Array:
    """log x - digamma(x), by its asymptotic series where the difference would cancel."""

    def series(x: Array) -> Array:
        z = x**-2.0
        return 0.5 / x + z * polynomial(z, _OF_DIGAMMA)

    return in_two_parts(x, 20.0, lambda x: np.log(x) - special.digamma(x), series)


def stirling_remainder(x: Array) -> Array:
    r""":math:`\log\Gamma(x) - (x - \frac12) \log x + x - \frac12 \log 2\pi`, by its asymptotic series for large x."""

    def exact(x: Array) -> Array:
        return special.gammaln(x) - (x - 0.5) * np.log(x) + x - 0.5 * np.log(2.0 * np.pi)

    def series(x: Array) -> Array:
        return polynomial(x**-2.0, _OF_LOG_GAMMA) / x

    return in_two_parts(x, 20.0, exact, series)


def log_rising(x: Array, r: Array | float) -> Array:
    r""":math:`\log\Gamma(x + r) - \log\Gamma(r)` for :math:`x \ge 0`, by Stirling's remainders where that cancels."""
    x, r = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(r, dtype=np.float64))
    large = np.maximum(r, 20.0)
    by_remainders = x * np.log(x + large) + (large - 0.5) * np.log1p(x / large) - x
    by_remainders += stirling_remainder(x + large) - stirling_remainder(large)
    return np.where(r < 20.0, special.gammaln(x + r) - special.gammaln(r), by_remainders)


def log_ratio(a: Array, b: Array) -> Array:
    """log(a / b) of positive numbers, to all digits, also if they are nearly equal or the quotient overflows."""
    difference = a - b
    # For a > b this is sqrt(a / b) - 1.
    excess = np.abs(difference) / (np.minimum(a, b) + np.sqrt(a) * np.sqrt(b))
    return np.copysign(2.0 * np.log1p(excess), difference)


def deviance_term(x: Array, m: Array) -> Array:
    r""":math:`x \log(x / m) + m - x` for :math:`x, m > 0`, by its series where x and m are close (Loader 2000)."""
    difference, total = x - m, x + m
    v = difference / total
    v2 = v * v
    odd = v2 * polynomial(v2, _OF_ARTANH)
    return np.where(np.abs(v) < 0.1, difference * v + 2.0 * x * v * odd, x * log_ratio(x, m) - difference)


def log_poisson(x: Array, m: Array) -> Array:
    r"""Log-probability of counts x of mean m > 0, by Stirling's remainder and the deviance (Loader 2000).

    .. math::  -\tfrac12 \log(2 \pi x) - \delta(x) - D(x, m)
    """
    x, m = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64))
    count = positive_or_one(x)
    log_p = -0.5 * np.log(2.0 * np.pi * count) - stirling_remainder(count) - deviance_term(count, m)
    return np.where(x < SMALLEST_NORMAL, -m, log_p)


def log_binomial(x: Array, n: Array, p: Array, q: Array) -> Array:
    r"""Log-probability of x of n, 0 < p < 1 and q = 1 - p, by Stirling's remainders and deviances (Loader 2000).

    .. math::

        \tfrac12 \log\frac{n}{2 \pi x (n - x)} + \delta(n) - \delta(x) - \delta(n - x) - D(x, np) - D(n - x, nq)
    """
    x, n, p, q = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (x, n, p, q)))
    a, b = positive_or_one(x), positive_or_one(n - x)
    log_p = stirling_remainder(n) - stirling_remainder(a) - stirling_remainder(b)
    log_p -= deviance_term(a, n * p) + deviance_term(b, n * q) + 0.5 * np.log(2.0 * np.pi * a * (b / n))
    # At either end the other outcome does not occur; log q is -log(1 + p / q).
    at_end = -n * np.log1p(np.where(x < n, p / q, q / p))
    return np.where((x < SMALLEST_NORMAL) | (x >= n), at_end, log_p)


def trigamma(x: Array) -> Array:
    """Derivative of digamma, by ten steps of its recurrence and its asymptotic series."""
    n_steps = 10
    far = x + n_steps
    z = 1.0 / (far * far)
    value = 1.0 / far + z * (0.5 + polynomial(z, BERNOULLI[:6]) / far)
    for k in range(n_steps):  # one at a time, for the memory
        step = x + k
        value += 1.0 / (step * step)
    return value


def scaled_exp1(x: Array) -> Array:
    r""":math:`e^x E_1(x)`, by its asymptotic series where the first factor would overflow."""

    def series(x: Array) -> Array:
        terms = np.cumprod([-k / x for k in range(1, 20)], axis=0)
        return (1.0 + terms.sum(axis=0)) / x

    return in_two_parts(x, 50.0, lambda x: np.exp(x) * special.exp1(x), series)


# The error of the rule is exp(-pi^2 / step), 1e-17; beyond these nodes the integrand is smaller than rounding errors.
_STEP = 0.25
_LEAST_LOG_NODE = -70.0
_LARGEST_NODE = 37.0


def expected_log_gamma(log_generating: Callable[[float], Array], mean: Array, start: Array | float = 1.0) -> Array:
    r"""Compute :math:`E[\log\Gamma(x + r) - \log\Gamma(r)]` for counts x, with r = ``start``; r = 1 gives E[log x!].

    Malmstén's integral of the log-gamma function turns the sum over counts into one integral over the probability
    generating function (Cheraghchi 2019, "Expressions for the entropy of basic discrete distributions"),

    .. math::

        \int_0^\infty \Big( m e^{-t} - \frac{e^{-rt}}{w} (1 - E[(1 - w)^x]) \Big) \frac{dt}{t}, \qquad w = 1 - e^{-t},

    which the trapezoidal rule in log t computes to rounding error, at the same cost for every mean.

    Parameters
    ----------
    log_generating : callable
        :math:`\log E[(1 - w)^x]` as a function of w, an array shaped like ``mean``.
    mean : array
        E[x].
    start : float or array, default=1.0
    """
    total = np.zeros(np.broadcast_shapes(np.shape(mean), np.shape(start)))
    for log_t in np.arange(_LEAST_LOG_NODE, np.log(_LARGEST_NODE / min(np.min(start), 1.0)), _STEP):
        t = np.exp(log_t)
        w = -np.expm1(-t)
        total += mean * np.exp(-t) + np.exp(-start * t) / w * np.expm1(log_generating(w))
    return _STEP * total
