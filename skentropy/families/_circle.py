"""Angles in radians, which are the same if they differ by a whole turn."""

from __future__ import annotations

import numpy as np

from .._typing import Array

TURN = 2.0 * np.pi


def turned(angle: Array, towards: Array) -> Array:
    """Add full turns to angles so that they are as close as possible to other angles."""
    return angle - TURN * np.round((angle - towards) / TURN)


def mean_direction(weights: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and variance of angles in mixtures with weights (..., K), component means and variances (K, ...)."""
    resultant = np.tensordot(weights, (1.0 - 0.5 * variance) * np.exp(1j * mean), 1)
    return np.angle(resultant), 2.0 * (1.0 - np.minimum(np.abs(resultant), 1.0))
