"""Mixtures of factor analysers and of probabilistic PCAs: one component, maxima, Heywood cases, what users give and see."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning

from skentropy import PPCA, ColumnMixture, FactorAnalysis, GaussianMixture
from skentropy._data import Block
from skentropy.mixture._factor_parameters import (
    FactorParameters,
    align_loadings,
    at_best_scale,
    canonical,
    curvature,
    pack_slopes,
    px_em_step,
)
from skentropy.mixture._factors import FactorGaussian, _at_most, _singular
from skentropy.mixture._observations import Units
from tests.common.components import factor_parameters
from tests.common.data import factors

_WINE = load_wine().data
WINE = (_WINE - _WINE.mean(axis=0)) / _WINE.std(axis=0)
GAPS = np.where(np.random.RandomState(0).uniform(size=WINE.shape) < 0.1, np.nan, WINE)
WEIGHT = np.random.RandomState(1).randint(0, 4, size=len(WINE)).astype(float)
KINDS = ("ppca", "fa")
CLUSTERS = factors(600, 2, 3)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("X", [WINE, GAPS], ids=["complete", "gaps"])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(("kind", "estimator"), [("ppca", PPCA), ("fa", FactorAnalysis)])
def test_one_component_is_the_factor_model(kind: str, estimator: Any, k: int, X: Any, weight: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # Heywood cases
        mixture = GaussianMixture(1, covariance_type=kind, n_factors=k, tol=1e-12).fit(X, sample_weight=weight)
        options = {"solver": "em", "tol": 1e-13} if np.isnan(X).any() else {}
        single = estimator(k, **options).fit(X, sample_weight=weight)
    assert mixture.lower_bound_ == pytest.approx(single.score(X, sample_weight=weight), abs=1e-7)
    assert mixture.entropy_sum_.value == pytest.approx(mixture.lower_bound_, abs=1e-6)
    assert mixture.n_parameters_ == single.n_parameters_
    np.testing.assert_allclose(mixture.covariances_[0], single.get_covariance(), atol=2e-3)
    if k == 1:
        np.testing.assert_allclose(np.abs(mixture.loadings_[0].T), np.abs(single.components_), atol=1e-4)


def by_definition(X: Any, weights: Any, means: Any, loadings: Any, noise: Any) -> float:
    joint = [
        np.log(w) + multivariate_normal.logpdf(X, m, L @ L.T + np.diag(np.broadcast_to(psi, len(m))))
        for w, m, L, psi in zip(weights, means, loadings, noise, strict=True)
    ]
    return float(logsumexp(joint, axis=0).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_is_a_maximum_by_definition(kind: str) -> None:
    """In every direction of every parameter the likelihood by SciPy is level and bends down."""
    X, rng = CLUSTERS, np.random.default_rng(1)
    model = GaussianMixture(3, covariance_type=kind, n_factors=2, tol=1e-13, random_state=0).fit(X)
    end = [model.weights_, model.means_, model.loadings_, model.noise_variances_]
    assert by_definition(X, *end) == pytest.approx(model.lower_bound_, abs=1e-10)
    for _ in range(10):
        steps = [rng.normal(size=value.shape) for value in end]

        def along(h: float, steps: Any = steps) -> float:
            logits = np.log(end[0]) + h * steps[0]
            noise = end[3] * np.exp(h * steps[3])
            return by_definition(X, np.exp(logits - logsumexp(logits)), end[1] + h * steps[1], end[2] + h * steps[2], noise)

        h = 1e-3
        up, here, down = along(h), along(0.0), along(-h)
        assert (8.0 * (up - down) - along(2.0 * h) + along(-2.0 * h)) / (12.0 * h) == pytest.approx(0.0, abs=1e-6)
        assert up + down - 2.0 * here < 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_steps_climb_and_bounds_are_between_entropy_sums(kind: str) -> None:
    X, weight = np.where(np.random.RandomState(0).uniform(size=(600, 6)) < 0.1, np.nan, CLUSTERS), np.arange(600.0) % 3
    model = GaussianMixture(2, covariance_type=kind, n_factors=2, random_state=3, accelerate=False, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, sample_weight=weight)
    sums, bounds = np.array([terms.value for terms in model.entropy_sums_]), np.array(model.lower_bounds_)
    assert (sums <= bounds + 1e-12).all()
    assert (bounds[:-1] <= sums[1:] + 1e-12).all()


def test_an_inner_step_climbs_and_the_scale_is_the_best() -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(2, 5, 9))
    S = A @ A.transpose(0, 2, 1) / 9.0
    loadings, noise = rng.normal(size=(2, 5, 2)), rng.uniform(0.5, 1.0, size=(2, 5))

    def objective(loadings: Any, noise: Any) -> Any:
        covariances = loadings @ loadings.transpose(0, 2, 1) + noise[:, :, np.newaxis] * np.eye(5)
        return -np.linalg.slogdet(covariances)[1] - np.trace(np.linalg.solve(covariances, S), axis1=1, axis2=2)

    for _ in range(20):
        before = objective(loadings, noise)
        loadings, noise = px_em_step(S, loadings, noise, np.full((2, 5), 1e-8))
        assert (objective(loadings, noise) >= before - 1e-12).all()
    scaled = at_best_scale(S, 1.3 * loadings, 1.69 * noise)
    for share in (0.99, 1.01):
        assert (objective(*scaled) > objective(np.sqrt(share) * scaled[0], share * scaled[1])).all()


def test_an_inner_step_from_a_maximum_ends_where_it_starts() -> None:
    """And does not turn the factors."""
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(size=(2, 5, 2)), rng.uniform(0.5, 1.0, size=(2, 5))
    S = loadings @ loadings.transpose(0, 2, 1) + noise[:, :, np.newaxis] * np.eye(5)
    found = px_em_step(S, loadings, noise, np.full((2, 5), 1e-8))
    np.testing.assert_allclose(found[0], loadings, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[1], noise, rtol=1e-9)


def test_a_feature_that_a_factor_explains_is_named() -> None:
    correlations = np.array([[1.0, 0.8, 0.8], [0.8, 1.0, 0.4], [0.8, 0.4, 1.0]])  # a squared loading of 1.6
    y = np.random.default_rng(0).normal(size=(50, 3))
    y = (y - y.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(y.T, bias=True))).T
    X = y @ np.linalg.cholesky(correlations).T
    with pytest.warns(ConvergenceWarning, match=r"component 0 in column 0 is explained.*Heywood"):
        model = GaussianMixture(1, covariance_type="fa").fit(X)
    assert np.isfinite(model.lower_bound_)
    assert abs(model.stationarity_gap_) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_more_features_than_rows(kind: str) -> None:
    X = np.random.default_rng(0).normal(size=(12, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianMixture(2, covariance_type=kind, prior_counts=1.0, random_state=0).fit(X)
        bare = GaussianMixture(3, covariance_type=kind, n_factors=5, random_state=0).fit(X)
    assert np.isfinite(model.lower_bound_)
    assert np.isfinite(bare.lower_bound_)


def test_loadings_are_those_of_principal_axes() -> None:
    model = GaussianMixture(1, covariance_type="fa", n_factors=2).fit(factors(600, 2, 1))
    for W, psi in zip(model.loadings_, model.noise_variances_, strict=True):
        product = W.T @ (W / psi[:, np.newaxis])
        np.testing.assert_allclose(product, np.diag(np.diag(product)), atol=1e-8)
        assert product[0, 0] > product[1, 1]
        assert (W[np.abs(W).argmax(axis=0), [0, 1]] > 0.0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_moments_of_the_model(kind: str) -> None:
    rng = np.random.default_rng(0)
    noise = [0.5, 1.5] if kind == "ppca" else rng.uniform(0.2, 1.0, size=(2, 4))
    model = GaussianMixture.from_parameters(
        [0.3, 0.7], rng.normal(size=(2, 4)), covariance_type=kind, loadings=rng.normal(size=(2, 4, 2)), noise_variances=noise
    )
    X, labels = model.sample(200_000, random_state=0)
    for c in range(2):
        np.testing.assert_allclose(X[labels == c].mean(axis=0), model.means_[c], atol=0.03)
        np.testing.assert_allclose(np.cov(X[labels == c].T), model.covariances_[c], atol=0.06)


def test_bad_factors_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="n_factors=13 must be less than the number of features, 13"):
        GaussianMixture(2, covariance_type="fa", n_factors=13).fit(WINE)
    with pytest.raises(ValueError, match="n_factors must be a number, got True"):
        GaussianMixture(2, covariance_type="fa", n_factors=True).fit(WINE)
    make, means, loadings = GaussianMixture.from_parameters, np.zeros((2, 3)), np.ones((2, 3, 1))
    with pytest.raises(ValueError, match=r"are means, loadings, noise_variances; got means, covariances"):
        make([0.5, 0.5], means, [np.eye(3)] * 2, "fa")
    with pytest.raises(ValueError, match=r"noise_variances should have the shape \(n_components,\) = \(2,\)"):
        make([0.5, 0.5], means, covariance_type="ppca", loadings=loadings, noise_variances=np.ones(3))
    with pytest.raises(ValueError, match="noise_variances must be positive"):
        make([0.5, 0.5], means, covariance_type="ppca", loadings=loadings, noise_variances=[1.0, 0.0])
    with pytest.raises(ValueError, match="loadings must be finite"):
        make([0.5, 0.5], means, covariance_type="ppca", loadings=np.nan * loadings, noise_variances=[1.0, 1.0])
    with pytest.raises(ValueError, match=r"covariances_init should have the shape .*\(2, 13, 13\)"):
        GaussianMixture(2, covariance_type="fa", means_init=WINE[:2], covariances_init=np.ones((2, 13))).fit(WINE)
    odd = GaussianMixture(2, covariance_type="fa", means_init=WINE[:2], covariances_init=[np.eye(13), -np.eye(13)])
    with pytest.raises(ValueError, match="covariances_init of component 1 must be symmetric and positive definite"):
        odd.fit(WINE)


def test_a_block_of_columns() -> None:
    X = np.column_stack([CLUSTERS, np.random.default_rng(0).poisson(3.0, size=600)])
    kind = GaussianMixture(covariance_type="fa", n_factors=2)
    model = ColumnMixture([("measures", kind, range(6)), ("counts", "poisson", [6])], 3, random_state=0).fit(X)
    assert model.families_["measures"] == "fa"
    assert model.parameters_["measures"]["loadings"].shape == (3, 6, 2)
    assert abs(model.stationarity_gap_) < 1e-6
    assert model.lower_bound_ == pytest.approx(model.score(X), abs=1e-9)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(("kind", "estimator"), [("ppca", PPCA), ("fa", FactorAnalysis)])
def test_standard_errors_are_those_of_the_factor_model(kind: str, estimator: Any, k: int) -> None:
    X = factors(600, k, 1)
    mixture, single = GaussianMixture(1, covariance_type=kind, n_factors=k, tol=1e-13).fit(X), estimator(k).fit(X)
    errors, others = mixture.standard_errors(X), single.standard_errors(X)
    np.testing.assert_allclose(errors["loadings"][0].T, others["components"], rtol=1e-4)
    np.testing.assert_allclose(np.ravel(errors["noise_variances"]), np.ravel(others["noise_variance"]), rtol=1e-4)
    np.testing.assert_allclose(errors["means"][0], others["mean"], rtol=1e-6)


def test_rotations_of_loadings() -> None:
    rng = np.random.default_rng(0)
    L, noise = rng.normal(size=(3, 5, 2)), rng.uniform(0.5, 2.0, size=(3, 5))
    turn = np.linalg.qr(rng.normal(size=(3, 2, 2)))[0]
    np.testing.assert_allclose(align_loadings(L @ turn, L), L, rtol=1e-12, atol=1e-13)
    found = canonical(L, noise)
    np.testing.assert_allclose(found @ found.transpose(0, 2, 1), L @ L.transpose(0, 2, 1), rtol=1e-11, atol=1e-12)
    inner = found.transpose(0, 2, 1) @ (found / noise[:, :, np.newaxis])
    np.testing.assert_allclose(inner[:, 0, 1], 0.0, atol=1e-12)
    assert (inner[:, 0, 0] > inner[:, 1, 1]).all()
    assert (found.max(axis=1) >= -found.min(axis=1)).all()
    np.testing.assert_array_equal(canonical(0.0 * L, noise), 0.0)


@pytest.mark.parametrize("isotropic", [True, False])
def test_covariances_that_have_factors_are_split_into_them(isotropic: bool) -> None:
    """In the data's units, whatever the components' are."""
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(size=(2, 6, 1)), rng.uniform(0.5, 2.0, size=(2, 6))
    scale = np.array([2.0, 0.1, 30.0, 1.0, 0.5, 4.0])
    if isotropic:
        noise, scale = np.repeat(noise[:, :1], 6, axis=1), np.full(6, 3.0)
    S = loadings @ loadings.transpose(0, 2, 1) + noise[:, :, np.newaxis] * np.eye(6)
    S = S * scale * scale[:, np.newaxis]
    components = FactorGaussian(units=Units(np.zeros(6), 1.3 * scale), isotropic=isotropic)
    found, own = components.of_covariances(S, "covariances")
    own = own[:, np.newaxis] * np.ones(6) if isotropic else own
    np.testing.assert_allclose(own, noise * scale**2, rtol=1e-5)
    np.testing.assert_allclose(np.abs(found), np.abs(loadings) * scale[:, np.newaxis], rtol=1e-5)


ON_FLOOR = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]], dtype=bool)


def test_noise_on_its_floor_stays_there() -> None:
    """More of it than factors hold a component."""
    own, rng = factor_parameters(ON_FLOOR), np.random.default_rng(1)
    np.testing.assert_array_equal(own.held, [False, False, True])
    np.testing.assert_array_equal(factor_parameters(ON_FLOOR, k=2).held, [False, False, False])
    step = rng.normal(size=(3, 4))
    moved = own.moved_by(np.zeros((3, 4)), np.zeros((3, 4, 1)), step)
    assert moved is not None
    np.testing.assert_allclose(moved.noise, own.noise * np.exp(np.where(ON_FLOOR, 0.0, step)), rtol=1e-14)
    np.testing.assert_array_equal(moved.bounds, np.where(ON_FLOOR, 1e-9, 0.0))
    slopes = own.slopes(isotropic=False)
    np.testing.assert_array_equal(slopes[:, 4:].any(axis=(2, 3)), ~ON_FLOOR)
    without = curvature(own, np.tile(np.eye(4), (3, 1, 1)), np.zeros_like(slopes))[:, np.arange(4, 8), np.arange(4, 8)]
    np.testing.assert_array_equal(without != 0.0, ~ON_FLOOR)


@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("k", [1, 2])
def test_slopes_and_curvature_are_derivatives(isotropic: bool, k: int) -> None:
    """Of covariances in their frame, and of the expected log-density of rows with any scatter."""
    own, rng, d = (
        factor_parameters(np.zeros((2, 4), dtype=bool) if isotropic else ON_FLOOR[:2], k),
        np.random.default_rng(2),
        4,
    )
    slopes = own.slopes(isotropic=isotropic)
    K, P = slopes.shape[:2]
    A = rng.normal(size=(K, d, 9))
    scatter, n = A @ A.transpose(0, 2, 1), np.array([7.0, 11.0])

    def along(direction: Any) -> FactorParameters:
        of_noise = np.broadcast_to(direction[d * k :], (K, d))
        moved = own.moved_by(np.zeros((K, d)), np.broadcast_to(direction[: d * k].reshape(d, k), (K, d, k)), of_noise)
        assert moved is not None
        return moved

    def density(direction: Any) -> Any:
        C = along(direction).covariances
        traces = np.trace(np.linalg.solve(C, scatter), axis1=1, axis2=2)
        return -0.5 * (n * np.linalg.slogdet(C)[1] + traces)

    h, U = 1e-4, own.inverses
    for p, e in enumerate(np.eye(P)):
        difference = (along(h * e).covariances - along(-h * e).covariances) / (2.0 * h)
        np.testing.assert_allclose(slopes[:, p], U @ difference @ U.transpose(0, 2, 1), rtol=1e-6, atol=1e-6)
    L = pack_slopes(slopes)
    excess = U @ scatter @ U.transpose(0, 2, 1) - n[:, np.newaxis, np.newaxis] * np.eye(d)
    information = n[:, np.newaxis, np.newaxis] * (L.transpose(0, 2, 1) @ L) + curvature(own, excess, slopes)
    h = 1e-3
    for _ in range(4):
        z = rng.normal(size=P)
        z[d * k :][ON_FLOOR[1] if not isotropic else []] = 0.0
        values = [density(step * h * z) for step in (-2, -1, 0, 1, 2)]
        second = np.tensordot([-1.0, 16.0, -30.0, 16.0, -1.0], values, 1) / (12.0 * h**2)
        np.testing.assert_allclose(np.einsum("cpq,p,q->c", information, z, z), -second, rtol=1e-5, atol=1e-5)


def test_floors_are_shares_of_variances_and_stay_below_noise() -> None:
    """Of a feature that one factor explains, of one without variance, and of one among others."""
    loadings, noise = np.array([0.09, 1.0, 2.0, 3.0, 0.0]), np.array([2e-10, 0.5, 2.0, 4.0, 1e-6])
    S = loadings * loadings[:, np.newaxis] + np.diag([0.0, *noise[1:4], 0.0])
    components = FactorGaussian(units=Units(np.zeros(5), np.ones(5)), pooled_covariance=np.eye(5))
    of_loadings = loadings[np.newaxis, :, np.newaxis]
    start = FactorParameters.of_factors(np.zeros((1, 5)), of_loadings, noise[np.newaxis], np.zeros((1, 5), dtype=bool))
    _, found, on_floor = components._fitted(S[np.newaxis], start)
    np.testing.assert_array_equal(on_floor, [[False, False, False, False, True]])
    # A feature without variance takes a fifth from the scale.
    np.testing.assert_allclose(found, 0.8 * np.array([[2e-10, 0.5, 2.0, 4.0, 1e-8]]), rtol=1e-4)
    before = factor_parameters(np.ones((1, 5), dtype=bool))
    floor = np.array([[1e-8, 1e-8, 1e-8, 1e-20, 5e-16]])
    start = replace(before, noise=np.array([[1e-3, 5e-9, 1e-12, 1e-12, 1e-17]]))
    np.testing.assert_allclose(_at_most(floor, start), [[1e-8, 5e-9, 1e-9, 1e-16, 1e-16]], rtol=1e-12)
    np.testing.assert_allclose(_at_most(floor, None), [[1e-8, 1e-8, 1e-8, 1e-16, 5e-16]], rtol=1e-12)


def test_heywood_cases_are_near_floors_where_something_varies_and_nothing_has_collapsed() -> None:
    loadings = np.full((2, 4, 1), 0.1)
    noise = np.array([[2.9e-9, 3.1e-9, 1.0, 1.0], [1e-9, 1e-9, 1.0, 1.0]])
    own = FactorParameters.of_factors(np.zeros((2, 4)), loadings, noise, np.isin(noise, [1e-9]))
    components = FactorGaussian(units=Units(np.zeros(4), np.ones(4)), pooled_covariance=np.diag([0.005, 1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(components._heywood(own), [[True, False, False, False], [False] * 4])
    np.testing.assert_array_equal(_singular(own), [[False] * 4, [True, True, False, False]])
    assert not replace(components, pooled_covariance=np.diag([0.0, 1.0, 1.0, 1.0]))._heywood(own).any()
    assert not replace(components, isotropic=True)._heywood(own).any()


@pytest.mark.parametrize(("d", "k"), [(6, 1), (6, 3), (40, 2)])
def test_equal_noise_is_fitted_as_by_all_eigenvectors(d: int, k: int) -> None:
    """Also where few eigenvectors are computed; the best scale is the same without solving with covariances."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, d, 2 * d))
    S = A @ A.transpose(0, 2, 1) / (2 * d)
    values, vectors = np.linalg.eigh(S)
    noise = values[:, : d - k].mean(axis=1)
    along = np.where(np.arange(d) < d - k, noise[:, np.newaxis], values)
    components = FactorGaussian(units=Units(np.zeros(d), np.ones(d)), n_factors=k, isotropic=True)
    loadings, own_noise, on_floor = components._fitted(S)
    fitted = loadings @ loadings.transpose(0, 2, 1) + own_noise[:, :, np.newaxis] * np.eye(d)
    np.testing.assert_allclose(fitted, vectors * along[:, np.newaxis] @ vectors.transpose(0, 2, 1), atol=1e-12)
    assert not on_floor.any()
    for own, general in zip(
        at_best_scale(S, 1.3 * loadings, 2.0 * own_noise, isotropic=True),
        at_best_scale(S, 1.3 * loadings, 2.0 * own_noise),
        strict=True,
    ):
        np.testing.assert_allclose(own, general, rtol=1e-12)


@pytest.mark.parametrize("isotropic", [False, True])
def test_nothing_moves_of_what_is_held_or_empty(isotropic: bool) -> None:
    """However little the others weigh."""
    own = factor_parameters(np.array([[0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=bool))
    components = FactorGaussian(units=Units(np.zeros(4), np.ones(4)), pooled_covariance=np.eye(4), isotropic=isotropic)
    rows = components.read(Block(np.random.default_rng(0).normal(size=(5, 4)), None, None, 0))
    q = 1e-3 * np.array([[1.0], [1.0], [0.0]]) * np.ones(5)
    statistics = components.observe(own, rows, np.zeros(3)).accumulate(q)
    metric = components.metric(own, statistics, q.sum(axis=1))
    moves = np.abs(metric.directions(np.ones((3, components.n_directions(own))))).max(axis=1) > 0.0
    np.testing.assert_array_equal(moves, [True, False, False])


def test_small_loadings_and_small_scatter() -> None:
    """Largest entries are positive, and the scale is that of the scatter, however small."""
    rng = np.random.default_rng(0)
    loadings, noise = 1e-4 * rng.normal(size=(3, 4, 2)), rng.uniform(0.5, 1.0, size=(3, 4))
    turned_to = canonical(loadings, noise)
    largest = np.take_along_axis(turned_to, np.abs(turned_to).argmax(axis=1)[:, np.newaxis], axis=1)
    assert (largest > 0.0).all()
    np.testing.assert_allclose(turned_to @ turned_to.transpose(0, 2, 1), loadings @ loadings.transpose(0, 2, 1), rtol=1e-10)
    S = 1e-5 * (loadings @ loadings.transpose(0, 2, 1) + noise[:, np.newaxis] * np.eye(4))
    found = at_best_scale(S, loadings, noise)
    np.testing.assert_allclose(found[0], np.sqrt(1e-5) * loadings, rtol=1e-9)
    np.testing.assert_allclose(found[1], 1e-5 * noise, rtol=1e-9)


@pytest.mark.parametrize(("kind", "estimator"), [("ppca", PPCA), ("fa", FactorAnalysis)])
def test_errors_where_loadings_have_the_same_size(kind: str, estimator: Any) -> None:
    """Rounding alone chooses the largest of them, whose sign is positive."""
    correlation = np.where(np.eye(3), 1.0, 0.5) * np.outer([1, -1, 1], [1, -1, 1])
    rows = np.linalg.qr(WINE[:, :3] - WINE[:, :3].mean(axis=0))[0]
    X = rows @ np.linalg.cholesky(correlation).T * np.sqrt(len(rows))
    errors = GaussianMixture(1, covariance_type=kind).fit(X).standard_errors(X)
    expected = estimator(1).fit(X).standard_errors()
    np.testing.assert_allclose(errors["loadings"][0].T, expected["components"], rtol=1e-5)
    np.testing.assert_allclose(errors["noise_variances"].ravel(), np.ravel(expected["noise_variance"]), rtol=1e-5)
