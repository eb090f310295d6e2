"""Exact posteriors by enumeration of all states of the layer next to the data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.special import logsumexp

from .._data import Block, BlockSource
from .._typing import Array, FloatArray
from ._layers import BeliefNet, enumerate_states, softplus
from ._logistic import Regression
from ._model import NetStatistics, Parameters


@dataclass(frozen=True)
class Observations:
    """Rows of zeros and ones, 0 where missing, and which entries are observed; None if all are."""

    X: FloatArray
    observed: FloatArray | None
    weight: FloatArray | None


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
    successes : sum of w q m x, (S, D)
    """

    weight: float
    log_evidence: float
    counts: FloatArray
    observed: FloatArray | None
    successes: FloatArray

    def __add__(self, other: BlockSums) -> BlockSums:
        observed = None
        if self.observed is not None or other.observed is not None:
            observed = self._observed_counts() + other._observed_counts()
        return BlockSums(
            self.weight + other.weight,
            self.log_evidence + other.log_evidence,
            self.counts + other.counts,
            observed,
            self.successes + other.successes,
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

    def posterior(self, observations: Observations) -> tuple[FloatArray, FloatArray]:
        """log p(x_n), (n,), and q_n, (n, S)."""
        # log p(s) + sum_d m_d [x_d L_d(s) - log(1 + exp L_d(s))]
        if observations.observed is None:
            log_joint = observations.X @ self.logits.T
            log_joint += self.log_prior - self.softplus.sum(axis=1)
        else:
            X = observations.X * observations.observed
            log_joint = X @ self.logits.T - observations.observed @ self.softplus.T + self.log_prior
        largest = log_joint.max(axis=1, keepdims=True)
        log_joint -= largest
        q = np.exp(log_joint, out=log_joint)
        normaliser = q.sum(axis=1, keepdims=True)
        q /= normaliser
        return (np.log(normaliser) + largest)[:, 0], q

    def expect(self, observations: Observations) -> BlockSums:
        """E-step on one block of rows."""
        log_evidence, q = self.posterior(observations)
        weight = observations.weight
        if weight is not None:
            q *= weight[:, np.newaxis]
        X, observed = observations.X, observations.observed
        return BlockSums(
            float(len(q) if weight is None else weight.sum()),
            float(log_evidence.sum() if weight is None else weight @ log_evidence),
            q.sum(axis=0),
            None if observed is None else q.T @ observed,
            q.T @ (X if observed is None else X * observed),
        )

    def statistics(self, sums: BlockSums) -> NetStatistics:
        """The statistics of all rows, and those of the layer above."""
        counts = sums._observed_counts()
        # H[q] = log p(x) - E_q log p(x, s), summed over rows through the same statistics.
        joint = (sums.successes * self.logits).sum() - (counts * self.softplus).sum()
        if counts.shape[1] == 1:
            joint = (sums.successes * self.logits).sum() - sums.counts @ self.softplus.sum(axis=1)
        entropy = sums.log_evidence - float(joint) - float(sums.counts @ self.log_prior)
        regressions: tuple[Regression, ...] = (Regression(self.states, counts, sums.successes),)
        top = sums.counts @ self.states
        if len(self.net.layers) == 2:
            above = sums.counts[:, np.newaxis] * self.posterior_above
            entropy += float(sums.counts @ self.entropy_above)
            weights = above.sum(axis=0)
            regressions += (Regression(self.top_states, weights[:, np.newaxis], above.T @ self.states),)
            top = weights @ self.top_states
        return NetStatistics(self.net, sums.weight, sums.log_evidence, max(entropy, 0.0), top, regressions)

    def marginals(self, q: Array) -> FloatArray:
        """Posterior means of all latent variables, from the layer next to the data upward."""
        means = q @ self.states
        if len(self.net.layers) == 2:
            means = np.column_stack([means, q @ (self.posterior_above @ self.top_states)])
        return np.minimum(means, 1.0)


def expect(rows: BlockSource, parameters: Parameters, pool: ThreadPoolExecutor | None) -> NetStatistics:
    """Exact E-step over all rows."""
    enumeration = Enumeration(parameters.net)
    return enumeration.statistics(rows.sum(partial(_block_sums, enumeration), pool))


def _block_sums(enumeration: Enumeration, block: Block) -> BlockSums:
    return enumeration.expect(observe(block))
