"""The Bernoulli family."""

from __future__ import annotations

import numpy as np
from scipy import special

from .._typing import Array, Matrix
from ._arguments import check_probability
from ._base import LOG_ZERO
from ._roots import AngleCoordinates
from ._special import log_odds, softplus


class Bernoulli(AngleCoordinates):
    r"""Zeros and ones with the probability p of a one.

    .. math::  p(x) = p^x (1 - p)^{1 - x}

    :math:`T = x`, :math:`\eta = \log\frac{p}{1-p}`, :math:`A = -\log(1 - p)`, :math:`h = 1`.

    Examples
    --------
    >>> from skentropy.families import Bernoulli
    >>> family = Bernoulli()
    >>> eta = family.from_standard(0.25)
    >>> print(f"{family.log_prob(1.0, eta):.4f} {family.entropy(eta):.4f}")
    -1.3863 0.5623
    """

    name = "bernoulli"
    parameter_names = ("probability",)
    parameter_limits = ((0.0, 1.0),)
    support = "zeros and ones"
    lower_limit = 0.0
    upper_limit = 1.0
    discrete = True
    zero_statistics = True

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X,)

    def log_partition(self, eta: Array) -> Array:
        return softplus(eta[0])

    def mean(self, eta: Array) -> Array:
        return special.expit(eta)

    def covariance(self, eta: Array) -> Array:
        return (special.expit(eta) * special.expit(-eta))[np.newaxis]

    def natural(self, mean: Array) -> Array:
        return log_odds(mean)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        probability = special.expit(eta[0])
        return (np.where(eta[0] <= LOG_ZERO, 0.0, probability),)

    def from_standard(self, *parameters: Array) -> Array:
        (probability,) = parameters
        return log_odds(check_probability(probability))[np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        return special.expit(eta[0]), special.expit(eta[0]) * special.expit(-eta[0])

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        return random_state.binomial(1, special.expit(eta[0]))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X == 0) | (X == 1)

    def at_zero(self, eta: Array) -> Array:
        return np.abs(eta[0]) >= -LOG_ZERO
