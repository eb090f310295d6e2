"""The ELBO is a sum of entropies: at the maximum, and after each step of PX-EM."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skentropy._em import run_em
from skentropy.decomposition import PPCA, FactorAnalysis
from skentropy.decomposition._em_model import StandardisedData, Table
from skentropy.decomposition._gaussian import LinearGaussian


@pytest.mark.parametrize("solver", ["covariance_eigh", "arpack"])
@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("wine", range(1, 13)),
        ("breast_cancer", range(1, 30)),
        # Three columns are constant: beyond 60 components nothing is left for the noise.
        ("digits", [1, 2, 5, 10, 20, 30, 40, 50, 55, 58, 59, 60]),
    ],
)
def test_ppca_entropy_sum_is_log_likelihood(load, name, dimensions, solver):
    X = load(name)
    for h in dimensions:
        model = PPCA(h, solver=solver).fit(X)
        assert model.entropy_sum_score() == pytest.approx(model.score(X), abs=1e-10, rel=0)
        assert model.lower_bound_ == pytest.approx(model.score(X), abs=1e-10, rel=0)
        assert model.stationarity_gap(X) == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("solver", ["covariance_eigh", "arpack"])
@pytest.mark.parametrize("h", [61, 62, 63])
def test_gap_of_ppca_without_noise_is_half_a_nat_for_each_constant_column(load, h, solver):
    X = load("digits")
    with pytest.warns(ConvergenceWarning, match="explains the data completely"):
        model = PPCA(h, solver=solver).fit(X)
    assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-9)
    assert model.stationarity_gap_ == pytest.approx(-1.5, abs=1e-6)
    assert model.stationarity_gap(X) == pytest.approx(-1.5, abs=1e-6)


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "digits"])
def test_path_is_what_each_fit_gives(load, name):
    X = load(name)
    path = PPCA(1).fit(X).entropy_sum_path_
    assert len(path) == X.shape[1]
    assert (np.diff(path[:30]) > 0).all()
    for h in (0, 1, 4, 12):
        assert path[h] == pytest.approx(PPCA(h).fit(X).score(X), abs=1e-10, rel=0)
    np.testing.assert_allclose(PPCA(8, solver="arpack").fit(X).entropy_sum_path_, path[:9], atol=1e-9)


def test_path_by_the_corrected_equation_29(load):
    X = load("wine")
    model = PPCA(3).fit(X)
    W, noise = model.components_.T, model.noise_variance_
    log_det = np.linalg.slogdet(W.T @ W / noise + np.eye(3))[1]
    expected = -0.5 * log_det - 0.5 * 13 * np.log(2 * np.pi * np.e * noise)
    assert model.entropy_sum_path_[3] == pytest.approx(expected, rel=1e-12)
    assert model.entropy_sum_score() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("name", "k"), [("wine", 1), ("wine", 2), ("wine", 3), ("breast_cancer", 2), ("mtcars", 2)])
def test_factor_analysis_entropy_sum_is_log_likelihood(load, name, k):
    X = load(name)
    model = FactorAnalysis(k).fit(X)
    assert model.heywood_.size == 0
    assert model.entropy_sum_score() == pytest.approx(model.score(X), abs=1e-6, rel=0)
    assert model.stationarity_gap_ == pytest.approx(0.0, abs=1e-6)


def test_gap_on_other_data_is_their_distance(load):
    X = load("wine")
    for model in (PPCA(3).fit(X[::2]), FactorAnalysis(3).fit(X[::2])):
        other = X[1::2] - model.mean_
        distance = ((other @ model.get_precision()) * other).sum(axis=1).mean()
        assert model.stationarity_gap(X[1::2]) == pytest.approx(0.5 * (distance - 13), rel=1e-9)


def test_score_samples_agrees_with_pca_once_denominators_match(load):
    X = load("wine")
    pca = PCA(4).fit(X)
    pca.explained_variance_ = pca.explained_variance_ * (len(X) - 1) / len(X)
    pca.noise_variance_ = pca.noise_variance_ * (len(X) - 1) / len(X)
    np.testing.assert_allclose(PPCA(4).fit(X).score_samples(X), pca.score_samples(X), rtol=1e-9)


def triple(parameters):
    return parameters.mean, parameters.loadings, parameters.noise


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("gaps", [True, False])
def test_px_em_identity_at_every_iteration(incomplete, log_likelihood, elbo, isotropic, gaps):
    X, weight = incomplete
    X = X if gaps else np.nan_to_num(X)
    floor = np.full(6, 1e-9)
    data = StandardisedData.of(Table.of(X, weight), np.zeros(6), np.ones(6), isotropic=isotropic, floor=floor)
    model = data.model
    rng = np.random.default_rng(0)
    old = LinearGaussian.of(rng.normal(size=6), rng.normal(size=(6, 2)), rng.uniform(0.5, 2.0, 1 if isotropic else 6))
    old = LinearGaussian.of(old.mean, old.loadings, np.broadcast_to(old.noise, 6))
    for _ in range(12):
        statistics = data.expect(old)
        new = model.maximize(statistics)
        terms = model.entropy_sum(new, statistics)
        # The posteriors in the coordinates in which the expanded prior is standard normal again.
        mean, covariance = model._latent_moments(statistics)
        root = np.linalg.cholesky(covariance)
        assert terms.value == pytest.approx(expanded_elbo(elbo, X, old, new, mean, root, weight), abs=1e-11)
        assert terms.penalty == 0.0
        before, after = (log_likelihood(X, p.mean, p.covariance(), weight) for p in (old, new))
        assert model.elbo(statistics) == pytest.approx(before, abs=1e-11)
        assert before <= terms.value + 1e-12
        assert terms.value <= after + 1e-12
        old = new


def expanded_elbo(elbo, X, old, new, mean, root, weight):
    """The ELBO of the old posteriors of z under N(a, R) and the p(x | z) that the absorbed parameters stand for."""
    regression = new.loadings @ np.linalg.inv(root)
    unshifted = new.mean - regression @ mean
    value = elbo(X, triple(old), (unshifted, regression, new.noise), weight)
    # Replace the standard normal prior of the brute force by N(a, R), whose cross entropy is its entropy.
    covariance = root @ root.T
    k = len(mean)
    value += 0.5 * (k * np.log(2 * np.pi) + np.trace(covariance) + mean @ mean)
    return value - 0.5 * (k * np.log(2 * np.pi * np.e) + np.linalg.slogdet(covariance)[1])


@pytest.mark.parametrize("isotropic", [True, False])
def test_identity_with_the_multiplier_of_a_floor(incomplete, log_likelihood, isotropic):
    X, weight = incomplete
    floor = np.full(6, 0.9) if isotropic else np.array([0.3, 2.0, 0.1, 3.0, 0.1, 0.3])
    data = StandardisedData.of(Table.of(X, weight), np.zeros(6), np.ones(6), isotropic=isotropic, floor=floor)
    start = LinearGaussian.of(np.zeros(6), np.eye(6)[:, :2], np.full(6, 3.0))
    run = run_em(data.model, data.expect, start, tol=1e-13, max_iter=500)
    assert run.converged
    assert run.entropy_sums[-1].value == pytest.approx(run.state.elbo, abs=1e-9)
    assert (run.entropy_sums[-1].penalty != 0.0) == (run.state.parameters.noise <= floor).any()
    assert (np.diff(run.lower_bounds) > -1e-12).all()


@pytest.mark.parametrize("estimator", [PPCA, FactorAnalysis])
def test_bounds_interleave_with_entropy_sums(incomplete, estimator):
    X, weight = incomplete
    model = estimator(2, accelerate=False, tol=1e-9, max_iter=5000).fit(X, sample_weight=weight)
    bounds, sums = model.lower_bounds_, [terms.value for terms in model.entropy_sums_]
    assert len(bounds) == len(sums) == model.n_iter_
    assert all(low <= value + 1e-12 for low, value in zip(bounds, sums[1:], strict=False))
    assert all(value <= high + 1e-12 for value, high in zip(sums, bounds, strict=True))


def test_px_em_takes_a_tenth_of_the_iterations(load):
    X = load("digits")
    model = PPCA(5, solver="em", accelerate=False, tol=1e-9, random_state=0).fit(X)
    assert model.n_iter_ < 80
    assert model.lower_bound_ == pytest.approx(PPCA(5).fit(X).lower_bound_, abs=1e-7)
    accelerated = PPCA(5, solver="em", tol=1e-9, random_state=0).fit(X)
    assert accelerated.n_iter_ < model.n_iter_


@pytest.mark.parametrize("estimator", [PPCA, FactorAnalysis])
def test_entropy_sum_with_gaps_counts_what_is_observed(incomplete, log_likelihood, estimator):
    X, weight = incomplete
    model = estimator(2, tol=1e-13, max_iter=5000).fit(X, sample_weight=weight)
    noise = np.broadcast_to(model.noise_variance_, 6)
    posterior = observable = 0.0
    for x, w in zip(X, weight / weight.sum(), strict=True):
        seen = ~np.isnan(x)
        W = model.components_.T[seen]
        posterior += w * (np.log(2 * np.pi * np.e) - 0.5 * np.linalg.slogdet(W.T / noise[seen] @ W + np.eye(2))[1])
        observable += w * 0.5 * np.log(2 * np.pi * np.e * noise[seen]).sum()
    for terms in (model.entropy_sum(), model.entropy_sum(X, sample_weight=weight)):
        assert terms.posterior == pytest.approx(posterior, abs=1e-10)
        assert terms.observable == pytest.approx(observable, abs=1e-10)
        assert terms.prior == pytest.approx(np.log(2 * np.pi * np.e))
    assert model.score(X, sample_weight=weight) == pytest.approx(
        log_likelihood(X, model.mean_, model.get_covariance(), weight), abs=1e-11
    )
    assert model.stationarity_gap_ == pytest.approx(0.0, abs=2e-6)
