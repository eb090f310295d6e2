"""Exact posteriors by enumeration of all states of the layer next to the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._data import Additive, Block
from .._typing import Array, FloatArray
from ..families._special import softplus
from ._halves import HalvedRows, Halves
from ._layers import BeliefNet, enumerate_states, total_softplus
from ._logistic import Regression


@dataclass(frozen=True)
class Observations:
    """Rows of zeros and ones (0 where missing), the mask of missing entries (None if there are none), and row weights."""

    X: FloatArray
    missing: Array | None
    weight: FloatArray | None

    def rows(self, chosen: Array) -> Observations:
        """Some of the rows."""
        missing, weight = (None if values is None else values[chosen] for values in (self.missing, self.weight))
        return Observations(self.X[chosen], missing, weight)

    @cached_property
    def m(self) -> FloatArray | None:
        """The mask m, 0 for missing entries and 1 for others; None if nothing is missing."""
        return None if self.missing is None else (~self.missing).astype(np.float64)

    def moments(self, means: FloatArray) -> FloatArray:
        """Weighted sum over rows of x times [means, 1], (D, H + 1)."""
        return np.column_stack([self._weighted.T @ means, self._ones])

    @cached_property
    def _weighted(self) -> FloatArray:
        """The rows, multiplied by their weights."""
        return self.X if self.weight is None else self.X * self.weight[:, np.newaxis]

    @cached_property
    def _ones(self) -> FloatArray:
        return np.asarray(self._weighted.sum(axis=0))


def observe(block: Block) -> Observations:
    """Observations of a block of zeros, ones and NaN for missing entries."""
    X = block.dense
    missing = np.isnan(X)
    X = (X > 0).astype(np.float64)
    return Observations(X, missing if missing.any() else None, block.weight)


@dataclass(frozen=True)
class NetStatistics:
    """Statistics from an E-step, summed over rows with their weights w.

    Attributes
    ----------
    at : BeliefNet, the net that gave the posteriors
    weight : sum of w
    elbo : sum of w (E_q log p(x, z) + H[q])
    posterior_entropy : sum of w H[q]
    top : sum of w E_q[z] of the top layer, (H,)
    regressions : one per layer, from the data upward
    states : StateSets of truncated posteriors; None for exact ones
    """

    at: BeliefNet
    weight: float
    elbo: float
    posterior_entropy: float
    top: FloatArray
    regressions: tuple[Regression, ...]
    states: Any = None


@dataclass(frozen=True)
class ExactSums(Additive):
    """Sums over rows with their weights w of an exact E-step; S states of the layer next to the data.

    Attributes
    ----------
    weight : sum of w
    elbo : sum of w log p(x)
    posterior_entropy : sum of w H[q]
    counts : sum of w q, (S,)
    observed : sum of w q m, with m the mask of observed entries; (S, D), or (S, 1) as long as nothing is missing
    moments : sum of w m x times the means of [s, 1] under q, (D, I + 1)
    """

    weight: float
    elbo: float
    posterior_entropy: float
    counts: FloatArray
    observed: FloatArray
    moments: FloatArray


class Enumeration:
    """A net with a table of all its states.

    With two hidden layers p(z | y) does not depend on the row: rows are only combined with the states y of the layer next to
    the data, each with its marginal prior p(y) = sum_z p(z) p(y | z).
    """

    def __init__(self, net: BeliefNet) -> None:
        self.net = net
        self.states = enumerate_states(net.sizes[0])
        if len(net.layers) == 1:
            self.log_prior = net.log_prior(self.states)
        else:
            self.log_prior, self.posterior_above, self.entropy_above = self._sum_above()
        # The log joint of a complete row and a state, without sum_d x_d L_d(s).
        self._log_table = self.log_prior - total_softplus(net.layers[0].logits(self.states))

    @cached_property
    def _softplus(self) -> FloatArray:
        """log(1 + exp L_d(s)), (S, D); only rows with gaps need it."""
        return softplus(self.net.layers[0].logits(self.states))

    @cached_property
    def _halves(self) -> Halves:
        return Halves(self.states, self._log_table)

    @cached_property
    def top_states(self) -> FloatArray:
        """All states of the upper of two hidden layers."""
        return enumerate_states(self.net.sizes[1])

    def _sum_above(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """log p(y), (2^I,), p(z | y), (2^I, 2^H), and H[p(z | y)], (2^I,)."""
        logits = self.net.layers[1].logits(self.top_states)
        log_q = self.states @ logits.T
        log_q += self.net.log_prior(self.top_states) - total_softplus(logits)
        largest = log_q.max(axis=1, keepdims=True)
        log_q -= largest
        q = np.exp(log_q)
        normaliser = q.sum(axis=1, keepdims=True)
        q /= normaliser
        log_normaliser = np.log(normaliser)[:, 0]
        return log_normaliser + largest[:, 0], q, log_normaliser - np.einsum("st,st->s", q, log_q)

    @cached_property
    def means_above(self) -> FloatArray:
        """E[z | y], (2^I, H)."""
        return np.asarray(self.posterior_above @ self.top_states)

    def posterior(self, observations: Observations) -> tuple[FloatArray, FloatArray]:
        """log p(x_n), (n,), and q_n, (n, S)."""
        # log p(s) + sum_d m_d [x_d L_d(s) - log(1 + exp L_d(s))]
        X, layer = observations.X, self.net.layers[0]
        if observations.m is None:
            log_joint = (X @ layer.weights) @ self.states.T
            log_joint += self._log_table
        else:
            log_joint = (X @ layer.weights) @ self.states.T - observations.m @ self._softplus.T + self.log_prior
        largest = log_joint.max(axis=1, keepdims=True)
        log_joint -= largest
        q = np.exp(log_joint, out=log_joint)
        normaliser = q.sum(axis=1, keepdims=True)
        q /= normaliser
        return (np.log(normaliser) + largest)[:, 0] + X @ layer.offsets, q

    def _by_halves(self, observations: Observations) -> HalvedRows | None:
        """Complete rows, with states as pairs of half states; None if entries are missing."""
        if observations.missing is not None:
            return None
        return self._halves.of_rows(observations.X @ self.net.layers[0].weights)

    def expect(self, block: Block) -> ExactSums:
        """E-step on one block of rows."""
        return self.sums(block.once(observe, observe))

    def sums(self, observations: Observations) -> ExactSums:
        """The sums over some rows."""
        rows = self._by_halves(observations)
        if rows is None or not rows.trusted.any():
            return self._sums_laid_out(observations)
        if not rows.trusted.all():
            return self.sums(observations.rows(rows.trusted)) + self._sums_laid_out(observations.rows(~rows.trusted))
        log_evidence = rows.log_sum() + observations.X @ self.net.layers[0].offsets
        return self._sums(observations, log_evidence, rows.counts(observations.weight), rows.means())

    def _sums_laid_out(self, observations: Observations) -> ExactSums:
        log_evidence, q = self.posterior(observations)
        means = q @ self.states
        if observations.weight is not None:
            q *= observations.weight[:, np.newaxis]
        observed = None if observations.m is None else q.T @ observations.m
        return self._sums(observations, log_evidence, q.sum(axis=0), means, observed)

    def _sums(
        self,
        observations: Observations,
        log_evidence: FloatArray,
        counts: FloatArray,
        means: FloatArray,
        observed: FloatArray | None = None,
    ) -> ExactSums:
        weight, moments = observations.weight, observations.moments(means)
        elbo = float(log_evidence.sum() if weight is None else weight @ log_evidence)
        # H[q] = log p(x) - E_q log p(x, s), summed over rows through the same statistics.
        joint = float((moments * self.net.layers[0].joined).sum())
        if observed is None:
            joint += float(counts @ self._log_table)
        else:
            joint += float(counts @ self.log_prior - np.vdot(observed, self._softplus))
        above = float(counts @ self.entropy_above) if len(self.net.layers) == 2 else 0.0
        return ExactSums(
            float(len(log_evidence) if weight is None else weight.sum()),
            elbo,
            max(elbo - joint, 0.0) + above,
            counts,
            counts[:, np.newaxis] if observed is None else observed,
            moments,
        )

    def statistics(self, sums: ExactSums) -> NetStatistics:
        """The statistics of all rows; they keep no tables of joint states."""
        counts, states = sums.counts, self.states
        top, regressions = counts @ states, [Regression(states, sums.observed, sums.moments)]
        if len(self.net.layers) == 2:
            above = counts @ self.posterior_above
            moments = np.column_stack([(counts[:, np.newaxis] * states).T @ self.means_above, top])
            regressions.append(Regression(self.top_states, above[:, np.newaxis], moments))
            top = above @ self.top_states
        return NetStatistics(self.net, sums.weight, sums.elbo, sums.posterior_entropy, top, tuple(regressions))

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
            means = np.column_stack([means, q @ self.means_above])
        return np.minimum(means, 1.0)
