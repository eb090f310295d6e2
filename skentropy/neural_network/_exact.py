"""Exact posteriors by enumeration of all states of the layer next to the data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.special import logsumexp

from .._data import Block, BlockSource
from .._typing import Array, FloatArray
from ._halves import HalvedRows, Halves
from ._layers import BeliefNet, enumerate_states, softplus
from ._logistic import Regression
from ._model import NetStatistics, Parameters


@dataclass(frozen=True)
class Observations:
    """Rows of zeros and ones, 0 where missing, and which entries are observed; None if all are."""

    X: FloatArray
    observed: FloatArray | None
    weight: FloatArray | None

    def rows(self, chosen: Array) -> Observations:
        """Some of the rows."""
        observed, weight = (None if values is None else values[chosen] for values in (self.observed, self.weight))
        return Observations(self.X[chosen], observed, weight)

    def moments(self, means: FloatArray) -> FloatArray:
        """Weighted sum over rows of x times [means, 1], (D, H + 1)."""
        return np.column_stack([self._weighted.T @ means, self._ones])

    @cached_property
    def _weighted(self) -> FloatArray:
        """The ones that are observed, with their rows' weights."""
        X = self.X if self.observed is None else self.X * self.observed
        return X if self.weight is None else X * self.weight[:, np.newaxis]

    @cached_property
    def _ones(self) -> FloatArray:
        return np.asarray(self._weighted.sum(axis=0))


def observe(block: Block) -> Observations:
    """Rows of zeros and ones, and NaN where they are missing."""
    X = block.X if isinstance(block.X, np.ndarray) else block.X.toarray()
    missing = np.isnan(X)
    X = (X > 0).astype(np.float64)
    return Observations(X, (~missing).astype(np.float64) if missing.any() else None, block.weight)


@dataclass(frozen=True)
class BlockSums:
    """Additive statistics of blocks of rows; S states of the layer next to the data, D features.

    Attributes
    ----------
    weight : sum of w
    log_evidence : sum of w log p(x)
    counts : sum of w q, (S,)
    observed : sum of w q m, (S, D), or None where nothing is missing so far; m says which entries are observed
    moments : sum of w m x times the means of [s, 1] under q, (D, I + 1)
    """

    weight: float
    log_evidence: float
    counts: FloatArray
    observed: FloatArray | None
    moments: FloatArray

    def __add__(self, other: BlockSums) -> BlockSums:
        observed = None
        if self.observed is not None or other.observed is not None:
            observed = self._observed_counts() + other._observed_counts()
        return BlockSums(
            self.weight + other.weight,
            self.log_evidence + other.log_evidence,
            self.counts + other.counts,
            observed,
            self.moments + other.moments,
        )

    def _observed_counts(self) -> FloatArray:
        return self.counts[:, np.newaxis] if self.observed is None else self.observed


class Enumeration:
    """A net with all its states laid out.

    With two hidden layers p(z | y) does not depend on the row: only the states of the layer next to the data, y, meet the
    rows, each with its marginal prior p(y) = sum_z p(z) p(y | z).
    """

    def __init__(self, net: BeliefNet) -> None:
        self.net = net
        self.states = enumerate_states(net.sizes[0])
        self.logits = net.layers[0].logits(self.states)
        self.softplus = softplus(self.logits)
        self.log_prior = net.log_prior(self.states) if len(net.layers) == 1 else logsumexp(self._log_joint_above, axis=1)
        # What a row of which all is observed has to do with a state besides sum_d x_d L_d(s).
        self._log_table = self.log_prior - self.softplus.sum(axis=1)

    @cached_property
    def _halves(self) -> Halves:
        return Halves(self.states, self._log_table)

    @cached_property
    def top_states(self) -> FloatArray:
        """All states of the upper of two hidden layers."""
        return enumerate_states(self.net.sizes[1])

    @cached_property
    def _log_joint_above(self) -> FloatArray:
        """log p(y, z), (2^I, 2^H)."""
        logits = self.net.layers[1].logits(self.top_states)
        return np.asarray(self.states @ logits.T - softplus(logits).sum(axis=1) + self.net.log_prior(self.top_states))

    @cached_property
    def posterior_above(self) -> FloatArray:
        """p(z | y), (2^I, 2^H)."""
        return np.asarray(np.exp(self._log_joint_above - self.log_prior[:, np.newaxis]))

    @cached_property
    def entropy_above(self) -> FloatArray:
        """H[p(z | y)], (2^I,)."""
        log_q = self._log_joint_above - self.log_prior[:, np.newaxis]
        return np.asarray(-(self.posterior_above * log_q).sum(axis=1))

    @cached_property
    def _means_above(self) -> FloatArray:
        """E[z | y], (2^I, H)."""
        return np.asarray(self.posterior_above @ self.top_states)

    def posterior(self, observations: Observations) -> tuple[FloatArray, FloatArray]:
        """log p(x_n), (n,), and q_n, (n, S)."""
        # log p(s) + sum_d m_d [x_d L_d(s) - log(1 + exp L_d(s))]
        X, layer = observations.X, self.net.layers[0]
        if observations.observed is None:
            log_joint = (X @ layer.weights) @ self.states.T
            log_joint += self._log_table
        else:
            X = X * observations.observed
            log_joint = (X @ layer.weights) @ self.states.T - observations.observed @ self.softplus.T + self.log_prior
        largest = log_joint.max(axis=1, keepdims=True)
        log_joint -= largest
        q = np.exp(log_joint, out=log_joint)
        normaliser = q.sum(axis=1, keepdims=True)
        q /= normaliser
        return (np.log(normaliser) + largest)[:, 0] + X @ layer.offsets, q

    def _by_halves(self, observations: Observations) -> HalvedRows | None:
        """Rows by halves of the units, where all is observed; they are not laid out."""
        if observations.observed is not None:
            return None
        return self._halves.of_rows(observations.X @ self.net.layers[0].weights)

    def expect(self, observations: Observations) -> BlockSums:
        """E-step on one block of rows."""
        rows, weight = self._by_halves(observations), observations.weight
        if rows is None or not rows.trusted.any():
            return self._expect_laid_out(observations)
        if not rows.trusted.all():
            return self.expect(observations.rows(rows.trusted)) + self._expect_laid_out(observations.rows(~rows.trusted))
        log_evidence = rows.log_sum() + observations.X @ self.net.layers[0].offsets
        return BlockSums(
            float(len(log_evidence) if weight is None else weight.sum()),
            float(log_evidence.sum() if weight is None else weight @ log_evidence),
            rows.counts(weight),
            None,
            observations.moments(rows.means()),
        )

    def _expect_laid_out(self, observations: Observations) -> BlockSums:
        log_evidence, q = self.posterior(observations)
        weight, observed = observations.weight, observations.observed
        moments = observations.moments(q @ self.states)
        if weight is not None:
            q *= weight[:, np.newaxis]
        return BlockSums(
            float(len(q) if weight is None else weight.sum()),
            float(log_evidence.sum() if weight is None else weight @ log_evidence),
            q.sum(axis=0),
            None if observed is None else q.T @ observed,
            moments,
        )

    def statistics(self, sums: BlockSums) -> NetStatistics:
        """The statistics of all rows, and those of the layer above."""
        counts = sums._observed_counts()
        # H[q] = log p(x) - E_q log p(x, s), summed over rows through the same statistics.
        joint = float((sums.moments * self.net.layers[0].joined).sum())
        if sums.observed is None:
            joint += float(sums.counts @ self._log_table)
        else:
            joint += float(sums.counts @ self.log_prior - (sums.observed * self.softplus).sum())
        entropy = sums.log_evidence - joint
        regressions: tuple[Regression, ...] = (Regression(self.states, counts, sums.moments),)
        top = sums.counts @ self.states
        if len(self.net.layers) == 2:
            entropy += float(sums.counts @ self.entropy_above)
            weights = sums.counts @ self.posterior_above
            moments = np.column_stack([(sums.counts[:, np.newaxis] * self.states).T @ self._means_above, top])
            regressions += (Regression(self.top_states, weights[:, np.newaxis], moments),)
            top = weights @ self.top_states
        return NetStatistics(self.net, sums.weight, sums.log_evidence, max(entropy, 0.0), top, regressions)

    def explain(self, observations: Observations) -> tuple[FloatArray, FloatArray]:
        """log p(x_n), (n,), and posterior means of all latent variables, from the layer next to the data upward."""
        rows = self._by_halves(observations) if len(self.net.layers) == 1 else None
        if rows is None or not rows.trusted.any():
            log_evidence, q = self.posterior(observations)
            return log_evidence, self.marginals(q)
        if rows.trusted.all():
            return rows.log_sum() + observations.X @ self.net.layers[0].offsets, rows.means()
        log_evidence, means = np.empty(len(observations.X)), np.empty((len(observations.X), self.states.shape[1]))
        for chosen in (rows.trusted, ~rows.trusted):
            log_evidence[chosen], means[chosen] = self.explain(observations.rows(chosen))
        return log_evidence, means

    def marginals(self, q: Array) -> FloatArray:
        """Posterior means of all latent variables, from the layer next to the data upward."""
        means = q @ self.states
        if len(self.net.layers) == 2:
            means = np.column_stack([means, q @ self._means_above])
        return np.minimum(means, 1.0)


def expect(rows: BlockSource, parameters: Parameters, pool: ThreadPoolExecutor | None) -> NetStatistics:
    """Exact E-step over all rows."""
    enumeration = Enumeration(parameters.net)
    return enumeration.statistics(rows.sum(partial(_block_sums, enumeration), pool))


def _block_sums(enumeration: Enumeration, block: Block) -> BlockSums:
    return enumeration.expect(block.once(observe, observe))
