"""Negative binomials with fitted dispersions: a base measure with parameters of its own."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse, special, stats

from skentropy import ColumnMixture, ExponentialFamilyMixture, NegativeBinomialMixture, PoissonMixture, rank_models
from skentropy._data import Block
from skentropy.families import NegativeBinomial
from skentropy.families import _dispersion as dispersion
from skentropy.families._dispersion import LARGEST_DISPERSION, DispersedPoisson
from skentropy.mixture._dispersed import TIES, Dispersed, DispersedParameters
from skentropy.mixture._dispersed_metric import DispersedMetric, MeanLimits
from skentropy.mixture._information import Metric, missing_information, score
from skentropy.mixture._levels import Levels, LevelSums
from skentropy.mixture._model import MixtureModel
from tests.common.components import problem

TIMES, DAYS = np.arange(10.0).reshape(-1, 1), np.array([162.0, 267, 271, 185, 111, 61, 27, 8, 3, 1])
MEANS, R = np.array([[1.0, 6, 30], [5, 0.5, 9]]), np.array([[0.5, 2, 50], [3, 1, 0.7]])


def counts(n: int = 150) -> Any:
    rng = np.random.default_rng(1)
    z = rng.integers(2, size=n)
    return rng.negative_binomial(R[z], (R / (R + MEANS))[z]).astype(float)


def with_gaps(X: Any) -> Any:
    X = np.where(np.random.default_rng(2).uniform(size=X.shape) < 0.2, np.nan, X)
    X[0] = np.nan
    return X


def log_joint(mixture: Any, X: Any) -> Any:
    """By scipy.stats."""
    columns = []
    for c, weight in enumerate(mixture.weights_):
        mean, a = mixture.means_[c], mixture.dispersions_[c]
        r = 1.0 / np.where(a > 0, a, 1.0)
        log_p = np.where(a > 0, stats.nbinom.logpmf(X, r, r / (r + mean)), stats.poisson.logpmf(X, mean))
        columns.append(np.log(weight) + np.where(np.isnan(X), 0.0, log_p).sum(axis=1))
    return np.stack(columns, axis=1)


def quiet(mixture: Any, X: Any, weight: Any = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixture.fit(X, sample_weight=weight)


@pytest.mark.parametrize("kind", list(TIES))
@pytest.mark.parametrize("prior_counts", [0.0, 2.5])
def test_elbo_after_each_m_step_is_the_entropy_sum(kind: str, prior_counts: float) -> None:
    weight = np.random.default_rng(3).exponential(size=150)
    for X, w in [(counts(), None), (with_gaps(counts()), weight)]:

        def fit(n_steps: int, X: Any = X, w: Any = w) -> Any:
            options = {"random_state": 0, "n_starts": 1, "tol": 0.0, "accelerate": False, "max_iter": n_steps}
            return quiet(NegativeBinomialMixture(3, dispersion_type=kind, prior_counts=prior_counts, **options), X, w)

        before = fit(0)
        for step in range(1, 5):
            after = fit(step)
            joint = log_joint(before, X)
            q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
            direct = np.average((q * log_joint(after, X)).sum(axis=1) + special.entr(q).sum(axis=1), weights=w)
            np.testing.assert_allclose(after.entropy_sums_[-1].value, direct, rtol=1e-12)
            log_likelihood = np.average(np.logaddexp.reduce(log_joint(after, X), axis=1), weights=w)
            np.testing.assert_allclose(after.lower_bound_, log_likelihood, rtol=1e-12)
            assert (after.entropy_sums_[-1].penalty != 0) == (prior_counts > 0)
            if not prior_counts:
                assert before.lower_bound_ <= direct + 1e-12 <= log_likelihood + 2e-12
            before = after


def test_a_mean_one_percent_off_breaks_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    X, original = counts(), Dispersed.mean_parameters
    mixture = NegativeBinomialMixture(1, max_iter=1, accelerate=False)
    assert abs(quiet(mixture, X).stationarity_gap_) < 1e-12
    monkeypatch.setattr(Dispersed, "mean_parameters", lambda self, sums: 1.01 * original(self, sums))
    assert abs(quiet(mixture, X).stationarity_gap_) > 1e-3


# counts.json, from BFGS and Nelder-Mead on scipy.stats.nbinom.
def test_reference_of_one_component() -> None:
    mixture = NegativeBinomialMixture(1).fit(TIMES, sample_weight=DAYS)
    np.testing.assert_allclose(1096 * mixture.lower_bound_, -1990.8286699356, rtol=1e-12)
    np.testing.assert_allclose(
        [mixture.means_[0, 0], mixture.dispersions_[0, 0]], [2.156934306569, 1 / 9.91035709467], rtol=1e-8
    )
    terms = mixture.entropy_sum_
    np.testing.assert_allclose([terms.observable, terms.base_measure], [5.66536244, 3.84891292], rtol=1e-8)


def randhie() -> Any:
    datasets = pytest.importorskip("statsmodels.datasets", reason="the table comes with statsmodels")
    return datasets.randhie.load_pandas().data


def test_reference_of_two_components() -> None:
    visits = randhie()[["mdvis"]].to_numpy(dtype=float)[::20]
    mixture = NegativeBinomialMixture(2, random_state=0, tol=1e-12).fit(visits)
    order = np.argsort(mixture.means_[:, 0])
    np.testing.assert_allclose(1010 * mixture.lower_bound_, -2210.733348109, rtol=1e-12)
    np.testing.assert_allclose(mixture.means_[order, 0], [2.279785888596, 4.32549549916], rtol=1e-5)
    np.testing.assert_allclose(1 / mixture.dispersions_[order, 0], [1.017964294921, 0.5024079143405], rtol=1e-5)
    terms = mixture.entropy_sum_
    found = [terms.posterior, terms.prior, terms.observable, terms.base_measure]
    np.testing.assert_allclose(found, [0.569079224, 0.602682945, 1.91435614, -0.240885036], rtol=1e-5)


def test_reference_of_a_mixed_table_from_default_settings() -> None:
    """mixed.json, the best of ten random starts of another program."""
    table = randhie().iloc[::20]
    table = table[table["disea"] > 0]
    blocks = [
        ("visits", "negative_binomial", ["mdvis"]),
        ("diseases", "gamma", ["disea"]),
        ("bits", "bernoulli", ["idp", "hlthg"]),
    ]
    mixture = ColumnMixture(blocks, 2, n_init=2, random_state=0).fit(table)
    assert 950 * mixture.lower_bound_ >= -6119.32333924 - 1e-6
    assert abs(mixture.stationarity_gap_) < 1e-6
    assert set(mixture.parameters_["visits"]) == {"means", "dispersions"}
    assert mixture.families_["visits"] == NegativeBinomial()


def test_the_poisson_limit_is_the_poisson_mixture() -> None:
    X = np.random.default_rng(0).binomial(20, 0.3, size=(200, 2)).astype(float)
    with pytest.warns(
        UserWarning, match="component 0 in column 0, component 0 in column 1 are no more dispersed than Poisson"
    ):
        mixture = NegativeBinomialMixture(1).fit(X)
    assert (mixture.dispersions_ == 0.0).all()
    assert mixture.lower_bound_ == pytest.approx(PoissonMixture(1).fit(X).lower_bound_, abs=1e-12)
    assert mixture.entropy_sum_.observable == pytest.approx(PoissonMixture(1).fit(X).entropy_sum_.observable)
    errors = np.diag(mixture.standard_errors(X).covariance)
    assert (np.isnan(errors) == [False, False, True, True]).all()


def test_an_excess_of_zeros_ends_at_a_mean_of_zero_and_says_so() -> None:
    rng = np.random.default_rng(0)
    X = (rng.negative_binomial(5, 0.3, size=(400, 1)) * rng.integers(2, size=(400, 1))).astype(float)
    with pytest.warns(UserWarning, match="at the limit where some values have probability zero"):
        mixture = NegativeBinomialMixture(2, random_state=0).fit(X)
    assert mixture.means_.min() == 0.0
    assert abs(mixture.stationarity_gap_) < 1e-6
    assert np.isfinite(mixture.score_samples(X)).all()


def test_a_column_of_one_large_count_is_held_at_the_largest_dispersion() -> None:
    X = np.zeros((3000, 1))
    X[0] = 4000.0
    with pytest.warns(UserWarning, match="so dispersed that the dispersion is held at 2981"):
        mixture = NegativeBinomialMixture(1).fit(X)
    assert mixture.dispersions_.max() == dispersion.LARGEST_DISPERSION
    assert abs(mixture.stationarity_gap_) < 1e-12


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.0, 0.25), (500.0, 0.0)])
def test_counts_of_any_kind(scale: float, shift: float) -> None:
    """Whole, fractional, and larger than those that have a table of their own."""
    x = np.random.default_rng(0).negative_binomial(3, 0.2, size=200) * scale + shift
    mixture = NegativeBinomialMixture(1).fit(x[:, np.newaxis])
    mean, a = mixture.means_[0, 0], mixture.dispersions_[0, 0]

    def log_likelihood(a: float) -> float:
        r = 1 / a
        log_h = special.gammaln(x + r) - special.gammaln(r) - special.gammaln(x + 1)
        return float(np.mean(log_h + x * np.log(mean / (mean + r)) + r * np.log(r / (mean + r))))

    assert mixture.lower_bound_ == pytest.approx(log_likelihood(a), rel=1e-11)
    assert all(log_likelihood(a) > log_likelihood(other) for other in (0.99 * a, 1.01 * a))
    np.testing.assert_allclose(mixture.fit(sparse.csr_matrix(x[:, np.newaxis])).dispersions_, a, rtol=1e-9)


@pytest.mark.parametrize("kind", list(TIES))
def test_ties(kind: str) -> None:
    X = counts()
    mixture = quiet(NegativeBinomialMixture(2, dispersion_type=kind, random_state=0), X)
    a = mixture.dispersions_
    wanted = {"full": 6, "feature": 3, "component": 2, "tied": 1}[kind]
    assert len(np.unique(a)) == wanted
    assert mixture.n_parameters_ == 1 + 6 + wanted
    assert mixture.converged_
    assert abs(mixture.stationarity_gap_) < 1e-6
    # No move of a dispersion that ties allow raises the likelihood.
    for axis_value in np.unique(a):
        for factor in (0.98, 1.02):
            moved = np.where(a == axis_value, factor * a, a)
            other = NegativeBinomialMixture.from_parameters(mixture.weights_, mixture.means_, moved)
            assert other.score(X) < mixture.lower_bound_


@pytest.mark.parametrize("kind", list(TIES))
@pytest.mark.parametrize("prior_counts", [0.0, 2.0])
def test_score_and_observed_information_are_derivatives(kind: str, prior_counts: float) -> None:
    X = with_gaps(counts())
    estimator = NegativeBinomialMixture(2, dispersion_type=kind, prior_counts=prior_counts, random_state=0)
    rows = estimator._read(X, reset=True)
    block = rows.take(np.arange(len(X)), np.random.default_rng(0).exponential(size=len(X)))
    components = estimator._get_components()
    components = Dispersed(components.family, prior_counts=prior_counts, tied=components.tied)
    components = components.with_pooled(components.summarize(components.read(block), block.weight))
    model = MixtureModel(components)
    parameters = quiet(estimator, X)._fitted_model(None)[1]
    h = 1e-4

    def value(direction: Any) -> float:
        moved = model.moved(parameters, direction)
        statistics = model.expect(moved, block)
        return (model.elbo(statistics) + model.log_prior(moved, statistics)) * statistics.weight

    def gradient(z: Any) -> Any:
        moved = model.moved(parameters, metric.directions(z.reshape(2, -1)))
        return metric.gradient(score(model, moved, model.expect(moved, block))).ravel()

    def difference(function: Any, direction: Any) -> Any:
        return (8 * (function(direction) - function(-direction)) - function(2 * direction) + function(-2 * direction)) / (
            12 * h
        )

    for _ in range(250):  # the metric is the information where the score is zero
        parameters = model.maximize(model.expect(parameters, block))
    statistics = model.expect(parameters, block)
    metric = Metric.at(model, parameters, statistics)
    off = model.moved(parameters, np.full((2, 7), 0.1))
    at = off if off is not None else parameters
    found = score(model, at, model.expect(at, block))
    parameters, here = at, parameters
    for direction in np.random.default_rng(1).normal(size=(4, 2, 7)):
        if kind != "full":
            direction[:, 4:] = direction[0, 4]  # allowed by every tie
        np.testing.assert_allclose(difference(value, h * direction), (found * direction).sum(), rtol=1e-6, atol=1e-5)
    parameters = here
    W = metric.matrix()
    z = np.random.default_rng(2).normal(size=len(W))
    np.testing.assert_allclose(metric.directions(z.reshape(2, -1)).ravel(), W @ z, atol=1e-12)
    np.testing.assert_allclose(metric.gradient(z.reshape(2, -1)).ravel(), W.T @ z, atol=1e-12)
    observed = W.T @ W @ np.linalg.pinv(W.T @ W) @ z  # on the range of W
    expected = observed - W.T @ (missing_information(model, parameters, block) @ (W @ observed))
    range_only = np.linalg.pinv(W) @ W
    np.testing.assert_allclose(range_only @ -difference(gradient, h * observed), range_only @ expected, atol=1e-6)


@pytest.mark.parametrize("prior_counts", [0.0, 50.0])
def test_standard_errors_are_those_of_a_numerical_hessian(prior_counts: float) -> None:
    X = randhie()[["mdvis"]].to_numpy(dtype=float)[::20]
    mixture = NegativeBinomialMixture(2, prior_counts=prior_counts, random_state=0, tol=1e-13).fit(X)
    values, repeats = np.unique(X, return_counts=True)
    logit = np.log(mixture.weights_[1] / mixture.weights_[0])
    at = np.concatenate([[logit], mixture.means_[:, 0], mixture.dispersions_[:, 0]])

    def log_likelihood(theta: Any) -> float:
        logit, means, a = theta[0], theta[1:3], theta[3:]
        log_p = stats.nbinom.logpmf(values[:, np.newaxis], 1 / a, 1 / (1 + a * means))
        log_weights = -np.logaddexp(0.0, [logit, -logit])
        log_prior = prior_counts * repeats @ log_p.sum(axis=1) / repeats.sum()
        return float(repeats @ np.logaddexp.reduce(log_weights + log_p, axis=1) + log_prior)

    def second(i: Any, j: Any) -> Any:
        corners = [log_likelihood(at + s * i + t * j) * s * t for s in (1, -1) for t in (1, -1)]
        return sum(corners) / 4

    steps = np.diag(2e-3 * at)
    hessian = np.array([[(16 * second(i, j) - second(2 * i, 2 * j)) / 12 for j in steps] for i in steps])
    expected = 2e-3 * at * np.sqrt(np.diag(np.linalg.inv(-hessian)))
    errors = np.sqrt(np.diag(mixture.standard_errors(X).covariance))
    np.testing.assert_allclose(errors[2:], expected[1:], rtol=2e-6)


def test_the_name_of_the_family_estimates_and_a_known_r_does_not() -> None:
    X = counts()
    named = quiet(ExponentialFamilyMixture("negative_binomial", 2, random_state=0), X)
    own = quiet(NegativeBinomialMixture(2, random_state=0), X)
    np.testing.assert_array_equal(named.dispersions_, own.dispersions_)
    assert named.family_ == NegativeBinomial()
    known = quiet(ExponentialFamilyMixture(NegativeBinomial(1.0), 2, random_state=0), X)
    assert known.lower_bound_ < own.lower_bound_
    same = NegativeBinomialMixture.from_parameters(
        known.weights_, known.probabilities_ / (1 - known.probabilities_), np.ones((2, 3))
    )
    np.testing.assert_allclose(same.score_samples(X), known.score_samples(X), rtol=1e-11)
    assert same.entropy_sum(X).observable == pytest.approx(known.entropy_sum_.observable, rel=1e-9)
    assert rank_models([own, known], X).best_ is not known


def test_what_needs_r_asks_for_it() -> None:
    with pytest.raises(ValueError, match=r"leaves r to be fitted by a mixture.*NegativeBinomial\(r=\.\.\.\)"):
        NegativeBinomial().log_partition(np.array([-1.0]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0], [2.0]], [[-0.1], [1.0]]), "dispersions must be non-negative and finite; got -0.1 to 1"),
        (([[1.0], [np.inf]], [[0.1], [1.0]]), "means must be non-negative and finite"),
        (([[1.0], [2.0]], [[0.1, 0.2], [1.0, 2.0]]), "dispersions should have the shape"),
    ],
)
def test_bad_parameters(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NegativeBinomialMixture.from_parameters([0.5, 0.5], *arguments)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="dispersions_init must be the same along what dispersion_type ties"):
        NegativeBinomialMixture(1, dispersion_type="tied", means_init=[[1, 2, 3]], dispersions_init=[[1, 2, 3]]).fit(
            counts()
        )
    with pytest.raises(ValueError, match="exposure is not defined for the negative_binomial family"):
        NegativeBinomialMixture(1).fit(counts(), exposure=np.ones(150))


@pytest.mark.parametrize("dispersions", [[[0.5, 0.0, 2.0], [0.0, 0.3, 0.01]], [[5e-3, 4e-3, 8e-3], [0.5, 0.0, 7e-3]]])
def test_divergences_are_sums_over_counts(dispersions: Any) -> None:
    mixture = NegativeBinomialMixture.from_parameters([0.5, 0.5], MEANS, dispersions)
    model, parameters = mixture._fitted_model(None)
    x = np.arange(20000.0)[:, np.newaxis, np.newaxis]
    a = mixture.dispersions_
    r = 1.0 / np.where(a > 0, a, 1.0)
    log_p = np.where(a > 0, stats.nbinom.logpmf(x, r, r / (r + MEANS)), stats.poisson.logpmf(x, MEANS))
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(np.exp(log_p[:, :1]) * (log_p[:, :1] - log_p)).sum(axis=0)
    np.testing.assert_allclose(model.components.column_divergences(parameters.components, 0), expected, atol=1e-10)


@pytest.mark.parametrize("a", [1e-7, 1e-4, 0.02, 1.0, 500.0])
def test_base_measures_and_their_slopes(a: float) -> None:
    for x in (0.0, 1.0, 2.0, 7.0, 300.0):
        j = np.arange(x)
        log_h = (np.log1p(a * j) - np.log(a) - np.log(j + 1)).sum()
        expected = log_h, (a * j / (1 + a * j)).sum(), (a * j / (1 + a * j) ** 2).sum()
        functions = dispersion.log_base_measure, dispersion.log_rising_slope, dispersion.log_rising_curvature
        found = [float(function(np.array(x), np.array(a))) for function in functions]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(dispersion.log_rising_slope(np.array(x), np.array(a), 1.0), expected[1] - x, atol=1e-9)


def test_level_sums_of_different_levels_add() -> None:
    one = LevelSums(Levels.of_columns([np.array([0.0, 1.5]), np.array([2.0])]), np.array([[1.0, 2.0, 3.0]]))
    two = LevelSums(Levels.of_columns([np.array([1.0]), np.array([0.0, 2.0])]), np.array([[4.0, 5.0, 6.0]]))
    both = one + two
    np.testing.assert_array_equal(both.levels.values, [0.0, 1.0, 1.5, 0.0, 2.0])
    np.testing.assert_array_equal(both.counts, [[1.0, 4.0, 2.0, 5.0, 9.0]])


@pytest.mark.parametrize(("times", "overdispersed"), [([46, 27, 22, 5], True), ([46, 11, 39, 4], False)])
def test_a_little_more_variance_than_the_mean_is_a_dispersion_and_a_little_less_is_none(
    times: list[int], overdispersed: bool
) -> None:
    """By a two-thousandth; the likelihood falls from a dispersion of zero on if and only if there is no excess."""
    x = np.arange(4.0).repeat(times)
    excess = (x * (x - 1)).mean() - x.mean() ** 2
    assert 0 < (excess if overdispersed else -excess) < 5e-4
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mixture = NegativeBinomialMixture(1).fit(x[:, np.newaxis])
    assert any("no more dispersed than Poisson" in str(warning.message) for warning in told) != overdispersed
    a, mean = mixture.dispersions_[0, 0], x.mean()
    assert (a > 0) == overdispersed
    if overdispersed:
        log_p = [stats.nbinom.logpmf(x, 1 / b, 1 / (1 + b * mean)).mean() for b in (0.5 * a, a, 2.0 * a)]
        assert log_p[1] > max(log_p[0], log_p[2], stats.poisson.logpmf(x, mean).mean())


def test_small_means_and_dispersions_stay_what_they_are() -> None:
    """Also in the coordinates of extrapolation; at zero, and there alone, dispersions are held."""
    means, a = np.array([[0.0, 0.004, 3.0], [0.003, 0.5, 1e-8]]), np.array([[0.3, 0.0, 1e-3], [0.004, 2.0, 0.5]])
    components = Dispersed(NegativeBinomial(1.0), pooled=np.ones((1, 3)))
    parameters = components.natural((means, a))
    again = components.unpack(components.pack(parameters), parameters)
    assert again is not None
    np.testing.assert_allclose(again.means, means, rtol=1e-13)
    np.testing.assert_allclose(again.dispersions, a, rtol=1e-12)
    X = np.random.default_rng(0).poisson(1.0, size=(20, 3)).astype(float)
    evidence = components.observe(parameters, components.read(Block(X, None, None, 0)), np.zeros(2))
    statistics = evidence.accumulate(np.full((2, 20), 0.5))
    score = components.score(parameters, statistics)
    np.testing.assert_array_equal(score[:, 3:] == 0.0, (a == 0.0) | (means == 0.0))
    lengths = components.metric(parameters, statistics, np.array([10.0, 10.0])).lengths
    np.testing.assert_array_equal(lengths[:, :3] == 0.0, means == 0.0)
    assert (lengths[:, 3:][(a == 0.0) | (means == 0.0)] == 0.0).all()
    of_empty = components.metric(parameters, statistics, np.array([10.0, 0.0])).lengths
    assert (of_empty[1, 3:] == 0.0).all()
    divergences = components.column_divergences(parameters, 1)
    np.testing.assert_array_equal(np.isinf(divergences), [[True, False, False], [False, False, False]])
    np.testing.assert_array_equal(
        np.isinf(components.column_divergences(components.natural((means[::-1], a)), 0)[1]), [1, 0, 0]
    )


def test_the_pooled_dispersion_is_what_variances_exceed_means_by() -> None:
    weights, means, a = np.array([0.3, 0.7]), np.array([[1.0, 6.0], [4.0, 0.5]]), np.array([[0.5, 2.0], [0.1, 0.0]])
    components = Dispersed(NegativeBinomial(1.0)).of_fitted(weights, (means, a), is_sparse=False)
    mean = weights @ means
    variance = weights @ (means + a * means**2) + weights @ (means - mean) ** 2
    np.testing.assert_allclose(components.pooled, [mean], rtol=1e-14)
    assert components.pooled_dispersion == pytest.approx((variance - mean).sum() / (mean**2).sum(), rel=1e-12)
    alone = Dispersed(NegativeBinomial(1.0)).of_fitted(np.ones(1), (means[:1], np.full((1, 2), 0.005)), is_sparse=False)
    assert alone.pooled_dispersion == pytest.approx(0.005, rel=1e-10)
    rare = Dispersed(NegativeBinomial(1.0)).of_fitted(np.ones(1), (np.full((1, 2), 0.01), a[:1]), is_sparse=False)
    assert rare.pooled_dispersion == pytest.approx(1.25, rel=1e-9)
    none = Dispersed(NegativeBinomial(1.0)).of_fitted(np.ones(1), (np.zeros((1, 2)), np.zeros((1, 2))), is_sparse=False)
    assert none.pooled_dispersion == 0.0


def test_magnitude_is_the_sum_of_absolute_terms() -> None:
    model, _, parameters, block = problem("NegativeBinomialMixture")
    own, statistics = parameters.components, model.expect(parameters, block).components
    levels = statistics.seen.levels
    log_h = dispersion.log_base_measure(levels.values, own.dispersions[:, levels.column])
    expected = np.abs(log_h * statistics.seen.counts).sum() + np.abs(own.eta[0] * statistics.sums[0]).sum()
    expected += np.abs(statistics.exposures * own.log_partition).sum()
    assert model.components.magnitude(own, statistics) == pytest.approx(expected, rel=1e-12)


def test_dispersions_at_a_bound_have_no_score_and_no_coordinates() -> None:
    """Neither have those of means of zero, however small others are."""
    model, _, parameters, block = problem("NegativeBinomialMixture")
    components, before = model.components, parameters.components
    means, a = before.means.copy(), before.dispersions.copy()
    a[0, :2], a[0, 2], a[1, 1], means[1, 0] = 0.0, LARGEST_DISPERSION, 1e-3, 0.0
    held = np.array([[True, True, True, False], [True, False, False, False]])
    own = DispersedParameters.of(means, a, before.levels)
    at = replace(parameters, components=own)
    statistics = model.expect(at, block)
    scores = [components.score(own, statistics.components), *components.row_scores(own, model.read(block))]
    np.testing.assert_array_equal(scores[0][:, 4:] == 0.0, held)
    for of_rows, of in zip(scores[1:], held, strict=True):
        np.testing.assert_array_equal((of_rows[:, 4:] == 0.0).all(axis=0), of)
    assert not components.metric(own, statistics.components, statistics.counts).lengths[:, 4:][held].any()


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_what_tells_next_to_nothing_is_held(unit: float) -> None:
    """Less than 1e-40 of what the best known parameter does."""
    share = np.array([[1.0, 2e-40, 0.5e-40, 0.0]])
    expected = np.array([[1.0, 1.0, 0.0, 0.0]]) / np.sqrt(unit * np.maximum(share, 1e-300))
    for found in (DispersedMetric.of(unit * share, 0.0 * share, ()), DispersedMetric.of(0.0 * share, unit * share, ())):
        np.testing.assert_allclose(found.lengths.sum(axis=0).reshape(2, 4).max(axis=0), expected[0], rtol=1e-12)
    assert not DispersedMetric.of(0.0 * share, 0.0 * share, ()).lengths.any()


def test_small_means_and_dispersions_are_told_of() -> None:
    """Where all values are small; and no means of columns without counts."""
    limits = MeanLimits(np.array([0.005, 0.0]))
    own = DispersedParameters.of(np.array([[1e-6, 0.0]]), np.ones((1, 2)), Levels.of_columns([np.zeros(1)] * 2))
    np.testing.assert_array_equal(limits.near(own), [True, False])
    mixture = NegativeBinomialMixture.from_parameters([1.0], [[3.0]], [[1.0]])

    def told(mean: float, a: float, pooled: float) -> str:
        components = replace(mixture._fitted_model(None)[0].components, pooled=np.array([[pooled]]))
        own = components.natural((np.array([[mean]]), np.array([[a]])))
        return " ".join(components.failures(mixture, own))

    assert "no more dispersed than Poisson" in told(0.005, 0.0, 0.005)
    assert told(0.005, 0.005, 0.005) == told(0.0, 0.0, 0.0) == ""
    assert "so dispersed that the dispersion is held" in told(0.005, LARGEST_DISPERSION, 0.005)
    assert told(0.0, LARGEST_DISPERSION, 0.0) == ""


def test_what_is_tied_agrees_to_a_millionth() -> None:
    components = Dispersed(DispersedPoisson(), tied=TIES["tied"])
    means, a = np.ones((2, 2)), np.full((2, 2), 1e-3)
    components.check_standard((means, a))
    components.check_standard((means, a * [[1.0, 1.0 + 5e-7], [1.0, 1.0]]))
    with pytest.raises(ValueError, match="must be the same along what dispersion_type ties"):
        components.check_standard((means, a * [[1.0, 1.0], [1.0, 1.01]]))


def test_no_extrapolation_divides_a_mean_or_a_dispersion_by_more_than_two() -> None:
    """Or goes further than the largest dispersion."""
    components = Dispersed(DispersedPoisson(), pooled=np.ones((1, 2)))
    parameters = components.natural((np.array([[3.0, 5.0]]), np.array([[0.7, 2.0]])))
    vector = components.pack(parameters)
    found = components.unpack(-vector, parameters)
    np.testing.assert_allclose(components.standard(found), [[[1.5, 2.5]], [[0.35, 1.0]]], rtol=1e-12)
    found = components.unpack(np.where(np.arange(4) < 2, vector, 1e3), parameters)
    np.testing.assert_allclose(components.standard(found)[1], LARGEST_DISPERSION)
    found = components.moved(parameters, np.array([[0.0, -1e3, 1e3, 0.0]]))
    np.testing.assert_allclose(components.standard(found), [[[3.0, 0.0]], [[LARGEST_DISPERSION, 2.0]]], rtol=1e-12)
    assert components.moved(parameters, np.array([[1e3, 0.0, 0.0, 0.0]])) is None
