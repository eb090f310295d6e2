r"""Modified Bessel functions of the first kind, for densities of directions.

Debye's expansion (DLMF 10.41.3) is uniform in order and argument: with :math:`w = \sqrt{\nu^2 + \kappa^2}`

.. math::  I_\nu(\kappa) \kappa^{-\nu} \simeq \frac{e^w}{\sqrt{2 \pi w} \, (\nu + w)^\nu} \, U,
           \qquad U = \sum_k w^{-k} u_k(\nu^2 / w^2).

For small w, recurrences lead down from a higher order.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .._typing import Array

# The largest concentration. Angles then have a standard deviation of 1e-4. With larger ones log-densities would lose digits
# that the identity needs, since cosines are known to 1e-16.
LARGEST_CONCENTRATION = 1e8
# From this w on the first omitted term is less than 1e-16.
_N_TERMS = 14
_LEAST_WIDTH = 32.0
# Number of Newton steps for a concentration, and the relative change that ends them; the remaining error is its square.
_NEWTON_STEPS = 12
_SETTLED = 1e-8


def _expansion() -> Array:
    r"""Coefficients :math:`c_{ki}` of :math:`U = \sum_{ki} c_{ki} w^{-k} (\nu / w)^{2i}`, by the recurrence of DLMF 10.41.9.

    After them, those of the first two derivatives of U by -log w.
    """
    coefficients, u = np.zeros((_N_TERMS + 1, _N_TERMS + 1)), [Fraction(1)]
    coefficients[0, 0] = 1.0
    for k in range(_N_TERMS):
        # U_k = t^k sum_i u_i t^(2i); U_{k+1} = t^2 (1 - t^2) U_k' / 2 + int_0^t (1 - 5 s^2) U_k ds / 8
        following = [Fraction(0)] * (k + 2)
        for i, c in enumerate(u):
            power = k + 2 * i
            following[i] += c * (Fraction(power, 2) + Fraction(1, 8 * (power + 1)))
            following[i + 1] -= c * (Fraction(power, 2) + Fraction(5, 8 * (power + 3)))
        u = following
        coefficients[k + 1, : k + 2] = [float(c) for c in u]
    degrees = np.arange(_N_TERMS + 1)[:, np.newaxis] + 2 * np.arange(_N_TERMS + 1)
    return np.stack([coefficients, coefficients * degrees, coefficients * degrees**2])


_COEFFICIENTS = _expansion()


@dataclass(frozen=True)
class BesselTerms:
    r"""Functions of :math:`I_\nu(\kappa)`, elementwise, each to nearly all digits.

    Attributes
    ----------
    log_scaled : ndarray
        :math:`\log(I_\nu(\kappa) \kappa^{-\nu}) - \kappa`.
    ratio : ndarray
        :math:`A / \kappa`, with the mean length :math:`A = I_{\nu+1}(\kappa) / I_\nu(\kappa)`.
    complement : ndarray
        :math:`1 - A`.
    slope : ndarray
        :math:`A'(\kappa)`.
    """

    log_scaled: Array
    ratio: Array
    complement: Array
    slope: Array

    @classmethod
    def of(cls, order: float, kappa: Array) -> BesselTerms:
        """At some order :math:`\\nu \\ge 0` and arguments :math:`\\kappa \\ge 0`."""
        kappa = np.asarray(kappa, dtype=np.float64)
        if order >= _LEAST_WIDTH:
            return _far(order, kappa)
        near = kappa < _LEAST_WIDTH
        if not near.any():
            return _far(order, kappa)
        low = _near(order, np.minimum(kappa, _LEAST_WIDTH))
        if near.all():
            return low
        high = _far(order, np.maximum(kappa, _LEAST_WIDTH))
        return cls(*(np.where(near, getattr(low, name), getattr(high, name)) for name in cls.__dataclass_fields__))


def _far(nu: float, kappa: Array) -> BesselTerms:
    """The functions by the expansion."""
    w = np.hypot(nu, kappa)
    p, s = 1.0 / w, (nu / w) ** 2
    powers_of_p, powers_of_s = _powers(p), _powers(s)
    U, first, second = ((powers_of_p @ c * powers_of_s).sum(axis=-1) for c in _COEFFICIENTS)
    # A = kappa / (w + nu) - kappa Q / w^2 with Q = 1/2 + U' / U, from DLMF 10.41.5; none of the following cancels.
    Q = 0.5 + first / U
    slope_of_Q = -kappa * p**2 * (second / U - (first / U) ** 2)
    return BesselTerms(
        log_scaled=nu**2 / (w + kappa) - nu * np.log(nu + w) - 0.5 * np.log(2.0 * np.pi * w) + np.log(U),
        ratio=1.0 / (w + nu) - Q * p**2,
        complement=(nu + nu**2 / (w + kappa)) / (w + nu) + kappa * Q * p**2,
        slope=nu * p / (w + nu) + (kappa - nu) * (kappa + nu) * p**4 * Q - kappa * p**2 * slope_of_Q,
    )


def _powers(x: Array) -> Array:
    powers = np.ones((*x.shape, _N_TERMS + 1))
    powers[..., 1:] = x[..., np.newaxis]
    return np.cumprod(powers, axis=-1, out=powers)


def _near(nu: float, kappa: Array) -> BesselTerms:
    """The functions from the expansion at a higher order, by I_{nu} = 2 (nu + 1) / kappa I_{nu+1} + I_{nu+2}."""
    n_steps = int(np.ceil(_LEAST_WIDTH - nu))
    high = _far(nu + n_steps, kappa)
    ratio, log_scaled = high.ratio, high.log_scaled
    for order in nu + np.arange(n_steps)[::-1]:
        ratio = 1.0 / (2.0 * (order + 1.0) + kappa**2 * ratio)
        log_scaled = log_scaled - np.log(ratio)
    mean = kappa * ratio
    return BesselTerms(log_scaled, ratio, 1.0 - mean, (1.0 - mean) * (1.0 + mean) - (2.0 * nu + 1.0) * ratio)


def concentration_of_length(order: float, length: Array, complement: Array) -> Array:
    r"""Solve :math:`A(\kappa) = R`, elementwise, for mean lengths R and 1 - R; no more than 1e8.

    Newton's method, which after its first step comes from below, since A is concave.
    """
    kappa = _start(order, length, complement)
    for _ in range(_NEWTON_STEPS):
        terms = BesselTerms.of(order, kappa)
        # The smaller of R and 1 - R has more digits.
        excess = np.where(length < complement, length - kappa * terms.ratio, terms.complement - complement)
        changed = np.minimum(kappa + excess / terms.slope, LARGEST_CONCENTRATION)
        settled = np.abs(changed - kappa) <= _SETTLED * kappa
        kappa = changed
        if settled.all():
            break
    return kappa


def _start(order: float, length: Array, complement: Array) -> Array:
    """Approximate concentrations, within 7 per cent, and exact in both limits.

    Banerjee et al. (2005), "Clustering on the Unit Hypersphere using von Mises-Fisher Distributions", Eqn. 4.4.
    """
    n_dimensions = 2.0 * order + 2.0
    with np.errstate(divide="ignore"):
        kappa = length * (n_dimensions - length**2) / (np.maximum(complement, 0.0) * (1.0 + length))
    return np.minimum(kappa, LARGEST_CONCENTRATION)
