"""The gamma family."""

from __future__ import annotations

import numpy as np
from scipy import special
from scipy.interpolate import CubicHermiteSpline, PPoly

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import ExponentialFamily
from ._special import log_minus_digamma, log_ratio, stirling_remainder, trigamma

# The largest shape. The relative standard deviation is then 1e-4. With larger shapes the entropies would lose digits that
# the identity needs.
LARGEST_SHAPE = 1e8
# Larger rates, which belong to values that are tiny compared with others, would overflow in products.
LARGEST_RATE = 1e306
# Of the table of shapes; still smaller ones are extrapolated.
_LEAST_TABULATED, _N_TABULATED = 1e-10, 1400


def _shapes_by_log_ratio() -> PPoly:
    """Cubic polynomials (Hermite's) for the logarithm of the shape, and for its slope, as functions of log s."""
    shape = np.geomspace(LARGEST_SHAPE, _LEAST_TABULATED, _N_TABULATED)
    s = log_minus_digamma(shape)
    spline = CubicHermiteSpline(np.log(s), np.log(shape), s / (1.0 - shape * trigamma(shape)))
    slope = np.pad(spline.derivative().c, ((1, 0), (0, 0)))
    return PPoly(np.stack([spline.c, slope], axis=-1), spline.x)


_SHAPES = _shapes_by_log_ratio()


def shape_from_log_ratio(s: Array) -> Array:
    r"""Solve :math:`\log\alpha - \psi(\alpha) = s`, elementwise.

    A table, within 1e-9 everywhere, and one step of Newton's method reach machine precision.
    """
    s = np.maximum(s, 0.5 / LARGEST_SHAPE)
    log_shape, slope = np.moveaxis(_SHAPES(np.log(s)), -1, 0)
    alpha = np.exp(log_shape)
    alpha *= np.exp((1.0 - log_minus_digamma(alpha) / s) * slope)
    return np.minimum(alpha, LARGEST_SHAPE)


class Gamma(ExponentialFamily):
    r"""Positive values with shape :math:`\alpha` and rate :math:`\beta`.

    .. math::  p(x) = \frac{\beta^\alpha}{\Gamma(\alpha)} x^{\alpha-1} e^{-\beta x}

    :math:`T = (\log x, x)`, :math:`\eta = (\alpha - 1, -\beta)`, :math:`A = \log\Gamma(\alpha) - \alpha\log\beta`,
    :math:`h = 1`, W(54); the entropy is W(57). Shapes are held below 1e8, and rates
    below 1e306.

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy.families import Gamma
    >>> family = Gamma()
    >>> x = np.array([0.5, 1.0, 3.0])
    >>> mean = np.array([t.mean() for t in family.sufficient_statistics(x)])
    >>> shape, rate = family.to_standard(family.natural(mean))  # maximum likelihood
    >>> print(f"{shape:.4f} {rate:.4f}")
    2.0004 1.3336
    """

    name = "gamma"
    parameter_names = ("shape", "rate")
    parameter_limits = ((0.0, np.inf), (0.0, np.inf))
    support = "positive values"
    lower_limit = 0.0
    discrete = False
    equivariance = "scale"

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return np.log(X), X

    def log_partition(self, eta: Array) -> Array:
        shape, rate = self.to_standard(eta)
        return special.gammaln(shape) - shape * np.log(rate)

    def mean(self, eta: Array) -> Array:
        shape, rate = self.to_standard(eta)
        mean_x = shape / rate
        return np.stack([np.log(mean_x) - log_minus_digamma(shape), mean_x])

    def covariance(self, eta: Array) -> Array:
        shape, rate = self.to_standard(eta)
        return np.stack([np.stack([trigamma(shape), 1.0 / rate]), np.stack([1.0 / rate, shape / rate / rate])])

    def natural(self, mean: Array) -> Array:
        mean_log, mean_x = mean
        with np.errstate(over="ignore"):
            shape = np.minimum(shape_from_log_ratio(np.log(mean_x) - mean_log), LARGEST_RATE * mean_x)
        return np.stack([shape - 1.0, -shape / mean_x])

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return eta[0] + 1.0, -eta[1]

    def from_standard(self, *parameters: Array) -> Array:
        shape, rate = parameters
        shape = check_parameter(shape, "shape", low=0.0, open_low=True)
        rate = check_parameter(rate, "rate", low=0.0, open_low=True)
        return np.stack(np.broadcast_arrays(shape - 1.0, -rate))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        shape, rate = self.to_standard(eta)
        return shape / rate, shape / rate / rate

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        shape, rate = self.to_standard(eta)
        return np.maximum(random_state.gamma(shape, 1.0 / rate), np.finfo(np.float64).tiny)

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X > 0) & (np.inf > X)

    def stable_log_prob(self, X: Array, parameters: tuple[Array, ...]) -> Array:
        # With x = m (1 + d), m the mean, whose rounding errors cancel, and Stirling's remainder of log Gamma.
        shape, rate = parameters
        mean = shape / rate
        d = (X - mean) / mean
        log_density = shape * (log_ratio(X, mean) - d) + 0.5 * np.log(shape / (2.0 * np.pi)) - stirling_remainder(shape)
        return log_density - np.log(X)

    def in_domain(self, eta: Array) -> bool:
        inside = (eta[0] > -1.0) & (eta[1] < 0.0) & ~self.at_bound(eta)
        return super().in_domain(eta) and bool(inside.all())

    def at_bound(self, eta: Array) -> Array:
        shape, rate = self.to_standard(eta)
        return (shape >= LARGEST_SHAPE * (1.0 - 1e-6)) | (rate >= LARGEST_RATE * (1.0 - 1e-6))

    def rescale(self, parameters: tuple[Array, ...], location: Array, scale: Array) -> tuple[Array, ...]:
        shape, rate = parameters
        return shape, rate / scale
