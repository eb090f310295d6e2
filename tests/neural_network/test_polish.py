"""The last steps of a fit, where EM has become slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

from skentropy._em import State, _information, run_em
from skentropy.neural_network._layers import BeliefNet, Layer
from skentropy.neural_network._model import BeliefNetModel, Parameters
from skentropy.neural_network._polish import polish_scales, quasi_newton
from tests.common.nets import data, e_step, random_net


def five_steps(gaps: bool) -> tuple[BeliefNetModel, Callable[[Parameters], State], State]:
    """A model, the states at its parameters, and where EM is after five steps."""
    X, weight = data(gaps, n=60)
    model = BeliefNetModel(0.1)

    def expect(parameters: Parameters) -> Any:
        return e_step(parameters.net, X, weight)

    def evaluate(parameters: Parameters) -> State:
        found = expect(parameters)
        elbo = model.elbo(found)
        return State(parameters, found, elbo, elbo + model.log_prior(parameters, found))

    start = Parameters(random_net((3,), 5, np.random.RandomState(0)))
    return model, evaluate, run_em(model, expect, start, tol=0.0, max_iter=5).state


def test_the_end_of_a_fit_never_loses() -> None:
    model, evaluate, state = five_steps(True)
    near = quasi_newton(model, evaluate, state)
    better = polish_scales(model, evaluate, near)
    assert near.objective > state.objective
    assert better.objective == pytest.approx(near.objective, rel=1e-12)
    assert model.entropy_sum(better.parameters, better.statistics).value == pytest.approx(better.elbo, abs=1e-8)
    assert np.abs(model.gradient(better.statistics)).max() < 1e-5


def test_two_scales_are_polished_by_newtons_method() -> None:
    """From one percent off each step squares the slopes in the two scales."""
    X, weight = data(False, n=200)
    model = BeliefNetModel(0.1)
    n_evaluations = 0

    def evaluate(parameters: Parameters) -> State:
        nonlocal n_evaluations
        n_evaluations += 1
        found = e_step(parameters.net, X, weight)
        elbo = model.elbo(found)
        return State(parameters, found, elbo, elbo + model.log_prior(parameters, found))

    def slopes(state: State) -> Any:
        vector, gradient = state.parameters.net.pack(), model.gradient(state.statistics)
        return np.array([vector[:3] @ gradient[:3], vector[3:] @ gradient[3:]])

    start = random_net((3,), 5, np.random.RandomState(0))
    run = run_em(model, lambda p: e_step(p.net, X, weight), Parameters(start), tol=1e-10, max_iter=2000)
    vector = run.state.parameters.net.pack() * np.r_[np.full(3, 1.01), np.full(20, 0.99)]
    off = evaluate(Parameters(start.unpack(vector)))
    n_evaluations = 0
    better = polish_scales(model, evaluate, off)
    assert np.abs(slopes(off)).max() > 1e-4
    assert np.abs(slopes(better)).max() < 1e-9
    assert n_evaluations <= 9
    # It is the scales alone that have changed.
    ratio = better.parameters.net.pack() / vector
    assert np.ptp(ratio[:3]) < 1e-12
    assert np.ptp(ratio[3:]) < 1e-12


def test_an_end_that_is_lower_is_not_taken() -> None:
    model, evaluate, state = five_steps(False)
    out_of_reach = replace(state, objective=state.objective + 1.0)
    assert quasi_newton(model, evaluate, out_of_reach) is out_of_reach


@pytest.mark.parametrize(("loss", "taken"), [(0.0, True), (0.9e-6, True), (1.1e-6, False), (np.nan, False)])
def test_a_step_in_the_scales_may_lose_what_is_rounding(loss: float, taken: bool) -> None:
    """A share of 1e-12 of the objective, here of a million."""
    net = BeliefNet(np.array([1.0]), (Layer(np.array([[2.0]]), np.array([3.0])),))
    end = np.array([1.5, 2.2, 3.3])

    class Parabola(BeliefNetModel):
        def gradient(self, statistics: Any) -> Any:
            return end - statistics.at.pack()

    def evaluate(parameters: Parameters) -> State:
        objective = -1e6 - loss * (parameters.net.prior_logits[0] > 1.25)
        return State(parameters, SimpleNamespace(at=parameters.net, states=None), objective, objective)

    better = polish_scales(Parabola(0.0), evaluate, evaluate(Parameters(net)))
    np.testing.assert_allclose(better.parameters.net.pack(), end if taken else net.pack(), rtol=1e-12)


@pytest.mark.parametrize(("share", "n_steps"), [(0.0, 26 + 19), (0.000995, 26 + 19), (0.001005, 56)])
def test_it_ends_when_twenty_iterations_together_gain_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch, share: float, n_steps: int
) -> None:
    """A thousandth of tol; one of them that gains more is no reason to end."""
    model, evaluate, state = five_steps(False)
    gains = np.full(56, share * 1e-4 / 20)
    gains[[*range(20), 25]] = 1.0
    seen = []

    def minimize(loss: Any, z: Any, callback: Any, **options: Any) -> OptimizeResult:
        for value in -np.cumsum(gains):
            try:
                callback(intermediate_result=OptimizeResult(fun=value))
            except StopIteration:
                break
            seen.append(value)
        return OptimizeResult(x=z, fun=np.inf)

    monkeypatch.setattr(_information, "minimize", minimize)
    quasi_newton(model, evaluate, state, tol=1e-4)
    assert len(seen) == n_steps
