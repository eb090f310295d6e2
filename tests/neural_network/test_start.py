"""Where belief nets start: which unit is of no use, and what takes its place."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from skentropy.neural_network._start import usefulness, with_new_unit
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
