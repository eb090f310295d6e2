"""Gaussian mixtures of any covariance: maxima of other programs, the identity at every step, gaps, singular covariances."""

from __future__ import annotations

import copy
import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning

from skentropy import GaussianMixture
from skentropy._data import Block, Rows
from skentropy._em import run_em
from skentropy.families import Gaussian
from skentropy.mixture import NormalInverseWishart
from skentropy.mixture._covariance_types import COVARIANCE_TYPES
from skentropy.mixture._diagonal import DiagonalGaussian
from skentropy.mixture._factors import FactorGaussian
from skentropy.mixture._gaussian import CorrelatedGaussian
from skentropy.mixture._gaussian_parameters import GaussianParameters
from skentropy.mixture._information import Metric, missing_information, score, score_products
from skentropy.mixture._model import MixtureModel, MixtureParameters
from skentropy.mixture._observations import Units
from skentropy.mixture._student import StudentT
from tests.common.data import factors

REFERENCE = json.loads((Path(__file__).parent / "gaussian.json").read_text())
_WINE = load_wine().data
DATA = {
    "iris": load_iris().data,
    "wine": (_WINE - _WINE.mean(axis=0)) / _WINE.std(axis=0),
    "faithful": np.array(REFERENCE["faithful"], dtype=float),
    "cancer5": load_breast_cancer().data[:, :5],
}
UNCORRELATED = ("diag", "spherical", "tied_diag", "tied_spherical")
SEEDS = {"iris": 11, "wine": 12, "faithful": 13, "cancer5": 14}


def problem(case: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Rows, weights and the start of a case, by the recipe of the references."""
    X, K, seed = DATA[case["data"]].copy(), case["K"], SEEDS[case["data"]]
    n, d = X.shape
    z = ((X - X.mean(axis=0)) / X.std(axis=0)).sum(axis=1)
    group = np.argsort(np.argsort(z, kind="stable"), kind="stable") * K // n
    weight = np.ones(n)
    if "missing" in case["variant"]:
        missing = np.random.RandomState(seed).rand(n, d) < 0.1
        missing[missing.all(axis=1), 0] = False
        X[missing] = np.nan
    if "weighted" in case["variant"]:
        weight = np.random.RandomState(seed + 100).randint(0, 4, size=n).astype(float)
    r = weight * (group == np.arange(K)[:, np.newaxis])
    seen = r @ ~np.isnan(X)
    means = r @ np.nan_to_num(X) / seen
    variances = np.stack([r[k] @ np.nan_to_num(X - means[k]) ** 2 for k in range(K)]) / seen
    weights = r.sum(axis=1) / weight.sum()
    covariances = {
        "full": np.stack([np.diag(v) for v in variances]),
        "tied": np.diag(weights @ variances),
        "diag": variances,
        "spherical": variances.mean(axis=1),
    }[case["type"]]
    return X, weight, {"weights_init": weights, "means_init": means, "covariances_init": covariances}


def case_name(case: dict[str, Any]) -> str:
    return "-".join(str(case[key]) for key in ("data", "type", "K", "variant"))


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=case_name)
def test_maxima_of_other_programs(case: dict[str, Any]) -> None:
    X, weight, start = problem(case)
    model = GaussianMixture(case["K"], covariance_type=case["type"], max_iter=5000, tol=1e-12, **start)
    model.fit(X, sample_weight=weight)
    assert model.converged_
    assert model.lower_bound_ == pytest.approx(case["ll"] / case["W"], abs=1e-9)
    terms = model.entropy_sum_
    np.testing.assert_allclose([terms.posterior, terms.prior, terms.observable], case["terms"], atol=1e-6)
    np.testing.assert_allclose(model.weights_, case["weights"], atol=1e-5)


@pytest.mark.parametrize("case", REFERENCE["prior_cases"], ids=case_name)
def test_priors_of_mclust(case: dict[str, Any]) -> None:
    """Maxima under mclust's priorControl(), which is centred at the complete table."""
    X, (n, d) = DATA["faithful"].copy(), DATA["faithful"].shape
    prior = NormalInverseWishart(covariance=np.cov(X.T) / 2 ** (2 / d), mean=X.mean(axis=0))
    weight, labels = np.ones(n), (X[:, 0] < 3).astype(int)
    if case["variant"] == "missing_weighted":
        missing = np.random.RandomState(5).rand(n, d) < 0.1
        missing[missing.all(axis=1), 0] = False
        X[missing] = np.nan
        weight = np.random.RandomState(6).randint(0, 4, size=n).astype(float)
    else:
        prior = NormalInverseWishart()  # the same
    r = weight * (labels == np.arange(2)[:, np.newaxis])
    means = r @ np.nan_to_num(X) / (r @ ~np.isnan(X))
    model = GaussianMixture(2, covariance_type=case["type"], prior=prior, means_init=means, tol=1e-14)
    model.fit(X, sample_weight=weight)
    total = weight.sum()
    assert model.lower_bound_ == pytest.approx(case["ll"] / total, abs=1e-8)
    assert model.entropy_sum_.value == pytest.approx(case["entropy_sum"], abs=1e-8)
    assert model.entropy_sum_.penalty == pytest.approx(case["penalty"], abs=1e-8)
    np.testing.assert_allclose(model.weights_, case["weights"], atol=1e-7)
    np.testing.assert_allclose(model.means_.ravel(), case["means"], rtol=1e-7)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_the_penalty_is_that_of_the_docstring(kind: str) -> None:
    X, K, kappa, nu = DATA["iris"], 3, 0.3, 7.0
    n, d = X.shape
    model = GaussianMixture(K, covariance_type=kind, prior=NormalInverseWishart(kappa, nu), random_state=0).fit(X)
    precisions = np.linalg.inv(np.broadcast_to(model.covariances_, (K, d, d)))
    offsets = model.means_ - X.mean(axis=0)
    psi = np.cov(X.T) / K ** (2 / d)
    spread = 0.5 * np.einsum("de,ced->c", psi, precisions)
    squares = 0.5 * kappa * np.einsum("cd,cde,ce->c", offsets, precisions, offsets)
    if kind == "tied":
        expected = spread[0] + squares.sum() - 0.5 * (nu + d + 1 + K) * d
    else:
        expected = (spread + squares - 0.5 * (nu + d + 2) * d).sum()
    assert model.entropy_sum_.penalty == pytest.approx(expected / n, abs=1e-10)


def test_the_default_prior_of_two_rows_has_their_variance() -> None:
    X = np.array([[0.0], [2.0]])
    priors = NormalInverseWishart(), NormalInverseWishart(covariance=[[2.0]])
    found = [GaussianMixture(1, prior=prior).fit(X).covariances_ for prior in priors]
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_bad_priors_are_refused_by_name() -> None:
    X = DATA["iris"]
    for wrong, message in [
        (NormalInverseWishart(mean_precision=0.0), "mean_precision of the prior must be positive"),
        (
            NormalInverseWishart(degrees_of_freedom=3.0),
            "degrees_of_freedom of the prior must be more than n_features - 1",
        ),
        (NormalInverseWishart(covariance=np.eye(3)), r"covariance of the prior should have the shape \(4, 4\)"),
        (NormalInverseWishart(covariance=-np.eye(4)), "covariance of the prior must be symmetric and positive definite"),
        (NormalInverseWishart(mean=[1.0]), r"mean of the prior should have the shape \(4,\)"),
        (NormalInverseWishart(None), "mean_precision of the prior must be a number, got None"),
        (NormalInverseWishart("a"), "mean_precision of the prior must be a number, got 'a'"),
        (NormalInverseWishart(0.1, True), "degrees_of_freedom of the prior must be a number, got True"),
        (NormalInverseWishart(mean=["a"] * 4), "mean of the prior must hold numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            GaussianMixture(2, prior=wrong).fit(X)
    NormalInverseWishart(mean_precision=0.001, degrees_of_freedom=3.001).check(4)
    with pytest.raises(ValueError, match="prior and prior_counts are both priors"):
        GaussianMixture(2, prior=NormalInverseWishart(), prior_counts=1.0).fit(X)
    with pytest.raises(ValueError, match="prior is not for covariance_type='diag'; use prior_counts"):
        GaussianMixture(2, prior=NormalInverseWishart(), covariance_type="diag").fit(X)


def by_definition(X: Any, weight: Any, model: GaussianMixture) -> Any:
    """Log joint densities (n, K) of what is observed."""
    K = len(model.weights_)
    joint = np.log(model.weights_) + np.zeros((len(X), K))
    for n, x in enumerate(X):
        o = ~np.isnan(x)
        for c in range(K):
            if o.any():
                joint[n, c] += multivariate_normal.logpdf(x[o], model.means_[c][o], _matrix(model, c)[np.ix_(o, o)])
    return joint


def gappy(seed: int = 0) -> tuple[Any, Any]:
    """Rows with scattered gaps, one frequent pattern, and one row without anything; and weights."""
    rng = np.random.RandomState(seed)
    X = load_iris().data + 0.01 * rng.normal(size=(150, 4))
    X[rng.uniform(size=X.shape) < 0.15] = np.nan
    X[::3, 1:3] = np.nan
    X[3:, 0] = np.where(np.isnan(X[3:]).all(axis=1), 5.0, X[3:, 0])
    X[:3, :] = np.nan
    return X, rng.exponential(size=150)


@pytest.mark.filterwarnings("ignore:.*Heywood:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_densities_with_gaps(kind: str) -> None:
    X, weight = gappy()
    model = GaussianMixture(3, covariance_type=kind, prior_counts=1.0, random_state=0).fit(X[3:], sample_weight=weight[3:])
    joint = by_definition(X, weight, model)
    evidence = logsumexp(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(X), evidence, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), np.exp(joint - evidence[:, np.newaxis]), atol=1e-10)
    np.testing.assert_allclose(model.score_samples(X)[:3], 0.0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["full", "tied"])
def test_a_step_with_gaps_of_every_number_by_definition(kind: str) -> None:
    """Patterns of 0 to 11 missing entries out of 12, some of them of several rows; one EM step, row by row."""
    rng = np.random.RandomState(0)
    K, d, n = 3, 12, 240
    means = 2.0 * rng.normal(size=(K, d))
    roots = np.eye(d) + 0.4 * rng.normal(size=(K, d, d))
    covariances = roots @ roots.transpose(0, 2, 1)
    X = means[np.arange(n) % K] + rng.normal(size=(n, d))
    masks = np.array([rng.permutation(d) < q for q in np.arange(n) % d])
    masks[100:200] = masks[:10].repeat(10, axis=0)
    X[masks] = np.nan
    weight = rng.exponential(size=n)
    given = covariances if kind == "full" else covariances[0]
    start = {"weights_init": [0.2, 0.3, 0.5], "means_init": means, "covariances_init": given}
    model = GaussianMixture(K, covariance_type=kind, max_iter=1, accelerate=False, **start).fit(X, sample_weight=weight)

    counts, sums, completed = np.zeros(K), np.zeros((K, d)), [[] for _ in range(K)]
    for x, mask, w in zip(X, masks, weight, strict=True):
        S = covariances if kind == "full" else np.tile(covariances[0], (K, 1, 1))
        o = np.flatnonzero(~mask)
        log_p = [multivariate_normal.logpdf(x[o], means[c][o], S[c][np.ix_(o, o)]) for c in range(K)]
        joint = np.log(start["weights_init"]) + log_p
        for c, r in enumerate(w * np.exp(joint - logsumexp(joint))):
            slope = S[c][:, o] @ np.linalg.inv(S[c][np.ix_(o, o)])
            expected = means[c] + slope @ (x[o] - means[c][o])
            counts[c] += r
            sums[c] += r * expected
            completed[c].append((r, expected, S[c] - slope @ S[c][o]))
    new = sums / counts[:, np.newaxis]
    scatters = np.array(
        [sum(r * (np.outer(e - m, e - m) + V) for r, e, V in rows) for m, rows in zip(new, completed, strict=True)]
    )
    matrices = scatters / counts[:, np.newaxis, np.newaxis] if kind == "full" else scatters.sum(axis=0) / counts.sum()
    np.testing.assert_allclose(model.weights_, counts / counts.sum(), rtol=1e-10)
    np.testing.assert_allclose(model.means_, new, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.covariances_, matrices, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_step_of_many_features_by_definition() -> None:
    """Of so many that products of matrices are done in another way."""
    rng = np.random.RandomState(0)
    X, means = rng.normal(size=(300, 45)), np.stack([np.zeros(45), np.full(45, 0.3)])
    start = {"weights_init": [0.4, 0.6], "means_init": means, "covariances_init": np.tile(np.eye(45), (2, 1, 1))}
    model = GaussianMixture(2, max_iter=1, accelerate=False, **start).fit(X)
    joint = np.log([0.4, 0.6]) - 0.5 * ((X[:, np.newaxis] - means) ** 2).sum(axis=2)
    q = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    for c in range(2):
        expected = np.cov(X.T, aweights=q[:, c], ddof=0)
        np.testing.assert_allclose(model.covariances_[c], expected, rtol=1e-9, atol=1e-10)


PRIORS: dict[str, Any] = {"": {}, "counts": {"prior_counts": 3.0}, "wishart": {"prior": NormalInverseWishart(0.3, 9.0)}}
KINDS_AND_PRIORS = [(kind, p) for kind in COVARIANCE_TYPES for p in PRIORS if kind not in UNCORRELATED or p != "wishart"]


@pytest.mark.parametrize("ridge", [0.0, 0.05])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(("kind", "prior"), KINDS_AND_PRIORS)
def test_the_identity_at_every_step(kind: str, prior: str, gaps: bool, ridge: float) -> None:
    """The entropy sum of a step is its ELBO: the bound before it plus what the M-step gains, term by term."""
    X, weight = gappy()
    X, weight = (X[3:] if gaps else np.nan_to_num(X, nan=2.0)[3:]), weight[3:]
    options: dict[str, Any] = {"covariance_type": kind, "reg_covar": ridge, **PRIORS[prior]}
    start = GaussianMixture(3, max_iter=1, n_starts=1, init_params="random", random_state=3, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = start.fit(X, sample_weight=weight)
        after = copy.deepcopy(before).set_params(accelerate=False, warm_start=True).fit(X, sample_weight=weight)
    q = before.predict_proba(X)
    # ELBO of the old posteriors of classes and missing entries under the new parameters, by its definition.
    total = weight.sum()
    elbo = -(weight @ (q * np.log(np.maximum(q, 1e-300))).sum(axis=1)) + weight @ q @ np.log(after.weights_)
    matrices = [_matrix(model, c) for model in (before, after) for c in range(3)]
    for c in range(3):
        old, new = matrices[c], matrices[3 + c]
        for x, r in zip(X, weight * q[:, c], strict=True):
            o, m = ~np.isnan(x), np.isnan(x)
            gain = np.linalg.solve(old[np.ix_(o, o)], old[np.ix_(o, m)]).T
            filled, spread = np.where(o, x, before.means_[c]), np.zeros_like(old)
            filled[m] += gain @ (x[o] - before.means_[c][o])
            spread[np.ix_(m, m)] = old[np.ix_(m, m)] - gain @ old[np.ix_(o, m)]
            if kind in UNCORRELATED:  # what is missing drops out
                elbo += r * multivariate_normal.logpdf(x[o], after.means_[c][o], new[np.ix_(o, o)])
                continue
            step = filled - after.means_[c]
            distance = np.trace(np.linalg.solve(new, spread + np.outer(step, step)))
            elbo += -0.5 * r * (distance + np.linalg.slogdet(2 * np.pi * new)[1])
            elbo += 0.5 * r * np.linalg.slogdet(2 * np.pi * np.e * spread[np.ix_(m, m)])[1]
    assert after.entropy_sums_[0].value == pytest.approx(elbo / total, abs=1e-10)


def _matrix(model: GaussianMixture, c: int) -> Any:
    d = model.means_.shape[1]
    covariances = np.asarray(model.covariances_)
    own = covariances if model.covariance_type.startswith("tied") else covariances[c]
    return own if own.ndim == 2 else np.diag(np.broadcast_to(own, d))


@pytest.mark.filterwarnings("ignore:.*Heywood:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_what_is_missing_is_imputed_by_its_expectation(kind: str) -> None:
    X, weight = gappy()
    model = GaussianMixture(3, covariance_type=kind, prior_counts=1.0, random_state=0).fit(X[3:], sample_weight=weight[3:])
    filled, q = model.impute(X), model.predict_proba(X)
    assert np.array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    for n, x in enumerate(X):
        o, m = ~np.isnan(x), np.isnan(x)
        expected = 0.0
        for c in range(3):
            S, mean = _matrix(model, c), model.means_[c]
            expected = expected + q[n, c] * (mean[m] + S[np.ix_(m, o)] @ np.linalg.solve(S[np.ix_(o, o)], x[o] - mean[o]))
        np.testing.assert_allclose(filled[n, m], expected, rtol=1e-8, atol=1e-10)


def components(kind: str, prior: str, d: int, weight: float = 1.0) -> Any:
    units = Units(np.full(d, 0.2), np.full(d, 1.5))
    options = {"units": units, "pooled_mean": np.full(d, 0.1), "pooled_covariance": np.eye(d) + 0.2, "total_weight": weight}
    if kind in ("full", "tied"):
        return CorrelatedGaussian(tied=kind == "tied", **options, **PRIORS[prior])
    if kind.startswith("student"):
        degrees = 4.0 if kind == "student-given" else None
        return StudentT(tied=kind == "student-tied", degrees_of_freedom=degrees, **options, **PRIORS[prior])
    if kind in ("ppca", "fa"):
        return FactorGaussian(isotropic=kind == "ppca", **options, **PRIORS[prior])
    pooled = np.stack([np.full(d, 0.1), np.full(d, 1.2)])
    over = {"over_components": kind.startswith("tied"), "over_features": kind.endswith("spherical")}
    return DiagonalGaussian(Gaussian(), units=units, pooled=pooled, **over, **PRIORS[prior])


STUDENTS = [(kind, p) for kind in ("student", "student-tied") for p in ("", "counts")] + [("student-given", "counts")]


@pytest.mark.parametrize(("kind", "prior"), KINDS_AND_PRIORS + STUDENTS)
def test_score_and_information_are_derivatives_of_the_objective(kind: str, prior: str) -> None:
    """With gaps and weights; second derivatives at a maximum, where coordinates do not matter."""
    d, K, rng = (4 if kind == "fa" else 3), 2, np.random.default_rng(0)
    X = rng.normal(size=(120, d)) @ rng.normal(size=(d, d)) + 4.0 * rng.integers(2, size=(120, 1))
    if kind == "fa":  # two clusters of one factor each, which end with noise that is not on its floor
        rng = np.random.default_rng(1)
        X = 4.0 * rng.integers(2, size=(120, 1)) + rng.normal(size=(120, 1))
        X = X + rng.normal(size=(120, d)) * [1.0, 0.8, 1.2, 1.0]
    if kind.startswith("student"):  # tails that are not those of a Gaussian
        X /= np.sqrt(rng.chisquare(3, size=(120, 1)) / 3)
    X[40:][rng.uniform(size=(80, d)) < 0.25] = np.nan
    X[:40, 1] = np.nan
    rows = Rows(X, rng.exponential(size=120))
    model = MixtureModel(components(kind, prior, d, rows.totals.weight))

    def expect(parameters: MixtureParameters) -> Any:
        return rows.sum(partial(model.expect, parameters))

    def objective(parameters: MixtureParameters | None) -> float:
        assert parameters is not None
        statistics = expect(parameters)
        return (model.elbo(statistics) + model.log_prior(parameters, statistics)) * statistics.weight

    pooled = model.components.pooled_parameters(K)
    q = rng.dirichlet([0.2] * K, size=120).T
    block = Block(X, rows.sample_weight, None, 0)
    first = model.components.observe(pooled, model.components.read(block), np.zeros(K)).accumulate(q)
    start = MixtureParameters(np.log([0.4, 0.6]), model.components.maximize(first))
    statistics = expect(start)
    metric = Metric.at(model, start, statistics)
    W = metric.matrix()
    if not prior:
        products = rows.sum(partial(score_products, model, start, power=2))
        assert rows.sample_weight is not None
        singly = [
            weight * score(model, start, model.expect(start, Block(x[np.newaxis], None, None, 0))).ravel()
            for x, weight in zip(X, rows.sample_weight, strict=True)
        ]
        np.testing.assert_allclose(products, np.transpose(singly) @ singly, atol=1e-9)
    gradient = metric.gradient(score(model, start, statistics)).ravel()
    np.testing.assert_allclose(W.T @ score(model, start, statistics).ravel(), gradient, atol=1e-10)

    def along(parameters: Any, own: Metric, z: Any, h: float) -> float:
        return objective(model.moved(parameters, own.directions(h * z.reshape(K, -1))))

    h = 1e-3
    for z in np.eye(len(W)):
        at = [along(start, metric, z, k * h) for k in (-2, -1, 1, 2)]
        assert gradient @ z == pytest.approx((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h), abs=1e-7)

    max_iter = 300 if kind.startswith("student") else 20_000  # whose shapes at a bound have no end but rounding
    end = run_em(model, expect, start, tol=1e-14, max_iter=max_iter).state
    metric = Metric.at(model, end.parameters, end.statistics)
    assert np.abs(metric.gradient(score(model, end.parameters, end.statistics))).max() < 1e-5
    W = metric.matrix()
    missing = W.T @ rows.sum(partial(missing_information, model, end.parameters)) @ W
    _, singular, right = np.linalg.svd(W)
    basis = right[singular > 1e-10 * singular[0]]
    h = 3e-2
    for _ in range(3):
        z = rng.normal(size=len(basis)) @ basis
        z /= np.linalg.norm(z)
        at = [along(end.parameters, metric, z, k * h) for k in (-2, -1, 0, 1, 2)]
        second = (-at[0] + 16 * at[1] - 30 * at[2] + 16 * at[3] - at[4]) / (12 * h**2)
        assert z @ missing @ z - 1.0 == pytest.approx(second, abs=2e-6)


def test_distances_from_other_parameters_than_those_of_the_e_step() -> None:
    """Sums of squared Mahalanobis distances by loops, from sums in frames of others; and the way to a vector and back."""
    rng = np.random.RandomState(0)
    X, r = rng.normal(size=(9, 3)), rng.uniform(size=(2, 9))
    kind = components("full", "", 3)
    frame, other = (
        GaussianParameters.of(rng.normal(size=(2, 3)), np.eye(3) + 0.3 * rng.uniform(size=(2, 1, 1)), np.zeros((2, 3)))
        for _ in "ab"
    )
    sums = kind.observe(
        frame, kind.read(Block(kind.units.location + kind.units.scale * X, None, None, 0)), np.zeros(2)
    ).accumulate(r)
    expected = [
        sum(
            r[c, n] * (x - other.means[c]) @ np.linalg.inv(other.covariances[c]) @ (x - other.means[c])
            for n, x in enumerate(X)
        )
        for c in range(2)
    ]
    np.testing.assert_allclose(sums.distances(other), expected, rtol=1e-10)
    log_normalisers = 3 * np.log(2 * np.pi) + np.linalg.slogdet(other.covariances)[1]
    own = sums.distances(frame).sum()
    size = 0.5 * (own + np.abs(log_normalisers) @ r.sum(axis=1)) + abs(sums.log_volume)
    assert kind.magnitude(other, sums) == pytest.approx(size, rel=1e-10)
    back = kind.unpack(kind.pack(other), frame)
    assert back is not None
    np.testing.assert_allclose(back.means, other.means, rtol=1e-12)
    np.testing.assert_allclose(back.covariances, other.covariances, rtol=1e-10)


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("far", [1e6, 1e7])
def test_narrow_clusters_far_apart(kind: str, far: float) -> None:
    """A component is as precise as its own spread allows, however far the others are."""
    rng = np.random.default_rng(0)
    near, away = rng.normal(size=(200, 2)), rng.normal(size=(100, 2))
    X = np.concatenate([near, away + far])
    model = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    parts = [np.cov(near.T, bias=True), np.cov(away.T, bias=True)]
    if kind == "tied":
        np.testing.assert_allclose(model.covariances_, (2 * parts[0] + parts[1]) / 3, rtol=1e-7)
    else:
        found = model.covariances_[np.argsort(model.means_[:, 0])]
        np.testing.assert_allclose(found, parts, rtol=1e-7, atol=1e-8)


def test_ill_conditioned_and_far_from_the_origin() -> None:
    """A condition of 1e10, 1e4 standard deviations away: the likelihood of the closed form of one Gaussian."""
    rng = np.random.default_rng(1)
    Q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    y = rng.normal(size=(400, 4))
    y = np.linalg.solve(np.linalg.cholesky(np.cov(y.T, bias=True)), (y - y.mean(axis=0)).T).T
    scale = np.array([1.0, 1e-2, 1e-4, 1e-5])
    X = (y * scale) @ Q.T + 1e4
    model = GaussianMixture(1).fit(X)
    expected = -0.5 * 4 * np.log(2 * np.pi * np.e) - np.log(scale).sum()
    # Rows of this size are rounded to 1e-12, 1e-7 of the smallest spread.
    assert model.score(X) == pytest.approx(expected, abs=1e-8)
    assert model.entropy_sum_score() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("kind", ["full", "tied"])
def test_singular_covariances_are_finite_and_named(kind: str, gaps: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    X[:, 3] = X[:, 1] + X[:, 2]
    if gaps:
        X[rng.uniform(size=X.shape) < 0.05] = np.nan
    with pytest.warns(
        ConvergenceWarning,
        match=r"components? ?\d? in column 1, column 2, column 3( is|; .* is) \(nearly\) singular.*prior_counts",
    ):
        model = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    assert np.isfinite(model.lower_bound_)
    assert np.isfinite(model.score_samples(X)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regular = GaussianMixture(2, covariance_type=kind, prior_counts=5.0, random_state=0).fit(X[:, :3])
    assert abs(regular.stationarity_gap_) < 1e-6


def test_fewer_rows_than_columns() -> None:
    X = np.random.default_rng(0).normal(size=(6, 10))
    with pytest.warns(ConvergenceWarning, match="singular"):
        model = GaussianMixture(2, random_state=0).fit(X)
    assert np.isfinite(model.lower_bound_)
    assert GaussianMixture(2, covariance_type="tied_spherical", random_state=0).fit(X).converged_


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_from_parameters(kind: str) -> None:
    X = factors() if kind == "fa" else DATA["iris"]  # noise that is not on its floor
    model = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    covariances = {"covariances": model.covariances_}
    if kind in ("ppca", "fa"):
        covariances = {"loadings": model.loadings_, "noise_variances": model.noise_variances_}
    made = GaussianMixture.from_parameters(model.weights_, model.means_, covariance_type=kind, **covariances)
    np.testing.assert_allclose(made.score_samples(X), model.score_samples(X), rtol=1e-12)
    np.testing.assert_allclose(made.precisions_, model.precisions_, rtol=1e-9)
    assert made.n_parameters_ == model.n_parameters_
    by_precisions = sklearn.clone(model).set_params(
        weights_init=model.weights_, means_init=model.means_, precisions_init=model.precisions_, max_iter=0
    )
    start = by_precisions.fit(X)
    atol = 1e-12 if kind in ("ppca", "fa") else 0.0
    np.testing.assert_allclose(start.covariances_, model.covariances_, rtol=1e-9, atol=atol)
    by_precisions.set_params(max_iter=1000).fit(X)
    assert by_precisions.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-9)


def test_bad_parameters_are_refused_by_name() -> None:
    make, means = GaussianMixture.from_parameters, np.zeros((2, 2))
    with pytest.raises(
        ValueError, match=r"covariances should have the shape \(n_components, n_features, n_features\) = \(2, 2, 2\)"
    ):
        make([0.5, 0.5], means, np.eye(2))
    with pytest.raises(ValueError, match="covariances of component 1 must be symmetric and positive definite"):
        make([0.5, 0.5], means, [np.eye(2), [[1.0, 2.0], [2.0, 1.0]]])
    with pytest.raises(ValueError, match="covariances must be symmetric and positive definite"):
        make([0.5, 0.5], means, [[1.0, 0.0], [1.0, 1.0]], "tied")
    with pytest.raises(ValueError, match="covariances must be positive"):
        make([0.5, 0.5], means, [1.0, 0.0], "spherical")
    with pytest.raises(ValueError, match="means must be finite"):
        make([0.5, 0.5], means + np.nan, 1.0, "tied_spherical")
    with pytest.raises(ValueError, match="covariance_type must be one of full"):
        make([0.5, 0.5], means, 1.0, "banded")
    X = DATA["iris"]
    with pytest.raises(ValueError, match="covariances_init and precisions_init are alternatives"):
        GaussianMixture(means_init=X[:2], covariances_init=[np.eye(4)] * 2, precisions_init=[np.eye(4)] * 2).fit(X)
    with pytest.raises(ValueError, match="precisions_init must be symmetric and positive definite"):
        GaussianMixture(means_init=X[:2], precisions_init=np.zeros((2, 4, 4))).fit(X)
    with pytest.raises(ValueError, match=r"means_init is missing"):
        GaussianMixture(covariances_init=[np.eye(4)] * 2).fit(X)


def test_means_alone_are_a_start() -> None:
    X = DATA["iris"]
    model = GaussianMixture(3, means_init=X[[0, 60, 120]]).fit(X)
    assert model.lower_bound_ == pytest.approx(GaussianMixture(3, random_state=0).fit(X).lower_bound_, abs=1e-3)


@pytest.mark.parametrize("kind", ["full", "spherical"])
def test_a_degenerate_run_loses_to_a_regular_one(kind: str) -> None:
    """A component on a few rows has a likelihood without bound; of several runs a regular one is kept."""
    X = np.random.RandomState(0).normal(size=(40, 3))
    options: dict[str, Any] = {"covariance_type": kind, "init_params": "random_from_data", "n_starts": 1}

    def narrowest(model: GaussianMixture) -> float:
        return float(min(np.linalg.eigvalsh(_matrix(model, c))[0] for c in range(5)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        single = (GaussianMixture(5, random_state=seed, **options).fit(X) for seed in range(12))
        collapsed = next(model for model in single if narrowest(model) < 1e-10)
        # The first of several runs is the single one.
        best = GaussianMixture(5, random_state=collapsed.random_state, n_init=6, **options).fit(X)
    assert best.lower_bound_ < collapsed.lower_bound_
    assert narrowest(best) > 1e-6


def test_a_frame_is_imputed_as_a_frame() -> None:
    pandas = pytest.importorskip("pandas")
    X, _ = gappy()
    table = pandas.DataFrame(X[3:], columns=list("abcd"), index=range(100, 247)).assign(e=np.arange(147))
    model = GaussianMixture(2, prior_counts=1.0, random_state=0).fit(table)
    filled = model.impute(table)
    assert filled.index.equals(table.index)
    assert filled["e"].dtype == table["e"].dtype
    np.testing.assert_allclose(filled.to_numpy(dtype=float), model.impute(table).to_numpy(dtype=float))
    assert filled.notna().all().all()


@pytest.mark.parametrize("tied", [False, True])
def test_divergence_of_components(tied: bool) -> None:
    S = np.array([[[2.0, 0.6], [0.6, 1.0]], [[1.0, -0.3], [-0.3, 0.5]]])
    if tied:
        S[1] = S[0]
    means = np.array([[0.0, 1.0], [2.0, -1.0]])
    kind = CorrelatedGaussian(tied=tied, units=Units(np.zeros(2), np.ones(2)))
    found = kind.divergence(kind.natural((means, S[0] if tied else S)), 0)
    step = means[1] - means[0]
    # KL(N_0 | N_1) = (tr S_1^-1 S_0 + step' S_1^-1 step - d + log det S_1 / det S_0) / 2
    inverse, ratio = np.linalg.inv(S[1]), np.linalg.det(S[1]) / np.linalg.det(S[0])
    expected = 0.5 * (np.trace(inverse @ S[0]) + step @ inverse @ step - 2.0 + np.log(ratio))
    np.testing.assert_allclose(found, [0.0, expected], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["spherical", "tied_spherical"])
def test_spheres_around_given_means_start_with_the_mean_variance(kind: str) -> None:
    X = np.array([[0.0, 0.0], [2.0, 30.0], [4.0, 0.0], [2.0, 10.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianMixture(2, covariance_type=kind, means_init=[[1.0, 5.0], [3.0, 20.0]], max_iter=0).fit(X)
    np.testing.assert_allclose(model.covariances_, X.var(axis=0).mean(), rtol=1e-12)
