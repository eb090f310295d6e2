"""Whether what is (nearly) zero at the end of a fit would stay there: the conditions of Karush, Kuhn and Tucker.

EM multiplies: a probability, a rate or a weight of zero stays zero, also where the likelihood rises inwards. The factor by
which EM would multiply a tiny value is the derivative of the likelihood there; where it exceeds one, zero is no maximum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._em import State
from .._typing import Array, FloatArray
from ..families._base import LOG_ZERO, safe_log
from ._model import LOG_TINY, MixtureModel, MixtureParameters

# Mean parameters nearer to a limit than this share of the pooled one's distance, and components that explain fewer rows
# than this, are looked at.
_NEAR = 1e-3
# What is looked at is put here, where terms of second order are nothing. Beside an upper limit doubles are less dense.
_TINY = 1e-100
_TINY_BELOW_TOP = 1e-8
_LOG_TINY_WEIGHT = float(np.log(1e-90))
# Logarithm of EM's factor from which on a value grows, and up to which it stands still where it is.
_GROWS = 1e-6
_STANDS_STILL = 1e-2
# Below this share of the pooled distance nothing but EM's factor from zero counts.
_LOST = 1e-12
# Where values that would grow are put, as shares of the pooled distance from the limit, until the objective is higher.
_RAISES = (1e-1, 1e-2, 1e-3, 1e-5, 1e-8)


@dataclass(frozen=True)
class _Places:
    """Natural parameters (S, K, D), and weights (K,), that something holds for."""

    eta: Array
    weights: Array

    def __and__(self, other: _Places) -> _Places:
        return _Places(self.eta & other.eta, self.weights & other.weights)

    def __invert__(self) -> _Places:
        return _Places(~self.eta, ~self.weights)

    def any(self) -> bool:
        return bool(self.eta.any() or self.weights.any())


class _Limits:
    """The limits of a family's mean parameters: zero, and where there is one the largest."""

    def __init__(self, model: MixtureModel, parameters: MixtureParameters) -> None:
        self._model, self._family = model, model.family
        self._shape = parameters.eta.shape
        pooled = np.broadcast_to(np.expand_dims(model.pooled, -2), self._shape)
        top = self._family.upper_limit
        # Which limit is nearer, seen from the pooled mean parameter.
        self._high = self._family.mean(parameters.eta) > pooled if np.isfinite(top) else np.zeros(self._shape, dtype=bool)
        self._pooled = np.where(self._high, top - pooled if np.isfinite(top) else pooled, pooled)

    def near(self, parameters: MixtureParameters, counts: FloatArray) -> _Places:
        """What is looked at. A column that is zero, or the largest, throughout leaves no other choice."""
        empty = counts < _NEAR * min(1.0, float(counts.sum()))
        if not self._family.discrete:
            return _Places(np.zeros(self._shape, dtype=bool), empty)
        return _Places(self._below(parameters, _NEAR) & (self._pooled > 0.0), empty)

    def lost(self, parameters: MixtureParameters) -> _Places:
        weights = parameters.log_weights <= LOG_ZERO
        if not self._family.discrete:
            return _Places(np.zeros(self._shape, dtype=bool), weights)
        return _Places(self._below(parameters, _LOST), weights)

    def _below(self, parameters: MixtureParameters, share: float) -> Array:
        with np.errstate(divide="ignore"):
            return self._log_distance(parameters) < np.log(share * self._pooled)

    def _log_distance(self, parameters: MixtureParameters) -> FloatArray:
        """Logarithm of the distance of the mean parameters from their limits."""
        low = safe_log(self._family.mean(parameters.eta))
        if not self._high.any():
            return low
        # Where there is a largest mean parameter m, it is m - mean = m / (1 + exp(eta)).
        return np.where(self._high, np.log(self._family.upper_limit) - np.logaddexp(0.0, parameters.eta), low)

    def put(self, parameters: MixtureParameters, places: _Places, share: float, log_weight: float) -> MixtureParameters:
        """Places of natural parameters at a share of the pooled distance from their limits, of weights at ``log_weight``."""
        eta = parameters.eta
        if places.eta.any():
            least = np.where(self._high & (share > 0.0), _TINY_BELOW_TOP, 0.0)
            at = self._family.natural(np.maximum(share, least) * self._pooled)
            eta = np.where(places.eta, np.where(self._high, -at, at), eta)
        return self._model.normalised(np.where(places.weights, log_weight, parameters.log_weights), eta)

    def growing(self, before: MixtureParameters, after: MixtureParameters, faster_than: float) -> _Places:
        """What a step moves away from its limit by more than a factor, given its logarithm."""
        weights = after.log_weights - before.log_weights > faster_than
        if not self._family.discrete:
            return _Places(np.zeros(self._shape, dtype=bool), weights)
        return _Places(self._log_distance(after) - self._log_distance(before) > faster_than, weights)


def settle_zeros(model: MixtureModel, evaluate: Callable[[MixtureParameters], State], state: State) -> tuple[State, bool]:
    """What would not grow from zero put to zero, what would and is stuck there raised; and whether anything was raised.

    The state returned is no worse than the given one.
    """
    limits = _Limits(model, state.parameters)
    near = limits.near(state.parameters, state.statistics.counts)
    if not near.any():
        return state, False
    tiny = limits.put(state.parameters, near, _TINY, _LOG_TINY_WEIGHT)
    grows = near & limits.growing(tiny, model.maximize(evaluate(tiny).statistics), _GROWS)
    falls = near & ~grows
    if falls.any():
        at_zero = evaluate(limits.put(state.parameters, falls, 0.0, LOG_TINY))
        if at_zero.objective >= state.objective:
            state = at_zero
    # Some of what would grow from zero has grown, and stands still where the likelihood has its maximum.
    moves = limits.growing(state.parameters, model.maximize(state.statistics), _STANDS_STILL)
    stuck = grows & ~(~moves & ~limits.lost(state.parameters))
    if stuck.any():
        for share in _RAISES:
            log_weight = float(np.log(share / len(stuck.weights)))
            raised = evaluate(limits.put(state.parameters, stuck, share, log_weight))
            if raised.objective > state.objective:
                return raised, True
    return state, False
