"""Truncated posteriors: for each row the few states with the largest joint probability that a search has found.

With q proportional to the joint on these states and zero elsewhere, the ELBO of a row is the logarithm of the sum of their
joint probabilities (Lücke and Eggert 2010). It rises with every better state, so keeping the best of old and new states
never lowers it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.special import entr, expit

from .._typing import Array, FloatArray
from ._exact import NetStatistics, Observations
from ._layers import BeliefNet
from ._logistic import Regression
from ._state_sets import Joints, Pool, StateSets, best_of

# Number of rounds of a search for each state that is kept, and the least number of rounds.
_ROUNDS, _LEAST_ROUNDS = 2, 40
# The search ignores neighbours of states with less than e^-12 times the probability of the best state.
_NEGLIGIBLE = 12.0
# Proposals per step and row besides the neighbours: states of other rows, crossovers with them, draws from the net.
_BORROWED, _CROSSED, _DRAWN = 8, 4, 4


def first_sets(net: BeliefNet, observations: Observations, n_states: int) -> StateSets:
    """The best of the states in which at most one variable is on."""
    n_latents, joints = sum(net.sizes), Joints(net, observations)
    pool, _, simple = Pool.empty(joints).joined(np.eye(n_latents + 1, n_latents, dtype=np.uint8), joints)
    index = np.tile(simple, (len(observations.X), 1))
    # If there are fewer states than are kept, the last one is repeated: repeated states do not count.
    room = ((0, 0), (0, n_states))
    index, values = np.pad(index, room, mode="edge"), np.pad(joints.of(pool, index), room, mode="edge")
    best, values = best_of(index, values, n_states)
    return StateSets(pool, np.take_along_axis(index, best, axis=1), values)


def search(net: BeliefNet, observations: Observations, n_states: int, known: StateSets | None = None) -> StateSets:
    """Examine the neighbours of the best states of each row, until the neighbours of all kept states have been examined.

    The search is deterministic and treats each row separately. It starts from the ``known`` states of the rows, if there are
    any, and its result is never worse than these.
    """
    joints = Joints(net, observations)
    sets = first_sets(net, observations, n_states) if known is None else known.under(joints).sorted()
    looked = np.zeros(sets.index.shape, bool)
    waiting = np.arange(len(looked))
    for _ in range(max(_LEAST_ROUNDS, _ROUNDS * n_states)):
        part = sets.rows(waiting)
        # States far below the best one are ignored.
        fresh = ~looked[waiting] & np.isfinite(part.log_joint) & (part.log_joint > part.log_joint[:, :1] - _NEGLIGIBLE)
        some = fresh.any(axis=1)
        waiting, chosen = waiting[some], fresh[some].argmax(axis=1)
        if not waiting.size:
            break
        looked[waiting, chosen] = True
        bases, values = sets.index[waiting, chosen], sets.log_joint[waiting, chosen]
        sets, rows, best = sets.with_flips(joints, bases, values, waiting)
        looked[rows] = np.take_along_axis(np.pad(looked[rows], ((0, 0), (0, sum(net.sizes)))), best, axis=1)
    return sets.compact()


def with_states(sets: StateSets, states: Array, net: BeliefNet, observations: Observations) -> StateSets:
    """The best of the states of each row and of further states (C, B), which are the same for every row."""
    if not len(states) or not len(sets.index):
        return sets
    joints = Joints(net, observations)
    pool, own, offered = sets.pool.joined(states, joints)
    others = np.tile(offered, (len(sets.index), 1))
    return sets.with_others(pool, own[sets.index], others, joints.of(pool, others))[0]


def states_missed(kept: StateSets, net: BeliefNet, observations: Observations) -> Array:
    """States (C, B) that a search must be given, so that on average it is no worse than the states that were kept.

    They are the states of the rows that lose most, for as few rows as suffice.
    """
    found = search(net, observations, kept.index.shape[1])
    weight = np.ones(len(kept.index)) if observations.weight is None else observations.weight
    loss = weight * (kept.log_evidence - found.log_evidence)
    order = np.argsort(-loss)
    if loss.sum() <= 0.0:
        return kept.pool.states[:0]
    left = loss.sum() - np.cumsum(np.maximum(loss[order], 0.0))
    chosen = order[: int(np.argmax(left <= 0.0)) + 1]
    index = kept.index[chosen][np.isfinite(kept.log_joint[chosen])]
    return np.unique(kept.pool.states[np.unique(index)], axis=0)


def evaluate_states(sets: StateSets, net: BeliefNet, observations: Observations) -> StateSets:
    """The same states, with their log joints under another net."""
    return sets.under(Joints(net, observations))


def improve_states(
    sets: StateSets, net: BeliefNet, observations: Observations, random_state: np.random.RandomState
) -> StateSets:
    """The best of the old states and of proposals: neighbours, states of other rows, crossovers of both and prior draws."""
    joints = Joints(net, observations)
    sets = sets.under(joints)
    n, n_latents = len(sets.index), sets.pool.states.shape[1]
    base = (random_state.uniform(size=(n, 1)) > np.cumsum(sets.posterior, axis=1)[:, :-1]).sum(axis=1)
    others = random_state.randint(n, size=(n, _BORROWED))
    mask = random_state.randint(2, size=(n, _CROSSED, n_latents)).astype(bool)
    states, best = sets.pool.states, sets.index[:, 0]
    crossed = np.where(mask, states[best][:, np.newaxis], states[best[random_state.randint(n, size=(n, _CROSSED))]])
    drawn = draw_states(net, n * _DRAWN, random_state)
    made = np.concatenate([crossed.reshape(-1, n_latents), drawn])
    rows = np.arange(n)
    bases, values = sets.index[rows, base], sets.log_joint[rows, base]
    pool, own, places = sets.pool.joined(made, joints)
    made_now = [part.reshape(n, -1) for part in np.split(places, [n * _CROSSED])]
    proposals = np.concatenate([own[best][others], *made_now], axis=1)
    sets = sets.with_others(pool, own[sets.index], proposals, joints.of(pool, proposals))[0]
    return sets.with_flips(joints, own[bases], values, rows)[0].compact()


def draw_states(net: BeliefNet, n: int, random_state: np.random.RandomState) -> Array:
    """States of all latent variables from the net itself, (n, B)."""
    states = [_bernoulli(net.prior_logits, (n, len(net.prior_logits)), random_state)]
    for layer in net.layers[:0:-1]:
        states.insert(0, _bernoulli(layer.logits(states[0]), (n, len(layer.offsets)), random_state))
    return np.concatenate(states, axis=1)


def _bernoulli(logits: FloatArray, shape: tuple[int, ...], random_state: np.random.RandomState) -> Array:
    return (random_state.uniform(size=shape) < expit(logits)).astype(np.uint8)


def statistics_of(net: BeliefNet, sets: StateSets, observations: Observations) -> NetStatistics:
    """The statistics for the M-step: weights of the distinct states, and of the observed entries under each state."""
    q, evidence, m = sets.posterior, sets.log_evidence, observations.m
    weight = np.ones(len(q)) if observations.weight is None else observations.weight
    counts = sets.counts(weight)[:, np.newaxis]
    layers = net.split_states(sets.pool.values)
    regressions = [
        Regression(
            layers[0],
            counts if m is None else np.asarray(sets.masses(weight).T @ m),
            observations.moments(sets.marginals()[:, : layers[0].shape[1]]),
            sets.pool.odds,
        )
    ]
    for below, above in pairwise(layers):
        regressions.append(Regression(above, counts, np.column_stack([below.T @ (counts * above), counts[:, 0] @ below])))
    return NetStatistics(
        net,
        float(weight.sum()),
        float(weight @ evidence),
        float(weight @ entr(q).sum(axis=1)),
        counts[:, 0] @ layers[-1],
        tuple(regressions),
        sets,
    )


def weighted_terms(net: BeliefNet, sets: StateSets, observations: Observations) -> FloatArray:
    """Weighted sums over rows of 1, ELBO, H[q], and the expected entropies of hidden and observable layers."""
    found = statistics_of(net, sets, observations)
    observable, *hidden = (
        regression.entropy(layer) for regression, layer in zip(found.regressions, net.layers, strict=True)
    )
    return np.array([found.weight, found.elbo, found.posterior_entropy, sum(hidden), observable])
