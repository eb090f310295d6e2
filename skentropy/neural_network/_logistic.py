"""The M-step: independent logistic regressions of all variables of a layer on the states of the layer above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ._layers import Layer, logistic, softplus, total_softplus

# Steps are shortened until no logit moves further than this.
_LONGEST_STEP = 8.0
# Where logits move by less than the first, curvatures change by a factor of less than e. A step then gains if the slope at
# its end is no less than minus the second of that at its start.
_SAFE_STEP, _OVERSHOT = 1.0, 0.1
MAX_STEPS = 100
_HALVINGS = 30
# A Hessian is formed anew where a step with the last one promises more than this share of the step before.
_CONTRACTION = 0.05
# Logits that are worked on at a time.
_IN_CACHE = 2**16
# Numbers in the products of pairs of columns that are formed at a time.
_CHUNK = 2**23
# The states that carry this share of the weight make a Hessian good enough to step with.
_HEAVY = 0.99
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
            p = logistic(logits)
            p *= self.counts[states]
            expected[:, :-1] += p.T @ self.states[states]
            expected[:, -1] += p.sum(axis=0)
        return np.asarray(self.moments - expected)

    def _at(self, layer: Layer) -> tuple[float, float]:
        """The expected sum of log(1 + exp(logit)) and that of the entropies; those of the last layer are kept."""
        if not (self._last and self._last[0] is layer):
            total, entropy = 0.0, 0.0
            for states, logits in self._logits(layer):
                counts = self.counts[states]
                if counts.shape[1] == 1:
                    each = total_softplus(logits)[:, np.newaxis]
                    lost = np.einsum("sd,sd->s", logits, logistic(logits))[:, np.newaxis]
                else:
                    each, lost = softplus(logits), logits * logistic(logits)
                total += float((counts * each).sum())
                entropy += float((counts * (each - lost)).sum())
            self._last[:] = [layer, total, entropy]
        return self._last[1], self._last[2]

    def _logits(self, layer: Layer) -> Iterator[tuple[slice, FloatArray]]:
        """The layer's logits, those of a few states at a time."""
        for states in in_cache(len(self.states), len(layer.offsets)):
            yield states, layer.logits(self.states[states])


def in_cache(n: int, size: int) -> Iterator[slice]:
    """Consecutive items, each so many numbers, a few at a time, so that these numbers stay in the cache."""
    step = max(_IN_CACHE // max(size, 1), 1)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


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
        active = active[ascent.move(active, step, gain) & (gain > ascent.noise[active])]
        if not active.size:
            break
    if max_steps == MAX_STEPS:
        ascent.close()
    return Layer.split(ascent.V)


def complete_information(regression: Regression, layer: Layer, ridge: float) -> FloatArray:
    """Minus the Hessians of ``log_likelihood`` less ``ridge / 2 |V|^2``, one for each variable; (D, H + 1, H + 1)."""
    hessians = _Hessians(regression.design, regression.counts, ridge, slice(None))
    return hessians.at(layer.joined, np.arange(len(layer.offsets)))


class _Ascent:
    """Where the regressions of all variables are: V, the gradients there (D, H + 1) and their curvatures (D,).

    Logits are formed of a few states at a time, wherever they are needed.
    """

    def __init__(self, regression: Regression, start: Layer, ridge: float) -> None:
        self._moments, self._ridge = regression.moments, ridge
        self._design, self._counts = regression.design, regression.counts
        self._weight = self._counts.sum(axis=0)
        self.rough = _Hessians(self._design, self._counts, ridge, _states_that_matter(regression))
        self.V = start.joined.copy()
        self._gradient, self._bend = self._slopes(self.V, np.arange(len(self.V)))
        # A bound of the sum of the absolute values that an objective adds up, since log(1 + exp(a)) <= |a| + log 2.
        terms = ((self._counts.T @ self._design + self._moments) * np.abs(self.V)).sum(axis=1)
        self.noise = _ROUNDING * (terms + 2.0 * self._weight)
        self._curvature = np.empty((len(self.V), self.V.shape[1], self.V.shape[1]))
        self._last_gain = np.zeros(len(self.V))

    @cached_property
    def exact(self) -> _Hessians:
        """Hessians from all states."""
        if isinstance(self.rough.kept, slice):
            return self.rough
        return _Hessians(self._design, self._counts, self._ridge, slice(None))

    def _objective(self, V: FloatArray, columns: Array) -> FloatArray:
        values = (self._moments[columns] * V).sum(axis=1) - 0.5 * self._ridge * (V**2).sum(axis=1)
        for states in in_cache(len(self._design), len(columns)):
            values -= (_of(self._counts[states], columns) * softplus(self._design[states] @ V.T)).sum(axis=0)
        return np.asarray(values)

    def _slopes(self, V: FloatArray, columns: Array) -> tuple[FloatArray, FloatArray]:
        """Gradients at V, (..., H + 1), and the weighted sums of p (1 - p) over states, (...)."""
        expected, bend = np.zeros(V.shape), np.zeros(len(V))
        for states in in_cache(len(self._design), len(columns)):
            p = logistic(self._design[states] @ V.T)
            weighted = p * _of(self._counts[states], columns)
            expected += weighted.T @ self._design[states]
            np.subtract(1.0, p, out=p)
            bend += np.einsum("sd,sd->d", weighted, p)
        return self._moments[columns] - expected - self._ridge * V, bend

    def newton(self, columns: Array, hessians: _Hessians) -> tuple[FloatArray, FloatArray]:
        """Newton steps of some variables, and twice what they promise.

        A Hessian of an earlier step does as long as it brings the end much nearer with each.
        """
        gradient, last = self._gradient[columns], self._last_gain[columns]
        step, gain = np.empty_like(gradient), np.empty(len(columns))
        slow = last == 0.0
        if not slow.all():
            step[~slow], gain[~slow] = self._solve(columns[~slow], gradient[~slow])
            slow[~slow] = gain[~slow] > _CONTRACTION * last[~slow]
        if slow.any():
            self._bend_anew(columns[slow], hessians)
            step[slow], gain[slow] = self._solve(columns[slow], gradient[slow])
        self._last_gain[columns] = gain
        return step, gain

    def _bend_anew(self, columns: Array, hessians: _Hessians) -> None:
        self._curvature[columns] = hessians.at(self.V[columns], columns, self._bend[columns])

    def _solve(self, columns: Array, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
        step = np.linalg.solve(self._curvature[columns], gradient[:, :, np.newaxis])[:, :, 0]
        return step, (gradient * step).sum(axis=1)

    def move(self, columns: Array, step: FloatArray, gain: FloatArray) -> Array:
        """Take as much of the steps as the objective allows; whether there was any. Twice what they promise is ``gain``."""
        longest = self._longest(step)
        share = np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        waiting = np.arange(len(columns))
        for _ in range(_HALVINGS):
            length = share[waiting]
            near = length * longest[waiting] <= _SAFE_STEP
            allowed = np.where(near, _OVERSHOT * length * gain[waiting], 0.0)
            waiting = waiting[~self._try(columns[waiting], length[:, np.newaxis] * step[waiting], allowed)]
            if not waiting.size:
                break
            share[waiting] *= 0.5
        return np.isin(np.arange(len(columns)), waiting, invert=True)

    def _longest(self, step: FloatArray) -> FloatArray:
        """How far the steps move a logit, or a bound of that which is no longer than the longest step."""
        up = np.maximum(step[:, :-1], 0.0).sum(axis=1) + step[:, -1]
        down = np.minimum(step[:, :-1], 0.0).sum(axis=1) + step[:, -1]
        longest = np.maximum(up, -down)
        far = np.flatnonzero(longest > _SAFE_STEP)
        if far.size:
            longest[far] = 0.0
            for states in in_cache(len(self._design), len(far)):
                along = self._design[states] @ step[far].T
                longest[far] = np.maximum(longest[far], np.maximum(along.max(axis=0), -along.min(axis=0)))
        return np.asarray(longest)

    def _try(self, columns: Array, step: FloatArray, allowed: FloatArray) -> Array:
        """Take those of some steps that lose nothing; which these are.

        A concave objective gains at least its slope at the end of a step, if that is positive, and loses at most that if it
        is negative. Within ``allowed`` it gains all the same. Only beyond that must it be compared.
        """
        V = self.V[columns] + step
        gradient, bend = self._slopes(V, columns)
        slope = (gradient * step).sum(axis=1)
        good = slope >= -np.maximum(allowed, self.noise[columns])
        unsure = np.flatnonzero(~good)
        if unsure.size:
            of = columns[unsure]
            good[unsure] = self._objective(V[unsure], of) >= self._objective(self.V[of], of) - self.noise[of]
        self._go(columns[good], V[good], gradient[good], bend[good])
        return good

    def _go(self, columns: Array, V: FloatArray, gradient: FloatArray, bend: FloatArray) -> None:
        self.V[columns], self._gradient[columns], self._bend[columns] = V, gradient, bend

    def close(self) -> None:
        """Newton steps where the log-likelihood can no longer tell, as long as the gradient falls and is not nothing.

        With the Hessians of the steps before as long as these bring the end nearer, and then with new ones.
        """
        enough, noise = _CLOSE * self._weight, self.noise.copy()
        for hessians in (*[None] * _OLD_STEPS, self.rough, self.exact, self.exact):
            open_ = np.flatnonzero(np.abs(self._gradient * self.V).sum(axis=1) > enough)
            if not open_.size:
                break
            if hessians is not None:
                self._bend_anew(open_, hessians)
            before = self._gradient[open_]
            step = self._solve(open_, before)[0]
            V = self.V[open_] + step
            gradient, bend = self._slopes(V, open_)
            # A concave objective loses no more than this.
            loss = np.maximum(-(gradient * step).sum(axis=1), 0.0)
            better = (np.linalg.norm(gradient, axis=1) < np.linalg.norm(before, axis=1)) & (loss <= noise[open_])
            noise[open_[better]] -= loss[better]
            self._go(open_[better], V[better], gradient[better], bend[better])


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
        self.kept, self._ridge = kept, ridge
        self._design, self._counts, self._weight = design[kept], counts[kept], counts.sum(axis=0)
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

    def at(self, V: FloatArray, columns: Array, bend: FloatArray | None = None) -> FloatArray:
        """The Hessians of some variables at V (..., H + 1); ``bend`` is the weighted sum of p (1 - p) over all states."""
        curvature = np.empty((len(self._design), len(columns)))
        for states in in_cache(len(curvature), len(columns)):
            p = logistic(self._design[states] @ V.T)
            np.multiply(_of(self._counts[states], columns), p * (1.0 - p), out=curvature[states])
        hessian = self._one_by_one(curvature) if self._pairs is None and len(columns) <= _FEW else self._at_once(curvature)
        if bend is not None:
            hessian *= (bend / np.maximum(curvature.sum(axis=0), 1e-300))[:, np.newaxis, np.newaxis]
        diagonal = np.einsum("dhh->dh", hessian)
        # Where nothing bends, without a ridge: separated columns, states without weight.
        weight = np.broadcast_to(_of(self._weight, columns), len(columns))[:, np.newaxis]
        diagonal += self._ridge + 1e-10 * diagonal.mean(axis=1, keepdims=True) + _LEAST_CURVATURE * weight + 1e-100
        return hessian

    def _one_by_one(self, curvature: FloatArray) -> FloatArray:
        rooted = (self._design * root[:, np.newaxis] for root in np.sqrt(curvature.T))
        return np.array([A.T @ A for A in rooted])

    def _at_once(self, curvature: FloatArray) -> FloatArray:
        n_columns = self._design.shape[1]
        packed = np.zeros((len(self._upper[0]), curvature.shape[1]))
        n_states = max(_CHUNK // len(packed), 1)
        for start in range(0, len(self._design), n_states):
            states = slice(start, start + n_states)
            packed += (self._products(states) if self._pairs is None else self._pairs[:, states]) @ curvature[states]
        hessian = np.empty((curvature.shape[1], n_columns, n_columns))
        hessian[:, self._upper[0], self._upper[1]] = packed.T
        hessian[:, self._upper[1], self._upper[0]] = packed.T
        return hessian


def _of(counts: FloatArray, columns: Array) -> FloatArray:
    """The counts of some variables, (..., D) or (..., 1) -> the same of these."""
    return counts if counts.shape[-1] == 1 else counts[..., columns]
