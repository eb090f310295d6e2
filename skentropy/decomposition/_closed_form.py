"""The maximum of PPCA's likelihood in terms of eigenvalues, for every number of components."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._linalg import LOG_2PI
from .._typing import FloatArray
from ._gaussian import LinearGaussian, fix_signs
from ._spectrum import Spectrum

# If the components explain all of the variance, the likelihood has no maximum. The noise variance therefore has a floor:
# this share of the mean variance.
NOISE_FLOOR = 1e-12


def noise_floor(variances: FloatArray) -> float:
    """The least noise variance for features with these variances."""
    typical = float(variances.mean())
    return NOISE_FLOOR * (typical if typical > 0 else 1.0)


def count_parameters(d: int, h: Any) -> Any:
    """Number of free parameters of PPCA with h components: loadings up to rotation, noise and mean."""
    h = np.minimum(h, d - 1)
    return d * h - h * (h - 1) // 2 + 1 + d


def closed_form(spectrum: Spectrum, mean: FloatArray, h: int, floor: float) -> LinearGaussian:
    """The maximum of the likelihood (Tipping and Bishop 1999, Eqns. 7 and 8)."""
    d = len(mean)
    noise = spectrum.tails[h] / (d - h) if h < d else spectrum.values[-1]
    noise = max(float(noise), floor)
    lengths = np.sqrt(np.maximum(spectrum.values[:h] - noise, 0.0))
    return LinearGaussian.of(mean, fix_signs(spectrum.vectors[:, :h] * lengths), np.full(d, noise))


def expected_log_likelihood(parameters: LinearGaussian, spectrum: Spectrum) -> float:
    """Mean log-likelihood of data with this spectrum; the loadings must lie along its vectors."""
    d, k = parameters.shape
    noise = parameters.noise[0]
    along = (parameters.loadings**2).sum(axis=0) + noise
    distance = float((spectrum.values[:k] / along).sum() + spectrum.tails[k] / noise)
    return -0.5 * (d * LOG_2PI + float(np.log(along).sum()) + (d - k) * float(np.log(noise)) + distance)


def entropy_sum_path(spectrum: Spectrum, d: int, floor: float) -> FloatArray:
    """Entropy sums of PPCA for h = 0, 1, ...: W(29), its sign corrected, in eigenvalues."""
    h = np.arange(min(len(spectrum.values) + 1, d))
    noise = np.maximum(spectrum.tails[h] / (d - h), floor)
    log_values = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(spectrum.values, floor)))])[h]
    # det(W'W / sigma^2 + I) is the product of the eigenvalues over sigma^2.
    return np.asarray(-0.5 * (log_values - h * np.log(noise)) - 0.5 * d * (LOG_2PI + 1.0 + np.log(noise)))


def bic_path(path: FloatArray, d: int, weight: float) -> FloatArray:
    """Bayesian information criteria of the models of an entropy sum path."""
    return np.asarray(-2.0 * weight * path + np.log(weight) * count_parameters(d, np.arange(len(path))))
