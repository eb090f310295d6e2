"""Linear algebra with many small positive definite matrices at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.linalg import lapack

from ._typing import Array, FloatArray

LOG_2PI = float(np.log(2.0 * np.pi))


def reciprocals(x: FloatArray) -> FloatArray:
    """One divided by each number; zero for zeros."""
    return np.divide(1.0, x, out=np.zeros_like(x), where=x != 0.0)


def invert(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverses and log determinants of positive definite matrices (P, k, k), by their Cholesky factors."""
    factor = np.linalg.cholesky(matrices)
    inverse = np.linalg.inv(factor)
    return np.matmul(inverse.transpose(0, 2, 1), inverse), log_det_of_factors(factor)


def invert_factors(factors: FloatArray) -> FloatArray:
    """Inverses of lower triangular matrices (P, k, k), one after the other, which suits few matrices."""
    inverses = factors.copy()
    for inverse in inverses:
        # In columns, as LAPACK has it, the transpose is upper triangular.
        inverse[:] = lapack.dtrtri(inverse.T, overwrite_c=True)[0].T
    return inverses


def log_det_of_factors(factors: FloatArray) -> FloatArray:
    """Log determinants of L L' for lower triangular factors L (P, k, k)."""
    return np.asarray(2.0 * np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1))


def factorise(matrices: FloatArray, scales: FloatArray, smallest: float = 0.0) -> FloatArray:
    """Lower Cholesky factors of symmetric matrices (P, k, k), after nearly singular ones have been made regular.

    Coordinates are divided by the scales (P, k), and eigenvalues below ``smallest`` are raised to it. For scatter matrices
    the result is the maximum-likelihood covariance among those with no smaller eigenvalues in these coordinates.
    """
    values, vectors = np.linalg.eigh(matrices / scales[:, :, np.newaxis] / scales[:, np.newaxis])
    roots = vectors * np.sqrt(np.maximum(values, smallest))[:, np.newaxis]
    # The factor is R' of the QR decomposition of a root of the matrix, up to signs.
    upper: FloatArray = np.linalg.qr(roots.transpose(0, 2, 1)).R
    is_negative = np.diagonal(upper, axis1=1, axis2=2) < 0.0
    upper = np.where(is_negative[:, :, np.newaxis], -upper, upper)
    return np.asarray(scales[:, :, np.newaxis] * upper.transpose(0, 2, 1))


def pack_symmetric(matrices: FloatArray) -> FloatArray:
    """Symmetric matrices (..., k, k) as vectors (..., k (k + 1) / 2) of the same lengths."""
    i, j, lengths = _upper(matrices.shape[-1])
    return matrices[..., i, j] * lengths


def unpack_symmetric(vectors: FloatArray, size: int) -> FloatArray:
    """The inverse of ``pack_symmetric``."""
    i, j, lengths = _upper(size)
    matrices = np.empty((*vectors.shape[:-1], size, size))
    matrices[..., i, j] = matrices[..., j, i] = vectors / lengths
    return matrices


@lru_cache(maxsize=64)
def lower_triangle(size: int) -> tuple[Array, Array]:
    """Rows and columns of the entries of a lower triangle."""
    i, j = np.tril_indices(size)
    return i, j


@lru_cache(maxsize=64)
def _upper(size: int) -> tuple[Array, Array, FloatArray]:
    """Rows and columns of the upper triangle of a symmetric matrix, and the lengths of unit moves of its entries."""
    i, j = np.triu_indices(size)
    return i, j, np.where(i == j, 1.0, np.sqrt(2.0))
