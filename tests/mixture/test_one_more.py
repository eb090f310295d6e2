"""One more component: the best candidate by second order, and a step of EM, by plain loops."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats

from skentropy import PoissonMixture
from skentropy.mixture._one_more import with_one_more
from skentropy.model_selection._resampling import warm


def table(zero_inflated: bool) -> tuple[Any, Any]:
    """Distinct rows of three groups, and weights."""
    rng = np.random.default_rng(3)
    X = np.unique(rng.poisson(np.repeat([[1.0, 9.0], [12.0, 3.0], [30.0, 30.0]], 16, axis=0)), axis=0).astype(float)
    X = np.vstack([np.zeros((1, 2)), X]) if zero_inflated else X
    return X, rng.exponential(size=len(X))


@pytest.mark.parametrize("zero_inflated", [False, True])
def test_the_new_component_is_the_best_by_second_order(zero_inflated: bool) -> None:
    X, w = table(zero_inflated)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of too few steps
        two = PoissonMixture(2, zero_inflated=zero_inflated, max_iter=5, random_state=0).fit(X, sample_weight=w)
    more = with_one_more(two, two._read(X, w))
    assert more is not None
    log_p = two.score_samples(X)
    candidates = (X + 0.05 * np.average(X, axis=0, weights=w)) / 1.05  # a row, and a twentieth of all rows
    ratio = np.exp(stats.poisson.logpmf(X, candidates[:, np.newaxis]).sum(axis=2) - log_p)
    slope = np.average(ratio - 1.0, axis=1, weights=w)
    curvature = np.average((ratio - 1.0) ** 2, axis=1, weights=w)
    best = int(np.where(slope > 0.0, slope**2 / curvature, 0.0).argmax())
    share = slope[best] / curvature[best]
    assert 1e-4 < share < 0.5
    rates = np.vstack([two.rates_, candidates[best]])
    joint = np.exp(stats.poisson.logpmf(X, rates[:, np.newaxis]).sum(axis=2))
    if zero_inflated:
        joint = np.vstack([joint, (X == 0.0).all(axis=1)])
    before = (1.0 - share) * two.weights_
    q = np.insert(before, 2, share)[:, np.newaxis] * joint
    q *= w / q.sum(axis=0)
    np.testing.assert_allclose(more.weights_, q.sum(axis=1) / w.sum(), rtol=1e-9)
    np.testing.assert_allclose(more.rates_, (q @ X / q.sum(axis=1, keepdims=True))[:3], rtol=1e-9)
    assert warm(more).n_components == more.n_components == 3


@pytest.mark.parametrize(
    ("X", "weight", "rate", "share"),
    [
        ([[14.0], [15.0], [16.0]], [1.0, 1.0, 1.0], 11.5, 0.5),  # all rows are elsewhere
        ([[5.0], [60.0]], [3.0, 1e-7], 5.0, 1e-4),  # one of many rows is
    ],
)
def test_a_new_component_is_of_half_of_the_rows_at_most_and_of_a_ten_thousandth_at_least(
    X: Any, weight: Any, rate: float, share: float
) -> None:
    model = PoissonMixture.from_parameters([1.0], [[rate]])
    more = with_one_more(model, model._read(np.array(X), np.array(weight)))
    assert more is not None
    x = np.array(X)[:, 0]
    found = []
    for candidate in (x + 0.05 * np.average(x, weights=weight)) / 1.05:
        ratio = np.exp(stats.poisson.logpmf(x, candidate) - stats.poisson.logpmf(x, rate))
        slope, curvature = (np.average((ratio - 1.0) ** power, weights=weight) for power in (1, 2))
        q = share * ratio / (1.0 - share + share * ratio)
        found.append((max(slope, 0.0) ** 2 / curvature, slope / curvature, np.average(q, weights=weight)))
    _, first, after = max(found)
    assert np.clip(first, 1e-4, 0.5) == share
    assert more.weights_[1] == pytest.approx(after, rel=1e-9)
