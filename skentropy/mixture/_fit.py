"""The fit of a mixture: a survey of the data, starts, EM, zeros, saddle points."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_random_state

from .._data import Block, BlockSource, Rows, survey_rows, thread_pool
from .._em import Ascent, FitByEM, Run
from .._messages import warn_of_empty_rows
from .._typing import FloatArray
from ..families._base import safe_log
from ._information import missing_information
from ._maximum import Maximum
from ._model import MixtureModel, MixtureParameters, MixtureStatistics
from ._newton import NewtonSteps
from ._own_frames import in_own_frames
from ._report import failures
from ._seeding import initial_parameters
from ._survey import summarize
from ._zero_substitutes import Substitutes

if TYPE_CHECKING:
    from ._base import BaseMixture

# Seeds are chosen from a number of distinct rows for which the choice costs less than a few EM steps on large data.
_SAMPLE_ENTRIES = 2**16
_SAMPLE_ROWS = (1024, 8192)


class MixtureFit(FitByEM):
    """One fit of a mixture to rows."""

    def __init__(self, mixture: BaseMixture, rows: BlockSource, X: Any) -> None:
        self._mixture, self._rows = mixture, rows
        random_state, largest = check_random_state(mixture.random_state), np.iinfo(np.int32).max
        salt = int(random_state.randint(largest))
        self._seeds = random_state.randint(largest, size=mixture.n_init)
        with thread_pool(effective_n_jobs(mixture.n_jobs)) as pool:
            self._model, self._sample, complete = self._prepare(salt, pool)
        components, sample = self._model.components, self._sample
        self._data = rows = self._rows
        if complete and components.discrete and 2 * sample.n_rows <= rows.totals.n_rows:
            # Rows that repeat are fitted once, with their weights.
            self._data = Rows(sample.X, sample.weight, sample.exposure, row_bytes=mixture._row_bytes(rows.n_features))
        # Copies of a row count once, so that the fit is the same as with weights.
        self._n_distinct = sample.n_rows if complete else rows.totals.n_rows
        self._given = mixture._given_start(self._model, rows.n_features)
        if self._given is None and sample.n_rows < mixture.n_components:
            raise ValueError(
                f"n_components={mixture.n_components} is more than the {sample.n_rows} distinct rows of X with a positive "
                "weight; choose fewer components."
            )
        super().__init__(
            mixture,
            X,
            self._model,
            n_runs=mixture.n_init if self._given is None else 1,
            accelerate=mixture.accelerate and components.climbs,
        )

    def _prepare(self, salt: int, pool: ThreadPoolExecutor | None) -> tuple[MixtureModel, Block, bool]:
        """The model for these data, a sample of distinct rows to choose seeds from, and whether it holds them all."""
        mixture, rows = self._mixture, self._rows
        columns = survey_rows(rows, pool)
        warn_of_empty_rows(columns.n_empty_rows)
        components = mixture._get_components().prepare(
            mixture, columns, is_sparse=rows.is_sparse, prior_counts=float(mixture.prior_counts)
        )
        self._exposed = columns.exposed
        self._substitutes = mixture._choose_substitutes(columns)
        self._replaced: dict[int, float] = {}
        if self._substitutes is not None:
            replaced = np.flatnonzero((columns.n_zeros > 0) & ~np.isnan(self._substitutes))
            self._replaced = {int(column): float(self._substitutes[column]) for column in replaced}
            rows = self._rows = rows.view(Substitutes(self._substitutes))
        size = max(int(np.clip(_SAMPLE_ENTRIES // rows.n_features, *_SAMPLE_ROWS)), 32 * mixture.n_components)
        rounding = components.rounding(columns)
        summary = rows.sum(partial(summarize, components=components, sample_size=size, salt=salt, rounding=rounding), pool)
        mixture._refuse_outside(components, summary.outside)
        model = MixtureModel(
            components.with_pooled(summary.pooled),
            mean_log_base_measure=summary.log_base_measure / rows.totals.weight,
        )
        sample = rows.take(summary.sample.index, summary.sample.weight)
        return model, sample, sample.n_rows < size

    def best_run(self) -> Run:
        """The best run; if common units have cost digits, it continues in the components' own frames."""
        best = super().best_run()
        components = self._model.components
        if not best.converged or self._rows.is_sparse:
            return best
        own = in_own_frames(components, best.state.parameters.components)
        if own is components:
            return best
        self._given = MixtureParameters(
            best.state.parameters.log_weights, own.natural(components.standard(best.state.parameters.components))
        )
        self._engine_model = self._model = replace(self._model, components=own)
        self._n_runs = 1
        run = super().best_run()
        # The earlier bounds were no higher; bounds that look higher had lost digits.
        bounds = np.minimum.accumulate([run.lower_bounds[0], *reversed(best.lower_bounds)])
        run.lower_bounds[:0] = bounds[:0:-1].tolist()
        run.entropy_sums[:0] = best.entropy_sums
        return run

    def ascent(self, init: int, pool: ThreadPoolExecutor | None) -> Ascent:
        model, data, mixture = self._model, self._data, self._mixture
        start = self._given if self._given is not None else self._seeded_start(init)

        def expect(parameters: MixtureParameters) -> MixtureStatistics:
            return data.sum(partial(model.expect, parameters), pool)

        def missing(parameters: MixtureParameters) -> FloatArray:
            return data.sum(partial(missing_information, model, parameters), pool)

        n_directions = model.components.n_directions(start.components)
        newton = NewtonSteps(model, missing, self._n_distinct, mixture.n_components, n_directions)
        if not model.components.climbs:
            return Ascent(start, expect, mixture.tol, newton)
        maximum = Maximum(model, newton, mixture.tol)
        return Ascent(start, expect, mixture.tol, newton, (maximum.settle_zeros, maximum.leave_saddle))

    def _seeded_start(self, init: int) -> MixtureParameters:
        mixture, random_state = self._mixture, np.random.RandomState(self._seeds[init])
        start = initial_parameters(
            self._model, self._sample, mixture.n_components, mixture.init_params, mixture.n_starts, random_state
        )
        if mixture.weights_init is None:
            return start
        return replace(start, log_weights=safe_log(mixture._initial_weights()))

    def attributes(self, run: Run) -> dict[str, Any]:
        attributes = self._mixture._fitted_attributes(self._model, self._rows.dtype, run)
        attributes |= {"_zeros_replaced": self._replaced, "_exposed": self._exposed}
        return attributes if self._substitutes is None else {**attributes, "zero_substitutes_": self._substitutes}

    def is_degenerate(self, run: Run) -> bool:
        return self._model.components.degenerate(run.state.parameters.components)

    def complaints(self, run: Run) -> Iterator[str]:
        return failures(self._mixture, self._model, run)
