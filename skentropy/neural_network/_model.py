"""The sigmoid belief net as a model that the EM engine maximises: M-step, ELBO and entropy sum."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from .._data import BlockSource
from .._entropy_sum import EntropySum
from .._typing import FloatArray
from ..families._special import softplus
from ._exact import Enumeration, NetStatistics
from ._layers import BeliefNet, bernoulli_entropy
from ._logistic import MAX_STEPS, maximize

# Extrapolation does not follow logits of priors, or weights, beyond this.
_FAR = 1e4
_SMALLEST_SHARE = 1e-300


@dataclass(frozen=True)
class Parameters:
    """A net, and the states of its posteriors.

    Attributes
    ----------
    net : BeliefNet
    states : StateSets or None
        The current states of truncated posteriors.
    keeps_states : bool
        Whether the fit keeps these states instead of improving them.
    """

    net: BeliefNet
    states: Any = None
    keeps_states: bool = False


@dataclass(frozen=True)
class BeliefNetModel:
    """The ELBO minus ``alpha / 2 |V|^2``, with V all weights and offsets, as the engine's ``Model``.

    With fewer ``newton_steps`` M-steps are cheap and rough. They suffice to compare starts, but the entropy sum is then not
    the ELBO.
    """

    alpha: float
    newton_steps: int = MAX_STEPS

    def expect(self, parameters: Parameters, rows: BlockSource, pool: ThreadPoolExecutor | None = None) -> NetStatistics:
        """E-step on rows with exact posteriors."""
        enumeration = Enumeration(parameters.net)
        return enumeration.statistics(rows.sum(enumeration.expect, pool))

    def maximize(self, statistics: NetStatistics) -> Parameters:
        """M-step: the prior in closed form, the layers by logistic regressions that start from the current layers."""
        share = np.clip(statistics.top / statistics.weight, _SMALLEST_SHARE, 1.0 - 1e-16)
        pairs = zip(statistics.regressions, statistics.at.layers, strict=True)
        layers = tuple(maximize(regression, layer, self.alpha, self.newton_steps) for regression, layer in pairs)
        return Parameters(BeliefNet(logit(share), layers), statistics.states)

    def entropy_sum(self, parameters: Parameters, statistics: NetStatistics) -> EntropySum:
        r"""Sum of entropies, W(10) and W(21), and the ridge's term :math:`\alpha |V|^2 / \sum_n w_n`."""
        net, weight = parameters.net, statistics.weight
        observable, *hidden = (
            regression.entropy(layer) / weight for regression, layer in zip(statistics.regressions, net.layers, strict=True)
        )
        return EntropySum(
            posterior=statistics.posterior_entropy / weight,
            prior=self.prior_entropy(net),
            observable=observable,
            hidden=sum(hidden),
            penalty=self.alpha * net.square / weight,
        )

    @staticmethod
    def prior_entropy(net: BeliefNet) -> float:
        """H[p(z)] of the top layer."""
        return float(bernoulli_entropy(net.prior_logits).sum())

    def elbo(self, statistics: NetStatistics) -> float:
        return statistics.elbo / statistics.weight

    def elbo_of_step(self, parameters: Parameters, statistics: NetStatistics) -> float:
        net = parameters.net
        total = statistics.posterior_entropy + statistics.top @ net.prior_logits
        total -= statistics.weight * softplus(net.prior_logits).sum()
        for regression, layer in zip(statistics.regressions, net.layers, strict=True):
            total += regression.log_likelihood(layer)
        return float(total) / statistics.weight

    def magnitude(self, parameters: Parameters, statistics: NetStatistics) -> float:
        pairs = zip(statistics.regressions, parameters.net.layers, strict=True)
        return sum(regression.magnitude(layer) for regression, layer in pairs) / statistics.weight + 1.0

    def log_prior(self, parameters: Parameters, statistics: NetStatistics) -> float:
        return -0.5 * self.alpha * parameters.net.square / statistics.weight

    def gradient(self, statistics: NetStatistics) -> FloatArray:
        """Gradient of the mean objective with posteriors held, or by Fisher's identity of the mean log-likelihood."""
        net = statistics.at
        prior = statistics.top - statistics.weight * expit(net.prior_logits)
        layers = (
            (regression.gradient(layer) - self.alpha * layer.joined).ravel()
            for regression, layer in zip(statistics.regressions, net.layers, strict=True)
        )
        return np.concatenate([prior, *layers]) / statistics.weight

    def pack(self, parameters: Parameters) -> FloatArray:
        return parameters.net.pack()

    def unpack(self, vector: FloatArray, like: Parameters) -> Parameters | None:
        if not np.isfinite(vector).all() or np.abs(vector).max() > _FAR:
            return None
        return Parameters(like.net.unpack(vector), like.states, like.keeps_states)
