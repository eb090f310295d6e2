"""The complete data's information about independent features, and coordinates in which it is the unit matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._typing import FloatArray
from ..families import ExponentialFamily

# A direction with less than this share of a block's largest information is a constraint, such as the sum of probabilities.
_RANK = 1e-11
# A parameter with less than this share of the largest information is held, such as that of an empty component.
_NEGLIGIBLE = 1e-40


@dataclass(frozen=True)
class FeatureMetric:
    """The metric of the natural parameters of K components and D features with S statistics.

    Parameters with no effect, such as that of a probability of zero, and parameters held by a bound do not move.

    Attributes
    ----------
    roots : ndarray of shape (K, D, S, S)
    """

    roots: FloatArray

    @classmethod
    def at(cls, family: ExponentialFamily, eta: FloatArray, seen: FloatArray, counts: FloatArray) -> Self:
        """The metric at natural parameters; ``seen`` counts a component's entries of each feature, ``counts`` its rows."""
        information = (family.covariance(eta) * seen).transpose(2, 3, 0, 1)
        held = family.at_bound(eta) | (seen <= 0.0) | (counts <= 0.0)[:, np.newaxis]
        return cls(inverse_root(np.where(held[..., np.newaxis, np.newaxis], 0.0, information)))

    def directions(self, z: FloatArray) -> FloatArray:
        n_statistics = self.roots.shape[-1]
        changed = np.einsum("cdst,ctd->csd", self.roots, z.reshape(len(z), n_statistics, -1))
        return np.asarray(changed.reshape(len(z), -1))

    def gradient(self, score: FloatArray) -> FloatArray:
        n_statistics = self.roots.shape[-1]
        changed = np.einsum("cdts,ctd->csd", self.roots, score.reshape(len(score), n_statistics, -1))
        return np.asarray(changed.reshape(len(score), -1))

    def matrix(self) -> FloatArray:
        n_components, n_features, n_statistics, _ = self.roots.shape
        width = n_statistics * n_features
        blocks = np.zeros((n_components, n_statistics, n_features, n_statistics, n_features))
        d = np.arange(n_features)
        blocks[:, :, d, :, d] = np.moveaxis(self.roots, 1, 0)
        W = np.zeros((n_components, width, n_components, width))
        c = np.arange(n_components)
        W[c, :, c, :] = blocks.reshape(n_components, width, width)
        return W


def inverse_root(information: FloatArray) -> FloatArray:
    """W such that W' A W is the unit matrix on the range of A, and W is zero elsewhere, for an array of matrices A."""
    diagonal = np.einsum("...ss->...s", information)
    free = diagonal > _NEGLIGIBLE * diagonal.max()
    scale = np.where(free, 1.0 / np.sqrt(np.where(free, diagonal, 1.0)), 0.0)
    if information.shape[-1] == 1:
        return np.asarray(scale[..., np.newaxis])
    values, vectors = np.linalg.eigh(scale[..., np.newaxis] * information * scale[..., np.newaxis, :])
    free = values > _RANK * values[..., -1:]
    inverse = np.where(free, 1.0 / np.sqrt(np.where(free, values, 1.0)), 0.0)
    return scale[..., np.newaxis] * vectors * inverse[..., np.newaxis, :]
