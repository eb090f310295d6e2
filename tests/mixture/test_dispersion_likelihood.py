"""The likelihood of dispersions: its derivatives, where searches start, and what rounding errors are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from skentropy.mixture._dispersion_likelihood import DispersionLikelihood
from skentropy.mixture._levels import Levels, LevelSums


def likelihood(x: Any, counts: Any, *, whole: bool = False) -> DispersionLikelihood:
    """Of one column and one component, whose mean is that of the values."""
    levels = Levels(np.asarray(x, dtype=float), np.array([0, len(x)]), whole)
    counts = np.asarray(counts, dtype=float)[np.newaxis]
    total = counts.sum(axis=1, keepdims=True)
    means = counts @ levels.values[:, np.newaxis] / total
    return DispersionLikelihood.of(means, total, LevelSums(levels, counts), lambda values: values)


def derivative(function: Any, log_a: float, h: float = 1e-4) -> float:
    up, down = (function(np.array([[np.exp(log_a + step)]])) for step in (h, -h))
    return float(((up - down) / (2.0 * h)).item())


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("a", [0.02, 0.7, 30.0])
def test_slopes_are_the_derivatives_of_the_likelihood(a: float, whole: bool) -> None:
    x = np.arange(8.0)
    counts = np.array([5.0, 3.0, 0.0, 2.0, 1.5, 0.0, 1.0, 0.5])
    own = likelihood(x, counts, whole=whole)

    def log_likelihood(a: Any) -> Any:
        return counts @ stats.nbinom.logpmf(x, 1.0 / a, 1.0 / (1.0 + a * own.means)).ravel()

    first, second = own.slopes(np.array([[a]]))
    assert first.item() == pytest.approx(derivative(log_likelihood, np.log(a)), rel=1e-6)
    assert second.item() == pytest.approx(derivative(lambda a: own.slopes(a)[0], np.log(a)), rel=1e-6)


@pytest.mark.parametrize("size", [1e6, 1e14])
def test_slopes_of_large_counts_are_those_of_gamma_variables(size: float) -> None:
    x, r = np.array([0.1, 0.4, 1.0, 2.5]), 1.25
    expected = -4.0 * r * (np.log(r) - special.digamma(r) + np.log(x / x.mean()).mean())
    found = likelihood(size * x, np.ones(4)).slopes(np.array([[1.0 / r]]))[0].item()
    assert found == pytest.approx(expected, rel=1e-4)


def test_dispersions_by_moments() -> None:
    x, counts = np.array([0.0, 1.0, 4.0, 9.5]), np.array([2.0, 3.0, 1.0, 0.5])
    mean, variance = np.average(x, weights=counts), np.cov(x, aweights=counts, ddof=0)
    expected = (variance - mean) / mean**2
    assert likelihood(x, counts).by_moments().item() == pytest.approx(expected, rel=1e-12)
    assert likelihood([1.0, 2.0], [1.0, 1.0]).by_moments().item() == 0.0


@pytest.mark.parametrize(("difference", "positive"), [(1e-13, False), (1e-11, True)])
def test_rounding_errors_are_no_excess(difference: float, positive: bool) -> None:
    """The variance of as many zeros as twos is their mean; of a few more zeros it is larger."""
    assert (likelihood([0.0, 2.0], [100.0, 100.0 - 100.0 * difference]).by_moments().item() > 0.0) == positive
