"""The M-step: independent logistic regressions of all variables of a layer on the states of the layer above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from .._typing import Array, FloatArray
from ._layers import Layer, softplus

# Steps are shortened until no logit moves further than this.
_LONGEST_STEP = 8.0
MAX_STEPS = 100
_HALVINGS = 30
# A Hessian is formed anew where a step with the last one promises more than this share of the step before.
_CONTRACTION = 0.05
# Logits that are worked on at a time.
_IN_CACHE = 2**16
# Numbers in the products of pairs of columns that are formed at a time.
_CHUNK = 2**23
# The states that carry this share of the weight make a Hessian good enough to step with.
_HEAVY = 0.999
# Steps with such Hessians. What has not converged by then takes steps with all states.
_ROUGH_STEPS = 12
# A gradient that is less than this along V, per row, counts as zero.
_CLOSE = 1e-13
# The last steps, so many, that do with the Hessians of those before.
_OLD_STEPS = 4
# Up to so many variables, one symmetric product for each costs less than the products of all pairs of a large design.
_FEW = 16
# Curvature per weight that is added, so that rounding errors of a gradient make no long steps where nothing bends.
_LEAST_CURVATURE = 1e-12
# Rounding errors of a column's log-likelihood, relative to it and to the weight that it sums over.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Regression:
    """What a layer's M-step needs to know.

    Attributes
    ----------
    states : (S, H), of the layer above
    counts : (S, D) or (S, 1), the weight with which a variable was observed under a state; equal for all variables in the
        latter case
    moments : (D, H + 1), the weight with which it was observed to be 1 together with each variable above, and at all
    """

    states: FloatArray
    counts: FloatArray
    moments: FloatArray
    _last: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    @cached_property
    def design(self) -> FloatArray:
        """The states with a column of ones, (S, H + 1)."""
        return np.column_stack([self.states, np.ones(len(self.states))])

    def log_likelihood(self, layer: Layer) -> float:
        """Expected log-likelihood of the layer, not divided by anything."""
        return float((self.moments * layer.joined).sum()) - self._at(layer)[0]

    def entropy(self, layer: Layer) -> float:
        """Expected entropy of the layer, not divided by anything; the last term of W(10)."""
        return self._at(layer)[1]

    def magnitude(self, layer: Layer) -> float:
        """Sum of the absolute values that ``log_likelihood`` adds up."""
        return float((self.moments * np.abs(layer.joined)).sum()) + self._at(layer)[0]

    def gradient(self, layer: Layer) -> FloatArray:
        """Derivative of ``log_likelihood`` with respect to V = [W, mu], (D, H + 1)."""
        expected = np.zeros_like(self.moments)
        for states, logits in self._logits(layer):
            expected += (self.counts[states] * expit(logits)).T @ self.design[states]
        return np.asarray(self.moments - expected)

    def _at(self, layer: Layer) -> tuple[float, float]:
        """The expected sum of log(1 + exp(logit)) and that of the entropies; those of the last layer are kept."""
        if not (self._last and self._last[0] is layer):
            total, entropy = 0.0, 0.0
            for states, logits in self._logits(layer):
                each = softplus(logits)
                total += float((self.counts[states] * each).sum())
                each -= logits * expit(logits)
                entropy += float((self.counts[states] * each).sum())
            self._last[:] = [layer, total, entropy]
        return self._last[1], self._last[2]

    def _logits(self, layer: Layer) -> Iterator[tuple[slice, FloatArray]]:
        """The layer's logits, those of a few states at a time."""
        step = max(_IN_CACHE // len(layer.offsets), 1)
        for start in range(0, len(self.states), step):
            states = slice(start, start + step)
            yield states, layer.logits(self.states[states])


def maximize(regression: Regression, start: Layer, ridge: float, max_steps: int = MAX_STEPS) -> Layer:
    """The layer with the largest expected log-likelihood less ``ridge / 2 |V|^2``, by Newton's method with capped steps.

    All variables at once, those that have converged left out. It ends where the rounding of the log-likelihood hides what
    further steps would bring, so that the derivative in the direction of V, which the identity needs to be zero, is zero
    to nearly all digits. Fewer steps than that make an M-step that gains, without being the best one.
    """
    ascent = _Ascent(regression, start, ridge)
    active = np.arange(len(ascent.V))
    for number in range(max_steps):
        step, gain = ascent.newton(active, ascent.rough if number < _ROUGH_STEPS else ascent.exact)
        active = active[ascent.move(active, step) & (gain > ascent.noise[active])]
        if not active.size:
            break
    if max_steps == MAX_STEPS:
        ascent.close()
    return Layer.split(ascent.V)


def complete_information(regression: Regression, layer: Layer, ridge: float) -> FloatArray:
    """Minus the Hessians of ``log_likelihood`` less ``ridge / 2 |V|^2``, one for each variable; (D, H + 1, H + 1)."""
    hessians = _Hessians(regression.design, regression.counts.T, ridge, slice(None))
    return hessians.at(expit(layer.logits(regression.states)).T, np.arange(len(layer.offsets)))


class _Ascent:
    """Where the regressions of all variables are: V (D, H + 1), their logits (D, S) and their objectives (D,).

    What is done to logits is done to a few variables at a time, whose logits stay in the cache.
    """

    def __init__(self, regression: Regression, start: Layer, ridge: float) -> None:
        self._moments, self._ridge, self._design = regression.moments, ridge, regression.design
        self._counts = np.ascontiguousarray(regression.counts.T)
        self._weight = regression.counts.sum(axis=0)
        self.rough = _Hessians(self._design, self._counts, ridge, _states_that_matter(regression))
        self.V = start.joined.copy()
        self._logits = self.V @ self._design.T
        columns = np.arange(len(self.V))
        self._objective = self._objective_of(self.V, self._logits, columns)
        terms = np.abs(self._objective) + (self._moments * np.abs(self.V)).sum(axis=1)
        self.noise = _ROUNDING * (terms + self._weight)
        self._curvature = np.empty((len(self.V), self.V.shape[1], self.V.shape[1]))
        self._last_gain = np.zeros(len(self.V))

    @cached_property
    def exact(self) -> _Hessians:
        """Hessians from all states."""
        if isinstance(self.rough.kept, slice):
            return self.rough
        return _Hessians(self._design, self._counts, self._ridge, slice(None))

    def _parts(self, n: int) -> Iterator[slice]:
        """Of so many variables a few at a time."""
        step = max(_IN_CACHE // len(self._design), 1)
        return (slice(start, min(start + step, n)) for start in range(0, n, step))

    def _objective_of(self, V: FloatArray, logits: FloatArray, columns: Array) -> FloatArray:
        values = (self._moments[columns] * V).sum(axis=1) - 0.5 * self._ridge * (V**2).sum(axis=1)
        for part in self._parts(len(columns)):
            values[part] -= _weighted_rows(_rows(self._counts, columns[part]), softplus(logits[part]))
        return np.asarray(values)

    def _gradient(self, p: FloatArray, columns: Array) -> FloatArray:
        expected = np.empty((len(columns), self._design.shape[1]))
        for part in self._parts(len(columns)):
            expected[part] = (_rows(self._counts, columns[part]) * p[part]) @ self._design
        return np.asarray(self._moments[columns] - expected - self._ridge * self.V[columns])

    def newton(self, columns: Array, hessians: _Hessians) -> tuple[FloatArray, FloatArray]:
        """Newton steps of some variables, and twice what they promise.

        A Hessian of an earlier step does as long as it brings the end much nearer with each.
        """
        p = expit(self._logits[columns])
        gradient, last = self._gradient(p, columns), self._last_gain[columns]
        step, gain = np.empty_like(gradient), np.empty(len(columns))
        slow = last == 0.0
        if not slow.all():
            step[~slow], gain[~slow] = self._solve(columns[~slow], gradient[~slow])
            slow[~slow] = gain[~slow] > _CONTRACTION * last[~slow]
        if slow.any():
            self._curvature[columns[slow]] = hessians.at(p[slow], columns[slow])
            step[slow], gain[slow] = self._solve(columns[slow], gradient[slow])
        self._last_gain[columns] = gain
        return step, gain

    def _solve(self, columns: Array, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
        step = np.linalg.solve(self._curvature[columns], gradient[:, :, np.newaxis])[:, :, 0]
        return step, (gradient * step).sum(axis=1)

    def move(self, columns: Array, step: FloatArray) -> Array:
        """Take as much of the steps as the objective allows; whether there was any."""
        along = step @ self._design.T
        longest = np.maximum(along.max(axis=1), -along.min(axis=1))
        share = np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        waiting = np.arange(len(columns))
        for _ in range(_HALVINGS):
            good = np.empty(len(waiting), bool)
            for part in self._parts(len(waiting)):
                good[part] = self._try(columns, waiting[part], share, step, along)
            waiting = waiting[~good]
            if not waiting.size:
                break
            share[waiting] *= 0.5
        return np.isin(np.arange(len(columns)), waiting, invert=True)

    def _try(self, columns: Array, chosen: Array, share: FloatArray, step: FloatArray, along: FloatArray) -> Array:
        """Take the shares of some of the steps that lose nothing; which these are."""
        tried, length = columns[chosen], share[chosen, np.newaxis]
        V = self.V[tried] + length * step[chosen]
        logits = self._logits[tried] + length * along[chosen]
        values = self._objective_of(V, logits, tried)
        good = values >= self._objective[tried] - self.noise[tried]
        moved = tried[good]
        self.V[moved], self._logits[moved] = V[good], logits[good]
        self._objective[moved] = np.maximum(values[good], self._objective[moved])
        return good

    def close(self) -> None:
        """Newton steps where the log-likelihood can no longer tell, as long as the gradient falls and is not nothing.

        With the Hessians of the steps before as long as these bring the end nearer, and then with new ones.
        """
        columns, least = np.arange(len(self.V)), self._objective - self.noise
        self._logits = self.V @ self._design.T
        gradient = self._gradient(expit(self._logits), columns)
        slope, enough = np.abs(gradient * self.V).sum(axis=1), _CLOSE * self._weight
        for hessians in (*[None] * _OLD_STEPS, self.rough, self.exact, self.exact):
            open_ = np.flatnonzero(slope > enough)
            if not open_.size:
                break
            if hessians is not None:
                self._curvature[open_] = hessians.at(expit(self._logits[open_]), open_)
            V = self.V[open_] + self._solve(open_, gradient[open_])[0]
            logits = V @ self._design.T
            before, self.V[open_] = self.V[open_], V
            closer = self._gradient(expit(logits), open_)
            better = np.linalg.norm(closer, axis=1) < np.linalg.norm(gradient[open_], axis=1)
            better &= self._objective_of(V, logits, open_) >= least[open_]
            self.V[open_[~better]] = before[~better]
            gradient[open_[better]], self._logits[open_[better]] = closer[better], logits[better]
            slope[open_] = np.abs(gradient[open_] * self.V[open_]).sum(axis=1)


def _states_that_matter(regression: Regression) -> Array | slice:
    """The states with nearly all there is of each unit that is on or off, if they are few.

    A state matters as much as its largest share in what any one unit has of the weight.
    """
    weight, states = regression.counts.sum(axis=1), regression.states
    share = weight / weight.sum()
    for there in (states == 1, states == 0):
        share = np.maximum(share, weight * (there / np.maximum(weight @ there, 1e-300)).max(axis=1))
    order = np.argsort(-share)
    n_heavy = int(np.searchsorted(np.cumsum(share[order]), _HEAVY * share.sum())) + 1
    return np.sort(order[:n_heavy]) if 2 * n_heavy < len(weight) else slice(None)


class _Hessians:
    """Minus the Hessians of the variables, from all states or those that are kept, scaled to the curvature of all."""

    def __init__(self, design: FloatArray, counts: FloatArray, ridge: float, kept: Array | slice) -> None:
        self.kept = kept
        self._counts, self._ridge = counts, ridge
        self._design = design[kept]
        self._upper = np.triu_indices(design.shape[1])

    @cached_property
    def _pairs(self) -> FloatArray | None:
        """Products of all pairs of columns of the design, (pairs, S), if they can be kept."""
        return self._products(slice(None)) if len(self._design) * len(self._upper[0]) <= _CHUNK else None

    def _products(self, states: slice) -> FloatArray:
        columns = np.ascontiguousarray(self._design[states].T)
        products: FloatArray = np.empty((len(self._upper[0]), columns.shape[1]))
        start = 0
        for i in range(len(columns)):
            end = start + len(columns) - i
            np.multiply(columns[i:], columns[i], out=products[start:end])
            start = end
        return products

    def at(self, p: FloatArray, columns: Array) -> FloatArray:
        """The Hessians of some variables with probabilities p (..., S)."""
        curvature = _rows(self._counts, columns) * (p * (1.0 - p))
        total = curvature.sum(axis=1)
        curvature = curvature[:, self.kept]
        hessian = self._one_by_one(curvature) if self._pairs is None and len(columns) <= _FEW else self._at_once(curvature)
        hessian *= (total / np.maximum(curvature.sum(axis=1), 1e-300))[:, np.newaxis, np.newaxis]
        diagonal = np.einsum("dhh->dh", hessian)
        # Where nothing bends, without a ridge: separated columns, states without weight.
        weight = _rows(self._counts, columns).sum(axis=1)[:, np.newaxis]
        diagonal += self._ridge + 1e-10 * diagonal.mean(axis=1, keepdims=True) + _LEAST_CURVATURE * weight + 1e-100
        return hessian

    def _one_by_one(self, curvature: FloatArray) -> FloatArray:
        rooted = (self._design * root[:, np.newaxis] for root in np.sqrt(curvature))
        return np.array([A.T @ A for A in rooted])

    def _at_once(self, curvature: FloatArray) -> FloatArray:
        n_columns = self._design.shape[1]
        packed = np.zeros((len(self._upper[0]), len(curvature)))
        n_states = max(_CHUNK // len(packed), 1)
        for start in range(0, len(self._design), n_states):
            states = slice(start, start + n_states)
            packed += (self._products(states) if self._pairs is None else self._pairs[:, states]) @ curvature[:, states].T
        hessian = np.empty((len(curvature), n_columns, n_columns))
        hessian[:, self._upper[0], self._upper[1]] = packed.T
        hessian[:, self._upper[1], self._upper[0]] = packed.T
        return hessian


def _rows(counts: FloatArray, columns: Array) -> FloatArray:
    """The counts of some variables, (..., S)."""
    return counts if len(counts) == 1 else counts[columns]


def _weighted_rows(counts: FloatArray, values: FloatArray) -> FloatArray:
    """Sums over states, (D,)."""
    return np.asarray(values @ counts[0] if len(counts) == 1 else (counts * values).sum(axis=1))
