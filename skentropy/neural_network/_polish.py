"""The last mile after EM: L-BFGS on the exact objective, and a polish of two scales that closes the stationarity gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .._em import State
from .._typing import FloatArray
from ._model import BeliefNetModel, NetStatistics, Parameters

_MAX_EVALUATIONS = 60
_SCALE_STEPS = 6
_STEP = 1e-4


def polished(model: BeliefNetModel, expect: Callable[[Any], NetStatistics], state: State) -> State:
    """A state no worse than the given one, with its gradient smaller and its two scales stationary."""

    def evaluate(vector: FloatArray) -> State:
        parameters = Parameters(state.parameters.net.unpack(vector))
        statistics = expect(parameters)
        elbo = model.elbo(statistics)
        return State(parameters, statistics, elbo, elbo + model.log_prior(parameters, statistics))

    def loss(vector: FloatArray) -> tuple[float, FloatArray]:
        at = evaluate(vector)
        return -at.objective, -model.gradient(at.statistics)

    start = state.parameters.net.pack()
    options = {"maxfun": _MAX_EVALUATIONS, "maxiter": _MAX_EVALUATIONS, "gtol": 1e-9, "ftol": 0.0, "maxcor": 30}
    result = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    best = evaluate(result.x) if -result.fun >= state.objective else state
    return _scaled(model, evaluate, best)


def _scaled(model: BeliefNetModel, evaluate: Callable[[FloatArray], State], state: State) -> State:
    """Newton's method in two scales, that of the prior's logits and that of all weights and offsets.

    The derivative in their directions is the stationarity gap: a scale is all that the identity needs.
    """
    vector = state.parameters.net.pack()
    n_prior = len(state.parameters.net.prior_logits)
    directions = np.zeros((2, len(vector)))
    for _ in range(_SCALE_STEPS):
        directions[0, :n_prior], directions[1, n_prior:] = vector[:n_prior], vector[n_prior:]
        slope = directions @ model.gradient(state.statistics)
        if np.abs(slope).sum() < 1e-12:
            break
        moved = [directions @ model.gradient(evaluate(vector + _STEP * direction).statistics) for direction in directions]
        hessian = (np.array(moved) - slope) / _STEP
        step = np.linalg.lstsq(hessian, -slope, rcond=1e-8)[0]
        trial = evaluate(vector + step @ directions)
        new_slope = directions @ model.gradient(trial.statistics)
        as_good = trial.objective >= state.objective - 1e-12 * abs(state.objective)
        if not (as_good and np.abs(new_slope).sum() < np.abs(slope).sum()):
            break
        state, vector = trial, trial.parameters.net.pack()
    return state
