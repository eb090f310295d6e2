"""The inverse Gaussian family."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import ExponentialFamily
from ._special import scaled_exp1

# The largest ratio of shape to mean, the inverse of the relative variance. With larger ratios the entropies would lose
# digits that the identity needs.
LARGEST_RATIO = 1e8


class InverseGaussian(ExponentialFamily):
    r"""Positive values with mean :math:`\mu` and shape :math:`\lambda`.

    .. math::  p(x) = \sqrt{\frac{\lambda}{2 \pi x^3}} \exp\Big(-\frac{\lambda (x - \mu)^2}{2 \mu^2 x}\Big)

    :math:`T = (x, 1/x)`, :math:`\eta = (-\lambda/(2\mu^2), -\lambda/2)`, :math:`A = -\lambda/\mu - \frac12 \log\lambda +
    \frac12 \log 2\pi`, :math:`h = x^{-3/2}`. The variance is :math:`\mu^3 / \lambda`; the ratio :math:`\lambda/\mu` is
    held below 1e8.

    Examples
    --------
    >>> from skentropy.families import InverseGaussian
    >>> family = InverseGaussian()
    >>> eta = family.from_standard(1.0, 2.0)
    >>> print(f"{family.log_prob(0.5, eta):.4f} {family.entropy(eta):.4f}")
    -0.0326 0.7628
    """

    name = "inverse_gaussian"
    parameter_names = ("mean", "shape")
    parameter_limits = ((0.0, np.inf), (0.0, np.inf))
    support = "positive values"
    lower_limit = 0.0
    discrete = False
    constant_base_measure = False
    equivariance = "scale"

    @property
    def base_measure_degree(self) -> float:
        return -1.5

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return X, 1.0 / X

    def log_partition(self, eta: Array) -> Array:
        mean, shape = self.to_standard(eta)
        return -shape / mean + 0.5 * np.log(2.0 * np.pi / shape)

    def mean(self, eta: Array) -> Array:
        mean, shape = self.to_standard(eta)
        return np.stack([mean, 1.0 / mean + 1.0 / shape])

    def covariance(self, eta: Array) -> Array:
        mean, shape = self.to_standard(eta)
        cubed = mean**3 / shape
        second = 1.0 / (mean * shape) + 2.0 / shape**2
        return np.stack([np.stack([cubed, -mean / shape]), np.stack([-mean / shape, second])])

    def natural(self, mean: Array) -> Array:
        mean_x, mean_inverse = mean
        inverse_ratio = np.maximum(mean_x * mean_inverse - 1.0, 1.0 / LARGEST_RATIO)
        return np.stack([-0.5 / (mean_x * inverse_ratio), -0.5 * mean_x / inverse_ratio])

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return np.sqrt(-eta[1]) / np.sqrt(-eta[0]), -2.0 * eta[1]

    def from_standard(self, *parameters: Array) -> Array:
        mean, shape = parameters
        mean = check_parameter(mean, "mean", low=0.0, open_low=True)
        shape = check_parameter(shape, "shape", low=0.0, open_low=True)
        return np.stack(np.broadcast_arrays(-0.5 * shape / mean / mean, -0.5 * shape))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        mean, shape = self.to_standard(eta)
        return mean, mean / shape * mean * mean

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        # Michael, Schucany and Haas (1976), with the smaller root in a form that does not cancel.
        mean, shape = self.to_standard(eta)
        w = random_state.standard_normal(np.shape(mean)) ** 2 * mean / shape
        smaller = 2.0 / (2.0 + w + np.sqrt(w * (w + 4.0)))
        return mean * np.where(random_state.uniform(size=np.shape(mean)) * (1.0 + smaller) < 1.0, smaller, 1.0 / smaller)

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X > 0) & (np.inf > X)

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return -1.5 * np.log(X, dtype=np.float64)

    def expected_log_base_measure(self, eta: Array) -> Array:
        mean, shape = self.to_standard(eta)
        return -1.5 * (np.log(mean) - scaled_exp1(2.0 * shape / mean))

    def stable_log_prob(self, X: Array, parameters: tuple[Array, ...]) -> Array:
        mean, shape = parameters
        return 0.5 * (np.log(shape / (2.0 * np.pi)) - shape * ((X - mean) / mean) ** 2 / X)

    def in_domain(self, eta: Array) -> bool:
        return super().in_domain(eta) and bool((eta < 0.0).all()) and not bool(self.at_bound(eta).any())

    def at_bound(self, eta: Array) -> Array:
        # The ratio of shape to mean is twice the geometric mean of the natural parameters.
        return 2.0 * np.sqrt(-eta[0]) * np.sqrt(-eta[1]) >= LARGEST_RATIO * (1.0 - 1e-6)

    def rescale(self, parameters: tuple[Array, ...], location: Array, scale: Array) -> tuple[Array, ...]:
        mean, shape = parameters
        return scale * mean, scale * shape
