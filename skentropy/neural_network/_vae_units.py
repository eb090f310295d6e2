"""Rows of data in the units of an autoencoder, with the gaps that its encoder reads filled in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._data import has_nan
from .._typing import FloatArray
from ..decomposition._gaussian import LinearGaussian


@dataclass(frozen=True)
class Observations:
    """Rows in the units of their likelihood.

    Attributes
    ----------
    x : (n, d), zero where nothing is observed
    observed : (n, d) of ones and zeros, or None where all is
    filled : (n, d), what the encoder reads: standardised rows, and the conditional means of a linear model in their gaps
    """

    x: FloatArray
    observed: FloatArray | None
    filled: FloatArray

    @property
    def mask(self) -> FloatArray:
        """What is observed, as ones and zeros."""
        return np.ones_like(self.x) if self.observed is None else self.observed


@dataclass(frozen=True)
class Units:
    """Where the data lie and how far they spread, by one number for all columns, and a linear model that fills gaps.

    Attributes
    ----------
    location : (d,)
    scale : float
    filling : tuple of arrays
        Mean (d,), loadings (d, k) and noise variances (d,) of (x - location) / scale.
    standardised : bool
        Whether the likelihood, too, is of (x - location) / scale.
    """

    location: FloatArray
    scale: float
    filling: tuple[FloatArray, FloatArray, FloatArray]
    standardised: bool = True

    @property
    def log_jacobian(self) -> float:
        """What each observed entry adds to the log-density in the data's own units."""
        return -float(np.log(self.scale)) if self.standardised else 0.0

    def observe(self, X: FloatArray) -> Observations:
        """Rows of the data in these units."""
        z = (X - self.location) / self.scale
        x = z if self.standardised else X
        if not has_nan(X):
            return Observations(x, None, z)
        missing = np.isnan(z)
        mean, loadings, _ = self.filling
        expected = LinearGaussian.of(*self.filling).posterior_means(z) @ loadings.T + mean
        return Observations(np.where(missing, 0.0, x), (~missing).astype(np.float64), np.where(missing, expected, z))

    def original(self, x: FloatArray) -> FloatArray:
        """Values of the likelihood in the data's own units."""
        return x * self.scale + self.location if self.standardised else x
