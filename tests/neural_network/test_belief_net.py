"""Sigmoid belief nets against plain loops over all states, and against what is known of bars and digits."""

from __future__ import annotations

import warnings
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skentropy import RowBlocks, SigmoidBeliefNet
from skentropy._data import Block
from skentropy.neural_network._exact import Enumeration, observe
from skentropy.neural_network._layers import BeliefNet, Layer, enumerate_states
from skentropy.neural_network._logistic import maximize
from skentropy.neural_network._model import BeliefNetModel, Parameters
from skentropy.neural_network._truncated import (
    first_sets,
    improve_states,
    statistics_of,
)
from tests.common.nets import (
    SIZES,
    all_states,
    bars,
    data,
    e_step,
    log_bernoulli,
    naive_log_joint,
    naive_posterior,
    random_net,
    regression_on,
    set_net,
)


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
    observations = observe(Block(X, weight, None, 0))
    parameters = Parameters(random_net(sizes, 5, rng))
    last = -np.inf
    for step in range(12):
        if exact:
            found = e_step(parameters.net, X, weight)
        else:
            sets = parameters.states or first_sets(parameters.net, observations, 3)
            found = statistics_of(parameters.net, improve_states(sets, parameters.net, observations, rng), observations)
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
        regression = regression_on(states, counts[:, np.newaxis], counts[:, np.newaxis] * rng.uniform(size=(64, 8)))
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
        enumeration.expect(Block(X[rows], weight[rows], None, 0))
        for rows in (slice(0, 20), slice(0, 7), slice(7, 16), slice(16, 20))
    )
    for total in (parts[0] + parts[1] + parts[2], parts[1] + parts[2] + parts[0]):
        for field in fields(whole):
            expected = getattr(whole, field.name)
            found = np.broadcast_to(getattr(total, field.name), np.shape(expected))
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("sizes", [(1,), (2,), (5,), (4, 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_halves_of_the_units_give_what_all_states_laid_out_give(sizes: tuple[int, ...], weighted: bool) -> None:
    rng = np.random.RandomState(0)
    enumeration = Enumeration(random_net(sizes, 7, rng))
    X = (rng.uniform(size=(30, 7)) < 0.4).astype(float)
    observations = observe(Block(X, rng.uniform(0.5, 2.0, size=30) if weighted else None, None, 0))
    assert enumeration._by_halves(observations).trusted.all()
    assert_same_sums(enumeration.sums(observations), enumeration._sums_laid_out(observations))
    log_evidence, q = enumeration.posterior(observations)
    for found, expected in zip(enumeration.explain(observations), (log_evidence, enumeration.marginals(q)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def assert_same_sums(found: Any, expected: Any) -> None:
    for field in fields(expected):
        np.testing.assert_allclose(getattr(found, field.name), getattr(expected, field.name), rtol=1e-11, atol=1e-200)


@pytest.mark.parametrize("n_far", [0, 3, 20])
def test_rows_whose_sums_underflow_are_laid_out(n_far: int) -> None:
    """Two units of one meaning: what the halves say is far from rows where none of them is on, or both are."""
    layer = Layer(np.full((400, 2), 5.0), np.full(400, -4.0))
    enumeration = Enumeration(BeliefNet(np.zeros(2), (layer,)))
    rng = np.random.RandomState(0)
    X = (rng.uniform(size=(20, 400)) < 0.5).astype(float)
    X[:n_far] = 1.0
    X[: n_far // 2] = 0.0
    observations = observe(Block(X, rng.uniform(0.5, 2.0, size=20), None, 0))
    assert (~enumeration._by_halves(observations).trusted).sum() == n_far
    assert_same_sums(enumeration.sums(observations), enumeration._sums_laid_out(observations))
    log_evidence, q = enumeration.posterior(observations)
    found = enumeration.explain(observations)
    np.testing.assert_allclose(found[0], log_evidence, rtol=1e-12)
    np.testing.assert_allclose(found[1], enumeration.marginals(q), rtol=1e-11, atol=1e-200)


@pytest.mark.parametrize("sizes", SIZES)
def test_no_probability_is_above_one(sizes: tuple[int, ...]) -> None:
    enumeration = Enumeration(random_net(sizes, 5, np.random.RandomState(3)))
    q = np.zeros((1, len(enumeration.states)))
    q[0, enumeration.states.all(axis=1)] = 1.0 + 1e-12  # a sum of many roundings
    assert (enumeration.marginals(q)[:, : sizes[0]] == 1.0).all()


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
        expected += (regression.moments * np.abs(layer.joined)).sum()
        counts = np.broadcast_to(regression.counts, (len(regression.states), len(layer.offsets)))
        for s, state in enumerate(regression.states):
            for d in range(len(layer.offsets)):
                expected -= counts[s, d] * log_bernoulli(0, float(layer.weights[d] @ state + layer.offsets[d]))
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


@pytest.mark.parametrize("n_samples", [400, 800])
def test_converged_fits_have_nothing_left_to_gain(n_samples: int) -> None:
    X = (load_digits().data[:n_samples] >= 8).astype(float)
    net = SigmoidBeliefNet(6, random_state=0).fit(X)
    before = net.lower_bound_
    assert net.converged_
    assert net.set_params(warm_start=True).fit(X).lower_bound_ - before < 5.0 * net.tol


def test_without_acceleration_the_penalised_objective_never_falls() -> None:
    X = (load_digits().data[:300] >= 8).astype(float)
    net = SigmoidBeliefNet(4, alpha=1.0, accelerate=False, tol=0.0, max_iter=12, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=12"):
        net.fit(X)
    penalty = np.array([terms.penalty for terms in net.entropy_sums_])
    assert np.diff(net.lower_bounds_ - 0.5 * penalty).min() > -1e-10


def test_depth_is_that_of_the_fit() -> None:
    X = (load_digits().data[:100] >= 8).astype(float)
    net = SigmoidBeliefNet(3, random_state=0, tol=1e-2).fit(X)
    before = net.transform(X)
    net.set_params(n_components=(3, 2), warm_start=True)
    np.testing.assert_array_equal(net.transform(X), before)
    with pytest.warns(UserWarning, match="starts afresh"):
        assert net.fit(X).transform(X).shape == (100, 5)
    with pytest.warns(UserWarning, match="starts afresh"):
        assert net.set_params(n_components=3).fit(X).transform(X).shape == (100, 3)
    assert not hasattr(net, "hidden_components_")


def test_penalty_is_that_of_the_training_data() -> None:
    X = (load_digits().data[:100] >= 8).astype(float)
    net = SigmoidBeliefNet(2, alpha=1.0, random_state=0).fit(X)
    assert net.entropy_sum(X[:1]).penalty == net.entropy_sum_.penalty


# What is known.


def n_found(components: Any, images: Any) -> int:
    correlation = np.corrcoef(np.vstack([components, images]))[: len(components), len(components) :]
    return int((np.abs(correlation) > 0.85).any(axis=0).sum())


@pytest.mark.parametrize("seed", [0, 1])
def test_bars_are_found(seed: int) -> None:
    X, images = bars(1000, seed)
    net = SigmoidBeliefNet(8, n_init=2, random_state=0).fit(X)
    assert n_found(net.components_, images) == 8
    generating = BeliefNet(np.full(8, np.log(1 / 3)), (Layer(6.0 * images.T, np.full(16, -3.0)),))
    truth = Enumeration(generating).posterior(observe(Block(X, None, None, 0)))[0].mean()
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
    always_on = pytest.warns(ConvergenceWarning, match="hidden variables 0, 1 are always on")
    with pytest.warns(UserWarning, match="turns every value into 1"), always_on:
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
        net = SigmoidBeliefNet((3, 2), alpha=0.0, random_state=18).fit(X)
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
    with pytest.warns(ConvergenceWarning, match=r"hidden variable \d is always on"):
        two_rows = SigmoidBeliefNet(2, random_state=0).fit(X[:2])
    assert np.isfinite(two_rows.score(X))


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1.5])
def test_values_are_made_binary_as_they_are_read(threshold: float) -> None:
    """Sparse or dense, in one table or by blocks, the net is that of the zeros and ones."""
    X = np.random.RandomState(0).poisson(1.2, size=(120, 5)).astype(float)
    X[::7, 1] = -3.0
    options: dict[str, Any] = {"alpha": 0.5, "random_state": 0, "max_iter": 5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = SigmoidBeliefNet(2, binarize=None, **options).fit((threshold < X).astype(float))
        stored = sparse.csr_matrix(X)
        for given in (X, stored, RowBlocks(lambda: iter([X[:50], X[50:]])), RowBlocks(lambda: iter([stored]))):
            net = SigmoidBeliefNet(2, binarize=threshold, **options).fit(given)
            assert net.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-6)
            np.testing.assert_allclose(net.score_samples(given), net.score_samples(threshold + (threshold < X)))
            np.testing.assert_array_equal(net.components_.shape, expected.components_.shape)
