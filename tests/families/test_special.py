"""Functions that scipy.special lacks, against values of mpmath with fifty digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from skentropy.families import _special
from skentropy.families._special import (
    in_two_parts,
    log1mexp,
    log_factorial,
    log_minus_digamma,
    log_odds,
    log_ratio,
    log_rising,
    polynomial,
    scaled_exp1,
    stirling_remainder,
    trigamma,
)

EPS = np.finfo(np.float64).eps


# The widest bound of rounding is where the series takes over, at 20.
@pytest.mark.parametrize(
    ("function", "values", "units"),
    [
        (log_minus_digamma, {1e-3: 993.6678166528282, 0.5: 1.2703628454614782, 19.5: 0.025860122144105817}, 25),
        (
            log_minus_digamma,
            {
                20.0: 0.025208281311841944,
                20.11: 0.025069261655352226,
                25.0: 0.02013331201622674,
                1e12: 5.000000000000833e-13,
            },
            4,
        ),
        (log1mexp, {-1e-300: -690.7755278982137, -0.5: -0.9327521295671886, -0.6931: -0.6931943633460008}, 4),
        (log1mexp, {-0.6932: -0.6930943639096365, -1.0: -0.4586751453870819, -700.0: -9.85967654375977e-305}, 4),
        (scaled_exp1, {1e-8: 17.843465267485485, 10.0: 0.09156333393978808, 49.0: 0.02000770628218984}, 4),
        (scaled_exp1, {50.0: 0.01961510993011487, 60.0: 0.016397713708046525, 1e10: 9.999999999e-11}, 4),
        (trigamma, {0.5: np.pi**2 / 2, 1.0: np.pi**2 / 6, 19.5: 0.05261944121365593}, 4),
        (trigamma, {20.0: 0.05127082293520312, 25.0: 0.04081066325722558, 1e3: 0.0010005001666666333}, 2),
        (stirling_remainder, {20.0: 0.0041663196919969225}, 12),
        (stirling_remainder, {25.0: 0.003333155636728093, 1e3: 8.333333055555635e-05}, 2),
        (log1mexp, {-7.0: -0.0009122979828390684}, 4),
        (log_factorial, {-1.0: np.inf, 3.0: np.log(6.0)}, 4),
        (log_odds, {0.25: -np.log(3.0), 0.75: np.log(3.0), 1e-300: np.log(1e-300)}, 4),
    ],
)
def test_special_functions_against_mpmath(function: Callable[..., Any], values: dict[float, float], units: int) -> None:
    with np.errstate(all="raise", under="ignore"):
        actual = function(np.array(list(values)))
    np.testing.assert_allclose(actual, list(values.values()), rtol=units * EPS)


def test_bernoulli_numbers_are_values_of_the_zeta_function() -> None:
    k = np.arange(1, len(_special.BERNOULLI) + 1)
    expected = -((-1.0) ** k) * 2.0 * special.factorial(2 * k) * special.zeta(2 * k) / (2.0 * np.pi) ** (2 * k)
    np.testing.assert_allclose(_special.BERNOULLI, expected, rtol=1e-14)


def test_polynomials_by_plain_sums() -> None:
    x = np.array([-2.0, 0.0, 0.5])
    np.testing.assert_allclose(polynomial(x, [3.0, -1.0, 0.25]), 3.0 - x + 0.25 * x**2, rtol=1e-15)


def test_neither_part_sees_values_of_the_other() -> None:
    x = np.array([-np.inf, 0.0, 2.0, 3.0])
    with np.errstate(all="raise"):
        parts = in_two_parts(x, 2.0, lambda x: x - 1.0, lambda x: 1.0 / (x - 1.0))
    np.testing.assert_array_equal(parts, [-np.inf, -1.0, 1.0, 0.5])


@pytest.mark.parametrize(("a", "b"), [(2.3e-308, 1e308), (1e-300, 3e-300), (1e300, 3e-3), (2.0, 2.0)])
def test_logarithms_of_quotients_that_may_overflow(a: float, b: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        found = log_ratio(np.array([a, b]), np.array([b, a]))
    np.testing.assert_allclose(found, np.log([a, b]) - np.log([b, a]), rtol=1e-13)


@pytest.mark.parametrize("r", [1e-300, 0.3, 19.9, 20.0, 1e5, 1e12, 1e300])
def test_rising_factorials_are_products(r: float) -> None:
    x = np.arange(12.0)
    expected = np.cumsum(np.log(np.concatenate([[1.0], r + x[:-1]])))
    np.testing.assert_allclose(log_rising(x, r), expected, rtol=1e-13, atol=1e-13)
