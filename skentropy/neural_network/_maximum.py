"""The end of a fit: is there more to come, and is it a maximum or a saddle point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._curvature import largest_eigenpair
from .._em import ROUNDING, State
from .._typing import FloatArray
from ._metric import Metric
from ._model import BeliefNetModel, NetStatistics, Parameters
from ._polish import evaluated, polished

# EM steps before L-BFGS takes over where steps have become small.
_STEPS_BEFORE = 30
# Eigenvalues of the EM map: above the first a direction is tried, above the second the end is called a saddle point.
_TRIED = 1.0 + 1e-4
_SADDLE = 1.0 + 1e-3
# Lanczos steps, the length of their differences and of steps away from a saddle point in the metric of a row.
_LANCZOS_STEPS = 12
_DIFFERENCE = 1e-5
_LEAVES = (0.03, 0.1, 0.3, 1.0)
# What a step away from a saddle point gains at least, as a share of tol.
_PAYS = 1e-3


class Maximum:
    """The last part of a run: quasi-Newton steps where EM has become slow, and questions to a state that has converged.

    It is the ``newton`` of the engine, and its ``refine``; what it finds is no worse.

    Parameters
    ----------
    model : BeliefNetModel
    expect_from : callable
        A state -> the E-step in its surroundings; a truncated posterior keeps the states that it has.
    tol : float
    accelerate : bool
        Whether to move to what L-BFGS finds; else it only tells how much is to come, and EM goes on if that is too much.
    """

    def __init__(
        self,
        model: BeliefNetModel,
        expect_from: Callable[[State], Callable[[Parameters], NetStatistics]],
        tol: float,
        *,
        accelerate: bool,
    ) -> None:
        self._model, self._expect_from, self._tol, self._accelerate = model, expect_from, tol, accelerate
        self._end: State | None = None
        self._in_reach = -np.inf
        self.saddle = False

    # As the engine's ``newton``.

    def pays(self, n_steps: int) -> bool:
        return n_steps >= _STEPS_BEFORE

    def propose(self, state: State) -> tuple[Any | None, float]:
        self._end = polished(self._model, self._expect_from(state), state, tol=self._tol)
        return self._end.parameters, self._end.objective - state.objective

    def keep(self) -> None:
        """Nothing is learned from it."""

    def refuse(self) -> None:
        """Nothing is learned from it."""

    # As the engine's ``refine``.

    def __call__(self, state: State) -> tuple[State, bool]:
        """The state, or a better one, and whether EM is to go on from there."""
        end, self._end = self._end, None
        if self._accelerate:
            if end is None or end.objective < state.objective:
                end = polished(self._model, self._expect_from(state), state, tol=self._tol)
            return (end, True) if end.objective > state.objective + self._tol else self._leave_saddle(end)
        state, left = self._leave_saddle(state)
        if left:
            return state, True
        if self._in_reach <= state.objective + self._tol:
            end = polished(self._model, self._expect_from(state), state, tol=self._tol)
            self._in_reach = end.objective
        return state, self._in_reach > state.objective + self._tol

    def _leave_saddle(self, state: State) -> tuple[State, bool]:
        """The state, or a better one to the side of a saddle point, and whether it is one."""
        largest, direction = self._largest_eigenvalue(state)
        self.saddle = False
        if largest < _TRIED:
            return state, False
        vector, expect = state.parameters.net.pack(), self._expect_from(state)
        lengths = np.outer(_LEAVES, [1.0, -1.0]).ravel()
        others = [evaluated(self._model, expect, state, vector + length * direction) for length in lengths]
        best = max(others, key=lambda other: other.objective)
        noise = ROUNDING * self._model.magnitude(state.parameters, state.statistics)
        if best.objective > state.objective + max(_PAYS * self._tol, noise):
            return best, True
        self.saddle = largest > _SADDLE
        return state, False

    def _largest_eigenvalue(self, state: State) -> tuple[float, FloatArray]:
        """The largest eigenvalue of the EM map that a few Lanczos steps see, and its direction."""
        metric, expect = Metric(self._model, state.statistics), self._expect_from(state)
        vector, here = state.parameters.net.pack(), self._model.gradient(state.statistics)

        def em_map(z: FloatArray) -> FloatArray:
            # The gradient's derivative is minus the observed information, and the complete data's is one.
            moved = evaluated(self._model, expect, state, vector + _DIFFERENCE * metric.direction(z))
            return z + metric.gradient(self._model.gradient(moved.statistics) - here) / _DIFFERENCE

        start = np.random.RandomState(0).normal(size=len(vector))
        largest, z = largest_eigenpair(em_map, start, _LANCZOS_STEPS)
        return largest, metric.direction(z)
