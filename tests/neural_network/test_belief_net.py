"""Sigmoid belief nets against plain loops over all states, and against what is known of bars and digits."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skentropy import SigmoidBeliefNet
from skentropy._blocks import Block
from skentropy._em import State, run_em
from skentropy.neural_network import _truncated
from skentropy.neural_network._exact import Enumeration, observe
from skentropy.neural_network._layers import BeliefNet, Layer, enumerate_states
from skentropy.neural_network._logistic import Regression, maximize
from skentropy.neural_network._model import BeliefNetModel, Parameters
from skentropy.neural_network._polish import _scaled, polished
from skentropy.neural_network._truncated import (
    draw_states,
    first_sets,
    improved,
    log_joint,
    search,
    state_keys,
    statistics,
)

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


def e_step(net: BeliefNet, X: Any, weight: Any) -> Any:
    enumeration = Enumeration(net)
    return enumeration.statistics(enumeration.expect(observe(Block(X, weight, None, 0), None)))


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


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_against_a_loop_over_all_states(sizes: tuple[int, ...], gaps: bool, exact: bool) -> None:
    X, weight = data(gaps)
    net = random_net(sizes, 5, np.random.RandomState(1))
    model = set_net(net, X, exact=exact)
    model._total_penalty = 0.0
    log_evidence, posteriors = zip(*(naive_posterior(net, x) for x in X), strict=True)
    np.testing.assert_allclose(model.score_samples(X), log_evidence, rtol=1e-12)
    np.testing.assert_allclose(model.score(X, sample_weight=weight), np.average(log_evidence, weights=weight), rtol=1e-12)
    states = np.array(all_states(net))
    q = np.array([list(posterior.values()) for posterior in posteriors])
    np.testing.assert_allclose(model.transform(X), q @ states, atol=1e-12)
    # W(10), W(21), term by term.
    share = weight / weight.sum()
    terms = model.entropy_sum(X, sample_weight=weight)
    assert terms.posterior == pytest.approx(-(share @ (q * np.log(q)).sum(axis=1)), rel=1e-10)

    def entropy(p: Any) -> Any:
        return -(p * np.log(p) + (1 - p) * np.log(1 - p))

    assert terms.prior == pytest.approx(entropy(1 / (1 + np.exp(-net.prior_logits))).sum(), rel=1e-12)
    near = states[:, : net.sizes[0]]
    p = 1 / (1 + np.exp(-(near @ net.layers[0].weights.T + net.layers[0].offsets)))
    observable = np.einsum("n,ns,nd,sd->", share, q, ~np.isnan(X), entropy(p))
    assert terms.observable == pytest.approx(observable, rel=1e-11)
    if len(sizes) == 2:
        p = 1 / (1 + np.exp(-(states[:, net.sizes[0] :] @ net.layers[1].weights.T + net.layers[1].offsets)))
        assert terms.hidden == pytest.approx(share @ q @ entropy(p).sum(axis=1), rel=1e-11)
    else:
        assert terms.hidden == 0.0


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("exact", [False, True])
def test_identity_after_every_m_step(sizes: tuple[int, ...], gaps: bool, alpha: float, exact: bool) -> None:
    X, weight = data(gaps, n=40)
    model, rng = BeliefNetModel(alpha), np.random.RandomState(2)
    observations = observe(Block(X, weight, None, 0), None)
    parameters = Parameters(random_net(sizes, 5, rng))
    last = -np.inf
    for step in range(12):
        if exact:
            found = e_step(parameters.net, X, weight)
        else:
            sets = parameters.states or first_sets(parameters.net, observations, 3)
            found = statistics(parameters.net, improved(sets, parameters.net, observations, rng), observations)
        objective = model.elbo(found) + model.log_prior(parameters, found)
        assert objective >= last - 1e-11
        new = model.maximize(found)
        terms = model.entropy_sum(new, found)
        assert terms.value == pytest.approx(model.elbo_of_step(new, found), abs=1e-8)
        assert (terms.penalty > 0) == (alpha > 0)
        last = model.elbo_of_step(new, found) + model.log_prior(new, found)
        assert last >= objective - 1e-11
        if exact and step < 2:
            elbo = 0.0
            for x, w in zip(X, weight / weight.sum(), strict=True):
                q = naive_posterior(parameters.net, x)[1]
                elbo += w * sum(q[s] * (naive_log_joint(new.net, x, s) - np.log(q[s])) for s in q)
            assert terms.value == pytest.approx(elbo, abs=1e-8)
        parameters = new


def test_identity_where_few_rows_have_nearly_all_the_weight() -> None:
    X = (load_digits().data >= 8).astype(float)
    weight = np.exp(5.0 * np.random.RandomState(2).normal(size=len(X)))
    model, net = BeliefNetModel(0.01), random_net((6,), 64, np.random.RandomState(0))
    for _ in range(4):
        found = e_step(net, X, weight)
        net = model.maximize(found).net
        assert model.entropy_sum(Parameters(net), found).value == pytest.approx(
            model.elbo_of_step(Parameters(net), found), abs=1e-9
        )


def test_m_step_where_a_unit_is_nearly_always_on() -> None:
    states, rng = enumerate_states(6), np.random.RandomState(0)
    for _ in range(20):
        counts = rng.dirichlet(np.full(64, 0.05))
        on = states[:, 0] == 1
        counts = 1000.0 * np.where(on, 0.999 * counts / counts[on].sum(), 0.001 * counts / counts[~on].sum())
        regression = Regression(states, counts[:, np.newaxis], counts[:, np.newaxis] * rng.uniform(size=(64, 8)))
        layer = maximize(regression, Layer(rng.normal(size=(8, 6)), np.zeros(8)), 0.01)
        slope = (layer.joined * (regression.gradient(layer) - 0.01 * layer.joined)).sum()
        assert abs(slope) < 1e-9 * 1000.0


@pytest.mark.parametrize("n_gaps", [0, 7, 20])
def test_blocks_add_up(n_gaps: int) -> None:
    """Also where only the first rows, and so one block alone, have gaps."""
    X, weight = data(False, n=20)
    X[np.arange(n_gaps), np.arange(n_gaps) % 5] = np.nan
    enumeration = Enumeration(random_net((3,), 5, np.random.RandomState(4)))
    whole, *parts = (
        enumeration.expect(observe(Block(X[rows], weight[rows], None, 0), None))
        for rows in (slice(0, 20), slice(0, 7), slice(7, 16), slice(16, 20))
    )
    for total in (parts[0] + parts[1] + parts[2], parts[1] + parts[2] + parts[0]):
        for field in fields(whole):
            expected = getattr(whole, field.name)
            if expected is None:
                assert getattr(total, field.name) is None
            else:
                found = np.broadcast_to(getattr(total, field.name), np.shape(expected))
                np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("gaps", [False, True])
def test_gradient_against_finite_differences(sizes: tuple[int, ...], gaps: bool) -> None:
    X, weight = data(gaps)
    model, net = BeliefNetModel(0.2), random_net(sizes, 5, np.random.RandomState(3))
    gradient, vector = model.gradient(e_step(net, X, weight)), net.pack()

    def objective(at: Any) -> float:
        found = e_step(net.unpack(at), X, weight)
        return model.elbo(found) + model.log_prior(Parameters(found.at), found)

    for index in range(len(vector)):
        step = np.zeros_like(vector)
        step[index] = 1e-5
        difference = (objective(vector + step) - objective(vector - step)) / 2e-5
        assert gradient[index] == pytest.approx(difference, abs=1e-9)


@pytest.mark.parametrize("gaps", [False, True])
def test_magnitude_is_the_sum_of_absolute_terms(gaps: bool) -> None:
    X, weight = data(gaps)
    net = random_net((3, 2), 5, np.random.RandomState(3))
    found = e_step(net, X, weight)
    expected = weight.sum()
    for regression, layer in zip(found.regressions, net.layers, strict=True):
        counts = np.broadcast_to(regression.counts, regression.successes.shape)
        for s, state in enumerate(regression.states):
            for d in range(len(layer.offsets)):
                logit = float(layer.weights[d] @ state + layer.offsets[d])
                expected += regression.successes[s, d] * abs(logit) - counts[s, d] * log_bernoulli(0, logit)
    assert BeliefNetModel(0.0).magnitude(Parameters(net), found) == pytest.approx(expected / weight.sum(), rel=1e-12)


def test_parameters_as_a_vector_and_back() -> None:
    model, net = BeliefNetModel(0.0), random_net((3, 2), 5, np.random.RandomState(3))
    vector = model.pack(Parameters(net))
    again = model.unpack(2.0 * vector, Parameters(net))
    assert again is not None
    np.testing.assert_array_equal(again.net.prior_logits, 2.0 * net.prior_logits)
    for one, other in zip(again.net.layers, net.layers, strict=True):
        np.testing.assert_array_equal(one.joined, 2.0 * other.joined)
    assert net.square == pytest.approx(sum((layer.joined**2).sum() for layer in net.layers))
    # What an extrapolation has thrown far away is not followed, be it a single number.
    for far in (1.01e4, -1.01e4, np.inf, np.nan):
        vector[7] = far
        assert model.unpack(vector, Parameters(net)) is None
    vector[7] = 0.99e4
    assert model.unpack(vector, Parameters(net)) is not None


def test_gradient_vanishes_at_the_fit() -> None:
    X = (load_digits().data[:400] >= 8).astype(float)
    net = SigmoidBeliefNet(3, alpha=1.0, tol=1e-9, binarize=None, random_state=0).fit(X)
    found = e_step(net._net(), X, np.ones(400))
    assert np.abs(BeliefNetModel(1.0).gradient(found)).max() < 1e-6
    assert abs(net.stationarity_gap_) < 1e-8
    assert abs(net.stationarity_gap(X)) < 1e-8


def test_polish_never_loses() -> None:
    X, weight = data(True, n=60)
    model = BeliefNetModel(0.1)

    def expect(parameters: Parameters) -> Any:
        return e_step(parameters.net, X, weight)

    run = run_em(model, expect, Parameters(random_net((3,), 5, np.random.RandomState(0))), tol=0.0, max_iter=5)
    better = polished(model, expect, run.state)
    assert better.objective > run.state.objective
    assert model.entropy_sum(better.parameters, better.statistics).value == pytest.approx(better.elbo, abs=1e-8)


def test_two_scales_are_polished_by_newtons_method() -> None:
    """From one percent off each step squares the slopes in the two scales."""
    X, weight = data(False, n=200)
    model = BeliefNetModel(0.1)
    n_evaluations = 0

    def evaluate(vector: Any) -> State:
        nonlocal n_evaluations
        n_evaluations += 1
        found = e_step(random_net((3,), 5, np.random.RandomState(0)).unpack(vector), X, weight)
        elbo = model.elbo(found)
        return State(Parameters(found.at), found, elbo, elbo + model.log_prior(Parameters(found.at), found))

    def slopes(state: State) -> Any:
        vector, gradient = state.parameters.net.pack(), model.gradient(state.statistics)
        return np.array([vector[:3] @ gradient[:3], vector[3:] @ gradient[3:]])

    start = random_net((3,), 5, np.random.RandomState(0))
    run = run_em(model, lambda p: e_step(p.net, X, weight), Parameters(start), tol=1e-10, max_iter=2000)
    vector = run.state.parameters.net.pack() * np.r_[np.full(3, 1.01), np.full(20, 0.99)]
    off = evaluate(vector)
    n_evaluations = 0
    better = _scaled(model, evaluate, off)
    assert np.abs(slopes(off)).max() > 1e-4
    assert np.abs(slopes(better)).max() < 1e-9
    assert n_evaluations <= 9
    # It is the scales alone that have changed.
    ratio = better.parameters.net.pack() / vector
    assert np.ptp(ratio[:3]) < 1e-12
    assert np.ptp(ratio[3:]) < 1e-12


def test_a_polish_that_ends_lower_is_not_taken() -> None:
    X, weight = data(False, n=60)
    model = BeliefNetModel(0.1)

    def expect(parameters: Parameters) -> Any:
        return e_step(parameters.net, X, weight)

    run = run_em(model, expect, Parameters(random_net((3,), 5, np.random.RandomState(0))), tol=0.0, max_iter=5)
    out_of_reach = replace(run.state, objective=run.state.objective + 1.0)
    assert polished(model, expect, out_of_reach) is out_of_reach


@pytest.mark.parametrize(("loss", "taken"), [(0.0, True), (0.9e-6, True), (1.1e-6, False), (np.nan, False)])
def test_a_step_in_the_scales_may_lose_what_is_rounding(loss: float, taken: bool) -> None:
    """A share of 1e-12 of the objective, here of a million."""
    net = BeliefNet(np.array([1.0]), (Layer(np.array([[2.0]]), np.array([3.0])),))
    end = np.array([1.5, 2.2, 3.3])

    class Parabola(BeliefNetModel):
        def gradient(self, statistics: Any) -> Any:
            return end - statistics

    def evaluate(vector: Any) -> State:
        objective = -1e6 - loss * (vector[0] > 1.25)
        return State(Parameters(net.unpack(vector)), vector, objective, objective)

    better = _scaled(Parabola(0.0), evaluate, evaluate(net.pack()))
    np.testing.assert_allclose(better.parameters.net.pack(), end if taken else net.pack(), rtol=1e-12)


# Truncated posteriors.


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
    sets = first_sets(net, observe(Block(X, None, None, 0), None), n_states)
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
    sets = search(net, observe(Block(np.ones((1, 2)), None, None, 0), None), 5)
    assert sets.states[0, :4].sum(axis=1).tolist() == [0, 1, 1, 1]
    assert (sets.log_joint[0, 4] > -np.inf) == found


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("sizes", [(6,), (4, 2)])
def test_all_states_kept_are_the_exact_posterior(sizes: tuple[int, ...], gaps: bool) -> None:
    X, weight = data(gaps, n=60)
    net = random_net(sizes, 5, np.random.RandomState(4))
    observations = observe(Block(X, weight, None, 0), None)
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
    observations = observe(Block(X, None, None, 0), None)
    whole = log_joint(net, states, observations)
    assert whole[3, 2] == pytest.approx(naive_log_joint(net, X[3], states[3, 2]), rel=1e-12)
    for n_rows in (7.0, 0.5):  # a row that is larger than a chunk is one
        monkeypatch.setattr(_truncated, "_CHUNK", int(n_rows * 4 * 10))
        np.testing.assert_array_equal(log_joint(net, states, observations), whole)


def test_search_looks_around_as_many_states_as_it_keeps() -> None:
    X = (load_digits().data[:40] >= 8).astype(float)
    observations = observe(Block(X, None, None, 0), None)
    net = SigmoidBeliefNet(9, random_state=0, tol=1e-2).fit(X)._net()
    log_likelihood, q = Enumeration(net).posterior(observations)
    log_joint = np.sort(log_likelihood[:, np.newaxis] + np.log(q), axis=1)[:, ::-1]
    sets = search(net, observations, 80)
    near = log_joint[:, :80] > log_joint[:, :1] - 8.0
    np.testing.assert_allclose(np.where(near, sets.log_joint, 0.0), np.where(near, log_joint[:, :80], 0.0), atol=1e-9)


def test_truncated_search_is_a_bound_and_near() -> None:
    X = (load_digits().data[:500] >= 8).astype(float)
    net = SigmoidBeliefNet(7, posterior="truncated", n_states=8, random_state=0, tol=1e-3).fit(X)
    log_likelihood = Enumeration(net._net()).posterior(observe(Block(X, None, None, 0), None))[0]
    shortfall = log_likelihood - net.score_samples(X)
    assert shortfall.min() > -1e-10
    assert shortfall.mean() < 0.05
    few, many = (search(net._net(), observe(Block(X, None, None, 0), None), k) for k in (2, 30))
    assert (many.log_evidence >= few.log_evidence - 1e-12).all()


def test_truncated_rows_are_alone_and_bounds_rise() -> None:
    X = (load_digits().data[:200] >= 8).astype(float)
    X[::7, 20:30] = np.nan
    net = SigmoidBeliefNet((6, 3), posterior="truncated", n_states=6, random_state=0, tol=1e-3).fit(X)
    whole = net.transform(X)
    np.testing.assert_allclose(net.transform(X[::-1])[::-1], whole, atol=1e-10)
    np.testing.assert_allclose(np.concatenate([net.transform(x[np.newaxis]) for x in X[:20]]), whole[:20], atol=1e-10)
    np.testing.assert_array_equal(net.score_samples(X), net.score_samples(X))
    plain = SigmoidBeliefNet(6, posterior="truncated", n_states=6, alpha=1e-6, random_state=0, tol=1e-3).fit(X)
    assert np.diff(plain.lower_bounds_).min() > -1e-9


def test_a_hundred_variables() -> None:
    X = (load_digits().data[:60, 16:48] >= 8).astype(float)
    net = SigmoidBeliefNet(100, alpha=1.0, n_states=3, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        net.fit(X)
    assert not net.score_is_exact_
    assert net.transform(X).shape == (60, 100)
    assert np.isfinite(net.score(X))


def test_truncated_fits_end_stationary_for_the_states_they_keep() -> None:
    X = (load_digits().data[:150] >= 8).astype(float)
    net = SigmoidBeliefNet(7, posterior="truncated", n_states=10, random_state=0).fit(X)
    assert net.converged_
    assert abs(net.stationarity_gap_) < 1e-8


def test_truncated_fits_go_on_from_where_they_were() -> None:
    X = (load_digits().data[:150] >= 8).astype(float)
    net = SigmoidBeliefNet(8, posterior="truncated", n_states=10, random_state=0).fit(X)
    before = net.lower_bound_
    net.set_params(warm_start=True).fit(X)
    assert net.lower_bounds_[0] > before - 1e-2
    assert net.lower_bound_ > before - 1e-6


@pytest.mark.parametrize("n_samples", [400, 800])
def test_converged_fits_have_nothing_left_to_gain(n_samples: int) -> None:
    X = (load_digits().data[:n_samples] >= 8).astype(float)
    net = SigmoidBeliefNet(6, random_state=0).fit(X)
    before = net.lower_bound_
    assert net.converged_
    assert net.set_params(warm_start=True).fit(X).lower_bound_ - before < 5.0 * net.tol


def test_without_acceleration_the_penalised_objective_never_falls() -> None:
    X = (load_digits().data[:300] >= 8).astype(float)
    net = SigmoidBeliefNet(4, alpha=1.0, accelerate=False, tol=0.0, max_iter=30, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=30"):
        net.fit(X)
    penalty = np.array([terms.penalty for terms in net.entropy_sums_])
    assert np.diff(net.lower_bounds_ - 0.5 * penalty).min() > -1e-10


def test_depth_is_that_of_the_fit() -> None:
    X = (load_digits().data[:100] >= 8).astype(float)
    net = SigmoidBeliefNet(3, random_state=0, tol=1e-2).fit(X)
    before = net.transform(X)
    net.set_params(n_components=(3, 2), warm_start=True)
    np.testing.assert_array_equal(net.transform(X), before)
    assert net.fit(X).transform(X).shape == (100, 5)
    assert net.set_params(n_components=3).fit(X).transform(X).shape == (100, 3)
    assert not hasattr(net, "hidden_components_")


def test_penalty_is_that_of_the_training_data() -> None:
    X = (load_digits().data[:100] >= 8).astype(float)
    net = SigmoidBeliefNet(2, alpha=1.0, random_state=0).fit(X)
    assert net.entropy_sum(X[:1]).penalty == net.entropy_sum_.penalty


# What is known.


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


def n_found(components: Any, images: Any) -> int:
    correlation = np.corrcoef(np.vstack([components, images]))[: len(components), len(components) :]
    return int((np.abs(correlation) > 0.85).any(axis=0).sum())


@pytest.mark.parametrize("seed", [0, 1])
def test_bars_are_found(seed: int) -> None:
    X, images = bars(1000, seed)
    net = SigmoidBeliefNet(8, n_init=2, random_state=0).fit(X)
    assert n_found(net.components_, images) == 8
    generating = BeliefNet(np.full(8, np.log(1 / 3)), (Layer(6.0 * images.T, np.full(16, -3.0)),))
    truth = Enumeration(generating).posterior(observe(Block(X, None, None, 0), None))[0].mean()
    assert net.score(X) > truth
    deleted = X.copy()
    deleted[:, 5] = np.nan
    imputed = net.inverse_transform(net.transform(deleted))[:, 5]
    assert np.corrcoef(imputed, X[:, 5])[0, 1] > 0.6


def test_digits_reach_the_prototype() -> None:
    X = (load_digits().data >= 8).astype(float)
    net = SigmoidBeliefNet(4, binarize=None, n_init=3, random_state=0).fit(X)
    assert net.lower_bound_ > -20.58
    assert net.n_parameters_ == 324
    assert abs(net.stationarity_gap_) < 1e-10


def test_two_layers_generate_and_fit() -> None:
    rng = np.random.RandomState(0)
    X = set_net(random_net((4, 2), 5, rng), data(False)[0]).sample(3000, random_state=1)
    assert set(np.unique(X)) == {0.0, 1.0}
    deep = SigmoidBeliefNet((4, 2), alpha=1e-3, random_state=0).fit(X)
    assert deep.transform(X).shape == (3000, 6)
    assert deep.n_parameters_ == 2 + 4 * 3 + 5 * 5
    assert deep.entropy_sum_.hidden > 0
    assert abs(deep.stationarity_gap_) < 1e-8
    np.testing.assert_allclose(deep.sample(20_000, random_state=2).mean(axis=0), X.mean(axis=0), atol=0.02)
    assert list(deep.get_feature_names_out())[-1] == "sigmoidbeliefnet5"


# Input.


def test_binarize_and_containers() -> None:
    X = load_digits().data[:200]
    binary = (X > 7.5).astype(float)
    net = SigmoidBeliefNet(2, binarize=7.5, random_state=0).fit(X)
    for other in (SigmoidBeliefNet(2, binarize=None, random_state=0).fit(binary),):
        assert other.lower_bound_ == net.lower_bound_
    from_csr = SigmoidBeliefNet(2, binarize=7.5, random_state=0).fit(sparse.csr_matrix(X))
    assert from_csr.lower_bound_ == net.lower_bound_
    np.testing.assert_allclose(from_csr.score_samples(sparse.csr_matrix(X)), net.score_samples(X), rtol=1e-12)
    below = SigmoidBeliefNet(2, binarize=-1.0, random_state=0).fit(sparse.csr_matrix(X))
    assert below.sample(50, 0).mean() > 0.99


def test_separated_columns() -> None:
    X, _ = bars(200, 0)
    X = np.column_stack([X, np.ones(200), np.zeros(200)])
    ridge = SigmoidBeliefNet(2, random_state=0).fit(X)
    assert np.abs(ridge.components_).max() < 30
    assert abs(ridge.stationarity_gap_) < 1e-8
    with pytest.warns(ConvergenceWarning, match=r"column 16, column 17.*alpha > 0"):
        free = SigmoidBeliefNet(2, alpha=0.0, random_state=0).fit(X)
    assert np.isfinite(free.score(X))
    assert abs(free.stationarity_gap_) < 1e-6


def test_separated_hidden_variables() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat((rng.uniform(size=(300, 2)) < 0.5) * 1.0, 4, axis=1)
    X = np.abs(X - (rng.uniform(size=X.shape) < 0.1))
    with pytest.warns(ConvergenceWarning, match=r"without bound in hidden variables \d"):
        net = SigmoidBeliefNet((3, 2), alpha=0.0, random_state=2).fit(X)
    assert np.abs(net.components_).max() < 30


def test_bad_input() -> None:
    X, _ = bars(50, 0)
    with pytest.raises(ValueError, match=r"zeros and ones only.*column 3.*set binarize"):
        SigmoidBeliefNet(binarize=None).fit(np.where(np.arange(16) == 3, 2.0, X))
    for posterior in ("exact", "truncated"):
        net = SigmoidBeliefNet(2, binarize=None, posterior=posterior, n_states=3, random_state=0).fit(X)
        for method in (net.transform, net.score_samples, net.score, net.entropy_sum):
            for other in (0.3, 0.7, 2.0):
                with pytest.raises(ValueError, match="zeros and ones only"):
                    method(np.where(np.arange(16) == 3, other, X))
    with pytest.raises(ValueError, match=r"1\.1e\+12 states for each row, 1\.3e\+05 GiB.*posterior='truncated'"):
        SigmoidBeliefNet(40, posterior="exact").fit(X)
    with pytest.raises(ValueError, match=r"1e\+03 states for each row and 1\.3e\+08 joint states.*, 1 GiB"):
        SigmoidBeliefNet((10, 17), posterior="exact").fit(X)
    for threshold in (np.nan, np.inf):
        with pytest.raises(ValueError, match="binarize"):
            SigmoidBeliefNet(binarize=threshold).fit(X)
    for wrong in ((1, 2, 3), (2, 0), (2.5, 1), ()):
        with pytest.raises(ValueError, match="n_components"):
            SigmoidBeliefNet(wrong).fit(X)
    with pytest.warns(UserWarning, match="no observed value in 1 of its rows"):
        gaps = SigmoidBeliefNet(2, random_state=0).fit(np.vstack([X, np.full(16, np.nan)]))
    assert gaps.score_samples(np.full((1, 16), np.nan))[0] == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(gaps.transform(np.full((1, 16), np.nan))[0], gaps.prior_, rtol=1e-9)
    with pytest.raises(ValueError, match="3 columns, but the net has 2 hidden"):
        gaps.inverse_transform(np.zeros((1, 3)))
    assert np.isfinite(SigmoidBeliefNet(2, random_state=0).fit(X[:2]).score(X))
