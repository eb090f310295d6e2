"""Truncated posteriors: states, their search, and fits by them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skentropy import SigmoidBeliefNet
from skentropy._data import Block
from skentropy.neural_network import _maximum, _state_sets, _truncated
from skentropy.neural_network._exact import Enumeration, observe
from skentropy.neural_network._fit import TruncatedFit
from skentropy.neural_network._layers import BeliefNet, Layer
from skentropy.neural_network._state_sets import Joints, Pool, StateSets, best_of, state_keys
from skentropy.neural_network._truncated import (
    draw_states,
    first_sets,
    improve_states,
    search,
    states_missed,
    statistics_of,
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
@pytest.mark.parametrize("sizes", [(5,), (3, 2)])
def test_joints_of_shared_states_are_those_of_rows_and_states(monkeypatch: Any, sizes: tuple[int, ...], gaps: bool) -> None:
    """Each distinct state is judged once, in chunks or at once, and so is what differs from it in one variable."""
    X, _ = data(gaps, n=20)
    net, rng = random_net(sizes, 5, np.random.RandomState(4)), np.random.RandomState(0)
    states = rng.randint(2, size=(20, 4, 5)).astype(np.uint8)
    joints = Joints(net, observe(Block(X, None, None, 0)))
    for chunk in (2**16, 70, 1):
        monkeypatch.setattr(_state_sets, "_CHUNK", chunk)
        pool, _, index = Pool.empty(joints).joined(states.reshape(-1, 5), joints)
        assert len(pool.states) == len(np.unique(states.reshape(-1, 5), axis=0))
        values = joints.of(pool, index.reshape(20, 4))
        expected = [[naive_log_joint(net, x, state) for state in of_row] for x, of_row in zip(X, states, strict=True)]
        np.testing.assert_allclose(values, expected, rtol=1e-12)
        np.testing.assert_allclose(
            joints.of(pool, index.reshape(20, 4)[[3, 8]], np.array([3, 8])), values[[3, 8]], rtol=1e-12
        )
        around = states[:, 0, np.newaxis] ^ np.eye(5, dtype=np.uint8)
        pool, own, places = pool.joined(around.reshape(-1, 5), joints)
        np.testing.assert_array_equal(pool.states[own[index]], states.reshape(-1, 5))
        np.testing.assert_array_equal(pool.states[places], around.reshape(-1, 5))
        found = joints.of_flips(pool, own[index[::4]], values[:, 0], np.arange(20))
        np.testing.assert_allclose(found, joints.of(pool, places.reshape(20, 5)), rtol=1e-12, atol=1e-12)
        some = joints.of_flips(pool, own[index[[12, 32]]], values[[3, 8], 0], np.array([3, 8]))
        np.testing.assert_allclose(some, found[[3, 8]], rtol=1e-12)
        assert (np.diff(pool.keys) > 0).all()
        np.testing.assert_array_equal(pool.keys, state_keys(pool.states))
        np.testing.assert_array_equal(pool.table, joints.table(pool.states))


def test_the_best_states_are_distinct() -> None:
    index = np.array([[4, 2, 4, 7, 2], [1, 1, 1, 1, 1]])
    values = np.array([[1.0, 3.0, 1.0, 2.0, 3.0], [5.0, 5.0, 5.0, 5.0, 5.0]])
    best, found = best_of(index, values, 4)
    assert best[0, :3].tolist() == [1, 3, 0]
    assert best[1, 0] == 0
    np.testing.assert_array_equal(found, [[3.0, 2.0, 1.0, -np.inf], [5.0, -np.inf, -np.inf, -np.inf]])


def test_rows_borrow_the_best_states_of_others() -> None:
    """All variables on are best, and one row alone knows; those that look at it know it after one step."""
    net = BeliefNet(np.full(12, -12.0), (Layer(np.full((1, 12), 20.0), np.full(1, -235.0)),))
    observations = observe(Block(np.ones((40, 1)), None, None, 0))
    joints, sets = Joints(net, observations), first_sets(net, observations, 2)
    pool, own, far = sets.pool.joined(np.ones((1, 12), np.uint8), joints)
    index = own[sets.index]
    index[0, 0] = far[0]
    better = improve_states(StateSets(pool, index, joints.of(pool, index)), net, observations, np.random.RandomState(3))
    rng = np.random.RandomState(3)
    rng.uniform(size=40)
    borrowers = (rng.randint(40, size=(40, 8)) == 0).any(axis=1)
    borrowers[0] = True
    assert 2 < borrowers.sum() < 20
    np.testing.assert_array_equal(better.states[:, 0].all(axis=1), borrowers)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("sizes", [(6,), (4, 2)])
def test_states_that_rows_share_make_the_sums_of_rows(sizes: tuple[int, ...], gaps: bool) -> None:
    """What the M-step knows, against a loop over rows and their states."""
    X, weight = data(gaps, n=30)
    observations = observe(Block(X, weight, None, 0))
    net, rng = random_net(sizes, 5, np.random.RandomState(4)), np.random.RandomState(0)
    sets = first_sets(net, observations, 3)
    for _ in range(3):
        before, sets = sets, improve_states(sets, net, observations, rng)
        assert (sets.log_evidence >= before.log_evidence - 1e-12).all()
    assert len(np.unique(sets.index)) == len(sets.pool.states)
    found, states = statistics_of(net, sets, observations), sets.states
    first = found.regressions[0]
    moments, observed = np.zeros((5, sizes[0] + 1)), dict.fromkeys(map(bytes, sets.pool.states), 0.0)
    for x, w, of_row, q in zip(X, weight, states, sets.posterior, strict=True):
        for state, mass in zip(of_row, w * q, strict=True):
            moments += mass * np.outer(np.nan_to_num(x), [*state[: sizes[0]], 1.0])
            observed[bytes(state)] += mass * ~np.isnan(x)
    np.testing.assert_allclose(first.moments, moments, rtol=1e-12, atol=1e-12)
    expected = np.array([observed[bytes(state)] for state in sets.pool.states])
    np.testing.assert_allclose(np.broadcast_to(first.counts, expected.shape), expected, rtol=1e-12, atol=1e-12)
    means = np.einsum("nk,nkb->nb", sets.posterior, states)
    np.testing.assert_allclose(sets.marginals(), means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.top, weight @ means[:, -sizes[-1] :], rtol=1e-12)
    if len(sizes) == 2:
        q = (weight[:, np.newaxis] * sets.posterior).ravel()
        near, above = np.split(states.reshape(-1, 6).astype(float), [4], axis=1)
        expected = np.column_stack([(near * q[:, np.newaxis]).T @ above, near.T @ q])
        np.testing.assert_allclose(found.regressions[1].moments, expected, rtol=1e-12, atol=1e-12)


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


def test_fits_end_where_a_search_from_their_states_finds_no_more(monkeypatch: Any) -> None:
    X = (load_digits().data[:150] >= 8).astype(float)
    looks = []
    look = TruncatedFit._end_around

    def recorded(self: Any, state: Any, evaluate: Any) -> Any:
        end = look(self, state, evaluate)
        looks.append((end.state.objective - state.objective, end.goes_on))
        return end

    monkeypatch.setattr(TruncatedFit, "_end_around", recorded)
    net = SigmoidBeliefNet(8, posterior="truncated", n_states=3, accelerate=False, random_state=0).fit(X)
    assert net.converged_
    gains, goes_on = zip(*looks, strict=True)
    assert min(gains) >= -1e-12
    assert max(gains) > net.tol
    assert goes_on == tuple(gain > net.tol for gain in gains)
    assert not goes_on[-1]


def test_quasi_newton_steps_start_from_what_a_search_finds(monkeypatch: Any) -> None:
    X = (load_digits().data[:150] >= 8).astype(float)
    course = []
    look, quasi_newton = TruncatedFit._look_around, _maximum.quasi_newton

    def looked(self: Any, state: Any, evaluate: Any) -> Any:
        better = look(self, state, evaluate)
        course.append(("look", state.objective, better.objective))
        return better

    def recorded(model: Any, evaluate: Any, state: Any, **arguments: Any) -> Any:
        end = quasi_newton(model, evaluate, state, **arguments)
        course.append(("steps", state.objective, end.objective))
        return end

    monkeypatch.setattr(TruncatedFit, "_look_around", looked)
    monkeypatch.setattr(_maximum, "quasi_newton", recorded)
    net = SigmoidBeliefNet(7, posterior="truncated", n_states=4, random_state=0).fit(X)
    assert net.converged_
    assert [what for what, *_ in course[:2]] == ["look", "steps"]
    for (_, _, end), (what, start, _) in pairwise(course):
        assert what == "look" or start == end
    assert all(end >= start - 1e-12 for _, start, end in course)


def test_a_search_goes_on_from_what_is_known() -> None:
    """It is no worse than that, whatever net that was judged by, and finds nothing where it has been."""
    X, _ = data(True, n=60)
    rng, observations = np.random.RandomState(4), observe(Block(X, None, None, 0))
    first, net = random_net((9,), 5, rng), random_net((9,), 5, rng)
    known = improve_states(first_sets(first, observations, 3), first, observations, rng)
    found = search(net, observations, 3, known)
    gains = found.log_evidence - known.under(Joints(net, observations)).log_evidence
    assert gains.min() >= -1e-12
    assert gains.max() > 0.1
    np.testing.assert_array_equal(found.log_joint, -np.sort(-found.log_joint, axis=1))
    for x, states, values in zip(X, found.states, found.log_joint, strict=True):
        np.testing.assert_allclose(values, [naive_log_joint(net, x, state) for state in states], rtol=1e-12)
    again = search(net, observations, 3, found)
    np.testing.assert_allclose(again.log_joint, found.log_joint, rtol=1e-12)


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
    joints = Joints(net, observations)
    pool, own, far = found.pool.joined(np.ones((1, 6), np.uint8), joints)
    index = np.column_stack([own[found.index[:, 0]], np.tile(far, 3)])
    missed = states_missed(StateSets(pool, index, found.log_joint + np.array([[0.0], [0.3], [-0.1]])), net, observations)
    assert sorted(map(sum, missed.tolist())) == [0, 6]
    slightly = StateSets(pool, index, found.log_joint + np.array([[0.0], [1e-3], [0.0]]))
    assert len(states_missed(slightly, net, observations)) == 2
    worse = StateSets(pool, index, found.log_joint - np.array([[-0.1], [0.3], [0.1]]))
    assert states_missed(worse, net, observations).shape == (0, 6)


@pytest.mark.parametrize("size", [1.0, 1e-2])
def test_states_missed_are_those_of_as_few_rows_as_it_takes(size: float) -> None:
    net = BeliefNet(np.full(6, -20.0), (Layer(np.zeros((2, 6)), np.zeros(2)),))
    weight = np.array([1.0, 2.0, 3.0])
    observations = observe(Block(np.ones((3, 2)), weight, None, 0))
    found = search(net, observations, 2)
    far = 1 - np.eye(6, dtype=np.uint8)[:3]
    pool, own, places = found.pool.joined(far, Joints(net, observations))
    index = np.column_stack([own[found.index[:, 0]], places])
    for losses, rows in (
        ([0.5, 0.4, -0.1], [0, 1]),
        ([0.5, 0.1, -0.2], [0]),
        ([-0.1, -0.1, 0.3], [2]),
        ([0.1, 0.2, 0.3], [0, 1, 2]),
    ):
        lost = size * np.array(losses) / weight
        missed = states_missed(StateSets(pool, index, found.log_joint + lost[:, np.newaxis]), net, observations)
        expected = {(0,) * 6, *(tuple(far[row].tolist()) for row in rows)}
        assert {tuple(state) for state in missed.tolist()} == expected


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
