"""The end of a fit by EM: a quasi-Newton method on the observed likelihood, and a check of its curvature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from .._em import End, Evaluate, State, climb, em_eigenpair, leave_saddle, rounding_error, run_em
from .._typing import Array, FloatArray
from ._em_model import ON_FLOOR, GaussianModel, GaussianStatistics, StandardisedData
from ._gaussian import LinearGaussian

_MAX_ITERATIONS = 500
_CORRECTIONS = 20
# EM hands over to the quasi-Newton method when the estimated gain still to come, in nats per sample, is this, or after
# MOST_STEPS steps.
LEFT_OVER = 1e-5
MOST_STEPS = 200
_MOST_CLIMBS = 4
_SETTLING_STEPS = 3
# A falling noise variance below this share is tried at the floor.
_LOW = 0.02
# The search may try any noise; larger logarithms of it would overflow.
_LARGEST_LOG_NOISE = 50.0
# A feature with less noise than this share of its variance determines the factors exactly.
_NEXT_TO_NOTHING = 1e-6
# The length of differences of the gradient, in units in which the complete data's information of one row is one.
_DIFFERENCE = 1e-4
# A direction that EM stretches by more is tried.
_TRIED = 1.0 + 1e-5


class Finish:
    """Refines the state at which EM has converged; the result is no worse.

    Parameters
    ----------
    data : StandardisedData
    tol : float
    accelerate : bool
        Whether the quasi-Newton method may move the fit. Otherwise it only decides whether EM has to continue.
    """

    def __init__(self, data: StandardisedData, tol: float, *, accelerate: bool) -> None:
        self._model, self._expect, self._tol, self._accelerate = data.model, data.expect, tol, accelerate

    def climb(self, state: State, evaluate: Evaluate) -> End:
        """The best state from the quasi-Newton method or a restart from the floor; EM continues if more gain is to come."""
        best, at_end = self._climb(state, evaluate)
        floored = self._from_floor(best)
        best = floored if floored is not None and floored.objective > best.objective else best
        if self._accelerate:
            return End(self._settle(best, evaluate), goes_on=not at_end)
        noise = rounding_error(self._model, state.parameters, state.statistics)
        return End(state, goes_on=not at_end or best.objective > state.objective + max(self._tol, noise))

    def leave_saddle(self, state: State, evaluate: Evaluate) -> End:
        """The state, or, at a saddle point, a better state beside it from which EM continues."""
        around = Neighbourhood.of(self._model, state)
        noise = rounding_error(self._model, state.parameters, state.statistics)
        eigenpair = em_eigenpair(around, state, evaluate, len(around.origin), difference=_DIFFERENCE, central=True)
        return leave_saddle(around, state, evaluate, eigenpair, least_gain=noise, tried=_TRIED)

    def _climb(self, state: State, evaluate: Evaluate) -> tuple[State, bool]:
        """Repeat L-BFGS, each time in coordinates adapted to its start, until it gains less than tol."""
        for _ in range(_MOST_CLIMBS):
            higher = self._climb_once(state, evaluate)
            gained = higher.objective - state.objective
            if gained > 0.0:
                state = higher
            if gained < max(self._tol, rounding_error(self._model, state.parameters, state.statistics)):
                return state, True
        return state, False

    def _climb_once(self, state: State, evaluate: Evaluate) -> State:
        """One run of L-BFGS in coordinates in which the complete data's information is one, with the floors as bounds."""
        around = Neighbourhood.of(self._model, state)
        options = {"maxiter": _MAX_ITERATIONS, "maxcor": _CORRECTIONS, "gtol": 1e-10}
        return climb(around, evaluate, len(around.origin), options, bounds=around.bounds())

    def _settle(self, state: State, evaluate: Evaluate) -> State:
        """Take a few EM steps, which close most of the remaining gap between entropy sum and ELBO."""
        noise = rounding_error(self._model, state.parameters, state.statistics)
        for _ in range(_SETTLING_STEPS):
            after = evaluate(self._model.maximize(state.statistics))
            if not after.objective >= state.objective - noise:
                break
            state = after
        return state

    def _from_floor(self, state: State) -> State | None:
        """Put low, falling noise variances at their floors, and run EM from there; None if there are none.

        In the logarithm of the noise the likelihood is flat towards the floor.
        """
        p = state.parameters
        falling = (self._model.gradient(p, state.statistics)[1] < 0.0) & (p.noise < _LOW) & (p.noise > self._model.floor)
        if self._model.isotropic or not falling.any():
            return None
        floored = replace(p, noise=np.where(falling, self._model.floor, p.noise))
        return run_em(self._model, self._expect, floored, tol=self._tol, max_iter=MOST_STEPS).state


class _Vector:
    """Loadings and mean, (d, k + 1), and log noise as one vector; the gradient of the total log-likelihood in it."""

    def __init__(self, model: GaussianModel, like: LinearGaussian) -> None:
        self._model, self._like = model, like
        self.d, self.k = like.shape
        self.split = self.d * (self.k + 1)
        self.log_floor = np.log(model.floor[:1] if model.isotropic else model.floor)

    def pack(self, p: LinearGaussian) -> FloatArray:
        noise = p.noise[:1] if self._model.isotropic else p.noise
        return np.concatenate([np.column_stack([p.loadings, p.mean]).ravel(), np.log(noise)])

    def unpack(self, vector: FloatArray) -> LinearGaussian:
        coefficients = vector[: self.split].reshape(self.d, self.k + 1)
        noise = np.maximum(
            np.broadcast_to(np.exp(np.minimum(vector[self.split :], _LARGEST_LOG_NOISE)), self.d), self._model.floor
        )
        return replace(self._like, loadings=coefficients[:, : self.k], mean=coefficients[:, self.k], noise=noise)

    def gradient(self, state: State) -> FloatArray:
        in_coefficients, in_noise = self._model.gradient(state.parameters, state.statistics)
        in_log_noise = in_noise * state.parameters.noise
        if self._model.isotropic:
            in_log_noise = in_log_noise.sum(keepdims=True)
        return np.concatenate([in_coefficients.ravel(), in_log_noise])


@dataclass(frozen=True)
class _Metric:
    """The complete data's information, per sample, and coordinates z in which it is the unit matrix.

    Attributes
    ----------
    of_coefficients : ndarray of shape (d, k + 1, k + 1)
        W with W' A W = 1 for the information A of each feature's coefficients.
    of_log_noise : ndarray of shape (d,) or (1,)
    free : ndarray of shape (d,) or (1,)
        Which features have noticeable noise. The noise of the others does not move, since differences would be rounding
        errors.
    rotations : ndarray of shape (k (k - 1) / 2, size)
        Orthonormal directions of rotations, along which the likelihood does not change.
    """

    of_coefficients: FloatArray
    of_log_noise: FloatArray
    free: Array
    rotations: FloatArray

    @classmethod
    def at(cls, model: GaussianModel, coordinates: _Vector, state: State) -> _Metric:
        statistics: GaussianStatistics = state.statistics
        p, k = state.parameters, coordinates.k
        information = model.square(statistics.second, k) / model.total_weight / p.noise[:, np.newaxis, np.newaxis]
        root = np.linalg.cholesky(information)
        inverse = np.swapaxes(np.linalg.inv(root), 1, 2)
        weight = (model.feature_weight.sum(keepdims=True) if model.isotropic else model.feature_weight) / model.total_weight
        noise, floor = (p.noise[:1], model.floor[:1]) if model.isotropic else (p.noise, model.floor)
        of_log_noise = np.sqrt(2.0 / weight)
        turns = []
        for i in range(k):
            for j in range(i):
                turned = np.zeros((coordinates.d, k + 1))
                turned[:, i], turned[:, j] = p.loadings[:, j], -p.loadings[:, i]
                # z = W^-1 delta = root' delta
                turned = np.einsum("dts,dt->ds", root, turned)
                turns.append(np.concatenate([turned.ravel(), np.zeros(len(of_log_noise))]))
        basis = np.zeros((0, coordinates.split + len(of_log_noise)))
        if turns:
            _, singular, right = np.linalg.svd(np.stack(turns), full_matrices=False)
            basis = right[singular > 1e-10 * singular[0]]
        return cls(inverse, of_log_noise, noise > np.maximum(ON_FLOOR * floor, _NEXT_TO_NOTHING), basis)

    def direction(self, z: FloatArray) -> FloatArray:
        d, size, _ = self.of_coefficients.shape
        changed = np.einsum("dst,dt->ds", self.of_coefficients, z[: d * size].reshape(d, size))
        return np.concatenate([changed.ravel(), self.of_log_noise * z[d * size :]])

    def gradient(self, gradient: FloatArray) -> FloatArray:
        d, size, _ = self.of_coefficients.shape
        changed = np.einsum("dts,dt->ds", self.of_coefficients, gradient[: d * size].reshape(d, size))
        return np.concatenate([changed.ravel(), self.of_log_noise * gradient[d * size :]])

    def identified(self, z: FloatArray) -> FloatArray:
        d, size, _ = self.of_coefficients.shape
        coefficients = np.where(self.free[:, np.newaxis], z[: d * size].reshape(d, size), 0.0)
        z = np.concatenate([coefficients.ravel(), np.where(self.free, z[d * size :], 0.0)])
        return z - self.rotations.T @ (self.rotations @ z)


@dataclass(frozen=True)
class Neighbourhood:
    """Parameters around a state, in the coordinates of its metric."""

    coordinates: _Vector
    metric: _Metric
    origin: FloatArray
    total_weight: float

    @classmethod
    def of(cls, model: GaussianModel, state: State) -> Self:
        coordinates = _Vector(model, state.parameters)
        metric = _Metric.at(model, coordinates, state)
        return cls(coordinates, metric, coordinates.pack(state.parameters), model.total_weight)

    def parameters(self, z: FloatArray) -> LinearGaussian:
        return self.coordinates.unpack(self.origin + self.metric.direction(z))

    def bounds(self) -> list[tuple[float | None, float | None]]:
        """The least and largest z of each coordinate: log noise stays above its floor, and none moves if it is below."""
        split = self.coordinates.split
        low = (self.coordinates.log_floor - self.origin[split:]) / self.metric.of_log_noise
        return [(None, None)] * split + [(min(bound, 0.0), None) for bound in low.tolist()]

    def gradient(self, state: State) -> FloatArray:
        return self.metric.gradient(self.coordinates.gradient(state)) / self.total_weight

    def identified(self, z: FloatArray) -> FloatArray:
        return self.metric.identified(z)
