"""The end of a fit: is there more to come, and is it a maximum or a saddle point."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._em import ROUNDING, End, Evaluate, State, largest_eigenpair
from .._typing import FloatArray
from ._metric import Metric
from ._model import BeliefNetModel
from ._polish import moved, polished

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

    It is the ``newton`` of the engine, and its ``finish``; what it finds is no worse.

    Parameters
    ----------
    model : BeliefNetModel
    tol : float
    accelerate : bool
        Whether to move to what L-BFGS finds; else it only tells how much is to come, and EM goes on if that is too much.
    """

    def __init__(self, model: BeliefNetModel, tol: float, *, accelerate: bool) -> None:
        self._model, self._tol, self._accelerate = model, tol, accelerate
        self._end: State | None = None
        self._in_reach = -np.inf

    # As the engine's ``newton``.

    def pays(self, n_steps: int) -> bool:
        return n_steps >= _STEPS_BEFORE

    def propose(self, state: State, evaluate: Evaluate) -> tuple[Any | None, float]:
        self._end = polished(self._model, evaluate, state, tol=self._tol)
        return self._end.parameters, self._end.objective - state.objective

    def keep(self) -> None:
        """Nothing is learned from it."""

    def refuse(self) -> None:
        """Nothing is learned from it."""

    # As the engine's ``finish``.

    def __call__(self, state: State, evaluate: Evaluate) -> End:
        end, self._end = self._end, None
        if self._accelerate:
            if end is None or end.objective < state.objective:
                end = polished(self._model, evaluate, state, tol=self._tol)
            if end.objective > state.objective + self._tol:
                return End(end, goes_on=True)
            return self._leave_saddle(end, evaluate)
        left = self._leave_saddle(state, evaluate)
        if left.goes_on:
            return left
        if self._in_reach <= state.objective + self._tol:
            self._in_reach = polished(self._model, evaluate, state, tol=self._tol).objective
        return replace(left, goes_on=self._in_reach > state.objective + self._tol)

    def _leave_saddle(self, state: State, evaluate: Evaluate) -> End:
        """The state, or a better one to the side of a saddle point to go on from."""
        largest, direction = self._largest_eigenvalue(state, evaluate)
        if largest < _TRIED:
            return End(state, goes_on=False)
        vector, lengths = state.parameters.net.pack(), np.outer(_LEAVES, [1.0, -1.0]).ravel()
        others = [evaluate(moved(state, vector + length * direction)) for length in lengths]
        best = max(others, key=lambda other: other.objective)
        noise = ROUNDING * self._model.magnitude(state.parameters, state.statistics)
        if best.objective > state.objective + max(_PAYS * self._tol, noise):
            return End(best, goes_on=True)
        return End(state, goes_on=False, saddle=largest > _SADDLE)

    def _largest_eigenvalue(self, state: State, evaluate: Evaluate) -> tuple[float, FloatArray]:
        """The largest eigenvalue of the EM map that a few Lanczos steps see, and its direction."""
        metric = Metric(self._model, state.statistics)
        vector, here = state.parameters.net.pack(), self._model.gradient(state.statistics)

        def em_map(z: FloatArray) -> FloatArray:
            # The gradient's derivative is minus the observed information, and the complete data's is one.
            there = evaluate(moved(state, vector + _DIFFERENCE * metric.direction(z)))
            return z + metric.gradient(self._model.gradient(there.statistics) - here) / _DIFFERENCE

        start = np.random.RandomState(0).normal(size=len(vector))
        largest, z = largest_eigenpair(em_map, start, _LANCZOS_STEPS)
        return largest, metric.direction(z)
