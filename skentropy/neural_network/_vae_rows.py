"""Rows of an autoencoder's data: the distinct ones, in an order that is that of no container."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._blocks import Block, Source
from .._typing import Array, FloatArray
from ._autoencoder import Autoencoder, Sums, Units


def row_bytes(n_latents: int, widest: int, n_features: int) -> int:
    """Bytes that the evaluation of one row works on: the decoder at the nodes of a cubature rule."""
    return 8 * (2 * n_latents + 1) * (2 * widest + 2 * n_features)


def distinct_rows(source: Source) -> tuple[FloatArray, FloatArray, float]:
    """Rows that differ and have something observed, in ascending order, and their weights; and the weight of the others.

    The order is that of the values, which neither the order of the rows nor the unit of measurement changes.
    """
    joined: Any = source.map(_with_weight)
    if hasattr(joined, "compute"):
        joined = joined.compute()
    joined = np.asarray(joined, dtype=np.float64)
    joined = joined[joined[:, -1] > 0]
    X, weight = joined[:, :-1] + 0.0, joined[:, -1]
    empty = np.isnan(X).all(axis=1)
    lost = float(weight[empty].sum())
    X, weight = X[~empty], weight[~empty]
    order = np.lexsort(X.T[::-1])
    X, weight = X[order], weight[order]
    if not len(X):
        return X, weight, lost
    differs = (X[1:] != X[:-1]) & ~(np.isnan(X[1:]) & np.isnan(X[:-1]))
    first = np.flatnonzero(np.concatenate([[True], differs.any(axis=1)]))
    return X[first], np.add.reduceat(weight, first), lost


def _with_weight(block: Block) -> Array:
    """Rows, and in a last column their weights."""
    weight = np.ones(block.n_rows) if block.weight is None else block.weight
    return np.column_stack([block.X, weight])


def sums(model: Autoencoder, units: Units, block: Block) -> Sums:
    """What ELBO and entropy sum need of a block of rows."""
    weight = np.ones(block.n_rows) if block.weight is None else block.weight
    return model.sums(units.observe(block.X), weight)


def elbos(model: Autoencoder, units: Units, block: Block) -> FloatArray:
    """ELBO of each row."""
    observations = units.observe(block.X)
    return model.elbo_of_rows(observations) - observations.mask.sum(axis=1) * np.log(units.scale)


def importance_weighted(model: Autoencoder, units: Units, n_samples: int, seed: int, block: Block) -> float:
    """Weighted sum of the rows' bounds."""
    observations, rng = units.observe(block.X), np.random.default_rng([seed, block.start])
    bounds = model.importance_weighted(observations, n_samples, rng)
    return block.weighted_sum(bounds - observations.mask.sum(axis=1) * np.log(units.scale))


def means(model: Autoencoder, units: Units, block: Block) -> FloatArray:
    """Means of the posteriors."""
    return model.posteriors(units.observe(block.X)).means


def means_and_variances(model: Autoencoder, units: Units, block: Block) -> FloatArray:
    """Means of the posteriors, and beside them their variances."""
    posteriors = model.posteriors(units.observe(block.X))
    return np.concatenate([posteriors.means, posteriors.variances], axis=1)


def imputed(model: Autoencoder, units: Units, block: Block) -> FloatArray:
    """Rows with expected values in their gaps."""
    expected = model.posteriors(units.observe(block.X)).expected * units.scale + units.location
    return np.where(np.isnan(block.X), expected, block.X)
