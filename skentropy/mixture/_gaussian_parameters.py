"""Parameters of Gaussian components, and the sums from which M-steps compute them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from .._data import Additive
from .._linalg import factorise, invert_factors, log_det_of_factors
from .._typing import Array, FloatArray
from ._gaps import Conditionals, Gaps

# Bounds: eigenvalues of a component's correlations stay above the first number, and its standard deviations above the second
# as a share of those of all rows. A component leaves its bound when its eigenvalues exceed the bound by the third factor.
SMALLEST_SHARE = 1e-12
_SMALLEST_SCALE = 1e-8
_LEAVES_BOUND = 1e2
# A feature belongs to the direction of a unit vector if its entry is larger.
_IN_DIRECTION = 0.1
# If rows share patterns, a pattern with at least this many rows for each feature has a map of its own.
_ROWS_OF_PATTERN = 4
# Rounding errors of correlations, relative to their smallest eigenvalue, that densities tolerate.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class GaussianParameters:
    """Means (K, d), and lower Cholesky factors R of G covariances (G, d, d), each of K / G components; in units.

    ``bounds`` (G, d) are the scales of the bound for covariances held at a bound, and zero for the others.
    """

    means: FloatArray
    factors: FloatArray
    bounds: FloatArray

    @classmethod
    def of(cls, means: FloatArray, covariances: FloatArray, bounds: FloatArray) -> Self:
        """Parameters of covariances (G, d, d), which are kept regular; those with nonzero bounds are put at them."""
        deviations = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), _SMALLEST_SCALE**2))
        correlations = covariances / deviations[:, :, np.newaxis] / deviations[:, np.newaxis]
        was_held = bounds[:, 0] > 0.0
        least = np.linalg.eigvalsh(correlations)[:, 0]
        held = least < SMALLEST_SHARE * np.where(was_held, _LEAVES_BOUND, 1.0)
        # The M-step at a bound raises the objective only if the bound does not move.
        scales = np.where((held & was_held)[:, np.newaxis], bounds, deviations)
        return cls(means, factorise(covariances, scales, SMALLEST_SHARE), np.where(held[:, np.newaxis], scales, 0.0))

    @classmethod
    def of_cholesky(cls, means: FloatArray, factors: FloatArray, bounds: FloatArray) -> Self:
        """Parameters of Cholesky factors; the covariances are kept regular as in ``of``."""
        # Squares of the diagonal are the variances given the preceding features.
        shares = np.diagonal(factors, axis1=1, axis2=2) ** 2 / np.maximum((factors**2).sum(axis=2), _SMALLEST_SCALE**2)
        if bounds.any() or shares.min() <= _LEAVES_BOUND * SMALLEST_SHARE:
            return cls.of(means, factors @ factors.transpose(0, 2, 1), bounds)
        return cls(means, factors, bounds)

    def moved(self, means: FloatArray, S: FloatArray) -> Self:
        """Parameters with other means, and covariances R S R'."""
        R = self.factors
        try:
            factors = R @ np.linalg.cholesky(S)
        except np.linalg.LinAlgError:
            return self.of(means, R @ S @ R.transpose(0, 2, 1), self.bounds)
        return self.of_cholesky(means, factors, self.bounds)

    @cached_property
    def held(self) -> Array:
        """Which covariances are held at a bound, (G,)."""
        return np.asarray(self.bounds[:, 0] > 0.0)

    @cached_property
    def group(self) -> Array:
        """Index of each component's covariance."""
        return np.arange(len(self.means)) * len(self.factors) // len(self.means)

    @cached_property
    def inverses(self) -> FloatArray:
        """R^-1, (G, d, d)."""
        return invert_factors(self.factors)

    @cached_property
    def precisions(self) -> FloatArray:
        """Inverse covariances, (G, d, d)."""
        return np.matmul(self.inverses.transpose(0, 2, 1), self.inverses)

    def given_observed(self, gaps: Gaps) -> tuple[Conditionals, FloatArray | None]:
        """Conditionals, and the maps from deviations to completed rows if many rows share each pattern.

        Those of few patterns are kept for the next block of rows, which often has the same ones.
        """
        key = gaps.patterns.tobytes()
        known = self._of_last_patterns.get(key)  # another thread may replace it at any time
        if known is not None:
            return known
        conditionals = Conditionals(self.precisions, gaps)
        if len(gaps.order) < _ROWS_OF_PATTERN * gaps.patterns.size:
            return conditionals, None
        given = conditionals, conditionals.maps(self.inverses, self.precisions)
        self._of_last_patterns.clear()
        self._of_last_patterns[key] = given
        return given

    @cached_property
    def _of_last_patterns(self) -> dict[bytes, tuple[Conditionals, FloatArray]]:
        return {}

    @cached_property
    def covariances(self) -> FloatArray:
        """(G, d, d)."""
        return np.matmul(self.factors, self.factors.transpose(0, 2, 1))

    @cached_property
    def log_dets(self) -> FloatArray:
        """Log determinants of the components' covariances, (K,)."""
        return log_det_of_factors(self.factors)[self.group]


@dataclass(frozen=True)
class GaussianSums(Additive):
    """Sums over completed rows, with responsibilities r = w q, in the frames y = R^-1 (x - mu) of the E-step's parameters.

    In these frames the mean of y is about 0 and that of yy' about 1, so no digits cancel. The M-step's new factor is R times
    the factor of the covariance of y.

    Attributes
    ----------
    frame : GaussianParameters
    counts : sum of r, (K,)
    first : sum of r E[y], (K, d)
    second : sum of r E[y y'], (K, d, d)
    missing_entropy : sum of r times the entropy of the missing entries given the observed ones
    log_volume : sum of r times the logarithm of the units' volume for the observed entries
    """

    _shared: ClassVar[tuple[str, ...]] = ("frame",)

    frame: GaussianParameters
    counts: FloatArray
    first: FloatArray
    second: FloatArray
    missing_entropy: float
    log_volume: float

    def plus(self, counts: FloatArray, mean: FloatArray, covariance: FloatArray) -> GaussianSums:
        """Add ``counts`` rows with this mean and covariance to each component."""
        U = self.frame.inverses[self.frame.group]
        centre = (U @ (mean - self.frame.means)[:, :, np.newaxis])[:, :, 0]
        second = U @ covariance @ U.transpose(0, 2, 1) + centre[:, :, np.newaxis] * centre[:, np.newaxis]
        n = counts[:, np.newaxis]
        return replace(
            self,
            counts=self.counts + counts,
            first=self.first + n * centre,
            second=self.second + n[:, :, np.newaxis] * second,
        )

    def distances(self, parameters: GaussianParameters) -> FloatArray:
        """Sum of r times the squared Mahalanobis distances from other parameters, (K,)."""
        frame = self.frame
        U = parameters.inverses[parameters.group]
        A = U @ frame.factors[frame.group]
        b = (U @ (frame.means - parameters.means)[:, :, np.newaxis])[:, :, 0]
        spread = ((A @ self.second) * A).sum(axis=(1, 2))
        cross = ((A @ self.first[:, :, np.newaxis])[:, :, 0] * b).sum(axis=1)
        return np.asarray(spread + 2.0 * cross + self.counts * (b**2).sum(axis=1))


def singular_columns(parameters: GaussianParameters) -> Array:
    """Which features (G, d) belong to the directions in which bounds hold the covariances."""
    held, singular = parameters.held, np.zeros(parameters.bounds.shape, dtype=bool)
    scales = parameters.bounds[held]
    values, vectors = np.linalg.eigh(parameters.covariances[held] / scales[:, :, np.newaxis] / scales[:, np.newaxis])
    at_bound = values[:, np.newaxis] <= _LEAVES_BOUND * SMALLEST_SHARE
    singular[held] = ((np.abs(vectors) > _IN_DIRECTION) & at_bound).any(axis=2)
    return singular


def is_well_rounded(covariances: FloatArray, dtype: np.dtype[Any]) -> bool:
    """Whether densities keep five digits if covariances (..., d, d) are rounded to this precision."""
    scale = np.sqrt(np.diagonal(covariances, axis1=-2, axis2=-1))
    correlations = covariances / scale[..., np.newaxis] / scale[..., np.newaxis, :]
    return bool(np.finfo(dtype).eps <= _ROUNDING * np.linalg.eigvalsh(correlations).min())
