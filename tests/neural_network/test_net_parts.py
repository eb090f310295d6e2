"""What fits of belief nets are put together from: a wrong part may cost digits or steps, and change no result."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.special import expit, logit, logsumexp

from skentropy import SigmoidBeliefNet
from skentropy._data import Block, Rows
from skentropy._em import State, rounding_error
from skentropy.neural_network import _fit, _maximum, _odds
from skentropy.neural_network._binary import survey
from skentropy.neural_network._exact import Enumeration, observe
from skentropy.neural_network._fit import EnumeratedFit
from skentropy.neural_network._halves import Halves
from skentropy.neural_network._layers import BeliefNet, Layer, enumerate_states
from skentropy.neural_network._logistic import complete_information
from skentropy.neural_network._maximum import Maximum
from skentropy.neural_network._metric import Metric
from skentropy.neural_network._model import BeliefNetModel, Parameters
from skentropy.neural_network._odds import in_cache
from skentropy.neural_network._posteriors import EnumeratedPosteriors, TruncatedPosteriors
from skentropy.neural_network._report import complaints
from skentropy.neural_network._state_sets import Joints
from skentropy.neural_network._truncated import first_sets, search
from tests.common.nets import SIZES, all_states, data, e_step, random_net

# Where the ends of fits are judged by their objectives alone.
MODEL: Any = SimpleNamespace(magnitude=lambda parameters, statistics: 1e6)


def state_with(objective: float) -> State:
    return State("parameters", "statistics", objective, objective)


@pytest.mark.parametrize(("gain", "goes_on"), [(0.9, False), (1.1, True)])
def test_em_goes_on_where_quasi_newton_steps_gain_more_than_tol(
    monkeypatch: pytest.MonkeyPatch, gain: float, goes_on: bool
) -> None:
    starts, polished = [], []

    def quasi_newton(model: Any, evaluate: Any, state: State, **options: Any) -> State:
        starts.append(state.objective)
        return state_with(state.objective + gain)

    def polish_scales(model: Any, evaluate: Any, state: State) -> State:
        polished.append(state.objective)
        return state

    monkeypatch.setattr(_maximum, "quasi_newton", quasi_newton)
    monkeypatch.setattr(_maximum, "polish_scales", polish_scales)
    evaluate: Any = None
    maximum = Maximum(MODEL, 1.0, accelerate=True)
    assert maximum.propose(state_with(-3.0), evaluate)[1] == pytest.approx(gain)
    # The end of the proposal serves once, if nothing better was found since.
    assert maximum.polish(state_with(-3.0), evaluate).goes_on is goes_on
    assert starts == [-3.0]
    assert maximum.polish(state_with(-3.0), evaluate).goes_on is goes_on
    maximum.propose(state_with(-3.0), evaluate)
    assert maximum.polish(state_with(-1.0), evaluate).state.objective == pytest.approx(-1.0 + gain)
    assert starts == [-3.0, -3.0, -3.0, -1.0]
    # Scales are polished at the end of a fit alone.
    assert polished == [-3.0 + gain, -3.0 + gain, -1.0 + gain]
    # Without acceleration nothing is taken, and an attempt tells how much is to come until EM has got there.
    maximum, starts[:] = Maximum(MODEL, 1.0, accelerate=False), []
    assert maximum.go_on(state_with(-3.0), evaluate).goes_on is goes_on
    near = state_with(-3.0 + gain - 1.05)
    assert maximum.go_on(near, evaluate).goes_on
    assert starts == [-3.0]
    # Within tol of there it is tried anew.
    nearer = state_with(-3.0 + gain - 0.5)
    assert maximum.go_on(nearer, evaluate).goes_on is goes_on
    assert starts == [-3.0, nearer.objective]
    assert len(polished) == 3


@pytest.mark.parametrize(("tol", "least"), [(1.0, 1e-3), (0.0, rounding_error(MODEL, None, None))])
def test_saddles_are_left_for_a_thousandth_of_tol_or_what_is_no_rounding(
    monkeypatch: pytest.MonkeyPatch, tol: float, least: float
) -> None:
    around = SimpleNamespace(origin=np.zeros(3))
    monkeypatch.setattr(_maximum.Neighbourhood, "of", lambda model, state: around)
    monkeypatch.setattr(_maximum, "em_eigenpair", lambda *_, **options: (1.0, np.zeros(3)))
    monkeypatch.setattr(_maximum, "leave_saddle", lambda *_, least_gain: least_gain)
    found: Any = Maximum(MODEL, tol, accelerate=True).leave_saddle(state_with(0.0), lambda parameters: state_with(0.0))
    assert found == pytest.approx(least, rel=1e-12)


def test_metric_where_variables_are_always_on() -> None:
    """What has no information has a millionth of that of a row."""
    net = BeliefNet(np.array([45.0, 0.3]), (Layer(np.array([[60.0, 0.0], [1.0, -2.0]]), np.array([50.0, 0.5])),))
    model, (X, weight) = BeliefNetModel(0.0), data(False)
    found = e_step(net, X[:, :2], weight)
    metric, n = Metric(model, found), len(net.pack())
    transform = np.array([metric.direction(z) for z in np.eye(n)]).T
    p = expit(net.prior_logits)
    dense = complete_information(found.regressions[0], net.layers[0], 0.0) / weight.sum()
    information = block_diag(np.diag(p * (1.0 - p)), *dense) + 1e-6 * np.eye(n)
    np.testing.assert_allclose(transform.T @ information @ transform, np.eye(n), atol=1e-8)


def test_variables_that_are_always_on_keep_finite_priors() -> None:
    net = BeliefNet(np.array([60.0, 0.0]), random_net((2,), 5, np.random.RandomState(0)).layers)
    X, weight = data(False)
    found = BeliefNetModel(0.01).maximize(e_step(net, X, weight)).net.prior_logits
    assert 35.0 < found[0] <= logit(1.0 - 1e-16)
    model = SigmoidBeliefNet(2, random_state=0).fit(X)
    before = model.score_samples(X)
    model.prior_ = np.array([1.0, 0.0])
    np.testing.assert_allclose(model._net().prior_logits, [logit(1.0 - 1e-16), logit(1e-300)], rtol=1e-12)
    assert np.isfinite(model.score_samples(X)).all()
    assert (model.score_samples(X) != before).all()


def log_joints(net: BeliefNet, X: Any, states: Any) -> Any:
    """log p(x, z) of rows and states of a single layer, however large the logits."""
    a, seen = net.layers[0].logits(states), ~np.isnan(X)
    log_prior = states @ net.prior_logits - np.logaddexp(0.0, net.prior_logits).sum()
    return np.nan_to_num(X) @ a.T - seen @ np.logaddexp(0.0, a).T + log_prior


@pytest.mark.parametrize("size", [1.0, 20.0, 300.0])
@pytest.mark.parametrize("n_latents", [1, 4, 7])
def test_posteriors_by_halves_are_those_of_all_states(n_latents: int, size: float) -> None:
    """Also where logits are so large that sums over states are beyond the range of numbers; none exceeds one."""
    rng = np.random.RandomState(n_latents)
    plain = random_net((n_latents,), 9, rng)
    net = BeliefNet(size * plain.prior_logits, (Layer(size * plain.layers[0].weights, size * plain.layers[0].offsets),))
    X = rng.randint(2, size=(300, 9)).astype(float)
    states = np.array(all_states(net), dtype=float)
    log_joint = log_joints(net, X, states)
    log_evidence = logsumexp(log_joint, axis=1)
    q = np.exp(log_joint - log_evidence[:, np.newaxis])
    enumeration, observations = Enumeration(net), observe(Block(X, None, None, 0))
    found, means = enumeration.explain(observations)
    np.testing.assert_allclose(found, log_evidence, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(means, q @ states, rtol=1e-6, atol=1e-9)
    assert (means <= 1.0).all()
    statistics = enumeration.sums(observations)
    np.testing.assert_allclose(statistics.counts @ enumeration.states, q.sum(axis=0) @ states, rtol=1e-6, atol=1e-9)
    assert statistics.elbo == pytest.approx(log_evidence.sum(), rel=1e-11)


@pytest.mark.parametrize("size", [1.0, 20.0, 1000.0])
def test_two_layers_have_the_sums_of_all_their_states(size: float) -> None:
    """However large the logits are: nothing overflows, and no probability is more than one."""
    rng = np.random.RandomState(0)
    plain = random_net((3, 2), 5, rng)
    layers = tuple(Layer(size * layer.weights, size * layer.offsets) for layer in plain.layers)
    net, X = BeliefNet(size * plain.prior_logits, layers), rng.randint(2, size=(40, 5)).astype(float)
    near, above = np.split(np.array(all_states(net), dtype=float), [3], axis=1)
    a, b = layers[0].logits(near), layers[1].logits(above)
    log_joint = X @ a.T - np.logaddexp(0.0, a).sum(axis=1) + (near * b).sum(axis=1) - np.logaddexp(0.0, b).sum(axis=1)
    log_joint += above @ net.prior_logits - np.logaddexp(0.0, net.prior_logits).sum()
    log_evidence = logsumexp(log_joint, axis=1)
    q = np.exp(log_joint - log_evidence[:, np.newaxis])
    found, means = Enumeration(net).explain(observe(Block(X, None, None, 0)))
    np.testing.assert_allclose(found, log_evidence, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(means, q @ np.column_stack([near, above]), rtol=1e-6, atol=1e-9)
    assert (means <= 1.0).all()
    entropy = -(q * np.where(q > 0.0, np.log(np.maximum(q, 1e-300)), 0.0)).sum()
    assert e_step(net, X, None).posterior_entropy == pytest.approx(entropy, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("size", [0, 1, 100, 2**15, 2**16, 2**17])
def test_slices_are_as_long_as_fits_in_the_cache(size: int) -> None:
    n = 5 if size > 100 else 2000
    slices = list(in_cache(n, size))
    assert np.concatenate([np.arange(n)[part] for part in slices]).tolist() == list(range(n))
    assert all(part.stop <= n for part in slices)
    step = max(_odds._IN_CACHE // max(size, 1), 1)
    assert [part.stop - part.start for part in slices[:-1]] == [step] * (len(slices) - 1)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_few_states_that_are_all_states_give_what_all_states_give(sizes: tuple[int, ...], gaps: bool) -> None:
    X, weight = data(gaps)
    net, rows = random_net(sizes, 5, np.random.RandomState(1)), Rows(X, weight)
    none = np.zeros((0, sum(sizes)), np.uint8)
    exact, few = (kind.evaluate(rows, None) for kind in (EnumeratedPosteriors(net), TruncatedPosteriors(net, 32, none)))
    assert few[0] == pytest.approx(exact[0], abs=1e-4)
    assert few[2] == pytest.approx(exact[2], rel=1e-12)
    for term in ("posterior", "prior", "observable", "hidden"):
        assert getattr(few[1], term) == pytest.approx(getattr(exact[1], term), abs=1e-3), term


def said(
    net: BeliefNet, shares: Any, hidden: Any = (), *, weight: float = 10.0, n_rows: int = 10, alpha: float = 0.0
) -> list[str]:
    """Complaints of a fit with these shares of the top layer, and of the hidden one."""
    moments = np.zeros((len(hidden), 3))
    moments[:, -1] = 7.0 * np.asarray(hidden)
    regressions = [None, *([SimpleNamespace(moments=moments)] if len(hidden) else [])]
    statistics = SimpleNamespace(weight=7.0, top=7.0 * np.asarray(shares), regressions=regressions)
    run: Any = SimpleNamespace(state=SimpleNamespace(parameters=SimpleNamespace(net=net), statistics=statistics))
    totals: Any = SimpleNamespace(weight=weight, n_rows=n_rows)
    return list(complaints(SimpleNamespace(alpha=alpha), run, totals))


@pytest.mark.parametrize("logit", [29.9, -29.9, 30.2, -30.2])
def test_columns_are_separated_where_one_logit_is_beyond_30(logit: float) -> None:
    net = BeliefNet(np.zeros(2), (Layer(np.array([[1.0, 2.0], [0.5, logit]]), np.zeros(2)),))
    messages = said(net, [0.5, 0.5])
    assert len(messages) == (abs(logit) > 30.0)
    assert all("column 1," in message for message in messages)
    assert said(net, [0.5, 0.5], alpha=0.1) == []


@pytest.mark.parametrize("on", [True, False])
def test_less_than_half_a_row_is_none(on: bool) -> None:
    net = random_net((2, 2), 3, np.random.RandomState(0))
    for rare, counts, named in ((0.049, {}, True), (0.0502, {}, False), (0.049, {"n_rows": 11}, False)):
        for more in (counts, {**counts, "weight": 5.0}, {"weight": 11.0, "n_rows": 5} if counts else {"n_rows": 5}):
            share = 1.0 - rare if on else rare
            for place in range(4):
                shares = np.full(4, 0.5)
                shares[place] = share
                messages = said(net, shares[2:], shares[:2], **more)
                assert len(messages) == named
                assert all(f"variable {place} is always {'on' if on else 'off'}" in message for message in messages)


def test_ctrl_c_among_starts_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = data(False, n=40)
    states = [
        State(Parameters(random_net((2,), 5, np.random.RandomState(s))), None, v, v)
        for s, v in enumerate([-3.0, -1.0, -2.0])
    ]
    remaining = iter(states)
    monkeypatch.setattr(_fit, "run_em", lambda *_, **options: SimpleNamespace(state=next(remaining)))

    def interrupted(climb: Any, *_: Any) -> Any:
        for state in states:
            climb(state.parameters.net, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(_fit, "best_start", interrupted)
    net = SigmoidBeliefNet(2, random_state=0, accelerate=False, tol=0.5)
    rows = net._read((2,), X, None, reset=True)
    fit = EnumeratedFit(net, rows, X, sizes=(2,), binary_rows=net._ready(rows), means=X.mean(axis=0))
    ascent = fit.ascent(0, None)
    assert ascent.start is states[1].parameters
    assert fit.interrupted
    # Without acceleration tol is that of the user.
    assert ascent.tol == 0.5


@pytest.mark.parametrize("gaps", [False, True])
def test_unused_places_of_states_stay_unused(gaps: bool) -> None:
    """Under another net too, and sorted by it; probabilities are no larger than one."""
    X, weight = data(gaps, n=200)
    rng = np.random.RandomState(1)
    observations = observe(Block(X, weight, None, 0))
    sets = first_sets(random_net((3,), 5, rng), observations, 6)
    plain = random_net((3,), 5, rng)
    net = BeliefNet(plain.prior_logits + np.array([45.0, 0.0, 0.0]), plain.layers)
    under = sets.under(Joints(net, observations))
    joint = log_joints(net, X, np.array([state for state in all_states(net) if sum(state) <= 1]))
    np.testing.assert_allclose(under.log_evidence, logsumexp(joint, axis=1), rtol=1e-12)
    np.testing.assert_allclose(under.sorted().log_joint[:, :4], -np.sort(-joint, axis=1), rtol=1e-12)
    assert np.isneginf(under.sorted().log_joint[:, 4:]).all()
    # Of some rows the probabilities of the states in which a variable is always on add up to a little more than one.
    found = search(net, observations, 8)
    assert (found.masses() @ found.pool.values).max() > 1.0 == found.marginals().max()


@pytest.mark.parametrize(("threshold", "useless"), [(-1.0, "column 0, column 2"), (0.5, "column 2"), (2.5, None)])
def test_thresholds_that_separate_nothing_are_named(threshold: float, useless: str | None) -> None:
    """A column whose values are all above it, or a table without any, whatever the unit of weight."""
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.randint(3, size=40), rng.choice([-2.0, 3.0], 40), np.full(40, 2.0), np.full(40, np.nan)])
    X[:5, 1] = np.nan
    X[7] = np.nan
    for unit in (1e-3, 1.0, 1e3):
        weight = unit * rng.uniform(0.5, 2.0, size=40)
        rows = Rows(X, weight)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = survey(SigmoidBeliefNet(), threshold, rows)
        seen = ~np.isnan(X)
        np.testing.assert_allclose(found[0], weight @ seen, rtol=1e-12)
        np.testing.assert_allclose(found[1], weight @ (seen & (threshold < X)), rtol=1e-12)
        np.testing.assert_array_equal(found[2], (seen & ~np.isin(X, [0.0, 1.0])).sum(axis=0))
        np.testing.assert_array_equal(found[3], 1)
        messages = [str(warning.message) for warning in caught]
        assert len(messages) == (useless is not None)
        assert all(f"every value into 1 in {useless}, which" in message for message in messages)


def test_the_means_of_columns_are_those_of_observed_entries() -> None:
    X, weight = data(True)
    net = SigmoidBeliefNet(2)
    means = net._check_columns(net._read((2,), X, weight, reset=True))
    np.testing.assert_allclose(means, np.ma.average(np.ma.masked_invalid(X), axis=0, weights=weight), rtol=1e-12)


def test_all_states_are_enumerated_if_they_are_no_more_than_are_kept() -> None:
    rows: Any = None
    for sizes, n_states in (((5,), 32), ((3, 2), 32), ((1,), 2)):
        for kept, exact in ((n_states, True), (n_states - 1, False)):
            net = SigmoidBeliefNet(sizes, posterior="truncated", n_states=kept)
            assert net._is_exact(sizes, rows) is exact


def test_enumerations_that_are_too_large_are_refused_or_not_chosen() -> None:
    rows: Any = SimpleNamespace(n_features=16)
    for sizes, exact in (
        ((12,), True),
        ((13,), False),
        ((3, 13), False),
        ((13, 3), False),
        ((10, 10), True),
        ((10, 11), False),
    ):
        assert SigmoidBeliefNet(sizes)._is_exact(sizes, rows) is exact
    for sizes, message in (
        ((40,), r"1\.1e\+12 states for each row, 1\.3e\+05 GiB"),
        ((10, 17), r"1e\+03 states for each row and 1\.3e\+08 joint states of both layers, 1 GiB"),
    ):
        with pytest.raises(ValueError, match=message):
            SigmoidBeliefNet(sizes, posterior="exact")._is_exact(sizes, rows)


def test_summary_of_a_net() -> None:
    """The features whose log odds a variable raises and lowers most, with their changes."""
    X, _ = data(False, n=60)
    net = SigmoidBeliefNet((2, 2), random_state=0, tol=1e-2).fit(X)
    net.components_ = np.array([[1.234, -0.5, 0.004, -2.0, 3.0], [-1.0, -2.0, -3.0, 0.0, -0.004]])
    net.hidden_components_ = np.array([[0.5, -0.25], [0.0, 0.0]])
    summary = net.summary()
    below, above = ({column.name: list(column.values) for column in summary[name].columns} for name in ("hidden", "top"))
    assert below["raises most"] == ["x4 +3.00, x0 +1.23", ""]
    assert below["lowers most"] == ["x3 -2.00, x1 -0.50", "x2 -3.00, x1 -2.00"]
    assert above["raises most"] == ["hidden0 +0.50", ""]
    assert above["lowers most"] == ["hidden1 -0.25", ""]
    np.testing.assert_allclose(above["prior"], net.prior_)
    net.components_[1, 4] = 0.004
    assert net.summary()["hidden"].columns[0].values[1] == "x4 +0.00"
    terms = net.entropy_sum_
    values = [sign * getattr(terms, name) for name, sign in terms.SIGNS.items() if getattr(terms, name)]
    np.testing.assert_allclose(summary["entropy sum"].columns[0].values, [*values, terms.value], rtol=1e-12)
    assert sum(values) == pytest.approx(terms.value, rel=1e-12)


@pytest.mark.parametrize(("n_latents", "sizes"), [(1, (1, 2)), (6, (8, 8)), (7, (8, 16))])
def test_a_linear_table_of_states_is_that_of_the_rows(n_latents: int, sizes: tuple[int, int]) -> None:
    """Nothing of it is left for the table of two halves, which are equal but for one unit at most."""
    states, slopes = enumerate_states(n_latents), np.random.RandomState(0).normal(size=n_latents)
    halves = Halves(states, states @ slopes - 3.0)
    np.testing.assert_allclose(halves._table, np.ones(sizes[::-1]), rtol=1e-12)
    found = halves.of_rows(np.zeros((1, n_latents))).log_sum()
    np.testing.assert_allclose(found, logsumexp(states @ slopes - 3.0), rtol=1e-12)


def test_em_over_all_states_leaves_the_end_to_lbfgs() -> None:
    def maximum() -> Any:
        return SimpleNamespace(finish=())

    start = Parameters(random_net((2,), 3, np.random.RandomState(0)))
    for accelerate in (False, True):
        fit: Any = SimpleNamespace(_net=SimpleNamespace(tol=1e-6, accelerate=accelerate))
        tol = EnumeratedFit._ascent(fit, start, e_step, maximum).tol
        assert tol > 5e-6 if accelerate else tol == 1e-6


def test_zeros_and_ones_need_no_threshold() -> None:
    X, weight = data(True)
    found = survey(SigmoidBeliefNet(binarize=None), None, Rows(X, weight))
    np.testing.assert_allclose(found[:2], [weight @ ~np.isnan(X), weight @ (X == 1.0)], rtol=1e-12)


def test_entropies_of_a_net_have_no_penalty() -> None:
    X, weight = data(True)
    _, terms, _ = EnumeratedPosteriors(random_net((3,), X.shape[1], np.random.RandomState(0))).evaluate(
        Rows(X, weight), None
    )
    assert terms.penalty == 0.0
