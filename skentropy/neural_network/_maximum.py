"""Check the end of a fit: whether more gain is to come, and whether the end is a maximum or a saddle point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._em import End, Evaluate, Finish, State, em_eigenpair, leave_saddle, rounding_error
from ._metric import Neighbourhood
from ._model import BeliefNetModel
from ._polish import MOST_EVALUATIONS, polish_scales, quasi_newton

# Number of EM steps before L-BFGS takes over, once they have become small.
STEPS_BEFORE = 30
_LANCZOS_STEPS = 12
# A step away from a saddle point must gain this share of tol.
_PAYS = 1e-3


class Maximum:
    """The last part of a run: quasi-Newton steps when EM has become slow, and checks of a state that has converged.

    The engine uses it as ``newton`` and as ``finish``; the states that it finds are no worse.

    Parameters
    ----------
    model : BeliefNetModel
    tol : float
    accelerate : bool
        Whether to move to the result of L-BFGS. Otherwise L-BFGS only estimates the gain still to come, and EM continues if
        that exceeds tol.
    most_evaluations : int
        Largest number of evaluations of each run of L-BFGS.
    steps_before : int
        Least number of EM steps before L-BFGS.
    look : callable or None
        Finds a better state from which L-BFGS starts.
    """

    def __init__(
        self,
        model: BeliefNetModel,
        tol: float,
        *,
        accelerate: bool,
        most_evaluations: int = MOST_EVALUATIONS,
        steps_before: int = STEPS_BEFORE,
        look: Callable[[State, Evaluate], State] | None = None,
    ) -> None:
        self._model, self._tol, self._accelerate, self._most = model, tol, accelerate, most_evaluations
        self._steps_before, self._look = steps_before, look
        self._end: State | None = None
        self._in_reach = -np.inf

    # As the engine's ``newton``.

    def pays(self, n_steps: int) -> bool:
        return n_steps >= self._steps_before

    def propose(self, state: State, evaluate: Evaluate) -> tuple[Any | None, float]:
        start = state if self._look is None else self._look(state, evaluate)
        self._end = self._quasi_newton(start, evaluate)
        return self._end.parameters, self._end.objective - state.objective

    def keep(self) -> None:
        """Do nothing."""

    def refuse(self) -> None:
        """Do nothing."""

    # As the engine's ``finish``.

    @property
    def finish(self) -> tuple[Finish, ...]:
        """The operations after convergence; with acceleration the polish comes first, and usually ends the fit."""
        return (self.polish, self.leave_saddle) if self._accelerate else (self.leave_saddle, self.go_on)

    def polish(self, state: State, evaluate: Evaluate) -> End:
        """Move to the result of L-BFGS, with stationary scales; EM continues if that gains more than tol."""
        end, self._end = self._end, None
        if end is None or end.objective < state.objective:
            end = self._quasi_newton(state, evaluate)
        end = polish_scales(self._model, evaluate, end)
        return End(end, goes_on=end.objective > state.objective + self._tol)

    def go_on(self, state: State, evaluate: Evaluate) -> End:
        """Stay, and let EM continue if L-BFGS finds that more than tol is to come."""
        if self._in_reach <= state.objective + self._tol:
            self._in_reach = self._quasi_newton(state, evaluate).objective
        return End(state, goes_on=self._in_reach > state.objective + self._tol)

    def _quasi_newton(self, state: State, evaluate: Evaluate) -> State:
        return quasi_newton(self._model, evaluate, state, tol=self._tol, most=self._most)

    def leave_saddle(self, state: State, evaluate: Evaluate) -> End:
        """The state, or, at a saddle point, a better state beside it from which EM continues."""
        around = Neighbourhood.of(self._model, state)
        noise = rounding_error(self._model, state.parameters, state.statistics)
        eigenpair = em_eigenpair(around, state, evaluate, len(around.origin), n_steps=_LANCZOS_STEPS)
        return leave_saddle(around, state, evaluate, eigenpair, least_gain=max(_PAYS * self._tol, noise))
