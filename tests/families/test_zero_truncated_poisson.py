"""Counts without zero against plain sums, and the digits of large ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from skentropy.families import ZeroTruncatedPoisson
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


@pytest.mark.parametrize("size", [1e6, 1e9, 1e12])
def test_large_counts_are_as_good_as_their_bound_of_rounding(size: float) -> None:
    family = ZeroTruncatedPoisson()
    x = np.rint(size + np.sqrt(size) * np.array([-2.0, 0.0, 1.5]))
    errors = np.abs(family.log_prob(x, family.from_standard(np.array(size))) - log_poisson(x, size))
    assert errors.max() < family.rounding_error(np.array(size)) < 1e-13 * size
