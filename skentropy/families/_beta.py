"""The beta family."""

from __future__ import annotations

import numpy as np
from scipy import special

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import ExponentialFamily
from ._special import log_minus_digamma, trigamma

# Concentrations a + b are held below this: a beta of concentration 1e8 has a standard deviation of at most 5e-5, and the
# entropies of still larger ones lose the digits that the identity is checked to.
LARGEST_CONCENTRATION = 1e8
# Smaller shapes are lost in eta = shape - 1. Only a single value next to 0 or 1 asks for one.
SMALLEST_SHAPE = 1e-15


def _digamma_difference(a: Array, b: Array) -> Array:
    """digamma(a) - digamma(a + b), to nearly full precision also where b is much smaller than a, or both are large."""
    far = log_minus_digamma(a + b) - log_minus_digamma(a) - np.log1p(b / a)
    near = b < 1e-3 * a
    if np.any(near):
        # a + b would lose the digits of b. Gauss' rule of two points is off by (b / a)^4 / 36, relatively.
        low, high = (a + b * (0.5 + sign * np.sqrt(1.0 / 12.0)) for sign in (-1.0, 1.0))
        return np.where(near, -0.5 * b * (trigamma(low) + trigamma(high)), far)
    return far


def _start(mean: Array) -> Array:
    """Approximate shapes, exact where both are small and where both are large."""
    # digamma(a) = -1/a for small a; for large a and b exp(E[log x]) + exp(E[log(1 - x)]) = 1 - 1 / (2 (a + b)).
    root = np.sqrt(-mean)
    geometric = np.exp(mean)
    deficit = -np.expm1(mean[0]) - geometric[1]
    large = 0.5 * geometric / np.maximum(deficit, 0.5 / LARGEST_CONCENTRATION)
    return np.maximum(large, 1.0 / (root * root.sum(axis=0)))


def _shapes_of_means(mean: Array) -> Array:
    r"""Solve :math:`\psi(a) - \psi(a + b) = E[\log x]` and :math:`\psi(b) - \psi(a + b) = E[\log(1 - x)]`, elementwise.

    Newton's method with multiplicative steps, whose Hessian is a diagonal plus a rank-one matrix (Minka 2000,
    "Estimating a Dirichlet distribution"); about ten steps for shapes above 1e-4, and more for still smaller ones.
    """
    # No x below 1 has a logarithm closer to zero.
    mean = np.minimum(mean, -1e-16)
    shapes = _start(mean)
    for _ in range(25):
        curvature = trigamma(shapes)
        residual = (mean - _digamma_difference(shapes, shapes[::-1])) / curvature
        slope = trigamma(shapes.sum(axis=0))
        remainder = 1.0 - slope * (1.0 / curvature).sum(axis=0)  # positive, 0.5 / (a + b) for large shapes
        common = slope * residual.sum(axis=0) / np.maximum(remainder, 1e-16)
        step = (residual + common / curvature) / shapes
        shapes = np.maximum(shapes * np.exp(np.clip(step, -2.0, 2.0)), SMALLEST_SHAPE)
        if np.abs(step).max() < 1e-13:
            break
    beyond = shapes.sum(axis=0) > LARGEST_CONCENTRATION
    shapes = np.where(beyond, LARGEST_CONCENTRATION * special.expit(mean - mean[::-1]), shapes)
    return np.maximum(shapes, SMALLEST_SHAPE)


class Beta(ExponentialFamily):
    r"""Values between 0 and 1 with the two shapes a and b, known as ``alpha`` and ``beta``.

    .. math::  p(x) = \frac{x^{a-1} (1-x)^{b-1}}{B(a, b)}

    :math:`T = (\log x, \log(1 - x))`, :math:`\eta = (a - 1, b - 1)`, :math:`A = \log B(a, b)`, :math:`h = 1`. The
    concentration :math:`a + b` is held below 1e8.

    Examples
    --------
    >>> from skentropy.families import Beta
    >>> family = Beta()
    >>> eta = family.from_standard(2.0, 3.0)
    >>> print(f"{family.log_prob(0.5, eta):.4f} {family.entropy(eta):.4f}")
    0.4055 -0.2349
    """

    name = "beta"
    parameter_names = ("alpha", "beta")
    parameter_limits = ((0.0, np.inf), (0.0, np.inf))
    support = "values strictly between 0 and 1"
    lower_limit = 0.0
    discrete = False

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return np.log(X), np.log1p(-X)

    def log_partition(self, eta: Array) -> Array:
        return special.betaln(*self.to_standard(eta))

    def mean(self, eta: Array) -> Array:
        a, b = self.to_standard(eta)
        return np.stack([_digamma_difference(a, b), _digamma_difference(b, a)])

    def covariance(self, eta: Array) -> Array:
        a, b = self.to_standard(eta)
        mixed = -trigamma(a + b)
        return np.stack([np.stack([trigamma(a) + mixed, mixed]), np.stack([mixed, trigamma(b) + mixed])])

    def natural(self, mean: Array) -> Array:
        return _shapes_of_means(mean) - 1.0

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return eta[0] + 1.0, eta[1] + 1.0

    def from_standard(self, *parameters: Array) -> Array:
        a, b = parameters
        a = check_parameter(a, "alpha", low=0.0, open_low=True)
        b = check_parameter(b, "beta", low=0.0, open_low=True)
        return np.stack(np.broadcast_arrays(a - 1.0, b - 1.0))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        a, b = self.to_standard(eta)
        return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1.0))

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        limits = np.finfo(np.float64)
        return np.clip(random_state.beta(*self.to_standard(eta)), limits.tiny, 1.0 - limits.epsneg)

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X > 0) & (X < 1)

    def in_domain(self, eta: Array) -> bool:
        return super().in_domain(eta) and bool(((eta > -1.0).all(axis=0) & ~self.at_bound(eta)).all())

    def at_bound(self, eta: Array) -> Array:
        a, b = self.to_standard(eta)
        return a + b >= LARGEST_CONCENTRATION * (1.0 - 1e-6)
