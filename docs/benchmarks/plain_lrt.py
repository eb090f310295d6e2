"""Likelihood ratios of Poisson mixtures of one count by NumPy alone: plain EM from given starts, and a proof of what it misses."""

from __future__ import annotations

import math

import numpy as np


def log_poisson(rates: np.ndarray, largest: int) -> np.ndarray:
    """Log probabilities of 0 ... largest on a last axis."""
    counts = np.arange(largest + 1.0)
    log_factorials = np.array([math.lgamma(count + 1.0) for count in counts])
    return counts * np.log(np.maximum(rates, 1e-300))[..., np.newaxis] - rates[..., np.newaxis] - log_factorials


def density(weights: np.ndarray, rates: np.ndarray, largest: int) -> np.ndarray:
    return np.einsum("...k,...kx->...x", weights, np.exp(log_poisson(rates, largest)))


def log_likelihood(days: np.ndarray, weights: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Of data sets (..., X), which say how often each count occurs."""
    p = density(weights, rates, days.shape[-1] - 1)
    return np.where(days > 0, days * np.log(np.maximum(p, 1e-300)), 0.0).sum(axis=-1)


def em(days: np.ndarray, weights: np.ndarray, rates: np.ndarray, n_steps: int, tol: float = 0.0) -> tuple[np.ndarray, ...]:
    """Plain EM for all data sets and starts at once; one stops where a step gains no more than tol in total."""
    counts, n = np.arange(float(days.shape[-1])), days.sum(axis=-1, keepdims=True)
    weights, rates = np.broadcast_to(weights, rates.shape).copy(), rates.copy()
    before = log_likelihood(days, weights, rates) if tol else None
    going = np.ones(rates.shape[:-1], dtype=bool)
    for _ in range(n_steps):
        joint = weights[..., np.newaxis] * np.exp(log_poisson(rates, days.shape[-1] - 1))
        q = joint * (days / np.maximum(joint.sum(axis=-2), 1e-300))[..., np.newaxis, :]
        explained = q.sum(axis=-1)
        weights = np.where(going[..., np.newaxis], explained / n, weights)
        rates = np.where(going[..., np.newaxis], q @ counts / np.maximum(explained, 1e-300), rates)
        if before is not None:
            now = log_likelihood(days, weights, rates)
            going &= now - before > tol
            before = now
            if not going.any():
                break
    return log_likelihood(days, weights, rates), weights, rates


def directional_derivative(days: np.ndarray, weights: np.ndarray, rates: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The largest gain, in total nats for each unit of weight, that a further rate of the grid promises; (...).

    The log-likelihood is concave in the mixing distribution. Where no rate promises anything, no number of components has a
    higher likelihood (Lindsay 1983), and where the largest is g, none is higher by more than g.
    """
    p = density(weights, rates, days.shape[-1] - 1)
    ratio = np.where(days > 0, days / np.maximum(p, 1e-300), 0.0)
    return (ratio @ np.exp(log_poisson(grid, days.shape[-1] - 1)).T).max(axis=-1) - days.sum(axis=-1)
