"""What a fit says of itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skentropy import PoissonMixture


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
