"""A uniform component for outliers: its density by definition, the identity, labels, what users give."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy.integrate import trapezoid
from scipy.optimize import minimize
from scipy.special import entr, expit, logsumexp, softmax
from scipy.stats import multivariate_normal, norm, poisson
from sklearn.exceptions import ConvergenceWarning

from skentropy import GaussianMixture, rank_models
from skentropy._data import Block
from skentropy._data._columns import survey_columns
from skentropy.families import Poisson
from skentropy.mixture import NormalInverseWishart
from skentropy.mixture._covariance_types import COVARIANCE_TYPES
from skentropy.mixture._independent import Independent
from skentropy.mixture._noise import WithNoise


def spotted(seed: int = 0) -> tuple[Any, Any, Any]:
    """Two clusters and an eighth of noise; labels and weights."""
    rng = np.random.default_rng(seed)
    clusters = rng.normal(size=(350, 3))
    clusters[200:] = 0.5 * clusters[200:] + [5.0, 4.0, 0.0]
    X = np.concatenate([clusters, rng.uniform(-15.0, 15.0, size=(50, 3))])
    return X, np.repeat([0, 1, -1], [200, 150, 50]), rng.integers(0, 4, size=400).astype(float)


def with_gaps(X: Any) -> Any:
    return np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)


def log_joint(X: Any, model: GaussianMixture) -> Any:
    """By definition, of what is observed, (n, K + 1)."""
    d = X.shape[1]
    log_sides = np.log(model.noise_box_[1] - model.noise_box_[0])
    joint = np.tile(np.log(model.weights_), (len(X), 1))
    for c in range(model.n_components):
        S = np.asarray(model.covariances_)
        S = S if model.covariance_type.startswith("tied") else S[c]
        S = S if S.ndim == 2 else np.diag(np.broadcast_to(S, d))
        for n, x in enumerate(X):
            o = ~np.isnan(x)
            if o.any():
                joint[n, c] += multivariate_normal.logpdf(x[o], model.means_[c, o], S[np.ix_(o, o)])
    joint[:, -1] -= ~np.isnan(X) @ log_sides
    return joint


def test_labels_are_those_of_the_fit_whatever_is_set_since() -> None:
    X = np.random.RandomState(0).normal(np.repeat([0.0, 9.0, 20.0], 30)[:, np.newaxis])
    for volume in (None, 90.0):
        mixture = GaussianMixture(3, noise_volume=volume, random_state=0).fit(X)
        labels, summary = mixture.predict(X).tolist(), str(mixture.summary())
        for n_components in (2, 5):
            mixture.set_params(n_components=n_components)
            assert mixture.predict(X).tolist() == labels
            assert str(mixture.summary()) == summary


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_densities_labels_and_the_identity(kind: str) -> None:
    X, labels, weight = spotted()
    for rows, w in ((X, None), (with_gaps(X), weight)):
        model = GaussianMixture(2, covariance_type=kind, noise_volume="box", random_state=0).fit(rows, sample_weight=w)
        joint = log_joint(rows, model)
        np.testing.assert_allclose(model.score_samples(rows), logsumexp(joint, axis=1), rtol=1e-9)
        np.testing.assert_allclose(model.predict_proba(rows), softmax(joint, axis=1), atol=1e-9)
        assert model.lower_bound_ == pytest.approx(np.average(logsumexp(joint, axis=1), weights=w), abs=1e-9)
        assert abs(model.stationarity_gap_) < 1e-6
        sums, bounds = np.array([terms.value for terms in model.entropy_sums_]), np.array(model.lower_bounds_)
        assert (sums <= bounds + 1e-12).all()
        assert (bounds[:-1] <= sums[1:] + 1e-12).all()
        assert np.mean((model.predict(rows) == -1) == (labels == -1)) > 0.97
        assert model.weights_[-1] == pytest.approx(np.average(labels == -1, weights=w), abs=0.03)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_entropy_sum_of_a_step_is_its_elbo(gaps: bool) -> None:
    """Term by term: the observable one takes log V, of the columns that are observed, for the noise."""
    X, _, weight = spotted()
    X = with_gaps(X) if gaps else X
    start: dict[str, Any] = {"covariance_type": "diag", "noise_volume": 5e4, "accelerate": False, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        before = GaussianMixture(2, max_iter=0, **start).fit(X, sample_weight=weight)
        after = GaussianMixture(2, max_iter=1, **start).fit(X, sample_weight=weight)
    q = softmax(log_joint(X, before), axis=1)
    terms = after.entropy_sums_[0]
    elbo = np.average((q * log_joint(X, after) + entr(q)).sum(axis=1), weights=weight)
    assert terms.value == pytest.approx(elbo, abs=1e-10)
    assert terms.posterior == pytest.approx(np.average(entr(q).sum(axis=1), weights=weight), abs=1e-10)
    assert terms.prior == pytest.approx(entr(after.weights_).sum(), abs=1e-10)
    seen = (weight[:, np.newaxis] * q).T @ ~np.isnan(X) / weight.sum()
    variances = np.vstack([after.covariances_, (after.noise_box_[1] - after.noise_box_[0]) ** 2 / (2.0 * np.pi * np.e)])
    observable = 0.5 * (seen * np.log(2.0 * np.pi * np.e * variances)).sum()
    assert terms.observable == pytest.approx(observable, abs=1e-10)


def test_the_maximum_of_another_program() -> None:
    """One normal and noise by SciPy's minimiser, and standard errors by differences of its gradient."""
    x = np.concatenate([np.random.default_rng(0).normal(2.0, 0.7, size=300), np.linspace(-20.0, 30.0, 60)])
    model = GaussianMixture(1, noise_volume="box", tol=1e-13).fit(x[:, np.newaxis])

    def loss(t: Any) -> float:
        share = expit(t[2])
        return -float(np.log(share * norm.pdf(x, t[0], np.exp(t[1])) + (1 - share) / 50.0).sum())

    best = minimize(loss, [2.0, 0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000})
    assert model.lower_bound_ == pytest.approx(-best.fun / len(x), abs=1e-10)
    assert model.means_.item() == pytest.approx(best.x[0], abs=1e-5)
    assert model.weights_[1] == pytest.approx(1.0 - expit(best.x[2]), abs=1e-5)
    h = 1e-3
    steps = h * np.eye(3)
    H = [
        [(loss(best.x + a + b) - loss(best.x + a - b) - loss(best.x - a + b) + loss(best.x - a - b)) for b in steps]
        for a in steps
    ]
    errors = np.sqrt(np.diag(np.linalg.inv(np.array(H) / (4.0 * h**2))))
    found = model.standard_errors(x[:, np.newaxis])
    assert found["means"].item() == pytest.approx(errors[0], rel=1e-4)
    np.testing.assert_allclose(found["weights"], errors[2] * model.weights_.prod(), rtol=1e-4)
    assert "noise" in str(found)


def test_noise_makes_clusters_robust() -> None:
    X, _, _ = spotted()
    ranking = rank_models(
        {"plain": GaussianMixture(2, random_state=0), "noise": GaussianMixture(2, noise_volume="box", random_state=0)}, X
    )
    assert next(iter(ranking)).name == "noise"
    robust = GaussianMixture(2, noise_volume="box", random_state=0).fit(X)
    order = robust.means_[:, 0].argsort()
    np.testing.assert_allclose(robust.means_[order], [[0, 0, 0], [5, 4, 0]], atol=0.25)
    assert robust.predict([[100.0, 100.0, 100.0]]) == [-1]


def test_densities_beside_a_base_measure() -> None:
    """Of counts, 1 / x!, which is no part of the density of noise."""
    components = WithNoise(Independent(Poisson()), box=np.array([[0.0], [9.0]]))
    block = Block(np.array([[1.0], [2.0], [8.0]]), None, None, 0)
    parameters = components.natural((np.array([[2.0]]),))
    evidence = components.observe(parameters, components.read(block), np.log([0.4, 0.6]))
    found = evidence.log_joint + components.log_base_measure(block)
    np.testing.assert_allclose(found[0], np.log(0.4) + poisson.logpmf([1, 2, 8], 2.0), rtol=1e-12)
    np.testing.assert_allclose(found[1], np.log(0.6 / 9.0), rtol=1e-12)


def test_draws() -> None:
    X, _, _ = spotted()
    model = GaussianMixture(2, noise_volume="box", random_state=0).fit(X)
    drawn, labels = model.sample(20_000, random_state=0)
    shares = [np.mean(labels == c) for c in (0, 1, -1)]
    np.testing.assert_allclose(shares, model.weights_, atol=0.02)
    noise = drawn[labels == -1]
    np.testing.assert_allclose(noise.mean(axis=0), model.noise_box_.mean(axis=0), atol=0.6)
    np.testing.assert_allclose(noise.std(axis=0), np.ptp(model.noise_box_, axis=0) / np.sqrt(12.0), rtol=0.05)
    for c in range(2):
        np.testing.assert_allclose(drawn[labels == c].mean(axis=0), model.means_[c], atol=0.05)


def test_data_without_noise() -> None:
    """Its weight goes to zero, which is no failure."""
    X = np.concatenate([np.random.default_rng(0).normal(size=(100, 2)), np.random.default_rng(1).normal(size=(100, 2)) + 20])
    model = GaussianMixture(2, noise_volume=1e9, random_state=0).fit(X)
    assert model.weights_[-1] < 1e-6
    assert model.lower_bound_ == pytest.approx(GaussianMixture(2, random_state=0).fit(X).lower_bound_, abs=1e-6)


def test_given_starts_and_parameters() -> None:
    X, _, _ = spotted()
    model = GaussianMixture(2, noise_volume="box", random_state=0).fit(X)
    given = {"means_init": model.means_, "covariances_init": model.covariances_}
    again = GaussianMixture(2, noise_volume="box", weights_init=model.weights_, **given).fit(X)
    assert again.lower_bound_ == pytest.approx(model.lower_bound_, abs=1e-9)
    assert GaussianMixture(2, noise_volume="box", means_init=model.means_).fit(X).weights_.shape == (3,)
    warm = sklearn.clone(model).set_params(warm_start=True).fit(X)
    assert warm.fit(X).n_iter_ <= 2
    made = GaussianMixture.from_parameters(model.weights_, model.means_, model.covariances_, noise_box=model.noise_box_)
    assert made.noise_volume == pytest.approx(np.prod(np.ptp(model.noise_box_, axis=0)))
    np.testing.assert_allclose(made.score_samples(X), model.score_samples(X), rtol=1e-12)
    assert made.n_parameters_ == model.n_parameters_ == 2 + 2 * (3 + 6)
    assert "noise" in str(model.summary(X))


def test_bad_noise_is_refused_by_name() -> None:
    X, _, _ = spotted()
    flat = np.column_stack([X, np.ones(len(X))])
    with pytest.warns(ConvergenceWarning, match=r"\(nearly\) all the same in column 3"):
        GaussianMixture(2, noise_volume="box", random_state=0).fit(flat)
    with pytest.raises(ValueError, match="noise_volume"):
        GaussianMixture(2, noise_volume=0.0).fit(X)
    with pytest.raises(ValueError, match=r"weights_init should have the shape \(3,\), but got \(2,\)"):
        GaussianMixture(2, noise_volume="box", means_init=X[:2], weights_init=[0.5, 0.5]).fit(X)
    make, S = GaussianMixture.from_parameters, [np.eye(3)] * 2
    with pytest.raises(ValueError, match=r"noise_box must hold finite lower and higher edges, of the shape \(2, 3\)"):
        make([0.5, 0.4, 0.1], X[:2], S, noise_box=[[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])


@pytest.mark.parametrize("covariance_type", ["full", "diag", "fa"])
@pytest.mark.parametrize("volume", [1e-2, 1e-6])
def test_noise_that_beats_every_component_leaves_them_empty(covariance_type: str, volume: float) -> None:
    X, _, _ = spotted()
    model = GaussianMixture(2, covariance_type=covariance_type, noise_volume=volume, random_state=0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(X)
    assert not any(issubclass(warning.category, RuntimeWarning) for warning in told)
    assert any("components 0, 1 are empty" in str(warning.message) for warning in told)
    assert np.isfinite(model.means_).all()
    assert model.weights_[-1] == pytest.approx(1.0)
    assert model.score(X) == pytest.approx(-np.log(volume))


def test_a_volume_without_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="noise_volume=1e-100 is too small"):
        GaussianMixture(2, noise_volume=1e-100).fit(spotted()[0])


@pytest.mark.parametrize("mean", [[0.0, np.nan], [np.inf, 0.0]])
def test_means_of_priors_are_finite(mean: list[float]) -> None:
    with pytest.raises(ValueError, match="mean of the prior must be finite"):
        GaussianMixture(2, prior=NormalInverseWishart(mean=mean)).fit(np.random.default_rng(0).normal(size=(20, 2)))


def test_divergences_from_and_to_noise_are_integrals_over_the_box() -> None:
    """Of a column each, where a component is as narrow as the box; noise is Gaussian with its moments to what it tells."""
    mixture = GaussianMixture.from_parameters([0.4, 0.6], [[1.0, 5.0], [2.5, 3.0]], [np.eye(2), [[0.5, 0.1], [0.1, 2.0]]])
    components, parameters = (part.components for part in mixture._fitted_model(None))
    box = np.array([[-1.0, 0.0], [4.0, 12.0]])
    noisy = WithNoise(components, box=box)
    means, variances = noisy.moments(parameters)
    sides = box[1] - box[0]
    np.testing.assert_allclose(means, [[1.0, 5.0], [2.5, 3.0], [1.5, 6.0]], rtol=1e-12)
    np.testing.assert_allclose(variances, [[1.0, 1.0], [0.5, 2.0], sides**2 / 12], rtol=1e-12)
    from_noise = noisy.column_divergences(parameters, 2)
    for d in range(2):
        x = np.linspace(box[0, d], box[1, d], 20_001)
        for c in range(2):
            of_component = norm.logpdf(x, means[c, d], np.sqrt(variances[c, d]))
            integral = trapezoid(-np.log(sides[d]) - of_component, x) / sides[d]
            assert from_noise[c, d] == pytest.approx(integral, rel=1e-6)
            entropy = 0.5 * np.log(2 * np.pi * np.e * variances[c, d])
            to_noise = noisy.column_divergences(parameters, c)[2, d]
            assert to_noise == pytest.approx(max(np.log(sides[d]) - entropy, 0.0), rel=1e-12)
    np.testing.assert_array_equal(from_noise[2], 0.0)
    own = components.column_divergences(parameters, 0)
    np.testing.assert_array_equal(noisy.column_divergences(parameters, 0)[:2], own)
    (columns, covariances), *_ = noisy.correlated_columns(parameters)
    np.testing.assert_array_equal(columns, [0, 1])
    np.testing.assert_allclose(covariances[1:], [[[0.5, 0.1], [0.1, 2.0]], np.diag(sides**2 / 12)], rtol=1e-12)


def test_boxes_have_the_given_volume_and_the_proportions_of_the_data() -> None:
    X = np.array([[0.0, 10.0, 7.0], [2.0, 30.0, 7.0], [1.0, 20.0, 7.0]])
    components = WithNoise(GaussianMixture()._get_components(), volume=5.0)
    columns = survey_columns(Block(X, None, None, 0))
    box = components.prepare(GaussianMixture(), columns, is_sparse=False, prior_counts=0.0).box
    assert np.prod(box[1] - box[0]) == pytest.approx(5.0, rel=1e-12)
    ratio = (box[1] - box[0]) / [2.0, 20.0, 1.0]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
    np.testing.assert_allclose(box.mean(axis=0), [1.0, 20.0, 7.0], rtol=1e-12)
    own = replace(components, volume="box").prepare(GaussianMixture(), columns, is_sparse=False, prior_counts=0.0).box
    np.testing.assert_array_equal(own, [[0.0, 10.0, 6.5], [2.0, 30.0, 7.5]])


def test_components_around_given_means_start_with_equal_weights() -> None:
    np.testing.assert_allclose(GaussianMixture(4)._initial_weights(), 0.25, rtol=1e-15)
    np.testing.assert_allclose(GaussianMixture(2, noise_volume="box")._initial_weights(), [0.475, 0.475, 0.05], rtol=1e-14)
