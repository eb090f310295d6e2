"""What a state gains by switching one variable, and the search among such neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skentropy._data import Block
from skentropy.neural_network import _flips
from skentropy.neural_network._exact import observe
from skentropy.neural_network._flips import Flips, Ratios, _starts
from skentropy.neural_network._layers import BeliefNet, Layer
from skentropy.neural_network._state_sets import Joints, Pool, StateSets
from skentropy.neural_network._truncated import first_sets
from tests.common.nets import all_states, data, naive_log_joint, random_net


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("size", [1.0, 30.0, 120.0, 230.0, 900.0])
@pytest.mark.parametrize("n_features", [1, 2, 3, 7, 20])
def test_ratios_are_differences_of_softplus(monkeypatch: Any, n_features: int, size: float, gaps: bool) -> None:
    """For weights whose exponentials multiply at once, in several products, or not at all."""
    rng = np.random.RandomState(n_features)
    weights = size * rng.uniform(-1.0, 1.0, size=(n_features, 4))
    weights[0, 1] = size
    a = size * rng.normal(size=(9, n_features))
    a[:3] = rng.choice([-800.0, 0.0, 800.0], size=(3, n_features))
    m = (rng.uniform(size=a.shape) < 0.7).astype(float) if gaps else None
    for in_cache in (2**15, 16):
        monkeypatch.setattr(_flips, "_IN_CACHE", in_cache)
        up, down = Ratios(weights).logarithms(a, m)
        for found, w in ((up, weights), (down, -weights)):
            changes = np.logaddexp(0.0, a[:, :, np.newaxis] + w) - np.logaddexp(0.0, a)[:, :, np.newaxis]
            expected = (changes * (1.0 if m is None else m[:, :, np.newaxis])).sum(axis=1)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * size**0.5)
    assert all(part.shape == (0, 4) for part in Ratios(weights).logarithms(a[:0], None if m is None else m[:0]))


def test_new_products_start_before_exponentials_overflow() -> None:
    assert _starts(np.array([[300.0, 1.0], [300.0, 1.0], [100.0, 700.0], [1.0, 1.0], [0.0, 699.0]])) == [0, 2, 3]
    assert _starts(np.array([[700.0], [0.5], [699.5], [0.5]])) == [0, 1, 3]
    assert _starts(np.zeros((4, 0))) == [0]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("sizes", [(4,), (3, 2), (1, 1)])
def test_changes_are_differences_of_log_joints(sizes: tuple[int, ...], gaps: bool) -> None:
    """Those of rows of zeros have no term of row and state."""
    net = random_net(sizes, 5, np.random.RandomState(4))
    x = np.array([0.0, 0.0, np.nan, 0.0, np.nan]) if gaps else np.zeros(5)
    states = np.array(all_states(net), dtype=float)
    m = np.tile((~np.isnan(x)).astype(float), (len(states), 1)) if gaps else None
    for state, found in zip(states, Flips(net).changes(states, m), strict=True):
        flipped = np.abs(state - np.eye(len(state)))
        expected = [naive_log_joint(net, x, s) - naive_log_joint(net, x, state) for s in flipped]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("sizes", [(6,), (4, 2)])
@pytest.mark.parametrize("n_states", [1, 3, 9, 20])
def test_the_best_of_states_and_their_neighbours(
    monkeypatch: Any, sizes: tuple[int, ...], gaps: bool, n_states: int
) -> None:
    """Around two states of some rows, one after the other, against a list of all of them; other rows stay.

    What ranks the neighbours need not have all digits, for those that are kept are evaluated like all states.
    """
    of_flips = Joints.of_flips
    monkeypatch.setattr(Joints, "of_flips", lambda *arguments: of_flips(*arguments).astype(np.float32).astype(float))
    X, _ = data(gaps, n=30)
    net, rng = random_net(sizes, 5, np.random.RandomState(4)), np.random.RandomState(0)
    joints, rows = Joints(net, observe(Block(X, None, None, 0))), np.arange(3, 30, 2)
    sets = first_sets(net, observe(Block(X, None, None, 0)), n_states)
    for _ in range(2):
        base = rng.randint(min(n_states, 7), size=len(rows))
        bases, known = sets.index[rows, base], [{bytes(s) for s in of_row} for of_row in sets.states]
        found, changed, best = sets.with_flips(joints, bases, sets.log_joint[rows, base], rows)
        for row, state in zip(rows.tolist(), sets.pool.states[bases], strict=True):
            known[row] |= {bytes(s) for s in state ^ np.eye(6, dtype=np.uint8)}
        for row, (x, states, values) in enumerate(zip(X, found.states, found.log_joint, strict=True)):
            reach = sorted((naive_log_joint(net, x, [*s]) for s in known[row]), reverse=True)[:n_states]
            finite = values > -np.inf
            assert finite.sum() == len(reach)
            np.testing.assert_allclose(values[finite], reach, rtol=1e-12)
            np.testing.assert_allclose([naive_log_joint(net, x, s) for s in states[finite]], reach, rtol=1e-12)
            assert len({bytes(s) for s in states[finite]}) == len(reach)
        assert (np.diff(found.log_joint[np.isfinite(found.log_joint).all(axis=1)], axis=1) <= 0.0).all()
        stayed = np.setdiff1d(np.arange(30), changed)
        np.testing.assert_array_equal(found.log_joint[stayed], sets.log_joint[stayed])
        # The positions tell old states, which keep their values, from new ones.
        old = (best < n_states) & np.isfinite(found.log_joint[changed])
        before = np.take_along_axis(sets.log_joint[changed], np.minimum(best, n_states - 1), axis=1)
        np.testing.assert_array_equal(found.log_joint[changed][old], before[old])
        sets = found


@pytest.mark.parametrize("n_latents", [5, 63, 64, 65, 130])
def test_neighbours_that_are_known_are_found_in_any_word(n_latents: int) -> None:
    rng = np.random.RandomState(0)
    net = BeliefNet(np.zeros(n_latents), (Layer(np.zeros((2, n_latents)), np.zeros(2)),))
    joints, base = Joints(net, observe(Block(np.ones((2, 2)), None, None, 0))), rng.randint(2, size=n_latents)
    near, far = np.tile(base, (3, 1)), np.tile(base, (3, 1))
    units = np.array([0, n_latents // 2, n_latents - 1])
    near[np.arange(3), units] ^= 1
    far[:, [0, n_latents - 1]] ^= 1
    far[1:, n_latents // 2] ^= 1
    far[2] ^= 1
    states = np.concatenate([base[np.newaxis], near, far]).astype(np.uint8)
    pool, _, places = Pool.empty(joints).joined(states, joints)
    sets = StateSets(pool, np.array([places[:5], places[[0, 1, 4, 5, 6]]]), np.zeros((2, 5)))
    rows, found = sets._known_flips(places[[0]], np.array([1]))
    assert (rows.tolist(), found.tolist()) == ([0], [0])
    rows, found = sets._known_flips(places[[0, 0]], np.array([0, 1]))
    assert rows.tolist() == [0, 0, 0, 1]
    assert found.tolist() == [*units, 0]
