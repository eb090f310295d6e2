"""What a fit says of itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skentropy import ColumnMixture, PoissonMixture
from skentropy.families import Poisson
from skentropy.mixture._report import degenerate_covariances, degenerate_features


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
