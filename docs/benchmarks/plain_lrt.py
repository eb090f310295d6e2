"""Likelihood ratios of Poisson mixtures of one count by NumPy alone: plain EM from many starts, and a proof of what it misses.

Data sets are arrays (..., X) that say how often each count occurs; all functions take many at a time.
"""

from __future__ import annotations

import math

import numpy as np

# Rates at which it is looked for a further component.
GRID = np.concatenate([[1e-9], np.linspace(0.003, 12.0, 4000)])


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


def promised(days: np.ndarray, weights: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest gain, in total nats for each unit of weight, that a further rate promises, and that rate; (...).

    The log-likelihood is concave in the mixing distribution. Where no rate promises anything, no number of components has a
    higher likelihood, and where the largest gain is g, none is higher by more than g (Lindsay 1983).
    """
    p = density(weights, rates, days.shape[-1] - 1)
    ratio = np.where(days > 0, days / np.maximum(p, 1e-300), 0.0)
    gains = ratio @ np.exp(log_poisson(GRID, days.shape[-1] - 1)).T
    return gains.max(axis=-1) - days.sum(axis=-1), GRID[gains.argmax(axis=-1)]


def best(fits: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The best of several fits to each data set, which lie along the second axis."""
    chosen = np.arange(len(fits[0])), fits[0].argmax(axis=1)
    return tuple(values[chosen] for values in fits)


def from_starts(
    days: np.ndarray, n_components: int, n_starts: int, n_steps: int, rng: np.random.Generator, tol: float = 0.0
) -> tuple[np.ndarray, ...]:
    """The best fit of n_components to each data set from random rates near its counts."""
    shape = n_starts, n_components
    drawn = [rng.choice(len(own), size=shape, p=own / own.sum()) for own in days]
    rates = np.array(drawn) + rng.uniform(0.1, 0.9, size=(len(days), *shape))
    return best(em(days[:, np.newaxis], np.full(n_components, 1.0 / n_components), rates, n_steps, tol))


def maxima(days: np.ndarray, quick: bool) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Log-likelihoods, weights and rates of two and of three components, at their maxima."""
    n_steps, rng = (50, 300) if quick else (3_000, 60_000), np.random.default_rng(1)
    two = from_starts(days, 2, 6, n_steps[0], rng)
    two = em(days, *two[1:], n_steps[1])
    _, further = promised(days, *two[1:])
    weights = np.concatenate([0.98 * two[1], np.full((len(days), 1), 0.02)], axis=1)
    grown = em(days, weights, np.concatenate([two[2], further[:, np.newaxis]], axis=1), n_steps[0])
    others = from_starts(days, 3, 8 if quick else 24, n_steps[0], rng)
    three = best(tuple(np.stack(pair, axis=1) for pair in zip(grown, others, strict=True)))
    return two, em(days, *three[1:], n_steps[1])


def simulated(n: int, weights: np.ndarray, rates: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Data sets of so many rows, drawn from a mixture."""
    component = rng.choice(len(weights), p=weights, size=(n, size))
    counts = rng.poisson(rates[component])
    return np.array([np.bincount(own, minlength=counts.max() + 1) for own in counts], dtype=float)
