"""The von Mises family of angles."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_parameter
from ._base import ExponentialFamily, positive_or_one
from ._bessel import LARGEST_CONCENTRATION, BesselTerms, concentration_of_length
from ._circle import TURN
from ._vector import check_bound

# Angles may exceed a full turn by this much, a rounding error of single precision.
_ROUNDING = 1e-6


class VonMises(ExponentialFamily):
    r"""Angles in radians with mean direction :math:`\mu` and concentration :math:`\kappa`, such as directions of winds.

    .. math::  p(x) = \frac{\exp(\kappa \cos(x - \mu))}{2 \pi I_0(\kappa)}

    :math:`T = (\cos x, \sin x)`, :math:`\eta = (\kappa \cos\mu, \kappa \sin\mu)`, :math:`A = \log(2 \pi I_0(\kappa))`,
    :math:`h = 1`. The density is on the circle: angles that differ by :math:`2 \pi` are the same. Times of the day or the
    year become angles when multiplied by :math:`2 \pi` and divided by the length of the day or the year. Fitted means lie
    between :math:`-\pi` and :math:`\pi`; the variance is the mean squared length of the chord from the mean direction,
    :math:`2 (1 - I_1(\kappa) / I_0(\kappa))`, which approaches :math:`1 / \kappa` for concentrated angles.
    Concentrations are held below 1e8. A concentration of zero is the uniform distribution.

    References
    ----------
    Mardia and Jupp (2000), "Directional Statistics", Section 3.5.4.

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy.families import VonMises
    >>> family = VonMises()
    >>> angles = np.deg2rad([350.0, 5.0, 20.0, 15.0])
    >>> mean = np.array([t.mean() for t in family.sufficient_statistics(angles)])
    >>> direction, concentration = family.to_standard(family.natural(mean))  # maximum likelihood
    >>> print(f"{np.rad2deg(direction):.2f} {concentration:.2f}")
    7.54 25.42
    """

    name = "von_mises"
    parameter_names = ("mean", "concentration")
    parameter_limits = ((-np.inf, np.inf), (0.0, np.inf))
    support = (
        "angles in radians from -2 pi to 2 pi (numpy.deg2rad makes them of degrees, and numpy.mod(x, 2 * numpy.pi) leaves "
        "out whole turns)"
    )
    lower_limit = -TURN * (1.0 + _ROUNDING)
    discrete = False
    circular = True

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return np.cos(X), np.sin(X)

    def log_partition(self, eta: Array) -> Array:
        kappa = _length(eta)
        return kappa + BesselTerms.of(0.0, kappa).log_scaled + np.log(TURN)

    def mean(self, eta: Array) -> Array:
        return eta * BesselTerms.of(0.0, _length(eta)).ratio

    def covariance(self, eta: Array) -> Array:
        kappa = _length(eta)
        terms = BesselTerms.of(0.0, kappa)
        # A' along the mean direction, A / kappa across it.
        along = eta / positive_or_one(kappa)
        outer = along[:, np.newaxis] * along
        unit = np.eye(2).reshape(2, 2, *(1,) * kappa.ndim)
        return terms.ratio * unit + (terms.slope - terms.ratio) * outer

    def natural(self, mean: Array) -> Array:
        length = _length(mean)
        kappa = concentration_of_length(0.0, length, 1.0 - length)
        return mean * (kappa / positive_or_one(length))

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return np.arctan2(eta[1], eta[0]), _length(eta)

    def from_standard(self, *parameters: Array) -> Array:
        mean, concentration = parameters
        mean = check_parameter(mean, "mean", low=-np.inf, open_low=True)
        concentration = check_parameter(concentration, "concentration", low=0.0)
        check_bound(concentration, LARGEST_CONCENTRATION, "concentration")
        return np.stack(np.broadcast_arrays(concentration * np.cos(mean), concentration * np.sin(mean)))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        direction, kappa = self.to_standard(eta)
        return direction, 2.0 * BesselTerms.of(0.0, kappa).complement

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        return np.asarray(random_state.vonmises(*self.to_standard(eta)))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return np.abs(X) <= TURN * (1.0 + _ROUNDING)

    def stable_log_prob(self, X: Array, parameters: tuple[Array, ...]) -> Array:
        mean, kappa = parameters
        log_scaled = BesselTerms.of(0.0, kappa).log_scaled
        return -2.0 * kappa * np.sin(0.5 * (X - mean)) ** 2 - log_scaled - np.log(TURN)

    def in_domain(self, eta: Array) -> bool:
        return super().in_domain(eta) and not bool(self.at_bound(eta).any())

    def at_bound(self, eta: Array) -> Array:
        return _length(eta) >= LARGEST_CONCENTRATION * (1.0 - 1e-6)


def _length(eta: Array) -> Array:
    return np.hypot(eta[0], eta[1])
