"""Functions that scipy.special lacks, or computes to fewer digits than the families need."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from .._typing import Array
from ._base import SMALLEST_NORMAL, exp_or_zero, safe_log

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
    cut = -np.log(2.0)
    return np.where(x > cut, np.log(-np.expm1(np.maximum(x, cut))), np.log1p(-exp_or_zero(np.minimum(x, cut))))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0.0) + np.log1p(exp_or_zero(-np.abs(x)))


def log_minus_digamma(x: Array) -> Array:
    """log x - digamma(x), by its asymptotic series where the difference would cancel."""
    limit = 20.0
    near, far = np.minimum(x, limit), np.maximum(x, limit)
    z = far**-2.0
    series = 0.5 / far + z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z / 132))))
    return np.where(x < limit, np.log(near) - special.digamma(near), series)


def stirling_remainder(x: Array) -> Array:
    r""":math:`\log\Gamma(x) - (x - \frac12) \log x + x - \frac12 \log 2\pi`, by its asymptotic series for large x."""
    limit = 20.0
    near, far = np.minimum(x, limit), np.maximum(x, limit)
    z = far**-2.0
    series = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z / 1188)))) / far
    exact = special.gammaln(near) - (near - 0.5) * np.log(near) + near - 0.5 * np.log(2.0 * np.pi)
    return np.where(x < limit, exact, series)


def log_ratio(a: Array, b: Array) -> Array:
    """log(a / b) of positive numbers, to all digits even if they are nearly equal."""
    near = np.abs(a - b) < 0.5 * b
    return np.where(near, np.log1p(np.where(near, (a - b) / b, 0.0)), np.log(a / b))


def deviance_term(x: Array, m: Array) -> Array:
    r""":math:`x \log(x / m) + m - x` for :math:`x, m > 0`, by its series where x and m are close (Loader 2000)."""
    difference, total = x - m, x + m
    v = difference / total
    near = np.abs(v) < 0.1
    v2 = np.where(near, v, 0.0) ** 2
    odd = np.zeros_like(v2)
    for j in range(9, 0, -1):  # v^2 / 3 + v^4 / 5 + ...
        odd = v2 * (odd + 1 / (2 * j + 1))
    return np.where(near, difference * v + 2.0 * x * v * odd, x * np.log(x / m) - difference)


def log_poisson(x: Array, m: Array) -> Array:
    r"""Log-probability of counts x of mean m > 0, by Stirling's remainder and the deviance (Loader 2000).

    .. math::  -\tfrac12 \log(2 \pi x) - \delta(x) - D(x, m)
    """
    x, m = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64))
    count = np.where(x >= SMALLEST_NORMAL, x, 1.0)
    log_p = -0.5 * np.log(2.0 * np.pi * count) - stirling_remainder(count) - deviance_term(count, m)
    return np.where(x >= SMALLEST_NORMAL, log_p, -m) + np.where(np.isnan(x), np.nan, 0.0)


def log_binomial(x: Array, n: Array, p: Array, q: Array) -> Array:
    r"""Log-probability of x of n, 0 < p < 1 and q = 1 - p, by Stirling's remainders and deviances (Loader 2000).

    .. math::

        \tfrac12 \log\frac{n}{2 \pi x (n - x)} + \delta(n) - \delta(x) - \delta(n - x) - D(x, np) - D(n - x, nq)
    """
    x, n, p, q = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (x, n, p, q)))
    inside = (x >= SMALLEST_NORMAL) & (x < n)
    a, b = np.where(inside, x, 0.5 * n), np.where(inside, n - x, 0.5 * n)
    log_p = stirling_remainder(n) - stirling_remainder(a) - stirling_remainder(b)
    log_p -= deviance_term(a, n * p) + deviance_term(b, n * q) + 0.5 * np.log(2.0 * np.pi * a * (b / n))
    rare, common = np.where(x < n, p, q), np.where(x < n, q, p)
    at_end = n * np.where(rare < 0.5, np.log1p(-np.minimum(rare, 0.5)), np.log(common))
    return np.where(inside, log_p, at_end) + np.where(np.isnan(x), np.nan, 0.0)


def trigamma(x: Array) -> Array:
    """Derivative of digamma by its asymptotic series, for small x after ten steps of its recurrence."""
    n_steps, near = 10, x < 20.0
    far = np.where(near, x + n_steps, x)
    z = 1.0 / (far * far)
    series = 1 / 42 - z * (1 / 30 - z * (5 / 66 - z * 691 / 2730))
    value = 1.0 / far + z * (0.5 + (1 / 6 - z * (1 / 30 - z * series)) / far)
    if near.any():
        small = np.minimum(x, 20.0)
        steps = np.zeros_like(small)
        for k in range(n_steps):  # one at a time, for the memory
            step = small + k
            steps += 1.0 / (step * step)
        value = value + np.where(near, steps, 0.0)
    return value


def scaled_exp1(x: Array) -> Array:
    r""":math:`e^x E_1(x)`, by its asymptotic series where the first factor would overflow."""
    limit = 50.0
    near, far = np.minimum(x, limit), np.maximum(x, limit)
    terms = np.cumprod([-k / far for k in range(1, 20)], axis=0)
    return np.where(x < limit, np.exp(near) * special.exp1(near), (1.0 + terms.sum(axis=0)) / far)


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
