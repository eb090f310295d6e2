"""Coordinates in which a probability or a rate of zero is at a finite distance: square roots of mean parameters."""

from __future__ import annotations

import numpy as np

from .._typing import Array
from ._base import ExponentialFamily

# An extrapolation keeps at least this share of a mean parameter's distance from its limit.
_SHARE = 0.5
_LOG_SHARE = float(np.log(_SHARE))


class RootCoordinates(ExponentialFamily):
    """Families whose mean parameters are non-negative: the coordinates are their square roots."""

    def coordinates(self, eta: Array) -> Array:
        return np.sqrt(self.mean(eta))

    def from_coordinates(self, coordinates: Array, origin: Array) -> Array:
        mean = np.maximum(coordinates, 0.0) ** 2
        return self.natural(np.maximum(mean, _SHARE * self.mean(origin)))


class AngleCoordinates(ExponentialFamily):
    r"""Families whose natural parameter is the log-odds of a probability p: the coordinate is :math:`\arcsin\sqrt{p}`.

    Both limits are at a finite distance, and the coordinates' metric is the Fisher information's.
    """

    def coordinates(self, eta: Array) -> Array:
        # sqrt(p / (1 - p)) = exp(eta / 2)
        return np.arctan(np.exp(eta / 2.0))

    def from_coordinates(self, coordinates: Array, origin: Array) -> Array:
        angle = np.clip(coordinates, 0.0, np.pi / 2.0)
        with np.errstate(divide="ignore"):
            eta = 2.0 * (np.log(np.sin(angle)) - np.log(np.cos(angle)))
        # p >= p_0 / 2 and 1 - p >= (1 - p_0) / 2 in log-odds.
        low, high = -np.logaddexp(0.0, -_LOG_SHARE - origin), np.logaddexp(0.0, -_LOG_SHARE + origin)
        return np.clip(eta, low, high)
