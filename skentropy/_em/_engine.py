"""Expectation maximisation: steps, extrapolations, convergence, history. This module is independent of any model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from ._acceleration import Path, Tail
from ._model import End, Finish, Model, Newton, Run, State, Step, Watcher
from ._runs import Interruption

# The rounding error of a bound, relative to the sum of the absolute values of its terms.
_ROUNDING = 16 * float(np.finfo(np.float64).eps)
# Plain EM chooses the basin: extrapolations and Newton steps are tried only once a plain step gains fewer nats per sample.
_EXTRAPOLATION_GATE = 3e-4
NEWTON_GATE = 3e-5
# Number of times that a run may be moved elsewhere after convergence, and continue there.
_LARGEST_MOVES = 20


def run_em(
    model: Model,
    expect: Callable[[Any], Any],
    parameters: Any,
    *,
    tol: float,
    max_iter: int,
    accelerate: bool = True,
    watcher: Watcher | None = None,
    newton: Newton | None = None,
    finish: Sequence[Finish] = (),
    newton_gate: float = NEWTON_GATE,
    hand_over: int | None = None,
    interruption: Interruption | None = None,
) -> Run:
    """Maximise a model's objective by accelerated EM; the objective never falls by more than rounding.

    Parameters
    ----------
    model : Model
    expect : callable
        E-step over all data: parameters -> statistics.
    parameters
        Where to start.
    tol : float
        A run has converged when the estimated gain of all steps still to come is smaller, nats per sample.
    max_iter : int
        Largest number of EM steps.
    accelerate : bool
        Whether to extrapolate from the last steps once a step gains less than 3e-4 nats per sample (Anderson acceleration;
        SQUAREM is the case with a memory of one step). The EM step from an extrapolation decides whether the extrapolation
        is kept: the entropy sum of that step, which is its ELBO with the posteriors fixed and needs no pass over the data,
        must be no less than that of the plain step. The objective therefore never falls.
    watcher : Watcher or None
        Is told of each step, and may end the run.
    newton : Newton or None
        Replaces extrapolations when it is worth its cost; its proposals are kept or refused like extrapolations.
    finish : sequence of Finish
        Operations on a state after convergence, in this order, until one of them makes EM continue: settle zeros, polish,
        leave a saddle point.
    newton_gate : float
        ``newton`` takes over once a plain step gains fewer nats per sample.
    hand_over : int or None
        Number of steps after which ``finish`` takes over in any case.
    interruption : Interruption or None
        If given, Ctrl-C ends the run where it is; if None, KeyboardInterrupt is raised.
    """
    newton = newton if accelerate else None
    climb = _Climb(model, expect, parameters, tol=tol, newton=newton, newton_gate=newton_gate, accelerate=accelerate)
    run = climb.run
    with nullcontext() if interruption is None else interruption.caught(run):
        while run.n_iter < max_iter and not (interruption is not None and interruption.reaches(run)):
            climb.step()
            run.converged |= run.n_iter == hand_over
            if watcher is not None and watcher.on_step(run):
                break
            if run.converged and not climb.goes_on_after(finish):
                break
    climb.end()
    if watcher is not None:
        watcher.on_end(run)
    return run


def rounding_error(model: Model, parameters: Any, statistics: Any) -> float:
    """The rounding error of a model's bounds at these parameters and statistics."""
    return _ROUNDING * model.magnitude(parameters, statistics)


class _Climb:
    """A run under way: where it is, and what its next step depends on."""

    def __init__(
        self,
        model: Model,
        expect: Callable[[Any], Any],
        parameters: Any,
        *,
        tol: float,
        accelerate: bool,
        newton: Newton | None,
        newton_gate: float,
    ) -> None:
        self._model, self._expect, self._tol = model, expect, tol
        self._accelerate, self._newton, self._newton_gate = accelerate, newton, newton_gate
        self.run = Run(self._evaluate(parameters))
        self._path, self._tail = Path(model), Tail(tol)
        # The plain EM step that an extrapolation or a Newton step, now on trial, may replace.
        self._trial: Step | None = None
        # Whether the last Newton step has reached the maximum, so that one EM step remains, which polishes the result.
        self._is_last = False
        self._finishing, self._tried = False, False
        self._n_moves, self._tail_tol = 0, tol

    def _evaluate(self, parameters: Any) -> State:
        statistics = self._expect(parameters)
        elbo = self._model.elbo(statistics)
        return State(parameters, statistics, elbo, elbo + self._model.log_prior(parameters, statistics))

    def _plain_step(self, start: State) -> tuple[Step, float]:
        """The EM step from a state, and the rounding error of its bound."""
        model, plain = self._model, self._model.maximize(start.statistics)
        terms, elbo = model.entropy_sum(plain, start.statistics), model.elbo_of_step(plain, start.statistics)
        bound = elbo + model.log_prior(plain, start.statistics)
        return Step(plain, terms, elbo, bound), rounding_error(model, plain, start.statistics)

    def step(self) -> None:
        """Take one EM step, or go where an extrapolation of it leads."""
        run, trial, newton = self.run, self._trial, self._newton
        step, noise = self._plain_step(run.state)
        if trial is not None and not step.bound >= trial.bound - noise:
            if self._finishing and newton is not None:
                newton.refuse()
            else:
                self._path.refuse()
            self._take(trial)
            return
        if self._is_last:
            self._take(step)
            return
        gain = step.bound - run.state.objective
        if newton is not None and not self._finishing:
            self._finishing = gain < self._newton_gate and newton.pays(run.n_iter)
        if self._finishing and newton is not None:
            proposal = self._newton_proposal(newton, gain, noise)
        else:
            self._path.extend(run.state.parameters, step.plain, kept=trial is not None)
            is_near = gain < max(_EXTRAPOLATION_GATE, self._tol)  # steps far from the end say nothing about it
            run.converged = self._tail.ends(gain, self._path.stretch() if is_near else None, noise)
            proposal = self._path.extrapolate(step.plain) if self._accelerate and gain < _EXTRAPOLATION_GATE else None
        if proposal is None or run.converged:
            self._take(step)
        else:
            run.record(self._evaluate(proposal), step)
            self._trial = step

    def _take(self, step: Step) -> None:
        """Go where an EM step leads."""
        self.run.record(self._evaluate(step.plain), step)
        self.run.converged |= self._is_last
        self._trial, self._is_last = None, False

    def _newton_proposal(self, newton: Newton, gain: float, noise: float) -> Any | None:
        kept = self._trial is not None
        if kept:
            newton.keep()
        proposal, missing = newton.propose(self.run.state, self._keeping_the_best)
        nothing = max(self._tol, noise)
        if missing <= nothing < gain:  # a contradiction: the objective is not quadratic here
            self._newton, self._finishing = None, False
            return None
        self._is_last = missing <= nothing or (gain <= noise and self._tried and not kept)
        self._tried = True
        return proposal

    def goes_on_after(self, finish: Sequence[Finish]) -> bool:
        """Whether a run that has converged continues from the state to which ``finish`` has led."""
        self._settle_trial()
        run, before = self.run, self.run.state
        end = End(before, goes_on=False)
        run.saddle = False
        for look in finish:
            end = look(end.state, self._keeping_the_best)
            run.state = end.state
            run.saddle |= end.saddle
            if end.goes_on:
                break
        self._n_moves += 1
        if not end.goes_on:
            return False
        if self._n_moves > _LARGEST_MOVES:
            run.converged = False
            return False
        stayed = run.state is before  # the estimate of the gain still to come was wrong
        if stayed:
            self._tail_tol *= 0.1
        self._finishing = stayed and self._newton is not None
        run.converged = self._tried = self._is_last = False
        self._path, self._tail = Path(self._model), Tail(self._tail_tol)
        return True

    def _keeping_the_best(self, parameters: Any) -> State:
        """The state at these parameters; the run keeps the best such state, in case it is interrupted."""
        state = self._evaluate(parameters)
        if state.objective > self.run.state.objective:
            self.run.state = state
        return state

    def end(self) -> None:
        """Make the last bound that of the parameters at which the run ends."""
        self._settle_trial()
        if self.run.lower_bounds:
            self.run.lower_bounds[-1] = self.run.state.elbo

    def _settle_trial(self) -> None:
        """Return to the last plain EM step if what is on trial in its place is no better."""
        if self._trial is not None and not self.run.state.objective >= self._trial.bound:
            self.run.state = self._evaluate(self._trial.plain)
        self._trial = None
