"""The complete data's information about independent features, and coordinates in which it is the unit matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._typing import Array, FloatArray
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
        by_statistic = z.reshape(*z.shape[:-1], self.roots.shape[-1], -1)
        return np.asarray(np.einsum("cdst,...ctd->...csd", self.roots, by_statistic).reshape(z.shape))

    def gradient(self, score: FloatArray) -> FloatArray:
        by_statistic = score.reshape(len(score), self.roots.shape[-1], -1)
        return np.asarray(np.einsum("cdts,ctd->csd", self.roots, by_statistic).reshape(score.shape))


def inverse_root(information: FloatArray) -> FloatArray:
    """W such that W' A W is the unit matrix on the range of A, and W is zero elsewhere, for an array of matrices A."""
    diagonal = np.einsum("...ss->...s", information)
    free = diagonal > _NEGLIGIBLE * diagonal.max()
    scale = inverse_roots(diagonal, free)
    if information.shape[-1] == 1:
        return np.asarray(scale[..., np.newaxis])
    values, vectors = np.linalg.eigh(scale[..., np.newaxis] * information * scale[..., np.newaxis, :])
    free = values > _RANK * values[..., -1:]
    inverse = inverse_roots(values, free)
    return scale[..., np.newaxis] * vectors * inverse[..., np.newaxis, :]


def inverse_roots(information: FloatArray, free: Array) -> FloatArray:
    """One over the roots of what is known of parameters that are free, and zero for the others."""
    roots = np.sqrt(information, out=np.zeros(information.shape), where=free)
    return np.divide(1.0, roots, out=roots, where=free)
