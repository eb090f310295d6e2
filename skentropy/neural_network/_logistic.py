"""The M-step: independent logistic regressions of all variables of a layer on the states of the layer above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..families._special import softplus
from ._layers import Layer, logistic, total_softplus
from ._odds import Odds, in_cache

# Steps are shortened until no logit moves further than this.
_LONGEST_STEP = 8.0
# If logits move by less than the first number, curvatures change by a factor of less than e. A step then gains if the slope
# at its end is at least minus the second number times the slope at its start.
_SAFE_STEP, _OVERSHOT = 1.0, 0.1
MAX_STEPS = 100
_HALVINGS = 30
# A new Hessian is formed if the expected gain of a step with the last one exceeds this share of that of the step before.
_CONTRACTION = 0.05
# At most so many products of pairs of columns of the design are kept.
_MOST_PRODUCTS = 2**23
# The states that carry this share of the weight give a Hessian that is accurate enough for steps.
_HEAVY = 0.99
# Number of steps with such Hessians. Variables that have not converged by then take steps with all states.
_ROUGH_STEPS = 12
# A gradient that is less than this along V, per row, counts as zero.
_CLOSE = 1e-13
# Number of final steps that reuse the Hessians of the steps before.
_OLD_STEPS = 4
# Curvature per weight that is added, so that rounding errors of a gradient cause no long steps in flat directions.
_LEAST_CURVATURE = 1e-12
# Rounding errors of a column's log-likelihood, relative to the sum of its terms and to its weight.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Regression:
    """The statistics for the M-step of a layer.

    Attributes
    ----------
    states : (S, H), zeros and ones, of the layer above
    counts : (S, D) or (S, 1), the weight with which a variable was observed under a state; equal for all variables in the
        latter case
    moments : (D, H + 1), the weight with which it was observed to be 1 together with each variable above, and at all
    known_odds : Odds of the states, if they are known
    """

    states: FloatArray
    counts: FloatArray
    moments: FloatArray
    known_odds: Odds | None = None
    _last: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    @cached_property
    def odds(self) -> Odds:
        return self.known_odds or Odds(self.states)

    @cached_property
    def design(self) -> FloatArray:
        """The states with a column of ones, (S, H + 1)."""
        return np.column_stack([self.states, np.ones(len(self.states))])

    def log_likelihood(self, layer: Layer) -> float:
        """Expected log-likelihood of the layer, as a weighted sum."""
        return float((self.moments * layer.joined).sum()) - self._at(layer)[0]

    def entropy(self, layer: Layer) -> float:
        """Expected entropy of the layer, as a weighted sum; the last term of W(10)."""
        return self._at(layer)[1]

    def magnitude(self, layer: Layer) -> float:
        """Sum of the absolute values that ``log_likelihood`` adds up."""
        return float((self.moments * np.abs(layer.joined)).sum()) + self._at(layer)[0]

    def gradient(self, layer: Layer) -> FloatArray:
        """Derivative of ``log_likelihood`` with respect to V = [W, mu], (D, H + 1)."""
        expected = np.zeros_like(self.moments)
        for states, p in self.odds.probabilities(layer):
            p *= self.counts[states]
            expected[:, :-1] += p.T @ self.states[states]
            expected[:, -1] += p.sum(axis=0)
        return np.asarray(self.moments - expected)

    def _at(self, layer: Layer) -> tuple[float, float]:
        """The expected sums of log(1 + exp(logit)) and of the entropies; the values of the last layer are cached."""
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


def maximize(regression: Regression, start: Layer, ridge: float, max_steps: int = MAX_STEPS) -> Layer:
    """The layer with the largest expected log-likelihood minus ``ridge / 2 |V|^2``, by Newton's method with capped steps.

    All variables that have not converged take steps at once. The method ends when rounding errors of the log-likelihood hide
    the gain of further steps. The derivative in the direction of V, which the identity needs to be zero, is then zero to
    nearly all digits. With fewer steps the M-step gains, but is not exact.
    """
    ascent = _Ascent(regression, start, ridge)
    active = np.arange(len(ascent.V))
    for number in range(max_steps):
        step, gain = ascent.newton(active, ascent.rough if number < _ROUGH_STEPS else ascent.exact)
        active = active[ascent.move(active, step, gain) & (gain > ascent.noise[active])]
        if not active.size:
            break
    if max_steps == MAX_STEPS:
        ascent.finish()
    return Layer.split(ascent.V)


def complete_information(regression: Regression, layer: Layer, ridge: float) -> FloatArray:
    """Minus the Hessians of ``log_likelihood`` minus ``ridge / 2 |V|^2``, one for each variable; (D, H + 1, H + 1)."""
    hessians = _Hessians(regression.design, regression.counts, ridge, slice(None))
    return hessians.at(layer.joined, np.arange(len(layer.offsets)))


class _Ascent:
    """The state of the regressions of all variables: V, the gradients (D, H + 1) and the weighted sums of p (1 - p), (D,).

    Logits are formed when they are needed, for a few states at a time.
    """

    def __init__(self, regression: Regression, start: Layer, ridge: float) -> None:
        self._odds, self._moments, self._ridge = regression.odds, regression.moments, ridge
        self._design, self._counts = regression.design, regression.counts
        self._weight = self._counts.sum(axis=0)
        self.rough = _Hessians(self._design, self._counts, ridge, _heavy_states(regression))
        self.V = start.joined.copy()
        self._gradient, self._variance = self._slopes(self.V, np.arange(len(self.V)))
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
        expected, variance = np.zeros(V.shape), np.zeros(len(V))
        for states, p in self._odds.probabilities(Layer.split(V)):
            weighted = p * _of(self._counts[states], columns)
            expected += weighted.T @ self._design[states]
            np.subtract(1.0, p, out=p)
            variance += np.einsum("sd,sd->d", weighted, p)
        return self._moments[columns] - expected - self._ridge * V, variance

    def newton(self, columns: Array, hessians: _Hessians) -> tuple[FloatArray, FloatArray]:
        """Newton steps of some variables, and twice their expected gains.

        The Hessian of an earlier step is reused as long as each step shrinks the expected gain enough.
        """
        gradient, last = self._gradient[columns], self._last_gain[columns]
        step, gain = np.empty_like(gradient), np.empty(len(columns))
        slow = last == 0.0
        if not slow.all():
            step[~slow], gain[~slow] = self._solve(columns[~slow], gradient[~slow])
            slow[~slow] = gain[~slow] > _CONTRACTION * last[~slow]
        if slow.any():
            self._update_curvature(columns[slow], hessians)
            step[slow], gain[slow] = self._solve(columns[slow], gradient[slow])
        self._last_gain[columns] = gain
        return step, gain

    def _update_curvature(self, columns: Array, hessians: _Hessians) -> None:
        self._curvature[columns] = hessians.at(self.V[columns], columns, self._variance[columns])

    def _solve(self, columns: Array, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
        step = np.linalg.solve(self._curvature[columns], gradient[:, :, np.newaxis])[:, :, 0]
        return step, (gradient * step).sum(axis=1)

    def move(self, columns: Array, step: FloatArray, gain: FloatArray) -> Array:
        """Take the steps, shortened until the objective does not fall, and return which were taken."""
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
        """The largest change of a logit by each step; below ``_SAFE_STEP`` an upper bound of it."""
        up = np.maximum(step[:, :-1], 0.0).sum(axis=1) + step[:, -1]
        down = np.minimum(step[:, :-1], 0.0).sum(axis=1) + step[:, -1]
        longest = np.maximum(up, -down)
        far = np.flatnonzero(longest > _SAFE_STEP)
        if far.size:
            changes = (np.abs(self._design[s] @ step[far].T) for s in in_cache(len(self._design), len(far)))
            longest[far] = np.max([change.max(axis=0) for change in changes], axis=0)
        return np.asarray(longest)

    def _try(self, columns: Array, step: FloatArray, allowed: FloatArray) -> Array:
        """Take the steps that do not lower the objective, and return which they are.

        A concave objective gains at least its slope at the end of a step if that is positive, and loses at most its absolute
        value if it is negative. If the loss is within ``allowed``, the step still gains. Otherwise objectives are compared.
        """
        V = self.V[columns] + step
        gradient, variance = self._slopes(V, columns)
        slope = (gradient * step).sum(axis=1)
        good = slope >= -np.maximum(allowed, self.noise[columns])
        unsure = np.flatnonzero(~good)
        if unsure.size:
            of = columns[unsure]
            good[unsure] = self._objective(V[unsure], of) >= self._objective(self.V[of], of) - self.noise[of]
        self._accept(columns[good], V[good], gradient[good], variance[good])
        return good

    def _accept(self, columns: Array, V: FloatArray, gradient: FloatArray, variance: FloatArray) -> None:
        self.V[columns], self._gradient[columns], self._variance[columns] = V, gradient, variance

    def finish(self) -> None:
        """Newton steps below the precision of the log-likelihood, as long as they shrink a gradient that is not yet zero.

        The first steps reuse the last Hessians; the others use new ones.
        """
        enough, noise = _CLOSE * self._weight, self.noise.copy()
        for hessians in (*[None] * _OLD_STEPS, self.rough, self.exact, self.exact):
            open_ = np.flatnonzero(np.abs(self._gradient * self.V).sum(axis=1) > enough)
            if not open_.size:
                break
            if hessians is not None:
                self._update_curvature(open_, hessians)
            before = self._gradient[open_]
            step = self._solve(open_, before)[0]
            V = self.V[open_] + step
            gradient, variance = self._slopes(V, open_)
            # A concave objective loses no more than this.
            loss = np.maximum(-(gradient * step).sum(axis=1), 0.0)
            better = (np.linalg.norm(gradient, axis=1) < np.linalg.norm(before, axis=1)) & (loss <= noise[open_])
            noise[open_[better]] -= loss[better]
            self._accept(open_[better], V[better], gradient[better], variance[better])


def _heavy_states(regression: Regression) -> Array | slice:
    """The states that carry nearly all of the weight of each unit, on or off, if they are few; otherwise all states.

    The importance of a state is its largest share of the weight of any one unit that is on, or off.
    """
    weight, states = regression.counts.sum(axis=1), regression.states
    share = weight / weight.sum()
    for there in (states == 1, states == 0):
        share = np.maximum(share, weight * (there / np.maximum(weight @ there, 1e-300)).max(axis=1))
    order = np.argsort(-share)
    n_heavy = int(np.searchsorted(np.cumsum(share[order]), _HEAVY * share.sum())) + 1
    return np.sort(order[:n_heavy]) if 2 * n_heavy < len(weight) else slice(None)


class _Hessians:
    """Minus the Hessians of the variables, from all states, or from some states and scaled to the curvature of all."""

    def __init__(self, design: FloatArray, counts: FloatArray, ridge: float, kept: Array | slice) -> None:
        self.kept, self._ridge = kept, ridge
        self._design, self._counts, self._weight = design[kept], counts[kept], counts.sum(axis=0)
        self._odds = Odds(self._design[:, :-1])
        self._upper = np.triu_indices(design.shape[1])

    @cached_property
    def _pairs(self) -> FloatArray | None:
        """Products of all pairs of columns of the design, (pairs, S); None if there are too many."""
        if len(self._design) * len(self._upper[0]) > _MOST_PRODUCTS:
            return None
        columns = np.ascontiguousarray(self._design.T)
        products: FloatArray = np.empty((len(self._upper[0]), columns.shape[1]))
        start = 0
        for i in range(len(columns)):
            end = start + len(columns) - i
            np.multiply(columns[i:], columns[i], out=products[start:end])
            start = end
        return products

    def at(self, V: FloatArray, columns: Array, variance: FloatArray | None = None) -> FloatArray:
        """The Hessians of some variables at V (..., H + 1); ``variance`` is the sum of p (1 - p) over weighted states."""
        curvature = np.empty((len(self._design), len(columns)))
        for states, p in self._odds.probabilities(Layer.split(V)):
            np.multiply(_of(self._counts[states], columns), p * (1.0 - p), out=curvature[states])
        hessian = self._by_unit(curvature) if self._pairs is None else self._by_pair(curvature, self._pairs)
        if variance is not None:
            hessian *= (variance / np.maximum(curvature.sum(axis=0), 1e-300))[:, np.newaxis, np.newaxis]
        diagonal = np.einsum("dhh->dh", hessian)
        # Without a ridge, separated columns and states without weight have no curvature.
        weight = np.broadcast_to(_of(self._weight, columns), len(columns))[:, np.newaxis]
        diagonal += self._ridge + 1e-10 * diagonal.mean(axis=1, keepdims=True) + _LEAST_CURVATURE * weight + 1e-100
        return hessian

    def _by_pair(self, curvature: FloatArray, pairs: FloatArray) -> FloatArray:
        hessian = np.empty((curvature.shape[1], *self._design.shape[1:] * 2))
        packed = (pairs @ curvature).T
        hessian[:, self._upper[0], self._upper[1]] = packed
        hessian[:, self._upper[1], self._upper[0]] = packed
        return hessian

    def _by_unit(self, curvature: FloatArray) -> FloatArray:
        """Row by row, each from the states in which its unit is on, which are few where states are sparse."""
        hessian = np.empty((curvature.shape[1], *self._design.shape[1:] * 2))
        for unit, column in enumerate(self._design.T):
            on = np.flatnonzero(column)
            row = curvature[on].T @ self._design[on, unit:]
            hessian[:, unit, unit:] = row
            hessian[:, unit:, unit] = row
        return hessian


def _of(counts: FloatArray, columns: Array) -> FloatArray:
    """The counts of some variables, from counts (..., D) or (..., 1)."""
    return counts if counts.shape[-1] == 1 else counts[..., columns]
