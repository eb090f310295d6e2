"""Sums over all states of a layer without a table of rows and states.

If a row is complete, its joint probability with a state s of the units factorises: the row enters in
:math:`\\sum_d x_d (W_d s + \\mu_d)` alone, which is a sum over units,

.. math:: p(x_n, s) = e^{x_n \\mu} \\, B(s) \\prod_h e^{a_{nh} s_h}, \\quad a_n = x_n W, \\quad
          B(s) = p(s) \\prod_d (1 + e^{W_d s + \\mu_d})^{-1}.

With the units in two halves s = (u, v) the product over units is F_n(u) G_n(v). The sum over states is then one matrix
product with B as a table of u and v, and needs of the order of 2^(H/2) exponentials per row instead of 2^H.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._typing import Array, FloatArray

# Sums of factors up to one that are below this may have lost relevant terms to underflow.
_TRUSTED = 1e-250


class Halves:
    """All states of a layer as pairs of states of its two halves.

    Parameters
    ----------
    states : (S, H), all states in the order of ``enumerate_states``
    log_table : (S,), log B
    """

    def __init__(self, states: FloatArray, log_table: FloatArray) -> None:
        n_first = states.shape[1] // 2
        self._first = states[: 2**n_first, :n_first]
        self._second = states[:: 2**n_first, n_first:]
        # The linear part of log B, by single units, is added to the rows, which reduces the range of all factors.
        self._slopes = 2.0 * (states - 0.5).T @ log_table / (0.5 * len(states))
        left = log_table - states @ self._slopes
        self._top = float(left.max())
        self._table = np.exp(left - self._top).reshape(len(self._second), len(self._first))

    def of_rows(self, a: FloatArray) -> HalvedRows:
        """Rows with the slopes a, (n, H)."""
        a = a + self._slopes
        n_first = self._first.shape[1]
        first, second = a[:, :n_first] @ self._first.T, a[:, n_first:] @ self._second.T
        shift = np.full(len(a), self._top)
        for logs in (first, second):
            largest = logs.max(axis=1)
            shift += largest
            logs -= largest[:, np.newaxis]
            np.exp(logs, out=logs)
        return HalvedRows(self._first, self._second, self._table, first, second, shift)


@dataclass(frozen=True)
class HalvedRows:
    """Rows and all states: the half states u and v, the table B, and the scaled factors F and G of the rows."""

    _u: FloatArray
    _v: FloatArray
    _table: FloatArray
    _first: FloatArray
    _second: FloatArray
    _shift: FloatArray

    @cached_property
    def _with_second(self) -> FloatArray:
        """The sum over u for each v, (n, V)."""
        return self._second * (self._first @ self._table.T)

    @cached_property
    def _sum(self) -> FloatArray:
        """The sum over all states, (n,)."""
        return np.asarray(self._with_second.sum(axis=1))

    @property
    def trusted(self) -> Array:
        """Rows whose sums have lost no relevant term to underflow."""
        return self._sum > _TRUSTED

    def log_sum(self) -> FloatArray:
        """log sum_s B(s) exp(a_n s), (n,)."""
        return np.asarray(np.log(self._sum) + self._shift)

    def means(self) -> FloatArray:
        """Posterior means of the units, (n, H)."""
        scale = 1.0 / self._sum[:, np.newaxis]
        with_first = self._first * (self._second @ self._table)
        means = np.column_stack([(with_first * scale) @ self._u, (self._with_second * scale) @ self._v])
        return np.minimum(means, 1.0)

    def counts(self, weight: FloatArray | None) -> FloatArray:
        """The sum of the rows' posteriors, times their weights if there are any, (S,)."""
        scale = (1.0 if weight is None else weight) / self._sum
        return np.asarray(self._table * ((self._second * scale[:, np.newaxis]).T @ self._first)).ravel()
