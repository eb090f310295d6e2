"""Derivatives by finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import Array


def difference(function: Callable[[Array], Array], x: Array, h: Array) -> Array:
    """Derivative of function(x + s h) by s at 0: central differences of sixth order."""
    coefficients = {1: 45.0 / 60.0, 2: -9.0 / 60.0, 3: 1.0 / 60.0}
    return sum((c * (function(x + k * h) - function(x - k * h)) for k, c in coefficients.items()), np.zeros(()))


def gradient(function: Callable[[Array], Array], eta: Array, steps: Array) -> tuple[Array, Array]:
    """Gradient of A by finite differences, and its uncertainty due to rounding."""
    slopes = [difference(function, eta, h[:, np.newaxis])[0] / h.sum() for h in np.diag(steps)]
    return np.array(slopes), 10.0 * np.finfo(np.float64).eps * (1.0 + np.abs(function(eta))) / steps
