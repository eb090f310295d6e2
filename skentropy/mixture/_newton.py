"""Saddle-free Newton steps on a mixture's likelihood (Dauphin et al. 2014), where they are worth their cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._em import Evaluate, State
from .._typing import FloatArray
from ._information import MOST_PARAMETERS, Metric, score
from ._model import MixtureModel, MixtureParameters

# Damping, in units in which the complete data's information is one: its first and least values, and the factor of a change.
_DAMPING = 1e-2
_LEAST_DAMPING = 1e-10
_DAMPING_FACTOR = 10.0
# The longest step of a logit.
_LONGEST_STEP = 5.0
_HALVINGS = 8
# The expected number of Newton steps of a fit, and the largest cost of a single look at the curvature, in EM steps.
_EXPECTED_STEPS = 10
_DEAREST_LOOK = 20.0
# The least number of EM steps that each Newton step saves.
_SPARED = 3.0


@dataclass(frozen=True)
class Curvature:
    """The observed information at some parameters, in coordinates in which the complete data's is the unit matrix.

    Attributes
    ----------
    metric : Metric
    gradient : ndarray of shape (M,)
    values, vectors : ndarray of shape (M,), (M, M)
        Eigenvalues of the observed information, at most one, in descending order. Along a vector each EM step multiplies the
        distance to a maximum by one minus the eigenvalue; a negative eigenvalue is upward curvature.
    total : float
        Total weight of the rows.
    """

    metric: Metric
    gradient: FloatArray
    values: FloatArray
    vectors: FloatArray
    total: float

    @classmethod
    def at(
        cls,
        model: MixtureModel,
        missing_information: Callable[[MixtureParameters], FloatArray],
        state: State,
        metric: Metric | None = None,
    ) -> Curvature | None:
        """The curvature at a state; None if the information is not finite. The metric can be given if it is known."""
        metric = metric or Metric.at(model, state.parameters, state.statistics)
        W = metric.matrix()
        missing = W.T @ missing_information(state.parameters) @ W
        gradient = metric.gradient(score(model, state.parameters, state.statistics)).ravel()
        if not (np.isfinite(missing).all() and np.isfinite(gradient).all()):
            return None
        shares, vectors = np.linalg.eigh(missing)
        return cls(metric, gradient, 1.0 - shares, vectors, state.statistics.weight)

    @cached_property
    def _slopes(self) -> FloatArray:
        """Of the objective along the eigenvectors."""
        return np.asarray(self.vectors.T @ self.gradient)

    @property
    def remaining_gain(self) -> float:
        """Gain of a quadratic objective up to its maximum, nats per sample: half the squared Newton decrement."""
        return 0.5 * float((self._slopes**2 / np.maximum(np.abs(self.values), _LEAST_DAMPING)).sum()) / self.total

    def step(self, damping: float) -> FloatArray:
        """Saddle-free Newton step, a direction (K, 1 + P)."""
        return self.direction(self.vectors @ (self._slopes / (np.abs(self.values) + damping)))

    def direction(self, z: FloatArray) -> FloatArray:
        """The direction (K, 1 + P) along a vector z."""
        return self.metric.directions(z.reshape(len(self.metric.of_weights), -1))


class NewtonSteps:
    """Proposals for the engine; ``missing_information`` is a pass over the data.

    Parameters
    ----------
    model : MixtureModel
    missing_information : callable
        Parameters -> square matrix, over all data.
    n_rows : int
    n_components, n_directions : int
        Number of components, and of the directions of one component's parameters.
    """

    def __init__(
        self,
        model: MixtureModel,
        missing_information: Callable[[MixtureParameters], FloatArray],
        n_rows: int,
        n_components: int,
        n_directions: int,
    ) -> None:
        self._model = model
        self._missing_information = missing_information
        self._cost = _relative_cost(n_rows, n_components, n_directions)
        self._damping = _DAMPING
        self._latest: tuple[float, Curvature] | None = None

    @property
    def look_pays(self) -> bool:
        """Whether a single look at the curvature is cheap compared with the rest of a fit."""
        return self._cost <= _DEAREST_LOOK

    def pays(self, n_steps: int) -> bool:
        # Rent or buy: renting until the rent equals the price costs at most twice the optimum.
        return n_steps >= _EXPECTED_STEPS * (self._cost - _SPARED)

    def curvature(self, state: State, metric: Metric | None = None) -> Curvature | None:
        return Curvature.at(self._model, self._missing_information, state, metric)

    def latest(self, objective: float, within: float) -> Curvature | None:
        """The curvature at the last proposal, if the objective there differs by at most ``within`` nats."""
        if self._latest is None or not abs(objective - self._latest[0]) <= within:
            return None
        return self._latest[1]

    def forget(self) -> None:
        """Forget the curvature at the last proposal, since the state has moved."""
        self._latest = None

    def propose(self, state: State, evaluate: Evaluate) -> tuple[MixtureParameters | None, float]:
        curvature = self.curvature(state)
        if curvature is None:
            return None, np.inf
        self._latest = state.objective, curvature
        direction = curvature.step(self._damping)
        stride = self._model.components.stride(state.parameters.components, direction[:, 1:])
        share = _LONGEST_STEP / max(float(np.abs(direction[:, 0]).max()), stride, _LONGEST_STEP)
        for _ in range(_HALVINGS):
            moved = self._model.moved(state.parameters, share * direction)
            if moved is not None:
                return moved, curvature.remaining_gain
            share /= 2.0
        return None, curvature.remaining_gain

    def keep(self) -> None:
        self._damping = max(self._damping / _DAMPING_FACTOR, _LEAST_DAMPING)

    def refuse(self) -> None:
        self._damping *= _DAMPING_FACTOR


def _relative_cost(n_rows: int, n_components: int, n_entries: int) -> float:
    """Cost of a Newton step in EM steps, from measured times in nanoseconds: calls, passes over rows, eigenvalues.

    It is infinite for matrices that would take gigabytes.
    """
    n_parameters = n_components * (1 + n_entries)
    if n_parameters > MOST_PARAMETERS:
        return np.inf
    em = 8e4 + n_rows * n_components * (0.17 * n_entries + 5.0)
    information = 1.5e5 + n_rows * n_parameters * (10.0 + 0.022 * n_parameters)
    eigenvalues = n_parameters**2 * (50.0 + 0.22 * n_parameters)
    return (information + eigenvalues) / em
