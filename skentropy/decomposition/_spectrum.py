"""Eigenpairs of a covariance: from its matrix, from its rows if they are fewer than the features, or from products alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, eigsh

from .._data import Rows, SingleThreadedBLAS
from .._linalg import reciprocals
from .._typing import Array, FloatArray, Matrix
from ._weighted_rows import centre_full_columns, with_weight

# Up to this many features (or rows) a full decomposition of a small matrix is faster than products with it.
_SMALL = 250
_OVERSAMPLES = 10
_POWER_ITERATIONS = 7
# Subspace iteration uses this many more vectors, and continues as long as each step multiplies the residuals by less than
# the rate.
_BLOCK_OVERSAMPLES, _BLOCK_RATE = 4, 0.2
# Residuals this small a share of their eigenvalues leave the squares of their errors below rounding errors.
ACCURACY = 1e-11
_TINY = float(np.finfo(np.float64).tiny)
# With fewer rows than this share of the features, products of rows with each other take less time than products of features.
_FEW_ROWS = 0.5
# Rows that are centred at a time.
_ROWS_AT_ONCE = 64
# At least this share of a variance must remain after a subtraction, so that the difference keeps nearly all its digits.
_LARGE_SHARE = 0.05
# Variances within this factor count as being of one order.
_LEVEL = 1e3
# Rounding errors of a variance, relative to the squared mean.
_ROUNDING = 3e-30


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenvalues, descending, and eigenvectors in columns; ``rest`` is the sum of all other eigenvalues.

    ``block`` can start an iteration for the same features on another scale, and ``beyond`` is an estimate from below of the
    first omitted eigenvalue; each is None if there is none.
    """

    values: FloatArray
    vectors: FloatArray
    rest: float
    block: FloatArray | None = None
    beyond: float | None = None

    @cached_property
    def tails(self) -> FloatArray:
        """tails[h] is the sum of all eigenvalues after the first h, h = 0..len(values)."""
        return np.append(np.cumsum(self.values[::-1])[::-1], 0.0) + self.rest


class Covariance(ABC):
    """A covariance matrix, 1/n, given by its mean, its diagonal and its products with vectors."""

    mean: FloatArray
    variances: FloatArray

    @property
    def n_features(self) -> int:
        return len(self.mean)

    @abstractmethod
    def product(self, V: FloatArray) -> FloatArray:
        """The covariance times V, (d, m)."""

    def decompose(self) -> Spectrum:
        """All eigenpairs, except those that are zero because there are too few rows."""
        return MatrixCovariance(self.mean, self.product(np.eye(self.n_features))).decompose()

    @abstractmethod
    def scaled(self, scale: FloatArray) -> Covariance:
        """The covariance of the features times a scale."""

    def constant(self) -> Array:
        """Which features do not vary."""
        return without_rounding(self.variances, self.mean) == 0.0

    def correlation(self) -> Covariance:
        """The correlations; zero for features that do not vary, also with themselves."""
        return self.scaled(reciprocals(np.sqrt(without_rounding(self.variances, self.mean))))

    def leading(self, k: int, start: Spectrum | None = None, accuracy: float = ACCURACY) -> Spectrum:
        """The k leading eigenpairs; an iteration may start from ``start``.

        ``accuracy`` is the allowed ratio of residuals to their eigenvalues; by default machine precision.
        """
        if k == 0 or not self.variances.any():
            return Spectrum(np.zeros(k), np.eye(self.n_features, k), float(self.variances.sum()))
        return self._leading(k, start, accuracy)

    def _leading(self, k: int, start: Spectrum | None, accuracy: float) -> Spectrum:
        """The leading eigenpairs, found by Lanczos iteration."""
        d = self.n_features
        if k == d:  # Lanczos iteration finds all eigenpairs but one
            return Covariance.decompose(self)
        operator = LinearOperator((d, d), matvec=self.product, matmat=self.product, dtype=np.float64)
        v0 = np.random.RandomState(0).normal(size=d) if start is None else start.vectors.sum(axis=1)
        values, vectors = eigsh(operator, k=k, v0=self.product(v0))
        return self._refined(values[::-1], vectors[:, ::-1])

    def randomized(self, k: int, random_state: np.random.RandomState) -> Spectrum:
        """The k leading eigenpairs, by randomized subspace iteration (Halko, Martinsson and Tropp 2011)."""
        d = self.n_features
        Q = random_state.normal(size=(d, min(k + _OVERSAMPLES, d)))
        for _ in range(_POWER_ITERATIONS):
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
        with SingleThreadedBLAS():  # threads would gain nothing, and would change the last digits
            return self._decompose()

    def _decompose(self) -> Spectrum:
        values, vectors = np.linalg.eigh(self.matrix)
        if self.n_features > _SMALL and self._is_level():
            return Spectrum(np.maximum(values, 0.0)[::-1], vectors[:, ::-1], 0.0)
        # The error of an eigenvalue is relative to the largest one. A Rayleigh quotient with a factor of the matrix is more
        # accurate, since the factor's entries are accurate relative to their own columns.
        return _along(self.factor(), vectors)

    def _is_level(self) -> bool:
        """Whether all variances are of one order, so that entries are as accurate as eigenvalues."""
        varying = self.variances[self.variances > 0]
        return bool(varying.size and varying.max() <= _LEVEL * varying.min())

    def factor(self) -> FloatArray:
        """R with R'R = S, by Cholesky decomposition of the correlation matrix with pivoting."""
        d, scale = self.n_features, np.sqrt(self.variances)
        inverse = reciprocals(scale)
        correlation = self.matrix * inverse
        correlation *= inverse[:, np.newaxis]
        factor, pivots, rank, _ = linalg.lapack.dpstrf(correlation.T, tol=d * 2.3e-16, overwrite_a=True)
        upper = np.triu(factor)
        upper[rank:] = 0.0
        R = np.empty((d, d))
        R[:, pivots - 1] = upper
        return R * scale

    def _leading(self, k: int, start: Spectrum | None, accuracy: float) -> Spectrum:
        if self.n_features > _SMALL and are_few(k, self.n_features):
            return super()._leading(k, start, accuracy)
        return self._refined(*leading_pairs(self.matrix, k))


class RowsCovariance(Covariance):
    """A'A for rows A that are centred and carry the square roots of their weights."""

    def __init__(self, mean: FloatArray, A: FloatArray) -> None:
        self.mean, self.A = mean, A
        self.variances = np.einsum("nd,nd->d", A, A)

    @classmethod
    def of(cls, X: FloatArray, weight: FloatArray | None) -> RowsCovariance:
        total = len(X) if weight is None else weight.sum()
        A, shift = np.empty(X.shape), np.zeros(X.shape[1])
        blocks = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(X), _ROWS_AT_ONCE)]
        for rows in blocks:
            np.subtract(X[rows], X[0], out=A[rows])
            shift += (A[rows].sum(axis=0) if weight is None else weight[rows] @ A[rows]) / total
        for rows in blocks:
            A[rows] -= shift
            A[rows] *= np.sqrt(1.0 / total) if weight is None else np.sqrt(weight[rows] / total)[:, np.newaxis]
        return cls(X[0] + shift, A)

    def product(self, V: FloatArray) -> FloatArray:
        return self.A.T @ (self.A @ V)

    def scaled(self, scale: FloatArray) -> Covariance:
        if min(self.A.shape) > _SMALL:
            return ScaledRows(self, scale)
        return RowsCovariance(self.mean * scale, self.A * scale)

    def decompose(self) -> Spectrum:
        n, d = self.A.shape
        if n > d:
            return MatrixCovariance(self.mean, self.A.T @ self.A).decompose()
        if d > _SMALL and n > _FEW_ROWS * d:
            return _along(self.A, np.linalg.eigh(self.A.T @ self.A)[1][:, -n:])
        return _along(self.A, _orthonormal(self._from_gram(n)))

    def _leading(self, k: int, start: Spectrum | None, accuracy: float) -> Spectrum:
        n = len(self.A)
        if n > self.n_features or (n > _SMALL and are_few(k, n)):
            return super()._leading(k, start, accuracy)
        return self._refined(np.zeros(k), self._from_gram(k))

    def _from_gram(self, k: int) -> FloatArray:
        """Multiples of the leading eigenvectors, from those of AA'; zero if k exceeds the number of rows."""
        n = len(self.A)
        vectors = np.zeros((self.n_features, k))
        vectors[:, :n] = self.A.T @ leading_pairs(self.A @ self.A.T, min(k, n))[1]
        return vectors

    def _refined(self, values: FloatArray, vectors: FloatArray) -> Spectrum:
        # Variances of the rows along and off the vectors are accurate relative to themselves, not to the largest one.
        vectors = _orthonormal(vectors)
        spectrum = _along(self.A, vectors)
        total = float(self.variances.sum())
        rest = total - float(spectrum.values.sum())
        if rest < _LARGE_SHARE * total:
            off = self.A - (self.A @ vectors) @ vectors.T
            rest = float(np.vdot(off, off))
        return Spectrum(spectrum.values, spectrum.vectors, rest)


class Scaled(Covariance):
    """A covariance with its features scaled, without a copy."""

    def __init__(self, covariance: Covariance, scale: FloatArray) -> None:
        self.covariance, self.scale = covariance, scale
        self.mean = covariance.mean * scale
        self.variances = covariance.variances * scale**2

    def product(self, V: FloatArray) -> FloatArray:
        return (self.scale * self.covariance.product((self.scale * V.T).T).T).T

    def scaled(self, scale: FloatArray) -> Covariance:
        return type(self)(self.covariance, self.scale * scale)

    def decompose(self) -> Spectrum:
        return self.covariance.scaled(self.scale).decompose()


class ScaledRows(Scaled):
    """Rows with their features scaled, without a copy."""

    covariance: RowsCovariance

    def decompose(self) -> Spectrum:
        return self._copy().decompose()

    def _copy(self) -> RowsCovariance:
        return RowsCovariance(self.mean, self.covariance.A * self.scale)

    def _leading(self, k: int, start: Spectrum | None, accuracy: float) -> Spectrum:
        if not are_few(k + _BLOCK_OVERSAMPLES, min(self.covariance.A.shape)):
            return self._copy()._leading(k, start, accuracy)
        found = self._by_blocks(k, None if start is None else start.block, accuracy)
        return self._copy()._leading(k, start or found, accuracy) if found.block is None else found

    def _by_blocks(self, k: int, block: FloatArray | None, accuracy: float) -> Spectrum:
        """The leading eigenpairs by subspace iteration, which is fast from a good start or for well separated eigenvalues.

        A slow iteration is abandoned, and the spectrum then has no block.
        """
        A, scale = self.covariance.A, self.scale[:, np.newaxis]
        if block is None:
            block = np.random.RandomState(0).normal(size=(self.n_features, k + _BLOCK_OVERSAMPLES))
        last = np.inf
        while True:
            Q = _orthonormal(scale * block)
            left, singular, turn = linalg.svd(A @ (scale * Q), full_matrices=False, check_finite=False)
            # The rows' products with the Ritz vectors are left * singular, and those of the covariance with them follow.
            vectors, values = Q @ turn.T, singular**2
            block = A.T @ (left * singular)
            residual = scale * block[:, :k] - vectors[:, :k] * values[:k]
            error = float((np.linalg.norm(residual, axis=0) / np.maximum(values[:k], _TINY)).max())
            if error <= accuracy or not error < _BLOCK_RATE * last:
                break
            last = error
        rest = max(float(self.variances.sum() - values[:k].sum()), 0.0)
        found = block if error <= accuracy else None
        return Spectrum(values[:k], vectors[:, :k], rest, found, float(values[k]))


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
        # The sum is zero up to rounding errors, which an X far from zero would magnify.
        product = self.X.T @ weighted - np.multiply.outer(self.centre, weighted.sum(axis=0))
        return np.asarray((self.scale * product.T).T)

    def scaled(self, scale: FloatArray) -> Covariance:
        return SparseCovariance(self.mean * scale, self.X, self.centre, self.weight, self.scale * scale)

    def decompose(self) -> Spectrum:
        if self.X.shape[0] >= self.n_features:
            return super().decompose()
        rows = np.sqrt(self.weight)[:, np.newaxis] * (self.X.toarray() - self.centre) * self.scale
        return RowsCovariance(self.mean, rows).decompose()


def covariance_of_rows(rows: Rows) -> Covariance:
    """The covariance of a table by products with its rows."""
    kind = SparseCovariance if rows.is_sparse else RowsCovariance
    return kind.of(*with_weight(rows.X, rows.sample_weight))


def without_rounding(variances: FloatArray, mean: FloatArray) -> FloatArray:
    """Variances, set to zero if they are no larger than the rounding errors of values that all equal their mean."""
    return np.where(variances <= np.maximum(_ROUNDING * mean**2, np.finfo(np.float64).tiny), 0.0, variances)


def standard_deviations(variances: FloatArray) -> FloatArray:
    """Scales of features; those that do not vary have the root of the others' mean variance, or one if none varies."""
    varies = variances > 0.0
    typical = variances[varies].mean() if varies.any() else 1.0
    return np.sqrt(np.where(varies, variances, typical))


def are_few(k: int, n: int) -> bool:
    """Whether computing k of n eigenpairs takes less time than computing all."""
    return k < n // 10


def leading_pairs(matrices: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """The k leading eigenpairs of a symmetric matrix, or of each in an array of matrices, by its decomposition."""
    *shape, _, n = matrices.shape
    if not are_few(k, n):
        values, vectors = np.linalg.eigh(matrices)
        return values[..., ::-1][..., :k], vectors[..., ::-1][..., :k]
    leading = partial(linalg.eigh, subset_by_index=(n - k, n - 1), check_finite=False, driver="evr")
    pairs = [leading(matrix) for matrix in matrices.reshape(-1, n, n)]
    values, vectors = (np.stack(parts) for parts in zip(*pairs, strict=True))
    return values.reshape(*shape, k)[..., ::-1], vectors.reshape(*shape, n, k)[..., ::-1]


def _orthonormal(vectors: FloatArray) -> FloatArray:
    """Orthonormal vectors with the same span, or a larger one if the given vectors are linearly dependent."""
    return np.asarray(linalg.qr(vectors, mode="economic", check_finite=False)[0])


def _along(R: FloatArray, vectors: FloatArray) -> Spectrum:
    """The spectrum of R'R with orthonormal vectors for its eigenvectors."""
    values = ((R @ vectors) ** 2).sum(axis=0)
    order: Any = np.argsort(-values, kind="stable")
    return Spectrum(values[order], vectors[:, order], 0.0)
