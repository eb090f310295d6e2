"""Rows as sufficient statistics, and their units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from .._typing import Array, FloatArray, Matrix
from ..families import ExponentialFamily


@dataclass(frozen=True)
class Observations:
    """Sufficient statistics of a block, zero where an entry is missing.

    ``missing`` marks the missing entries: it is a mask for dense data, a sparse matrix of ones for sparse data, and None if
    nothing is missing. In formulas m is 0 for missing entries, and 1 for others. ``values`` are the rows themselves, with
    NaN for missing entries, for components that need them.
    """

    statistics: tuple[Matrix, ...]
    exposure: FloatArray | None
    missing: Matrix | None = None
    values: FloatArray | None = None

    @cached_property
    def _m(self) -> FloatArray:
        """The mask m of dense data."""
        return np.asarray(~np.asarray(self.missing), dtype=np.float64)

    def row_sums(self, coefficients: FloatArray) -> FloatArray:
        """sum_d s_n m_nd c_kd, shape (K, n_rows) or (K, 1)."""
        total = coefficients.sum(axis=1)[:, np.newaxis]
        if self.missing is not None:
            dense = not sparse.issparse(self.missing)
            total = product(coefficients, self._m) if dense else total - (self.missing @ coefficients.T).T
        return total if self.exposure is None else total * self.exposure

    def column_sums(self, weights: FloatArray) -> FloatArray:
        """sum_n r_kn s_n m_nd, shape (K, D) or (K, 1)."""
        if self.exposure is not None:
            weights = weights * self.exposure
        total = weights.sum(axis=1)[:, np.newaxis]
        if self.missing is None:
            return total
        if sparse.issparse(self.missing):
            return total - (self.missing.T @ weights.T).T
        return transposed_product(weights, self._m)

    def seen(self, rows: Array | slice) -> Array:
        """m of some rows, which broadcasts against (n_rows, D)."""
        if self.missing is None:
            return np.ones((1, 1))
        return 1.0 - self.missing[rows].toarray() if sparse.issparse(self.missing) else self._m[rows]

    def inner(self, eta: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """sum_d eta_kd T(x_nd) for parameters eta (S, K, D), shape (K, n_rows)."""
        total = product(eta[0], self.statistics[0], out)
        for eta_s, T in zip(eta[1:], self.statistics[1:], strict=True):
            total += product(eta_s, T)
        return total

    def sums(self, weights: FloatArray) -> FloatArray:
        """sum_n r_kn T(x_nd), shape (S, K, D)."""
        return np.array([transposed_product(weights, T) for T in self.statistics])

    def features(self, rows: Array | slice) -> FloatArray:
        """Statistics of some rows as a dense array of shape (S, n_rows, D)."""
        return np.stack([T[rows].toarray() if sparse.issparse(T) else T[rows] for T in self.statistics])


@dataclass(frozen=True)
class Units:
    """u = (x - location) / scale, column by column: units in which natural parameters are of order one."""

    location: FloatArray
    scale: FloatArray

    @classmethod
    def of_moments(
        cls, family: ExponentialFamily, mean: FloatArray, variance: FloatArray, *, keep_zero: bool = False
    ) -> Units | None:
        """Units in which columns of these means and variances are of order one; None if the family has none.

        With ``keep_zero`` zeros stay zeros, which sparse data require.
        """
        if family.equivariance == "none":
            return None
        if family.equivariance == "scale":
            return cls._of(np.zeros_like(mean), mean)
        return cls._of(np.zeros_like(mean) if keep_zero else mean, np.sqrt(variance))

    @classmethod
    def _of(cls, location: FloatArray, scale: FloatArray) -> Units:
        """Units with scales of one where these are not positive numbers."""
        return cls(location, np.where(np.isfinite(scale) & (scale > 0), scale, 1.0))

    @classmethod
    def of_mixture(
        cls,
        family: ExponentialFamily,
        weights: FloatArray,
        standard: tuple[FloatArray, ...],
        *,
        keep_zero: bool = False,
    ) -> Units | None:
        """Units for data from a mixture with these standard parameters."""
        if family.equivariance == "none":
            return None
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            eta = family.from_standard(*standard)
            if family.equivariance == "scale":
                typical = weights @ family.typical_value(eta)
                return cls._of(np.zeros_like(typical), typical)
            means, variances = family.moments(eta)
            mean = weights @ means
            variance = weights @ (variances + (means - mean) ** 2)
        return cls.of_moments(family, mean, variance, keep_zero=keep_zero)

    def apply(self, X: Matrix) -> Matrix:
        if sparse.issparse(X):
            return with_data(X, X.data / self.scale[X.indices])
        if not self.location.any():
            return X / self.scale
        u = X - self.location
        u /= self.scale  # a second array as large would cost more than the division
        return u


def with_data(X: Matrix, data: FloatArray) -> Matrix:
    """A sparse matrix of the structure of X with other values."""
    return type(X)((data, X.indices, X.indptr), shape=X.shape)


def zero_where(missing: Array, values: FloatArray) -> FloatArray:
    """Values in double precision, with zeros for missing ones; computed from their bits, without branches."""
    kept = missing.astype(np.int64)
    kept -= 1
    return np.asarray((values.view(np.int64) & kept).view(np.float64))


def product(coefficients: FloatArray, T: Matrix, out: FloatArray | None = None) -> FloatArray:
    """(K, D) times the transpose of (n_rows, D), as a C-contiguous (K, n_rows)."""
    if isinstance(T, np.ndarray):
        return np.matmul(coefficients, T.T, out=out)
    return np.ascontiguousarray((T @ coefficients.T).T)


def transposed_product(weights: FloatArray, T: Matrix) -> FloatArray:
    """(K, n_rows) times (n_rows, D)."""
    if not isinstance(T, np.ndarray):
        return np.asarray((T.T @ weights.T).T)
    if T.strides[0] == T.itemsize:
        return np.matmul(weights, T)  # dot would copy an array of columns, as it must one with gaps in both directions
    return np.dot(weights, T)  # unlike matmul it lets other threads run however small the result is
