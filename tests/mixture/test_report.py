"""What a fit says of itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skentropy import ColumnMixture, PoissonMixture
from skentropy.families import Poisson
from skentropy.mixture._column_plan import plan_columns
from skentropy.mixture._independent import Independent
from skentropy.mixture._model import MixtureModel, MixtureParameters
from skentropy.mixture._report import degenerate_covariances, degenerate_features, duplicates


@pytest.mark.parametrize(
    ("log_ratio", "weight", "are_duplicates"), [(0.005, 0.5, False), (0.005, 0.01, True), (0.1, 0.01, False)]
)
def test_duplicates_are_what_the_rows_of_the_smaller_component_cannot_tell_apart(
    log_ratio: float, weight: float, are_duplicates: bool
) -> None:
    X = np.random.RandomState(0).poisson(4.0, size=(300, 3))
    rates = 4.0 * np.exp(np.array([[0.0] * 3, [log_ratio] * 3]))
    # Kullback-Leibler divergence of Poisson distributions, over three columns.
    divergence = 3 * 4.0 * (np.exp(log_ratio) - 1.0 - log_ratio)
    assert (300 * weight * divergence < 1e-3) == are_duplicates
    assert 300 * (1 - weight) * divergence > 1e-3
    model = PoissonMixture(2, weights_init=[1 - weight, weight], rates_init=rates, max_iter=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X)
    assert any("duplicates of each other" in str(warning.message) for warning in caught) == are_duplicates


def fitted(X: np.ndarray, n_components: int) -> PoissonMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PoissonMixture(n_components, max_iter=2, random_state=0).fit(X)


def test_three_are_named_and_the_others_counted() -> None:
    """Singular covariances, parameters that reach a limit, and those without a standard error."""
    counts = np.random.RandomState(0).poisson(4.0, size=(40, 6)).astype(float)
    model = fitted(counts, 5)
    (told,) = degenerate_covariances(model, np.ones((5, 6), dtype=bool), np.zeros(6, dtype=bool))
    assert "; and of 2 more is (nearly) singular" in told
    rates = np.full((1, 5, 6), 4.0)
    rates[0, :, 2] = 0.0
    (told,) = degenerate_features(model, Poisson(), np.full((1, 6), 4.0), Poisson().natural(rates))
    assert "component 0 in column 2, component 1 in column 2, component 2 in column 2 and 2 more are at the limit" in told
    assert "(5 of 30 parameters)" in told
    counts[:20, :5], counts[:, 5] = 0.0, np.repeat([1.0, 90.0], 20)
    with pytest.warns(UserWarning, match=r"and 2 more, at the limit of its range"):
        fitted(counts, 2).standard_errors(counts)


@pytest.mark.parametrize("total", [1.0, 1e-9, 1e-60])
def test_weights_may_be_shares_of_any_sum(total: float) -> None:
    X = np.random.RandomState(0).poisson(np.repeat([2.0, 20.0], 50)[:, np.newaxis] * np.ones(2))
    model = PoissonMixture(2, random_state=0).fit(X, sample_weight=np.full(100, total / 100.0))
    assert model.converged_


def test_rare_events_may_reach_their_limit_and_columns_without_any_do_not() -> None:
    model = fitted(np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 5.0]]), 2)
    eta = Poisson().natural(np.array([[[0.0, 0.0], [0.01, 0.0]]]))
    (told,) = degenerate_features(model, Poisson(), np.array([[0.005, 0.0]]), eta)
    assert "component 0 in column 0 is at the limit" in told


@pytest.mark.parametrize(("column", "told"), [(np.repeat(np.arange(10.0), 20), False), (np.arange(200.0).clip(60.0), True)])
def test_values_that_all_repeat_are_no_point_mass(column: np.ndarray, told: bool) -> None:
    X = np.column_stack([0.37 * column + 0.1, np.random.RandomState(0).normal(size=200)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ColumnMixture([("all", "gaussian", [0, 1])], max_iter=3, random_state=0).fit(X)
    assert any("a component of a continuous family can collapse" in str(warning.message) for warning in caught) == told


@pytest.mark.parametrize(("share", "are_duplicates"), [(0.997, True), (1.003, False)])
def test_duplicates_differ_by_less_than_a_thousandth_of_a_nat(share: float, are_duplicates: bool) -> None:
    components = Independent(Poisson())
    parameters = MixtureParameters(np.log([0.8, 0.2]), components.parameters(Poisson().natural(np.array([[[2.0], [2.1]]]))))
    n_rows = share * 1e-3 / (0.2 * components.divergence(parameters.components, 0)[1])
    assert duplicates(MixtureModel(components), parameters, n_rows) == ([(0, 1)] if are_duplicates else [])


@pytest.mark.parametrize(
    ("n_equal", "n_distinct", "told"), [(501, 9500, True), (499, 9500, False), (1004, 100, True), (996, 100, False)]
)
def test_point_masses_are_a_twentieth_of_all_values_and_ten_times_as_many_as_of_another(
    n_equal: int, n_distinct: int, told: bool
) -> None:
    """Of 10,000 values."""
    others = np.resize(np.arange(1.0, n_distinct), 10_000 - n_equal)
    X = 0.37 * np.append(others, np.zeros(n_equal))[:, np.newaxis]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan_columns(X, [("all", "gaussian", [0])], "drop", "error")
    assert any("a component of a continuous family can collapse" in str(warning.message) for warning in caught) == told
