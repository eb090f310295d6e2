"""Several runs of one fit, of which the best is kept; after Ctrl-C, the best so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from joblib import Parallel, delayed

from ._model import Run

# Runs count as equal if their objectives differ by less than tol, but no more than the first number; or by less than the
# second number, the relative rounding error of many steps.
_LARGEST_TIE = 1e-6
_TIE_ROUNDING = 1e-12
# After an interruption, seconds between two checks of whether the other runs have ended.
_LOOK = 0.01
# Whether fits that begin now are parts of something larger, such as a search.
_IS_PART = ContextVar("_IS_PART", default=False)


@contextmanager
def as_part() -> Iterator[None]:
    """Fits in this context are parts of something larger, such as a search: Ctrl-C is raised, so that the whole ends."""
    token = _IS_PART.set(True)
    try:
        yield
    finally:
        _IS_PART.reset(token)


class Interruption:
    """Whether Ctrl-C, a ``KeyboardInterrupt``, has interrupted a fit, in any of its runs.

    The run in which it is raised ends at once, the others after their next step. A second Ctrl-C is not caught.
    """

    def __init__(self) -> None:
        self.happened = False

    @contextmanager
    def caught(self, run: Run) -> Iterator[None]:
        """Catch the first Ctrl-C in this context: the run ends where it is."""
        try:
            yield
        except KeyboardInterrupt:
            self.happen()
            run.interrupted = True

    def happen(self) -> None:
        """Record the interruption; if the fit is part of something larger, raise it again."""
        self.happened = True
        if _IS_PART.get():
            raise KeyboardInterrupt

    def reaches(self, run: Run) -> bool:
        """Whether a run must end because the fit was interrupted."""
        run.interrupted |= self.happened
        return run.interrupted


def best_of(
    run_once: Callable[[int], Run],
    n_init: int,
    n_jobs: int,
    require: str | None = None,
    *,
    tol: float = 0.0,
    interruption: Interruption | None = None,
) -> Run:
    """The run with the highest objective out of n_init, made in parallel; ``require`` as in ``joblib.Parallel``.

    A degenerate run loses to every regular one, since its likelihood is only limited by a bound. Runs whose objectives
    differ by no more than ``tol`` or rounding errors have found the same maximum, perhaps with its components in another
    order; among these the first that has converged wins. After an interruption no further run begins.
    """
    interruption = interruption or Interruption()
    runs = _make_runs(run_once, n_init, n_jobs, require, interruption)
    runs = [run for run in runs if not run.degenerate] or runs
    best = max(runs, key=lambda run: np.nan_to_num(run.state.objective, nan=-np.inf, posinf=np.inf, neginf=-np.inf))
    tie = max(min(tol, _LARGEST_TIE), _TIE_ROUNDING * (1.0 + abs(best.state.objective)))
    equals = (run for run in runs if run.state.objective >= best.state.objective - tie)
    return min(equals, key=lambda run: not run.converged, default=best)


def _make_runs(
    run_once: Callable[[int], Run], n_init: int, n_jobs: int, require: str | None, interruption: Interruption
) -> list[Run]:
    """All runs that have reached a state; at least one."""
    if n_init == 1:
        return [run_once(0)]
    under_way: set[int] = set()
    made: dict[int, Run] = {}

    def unless_interrupted(init: int) -> Run | None:
        if interruption.happened:
            return None
        under_way.add(init)
        try:
            made[init] = run_once(init)
        finally:
            under_way.discard(init)
        return made[init]

    parallel = Parallel(n_jobs=min(n_jobs, n_init), prefer="threads", require=require)
    try:
        return [run for run in parallel(delayed(unless_interrupted)(init) for init in range(n_init)) if run is not None]
    except KeyboardInterrupt:  # between runs, or while this thread waited for those of others
        interruption.happened = True
        while under_way:
            time.sleep(_LOOK)
        interruption.happen()
        if not made:
            raise
        return [run for _, run in sorted(made.items())]
