"""The log-normal family."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import ExponentialFamily
from ._gaussian import Gaussian

_GAUSSIAN = Gaussian()


def _of_logarithm(eta: Array) -> Array:
    """Natural parameters of the Gaussian log x; its density of x has a factor 1/x, which eta absorbs."""
    return np.stack([eta[0] + 1.0, eta[1]])


class LogNormal(ExponentialFamily):
    r"""Positive values whose logarithm is Gaussian with mean :math:`\mu` and variance :math:`v`.

    .. math::  p(x) = \frac{1}{x \sqrt{2 \pi v}} \exp\Big(-\frac{(\log x - \mu)^2}{2v}\Big)

    :math:`T = (\log x, \log^2 x)`, :math:`\eta = (\mu/v - 1, -1/(2v))`, :math:`A = \mu^2/(2v) + \frac12 \log(2\pi v)`,
    :math:`h = 1`; the entropy is :math:`\mu + \frac12 \log(2\pi e v)`. Variances have the
    bounds of the Gaussian family.

    Examples
    --------
    >>> from skentropy.families import LogNormal
    >>> family = LogNormal()
    >>> eta = family.from_standard(0.5, 1.0)
    >>> print(f"{family.log_prob(2.0, eta):.4f} {family.entropy(eta):.4f}")
    -1.6307 1.9189
    """

    name = "log_normal"
    parameter_names = ("log_mean", "log_variance")
    parameter_limits = ((-np.inf, np.inf), (0.0, np.inf))
    support = "positive values"
    lower_limit = 0.0
    discrete = False
    equivariance = "scale"

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        log_x = np.log(X)
        return log_x, np.square(log_x)

    def log_partition(self, eta: Array) -> Array:
        return _GAUSSIAN.log_partition(_of_logarithm(eta))

    def mean(self, eta: Array) -> Array:
        return _GAUSSIAN.mean(_of_logarithm(eta))

    def covariance(self, eta: Array) -> Array:
        return _GAUSSIAN.covariance(_of_logarithm(eta))

    def natural(self, mean: Array) -> Array:
        of_logarithm = _GAUSSIAN.natural(mean)
        return np.stack([of_logarithm[0] - 1.0, of_logarithm[1]])

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return _GAUSSIAN.to_standard(_of_logarithm(eta))

    def from_standard(self, *parameters: Array) -> Array:
        mean, variance = parameters
        mean = check_parameter(mean, "log_mean", low=-np.inf, open_low=True)
        variance = check_parameter(variance, "log_variance", low=0.0, open_low=True)
        return np.stack(np.broadcast_arrays(mean / variance - 1.0, -0.5 / variance))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        mean, variance = self.to_standard(eta)
        mean_x = np.exp(mean + 0.5 * variance)
        return mean_x, np.expm1(variance) * mean_x**2

    def typical_value(self, eta: Array) -> Array:
        # Use the median: the mean of a wide distribution is larger than nearly all draws.
        return np.exp(self.to_standard(eta)[0])

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        # Exponentials of smaller numbers are not normal doubles, and those of larger numbers are infinite.
        return np.exp(np.clip(_GAUSSIAN.sample(_of_logarithm(eta), random_state), -708.0, 709.0))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X > 0) & (np.inf > X)

    def stable_log_prob(self, X: Array, parameters: tuple[Array, ...]) -> Array:
        log_x = np.log(X)
        return _GAUSSIAN.stable_log_prob(log_x, parameters) - log_x

    def in_domain(self, eta: Array) -> bool:
        return _GAUSSIAN.in_domain(eta)

    def at_bound(self, eta: Array) -> Array:
        return _GAUSSIAN.at_bound(eta)

    def rescale(self, parameters: tuple[Array, ...], location: Array, scale: Array) -> tuple[Array, ...]:
        log_mean, log_variance = parameters
        return log_mean + np.log(scale), log_variance
