"""What is asked of the end of a fit: are its zeros zero, and is it a maximum or a saddle point."""

from __future__ import annotations

import numpy as np

from .._em import ROUNDING, End, Evaluate, State, largest_eigenpair
from .._typing import FloatArray
from ._information import Metric, score
from ._model import MixtureModel
from ._newton import Curvature, NewtonSteps
from ._zeros import settle_zeros

# Curvature is looked at only where an EM step gains fewer nats per sample.
_STATIONARY = 1e-4
# Eigenvalues of the EM map: above the first a direction is tried, above the second the end is called a saddle point.
_TRIED = 1.0 + 1e-4
_SADDLE = 1.0 + 1e-3
# Lanczos steps, the length of their differences and of steps away from a saddle point, in roots of the total weight.
_LANCZOS_STEPS = 8
_DIFFERENCE = 1e-5
_LEAVES = (0.03, 0.1, 0.3, 1.0)
# What a step away from a saddle point gains at least: a share of tol, and no more than so many nats per sample.
_PAYS, _PAYS_AT_MOST = 1e-3, 1e-9


class Maximum:
    """Refines a state that EM has converged to; what it finds is no worse.

    Parameters
    ----------
    model : MixtureModel
    newton : NewtonSteps
        Knows the curvature where that is cheap; elsewhere Lanczos steps on differences of the score tell it.
    tol : float
    """

    def __init__(self, model: MixtureModel, newton: NewtonSteps, tol: float) -> None:
        self._model, self._newton, self._tol = model, newton, tol

    def __call__(self, state: State, evaluate: Evaluate) -> End:
        settled, raised = settle_zeros(self._model, evaluate, state)
        if raised or settled.objective > state.objective + self._tol:
            return End(settled, goes_on=True)
        noise = ROUNDING * self._model.magnitude(settled.parameters, settled.statistics)
        known = self._newton.latest(state.objective, max(self._tol, noise)) if settled is state else None
        if known is not None:
            return self._leave_saddle(state, evaluate, noise, known)
        return self._look_around(settled, evaluate, noise)

    def _look_around(self, state: State, evaluate: Evaluate, noise: float) -> End:
        metric = Metric.at(self._model, state.parameters, state.statistics)
        gradient = metric.gradient(score(self._model, state.parameters, state.statistics))
        if not float((gradient**2).sum()) <= 2.0 * _STATIONARY * state.statistics.weight:
            return End(state, goes_on=False)
        if self._newton.look_pays:
            curvature = self._newton.curvature(state, metric)
            if curvature is None:
                return End(state, goes_on=False)
            return self._leave_saddle(state, evaluate, noise, curvature)
        return self._leave_along(state, evaluate, noise, *self._differences(state, metric, evaluate))

    def _leave_saddle(self, state: State, evaluate: Evaluate, noise: float, curvature: Curvature) -> End:
        """Leave a state where the curvature is upward in some direction."""
        largest = 1.0 - float(curvature.values[-1])
        if largest < _TRIED:
            return End(state, goes_on=curvature.missing_nats > max(self._tol, noise))
        return self._leave_along(state, evaluate, noise, largest, curvature.direction(curvature.vectors[:, -1]))

    def _leave_along(self, state: State, evaluate: Evaluate, noise: float, largest: float, direction: FloatArray) -> End:
        """Leave a state along a direction that the EM map stretches by so much, if it does and that pays."""
        if largest < _TRIED:
            return End(state, goes_on=False)
        best = max(self._away(state, direction, evaluate), key=lambda other: other.objective, default=state)
        if best.objective > state.objective + max(min(_PAYS * self._tol, _PAYS_AT_MOST), noise):
            return End(best, goes_on=True)
        return End(state, goes_on=False, saddle=largest > _SADDLE)

    def _away(self, state: State, direction: FloatArray, evaluate: Evaluate) -> list[State]:
        """States to both sides along a direction."""
        states = []
        for length in np.sqrt(state.statistics.weight) * np.outer(_LEAVES, [1.0, -1.0]).ravel():
            moved = self._model.moved(state.parameters, length * direction)
            if moved is not None:
                states.append(evaluate(moved))
        return states

    def _differences(self, state: State, metric: Metric, evaluate: Evaluate) -> tuple[float, FloatArray]:
        """The largest eigenvalue of the EM map that a few Lanczos steps see, and its direction; 0 if they see none."""
        model, parameters = self._model, state.parameters
        here = metric.gradient(score(model, parameters, state.statistics))
        length = _DIFFERENCE * np.sqrt(state.statistics.weight)

        def em_map(z: FloatArray) -> FloatArray:
            # The score's derivative is minus the observed information, and the complete data's is one.
            moved = model.moved(parameters, metric.directions(length * z.reshape(here.shape)))
            if moved is None:
                return np.zeros_like(z)
            there = metric.gradient(score(model, moved, evaluate(moved).statistics))
            return z + ((there - here) / length).ravel()

        start = np.random.RandomState(0).normal(size=here.shape)
        start = np.where(metric.gradient(start) == 0.0, 0.0, start)
        if not start.any():
            return 0.0, start
        largest, vector = largest_eigenpair(em_map, start.ravel(), _LANCZOS_STEPS)
        return largest, metric.directions(vector.reshape(here.shape))
