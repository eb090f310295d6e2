"""Saving the model of a long fit while it runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib


class Checkpoint:
    """Callback that saves the model of a long fit every so often, for ``warm_start`` to go on from.

    The file is replaced as a whole: whenever the process is killed, a complete model is in it, no older than the interval
    and a step. Needs scikit-learn 1.9 or later, and a fit that takes EM steps, or epochs,
    which those of ``PPCA`` and ``FactorAnalysis`` to complete data do not.

    Parameters
    ----------
    path : str or path-like
        Where to save. With several runs (``n_init``) it is the model of the run that is ahead.
    interval : float, default=60.0
        Seconds between two savings, at least. A fit that takes less saves nothing.
    dump : callable, default=joblib.dump
        Called with a fitted estimator and a path. ``skops.io.dump`` makes files that are safe to load.

    Raises
    ------
    FileNotFoundError
        When a fit begins, if the folder of ``path`` does not exist.

    See Also
    --------
    skentropy.PoissonMixture : One of the estimators with ``warm_start``.

    Examples
    --------
    >>> import joblib, tempfile, numpy as np
    >>> from skentropy import Checkpoint, PoissonMixture
    >>> X = np.random.default_rng(0).poisson([[2.0, 9.0]] * 200)
    >>> path = tempfile.mkdtemp() + "/mixture.joblib"
    >>> _ = PoissonMixture(2, random_state=0).set_callbacks(Checkpoint(path, interval=0.0)).fit(X)  # doctest: +SKIP
    >>> model = joblib.load(path).set_params(warm_start=True).fit(X)  # doctest: +SKIP
    """

    def __init__(
        self, path: str | os.PathLike[str], *, interval: float = 60.0, dump: Callable[[Any, str], Any] = joblib.dump
    ) -> None:
        _check_arguments(interval, dump)
        self.path = Path(path)
        self.interval = interval
        self.dump = dump

    def setup(self, estimator: Any, context: Any) -> None:
        """The fit begins."""
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"Checkpoint cannot save in {str(self.path.parent)!r}: there is no such folder.")
        self._lock = threading.Lock()
        self._bounds: dict[Any, float] = {}
        self._ahead: Any = None
        self._last = time.monotonic()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """A step begins."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
        """A step has ended."""
        if context.task_name != "iteration" or fitted_estimator is None:
            return False
        with self._lock:
            self._bounds[context.parent.task_id] = fitted_estimator.lower_bound_
            if fitted_estimator.lower_bound_ >= max(self._bounds.values()):
                self._ahead = fitted_estimator
            if self._ahead is not None and time.monotonic() - self._last >= self.interval:
                self._save(self._ahead)
                self._ahead, self._last = None, time.monotonic()
        return False

    def teardown(self, estimator: Any, context: Any) -> None:
        """The fit is over."""

    def _save(self, fitted: Any) -> None:
        model = type(fitted)(**fitted.get_params(deep=False))  # a clone would keep the callbacks
        fitted_attributes = vars(fitted).keys() - vars(model).keys()
        vars(model).update({name: vars(fitted)[name] for name in fitted_attributes if "callback" not in name})
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        self.dump(model, str(new))
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(self.path)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}


def _check_arguments(interval: Any, dump: Any) -> None:
    if not isinstance(interval, int | float) or not interval >= 0:
        raise ValueError(f"interval must be a number of seconds, 0 or more, got {interval!r}.")
    if not callable(dump):
        raise TypeError(f"dump must be a function of a fitted estimator and a path, got {dump!r}.")
