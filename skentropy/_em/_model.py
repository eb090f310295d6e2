"""The engine's interfaces: what a model, a Newton method, a finish and a watcher implement, and what they receive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from .._entropy_sum import EntropySum
from .._typing import Array


class Model(Protocol):
    """The objective: the ELBO of a generative model for given data, minus a penalty."""

    def expect(self, parameters: Any, part: Any, /) -> Any:
        """E-step on the data, or on a part such as a block of rows; the fit then adds up the statistics of all parts."""

    def maximize(self, statistics: Any) -> Any:
        """M-step: the parameters that maximise the objective for the statistics' posteriors."""

    def entropy_sum(self, parameters: Any, statistics: Any) -> EntropySum:
        """The sum of entropies; after an exact M-step it is the ELBO of its parameters and the statistics' posteriors."""

    def elbo(self, statistics: Any) -> float:
        """Mean ELBO of the parameters from which the statistics were computed, nats per sample."""

    def elbo_of_step(self, parameters: Any, statistics: Any) -> float:
        """Mean ELBO of new parameters with the statistics' posteriors; it is the entropy sum unless a bound is active."""

    def magnitude(self, parameters: Any, statistics: Any) -> float:
        """Sum of the absolute values that ``elbo_of_step`` adds up, the scale of its rounding error."""

    def log_prior(self, parameters: Any, statistics: Any) -> float:
        """Minus the penalty, per sample; zero without regularisation."""

    def pack(self, parameters: Any) -> Array:
        """Parameters as one vector, in coordinates in which the domain is convex."""

    def unpack(self, vector: Array, like: Any) -> Any | None:
        """The inverse of ``pack``, for parameters shaped like ``like``; None if the vector is outside the domain."""


@dataclass(frozen=True)
class State:
    """Parameters and the outcome of the E-step at these parameters."""

    parameters: Any
    statistics: Any
    elbo: float
    objective: float


# From parameters to the state there, by one E-step.
Evaluate: TypeAlias = Callable[[Any], State]


@dataclass(frozen=True)
class Step:
    """A plain EM step, its entropy sum and ELBO, and a lower bound of the objective that it reaches."""

    plain: Any
    terms: EntropySum
    elbo: float
    bound: float


@dataclass
class Run:
    """One run of EM: its state and its history.

    ``lower_bounds[t]`` is the ELBO after EM step t + 1, ``entropy_sums[t]`` the entropy sum of that step's posteriors and
    new parameters; unless something is penalised ``lower_bounds[t - 1] <= entropy_sums[t].value <= lower_bounds[t]``.
    """

    state: State
    lower_bounds: list[float] = field(default_factory=list)
    entropy_sums: list[EntropySum] = field(default_factory=list)
    converged: bool = False
    saddle: bool = False
    degenerate: bool = False
    interrupted: bool = False

    @property
    def n_iter(self) -> int:
        return len(self.lower_bounds)

    def attributes(self, terms: EntropySum) -> dict[str, Any]:
        """The fitted attributes that describe the run; ``terms`` is the entropy sum at its state."""
        return {
            "lower_bound_": self.state.elbo,
            "lower_bounds_": list(self.lower_bounds),
            "entropy_sum_": terms,
            "entropy_sums_": list(self.entropy_sums),
            "stationarity_gap_": terms.value - self.state.elbo,
            "n_iter_": self.n_iter,
            "converged_": self.converged,
        }

    def record(self, state: State, step: Step) -> None:
        """Move to the state that an EM step, or an extrapolation of it, has reached.

        An extrapolation may fall short of the plain step until it is refused; the recorded bound is then the plain step's.
        """
        self.state = state
        self.lower_bounds.append(state.elbo if state.objective >= step.bound else step.elbo)
        self.entropy_sums.append(step.terms)


class Newton(Protocol):
    """Steps that use the curvature of the objective, in place of extrapolations."""

    def pays(self, n_steps: int) -> bool:
        """Whether such steps are worth their cost in a run that has taken ``n_steps`` EM steps."""

    def propose(self, state: State, evaluate: Evaluate) -> tuple[Any | None, float]:
        """Parameters for the next step, or None, and an estimate of the remaining gain, in nats per sample."""

    def keep(self) -> None:
        """The last proposal was kept."""

    def refuse(self) -> None:
        """The last proposal fell behind an EM step."""


@dataclass(frozen=True)
class End:
    """The result of one of the operations after convergence.

    Attributes
    ----------
    state : State
        No worse than the given state.
    goes_on : bool
        Whether EM continues from this state.
    saddle : bool
        Whether the state is a saddle point that could not be left.
    """

    state: State
    goes_on: bool
    saddle: bool = False


class Finish(Protocol):
    """An operation after convergence, such as settling zeros, a polish or leaving a saddle point; its result is no worse."""

    def __call__(self, state: State, evaluate: Evaluate) -> End: ...


class Watcher(Protocol):
    """Follows a run from outside."""

    def on_step(self, run: Run) -> bool:
        """Called after each step; true ends the run."""

    def on_end(self, run: Run) -> None:
        """Called when the run is over."""
