"""Counts without zeros: reference values, what is refused, and counts so large that they lose digits."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from skentropy import ExponentialFamilyMixture

NOTICES = np.arange(10.0)[:, np.newaxis]
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])


def test_one_component_without_zeros_is_that_of_statsmodels() -> None:
    """TruncatedLFPoisson of statsmodels 0.15.0, of a constant alone."""
    mixture = ExponentialFamilyMixture("zero_truncated_poisson", 1).fit(NOTICES[1:], sample_weight=DAYS[1:])
    np.testing.assert_allclose(DAYS[1:].sum() * mixture.lower_bound_, -1534.9461184348347, rtol=1e-13)
    np.testing.assert_allclose(mixture.rates_, [[2.26940555]], rtol=1e-8)
    assert mixture.stationarity_gap_ == pytest.approx(0.0, abs=1e-13)


def test_two_components_without_zeros() -> None:
    mixture = ExponentialFamilyMixture("zero_truncated_poisson", 2, random_state=0).fit(NOTICES[1:], sample_weight=DAYS[1:])
    assert DAYS[1:].sum() * mixture.lower_bound_ == pytest.approx(-1530.8216803421, abs=1e-8)
    ones = ExponentialFamilyMixture("zero_truncated_poisson", 2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at the limit where values have probability zero
        ones.fit([[1.0, 2.0]] * 20 + [[1.0, 7.0]] * 20)
    assert (ones.rates_[:, 0] == 0.0).all()
    assert ones.score_samples([[2.0, 2.0]])[0] < -700.0


def test_zeros_and_exposures_are_refused_by_name() -> None:
    mixture = ExponentialFamilyMixture("zero_truncated_poisson", 1)
    with pytest.raises(ValueError, match="family takes values of at least one; X holds 1 other value, in column 'notices'"):
        mixture.fit(pd.DataFrame(NOTICES, columns=["notices"]))
    with pytest.raises(ValueError, match="exposure is not defined for the zero_truncated_poisson family"):
        mixture.fit(NOTICES[1:], exposure=np.ones(9))


def test_digits_of_large_counts_are_warned_of() -> None:
    X = np.array([[1e9], [2e9], [3e9]])
    with pytest.warns(UserWarning, match=r"counts up to 3e\+09 in column 0; log-likelihoods may be off by"):
        ExponentialFamilyMixture("zero_truncated_poisson", 1).fit(X)
