"""Data that several test modules draw."""

from __future__ import annotations

from typing import Any

import numpy as np


def counts(n: int = 400) -> Any:
    """Counts of two kinds of rows."""
    rng = np.random.RandomState(0)
    return rng.poisson(np.where(rng.uniform(size=(n, 1)) < 0.4, [1.0, 8.0, 3.0], [6.0, 2.0, 3.0])).astype(float)


def factors(n: int = 300, n_factors: int = 1, n_components: int = 2) -> Any:
    """Clusters in six features, each with factors of its own and noise of different variances."""
    rng = np.random.default_rng(0)
    labels = rng.integers(n_components, size=n)
    W, noise = rng.uniform(0.5, 1.5, size=(n_components, 6, n_factors)), rng.uniform(0.5, 1.0, size=(n_components, 6))
    W *= rng.choice([-1.0, 1.0], size=W.shape)
    x = 5.0 * rng.normal(size=(n_components, 6))[labels] + np.sqrt(noise[labels]) * rng.normal(size=(n, 6))
    return x + (W[labels] @ rng.normal(size=(n, n_factors, 1)))[:, :, 0]


def heavy_tails(n: int = 300) -> Any:
    """Two clusters with tails of three degrees of freedom."""
    rng = np.random.default_rng(0)
    return (
        rng.standard_t(3, size=(n, 1)) * [1.0, 0.5, 0.3]
        + rng.standard_t(3, size=(n, 3))
        + 8.0 * rng.integers(2, size=(n, 1))
    )


def rows_of_factors(n: int, d: int, seed: int = 0) -> Any:
    """Rows that three factors and noise explain, and their weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + rng.normal(size=(n, d)) * np.linspace(0.5, 2.0, d) + 1.0
    return X, rng.uniform(0.2, 2.0, n)
