"""Posteriors of a fitted net: exact ones over all states, and truncated ones over a few."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from .._data import Block, BlockSource, check_total_weight
from .._entropy_sum import EntropySum
from .._typing import Array, FloatArray
from ._exact import Enumeration, Observations, observe
from ._layers import BeliefNet
from ._model import BeliefNetModel, Parameters
from ._state_sets import StateSets
from ._truncated import search, weighted_terms, with_states


class Posteriors(Protocol):
    """The interface of posteriors for a fitted net."""

    def evaluate(self, rows: BlockSource, pool: ThreadPoolExecutor | None) -> tuple[float, EntropySum, float]:
        """Mean ELBO, entropy sum and total weight of rows."""

    def evidence(self, block: Block) -> FloatArray:
        """ELBO of each row of a block, (n,); with exact posteriors its log-likelihood."""

    def marginals(self, block: Block) -> FloatArray:
        """Posterior means of all latent variables, (n, B)."""


@dataclass(frozen=True)
class EnumeratedPosteriors:
    """Exact posteriors of a net, over all its states."""

    net: BeliefNet

    @cached_property
    def _enumeration(self) -> Enumeration:
        return Enumeration(self.net)

    def evaluate(self, rows: BlockSource, pool: ThreadPoolExecutor | None) -> tuple[float, EntropySum, float]:
        model, parameters = BeliefNetModel(0.0), Parameters(self.net)
        found = model.expect(parameters, rows, pool)
        check_total_weight(found.weight)
        return model.elbo(found), model.entropy_sum(parameters, found), found.weight

    def evidence(self, block: Block) -> FloatArray:
        return self._enumeration.explain(observe(block))[0]

    def marginals(self, block: Block) -> FloatArray:
        return self._enumeration.explain(observe(block))[1]


@dataclass(frozen=True)
class TruncatedPosteriors:
    """Posteriors of a net over at most ``n_states`` states of each row, which a search finds.

    The search treats each row independently of the others. ``known`` are states (C, B) that the fit has found, but that the
    search would miss.
    """

    net: BeliefNet
    n_states: int
    known: Array

    def find(self, observations: Observations) -> StateSets:
        """The states of rows."""
        return with_states(search(self.net, observations, self.n_states), self.known, self.net, observations)

    def evaluate(self, rows: BlockSource, pool: ThreadPoolExecutor | None) -> tuple[float, EntropySum, float]:
        weight, *sums = rows.sum(self._terms, pool).tolist()
        check_total_weight(weight)
        elbo, posterior, hidden, observable = (value / weight for value in sums)
        prior = BeliefNetModel.prior_entropy(self.net)
        return elbo, EntropySum(posterior, prior, observable, hidden=hidden), weight

    def _terms(self, block: Block) -> FloatArray:
        observations = observe(block)
        return weighted_terms(self.net, self.find(observations), observations)

    def evidence(self, block: Block) -> FloatArray:
        return self.find(observe(block)).log_evidence

    def marginals(self, block: Block) -> FloatArray:
        return self.find(observe(block)).marginals()
