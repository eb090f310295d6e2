"""Extrapolate a run of EM, and estimate the gain of all steps still to come."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .._linalg import reciprocals
from .._typing import Array
from ._model import Model

# Number of earlier steps that an extrapolation uses.
_MEMORY = 5
# A refused extrapolation shortens the next ones by this factor; a kept one lengthens them again.
_DAMPING = 4.0
# A run ends when this many consecutive steps estimate that less than tol is still to come. Each estimate uses the slowest of
# the last rates; the second constant is the number of rates remembered.
_PATIENCE = 2
_RATE_MEMORY = 6


class _Point:
    """Parameters, packed when a step is first extrapolated from them."""

    def __init__(self, model: Model, parameters: Any) -> None:
        self._model, self.parameters = model, parameters

    @cached_property
    def packed(self) -> Array:
        return self._model.pack(self.parameters)


class Path:
    """The last EM steps in packed coordinates, and Anderson's extrapolation from them (Walker and Ni 2011).

    Let x be the points and f the steps. The combination of the last differences of f that best fits f, applied to the
    differences of x, gives the point at which steps that change linearly vanish.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._steps: list[tuple[_Point, _Point]] = []  # starts and ends of the last steps
        self._share = 1.0
        self._correction: Array | None = None

    def extend(self, start: Any, plain: Any, *, kept: bool) -> None:
        """Add the EM step from ``start`` to ``plain``; ``kept`` says that an extrapolation led to ``start``."""
        if kept:
            self._share = min(1.0, self._share * _DAMPING)
        point = self._steps[-1][1] if self._steps and start is self._steps[-1][1].parameters else _Point(self._model, start)
        self._steps = [*self._steps[-_MEMORY:], (point, _Point(self._model, plain))]
        self._correction = None

    def _correct(self) -> None:
        """The secant correction of the last step, if there are enough steps."""
        if self._correction is not None or len(self._steps) < 2:
            return
        points, ends = (np.array([step[which].packed for step in self._steps]) for which in (0, 1))
        # Differences between successive points, and between successive steps, as columns.
        self._step = (steps := ends - points)[-1]
        self._moves, self._differences = (points[1:] - points[:-1]).T, (steps[1:] - steps[:-1]).T
        inverse = reciprocals(np.sqrt((self._differences**2).sum(axis=0)))
        shares = np.linalg.lstsq(self._differences * inverse, self._step, rcond=1e-10)[0] * inverse
        self._correction = -(self._moves + self._differences) @ shares

    def stretch(self) -> float | None:
        """Ratio of the distance to the estimated end to the length of the last step; None if there is no estimate yet."""
        self._correct()
        if self._correction is None:
            return None
        step = np.linalg.norm(self._step)
        return float(np.linalg.norm(self._step + self._correction) / step) if step > 0 else 1.0

    def extrapolate(self, plain: Any) -> Any | None:
        """Parameters towards the estimated end, inside the domain; None if there is no estimate yet, or EM moves away."""
        self._correct()
        if self._correction is None or self._leaves_saddle():
            return None
        share = self._share
        while share > 1e-3:
            candidate = self._model.unpack(self._steps[-1][1].packed + share * self._correction, plain)
            if candidate is not None:
                return candidate
            share /= _DAMPING
        return None

    def _leaves_saddle(self) -> bool:
        """Whether EM is leaving a saddle point, to which an extrapolation would lead back.

        The EM map's Jacobian takes moves to moves + differences; near a saddle point it lengthens one of them.
        """
        jacobian = np.linalg.lstsq(self._moves, self._moves + self._differences, rcond=1e-6)[0]
        return bool(np.linalg.eigvals(jacobian).real.max() > 1.0)

    def refuse(self) -> None:
        """Record that the last extrapolation was refused."""
        self._share = max(self._share / _DAMPING, 1e-2)


class Tail:
    """Estimates the gain of all steps still to come, which the gain of the last step alone does not bound.

    Near a maximum, in the metric of the complete data, the gain of a step with posteriors fixed is half its squared length,
    and the remaining gain is half the inner product of the step and the vector to the maximum. The remaining gain is
    therefore the gain times the ratio of the two lengths. The largest of the last few ratios counts, since a single step can
    hide the slowest direction.
    """

    def __init__(self, tol: float) -> None:
        self._tol = tol
        self._stretches: list[float] = []
        self._in_favour = 0

    def ends(self, gain: float, stretch: float | None, noise: float) -> bool:
        """Whether the run can end, given the gain of its last step and the size of rounding errors."""
        if stretch is not None:
            self._stretches = [*self._stretches[1 - _RATE_MEMORY :], max(stretch, 1.0)]
        known = bool(self._stretches)
        below = gain <= noise or (known and gain * max(self._stretches) <= self._tol)
        self._in_favour = self._in_favour + 1 if below else 0
        return self._in_favour >= _PATIENCE
