"""Lanczos against dense eigenvalues."""

import numpy as np
import pytest

from skentropy._em import largest_eigenpair


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_as_many_steps_as_dimensions_give_the_largest_eigenpair(size):
    rng = np.random.default_rng(size)
    matrix = rng.normal(size=(size, size))
    matrix += matrix.T
    value, vector = largest_eigenpair(matrix.__matmul__, rng.normal(size=size))
    np.testing.assert_allclose(value, np.linalg.eigvalsh(matrix)[-1], rtol=1e-10)
    np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-9)


def test_a_space_that_is_invariant_ends_the_steps():
    matrix = np.diag([3.0, 1.0, 1.0, 1.0, 2.0, 2.0])
    value, vector = largest_eigenpair(matrix.__matmul__, np.ones(6))
    np.testing.assert_allclose(value, 3.0, rtol=1e-12)
    np.testing.assert_allclose(np.abs(vector), [1, 0, 0, 0, 0, 0], atol=1e-9)


def test_an_isolated_eigenvalue_is_found_in_a_few_steps():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(200, 200)))[0]
    eigenvalues = np.concatenate([rng.uniform(size=199), [1.5]])
    calls = []

    def apply(vector):
        calls.append(1)
        return rotation @ (eigenvalues * (rotation.T @ vector))

    value, _ = largest_eigenpair(apply, rng.normal(size=200), n_steps=8)
    assert len(calls) == 8
    np.testing.assert_allclose(value, 1.5, atol=1e-3)


def test_an_invariant_space_is_noticed_whatever_the_start():
    """Also where the operator is nothing along the start itself."""
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    block = np.diag([0.0, 2.0, 5.0, 5.0, 5.0, 5.0])
    block[0, 1] = block[1, 0] = 1.0
    matrix, calls = rotation @ block @ rotation.T, []

    def apply(vector):
        calls.append(1)
        return matrix @ vector

    value, _ = largest_eigenpair(apply, rotation[:, 0])
    assert len(calls) == 2
    np.testing.assert_allclose(value, 1.0 + np.sqrt(2.0), rtol=1e-12)
