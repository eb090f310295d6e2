"""The likelihood of dispersions whose means are given, from the counts of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import FloatArray
from ..families._dispersion import log_rising_curvature, log_rising_slope, partition_curvature, partition_slope
from ._levels import LevelSums

# An excess over Poisson distributions that is a smaller share of the terms is a rounding error.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class DispersionLikelihood:
    """The expected log-likelihood as a function of dispersions (K, D).

    Attributes
    ----------
    means, exposures : ndarray of shape (K, D)
    seen : LevelSums
        Counts (K, M) of the values; none is negative.
    larger : ndarray of shape (K, M)
        Counts of the values that are larger, if the values are 0, 1, 2, ...
    total : callable
        Sums of (K, D) over dispersions that are tied.
    """

    means: FloatArray
    exposures: FloatArray
    seen: LevelSums
    larger: FloatArray
    total: Callable[[FloatArray], FloatArray]

    @classmethod
    def of(
        cls, means: FloatArray, exposures: FloatArray, seen: LevelSums, total: Callable[[FloatArray], FloatArray]
    ) -> Self:
        counts = np.maximum(seen.counts, 0.0)
        larger = seen.levels.sum_above(counts) if seen.levels.whole else counts
        return cls(means, exposures, LevelSums(seen.levels, counts), larger, total)

    def slopes(self, a: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First and second derivative by the logarithms of dispersions."""
        levels, means = self.seen.levels, self.means
        at = a[:, levels.column]
        if levels.whole:  # B is the sum of log(1 + a j) over j < x
            terms = at * levels.values
            shares = self.larger * terms / (1.0 + terms)
            first = levels.sum_columns(shares) + self.exposures * partition_slope(means, a)
            second = levels.sum_columns(shares / (1.0 + terms))
        else:
            wide = a * means > 1.0  # the sum of x would cancel with that of the means
            of_base = log_rising_slope(levels.values, at, wide[:, levels.column])
            first = levels.sum_columns(self.seen.counts * of_base) + self.exposures * partition_slope(means, a, wide)
            second = levels.sum_columns(self.seen.counts * log_rising_curvature(levels.values, at))
        second += self.exposures * partition_curvature(means, a)
        return self.total(first), self.total(second)

    def by_moments(self) -> FloatArray:
        """Dispersions with the data's variances, m + a m^2; zero if these are no larger than the means."""
        x = self.seen.levels.values
        pairs = self.total(self.seen.levels.sum_columns(self.seen.counts * x * (x - 1.0)))
        squares = self.total(self.exposures * self.means**2)
        excess = pairs - squares
        with np.errstate(divide="ignore"):
            return np.divide(excess, squares, out=np.zeros_like(excess), where=excess > _ROUNDING * (pairs + squares))


def shared(tied: tuple[int, ...], values: FloatArray, n_components: int, reduce: Any) -> FloatArray:
    """Sums or means (K, D) over tied dispersions, run by run."""
    if not tied:
        return values
    by_run = values.reshape(-1, n_components, values.shape[-1])
    axes = tuple(axis + 1 for axis in tied)
    return np.broadcast_to(reduce(by_run, axis=axes, keepdims=True), by_run.shape).reshape(values.shape)
