"""The exponential distribution: waiting times."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import ExponentialFamily

# The largest rate, in units in which the data are of order one: the likelihood of a component of zeros has no maximum.
LARGEST_RATE = 1e100


class Exponential(ExponentialFamily):
    r"""Non-negative values with rate :math:`\beta`.

    .. math::  p(x) = \beta e^{-\beta x}

    :math:`T = x`, :math:`\eta = -\beta`, :math:`A = -\log\beta`, :math:`h = 1`. Rates are held below 1e100.

    Examples
    --------
    >>> from skentropy.families import Exponential
    >>> family = Exponential()
    >>> eta = family.from_standard(0.5)
    >>> print(f"{family.log_prob(3.0, eta):.4f} {family.entropy(eta):.4f}")
    -2.1931 1.6931
    """

    name = "exponential"
    parameter_names = ("rate",)
    parameter_limits = ((0.0, np.inf),)
    support = "non-negative values"
    lower_limit = 0.0
    discrete = False
    equivariance = "scale"
    zero_statistics = True

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X,)

    def log_partition(self, eta: Array) -> Array:
        return -np.log(-eta[0])

    def mean(self, eta: Array) -> Array:
        return -1.0 / eta

    def covariance(self, eta: Array) -> Array:
        return (1.0 / eta**2)[np.newaxis]

    def natural(self, mean: Array) -> Array:
        return -1.0 / np.maximum(mean, 1.0 / LARGEST_RATE)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return (-eta[0],)

    def from_standard(self, *parameters: Array) -> Array:
        (rate,) = parameters
        return -check_parameter(rate, "rate", low=0.0, open_low=True)[np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        mean = -1.0 / eta[0]
        return mean, mean**2

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        return random_state.exponential(-1.0 / eta[0])

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X >= 0) & (np.inf > X)

    def in_domain(self, eta: Array) -> bool:
        return super().in_domain(eta) and bool(((eta[0] < 0.0) & ~self.at_bound(eta)).all())

    def at_bound(self, eta: Array) -> Array:
        return eta[0] <= -LARGEST_RATE * (1.0 - 1e-6)

    def rescale(self, parameters: tuple[Array, ...], location: Array, scale: Array) -> tuple[Array, ...]:
        return (parameters[0] / scale,)
