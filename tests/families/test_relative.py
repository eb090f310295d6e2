"""Counts relative to a reference distribution: the same distributions, with the digits of large counts kept."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from scipy import stats

from skentropy.families import Binomial, Categorical, Gaussian, Geometric, NegativeBinomial, Poisson
from skentropy.families._relative import RelativeBinomial, RelativeFamily, RelativeNegativeBinomial, RelativePoisson
from skentropy.families._special import deviance_term, log_binomial, log_poisson, log_ratio
from tests.common.counts import exact_log_prob

EPS = np.finfo(np.float64).eps
SMALL: list[tuple[Any, type[RelativeFamily], list[float]]] = [
    (Poisson(), RelativePoisson, [0.5, 2.0, 8.0]),
    (Binomial(12), RelativeBinomial, [0.1, 0.5, 0.9]),
    (NegativeBinomial(2.5), RelativeNegativeBinomial, [0.1, 0.5, 0.9]),
]


@pytest.mark.parametrize(("family", "relative", "parameters"), SMALL)
@pytest.mark.parametrize("reference", [0.7, 3.0, 9.0])
def test_they_are_the_same_distributions(
    family: Any, relative: type[RelativeFamily], parameters: Any, reference: float
) -> None:
    X, other = np.append(np.arange(12.0), [0.3, 5.5]), relative(family, np.array(reference))
    for parameter in parameters:
        eta, difference = family.from_standard(np.array(parameter)), other.from_standard(np.array(parameter))
        for exposure in (1.0, 2.5):
            expected = family.log_prob(X, eta, exposure)
            np.testing.assert_allclose(other.log_prob(X, difference, exposure), expected, rtol=1e-12, atol=1e-13)
        partition = family.log_partition(eta) - family.log_partition(other.origin)
        np.testing.assert_allclose(
            other.log_partition(difference), partition[0] if partition.ndim else partition, atol=1e-13
        )
        np.testing.assert_allclose(difference, eta - other.origin, atol=1e-13)
        np.testing.assert_allclose(other.natural(family.mean(eta)), difference, atol=1e-14)
        for method in ("mean", "entropy", "moments", "covariance", "to_standard", "coordinates"):
            np.testing.assert_allclose(getattr(other, method)(difference), getattr(family, method)(eta), rtol=1e-12)
        far = family.coordinates(eta) * 1.1
        moved = other.from_coordinates(far, difference) + other.origin
        np.testing.assert_allclose(moved, family.from_coordinates(far, eta), rtol=1e-12)
        assert other.in_domain(difference)
        assert not other.at_zero(difference).any()
    assert other.name == family.name
    assert other.lower_limit == family.lower_limit
    assert other.attribute_names == family.attribute_names
    assert not hasattr(other, "no_such_attribute")


@pytest.mark.parametrize(("family", "relative", "parameters"), SMALL)
def test_limits(family: Any, relative: type[RelativeFamily], parameters: Any) -> None:
    """A column of zeros has the reference one, and a mean of zero is where it was."""
    other = relative(family, np.array([0.0, 3.0]))
    np.testing.assert_array_equal(other.reference, [1.0, 3.0])
    zero = other.from_standard(np.zeros(2))
    assert other.at_zero(zero).all()
    np.testing.assert_array_equal(other.to_standard(zero)[0], [0.0, 0.0])
    np.testing.assert_allclose(other.log_prob(np.zeros(2), zero), 0.0, atol=1e-12)
    assert (other.log_prob(np.ones(2), zero) < -700).all()
    for tiny in (1e-100, 1e-300, 1e-320):
        expected = family.natural(np.full((1, 2), tiny))
        np.testing.assert_allclose(other.natural(np.full((1, 2), tiny)) + other.origin, expected, rtol=1e-13)
    if np.isfinite(family.upper_limit):
        sure = other.from_standard(np.ones(2))
        np.testing.assert_array_equal(other.to_standard(sure)[0], [1.0, 1.0])
        np.testing.assert_allclose(other.log_prob(np.full(2, 12.0), sure), 0.0, atol=1e-11)
        far = np.array([[35.0, -35.0]])
        expected = family.log_partition(far + other.origin) - family.log_partition(other.origin)
        np.testing.assert_allclose(other.log_partition(far), expected, rtol=1e-12)
    with pytest.raises(ValueError, match=f"{family.parameter_names[0]}"):
        other.from_standard(np.full(2, -1.0))


def cases(size: float) -> list[tuple[Any, Any]]:
    return [
        (Poisson(), np.array([1.0, 1.1, 2.0]) * size),
        (Binomial(int(3 * size)), np.array([0.33, 0.36, 0.6])),
        (Binomial(int(1.01 * size)), np.array([0.99, 0.98, 0.9])),
        (NegativeBinomial(size), np.array([0.5, 0.52, 0.66])),
        (NegativeBinomial(1e4), size / (size + np.array([1e4, 9e3, 5e3]))),
    ]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("size", [1e9, 1e11, 1e13, 1e15])
def test_digits_of_large_counts(size: float, number: int) -> None:
    """Right to the spacing of doubles at the count, and for a number of trials at that."""
    family, parameters = cases(size)[number]
    eta = family.from_standard(parameters)
    means, variances = family.moments(eta)
    relative = family.relative_to(means.mean(keepdims=True), size)
    difference = relative.from_standard(parameters)
    with localcontext() as context:
        context.prec = 60
        for c, (mean, deviation) in enumerate(zip(means, np.sqrt(variances), strict=True)):
            X = np.rint(mean + deviation * np.array([-2.0, -0.3, 0.1, 1.5]))
            X = np.minimum(X, family.upper_limit)
            exact = [exact_log_prob(family, x, float(parameters[c])) for x in X]
            errors = [
                float(abs(Decimal(float(value)) - other))
                for value, other in zip(relative.log_prob(X, difference[:, [c]]), exact, strict=True)
            ]
            assert max(errors) < 1.5 * EPS * max(X)


@pytest.mark.parametrize(("family", "relative", "parameters"), SMALL)
def test_means_and_partitions_next_to_the_reference(family: Any, relative: type[RelativeFamily], parameters: Any) -> None:
    """Where one form takes over from the other, and where probabilities are next to certain."""
    other = relative(family, np.array(5.0))
    for difference in (-25.0, -3.0, -0.7, -5e-3, -1e-9, 0.0, 1e-9, 5e-3, 0.3):
        eta = np.array([difference])
        absolute = eta + other.origin
        np.testing.assert_allclose(other.mean(eta), family.mean(absolute), rtol=1e-13)
        partition = family.log_partition(absolute) - family.log_partition(other.origin)
        np.testing.assert_allclose(other.log_partition(eta), partition, rtol=1e-12, atol=4e-15)


def test_natural_parameters_of_nearly_equal_means_keep_their_digits() -> None:
    for r, reference, ratio in ((2.5, 1e9, 1.0001), (2.5, 1e9, 0.7), (1e6, 3e6, 1.0 + 2.0**-40), (2.5, 7.0, 0.99)):
        family, mean = NegativeBinomial(r), reference * ratio
        found = RelativeNegativeBinomial(family, np.array(reference)).natural(np.array([mean]))
        with localcontext() as context:
            context.prec = 60
            m, m0, shape = (Decimal(float(value)) for value in (mean, reference, r))
            exact = (m * (m0 + shape) / (m0 * (m + shape))).ln()
        np.testing.assert_allclose(found, float(exact), rtol=1e-14)


def test_partitions_of_counts_that_are_rare_in_the_reference() -> None:
    """A' = n log(1 + p (exp(eta') - 1)), of which p exp(eta') is 1, exp(-1) and exp(10)."""
    n = 10**7
    log_p = np.log(1e-9 / n)
    family = RelativeBinomial(Binomial(n), np.array(1e-9))
    for own in (0.0, -1.0, 10.0):
        np.testing.assert_allclose(family.log_partition(np.array([own - log_p])), n * np.log1p(np.exp(own)), rtol=1e-13)


def test_which_families_are_relative_and_when() -> None:
    mean = np.array([3e6, 5.0])
    assert isinstance(Poisson().relative_to(mean, 4e6), RelativePoisson)
    for family in (Poisson(), Binomial(10), NegativeBinomial(2.0)):
        assert family.relative_to(mean, 9e5) is family
    for family in (Geometric(), Gaussian(), Categorical(3)):
        assert family.relative_to(mean, 4e6) is family


def test_geometric_counts_keep_their_digits_as_they_are() -> None:
    family, p = Geometric(), 1e-12
    x = 2e12
    exact = Decimal(p).ln() + Decimal(x) * (1 - Decimal(p)).ln()
    assert float(family.log_prob(np.array(x), family.from_standard(np.array(p)))) == pytest.approx(float(exact), rel=1e-15)


def test_log_probabilities_by_saddle_point() -> None:
    x = np.array([0.0, 1.0, 2.0, 7.0, 19.0, 20.0, 30.0])
    for m in (0.1, 1.0, 18.5, 40.0):
        np.testing.assert_allclose(log_poisson(x, m), stats.poisson.logpmf(x, m), rtol=1e-13)
    for p in (1e-3, 0.2, 0.5, 0.502, 0.7, 0.999):
        np.testing.assert_allclose(log_binomial(x, 30.0, p, 1.0 - p), stats.binom.logpmf(x, 30, p), rtol=1e-12, atol=1e-14)
    assert np.isnan(log_poisson(np.array(np.nan), 2.0))
    assert np.isnan(log_binomial(np.array(np.nan), 3.0, 0.5, 0.5))
    assert log_poisson(np.array(0.0), 1e-20) == -1e-20
    np.testing.assert_allclose(log_poisson(np.array([5e-324, 1e-200]), 1e6), -1e6, rtol=1e-15)
    assert log_binomial(np.array(0.0), 5.0, 1e-20, 1.0) == pytest.approx(-5e-20, rel=1e-14)
    assert log_binomial(np.array(5.0), 5.0, 1.0, 1e-20) == pytest.approx(-5e-20, rel=1e-14)


@pytest.mark.parametrize("ratio", [1.0 + 1e-9, 1.0 - 1e-5, 1.01, 0.83, 1.221, 1.2223, 0.8181, 0.8183, 3.0])
def test_deviance_and_ratio(ratio: float) -> None:
    x, m = 7.3 * ratio, 7.3
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(x) * (Decimal(x) / Decimal(m)).ln() + Decimal(m) - Decimal(x)
        log = (Decimal(x) / Decimal(m)).ln()
    np.testing.assert_allclose(deviance_term(np.array(x), np.array(m)), float(exact), rtol=2e-14)
    np.testing.assert_allclose(log_ratio(np.array(x), np.array(m)), float(log), rtol=4e-16)
