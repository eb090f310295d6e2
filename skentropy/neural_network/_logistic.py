"""The M-step: independent logistic regressions of all variables of a layer on the states of the layer above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from .._typing import Array, FloatArray
from ._layers import Layer, softplus

# Steps are shortened until no logit moves further than this.
_LONGEST_STEP = 8.0
_MAX_STEPS = 100
_HALVINGS = 30
# A Hessian is formed anew where a step with the last one promises more than this share of what the step before did.
_CONTRACTION = 0.05
# Numbers in the products of pairs of columns that are formed at a time.
_CHUNK = 2**23
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


def maximize(regression: Regression, start: Layer, ridge: float) -> Layer:
    """The layer with the largest expected log-likelihood less ``ridge / 2 |V|^2``, by Newton's method with capped steps.

    All variables at once, those that have converged left out. It ends where the rounding of the log-likelihood hides what
    further steps would bring, so that the derivative in the direction of V, which the identity needs to be zero, is zero
    to nearly all digits.
    """
    design = np.column_stack([regression.states, np.ones(len(regression.states))])
    V = start.joined.copy()
    n_columns = design.shape[1]
    hessians = np.empty((len(V), n_columns, n_columns))
    last_gain = np.zeros(len(V))
    active = np.arange(len(V))
    best = _objective(regression, design, V, active, ridge)
    noise = _ROUNDING * (np.abs(best) + regression.counts.sum(axis=0))
    for _ in range(_MAX_STEPS):
        p = expit(design @ V[active].T)
        counts = _columns(regression.counts, active)
        gradient = (regression.successes[:, active] - counts * p).T @ design - ridge * V[active]
        step = np.zeros_like(gradient)
        gain = np.zeros(len(active))
        fresh = last_gain[active] == 0.0
        for _ in range(2):
            # A Hessian of an earlier step does as long as it brings the end much nearer with each.
            if fresh.any():
                curvature = np.broadcast_to(counts, p.shape)[:, fresh] * (p * (1.0 - p))[:, fresh]
                hessians[active[fresh]] = _hessians(design, curvature, ridge)
            step = np.linalg.solve(hessians[active], gradient[:, :, np.newaxis])[:, :, 0]
            gain = (gradient * step).sum(axis=1)
            fresh = (gain > _CONTRACTION * last_gain[active]) & (last_gain[active] > 0.0)
            if not fresh.any():
                break
        last_gain[active] = gain
        share = np.minimum(1.0, _LONGEST_STEP / np.maximum(np.abs(design @ step.T).max(axis=0), 1e-300))
        values = np.full(len(active), -np.inf)
        waiting = np.ones(len(active), dtype=bool)
        trial = V[active]
        for _ in range(_HALVINGS):
            trial[waiting] = V[active[waiting]] + share[waiting, np.newaxis] * step[waiting]
            values[waiting] = _objective(regression, design, trial[waiting], active[waiting], ridge)
            waiting &= ~(values >= best[active] - noise[active])
            if not waiting.any():
                break
            share[waiting] *= 0.5
        improved = ~waiting
        V[active[improved]] = trial[improved]
        best[active[improved]] = np.maximum(values[improved], best[active[improved]])
        active = active[improved & (gain > noise[active])]
        if not active.size:
            break
    return Layer.split(_closing_step(regression, design, V, best - noise, ridge))


def _closing_step(regression: Regression, design: FloatArray, V: FloatArray, least: FloatArray, ridge: float) -> FloatArray:
    """One Newton step with exact Hessians where the log-likelihood can no longer tell: it squares what error is left."""
    p = expit(design @ V.T)
    gradient = (regression.successes - regression.counts * p).T @ design - ridge * V
    hessians = _hessians(design, regression.counts * p * (1.0 - p), ridge)
    closer = V + np.linalg.solve(hessians, gradient[:, :, np.newaxis])[:, :, 0]
    kept = _objective(regression, design, closer, np.arange(len(V)), ridge) >= least
    return np.where(kept[:, np.newaxis], closer, V)


def _columns(counts: FloatArray, active: Array) -> FloatArray:
    return counts if counts.shape[1] == 1 else counts[:, active]


def _objective(regression: Regression, design: FloatArray, V: FloatArray, active: Array, ridge: float) -> FloatArray:
    logits = design @ V.T
    fit = (regression.successes[:, active] * logits - _columns(regression.counts, active) * softplus(logits)).sum(axis=0)
    return np.asarray(fit - 0.5 * ridge * (V**2).sum(axis=1))


def _hessians(design: FloatArray, curvature: FloatArray, ridge: float) -> FloatArray:
    """Minus each variable's Hessian, for curvatures (S, D)."""
    n_columns = design.shape[1]
    upper = np.triu_indices(n_columns)
    packed = np.zeros((curvature.shape[1], len(upper[0])))
    for rows in _chunks(len(design), len(upper[0])):
        pairs = design[rows][:, upper[0]] * design[rows][:, upper[1]]
        packed += curvature[rows].T @ pairs
    hessian = np.empty((len(packed), n_columns, n_columns))
    hessian[:, upper[0], upper[1]] = packed
    hessian[:, upper[1], upper[0]] = packed
    diagonal = hessian[:, np.arange(n_columns), np.arange(n_columns)]
    # Where nothing bends, without a ridge: separated columns, states without weight.
    slack = ridge + 1e-10 * diagonal.mean(axis=1, keepdims=True) + 1e-100
    hessian[:, np.arange(n_columns), np.arange(n_columns)] = diagonal + slack
    return hessian


def _chunks(n: int, width: int) -> Iterator[slice]:
    step = max(_CHUNK // width, 1)
    return (slice(start, start + step) for start in range(0, n, step))
