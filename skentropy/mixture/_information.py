"""What a mixture's likelihood looks like around its parameters: score, complete and missing information (Louis 1982).

Directions are arrays of shape (K, 1 + S D): of each component the logit of its weight and its natural parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .._data import Block
from .._typing import Array, FloatArray, Matrix
from ._model import MixtureModel, MixtureParameters, MixtureStatistics, Observations

# Rows are taken so many at a time that what is made of them stays in the cache.
_CHUNK_ENTRIES = 2**18
# Directions of less complete information than this share of a block's largest are none: sums of probabilities.
_RANK = 1e-11
# What has less information than this share of the largest is held: probabilities that are zero, components that are empty.
_NEGLIGIBLE = 1e-40


def score(model: MixtureModel, parameters: MixtureParameters, statistics: MixtureStatistics) -> FloatArray:
    r"""Gradient of the objective times the total weight, by Fisher's identity.

    .. math::  \sum_n w_n q_n(c) - w \pi_c, \qquad \sum_n w_n q_n(c) (T(x_n) - s_n m_c) + \nu (\bar T - m_c)
    """
    eta_score = _centred_sums(model, parameters, statistics)
    weight_score = statistics.counts - statistics.weight * np.exp(parameters.log_weights)
    return join(weight_score, eta_score)


def _centred_sums(model: MixtureModel, parameters: MixtureParameters, statistics: MixtureStatistics) -> FloatArray:
    mean = model.family.mean(parameters.eta)
    sums = statistics.sums - statistics.exposures * mean
    if model.prior_counts:
        sums = sums + model.prior_counts * (np.expand_dims(model.pooled, -2) - mean)
    return sums


def join(of_weights: FloatArray, of_eta: FloatArray) -> FloatArray:
    """A direction, from its parts of shapes (K,) and (S, K, D)."""
    return np.column_stack([of_weights, np.moveaxis(of_eta, 1, 0).reshape(len(of_weights), -1)])


def split(direction: FloatArray, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """The parts of a direction for natural parameters of a shape (S, K, D)."""
    n_statistics, n_components, n_features = shape
    of_eta = direction[:, 1:].reshape(n_components, n_statistics, n_features)
    return direction[:, 0], np.moveaxis(of_eta, 0, 1)


def missing_information(model: MixtureModel, parameters: MixtureParameters, block: Block) -> FloatArray:
    r"""Covariance of the complete data's score given the observed, summed over a block of rows; a square matrix.

    With :math:`t_{nc} = m_n (T(x_n) - s_n m_c)` and :math:`r_n` all :math:`q_n(c) [1, t_{nc}]` in a row it is

    .. math::  \operatorname{blockdiag}_c \sum_n w_n q_n(c) [1, t_{nc}] [1, t_{nc}]^T - \sum_n w_n r_n r_n^T.
    """
    observations = model.observe(block)
    q = np.exp(model.posterior(parameters, observations)[1])
    mean = model.family.mean(parameters.eta)
    n_statistics, n_components, n_features = mean.shape
    width = 1 + n_statistics * n_features
    total = np.zeros((n_components * width, n_components * width))
    step = max(1, _CHUNK_ENTRIES // (n_components * width))
    for start in range(0, block.n_rows, step):
        rows = slice(start, min(start + step, block.n_rows))
        n_rows = rows.stop - rows.start
        T = np.stack([_dense(statistic, rows) for statistic in observations.statistics], axis=1)
        expected = _seen(observations, rows)
        root = np.ones(n_rows) if block.weight is None else np.sqrt(block.weight[rows])
        r = np.empty((n_rows, n_components, width))
        for c in range(n_components):
            t = T - mean[:, c] * expected
            own = np.concatenate([np.ones((n_rows, 1)), t.reshape(n_rows, -1)], axis=1)
            own *= root[:, np.newaxis]
            r[:, c] = q[c, rows, np.newaxis] * own
            place = slice(c * width, (c + 1) * width)
            own *= np.sqrt(q[c, rows, np.newaxis])
            total[place, place] += own.T @ own
        r = r.reshape(n_rows, -1)
        total -= r.T @ r
    return total


def _dense(T: Matrix, rows: slice) -> Array:
    return T[rows].toarray() if sparse.issparse(T) else T[rows]


def _seen(observations: Observations, rows: slice) -> Array:
    """s_n m_nd, which broadcasts against (n_rows, S, D)."""
    exposure, observed = observations.exposure, observations.observed
    seen = np.ones((1, 1, 1)) if exposure is None else exposure[rows, np.newaxis, np.newaxis]
    if observed is None:
        return seen
    mask = 1.0 - observed[rows].toarray() if sparse.issparse(observed) else observed[rows]
    return seen * mask[:, np.newaxis]


@dataclass(frozen=True)
class Metric:
    r"""The complete data's information at some parameters, and coordinates z in which it is the unit matrix.

    Natural parameters change by :math:`\delta = W z`, logits of weights likewise. What has no slope, a probability of zero
    or a parameter that is held by a bound, does not change.

    Attributes
    ----------
    of_weights : ndarray of shape (K, K)
    of_eta : ndarray of shape (K, D, S, S)
    """

    of_weights: FloatArray
    of_eta: FloatArray

    @classmethod
    def at(cls, model: MixtureModel, parameters: MixtureParameters, statistics: MixtureStatistics) -> Metric:
        family, eta = model.family, parameters.eta
        pi = np.exp(parameters.log_weights)
        of_weights = statistics.weight * (np.diag(pi) - np.outer(pi, pi))
        seen = statistics.exposures + model.prior_counts
        information = np.moveaxis(family.covariance(eta) * seen, (0, 1), (-2, -1))
        held = family.at_bound(eta) | (seen <= 0.0) | (statistics.counts <= 0.0)[:, np.newaxis]
        information = np.where(held[..., np.newaxis, np.newaxis], 0.0, information)
        return cls(_inverse_root(of_weights), _inverse_root(information))

    def directions(self, z: FloatArray) -> FloatArray:
        """W z for an array of shape (K, 1 + S D)."""
        n_statistics = self.of_eta.shape[-1]
        of_eta = z[:, 1:].reshape(len(z), n_statistics, -1)
        changed = np.einsum("cdst,ctd->csd", self.of_eta, of_eta)
        return np.column_stack([self.of_weights @ z[:, 0], changed.reshape(len(z), -1)])

    def gradient(self, score: FloatArray) -> FloatArray:
        """The score in the coordinates z, W' g."""
        n_statistics = self.of_eta.shape[-1]
        of_eta = score[:, 1:].reshape(len(score), n_statistics, -1)
        changed = np.einsum("cdts,ctd->csd", self.of_eta, of_eta)
        return np.column_stack([self.of_weights.T @ score[:, 0], changed.reshape(len(score), -1)])

    def matrix(self) -> FloatArray:
        """W as a square matrix."""
        n_components, n_features, n_statistics, _ = self.of_eta.shape
        width = 1 + n_statistics * n_features
        W = np.zeros((n_components, width, n_components, width))
        W[:, 0, :, 0] = self.of_weights
        blocks = np.zeros((n_components, n_statistics, n_features, n_statistics, n_features))
        d = np.arange(n_features)
        blocks[:, :, d, :, d] = np.moveaxis(self.of_eta, 1, 0)
        c = np.arange(n_components)
        W[c, 1:, c, 1:] = blocks.reshape(n_components, width - 1, width - 1)
        return W.reshape(n_components * width, n_components * width)


def _inverse_root(information: FloatArray) -> FloatArray:
    """W with W' A W the unit matrix on the range of each A, for an array of them; zero elsewhere."""
    diagonal = np.einsum("...ss->...s", information)
    free = diagonal > _NEGLIGIBLE * diagonal.max()
    scale = np.where(free, 1.0 / np.sqrt(np.where(free, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(scale[..., np.newaxis] * information * scale[..., np.newaxis, :])
    free = values > _RANK * values[..., -1:]
    inverse = np.where(free, 1.0 / np.sqrt(np.where(free, values, 1.0)), 0.0)
    return scale[..., np.newaxis] * vectors * inverse[..., np.newaxis, :]
