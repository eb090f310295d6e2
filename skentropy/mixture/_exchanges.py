"""Moves that EM does not make: a component that the others can replace moves to a place where one explains two groups.

These are random swaps (Zhao, Hautamäki, Kärkkäinen and Fränti 2012) with the split of Ueda et al. (2000), several at once.
"""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray
from ._components import SeedRows
from ._draw import draw
from ._model import MixtureParameters, exp_or_zero
from ._short_runs import ShortRuns

# The search ends after this many consecutive rounds without improvement, or after _MOST_ROUNDS rounds.
_FRUITLESS = 4
_MOST_ROUNDS = 12
# Least and largest loss, in nats, without a component; it is the largest if no other component explains one of its rows.
_LEAST_LOSS, _LARGEST_LOSS = 1e-6, 1e300


def search(
    runs: ShortRuns, rows: SeedRows, weight: FloatArray, n_proposals: int, random_state: np.random.RandomState
) -> MixtureParameters:
    """Improve the best of several runs: propose moves of one of its components, and try each move in a short run."""
    runs.race()
    # If many rows share a value, every start collapses onto it: a proposal that did not would have to leave these rows.
    n_rounds = _MOST_ROUNDS if n_proposals and not runs.collapses else 0
    fruitless = 0
    for _ in range(n_rounds):
        log_joint = runs.log_joint()
        moved = propose(log_joint, rows, weight, n_proposals, random_state)
        runs.start(np.concatenate([posterior(log_joint)[np.newaxis], moved]))
        fruitless = fruitless + 1 if runs.race() == 0 else 0
        if fruitless == _FRUITLESS:
            break
    return runs.best()


def propose(
    log_joint: FloatArray, rows: SeedRows, weight: FloatArray, n_proposals: int, random_state: np.random.RandomState
) -> FloatArray:
    """Responsibilities (n_proposals, K, n) in which one component leaves its rows and shares those of another.

    Two rows of the component to split are chosen, and each of its rows is assigned to the nearer one. The rows of the
    component that moves are assigned to the others, by the posterior without it.

    Parameters
    ----------
    log_joint : ndarray of shape (K, n)
    rows : SeedRows
    weight : ndarray of shape (n,)
    n_proposals : int
    random_state : RandomState
    """
    mass = posterior(log_joint) * weight
    proposals = np.arange(n_proposals)
    split = draw(mass.sum(axis=1)[np.newaxis], n_proposals, random_state)[0]
    dispensable = np.tile(1.0 / losses(log_joint, weight), (n_proposals, 1))
    dispensable[proposals, split] = 0.0
    mover = draw(dispensable, 1, random_state)[:, 0]
    first = draw(mass[split], 1, random_state)[:, 0]
    from_first = rows.divergences(rows.seeds(first))
    from_first[proposals, first] = 0.0
    second = draw(mass[split] * from_first, 1, random_state)[:, 0]
    from_second = rows.divergences(rows.seeds(second))
    nearer_second = from_second < from_first - rows.rounding
    without = np.repeat(log_joint[np.newaxis], n_proposals, axis=0)
    without[proposals, mover] = -np.inf
    responsibilities = posterior(without)
    own = responsibilities[proposals, split]
    responsibilities[proposals, mover] = np.where(nearer_second, own, 0.0)
    responsibilities[proposals, split] = np.where(nearer_second, 0.0, own)
    return responsibilities


def losses(log_joint: FloatArray, weight: FloatArray) -> FloatArray:
    """Loss of log-likelihood of all rows, in nats, without each component; (K,)."""
    n_components = len(log_joint)
    without = np.repeat(log_joint[np.newaxis], n_components, axis=0)
    without[np.arange(n_components), np.arange(n_components)] = -np.inf
    lost = np.logaddexp.reduce(log_joint, axis=0) - np.logaddexp.reduce(without, axis=1)
    return np.clip(np.nan_to_num(lost) @ weight, _LEAST_LOSS, _LARGEST_LOSS)


def posterior(log_joint: FloatArray) -> FloatArray:
    """Responsibilities, normalised over the second last axis; zero for rows that no component can explain."""
    largest = log_joint.max(axis=-2, keepdims=True)
    q = exp_or_zero(log_joint - np.where(np.isfinite(largest), largest, 0.0))
    total = q.sum(axis=-2, keepdims=True)
    return np.divide(q, total, out=np.zeros_like(q), where=total > 0.0)
