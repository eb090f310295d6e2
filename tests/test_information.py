"""Lanczos against dense eigenvalues, a saddle point that is left, a climb inside bounds, and derivatives."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from skentropy._em import State, climb, derivative, em_eigenpair, largest_eigenpair, leave_saddle


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


class Plane:
    """Parameters (x, y, z) whose objective has a saddle point at zero, and does not change along z."""

    def __init__(self, curvature, limit=0.9):
        self.curvature, self.limit = curvature, limit

    def evaluate(self, p):
        value = 0.5 * self.curvature * p[0] ** 2 - 0.25 * p[0] ** 4 - 0.1 * p[1] ** 2
        return State(p, None, value, value)

    def parameters(self, z):
        return z if abs(z[0]) < self.limit else None

    def gradient(self, state):
        x, y, _ = state.parameters
        return np.array([self.curvature * x - x**3, -0.2 * y, 0.0])

    def identified(self, z):
        return z * [1.0, 1.0, 0.0]


@pytest.mark.parametrize("central", [False, True])
@pytest.mark.parametrize("curvature", [0.2, 0.002, -0.1])
def test_a_saddle_point_is_left_to_one_of_two_sides(curvature, central):
    """The gradient is (c x - x^3, -y / 5, 0): the EM map has the eigenvalues 1 + c and 4 / 5, and no third one is seen."""
    plane = Plane(curvature)
    start = plane.evaluate(np.zeros(3))
    pair = em_eigenpair(plane, start, plane.evaluate, 3, central=central)
    assert pair[0] == pytest.approx(max(1.0 + curvature, 0.8), abs=1e-9)
    assert pair[1] == pytest.approx([np.sign(pair[1][0]), 0.0, 0.0], abs=1e-6)
    end = leave_saddle(plane, start, plane.evaluate, pair, least_gain=1e-9)
    assert end.goes_on == (curvature > 0.0)
    assert not end.saddle
    # Of two sides that are alike the first is taken, and of the lengths 0.03, 0.1 and 0.3 the best; 1 is out of the domain.
    length = {0.2: 0.3, 0.002: 0.03, -0.1: 0.0}[curvature]
    np.testing.assert_allclose(end.state.parameters, length * pair[1], atol=1e-6)
    stuck = leave_saddle(plane, start, plane.evaluate, pair, least_gain=1.0)
    assert (stuck.goes_on, stuck.saddle) == (False, curvature > 0.0)
    assert not leave_saddle(plane, start, plane.evaluate, pair, least_gain=1.0, tried=2.0).saddle


@pytest.mark.parametrize("length", [0.03, 0.1, 0.3, 1.0])
def test_of_four_steps_away_from_a_saddle_point_the_best_is_taken(length):
    plane = Plane(length**2, limit=2.0)
    state, direction = plane.evaluate(np.zeros(3)), np.eye(3)[0]
    end = leave_saddle(plane, state, plane.evaluate, (1.5, direction), least_gain=1e-9)
    np.testing.assert_allclose(end.state.parameters, length * direction, rtol=1e-12)


@pytest.mark.parametrize("largest", [1.00005, 1.000995, 1.001005])
def test_next_to_one_an_eigenvalue_is_that_of_a_slow_fit_and_not_of_a_saddle_point(largest):
    plane = Plane(-0.1)
    end = leave_saddle(plane, plane.evaluate(np.zeros(3)), plane.evaluate, (largest, np.eye(3)[0]), least_gain=1e-9)
    assert (end.goes_on, end.saddle) == (False, largest > 1.001)


def test_where_nothing_is_identified_there_is_no_saddle_point():
    plane = Plane(0.2)
    plane.identified = np.zeros_like
    largest, direction = em_eigenpair(plane, plane.evaluate(np.zeros(3)), plane.evaluate, 3)
    assert (largest, direction.any()) == (0.0, False)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_saddle_point_that_falls_to_one_side_is_left_to_the_other(side):
    class Slope(Plane):
        def evaluate(self, p):
            return State(p, None, side * p[0] ** 3, side * p[0] ** 3)

    around = Slope(0.0)
    state = around.evaluate(np.zeros(3))
    end = leave_saddle(around, state, around.evaluate, (1.5, np.array([1.0, 0.0, 0.0])), least_gain=1e-9)
    assert end.goes_on
    assert end.state.parameters[0] * side > 0.0


def test_a_derivative_is_exact_for_polynomials_of_the_fourth_degree():
    found = derivative(lambda t: np.array([1.0, t, t**2, t**3 + 2.0 * t, (1.0 + t) ** 4]), 0.5)
    np.testing.assert_allclose(found, [0.0, 1.0, 0.0, 2.0, 4.0], atol=1e-14)


def test_a_climb_ends_at_the_top_inside_the_bounds():
    top = np.array([1.0, -2.0, 3.0])

    class Around:
        def parameters(self, z):
            return z

        def gradient(self, state):
            return top - state.parameters

    def evaluate(z):
        return State(z, None, 0.0, -0.5 * float(((z - top) ** 2).sum()))

    bounds = [(None, None), (-1.5, None), (None, 2.0)]
    np.testing.assert_allclose(climb(Around(), evaluate, 3, {"gtol": 1e-10}).parameters, top, atol=1e-8)
    np.testing.assert_allclose(climb(Around(), evaluate, 3, {}, bounds=bounds).parameters, [1.0, -1.5, 2.0], atol=1e-6)


def test_a_climb_along_a_bent_valley_ends_at_its_top():
    """Where each step gains next to nothing."""

    class Bent:
        def parameters(self, z):
            return z + np.array([-1.2, 1.0])

        def gradient(self, state):
            return -rosen_der(state.parameters)

    def evaluate(p):
        return State(p, None, -rosen(p), -rosen(p))

    np.testing.assert_allclose(climb(Bent(), evaluate, 2, {"gtol": 1e-9}).parameters, 1.0, atol=1e-6)
