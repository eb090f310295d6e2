"""Negative binomials of a mean and a dispersion: their parts against plain sums and 60 digits, and the best dispersion."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats

from skentropy.families import _dispersion as dispersion
from skentropy.families._dispersion import DispersedPoisson
from skentropy.families._special import expected_log_gamma, log_binomial, log_poisson

MEANS = np.array([1e-9, 0.02, 0.7, 0.995, 1.005, 3.0, 40.0, 1e6])
# With means of one they are the values next to the places where another form takes over.
DISPERSIONS = np.array([1e-6, 9e-4, 1.1e-3, 0.03, 0.9, 1.0, 1.007, 2.5, 900.0])


@pytest.mark.parametrize("a", DISPERSIONS)
def test_parts_by_their_formulas_to_sixty_digits(a: float) -> None:
    rows = []
    with localcontext() as context:
        context.prec = 60
        for mean in map(Decimal, MEANS.tolist()):
            z = Decimal(float(a)) * mean
            log = (1 + z).ln()
            slope, curvature = log - z, z / (1 + z) - log
            exact = [z.ln() - log, *(mean / z * x for x in (log, slope, curvature, slope + z / 4, log))]
            rows.append([float(x) for x in exact])
    eta, partition, slope, curvature, *with_means = np.transpose(rows)
    found = dispersion.dispersed(MEANS, np.array(a))
    np.testing.assert_allclose(found[0], eta, rtol=1e-14)
    np.testing.assert_allclose(found[1], partition, rtol=1e-15)
    np.testing.assert_allclose(dispersion.partition_slope(MEANS, np.array(a)), slope, rtol=3e-12)
    np.testing.assert_allclose(dispersion.partition_curvature(MEANS, np.array(a)), curvature, rtol=3e-12)
    for more, expected in zip((0.25, 1.0), with_means, strict=True):
        np.testing.assert_allclose(dispersion.partition_slope(MEANS, np.array(a), more), expected, rtol=3e-12)


def test_the_poisson_limit_has_parts_too() -> None:
    zero = np.zeros(len(MEANS))
    eta, partition = dispersion.dispersed(MEANS, zero)
    np.testing.assert_array_equal(eta, np.log(MEANS))
    np.testing.assert_array_equal(partition, MEANS)
    x = np.array([0.0, 1.0, 5.0, 170.0])
    factorials = [math.log(math.factorial(int(count))) for count in x]
    np.testing.assert_allclose(dispersion.log_base_measure(x, np.zeros(4)), np.negative(factorials), rtol=1e-15)
    for part in (dispersion.partition_slope, dispersion.partition_curvature):
        np.testing.assert_array_equal(part(MEANS, zero), 0.0)
    for part in (dispersion.log_rising_slope, dispersion.log_rising_curvature):
        np.testing.assert_array_equal(part(x, np.zeros(4)), 0.0)


@pytest.mark.parametrize("a", [1e-6, 9.9e-4, 1.1e-3, 0.03, 1.0, 60.0])
def test_slopes_of_base_measures_are_sums_over_smaller_counts(a: float) -> None:
    for x in (0.0, 1.0, 2.0, 9.0, 90.0):
        whole = math.fsum(math.log1p(a * j) for j in range(int(x))) - math.lgamma(x + 1) - x * math.log(a)
        found = dispersion.log_base_measure(np.array(x), np.array(a))
        assert float(found) == pytest.approx(whole, rel=1e-13, abs=1e-13)
        ratios = [a * j / (1.0 + a * j) for j in range(int(x))]
        slope, curvature = math.fsum(ratios), math.fsum(ratio * (1.0 - ratio) for ratio in ratios)
        rtol = 1e-14 if a * x < 1e-3 else 1e-11
        at = np.array(x), np.array(a)
        np.testing.assert_allclose(dispersion.log_rising_slope(*at), slope, rtol=rtol, atol=2e-13)
        np.testing.assert_allclose(dispersion.log_rising_curvature(*at), curvature, rtol=rtol, atol=1e-11)
        for less in (0.25, 1.0):
            np.testing.assert_allclose(dispersion.log_rising_slope(*at, less), slope - less * x, rtol=1e-11, atol=1e-12)


def test_base_measures_of_halves_of_counts() -> None:
    for x, a in ((0.5, 2.0), (3.5, 0.25), (1.5, 1.0)):
        expected = math.lgamma(x + 1 / a) - math.lgamma(1 / a) - math.lgamma(x + 1)
        assert float(dispersion.log_base_measure(np.array(x), np.array(a))) == pytest.approx(expected, abs=1e-14)


def test_series_are_sums_of_powers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the five terms, by making all dispersions small ones."""
    monkeypatch.setattr(dispersion, "_SMALL", math.inf)
    for x in (0, 1, 2, 9, 50):
        for a in (Fraction(1, 100), Fraction(1, 3)):
            powers = [sum(Fraction(j) ** k for j in range(x)) * a**k for k in range(1, 6)]
            slope = sum(-((-1) ** k) * power for k, power in enumerate(powers, start=1))
            curvature = sum(-((-1) ** k) * k * power for k, power in enumerate(powers, start=1))
            at: Any = np.array(float(x)), np.array(float(a))
            np.testing.assert_allclose(dispersion.log_rising_slope(*at), float(slope), rtol=1e-12)
            np.testing.assert_allclose(dispersion.log_rising_curvature(*at), float(curvature), rtol=1e-12)


# Slopes b (c - log a) of concave likelihoods whose maxima are known, and one that is far from a parabola.
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("start", [1e-9, 0.3, 1e9, np.nan])
def test_the_best_dispersion_is_the_root_of_the_slope(start: float, size: float) -> None:
    roots = np.array([-6.0, 0.0, 3.0, -15.995])

    def slopes(a: Any) -> Any:
        t = np.log(a) - roots
        return -size * np.sinh(t) / np.cosh(t) ** 3, -size * (1.0 - 2.0 * np.sinh(t) ** 2) / np.cosh(t) ** 4

    found = dispersion.fit_dispersion(slopes, np.array([1e-9, 1e-3, 5e-3, 1e-4]), np.full(4, start))
    np.testing.assert_allclose(found, np.exp(roots), rtol=1e-9)
    none = np.array([-1.0, 0.0, -1e-3, -1e-9])
    np.testing.assert_array_equal(dispersion.fit_dispersion(slopes, none, np.full(4, start)), 0.0)
    # A dispersion of less than exp(-16) is none.
    roots = np.full(4, -16.05)
    np.testing.assert_array_equal(dispersion.fit_dispersion(slopes, np.ones(4), np.full(4, start)), 0.0)


@pytest.mark.parametrize(("sign", "end"), [(1.0, 8.0), (-1.0, -16.0)])
def test_a_step_that_leaves_the_bracket_goes_to_its_middle(sign: float, end: float) -> None:
    """All dispersions at first, of which the start is excluded by the slope's sign."""
    tried = []

    def slopes(a: Any) -> Any:
        tried.append(float(np.log(a)))
        return sign * np.ones_like(a), -1e-3 * np.ones_like(a)

    dispersion.fit_dispersion(slopes, np.array(1.0), np.array(np.exp(2.0)))
    assert tried[:2] == pytest.approx([2.0, 0.5 * (2.0 + end)], rel=1e-14)


@pytest.mark.parametrize("root", [-5.0, 3.0])
def test_one_step_leads_to_the_maximum_of_a_parabola(root: float) -> None:
    tried = []

    def slopes(a: Any) -> Any:
        tried.append(a)
        return root - np.log(a), -np.ones_like(a)

    found = dispersion.fit_dispersion(slopes, np.array(1.0), np.array(1.0))
    assert found == pytest.approx(np.exp(root), rel=1e-12)
    assert len(tried) == 2


@pytest.mark.parametrize("a", [0.05, 0.5, 20.0])
def test_the_best_dispersion_of_counts_is_that_of_a_search(a: float) -> None:
    x = stats.nbinom.rvs(1 / a, 1 / (1 + 6 * a), size=300, random_state=0).astype(float)
    mean = x.mean()

    def loss(log_a: float) -> float:
        r = math.exp(-log_a)
        return -float(stats.nbinom.logpmf(x, r, r / (r + mean)).sum())

    best = optimize.minimize_scalar(loss, bracket=(math.log(a) - 1, math.log(a) + 1), tol=1e-12)

    def slopes(a: Any) -> Any:
        first = dispersion.log_rising_slope(x, a).sum() + len(x) * dispersion.partition_slope(mean, a)
        return first, dispersion.log_rising_curvature(x, a).sum() + len(x) * dispersion.partition_curvature(mean, a)

    found = dispersion.fit_dispersion(slopes, np.array(1.0), np.array(1.0))
    np.testing.assert_allclose(found, math.exp(best.x), rtol=1e-5)


def test_best_dispersions_at_their_bounds() -> None:
    def rising(a: Any) -> Any:
        return np.ones_like(a), -np.ones_like(a)

    def falling(a: Any) -> Any:
        return -np.ones_like(a), -np.ones_like(a)

    excess, start = np.array([1.0]), np.array([1.0])
    np.testing.assert_allclose(dispersion.fit_dispersion(rising, excess, start), np.exp(8.0), rtol=1e-4)
    np.testing.assert_array_equal(dispersion.fit_dispersion(falling, excess, start), 0.0)


def test_known_dispersions_are_those_of_scipy() -> None:
    mean, a = np.array([0.3, 2.0, 15.0, 300.0, 4.0]), np.array([0.5, 2.0, 0.1, 9e-3, 0.0])
    family = DispersedPoisson(a)
    eta = family.natural(mean[np.newaxis])
    np.testing.assert_allclose(family.mean(eta)[0], mean, rtol=1e-14)
    np.testing.assert_allclose(family.moments(eta), (mean, mean + a * mean**2), rtol=1e-14)
    np.testing.assert_allclose(family.covariance(eta)[0, 0], mean + a * mean**2, rtol=1e-14)
    step = 1e-6
    slope = (family.log_partition(eta + step) - family.log_partition(eta - step)) / (2 * step)
    np.testing.assert_allclose(slope, mean, rtol=1e-8)
    np.testing.assert_allclose(family.log_partition(eta)[:4], np.log1p(a * mean)[:4] / a[:4], rtol=1e-14)
    assert family.rounding_error(np.array(1e9)) == 1e9 * np.finfo(float).eps
    draws = family.sample(np.repeat(eta, 20_000, axis=0).reshape(1, 20_000, 5), np.random.RandomState(0))
    kurtosis = stats.nbinom.stats(1 / a[:4], 1 / (1 + a[:4] * mean[:4]), moments="k")
    spread = np.append(kurtosis + 2, 1 / mean[4] + 2) / 20_000
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * np.sqrt((mean + a * mean**2) / 20_000)).all()
    assert (np.abs(draws.var(axis=0) / (mean + a * mean**2) - 1) < 5 * np.sqrt(spread)).all()


def test_expected_log_gammas_by_plain_sums() -> None:
    """Several starts at once, of which the smallest needs the longest integral."""
    start, x = np.array([0.02, 0.5, 4.0, 90.0]), np.arange(200.0)[:, np.newaxis]
    for mean in (1e-3, 2.0, 30.0):
        p = stats.poisson.pmf(x, mean)
        expected = (p * (special.gammaln(x + start) - special.gammaln(start))).sum(axis=0)
        found = expected_log_gamma(lambda w, m=mean: np.full(4, -m * w), np.full(4, mean), start)
        np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("count", [5e-324, 2.2e-313, 2e-308])
def test_counts_with_fewer_digits_count_as_zero(count: float) -> None:
    a = np.array([0.0, 1e-6, 0.5, 900.0])
    np.testing.assert_array_equal(dispersion.log_base_measure(np.full(4, count), a), 0.0)
    np.testing.assert_array_equal(log_poisson(np.full(1, count), np.full(1, 3.0)), -3.0)
    at_zero = log_binomial(np.full(1, count), np.full(1, 4.0), np.full(1, 0.25), np.full(1, 0.75))
    np.testing.assert_allclose(at_zero, 4.0 * np.log(0.75), rtol=1e-15)
