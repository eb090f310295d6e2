"""Check the end of a fit: whether its zeros stay zero, and whether it is a maximum or a saddle point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from .._em import TRIED, End, Evaluate, State, em_eigenpair, leave_saddle, rounding_error
from .._typing import FloatArray
from ._information import Metric, score
from ._model import MixtureModel, MixtureParameters
from ._newton import NewtonSteps
from ._zeros import settle_zeros

# The curvature is examined only if an EM step gains fewer nats per sample.
_STATIONARY = 1e-4
# A step away from a saddle point must gain this share of tol, or _PAYS_AT_MOST nats per sample if that is less.
_PAYS, _PAYS_AT_MOST = 1e-3, 1e-9


class Maximum:
    """Refines the state at which EM has converged; the result is no worse.

    Parameters
    ----------
    model : MixtureModel
    newton : NewtonSteps
        Computes the curvature if that is cheap. Otherwise Lanczos steps on differences of the score estimate it.
    tol : float
    """

    def __init__(self, model: MixtureModel, newton: NewtonSteps, tol: float) -> None:
        self._model, self._newton, self._tol = model, newton, tol

    def settle_zeros(self, state: State, evaluate: Evaluate) -> End:
        """Settle the zeros of a state; EM continues if one is raised, or if this gains more than tol."""
        settled, raised = settle_zeros(self._model, evaluate, state)
        if settled is not state:
            self._newton.forget()
        return End(settled, goes_on=raised or settled.objective > state.objective + self._tol)

    def leave_saddle(self, state: State, evaluate: Evaluate) -> End:
        """The state, or, at a saddle point, a better state beside it from which EM continues."""
        noise = rounding_error(self._model, state.parameters, state.statistics)
        nothing = max(self._tol, noise)
        curvature = self._newton.latest(state.objective, nothing)
        around = Neighbourhood.of(self._model, state, None if curvature is None else curvature.metric)
        if curvature is None:
            gradient = around.gradient(state)
            if not float(gradient @ gradient) <= 2.0 * _STATIONARY:
                return End(state, goes_on=False)
            if self._newton.look_pays:
                curvature = self._newton.curvature(state, around.metric)
                if curvature is None:
                    return End(state, goes_on=False)
        if curvature is None:
            eigenpair = em_eigenpair(around, state, evaluate, gradient.size)
        else:
            eigenpair = 1.0 - float(curvature.values[-1]), curvature.vectors[:, -1]
        end = leave_saddle(around, state, evaluate, eigenpair, least_gain=max(min(_PAYS * self._tol, _PAYS_AT_MOST), noise))
        if curvature is not None and eigenpair[0] < TRIED:
            end = replace(end, goes_on=curvature.remaining_gain > nothing)
        return end


@dataclass(frozen=True)
class Neighbourhood:
    """Parameters around a state, as ``leave_saddle`` takes them."""

    model: MixtureModel
    state: State
    metric: Metric

    @classmethod
    def of(cls, model: MixtureModel, state: State, metric: Metric | None) -> Self:
        return cls(model, state, metric or Metric.at(model, state.parameters, state.statistics))

    def parameters(self, z: FloatArray) -> MixtureParameters | None:
        parameters, length = self.state.parameters, np.sqrt(self.state.statistics.weight)
        return self.model.moved(parameters, self.metric.directions(self._by_component(length * z)))

    def gradient(self, state: State) -> FloatArray:
        gradient = self.metric.gradient(score(self.model, state.parameters, state.statistics))
        return gradient.ravel() / np.sqrt(self.state.statistics.weight)

    def identified(self, z: FloatArray) -> FloatArray:
        return np.where(self.metric.gradient(self._by_component(z)).ravel() == 0.0, 0.0, z)

    def _by_component(self, z: FloatArray) -> FloatArray:
        return z.reshape(len(self.state.parameters.log_weights), -1)
