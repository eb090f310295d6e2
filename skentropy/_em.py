"""Expectation maximisation: acceleration, convergence, history. It knows nothing of any model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from joblib import Parallel, delayed

from ._typing import Array
from .entropy import EntropySum

# Rounding errors of a bound, in units of machine epsilon times the sum of the absolute values of its terms.
_ROUNDING_UNITS = 16
# Consecutive cycles that must agree that the rest is below tol, and cycles whose slowest rate is remembered.
_PATIENCE = 2
_RATE_MEMORY = 6


class Model(Protocol):
    """What is maximised: the ELBO of a generative model for given data, less a penalty."""

    def maximize(self, statistics: Any) -> Any:
        """M-step: the parameters that maximise the objective for the statistics' posteriors."""

    def entropy_sum(self, parameters: Any, statistics: Any) -> EntropySum:
        """After an exact M-step, the ELBO of its parameters and the statistics' posteriors (theory: the identity)."""

    def elbo(self, parameters: Any, statistics: Any) -> float:
        """Mean ELBO of the parameters from which the statistics were computed, nats per sample."""

    def log_prior(self, parameters: Any, statistics: Any) -> float:
        """Minus the penalty, per sample; zero where nothing is regularised."""

    def pack(self, parameters: Any) -> Array:
        """Parameters as one vector, in coordinates in which the domain is convex."""

    def unpack(self, vector: Array, like: Any) -> Any | None:
        """The inverse of ``pack`` for parameters shaped like the given; None where the vector is outside the domain."""

    def to_limit(self, parameters: Any) -> Any | None:
        """The parameters with those that head for the limit of their family put there; None if there are none."""


@dataclass(frozen=True)
class State:
    """Parameters, and what the E-step at these parameters says."""

    parameters: Any
    statistics: Any
    elbo: float
    objective: float


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

    @property
    def n_iter(self) -> int:
        return len(self.lower_bounds)


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
    epsilon: float = float(np.finfo(np.float64).eps),
    watcher: Watcher | None = None,
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
        Extrapolate every second step (SQUAREM, Varadhan and Roland 2008). The entropy sum of the plain step is a lower
        bound of what the plain step reaches and costs no pass over the data; an extrapolation below it is refused.
    epsilon : float
        Machine epsilon of the data's floating-point type.
    watcher : Watcher or None
        Told of each step; may end the run.
    """

    def evaluate(parameters: Any) -> State:
        statistics = expect(parameters)
        elbo = model.elbo(parameters, statistics)
        return State(parameters, statistics, elbo, elbo + model.log_prior(parameters, statistics))

    run = Run(evaluate(parameters))
    path = _Path(model)
    tail = _GeometricTail(tol)
    while run.n_iter < max_iter:
        start = run.state
        plain = model.maximize(start.statistics)
        terms = model.entropy_sum(plain, start.statistics)
        noise = _ROUNDING_UNITS * epsilon * terms.magnitude
        rate = path.extend(start.parameters, plain)
        proposal = path.extrapolate() if accelerate else None
        run.state = evaluate(plain if proposal is None else proposal)
        bound = terms.value + model.log_prior(plain, start.statistics)
        if proposal is not None:
            accepted = run.state.objective >= bound - noise
            path.judge(accepted)
            if not accepted:
                run.state = evaluate(plain)
        run.lower_bounds.append(run.state.elbo)
        run.entropy_sums.append(terms)

        if tail.ends(run.state.objective - start.objective, rate, noise):
            limit = model.to_limit(run.state.parameters)
            at_limit = None if limit is None else evaluate(limit)
            if at_limit is None or not at_limit.objective >= run.state.objective - noise:
                run.converged = True
            else:
                run.state = at_limit
                run.lower_bounds[-1] = at_limit.elbo
                path.restart()
                tail.restart()
        if (watcher is not None and watcher.on_step(run)) or run.converged:
            break
    if watcher is not None:
        watcher.on_end(run)
    return run


def best_of(run_once: Callable[[int], Run], n_init: int, n_jobs: int) -> Run:
    """The run with the highest objective out of n_init, made in parallel."""
    runs = Parallel(n_jobs=min(n_jobs, n_init), prefer="threads")(delayed(run_once)(init) for init in range(n_init))
    return max(runs, key=lambda run: float(run.state.objective))


class _Path:
    """The last two EM steps in packed coordinates: their ratio, and SQUAREM's extrapolation (Varadhan and Roland 2008).

    With steps r and r + v from theta, the extrapolation is theta - 2 a r + a^2 v, a = -|r| / |v| (their scheme S3).
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._longest = 4.0
        self.restart()

    def restart(self) -> None:
        """Forget the steps; the next one begins anew."""
        self._origin: Array | None = None
        self._steps: list[Array] = []

    def extend(self, start: Any, plain: Any) -> float | None:
        """Add the EM step from ``start`` to ``plain``; return its length relative to the step before, if there is one."""
        self._like = plain
        origin = self._model.pack(start)
        self._steps = [*self._steps[-1:], self._model.pack(plain) - origin]
        if len(self._steps) == 1:
            self._origin = origin
            return None
        self._origin = origin - self._steps[0]
        first, second = map(np.linalg.norm, self._steps)
        return float(second / first) if first > 0 else 0.0

    def extrapolate(self) -> Any | None:
        """Parameters further along the path, inside the domain; None where there is no second step or no use."""
        if len(self._steps) < 2:
            return None
        r, v = self._steps[0], self._steps[1] - self._steps[0]
        curvature = np.linalg.norm(v)
        length = min(np.linalg.norm(r) / curvature, self._longest) if curvature > 0 else self._longest
        self._length = length
        while length > 1.01:
            candidate = self._model.unpack(self._origin + 2.0 * length * r + length**2 * v, self._like)
            if candidate is not None:
                return candidate
            length /= 2.0
        return None

    def judge(self, accepted: bool) -> None:
        """Take note of whether the last extrapolation was kept: longer ones are tried, or shorter."""
        if accepted:
            self._longest *= 4.0 if self._length == self._longest else 1.0
            self.restart()
        else:
            self._longest = max(self._length / 4.0, 4.0)
            self._steps = self._steps[-1:]


class _GeometricTail:
    """Estimates what the steps still to come will add, rather than look at the last step alone.

    Where EM converges linearly at the rate c, a step that gains g is followed by steps that gain g (c^2 + c^4 + ...). The
    rate is the slowest one of the last cycles, since after an extrapolation the first step shows a faster one.
    """

    def __init__(self, tol: float) -> None:
        self._tol = tol
        self.restart()

    def restart(self) -> None:
        self._gain = np.inf
        self._rates: list[float] = []
        self._in_favour = 0

    def ends(self, gain: float, rate: float | None, noise: float) -> bool:
        """Whether the run can end after a step with this gain, and this ratio of the last two steps (None: unknown)."""
        first_gain, self._gain = self._gain, gain
        if rate is None:
            return False
        self._rates = [*self._rates[1 - _RATE_MEMORY :], min(rate, 1.0)]
        square = max(self._rates) ** 2
        ahead = np.inf if square >= 1.0 else max(first_gain, 0.0) * square / (1.0 - square)
        below = max(ahead, gain) <= self._tol or max(first_gain, gain) <= noise
        self._in_favour = self._in_favour + 1 if below else 0
        return self._in_favour >= _PATIENCE
