"""Weibull mixtures whose shapes are fitted: against other programs, the identity, what is held and refused."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats

from skentropy import ColumnMixture, ExponentialFamilyMixture
from skentropy._data import Block, survey_columns
from skentropy.families import Weibull
from skentropy.mixture import _fitted_weibull
from skentropy.mixture._fitted_weibull import (
    LARGEST_SHAPE,
    LEAST_SHAPE,
    FittedWeibull,
    PooledWeibull,
    fit_weibull,
    shape_of_deviation,
)
from skentropy.mixture._levels import Levels, LevelSums
from skentropy.mixture._observations import Units

RNG = np.random.default_rng(0)
TIMES = np.concatenate([0.8 * RNG.weibull(0.7, size=(160, 2)), [6.0, 9.0] * RNG.weibull(4.0, size=(120, 2))])
GAPS = np.where(np.random.default_rng(1).random(TIMES.shape) < 0.15, np.nan, TIMES)
GAPS[7] = np.nan
WEIGHT = np.random.default_rng(2).exponential(size=len(TIMES))


def fit(X: Any, n_components: int, weight: Any = None, **options: Any) -> Any:
    options = {"random_state": 0, "tol": 1e-12, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ExponentialFamilyMixture("weibull", n_components, **options).fit(X, sample_weight=weight)


def log_joint(mixture: Any, X: Any) -> Any:
    """By scipy.stats, gaps left out."""
    log_p = stats.weibull_min.logpdf(X[:, np.newaxis], mixture.shapes_, scale=mixture.scales_)
    return np.log(mixture.weights_) + np.where(np.isnan(X[:, np.newaxis]), 0.0, log_p).sum(axis=2)


@pytest.mark.parametrize("column", [0, 1])
def test_one_component_is_that_of_scipy(column: int) -> None:
    """weibull_min.fit comes within the tolerance of its simplex; the roots of the likelihood equations are exact."""
    x = TIMES[:, column]
    mixture = fit(x[:, np.newaxis], 1)
    shape, _, scale = stats.weibull_min.fit(x, floc=0)
    np.testing.assert_allclose([mixture.shapes_[0, 0], mixture.scales_[0, 0]], [shape, scale], rtol=1e-3)
    assert mixture.lower_bound_ >= stats.weibull_min.logpdf(x, shape, scale=scale).mean() - 1e-13

    def equation(k: float) -> float:
        return float(1 / k + np.log(x).mean() - (x**k @ np.log(x)) / (x**k).sum())

    k = optimize.brentq(equation, 0.1, 10.0, xtol=1e-14, rtol=1e-14)
    np.testing.assert_allclose(mixture.shapes_, k, rtol=1e-12)
    np.testing.assert_allclose(mixture.scales_, (x**k).mean() ** (1 / k), rtol=1e-12)
    assert mixture.n_parameters_ == 2


def test_two_components_are_those_of_direct_maximisation() -> None:
    mixture = fit(TIMES, 2)

    def loss(theta: Any) -> float:
        share, logs = special.expit(theta[0]), np.exp(theta[1:]).reshape(2, 2, 2)
        log_p = stats.weibull_min.logpdf(TIMES[:, np.newaxis], logs[0], scale=logs[1]).sum(axis=2)
        return -float(np.logaddexp(np.log(share) + log_p[:, 0], np.log1p(-share) + log_p[:, 1]).mean())

    # From the groups that the values were drawn from.
    start = np.log([[[0.7] * 2, [4.0] * 2], [[0.8] * 2, [6.0, 9.0]]]).ravel()
    found = optimize.minimize(loss, np.concatenate([[0.0], start]), method="BFGS", options={"gtol": 1e-7})
    assert -found.fun == pytest.approx(mixture.lower_bound_, abs=1e-9)
    order = np.argsort(mixture.scales_[:, 0])
    shapes, scales = np.exp(found.x[1:]).reshape(2, 2, 2)
    np.testing.assert_allclose(mixture.shapes_[order], shapes, rtol=1e-4)
    np.testing.assert_allclose(mixture.scales_[order], scales, rtol=1e-4)


@pytest.mark.parametrize("prior_counts", [0.0, 1.5])
def test_elbo_after_each_m_step_is_the_entropy_sum(prior_counts: float) -> None:
    options = {"prior_counts": prior_counts, "n_starts": 1, "tol": 0.0, "accelerate": False}
    before = fit(GAPS, 3, WEIGHT, max_iter=0, **options)
    for step in range(1, 6):
        after = fit(GAPS, 3, WEIGHT, max_iter=step, **options)
        joint = log_joint(before, GAPS)
        q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        direct = np.average((q * log_joint(after, GAPS)).sum(axis=1) + special.entr(q).sum(axis=1), weights=WEIGHT)
        terms = after.entropy_sums_[-1]
        assert (terms.penalty != 0.0) == (prior_counts > 0.0)
        assert terms.value == pytest.approx(direct, abs=1e-11)
        loglik = np.average(np.logaddexp.reduce(log_joint(after, GAPS), axis=1), weights=WEIGHT)
        assert after.lower_bound_ == pytest.approx(loglik, abs=1e-11)
        before = after


def test_the_identity_rests_on_the_scales_and_not_on_the_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    original = _fitted_weibull.fit_weibull

    def gap(factors: tuple[float, float]) -> float:
        """Of an M-step whose scales, or shapes at the best scales, are off."""

        def wrong(seen: Any, precision: float = 1e-7) -> Any:
            log_scales, log_shapes = original(seen)
            if factors[1] != 1.0:
                levels, share = seen.levels, seen.counts / seen.levels.sum_columns(seen.counts)[:, seen.levels.column]
                log_shapes = log_shapes + np.log(factors[1])
                k = np.exp(log_shapes)
                log_scales = np.log(levels.sum_columns(share * levels.values ** k[:, levels.column])) / k
            return log_scales + np.log(factors[0]), log_shapes

        monkeypatch.setattr(_fitted_weibull, "fit_weibull", wrong)
        mixture = fit(TIMES, 1, max_iter=1, n_starts=1, accelerate=False)
        monkeypatch.setattr(_fitted_weibull, "fit_weibull", original)
        return float(abs(mixture.stationarity_gap_))

    assert gap((1.0, 1.0)) < 1e-13
    assert gap((1.0, 1.3)) < 1e-13
    assert gap((1.01, 1.0)) > 1e-4


def test_terms_by_their_definitions() -> None:
    mixture = fit(TIMES, 2, WEIGHT)
    joint = log_joint(mixture, TIMES)
    q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    terms = mixture.entropy_sum(TIMES, sample_weight=WEIGHT)
    k, scale = mixture.shapes_, mixture.scales_
    observable = np.average((q @ (k * np.log(scale) + 1.0)).sum(axis=1), weights=WEIGHT)
    log_h = np.log(k) + (k - 1.0) * np.log(TIMES[:, np.newaxis])
    assert terms.observable == pytest.approx(observable, abs=1e-11)
    assert terms.base_measure == pytest.approx(np.average((q * log_h.sum(axis=2)).sum(axis=1), weights=WEIGHT), abs=1e-11)


def test_a_known_shape_that_is_the_fitted_one_gives_the_same() -> None:
    x = TIMES[:, :1]
    mixture = fit(x, 1)
    known = ExponentialFamilyMixture(Weibull(float(mixture.shapes_[0, 0])), 1).fit(x)
    np.testing.assert_allclose(known.scales_, mixture.scales_, rtol=1e-12)
    assert known.lower_bound_ == pytest.approx(mixture.lower_bound_, abs=1e-12)
    with pytest.raises(ValueError, match="leaves its shape to be fitted by a mixture"):
        Weibull().log_prob(1.0, np.array([-1.0]))


def test_standard_errors_are_those_of_the_observed_information() -> None:
    x = TIMES[:, :1]
    mixture = fit(x, 2)
    theta = np.concatenate([mixture.weights_[:1], mixture.scales_.ravel(), mixture.shapes_.ravel()])

    def total(theta: Any) -> float:
        log_p = stats.weibull_min.logpdf(x, theta[3:], scale=theta[1:3]) + np.log([theta[0], 1.0 - theta[0]])
        return float(np.logaddexp.reduce(log_p, axis=1).sum())

    steps = np.diag(1e-3 * theta)
    hessian = np.array(
        [[sum(s * t * total(theta + s * a + t * b) for s in (-1, 1) for t in (-1, 1)) for a in steps] for b in steps]
    ) / (4e-6 * np.outer(theta, theta))
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    found = mixture.standard_errors(x)
    own = np.concatenate([found["weights"][:1], found["scales"].ravel(), found["shapes"].ravel()])
    np.testing.assert_allclose(own, errors, rtol=2e-3)


def test_units_do_not_matter() -> None:
    mixture, scaled = fit(TIMES, 2), fit(1e200 * TIMES, 2)
    assert scaled.lower_bound_ == pytest.approx(mixture.lower_bound_ - 2 * np.log(1e200), abs=1e-9)
    np.testing.assert_allclose(np.sort(scaled.shapes_, axis=0), np.sort(mixture.shapes_, axis=0), rtol=1e-5)


def test_what_collapses_is_held_and_named() -> None:
    X = np.concatenate([np.full(60, 2.0), 9.0 * np.random.default_rng(4).weibull(1.0, size=60)])[:, np.newaxis]
    start = {"scales": [[2.0], [9.0]], "shapes": [[1e3], [1.0]]}
    with pytest.warns(UserWarning, match=r"component 0 in column 0 is collapsed onto \(nearly\) a single value"):
        mixture = ExponentialFamilyMixture("weibull", 2, parameters_init=start).fit(X)
    assert mixture.shapes_[0, 0] == pytest.approx(LARGEST_SHAPE)
    assert np.isfinite(mixture.score_samples(X)).all()
    assert fit(X, 2, prior_counts=1.0).shapes_.max() < 1e3
    with pytest.warns(UserWarning, match=r"the values are \(nearly\) all the same in column 0"):
        ExponentialFamilyMixture("weibull", 1).fit(np.column_stack([np.full(50, 3.0), TIMES[:50, 0]]))


def test_what_mixtures_do() -> None:
    mixture = fit(TIMES, 2)
    assert mixture.family_ == Weibull()
    drawn, labels = mixture.sample(20_000, random_state=0)
    for c in range(2):
        mean = mixture.scales_[c] * special.gamma(1 + 1 / mixture.shapes_[c])
        np.testing.assert_allclose(drawn[labels == c].mean(axis=0), mean, rtol=0.05)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mixture)).predict(TIMES), mixture.predict(TIMES))
    parameters = {"scales": mixture.scales_, "shapes": mixture.shapes_}
    again = ExponentialFamilyMixture.from_parameters("weibull", mixture.weights_, **parameters)
    np.testing.assert_allclose(again.score_samples(GAPS), mixture.score_samples(GAPS), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="shapes must be positive and finite"):
        ExponentialFamilyMixture.from_parameters("weibull", [1.0], scales=[[1.0]], shapes=[[0.0]])
    table = ColumnMixture([("times", "weibull", [0, 1]), ("size", "gaussian", [2])], 2, random_state=0, tol=1e-11)
    X = np.column_stack([GAPS, np.random.default_rng(3).normal(size=len(GAPS))])
    assert abs(table.fit(X).stationarity_gap_) < 1e-6


def test_moments_and_divergences_by_scipy() -> None:
    scales, shapes = np.array([[1.0], [3.0], [0.5]]), np.array([[0.8], [4.0], [2.0]])
    components = FittedWeibull(PooledWeibull(1.0))
    parameters = components.natural((scales, shapes))
    peers = [stats.weibull_min(k, scale=s) for s, k in zip(scales.ravel(), shapes.ravel(), strict=True)]
    means, variances = components.moments(parameters)
    np.testing.assert_allclose(means.ravel(), [peer.mean() for peer in peers], rtol=1e-12)
    np.testing.assert_allclose(variances.ravel(), [peer.var() for peer in peers], rtol=1e-10)
    t = np.linspace(-60.0, 5.0, 200_001)  # log x
    x, width = np.exp(t), (t[1] - t[0])
    for c, own in enumerate(peers):
        density = own.pdf(x) * x * width
        expected = [(density * np.nan_to_num(own.logpdf(x) - other.logpdf(x), neginf=0.0)).sum() for other in peers]
        np.testing.assert_allclose(components.divergence(parameters, c), expected, rtol=1e-6, atol=1e-7)


def test_natural_parameters_and_what_is_held_at_a_bound() -> None:
    scales, shapes = np.array([[2.0, 0.3], [5.0, 1.0]]), np.array([[LARGEST_SHAPE, 0.5], [0.7 * LARGEST_SHAPE, LEAST_SHAPE]])
    components = replace(FittedWeibull(PooledWeibull(1.0)), pooled_logs=(np.zeros(2), np.zeros(2)))
    parameters = components.natural((scales, shapes))
    np.testing.assert_allclose(parameters.eta[0, :, 1], -(scales[:, 1] ** -shapes[:, 1]), rtol=1e-12)
    np.testing.assert_allclose(parameters.log_partition, shapes * np.log(scales), rtol=1e-12)
    assert components.degenerate(parameters)
    np.testing.assert_array_equal(components.collapsed(parameters, parameters), [True, False])
    inside = components.natural((scales, 0.7 * shapes))
    assert not components.degenerate(inside)
    # Narrower than all rows by a thousandth and than before by half, in variances.
    wide, narrow = np.ones((2, 2)), np.array([[1.0, 31.0], [1.0, 33.0]])
    before = components.natural((wide, narrow / np.array([[1.0, 1.45], [1.0, 1.45]])))
    np.testing.assert_array_equal(components.collapsed(before, components.natural((wide, narrow))), [False, True])
    before = components.natural((wide, narrow / np.array([[1.0, 1.38], [1.0, 1.38]])))
    np.testing.assert_array_equal(components.collapsed(before, components.natural((wide, narrow))), [False, False])
    constant = replace(components, pooled_logs=(np.zeros(2), np.log([LARGEST_SHAPE, 1.0])))
    assert not constant.degenerate(parameters)
    np.testing.assert_array_equal(constant.collapsed(parameters, parameters), [False, False])


def test_shapes_at_a_bound_have_no_score() -> None:
    X = np.array([[2.0], [3.0], [2.5]])
    mixture = fit(X, 1)
    components, _ = (part.components for part in mixture._fitted_model(None))
    block = Block(X, None, None, 0)
    for shape, held in ((LEAST_SHAPE, True), (1.5 * LEAST_SHAPE, False), (1.0, False), (LARGEST_SHAPE, True)):
        parameters = components.natural((np.array([[2.5]]), np.array([[shape]])))
        evidence = components.observe(parameters, components.read(block), np.zeros(1))
        score = components.score(parameters, evidence.accumulate(np.ones((1, 3))))
        rows = next(iter(components.row_scores(parameters, components.read(block))))
        assert (score[0, 1] == 0.0) == held
        np.testing.assert_allclose(rows.sum(axis=0), score[0], rtol=1e-9)


def test_best_scales_and_shapes_far_from_one_and_of_values_with_gaps_in_weight() -> None:
    """Roots of the likelihood equations, by bisection; values without weight say nothing, and one value has no shape."""
    rng = np.random.default_rng(5)
    cases = [
        (np.sort(scale * rng.weibull(k, size=40)), rng.integers(0, 3, size=40).astype(float))
        for k, scale in ((0.03, 1.0), (300.0, 1e6), (1.0, 1e-9))
    ]
    cases += [(np.array([1.0, 1.1, 100.0]), np.array([600.0, 399.0, 1.0]))]  # one value is all that its powers sum to
    cases += [(np.array([1e-300, 1.0, 1.1, 1.2, 1.3]), np.array([1e-5, 1.0, 1.0, 1.0, 1.0]))]  # its powers are far below
    for x, counts in cases:
        found = fit_weibull(LevelSums(Levels.of_columns([x]), counts[np.newaxis]))
        t = np.log(x) - np.log(x).mean()

        def equation(k: float, t: Any = t, counts: Any = counts) -> float:
            tilted = counts * np.exp(k * (t - t.max()))
            return float(1 / k - tilted @ t / tilted.sum() + counts @ t / counts.sum())

        shape = optimize.brentq(equation, 1e-3, 1e5, rtol=1e-14)
        assert found[1].item() == pytest.approx(np.log(shape), abs=1e-10)
        log_scale = np.log(x).mean() + special.logsumexp(shape * t, b=counts / counts.sum()) / shape
        assert found[0].item() == pytest.approx(log_scale, abs=1e-10)
    one = fit_weibull(LevelSums(Levels.of_columns([np.array([0.0, 3.0])]), np.array([[0.0, 5.0]])))
    np.testing.assert_allclose(one, [[[np.log(3.0)]], [[np.log(LARGEST_SHAPE)]]], rtol=1e-6)


def test_what_is_held_has_no_coordinates_and_missing_entries_no_information() -> None:
    X = np.array([[2.0, np.nan], [3.0, 1.0], [2.5, 4.0], [np.nan, 2.0]])
    components, _ = (part.components for part in fit(X, 1)._fitted_model(None))
    rows = components.read(Block(X, None, None, 0))
    shapes = np.array([[LEAST_SHAPE, 1.5], [1.2, LEAST_SHAPE], [1.0, 2.0]])
    parameters = components.natural((np.full((3, 2), 2.5), shapes))
    q = np.array([[0.5, 0.2, 0.9, 0.3], [0.5, 0.8, 0.1, 0.7], [0.0, 0.0, 0.0, 0.0]])
    statistics = components.observe(parameters, rows, np.zeros(3)).accumulate(q)
    metric = components.metric(parameters, statistics, q.sum(axis=1))
    W = np.moveaxis(metric.directions(np.eye(12).reshape(12, 3, 4)), 0, -1).reshape(3, 4, 3, 4)
    moves = np.array([[W[c, i, c].any() for i in range(4)] for c in range(3)])
    # Scales of both columns, and shapes of both.
    np.testing.assert_array_equal(moves, [[True, True, False, True], [True, True, True, False], [False] * 4])
    # Of one column with a shape that is free: minus the second derivatives of the likelihood of what is observed.
    seen, k, weights = ~np.isnan(X[:, 1]), 1.5, q[0]

    def value(t: Any) -> float:
        return float(weights[seen] @ stats.weibull_min.logpdf(X[seen, 1], k * np.exp(t[1]), scale=2.5 * np.exp(t[0])))

    h = 1e-3
    steps = h * np.eye(2)
    hessian = [[sum(i * j * value(i * a + j * b) for i in (-1, 1) for j in (-1, 1)) for a in steps] for b in steps]
    root = W[0][np.ix_([1, 3], [0], [1, 3])][:, 0]
    np.testing.assert_allclose(root.T @ (-np.array(hessian) / (4 * h * h)) @ root, np.eye(2), atol=1e-4)


def test_magnitude_is_the_sum_of_absolute_terms() -> None:
    mixture = fit(TIMES, 2)
    model, parameters = mixture._fitted_model(None)
    statistics = model.expect(parameters, Block(TIMES, WEIGHT, None, 0))
    q = mixture.predict_proba(TIMES) * WEIGHT[:, np.newaxis]
    k, log_scale = mixture.shapes_, np.log(mixture.scales_)
    log_h = np.log(k) + (k - 1.0) * np.log(TIMES[:, np.newaxis])
    expected = (q[:, :, np.newaxis] * (np.abs(log_h) + 1.0)).sum() + (
        np.abs(k * log_scale) * q.sum(axis=0)[:, np.newaxis]
    ).sum()
    found = model.components.magnitude(parameters.components, statistics.components)
    assert found == pytest.approx(expected, rel=1e-10)


def test_what_all_rows_are_like_is_that_of_the_observed_entries() -> None:
    components, _ = (part.components for part in fit(GAPS, 1)._fitted_model(None))
    rows = components.read(Block(GAPS, None, None, 0))
    pooled = components.with_pooled(components.summarize(rows, WEIGHT))
    for d in range(2):
        seen = ~np.isnan(GAPS[:, d])
        one = fit(GAPS[seen, d, np.newaxis], 1, WEIGHT[seen])
        found = np.exp([pooled.pooled_logs[0][d], pooled.pooled_logs[1][d]])
        np.testing.assert_allclose(found, [one.scales_[0, 0], one.shapes_[0, 0]], rtol=1e-9)


@pytest.mark.parametrize(
    ("X", "shape"),
    [
        (GAPS, None),
        (np.exp(np.linspace(-200.0, 200.0, 30))[:, np.newaxis], 0.05),  # all columns are wide
        (np.linspace(1.0, 1.01, 30)[:, np.newaxis], 20.0),
        (np.column_stack([np.linspace(1.0, 1.1, 30)] * 2 + [np.exp(np.linspace(0.0, 150.0, 30))]), 4.0),  # one is
    ],
)
def test_seeds_are_drawn_with_the_shape_of_all_rows(X: Any, shape: float | None) -> None:
    """The median of the columns, from 0.05 to 20, and so small that no power overflows."""
    weight = WEIGHT if X is GAPS else np.ones(len(X))
    columns = survey_columns(Block(X, weight, None, 0))
    scale = np.where(columns.largest > 1e9, 1.0, columns.mean)
    components = FittedWeibull(PooledWeibull(1.0))._in_units(Units(np.zeros(X.shape[1]), scale))
    found = components.with_pooled(components.summarize(components.read(Block(X, weight, None, 0)), weight))
    expected = np.exp(np.median(found.pooled_logs[1])) if shape is None else shape
    assert found.family.shape == pytest.approx(expected, rel=1e-9)
    powers = (X / found.units.scale) ** expected
    for d, own in enumerate(powers.T):
        seen = ~np.isnan(own)
        assert found.pooled[0, d] == pytest.approx(np.average(own[seen], weights=weight[seen]), rel=1e-9)


def test_draws_are_powers_of_exponential_ones_and_all_rows_are_between_components() -> None:
    components = FittedWeibull(PooledWeibull(1.0))
    scales, shapes, labels = np.array([[2.0, 5.0], [0.1, 3.0]]), np.array([[0.7, 4.0], [1.0, 9.0]]), np.arange(50) % 2
    found = components.sample((scales, shapes), labels, np.random.RandomState(0))
    expected = np.random.RandomState(0).standard_exponential((50, 2))
    np.testing.assert_allclose((found / scales[labels]) ** shapes[labels], expected, rtol=1e-9)
    weights = np.array([0.3, 0.7])
    known = components.of_fitted(weights, (scales, shapes), is_sparse=False)
    np.testing.assert_allclose(known.pooled_logs[0], weights @ np.log(scales), rtol=1e-12)
    np.testing.assert_allclose(known.pooled_logs[1], weights @ np.log(shapes), rtol=1e-12)


def test_a_first_guess_just_below_the_shape_is_not_the_shape() -> None:
    x = np.sort(np.random.default_rng(44).weibull(2.0, size=100))
    log_scales, log_shapes = fit_weibull(LevelSums(Levels.of_columns([x]), np.ones((1, len(x)))))
    shape, _, scale = stats.weibull_min.fit(x, floc=0.0)
    np.testing.assert_allclose([log_shapes.item(), log_scales.item()], np.log([shape, scale]), atol=1e-4)


@pytest.mark.parametrize("shape", [0.01, 1.0, 50.0])
def test_a_first_guess_has_the_deviation_of_the_logarithms(shape: float) -> None:
    deviation = stats.gumbel_l(scale=1.0 / shape).std()  # whose variable is the logarithm of a Weibull variable
    assert shape_of_deviation(deviation) == pytest.approx(shape, rel=1e-12)


def test_a_shape_takes_few_steps() -> None:
    """Each sums all levels three times, and so often are they summed before and after the steps."""

    class Counted(Levels):
        n_sums = 0

        def sum_columns(self, values: Any) -> Any:
            Counted.n_sums += 1
            return super().sum_columns(values)

    x = np.sort(np.random.default_rng(1).weibull(3.0, size=200))
    fit_weibull(LevelSums(Counted.of_columns([x]), np.ones((1, 200))))
    assert Counted.n_sums <= 3 * 6 + 4


def test_seeds_of_values_far_apart_have_powers_that_are_numbers() -> None:
    """The shape for seeds is at most that with which the largest value, in units, is the exponential of 600."""
    narrow = np.linspace(1.0, 1.1, 9)
    shares = LevelSums(Levels.of_columns([narrow, narrow, np.array([1e-200, 1e100])]), np.ones(20))
    components = FittedWeibull(PooledWeibull(1.0), units=Units(np.zeros(3), np.array([1.0, 1.0, 1e-200])))
    exposures = np.array([9.0, 9.0, 2.0])
    pooled = components.with_pooled(SimpleNamespace(sums=exposures[np.newaxis], exposures=exposures, seen=shares))
    assert pooled.family.shape == pytest.approx(600.0 / np.log(1e300), rel=1e-9)
