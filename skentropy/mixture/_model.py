"""The mixture as a model that the EM engine maximises: weights and components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._data import Additive, Block, Scratch
from .._entropy_sum import EntropySum
from .._typing import FloatArray
from ..families._base import TINY, exp_or_zero, safe_log
from ._components import Components

LOG_TINY = float(np.log(TINY))
_SCRATCH = Scratch()


@dataclass(frozen=True)
class MixtureParameters:
    """Log weights (K,), and the parameters of the components."""

    log_weights: FloatArray
    components: Any


@dataclass(frozen=True)
class MixtureStatistics(Additive):
    """The results of an E-step, summed over rows with their weights w.

    Attributes
    ----------
    weight : sum of w
    log_likelihood : sum of w log p(x), without the base measure
    posterior_entropy : sum of w H[q]
    classification : sum of -w log max_c q(c)
    counts : sum of w q, shape (K,)
    components : statistics of the components, with weights w q
    """

    weight: float
    log_likelihood: float
    posterior_entropy: float
    classification: float
    counts: FloatArray
    components: Any


@dataclass(frozen=True)
class MixtureModel:
    r"""A mixture :math:`\sum_c \pi_c p(x|c)`, W(37), for given data.

    Parameters
    ----------
    components : Components
    mean_log_base_measure : float
        The part of it that depends on the data only, per sample.
    """

    components: Components
    mean_log_base_measure: float = 0.0

    def total_log_base_measure(self, block: Block) -> float:
        """Weighted sum over the rows of the log base measure."""
        return block.weighted_sum(self.components.log_base_measure(block))

    def read(self, block: Block) -> Any:
        """The observations of a block, as the components read them; computed once if the same block recurs in every pass."""
        return block.once(self.components, self.components.read)

    def posterior(self, parameters: MixtureParameters, observations: Any) -> tuple[FloatArray, FloatArray]:
        """log p(x_n) without the base measure, shape (n_rows,), and log q_n(c), shape (K, n_rows)."""
        log_joint = self.components.observe(parameters.components, observations, parameters.log_weights).log_joint
        largest = log_joint.max(axis=0)
        log_joint -= largest
        log_normaliser = np.log(exp_or_zero(log_joint).sum(axis=0))
        log_joint -= log_normaliser
        return log_normaliser + largest, log_joint

    def expect(self, parameters: MixtureParameters, block: Block) -> MixtureStatistics:
        """E-step on one block of rows: exact posteriors, reduced to their statistics."""
        observations = self.read(block)
        shape = (parameters.log_weights.size, block.n_rows)
        evidence = self.components.observe(
            parameters.components, observations, parameters.log_weights, _SCRATCH.array("log_joint", shape)
        )
        log_joint = evidence.log_joint
        largest = log_joint.max(axis=0)
        log_joint -= largest
        q = exp_or_zero(log_joint, out=_SCRATCH.array("q", shape))
        normaliser = q.sum(axis=0)
        q /= normaliser
        if block.weight is not None:
            q *= block.weight
        log_normaliser = np.log(normaliser)
        total_log_normaliser = block.weighted_sum(log_normaliser)
        return MixtureStatistics(
            weight=block.total_weight,
            log_likelihood=total_log_normaliser + block.weighted_sum(largest),
            # log q = log_joint - log_normaliser
            posterior_entropy=total_log_normaliser - float(np.vdot(q, log_joint)),
            classification=total_log_normaliser,  # the largest of each row's log_joint is 0
            counts=q.sum(axis=1),
            components=evidence.accumulate(q),
        )

    def maximize(self, statistics: MixtureStatistics) -> MixtureParameters:
        """M-step."""
        log_weights = safe_log(statistics.counts / statistics.weight)
        return MixtureParameters(log_weights, self.components.maximize(statistics.components))

    def entropy_sum(self, parameters: MixtureParameters, statistics: MixtureStatistics) -> EntropySum:
        """Sum of entropies, W(39), generalised to exposures, missing entries and a conjugate prior."""
        weight = statistics.weight
        return EntropySum(
            posterior=statistics.posterior_entropy / weight,
            prior=-float(np.exp(parameters.log_weights) @ parameters.log_weights),
            observable=self.components.entropy(parameters.components, statistics.components) / weight,
            base_measure=self.mean_log_base_measure
            + self.components.base_measure(parameters.components, statistics.components) / weight,
            penalty=self.components.penalty(parameters.components, statistics.components) / weight,
        )

    def elbo(self, statistics: MixtureStatistics) -> float:
        """Mean log-likelihood of the parameters of the E-step: exact posteriors leave no gap."""
        return statistics.log_likelihood / statistics.weight + self.mean_log_base_measure

    def elbo_of_step(self, parameters: MixtureParameters, statistics: MixtureStatistics) -> float:
        """ELBO of new parameters with the posteriors of the statistics, W(2) term by term.

        After an exact M-step it equals the entropy sum, unless a bound holds a parameter.
        """
        log_prior = float(statistics.counts @ parameters.log_weights)
        observed = self.components.log_density(parameters.components, statistics.components)
        total = statistics.posterior_entropy + log_prior + observed
        return total / statistics.weight + self.mean_log_base_measure

    def magnitude(self, parameters: MixtureParameters, statistics: MixtureStatistics) -> float:
        """Sum of the absolute values that ``elbo_of_step`` adds up, the scale of its rounding error."""
        observed = self.components.magnitude(parameters.components, statistics.components)
        return observed / statistics.weight + abs(self.mean_log_base_measure) + 1.0

    def log_prior(self, parameters: MixtureParameters, statistics: MixtureStatistics) -> float:
        """Log-density of the conjugate prior up to its constant, per sample."""
        log_prior = self.components.log_prior(parameters.components, statistics.components)
        return float(log_prior.sum()) / statistics.weight

    def pack(self, parameters: MixtureParameters) -> FloatArray:
        return np.concatenate([parameters.log_weights, self.components.pack(parameters.components)])

    def unpack(self, vector: FloatArray, like: MixtureParameters) -> MixtureParameters | None:
        log_weights, rest = np.split(vector, [like.log_weights.size])
        components = self.components.unpack(rest, like.components)
        return None if components is None else self.normalised(log_weights, components)

    def moved(self, parameters: MixtureParameters, direction: FloatArray) -> MixtureParameters | None:
        """Move parameters along a direction (K, 1 + P) of logits and components; None outside the domain."""
        components = self.components.moved(parameters.components, direction[:, 1:])
        return None if components is None else self.normalised(parameters.log_weights + direction[:, 0], components)

    def normalised(self, logits: FloatArray, components: Any) -> MixtureParameters:
        """Parameters whose weights have these logits; logarithms of zero weights are limited."""
        logits = logits - logits.max()
        return MixtureParameters(np.maximum(logits - np.log(np.exp(logits).sum()), LOG_TINY), components)
