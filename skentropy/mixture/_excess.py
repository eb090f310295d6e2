"""Find counts that vary more, or less, within components than Poisson counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from .._data import Additive, Block
from .._messages import column_label
from .._typing import Array, FloatArray
from ._observations import transposed_product, with_data

# A column is reported if its variance exceeds the first multiple of the expected variance, or is below the second, and
# differs from it by at least the third number of standard deviations.
_NOTABLE, _NOTABLY_LITTLE, _SURE = 1.5, 0.5, 5.0


@dataclass(frozen=True)
class Excess(Additive):
    r"""Pearson's statistic of Poisson columns, within components.

    .. math::  \sum_n w_n \sum_c q_n(c) \frac{(x_{nd} - s_n \lambda_{cd})^2}{s_n \lambda_{cd}}

    Its expectation is the number of observed entries.

    Attributes
    ----------
    squares : ndarray of shape (D,)
        The statistic; entries with a rate of zero do not count.
    entries : ndarray of shape (D,)
    """

    squares: FloatArray
    entries: FloatArray

    @classmethod
    def of_block(cls, block: Block, responsibilities: FloatArray, rates: FloatArray, columns: Array) -> Excess:
        """The statistic for rows with responsibilities (K, n), and rates (K, D) of some columns."""
        X = block.X[:, columns]
        s = 1.0 if block.exposure is None else block.exposure
        q = responsibilities if block.weight is None else responsibilities * block.weight
        missing = np.isnan(X.data if sparse.issparse(X) else X)
        if sparse.issparse(X):
            x, gaps = with_data(X, np.where(missing, 0.0, X.data)), with_data(X, missing.astype(np.float64))
            squared = with_data(X, x.data**2)
        else:
            x, gaps = np.where(missing, 0.0, X), missing.astype(np.float64)
            squared = x**2

        def observed(weights: FloatArray) -> FloatArray:
            return np.asarray(weights.sum(axis=1)[:, np.newaxis] - transposed_product(weights, gaps))

        possible = rates > 0.0
        second = np.divide(transposed_product(q / s, squared), rates, out=np.zeros_like(rates), where=possible)
        terms = second - 2.0 * transposed_product(q, x) + rates * observed(q * s)
        return cls(np.where(possible, terms, 0.0).sum(axis=0), np.where(possible, observed(q), 0.0).sum(axis=0))

    def notes(self, estimator: Any, means: FloatArray, columns: Array) -> Iterator[str]:
        """Notes on columns with these means (D,), in descending distance of their ratio from one."""
        ratio = self.squares / np.where(self.entries > 0.0, self.entries, np.inf)
        # The variance of a Poisson variable's squared deviation over its mean is 2 + 1 / mean.
        deviation = np.sqrt((2.0 + 1.0 / np.maximum(means, 1e-12)) / np.maximum(self.entries, 1.0))
        sure = np.abs(ratio - 1.0) > _SURE * deviation

        def listed(notable: Array, by: FloatArray) -> str:
            order = notable[np.argsort(by[notable], kind="stable")]
            first = ", ".join(f"{ratio[d]:.1f} times in {column_label(estimator, int(columns[d]))}" for d in order[:3])
            return first + (f" and in {len(order) - 3} more" if len(order) > 3 else "")

        much = np.flatnonzero((ratio > _NOTABLE) & sure)
        if much.size:
            yield (
                "Within components counts vary more than Poisson distributions do, with a variance of "
                f"{listed(much, -ratio)}. Negative binomials fit this too (NegativeBinomialMixture, or the family "
                "'negative_binomial'; with exposures the family NegativeBinomial(r=...))."
            )
        little = np.flatnonzero((ratio < _NOTABLY_LITTLE) & sure)
        if little.size:
            yield (
                "Within components counts vary less than Poisson distributions do, with a variance of "
                f"{listed(little, ratio)}. Grades and codes are not counts: a ColumnMixture takes them as 'categorical' "
                "or 'gaussian'."
            )
