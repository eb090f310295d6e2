"""Triangular factors and packed matrices, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from skentropy import _linalg
from skentropy._linalg import factorise, invert, invert_factors, pack_symmetric, reciprocals, unpack_symmetric


def matrices() -> np.ndarray:
    roots = np.random.default_rng(0).normal(size=(4, 3, 3))
    return roots @ roots.transpose(0, 2, 1)


def test_factors_inverses_and_determinants() -> None:
    A = matrices()
    scales = np.random.default_rng(1).uniform(0.1, 10.0, (4, 3))
    np.testing.assert_allclose(factorise(A, scales), np.linalg.cholesky(A), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(factorise(1e-12 * A, scales), 1e-6 * np.linalg.cholesky(A), rtol=1e-8, atol=1e-18)
    inverse, log_det = invert(A)
    np.testing.assert_allclose(inverse @ A, np.broadcast_to(np.eye(3), A.shape), atol=1e-9)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(A)[1], rtol=1e-10)
    factors = np.linalg.cholesky(A)
    np.testing.assert_allclose(invert_factors(factors), np.linalg.inv(factors), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(factors, np.linalg.cholesky(A))
    assert pytest.approx(np.log(2 * np.pi), rel=1e-15) == _linalg.LOG_2PI


def test_small_eigenvalues_are_raised() -> None:
    A, scales = matrices(), np.array([[1.0, 2.0, 0.5]])
    L = factorise(A, np.repeat(scales, 4, axis=0), smallest=0.5)
    units = scales[:, :, np.newaxis] * scales[:, np.newaxis]
    found = np.linalg.eigvalsh(L @ L.transpose(0, 2, 1) / units)
    np.testing.assert_allclose(found, np.maximum(np.linalg.eigvalsh(A / units), 0.5), rtol=1e-10)
    assert (np.diagonal(L, axis1=1, axis2=2) > 0.0).all()


def test_packed_matrices_keep_their_lengths() -> None:
    A = matrices()
    packed = pack_symmetric(A)
    np.testing.assert_allclose((packed**2).sum(axis=1), (A**2).sum(axis=(1, 2)))
    np.testing.assert_allclose(unpack_symmetric(packed, 3), A)


def test_zeros_have_no_reciprocals() -> None:
    np.testing.assert_array_equal(reciprocals(np.array([[4.0, 0.0], [-0.0, -0.005]])), [[0.25, 0.0], [0.0, -200.0]])
