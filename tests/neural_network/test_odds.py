"""Odds from tables."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import expit

from skentropy._data import Block
from skentropy._typing import FloatArray
from skentropy.neural_network import _odds
from skentropy.neural_network._exact import observe
from skentropy.neural_network._layers import BeliefNet, Layer
from skentropy.neural_network._logistic import Regression
from skentropy.neural_network._odds import Odds
from skentropy.neural_network._state_sets import Joints, Pool
from tests.common.nets import naive_log_joint, random_net


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("largest", [5.0, 60.0, 690.0, 710.0])
@pytest.mark.parametrize("n_units", [1, 7, 8, 9, 30])
def test_odds_are_exponentials_of_logits(n_units: int, largest: float, keep: bool) -> None:
    rng = np.random.RandomState(n_units)
    weights = rng.normal(size=(50, n_units + 1))
    weights *= largest / np.abs(weights).sum(axis=1, keepdims=True)
    layer, states = Layer(weights[:, :-1], weights[:, -1]), rng.randint(2, size=(1100, n_units)).astype(np.uint8)
    logits = layer.logits(states)
    for of in (states, states.astype(float)):
        odds = Odds(of)
        assert odds.has_tables(layer) == (largest < 700.0)
        np.testing.assert_allclose(odds.total_softplus(layer, keep=keep), np.logaddexp(0.0, logits).sum(axis=1), rtol=1e-13)
        np.testing.assert_allclose(probabilities(odds, layer), expit(logits), rtol=1e-15 * max(largest, 20.0))


def probabilities(odds: Odds, layer: Layer) -> FloatArray:
    return np.concatenate([p for _, p in odds.probabilities(layer)])


def test_what_is_kept_is_used_for_its_layer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.RandomState(0)
    states = rng.randint(2, size=(600, 9))
    first, second = (Layer(rng.normal(size=(5, 9)), rng.normal(size=5)) for _ in range(2))
    odds, used = Odds(states), list[Layer]()
    original = Odds._of

    def watched(self: Odds, layer: Layer, part: slice) -> FloatArray:
        used.append(layer)
        return original(self, layer, part)

    monkeypatch.setattr(Odds, "_of", watched)
    for layer in (first, second):
        odds.total_softplus(layer, keep=True)
    for layer in (second, first, second):
        np.testing.assert_allclose(probabilities(odds, layer), expit(layer.logits(states)), rtol=1e-13)
    assert [layer is first for layer in used] == [True, False, True]
    saved = pickle.dumps(odds)
    assert len(saved) < states.nbytes + 1000
    np.testing.assert_allclose(probabilities(pickle.loads(saved), second), expit(second.logits(states)), rtol=1e-13)


def test_odds_of_many_states_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.RandomState(0)
    layer, states = Layer(rng.normal(size=(5, 9)), rng.normal(size=5)), rng.randint(2, size=(600, 9))
    for most, kept in ((3000, True), (2999, False)):
        monkeypatch.setattr(_odds, "_MOST_KEPT", most)
        odds = Odds(states)
        odds.total_softplus(layer, keep=True)
        assert ("_kept" in vars(odds)) == kept
        np.testing.assert_allclose(probabilities(odds, layer), expit(layer.logits(states)), rtol=1e-13)


def test_tables_are_for_many_states_and_small_logits() -> None:
    layer = Layer(np.full((2, 9), -70.0), np.array([69.0, -70.0]))
    assert Odds(np.zeros((512, 9))).has_tables(layer)
    assert not Odds(np.zeros((511, 9))).has_tables(layer)
    assert not Odds(np.zeros((512, 9))).has_tables(Layer(layer.weights, np.array([0.0, -70.1])))


@pytest.mark.parametrize("size", [1.0, 200.0])
def test_sums_over_many_states_are_those_of_few(size: float) -> None:
    """By tables where exponentials are finite, without them elsewhere."""
    rng = np.random.RandomState(0)
    layer = Layer(size * rng.normal(size=(5, 9)), rng.normal(size=5))
    net, states = BeliefNet(rng.normal(size=9), (layer,)), rng.randint(2, size=(600, 9)).astype(np.uint8)
    assert Odds(states).has_tables(layer) == (size == 1.0)
    joints = Joints(net, observe(Block(np.zeros((1, 5)), None, None, 0)))
    table = joints.table(states)
    np.testing.assert_allclose(table, np.concatenate([joints.table(states[:300]), joints.table(states[300:])]), rtol=1e-13)
    if size == 1.0:
        np.testing.assert_allclose(table[:50, 0], [naive_log_joint(net, np.zeros(5), s) for s in states[:50]], rtol=1e-12)
    counts = rng.uniform(size=(600, 1))
    whole = Regression(states.astype(float), counts, np.zeros((5, 10))).gradient(layer)
    parts = [Regression(states[s].astype(float), counts[s], np.zeros((5, 10))) for s in (slice(0, 300), slice(300, 600))]
    np.testing.assert_allclose(whole, sum(part.gradient(layer) for part in parts), rtol=1e-13)


@pytest.mark.parametrize("gaps", [False, True])
def test_many_states_of_two_layers_and_with_gaps(gaps: bool) -> None:
    rng, x = np.random.RandomState(0), np.array([1.0, np.nan if gaps else 0.0, 0.0, 1.0])
    net, states = random_net((9, 8), 4, rng), rng.randint(2, size=(900, 17)).astype(np.uint8)
    joints = Joints(net, observe(Block(np.tile(x, (900, 1)), None, None, 0)))
    pool, _, places = Pool.empty(joints).joined(states, joints)
    found = joints.of(pool, places[:, np.newaxis])[:, 0]
    np.testing.assert_allclose(found[:40], [naive_log_joint(net, x, state) for state in states[:40]], rtol=1e-12)
