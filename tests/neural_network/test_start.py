"""Where belief nets start: which unit is of no use, and what takes its place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from skentropy._em import State
from skentropy.neural_network._layers import BeliefNet, Layer
from skentropy.neural_network._report import _list_variables
from skentropy.neural_network._start import (
    best_start,
    random_units,
    replace_weak_units,
    units_of_rows,
    usefulness,
    with_new_unit,
)
from tests.common.nets import data, naive_posterior, random_net


def test_usefulness_is_what_the_likelihood_loses_without_a_unit() -> None:
    net = random_net((3,), 5, np.random.RandomState(0))
    X, weight = data(gaps=False)
    X = X[:, :5]
    weight = np.ones(len(X)) if weight is None else weight
    log_evidence, marginals = np.empty(len(X)), np.zeros((len(X), 3))
    without = np.empty((len(X), 3))
    for n, x in enumerate(X):
        log_evidence[n], posterior = naive_posterior(net, x)
        for state, q in posterior.items():
            marginals[n] += q * np.array(state)
        for h in range(3):
            # The net in which the unit is always off.
            off = sum(q for state, q in posterior.items() if state[h] == 0)
            without[n, h] = log_evidence[n] + np.log(off) - np.log(1.0 - expit(net.prior_logits[h]))
    expected = np.average(log_evidence[:, np.newaxis] - without, axis=0, weights=weight)
    np.testing.assert_allclose(usefulness(net, marginals, weight), expected, rtol=1e-9)


def test_a_unit_made_of_a_row_switches_on_what_the_row_has_more_than_expected() -> None:
    net = random_net((3,), 6, np.random.RandomState(0))
    row = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    expected = expit(net.layers[0].weights @ expit(net.prior_logits) + net.layers[0].offsets)
    rng = np.random.RandomState(1)
    drawn = np.array([with_new_unit(net, 1, row, rng).layers[0].weights for _ in range(400)])
    assert (np.abs(drawn[:, :, 1].mean(axis=0) - 4.0 * (row - expected)) < 5 * 0.5 / np.sqrt(400)).all()
    np.testing.assert_array_equal(drawn[0][:, [0, 2]], net.layers[0].weights[:, [0, 2]])


def state_of(net: Any, objective: float) -> State:
    return State(SimpleNamespace(net=net), None, objective, objective)


def test_of_several_starts_the_best_go_on() -> None:
    X, weight = np.random.RandomState(0).randint(2, size=(30, 5)).astype(float), np.ones(30)
    tried: list[tuple[float, int]] = []

    def climb(net: Any, n_steps: int) -> State:
        tried.append((float(net.layers[0].weights.sum()), n_steps))
        return state_of(net, tried[-1][0])

    best = best_start(climb, X, weight, (3,), np.random.RandomState(1), ((4, 2), (2, 5), (1, 9)))
    values = sorted((value for value, _ in tried[:4]), reverse=True)
    assert best.objective == values[0] > values[1]
    assert tried[4:] == [(values[0], 5), (values[1], 5), (values[0], 9)]


def test_units_of_rows_are_rows_but_for_noise() -> None:
    X = np.random.RandomState(0).randint(2, size=(40, 30)).astype(float)
    weights = units_of_rows(X, np.ones(40), (8,), np.random.RandomState(1)).layers[0].weights
    left = [min(np.abs(own - 2.0 * row).max() for row in X) for own in weights.T]
    assert 0.5 < max(left) < 5.0 * 0.5


def test_weak_units_are_replaced_by_rows_that_are_badly_explained() -> None:
    """The least useful one, and after a failure the next; rows by the squares of what they lack, times their weights."""
    net, X = random_net((2,), 6, np.random.RandomState(0)), np.eye(6)[:3]
    weight, marginals = np.array([1.0, 9.0, 5.0]), np.array([[0.9, 0.5], [0.1, 0.5], [0.3, 0.5]])
    order = np.argsort(usefulness(net, marginals, weight))
    chosen: list[int] = []

    def climb(trial: Any) -> State:
        changed = trial.layers[0].weights - net.layers[0].weights
        units.append(int(np.flatnonzero(changed.any(axis=0))[0]))
        chosen.append(int(trial.layers[0].weights[:2, units[-1]].argmax()))
        return state_of(trial, -1.0)

    # The third row is explained better than the mean, and of the first two one lacks twice as much as the other.
    mean = -10.0
    likelihood = np.array([mean - 2.0, mean - 1.0, 0.0])
    likelihood[2] = (weight.sum() * mean - weight[:2] @ likelihood[:2]) / weight[2]
    for seed in range(400):
        units: list[int] = []
        replace_weak_units(
            state_of(net, 0.0), climb, lambda _: (likelihood, marginals), X, weight, np.random.RandomState(seed), 2
        )
        assert units == order.tolist()
    assert abs(np.mean(chosen) - 9.0 / (4.0 + 9.0)) < 0.04


def test_units_are_replaced_until_three_fail_in_a_row() -> None:
    net, (X, weight) = random_net((5,), 5, np.random.RandomState(0)), data(gaps=False)
    marginals = np.random.RandomState(1).uniform(size=(len(X), 5))
    order = np.argsort(usefulness(net, marginals, weight)).tolist()
    likelihood = -np.arange(len(X)) - 1.0

    def replaced(objectives: list[float], likelihood: Any = likelihood, attempts: int = 9) -> list[int]:
        remaining, units = iter(objectives), list[int]()

        def climb(trial: Any) -> State:
            changed = trial.layers[0].weights - net.layers[0].weights
            units.append(int(np.flatnonzero(changed.any(axis=0))[0]))
            return state_of(net, next(remaining))

        explained = (likelihood, marginals)
        replace_weak_units(state_of(net, 0.0), climb, lambda _: explained, X, weight, np.random.RandomState(2), attempts)
        return units

    assert replaced([-1.0] * 9) == order[:3]
    assert replaced([-1.0, -1.0, 1.0, 0.5, 2.0, 1.0, 1.0, 1.0]) == order[:3] + order[:2] + order[:3]
    assert replaced([-1.0] * 9, attempts=2) == order[:2]
    # Rows that are all explained alike give no unit.
    assert replaced([], np.full(len(X), -3.0)) == []


def test_a_new_unit_has_four_times_what_a_row_has_more_than_expected() -> None:
    row = np.arange(200_000) % 2.0
    net = BeliefNet(np.zeros(1), (Layer(np.zeros((len(row), 1)), np.zeros(len(row))),))
    weights = with_new_unit(net, 0, row, np.random.RandomState(0)).layers[0].weights[:, 0]
    assert weights[row == 1].mean() == pytest.approx(2.0, abs=6e-3)
    assert weights[row == 0].mean() == pytest.approx(-2.0, abs=6e-3)
    assert (weights - 4.0 * (row - 0.5)).std() == pytest.approx(0.5, abs=3e-3)


def test_units_of_rows_have_twice_the_row_and_half_as_much_noise() -> None:
    row = np.arange(200_000) % 2.0
    net = units_of_rows(row[np.newaxis], np.ones(1), (1,), np.random.RandomState(0))
    weights = net.layers[0].weights[:, 0]
    assert weights[row == 1].mean() == pytest.approx(2.0, abs=6e-3)
    assert weights[row == 0].mean() == pytest.approx(0.0, abs=6e-3)
    assert (weights - 2.0 * row).std() == pytest.approx(0.5, abs=3e-3)
    np.testing.assert_array_equal(net.layers[0].offsets, -2.0)
    assert net.prior_logits == pytest.approx(logit(0.25), rel=1e-12)


def test_units_of_rows_are_made_of_a_row_and_of_noise_in_this_order() -> None:
    X, random_state = np.random.default_rng(0).integers(2, size=(9, 6)), np.random.RandomState(5)
    rows, noise = random_state.choice(9, size=3, p=np.full(9, 1 / 9)), random_state.normal(size=(6, 3))
    net = units_of_rows(X, np.ones(9), (3,), np.random.RandomState(5))
    np.testing.assert_allclose(net.layers[0].weights, 2.0 * X[rows].T + 0.5 * noise, rtol=1e-12)


def test_random_units_are_added_to_features_that_are_neither_rare_nor_frequent() -> None:
    means = np.array([0.0, 0.00995, 0.01005, 0.5, 0.98995, 0.99005, 1.0])
    net = random_units(means[np.newaxis], np.ones(1), (2,), np.random.RandomState(0))
    np.testing.assert_allclose(expit(net.layers[0].offsets), np.clip(means, 0.01, 0.99), rtol=1e-10)


@pytest.mark.parametrize(("kind", "share"), [(units_of_rows, 0.25), (random_units, 0.5)])
def test_starts_have_as_many_units_on_as_they_should(kind: Any, share: float) -> None:
    """Random units lie around independent features; above a layer all is near independence."""
    X, weight = data(gaps=False, n=60)
    for sizes in ((4,), (4, 3)):
        net = kind(X, weight, sizes, np.random.RandomState(0))
        near = net.prior_logits if len(sizes) == 1 else net.layers[1].offsets
        np.testing.assert_allclose(near, logit(share), rtol=1e-12, atol=1e-15)
        if len(sizes) == 2:
            np.testing.assert_array_equal(net.prior_logits, 0.0)
        if kind is random_units:
            np.testing.assert_allclose(expit(net.layers[0].offsets), np.average(X, axis=0, weights=weight), rtol=1e-12)


def test_variables_are_listed_up_to_6() -> None:
    assert _list_variables(np.arange(8), "on") == "hidden variables 0, 1, 2, 3, 4, 5 and 2 more are always on and carry"
    assert _list_variables(np.arange(6), "off") == "hidden variables 0, 1, 2, 3, 4, 5 are always off and carry"
