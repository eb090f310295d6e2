"""The Gaussian family of one feature."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import ExponentialFamily

# The least variance, in units in which the data are of order one. A smaller difference of a mean square and a squared mean
# is a rounding error.
SMALLEST_VARIANCE = 1e-14
# A smaller share of the mean square is a rounding error.
_ROUNDING = 8.0 * np.finfo(np.float64).eps


def _floor(mean_square: Array) -> Array:
    return np.maximum(SMALLEST_VARIANCE, _ROUNDING * mean_square)


class Gaussian(ExponentialFamily):
    r"""Real values with mean :math:`\mu` and variance :math:`v`; over several features, a diagonal covariance.

    .. math::  p(x) = \frac{1}{\sqrt{2 \pi v}} \exp\Big(-\frac{(x - \mu)^2}{2v}\Big)

    :math:`T = (x, x^2)`, :math:`\eta = (\mu/v, -1/(2v))`, :math:`A = \mu^2/(2v) + \frac12 \log(2\pi v)`, :math:`h = 1`;
    the entropy is :math:`\frac12 \log(2\pi e v)`, W(32). Variances are held above 1e-14 and above 8 machine epsilons of the
    mean square, below which they would be rounding errors.

    Examples
    --------
    >>> from skentropy.families import Gaussian
    >>> family = Gaussian()
    >>> eta = family.from_standard(3.0, 4.0)
    >>> print(f"{family.log_prob(1.0, eta):.4f} {family.entropy(eta):.4f}")
    -2.1121 2.1121
    """

    name = "gaussian"
    parameter_names = ("mean", "variance")
    parameter_limits = ((-np.inf, np.inf), (0.0, np.inf))
    support = "finite values"
    lower_limit = -np.inf
    discrete = False
    equivariance = "affine"
    zero_statistics = True

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return X, X.power(2) if sparse.issparse(X) else np.square(X)

    def log_partition(self, eta: Array) -> Array:
        mean, variance = self.to_standard(eta)
        return 0.5 * (mean * eta[0] + np.log(2.0 * np.pi * variance))

    def mean(self, eta: Array) -> Array:
        mean, variance = self.to_standard(eta)
        return np.stack([mean, mean**2 + variance])

    def covariance(self, eta: Array) -> Array:
        variance = -0.5 / eta[1]
        mean = eta[0] * variance
        mixed = 2.0 * mean * variance
        return np.stack([np.stack([variance, mixed]), np.stack([mixed, 2.0 * mean * mixed + 2.0 * variance**2])])

    def natural(self, mean: Array) -> Array:
        mean_x, mean_square = mean
        variance = np.maximum(mean_square - mean_x**2, _floor(mean_square))
        return np.stack([mean_x / variance, -0.5 / variance])

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        variance = -0.5 / eta[1]
        return eta[0] * variance, variance

    def from_standard(self, *parameters: Array) -> Array:
        mean, variance = parameters
        mean = check_parameter(mean, "mean", low=-np.inf, open_low=True)
        variance = check_parameter(variance, "variance", low=0.0, open_low=True)
        return np.stack(np.broadcast_arrays(mean / variance, -0.5 / variance))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        mean, variance = self.to_standard(eta)
        return mean, variance

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        mean, variance = self.to_standard(eta)
        return random_state.normal(mean, np.sqrt(variance))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return np.abs(X) < np.inf

    def stable_log_prob(self, X: Array, parameters: tuple[Array, ...]) -> Array:
        mean, variance = parameters
        return -0.5 * ((X - mean) ** 2 / variance + np.log(2.0 * np.pi * variance))

    def in_domain(self, eta: Array) -> bool:
        return super().in_domain(eta) and not bool(self.at_bound(eta).any())

    def at_bound(self, eta: Array) -> Array:
        # Next to the square of the mean a variance at the floor is nothing; negative ones lie below.
        variance = -0.5 / eta[1]
        mean = eta[0] * variance
        return variance <= _floor(mean**2) * (1.0 + 1e-6)

    def rescale(self, parameters: tuple[Array, ...], location: Array, scale: Array) -> tuple[Array, ...]:
        mean, variance = parameters
        return location + scale * mean, scale**2 * variance
