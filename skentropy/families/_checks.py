"""Checks shared by the families."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array


def check_parameter(
    value: Array, name: str, *, low: float, high: float = np.inf, open_low: bool = False, open_high: bool = True
) -> Array:
    """Return a standard parameter as an array of floats, or say which values are outside its range."""
    value = np.asarray(value, dtype=np.float64)
    too_low = value <= low if open_low else value < low
    too_high = value >= high if open_high else value > high
    bad = too_low | too_high | np.isnan(value)
    if bad.any():
        interval = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ValueError(f"Every {name} must lie in {interval}; got {float(value[bad].flat[0])!r}.")
    return value


def check_probability(value: Array, name: str = "probability", *, open_low: bool = False, open_high: bool = False) -> Array:
    """Return probabilities as an array of floats, or say which values are outside their range."""
    return check_parameter(value, name, low=0.0, high=1.0, open_low=open_low, open_high=open_high)


def is_number(value: Any, kind: Any, *, low: float) -> bool:
    """Whether a constructor's argument is a finite number of a kind (``Integral``, ``Real``), and at least ``low``."""
    return bool(isinstance(value, kind) and low <= value < np.inf)
