"""The complete data's information about independent features, and coordinates in which it is the unit matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._typing import Array, FloatArray
from ..families import Categorical, ExponentialFamily
from ._components import ComponentMetric

# A direction with less than this share of a block's largest information is a constraint, such as the sum of probabilities.
_RANK = 1e-11
# A parameter with less than this share of the largest information is held, such as that of an empty component.
_NEGLIGIBLE = 1e-40


def feature_metric(family: ExponentialFamily, eta: FloatArray, seen: FloatArray, counts: FloatArray) -> ComponentMetric:
    """The metric at natural parameters; ``seen`` counts a component's entries of each feature, ``counts`` its rows."""
    metric = OneHotMetric if isinstance(family, Categorical) else FeatureMetric
    return metric.at(family, eta, np.where((counts <= 0.0)[:, np.newaxis], 0.0, seen))


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
    def at(cls, family: ExponentialFamily, eta: FloatArray, seen: FloatArray) -> Self:
        """The metric at natural parameters, with ``seen`` entries of each feature that a component explains."""
        information = (family.covariance(eta) * seen).transpose(2, 3, 0, 1)
        held = family.at_bound(eta) | (seen <= 0.0)
        return cls(inverse_root(np.where(held[..., np.newaxis, np.newaxis], 0.0, information)))

    def directions(self, z: FloatArray) -> FloatArray:
        by_statistic = z.reshape(*z.shape[:-1], self.roots.shape[-1], -1)
        return np.asarray(np.einsum("cdst,...ctd->...csd", self.roots, by_statistic).reshape(z.shape))

    def gradient(self, score: FloatArray) -> FloatArray:
        by_statistic = score.reshape(len(score), self.roots.shape[-1], -1)
        return np.asarray(np.einsum("cdts,ctd->csd", self.roots, by_statistic).reshape(score.shape))


@dataclass(frozen=True)
class OneHotMetric:
    r"""The metric of logarithms of probabilities p, with information :math:`n (\operatorname{diag}(p) - p p^\top)`.

    With :math:`s = \sqrt p`, and :math:`v = s + e_j` at the largest entry j, the reflection
    :math:`H = I - v v^\top / (1 + s_j)` maps s to :math:`-e_j`. So :math:`W = \operatorname{diag}(n p)^{-1/2} H`, without
    column j, is a root of the inverse, and takes no more memory than the probabilities.

    Attributes
    ----------
    lengths : ndarray of shape (K, S, D)
        One over :math:`\sqrt{n p}`; zero for a probability that does not move.
    mirror : ndarray of shape (K, S, D)
        The vectors v, divided by :math:`\sqrt{1 + s_j}`.
    free : ndarray of bool of shape (K, S, D)
        All columns of W except j.
    """

    lengths: FloatArray
    mirror: FloatArray
    free: Array

    @classmethod
    def at(cls, family: ExponentialFamily, eta: FloatArray, seen: FloatArray) -> Self:
        """The metric at natural parameters, with ``seen`` entries of each feature that a component explains."""
        p = family.mean(eta).swapaxes(0, 1)
        information = p * np.broadcast_to(seen, (len(p), p.shape[2]))[:, np.newaxis]
        moves = information > _NEGLIGIBLE * information.max()
        s = np.sqrt(np.where(moves, p, 0.0))
        largest = s.max(axis=1, keepdims=True)
        free = np.arange(s.shape[1])[:, np.newaxis] != s.argmax(axis=1)[:, np.newaxis]
        return cls(inverse_roots(information, moves), (s + ~free) / np.sqrt(1.0 + largest), free)

    def _reflected(self, values: FloatArray) -> FloatArray:
        return values - (values * self.mirror).sum(axis=-2, keepdims=True) * self.mirror

    def directions(self, z: FloatArray) -> FloatArray:
        by_category = z.reshape(*z.shape[:-1], *self.free.shape[1:])
        return np.asarray((self.lengths * self._reflected(by_category * self.free)).reshape(z.shape))

    def gradient(self, score: FloatArray) -> FloatArray:
        by_category = score.reshape(self.free.shape)
        return np.asarray((self._reflected(self.lengths * by_category) * self.free).reshape(score.shape))


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
