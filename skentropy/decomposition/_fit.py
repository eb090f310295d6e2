"""The fit of a linear-Gaussian model by EM, and the outcome of a fit by any solver."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from .._data import SingleThreadedBLAS, Source
from .._em import Ascent, FitByEM, Monitor, Run
from .._messages import warn_of_fresh_start
from .._typing import FloatArray
from ._em_model import StandardisedData
from ._finish import LEFT_OVER, MOST_STEPS, Finish
from ._gaussian import LinearGaussian
from ._saturated import imputed_covariance

if TYPE_CHECKING:
    from ._base import LinearGaussianEstimator


@dataclass(frozen=True)
class Outcome:
    """The outcome of a fit: its attributes, reasons not to trust it, its monitor, and whether it is at a saddle point."""

    attributes: dict[str, Any]
    messages: list[str] = field(default_factory=list)
    monitor: Monitor | None = None
    at_saddle: bool = False

    def pass_over(self) -> None:
        """Close the monitor of this outcome, because another outcome is used."""
        if self.monitor is not None:
            self.monitor.close()


class GaussianFit(FitByEM):
    """One fit of k components by EM to rows that have been centred and scaled."""

    def __init__(
        self,
        estimator: LinearGaussianEstimator,
        k: int,
        data: StandardisedData,
        rows: Source,
        X: Any,
    ) -> None:
        self._gaussian, self._k, self._data, self._rows = estimator, k, data, rows
        self._seeds = check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max, size=estimator.n_init)
        self._warm = estimator.warm_start and hasattr(estimator, "components_")
        if self._warm and estimator.components_.shape != (k, rows.n_features):
            if isinstance(estimator.n_components, Integral):
                warn_of_fresh_start(estimator, rows.n_features)
            self._warm = False
        with SingleThreadedBLAS():
            self._covariance = imputed_covariance(data.tables)
        n_runs = 1 if self._warm else estimator.n_init
        super().__init__(estimator, X, data.model, n_runs=n_runs, accelerate=estimator.accelerate)

    def ascent(self, init: int, pool: ThreadPoolExecutor | None) -> Ascent:
        estimator, data = self._gaussian, self._data
        start: LinearGaussian
        if self._warm:
            start = estimator._parameters(orthogonal=True).standardised(data.location, data.scale)
        else:
            covariance = self._covariance if init == 0 else None
            random_state = np.random.RandomState(self._seeds[init])
            imputed = not data.model.complete
            start = estimator._em_start(covariance, self._rows.n_features, self._k, random_state, imputed=imputed)
        end = Finish(data, estimator.tol, accelerate=estimator.accelerate)
        finish = end.climb, end.leave_saddle
        if not estimator.accelerate:
            return Ascent(start, data.expect, estimator.tol, finish=finish)
        return Ascent(start, data.expect, max(estimator.tol, LEFT_OVER), finish=finish, hand_over=MOST_STEPS)

    def _parameters(self, run: Run) -> tuple[LinearGaussian, FloatArray]:
        """Parameters and least noise variances in the units of the data."""
        parameters: LinearGaussian = run.state.parameters
        data = self._data
        return parameters.canonical().rescaled(data.location, data.scale), data.model.floor * data.scale**2

    def attributes(self, run: Run) -> dict[str, Any]:
        state, (parameters, floor) = run.state, self._parameters(run)
        return {
            **self._gaussian._attributes(parameters, floor, self._rows.dtype),
            **self._gaussian._em_attributes,
            **run.attributes(self._data.model.fresh_entropy_sum(state.parameters, state.statistics)),
            "n_parameters_": self._gaussian._n_parameters(*parameters.shape),
            "n_samples_": self._rows.totals.weight,
        }

    def complaints(self, run: Run) -> Iterator[str]:
        yield from self._gaussian._complaints(*self._parameters(run))

    def outcome(self) -> Outcome:
        """Make all runs, and return the outcome of the best one."""
        best = self.best_run()
        return Outcome(self.attributes(best), self.messages(best), self.monitor, best.saddle)
