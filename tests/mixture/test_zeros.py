"""Values next to their limits: which are examined, how far from it they are, and from where those grow that are stuck."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skentropy._data import Rows
from skentropy._em import State
from skentropy.families import Bernoulli, Binomial, Poisson
from skentropy.mixture._dispersed_metric import MeanLimits
from skentropy.mixture._feature_limits import FeatureLimits
from skentropy.mixture._independent import Independent
from skentropy.mixture._model import LOG_TINY, MixtureModel, MixtureParameters
from skentropy.mixture._zeros import _Zeros, settle_zeros


@pytest.mark.parametrize("total", [0.2, 1.2, 300.0])
def test_components_of_a_thousandth_of_a_row_or_of_all_rows_are_examined(total: float) -> None:
    components = Independent(Poisson(), pooled=np.ones((1, 1)))
    own = components.parameters(np.zeros((1, 2, 1)))
    zeros = _Zeros(MixtureModel(components), MixtureParameters(np.log([0.5, 0.5]), own))
    limit = 1e-3 * min(total, 1.0)
    for share, examined in ((0.997, True), (1.003, False)):
        counts = np.array([share * limit, total - share * limit])
        found = zeros.near(MixtureParameters(np.log(counts / total), own), counts)
        np.testing.assert_array_equal(found.weights, [examined, False])


@pytest.mark.parametrize("family", [Poisson(), Bernoulli(), Binomial(7)], ids=repr)
@pytest.mark.parametrize("high", [False, True])
def test_means_are_examined_at_a_thousandth_of_the_pooled_distance_from_a_limit(family: Any, high: bool) -> None:
    top = family.upper_limit
    if high and not np.isfinite(top):
        return
    pooled = np.array([[0.8 * top if high else 0.3]])
    components = Independent(family, pooled=pooled)
    distance = (top - pooled).item() if high else pooled.item()
    for share, examined in ((0.997, True), (1.003, False)):
        mean = top - 1e-3 * share * distance if high else 1e-3 * share * distance
        own = components.parameters(family.natural(np.array([[[mean]]])))
        assert FeatureLimits(components, own).near(own) == [examined]
        limits = MeanLimits(pooled[0])
        assert high or limits.near(SimpleNamespace(means=np.array([[mean]]))) == [examined]


@pytest.mark.parametrize("family", [Bernoulli(), Binomial(7)], ids=repr)
def test_distances_from_the_limit_that_is_nearer(family: Any) -> None:
    components = Independent(family, pooled=np.full((1, 2), 0.5 * family.upper_limit))
    mean = np.array([[[0.3, 0.7]]]) * family.upper_limit
    own = components.parameters(family.natural(mean))
    found = FeatureLimits(components, own)._log_distance(own)
    np.testing.assert_allclose(np.exp(found), np.full((1, 1, 2), 0.3 * family.upper_limit), rtol=1e-12)


def test_a_weight_that_is_stuck_is_raised_to_a_tenth_of_the_mean_weight_and_to_less_until_that_is_better() -> None:
    """Rows between two components, whose own component has a weight of zero."""
    X = np.repeat([0.0, 10.0, 40.0], 20)[:, np.newaxis]
    components = Independent(Poisson(), pooled=np.array([[X.mean()]]))
    model = MixtureModel(components)
    own = components.parameters(Poisson().natural(np.array([[[0.1], [40.0], [10.0]]])))
    weights = np.array([0.5, 0.5, 0.0])
    parameters = MixtureParameters(np.array([*np.log(weights[:2]), LOG_TINY]), own)
    rows, tried = Rows(X), []

    def evaluate(parameters: MixtureParameters, never: float = np.inf) -> State:
        statistics = rows.sum(partial(model.expect, parameters))
        tried.append(np.exp(parameters.log_weights[2]))
        objective = model.elbo(statistics) - (never if tried[-1] > 1e-3 else 0.0)
        return State(parameters, statistics, objective, objective)

    start = evaluate(parameters)
    tried.clear()
    state, raised = settle_zeros(model, evaluate, start)
    assert raised
    raises = np.array(tried[1:])
    np.testing.assert_allclose(raises / (1.0 - raises), np.array([0.1, 0.01, 0.001]) / 3.0, rtol=1e-9)
    assert state.parameters.log_weights[2] == np.log(raises[-1])
