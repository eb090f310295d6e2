"""Derivatives of the fitted attributes along directions of the parameters, for the delta method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .._typing import FloatArray

# Step of fourth-order differences, in units of one row's information, and the largest change of a logarithm.
_STEP = 1e-3
_STEPS = np.array([-2.0, -1.0, 1.0, 2.0])
_COEFFICIENTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12.0


class Movable(Protocol):
    """The methods of components that the differences need."""

    def standard(self, parameters: Any) -> tuple[FloatArray, ...]: ...

    def moved(self, parameters: Any, direction: FloatArray) -> Any | None: ...

    def stride(self, parameters: Any, direction: FloatArray) -> float: ...


def differences(
    components: Movable,
    parameters: Any,
    directions: FloatArray,
    values: Callable[[Any], tuple[FloatArray, ...]] | None = None,
) -> tuple[FloatArray, ...]:
    """Derivatives of the fitted attributes, or of other ``values`` of the parameters, along directions (M, K, P).

    Directions have the length of one row's information. Each derivative has an additional first axis of length M, and is
    NaN where a step leaves the domain.
    """
    values = values or components.standard
    # Differences are taken from these values, so that values that do not move have a difference of exactly zero.
    before = values(parameters)
    changes = tuple(np.zeros((len(directions), *value.shape)) for value in before)
    for m, direction in enumerate(directions):
        if not direction.any():
            continue
        h = _STEP / max(components.stride(parameters, direction), 1.0)
        for step, coefficient in zip(_STEPS, _COEFFICIENTS, strict=True):
            moved = components.moved(parameters, step * h * direction)
            after = [np.asarray(np.nan)] * len(before) if moved is None else values(moved)
            for change, start, value in zip(changes, before, after, strict=True):
                change[m] += coefficient / h * (value - start)
    return changes
