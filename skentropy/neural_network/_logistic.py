"""The M-step: independent logistic regressions of all variables of a layer on the states of the layer above."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
# Numbers in the products of pairs of columns that are formed at a time.
_CHUNK = 2**23
# The states that carry this share of the weight make a Hessian good enough to step with.
_HEAVY = 0.999
# Steps with such Hessians. What has not converged by then takes steps with all states.
_ROUGH_STEPS = 12
# A gradient that is less than this along V, per row, counts as zero.
_CLOSE = 1e-13
# Up to so many variables, one symmetric product for each costs less than the products of all pairs of a large design.
_FEW = 16
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
    successes : (S, D), the weight with which it was observed to be 1
    """

    states: FloatArray
    counts: FloatArray
    successes: FloatArray

    def log_likelihood(self, layer: Layer) -> float:
        """Expected log-likelihood of the layer, not divided by anything."""
        logits = layer.logits(self.states)
        return float((self.successes * logits).sum() - (self.counts * softplus(logits)).sum())

    def entropy(self, layer: Layer) -> float:
        """Expected entropy of the layer, not divided by anything; the last term of W(10)."""
        logits = layer.logits(self.states)
        return float((self.counts * (softplus(logits) - logits * expit(logits))).sum())

    def magnitude(self, layer: Layer) -> float:
        """Sum of the absolute values that ``log_likelihood`` adds up."""
        logits = layer.logits(self.states)
        return float((self.successes * np.abs(logits)).sum() + (self.counts * softplus(logits)).sum())

    def gradient(self, layer: Layer) -> FloatArray:
        """Derivative of ``log_likelihood`` with respect to V = [W, mu], (D, H + 1)."""
        residual = self.successes - self.counts * expit(layer.logits(self.states))
        return np.column_stack([residual.T @ self.states, residual.sum(axis=0)])


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
    design = np.column_stack([regression.states, np.ones(len(regression.states))])
    hessians = _Hessians(design, regression.counts, ridge, slice(None))
    return hessians.at(expit(layer.logits(regression.states)), np.arange(len(layer.offsets)))


class _Ascent:
    """Where the regressions of all variables are: V (D, H + 1), their logits (S, D) and their objectives (D,)."""

    def __init__(self, regression: Regression, start: Layer, ridge: float) -> None:
        self._regression, self._ridge = regression, ridge
        self._design = np.column_stack([regression.states, np.ones(len(regression.states))])
        self.rough = _Hessians(self._design, regression.counts, ridge, _states_that_matter(regression))
        self.V = start.joined.copy()
        self._logits = self._design @ self.V.T
        columns = np.arange(len(self.V))
        self._objective = self._objective_of(self.V, self._logits, columns)
        self.noise = _ROUNDING * (np.abs(self._objective) + regression.counts.sum(axis=0))
        self._curvature = np.empty((len(self.V), self.V.shape[1], self.V.shape[1]))
        self._last_gain = np.zeros(len(self.V))

    @cached_property
    def exact(self) -> _Hessians:
        """Hessians from all states."""
        if isinstance(self.rough.kept, slice):
            return self.rough
        return _Hessians(self._design, self._regression.counts, self._ridge, slice(None))

    def _objective_of(self, V: FloatArray, logits: FloatArray, columns: Array) -> FloatArray:
        counts, successes = _columns(self._regression.counts, columns), self._regression.successes[:, columns]
        fit = (successes * logits - counts * softplus(logits)).sum(axis=0)
        return np.asarray(fit - 0.5 * self._ridge * (V**2).sum(axis=1))

    def _gradient(self, p: FloatArray, columns: Array) -> FloatArray:
        residual = self._regression.successes[:, columns] - _columns(self._regression.counts, columns) * p
        return np.asarray(residual.T @ self._design - self._ridge * self.V[columns])

    def newton(self, columns: Array, hessians: _Hessians) -> tuple[FloatArray, FloatArray]:
        """Newton steps of some variables, and twice what they promise.

        A Hessian of an earlier step does as long as it brings the end much nearer with each.
        """
        p = expit(self._logits[:, columns])
        gradient, last = self._gradient(p, columns), self._last_gain[columns]
        step, gain = np.empty_like(gradient), np.empty(len(columns))
        slow = last == 0.0
        if not slow.all():
            step[~slow], gain[~slow] = self._solve(columns[~slow], gradient[~slow])
            slow[~slow] = gain[~slow] > _CONTRACTION * last[~slow]
        if slow.any():
            self._curvature[columns[slow]] = hessians.at(p[:, slow], columns[slow])
            step[slow], gain[slow] = self._solve(columns[slow], gradient[slow])
        self._last_gain[columns] = gain
        return step, gain

    def _solve(self, columns: Array, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
        step = np.linalg.solve(self._curvature[columns], gradient[:, :, np.newaxis])[:, :, 0]
        return step, (gradient * step).sum(axis=1)

    def move(self, columns: Array, step: FloatArray) -> Array:
        """Take as much of the steps as the objective allows; whether there was any."""
        along = self._design @ step.T
        share = np.minimum(1.0, _LONGEST_STEP / np.maximum(np.abs(along).max(axis=0), 1e-300))
        waiting = np.arange(len(columns))
        for _ in range(_HALVINGS):
            tried = columns[waiting]
            V = self.V[tried] + share[waiting, np.newaxis] * step[waiting]
            logits = self._logits[:, tried] + share[waiting] * along[:, waiting]
            values = self._objective_of(V, logits, tried)
            good = values >= self._objective[tried] - self.noise[tried]
            moved = tried[good]
            self.V[moved], self._logits[:, moved] = V[good], logits[:, good]
            self._objective[moved] = np.maximum(values[good], self._objective[moved])
            waiting = waiting[~good]
            if not waiting.size:
                break
            share[waiting] *= 0.5
        return np.isin(np.arange(len(columns)), waiting, invert=True)

    def close(self) -> None:
        """Newton steps where the log-likelihood can no longer tell, as long as the gradient falls and is not nothing."""
        columns, least = np.arange(len(self.V)), self._objective - self.noise
        self._logits = self._design @ self.V.T
        gradient = self._gradient(expit(self._logits), columns)
        enough = _CLOSE * self._regression.counts.sum(axis=0)
        for hessians in (self.rough, self.exact, self.exact):
            open_ = np.flatnonzero(np.abs(gradient * self.V).sum(axis=1) > enough)
            if not open_.size:
                break
            before = self.V[open_]
            self._curvature[open_] = hessians.at(expit(self._logits[:, open_]), open_)
            self.V[open_] = before + self._solve(open_, gradient[open_])[0]
            logits = self._design @ self.V[open_].T
            closer = self._gradient(expit(logits), open_)
            better = np.linalg.norm(closer, axis=1) < np.linalg.norm(gradient[open_], axis=1)
            better &= self._objective_of(self.V[open_], logits, open_) >= least[open_]
            self.V[open_[~better]] = before[~better]
            gradient[open_[better]], self._logits[:, open_[better]] = closer[better], logits[:, better]


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
        """The Hessians of some variables with probabilities p (S, ...)."""
        curvature = _columns(self._counts, columns) * (p * (1.0 - p))
        total = curvature.sum(axis=0)
        curvature = curvature[self.kept]
        hessian = self._one_by_one(curvature) if self._pairs is None and len(columns) <= _FEW else self._at_once(curvature)
        hessian *= (total / np.maximum(curvature.sum(axis=0), 1e-300))[:, np.newaxis, np.newaxis]
        diagonal = np.einsum("dhh->dh", hessian)
        # Where nothing bends, without a ridge: separated columns, states without weight.
        diagonal += self._ridge + 1e-10 * diagonal.mean(axis=1, keepdims=True) + 1e-100
        return hessian

    def _one_by_one(self, curvature: FloatArray) -> FloatArray:
        rooted = (self._design * root[:, np.newaxis] for root in np.sqrt(curvature).T)
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


def _columns(counts: FloatArray, columns: Array) -> FloatArray:
    return counts if counts.shape[1] == 1 else counts[:, columns]
