"""Components that collapse, that a bound holds, or that have no weight."""

from __future__ import annotations

import tracemalloc
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import optimize, sparse
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning

from skentropy import GammaMixture, GaussianMixture, PoissonMixture, StudentTMixture
from skentropy._data import Block, survey_columns
from skentropy._linalg import pack_symmetric
from skentropy.families import Bernoulli, Binomial, Categorical, Gamma, Gaussian
from skentropy.mixture._covariance_types import initial_covariances
from skentropy.mixture._feature_metric import OneHotMetric, inverse_root
from skentropy.mixture._gaussian import CorrelatedGaussian
from skentropy.mixture._gaussian_parameters import GaussianParameters
from skentropy.mixture._independent import FeatureSums, Independent
from skentropy.mixture._information import Metric
from skentropy.mixture._input import check_columns
from skentropy.mixture._levels import Levels
from skentropy.mixture._model import LOG_TINY
from skentropy.mixture._observations import Units
from skentropy.mixture._standard_errors import mixture_estimates
from tests.common.components import KINDS, assert_same, problem
from tests.common.estimators import MEASURES

# Kinds for which a component that has no weight stands still by that alone, not by having no rows.
WEIGHED = ["PoissonMixture", "GammaMixture", "ExponentialFamilyMixture", "GaussianMixture-fa", "diag", "ColumnMixture"]


NARROW = [
    "GaussianMixture-full",
    "GaussianMixture-tied",
    "diag",
    "tied_diag",
    "GammaMixture",
    "ExponentialFamilyMixture-weibull",
]


def narrowed(components: Any, share: float) -> Any:
    """All components as wide as all rows but for a share of the variance, the spread, or the inverse squared shape."""
    pooled = dict(zip(components.attribute_names, components.standard(components.pooled_parameters(2)), strict=True))
    if "covariances" in pooled:
        pooled["covariances"] = share * pooled["covariances"]
    elif "scales" in pooled:
        pooled["shapes"] = pooled["shapes"] / np.sqrt(share)
    elif "rates" in pooled:
        pooled |= {name: pooled[name] / share for name in ("shapes", "rates")}
    else:
        family = components.family
        wanted, given = share * family.spread(components.pooled_parameters(1).eta)[0], pooled["concentrations"]

        def excess(log_factor: float) -> float:
            pooled["concentrations"] = np.exp(log_factor) * given
            return float(np.log(family.spread(components.natural(tuple(pooled.values())).eta)[0] / wanted))

        excess(optimize.brentq(excess, -1.0, 14.0, xtol=1e-10))
    return components.natural(tuple(pooled.values()))


@pytest.mark.parametrize(
    ("was", "is_now", "collapses"),
    [
        (1.0, 0.998e-3, True),
        (1.0, 1.002e-3, False),
        (1e-3, 0.498e-3, True),
        (1e-3, 0.502e-3, False),
        (1e-4, 0.498e-4, True),
    ],
)
@pytest.mark.parametrize("name", NARROW)
def test_components_collapse_that_are_narrow_and_become_narrower(
    name: str, was: float, is_now: float, collapses: bool
) -> None:
    """Less than a thousandth as wide as all rows, and less than half as wide as before."""
    components = problem(name)[0].components
    before, after = narrowed(components, was), narrowed(components, is_now)
    np.testing.assert_array_equal(components.collapsed(before, after), collapses)
    assert not components.degenerate(after)


@pytest.mark.parametrize("name", ["GaussianMixture-full", "GaussianMixture-tied", "StudentTMixture", "student-tied"])
def test_what_a_bound_holds_has_no_coordinates(name: str) -> None:
    """Two columns of the first component are the same."""
    model, _, parameters, block = problem(name)
    components = model.components
    standard = list(components.standard(parameters.components))
    S = standard[1] = standard[1].copy()
    S[..., 1, :], S[..., :, 1] = S[..., 0, :], S[..., :, 0]
    S[..., 1, 1] = S[..., 0, 0]
    if S.ndim == 3:
        S[1] = np.eye(S.shape[1])
    held = components.natural(tuple(standard))
    parameters = replace(parameters, components=held)
    statistics = model.expect(parameters, block)
    metric = components.metric(held, statistics.components, statistics.counts)
    K, P, d = len(parameters.log_weights), components.n_directions(held), S.shape[-1]
    moves = metric.directions(np.eye(K * P).reshape(K * P, K, P))[..., : d + d * (d + 1) // 2].any(axis=(0, 2))
    np.testing.assert_array_equal(moves, [False, S.ndim == 3])


@pytest.mark.parametrize("name", WEIGHED)
def test_nothing_moves_of_a_component_without_weight(name: str) -> None:
    model, _, parameters, block = problem(name)
    statistics = model.expect(parameters, block)
    log_weights = parameters.log_weights.copy()
    log_weights[0] = LOG_TINY
    W = Metric.at(model, replace(parameters, log_weights=log_weights), statistics).matrix()
    K = len(log_weights)
    W = W.reshape(K, -1, K, W.shape[1] // K)
    assert not W[0, :, 0].any()
    assert W[1, :, 1].any()


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "tied_diag", "fa", "student", "student_tied"])
def test_a_constant_column_is_named_as_constant(kind: str) -> None:
    X = np.column_stack([MEASURES[:, :2], np.full(len(MEASURES), 4.1), MEASURES[:, 2:]])
    model: Any = GaussianMixture(2, covariance_type=kind, max_iter=3, random_state=0)
    if kind.startswith("student"):
        model = StudentTMixture(2, scale_type="tied" if "tied" in kind else "full", max_iter=3, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    (told,) = [str(warning.message) for warning in caught if "bound" in str(warning.message)]
    assert "all the same in column 2" in told


POSITIVE = {
    "covariances",
    "noise_variances",
    "scales",
    "shapes",
    "rates",
    "degrees_of_freedom",
    "dispersions",
    "concentrations",
}


@pytest.mark.parametrize("name", [name for name in KINDS if name != "ColumnMixture"])
def test_small_parameters_are_allowed(name: str) -> None:
    components = problem(name)[0].components
    standard = components.standard(components.pooled_parameters(2 + components.n_fixed))
    names = components.attribute_names
    given = [1e-6 * value if name in POSITIVE else value for name, value in zip(names, standard, strict=True)]
    components.check_standard(tuple(given))


@pytest.mark.parametrize("name", list(KINDS))
def test_the_distribution_of_all_rows_and_that_of_a_step_have_what_is_given(name: str) -> None:
    """Such as the degrees of freedom, and what components share."""
    model, _, parameters, block = problem(name)
    components, K = model.components, len(parameters.log_weights) - model.components.n_fixed
    pooled = components.pooled_parameters(K + components.n_fixed)
    for own in (pooled, components.maximize(model.expect(parameters, block).components)):
        assert components.fits(components.standard(own), K)


@pytest.mark.parametrize("n", [1, 5])
def test_limits_of_shares_are_those_that_are_nearer(n: int) -> None:
    """As seen from all rows; none is approached from below by less than a hundred-millionth."""
    pooled = np.array([0.3, 0.005, 0.6, 0.995])
    components = Independent(Binomial(n), pooled=n * pooled[np.newaxis])
    p = np.array([[0.2, 0.5, 0.9, 0.1], [0.7, 1e-6, 0.2, 1.0 - 1e-6]])
    own = components.natural((p,))
    limits = components.limits(own)
    high = p > pooled
    distance, of_pooled = np.where(high, 1.0 - p, p), np.where(high, 1.0 - pooled, pooled)
    np.testing.assert_array_equal(limits.near(own).reshape(2, 4), distance < 1e-3 * of_pooled)
    assert not limits.lost(own).any()
    places = np.array([[True, False, True, True], [False, True, False, True]])
    put = {share: limits.put(own, places.ravel(), share) for share in (0.0, 1e-14, 1e-9, 1e-4, 1e-2)}
    for share, at in put.items():
        found = components.standard(at)[0]
        expected = np.where(high, 1.0 - max(share, 1e-8 * (share > 0.0)) * of_pooled, share * of_pooled)
        np.testing.assert_allclose(found, np.where(places, expected, p), rtol=1e-9, atol=1e-15)
        near = np.where(places, share < 1e-3, distance < 1e-3 * of_pooled)
        np.testing.assert_array_equal(limits.near(at).reshape(2, 4), near)
        np.testing.assert_array_equal(limits.lost(at).reshape(2, 4), places & np.where(high, share == 0.0, share < 1e-12))
    grown = put[1e-9], put[1e-4]
    for factor, grows in ((0.99, places), (1.01, False)):
        steps = np.where(high, 1e4, 1e5) * factor
        for faster_than in np.unique(np.log(steps)):
            found = limits.growing(*grown, faster_than).reshape(2, 4)
            of = np.log(steps) == faster_than
            np.testing.assert_array_equal(found[of], np.broadcast_to(grows, (2, 4))[of])


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_roots_leave_out_what_has_next_to_no_information(unit: float) -> None:
    information = unit * np.array([[[4.0, 0.0], [0.0, 4.1e-40]], [[4.0, 0.0], [0.0, 3.9e-40]], [[2.0, 2.0], [2.0, 2.0]]])
    W = inverse_root(information)
    product = W.transpose(0, 2, 1) @ information @ W
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(product)), [[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]], atol=1e-12)
    one = inverse_root(unit * np.array([[[9.0]], [[9.1e-40]], [[8.9e-40]], [[0.0]]]))
    np.testing.assert_allclose(one[:, 0, 0], np.array([1 / 3, (9.1e-40) ** -0.5, 0.0, 0.0]) / np.sqrt(unit), rtol=1e-12)


def test_roots_for_categories_are_those_of_their_information() -> None:
    p = np.array([[0.5, 0.3, 0.2, 0.0], [0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 0.0], [1e-9, 1.0 - 3e-9, 1e-9, 1e-9]])
    family, seen = Categorical(4), np.array([[8.0, 2.0], [0.5, 1e3], [3.0, 7.0], [0.0, 4.0]])
    eta = family.from_standard(p[:, np.newaxis].repeat(2, axis=1))
    metric = OneHotMetric.at(family, eta, seen)
    W = np.moveaxis(metric.directions(np.eye(32).reshape(32, 4, 8)), 0, -1).reshape(4, 8, 4, 8)
    for c, d in np.ndindex(seen.shape):
        own = W[c, d::2, c, d::2]
        A = -seen[c, d] * np.outer(p[c], p[c])
        A[np.diag_indices(4)] = seen[c, d] * p[c] * ((1.0 - np.eye(4)) @ p[c])  # p (1 - p)
        rank = max(int((p[c] > 0.0).sum()) - 1, 0) * (seen[c, d] > 0.0)
        metric_of_z = own.T @ A @ own
        np.testing.assert_allclose(metric_of_z, np.diag(np.round(np.diag(metric_of_z))), atol=1e-12)
        assert np.round(np.trace(metric_of_z)) == np.any(own != 0.0, axis=0).sum() == rank
        np.testing.assert_allclose(A @ own @ own.T @ A, A, rtol=1e-12, atol=1e-15 * A.max())
        W[c, d::2, c, d::2] = 0.0
    assert not W.any()


def test_gradients_by_categories_are_transposes_of_directions() -> None:
    rng = np.random.default_rng(0)
    family = Categorical(5)
    eta = family.from_standard(rng.dirichlet(np.ones(5), size=(3, 2)))
    metric = OneHotMetric.at(family, eta, rng.uniform(1.0, 9.0, size=(3, 2)))
    z, score = rng.normal(size=(2, 3, 10))
    assert (metric.directions(z) * score).sum() == pytest.approx((z * metric.gradient(score)).sum(), rel=1e-13)


def test_what_is_known_of_many_categories_takes_little_memory() -> None:
    size = 10_000
    family = Categorical(size)
    eta = family.from_standard(np.random.default_rng(0).dirichlet(np.ones(size), size=(2, 1)))
    components = Independent(family, pooled=family.mean(eta).mean(axis=1))
    statistics = FeatureSums(np.full((2, 1), 50.0), 50.0 * family.mean(eta))
    tracemalloc.start()
    metric = components.metric(components.parameters(eta), statistics, np.full(2, 50.0))
    direction = metric.directions(metric.gradient(np.ones((2, size))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert direction.shape == (2, size)
    assert peak < 30 * eta.nbytes


def test_levels_are_whole_numbers_up_to_the_largest_and_are_kept() -> None:
    levels = Levels.up_to(np.array([3.0, 0.0]))
    assert levels is not None
    np.testing.assert_array_equal(levels.values, [0.0, 1.0, 2.0, 3.0, 0.0])
    np.testing.assert_array_equal(levels.starts, [0, 4, 5])
    assert Levels.up_to(np.array([3.0, 4096.0])) is None
    assert levels.indicators(np.array([[1.0, 0.0], [3.0, 0.0]]))[0] is levels
    assert levels.indicators(np.array([[1.0, 1.0]]))[0] is not levels


@pytest.mark.parametrize("name", list(KINDS))
def test_what_nothing_is_known_of_is_expected_as_components_are_mixed(name: str) -> None:
    model, _, parameters, block = problem(name)
    components, own, X = model.components, parameters.components, block.X
    rows = components.read(Block(np.full_like(X, np.nan) if components.allows_gaps else X, None, None, 0))
    q = (
        0.7 * np.random.default_rng(7).dirichlet(np.ones(len(parameters.log_weights)), size=len(X)).T
    )  # the rest is of others
    totals = X.sum(axis=1, keepdims=True) if name == "MultinomialMixture" else 1.0
    found = components.expected_rows(own, rows, q)
    np.testing.assert_allclose(found, totals * (q.T @ components.moments(own)[0]), rtol=1e-9, atol=1e-12)


FIXED = ["GaussianMixture-noise", "PoissonMixture-zero_inflated"]


@pytest.mark.parametrize("name", FIXED)
def test_what_is_fixed_leaves_its_rows_to_itself(name: str) -> None:
    """Moments of all rows are those of the others, and it is no duplicate of any."""
    model, _, parameters, block = problem(name)
    components, own = model.components, parameters.components
    standard = components.standard(own)
    for weights, shares in (
        ([0.2, 0.6, 0.2], [0.25, 0.75]),
        ([0.0, 0.0, 1.0], [0.5, 0.5]),
        ([0.004, 0.001, 0.995], [0.8, 0.2]),
    ):
        found = components.of_fitted(np.array(weights), standard, is_sparse=False).own
        expected = components.own.of_fitted(np.array(shares), standard, is_sparse=False)
        for key in ("pooled", "pooled_mean"):
            np.testing.assert_allclose(getattr(found, key, 0.0), getattr(expected, key, 0.0), rtol=1e-12)
        if expected.units is not None:
            np.testing.assert_allclose(found.units.scale, expected.units.scale, rtol=1e-12)
            np.testing.assert_allclose(found.units.location, expected.units.location, rtol=1e-12)
    far = components.divergence(own, 2)
    assert (far[:2] > 1e99).all()
    assert far[2] == 0.0
    np.testing.assert_allclose(components.divergence(own, 1)[:2], components.own.divergence(own, 1), rtol=1e-12)
    assert components.divergence(own, 1)[2] > 1e99
    sums = model.expect(parameters, block).components
    expected = components.own.magnitude(own, sums.own) + abs(sums.log_fixed)
    assert components.magnitude(own, sums) == pytest.approx(expected, rel=1e-12)


def test_from_zeros_a_column_is_as_far_as_its_zero_is_rare() -> None:
    """Also where counts are so large that their base measure is relative to all rows."""
    rates = np.array([[2e8, 3.0], [1e9, 0.0]])
    mixture = PoissonMixture.from_parameters([0.4, 0.4, 0.2], rates, zero_inflated=True)
    model, parameters = mixture._fitted_model(None)
    found = model.components.column_divergences(parameters.components, 2)
    np.testing.assert_allclose(found, [*rates, [0.0, 0.0]], rtol=1e-9, atol=1e-12)


def test_weights_that_are_given_include_what_is_fixed_and_small_precisions_are_allowed() -> None:
    weights, rates = [0.3, 0.3, 0.4], [[1.0], [9.0]]
    X = np.array([[0.0], [0.0], [1.0], [8.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no steps
        mixture = PoissonMixture(2, zero_inflated=True, weights_init=weights, rates_init=rates, max_iter=0).fit(X)
    np.testing.assert_allclose(mixture.weights_, weights, rtol=1e-12)
    np.testing.assert_allclose(initial_covariances(None, [[0.004]], "diag"), [[250.0]], rtol=1e-12)
    with pytest.raises(ValueError, match="precisions_init must be positive"):
        initial_covariances(None, [[0.0]], "diag")


def test_counts_may_be_as_many_as_trials_and_no_more() -> None:
    """Also where rows have exposures."""
    components = Independent(Binomial(1000))
    X = np.array([[1000.0, 1001.0], [1001.0, 2001.0], [-1.0, 2000.0]])
    for table in (X, sparse.csr_matrix(X)):
        np.testing.assert_array_equal(components.count_outside(Block(table, None, None, 0)), [[2, 3], [1, 0]])
        exposure = np.array([1.0, 2.0, 2.0])
        np.testing.assert_array_equal(components.count_outside(Block(table, None, exposure, 0)), [[1, 2], [1, 0]])


def test_logits_may_be_of_any_size() -> None:
    model, _, parameters, _ = problem("PoissonMixture")
    for shift in (-1e300, 1e300, 1000.0):
        logits = np.array([0.0, 1.0, 2.0]) * min(1.0, 1000.0 / abs(shift)) + shift
        found = model.normalised(logits, parameters.components).log_weights
        np.testing.assert_allclose(found, log_softmax(logits), rtol=1e-9)


def test_scales_of_mean_one_however_far_rows_are() -> None:
    model, _, parameters, block = problem("StudentTMixture")
    statistics = model.expect(parameters, block).components
    for by in (1e4, 1.0, 1e-4):
        found = model.components._normalised(statistics.rescaled(np.full(2, by)))
        np.testing.assert_allclose(found.scales, statistics.counts, rtol=1e-12)


@pytest.mark.parametrize("name", list(KINDS))
def test_rows_may_weigh_next_to_nothing(name: str) -> None:
    model, _, parameters, block = problem(name, 0.0)
    components, rows = model.components, model.read(block)
    q = np.random.default_rng(5).dirichlet(np.ones(len(parameters.log_weights)), size=block.n_rows).T
    standard = []
    for weight in (1.0, 1e-80):
        statistics = components.observe(parameters.components, rows, np.zeros(len(q))).accumulate(weight * q)
        standard.append(components.standard(components.maximize(statistics)))
    assert_same(*standard, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["DirichletMixture", "VonMisesFisherMixture", "ColumnMixture"])
def test_magnitude_of_rows_is_the_sum_of_absolute_terms(name: str) -> None:
    model, _, parameters, block = problem(name)
    sums, expected = model.expect(parameters, block).components, 0.0
    parts = (
        [(parameters.components, sums)] if name != "ColumnMixture" else list(zip(parameters.components, sums, strict=True))
    )
    for own, of in parts:
        counts = getattr(of, "exposures", None)
        counts = of.counts if counts is None else counts
        expected += np.abs(own.eta * of.sums).sum() + np.abs(counts * own.log_partition).sum()
    assert model.components.magnitude(parameters.components, sums) == pytest.approx(expected, rel=1e-12)


def test_what_a_component_excludes_is_infinitely_far() -> None:
    """Zeros as well as ones."""
    components = Independent(Bernoulli(), pooled=np.full((1, 2), 0.5))
    own = components.natural((np.array([[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]]),))
    found = components.column_divergences(own, 0)
    np.testing.assert_array_equal(found[1:], np.inf)
    np.testing.assert_array_equal(found[0], 0.0)
    np.testing.assert_allclose(components.column_divergences(own, 1), [[np.log(2.0)] * 2, [0.0] * 2, [0.0] * 2], atol=1e-9)


def test_a_family_without_limits_has_none_and_one_narrow_column_is_enough() -> None:
    class Own(Gaussian):
        parameter_limits = ()

    assert Independent(Own()).standard_limits == ((-np.inf, np.inf),) * 2
    means, weights = np.array([[0.0, 0.0], [1e9, 1.0]]), np.array([0.5, 0.5])
    for variances, is_narrow in (([[1e-3, 1.0], [1e-3, 1.0]], True), ([[1e18, 1.0], [1e18, 1.0]], False)):
        known = Independent(Gaussian()).of_fitted(weights, (means, np.array(variances)), is_sparse=False)
        assert (known.narrow is not None) == is_narrow


@pytest.mark.parametrize("name", FIXED)
def test_estimates_have_a_label_for_each_component_that_has_some(name: str) -> None:
    model, parameters, _, _ = problem(name)
    estimates = list(mixture_estimates(KINDS[name][0], model, parameters))
    assert [tuple(map(len, estimate.axes)) for estimate in estimates] == [estimate.values.shape for estimate in estimates]


@pytest.mark.parametrize("name", ["NegativeBinomialMixture", "dispersions-tied", "ExponentialFamilyMixture-weibull"])
def test_each_entry_of_average_rows_has_a_value(name: str) -> None:
    model, _, parameters, block = problem(name)
    rows = model.components.read(Block(np.nan_to_num(block.X, nan=2.0), block.weight, None, 0))
    components = model.components.with_pooled(model.components.summarize(rows, block.weight))
    q = np.random.default_rng(5).dirichlet(np.ones(2), size=block.n_rows).T
    statistics = components.observe(parameters.components, rows, np.zeros(2)).accumulate(q)
    more = components.with_average_rows(statistics, 0.5, 1)
    counted = more.seen.levels.sum_columns(more.seen.counts)
    np.testing.assert_allclose(counted, np.broadcast_to(more.exposures, counted.shape), rtol=1e-10)


def test_all_rows_of_directions_have_the_mean_of_the_mixture() -> None:
    model, parameters, _, _ = problem("VonMisesFisherMixture")
    components, own = model.components, parameters.components
    weights = np.random.default_rng(0).dirichlet(np.ones(len(own.eta)))
    known = components.of_fitted(weights, components.standard(own), is_sparse=False)
    np.testing.assert_allclose(known.pooled, weights @ components.moments(own)[0], rtol=1e-10)


def test_sums_of_many_blocks_must_not_overflow() -> None:
    """Though their means do not."""
    columns = survey_columns(Block(np.array([[1e300], [2e300]]), None, None, 0))
    check_columns(None, Gamma(), columns)
    with pytest.raises(ValueError, match="The sum of the values overflows in column 0"):
        check_columns(GammaMixture(), Gamma(), replace(columns, weight=1e9 * columns.weight))


@pytest.mark.parametrize(
    ("kind", "name", "share"), [("spherical", "covariances_", 1e-14), ("ppca", "noise_variances_", 1e-16)]
)
def test_a_variance_that_features_share_is_held_at_a_share_of_their_mean_variance(
    kind: str, name: str, share: float
) -> None:
    X = np.concatenate([np.zeros((30, 3)), np.random.default_rng(0).normal(5.0, 1.0, size=(60, 3)) * [1.0, 10.0, 30.0]])
    with pytest.warns(ConvergenceWarning):
        model = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    assert getattr(model, name).min() == pytest.approx(share * X.var(axis=0).mean(), rel=1e-6, abs=0.0)


@pytest.mark.parametrize(("log", "allowed"), [(99.6, True), (-99.6, True), (100.4, False), (-100.4, False)])
def test_logarithms_of_variances_are_at_most_a_hundred_and_move_by_no_more(log: float, allowed: bool) -> None:
    components = CorrelatedGaussian(units=Units(np.zeros(2), np.ones(2)))
    unit = GaussianParameters.of(np.zeros((1, 2)), np.eye(2)[np.newaxis], np.zeros((1, 2)))
    direction = np.concatenate([np.zeros(2), pack_symmetric(np.diag([log, 0.0])) / np.sqrt(2.0)])[np.newaxis]
    vector = components.pack(unit)
    vector[2] = 0.5 * log
    for moved in (components.moved(unit, direction), components.unpack(vector, unit)):
        assert (moved is not None) == allowed
        if moved is not None and log > 0.0:
            np.testing.assert_allclose(moved.covariances, [np.diag([np.exp(log), 1.0])], rtol=1e-9)
