"""Where fits end: at maxima, with no more to come than they say, and not at saddle points."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skentropy import SigmoidBeliefNet
from skentropy._em import State, _information, em_eigenpair, run_em
from skentropy.neural_network import _maximum
from skentropy.neural_network._layers import BeliefNet, Layer
from skentropy.neural_network._maximum import Maximum
from skentropy.neural_network._metric import Metric, Neighbourhood
from skentropy.neural_network._model import BeliefNetModel, Parameters
from tests.common.nets import SIZES, data, e_step, random_net


def table(seed: int, gaps: bool, n: int = 150, n_features: int = 8) -> Any:
    rng = np.random.RandomState(seed)
    X = (load_digits().data >= 8).astype(float)[rng.choice(1797, n, replace=False)]
    X = X[:, rng.choice(np.arange(8, 56), n_features, replace=False)]
    if gaps:
        X[rng.uniform(size=X.shape) < 0.2] = np.nan
    return X


def state_at(model: BeliefNetModel, net: BeliefNet, X: Any, weight: Any) -> State:
    found, parameters = e_step(net, X, weight), Parameters(net)
    elbo = model.elbo(found)
    return State(parameters, found, elbo, elbo + model.log_prior(parameters, found))


def end_of(sizes: tuple[int, ...], gaps: bool, alpha: float = 0.5) -> tuple[BeliefNetModel, Any, State]:
    X, weight = data(gaps, n=80)
    model = BeliefNetModel(alpha)
    start = Parameters(random_net(sizes, 5, np.random.RandomState(1)))
    return model, weight, run_em(model, lambda p: e_step(p.net, X, weight), start, tol=1e-13, max_iter=2000).state


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_differences_of_the_gradient_have_the_eigenvalues_of_the_em_map(sizes: tuple[int, ...], gaps: bool) -> None:
    """The EM map's Jacobian, by differences of whole EM steps, is similar to what the Lanczos steps see."""
    X, weight = data(gaps, n=80)
    model, _, state = end_of(sizes, gaps)
    end = state.parameters.net

    def em_step(vector: Any) -> Any:
        return model.maximize(e_step(end.unpack(vector), X, weight)).net.pack()

    vector, h = end.pack(), 1e-5
    jacobian = np.array([(em_step(vector + h * e) - em_step(vector - h * e)) / (2 * h) for e in np.eye(len(vector))]).T
    around = Neighbourhood.of(model, state)
    largest, z = em_eigenpair(around, state, lambda p: state_at(model, p.net, X, weight), len(vector), n_steps=len(vector))
    direction = around.metric.direction(z)
    assert largest == pytest.approx(np.linalg.eigvals(jacobian).real.max(), abs=2e-3)
    np.testing.assert_allclose(jacobian @ direction, largest * direction, atol=0.03 * np.abs(direction).max())


def test_metric_is_the_information_of_the_complete_data() -> None:
    X, weight = data(True, n=80)
    model = BeliefNetModel(0.5)
    state = state_at(model, random_net((3, 2), 5, np.random.RandomState(1)), X, weight)
    metric, n = Metric(model, state.statistics), len(state.parameters.net.pack())
    transform = np.array([metric.direction(z) for z in np.eye(n)]).T
    np.testing.assert_allclose(np.array([metric.gradient(e) for e in np.eye(n)]), transform)

    def gradient_with_posteriors_held(vector: Any) -> Any:
        found: Any = state.statistics
        net = state.parameters.net.unpack(vector)
        held: Any = SimpleNamespace(at=net, weight=found.weight, top=found.top, regressions=found.regressions)
        return model.gradient(held)

    vector, h = state.parameters.net.pack(), 1e-6
    information = -np.array(
        [
            (gradient_with_posteriors_held(vector + h * e) - gradient_with_posteriors_held(vector - h * e)) / (2 * h)
            for e in np.eye(n)
        ]
    )
    np.testing.assert_allclose(transform.T @ information @ transform, np.eye(n), atol=1e-3)


def twins(X: Any, weight: Any, model: BeliefNetModel) -> State:
    """Where EM ends with two units that are equal: it can never tell them apart."""
    rng = np.random.RandomState(0)
    column = 1.5 * rng.normal(size=(X.shape[1], 1))
    net = BeliefNet(np.zeros(2), (Layer(np.repeat(column, 2, axis=1), rng.normal(size=X.shape[1])),))
    end = run_em(
        model, lambda p: e_step(p.net, X, weight), Parameters(net), tol=1e-12, max_iter=3000, accelerate=False
    ).state.parameters.net
    prior, weights = np.full(2, end.prior_logits.mean()), end.layers[0].weights.mean(axis=1, keepdims=True)
    same = BeliefNet(prior, (Layer(np.repeat(weights, 2, axis=1), end.layers[0].offsets),))
    return state_at(model, same, X, weight)


@pytest.mark.parametrize("accelerate", [False, True])
def test_saddle_points_are_left(accelerate: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    X, weight = table(3, False), np.ones(150)
    model = BeliefNetModel(0.1)
    state = twins(X, weight, model)
    calls = []

    def evaluate(parameters: Parameters) -> State:
        calls.append(1)
        return state_at(model, parameters.net, X, weight)

    maximum = Maximum(model, 1e-6, accelerate=accelerate)
    end = maximum.leave_saddle(state, evaluate)
    assert end.goes_on
    assert end.state.objective > state.objective + 1e-5
    assert not end.saddle
    assert len(calls) <= 20
    assert maximum.finish[0](state, evaluate).goes_on
    monkeypatch.setattr(_information, "_LEAVES", (1e-9,))
    end = maximum.leave_saddle(state, evaluate)
    assert end.state is state
    assert not end.goes_on
    assert end.saddle


@pytest.mark.parametrize(("largest", "is_saddle"), [(1.00005, False), (1.0005, False), (1.002, True)])
def test_eigenvalues_hardly_above_one_are_no_verdict(
    largest: float, is_saddle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, weight = table(3, False), np.ones(150)
    model = BeliefNetModel(0.1)
    state = twins(X, weight, model)
    monkeypatch.setattr(_maximum, "em_eigenpair", lambda around, *rest, **options: (largest, 0.0 * around.origin))
    end = Maximum(model, 1e-6, accelerate=True).leave_saddle(state, lambda p: state_at(model, p.net, X, weight))
    assert end.state is state
    assert not end.goes_on
    assert end.saddle == is_saddle


def test_a_fit_that_ends_on_a_saddle_point_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    X = table(0, False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SigmoidBeliefNet(2, alpha=0.1, random_state=0).fit(X)
    monkeypatch.setattr(_maximum, "em_eigenpair", lambda around, *rest, **options: (1.1, 0.0 * around.origin))
    with pytest.warns(ConvergenceWarning, match="ended at a saddle point"):
        SigmoidBeliefNet(2, alpha=0.1, random_state=0).fit(X)


def test_without_acceleration_what_lbfgs_finds_is_not_taken() -> None:
    """It only tells how much is to come."""
    X, weight = data(True, n=80)
    model = BeliefNetModel(0.5)

    def expect(parameters: Parameters) -> Any:
        return e_step(parameters.net, X, weight)

    early = run_em(
        model, expect, Parameters(random_net((3,), 5, np.random.RandomState(1))), tol=0.0, max_iter=40, accelerate=False
    ).state
    to_come = end_of((3,), True)[2].objective - early.objective
    for tol, go_on in ((0.5 * to_come, True), (2.0 * to_come, False)):
        end = Maximum(model, tol, accelerate=False).go_on(early, lambda p: state_at(model, p.net, X, weight))
        assert end.state is early
        assert end.goes_on is go_on


def to_come(fitted: SigmoidBeliefNet, X: Any) -> float:
    """What a long run of a quasi-Newton method adds to the objective."""
    model, net, weight = BeliefNetModel(fitted.alpha), fitted._net(), np.ones(len(X))

    def loss(vector: Any) -> Any:
        state = state_at(model, net.unpack(vector), X, weight)
        return -state.objective, -model.gradient(state.statistics)

    options = {"maxfun": 3000, "maxiter": 3000, "gtol": 1e-9, "ftol": 0.0, "maxcor": 40}
    end = minimize(loss, net.pack(), jac=True, method="L-BFGS-B", options=options)
    return float(loss(net.pack())[0] - end.fun)


@pytest.mark.filterwarnings("ignore:.*carr(y|ies) no information")
@pytest.mark.parametrize("alpha", [0.01, 1.0, 5.0])
@pytest.mark.parametrize(("sizes", "seed"), [((4,), 1), ((3, 2), 0), ((3, 2), 1), ((3, 2), 2)])
def test_converged_fits_have_no_more_than_tol_to_come(sizes: tuple[int, ...], seed: int, alpha: float) -> None:
    X = table(seed, gaps=seed % 2 == 1)
    net = SigmoidBeliefNet(sizes, alpha=alpha, random_state=seed).fit(X)
    assert net.converged_
    assert net.n_iter_ < 200
    assert to_come(net, X) <= net.tol


@pytest.mark.parametrize(("seed", "alpha"), [(0, 0.01), (2, 1.0), (1, 5.0)])
def test_plain_em_that_says_converged_has_no_more_than_tol_to_come(seed: int, alpha: float) -> None:
    X = table(seed, gaps=seed % 2 == 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net = SigmoidBeliefNet((3, 2), alpha=alpha, accelerate=False, random_state=seed).fit(X)
    assert not net.converged_ or to_come(net, X) <= net.tol
