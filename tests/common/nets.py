"""Sigmoid belief nets with given parameters, and their likelihoods by plain loops over all states."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skentropy import SigmoidBeliefNet
from skentropy._data import Rows
from skentropy.neural_network._layers import BeliefNet, Layer
from skentropy.neural_network._logistic import Regression
from skentropy.neural_network._model import BeliefNetModel, Parameters

SIZES = [(3,), (3, 2)]


def sigmoid(a: float) -> float:
    return 1.0 / (1.0 + float(np.exp(-a)))


def log_bernoulli(x: float, a: float) -> float:
    return float(np.log(sigmoid(a) if x == 1 else 1.0 - sigmoid(a)))


def naive_log_joint(net: BeliefNet, x: Any, state: Any) -> float:
    """log p(x, z) or log p(x, y, z), variable by variable; NaN is left out."""
    layers = [np.asarray(s) for s in np.split(np.asarray(state), np.cumsum(net.sizes)[:-1])]
    total = sum(log_bernoulli(z, a) for z, a in zip(layers[-1], net.prior_logits, strict=True))
    for layer, below, above in zip(net.layers, [np.asarray(x), *layers[:-1]], layers, strict=True):
        for d, value in enumerate(below):
            if not np.isnan(value):
                total += log_bernoulli(value, float(layer.weights[d] @ above + layer.offsets[d]))
    return total


def all_states(net: BeliefNet) -> list[tuple[int, ...]]:
    return list(product([0, 1], repeat=sum(net.sizes)))


def naive_posterior(net: BeliefNet, x: Any) -> tuple[float, dict[tuple[int, ...], float]]:
    joint = {state: np.exp(naive_log_joint(net, x, state)) for state in all_states(net)}
    evidence = sum(joint.values())
    return float(np.log(evidence)), {state: value / evidence for state, value in joint.items()}


def random_net(sizes: tuple[int, ...], n_features: int, rng: np.random.RandomState) -> BeliefNet:
    layers, below = [], n_features
    for size in sizes:
        layers.append(Layer(1.5 * rng.normal(size=(below, size)), rng.normal(size=below)))
        below = size
    return BeliefNet(rng.normal(size=sizes[-1]), tuple(layers))


def data(gaps: bool, n: int = 12) -> tuple[Any, Any]:
    rng = np.random.RandomState(5)
    X = (rng.uniform(size=(n, 5)) < 0.4).astype(float)
    if gaps:
        X[rng.uniform(size=X.shape) < 0.2] = np.nan
    return X, rng.uniform(0.5, 2.0, size=n)


def regression_on(states: Any, counts: Any, successes: Any) -> Regression:
    """The regression of variables that were 1 with these weights under each state, (S, D)."""
    return Regression(states, counts, successes.T @ np.column_stack([states, np.ones(len(states))]))


def e_step(net: BeliefNet, X: Any, weight: Any) -> Any:
    return BeliefNetModel(0.0).expect(Parameters(net), Rows(X, weight))


def set_net(net: BeliefNet, X: Any, *, exact: bool = True) -> SigmoidBeliefNet:
    """A fitted estimator with given parameters."""
    sizes = net.sizes if len(net.sizes) > 1 else net.sizes[0]
    model = SigmoidBeliefNet(sizes, binarize=None, max_iter=1, tol=1e9, random_state=0, n_states=64)
    model.posterior = "exact" if exact else "truncated"
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    model.prior_ = 1.0 / (1.0 + np.exp(-net.prior_logits))
    model.components_, model.intercept_ = net.layers[0].weights.T, net.layers[0].offsets
    if len(net.sizes) == 2:
        model.hidden_components_, model.hidden_intercept_ = net.layers[1].weights.T, net.layers[1].offsets
    return model


def bars(n: int, seed: int, size: int = 4) -> tuple[Any, Any]:
    """Images of horizontal and vertical bars, two of which are on on average; logits -3 off and +6 for each bar on."""
    rng = np.random.RandomState(seed)
    images = np.zeros((2 * size, size, size))
    for i in range(size):
        images[i, i, :] = images[size + i, :, i] = 1
    images = images.reshape(2 * size, -1)
    on = rng.uniform(size=(n, 2 * size)) < 1.0 / size
    p = 1.0 / (1.0 + np.exp(3.0 - 6.0 * on @ images))
    return (rng.uniform(size=p.shape) < p).astype(float), images
