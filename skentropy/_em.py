"""Expectation maximisation: acceleration, convergence, history. It knows nothing of any model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from joblib import Parallel, delayed

from ._typing import Array
from .entropy import EntropySum

# Rounding errors of a bound, relative to the sum of the absolute values of its terms.
ROUNDING = 16 * float(np.finfo(np.float64).eps)
# Steps that an extrapolation learns from.
_MEMORY = 5
# An extrapolation that is refused shortens the next ones by this factor, one that is kept lengthens them again.
_DAMPING = 4.0
# Nats per sample that a plain step must gain less than before anything else is tried: the basin is plain EM's choice.
_EXTRAPOLATION_GATE = 3e-4
_NEWTON_GATE = 3e-5
# Times that a converged run may go on from where it was moved to.
_LARGEST_MOVES = 10
# Runs whose objectives differ by less are equal, whatever tol; and rounding errors of many steps, relative to an objective.
_LARGEST_TIE = 1e-6
_TIE_ROUNDING = 1e-12
# Consecutive steps that must agree that the rest is below tol, and steps whose slowest rate is remembered.
_PATIENCE = 2
_RATE_MEMORY = 6


class Model(Protocol):
    """What is maximised: the ELBO of a generative model for given data, less a penalty."""

    def maximize(self, statistics: Any) -> Any:
        """M-step: the parameters that maximise the objective for the statistics' posteriors."""

    def entropy_sum(self, parameters: Any, statistics: Any) -> EntropySum:
        """After an exact M-step, the ELBO of its parameters and the statistics' posteriors (theory: the identity)."""

    def elbo(self, statistics: Any) -> float:
        """Mean ELBO of the parameters from which the statistics were computed, nats per sample."""

    def elbo_of_step(self, parameters: Any, statistics: Any) -> float:
        """Mean ELBO of other parameters with the statistics' posteriors: the entropy sum, unless a bound is in the way."""

    def magnitude(self, parameters: Any, statistics: Any) -> float:
        """Sum of the absolute values that ``elbo_of_step`` adds up, the scale of its rounding error."""

    def log_prior(self, parameters: Any, statistics: Any) -> float:
        """Minus the penalty, per sample; zero where nothing is regularised."""

    def pack(self, parameters: Any) -> Array:
        """Parameters as one vector, in coordinates in which the domain is convex."""

    def unpack(self, vector: Array, like: Any) -> Any | None:
        """The inverse of ``pack`` for parameters shaped like the given; None where the vector is outside the domain."""


@dataclass(frozen=True)
class State:
    """Parameters, and what the E-step at these parameters says."""

    parameters: Any
    statistics: Any
    elbo: float
    objective: float


@dataclass(frozen=True)
class _Trial:
    """A plain EM step, its entropy sum and ELBO, and the objective that it is known to reach."""

    plain: Any
    terms: EntropySum
    elbo: float
    bound: float


@dataclass
class Run:
    """One run of EM: where it is, and how it came there.

    ``lower_bounds[t]`` is the ELBO after EM step t + 1, ``entropy_sums[t]`` the entropy sum of that step's posteriors and
    new parameters; unless something is penalised ``lower_bounds[t - 1] <= entropy_sums[t].value <= lower_bounds[t]``.
    """

    state: State
    lower_bounds: list[float] = field(default_factory=list)
    entropy_sums: list[EntropySum] = field(default_factory=list)
    converged: bool = False
    saddle: bool = False
    degenerate: bool = False

    @property
    def n_iter(self) -> int:
        return len(self.lower_bounds)

    def record(self, state: State, step: _Trial) -> None:
        """Move to a state that an EM step or an extrapolation of it has led to.

        An extrapolation may fall short of the step for one evaluation; what is known to be reachable is the step's bound.
        """
        self.state = state
        self.lower_bounds.append(state.elbo if state.objective >= step.bound else step.elbo)
        self.entropy_sums.append(step.terms)


class Newton(Protocol):
    """Steps that know the curvature of the objective, in the place of extrapolations."""

    def pays(self, n_steps: int) -> bool:
        """Whether it is worth its cost in a run that has taken so many EM steps."""

    def propose(self, state: State) -> tuple[Any | None, float]:
        """Parameters for the next step, None if there are none, and what is estimated to be missing, nats per sample."""

    def keep(self) -> None:
        """Take note that the last proposal was kept."""

    def refuse(self) -> None:
        """Take note that the last proposal fell behind an EM step."""


class Watcher(Protocol):
    """Who follows a run from outside."""

    def on_step(self, run: Run) -> bool:
        """Called after each step; true ends the run."""

    def on_end(self, run: Run) -> None:
        """Called when the run is over."""


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
    refine: Callable[[State], tuple[State, bool]] | None = None,
    hand_over: int | None = None,
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
        Converged when the steps still to come are estimated to raise the objective by less than this, nats per sample.
    max_iter : int
        Largest number of EM steps.
    accelerate : bool
        Once a step gains less than 3e-4 nats per sample, extrapolate from the last steps (Anderson acceleration, of which
        SQUAREM is the case with one step of memory). An extrapolation is judged when the step after it is known: it is kept
        if the ELBO there with the posteriors held, the entropy sum, which needs no pass over the data, is no less than that
        of the plain step. The objective therefore never falls.
    watcher : Watcher or None
        Told of each step; may end the run.
    newton : Newton or None
        Takes over from the extrapolations where that pays; its proposals are judged as theirs are.
    refine : callable or None
        What is done to a state that EM has converged to: it returns one no worse, and whether EM is to go on from there.
    hand_over : int or None
        Number of steps after which ``refine`` takes over in any case.
    """

    def evaluate(parameters: Any) -> State:
        statistics = expect(parameters)
        elbo = model.elbo(statistics)
        return State(parameters, statistics, elbo, elbo + model.log_prior(parameters, statistics))

    run = Run(evaluate(parameters))
    path, tail = _Path(model), _Tail(tol)
    finishing, tried, moves, caution = False, False, 0, 1.0
    trial: _Trial | None = None
    while run.n_iter < max_iter:
        start = run.state
        plain = model.maximize(start.statistics)
        terms = model.entropy_sum(plain, start.statistics)
        elbo = model.elbo_of_step(plain, start.statistics)
        bound = elbo + model.log_prior(plain, start.statistics)
        noise = ROUNDING * model.magnitude(plain, start.statistics)
        if trial is not None and not bound >= trial.bound - noise:
            if finishing and newton is not None:
                newton.refuse()
            else:
                path.refuse()
            run.record(evaluate(trial.plain), trial)
            trial = None
        else:
            kept, gain = trial is not None, bound - start.objective
            trial = _Trial(plain, terms, elbo, bound)
            if accelerate and newton is not None and not finishing:
                finishing = gain < _NEWTON_GATE and newton.pays(run.n_iter)
            if finishing and newton is not None:
                if kept:
                    newton.keep()
                proposal, missing = newton.propose(start)
                run.converged = missing <= max(tol, noise) or (gain <= noise and tried and not kept)
                tried = True
            else:
                path.extend(start.parameters, plain, kept=kept)
                is_near = gain < max(_EXTRAPOLATION_GATE, tol)  # earlier steps tell nothing of the end
                run.converged = tail.ends(gain, path.stretch() if is_near else None, noise)
                proposal = path.extrapolate(plain) if accelerate and gain < _EXTRAPOLATION_GATE else None
            if proposal is None or run.converged:
                run.record(evaluate(plain), trial)
                trial = None
            else:
                run.record(evaluate(proposal), trial)
        run.converged |= run.n_iter == hand_over
        if watcher is not None and watcher.on_step(run):
            break
        if run.converged:
            again, before = False, run.state
            if refine is not None:
                run.state, again = refine(before)
                moves += 1
            if not again:
                break
            if moves > _LARGEST_MOVES:
                run.converged = False
                break
            stayed = run.state is before  # and the estimate was wrong
            caution *= 0.1 if stayed else 1.0
            finishing = stayed and accelerate and newton is not None
            run.converged = tried = False
            path, tail = _Path(model), _Tail(caution * tol)
    if trial is not None and not run.state.objective >= trial.bound:
        run.state = evaluate(trial.plain)
    if run.lower_bounds:
        run.lower_bounds[-1] = run.state.elbo
    if watcher is not None:
        watcher.on_end(run)
    return run


def best_of(
    run_once: Callable[[int], Run], n_init: int, n_jobs: int, require: str | None = None, *, tol: float = 0.0
) -> Run:
    """The run with the highest objective out of n_init, made in parallel; ``require`` as in ``joblib.Parallel``.

    A degenerate run, whose likelihood may be as high as a bound allows, loses to every regular one. Runs that ``tol`` or
    rounding errors do not tell apart have found the same maximum, perhaps with its components in another order: it is the
    first of those that converged.
    """
    if n_init == 1:
        return run_once(0)
    parallel = Parallel(n_jobs=min(n_jobs, n_init), prefer="threads", require=require)
    runs = parallel(delayed(run_once)(init) for init in range(n_init))
    runs = [run for run in runs if not run.degenerate] or runs
    best = max(runs, key=lambda run: float(run.state.objective))
    tie = max(min(tol, _LARGEST_TIE), _TIE_ROUNDING * (1.0 + abs(best.state.objective)))
    equals = (run for run in runs if run.state.objective >= best.state.objective - tie)
    return min(equals, key=lambda run: not run.converged, default=best)


class _Path:
    """The last EM steps in packed coordinates, and Anderson's extrapolation from them (Walker and Ni 2011).

    With points x and steps f, the combination of the last differences of f that best explains f is where the steps would
    vanish if they changed linearly.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._points: list[Array] = []
        self._steps: list[Array] = []
        self._share = 1.0
        self._correction: Array | None = None

    def extend(self, start: Any, plain: Any, *, kept: bool) -> None:
        """Add the EM step from ``start`` to ``plain``; ``kept`` says that an extrapolation led to ``start``."""
        if kept:
            self._share = min(1.0, self._share * _DAMPING)
        point = self._model.pack(start)
        self._points = [*self._points[-_MEMORY:], point]
        self._steps = [*self._steps[-_MEMORY:], self._model.pack(plain) - point]
        self._correction = None

    def _differences(self) -> tuple[Array, Array]:
        """From one point to the next, and from one step to the next, in columns."""
        points, steps = np.array(self._points), np.array(self._steps)
        return (points[1:] - points[:-1]).T, (steps[1:] - steps[:-1]).T

    def _correct(self) -> None:
        """The secant correction of the last step, where there are steps enough."""
        if self._correction is not None or len(self._points) < 2:
            return
        moves, differences = self._differences()
        length = np.sqrt((differences**2).sum(axis=0))
        length[length == 0] = 1.0
        shares = np.linalg.lstsq(differences / length, self._steps[-1], rcond=1e-10)[0] / length
        self._correction = -(moves + differences) @ shares

    def stretch(self) -> float | None:
        """How many times longer the way to the estimated end is than the last step; None if that is not known yet."""
        self._correct()
        if self._correction is None:
            return None
        step = np.linalg.norm(self._steps[-1])
        return float(np.linalg.norm(self._steps[-1] + self._correction) / step) if step > 0 else 1.0

    def extrapolate(self, plain: Any) -> Any | None:
        """Parameters towards the estimated end, inside the domain; None if there is no estimate yet, or no end."""
        self._correct()
        if self._correction is None or self._leaves_saddle():
            return None
        share = self._share
        while share > 1e-3:
            target = self._points[-1] + self._steps[-1] + share * self._correction
            candidate = self._model.unpack(target, plain)
            if candidate is not None:
                return candidate
            share /= _DAMPING
        return None

    def _leaves_saddle(self) -> bool:
        """Whether the EM map's Jacobian, which takes moves to moves + differences, lengthens one.

        Then a saddle point is being left, and an extrapolation would lead back to it.
        """
        moves, differences = self._differences()
        jacobian = np.linalg.lstsq(moves, moves + differences, rcond=1e-6)[0]
        return bool(np.linalg.eigvals(jacobian).real.max() > 1.0)

    def refuse(self) -> None:
        """Take note that the last extrapolation did not pay."""
        self._share = max(self._share / _DAMPING, 1e-2)


class _Tail:
    """Estimates what the steps still to come will add, rather than look at the last step alone.

    Near a maximum the ELBO that a step gains for fixed posteriors is half the step's squared length in the metric of the
    complete data, and what is missing is half the product of the step and the way to the end: their ratio times the gain.
    The largest of the last few ratios counts, since single steps can hide the slowest direction.
    """

    def __init__(self, tol: float) -> None:
        self._tol = tol
        self._stretches: list[float] = []
        self._in_favour = 0

    def ends(self, gain: float, stretch: float | None, noise: float) -> bool:
        """Whether the run can end, given what its last step gains, and the size of rounding errors."""
        if stretch is not None:
            self._stretches = [*self._stretches[1 - _RATE_MEMORY :], max(stretch, 1.0)]
        known = bool(self._stretches)
        below = gain <= noise or (known and gain * max(self._stretches) <= self._tol)
        self._in_favour = self._in_favour + 1 if below else 0
        return self._in_favour >= _PATIENCE
