"""Rows as distributions of a family, for drawing seeds by its Bregman divergence (Banerjee et al. 2005)."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from .._typing import Array, FloatArray
from ..families import ExponentialFamily
from ._observations import Observations

# The statistics of a single row lie on the boundary of the mean parameters, where divergences are infinite. They are moved
# towards the pooled statistics by this share of the way.
TOWARDS_POOLED = 0.25
# Divergences count as equal if they differ by less, relative to their largest terms, so that rounding errors do not choose.
_EQUAL_DIVERGENCE = 1e-12


def rounding_of(negative_entropy: FloatArray) -> FloatArray:
    """Rounding errors of the divergences of rows from seeds, given the rows' negative entropies."""
    return _EQUAL_DIVERGENCE * (1.0 + np.abs(negative_entropy))


class SmoothedRows:
    """Rows as distributions of the family, and their divergences to some of them.

    A row with statistics T has the mean parameters mu = (1 - t) T / s + t Tbar, where t is the share by which it is moved.
    Missing entries do not count, and an entry with exposure s counts s times.
    """

    def __init__(self, family: ExponentialFamily, observations: Observations, pooled: FloatArray) -> None:
        self._family = family
        self._observations = observations
        self._pooled = pooled
        self._negative_entropy = self._row_negative_entropies()
        self.rounding = rounding_of(self._negative_entropy)

    def seeds(self, rows: Array) -> FloatArray:
        """Natural parameters (S, L, D) of the distributions of L rows."""
        statistics = self._observations.features(rows)
        exposure = 1.0 if self._observations.exposure is None else self._observations.exposure[rows, np.newaxis]
        pooled = self._pooled[:, np.newaxis]
        mean = (1.0 - TOWARDS_POOLED) * statistics / exposure + TOWARDS_POOLED * pooled
        return self._family.natural(np.where(self._observations.seen(rows), mean, pooled))

    def divergences(self, eta: FloatArray) -> FloatArray:
        """Kullback-Leibler divergences of all rows (columns of the result) from seeds eta (S, L, D)."""
        cross = self._observations.row_sums(
            (TOWARDS_POOLED * self._pooled[:, np.newaxis] * eta).sum(axis=0) - self._family.log_partition(eta)
        )
        cross = cross + (1.0 - TOWARDS_POOLED) * self._observations.inner(eta)
        divergences = self._negative_entropy - cross
        return np.where(divergences > self.rounding, divergences, 0.0)

    def _row_negative_entropies(self) -> FloatArray:
        """sum_d s m (eta . mu - A), the convex conjugate of A at every row's mean parameters."""
        first = self._observations.statistics[0]
        exposure = self._observations.exposure
        if not sparse.issparse(first):
            statistics = np.stack(self._observations.statistics)
            share = 1.0 if exposure is None else exposure[:, np.newaxis]
            values = share * self._conjugate(statistics / share, self._pooled[:, np.newaxis])
            return np.asarray((values * self._observations.seen(slice(None))).sum(axis=1))
        # Unstored entries are zero, and all zeros of a column have one value.
        at_zero = self._conjugate(np.zeros_like(self._pooled), self._pooled)
        rows = np.repeat(np.arange(first.shape[0]), np.diff(first.indptr))
        share = np.ones(first.nnz) if exposure is None else exposure[rows]
        data = np.stack([T.data for T in self._observations.statistics])
        stored = share * (self._conjugate(data / share, self._pooled[:, first.indices]) - at_zero[first.indices])
        if self._observations.missing is not None:
            stored = np.where(self._observations.missing.data, 0.0, stored)
        extra = np.bincount(rows, weights=stored, minlength=first.shape[0])
        return extra + self._observations.row_sums(at_zero[np.newaxis])[0]

    def _conjugate(self, statistics: Array, pooled: FloatArray) -> FloatArray:
        mean = (1.0 - TOWARDS_POOLED) * statistics + TOWARDS_POOLED * pooled
        eta = self._family.natural(mean)
        return (eta * mean).sum(axis=0) - self._family.log_partition(eta)
