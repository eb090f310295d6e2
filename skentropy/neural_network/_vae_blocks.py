"""Evaluate a fitted autoencoder on a block of rows, in the data's units."""

from __future__ import annotations

import numpy as np

from .._data import Block
from .._typing import FloatArray
from ._autoencoder import Autoencoder
from ._vae_sums import Sums
from ._vae_units import Units


def row_bytes(n_latents: int, widest: int, n_outputs: int) -> int:
    """Bytes that the evaluation of one row takes: the decoder at the nodes of a cubature rule."""
    return 8 * (2 * n_latents + 1) * (2 * widest + 2 * n_outputs)


def sums(model: Autoencoder, units: Units, block: Block) -> Sums:
    """The sums over a block of rows that ELBO and entropy sum need."""
    return model.sums(units.observe(block.X), block.row_weight)


def elbos(model: Autoencoder, units: Units, block: Block) -> FloatArray:
    """ELBO of each row."""
    observations = units.observe(block.X)
    return model.elbo_of_rows(observations) + observations.mask.sum(axis=1) * units.log_jacobian


def importance_weighted(model: Autoencoder, units: Units, n_samples: int, seed: int, block: Block) -> FloatArray:
    """Weighted sums over the rows of one and of their importance-weighted bounds."""
    observations, rng = units.observe(block.X), np.random.default_rng([seed, block.start])
    bounds = model.importance_weighted(observations, n_samples, rng)
    bounds = bounds + observations.mask.sum(axis=1) * units.log_jacobian
    return np.array([block.total_weight, block.weighted_sum(bounds)])


def means(model: Autoencoder, units: Units, block: Block) -> FloatArray:
    """Means of the posteriors."""
    return model.posteriors(units.observe(block.X)).means


def means_and_variances(model: Autoencoder, units: Units, block: Block) -> FloatArray:
    """Means and variances of the posteriors, side by side."""
    posteriors = model.posteriors(units.observe(block.X))
    return np.concatenate([posteriors.means, posteriors.variances], axis=1)


def imputed(model: Autoencoder, units: Units, block: Block) -> FloatArray:
    """The rows as the user passed them, with expected values in their gaps."""
    expected = units.original(model.posteriors(units.observe(block.X)).expected)
    return np.where(np.isnan(block.X), expected, block.as_given.X)
