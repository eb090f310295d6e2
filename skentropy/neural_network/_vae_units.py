"""Rows in the units of an autoencoder, with gaps filled for its encoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._data import has_nan
from .._typing import Array, FloatArray
from ..decomposition._gaussian import LinearGaussian


@dataclass(frozen=True)
class Observations:
    """Rows in the units of the likelihood.

    Attributes
    ----------
    x : (n, d), zero where missing
    missing : (n, d), which entries are missing, or None if none are
    filled : (n, d), input of the encoder: standardised rows, with conditional means of a linear model in their gaps
    """

    x: FloatArray
    missing: Array | None
    filled: FloatArray

    @cached_property
    def mask(self) -> FloatArray:
        """The mask, 0 for missing entries and 1 for others, (n, d)."""
        return np.ones_like(self.x) if self.missing is None else (~self.missing).astype(np.float64)


@dataclass(frozen=True)
class Units:
    """Location of the data, one scale for all columns, and a linear model that fills gaps.

    Attributes
    ----------
    location : (d,)
    scale : float
    filling : tuple of arrays
        Mean (d,), loadings (d, k) and noise variances (d,) of (x - location) / scale.
    standardised : bool
        Whether the likelihood is also that of (x - location) / scale.
    """

    location: FloatArray
    scale: float
    filling: tuple[FloatArray, FloatArray, FloatArray]
    standardised: bool = True

    @property
    def log_jacobian(self) -> float:
        """The term of each observed entry in the log-density in the data's own units."""
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
        return Observations(np.where(missing, 0.0, x), missing, np.where(missing, expected, z))

    def original(self, x: FloatArray) -> FloatArray:
        """Convert values from the likelihood's units to the data's own."""
        return x * self.scale + self.location if self.standardised else x
