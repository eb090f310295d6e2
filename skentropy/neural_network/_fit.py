"""The fit of a belief net: starts, replaced units, EM, polish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from .._data import BlockSource, Rows, Source
from .._em import Ascent, FitByEM, Run, State, run_em
from .._messages import warn_of_fresh_start
from .._typing import Array, FloatArray
from ._distinct_rows import merge_duplicates, row_bytes, sample_rows, weights_of
from ._exact import Enumeration, observe
from ._exact import expect as expect_exactly
from ._layers import BeliefNet
from ._maximum import Maximum
from ._model import BeliefNetModel, NetStatistics, Parameters
from ._report import complaints
from ._start import best_start, replace_weak_units
from ._truncated import evaluate_states, first_sets, improve_states, states_missed, statistics

if TYPE_CHECKING:
    from ._sigmoid_belief_net import SigmoidBeliefNet

# Numbers of starts that compete, and the EM steps after which the better ones go on.
_SCHEDULE = ((8, 10), (4, 20), (2, 40))
_TRUNCATED_SCHEDULE = ((2, 10),)
# EM steps of each replacement of a unit.
_REPLACEMENT_STEPS = 12
# EM over all states leaves to L-BFGS what it estimates at as many times ``tol``.
_LEFT_OVER = 10.0


class NetFit(FitByEM):
    """One fit of a belief net to rows, of which it sees a binary view, whose columns have these means."""

    def __init__(
        self,
        net: SigmoidBeliefNet,
        rows: Source,
        X: Any,
        *,
        sizes: tuple[int, ...],
        binary_rows: BlockSource,
        means: FloatArray,
        exact: bool,
    ) -> None:
        self._net, self._sizes, self._exact = net, sizes, exact
        self._totals = rows.totals
        self._rows = binary_rows
        if isinstance(rows, Rows):
            self._rows = merge_duplicates(rows, binary_rows)
        elif not exact:
            raise ValueError("posterior='truncated' keeps states of each row and needs X in memory; use fewer components.")
        self._model = BeliefNetModel(float(net.alpha))
        salt, *self._seeds = check_random_state(net.random_state).randint(np.iinfo(np.int32).max, size=1 + net.n_init)
        self._given = net._net() if net.warm_start and hasattr(net, "prior_") else None
        if self._given is not None and (self._given.sizes != sizes or self._given.n_features != rows.n_features):
            warn_of_fresh_start(net, rows.n_features)
            self._given = None
        self._draw_sample(int(salt), means)
        super().__init__(net, X, self._model, n_runs=net.n_init if self._given is None else 1, accelerate=net.accelerate)

    def _draw_sample(self, salt: int, means: FloatArray) -> None:
        """Rows that starts are made of; all of them where the posterior is truncated."""
        rows = self._rows
        if self._exact:
            sample = rows.sum(partial(sample_rows, salt))
            block = rows.take(sample.index, sample.weight)
            self._sample_rows = Rows(block.X, block.weight, row_bytes=row_bytes(2 ** self._sizes[0], rows.n_features))
        else:
            assert isinstance(rows, Rows)
            block = rows.take(np.arange(rows.n_rows), weights_of(rows))
        self._sample = observe(block)
        assert block.weight is not None
        self._sample_weight = block.weight
        X, observed = self._sample.X, self._sample.observed
        self._filled = X if observed is None else np.where(observed > 0, X, means)

    def ascent(self, init: int, pool: ThreadPoolExecutor | None) -> Ascent:
        net, random_state = self._net, np.random.RandomState(self._seeds[init])

        def expect(parameters: Parameters, rows: BlockSource = self._rows) -> NetStatistics:
            if self._exact:
                return expect_exactly(rows, parameters, pool)
            return self._expect_truncated(parameters, random_state)

        if self._given is None:
            start = self._start(partial(expect, rows=self._sample_rows) if self._exact else expect, random_state)
        else:
            states = None if self._exact else net._search(self._given)(self._sample)
            start = Parameters(self._given, states)
        maximum = Maximum(self._model, net.tol, accelerate=net.accelerate)
        tol = net.tol * (_LEFT_OVER if self._exact and net.accelerate else 1.0)
        return Ascent(start, expect, tol, maximum if self._exact else None, maximum)

    def _expect_truncated(self, parameters: Parameters, random_state: np.random.RandomState) -> NetStatistics:
        net, sets = parameters.net, parameters.states
        if parameters.keeps_states:
            return statistics(net, evaluate_states(sets, net, self._sample), self._sample)
        if sets is None:
            sets = first_sets(net, self._sample, self._net.n_states)
        return statistics(net, improve_states(sets, net, self._sample, random_state), self._sample)

    def attributes(self, run: Run) -> dict[str, Any]:
        return self._net._fitted_attributes(self._model, self._rows.dtype, self._exact, run)

    def complaints(self, run: Run) -> Iterator[str]:
        return complaints(self._net, run, self._totals)

    def states_missed(self, state: State) -> Array:
        """States that the fit has found and a search would miss, (C, B); none where all are enumerated."""
        if self._exact:
            return np.zeros((0, sum(state.parameters.net.sizes)), np.uint8)
        net = state.parameters.net
        return states_missed(evaluate_states(state.statistics.states, net, self._sample), net, self._sample)

    def _start(self, expect: Callable[[Parameters], NetStatistics], random_state: np.random.RandomState) -> Parameters:
        """The best of a few starts, its weak units replaced; after Ctrl-C the best so far."""
        sizes, X, weight = self._sizes, self._filled, self._sample_weight
        rough, found = replace(self._model, newton_steps=1), list[State]()

        def climb(net: BeliefNet, n_steps: int) -> State:
            accelerate = self._net.accelerate
            found.append(run_em(rough, expect, Parameters(net), tol=0.0, max_iter=n_steps, accelerate=accelerate).state)
            return found[-1]

        try:
            best = best_start(climb, X, weight, sizes, random_state, _SCHEDULE if self._exact else _TRUNCATED_SCHEDULE)
            if len(sizes) == 1 and sizes[0] > 1:
                short = partial(climb, n_steps=_REPLACEMENT_STEPS)
                best = replace_weak_units(best, short, self._explain, X, weight, random_state, attempts=2 * sizes[0])
        except KeyboardInterrupt:
            if not found:
                raise
            self.interrupt()
            best = max(found, key=lambda state: state.objective)
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
