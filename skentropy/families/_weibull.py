"""The Weibull family: times to failure."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy import special

from .._typing import Array, Matrix
from ._arguments import check_parameter, is_number
from ._exponential import Exponential

# Limits of given shapes, within which powers of values in their own units do not overflow or underflow.
_SHAPES = (1e-2, 1e2)


class Weibull(Exponential):
    r"""Positive values with scale :math:`\lambda` and shape k.

    .. math::  p(x) = \frac{k}{\lambda} \Bigl(\frac{x}{\lambda}\Bigr)^{k-1} e^{-(x / \lambda)^k}

    :math:`T = x^k`, :math:`\eta = -\lambda^{-k}`, :math:`A = k \log\lambda`, :math:`h = k x^{k-1}`. The hazard falls for
    k < 1 and rises for k > 1; k = 1 is the exponential family. :math:`\lambda^{-k}` is held below 1e100.

    Parameters
    ----------
    shape : float or None, default=None
        The shape k, from 0.01 to 100. With None mixtures fit it for each component and column; methods that need k then
        raise an error. Such a fit stores how often each component sees each distinct value, so its memory grows with the
        number of rows, also of ``RowBlocks``.

    Examples
    --------
    >>> from skentropy.families import Weibull
    >>> family = Weibull(shape=1.5)
    >>> eta = family.from_standard(2.0)
    >>> print(f"{family.log_prob(3.0, eta):.4f} {family.entropy(eta):.4f}")
    -1.9221 1.4801
    """

    name = "weibull"
    parameter_names = ("scale",)
    support = "positive values"
    constant_base_measure = False
    zero_statistics = False

    def __init__(self, shape: float | None = None) -> None:
        low, high = _SHAPES
        if shape is not None and (not is_number(shape, Real, low=low) or shape > high):
            raise ValueError(f"shape must be a number from {low:g} to {high:g}, or None to be fitted; got {shape!r}.")
        self.shape = shape

    @property
    def _known_shape(self) -> float:
        if self.shape is None:
            raise ValueError(
                "Weibull() leaves its shape to be fitted by a mixture, and has no densities of its own; give "
                "Weibull(shape=...) for a family of a known shape."
            )
        return self.shape

    @property
    def base_measure_degree(self) -> float:
        return self._known_shape - 1.0

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X**self._known_shape,)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return ((-eta[0]) ** (-1.0 / self._known_shape),)

    def from_standard(self, *parameters: Array) -> Array:
        (scale,) = parameters
        return -(check_parameter(scale, "scale", low=0.0, open_low=True)[np.newaxis] ** -self._known_shape)

    def moments(self, eta: Array) -> tuple[Array, Array]:
        (scale,) = self.to_standard(eta)
        mean = special.gamma(1.0 + 1.0 / self._known_shape)
        return scale * mean, scale**2 * (special.gamma(1.0 + 2.0 / self._known_shape) - mean**2)

    def typical_value(self, eta: Array) -> Array:
        return self.to_standard(eta)[0]

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        (scale,) = self.to_standard(eta)
        draws = scale * random_state.standard_exponential(np.shape(scale)) ** (1.0 / self._known_shape)
        return np.maximum(draws, np.finfo(np.float64).tiny)

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X > 0) & (np.inf > X)

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return np.log(self._known_shape) + (self._known_shape - 1.0) * np.log(X, dtype=np.float64)

    def expected_log_base_measure(self, eta: Array) -> Array:
        (scale,) = self.to_standard(eta)
        return np.log(self._known_shape) + (self._known_shape - 1.0) * (np.log(scale) - np.euler_gamma / self._known_shape)

    def rescale(self, parameters: tuple[Array, ...], location: Array, scale: Array) -> tuple[Array, ...]:
        return (parameters[0] * scale,)
