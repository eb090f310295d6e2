"""The limits of a family's mean parameters: zero, and the largest one if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._typing import Array, FloatArray
from ..families._base import safe_log

if TYPE_CHECKING:
    from ._feature_attributes import NaturalParameters
    from ._independent import Independent

# A mean parameter is examined if it is closer to a limit than this share of the pooled parameter's distance.
_NEAR = 1e-3
# A parameter nearer to a limit than this share of the pooled distance is at the limit.
_LOST = 1e-12
# No parameter is put closer to an upper limit than this share: doubles are less dense there than near zero.
_TINY_BELOW_TOP = 1e-8


class FeatureLimits:
    """Limits of the natural parameters (S, K, D) of discrete families."""

    def __init__(self, components: Independent, parameters: NaturalParameters) -> None:
        self._components, self._family = components, components.family
        self._shape = parameters.eta.shape
        pooled = np.broadcast_to(np.expand_dims(components.pooled, -2), self._shape)
        top = self._family.upper_limit
        # Which limit is nearer, compared with the pooled mean parameter.
        self._high = self._family.mean(parameters.eta) > pooled if np.isfinite(top) else np.zeros(self._shape, dtype=bool)
        self._pooled = np.where(self._high, top - pooled if np.isfinite(top) else pooled, pooled)

    def near(self, parameters: NaturalParameters) -> Array:
        """Which parameters are examined. In a column of zeros only, or of the largest value only, no parameter is."""
        return self._below(parameters, _NEAR) & (self._pooled > 0.0).ravel()

    def lost(self, parameters: NaturalParameters) -> Array:
        return self._below(parameters, _LOST)

    def put(self, parameters: NaturalParameters, places: Array, share: float) -> NaturalParameters:
        if not places.any():
            return parameters
        least = np.where(self._high & (share > 0.0), _TINY_BELOW_TOP, 0.0)
        at = self._family.natural(np.maximum(share, least) * self._pooled)
        eta = np.where(places.reshape(self._shape), np.where(self._high, -at, at), parameters.eta)
        return self._components.parameters(eta)

    def growing(self, before: NaturalParameters, after: NaturalParameters, faster_than: float) -> Array:
        return (self._log_distance(after) - self._log_distance(before) > faster_than).ravel()

    def _below(self, parameters: NaturalParameters, share: float) -> Array:
        with np.errstate(divide="ignore"):
            return (self._log_distance(parameters) < np.log(share * self._pooled)).ravel()

    def _log_distance(self, parameters: NaturalParameters) -> FloatArray:
        """Logarithm of the distance of the mean parameters from their limits."""
        low = safe_log(self._family.mean(parameters.eta))
        if not self._high.any():
            return low
        # Where there is a largest mean parameter m, it is m - mean = m / (1 + exp(eta)).
        return np.where(self._high, np.log(self._family.upper_limit) - np.logaddexp(0.0, parameters.eta), low)
