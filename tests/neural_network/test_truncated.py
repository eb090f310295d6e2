"""Truncated posteriors: states, their search, and fits by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skentropy import SigmoidBeliefNet
from skentropy._data import Block
from skentropy.neural_network import _truncated
from skentropy.neural_network._exact import Enumeration, observe
from skentropy.neural_network._layers import BeliefNet, Layer
from skentropy.neural_network._truncated import (
    StateSets,
    draw_states,
    first_sets,
    log_joint,
    search,
    state_keys,
    states_missed,
)
from tests.common.nets import SIZES, all_states, data, naive_log_joint, random_net


@pytest.mark.parametrize("n_latents", [1, 8, 9, 63, 64, 65, 70, 128, 130])
def test_states_have_keys_of_their_own(n_latents: int) -> None:
    simple = np.concatenate([np.zeros((1, n_latents), np.uint8), np.eye(n_latents, dtype=np.uint8)])
    assert len(np.unique(state_keys(simple))) == n_latents + 1
    np.testing.assert_array_equal(state_keys(simple[:, np.newaxis])[:, 0], state_keys(simple))


@pytest.mark.parametrize("n_states", [1, 3, 4, 6])
@pytest.mark.parametrize("sizes", [(3,), (2, 1)])
def test_first_sets_are_the_best_with_at_most_one_on(sizes: tuple[int, ...], n_states: int) -> None:
    X, _ = data(True)
    net = random_net(sizes, 5, np.random.RandomState(4))
    sets = first_sets(net, observe(Block(X, None, None, 0)), n_states)
    assert sets.states.shape == (len(X), n_states, 3)
    simple = [state for state in all_states(net) if sum(state) <= 1]
    for x, states, values in zip(X, sets.states, sets.log_joint, strict=True):
        best = sorted((naive_log_joint(net, x, state) for state in simple), reverse=True)[:n_states]
        np.testing.assert_allclose(values, best + [-np.inf] * (n_states - len(best)), rtol=1e-12)
        np.testing.assert_allclose([naive_log_joint(net, x, s) for s in states[: len(best)]], best, rtol=1e-12)


@pytest.mark.parametrize(("logit", "found"), [(-11.95, True), (-12.05, False)])
def test_search_looks_around_what_is_not_negligible(logit: float, found: bool) -> None:
    """Two variables are on at once only next to a state with one, which counts for nothing below e^-12."""
    net = BeliefNet(np.full(3, logit), (Layer(np.zeros((2, 3)), np.zeros(2)),))
    sets = search(net, observe(Block(np.ones((1, 2)), None, None, 0)), 5)
    assert sets.states[0, :4].sum(axis=1).tolist() == [0, 1, 1, 1]
    assert (sets.log_joint[0, 4] > -np.inf) == found


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("sizes", [(6,), (4, 2)])
def test_all_states_kept_are_the_exact_posterior(sizes: tuple[int, ...], gaps: bool) -> None:
    X, weight = data(gaps, n=60)
    net = random_net(sizes, 5, np.random.RandomState(4))
    observations = observe(Block(X, weight, None, 0))
    log_likelihood, q = Enumeration(net).posterior(observations)
    sets = search(net, observations, 64)
    # The search does not look around states of less than e^-12 of the best one's probability.
    np.testing.assert_allclose(sets.log_evidence, log_likelihood, atol=1e-4)
    assert (sets.log_evidence <= log_likelihood + 1e-12).all()
    np.testing.assert_allclose(sets.marginals()[:, : sizes[0]], Enumeration(net).marginals(q)[:, : sizes[0]], atol=1e-4)
    exact = SigmoidBeliefNet(3, random_state=0).fit(X)
    enumerable = SigmoidBeliefNet(3, posterior="truncated", n_states=8, random_state=0).fit(X)
    assert enumerable.score_is_exact_
    assert enumerable.lower_bound_ == exact.lower_bound_


@pytest.mark.parametrize("sizes", SIZES)
def test_draws_of_states_have_the_distribution_of_the_net(sizes: tuple[int, ...]) -> None:
    net, n = random_net(sizes, 5, np.random.RandomState(4)), 100_000
    draws = draw_states(net, n, np.random.RandomState(0))
    states = np.array(all_states(net))
    code = 2 ** np.arange(states.shape[1])
    share = np.array([(draws @ code == state @ code).mean() for state in states])
    nothing = np.full(5, np.nan)
    p = np.exp([naive_log_joint(net, nothing, state) for state in states])
    assert np.abs((share - p) / np.sqrt(p * (1 - p) / n)).max() < 4


@pytest.mark.parametrize("gaps", [False, True])
def test_rows_in_chunks_are_rows_at_once(monkeypatch: Any, gaps: bool) -> None:
    X, _ = data(gaps, n=50)
    net, rng = random_net((3, 2), 5, np.random.RandomState(4)), np.random.RandomState(0)
    states = rng.randint(2, size=(50, 4, 5)).astype(np.uint8)
    observations = observe(Block(X, None, None, 0))
    whole = log_joint(net, states, observations)
    assert whole[3, 2] == pytest.approx(naive_log_joint(net, X[3], states[3, 2]), rel=1e-12)
    for n_rows in (7.0, 0.5):  # a row that is larger than a chunk is one
        monkeypatch.setattr(_truncated, "_CHUNK", int(n_rows * 4 * 10))
        np.testing.assert_array_equal(log_joint(net, states, observations), whole)


def test_search_looks_around_as_many_states_as_it_keeps() -> None:
    X = (load_digits().data[:40] >= 8).astype(float)
    observations = observe(Block(X, None, None, 0))
    net = SigmoidBeliefNet(9, random_state=0, tol=1e-2).fit(X)._net()
    log_likelihood, q = Enumeration(net).posterior(observations)
    log_joint = np.sort(log_likelihood[:, np.newaxis] + np.log(q), axis=1)[:, ::-1]
    sets = search(net, observations, 80)
    near = log_joint[:, :80] > log_joint[:, :1] - 8.0
    np.testing.assert_allclose(np.where(near, sets.log_joint, 0.0), np.where(near, log_joint[:, :80], 0.0), atol=1e-9)


def test_truncated_search_is_a_bound_and_near() -> None:
    X = (load_digits().data[:500] >= 8).astype(float)
    net = SigmoidBeliefNet(7, posterior="truncated", n_states=8, random_state=0, tol=1e-3).fit(X)
    log_likelihood = Enumeration(net._net()).posterior(observe(Block(X, None, None, 0)))[0]
    shortfall = log_likelihood - net.score_samples(X)
    assert shortfall.min() > -1e-10
    assert shortfall.mean() < 0.05
    few, many = (search(net._net(), observe(Block(X, None, None, 0)), k) for k in (2, 30))
    assert (many.log_evidence >= few.log_evidence - 1e-12).all()


def test_truncated_rows_are_alone_and_bounds_rise() -> None:
    X = (load_digits().data[:200] >= 8).astype(float)
    X[::7, 20:30] = np.nan
    net = SigmoidBeliefNet((6, 3), posterior="truncated", n_states=6, random_state=0, tol=1e-3).fit(X)
    whole = net.transform(X)
    np.testing.assert_allclose(net.transform(X[::-1])[::-1], whole, atol=1e-10)
    np.testing.assert_allclose(np.concatenate([net.transform(x[np.newaxis]) for x in X[:20]]), whole[:20], atol=1e-10)
    np.testing.assert_array_equal(net.score_samples(X), net.score_samples(X))
    # What rises is the bound less the ridge, which is nothing here.
    plain = SigmoidBeliefNet(6, posterior="truncated", n_states=6, alpha=1e-12, random_state=0, tol=1e-3).fit(X)
    assert np.diff(plain.lower_bounds_).min() > -1e-9


@pytest.mark.filterwarnings("ignore:.*always on")
def test_a_hundred_variables() -> None:
    X = (load_digits().data[:60, 16:48] >= 8).astype(float)
    net = SigmoidBeliefNet(100, alpha=1.0, n_states=3, max_iter=2, random_state=0)
    always_off = pytest.warns(ConvergenceWarning, match=r"hidden variables 0, 1, [\d, ]+ and \d+ more are always off")
    with pytest.warns(ConvergenceWarning, match="max_iter=2"), always_off:
        net.fit(X)
    assert not net.score_is_exact_
    assert net.transform(X).shape == (60, 100)
    assert np.isfinite(net.score(X))


def test_truncated_fits_end_stationary_for_the_states_they_keep() -> None:
    X = (load_digits().data[:150] >= 8).astype(float)
    net = SigmoidBeliefNet(7, posterior="truncated", n_states=10, random_state=0).fit(X)
    assert net.converged_
    assert abs(net.stationarity_gap_) < 1e-8


def objective(net: SigmoidBeliefNet) -> float:
    """What never falls: the ELBO less the ridge."""
    return net.lower_bound_ - 0.5 * net.entropy_sum_.penalty


def test_truncated_fits_go_on_from_where_they_were() -> None:
    X = (load_digits().data[:150] >= 8).astype(float)
    net = SigmoidBeliefNet(8, posterior="truncated", n_states=10, random_state=0).fit(X)
    before = objective(net)
    net.set_params(warm_start=True).fit(X)
    assert net.lower_bounds_[0] > net.lower_bound_ - 1e-2
    assert objective(net) >= before - 1e-12


@pytest.mark.parametrize(("sizes", "n_states"), [((8, 6), 5), (9, 2)])
def test_score_of_the_training_data_is_no_less_than_the_fit_reports(sizes: Any, n_states: int) -> None:
    X = (load_digits().data[:200] >= 8).astype(float)
    X[::9, 20:30] = np.nan
    weight = np.random.RandomState(0).uniform(0.5, 2.0, size=len(X))
    net = SigmoidBeliefNet(sizes, posterior="truncated", n_states=n_states, random_state=0, tol=1e-3).fit(X, None, weight)
    assert net.score(X, sample_weight=weight) >= net.lower_bound_ - 1e-12
    assert net.entropy_sum(X, weight).value >= net.entropy_sum_.value - 0.1
    # Each row is as if it were alone, whatever the net remembers, and what it remembers is never a loss.
    np.testing.assert_allclose(np.concatenate([net.score_samples(x[np.newaxis]) for x in X[:9]]), net.score_samples(X)[:9])
    with_memory, net._known_states = net.score_samples(X), net._known_states[:0]
    assert (with_memory >= net.score_samples(X) - 1e-12).all()


def test_states_missed_make_up_for_what_a_search_loses() -> None:
    """Two clusters of states that no chain of single flips connects; the search knows the one alone."""
    net = BeliefNet(np.full(6, -20.0), (Layer(np.zeros((2, 6)), np.zeros(2)),))
    observations = observe(Block(np.ones((3, 2)), np.array([1.0, 2.0, 3.0]), None, 0))
    found = search(net, observations, 2)
    far = np.ones((3, 1, 6), np.uint8)
    better = StateSets(
        np.concatenate([found.states[:, :1], far], axis=1), found.log_joint + np.array([[0.0], [0.3], [-0.1]])
    )
    missed = states_missed(better, net, observations)
    assert sorted(map(sum, missed.tolist())) == [0, 6]
    slightly = StateSets(better.states, found.log_joint + np.array([[0.0], [1e-3], [0.0]]))
    assert len(states_missed(slightly, net, observations)) == 2
    worse = StateSets(better.states, found.log_joint - np.array([[-0.1], [0.3], [0.1]]))
    assert states_missed(worse, net, observations).shape == (0, 6)


def test_lazy_rows_find_their_states() -> None:
    """Dask asks what no rows look like before there are any."""
    da = pytest.importorskip("dask.array")
    X = np.random.RandomState(0).randint(2, size=(40, 5)).astype(float)
    model = SigmoidBeliefNet(6, posterior="truncated", n_states=5, max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    lazy = da.from_array(X, chunks=(15, 5))
    np.testing.assert_array_equal(np.asarray(model.score_samples(lazy)), model.score_samples(X))
    assert model.score(lazy) == pytest.approx(model.score(X), rel=1e-12)
    none = observe(Block(np.empty((0, 5)), None, None, start=0))
    assert _truncated.search(model._net(), none, 5).states.shape == (0, 5, 6)
