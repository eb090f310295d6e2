"""Score, complete information and missing information of a mixture (Louis 1982).

Directions are arrays of shape (K, 1 + P): for each component the logit of its weight, and its parameters' directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._data import Block
from .._typing import FloatArray
from ..families._base import LOG_ZERO, exp_or_zero
from ._components import ComponentMetric
from ._feature_metric import inverse_root
from ._model import MixtureModel, MixtureParameters, MixtureStatistics

# Square matrices of more parameters take gigabytes, and their eigenvalues hours.
MOST_PARAMETERS = 10_000
# Number of array entries that are processed at a time, so that they stay in the cache.
_CHUNK_ENTRIES = 2**18


def score(model: MixtureModel, parameters: MixtureParameters, statistics: MixtureStatistics) -> FloatArray:
    r"""Gradient of the objective times the total weight, by Fisher's identity.

    .. math::  \sum_n w_n q_n(c) - w \pi_c, \qquad \sum_n w_n q_n(c) \nabla \log p(x_n | c) + \nabla \log p(\theta)
    """
    of_weights = statistics.counts - statistics.weight * np.exp(parameters.log_weights)
    return np.column_stack([of_weights, model.components.score(parameters.components, statistics.components)])


def check_size(estimator: Any, model: MixtureModel, parameters: MixtureParameters) -> None:
    """Raise ValueError if standard errors would take square matrices of too many parameters."""
    n_parameters = len(parameters.log_weights) * (1 + model.components.n_directions(parameters.components))
    if n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"Standard errors of {type(estimator).__name__} take matrices of its {n_parameters} parameters, and at most "
            f"{MOST_PARAMETERS} are possible; skentropy.model_selection.bootstrap takes any number."
        )


def missing_information(model: MixtureModel, parameters: MixtureParameters, block: Block) -> FloatArray:
    r"""Covariance of the complete data's score given the observed data, summed over a block of rows; a square matrix.

    Let :math:`t_{nc}` be the score of component c for row n, averaged over the row's missing entries, and let :math:`r_n`
    be the vector of all :math:`q_n(c) [1, t_{nc}]`. The sum is

    .. math::  \operatorname{blockdiag}_c \sum_n w_n q_n(c) [1, t_{nc}] [1, t_{nc}]^T - \sum_n w_n r_n r_n^T,

    plus the scores' covariances over missing entries if these are latent variables.
    """
    n_components = len(parameters.log_weights)
    width = 1 + model.components.n_directions(parameters.components)
    total = np.zeros((n_components * width, n_components * width))
    for part, observations, q in _parts(model, parameters, block, len(total)):
        weight = part.row_weight
        latent = model.components.latent_information(parameters.components, observations, q * weight)
        root = np.sqrt(weight)
        r = np.empty((part.n_rows, n_components, width))
        for c, t in enumerate(model.components.row_scores(parameters.components, observations)):
            own = np.concatenate([np.ones((part.n_rows, 1)), t], axis=1)
            own *= root[:, np.newaxis]
            r[:, c] = q[c, :, np.newaxis] * own
            place = slice(c * width, (c + 1) * width)
            own *= np.sqrt(q[c, :, np.newaxis])
            total[place, place] += own.T @ own
            if latent is not None:
                total[place, place][1:, 1:] += latent[c]
        rows_of_r = r.reshape(part.n_rows, -1)
        total -= rows_of_r.T @ rows_of_r
    return total


def score_products(model: MixtureModel, parameters: MixtureParameters, block: Block, power: int) -> FloatArray:
    r"""Sum over a block of :math:`w_n^p s_n s_n^T` with the rows' observed scores; a square matrix.

    .. math::  s_n = (q_n(c) - \pi_c,\; q_n(c) t_{nc})_c
    """
    pi = np.exp(parameters.log_weights)
    width = 1 + model.components.n_directions(parameters.components)
    total = np.zeros((len(pi) * width, len(pi) * width))
    for part, observations, q in _parts(model, parameters, block, len(total)):
        s = np.empty((part.n_rows, len(pi), width))
        s[:, :, 0] = q.T - pi
        for c, t in enumerate(model.components.row_scores(parameters.components, observations)):
            s[:, c, 1:] = q[c, :, np.newaxis] * t
        if part.weight is not None:
            s *= (part.weight ** (0.5 * power))[:, np.newaxis, np.newaxis]
        rows = s.reshape(part.n_rows, -1)
        total += rows.T @ rows
    return total


def _parts(
    model: MixtureModel, parameters: MixtureParameters, block: Block, n_entries: int
) -> Iterator[tuple[Block, Any, FloatArray]]:
    """Parts of a block, their observations and responsibilities; the computation takes ``n_entries`` numbers for a row."""
    step = max(1, _CHUNK_ENTRIES // n_entries)
    for start in range(0, block.n_rows, step):
        part = block if step >= block.n_rows else block[start : start + step]
        observations = model.read(part)
        yield part, observations, exp_or_zero(model.posterior(parameters, observations)[1])


@dataclass(frozen=True)
class Metric:
    r"""The complete data's information at some parameters, and coordinates z in which it is the unit matrix.

    Directions are :math:`\delta = W z`. A parameter without a slope does not move, such as a probability of zero or one that
    a bound holds.

    Attributes
    ----------
    of_weights : ndarray of shape (K, K)
    of_components : ComponentMetric
    n_directions : int
        Number P of directions of one component's parameters.
    """

    of_weights: FloatArray
    of_components: ComponentMetric
    n_directions: int

    @classmethod
    def at(cls, model: MixtureModel, parameters: MixtureParameters, statistics: MixtureStatistics) -> Self:
        # Subnormal weights, which stand for zero, have too few digits.
        there = parameters.log_weights > LOG_ZERO
        pi, counts = np.where(there, np.exp(parameters.log_weights), 0.0), np.where(there, statistics.counts, 0.0)
        of_weights = statistics.weight * (np.diag(pi) - np.outer(pi, pi))
        of_components = model.components.metric(parameters.components, statistics.components, counts)
        return cls(inverse_root(of_weights), of_components, model.components.n_directions(parameters.components))

    def directions(self, z: FloatArray) -> FloatArray:
        """W z for an array of shape (K, 1 + P)."""
        return np.column_stack([self.of_weights @ z[:, 0], self.of_components.directions(z[:, 1:])])

    def gradient(self, score: FloatArray) -> FloatArray:
        """The score in the coordinates z, W' g."""
        return np.column_stack([self.of_weights.T @ score[:, 0], self.of_components.gradient(score[:, 1:])])

    def matrix(self) -> FloatArray:
        """W as a square matrix."""
        K, P = len(self.of_weights), self.n_directions
        W = np.zeros((K, 1 + P, K, 1 + P))
        W[:, 0, :, 0] = self.of_weights
        of_units = self.of_components.directions(np.eye(K * P).reshape(K * P, K, P))
        W[:, 1:, :, 1:] = np.moveaxis(of_units, 0, -1).reshape(K, P, K, P)
        return W.reshape(K * (1 + P), K * (1 + P))
