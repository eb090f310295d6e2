"""The complete data's information about means and dispersions, and the limits of means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from .._typing import Array, FloatArray
from ..families._base import safe_log
from ._feature_metric import inverse_roots

if TYPE_CHECKING:
    from ._dispersed import DispersedParameters

# A parameter with less information than this share of the largest one is held.
_NEGLIGIBLE = 1e-40
# A mean below the first share of the pooled mean is examined; below the second it counts as zero.
_NEAR, _LOST = 1e-3, 1e-12


@dataclass(frozen=True)
class DispersedMetric:
    """Information about the logarithms of means and dispersions, which is diagonal.

    Dispersions that are tied move along the mean of their directions, so that they have one coordinate for all.

    Attributes
    ----------
    lengths : ndarray of shape (K, 2 D)
        Distance by which a unit of z moves each parameter; zero if the parameter cannot move.
    tied : tuple of int
    """

    lengths: FloatArray
    tied: tuple[int, ...]

    @classmethod
    def of(cls, of_means: FloatArray, of_dispersions: FloatArray, tied: tuple[int, ...]) -> Self:
        if tied:
            total = of_dispersions.sum(axis=tied, keepdims=True)
            of_dispersions = np.broadcast_to(total, of_dispersions.shape)
        information = np.concatenate([of_means, of_dispersions], axis=1)
        free = information > _NEGLIGIBLE * max(float(information.max()), 0.0)
        return cls(inverse_roots(information, free), tied)

    def _share(self, values: FloatArray) -> FloatArray:
        """Replace the coordinates of tied dispersions by their sum over the root of their number; a symmetric operation."""
        if not self.tied:
            return values
        own, shared = np.split(values, 2, axis=-1)
        axes = tuple(axis - 2 for axis in self.tied)
        size = np.prod([shared.shape[axis] for axis in axes])
        total = shared.sum(axis=axes, keepdims=True) / np.sqrt(size)
        return np.concatenate([own, np.broadcast_to(total, shared.shape)], axis=-1)

    def directions(self, z: FloatArray) -> FloatArray:
        return self.lengths * self._share(z)

    def gradient(self, score: FloatArray) -> FloatArray:
        return self._share(self.lengths * score)


class MeanLimits:
    """Limits of means (K, D), which may be zero; dispersions have none, since each step fits them anew."""

    def __init__(self, pooled: FloatArray) -> None:
        self._pooled = pooled

    def near(self, parameters: DispersedParameters) -> Array:
        return ((parameters.means < _NEAR * self._pooled) & (self._pooled > 0.0)).ravel()

    def lost(self, parameters: DispersedParameters) -> Array:
        return np.asarray((parameters.means < _LOST * self._pooled).ravel())

    def put(self, parameters: DispersedParameters, places: Array, share: float) -> DispersedParameters:
        if not places.any():
            return parameters
        means = np.where(places.reshape(parameters.means.shape), share * self._pooled, parameters.means)
        return parameters.of(means, parameters.dispersions, parameters.levels)

    def growing(self, before: DispersedParameters, after: DispersedParameters, faster_than: float) -> Array:
        return np.asarray((safe_log(after.means) - safe_log(before.means) > faster_than).ravel())
