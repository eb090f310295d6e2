"""The metric of the complete data: coordinates in which EM's steps are gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

from .._em import State
from .._typing import FloatArray
from ._exact import NetStatistics
from ._logistic import complete_information
from ._model import BeliefNetModel, Parameters

# Information that is added per row. It is too small to change the sign of a curvature, but bounds the steps.
_LEAST = 1e-6


class Metric:
    """Coordinates in which the complete data's information per row is one, and the EM map is symmetric.

    Parameters
    ----------
    model : BeliefNetModel
    statistics : NetStatistics
        The metric is computed at the statistics' net, with their posteriors.
    """

    def __init__(self, model: BeliefNetModel, statistics: NetStatistics) -> None:
        net, weight = statistics.at, statistics.weight
        p = expit(net.prior_logits)
        self._roots = np.sqrt(p * (1.0 - p) + _LEAST)
        self._inverses = []
        for regression, layer in zip(statistics.regressions, net.layers, strict=True):
            information = complete_information(regression, layer, model.alpha) / weight
            information += _LEAST * np.eye(information.shape[1])
            self._inverses.append(np.linalg.inv(np.linalg.cholesky(information)))

    def gradient(self, gradient: FloatArray) -> FloatArray:
        """Transform a gradient to the coordinates z."""
        return self._times(gradient, transposed=False)

    def direction(self, z: FloatArray) -> FloatArray:
        """Transform a direction z to one of the parameters."""
        return self._times(z, transposed=True)

    def _times(self, vector: FloatArray, *, transposed: bool) -> FloatArray:
        start = len(self._roots)
        parts = [vector[:start] / self._roots]
        for inverse in self._inverses:
            n_variables, n_weights, _ = inverse.shape
            part = vector[start : start + n_variables * n_weights].reshape(n_variables, n_weights)
            matrix = inverse.swapaxes(1, 2) if transposed else inverse
            parts.append(np.matmul(matrix, part[:, :, np.newaxis]).ravel())
            start += part.size
        return np.concatenate(parts)


@dataclass(frozen=True)
class Neighbourhood:
    """Parameters around a state, in the coordinates of its metric."""

    model: BeliefNetModel
    state: State
    metric: Metric
    origin: FloatArray

    @classmethod
    def of(cls, model: BeliefNetModel, state: State) -> Self:
        return cls(model, state, Metric(model, state.statistics), state.parameters.net.pack())

    def parameters(self, z: FloatArray) -> Parameters:
        return parameters_at(self.state, self.origin + self.metric.direction(z))

    def gradient(self, state: State) -> FloatArray:
        return self.metric.gradient(self.model.gradient(state.statistics))

    def identified(self, z: FloatArray) -> FloatArray:
        return z


def parameters_at(state: State, vector: FloatArray) -> Parameters:
    """Parameters of a net of the same shape; a truncated posterior keeps its states."""
    return Parameters(state.parameters.net.unpack(vector), state.statistics.states, keeps_states=True)
