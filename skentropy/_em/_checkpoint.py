"""Save the model of a long fit while it runs."""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib

from .._base import LatentVariableModel
from .._messages import warn

# Seconds by which the clock of a file system may lag.
_CLOCK_TICK = 0.1


class Checkpoint:
    """Callback that saves the model of a long fit at intervals, so that a fit with ``warm_start`` can continue from it.

    Each save replaces the whole file. Even if the process is killed, the file therefore holds a complete model, which is at
    most one interval and one step old. If a save fails, the callback warns, the fit continues, and the callback tries again
    after another interval. A killed process may leave a file ``PATH.PID.new``, which the next fit removes. The callback
    needs scikit-learn 1.9 or later, and a fit that takes EM steps or epochs; fits of ``PPCA`` and ``FactorAnalysis`` to
    complete data take none.

    Register the callback on the model itself: in a pipeline on the step that is the model, in a search on the estimator.
    During a search the file holds the candidate that was saved last. After an ``EntropySumSearch`` it holds the best
    candidate, if any candidate took long enough to be saved.

    Parameters
    ----------
    path : str or path-like
        The file. With several runs (``n_init``) it holds the model of the run with the highest bound so far.
    interval : float, default=60.0
        Least number of seconds between two saves. A fit that takes less time saves nothing.
    dump : callable, default=joblib.dump
        Called with a fitted estimator and a path. ``skops.io.dump`` makes files that are safe to load.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        When a fit begins, if the folder of ``path`` does not exist, or ``path`` is a folder.
    TypeError
        When a fit begins that takes no steps itself, such as the fit of a pipeline or a search.

    See Also
    --------
    skentropy.PoissonMixture : One of the estimators with ``warm_start``.

    Examples
    --------
    >>> import joblib, tempfile, numpy as np
    >>> from skentropy import Checkpoint, PoissonMixture
    >>> X = np.random.default_rng(0).poisson([[2.0, 9.0]] * 200)
    >>> path = tempfile.mkdtemp() + "/mixture.joblib"
    >>> mixture = PoissonMixture(2, random_state=0)
    >>> _ = mixture.set_callbacks(Checkpoint(path, interval=0.0)).fit(X)  # doctest: +SKIP
    >>> model = joblib.load(path).set_params(warm_start=True).fit(X)  # doctest: +SKIP
    """

    def __init__(
        self, path: str | os.PathLike[str], *, interval: float = 60.0, dump: Callable[[Any, str], Any] = joblib.dump
    ) -> None:
        _check_arguments(interval, dump)
        self.path = Path(path)
        self.interval = interval
        self.dump = dump
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._fits: dict[int, _Fit] = {}

    def setup(self, estimator: Any, context: Any) -> None:
        """The fit begins."""
        if not isinstance(estimator, LatentVariableModel):
            raise TypeError(
                f"Checkpoint saves a model at the steps of its fit, and the fit of {type(estimator).__name__} takes no such "
                "steps itself. Register the callback on the model: in a pipeline, "
                "pipeline[-1].set_callbacks(...); in a search, search.estimator.set_callbacks(...)."
            )
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"Checkpoint cannot save in {str(self.path.parent)!r}: there is no such folder.")
        if self.path.is_dir():
            raise IsADirectoryError(f"Checkpoint cannot save as {str(self.path)!r}: there is a folder of this name.")
        with self._lock:
            if not self._fits:
                self._remove_leftovers()
            self._fits[id(estimator)] = _Fit(time.monotonic())

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """A step begins."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
        """A step has ended."""
        if context.task_name != "iteration" or fitted_estimator is None:
            return False
        with self._lock:
            fit = self._fits[id(estimator)]
            fit.bounds[context.parent.task_id] = fitted_estimator.lower_bound_
            if fitted_estimator.lower_bound_ >= max(fit.bounds.values()):
                fit.ahead = fitted_estimator
            if fit.ahead is not None and time.monotonic() - fit.last >= self.interval:
                self._save(fit.ahead)
                fit.ahead, fit.last = None, time.monotonic()
        return False

    def teardown(self, estimator: Any, context: Any) -> None:
        """The fit is over."""
        with self._lock:
            self._fits.pop(id(estimator), None)

    def on_search_end(self, best: Any, began: float) -> None:
        """A search is over: its best model replaces the file if a candidate, in any process, has written one."""
        with self._lock:
            if self.path.is_file() and self.path.stat().st_mtime >= began - _CLOCK_TICK:
                self._save(best)

    def _remove_leftovers(self) -> None:
        """Remove the half-written files of processes that no longer run."""
        for new in self.path.parent.glob(f"{glob.escape(self.path.name)}.*.new"):
            pid = new.name.removeprefix(f"{self.path.name}.").removesuffix(".new")
            if pid.isdigit() and not _is_running(int(pid)):
                new.unlink(missing_ok=True)

    def _save(self, fitted: Any) -> None:
        """Save a model; a failure is only a warning, since the fit can go on."""
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            self._replace_file(fitted, new)
        except Exception as error:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            warn(f"Checkpoint could not save {str(self.path)!r}, and the fit goes on: {type(error).__name__}: {error}")

    def _replace_file(self, fitted: Any, new: Path) -> None:
        model = type(fitted)(**fitted.get_params(deep=False))  # a clone would keep the callbacks
        fitted_attributes = vars(fitted).keys() - vars(model).keys()
        vars(model).update({name: vars(fitted)[name] for name in fitted_attributes if "callback" not in name})
        self.dump(model, str(new))
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(self.path)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "interval": self.interval, "dump": self.dump}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


@dataclass
class _Fit:
    """A fit under way: the time of its last save, the bound that each of its runs has reached, and the run ahead."""

    last: float
    bounds: dict[Any, float] = field(default_factory=dict)
    ahead: Any = None


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # there os.kill would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # someone else's
        return True
    return True


def _check_arguments(interval: Any, dump: Any) -> None:
    if not isinstance(interval, int | float) or not interval >= 0:
        raise ValueError(f"interval must be a number of seconds, 0 or more, got {interval!r}.")
    if not callable(dump):
        raise TypeError(f"dump must be a function of a fitted estimator and a path, got {dump!r}.")
