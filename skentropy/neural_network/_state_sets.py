"""States of the latent variables: each distinct state is stored and evaluated once, and rows point to their states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from .._typing import Array, FloatArray
from ..families._special import softplus
from ._exact import Observations
from ._flips import Flips
from ._layers import BeliefNet, total_softplus
from ._odds import Odds

# Numbers that are processed at a time, so that they stay in the cache.
_CHUNK = 2**16
# An odd number that spreads bits (Steele, Lea and Flood 2014).
_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)


def _words(states: Array) -> Array:
    """The bits of states, 64 in a word; (..., B) -> (..., W)."""
    packed = np.packbits(states, axis=-1)
    padded = np.zeros((*packed.shape[:-1], -(-packed.shape[-1] // 8) * 8), np.uint8)
    padded[..., : packed.shape[-1]] = packed
    return padded.view(np.uint64)


def state_keys(states: Array) -> Array:
    """64-bit keys; beyond 64 variables two different states have the same key with probability 2^-64."""
    words = _words(states)
    keys: Array = np.zeros(words.shape[:-1], np.uint64)
    for i in range(words.shape[-1]):
        keys = (keys ^ words[..., i]) * _MULTIPLIER
        keys ^= keys >> np.uint64(32)
    return keys


class Joints:
    """log p(x_n, s) of rows and states under a net.

    For complete rows it is the sum of a term of the state alone, log p(s) - sum_d log(1 + exp L_d(s)), and a term of row and
    state, x_n W s + x_n mu.
    """

    def __init__(self, net: BeliefNet, observations: Observations) -> None:
        self.net, self._m = net, observations.m
        X, layer = observations.X, net.layers[0]
        # Units of the upper layer have no term with the rows.
        self._slopes = np.zeros((len(X), sum(net.sizes)))
        self._slopes[:, : net.sizes[0]] = X @ layer.weights
        self._offsets = X @ layer.offsets

    def table(self, states: Array, odds: Odds | None = None) -> FloatArray:
        """The terms of states (P, B) alone, (P, 1).

        If entries are missing, these are log p(s) and, for each feature, log(1 + exp L_d(s)), (P, 1 + D). ``odds`` of the
        states keep those under this net.
        """
        net, first = self.net, self.net.layers[0]
        table = np.empty((len(states), 1 if self._m is None else 1 + net.n_features))
        for part in _chunks(len(states), net.n_features + sum(net.sizes)):
            layers = net.split_states(states[part].astype(np.float64))
            table[part, 0] = net.log_prior(layers[-1])
            for layer, below, above in zip(net.layers[1:], layers[:-1], layers[1:], strict=True):
                logits = layer.logits(above)
                table[part, 0] += (below * logits).sum(axis=1) - total_softplus(logits)
            if self._m is not None:
                table[part, 1:] = softplus(first.logits(layers[0]))
        if self._m is None:
            table[:, 0] -= (odds or self.odds_of(states)).total_softplus(first, keep=odds is not None)
        return table

    def odds_of(self, states: Array) -> Odds:
        """Odds of the data's variables under states (P, B)."""
        return Odds(states[:, : self.net.sizes[0]])

    def of(self, pool: Pool, index: Array, rows: Array | slice = slice(None)) -> FloatArray:
        """The log joints of rows with the states to which each of them points, (n, C)."""
        n, n_states = index.shape
        values, rows = np.empty((n, n_states)), np.arange(len(self._offsets))[rows]
        for part in _chunks(n, n_states * (self._slopes.shape[1] + pool.table.shape[1])):
            slopes = self._slopes[rows[part], :, np.newaxis]
            values[part] = np.matmul(pool.states[index[part]].astype(np.float64), slopes)[:, :, 0]
        return self._complete(values, pool, index, rows)

    def of_flips(self, pool: Pool, bases: Array, log_joint: FloatArray, rows: Array) -> FloatArray:
        """The same for the states that differ in one variable from a state of each row, with these log joints; (n, B).

        These states need not be in the pool. For them the sums over features are formed without exponentials.
        """
        if self._m is None:
            distinct, which = np.unique(bases, return_inverse=True)
            changes = self._flips.changes(pool.states[distinct].astype(np.float64))[which]
        else:
            # Rows share states, but not the gaps that hide a part of them.
            changes = self._flips.changes(pool.states[bases].astype(np.float64), self._m[rows])
        changes += (1.0 - 2.0 * pool.states[bases]) * self._slopes[rows]
        changes += log_joint[:, np.newaxis]
        return changes

    @cached_property
    def _flips(self) -> Flips:
        return Flips(self.net)

    def _complete(self, values: FloatArray, pool: Pool, index: Array, rows: Array) -> FloatArray:
        """Add the terms of the states alone, and the offsets."""
        values += pool.table[:, 0][index]
        values += self._offsets[rows, np.newaxis]
        if self._m is not None:
            for part in _chunks(len(index), index.shape[1] * pool.table.shape[1]):
                m = self._m[rows[part], :, np.newaxis]
                values[part] -= np.matmul(pool.table[:, 1:][index[part]], m)[:, :, 0]
        return values


def _chunks(n: int, size: int) -> list[slice]:
    """Slices of n items of ``size`` numbers each, a chunk at a time."""
    step = max(_CHUNK // size, 1)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


@dataclass(frozen=True)
class Pool:
    """P distinct states of all B latent variables, in the order of their keys.

    Attributes
    ----------
    states : (P, B), uint8
    keys : (P,)
    table : (P, ...), their terms in ``Joints.table`` under the net last evaluated
    odds : Odds of the data's variables under the states, if these were evaluated together
    """

    states: Array
    keys: Array
    table: FloatArray
    odds: Odds | None = None

    @classmethod
    def empty(cls, joints: Joints) -> Pool:
        states = np.zeros((0, sum(joints.net.sizes)), np.uint8)
        return cls(states, state_keys(states), joints.table(states))

    @cached_property
    def values(self) -> FloatArray:
        """The states as floating-point numbers."""
        return self.states.astype(np.float64)

    def under(self, joints: Joints) -> Pool:
        """The same states under another net."""
        odds = self.odds or joints.odds_of(self.states)
        return replace(self, table=joints.table(self.states, odds), odds=odds)

    @cached_property
    def words(self) -> Array:
        """The bits of the states, (P, W)."""
        return _words(self.states)

    def joined(self, states: Array, joints: Joints) -> tuple[Pool, Array, Array]:
        """The pool with further states (M, B), and the positions of the old (P,) and the further states (M,) in it."""
        keys, first, place = np.unique(state_keys(states), return_index=True, return_inverse=True)
        at = np.searchsorted(self.keys, keys)
        is_new = at == np.searchsorted(self.keys, keys, side="right")
        before = np.cumsum(is_new)
        places = (at + before - is_new)[place.ravel()]
        at, keys, states = at[is_new], keys[is_new], states[first[is_new]]
        n = len(self.keys)
        own = np.arange(n) + np.cumsum(np.bincount(at, minlength=n + 1))[:n]
        pool = Pool(
            np.insert(self.states, at, states, axis=0),
            np.insert(self.keys, at, keys),
            np.insert(self.table, at, joints.table(states), axis=0),
        )
        return pool, own, places


@dataclass(frozen=True)
class StateSets:
    """K distinct states of all latent variables for each row.

    Attributes
    ----------
    pool : Pool
    index : (n, K), the positions of the states in the pool
    log_joint : (n, K), log p(x_n, s) under the net last evaluated, descending; -inf for unused places
    """

    pool: Pool
    index: Array
    log_joint: FloatArray

    @property
    def states(self) -> Array:
        """(n, K, B), uint8."""
        return self.pool.states[self.index]

    @cached_property
    def log_evidence(self) -> FloatArray:
        """The rows' ELBOs."""
        return self._largest + np.log(self._shares.sum(axis=1))

    @cached_property
    def posterior(self) -> FloatArray:
        """q of the states, (n, K)."""
        return np.asarray(self._shares / self._shares.sum(axis=1, keepdims=True))

    @cached_property
    def _largest(self) -> FloatArray:
        return np.asarray(self.log_joint.max(axis=1))

    @cached_property
    def _shares(self) -> FloatArray:
        """The joint probabilities of the states by that of the most probable one, (n, K)."""
        return np.exp(self.log_joint - self._largest[:, np.newaxis])

    def counts(self, weight: FloatArray) -> FloatArray:
        """The sum over rows of weighted q of each state of the pool, (P,)."""
        q = self.posterior * weight[:, np.newaxis]
        return np.asarray(np.bincount(self.index.ravel(), q.ravel(), len(self.pool.keys)), dtype=np.float64)

    def masses(self, weight: FloatArray | None = None) -> sparse.csr_matrix:
        """q of all states of the pool, times the rows' weights if there are any, (n, P)."""
        q = self.posterior if weight is None else self.posterior * weight[:, np.newaxis]
        starts = np.arange(len(q) + 1) * q.shape[1]
        return sparse.csr_matrix((q.ravel(), self.index.ravel(), starts), shape=(len(q), len(self.pool.keys)))

    def marginals(self) -> FloatArray:
        """Posterior means of all latent variables, (n, B)."""
        return np.minimum(self.masses() @ self.pool.values, 1.0)

    def under(self, joints: Joints) -> StateSets:
        """The same states, with their log joints under another net."""
        pool = self.pool.under(joints)
        values = joints.of(pool, self.index)
        return StateSets(pool, self.index, np.where(np.isneginf(self.log_joint), -np.inf, values))

    def with_others(self, pool: Pool, index: Array, others: Array, values: FloatArray) -> tuple[StateSets, Array]:
        """The best K of these states and others (n, C), and their positions among both.

        ``pool`` holds all states, and ``index`` the positions of these states in it.
        """
        n_states = self.index.shape[1]
        both = np.concatenate([index, others], axis=1)
        best, values = best_of(both, np.concatenate([self.log_joint, values], axis=1), n_states)
        return StateSets(pool, np.take_along_axis(both, best, axis=1), values), best

    def with_flips(self, joints: Joints, bases: Array, log_joint: FloatArray, rows: Array) -> tuple[StateSets, Array, Array]:
        """The best K of the states of some rows and of those that differ in one variable from a state of each.

        ``bases`` (R,) are the positions of the latter states in the pool, ``log_joint`` (R,) their log joints. Also returns
        the rows that have changed, and for each of them the positions of its states among the K old ones and the B flips.
        """
        n_states = self.index.shape[1]
        flipped = joints.of_flips(self.pool, bases, log_joint, rows)
        flipped[self._known_flips(bases, rows)] = -np.inf
        changed = (flipped > self.log_joint[rows, -1:]).any(axis=1)
        rows, bases = rows[changed], bases[changed]
        values = np.concatenate([self.log_joint[rows], flipped[changed]], axis=1)
        best = np.argpartition(-values, n_states - 1, axis=1)[:, :n_states]
        values = np.take_along_axis(values, best, axis=1)
        entered, place = np.nonzero((best >= n_states) & (values > -np.inf))
        unit = best[entered, place] - n_states
        states = self.pool.states[bases[entered]]
        states[np.arange(len(unit)), unit] ^= 1
        pool, own, places = self.pool.joined(states, joints)
        index, every = own[self.index], self.log_joint.copy()
        among = np.take_along_axis(np.pad(index[rows], ((0, 0), (0, flipped.shape[1])), mode="edge"), best, axis=1)
        among[entered, place] = places
        # What is kept is evaluated like all other states.
        values[entered, place] = joints.of(pool, places[:, np.newaxis], rows[entered])[:, 0]
        order = np.argsort(-values, axis=1, kind="stable")
        index[rows], every[rows] = np.take_along_axis(among, order, axis=1), np.take_along_axis(values, order, axis=1)
        return StateSets(pool, index, every), rows, np.take_along_axis(best, order, axis=1)

    def _known_flips(self, bases: Array, rows: Array) -> tuple[Array, Array]:
        """Which rows already have a state that differs in one variable from ``bases``, and in which variable."""
        words, index = self.pool.words, self.index[rows]
        differ = words[index] ^ words[bases][:, np.newaxis]
        single = ((differ & (differ - np.uint64(1))) == 0).all(axis=2) & ((differ != 0).sum(axis=2) == 1)
        row, place = np.nonzero(single)
        return row, (self.pool.states[index[row, place]] != self.pool.states[bases[row]]).argmax(axis=1)

    def sorted(self) -> StateSets:
        """The same sets with the best states first."""
        order = np.argsort(-self.log_joint, axis=1, kind="stable")
        return StateSets(
            self.pool, np.take_along_axis(self.index, order, axis=1), np.take_along_axis(self.log_joint, order, axis=1)
        )

    def rows(self, chosen: Array | slice) -> StateSets:
        """The sets of some rows."""
        return StateSets(self.pool, self.index[chosen], self.log_joint[chosen])

    def compact(self) -> StateSets:
        """The same sets, with a pool without unused states."""
        used = np.zeros(len(self.pool.keys), bool)
        used[self.index] = True
        pool = Pool(self.pool.states[used], self.pool.keys[used], self.pool.table[used])
        return replace(self, pool=pool, index=(np.cumsum(used) - 1)[self.index])


def best_of(index: Array, values: FloatArray, n_states: int) -> tuple[Array, FloatArray]:
    """Positions of the best distinct states among the (n, C) states of rows, and their values; repeated states have -inf."""
    order = np.argsort(index, axis=1, kind="stable")
    ordered = np.take_along_axis(index, order, axis=1)
    repeated = np.zeros_like(ordered, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    values = np.take_along_axis(values, order, axis=1)
    values[repeated] = -np.inf
    best = np.argsort(-values, axis=1, kind="stable")[:, :n_states]
    return np.take_along_axis(order, best, axis=1), np.take_along_axis(values, best, axis=1)
