"""The beta family."""

from __future__ import annotations

import numpy as np
from scipy import special

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import ExponentialFamily
from ._shapes import LARGEST_CONCENTRATION, mean_logarithms, shapes_of_mean_logarithms
from ._special import trigamma


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
        return mean_logarithms(np.stack(self.to_standard(eta)))

    def covariance(self, eta: Array) -> Array:
        a, b = self.to_standard(eta)
        mixed = -trigamma(a + b)
        return np.stack([np.stack([trigamma(a) + mixed, mixed]), np.stack([mixed, trigamma(b) + mixed])])

    def natural(self, mean: Array) -> Array:
        return shapes_of_mean_logarithms(mean) - 1.0

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
