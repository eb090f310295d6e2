"""The end of a fit: L-BFGS on the objective, and Newton's method in two scales, which closes the stationarity gap."""

from __future__ import annotations

import numpy as np
from scipy.optimize import OptimizeResult

from .._em import Evaluate, State, climb
from .._typing import FloatArray
from ._metric import Neighbourhood, parameters_at
from ._model import BeliefNetModel

MOST_EVALUATIONS = 400
# L-BFGS ends when this number of iterations together gains less than this share of tol.
_WINDOW, _STALLED = 20, 1e-3
_SCALE_STEPS = 6
_STEP = 1e-4


def quasi_newton(
    model: BeliefNetModel, evaluate: Evaluate, state: State, *, tol: float = 0.0, most: int = MOST_EVALUATIONS
) -> State:
    """The state that L-BFGS reaches with at most ``most`` evaluations, to ``tol`` from a maximum; it is no worse."""
    course: list[float] = []

    def stop_when_stalled(intermediate_result: OptimizeResult) -> None:
        course.append(-float(intermediate_result.fun))
        if len(course) > _WINDOW and course[-1] - course[-1 - _WINDOW] < _STALLED * tol:
            raise StopIteration

    around = Neighbourhood.of(model, state)
    options = {"maxfun": most, "maxiter": most, "gtol": 1e-9, "maxcor": 30}
    end = climb(around, evaluate, len(around.origin), options, callback=stop_when_stalled)
    return end if end.objective >= state.objective else state


def polish_scales(model: BeliefNetModel, evaluate: Evaluate, state: State) -> State:
    """Newton's method in two scales, that of the prior's logits and that of all weights and offsets.

    The derivatives along these two add up to the stationarity gap: the identity requires only stationary scales. The result
    is no worse but for rounding.
    """

    def at(vector: FloatArray) -> State:
        return evaluate(parameters_at(state, vector))

    vector = state.parameters.net.pack()
    n_prior = len(state.parameters.net.prior_logits)
    directions = np.zeros((2, len(vector)))
    for _ in range(_SCALE_STEPS):
        directions[0, :n_prior], directions[1, n_prior:] = vector[:n_prior], vector[n_prior:]
        slope = directions @ model.gradient(state.statistics)
        if np.abs(slope).sum() < 1e-12:
            break
        moved = [directions @ model.gradient(at(vector + _STEP * direction).statistics) for direction in directions]
        hessian = (np.array(moved) - slope) / _STEP
        step = np.linalg.lstsq(hessian, -slope, rcond=1e-8)[0]
        trial = at(vector + step @ directions)
        new_slope = directions @ model.gradient(trial.statistics)
        as_good = trial.objective >= state.objective - 1e-12 * abs(state.objective)
        if not (as_good and np.abs(new_slope).sum() < np.abs(slope).sum()):
            break
        state, vector = trial, trial.parameters.net.pack()
    return state
