"""Families at their limits: digits against references in 60-digit arithmetic (mpmath), zeros, bounds, types, exposures."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, special, stats

from skentropy import families
from skentropy.families import (
    FAMILIES,
    Bernoulli,
    Beta,
    Binomial,
    Categorical,
    Exponential,
    ExponentialFamily,
    Gamma,
    Gaussian,
    Geometric,
    InverseGaussian,
    LogNormal,
    NegativeBinomial,
    Poisson,
    Weibull,
    ZeroTruncatedPoisson,
    _gamma,
    _shapes,
)
from skentropy.families._special import log_minus_digamma
from tests.common.cases import CASES

EPS = np.finfo(np.float64).eps
INSTANCES = [
    *(case.family for case in CASES.values()),
    Binomial(),
    Binomial(n_trials=7),
    NegativeBinomial(r=1.0),
    Categorical(2),
    Categorical(4),
    Weibull(0.7),
]
CANDIDATES = np.array([-1e6, -3.0, 0.0, 1e-300, 1e-12, 0.25, 0.5, 1 - 2.0**-53, 1.0, 2.0, 3.0, 7.0, 1e3, 1e6, 1e100])


def named(value: object) -> str | None:
    """The representation, but for functions, whose address would give a test another name in each process."""
    return None if callable(value) else repr(value)


def values_of(family: ExponentialFamily) -> np.ndarray:
    inside = CANDIDATES[family.in_support(CANDIDATES)]
    return inside[inside == np.floor(inside)] if family.discrete else inside


# Natural parameters just inside and just outside the space in which the density can be normalised.
@pytest.mark.parametrize(
    ("family", "inside", "outside"),
    [
        (Beta(), (-0.999, 5.0), (-1.001, 5.0)),
        (Beta(), (5.0, -0.999), (5.0, -1.001)),
        (Exponential(), (-0.001,), (0.001,)),
        (Gamma(), (-0.999, -2.0), (-1.001, -2.0)),
        (Gamma(), (3.0, -0.001), (3.0, 0.001)),
        (Gaussian(), (3.0, -0.001), (3.0, 0.001)),
        (Geometric(), (-0.001,), (0.001,)),
        (InverseGaussian(), (-0.001, -2.0), (0.001, -2.0)),
        (InverseGaussian(), (-2.0, -0.001), (-2.0, 0.001)),
        (LogNormal(), (3.0, -0.001), (3.0, 0.001)),
        (NegativeBinomial(r=2.5), (-0.001,), (0.001,)),
        (Poisson(), (699.0,), (701.0,)),
    ],
    ids=repr,
)
def test_domain(family: ExponentialFamily, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    assert family.in_domain(np.array(inside))
    assert not family.in_domain(np.array(outside))
    assert not family.in_domain(np.array([inside, outside]).T)


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        (Beta(), lambda share: (0.25e8 * share, 0.75e8 * share)),
        (Exponential(), lambda share: (1e100 * share,)),
        (Gamma(), lambda share: (1e8 * share, 2.0)),
        (Gaussian(), lambda share: (1.0, 1e-14 / share)),
        (Gaussian(), lambda share: (1e3, 2.0**-49 * 1e6 / share)),
        (InverseGaussian(), lambda share: (2.0, 2e8 * share)),
        (LogNormal(), lambda share: (1.0, 1e-14 / share)),
        (LogNormal(), lambda share: (1e3, 2.0**-49 * 1e6 / share)),
    ],
    ids=named,
)
def test_bounds_are_those_of_the_documentation(family: ExponentialFamily, parameters: Callable[..., Any]) -> None:
    near, on = (family.from_standard(*parameters(share)) for share in (1 - 1e-5, 1 - 1e-7))
    assert not family.at_bound(near)
    assert family.in_domain(near)
    assert family.at_bound(on)
    assert not family.in_domain(on)


# Mean parameters, and the standard parameters that have exactly these.
@pytest.mark.parametrize(
    ("mean", "shape", "rate"),
    [
        ((-999.8824247512504, 0.002), 0.001, 0.5),
        ((-4.1956714027600785, 0.15), 0.3, 2.0),
        ((-1.24275350841007, 0.35714285714285715), 2.5000000000000004, 7.000000000000002),
        ((11.512425381636904, 1e5), 1000.0000000006897, 0.010000000000006897),
        ((12.71689776929608, 333333.3333333333), 999999.9989806185, 2.9999999969418556),
    ],
)
def test_gamma_natural_against_mpmath(mean: tuple[float, float], shape: float, rate: float) -> None:
    # log(mean x) - mean(log x) is 1/(2 shape), in which the rounding of either logarithm weighs.
    rtol = 20 * EPS * (1 + shape * np.max(np.abs(mean[0])))
    actual = Gamma().to_standard(Gamma().natural(np.array(mean)))
    np.testing.assert_allclose(actual, (shape, rate), rtol=min(rtol, 1e-8))


@pytest.mark.parametrize(
    ("mean", "a", "b"),
    [
        ((-666.6699469464029, -166.66830561094596), 0.001, 0.002),
        ((-506.27605215618587, -6.6777678271088625e-06), 0.002, 300.0),
        ((-0.8776491462349513, -3.141592653589793), 0.5, 0.25),
        ((-8.287806006049381, -0.0002999700049991002), 3.0000000000000013, 10000.000000000004),
        ((-1.504079341222699, -0.251314587011132), 199999.99999696348, 699999.9999893721),
    ],
)
def test_beta_natural_against_mpmath(mean: tuple[float, float], a: float, b: float) -> None:
    rtol = 500 * EPS * (1 + min(a, b))
    np.testing.assert_allclose(Beta().to_standard(Beta().natural(np.array(mean))), (a, b), rtol=rtol)


@pytest.mark.parametrize(("a", "b"), [(1e-5, 1e-5), (1e-7, 3e-7), (1e5, 3e5), (3e6, 2e4)])
def test_beta_starts_at_the_limits(a: float, b: float) -> None:
    np.testing.assert_allclose(_shapes._start(Beta().mean(Beta().from_standard(a, b))), (a, b), rtol=1e-4)


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("size", [1e-7, 1e6])
def test_shapes_of_many_parts_start_at_the_limits(d: int, size: float) -> None:
    shapes = size * np.linspace(1.0, 3.0, d) / d
    np.testing.assert_allclose(_shapes._start(_shapes.mean_logarithms(shapes)), shapes, rtol=1e-4)


@pytest.mark.parametrize("x", [1e-3, 0.25, 0.9])
def test_beta_of_a_single_value_starts_and_ends_at_the_bound(x: float) -> None:
    mean = np.log([x, 1.0 - x])
    shapes = np.array([1e8 * x, 1e8 * (1.0 - x)])
    np.testing.assert_allclose(_shapes._start(mean), shapes, rtol=1e-12)
    np.testing.assert_allclose(_shapes.shapes_of_mean_logarithms(mean), shapes, rtol=1e-12)


@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_many_at_once_are_each_by_itself(family: ExponentialFamily) -> None:
    """Also where some need more steps than others."""
    if family.name == "categorical":
        eta = family.from_standard(np.random.RandomState(0).dirichlet(np.ones(family.n_statistics), size=9))
    else:
        values = [1e-7, 0.1, 0.5, 0.9] if "probability" in family.parameter_names else [1e-7, 0.5, 2.0, 1e6]
        grid = np.meshgrid(*[values] * len(family.parameter_names))
        eta = family.from_standard(*(axis.ravel() for axis in grid))
    mean = family.mean(eta)
    for i in range(mean.shape[1]):
        np.testing.assert_allclose(family.natural(mean)[:, i], family.natural(mean[:, i]), rtol=1e-11)


@pytest.mark.parametrize("mean", [(-40.0, 0.0), (0.0, -40.0)])
def test_beta_means_rounded_onto_the_edge(mean: tuple[float, float]) -> None:
    family = Beta()
    with np.errstate(all="raise", under="ignore"):
        eta = family.natural(np.array(mean))
    assert np.isfinite(eta).all()
    assert family.at_bound(eta)


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [  # digamma(a) - digamma(a + b), by mpmath to 50 digits
        (1e6, 1e-7, -1.0000005000001166e-13),
        (8.66, 1.75e-06, -2.1419375346595822e-07),
        (0.3, 2e-06, -2.4490578548133132e-05),
        (7.75, 0.0001, -1.377128446829872e-05),
        (2e5, 3e5, -0.916292231875905),
        (1.0, 9e-4, -0.0014794677824057538),
    ],
)
def test_beta_means_keep_the_digits_of_the_small_shape(a: float, b: float, difference: float) -> None:
    assert Beta().mean(Beta().from_standard(a, b))[0] == pytest.approx(difference, rel=1e-10)
    np.testing.assert_allclose(_shapes.mean_logarithms(np.array([[a, 1.0], [b, 1.0]]))[0, 0], difference, rtol=1e-10)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(-6, 6), st.floats(-6, 6))
def test_beta_natural_converges_from_everywhere(log_a: float, log_b: float) -> None:
    a, b = 10**log_a, 10**log_b
    mean = _shapes.mean_logarithms(np.array([a, b]))
    np.testing.assert_allclose(_shapes.shapes_of_mean_logarithms(mean), (a, b), rtol=5e-10)


def test_gamma_rates_are_bounded_where_means_are_tiny() -> None:
    mean_x = np.array([1e-300, 1e300])
    eta = Gamma().natural(np.stack([np.log(mean_x), mean_x]))  # each of a single value
    shape, rate = Gamma().to_standard(eta)
    np.testing.assert_allclose(shape, [1e6, 1e8], rtol=1e-12)
    np.testing.assert_allclose(rate, [1e306, 1e-292], rtol=1e-12)
    assert Gamma().at_bound(eta).all()


def test_gamma_natural_converges_from_everywhere() -> None:
    shape = np.logspace(-9, 7.99, 10_000)
    s = log_minus_digamma(shape)
    np.testing.assert_allclose(_gamma.shape_from_log_ratio(s), shape, rtol=1e-13)
    np.testing.assert_allclose(_gamma._shapes_by_log_ratio()(np.log(s))[:, 0], np.log(shape), atol=1e-9)


@pytest.mark.parametrize(
    ("family", "mean", "eta"),
    [
        (Bernoulli(), 0.75, np.log(3.0)),
        (Bernoulli(), 1e-300, np.log(1e-300)),
        (Binomial(n_trials=7), 1.75, -np.log(3.0)),
        (Poisson(), 2.5, np.log(2.5)),
        (Geometric(), 1e10, -np.log1p(1e-10)),
        (Geometric(), 1e-10, np.log(1e-10) - np.log1p(1e-10)),
        (NegativeBinomial(r=2.5), 7.5, np.log(0.75)),
        (NegativeBinomial(r=2.5), 1e12, -np.log1p(2.5e-12)),
        (Exponential(), 8.0, -0.125),
    ],
)
def test_natural_in_closed_form(family: ExponentialFamily, mean: float, eta: float) -> None:
    np.testing.assert_allclose(family.natural(np.array([mean])), [eta], rtol=4 * EPS)


@pytest.mark.parametrize(
    ("family", "parameters", "entropy"),
    [
        (Poisson(), (1e-8,), 1.94206807474181e-07),
        (Poisson(), (0.5,), 0.9276374674957973),
        (Poisson(), (30.0,), 3.1167110399882367),
        (Poisson(), (1000.0,), 4.8727327976428505),
        (Poisson(), (1e6,), 8.326693728853435),
        (Binomial(7), (0.5,), 1.695881445361671),
        (Binomial(1000), (0.2,), 3.9563372676229096),
        (Binomial(50), (1e-6,), 0.0005451752264747804),
        (NegativeBinomial(0.01), (0.99,), 0.34970405796434534),
        (NegativeBinomial(2.5), (0.4,), 1.7249147491512822),
        (NegativeBinomial(1e5), (0.001,), 3.7216849051285794),
        (ZeroTruncatedPoisson(), (1e-8,), 1.00569139792767874e-7),
        (ZeroTruncatedPoisson(), (0.5,), 0.654085963544402873),
        (ZeroTruncatedPoisson(), (3.0,), 1.8244146540161979),
        (ZeroTruncatedPoisson(), (30.0,), 3.1167110399856274),
        (ZeroTruncatedPoisson(), (1000.0,), 4.87273279764285065),
        (InverseGaussian(), (1.0, 0.001), -3.603206082012285),
        (InverseGaussian(), (0.5, 2.0), -0.13577528679546685),
        (InverseGaussian(), (3.0, 1000.0), -0.3892673083639401),
        (InverseGaussian(), (2.0, 1e7), -5.600388671434554),
    ],
)
def test_entropy_against_mpmath(family: ExponentialFamily, parameters: tuple[float, ...], entropy: float) -> None:
    eta = family.from_standard(*parameters)
    # The entropy is a difference of terms as large as these.
    terms = np.abs(eta * family.mean(eta)).sum() + np.abs(family.log_partition(eta))
    terms += special.gammaln(getattr(family, "n_trials", 0) + 1)
    np.testing.assert_allclose(family.entropy(eta), entropy, rtol=1e-13, atol=20 * EPS * terms)


@pytest.mark.parametrize(
    ("excess", "rate"),
    [
        (1e-300, 2e-300),
        (1e-10, 1.9999999999333334062e-10),
        (0.25, 0.4642127543788166497),
        (1.0, 1.5936242600400400923),
        (9.0, 9.9995457944465351731),
        (1e6, 1000001.0),
    ],
)
def test_rates_without_zeros_against_mpmath(excess: float, rate: float) -> None:
    """Of a mean of one plus the excess, which is the statistic: no digit of it is lost next to one."""
    family = ZeroTruncatedPoisson()
    np.testing.assert_allclose(family.natural(np.array([excess])), np.log(rate), rtol=4 * EPS, atol=4 * EPS)
    np.testing.assert_allclose(family.mean(np.log(np.array([rate]))), excess, rtol=2 * EPS * (2.0 + abs(np.log(rate))))
    np.testing.assert_allclose(
        family.moments(np.log(np.array([rate])))[0], 1.0 + excess, rtol=2e-15 + 4 * EPS * np.log(1 + rate)
    )


@pytest.mark.parametrize("n_trials", [1, 7, 50])
@pytest.mark.parametrize("p", [1e-9, 0.3, 0.999])
def test_binomial_against_scipy(n_trials: int, p: float) -> None:
    family, peer, x = Binomial(n_trials), stats.binom(n_trials, p), np.arange(n_trials + 1.0)
    eta = family.from_standard(p)
    np.testing.assert_allclose(family.log_prob(x, eta), peer.logpmf(x), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(family.entropy(eta), peer.entropy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("r", [0.01, 2.5, 1e4])
@pytest.mark.parametrize("p", [1e-3, 0.3, 0.99])
def test_negative_binomial_against_scipy(r: float, p: float) -> None:
    family, peer, x = NegativeBinomial(r), stats.nbinom(r, 1 - p), np.array([0.0, 1.0, 17.0, 5000.0])
    eta = family.from_standard(p)
    np.testing.assert_allclose(family.log_prob(x, eta), peer.logpmf(x), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(family.moments(eta), peer.stats("mv"), rtol=1e-6)


@pytest.mark.parametrize(
    ("family", "parameter", "under_exposure"),
    [
        (Poisson(), 0.7, lambda s: stats.poisson(s * 0.7)),
        (NegativeBinomial(2.5), 0.4, lambda s: stats.nbinom(s * 2.5, 0.6)),
        (Binomial(6), 0.3, lambda s: stats.binom((s * 6).astype(int), 0.3)),
    ],
    ids=named,
)
def test_exposure_against_scipy(family: ExponentialFamily, parameter: float, under_exposure: Callable[..., Any]) -> None:
    x, s = np.arange(3.0), np.array([[0.5], [1.0], [4.0]])
    eta = family.from_standard(parameter)
    np.testing.assert_allclose(family.log_prob(x, eta, s), under_exposure(s).logpmf(x), rtol=1e-12, atol=1e-13)
    assert family.in_support(x, s).all()
    draws = family.sample(np.full((1, 3, 20_000), eta[0]), np.random.RandomState(0), s)
    mean, variance = (np.ravel(moment) for moment in under_exposure(s).stats("mv"))
    assert (np.abs(draws.mean(axis=1) - mean) < 5 * np.sqrt(variance / 20_000)).all()


def test_trials_under_exposure_must_be_whole() -> None:
    family = Binomial(n_trials=5)
    assert not family.in_support(np.array([6.0])).any()
    assert family.in_support(np.array([6.0]), 2.0).all()
    with pytest.raises(ValueError, match=r"whole; got 2\.5"):
        family.sample(family.from_standard([0.5, 0.5]), np.random.RandomState(0), np.array([2.0, 0.5]))
    with pytest.raises(ValueError, match=r"whole; got 1\.001"):
        family.sample(family.from_standard([0.5]), np.random.RandomState(0), np.array([0.2002]))


def test_draws_of_tiny_values_are_normal_numbers() -> None:
    tiny = np.finfo(np.float64).tiny
    assert LogNormal().sample(LogNormal().from_standard(-1e4, 1.0), np.random.RandomState(0)) >= tiny
    assert Gamma().sample(Gamma().from_standard(1e-6, 1.0), np.random.RandomState(0)) >= tiny


def test_counts_beyond_all_integers_are_drawn_as_the_largest_one() -> None:
    draws = Geometric().sample(Geometric().from_standard(np.full(3, 1e-30)), np.random.RandomState(0))
    assert (draws == 2**63 - 2**10).all()


@pytest.mark.parametrize("ratio", [1e-6, 1.0, 1e3])
def test_inverse_gaussian_draws_solve_for_chi_squared(ratio: float) -> None:
    """Michael, Schucany and Haas: (x - mean)^2 shape / (mean^2 x) is the square of a standard normal number."""
    mean, shape, n = 3.0, 3.0 * ratio, 1000
    eta = np.broadcast_to(InverseGaussian().from_standard(mean, shape)[:, np.newaxis], (2, n))
    x = InverseGaussian().sample(eta, np.random.RandomState(0))
    squares = np.random.RandomState(0).standard_normal(n) ** 2
    np.testing.assert_allclose(shape * (x - mean) ** 2 / (mean**2 * x), squares, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_a_single_value_has_a_finite_answer(family: ExponentialFamily) -> None:
    """Also next to the ends of the support, and without a warning."""
    for value in values_of(family):
        x = np.array([value])
        with np.errstate(all="raise", under="ignore"):
            eta = family.natural(np.stack(family.sufficient_statistics(x)))
            results = [eta, family.mean(eta), family.log_partition(eta), family.pseudo_entropy(eta), family.entropy(eta)]
            results += [*family.to_standard(eta), *family.moments(eta), family.log_prob(x, eta), family.divergence(eta, eta)]
        assert all(np.isfinite(result).all() for result in results), value
        # With one statistic the mean determines how wide a distribution is: none collapses onto a value inside the support.
        inside = family.n_statistics == 1 and family.lower_limit < value < family.upper_limit
        held = family.at_bound(eta) | family.at_zero(eta) | inside
        assert held.all(), value
        if family.n_statistics > 1 and value >= (1e-20 if family.name == "beta" else 0.0):
            np.testing.assert_allclose(family.moments(eta)[0], value, rtol=1e-9, atol=1e-300)
        elif family.n_statistics == 1 and value >= (1e-9 if family.equivariance == "scale" else 0.0):
            # In units in which values are of order one.
            np.testing.assert_allclose(family.mean(eta)[0], family.sufficient_statistics(x)[0], rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize(
    ("family", "p", "certain", "impossible"),
    [
        (Bernoulli(), 0.0, 0.0, 1.0),
        (Bernoulli(), 1.0, 1.0, 0.0),
        (Binomial(7), 0.0, 0.0, 1.0),
        (Binomial(7), 1.0, 7.0, 6.0),
        (Geometric(), 1.0, 0.0, 1.0),
        (NegativeBinomial(2.5), 0.0, 0.0, 1.0),
        (Poisson(), 0.0, 0.0, 1.0),
        (ZeroTruncatedPoisson(), 0.0, 1.0, 2.0),
    ],
)
def test_certainty_is_held_exactly(family: ExponentialFamily, p: float, certain: float, impossible: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        eta = family.from_standard(p)
        assert np.abs(eta) == pytest.approx(744.44, abs=1e-2)
        assert family.to_standard(eta)[0] == p
        assert family.at_zero(eta)
        assert abs(family.pseudo_entropy(eta)) < 1e-300
        np.testing.assert_allclose(family.moments(eta), (certain, 0.0), atol=1e-300)
        assert abs(family.entropy(eta)) < 1e-13
        assert family.log_prob(certain, eta) == pytest.approx(0.0, abs=1e-300)
        assert family.log_prob(impossible, eta) < -700


def test_a_category_of_probability_zero() -> None:
    family = Categorical(n_categories=3)
    with np.errstate(all="raise", under="ignore"):
        eta = family.from_standard([[0.25, 0.75, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
        np.testing.assert_array_equal(family.to_standard(eta)[0][[0, 2], [2, 1]], 0.0)
        np.testing.assert_array_equal(family.at_zero(eta), [True, False, True])
        np.testing.assert_allclose(family.log_partition(eta), 0.0, atol=2 * EPS)
        expected = stats.entropy([[0.25, 0.2, 1.0], [0.75, 0.3, 0.0], [0.0, 0.5, 0.0]])
        np.testing.assert_allclose(family.entropy(eta), expected, rtol=1e-13, atol=1e-300)
        draws = family.sample(np.repeat(eta, 1000, axis=1), np.random.RandomState(0))
    assert set(draws[:1000]) == {0, 1}
    assert set(draws[-1000:]) == {0}


def test_the_largest_uniform_number_draws_the_last_category() -> None:
    """Ten times a tenth are less than one in double precision; categories of probability zero are never drawn."""

    class Largest(np.random.RandomState):
        def uniform(self, *arguments: Any, **keywords: Any) -> Any:
            return np.full(keywords["size"], np.nextafter(1.0, 0.0))

    for p, last in (np.full(10, 0.1), 9), (np.r_[np.full(10, 0.1), 0.0], 9), (np.r_[0.0, np.full(10, 0.1)], 10):
        assert p.cumsum()[-1] < 1.0
        family = Categorical(len(p))
        assert family.sample(family.from_standard(p), Largest(0)) == last


def test_categorical_takes_weights() -> None:
    family = Categorical(n_categories=3)
    (probability,) = family.to_standard(family.from_standard([1.0, 2.0, 5.0]))
    np.testing.assert_allclose(probability, [0.125, 0.25, 0.625], rtol=1e-15)
    (probability,) = family.to_standard(family.from_standard([1e-30, 2e-30, 5e-30]))
    np.testing.assert_allclose(probability, [0.125, 0.25, 0.625], rtol=1e-14)
    assert family.support == "codes from 0 to 2 (n_categories=3)"
    assert (family.n_statistics, family.n_parameters) == (3, 2)


@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_single_precision_statistics_are_as_good_as_they_look(family: ExponentialFamily) -> None:
    """T keeps the dtype; the base measure, which is summed over all data, has double precision."""
    values = values_of(family)
    ordinary = (np.abs(values) < 1e5) & ((values == np.floor(values)) | (values == 0.25) | (values == 0.5))
    X = values[ordinary].astype(np.float32)
    for single, double in zip(
        family.sufficient_statistics(X), family.sufficient_statistics(X.astype(np.float64)), strict=True
    ):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(family.log_base_measure(X), family.log_base_measure(X.astype(np.float64)), rtol=1e-14)


@pytest.mark.parametrize("size", [1e6, 1e9, 1e14])
def test_base_measures_of_small_counts_among_many_trials_keep_their_digits(size: float) -> None:
    x = np.arange(8.0)
    failures = np.concatenate([[0.0], np.cumsum(np.log((size + x[:-1]) / (x[:-1] + 1.0)))])
    trials = np.concatenate([[0.0], np.cumsum(np.log((size - x[:-1]) / (x[:-1] + 1.0)))])
    np.testing.assert_allclose(NegativeBinomial(r=size).log_base_measure(x), failures, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(Binomial(n_trials=int(size)).log_base_measure(x), trials, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(Binomial(n_trials=int(size)).log_base_measure(size - x), trials, rtol=1e-13, atol=1e-13)


def test_base_measure_of_large_and_fractional_counts() -> None:
    x = np.array([5000.0, 0.5, 4096.0])
    for dtype in (np.float64, np.float32):
        np.testing.assert_allclose(Poisson().log_base_measure(x.astype(dtype)), -special.gammaln(x + 1), rtol=1e-14)
        for one in (4095.0, 4096.0, 4097.0):
            found = Poisson().log_base_measure(np.array([one], dtype=dtype))
            np.testing.assert_allclose(found, -special.gammaln(one + 1), rtol=1e-14)


@pytest.mark.parametrize("family", [f for f in INSTANCES if f.zero_statistics], ids=repr)
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
def test_stored_zeros_stay_stored(family: ExponentialFamily, container: Any) -> None:
    X = container((np.array([1.0, 0.0, 1.0]), np.array([0, 1, 1]), np.array([0, 2, 3])), shape=(2, 3))
    for T in family.sufficient_statistics(X):
        assert type(T) is container
        np.testing.assert_array_equal(T.indices, X.indices)
        np.testing.assert_array_equal(T.indptr, X.indptr)


@pytest.mark.parametrize(
    ("family", "inside", "outside"),
    [
        (Bernoulli(), [0, 1], [0.5, -1, 2]),
        (Beta(), [1e-300, 0.5, 1 - EPS], [0, 1, -1, 2]),
        (Binomial(3), [0, 1.5, 3], [-1e-9, 3.1]),
        (Categorical(3), [0, 1, 2], [-1, 0.5, 3]),
        (Exponential(), [0, 1e300], [-1e-300]),
        (Gamma(), [1e-300, 1e300], [0, -1]),
        (Gaussian(), [-1e300, 0, 1e300], []),
        (Geometric(), [0, 0.5, 1e300], [-1]),
        (InverseGaussian(), [1e-300, 1e300], [0, -1]),
        (LogNormal(), [1e-300, 1e300], [0, -1]),
        (NegativeBinomial(1.0), [0, 0.5, 1e300], [-1]),
        (Poisson(), [0, 0.5, 1e300], [-1]),
    ],
)
def test_support(family: ExponentialFamily, inside: list[float], outside: list[float]) -> None:
    assert family.in_support(np.array(inside)).all()
    assert not family.in_support(np.array([*outside, np.inf, -np.inf])).any()


@pytest.mark.parametrize(
    ("family", "parameters", "message"),
    [
        (Bernoulli(), (1.5,), r"Every probability must lie in \[0, 1\]; got 1\.5"),
        (Beta(), (0.0, 1.0), r"Every alpha must lie in \(0, inf\); got 0\.0"),
        (Beta(), (1.0, np.nan), r"Every beta must lie in \(0, inf\); got nan"),
        (Binomial(), ([0.5, -0.1],), r"Every probability must lie in \[0, 1\]; got -0\.1"),
        (Categorical(3), ([0.5, 0.5],), r"must hold 3 categories; got shape \(2,\)"),
        (Categorical(3), ([0.0, 0.0, 0.0],), "At least one probability"),
        (Categorical(2), ([-0.5, 0.5],), "Every probability must lie in"),
        (Exponential(), (0.0,), r"Every rate must lie in \(0, inf\)"),
        (Gamma(), (0.0, 1.0), r"Every shape must lie in \(0, inf\)"),
        (Gaussian(), (np.inf, 1.0), r"Every mean must lie in \(-inf, inf\)"),
        (Gaussian(), (0.0, 0.0), r"Every variance must lie in \(0, inf\)"),
        (Geometric(), (0.0,), r"Every probability must lie in \(0, 1\]"),
        (InverseGaussian(), (0.0, 1.0), r"Every mean must lie in \(0, inf\)"),
        (InverseGaussian(), (1.0, np.inf), r"Every shape must lie in \(0, inf\)"),
        (LogNormal(), (0.0, -1.0), r"Every log_variance must lie in \(0, inf\)"),
        (NegativeBinomial(1.0), (1.0,), r"Every probability must lie in \[0, 1\); got 1\.0"),
        (Poisson(), (-1.0,), r"Every rate must lie in \[0, inf\); got -1\.0"),
    ],
)
def test_standard_parameters_out_of_range(family: ExponentialFamily, parameters: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        family.from_standard(*parameters)


@pytest.mark.parametrize(
    ("family", "value"), [(Binomial, 2.5), (NegativeBinomial, 0.0), (NegativeBinomial, np.inf), (Categorical, 2.0)]
)
def test_constructor_arguments_out_of_range(family: Any, value: float) -> None:
    with pytest.raises(ValueError, match=r"must be .* got"):
        family(value)


@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_extreme_shapes_are_drawn_inside_the_support(family: ExponentialFamily) -> None:
    if family.name == "categorical":
        eta = family.from_standard(np.random.RandomState(0).dirichlet(np.full(family.n_statistics, 0.01), size=2000))
    else:
        low, high = (1e-12, 1 - 1e-12) if "probability" in family.parameter_names else (1e-3, 1e3)
        ends = np.array([low, high])
        grid = np.meshgrid(*[np.repeat(ends, 100)] * len(family.parameter_names))
        eta = family.from_standard(*(axis.ravel() for axis in grid))
    with np.errstate(all="raise", under="ignore"):
        draws = family.sample(eta, np.random.RandomState(0)).astype(np.float64)
    assert draws.shape == eta.shape[1:]
    assert family.in_support(draws).all()
    assert np.isfinite(family.log_prob(draws, eta)).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from([f for f in INSTANCES if f.name != "categorical"]), st.data())
def test_divergence_is_not_negative(family: ExponentialFamily, data: st.DataObject) -> None:
    values = st.floats(1e-3, 0.999) if "probability" in family.parameter_names else st.floats(1e-2, 1e2)
    first, second = (family.from_standard(*(data.draw(values) for _ in family.parameter_names)) for _ in range(2))
    terms = np.abs((first - second) * family.mean(first)).sum() + np.abs(family.log_partition(first))
    assert family.divergence(first, second) >= -20 * EPS * (terms + np.abs(family.log_partition(second)))


@pytest.mark.parametrize("module", [name for _, name, _ in pkgutil.iter_modules(families.__path__)])
def test_docstrings(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"skentropy.families.{module}")).failed == 0


@pytest.mark.parametrize(
    "name", [name for name, family in FAMILIES.items() if family.stable_log_prob is not ExponentialFamily.stable_log_prob]
)
def test_the_form_that_does_not_cancel_is_the_same_density(name: str) -> None:
    family = CASES[name].family
    rng = np.random.RandomState(0)
    parameters = tuple(rng.uniform(0.5, 30.0, size=6) for _ in family.parameter_names)
    eta = family.from_standard(*parameters)
    X = family.sample(np.repeat(eta[:, np.newaxis], 40, axis=1), rng)
    if name == "gamma":  # on either side of where one form takes over from the other
        X = np.concatenate([X, np.outer([0.499, 0.501, 1.499, 1.501], family.moments(eta)[0])])
    expected = family.log_prob(X, eta) - family.log_base_measure(X)
    np.testing.assert_allclose(family.stable_log_prob(X, parameters), expected, rtol=1e-9, atol=1e-9)
