"""The complete data's information about factor-analytic covariances, and coordinates in which it is the unit matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._linalg import reciprocals
from .._typing import FloatArray
from ._factor_parameters import FactorParameters
from ._feature_metric import inverse_root, inverse_roots

# A singular value of loadings in the frame below this share of the largest is zero.
_RANK = 1e-6


@dataclass(frozen=True)
class FactorMetric:
    r"""The metric of means, loadings and logarithms of noise variances, which needs no matrix of all parameters.

    In the frame a covariance moves by :math:`D = X B^\top + B X^\top + U \operatorname{diag}(e) U^\top` with
    :math:`U = R^{-1}`, :math:`X = U \dot\Lambda`, :math:`B = U \Lambda` and :math:`e = \psi \dot{\log\psi}`, and the
    information is :math:`\tfrac n2 \operatorname{tr} D^2`. With the singular value decomposition :math:`B = Q s V^\top` and
    :math:`X = Q C V^\top` the first two terms are, in the basis Q, the columns :math:`S = C s + s C^\top` (s padded with
    zeros) and their mirror image. So loadings move all entries of D in the first k columns and rows, and the others are
    left to the noise. The coordinates are S, whose entries are independent, and the noise variances; while these move, the
    loadings follow so that the first k columns of D do not.

    Attributes
    ----------
    of_means : ndarray of shape (K, 1)
        Lengths of unit steps of the means.
    of_columns : ndarray of shape (K, d, k)
        Lengths of unit steps of the entries of S.
    own, mirrored : ndarrays of shapes (K, d, k) and (K, k, k)
        Parts of entry (a, b) of S that entries (a, b) and (b, a) of C carry; zero below the diagonal, down to row k.
    of_noise : ndarray of shape (K, d, d) or (K, 1, 1)
        Root of the inverse information about logarithms of noise variances that loadings cannot imitate.
    noise : ndarray of shape (K, d)
        Noise variances that move; zero for the others.
    basis : ndarray of shape (K, d, d)
        :math:`Q^\top U`.
    outwards : ndarray of shape (K, d, d)
        :math:`R Q`.
    turns : ndarray of shape (K, k, k)
        :math:`V^\top`.
    """

    of_means: FloatArray
    of_columns: FloatArray
    own: FloatArray
    mirrored: FloatArray
    of_noise: FloatArray
    noise: FloatArray
    basis: FloatArray
    outwards: FloatArray
    turns: FloatArray

    @classmethod
    def at(cls, parameters: FactorParameters, of_means: FloatArray, of_covariances: FloatArray, *, isotropic: bool) -> Self:
        """The metric of components, given the numbers of rows (K,) on which their means and covariances rest."""
        U = parameters.inverses
        Q, s, turns = np.linalg.svd(U @ parameters.loadings)
        s = np.where(s > _RANK * s[:, :1], s, 0.0)
        own, mirrored = _shares(s, U.shape[1])
        basis = Q.transpose(0, 2, 1) @ U
        # What loadings cannot imitate lies outside the span of the factors.
        outside = basis.copy()
        outside[:, : s.shape[1]][s > 0.0] = 0.0
        noise = parameters.free_noise
        scaled = outside * np.sqrt(noise)[:, np.newaxis]
        information = 0.5 * of_covariances[:, np.newaxis, np.newaxis] * (scaled.transpose(0, 2, 1) @ scaled) ** 2
        if isotropic:
            information = information.sum(axis=(1, 2), keepdims=True)
        lengths = np.stack([of_means, of_covariances])[..., np.newaxis, np.newaxis]
        of_means, of_covariances = inverse_roots(lengths, lengths > 0.0)
        of_columns, entries = np.tile(of_covariances, own.shape[1:]), np.arange(s.shape[1])
        of_columns[:, entries, entries] *= np.sqrt(2.0)
        return cls(
            of_means[:, 0], of_columns, own, mirrored, inverse_root(information), noise, basis, parameters.factors @ Q, turns
        )

    def directions(self, z: FloatArray) -> FloatArray:
        of_means, columns, of_noise = self._split(z)
        log_noise = (self.of_noise @ of_noise[..., np.newaxis])[..., 0]
        k = self.turns.shape[-1]
        imitated = self.basis @ ((self.noise * log_noise)[..., np.newaxis] * self.basis[:, :k].swapaxes(-1, -2))
        S = self.of_columns * columns - imitated
        C = self.own * S
        C[..., :k, :] += (self.mirrored * S[..., :k, :]).swapaxes(-1, -2)
        return self._join(self.of_means * of_means, self.outwards @ C @ self.turns, log_noise)

    def gradient(self, score: FloatArray) -> FloatArray:
        of_means, of_loadings, of_noise = self._split(score)
        k = self.turns.shape[-1]
        of_C = self.outwards.swapaxes(-1, -2) @ of_loadings @ self.turns.swapaxes(-1, -2)
        of_S = self.own * of_C
        of_S[..., :k, :] += self.mirrored * of_C[..., :k, :].swapaxes(-1, -2)
        imitated = self.noise * (self.basis * (of_S @ self.basis[:, :k])).sum(axis=-2)
        of_noise = of_noise - (imitated if self.of_noise.shape[-1] > 1 else imitated.sum(axis=-1, keepdims=True))
        own_noise = (of_noise[..., np.newaxis, :] @ self.of_noise)[..., 0, :]
        return self._join(self.of_means * of_means, self.of_columns * of_S, own_noise)

    def _split(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        d, k = self.own.shape[1:]
        means, columns, noise = np.split(values, [d, d + d * k], axis=-1)
        return means, columns.reshape(*values.shape[:-1], d, k), noise

    def _join(self, means: FloatArray, columns: FloatArray, noise: FloatArray) -> FloatArray:
        return np.concatenate([means, columns.reshape(*means.shape[:-1], -1), noise], axis=-1)


def _shares(s: FloatArray, d: int) -> tuple[FloatArray, FloatArray]:
    """The shortest C with S = C s + s C', as shares of each entry of S in two entries of C, for singular values (K, k)."""
    K, k = s.shape
    upper = np.triu(np.ones((k, k)))
    squares = s[:, :, np.newaxis] ** 2 + s[:, np.newaxis] ** 2
    both = upper * reciprocals(squares)
    own = np.zeros((K, d, k))
    own[:, :k] = both * s[:, np.newaxis]
    own[:, k:] = reciprocals(s)[:, np.newaxis]
    return own, np.triu(both * s[:, :, np.newaxis], 1)
