"""Components that collapse, that a bound holds, or that have no weight."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from skentropy import GaussianMixture, StudentTMixture
from skentropy.mixture._information import Metric
from skentropy.mixture._model import LOG_TINY
from tests.common.components import KINDS, problem
from tests.common.estimators import MEASURES

# Kinds for which a component that has no weight stands still by that alone, not by having no rows.
WEIGHED = ["PoissonMixture", "GammaMixture", "ExponentialFamilyMixture", "GaussianMixture-fa", "diag", "ColumnMixture"]


NARROW = [
    "GaussianMixture-full",
    "GaussianMixture-tied",
    "diag",
    "tied_diag",
    "GammaMixture",
    "ExponentialFamilyMixture-weibull",
]


def narrowed(components: Any, share: float) -> Any:
    """All components as wide as all rows but for a share of the variance, the spread, or the inverse squared shape."""
    pooled = dict(zip(components.attribute_names, components.standard(components.pooled_parameters(2)), strict=True))
    if "covariances" in pooled:
        pooled["covariances"] = share * pooled["covariances"]
    elif "scales" in pooled:
        pooled["shapes"] = pooled["shapes"] / np.sqrt(share)
    elif "rates" in pooled:
        pooled |= {name: pooled[name] / share for name in ("shapes", "rates")}
    else:
        family = components.family
        wanted, given = share * family.spread(components.pooled_parameters(1).eta)[0], pooled["concentrations"]

        def excess(log_factor: float) -> float:
            pooled["concentrations"] = np.exp(log_factor) * given
            return float(np.log(family.spread(components.natural(tuple(pooled.values())).eta)[0] / wanted))

        excess(optimize.brentq(excess, -1.0, 14.0, xtol=1e-10))
    return components.natural(tuple(pooled.values()))


@pytest.mark.parametrize(
    ("was", "is_now", "collapses"),
    [
        (1.0, 0.998e-3, True),
        (1.0, 1.002e-3, False),
        (1e-3, 0.498e-3, True),
        (1e-3, 0.502e-3, False),
        (1e-4, 0.498e-4, True),
    ],
)
@pytest.mark.parametrize("name", NARROW)
def test_components_collapse_that_are_narrow_and_become_narrower(
    name: str, was: float, is_now: float, collapses: bool
) -> None:
    """Less than a thousandth as wide as all rows, and less than half as wide as before."""
    components = problem(name)[0].components
    before, after = narrowed(components, was), narrowed(components, is_now)
    np.testing.assert_array_equal(components.collapsed(before, after), collapses)
    assert not components.degenerate(after)


@pytest.mark.parametrize("name", ["GaussianMixture-full", "GaussianMixture-tied", "StudentTMixture", "student-tied"])
def test_what_a_bound_holds_has_no_coordinates(name: str) -> None:
    """Two columns of the first component are the same."""
    model, _, parameters, block = problem(name)
    components = model.components
    standard = list(components.standard(parameters.components))
    S = standard[1] = standard[1].copy()
    S[..., 1, :], S[..., :, 1] = S[..., 0, :], S[..., :, 0]
    S[..., 1, 1] = S[..., 0, 0]
    if S.ndim == 3:
        S[1] = np.eye(S.shape[1])
    held = components.natural(tuple(standard))
    parameters = replace(parameters, components=held)
    statistics = model.expect(parameters, block)
    W = components.metric(held, statistics.components, statistics.counts).matrix()
    D = S.shape[-1] + S.shape[-1] * (S.shape[-1] + 1) // 2
    assert not W[0, :D].any()
    assert W[1, :D].any() == (S.ndim == 3)


@pytest.mark.parametrize("name", WEIGHED)
def test_nothing_moves_of_a_component_without_weight(name: str) -> None:
    model, _, parameters, block = problem(name)
    statistics = model.expect(parameters, block)
    log_weights = parameters.log_weights.copy()
    log_weights[0] = LOG_TINY
    W = Metric.at(model, replace(parameters, log_weights=log_weights), statistics).matrix()
    K = len(log_weights)
    W = W.reshape(K, -1, K, W.shape[1] // K)
    assert not W[0, :, 0].any()
    assert W[1, :, 1].any()


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "tied_diag", "fa", "student", "student_tied"])
def test_a_constant_column_is_named_as_constant(kind: str) -> None:
    X = np.column_stack([MEASURES[:, :2], np.full(len(MEASURES), 4.1), MEASURES[:, 2:]])
    model: Any = GaussianMixture(2, covariance_type=kind, max_iter=3, random_state=0)
    if kind.startswith("student"):
        model = StudentTMixture(2, scale_type="tied" if "tied" in kind else "full", max_iter=3, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    (told,) = [str(warning.message) for warning in caught if "bound" in str(warning.message)]
    assert "all the same in column 2" in told


POSITIVE = {
    "covariances",
    "noise_variances",
    "scales",
    "shapes",
    "rates",
    "degrees_of_freedom",
    "dispersions",
    "concentrations",
}


@pytest.mark.parametrize("name", [name for name in KINDS if name != "ColumnMixture"])
def test_small_parameters_are_allowed(name: str) -> None:
    components = problem(name)[0].components
    standard = components.standard(components.pooled_parameters(2 + components.n_fixed))
    names = components.attribute_names
    given = [1e-6 * value if name in POSITIVE else value for name, value in zip(names, standard, strict=True)]
    components.check_standard(tuple(given))


@pytest.mark.parametrize("name", list(KINDS))
def test_the_distribution_of_all_rows_and_that_of_a_step_have_what_is_given(name: str) -> None:
    """Such as the degrees of freedom, and what components share."""
    model, _, parameters, block = problem(name)
    components, K = model.components, len(parameters.log_weights) - model.components.n_fixed
    pooled = components.pooled_parameters(K + components.n_fixed)
    for own in (pooled, components.maximize(model.expect(parameters, block).components)):
        assert components.fits(components.standard(own), K)
