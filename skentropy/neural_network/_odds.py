"""Odds of a layer's variables under many states of the layer above, from tables instead of exponentials."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ._layers import Layer, logistic, total_log, total_softplus

_BYTE = 8
# Number of odds that are processed at a time, so that they stay in the cache.
_IN_CACHE = 2**16
# At most so many odds are kept.
_MOST_KEPT = 2**23


class Odds:
    """exp(W s + mu) for binary states s (S, H), as products of a factor for each eight units.

    Tables of factors are used for many states, and where exponentials do not overflow.
    """

    def __init__(self, states: Array) -> None:
        self._states = states
        self._layer: Layer | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what is kept, which can be computed again."""
        return Odds, (self._states,)

    def has_tables(self, layer: Layer) -> bool:
        """Whether tables pay for these states, and no exponential overflows."""
        n_states, n_units = self._states.shape
        return n_states >= 2**_BYTE * -(-n_units // _BYTE) and layer.odds_by_byte is not None

    def probabilities(self, layer: Layer) -> Iterator[tuple[slice, FloatArray]]:
        """The probabilities of ones of the layer's variables, those under a few states at a time."""
        by_odds = self.has_tables(layer)
        for states in in_cache(len(self._states), len(layer.offsets)):
            if by_odds:
                odds = self._kept[states].copy() if layer is self._layer else self._of(layer, states)
                yield states, np.divide(odds, odds + 1.0, out=odds)
            else:
                yield states, logistic(layer.logits(self._states[states]))

    def total_softplus(self, layer: Layer, *, keep: bool = False) -> FloatArray:
        """Sums over the layer's variables of log(1 + exp(logit)) under each state, (S,).

        With ``keep`` the odds are kept until those of another layer are, for probabilities of the same layer.
        """
        total, n_features = np.empty(len(self._states)), len(layer.offsets)
        by_odds = self.has_tables(layer)
        keep = keep and by_odds and len(total) * n_features <= _MOST_KEPT
        if keep:
            self._layer = layer
        for states in in_cache(len(total), n_features):
            if not by_odds:
                total[states] = total_softplus(layer.logits(self._states[states]))
                continue
            odds = self._of(layer, states)
            if keep:
                self._kept[states] = odds
            odds += 1.0
            total[states] = total_log(odds, float(np.log(odds.max(initial=1.0))))
        return total

    def _of(self, layer: Layer, states: slice) -> FloatArray:
        """The odds under some of the states, (S, D)."""
        tables, codes = layer.odds_by_byte, self._codes
        assert tables is not None
        odds: FloatArray = tables[0][codes[0, states]]
        factor = np.empty_like(odds)
        for table, code in zip(tables[1:], codes[1:, states], strict=True):
            # The mode lets NumPy write to ``factor`` without a copy.
            np.multiply(odds, np.take(table, code, axis=0, out=factor, mode="clip"), out=odds)
        return odds

    @cached_property
    def _codes(self) -> Array:
        """The states, eight units in a byte, (bytes, S)."""
        return np.ascontiguousarray(np.packbits(self._states.astype(np.uint8, copy=False), axis=1).T)

    @cached_property
    def _kept(self) -> FloatArray:
        """Room for the odds under all states, which the layers use in turn."""
        assert self._layer is not None
        return np.empty((len(self._states), len(self._layer.offsets)))


def in_cache(n: int, size: int) -> Iterator[slice]:
    """Slices of n items of ``size`` numbers each, small enough that their numbers stay in the cache."""
    step = max(_IN_CACHE // max(size, 1), 1)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
