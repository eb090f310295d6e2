"""Counts without zero against plain sums, and the digits of large ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from skentropy.families import ZeroTruncatedPoisson, _zero_truncated_poisson
from skentropy.families._special import log_poisson


@pytest.mark.parametrize("rate", [1e-3, 0.5, 0.995, 1.0, 1.005, 3.0, 20.0])
def test_all_parts_by_plain_sums(rate: float) -> None:
    """Also on both sides of one, where series take over from other forms."""
    family, x = ZeroTruncatedPoisson(), np.arange(1.0, 150.0)
    eta = family.from_standard(np.array([rate]))
    log_p = x * np.log(rate) - special.gammaln(x + 1) - np.log(np.expm1(rate))
    p = np.exp(log_p)
    mean = p @ x
    np.testing.assert_allclose(family.log_prob(x, eta[:, :, np.newaxis])[0], log_p, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.ravel(family.moments(eta)), (mean, p @ (x - mean) ** 2), rtol=1e-12)
    np.testing.assert_allclose(family.expected_log_base_measure(eta), -(p @ special.gammaln(x + 1)), rtol=1e-12)
    np.testing.assert_allclose(family.entropy(eta), -(p @ log_p), rtol=1e-12)


def test_rates_start_from_above_and_at_the_limits() -> None:
    rate = np.geomspace(1e-9, 1e9, 1000)
    start = _zero_truncated_poisson._upper_rate(_zero_truncated_poisson._excess(rate))
    assert (start >= rate).all()
    assert (start < 1.26 * rate).all()
    near_limits = (rate < 1e-8) | (rate > 40.0)
    np.testing.assert_allclose(start[near_limits], rate[near_limits], rtol=1e-8)


def test_rates_of_all_means() -> None:
    rate = np.append(0.0, np.geomspace(1e-307, 1e12, 2000))
    family = ZeroTruncatedPoisson()
    with np.errstate(all="raise", under="ignore"):
        found = family.to_standard(family.natural(_zero_truncated_poisson._excess(rate)[np.newaxis]))[0]
    np.testing.assert_allclose(found, rate, rtol=2e-13)


@pytest.mark.parametrize("size", [1e6, 1e9, 1e12])
def test_large_counts_are_as_good_as_their_bound_of_rounding(size: float) -> None:
    family = ZeroTruncatedPoisson()
    x = np.rint(size + np.sqrt(size) * np.array([-2.0, 0.0, 1.5]))
    errors = np.abs(family.log_prob(x, family.from_standard(np.array(size))) - log_poisson(x, size))
    assert errors.max() < family.rounding_error(np.array(size)) < 1e-13 * size
