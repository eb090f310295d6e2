"""Derivatives by finite differences, with what rounding errors may make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skentropy.families._differences import gradient


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_differences_know_their_rounding_errors(size: float) -> None:
    """Ten units in the last place of what they are taken of, or of one, over the step."""
    eta, steps = np.array([[0.3], [-0.7]]), np.array([1e-3, 1e-2])

    def function(eta: Any) -> Any:
        return size * np.exp(eta[0]) * np.cos(eta[1])

    slopes, errors = gradient(function, eta, steps)
    exact = size * np.exp(0.3) * np.array([np.cos(-0.7), -np.sin(-0.7)])
    unit = np.finfo(float).eps * (1.0 + size * np.exp(0.3) * np.cos(-0.7))
    np.testing.assert_allclose(errors, 10.0 * unit / steps, rtol=1e-12)
    assert (np.abs(np.ravel(slopes) - exact) < errors).all()
