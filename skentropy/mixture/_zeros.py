"""Check whether (near) zeros at the end of a fit are maxima, by the conditions of Karush, Kuhn and Tucker.

EM multiplies values by factors: a probability, a rate or a weight of zero stays zero, even if the likelihood rises away from
zero. The factor of a tiny value is the derivative of the likelihood there. If the factor exceeds one, zero is no maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._em import Evaluate, State
from .._typing import Array, FloatArray
from ..families._base import LOG_ZERO
from ._model import LOG_TINY, MixtureModel, MixtureParameters

# Components that explain fewer rows than this are examined.
_NEAR = 1e-3
# Examined values are put here, where terms of second order vanish.
_TINY = 1e-100
_LOG_TINY_WEIGHT = float(np.log(1e-90))
# Logarithms of EM's factor: above the first a value grows, below the second it is stationary.
_GROWS = 1e-6
_STANDS_STILL = 1e-2
# Values that would grow are put at these shares of the pooled distance from the limit in turn, until the objective is
# higher.
_RAISES = (1e-1, 1e-2, 1e-3, 1e-5, 1e-8)


@dataclass(frozen=True)
class _Places:
    """Masks of the components' parameters, a flat array, and of the weights (K,)."""

    components: Array
    weights: Array

    def __and__(self, other: _Places) -> _Places:
        return _Places(self.components & other.components, self.weights & other.weights)

    def __invert__(self) -> _Places:
        return _Places(~self.components, ~self.weights)

    def any(self) -> bool:
        return bool(self.components.any() or self.weights.any())


class _Zeros:
    """The limits of the components' parameters, and of the weights."""

    def __init__(self, model: MixtureModel, parameters: MixtureParameters) -> None:
        self._model, self._limits = model, model.components.limits(parameters.components)

    def near(self, parameters: MixtureParameters, counts: FloatArray) -> _Places:
        empty = counts < _NEAR * min(1.0, float(counts.sum()))
        return _Places(self._limits.near(parameters.components), empty)

    def lost(self, parameters: MixtureParameters) -> _Places:
        return _Places(self._limits.lost(parameters.components), parameters.log_weights <= LOG_ZERO)

    def put(self, parameters: MixtureParameters, places: _Places, share: float, log_weight: float) -> MixtureParameters:
        """Put parameters at a share of the pooled distance from their limits, and weights at ``log_weight``."""
        components = self._limits.put(parameters.components, places.components, share)
        log_weights = np.where(places.weights, log_weight, parameters.log_weights)
        return self._model.normalised(log_weights, components)

    def growing(self, before: MixtureParameters, after: MixtureParameters, faster_than: float) -> _Places:
        """Mask of parameters whose distance from the limit grows by more than a factor, given as a logarithm, in a step."""
        return _Places(
            self._limits.growing(before.components, after.components, faster_than),
            after.log_weights - before.log_weights > faster_than,
        )


def settle_zeros(model: MixtureModel, evaluate: Evaluate, state: State) -> tuple[State, bool]:
    """Set tiny parameters that would not grow to zero, and raise parameters that would grow but are stuck at zero.

    Returns a state that is no worse than the given one, and whether a parameter was raised.
    """
    zeros = _Zeros(model, state.parameters)
    near = zeros.near(state.parameters, state.statistics.counts)
    if not near.any():
        return state, False
    tiny = zeros.put(state.parameters, near, _TINY, _LOG_TINY_WEIGHT)
    grows = near & zeros.growing(tiny, model.maximize(evaluate(tiny).statistics), _GROWS)
    falls = near & ~grows
    if falls.any():
        at_zero = evaluate(zeros.put(state.parameters, falls, 0.0, LOG_TINY))
        if at_zero.objective >= state.objective:
            state = at_zero
    # Values that would grow from zero may have done so already, and are now stationary at the maximum.
    moves = zeros.growing(state.parameters, model.maximize(state.statistics), _STANDS_STILL)
    stuck = grows & ~(~moves & ~zeros.lost(state.parameters))
    if stuck.any():
        for share in _RAISES:
            log_weight = float(np.log(share / len(stuck.weights)))
            raised = evaluate(zeros.put(state.parameters, stuck, share, log_weight))
            if raised.objective > state.objective:
                return raised, True
    return state, False
