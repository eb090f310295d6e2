"""The Newton method of the M-step, part by part: a wrong part costs steps, and might change no result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from skentropy.neural_network import _logistic, _odds
from skentropy.neural_network._layers import Layer, enumerate_states, logistic, total_softplus
from skentropy.neural_network._logistic import Regression, _Ascent, _heavy_states, _Hessians, maximize
from tests.common.nets import regression_on

RIDGE = 0.3


def regression(*, gaps: bool = False, n_features: int = 5) -> Regression:
    """Every unit is on in a third of the weight, which lies on a few of the states for the most part."""
    rng = np.random.RandomState(0)
    states = enumerate_states(4)
    counts = rng.gamma(0.3, 20.0, size=(16, n_features if gaps else 1))
    return regression_on(states, counts, counts * rng.uniform(0.1, 0.9, size=(16, n_features)))


def start(n_features: int = 5) -> Layer:
    rng = np.random.RandomState(1)
    return Layer(rng.normal(size=(n_features, 4)), rng.normal(size=n_features))


def objective(of: Regression, V: Any) -> Any:
    return of.log_likelihood(Layer.split(V)) - 0.5 * RIDGE * (V**2).sum()


def differences(function: Any, V: Any, step: float) -> Any:
    """Derivatives of a function in V by differences, the entries of V on the last axis."""
    columns = []
    for index in np.ndindex(V.shape):
        moved = np.zeros_like(V)
        moved[index] = step
        columns.append((function(V + moved) - function(V - moved)) / (2 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("largest", [-60.0, 0.5, 9.0, 40.0, 600.0, 698.0, 701.0, 1e4])
def test_logarithms_of_products_are_sums_of_softplus(largest: float) -> None:
    a = np.random.RandomState(0).normal(size=(3, 200)) * 5.0
    a[1, 7:150] = largest
    np.testing.assert_allclose(total_softplus(a), np.logaddexp(0.0, a).sum(axis=1), rtol=1e-13)
    assert total_softplus(a[:0]).shape == (0,)


def test_logistic_keeps_its_digits() -> None:
    a = np.array([[-800.0, -745.0, -700.0, -30.0, -1e-9, 0.0, 2.0, 40.0, 800.0]])
    np.testing.assert_allclose(logistic(a), expit(a), rtol=1e-14, atol=1e-320)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("by_pair", [False, True])
def test_hessians_and_gradients_against_differences(monkeypatch: Any, gaps: bool, by_pair: bool) -> None:
    # There are 15 pairs of columns, and 16 states.
    monkeypatch.setattr(_logistic, "_MOST_PRODUCTS", 240 if by_pair else 239)
    of, V = regression(gaps=gaps), start().joined
    ascent, columns = _Ascent(of, start(), RIDGE), np.arange(5)
    gradient = ascent._gradient
    np.testing.assert_allclose(gradient.ravel(), differences(lambda V: objective(of, V), V, 1e-5), rtol=1e-6, atol=1e-6)
    of_gradient = differences(lambda V: of.gradient(Layer.split(V)) - RIDGE * V, V, 1e-5).reshape(5, 5, 5, 5)
    hessians = _Hessians(ascent._design, of.counts, RIDGE, slice(None))
    assert (hessians._pairs is not None) == by_pair
    expected = -np.einsum("dhdi->dhi", of_gradient)
    np.testing.assert_allclose(hessians.at(V, columns), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(hessians.at(V[[3, 1]], columns[[3, 1]]), expected[[3, 1]], rtol=1e-6, atol=1e-6)
    # The offset is on in all states.
    np.testing.assert_allclose(ascent._variance, expected[:, -1, -1] - RIDGE, rtol=1e-6)
    step, gain = ascent.newton(columns, hessians)
    np.testing.assert_allclose(np.einsum("dhi,di->dh", expected, step), gradient, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gain, (gradient * step).sum(axis=1), rtol=1e-12)


def test_hessians_of_some_states_have_the_curvature_of_all() -> None:
    of = regression()
    ascent, columns = _Ascent(of, start(), RIDGE), np.arange(5)
    p = 1.0 / (1.0 + np.exp(-ascent._design @ ascent.V.T))
    kept = np.array([2, 3, 7, 8, 11])
    rough = _Hessians(ascent._design, of.counts, 0.0, kept).at(ascent.V, columns, ascent._variance)
    curvature = of.counts * p * (1.0 - p)
    for d in range(5):
        part = ascent._design[kept].T @ (curvature[kept, d, np.newaxis] * ascent._design[kept])
        np.testing.assert_allclose(rough[d], part * curvature[:, d].sum() / curvature[kept, d].sum(), rtol=1e-6, atol=1e-8)


def test_states_that_matter_have_most_of_every_unit() -> None:
    """By a plain loop: a state's share of all, and of what any unit has of the weight on and off, whichever is largest."""
    states, rng = enumerate_states(6), np.random.RandomState(0)
    for concentration in (0.02, 0.05, 0.1, 0.2, 1.0):
        weight = 7.0 * rng.dirichlet(np.full(64, concentration))
        kept = _heavy_states(regression_on(states, weight[:, np.newaxis], weight[:, np.newaxis] * np.ones((64, 2))))
        share = weight / weight.sum()
        for s in range(64):
            for unit in range(6):
                same = states[:, unit] == states[s, unit]
                share[s] = max(share[s], weight[s] / weight[same].sum())
        order = np.argsort(-share)
        largest = next(n for n in range(1, 65) if share[order[:n]].sum() >= 0.99 * share.sum())
        if 2 * largest < 64:
            np.testing.assert_array_equal(kept, np.sort(order[:largest]))
        else:
            assert kept == slice(None)


def test_steps_are_cut_where_logits_would_run_away() -> None:
    of = regression()
    ascent = _Ascent(of, start(), RIDGE)
    step = np.zeros((5, 5))
    columns, gradient = np.arange(5), ascent._gradient.copy()
    step[0], step[1] = 1e-4 * gradient[0], 100.0 * gradient[1] / np.abs(gradient[1]).max()
    step[2] = -gradient[2] / np.abs(gradient[2]).max()
    before, values = ascent.V.copy(), ascent._objective(ascent.V, columns)
    moved = ascent.move(columns, step, (gradient * step).sum(axis=1))
    np.testing.assert_array_equal(moved, [True, True, False, True, True])
    np.testing.assert_allclose(ascent.V[0], before[0] + step[0], rtol=1e-12)
    np.testing.assert_array_equal(ascent.V[2], before[2])
    # The second is cut to the longest step, and halved from there as long as it loses.
    shares = np.log2(8.0 / np.abs(ascent._design @ (ascent.V - before).T).max(axis=0)[1])
    assert shares >= -1e-9
    assert abs(shares - round(shares)) < 1e-9
    assert (ascent._objective(ascent.V, columns) >= values).all()
    expected = of.gradient(Layer.split(ascent.V)) - RIDGE * ascent.V
    np.testing.assert_allclose(ascent._gradient, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("gaps", [False, True])
def test_objectives_are_compared_only_where_slopes_leave_it_open(monkeypatch: Any, gaps: bool) -> None:
    """Steps of all lengths along the gradient: those that are taken gain, and those that are refused lose."""
    of, columns, compared = regression(gaps=gaps), np.arange(5), []
    objective_of = _Ascent._objective

    def recorded(self: Any, V: Any, columns: Any) -> Any:
        compared.append(len(columns))
        return objective_of(self, V, columns)

    monkeypatch.setattr(_Ascent, "_objective", recorded)
    verdicts = []
    for length in np.geomspace(1e-6, 30.0, 200):
        ascent = _Ascent(of, start(), RIDGE)
        step = length * ascent._gradient / np.abs(ascent._gradient).max(axis=1, keepdims=True)
        allowed = np.where(ascent._longest(step) <= 1.0, 0.1 * (ascent._gradient * step).sum(axis=1), 0.0)
        rise = objective_of(ascent, ascent.V + step, columns) - objective_of(ascent, ascent.V, columns)
        verdicts.append(ascent._try(columns, step, allowed))
        np.testing.assert_array_equal(verdicts[-1], rise >= -ascent.noise)
    assert 0.2 < np.mean(verdicts) < 0.8
    # Two comparisons, before and after, of less than half of the steps.
    assert 0 < sum(compared) < 1000


def test_steps_are_as_long_as_their_longest_logit() -> None:
    ascent = _Ascent(regression(), start(), RIDGE)
    step = np.random.RandomState(3).normal(size=(200, 5)) * np.tile([[0.05], [0.1], [0.3], [1.0], [10.0]], (40, 1))
    exact = np.abs(ascent._design @ step.T).max(axis=0)
    longest = ascent._longest(step)
    assert (longest >= exact - 1e-12).all()
    np.testing.assert_allclose(longest[exact > 1.0], exact[exact > 1.0], rtol=1e-12)
    assert (longest[exact <= 1.0] <= 1.0 + 1e-12).any()
    # Around the unit at hand all others may be on or off.
    near = longest < 1.0
    np.testing.assert_allclose(longest[near], exact[near], rtol=0.02, atol=1e-12)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_maximum_is_reached_within_few_steps(gaps: bool) -> None:
    of = regression(gaps=gaps)
    for steps in (12, 100):
        layer = maximize(of, start(), RIDGE, steps)
        np.testing.assert_allclose(of.gradient(layer), RIDGE * layer.joined, atol=1e-6)


@pytest.mark.parametrize(("share", "formed"), [(0.0498, False), (0.0502, True)])
def test_hessians_are_formed_anew_where_steps_promise_much(monkeypatch: Any, share: float, formed: bool) -> None:
    """More than a twentieth of what the step before did."""
    ascent, columns = _Ascent(regression(), start(), RIDGE), np.arange(5)
    _, gain = ascent.newton(columns, ascent.exact)
    ascent._last_gain[:] = gain / share
    ascent._last_gain[2] = gain[2] / 0.01
    chosen = []
    at = _Hessians.at

    def recorded(self: Any, V: Any, columns: Any, bend: Any) -> Any:
        chosen.extend(columns)
        return at(self, V, columns, bend)

    monkeypatch.setattr(_Hessians, "at", recorded)
    again = ascent.newton(columns, ascent.exact)[1]
    np.testing.assert_allclose(again, gain, rtol=1e-12)
    assert chosen == ([0, 1, 3, 4] if formed else [])


@pytest.mark.parametrize("logit", [50.0, -300.0])
def test_steps_go_uphill_where_nothing_bends(logit: float) -> None:
    """Where probabilities are nearly one or zero the curvature is less than rounding errors."""
    of = regression()
    flat = Layer(np.zeros((5, 4)), np.full(5, logit))
    _, gain = _Ascent(of, flat, 0.0).newton(np.arange(5), _Ascent(of, flat, 0.0).exact)
    assert (gain > 0.0).all()
    layer = maximize(of, flat, 0.0, 99)
    np.testing.assert_allclose(of.gradient(layer), 0.0, atol=1e-6 * of.counts.sum())


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("unit", [1.0, 1e-8, 1e8])
def test_the_last_steps_are_those_of_any_unit_of_weight(gaps: bool, unit: float) -> None:
    """They close a gradient that the log-likelihood no longer shows, to thirteen digits of the weight."""
    of = regression(gaps=gaps)
    best = maximize(of, start(), RIDGE).joined
    of = Regression(of.states, unit * of.counts, unit * of.moments)
    near = best * (1.0 + 1e-9)
    ascent = _Ascent(of, Layer.split(near), unit * RIDGE)
    ascent.finish()
    weight = of.counts.sum(axis=0)
    for V, small in ((near, False), (ascent.V, True)):
        slope = np.abs(V * (of.gradient(Layer.split(V)) - unit * RIDGE * V)).sum(axis=1) / weight
        assert (slope < 1e-13).all() == small


def test_the_last_steps_are_not_taken_where_they_lead_away() -> None:
    """From far off Newton's method overshoots."""
    of, far = regression(), Layer(np.full((5, 4), 3.0), np.full(5, 5.0))
    ascent = _Ascent(of, far, RIDGE)
    before = np.linalg.norm(of.gradient(far) - RIDGE * ascent.V, axis=1)
    values = ascent._objective(ascent.V, np.arange(5))
    ascent.finish()
    after = np.linalg.norm(of.gradient(Layer.split(ascent.V)) - RIDGE * ascent.V, axis=1)
    assert (after <= before).all()
    assert (ascent._objective(ascent.V, np.arange(5)) >= values - ascent.noise).all()


def test_steps_that_lose_rounding_errors_alone_are_taken() -> None:
    """As far beyond the maximum along the gradient as before it: the slope says loss, and the objective tells nothing."""
    of, columns = regression(), np.arange(5)
    ascent = _Ascent(of, start(), RIDGE)
    along = ascent._gradient / np.abs(ascent._gradient).max(axis=1, keepdims=True)

    def rises(length: Any) -> Any:
        V = ascent.V + length[:, np.newaxis] * along
        return ascent._objective(V, columns) - ascent._objective(ascent.V, columns)

    gains, loses = np.full(5, 1e-6), np.full(5, 100.0)
    for _ in range(100):
        middle = (gains + loses) / 2.0
        up = rises(middle) > 0.0
        gains, loses = np.where(up, middle, gains), np.where(up, loses, middle)
    for share, taken in ((0.9, True), (1.1, False)):
        slopes = (along * (of.gradient(Layer.split(ascent.V + loses[:, np.newaxis] * along)) - RIDGE * ascent.V)).sum(axis=1)
        assert (slopes < 0.0).all()
        lengths = loses + share * ascent.noise / -slopes
        trial = _Ascent(of, start(), RIDGE)
        np.testing.assert_array_equal(trial._try(columns, lengths[:, np.newaxis] * along, np.zeros(5)), taken)


def test_steps_overshoot_by_a_tenth_of_their_slope_if_they_are_short(monkeypatch: Any) -> None:
    """Longer ones must gain."""
    ascent, columns, asked = _Ascent(regression(), start(), RIDGE), np.arange(5), []

    def refused_at_first(self: Any, of: Any, step: Any, allowed: Any) -> Any:
        asked.append(allowed)
        return np.full(len(of), len(asked) > 1)

    monkeypatch.setattr(_Ascent, "_try", refused_at_first)
    step = np.zeros((5, 5))
    step[:, -1] = [0.1, -0.9, 1.1, 4.0, -16.0]
    ascent.move(columns, step, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    np.testing.assert_allclose(asked, [[0.1, 0.2, 0.0, 0.0, 0.0], [0.05, 0.1, 0.15, 0.0, 0.0]], rtol=1e-12)


@pytest.mark.parametrize("on", [0.01, 0.5, 0.99])
def test_rounding_errors_are_relative_to_all_that_is_added_up(on: float) -> None:
    """A share of 1e-14 of at least the sum of absolute terms, and of no more than a few times that."""
    states, rng = enumerate_states(4), np.random.RandomState(0)
    counts = rng.gamma(0.3, 20.0, size=(16, 1))
    of, layer = regression_on(states, counts, on * counts * np.ones((16, 5))), Layer(np.full((5, 4), 2.0), np.full(5, 2.0))
    logits = layer.logits(states)
    terms = (of.moments * np.abs(layer.joined)).sum(axis=1) + (counts * np.logaddexp(0.0, logits)).sum(axis=0)
    noise = _Ascent(of, layer, RIDGE).noise / 1e-14
    assert (noise >= terms).all()
    assert (noise <= 1.5 * terms).all()


def test_steps_that_hardly_overshoot_are_taken_by_their_slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With logits that move by less than one; others are compared by objectives."""
    ascent, allowed = _Ascent(regression(), start(), RIDGE), []
    columns = np.arange(5)
    step, gain = ascent.newton(columns, ascent.exact)
    lengths = np.array([0.995, 1.005, 0.5, 2.0, 4.0])
    monkeypatch.setattr(ascent, "_longest", lambda step: lengths)
    monkeypatch.setattr(ascent, "_try", lambda columns, step, most: allowed.append(most) or np.ones(5, dtype=bool))
    ascent.move(columns, step, gain)
    np.testing.assert_allclose(allowed[0], np.where(lengths < 1.0, 0.1 * gain, 0.0), rtol=1e-12)


def test_a_step_within_what_is_allowed_needs_no_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    ascent, columns = _Ascent(regression(), start(), RIDGE), np.arange(5)
    for _ in range(4):
        ascent.move(columns, *ascent.newton(columns, ascent.exact))
    step, _ = ascent.newton(columns, ascent.exact)
    V = ascent.V + 2.0 * step
    slope = (ascent._slopes(V, columns)[0] * 2.0 * step).sum(axis=1)
    assert (slope < -ascent.noise).all()
    asked = []
    monkeypatch.setattr(ascent, "_objective", lambda V, columns: asked.append(columns) or np.zeros(len(columns)))
    assert ascent._try(columns, 2.0 * step, -1.001 * slope).all()
    assert not asked
    np.testing.assert_array_equal(ascent.V, V)
    ascent._try(columns, np.zeros_like(step), np.zeros(5))
    assert not asked


def test_the_longest_change_of_a_logit_is_that_of_all_blocks_of_states(monkeypatch: pytest.MonkeyPatch) -> None:
    of = regression()
    ascent, step = _Ascent(of, start(), RIDGE), 5.0 * np.random.RandomState(2).normal(size=(5, 5))
    monkeypatch.setattr(_odds, "_IN_CACHE", 15)
    np.testing.assert_allclose(ascent._longest(step), np.abs(of.design @ step.T).max(axis=0), rtol=1e-12)
