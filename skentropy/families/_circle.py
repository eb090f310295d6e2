"""Angles in radians, which are the same if they differ by a whole turn."""

from __future__ import annotations

import numpy as np

from .._typing import Array

TURN = 2.0 * np.pi


def turned(angle: Array, towards: Array) -> Array:
    """Add full turns to angles so that they are nearest to others."""
    return angle - TURN * np.round((angle - towards) / TURN)


def mean_direction(weights: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and variance of mixtures with weights (..., K) of angles with means and variances (K, ...)."""
    resultant = np.tensordot(weights, (1.0 - 0.5 * variance) * np.exp(1j * mean), 1)
    return np.angle(resultant), 2.0 * (1.0 - np.minimum(np.abs(resultant), 1.0))
