"""The geometric family."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_probability
from ._base import LOG_ZERO, TINY
from ._negative_binomial import NegativeBinomial
from ._roots import RootCoordinates
from ._special import log1mexp

# The negative binomial family with r = 1, whose "probability" is 1 - p.
_NEGATIVE_BINOMIAL = NegativeBinomial(r=1.0)
# The largest double that is an integer of 64 bits.
_LARGEST_DRAW = 2.0**63 - 2.0**10


class Geometric(RootCoordinates):
    r"""Counts x = 0, 1, 2, ... of failures before the first success, which has probability p.

    .. math::  p(x) = p (1 - p)^x

    :math:`T = x`, :math:`\eta = \log(1 - p)`, :math:`A = -\log p`, :math:`h = 1`. Fractional counts are allowed.

    Examples
    --------
    >>> from skentropy.families import Geometric
    >>> family = Geometric()
    >>> eta = family.from_standard(0.25)
    >>> print(f"{family.log_prob(3.0, eta):.4f} {family.entropy(eta):.4f}")
    -2.2493 2.2493
    """

    name = "geometric"
    parameter_names = ("probability",)
    parameter_limits = ((0.0, 1.0),)
    support = "non-negative values"
    lower_limit = 0.0
    discrete = True
    zero_statistics = True

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X,)

    def log_partition(self, eta: Array) -> Array:
        return -log1mexp(eta[0])

    def mean(self, eta: Array) -> Array:
        return _NEGATIVE_BINOMIAL.mean(eta)

    def covariance(self, eta: Array) -> Array:
        return _NEGATIVE_BINOMIAL.covariance(eta)

    def natural(self, mean: Array) -> Array:
        return _NEGATIVE_BINOMIAL.natural(mean)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return (-np.expm1(eta[0]),)

    def from_standard(self, *parameters: Array) -> Array:
        (probability,) = parameters
        p = check_probability(probability, open_low=True)
        with np.errstate(divide="ignore"):
            return np.maximum(np.log1p(-p), np.log(TINY))[np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        return _NEGATIVE_BINOMIAL.moments(eta)

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        draws = np.floor(random_state.exponential(-1.0 / eta[0]))
        return np.minimum(draws, _LARGEST_DRAW).astype(np.int64)

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X >= 0) & (np.inf > X)

    def in_domain(self, eta: Array) -> bool:
        return _NEGATIVE_BINOMIAL.in_domain(eta)

    def at_zero(self, eta: Array) -> Array:
        return eta[0] <= LOG_ZERO
