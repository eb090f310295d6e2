"""The course of a fit: starts, replaced units, EM, polish."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .._data import Rows, Source
from .._em import Run, State, run_em
from .._typing import Array, FloatArray
from ._exact import Enumeration, Observations, observe
from ._exact import expect as expect_exactly
from ._layers import BeliefNet
from ._maximum import Maximum
from ._model import BeliefNetModel, NetStatistics, Parameters
from ._rows import row_bytes, sample_rows, weights_of
from ._start import best_start, replace_weak_units
from ._truncated import StateSets, first_sets, improved, judged, states_missed, statistics

# Numbers of starts that compete, and the EM steps after which the better ones go on.
_SCHEDULE = ((8, 10), (4, 20), (2, 40))
_TRUNCATED_SCHEDULE = ((2, 10),)
# EM steps of each replacement of a unit.
_REPLACEMENT_STEPS = 12
# EM over all states leaves to L-BFGS what it estimates at as many times ``tol``.
_LEFT_OVER = 10.0


class Fitting:
    """One fit's data and model, and the course of a run: starts, replaced units, EM, polish."""

    def __init__(
        self,
        estimator: Any,
        model: BeliefNetModel,
        rows: Source,
        threshold: float,
        means: FloatArray,
        exact: bool,
        salt: int,
        find: Callable[[Observations], StateSets] | None = None,
    ) -> None:
        """``find`` finds the states of a truncated posterior for the net that the fit starts from."""
        self._find = find
        self._estimator, self._model, self._exact = estimator, model, exact
        self._rows, self._threshold = rows, threshold
        if exact:
            sample = rows.sum(partial(sample_rows, salt=salt, threshold=threshold))
            block = rows.take(sample.index, sample.weight)
            states = 2 ** estimator._sizes()[0]
            self._sample_rows = Rows(block.X, block.weight, row_bytes=row_bytes(states, rows.n_features))
        else:
            assert isinstance(rows, Rows)
            block = rows.take(np.arange(rows.n_rows), weights_of(rows))
        self._sample = observe(block, threshold)
        assert block.weight is not None
        self._sample_weight = block.weight
        X, observed = self._sample.X, self._sample.observed
        self._filled = X if observed is None else np.where(observed > 0, X, means)

    def run(
        self, given: BeliefNet | None, random_state: np.random.RandomState, watcher: Any, pool: ThreadPoolExecutor | None
    ) -> Run:
        """From a start to convergence."""
        estimator = self._estimator

        def expect(parameters: Parameters, rows: Source = self._rows) -> NetStatistics:
            if self._exact:
                return expect_exactly(rows, parameters, self._threshold, pool)
            if parameters.states is None:
                sets = first_sets(parameters.net, self._sample, estimator.n_states)
            else:
                sets = parameters.states
            sets = improved(sets, parameters.net, self._sample, random_state)
            return statistics(parameters.net, sets, self._sample)

        rough = replace(self._model, newton_steps=1)
        expect_sample = partial(expect, rows=self._sample_rows) if self._exact else expect

        def climb(net: BeliefNet, n_steps: int) -> State:
            accelerate = estimator.accelerate
            return run_em(rough, expect_sample, Parameters(net), tol=0.0, max_iter=n_steps, accelerate=accelerate).state

        if given is None:
            start = self._start(climb, random_state)
        else:
            start = Parameters(given, None if self._exact or self._find is None else self._find(self._sample))

        def expect_from(state: State) -> Callable[[Parameters], NetStatistics]:
            return expect if self._exact else self._with_states_of(state)

        maximum = Maximum(self._model, expect_from, estimator.tol, accelerate=estimator.accelerate)
        run = run_em(
            self._model,
            expect,
            start,
            tol=estimator.tol * (_LEFT_OVER if self._exact and estimator.accelerate else 1.0),
            max_iter=estimator.max_iter,
            accelerate=estimator.accelerate,
            watcher=watcher,
            newton=maximum if self._exact else None,
            refine=maximum,
        )
        run.saddle = maximum.saddle
        return run

    def states_missed(self, state: State) -> Array:
        """States that the fit has found and a search would miss, (C, B); none where all are enumerated."""
        if self._exact:
            return np.zeros((0, sum(state.parameters.net.sizes)), np.uint8)
        net = state.parameters.net
        return states_missed(judged(state.statistics.states, net, self._sample), net, self._sample)

    def _with_states_of(self, state: State) -> Callable[[Parameters], NetStatistics]:
        """The E-step of a truncated posterior that keeps the states it has."""
        sets = state.statistics.states

        def expect(parameters: Parameters) -> NetStatistics:
            return statistics(parameters.net, judged(sets, parameters.net, self._sample), self._sample)

        return expect

    def _start(self, climb: Callable[..., State], random_state: np.random.RandomState) -> Parameters:
        """The best of a few starts, its weak units replaced."""
        sizes = self._estimator._sizes()
        X, weight = self._filled, self._sample_weight
        schedule = _SCHEDULE if self._exact else _TRUNCATED_SCHEDULE
        best = best_start(climb, X, weight, sizes, random_state, schedule)
        if len(sizes) == 1 and sizes[0] > 1:
            short = partial(climb, n_steps=_REPLACEMENT_STEPS)
            best = replace_weak_units(best, short, self._explain, X, weight, random_state, attempts=2 * sizes[0])
        result: Parameters = best.parameters
        return result

    def _explain(self, state: State) -> tuple[FloatArray, FloatArray]:
        """Log-likelihoods of the sample's rows, and their posterior marginals."""
        if not self._exact:
            sets = state.statistics.states
            return sets.log_evidence, sets.marginals()
        enumeration = Enumeration(state.parameters.net)
        log_evidence, q = enumeration.posterior(self._sample)
        return log_evidence, enumeration.marginals(q)
