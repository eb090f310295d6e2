"""The course of a fit by EM: a monitor follows several runs, and the best one is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from joblib import effective_n_jobs

from .._data import required_backend, thread_pool
from .._messages import interruption_message, saddle_message, unfinished_message
from ._engine import NEWTON_GATE, run_em
from ._model import Finish, Model, Newton, Run
from ._monitor import Monitor
from ._runs import Interruption, best_of


@dataclass(frozen=True)
class Ascent:
    """The arguments of ``run_em`` that differ between models and runs."""

    start: Any
    expect: Callable[[Any], Any]
    tol: float
    newton: Newton | None = None
    finish: Sequence[Finish] = ()
    newton_gate: float = NEWTON_GATE
    hand_over: int | None = None


class FitByEM(ABC):
    """One fit of an estimator by EM; a subclass defines how a run is made and which attributes it sets.

    Parameters
    ----------
    estimator : LatentVariableModel
        With ``tol``, ``max_iter``, ``n_init``, ``accelerate``, ``n_jobs``, ``verbose`` and ``verbose_interval``.
    X
        The data as the user passed them.
    model : Model
    n_runs : int
        Number of runs; one if the start is given.
    accelerate : bool
    """

    def __init__(self, estimator: Any, X: Any, model: Model, *, n_runs: int, accelerate: bool) -> None:
        self._estimator, self._engine_model, self._n_runs, self._accelerate = estimator, model, n_runs, accelerate
        self._require = required_backend(X)
        self._interruption = Interruption()
        self.monitor = Monitor(estimator, n_runs, self.attributes, {"X": X})

    @abstractmethod
    def ascent(self, init: int, pool: ThreadPoolExecutor | None) -> Ascent:
        """The arguments of ``run_em`` for the run with this number."""

    @abstractmethod
    def attributes(self, run: Run) -> dict[str, Any]:
        """The fitted attributes of a run, as if it ended here."""

    def is_degenerate(self, run: Run) -> bool:
        """Whether a run has ended where the likelihood is unbounded, and only a bound on the parameters holds it."""
        return False

    def complaints(self, run: Run) -> Iterator[str]:
        """Reasons not to trust the end of a run, apart from those that the course of the fit reveals."""
        return iter(())

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C has ended a run, or prevented one from beginning."""
        return self._interruption.happened

    def interrupt(self) -> None:
        """Record Ctrl-C before a run has begun: the run ends at its start, and no other begins."""
        self._interruption.happen()

    def best_run(self) -> Run:
        """Make all runs, and return the best; after Ctrl-C the best so far."""
        n_threads = effective_n_jobs(self._estimator.n_jobs)

        def run_once(init: int) -> Run:
            with thread_pool(n_threads if self._n_runs == 1 else 1) as pool:
                ascent = self.ascent(init, pool)
                run = run_em(
                    self._engine_model,
                    ascent.expect,
                    ascent.start,
                    tol=ascent.tol,
                    max_iter=self._estimator.max_iter,
                    accelerate=self._accelerate,
                    watcher=self.monitor.watch(init),
                    newton=ascent.newton,
                    finish=ascent.finish,
                    newton_gate=ascent.newton_gate,
                    hand_over=ascent.hand_over,
                    interruption=self._interruption,
                )
                run.degenerate = self.is_degenerate(run)
                return run

        best = best_of(
            run_once, self._n_runs, n_threads, self._require, tol=self._estimator.tol, interruption=self._interruption
        )
        best.interrupted |= self.interrupted
        return best

    def messages(self, run: Run) -> list[str]:
        """Reasons not to trust a fit, one message for each kind."""
        estimator, said = self._estimator, []
        if run.interrupted:
            said.append(interruption_message(estimator, run.n_iter))
        elif not run.converged and 0 < estimator.max_iter <= run.n_iter:
            said.append(
                f"{type(estimator).__name__} did not converge within max_iter={estimator.max_iter} steps; increase "
                f"max_iter, or tol if you need less precision than {estimator.tol:g} nats per sample."
            )
        elif not run.converged and estimator.max_iter > 0:
            said.append(unfinished_message(estimator, run.n_iter))
        if run.saddle:
            said.append(saddle_message(estimator))
        return [*said, *self.complaints(run)]
