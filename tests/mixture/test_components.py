"""Components of all kinds, part by part: what one part says of a distribution all others say too."""

from __future__ import annotations

import warnings
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from skentropy import ColumnMixture, GaussianMixture
from skentropy._data import Block
from skentropy.mixture._gaussian import CorrelatedGaussian
from skentropy.mixture._gaussian_parameters import GaussianParameters, is_well_rounded, singular_columns
from skentropy.mixture._information import Metric, score
from skentropy.mixture._observations import Units
from tests.common.components import KINDS, arrays, assert_same, problem
from tests.common.estimators import MEASURES

PRIORS = [0.0, 1.5]
# M-steps that are not solved to all digits where many runs are compared, and those that climb in steps.
ROUGH = ["ExponentialFamilyMixture-weibull"]
SEARCHED = [*ROUGH, "GaussianMixture-fa", "StudentTMixture", "student-tied", "student-given"]
# Divergences of these are bounds, or those of distributions with the same moments.
BOUNDS = [name for name in KINDS if "tudent" in name]


@pytest.mark.parametrize("name", list(KINDS))
def test_parameters_as_a_vector_as_attributes_and_by_selection(name: str) -> None:
    model, near, parameters, _ = problem(name)
    components, own = model.components, parameters.components
    standard = components.standard(own)
    limited = name == "ExponentialFamilyMixture"  # whose probabilities go so far in one step
    for start in (parameters, parameters if limited else near):
        again = model.unpack(model.pack(parameters), start)
        assert again is not None
        np.testing.assert_allclose(again.log_weights, parameters.log_weights, atol=1e-12)
        assert_same(components.standard(again.components), standard)
    assert_same(components.standard(components.natural(standard)), standard)


@pytest.mark.parametrize("prior_counts", PRIORS)
@pytest.mark.parametrize("name", list(KINDS))
def test_score_is_the_gradient_of_the_objective(name: str, prior_counts: float) -> None:
    """And without a prior what the rows' scores add up to."""
    model, _, parameters, block = problem(name, prior_counts)
    statistics = model.expect(parameters, block)
    found = score(model, parameters, statistics)

    def objective(direction: Any) -> float:
        moved = model.moved(parameters, direction)
        expected = model.expect(moved, block)
        return (model.elbo(expected) + model.log_prior(moved, expected)) * statistics.weight

    h = 1e-3
    metric = Metric.at(model, parameters, statistics)
    rng = np.random.default_rng(1)
    for _ in range(3):
        direction = metric.directions(rng.normal(size=found.shape))
        along = [objective(step * h * direction) for step in (-2, -1, 1, 2)]
        slope = np.dot([1, -8, 8, -1], along) / (12 * h)
        assert (found * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", list(KINDS))
def test_scores_of_rows_add_up_and_attributes_change_along_directions(name: str) -> None:
    model, _, parameters, block = problem(name)
    components, observations = model.components, model.read(block)
    statistics = model.expect(parameters, block)
    q = np.exp(model.posterior(parameters, observations)[1]) * block.weight
    total = [own @ t for own, t in zip(q, components.row_scores(parameters.components, observations), strict=False)]
    found = components.score(parameters.components, statistics.components)
    np.testing.assert_allclose(found[: len(total)], total, rtol=1e-9, atol=1e-8)
    metric = Metric.at(model, parameters, statistics)
    rng, h = np.random.default_rng(2), 1e-4
    directions = np.stack([metric.directions(rng.normal(size=(len(q), 1 + found.shape[1])))[:, 1:] for _ in range(2)])
    for m, direction in enumerate(directions):
        moved = [
            arrays(components.standard(components.moved(parameters.components, s * h * direction))) for s in (-2, -1, 1, 2)
        ]
        slopes = [np.tensordot([1, -8, 8, -1], np.stack(values), 1) / (12 * h) for values in zip(*moved, strict=True)]
        changes = components.standard_changes(parameters.components, directions)
        assert_same([change[m] for change in changes], slopes, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("prior_counts", PRIORS)
@pytest.mark.parametrize("name", list(KINDS))
def test_the_bound_touches_the_likelihood_and_is_a_sum_of_entropies_after_a_step(name: str, prior_counts: float) -> None:
    model, _, parameters, block = problem(name, prior_counts)
    statistics = model.expect(parameters, block)
    of_same, elbo = model.elbo_of_step(parameters, statistics), model.elbo(statistics)
    if getattr(model.components, "_expands", False):  # posteriors of scales of mean one
        assert elbo - 0.05 < of_same < elbo
    else:
        assert of_same == pytest.approx(elbo, rel=1e-11)
    after = model.maximize(statistics)
    bound = model.elbo_of_step(after, statistics)
    assert model.entropy_sum(after, statistics).value == pytest.approx(bound, rel=1e-10)
    if not prior_counts:
        assert elbo < bound < model.elbo(model.expect(after, block))
    largest = model.magnitude(after, statistics)
    assert abs(bound) < largest


@pytest.mark.parametrize("name", [name for name in KINDS if name != "MultinomialMixture"])  # moved as Poisson rates
def test_free_parameters_are_as_many_as_directions_that_change_something(name: str) -> None:
    model, _, parameters, block = problem(name, 1.5)
    W = Metric.at(model, parameters, model.expect(parameters, block)).matrix()
    K = len(parameters.log_weights)
    assert np.linalg.matrix_rank(W) == model.components.n_parameters(K) + K - 1


@pytest.mark.parametrize("prior_counts", PRIORS)
@pytest.mark.parametrize("name", list(KINDS))
def test_runs_side_by_side_are_each_by_itself(name: str, prior_counts: float) -> None:
    model, _, parameters, block = problem(name, prior_counts)
    components, observations = model.components, model.read(block)
    K = len(parameters.log_weights)
    q = np.random.default_rng(3).dirichlet(np.ones(K), size=(2, block.n_rows)).transpose(0, 2, 1) * block.weight
    single = [
        components.maximize(components.observe(parameters.components, observations, np.zeros(K)).accumulate(weights))
        for weights in q
    ]
    both = components.for_runs(2)
    twice = both.select(parameters.components, np.tile(np.arange(K), 2), 2)
    statistics = both.observe(twice, observations, np.zeros(2 * K)).accumulate(np.concatenate(q))
    found = both.maximize(statistics)
    for run, expected in enumerate(single):
        own = both.select(found, np.arange(K) + run * K, 1)
        rtol = 1e-3 if name in ROUGH else 1e-8
        assert_same(components.standard(own), components.standard(expected), rtol=rtol, atol=1e-8)
    if name not in SEARCHED:
        light = both.observe(twice, observations, np.zeros(2 * K)).accumulate(1e-3 * np.concatenate(q))
        mixed = [both.maximize(both.with_average_rows(sums, 0.5, 2)) for sums in (light, statistics)]
        if not prior_counts:  # which weighs something
            assert_same(both.standard(mixed[0]), both.standard(mixed[1]), rtol=1e-7, atol=1e-9)
        mixed = both.maximize(both.with_average_rows(statistics, 1e9, 2))
        like_all = components.standard(both.select(mixed, np.arange(K), 1))
        # What all features say of one variance is not weighted with how often they were seen.
        rtol = 1e-2 if name == "GaussianMixture-spherical" else 1e-6
        assert_same(like_all, components.standard(components.pooled_parameters(K)), rtol=rtol, atol=1e-6)


def test_the_stride_of_columns_is_that_of_the_longest_block() -> None:
    model, parameters, _, _ = problem("ColumnMixture")
    components, own = model.components, parameters.components
    edges = np.cumsum(
        [0, *(block.components.n_directions(part) for block, part in zip(components.blocks, own, strict=True))]
    )
    strides = []
    for block, low, high in zip(components.blocks, edges, edges[1:], strict=False):
        direction = np.zeros((len(parameters.log_weights), edges[-1]))
        direction[1, low:high] = 2.0 + low
        strides.append(components.stride(own, direction))
        assert strides[-1] == (2.0 + low if block.components.discrete else 0.0)
    assert len(set(strides)) > 1


@pytest.mark.parametrize("name", ["GaussianMixture-full", "GaussianMixture-fa", "diag", "GammaMixture"])
def test_steps_of_what_has_no_limits_change_no_logarithm(name: str) -> None:
    model, parameters, _, _ = problem(name)
    direction = np.ones((2, model.components.n_directions(parameters.components)))
    assert model.components.stride(parameters.components, direction) == 0.0


def test_columns_in_no_block_tell_nothing() -> None:
    X = np.random.RandomState(0).poisson(np.repeat([[1.0], [9.0]], 30, axis=0), size=(60, 2))
    model, parameters = ColumnMixture([("counts", "poisson", [0])], random_state=0).fit(X)._fitted_model(None)
    divergences = model.components.column_divergences(parameters.components, 0)
    assert (divergences[1, 0] > 1.0) & (divergences[:, 1] == 0.0).all()


@pytest.mark.parametrize("name", list(KINDS))
def test_moments_are_those_of_draws(name: str) -> None:
    model, _, parameters, _ = problem(name)
    components = model.components
    means, variances = components.moments(parameters.components)
    n = 40_000
    standard = components.standard(parameters.components)
    n_clusters = len(means) - components.n_fixed
    for c, (mean, variance) in enumerate(zip(means[:n_clusters], variances[:n_clusters], strict=True)):
        X = components.sample(standard, np.full(n, c), np.random.RandomState(c))
        fourth = ((X - mean) ** 4).mean(axis=0)
        assert (np.abs(X.mean(axis=0) - mean) <= 5 * np.sqrt(variance / n) + 1e-12).all()
        assert (np.abs(((X - mean) ** 2).mean(axis=0) - variance) <= 5 * np.sqrt(fourth / n) + 1e-12).all()


@pytest.mark.parametrize("name", ["GaussianMixture-full", "GaussianMixture-tied", "GaussianMixture-fa", "StudentTMixture"])
def test_draws_are_means_plus_roots_of_covariances_times_noise(name: str) -> None:
    model, parameters, _, _ = problem(name)
    standard = model.components.standard(parameters.components)
    labels, rng = np.arange(40) % 2, np.random.RandomState(3)
    found = model.components.sample(standard, labels, np.random.RandomState(3)) - standard[0][labels]
    if name == "GaussianMixture-fa":
        factors = rng.normal(size=(40, standard[1].shape[2], 1))
        expected = (standard[1][labels] @ factors)[:, :, 0] + np.sqrt(standard[2][labels]) * rng.normal(size=found.shape)
    else:
        roots = np.linalg.cholesky(np.broadcast_to(standard[1], (2, *standard[1].shape[-2:])))
        expected = (roots[labels] @ rng.normal(size=(*found.shape, 1)))[:, :, 0]
    if name == "StudentTMixture":
        expected /= np.sqrt(rng.chisquare(standard[2][labels]) / standard[2][labels])[:, np.newaxis]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in BOUNDS])
def test_divergences_are_mean_log_ratios_of_draws(name: str) -> None:
    model, _, parameters, _ = problem(name)
    components, own = model.components, parameters.components
    standard, n, K = components.standard(own), 20_000, 2
    for c in range(K):
        X = components.sample(standard, np.full(n, c), np.random.RandomState(c), None)
        offsets = np.zeros(K + components.n_fixed)
        log_p = components.observe(own, components.read(Block(X, None, None, 0)), offsets).log_joint[:K]
        ratios = log_p[c] - log_p
        error = 5 * ratios.std(axis=1) / np.sqrt(n) + 1e-9
        assert (np.abs(ratios.mean(axis=1) - components.divergence(own, c)[:K]) <= error).all()


@pytest.mark.parametrize("name", list(KINDS))
def test_weights_have_no_unit_and_blocks_add_up(name: str) -> None:
    model, _, parameters, block = problem(name)
    components = model.components
    parts = [block[:50], block[50:]]
    light = replace(block, weight=1e-6 * block.weight, kept=None)
    expected = model.expect(parameters, block)
    after = model.maximize(expected)
    summed = model.expect(parameters, parts[0]) + model.expect(parameters, parts[1])
    for other in (summed, model.expect(parameters, light)):
        again = model.maximize(other)
        assert_same(components.standard(again.components), components.standard(after.components), rtol=1e-7, atol=1e-9)
        terms = [asdict(model.entropy_sum(after, statistics)) for statistics in (other, expected)]
        np.testing.assert_allclose(list(terms[0].values()), list(terms[1].values()), rtol=1e-9, atol=1e-11)
        assert model.elbo(other) == pytest.approx(model.elbo(expected), rel=1e-11)
    roots = [Metric.at(model, parameters, model.expect(parameters, rows)).matrix() for rows in (block, light)]
    inverse, of_light = (W @ W.T for W in roots)  # the signs of a root are arbitrary
    np.testing.assert_allclose(1e-6 * of_light, inverse, rtol=1e-7, atol=1e-7 * np.abs(inverse).max())
    summaries = [components.summarize(components.read(part), part.weight) for part in (*parts, light)]
    pooled = [
        components.with_pooled(summary).pooled_parameters(2) for summary in (summaries[0] + summaries[1], summaries[2])
    ]
    for own in pooled:
        assert_same(components.standard(own), components.standard(components.pooled_parameters(2)), rtol=1e-7, atol=1e-9)


# The other metrics are those of expected information where covariances have a structure, or of Poisson rates.
EXPECTED = ["GaussianMixture-ppca", "GaussianMixture-fa", "MultinomialMixture"]


@pytest.mark.parametrize("name", [name for name in KINDS if name not in EXPECTED])
def test_coordinates_make_the_information_of_complete_data_one(name: str) -> None:
    """By second differences of the expected log-density at its maximum, along directions that change something."""
    model, _, parameters, block = problem(name, 1.5)
    components = model.components
    statistics = model.expect(parameters, block)
    at = model.maximize(statistics).components
    metric = components.metric(at, statistics.components, statistics.counts)
    K, P = len(statistics.counts), components.n_directions(at)
    W = metric.directions(np.eye(K * P).reshape(K * P, K, P)).reshape(K * P, K * P).T
    z = np.random.default_rng(4).normal(size=(K, P))
    np.testing.assert_allclose(metric.directions(z).ravel(), W @ z.ravel(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(metric.gradient(z).ravel(), W.T @ z.ravel(), rtol=1e-10, atol=1e-12)
    z = np.linalg.pinv(W) @ W @ z.ravel()

    def value(h: float) -> float:
        moved = components.moved(at, h * (W @ z).reshape(K, P))
        prior = float(components.log_prior(moved, statistics.components).sum())
        return components.log_density(moved, statistics.components) + prior

    near, far = (-(value(h) - 2 * value(0.0) + value(-h)) / h**2 for h in (0.03, 0.06))
    assert (4 * near - far) / 3 == pytest.approx(z @ z, rel=1e-3)


LIMITS = {
    **dict.fromkeys(["rates", "dispersions", "shapes", "scales", "degrees_of_freedom", "covariances"], (0.0, np.inf)),
    "concentrations": (0.0, np.inf),
    **{"noise_variances": (0.0, np.inf), "loadings": (-np.inf, np.inf), "probabilities": (0.0, 1.0)},
}


@pytest.mark.parametrize("name", [name for name in KINDS if name != "ColumnMixture"])
def test_intervals_of_attributes_end_where_these_can_be(name: str) -> None:
    """Means where the values do."""
    components = problem(name)[0].components
    means = (-1.0, 1.0) if name == "VonMisesFisherMixture" else (0.0 if components.discrete else -np.inf, np.inf)
    expected = [LIMITS.get(attribute, means) for attribute in components.attribute_names]
    np.testing.assert_array_equal(components.standard_limits, expected)
    positive = components.discrete or name in ("GammaMixture", "ExponentialFamilyMixture-weibull", "DirichletMixture")
    assert components.lower_limit == (0.0 if positive else -np.inf)
    assert problem("ColumnMixture")[0].components.lower_limit == -np.inf


@pytest.mark.parametrize("name", list(KINDS))
def test_what_a_fitted_mixture_is_judged_by_comes_from_its_attributes(name: str) -> None:
    """Its own pooled distribution and units: rows have the same densities as by the components of the fit."""
    model, parameters, _, block = problem(name)
    standard = model.components.standard(parameters.components)
    weights = np.exp(parameters.log_weights)
    again = model.components.of_fitted(weights, standard, is_sparse=False)
    found, expected = [], []
    for values, components in ((found, again), (expected, model.components)):
        own = components.natural(standard)
        values += [components.observe(own, components.read(block), parameters.log_weights).log_joint]
        values[0] = values[0] + components.log_base_measure(block)
        values += [*components.moments(own)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "name", ["PoissonMixture", "PoissonMixture-zero_inflated", "NegativeBinomialMixture", "dispersions-tied"]
)
def test_limits_are_reached_and_left_in_shares_of_what_is_pooled(name: str) -> None:
    model, _, parameters, _ = problem(name)
    components, own = model.components, parameters.components
    limits, before = components.limits(own), components.moments(own)[0][:2]
    pooled = components.moments(components.pooled_parameters(2 + components.n_fixed))[0][:2]
    places = np.zeros(before.size, dtype=bool)
    places[[1, 2, 5]] = True
    put = {share: limits.put(own, places, share) for share in (1e-13, 1e-11, 1e-4, 1e-2)}
    for share, at in put.items():
        found = components.moments(at)[0][:2]
        expected = np.where(places.reshape(before.shape), share * pooled, before)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        np.testing.assert_array_equal(limits.near(at), places if share < 1e-3 else False)
        np.testing.assert_array_equal(limits.lost(at), places if share < 1e-12 else False)
    grown = put[1e-11], put[1e-4]
    np.testing.assert_array_equal(limits.growing(*grown, np.log(0.99e7)), places)
    assert not limits.growing(*grown, np.log(1.01e7)).any()
    assert not limits.growing(*grown[::-1], 1e-6).any()
    assert limits.put(own, np.zeros_like(places), 1e-4) is own


@pytest.mark.parametrize("name", list(KINDS))
def test_a_component_that_no_row_belongs_to_is_where_all_rows_are(name: str) -> None:
    """By its first attribute, such as means; and the others are where they would be without it."""
    model, _, parameters, block = problem(name)
    components, rows = model.components, model.read(block)
    K = len(parameters.log_weights)
    q = np.random.default_rng(5).dirichlet(np.ones(K), size=block.n_rows).T * block.weight
    q[1] += q[0]
    q[0] = 0.0
    for scale in (1.0, 1e-3):
        statistics = components.observe(parameters.components, rows, np.zeros(K)).accumulate(scale * q)
        found = arrays(components.standard(components.maximize(statistics)))[0][0]
        pooled = arrays(components.standard(components.pooled_parameters(K)))[0][0]
        if name == "PoissonMixture-zero_inflated":  # those that are left by the component that is given
            others = components.with_pooled(components.summarize(rows, q[:-1].sum(axis=0)))
            pooled = others.standard(others.pooled_parameters(K))[0][0]
        np.testing.assert_allclose(found, pooled, rtol=1e-6, atol=1e-9)


# Components that share a parameter, or rows that are given away, are not independent.
ALONE = [name for name in KINDS if not any(word in name for word in ("tied", "ispersion", "Binomial", "zero_inflated"))]


@pytest.mark.parametrize("name", [name for name in ALONE if name not in SEARCHED])
def test_a_component_is_where_it_is_whether_another_has_rows_or_not(name: str) -> None:
    model, parameters, _, block = problem(name)
    components, rows = model.components, model.read(block)
    K = len(parameters.log_weights)
    q = np.random.default_rng(5).dirichlet(np.ones(K), size=block.n_rows).T * block.weight
    found = []
    for share in (0.5, 0.0):
        q[0] *= share
        statistics = components.observe(parameters.components, rows, np.zeros(K)).accumulate(q)
        found.append(arrays(components.standard(components.maximize(statistics))))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one[1], other[1], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", list(KINDS))
def test_nothing_moves_of_a_component_without_rows(name: str) -> None:
    model, _, parameters, block = problem(name)
    components, rows = model.components, model.read(block)
    K = len(parameters.log_weights)
    q = np.zeros((K, block.n_rows))
    q[1] = block.weight
    statistics = components.observe(parameters.components, rows, np.zeros(K)).accumulate(q)
    metric = components.metric(parameters.components, statistics, q.sum(axis=1))
    P = components.n_directions(parameters.components)
    directions = metric.directions(np.eye(K * P).reshape(K * P, K, P))
    assert not directions[:, 0, 0].any()
    assert directions[:, 1, 0].any() or name.startswith("tied_")  # where a variance is shared, all of it is held


def test_noise_is_a_box_in_moments_divergences_and_expectations() -> None:
    model, parameters, _, block = problem("GaussianMixture-noise")
    components, own = model.components, parameters.components
    (low, high), K = components.box, len(parameters.log_weights) - 1
    means, variances = components.moments(own)
    np.testing.assert_allclose(means[K], 0.5 * (low + high), rtol=1e-12)
    np.testing.assert_allclose(variances[K], (high - low) ** 2 / 12.0, rtol=1e-12)
    ((_, S),) = components.correlated_columns(own)
    np.testing.assert_allclose(S[K], np.diag((high - low) ** 2 / 12.0), rtol=1e-12)
    of_noise = components.column_divergences(own, K)
    middles = (np.arange(4000) + 0.5)[:, np.newaxis] / 4000
    for c in range(K):
        density = stats.norm(means[c], np.sqrt(variances[c])).logpdf(low + (high - low) * middles)
        np.testing.assert_allclose(of_noise[c], -np.log(high - low) - density.mean(axis=0), rtol=1e-5)
        to_noise = np.log(high - low) - stats.norm(means[c], np.sqrt(variances[c])).entropy()
        np.testing.assert_allclose(components.column_divergences(own, c)[K], np.maximum(to_noise, 0.0), rtol=1e-10)
    wide = components.natural((means[:K], 1e4 * np.stack([S[0], S[0]])))
    assert not components.column_divergences(wide, 0)[K].any()
    rows = components.read(block)
    none, all_noise = np.zeros((K + 1, block.n_rows)), np.zeros((K + 1, block.n_rows))
    all_noise[K] = 0.3
    filled = components.expected_rows(own, rows, all_noise) - components.expected_rows(own, rows, none)
    np.testing.assert_allclose(filled, np.tile(0.3 * means[K], (block.n_rows, 1)), rtol=1e-12)
    X = components.sample(components.standard(own), np.full(20_000, -1), np.random.RandomState(0))
    assert ((low <= X) & (high >= X)).all()
    np.testing.assert_allclose(X.var(axis=0), variances[K], rtol=0.03)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "tied_diag", "spherical", "fa"])
def test_a_ridge_takes_its_share_from_the_objective(kind: str) -> None:
    """Half of it times the trace of the precision matrix, for each row."""
    estimator = GaussianMixture(2, covariance_type=kind, random_state=0, reg_covar=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, parameters = estimator.fit(MEASURES)._fitted_model(None)
    block = Block(MEASURES, np.random.default_rng(0).exponential(size=len(MEASURES)), None, 0)
    statistics = model.expect(parameters, block)
    components, own = model.components, parameters.components
    without = replace(components, reg_covar=0.0)
    taken = without.log_prior(own, statistics.components) - components.log_prior(own, statistics.components)
    standard = components.standard(own)
    traces = []
    for c in range(2):
        if kind == "fa":
            S = standard[1][c] @ standard[1][c].T + np.diag(standard[2][c])
        else:
            S = np.asarray(standard[1] if kind.startswith("tied") else standard[1][c])
            S = S if S.ndim == 2 else np.diag(np.broadcast_to(S, 4))
        traces.append(np.trace(np.linalg.inv(S)))
    np.testing.assert_allclose(taken, 0.1 * statistics.counts * traces, rtol=1e-8)
    added = components.penalty(own, statistics.components) - without.penalty(own, statistics.components)
    assert added == pytest.approx(taken.sum(), rel=1e-9)


INDEPENDENT = ["PoissonMixture", "GammaMixture", "ExponentialFamilyMixture", "diag", "tied_diag", "NegativeBinomialMixture"]
GAUSSIAN = ["GaussianMixture-full", "GaussianMixture-tied", "GaussianMixture-ppca", "GaussianMixture-fa"]


@pytest.mark.parametrize("units", [[1.0, 1.0, 1.0], [1e-5, 1e3, 1.0], [1e3, 1e-5, 1.0]])
@pytest.mark.parametrize(("share", "was", "held"), [(0.995, 0, 1), (1.005, 0, 0), (99.5, 1, 1), (100.5, 1, 0), (1e6, 0, 0)])
def test_which_covariances_are_held_does_not_depend_on_units(units: Any, share: float, was: bool, held: bool) -> None:
    """Those of correlations with an eigenvalue below 1e-12, until it exceeds 1e-10."""
    scale, C = np.array(units), np.eye(3)
    C[0, 1] = C[1, 0] = 1.0 - share * 1e-12
    bounds = scale if was else np.zeros(3)
    found = GaussianParameters.of(np.zeros((1, 3)), (C * scale * scale[:, np.newaxis])[np.newaxis], bounds[np.newaxis])
    assert found.held[0] == held
    np.testing.assert_array_equal(found.bounds[0], scale if held else 0.0)
    np.testing.assert_allclose(found.covariances[0] / scale / scale[:, np.newaxis], C, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(singular_columns(found)[0], [held, held, False])
    assert is_well_rounded(found.covariances, np.dtype(float)) == (np.finfo(float).eps <= 1e-17 * share)


@pytest.mark.parametrize("name", [*INDEPENDENT, *GAUSSIAN])
def test_divergences_of_columns_are_those_of_a_column_alone(name: str) -> None:
    model, _, parameters, _ = problem(name)
    components, own = model.components, parameters.components
    for c in range(2):
        found = components.column_divergences(own, c)
        if name in INDEPENDENT:
            np.testing.assert_allclose(found.sum(axis=1), components.divergence(own, c), rtol=1e-10, atol=1e-12)
            continue
        means, variances = components.moments(own)
        expected = 0.5 * ((variances[c] + (means - means[c]) ** 2) / variances - 1.0 + np.log(variances / variances[c]))
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaps_are_filled_with_conditional_means_and_pooled_by_pairs(name: str) -> None:
    """Of patterns that many rows have, and of those that few have."""
    model, _, parameters, _ = problem(name)
    components, own = model.components, parameters.components
    means, _ = components.moments(own)
    D, n = means.shape[1], 90
    scale = components.units.scale
    S = own.covariances[own.group] * scale * scale[:, np.newaxis]
    rng = np.random.default_rng(6)
    X = components.units.location + scale * rng.normal(size=(n, D))
    X[:40, 1] = np.nan
    X[40:80, :2] = np.nan
    X[[80, 81, 82], [0, 2, 3]] = np.nan
    X[83, 1:] = np.nan
    q = rng.dirichlet([1.0, 1.0], n).T
    expected = np.zeros((n, D))
    for i, x in enumerate(X):
        o = ~np.isnan(x)
        for c in range(2):
            filled = np.where(o, x, means[c])
            filled[~o] += S[c][np.ix_(~o, o)] @ np.linalg.solve(S[c][np.ix_(o, o)], x[o] - means[c, o])
            expected[i] += q[c, i] * filled
    rows = components.read(Block(X, None, None, 0))
    found = components.expected_rows(own, rows, q)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    weight = rng.exponential(size=n)
    pooled = components.with_pooled(components.summarize(rows, weight))
    u, seen = components.units.apply(X), ~np.isnan(X)
    mean = np.array([np.average(u[seen[:, d], d], weights=weight[seen[:, d]]) for d in range(D)])
    np.testing.assert_allclose(pooled.pooled_mean, mean, rtol=1e-10, atol=1e-12)
    raw = np.empty((D, D))
    for d in range(D):
        for e in range(D):
            both = seen[:, d] & seen[:, e]
            raw[d, e] = np.average(u[both, d] * u[both, e], weights=weight[both]) - mean[d] * mean[e]
    values, vectors = np.linalg.eigh(raw)
    np.testing.assert_allclose(pooled.pooled_covariance, vectors * np.maximum(values, 0.0) @ vectors.T, atol=1e-10)


def test_columns_that_no_row_shows_together_are_pooled_as_uncorrelated() -> None:
    X = np.random.RandomState(0).normal([2.0, -1.0], size=(30, 2))
    X[:15, 0] = X[15:, 1] = np.nan
    components = CorrelatedGaussian(units=Units(np.zeros(2), np.ones(2)))
    rows = components.read(Block(X, None, None, 0))
    pooled = components.with_pooled(components.summarize(rows, np.ones(30))).pooled_covariance
    np.testing.assert_allclose(pooled, np.diag(np.nanvar(X, axis=0)), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_magnitude_of_gaussians_is_the_sum_of_absolute_terms(name: str) -> None:
    model, _, parameters, block = problem(name)
    own, sums = parameters.components, model.expect(parameters, block).components
    normalisers = own.means.shape[1] * np.log(2 * np.pi) + np.linalg.slogdet(own.covariances)[1][own.group]
    distances = np.trace(sums.second, axis1=1, axis2=2)
    expected = 0.5 * (distances + sums.counts * np.abs(normalisers)).sum() + abs(sums.missing_entropy) + abs(sums.log_volume)
    assert model.components.magnitude(own, sums) == pytest.approx(expected, rel=1e-10)
