"""Entropy sums of models fitted by scikit-learn, against their own scores and plain formulas."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as SklearnFactorAnalysis
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from skentropy import PPCA, EntropySum, FactorAnalysis, GaussianMixture, PoissonMixture, entropy_sum
from skentropy.entropy import has_discrete_latents, has_entropy_sum, n_parameters

X = load_iris().data


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_gaussian_mixtures(covariance_type: str, ridge: float) -> None:
    options: dict[str, Any] = {"covariance_type": covariance_type, "tol": 1e-13, "max_iter": 20_000, "random_state": 1}
    model = SklearnGaussianMixture(2, reg_covar=ridge, **options).fit(X)
    terms = entropy_sum(model, X)
    assert terms.value == pytest.approx(model.score(X), abs=1e-9)
    assert (terms.penalty > 0) == (ridge > 0)
    assert n_parameters(model) == model._n_parameters()
    assert has_discrete_latents(model)
    # Term by term.
    covariances = {
        "full": lambda c: model.covariances_[c],
        "tied": lambda c: model.covariances_,
        "diag": lambda c: np.diag(model.covariances_[c]),
        "spherical": lambda c: np.eye(4) * model.covariances_[c],
    }[covariance_type]
    q = model.predict_proba(X)
    observable = sum(
        q[:, c].mean() * multivariate_normal(np.zeros(4), covariances(c), allow_singular=False).entropy() for c in range(2)
    )
    assert terms.observable == pytest.approx(observable, rel=1e-9)
    penalty = sum(q[:, c].mean() * 0.5 * ridge * np.trace(np.linalg.inv(covariances(c))) for c in range(2))
    assert terms.penalty == pytest.approx(penalty, rel=1e-9)
    start = {"weights_init": model.weights_, "means_init": model.means_, "covariances_init": model.covariances_}
    ours = GaussianMixture(2, covariance_type=covariance_type, reg_covar=ridge, tol=1e-13, **start).fit(X)
    found = ours.entropy_sum_
    for name in ("posterior", "prior", "observable", "penalty"):
        assert getattr(found, name) == pytest.approx(getattr(terms, name), rel=1e-6, abs=1e-8)
    assert ours.score(X) == pytest.approx(model.score(X), rel=1e-10)
    assert ours.bic(X) == pytest.approx(model.bic(X), rel=1e-10)
    for name in ("means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(model, name), rtol=1e-5, atol=1e-6)
    assert ours.n_parameters_ == n_parameters(model)


def test_an_early_stop_shows() -> None:
    with pytest.warns(UserWarning, match="converge"):
        model = SklearnGaussianMixture(3, max_iter=2, init_params="random", random_state=0).fit(X)
    assert abs(entropy_sum(model, X).value - model.score(X)) > 1e-3


def test_weights_count_copies() -> None:
    model = SklearnGaussianMixture(2, random_state=0).fit(X)
    counts = np.random.RandomState(0).randint(0, 3, size=len(X))
    weighted, copied = entropy_sum(model, X, counts), entropy_sum(model, np.repeat(X, counts, axis=0))
    assert weighted.value == pytest.approx(copied.value, rel=1e-12)


@pytest.mark.parametrize(("data", "h"), [(load_wine().data, 3), (load_digits().data[:50], 5), (X, 3), (X, 4)])
@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "randomized"])
def test_pca_is_corrected(data: Any, h: int, solver: str) -> None:
    pca = PCA(h, svd_solver=solver, random_state=0).fit(data)
    ppca = PPCA(h).fit(data)
    assert entropy_sum(pca).value == pytest.approx(ppca.entropy_sum_score(), rel=1e-6)
    assert n_parameters(pca) == ppca.n_parameters_
    assert not has_discrete_latents(pca)


def test_pca_without_components() -> None:
    assert entropy_sum(PCA(0).fit(X)).value == pytest.approx(PPCA(0).fit(X).entropy_sum_score(), rel=1e-12)


def test_pca_with_nothing_left_for_the_noise() -> None:
    few = np.random.RandomState(0).normal(size=(10, 20))
    with pytest.warns(ConvergenceWarning, match="explains the data completely"):
        ppca = PPCA(10).fit(few)
    assert entropy_sum(PCA().fit(few)).value == pytest.approx(ppca.entropy_sum_score(), rel=1e-6)


def test_factor_analysis() -> None:
    data = load_wine().data / load_wine().data.std(axis=0)
    model = SklearnFactorAnalysis(2, tol=1e-13, max_iter=100_000, svd_method="lapack").fit(data)
    assert entropy_sum(model).value == pytest.approx(model.score(data), abs=1e-6)
    assert entropy_sum(model).value == pytest.approx(FactorAnalysis(2).fit(data).entropy_sum_score(), abs=1e-6)
    assert n_parameters(model) == FactorAnalysis(2).fit(data).n_parameters_


def test_own_models_and_those_of_users() -> None:
    counts = load_digits().data[:200, 10:13]
    model = PoissonMixture(2, random_state=0).fit(counts)
    assert entropy_sum(model) == model.entropy_sum_
    assert entropy_sum(model, counts).value == pytest.approx(model.entropy_sum_.value, rel=1e-12)
    assert n_parameters(model) == model.n_parameters_
    assert has_discrete_latents(model)
    assert not has_discrete_latents(PPCA())
    with pytest.raises(TypeError, match=r"no entropy sum for LinearRegression.*entropy_sum\.register"):
        entropy_sum(LinearRegression(), X)
    with pytest.raises(TypeError, match=r"n_parameters\.register"):
        n_parameters(LinearRegression())

    class Mine(BaseEstimator):
        pass

    @entropy_sum.register(Mine)
    def _(model: Any, X: Any, sample_weight: Any = None) -> EntropySum:
        return EntropySum(1.0, 2.0, 3.0)

    assert entropy_sum(Mine(), X).value == -4.0
    assert has_entropy_sum(Mine())


def test_scikit_learns_models_are_known_from_the_start() -> None:
    code = """
import warnings; warnings.simplefilter("ignore")
import numpy as np, sklearn.mixture
from skentropy import GaussianMixture
from skentropy.entropy import has_discrete_latents, n_parameters
X = np.random.RandomState(0).normal(size=(50, 2))
assert has_discrete_latents(sklearn.mixture.GaussianMixture())
assert GaussianMixture(2).fit(X).n_parameters_ == n_parameters(sklearn.mixture.GaussianMixture(2).fit(X)) == 11
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("model", [PCA(), SklearnFactorAnalysis(), SklearnGaussianMixture(), GaussianMixture(), PPCA()])
def test_unfitted_models(model: Any) -> None:
    with pytest.raises(NotFittedError):
        entropy_sum(model, X)
