"""Codes of many categories as sparse indicators, which take the time and memory of the codes, not of the categories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from scipy import sparse

from .._typing import Array, FloatArray
from ..families import Categorical, ExponentialFamily
from ..families._base import safe_log
from ._observations import Observations, product, transposed_product
from ._seed_rows import TOWARDS_POOLED, SmoothedRows

# Arrays of zeros and ones are as fast for so few categories.
FEW = 8


def has_many_categories(family: ExponentialFamily) -> bool:
    """Whether rows of the family are read as sparse indicators."""
    return isinstance(family, Categorical) and family.n_statistics > FEW


@dataclass(frozen=True)
class OneHotRows(Observations):
    """Rows whose statistics are a sparse matrix (n, S D) of ones, with the columns of the data on the last axis.

    Attributes
    ----------
    indicators : CSR matrix
        Missing entries have none.
    n_categories : int
    """

    indicators: Any = field(default_factory=lambda: sparse.csr_matrix((0, 0)))
    n_categories: int = 0

    @classmethod
    def of(cls, family: ExponentialFamily, X: FloatArray) -> Self:
        """The rows of codes X; NaN is missing."""
        (n, D), n_categories = X.shape, family.n_statistics
        there = family.in_support(X)
        places = np.where(there, X, 0.0).astype(np.int64) * D + np.arange(D)
        rows = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        indicators = sparse.csr_matrix((np.ones(rows[-1]), places[there], rows), shape=(n, n_categories * D))
        missing = np.isnan(X)
        return cls((), None, missing if missing.any() else None, None, indicators, n_categories)

    def inner(self, eta: FloatArray, out: FloatArray | None = None) -> FloatArray:
        return product(eta.swapaxes(0, 1).reshape(eta.shape[1], -1), self.indicators)

    def sums(self, weights: FloatArray) -> FloatArray:
        by_component = transposed_product(weights, self.indicators)
        return by_component.reshape(len(weights), self.n_categories, -1).swapaxes(0, 1)

    def features(self, rows: Array | slice) -> FloatArray:
        dense = self.indicators[rows].toarray()
        return np.asarray(dense.reshape(len(dense), self.n_categories, -1).swapaxes(0, 1))


class OneHotSeedRows(SmoothedRows):
    """Rows of codes as distributions of the family; there are no more distinct entropies than categories."""

    _observations: OneHotRows

    def _row_negative_entropies(self) -> FloatArray:
        others, own = TOWARDS_POOLED * self._pooled, 1.0 - TOWARDS_POOLED
        terms = others * safe_log(others)
        of_codes = terms.sum(axis=0) - terms + (own + others) * safe_log(own + others)
        return np.asarray(self._observations.indicators @ of_codes.ravel())
