"""What a fit of a mixture looks at before its first step: a sample of the rows, and rows that repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skentropy import PoissonMixture
from skentropy.mixture._fit import MixtureFit


def fit_of(X: Any, n_components: int) -> MixtureFit:
    mixture = PoissonMixture(n_components, random_state=0)
    return MixtureFit(mixture, mixture._read(X, None, None, reset=True), X)


@pytest.mark.parametrize(("n_components", "n_rows"), [(2, 1024), (33, 33 * 32)])
def test_starts_are_chosen_from_so_many_rows_and_from_32_for_each_component(n_components: int, n_rows: int) -> None:
    X = np.random.RandomState(0).poisson(5.0, size=(1100, 100)).astype(float)
    assert fit_of(X, n_components)._sample.n_rows == n_rows


@pytest.mark.parametrize(("n_rows", "fitted"), [(19, 19), (20, 10)])
def test_rows_are_fitted_once_if_they_are_half_as_many(n_rows: int, fitted: int) -> None:
    fit = fit_of(np.resize(np.arange(10.0), n_rows)[:, np.newaxis], 2)
    assert fit._data.totals.n_rows == fitted
    assert fit._data.totals.weight == n_rows
