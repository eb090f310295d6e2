"""Student t mixtures: densities and maxima of other programs, the identity, outliers, bounds, what users give and see."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid
from scipy.optimize import minimize
from scipy.special import digamma, entr, gammaln, logsumexp, softmax
from sklearn.exceptions import ConvergenceWarning

from skentropy import ColumnMixture, GaussianMixture, StudentTMixture
from skentropy._data import Block
from tests.common.components import problem

KINDS = [("full", None), ("tied", None), ("full", 4.0)]


def clusters(n: int = 400) -> tuple[Any, Any]:
    """Two clusters with heavy tails, a tenth of the entries missing; and weights."""
    rng = np.random.default_rng(0)
    X = rng.standard_t(3, size=(n, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]])
    X[n // 2 :] = 0.7 * X[n // 2 :] + [6.0, 4.0, 0.0]
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    X[::5, 1] = np.nan
    X[:, 0] = np.where(np.isnan(X).all(axis=1), 0.0, X[:, 0])
    return X, rng.integers(0, 4, size=n).astype(float)


def scale(model: StudentTMixture, c: int) -> Any:
    return model.scales_ if model.scale_type == "tied" else model.scales_[c]


def log_joint(X: Any, model: StudentTMixture) -> Any:
    joint = np.tile(np.log(model.weights_), (len(X), 1))
    for c, nu in enumerate(model.degrees_of_freedom_):
        for n, x in enumerate(X):
            o = ~np.isnan(x)
            if o.any():
                joint[n, c] += stats.multivariate_t.logpdf(x[o], model.means_[c, o], scale(model, c)[np.ix_(o, o)], nu)
    return joint


@pytest.mark.parametrize(("kind", "degrees"), KINDS)
def test_densities_by_scipy_and_the_identity(kind: str, degrees: float | None) -> None:
    X, weight = clusters()
    for rows, w in ((X, weight), (np.nan_to_num(X), None)):
        for accelerate in (True, False):
            model = StudentTMixture(2, scale_type=kind, degrees_of_freedom=degrees, random_state=0, accelerate=accelerate)
            model.fit(rows, sample_weight=w)
            sums, bounds = np.array([terms.value for terms in model.entropy_sums_]), np.array(model.lower_bounds_)
            assert (sums <= bounds + 1e-12).all()
            assert (bounds[:-1] <= sums[1:] + 1e-12).all()
            assert abs(model.stationarity_gap_) < 1e-5
        joint = log_joint(rows, model)
        np.testing.assert_allclose(model.score_samples(rows), logsumexp(joint, axis=1), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(model.predict_proba(rows), softmax(joint, axis=1), atol=1e-9)
        assert model.lower_bound_ == pytest.approx(np.average(logsumexp(joint, axis=1), weights=w), abs=1e-10)


@pytest.mark.parametrize("prior_counts", [0.0, 2.0])
@pytest.mark.parametrize(("kind", "degrees"), KINDS)
def test_the_entropy_sum_of_a_step_is_its_elbo(kind: str, degrees: float | None, prior_counts: float) -> None:
    """By definition: old posteriors of components, scales (of mean one, where that is free) and gaps, new parameters."""
    X, weight = clusters(120)
    options: dict[str, Any] = {"scale_type": kind, "degrees_of_freedom": degrees, "prior_counts": prior_counts}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        before = StudentTMixture(2, max_iter=1, n_starts=1, init_params="random", random_state=3, **options)
        before.fit(X, sample_weight=weight)
        after = copy.deepcopy(before).set_params(accelerate=False, warm_start=True).fit(X, sample_weight=weight)
    q = softmax(log_joint(X, before), axis=1)
    elbo = weight @ entr(q).sum(axis=1) + weight @ q @ np.log(after.weights_)
    for c in range(2):
        old, new, a, b = scale(before, c), scale(after, c), *(m.degrees_of_freedom_[c] / 2 for m in (before, after))
        posteriors = []
        for x in X:
            o = ~np.isnan(x)
            step = x[o] - before.means_[c, o]
            posteriors.append((a + o.sum() / 2, a + step @ np.linalg.solve(old[np.ix_(o, o)], step) / 2))
        r = weight * q[:, c]
        free = kind == "full" and not prior_counts
        mean = r @ [shape / rate for shape, rate in posteriors] / r.sum() if free else 1.0
        for x, mass, (shape, rate) in zip(X, r, posteriors, strict=True):
            o, m = ~np.isnan(x), np.isnan(x)
            u, log_u = shape / rate / mean, digamma(shape) - np.log(rate * mean)
            gain = np.linalg.solve(old[np.ix_(o, o)], old[np.ix_(o, m)]).T
            filled, spread = np.where(o, x, before.means_[c]), np.zeros_like(old)
            filled[m] += gain @ (x[o] - before.means_[c][o])
            spread[np.ix_(m, m)] = (old[np.ix_(m, m)] - gain @ old[np.ix_(o, m)]) / mean  # times 1 / u
            step = filled - after.means_[c]
            distance = np.trace(np.linalg.solve(new, spread + u * np.outer(step, step)))
            value = -0.5 * (np.linalg.slogdet(2 * np.pi * new)[1] + distance) + 1.5 * log_u
            value += b * np.log(b) - gammaln(b) + (b - 1) * log_u - b * u
            value += stats.gamma(shape, scale=1 / (rate * mean)).entropy()
            value += 0.5 * np.linalg.slogdet(2 * np.pi * np.e * spread[np.ix_(m, m)])[1] - 0.5 * m.sum() * log_u
            elbo += mass * value
    assert after.entropy_sums_[0].value == pytest.approx(elbo / weight.sum(), abs=1e-10)
    assert (after.entropy_sums_[0].penalty != 0.0) == (prior_counts > 0.0)


def test_one_component_by_other_programs() -> None:
    """SciPy's fit of one column, and its minimiser of two."""
    rng = np.random.default_rng(0)
    x = 2.0 + 0.5 * rng.standard_t(4, size=500)
    degrees, location, width = stats.t.fit(x)
    model = StudentTMixture(1, tol=1e-13).fit(x[:, np.newaxis])
    assert model.lower_bound_ >= stats.t.logpdf(x, degrees, location, width).mean() - 1e-12
    assert model.lower_bound_ == pytest.approx(stats.t.logpdf(x, degrees, location, width).mean(), abs=1e-7)
    found = [model.degrees_of_freedom_.item(), model.means_.item(), np.sqrt(model.scales_.item())]
    np.testing.assert_allclose(found, [degrees, location, width], rtol=2e-3)
    X = rng.standard_t(3, size=(300, 2)) @ np.array([[1.0, 0.7], [0.0, 0.5]])

    def loss(t: Any) -> float:
        L = np.array([[np.exp(t[2]), 0.0], [t[3], np.exp(t[4])]])
        return -float(stats.multivariate_t.logpdf(X, t[:2], L @ L.T, np.exp(t[5])).mean())

    best = minimize(loss, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0], method="BFGS", options={"gtol": 1e-9})
    model = StudentTMixture(1, tol=1e-13).fit(X)
    assert model.lower_bound_ == pytest.approx(-best.fun, abs=1e-9)
    np.testing.assert_allclose(model.means_[0], best.x[:2], atol=1e-5)
    assert model.degrees_of_freedom_.item() == pytest.approx(np.exp(best.x[5]), rel=1e-4)


def test_standard_errors_by_differences() -> None:
    x = 2.0 + 0.5 * np.random.default_rng(0).standard_t(4, size=500)
    model = StudentTMixture(1, tol=1e-14).fit(x[:, np.newaxis])
    errors = model.standard_errors(x[:, np.newaxis])
    end = np.array([model.means_.item(), model.scales_.item(), model.degrees_of_freedom_.item()])

    def total(t: Any) -> float:
        return float(stats.t.logpdf(x, t[2], t[0], np.sqrt(t[1])).sum())

    steps = np.diag(1e-3 * np.abs(end))
    H = [
        [
            (total(end + a + b) - total(end + a - b) - total(end - a + b) + total(end - a - b)) / (4 * a.sum() * b.sum())
            for b in steps
        ]
        for a in steps
    ]
    expected = np.sqrt(np.diag(np.linalg.inv(-np.array(H))))
    found = [errors[name].item() for name in ("means", "scales", "degrees_of_freedom")]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_outliers_pull_nothing() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(150, 2)), rng.normal(size=(150, 2)) + 6.0, 50.0 * rng.normal(size=(12, 2))])
    model = StudentTMixture(2, random_state=0).fit(X)
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), [0.0, 6.0], atol=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = GaussianMixture(2, random_state=0).fit(X)
    assert model.bic(X) < plain.bic(X)


def test_gaussian_tails_are_a_limit() -> None:
    X = np.random.default_rng(1).uniform(size=(300, 2))
    model = StudentTMixture(1).fit(X)
    assert model.degrees_of_freedom_.item() == pytest.approx(1e4)
    assert abs(model.stationarity_gap_) < 1e-6
    assert model.lower_bound_ == pytest.approx(GaussianMixture(1).fit(X).lower_bound_, abs=2e-4)


def test_infinite_variances_are_reported() -> None:
    """Of a Cauchy distribution."""
    X = np.random.default_rng(0).standard_cauchy(size=(400, 2))
    model = StudentTMixture(1, degrees_of_freedom=1.0).fit(X)
    assert model.n_parameters_ == 2 + 3
    assert "inf" in str(model.summary(X))
    np.testing.assert_allclose(model.means_, 0.0, atol=0.3)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_parameters_and_draws(kind: str) -> None:
    S = np.array([[[1.0, 0.4], [0.4, 2.0]], [[0.5, 0.0], [0.0, 0.5]]])
    scales = S[0] if kind == "tied" else S
    model = StudentTMixture.from_parameters([0.4, 0.6], [[0.0, 0.0], [9.0, 9.0]], scales, [8.0, 12.0], kind)
    X, labels = model.sample(200_000, random_state=0)
    for c, nu in enumerate([8.0, 12.0]):
        own = X[labels == c]
        np.testing.assert_allclose(own.mean(axis=0), model.means_[c], atol=0.02)
        np.testing.assert_allclose(np.cov(own.T), nu / (nu - 2) * scale(model, c), atol=0.06)
    assert model.score(X) == pytest.approx(logsumexp(log_joint(X[:50], model), axis=1).mean(), abs=0.5)
    start = StudentTMixture(2, scale_type=kind, means_init=model.means_, scales_init=scales, random_state=0)
    assert start.fit(X[:2000]).converged_


def test_bad_parameters_are_refused_by_name() -> None:
    make, means, scales = StudentTMixture.from_parameters, np.zeros((2, 2)), [np.eye(2)] * 2
    with pytest.raises(ValueError, match="degrees_of_freedom must be positive"):
        make([0.5, 0.5], means, scales, [1.0, 0.0])
    with pytest.raises(ValueError, match=r"degrees_of_freedom should have the shape \(n_components,\) = \(2,\)"):
        make([0.5, 0.5], means, scales, [1.0])
    with pytest.raises(ValueError, match="scales of component 1 must be symmetric and positive definite"):
        make([0.5, 0.5], means, [np.eye(2), -np.eye(2)], [1.0, 1.0])
    with pytest.raises(ValueError, match="means must be finite"):
        make([0.5, 0.5], means + np.nan, scales, [1.0, 1.0])
    with pytest.raises(ValueError, match="scale_type must be 'full' or 'tied'"):
        make([0.5, 0.5], means, scales, [1.0, 1.0], "diag")
    with pytest.raises(ValueError, match="degrees_of_freedom"):
        StudentTMixture(degrees_of_freedom=0.0).fit(np.eye(5))
    with pytest.raises(ValueError, match="degrees_of_freedom"):
        StudentTMixture(degrees_of_freedom=1e7).fit(np.eye(5))
    with pytest.raises(ValueError, match="degrees_of_freedom must be positive, and at most 1000000"):
        make([0.5, 0.5], means, scales, [1.0, 1e7])
    for wrong in ("3", None, True):
        with pytest.raises(ValueError, match=f"degrees_of_freedom must be a number or an array of them, got {wrong!r}"):
            make([0.5, 0.5], means, scales, wrong)
    with pytest.raises(ValueError, match=r"degrees_of_freedom must hold numbers, and no text, got \['3', '4'\]"):
        make([0.5, 0.5], means, scales, ["3", "4"])
    with pytest.raises(ValueError, match="means must hold numbers, and no text"):
        make([0.5, 0.5], means.astype(str), scales, 3.0)


def test_the_most_degrees_keep_their_digits() -> None:
    X = np.linspace(-3.0, 3.0, 7)[:, np.newaxis]
    model = StudentTMixture.from_parameters([1.0], [[0.0]], [[[1.0]]], [1e6])
    gaussian = -0.5 * np.log(2.0 * np.pi) - 0.5 * X[:, 0] ** 2
    first_order = (X[:, 0] ** 4 - 2.0 * X[:, 0] ** 2 - 1.0) / 4.0 / 1e6  # of log t in 1 / nu
    np.testing.assert_allclose(model.score_samples(X), gaussian + first_order, rtol=0.0, atol=1e-9)


def test_a_block_of_columns() -> None:
    X, _ = clusters()
    X = np.column_stack([X, np.random.default_rng(0).poisson(3.0, size=len(X))])
    model = ColumnMixture([("robust", StudentTMixture(), [0, 1, 2]), ("counts", "poisson", [3])], random_state=0).fit(X)
    assert model.families_["robust"] == "student_t"
    assert model.parameters_["robust"]["degrees_of_freedom"].shape == (2,)
    assert abs(model.stationarity_gap_) < 1e-5


@pytest.mark.filterwarnings("error")
def test_given_degrees_of_freedom_are_no_estimates() -> None:
    X, _ = clusters()
    X = X[~np.isnan(X[:, :2]).all(axis=1)]
    alone = StudentTMixture(2, degrees_of_freedom=4.0, random_state=0).fit(X)
    block = ColumnMixture([("t", StudentTMixture(degrees_of_freedom=4.0), [0, 1])], 2, random_state=0).fit(X[:, :2])
    np.testing.assert_array_equal(alone.standard_errors(X)["degrees_of_freedom"], 0.0)
    np.testing.assert_array_equal(block.standard_errors(X[:, :2])["t: degrees_of_freedom"], 0.0)
    assert (alone.standard_errors(X)["means"] > 0.0).all()


def test_moments_and_divergences_by_their_integrals() -> None:
    """Divergences are those of rows and their scales together, so that with one column both kinds are the same."""
    means, degrees = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]]), np.array([3.0, 8.0, 40.0])
    scales = np.array([np.eye(2), [[2.0, 0.6], [0.6, 0.5]], [[0.7, -0.2], [-0.2, 3.0]]])
    model = StudentTMixture.from_parameters([0.2, 0.3, 0.5], means, scales, degrees)
    components, parameters = (part.components for part in model._fitted_model(None))
    found_means, variances = components.moments(parameters)
    np.testing.assert_allclose(found_means, means, rtol=1e-12)
    inflation = degrees / (degrees - 2.0)
    np.testing.assert_allclose(variances, inflation[:, np.newaxis] * np.diagonal(scales, axis1=1, axis2=2), rtol=1e-12)
    (columns, covariances), *_ = components.correlated_columns(parameters)
    np.testing.assert_array_equal(columns, [0, 1])
    np.testing.assert_allclose(covariances, inflation[:, np.newaxis, np.newaxis] * scales, rtol=1e-12)
    t = np.linspace(-40.0, 6.0, 100_001)  # log u
    log_p = np.array([stats.gamma.logpdf(np.exp(t), nu / 2, scale=2 / nu) + t for nu in degrees])
    for c in range(3):
        of_scales = trapezoid(np.exp(log_p[c]) * (log_p[c] - log_p), t, axis=1)
        precisions = np.linalg.inv(scales)
        step = means - means[c]
        spread = np.einsum("kij,ji->k", precisions, scales[c]) + np.einsum("ki,kij,kj->k", step, precisions, step)
        log_ratio = np.linalg.slogdet(scales)[1] - np.linalg.slogdet(scales[c])[1]
        expected = of_scales + 0.5 * (spread - 2.0 + log_ratio)
        np.testing.assert_allclose(components.divergence(parameters, c), expected, rtol=1e-7, atol=1e-8)
        own = np.diagonal(scales, axis1=1, axis2=2)
        by_column = 0.5 * ((own[c] + step**2) / own - 1.0 + np.log(own / own[c])) + of_scales[:, np.newaxis]
        np.testing.assert_allclose(components.column_divergences(parameters, c), by_column, rtol=1e-7, atol=1e-8)
    few = StudentTMixture.from_parameters([0.5, 0.5], means[:2], scales[:2], [2.0, 2.01])
    components, parameters = (part.components for part in few._fitted_model(None))
    variances = components.moments(parameters)[1]
    assert np.isinf(variances[0]).all()
    np.testing.assert_allclose(variances[1], 201.0 * np.diag(scales[1]), rtol=1e-9)
    assert components.correlated_columns(parameters) == []


@pytest.mark.parametrize(("bound", "power"), [(0.1, 12.0), (1e4, 0.3)])
def test_the_identity_holds_where_degrees_of_freedom_are_at_a_bound(bound: float, power: float) -> None:
    z = np.random.default_rng(0).normal(size=(200, 2))
    X = np.sign(z) * np.abs(z) ** power
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = StudentTMixture(1, random_state=0, max_iter=300).fit(X)
    assert model.degrees_of_freedom_[0] == pytest.approx(bound, rel=1e-12)
    own, parameters = model._fitted_model(None)
    block = Block(X, None, None, 0)
    for _ in range(3):
        statistics = own.expect(parameters, block)
        parameters = own.maximize(statistics)
        assert own.components.standard(parameters.components)[2] == pytest.approx(bound, rel=1e-12)
        step = own.elbo_of_step(parameters, statistics)
        assert own.entropy_sum(parameters, statistics).value == pytest.approx(step, rel=1e-12)


def test_magnitude_is_the_sum_of_absolute_terms() -> None:
    X, weight = clusters(100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, parameters = StudentTMixture(2, random_state=0, max_iter=5).fit(X)._fitted_model(None)
    statistics = model.expect(parameters, Block(X, weight, None, 0)).components
    own, a = parameters.components, parameters.components.shapes
    sums, counts = statistics.scaled, statistics.counts
    # In units of its own frame a row's squared distance is the trace of its second moment.
    distances = np.trace(sums.second, axis1=1, axis2=2)
    normalisers = 3 * np.log(2 * np.pi) + np.linalg.slogdet(own.covariances)[1]
    of_scales = counts * (a * np.log(a) - gammaln(a)) + (a - 1) * statistics.log_scales - a * statistics.scales
    expected = 0.5 * (distances + counts * np.abs(normalisers)) + np.abs(statistics.entropies) + np.abs(of_scales)
    expected = expected.sum() + abs(sums.missing_entropy) + abs(sums.log_volume)
    assert model.components.magnitude(own, statistics) == pytest.approx(expected, rel=1e-9)


def test_fitted_degrees_of_freedom_lie_between_a_tenth_and_ten_thousand() -> None:
    """Wherever steps would lead; at the bounds they are held."""
    model, _, parameters, block = problem("StudentTMixture")
    components, own = model.components, parameters.components
    shapes = 0.5 * np.array([0.1, 0.1001, 9999.0, 1e4])
    np.testing.assert_array_equal(components._is_free(shapes), [False, True, True, False])
    direction = np.zeros((2, components.n_directions(own)))
    direction[:, -1] = -20.0, 20.0
    vector = components.pack(own)
    vector[-2:] = -20.0, 20.0
    statistics = model.expect(parameters, block).components
    # The mean of log u is far below, or next to, the logarithm of its mean.
    logs = statistics.counts * np.array([-1e4, -1e-9])
    far = replace(statistics, log_scales=logs, scaled=replace(statistics.scaled, counts=statistics.counts))
    for found in (components.moved(own, direction), components.unpack(vector, own), components.maximize(far)):
        np.testing.assert_allclose(components.standard(found)[2], [0.1, 1e4], rtol=1e-12)
    given = problem("student-given")[0].components
    moved = given.moved(
        given.natural((*given.standard(problem("student-given")[1].components)[:2], np.full(2, 0.02))), 0.0 * direction
    )
    np.testing.assert_allclose(given.standard(moved)[2], 0.02, rtol=1e-12)


def test_average_rows_have_a_scale_of_one() -> None:
    model, _, parameters, block = problem("StudentTMixture")
    statistics = model.expect(parameters, block).components
    more = model.components.with_average_rows(statistics, 0.5, 1)
    np.testing.assert_allclose(more.scales - statistics.scales, 0.5 * statistics.scales.mean(), rtol=1e-9)
    np.testing.assert_allclose(more.counts - statistics.counts, 0.5 * statistics.scales.mean(), rtol=1e-9)


def test_a_component_without_rows_keeps_its_degrees_of_freedom() -> None:
    model, _, parameters, block = problem("StudentTMixture")
    components, own = model.components, parameters.components
    evidence = components.observe(own, components.read(block), np.zeros(2))
    found = components.maximize(evidence.accumulate(np.outer([1.0, 0.0], np.ones(block.n_rows))))
    assert found.shapes[0] != own.shapes[0]
    assert found.shapes[1] == own.shapes[1]
