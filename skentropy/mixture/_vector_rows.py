"""Rows as statistics of a vector family, and the E-step of components for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from .._data import Additive
from .._typing import Array, FloatArray, Matrix
from ..families._vector import Root, VectorFamily
from ._feature_metric import inverse_roots
from ._observations import product, transposed_product
from ._seed_rows import TOWARDS_POOLED, rounding_of


@dataclass(frozen=True)
class VectorParameters:
    """Natural parameters (K, D), and their log-partition (K,)."""

    eta: FloatArray
    log_partition: FloatArray


@dataclass(frozen=True)
class VectorSums(Additive):
    """Sums of r and of r T(x) for responsibilities r = w q of K components, shapes (K,) and (K, D)."""

    counts: FloatArray
    sums: FloatArray


@dataclass(frozen=True)
class VectorRows:
    """Statistics (n, D) of a block of rows; ``seen`` is one, or zero for rows that are ignored."""

    statistics: Matrix
    seen: FloatArray

    def dense(self, rows: Array | slice = slice(None)) -> FloatArray:
        T = self.statistics[rows]
        return np.asarray(T.toarray() if sparse.issparse(T) else T)


@dataclass(frozen=True)
class VectorEvidence:
    """Log joint densities (K, n) of a block, and its statistics."""

    log_joint: FloatArray
    rows: VectorRows

    @classmethod
    def of(cls, parameters: VectorParameters, rows: VectorRows, offsets: FloatArray, out: FloatArray | None = None) -> Self:
        log_joint = product(parameters.eta, rows.statistics, out)
        log_joint -= parameters.log_partition[:, np.newaxis] * rows.seen
        log_joint += offsets[:, np.newaxis]
        return cls(log_joint, rows)

    def accumulate(self, weights: FloatArray) -> VectorSums:
        return VectorSums(weights @ self.rows.seen, np.asarray(transposed_product(weights, self.rows.statistics)))


class VectorSeedRows:
    """Rows as distributions of the family, and their divergences to some of them.

    A row has the mean parameters mu = (1 - t) T + t Tbar, where t is the share by which it is moved.
    """

    def __init__(self, family: VectorFamily, rows: VectorRows, pooled: FloatArray) -> None:
        self._family, self._rows, self._pooled = family, rows, pooled
        T = rows.statistics
        if not (sparse.issparse(T) or rows.seen.all()):
            T = np.where(rows.seen[:, np.newaxis], T, pooled)
        # The convex conjugate of A at every row's mean parameters.
        self._negative_entropy = rows.seen * family.smoothed_negative_entropy(T, pooled, TOWARDS_POOLED)
        self.rounding = rounding_of(self._negative_entropy)

    def seeds(self, rows: Array) -> FloatArray:
        """Natural parameters (L, D) of the distributions of L rows."""
        mean = (1.0 - TOWARDS_POOLED) * self._rows.dense(rows) + TOWARDS_POOLED * self._pooled
        return np.asarray(self._family.natural(np.where(self._rows.seen[rows, np.newaxis], mean, self._pooled)))

    def divergences(self, eta: FloatArray) -> FloatArray:
        """Kullback-Leibler divergences of all rows (columns of the result) from seeds."""
        offset = TOWARDS_POOLED * eta @ self._pooled - self._family.log_partition(eta)
        cross = (1.0 - TOWARDS_POOLED) * product(eta, self._rows.statistics) + offset[:, np.newaxis] * self._rows.seen
        divergences = self._negative_entropy - cross
        return np.where(divergences > self.rounding, divergences, 0.0)


@dataclass(frozen=True)
class VectorMetric:
    """The metric of the natural parameters: each component's root, which is zero if a bound holds the component."""

    root: Root

    @classmethod
    def at(cls, family: VectorFamily, eta: FloatArray, counts: FloatArray) -> Self:
        """The metric of components that explain ``counts`` rows."""
        free = (counts > 0.0) & ~family.at_bound(eta)
        root = family.root(eta)
        return cls(root._replace(lengths=root.lengths * inverse_roots(counts, free)[:, np.newaxis]))

    def _stretched(self, values: FloatArray) -> FloatArray:
        along = (values * self.root.directions).sum(axis=-1) * self.root.stretch
        return values + along[..., np.newaxis] * self.root.directions

    def directions(self, z: FloatArray) -> FloatArray:
        return self.root.lengths * self._stretched(z)

    def gradient(self, score: FloatArray) -> FloatArray:
        return self._stretched(self.root.lengths * score)
