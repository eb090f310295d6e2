"""Derivatives of the fitted attributes along directions of the parameters, for the delta method."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np

from .._em import derivative
from .._typing import FloatArray

# Step of the differences, in units of one row's information, and the largest change of a logarithm.
_STEP = 1e-3


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
    shapes = [np.shape(value) for value in values(parameters)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    changes = np.zeros((len(directions), ends[-1]))

    def along(direction: FloatArray, h: float) -> FloatArray:
        moved = components.moved(parameters, h * direction)
        return np.full(ends[-1], np.nan) if moved is None else np.concatenate([*map(np.ravel, values(moved))])

    for change, direction in zip(changes, directions, strict=True):
        if direction.any():
            change[:] = derivative(partial(along, direction), _STEP / max(components.stride(parameters, direction), 1.0))
    parts = np.split(changes, ends[:-1], axis=1)
    return tuple(part.reshape(len(directions), *shape) for part, shape in zip(parts, shapes, strict=True))
