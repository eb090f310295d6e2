"""Moves that EM does not make: a component leaves its rows to the others and takes other rows, or two share theirs anew.

These are random swaps (Zhao, Hautamäki, Kärkkäinen and Fränti 2012) with the split of Ueda et al. (2000), several at once.
"""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from ..families._base import exp_or_zero
from ._components import SeedRows
from ._draw import draw
from ._model import MixtureParameters
from ._short_runs import ShortRuns

# The search ends after this many consecutive rounds without improvement, or after _MOST_ROUNDS rounds.
_FRUITLESS = 4
_MOST_ROUNDS = 12
# Least and largest number of rows that a component takes around one of them, as shares of an average component.
_TAKEN = (0.1, 0.6)
# Least and largest loss, in nats, without a component; it is the largest if no other component explains one of its rows.
_LEAST_LOSS, _LARGEST_LOSS = 1e-6, 1e300


def search(
    runs: ShortRuns, rows: SeedRows, weight: FloatArray, n_proposals: int, random_state: np.random.RandomState
) -> MixtureParameters:
    """Improve the best of several runs: propose moves of its components, and let short runs from there challenge it."""
    runs.race()
    # If many rows share a value, every start collapses onto it: a proposal that did not would have to leave these rows.
    if not n_proposals or runs.collapses:
        return runs.best()
    fruitless, log_joint = 0, runs.log_joint()
    for _ in range(_MOST_ROUNDS):
        if runs.challenge(propose(log_joint, rows, weight, n_proposals, random_state)):
            fruitless, log_joint = 0, runs.log_joint()
        else:
            fruitless += 1
        if fruitless == _FRUITLESS:
            break
    return runs.best()


def propose(
    log_joint: FloatArray, rows: SeedRows, weight: FloatArray, n_proposals: int, random_state: np.random.RandomState
) -> FloatArray:
    """Responsibilities (n_proposals, K, n) after moves of three kinds, of each as many but for one.

    Parameters
    ----------
    log_joint : ndarray of shape (K, n)
    rows : SeedRows
    weight : ndarray of shape (n,)
    n_proposals : int
    random_state : RandomState
    """
    kinds = take_neighbours, share_anew, split_another
    numbers = [len(some) for some in np.array_split(np.arange(n_proposals), len(kinds))]
    return np.concatenate(
        [move(log_joint, rows, weight, n, random_state) for move, n in zip(kinds, numbers, strict=True) if n]
    )


def split_another(
    log_joint: FloatArray, rows: SeedRows, weight: FloatArray, n_proposals: int, random_state: np.random.RandomState
) -> FloatArray:
    """Responsibilities in which one component leaves its rows and shares those of another."""
    proposals = np.arange(n_proposals)
    mass = posterior(log_joint) * weight
    split = draw(mass.sum(axis=1)[np.newaxis], n_proposals, random_state)[0]
    dispensable = np.tile(1.0 / losses(log_joint, weight), (n_proposals, 1))
    dispensable[proposals, split] = 0.0
    mover = draw(dispensable, 1, random_state)[:, 0]
    nearer_second = _halves(mass[split], rows, random_state)
    responsibilities = _without(log_joint, mover)
    own = responsibilities[proposals, split]
    responsibilities[proposals, mover] = np.where(nearer_second, own, 0.0)
    responsibilities[proposals, split] = np.where(nearer_second, 0.0, own)
    return responsibilities


def share_anew(
    log_joint: FloatArray, rows: SeedRows, weight: FloatArray, n_proposals: int, random_state: np.random.RandomState
) -> FloatArray:
    """Responsibilities in which two components that overlap share their rows anew."""
    proposals, q = np.arange(n_proposals), posterior(log_joint)
    overlap = np.triu((q * weight) @ q.T, 1)
    if not overlap.any():
        overlap = np.triu(np.ones_like(overlap), 1)
    first, second = np.divmod(draw(overlap.reshape(1, -1), n_proposals, random_state)[0], len(q))
    own = q[first] + q[second]
    nearer_second = _halves(own * weight, rows, random_state)
    responsibilities = np.repeat(q[np.newaxis], n_proposals, axis=0)
    responsibilities[proposals, first] = np.where(nearer_second, 0.0, own)
    responsibilities[proposals, second] = np.where(nearer_second, own, 0.0)
    return responsibilities


def take_neighbours(
    log_joint: FloatArray, rows: SeedRows, weight: FloatArray, n_proposals: int, random_state: np.random.RandomState
) -> FloatArray:
    """Responsibilities in which one component leaves its rows and takes a row and its neighbours from all others."""
    proposals = np.arange(n_proposals)
    mover = draw(np.tile(1.0 / losses(log_joint, weight), (n_proposals, 1)), 1, random_state)[:, 0]
    centre = draw(weight[np.newaxis], n_proposals, random_state)[0]
    divergences = rows.divergences(rows.seeds(centre))
    divergences[proposals, centre] = 0.0
    nearest = np.argsort(divergences, axis=1, kind="stable")
    taken = weight.sum() / len(log_joint) * random_state.uniform(*_TAKEN, size=n_proposals)
    last = (np.cumsum(weight[nearest], axis=1) < taken[:, np.newaxis]).sum(axis=1)
    radius = divergences[proposals, nearest[proposals, last]]
    inside = divergences <= radius[:, np.newaxis] + rows.rounding
    responsibilities = np.where(inside[:, np.newaxis], 0.0, _without(log_joint, mover))
    responsibilities[proposals, mover] = inside
    return responsibilities


def _without(log_joint: FloatArray, mover: Array) -> FloatArray:
    """Responsibilities (n_proposals, K, n) of the other components without one that moves."""
    without = np.repeat(log_joint[np.newaxis], len(mover), axis=0)
    without[np.arange(len(mover)), mover] = -np.inf
    return posterior(without)


def _halves(mass: FloatArray, rows: SeedRows, random_state: np.random.RandomState) -> Array:
    """Of two rows that are drawn as k-means++ does, whether each row is nearer to the second; (n_proposals, n)."""
    first = draw(mass, 1, random_state)[:, 0]
    from_first = rows.divergences(rows.seeds(first))
    from_first[np.arange(len(mass)), first] = 0.0
    second = draw(mass * from_first, 1, random_state)[:, 0]
    from_second = rows.divergences(rows.seeds(second))
    return np.asarray(from_second < from_first - rows.rounding)


def losses(log_joint: FloatArray, weight: FloatArray) -> FloatArray:
    """Loss of log-likelihood of all rows, in nats, without each component; (K,)."""
    most_probable = log_joint.argmax(axis=0)[np.newaxis]
    others = log_joint.copy()
    np.put_along_axis(others, most_probable, -np.inf, axis=0)
    lost_without_most_probable = np.logaddexp.reduce(log_joint, axis=0) - np.logaddexp.reduce(others, axis=0)
    q = posterior(log_joint)
    np.put_along_axis(q, most_probable, 0.0, axis=0)
    lost = -np.log1p(-q)  # log p - log(p - p_c), where p_c is at most a half of p
    np.put_along_axis(lost, most_probable, lost_without_most_probable[np.newaxis], axis=0)
    return np.clip(np.nan_to_num(lost) @ weight, _LEAST_LOSS, _LARGEST_LOSS)


def posterior(log_joint: FloatArray) -> FloatArray:
    """Responsibilities, normalised over the second last axis; zero for rows that no component can explain."""
    largest = log_joint.max(axis=-2, keepdims=True)
    q = exp_or_zero(log_joint - np.where(np.isfinite(largest), largest, 0.0))
    total = q.sum(axis=-2, keepdims=True)
    return np.divide(q, total, out=np.zeros_like(q), where=total > 0.0)
