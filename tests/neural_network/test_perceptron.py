"""Nets with a linear path: what they say, and gradients against differences."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from skentropy.neural_network._perceptron import ACTIVATIONS, Perceptron

SIZES = [(3, 2), (3, 5, 2), (3, 5, 4, 2)]


def random_net(sizes: tuple[int, ...], activation: str, n_linear: int = 1, seed: int = 0) -> tuple[Any, Perceptron]:
    size = sum(int(np.prod(shape)) for shape in Perceptron.shapes(sizes, n_linear))
    vector = np.random.default_rng(seed).normal(size=size)
    return vector, Perceptron.of_vector(vector, sizes, n_linear, activation)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_are_those_of_differences(activation: str, sizes: tuple[int, ...]) -> None:
    vector, net = random_net(sizes, activation)
    rng = np.random.default_rng(1)
    X, weights = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    outputs, traced = net.trace(X)
    _, gradient = random_net(sizes, activation, seed=2)
    first = net.backward(traced, weights, gradient)
    through = net.input_derivative(first, weights)

    def value() -> float:
        return float((weights * net(X)).sum())

    assert value() == pytest.approx(float((weights * outputs).sum()), rel=1e-12)
    for array, found in ((vector, gradient.pack()), (X.reshape(-1), through.ravel())):
        for place in range(len(array)):
            at, step = array[place], 1e-5
            array[place] = at + step
            above = value()
            array[place] = at - step
            below = value()
            array[place] = at
            assert found[place] == pytest.approx((above - below) / (2 * step), abs=1e-6)


def test_activations() -> None:
    a = np.linspace(-3.0, 3.0, 7)
    expected = {
        "tanh": np.tanh(a),
        "relu": np.where(a > 0, a, 0.0),
        "softplus": np.log1p(np.exp(a)),
        "silu": a / (1.0 + np.exp(-a)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(ACTIVATIONS[name].function(a)[0], values, rtol=1e-12)


def test_first_weights_go_by_the_number_of_inputs_and_outputs_start_at_zero() -> None:
    _, net = random_net((40, 300, 200, 3), "silu", n_linear=2)
    net.initialise(np.random.default_rng(0))
    for coefs, n_inputs in zip(net.coefs[:-1], (40, 300), strict=True):
        assert coefs.std() == pytest.approx(1.4 / np.sqrt(n_inputs), rel=0.05)
    rng = np.random.default_rng(0)
    for coefs, intercepts, n_inputs in zip(net.coefs[:-1], net.intercepts[:-1], (40, 300), strict=True):
        np.testing.assert_allclose(coefs, 1.4 / np.sqrt(n_inputs) * rng.normal(size=coefs.shape), rtol=1e-12)
        np.testing.assert_allclose(intercepts, 2.0 * rng.uniform(size=intercepts.shape) - 1.0, atol=1e-12)
    np.testing.assert_array_equal(net(np.ones((2, 40))), 0.0)
    assert net.sizes == [40, 300, 200, 3]
    assert [coefs.shape for coefs in net.coefs] == list(pairwise(net.sizes))
    assert net.astype(np.float32)(np.ones((2, 40), np.float32)).dtype == np.float32
