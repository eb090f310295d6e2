"""Progress of a running fit: printed lines, and scikit-learn's callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ._arguments import model_arguments
from ._model import Run


class Monitor:
    """Prints as ``GaussianMixture`` does and calls the callbacks registered with the estimator.

    Parameters
    ----------
    estimator : estimator with ``verbose``, ``verbose_interval`` and ``max_iter``
    n_init : int
        Number of runs.
    fitted_attributes : callable
        Run -> dict of the fitted attributes as if the fit ended there, for callbacks that evaluate the model.
    data : dict
        ``X``, which callbacks receive.
    """

    def __init__(
        self, estimator: Any, n_init: int, fitted_attributes: Callable[[Run], dict[str, Any]], data: dict[str, Any]
    ) -> None:
        self._estimator = estimator
        self._fitted_attributes = lambda run: {**fitted_attributes(run), "_fitted_arguments": model_arguments(estimator)}
        self._data = data
        self._single = n_init == 1
        self._context: Any = None
        if getattr(estimator, "_skl_callbacks", None):  # without callbacks nobody uses the contexts, and each costs time
            self._context = estimator._init_callback_context(
                max_subtasks=estimator.max_iter if self._single else n_init, sequential_subtasks=self._single
            )
        if self._context is not None:
            self._context.call_on_fit_task_begin(estimator=estimator, **data)

    def watch(self, init: int) -> _WatchedRun:
        """Announce a run, and return its watcher."""
        return _WatchedRun(self, init)

    def close(self) -> None:
        """The fitted attributes are set; the fit is over."""
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._estimator, reconstruction_attributes={}, **self._data)


class _WatchedRun:
    """One run of a monitored fit."""

    def __init__(self, monitor: Monitor, init: int) -> None:
        self._estimator, self._data = monitor._estimator, monitor._data
        self._fitted_attributes = monitor._fitted_attributes
        self._init = init
        self._last = time.perf_counter()
        self._context = monitor._context
        self._is_subtask = self._context is not None and not monitor._single
        if self._is_subtask:
            self._context = monitor._context.subcontext(
                task_name="init", task_id=init, max_subtasks=self._estimator.max_iter
            )
            self._context.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        if self._estimator.verbose:
            print(f"Initialization {init}")

    def on_step(self, run: Run) -> bool:
        if self._estimator.verbose and run.n_iter % self._estimator.verbose_interval == 0:
            print(self._line(run))
        if self._context is None:
            return False
        step = self._context.subcontext(task_name="iteration")
        step.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        return self._end_task(step, run)

    def _line(self, run: Run) -> str:
        line = f"  Iteration {run.n_iter}"
        if self._estimator.verbose < 2:
            return line
        now, last = time.perf_counter(), self._last
        self._last = now
        change = run.lower_bounds[-1] - run.lower_bounds[-2] if run.n_iter > 1 else float("inf")
        return f"{line}\t time lapse {now - last:.5f}s\t ll change {change:.5f}"

    def on_end(self, run: Run) -> None:
        if self._estimator.verbose:
            state = "converged" if run.converged else "did not converge"
            print(f"Initialization {self._init} {state}. Lower bound {run.state.elbo:.5f}, {run.n_iter} iterations.")
        if self._is_subtask:
            self._end_task(self._context, run)

    def _end_task(self, context: Any, run: Run) -> bool:
        return bool(
            context.call_on_fit_task_end(
                estimator=self._estimator,
                reconstruction_attributes=lambda: self._fitted_attributes(run),
                **self._data,
            )
        )
