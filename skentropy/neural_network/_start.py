"""Starts of EM: units made from rows; the weakest are replaced as long as that helps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.special import expit, logit

from .._em import State
from .._typing import FloatArray
from ._layers import BeliefNet, Layer

# Logits by which a unit switches on the ones of its row, and offsets switch everything else off.
_ON, _OFF, _NOISE = 2.0, -2.0, 0.5
_RARE = 0.25
# Number of consecutive replacements that may fail.
_PATIENCE = 3


def units_of_rows(
    X: FloatArray, weight: FloatArray, sizes: tuple[int, ...], random_state: np.random.RandomState
) -> BeliefNet:
    """A net in which the weights of each unit are twice a row plus noise; the layer above starts near independence."""
    chosen = random_state.choice(len(X), size=sizes[0], p=weight / weight.sum())
    weights = _ON * X[chosen].T + _NOISE * random_state.normal(size=(X.shape[1], sizes[0]))
    return _with_layers_above(Layer(weights, np.full(X.shape[1], _OFF)), sizes, _RARE, random_state)


def random_units(
    X: FloatArray, weight: FloatArray, sizes: tuple[int, ...], random_state: np.random.RandomState
) -> BeliefNet:
    """A net with normal weights added to independent features."""
    means = np.clip(weight @ X / weight.sum(), 0.01, 0.99)
    layer = Layer(random_state.normal(size=(X.shape[1], sizes[0])), logit(means))
    return _with_layers_above(layer, sizes, 0.5, random_state)


def _with_layers_above(layer: Layer, sizes: tuple[int, ...], share: float, random_state: np.random.RandomState) -> BeliefNet:
    layers = [layer]
    for below, above in pairwise(sizes):
        layers.append(Layer(random_state.normal(size=(below, above)), np.full(below, logit(share))))
    return BeliefNet(np.full(sizes[-1], logit(share) if len(sizes) == 1 else 0.0), tuple(layers))


def best_start(
    climb: Callable[[BeliefNet, int], State],
    X: FloatArray,
    weight: FloatArray,
    sizes: tuple[int, ...],
    random_state: np.random.RandomState,
    schedule: tuple[tuple[int, int], ...],
) -> State:
    """Let starts of both kinds compete: each takes some steps, and the better ones continue.

    Parameters
    ----------
    climb : callable
        A net and a number of EM steps -> the state after them.
    X, weight, sizes, random_state
        As above.
    schedule : tuple of (number of nets, steps) pairs
    """
    kinds = (random_units, units_of_rows)
    nets = [kinds[start % 2](X, weight, sizes, random_state) for start in range(schedule[0][0])]
    states: list[State] = []
    for n_nets, n_steps in schedule:
        states = [climb(net, n_steps) for net in nets[:n_nets]]
        states.sort(key=lambda state: -state.objective)
        nets = [state.parameters.net for state in states]
    return states[0]


def usefulness(net: BeliefNet, marginals: FloatArray, weight: FloatArray) -> FloatArray:
    """Loss of mean log-likelihood without each unit of a single hidden layer, (H,).

    Without unit h, p(x) = p(x) q(z_h = 0 | x) / p(z_h = 0).
    """
    off = np.log(np.maximum(1.0 - marginals, 1e-15))
    log_prior_off = -np.maximum(net.prior_logits, 0.0) - np.log1p(np.exp(-np.abs(net.prior_logits)))
    return np.asarray(log_prior_off - weight @ off / weight.sum())


def with_new_unit(net: BeliefNet, unit: int, row: FloatArray, random_state: np.random.RandomState) -> BeliefNet:
    """Replace a unit of the net by one made from a row."""
    layer = net.layers[0]
    weights = layer.weights.copy()
    expected = expit(layer.logits(np.atleast_2d(expit(net.prior_logits))))[0]
    scale = 2.0 * _ON
    weights[:, unit] = scale * (row - expected) + _NOISE * random_state.normal(size=len(row))
    prior = net.prior_logits.copy()
    prior[unit] = logit(_RARE)
    return BeliefNet(prior, (Layer(weights, layer.offsets), *net.layers[1:]))


def replace_weak_units(
    state: State,
    climb: Callable[[BeliefNet], State],
    explain: Callable[[State], tuple[FloatArray, FloatArray]],
    X: FloatArray,
    weight: FloatArray,
    random_state: np.random.RandomState,
    attempts: int,
) -> State:
    """Replace the least useful units by units made from badly explained rows, if that improves the objective.

    Parameters
    ----------
    state : State
        The state that EM has reached.
    climb : callable
        A net -> the state after a few steps of EM from it.
    explain : callable
        A state -> log-likelihoods of the rows (n,) and their posterior marginals (n, H).
    X, weight : ndarray
        Rows, with missing entries replaced by their columns' means, and weights.
    random_state : RandomState
    attempts : int
    """
    failures = 0
    while attempts > 0 and failures < _PATIENCE:
        attempts -= 1
        log_likelihood, marginals = explain(state)
        net = state.parameters.net
        ranking = np.argsort(usefulness(net, marginals, weight))
        unit = int(ranking[min(failures, len(ranking) - 1)])
        shortfall = np.maximum(np.average(log_likelihood, weights=weight) - log_likelihood, 0.0) ** 2 * weight
        if not shortfall.any():
            break
        row = X[random_state.choice(len(X), p=shortfall / shortfall.sum())]
        trial = climb(with_new_unit(net, unit, row, random_state))
        if trial.objective > state.objective:
            state, failures = trial, 0
        else:
            failures += 1
    return state
