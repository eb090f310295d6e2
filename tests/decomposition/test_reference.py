"""Reference values from other people's software (R's factanal, lavaan, the closed form in R)."""

import json
from pathlib import Path

import numpy as np
import pytest

from skentropy.decomposition import PPCA, FactorAnalysis

ROWS = json.loads((Path(__file__).parent / "data" / "factor.json").read_text())
ESTIMATORS = {"PPCA": PPCA, "FactorAnalysis": FactorAnalysis}


def identify(row):
    return f"{row['model']}-{row['data']}-{row['k']}"


@pytest.fixture(params=ROWS, ids=identify)
def row(request):
    return request.param


@pytest.fixture
def fitted(row, load):
    X = load(row["data"])
    assert X.shape == (row["n"], row["p"])
    if row.get("standardised"):
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, ESTIMATORS[row["model"]](row["k"]).fit(X)


def test_log_likelihood(row, fitted):
    X, model = fitted
    expected = row["mean_loglik"] if "mean_loglik" in row else row["total_loglik"] / row["n"]
    assert model.score(X) == pytest.approx(expected, rel=1e-11)
    assert model.lower_bound_ == pytest.approx(expected, rel=1e-11)
    assert model.converged_
    assert np.isnan(X).sum() == row.get("n_missing", 0)


def test_parameters(row, fitted):
    X, model = fitted
    noise = np.broadcast_to(model.noise_variance_, X.shape[1])
    if "noise_variance" in row:
        np.testing.assert_allclose(noise, row["noise_variance"], rtol=1e-12)
    if "uniquenesses" in row:
        np.testing.assert_allclose(noise, row["uniquenesses"], rtol=2e-5)
        np.testing.assert_allclose(model.mean_, row["mean"], atol=1e-5)
    if "uniquenesses_correlation_scale" in row:
        scale = X.std(axis=0)
        np.testing.assert_allclose(noise / scale**2, row["uniquenesses_correlation_scale"], rtol=2e-6)
        loadings, expected = model.components_.T / scale[:, np.newaxis], np.array(row["loadings_correlation_scale"])
        left, _, right = np.linalg.svd(loadings.T @ expected)
        np.testing.assert_allclose(loadings @ left @ right, expected, atol=1e-7)


def test_digits_first50_noise_is_maximum_likelihood_for_every_solver(load):
    X = load("digits_first50")
    for solver in ("covariance_eigh", "arpack", "em"):
        assert PPCA(5, solver=solver, random_state=0, tol=1e-14).fit(X).noise_variance_ == pytest.approx(
            6.95264624938048, rel=1e-7
        )


def test_bfi_five_factors_beats_every_random_start(load):
    X = load("bfi")
    model = FactorAnalysis(5).fit(X)
    best = FactorAnalysis(5, n_init=3, random_state=0, tol=1e-7).fit(X)
    assert model.lower_bound_ >= best.lower_bound_ - 1e-7
