"""Rows in single precision: parameters that it cannot hold are kept in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skentropy import ColumnMixture, ExponentialFamilyMixture, GaussianMixture, PoissonMixture, StudentTMixture
from skentropy.mixture._component_attributes import narrow

TYPES = ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical", "ppca", "fa")
FAMILIES = ("gaussian", "gamma", "exponential", "inverse_gaussian", "log_normal", "weibull")
MODELS = {
    **{f"GaussianMixture, {kind}": GaussianMixture(2, covariance_type=kind, random_state=0) for kind in TYPES},
    **{f"StudentTMixture, {kind}": StudentTMixture(2, scale_type=kind, random_state=0) for kind in ("full", "tied")},
    "ColumnMixture": ColumnMixture([("pair", GaussianMixture(), [0, 1]), ("rest", "gaussian", [2])], 2, random_state=0),
    **{family: ExponentialFamilyMixture(family, 2, random_state=0) for family in FAMILIES},
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_tiny_values(model: Any) -> None:
    X = (1e-25 * load_iris().data[:, :3]).astype(np.float32)
    mixture = model.fit(X)
    assert mixture.score(X) == pytest.approx(mixture.lower_bound_, abs=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", [name for name in MODELS if name not in FAMILIES])
def test_columns_that_are_nearly_the_same(name: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)).astype(np.float32)
    X[:, 1] = X[:, 0] + 1e-5 * rng.normal(size=300)
    mixture = MODELS[name].fit(X)
    assert mixture.score(X) == pytest.approx(mixture.lower_bound_, abs=1e-5)


def test_covariances_that_single_precision_holds_stay_in_it() -> None:
    X = load_iris().data.astype(np.float32)
    mixture = GaussianMixture(2, random_state=0).fit(X)
    for name in ("means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(mixture, name).dtype == np.float32
    np.testing.assert_allclose(mixture.precisions_ @ mixture.covariances_, np.tile(np.eye(4), (2, 1, 1)), atol=1e-4)


def test_values_that_single_precision_would_lose_stay_in_double_precision() -> None:
    single = np.dtype(np.float32)
    for lost in (1e-60, -1e-60, 1e60):
        assert narrow(np.array([0.01, lost]), single).dtype == np.float64
    assert narrow(np.array([0.0, 0.01, np.inf]), single).dtype == np.float32


def test_weights_in_single_precision_are_those_of_draws() -> None:
    """Though they do not sum to one."""
    mixture = PoissonMixture.from_parameters(np.full(7, 1 / 7), np.arange(1.0, 8.0)[:, np.newaxis])
    mixture.weights_ = np.full(7, 1 / 7 * (1.0 + 1e-6), dtype=np.float32)
    assert abs(mixture.weights_.astype(float).sum() - 1.0) > 1e-7
    _, labels = mixture.sample(700, random_state=0)
    assert np.bincount(labels, minlength=7).min() > 60
