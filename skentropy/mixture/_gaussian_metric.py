"""The complete data's information about Gaussian components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._typing import Array, FloatArray
from ._feature_metric import inverse_roots


@dataclass(frozen=True)
class GaussianMetric:
    """Information in the components' own frames, where it is the number of rows.

    A covariance that components share moves along the mean of their directions, so it has one coordinate for all.

    Attributes
    ----------
    lengths : ndarray of shape (K, P)
        Distance by which a unit of z moves each parameter; zero if the parameter cannot move.
    shared : int
        Number of leading directions of each component, if the remaining directions are shared; else -1.
    """

    lengths: FloatArray
    shared: int

    @classmethod
    def at(cls, n_features: int, of_means: FloatArray, of_covariances: FloatArray, held: Array, tied: bool) -> Self:
        """The metric of components, given the numbers of rows (K,) on which their means and covariances rest."""
        n_own = n_features
        counts = np.repeat(np.stack([of_means, of_covariances], axis=1), [n_own, n_features * (n_features + 1) // 2], axis=1)
        lengths = inverse_roots(counts, counts > 0.0)
        if tied:
            lengths[:, n_own:] = 1.0 / np.sqrt(of_covariances.sum())
        lengths[np.broadcast_to(held, len(counts)) if tied else held] = 0.0
        return cls(lengths, n_own if tied else -1)

    def _share(self, values: FloatArray) -> FloatArray:
        """Project onto the directions that components share, times the root of their number."""
        if self.shared < 0:
            return values
        own, shared = np.split(values, [self.shared], axis=-1)
        total = shared.sum(axis=-2, keepdims=True) / np.sqrt(values.shape[-2])
        return np.concatenate([own, np.broadcast_to(total, shared.shape)], axis=-1)

    def directions(self, z: FloatArray) -> FloatArray:
        return self.lengths * self._share(z)

    def gradient(self, score: FloatArray) -> FloatArray:
        return self._share(self.lengths * score)
