"""Truncated posteriors: for each row the few states with the largest joint probability that a search has found.

With q proportional to the joint on these states and zero elsewhere the ELBO of a row is the logarithm of the sum of their
joint probabilities (Lücke and Eggert 2010). It rises with every better state, so that keeping the best of old and new ones
never lowers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.special import entr, logsumexp

from .._typing import Array, FloatArray
from ._exact import Observations
from ._layers import BeliefNet, softplus
from ._logistic import Regression
from ._model import NetStatistics

# Numbers of logits that are worked on at a time.
_CHUNK = 2**21
# Rounds of a search for each state that is kept, and the fewest.
_ROUNDS, _LEAST_ROUNDS = 2, 40
# States with less than e^-12 of the best one's probability are not worth looking around.
_NEGLIGIBLE = 12.0
# Proposals a step and row besides the neighbours: states of other rows, crossovers with them, draws of the net.
_BORROWED, _CROSSED, _DRAWN = 8, 4, 4
# An odd number that spreads bits (Steele, Lea and Flood 2014).
_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class StateSets:
    """K distinct states of all B latent variables for each row.

    Attributes
    ----------
    states : (n, K, B), uint8
    log_joint : (n, K), log p(x_n, s) under the net last evaluated, descending; -inf where there is no state
    """

    states: Array
    log_joint: FloatArray

    @property
    def log_evidence(self) -> FloatArray:
        """The rows' ELBOs."""
        return np.asarray(logsumexp(self.log_joint, axis=1))

    @property
    def posterior(self) -> FloatArray:
        """q of the states, (n, K)."""
        return np.asarray(np.exp(self.log_joint - self.log_evidence[:, np.newaxis]))

    def marginals(self) -> FloatArray:
        """Posterior means of all latent variables, (n, B)."""
        return np.minimum(np.einsum("nk,nkb->nb", self.posterior, self.states), 1.0)

    def rows(self, chosen: Array | slice) -> StateSets:
        """The sets of some rows."""
        return StateSets(self.states[chosen], self.log_joint[chosen])


def log_joint(net: BeliefNet, states: Array, observations: Observations) -> FloatArray:
    """log p(x_n, s) of the states (n, C, B) of each row; (n, C)."""
    n, n_states = states.shape[:2]
    values = np.empty((n, n_states))
    step = max(_CHUNK // (n_states * (net.n_features + sum(net.sizes))), 1)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        layers = net.split_states(states[rows].astype(np.float64))
        value = net.log_prior(layers[-1])
        for layer, below, above in zip(net.layers[1:], layers[:-1], layers[1:], strict=True):
            logits = layer.logits(above)
            value += (below * logits - softplus(logits)).sum(axis=-1)
        logits = net.layers[0].logits(layers[0])
        X = observations.X[rows]
        if observations.observed is None:
            value += np.matmul(logits, X[:, :, np.newaxis])[:, :, 0] - softplus(logits).sum(axis=-1)
        else:
            observed = observations.observed[rows]
            value += np.matmul(logits, (X * observed)[:, :, np.newaxis])[:, :, 0]
            value -= np.matmul(softplus(logits), observed[:, :, np.newaxis])[:, :, 0]
        values[rows] = value
    return values


def evaluate_states(sets: StateSets, net: BeliefNet, observations: Observations) -> StateSets:
    """The same states, with their log joints under another net."""
    values = log_joint(net, sets.states, observations)
    return StateSets(sets.states, np.where(np.isneginf(sets.log_joint), -np.inf, values))


def best_states(sets: StateSets, states: Array, values: FloatArray, n_states: int) -> StateSets:
    """The best distinct states of sets and further ones, (n, C, B) with their log joints."""
    states = np.concatenate([sets.states, states], axis=1)
    values = np.concatenate([sets.log_joint, values], axis=1)
    keys = state_keys(states)
    order = np.argsort(keys, axis=1, kind="stable")
    sorted_keys = np.take_along_axis(keys, order, axis=1)
    repeated = np.zeros_like(sorted_keys, dtype=bool)
    repeated[:, 1:] = sorted_keys[:, 1:] == sorted_keys[:, :-1]
    values = np.take_along_axis(values, order, axis=1)
    values[repeated] = -np.inf
    best = np.argsort(-values, axis=1, kind="stable")[:, :n_states]
    states = np.take_along_axis(states, np.take_along_axis(order, best, axis=1)[:, :, np.newaxis], axis=1)
    return StateSets(states, np.take_along_axis(values, best, axis=1))


def state_keys(states: Array) -> Array:
    """64-bit numbers, equal for different states only beyond 64 variables, by an accident of probability 2^-64 a pair."""
    packed = np.packbits(states, axis=-1)
    n_words = -(-packed.shape[-1] // 8)
    padded = np.zeros((*packed.shape[:-1], 8 * n_words), np.uint8)
    padded[..., : packed.shape[-1]] = packed
    words = padded.view(np.uint64)
    keys: Array = np.zeros(words.shape[:-1], np.uint64)
    for i in range(n_words):
        keys = (keys ^ words[..., i]) * _MULTIPLIER
        keys ^= keys >> np.uint64(32)
    return keys


def flips(states: Array) -> Array:
    """All states that differ from one in one variable; (n, B) -> (n, B, B)."""
    return np.asarray(states[:, np.newaxis, :] ^ np.eye(states.shape[1], dtype=np.uint8))


def first_sets(net: BeliefNet, observations: Observations, n_states: int) -> StateSets:
    """The best of the states with none or one of the variables on, judged."""
    n_latents = sum(net.sizes)
    simple = np.eye(n_latents + 1, n_latents, dtype=np.uint8)
    states = np.broadcast_to(simple, (len(observations.X), *simple.shape))
    values = log_joint(net, states, observations)
    # Where there are fewer states than are kept, the last one fills the room: repeated states do not count.
    room = ((0, 0), (0, n_states))
    states, values = np.pad(states, (*room, (0, 0))), np.pad(values, room, mode="edge")
    return best_states(StateSets(states[:, :0], values[:, :0]), states, values, n_states)


def search(net: BeliefNet, observations: Observations, n_states: int) -> StateSets:
    """Look around the best states of each row, until all that were kept have been looked around.

    Deterministic, and for each row as if it were alone.
    """
    sets = first_sets(net, observations, n_states)
    looked: list[set[int]] = [set() for _ in range(len(sets.states))]
    waiting = np.arange(len(sets.states))
    for _ in range(max(_LEAST_ROUNDS, _ROUNDS * n_states)):
        part = sets.rows(waiting)
        keys = state_keys(part.states)
        fresh = np.isfinite(part.log_joint)
        for row, row_keys, own in zip(waiting, keys.tolist(), fresh, strict=True):
            own &= [key not in looked[row] for key in row_keys]
        # A state far below the best one does not matter.
        fresh &= part.log_joint > part.log_joint[:, :1] - _NEGLIGIBLE
        some = np.asarray(fresh.any(axis=1))
        waiting, fresh, keys = waiting[some], fresh[some], keys[some]
        if not waiting.size:
            break
        chosen = fresh.argmax(axis=1)
        for row, key in zip(waiting, keys[np.arange(len(chosen)), chosen].tolist(), strict=True):
            looked[row].add(key)
        part = part.rows(some)
        around = flips(part.states[np.arange(len(chosen)), chosen])
        there = Observations(
            observations.X[waiting], None if observations.observed is None else observations.observed[waiting], None
        )
        better = best_states(part, around, log_joint(net, around, there), n_states)
        sets.states[waiting], sets.log_joint[waiting] = better.states, better.log_joint
    return sets


def with_states(sets: StateSets, states: Array, net: BeliefNet, observations: Observations) -> StateSets:
    """The best of the states that each row has and of others, (C, B), which are offered to every row."""
    if not len(states) or not len(sets.states):
        return sets
    best = []
    step = max(_CHUNK // (len(states) * (net.n_features + sum(net.sizes))), 1)
    for start in range(0, len(sets.states), step):
        rows = slice(start, start + step)
        observed = None if observations.observed is None else observations.observed[rows]
        there = Observations(observations.X[rows], observed, None)
        offered = np.broadcast_to(states, (len(there.X), *states.shape))
        part = sets.rows(rows)
        best.append(best_states(part, offered, log_joint(net, offered, there), part.states.shape[1]))
    return StateSets(np.concatenate([part.states for part in best]), np.concatenate([part.log_joint for part in best]))


def states_missed(kept: StateSets, net: BeliefNet, observations: Observations) -> Array:
    """States that a search must be told of, (C, B), so that on average it is no worse than the states that were kept.

    They are those of the rows that lose most, as few as it takes.
    """
    found = search(net, observations, kept.states.shape[1])
    weight = np.ones(len(kept.states)) if observations.weight is None else observations.weight
    loss = weight * (kept.log_evidence - found.log_evidence)
    order = np.argsort(-loss)
    if loss.sum() <= 0.0:
        return kept.states[:0, 0]
    left = loss.sum() - np.cumsum(np.maximum(loss[order], 0.0))
    chosen = order[: int(np.argmax(left <= 0.0)) + 1]
    return np.unique(kept.states[chosen][np.isfinite(kept.log_joint[chosen])], axis=0)


def improve_states(
    sets: StateSets, net: BeliefNet, observations: Observations, random_state: np.random.RandomState
) -> StateSets:
    """The best of the old states and of proposals: neighbours, states of other rows, crossovers of both and prior draws."""
    sets = evaluate_states(sets, net, observations)
    n, n_states, n_latents = sets.states.shape
    rows = np.arange(n)
    base = (random_state.uniform(size=(n, 1)) > np.cumsum(sets.posterior, axis=1)[:, :-1]).sum(axis=1)
    around = flips(sets.states[rows, base])
    others = random_state.randint(n, size=(n, _BORROWED))
    borrowed = sets.states[others, 0]
    mask = random_state.randint(2, size=(n, _CROSSED, n_latents)).astype(bool)
    mates = sets.states[random_state.randint(n, size=(n, _CROSSED)), 0]
    crossed = np.where(mask, sets.states[:, :1], mates)
    drawn = draw_states(net, n * _DRAWN, random_state).reshape(n, _DRAWN, n_latents)
    proposals = np.concatenate([around, borrowed, crossed, drawn], axis=1)
    return best_states(sets, proposals, log_joint(net, proposals, observations), n_states)


def draw_states(net: BeliefNet, n: int, random_state: np.random.RandomState) -> Array:
    """States of all latent variables from the net itself, (n, B)."""
    states = [_bernoulli(np.broadcast_to(net.prior_logits, (n, len(net.prior_logits))), random_state)]
    for layer in net.layers[:0:-1]:
        states.insert(0, _bernoulli(layer.logits(states[0]), random_state))
    return np.concatenate(states, axis=1)


def _bernoulli(logits: FloatArray, random_state: np.random.RandomState) -> Array:
    noise = random_state.uniform(size=logits.shape)
    return (noise < np.exp(-softplus(-logits))).astype(np.uint8)


def statistics(net: BeliefNet, sets: StateSets, observations: Observations) -> NetStatistics:
    """What the M-step needs: weights of the distinct states, and of what was observed under each."""
    q, evidence = sets.posterior, sets.log_evidence
    weight = np.ones(len(q)) if observations.weight is None else observations.weight
    flat = sets.states.reshape(-1, sets.states.shape[2])
    _, first, index = np.unique(state_keys(flat), return_index=True, return_inverse=True)
    mass = (weight[:, np.newaxis] * q).ravel()
    shape = (len(first), len(q))
    gather = sparse.csr_matrix((mass, (index.ravel(), np.repeat(np.arange(len(q)), q.shape[1]))), shape=shape)
    observed = observations.observed
    counts = np.asarray(gather.sum(axis=1)).reshape(-1, 1)
    layers = net.split_states(flat[first].astype(np.float64))
    regressions = [
        Regression(
            layers[0],
            counts if observed is None else np.asarray(gather @ observed),
            observations.moments(sets.marginals()[:, : layers[0].shape[1]]),
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
    """Sums over rows with their weights: of 1, ELBO, H[q], and the expected entropies of hidden and observable layers."""
    found = statistics(net, sets, observations)
    observable, *hidden = (
        regression.entropy(layer) for regression, layer in zip(found.regressions, net.layers, strict=True)
    )
    return np.array([found.weight, found.elbo, found.posterior_entropy, sum(hidden), observable])
