"""The fit of a belief net: starts, replaced units, EM, polish."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from sklearn.utils import check_random_state

from .._data import Block, BlockSource, Rows, Source
from .._em import Ascent, End, Evaluate, FitByEM, Run, State, run_em
from .._messages import warn_of_fresh_start
from .._typing import Array, FloatArray
from ._distinct_rows import as_table, merge_duplicates, sample_rows
from ._exact import Enumeration, NetStatistics, observe
from ._layers import BeliefNet
from ._maximum import Maximum
from ._model import BeliefNetModel, Parameters
from ._report import complaints
from ._start import best_start, replace_weak_units
from ._truncated import evaluate_states, first_sets, improve_states, search, states_missed, statistics_of

if TYPE_CHECKING:
    from ._sigmoid_belief_net import SigmoidBeliefNet

# Number of EM steps after the replacement of a unit.
_REPLACEMENT_STEPS = 12
# EM over all states ends, and L-BFGS takes over, when the estimated gain still to come is this multiple of ``tol``.
_LEFT_OVER = 10.0
# With truncated posteriors L-BFGS takes over when an EM step gains less than this, in nats per sample: M-steps over many
# states cost several times as much as an evaluation.
_TRUNCATED_GATE = 1e-2
# L-BFGS keeps the states of rows fixed, and need not converge for them: these are the largest number of its evaluations, and
# the number of EM steps before it.
_TRUNCATED_EVALUATIONS, _TRUNCATED_STEPS = 60, 10


Expect: TypeAlias = Callable[[Parameters], NetStatistics]


class NetFit(FitByEM):
    """One fit of a belief net to a binary view of rows; ``means`` are those of its columns."""

    is_exact: ClassVar[bool]
    # Pairs of a number of competing starts, and a number of EM steps after which the better starts continue.
    _schedule: ClassVar[tuple[tuple[int, int], ...]]

    def __init__(
        self,
        net: SigmoidBeliefNet,
        rows: Source,
        X: Any,
        *,
        sizes: tuple[int, ...],
        binary_rows: BlockSource,
        means: FloatArray,
    ) -> None:
        self._net, self._sizes, self._totals = net, sizes, rows.totals
        self._rows = self._distinct(rows, binary_rows)
        self._model = BeliefNetModel(float(net.alpha))
        random_state, largest = check_random_state(net.random_state), np.iinfo(np.int32).max
        salt, self._seeds = random_state.randint(largest), random_state.randint(largest, size=net.n_init)
        self._given = net._net() if net.warm_start and hasattr(net, "prior_") else None
        if self._given is not None and (self._given.sizes != sizes or self._given.n_features != rows.n_features):
            warn_of_fresh_start(net, rows.n_features)
            self._given = None
        block = self._draw_rows(int(salt))
        self._sample = observe(block)
        assert block.weight is not None
        self._sample_weight = block.weight
        ones, missing = self._sample.X, self._sample.missing
        self._filled = ones if missing is None else np.where(missing, means, ones)
        super().__init__(net, X, self._model, n_runs=net.n_init if self._given is None else 1, accelerate=net.accelerate)

    def _distinct(self, rows: Source, binary_rows: BlockSource) -> BlockSource:
        """The binary rows, with repeated rows merged and their weights added."""
        return merge_duplicates(rows, binary_rows, self._sizes[0]) if isinstance(rows, Rows) else binary_rows

    @abstractmethod
    def _draw_rows(self, salt: int) -> Block:
        """Rows from which starts are made."""

    @abstractmethod
    def _e_step(self, random_state: np.random.RandomState, pool: ThreadPoolExecutor | None, *, of_sample: bool) -> Expect:
        """The E-step of a run, over all rows or over the sample for starts."""

    @abstractmethod
    def _parameters(self, net: BeliefNet) -> Parameters:
        """Parameters from which EM starts, given a net."""

    @abstractmethod
    def states_missed(self, state: State) -> Array:
        """States (C, B) that the fit has found, but that a search would miss."""

    @abstractmethod
    def _explain(self, state: State) -> tuple[FloatArray, FloatArray]:
        """Log-likelihoods of the sample's rows, and their posterior marginals."""

    def ascent(self, init: int, pool: ThreadPoolExecutor | None) -> Ascent:
        random_state = np.random.RandomState(self._seeds[init])
        if self._given is None:
            start = self._start(self._e_step(random_state, pool, of_sample=True), random_state)
        else:
            start = self._parameters(self._given)
        maximum = partial(Maximum, self._model, self._net.tol, accelerate=self._net.accelerate)
        return self._ascent(start, self._e_step(random_state, pool, of_sample=False), maximum)

    @abstractmethod
    def _ascent(self, start: Parameters, expect: Expect, maximum: Callable[..., Maximum]) -> Ascent:
        """The arguments of EM for a run from a start."""

    def attributes(self, run: Run) -> dict[str, Any]:
        return self._net._fitted_attributes(self._model, self._rows.dtype, self.is_exact, run)

    def complaints(self, run: Run) -> Iterator[str]:
        return complaints(self._net, run, self._totals)

    def _start(self, expect: Expect, random_state: np.random.RandomState) -> Parameters:
        """The best of a few starts, with weak units replaced; after Ctrl-C the best so far."""
        sizes, X, weight = self._sizes, self._filled, self._sample_weight
        rough, found = replace(self._model, newton_steps=1), list[State]()

        def climb(net: BeliefNet, n_steps: int) -> State:
            accelerate = self._net.accelerate
            found.append(run_em(rough, expect, Parameters(net), tol=0.0, max_iter=n_steps, accelerate=accelerate).state)
            return found[-1]

        try:
            best = best_start(climb, X, weight, sizes, random_state, self._schedule)
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


class EnumeratedFit(NetFit):
    """A fit with exact posteriors over all states of the layer next to the data."""

    is_exact = True
    _schedule = ((8, 10), (4, 20), (2, 40))

    def _draw_rows(self, salt: int) -> Block:
        sample = self._rows.sum(partial(sample_rows, salt))
        block = self._rows.take(sample.index, sample.weight)
        assert block.weight is not None
        self._sample_rows = as_table(block.X, block.weight, self._sizes[0])
        return block

    def _e_step(self, random_state: np.random.RandomState, pool: ThreadPoolExecutor | None, *, of_sample: bool) -> Expect:
        rows = self._sample_rows if of_sample else self._rows
        return lambda parameters: self._model.expect(parameters, rows, pool)

    def _parameters(self, net: BeliefNet) -> Parameters:
        return Parameters(net)

    def _ascent(self, start: Parameters, expect: Expect, maximum: Callable[..., Maximum]) -> Ascent:
        tol, end = self._net.tol * (_LEFT_OVER if self._net.accelerate else 1.0), maximum()
        return Ascent(start, expect, tol, newton=end, finish=end.finish)

    def states_missed(self, state: State) -> Array:
        """No states, since a net with exact posteriors does not search."""
        return np.zeros((0, sum(state.parameters.net.sizes)), np.uint8)

    def _explain(self, state: State) -> tuple[FloatArray, FloatArray]:
        return Enumeration(state.parameters.net).explain(self._sample)


class TruncatedFit(NetFit):
    """A fit with posteriors over a few states of each row; each step improves the states."""

    is_exact = False
    _schedule = ((2, 10),)

    def _distinct(self, rows: Source, binary_rows: BlockSource) -> BlockSource:
        if not isinstance(rows, Rows):
            raise ValueError("posterior='truncated' keeps states of each row and needs X in memory; use fewer components.")
        return super()._distinct(rows, binary_rows)

    def _draw_rows(self, salt: int) -> Block:
        """All rows, since each has its states."""
        assert isinstance(self._rows, Rows)
        return self._rows.take(np.arange(self._rows.n_rows), self._rows.row_weight)

    def _e_step(self, random_state: np.random.RandomState, pool: ThreadPoolExecutor | None, *, of_sample: bool) -> Expect:
        return partial(self._expect, random_state)

    def _expect(self, random_state: np.random.RandomState, parameters: Parameters) -> NetStatistics:
        net, sets = parameters.net, parameters.states
        if parameters.keeps_states:
            sets = evaluate_states(sets, net, self._sample)
        else:
            sets = first_sets(net, self._sample, self._net.n_states) if sets is None else sets
            sets = improve_states(sets, net, self._sample, random_state)
        return statistics_of(net, sets, self._sample)

    def _ascent(self, start: Parameters, expect: Expect, maximum: Callable[..., Maximum]) -> Ascent:
        end = maximum(most_evaluations=_TRUNCATED_EVALUATIONS, steps_before=_TRUNCATED_STEPS, look=self._look_around)
        finish = self._end_around, *end.finish
        return Ascent(start, expect, self._net.tol, newton=end, newton_gate=_TRUNCATED_GATE, finish=finish)

    def _look_around(self, state: State, evaluate: Evaluate) -> State:
        """The state with the best posteriors that a search finds, starting from its own."""
        net = state.parameters.net
        sets = search(net, self._sample, self._net.n_states, state.statistics.states)
        return evaluate(Parameters(net, sets, keeps_states=True))

    def _end_around(self, state: State, evaluate: Evaluate) -> End:
        """The result of ``_look_around``; EM continues if that gains more than tol."""
        better = self._look_around(state, evaluate)
        return End(better, goes_on=better.objective > state.objective + self._net.tol)

    def _parameters(self, net: BeliefNet) -> Parameters:
        return Parameters(net, self._net._truncated_posteriors(net).find(self._sample))

    def states_missed(self, state: State) -> Array:
        net = state.parameters.net
        return states_missed(evaluate_states(state.statistics.states, net, self._sample), net, self._sample)

    def _explain(self, state: State) -> tuple[FloatArray, FloatArray]:
        sets = state.statistics.states
        return sets.log_evidence, sets.marginals()
