"""Priors of autoencoders' latents: independent, of unit variance, with closed-form expectations under Gaussians."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from scipy.special import erf

from .._linalg import LOG_2PI
from .._typing import Array, FloatArray

# A latent with less information about the data than this, in nats, has collapsed to its prior.
_COLLAPSED = 0.01


class Prior(ABC):
    """p(z) with -log p(z) = energy(z) + log(2 pi) / 2 + excess, the same for each latent.

    The expectation of the energy under N(m, v) has the derivatives ``slope`` and ``curvature`` in m, the second of which is
    twice that in v.

    Attributes
    ----------
    name : str
    excess : float
    mean_energy : float
        Expected energy under the prior itself.
    nearest_variance : float
        Variance of the Gaussian nearest to the prior, which is the posterior of a row without observed entries. The expected
        energy under it is ``mean_energy``.
    """

    name: ClassVar[str]
    excess: ClassVar[float]
    mean_energy: ClassVar[float]
    nearest_variance: ClassVar[float]

    @property
    def entropy(self) -> float:
        """Entropy of one latent."""
        return 0.5 * LOG_2PI + self.excess + self.mean_energy

    @property
    def least_information(self) -> float:
        """Entropy of a latent's prior minus that of the nearest Gaussian."""
        return self.information(np.array(np.log(self.nearest_variance))).item()

    def information(self, log_variance: FloatArray) -> FloatArray:
        """Entropy of a latent's prior minus that of Gaussians."""
        return np.asarray(self.excess + self.mean_energy - 0.5 - 0.5 * log_variance)

    def has_collapsed(self, information: FloatArray) -> Array:
        """Which latents tell next to nothing about the data, given the information that they have."""
        return information - self.least_information < _COLLAPSED

    def divergence(self, m: FloatArray, v: FloatArray) -> FloatArray:
        """Divergence of N(m, v) from the prior."""
        return np.asarray(self.excess - 0.5 + self.energy(m, v) - 0.5 * np.log(v))

    @abstractmethod
    def energy(self, m: FloatArray, v: FloatArray) -> FloatArray:
        """Expected energy under N(m, v)."""

    @abstractmethod
    def slope(self, m: FloatArray, v: FloatArray) -> FloatArray:
        """Derivative of the expected energy in m."""

    @abstractmethod
    def curvature(self, m: FloatArray, v: FloatArray) -> FloatArray:
        """Second derivative of the expected energy in m, positive."""

    @abstractmethod
    def log_density(self, z: FloatArray) -> FloatArray:
        """log p(z)."""

    @abstractmethod
    def draw(self, random_state: Any, size: tuple[int, ...]) -> FloatArray:
        """Draw latents."""

    @abstractmethod
    def best_scale(self, energy: FloatArray) -> FloatArray:
        """Scale a for which z = a z' has the largest ELBO, from the mean of q's expected energy."""

    @abstractmethod
    def best_units(self, first: FloatArray, energy: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Offset c and scale a for which z = c + a z' has the largest ELBO, from the means of q's mean and energy."""


class GaussianPrior(Prior):
    """N(0, 1)."""

    name = "gaussian"
    excess = 0.0
    mean_energy = 0.5
    nearest_variance = 1.0

    def energy(self, m: FloatArray, v: FloatArray) -> FloatArray:
        return 0.5 * (m * m + v)

    def slope(self, m: FloatArray, v: FloatArray) -> FloatArray:
        return m

    def curvature(self, m: FloatArray, v: FloatArray) -> FloatArray:
        return np.ones_like(v)

    def log_density(self, z: FloatArray) -> FloatArray:
        return -0.5 * (LOG_2PI + z * z)

    def draw(self, random_state: Any, size: tuple[int, ...]) -> FloatArray:
        return np.asarray(random_state.normal(size=size))

    def best_scale(self, energy: FloatArray) -> FloatArray:
        return np.sqrt(np.maximum(2.0 * energy, np.finfo(np.float64).tiny))

    def best_units(self, first: FloatArray, energy: FloatArray) -> tuple[FloatArray, FloatArray]:
        # The aggregate posterior's mean and standard deviation.
        return first, self.best_scale(energy - 0.5 * first * first)


class LaplacePrior(Prior):
    """Laplace(0, b), b = 1 / sqrt(2)."""

    name = "laplace"
    excess = 0.5 * float(np.log(2.0)) - 0.5 * LOG_2PI  # log(2 b)
    mean_energy = 1.0
    nearest_variance = 0.25 * float(np.pi)

    _RATE: ClassVar[float] = float(np.sqrt(2.0))
    # Far from its peak a Laplace density has no curvature; steps assume a little.
    _LEAST_CURVATURE: ClassVar[float] = 1e-6

    def energy(self, m: FloatArray, v: FloatArray) -> FloatArray:
        # E|z| = m erf(m / sqrt(2 v)) + sqrt(2 v / pi) exp(-m^2 / (2 v)), of a folded normal.
        return m * self.slope(m, v) + v * self._bend(m, v)

    def slope(self, m: FloatArray, v: FloatArray) -> FloatArray:
        return np.asarray(self._RATE * erf(m / np.sqrt(2 * v)))

    def curvature(self, m: FloatArray, v: FloatArray) -> FloatArray:
        return np.maximum(self._bend(m, v), self._LEAST_CURVATURE)

    def _bend(self, m: FloatArray, v: FloatArray) -> FloatArray:
        """Twice the density of N(m, v) at 0, times the rate."""
        return np.asarray(2 * self._RATE * np.exp(-0.5 * m * m / v) / np.sqrt(2 * float(np.pi) * v))

    def log_density(self, z: FloatArray) -> FloatArray:
        return -self._RATE * np.abs(z) - 0.5 * float(np.log(2.0))

    def draw(self, random_state: Any, size: tuple[int, ...]) -> FloatArray:
        return np.asarray(random_state.laplace(scale=1.0 / self._RATE, size=size))

    def best_scale(self, energy: FloatArray) -> FloatArray:
        return energy

    def best_units(self, first: FloatArray, energy: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.zeros_like(first), self.best_scale(energy)


PRIORS: dict[str, Prior] = {prior.name: prior for prior in (GaussianPrior(), LaplacePrior())}
