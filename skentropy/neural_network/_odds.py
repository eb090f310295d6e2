"""Odds of a layer's variables under many states of the layer above, from tables instead of exponentials."""

from __future__ import annotations

from typing import Self

import numpy as np

from .._typing import Array, FloatArray
from ._layers import Layer, total_log

_BYTE = 8


class Odds:
    """exp(W s + mu) for binary states s, as products of a factor for each eight units."""

    def __init__(self, tables: FloatArray, states: Array) -> None:
        self._tables = tables
        self._codes = np.ascontiguousarray(np.packbits(states.astype(np.uint8, copy=False), axis=1).T)

    @classmethod
    def fitting(cls, layer: Layer, states: Array) -> Self | None:
        """The odds for states (S, H); None if they are too few for tables to pay, or if exponentials overflow."""
        n_bytes = -(-states.shape[1] // _BYTE)
        if len(states) < 2**_BYTE * n_bytes or layer.odds_by_byte is None:
            return None
        return cls(layer.odds_by_byte, states)

    def of(self, states: slice) -> FloatArray:
        """The odds under some of the states, (S, D)."""
        odds: FloatArray = self._tables[0][self._codes[0, states]]
        factor = np.empty_like(odds)
        for table, codes in zip(self._tables[1:], self._codes[1:, states], strict=True):
            # The mode lets NumPy write to ``factor`` without a copy.
            np.multiply(odds, np.take(table, codes, axis=0, out=factor, mode="clip"), out=odds)
        return odds

    def probabilities(self, states: slice) -> FloatArray:
        """The probabilities of ones under some of the states, (S, D)."""
        odds = self.of(states)
        return np.divide(odds, odds + 1.0, out=odds)

    def total_softplus(self, states: slice) -> FloatArray:
        """Sums over variables of log(1 + exp(logit)) under some of the states, (S,)."""
        odds = self.of(states)
        odds += 1.0
        return total_log(odds, float(np.log(odds.max(initial=1.0))))
