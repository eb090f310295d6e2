"""Where eigenpairs of a covariance come from: the matrix, its rows where they are fewer, or products alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, eigsh

from .._blocks import Rows, SingleThreadedBLAS
from .._typing import Array, FloatArray, Matrix
from ._rows import centre_full_columns, with_weight

# Up to this many features (or rows) a full decomposition of a small matrix is faster than products with it.
_SMALL = 250
_OVERSAMPLES = 10
# What is left of a variance by subtraction has nearly all its digits if it is at least this share.
_LARGE_SHARE = 0.05
# Variances within this factor count as of one order.
_LEVEL = 1e3
# Rounding errors of a variance, relative to the squared mean, in units of machine epsilon squared.
_CONSTANT_UNITS = 64.0


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenvalues, descending, and eigenvectors in columns; ``rest`` is the sum of all other eigenvalues."""

    values: FloatArray
    vectors: FloatArray
    rest: float

    def tails(self) -> FloatArray:
        """tails[h] is the sum of all eigenvalues after the first h, h = 0..len(values)."""
        return np.append(np.cumsum(self.values[::-1])[::-1], 0.0) + self.rest


class Covariance(ABC):
    """A covariance matrix, 1/n, known by what can be done with it."""

    mean: FloatArray
    variances: FloatArray

    @property
    def n_features(self) -> int:
        return len(self.mean)

    @abstractmethod
    def product(self, V: FloatArray) -> FloatArray:
        """The covariance times V, (d, m)."""

    @abstractmethod
    def decompose(self) -> Spectrum:
        """All eigenpairs that are not zero for want of rows."""

    @abstractmethod
    def scaled(self, scale: FloatArray) -> Covariance:
        """The covariance of the features times a scale."""

    def constant(self) -> Array:
        """Which features do not vary."""
        rounding = _CONSTANT_UNITS * (np.finfo(np.float64).eps * self.mean) ** 2
        return self.variances <= np.maximum(rounding, np.finfo(np.float64).tiny)

    def leading(self, k: int, start: FloatArray | None = None) -> Spectrum:
        """The k leading eigenpairs, by Lanczos iteration to machine precision."""
        d = self.n_features
        if k >= d - 1:
            spectrum = self.decompose()
            return Spectrum(
                spectrum.values[:k], spectrum.vectors[:, :k], float(spectrum.tails()[min(k, len(spectrum.values))])
            )
        if k == 0 or not self.variances.any():
            return Spectrum(np.zeros(k), np.eye(d, k), float(self.variances.sum()))
        operator = LinearOperator((d, d), matvec=self.product, matmat=self.product, dtype=np.float64)
        v0 = np.random.RandomState(0).uniform(-1.0, 1.0, d) if start is None else start
        values, vectors = eigsh(operator, k=k, v0=self.product(v0), ncv=min(d, max(2 * k + 1, 20)))
        return self._refined(values[::-1], vectors[:, ::-1])

    def randomized(self, k: int, random_state: np.random.RandomState) -> Spectrum:
        """The k leading eigenpairs, by randomized subspace iteration (Halko, Martinsson and Tropp 2011)."""
        d = self.n_features
        Q = random_state.normal(size=(d, min(k + _OVERSAMPLES, d)))
        for _ in range(7 if k < 0.1 * d else 4):
            Q, _ = linalg.lu(self.product(Q), permute_l=True, check_finite=False)
        Q, _ = linalg.qr(self.product(Q), mode="economic", check_finite=False)
        values, rotation = linalg.eigh(Q.T @ self.product(Q))
        return self._refined(values[::-1][:k], (Q @ rotation)[:, ::-1][:, :k])

    def _refined(self, values: FloatArray, vectors: FloatArray) -> Spectrum:
        """A spectrum of approximate eigenpairs."""
        values = np.maximum(values, 0.0)
        return Spectrum(values, vectors, max(float(self.variances.sum() - values.sum()), 0.0))


class MatrixCovariance(Covariance):
    """A covariance that fits in memory."""

    def __init__(self, mean: FloatArray, matrix: FloatArray) -> None:
        self.mean, self.matrix = mean, matrix
        self.variances = np.maximum(np.diag(matrix), 0.0)

    def product(self, V: FloatArray) -> FloatArray:
        return self.matrix @ V

    def scaled(self, scale: FloatArray) -> Covariance:
        return MatrixCovariance(self.mean * scale, self.matrix * scale * scale[:, np.newaxis])

    def decompose(self) -> Spectrum:
        if self.n_features > _SMALL:
            return self._decompose()
        with SingleThreadedBLAS():  # threads would not pay, and change last digits
            return self._decompose()

    def _decompose(self) -> Spectrum:
        values, vectors = np.linalg.eigh(self.matrix)
        if self.n_features > _SMALL and self._is_level():
            return Spectrum(np.maximum(values, 0.0)[::-1], vectors[:, ::-1], 0.0)
        # An eigenvalue's error is relative to the largest one; that of a Rayleigh quotient by a factor of the matrix,
        # whose entries are accurate relative to their own columns, is not.
        values = (self.factor() @ vectors) ** 2
        return _sorted(values.sum(axis=0), vectors)

    def _is_level(self) -> bool:
        """Whether all variances are of one order, so that entries are as accurate as eigenvalues."""
        varying = self.variances[self.variances > 0]
        return bool(varying.size and varying.max() <= _LEVEL * varying.min())

    def factor(self) -> FloatArray:
        """R with R'R = S, by Cholesky decomposition of the correlation matrix with pivoting."""
        d, scale = self.n_features, np.sqrt(self.variances)
        safe = np.where(scale > 0, scale, 1.0)
        factor, pivots, rank, _ = linalg.lapack.dpstrf(self.matrix / safe / safe[:, np.newaxis], tol=d * 2.3e-16)
        upper = np.triu(factor)
        upper[rank:] = 0.0
        R = np.empty((d, d))
        R[:, pivots - 1] = upper
        return R * scale

    def leading(self, k: int, start: FloatArray | None = None) -> Spectrum:
        d = self.n_features
        if d > _SMALL and k < d // 10:
            return super().leading(k, start)
        if k == 0:
            return Spectrum(np.zeros(0), np.zeros((d, 0)), float(self.variances.sum()))
        if 2 * k < d:
            values, vectors = linalg.eigh(self.matrix, subset_by_index=(d - k, d - 1), check_finite=False, driver="evr")
        else:
            values, vectors = np.linalg.eigh(self.matrix)
        return self._refined(values[::-1][:k], vectors[:, ::-1][:, :k])


class RowsCovariance(Covariance):
    """A'A for rows A that are centred and carry the square roots of their weights."""

    def __init__(self, mean: FloatArray, A: FloatArray) -> None:
        self.mean, self.A = mean, A
        self.variances = np.einsum("nd,nd->d", A, A)

    @classmethod
    def of(cls, X: FloatArray, weight: FloatArray | None) -> RowsCovariance:
        X = X.astype(np.float64, copy=False)
        total = len(X) if weight is None else weight.sum()
        A = X - X[0]
        shift = A.mean(axis=0) if weight is None else weight @ A / total
        A -= shift
        A *= np.sqrt(1.0 / total) if weight is None else np.sqrt(weight / total)[:, np.newaxis]
        return cls(X[0] + shift, A)

    def product(self, V: FloatArray) -> FloatArray:
        return self.A.T @ (self.A @ V)

    def scaled(self, scale: FloatArray) -> Covariance:
        return RowsCovariance(self.mean * scale, self.A * scale)

    def decompose(self) -> Spectrum:
        n = len(self.A)
        if n > self.n_features:
            return MatrixCovariance(self.mean, self.A.T @ self.A).decompose()
        _, left = np.linalg.eigh(self.A @ self.A.T)
        vectors, _ = linalg.qr(self.A.T @ left[:, ::-1], mode="economic", check_finite=False)
        return _sorted(((self.A @ vectors) ** 2).sum(axis=0), vectors)

    def leading(self, k: int, start: FloatArray | None = None) -> Spectrum:
        n = len(self.A)
        if k == 0 or not self.variances.any() or n > self.n_features or k >= n - 1:
            return super().leading(k, start)
        if n <= _SMALL:
            _, left = linalg.eigh(self.A @ self.A.T, subset_by_index=(n - k, n - 1), check_finite=False, driver="evr")
        else:
            gram = LinearOperator((n, n), matvec=lambda v: self.A @ (self.A.T @ v), dtype=np.float64)
            v0 = np.random.RandomState(0).uniform(-1.0, 1.0, n) if start is None else self.A @ start
            _, left = eigsh(gram, k=k, v0=v0, ncv=min(n, max(2 * k + 1, 20)))
        return self._refined(np.zeros(0), self.A.T @ left[:, ::-1])

    def _refined(self, values: FloatArray, vectors: FloatArray) -> Spectrum:
        # Variances of the rows along and off the vectors are accurate relative to themselves, not to the largest one.
        vectors, _ = linalg.qr(vectors, mode="economic", check_finite=False)
        along = self.A @ vectors
        spectrum = _sorted((along**2).sum(axis=0), vectors)
        total = float(self.variances.sum())
        rest = total - float(spectrum.values.sum())
        if rest < _LARGE_SHARE * total:
            off = self.A - along @ vectors.T
            rest = float(np.vdot(off, off))
        return Spectrum(spectrum.values, spectrum.vectors, rest)


class SparseCovariance(Covariance):
    """The covariance of sparse rows, centred without being made dense: rows X with the weighted mean ``centre``."""

    def __init__(self, mean: FloatArray, X: Any, centre: FloatArray, weight: FloatArray, scale: FloatArray) -> None:
        self.mean, self.X, self.centre, self.weight, self.scale = mean, X, centre, weight, scale
        squares = np.asarray(X.multiply(X).T @ weight).ravel()
        self.variances = np.maximum(squares - centre**2, 0.0) * scale**2

    @classmethod
    def of(cls, X: Matrix, weight: FloatArray | None) -> SparseCovariance:
        weight = np.full(X.shape[0], 1.0 / X.shape[0]) if weight is None else weight / weight.sum()
        X = X.astype(np.float64)
        mean = X.T @ weight
        X, left = centre_full_columns(X, mean)
        centre = X.T @ weight
        return cls(mean - left + centre, X, centre, weight, np.ones(len(mean)))

    def product(self, V: FloatArray) -> FloatArray:
        V = (self.scale * V.T).T
        centred = self.X @ V - self.centre @ V
        weighted = (self.weight * centred.T).T
        product = self.X.T @ weighted - np.multiply.outer(self.centre, weighted.sum(axis=0))
        return np.asarray((self.scale * product.T).T)

    def scaled(self, scale: FloatArray) -> Covariance:
        return SparseCovariance(self.mean * scale, self.X, self.centre, self.weight, self.scale * scale)

    def decompose(self) -> Spectrum:
        d, n = self.n_features, self.X.shape[0]
        if n >= d:
            return MatrixCovariance(self.mean, self.product(np.eye(d))).decompose()
        rows = np.sqrt(self.weight)[:, np.newaxis] * (self.X.toarray() - self.centre) * self.scale
        return RowsCovariance(self.mean, rows).decompose()


def covariance_of_rows(rows: Rows) -> Covariance:
    """The covariance of a table by products with its rows."""
    kind = SparseCovariance if rows.is_sparse else RowsCovariance
    return kind.of(*with_weight(rows.X, rows.sample_weight))


def _sorted(values: FloatArray, vectors: FloatArray) -> Spectrum:
    order: Any = np.argsort(-values, kind="stable")
    return Spectrum(values[order], vectors[:, order], 0.0)
