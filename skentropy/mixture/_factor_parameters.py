"""Parameters of Gaussian components with factor-analytic covariances, and EM steps that improve them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from .._linalg import factorise, pack_symmetric
from .._typing import Array, FloatArray
from ._gaussian_parameters import GaussianParameters

# The least noise variance, in units.
LEAST_NOISE = 1e-16


@dataclass(frozen=True)
class FactorParameters(GaussianParameters):
    r"""Covariances :math:`\Lambda_c \Lambda_c^\top + \operatorname{diag}(\psi_c)` of K components; in units.

    ``bounds`` (K, d) holds the noise variances that are at their floors, and zero for the others.

    Attributes
    ----------
    loadings : ndarray of shape (K, d, k)
    noise : ndarray of shape (K, d)
    """

    loadings: FloatArray
    noise: FloatArray

    @classmethod
    def of_factors(cls, means: FloatArray, loadings: FloatArray, noise: FloatArray, on_floor: Array) -> Self:
        d = means.shape[1]
        covariances = loadings @ loadings.transpose(0, 2, 1)
        covariances[:, np.arange(d), np.arange(d)] += noise
        try:
            factors = np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:  # the noise is below the rounding error of the covariance
            factors = factorise(covariances, np.sqrt(np.diagonal(covariances, axis1=1, axis2=2)), np.finfo(float).eps)
        return cls(means, factors, np.where(on_floor, noise, 0.0), loadings, noise)

    @cached_property
    def held(self) -> Array:
        """Components with more noise variances at their floors than factors, whose likelihood is unbounded; (K,)."""
        return np.asarray((self.bounds > 0.0).sum(axis=1) > self.loadings.shape[2])

    @cached_property
    def free_noise(self) -> FloatArray:
        """Noise variances that move; zero for those at their floors, (K, d)."""
        return np.where(self.bounds > 0.0, 0.0, self.noise)

    def moved_by(self, means: FloatArray, of_loadings: FloatArray, of_log_noise: FloatArray) -> Self | None:
        """Move the parameters along directions; noise at its floor stays there. None outside the domain."""
        free = self.bounds == 0.0
        with np.errstate(over="ignore", under="ignore"):
            noise = self.noise * np.exp(np.where(free, of_log_noise, 0.0))
        loadings = self.loadings + of_loadings
        if not (np.isfinite(loadings).all() and np.isfinite(noise).all() and (noise > np.finfo(float).tiny).all()):
            return None
        return self.of_factors(self.means + means, loadings, noise, ~free)

    def slopes(self, *, isotropic: bool) -> FloatArray:
        r"""Derivatives of the frame's covariance by loadings and logarithms of noise variances, (K, P, d, d).

        With :math:`U = R^{-1}` they are
        :math:`U (\dot\Lambda \Lambda^\top + \Lambda \dot\Lambda^\top + \operatorname{diag}(\psi\, \dot{\log\psi})) U^\top`.
        """
        U = self.inverses
        B = U @ self.loadings
        K, d, k = B.shape
        outer = np.einsum("cai,cbj->cijab", U, B).reshape(K, d * k, d, d)
        of_noise = np.einsum("cd,cad,cbd->cdab", self.free_noise, U, U)
        if isotropic:
            of_noise = of_noise.sum(axis=1, keepdims=True)
        return np.concatenate([outer + outer.transpose(0, 1, 3, 2), of_noise], axis=1)


def canonical(loadings: FloatArray, noise: FloatArray) -> FloatArray:
    r"""Loadings that make :math:`\Lambda^\top \psi^{-1} \Lambda` diagonal and descending; largest entries positive."""
    root = np.sqrt(noise)[:, :, np.newaxis]
    left, singular, _ = np.linalg.svd(loadings / root, full_matrices=False)
    rotated = left * singular[:, np.newaxis] * root
    largest = np.abs(rotated).argmax(axis=1)[:, np.newaxis]
    return np.asarray(rotated * np.sign(np.take_along_axis(rotated, largest, axis=1)))


def with_signs_of(loadings: FloatArray, others: FloatArray) -> FloatArray:
    """Change the signs of factors (K, d, k) to those of others."""
    return np.where((loadings * others).sum(axis=1, keepdims=True) < 0.0, -loadings, loadings)


def align_loadings(loadings: FloatArray, to: FloatArray) -> FloatArray:
    """Rotate loadings (K, d, k) as close as possible to others."""
    left, _, right = np.linalg.svd(loadings.transpose(0, 2, 1) @ to)
    return np.asarray(loadings @ left @ right)


def px_em_step(S: FloatArray, loadings: FloatArray, noise: FloatArray, floor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Take a step of parameter-expanded EM (Liu, Rubin and Wu 1998) for factor models of covariances S (K, d, d)."""
    k = loadings.shape[2]
    scaled = (loadings / noise[:, :, np.newaxis]).transpose(0, 2, 1)
    covariance = np.linalg.inv(np.eye(k) + scaled @ loadings)  # of z given x
    beta = covariance @ scaled
    cross = S @ beta.transpose(0, 2, 1)  # E[x z']
    second = covariance + beta @ cross  # E[z z'], the expanded prior's covariance
    regression = np.linalg.solve(second, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    residual = np.diagonal(S, axis1=1, axis2=2) - (regression * cross).sum(axis=2)
    return regression @ np.linalg.cholesky(second), np.maximum(residual, floor)


def at_best_scale(
    S: FloatArray, loadings: FloatArray, noise: FloatArray, *, isotropic: bool = False
) -> tuple[FloatArray, FloatArray]:
    r"""Covariances times :math:`\operatorname{tr}(\Sigma^{-1} S) / d`, the scale that the entropy identity requires.

    A component that collapses onto a point ends at the least noise. With ``isotropic`` noise the loadings are orthogonal.
    """
    traces = _traces_of_orthogonal(S, loadings, noise[:, 0]) if isotropic else _traces(S, loadings, noise)
    share = np.maximum(traces / S.shape[1], 0.0)
    return loadings * np.sqrt(share)[:, np.newaxis, np.newaxis], np.maximum(noise * share[:, np.newaxis], LEAST_NOISE)


def _traces(S: FloatArray, loadings: FloatArray, noise: FloatArray) -> FloatArray:
    r""":math:`\operatorname{tr}(\Sigma^{-1} S)`, (K,)."""
    d = S.shape[1]
    covariances = loadings @ loadings.transpose(0, 2, 1)
    covariances[:, np.arange(d), np.arange(d)] += noise
    return np.trace(np.linalg.solve(covariances, S), axis1=1, axis2=2)


def _traces_of_orthogonal(S: FloatArray, loadings: FloatArray, noise: FloatArray) -> FloatArray:
    r"""The same for equal noise (K,) and orthogonal loadings.

    :math:`\Sigma^{-1} = (1 - \sum_j l_j l_j^\top / (|l_j|^2 + \psi)) / \psi`.
    """
    explained = ((S @ loadings) * loadings).sum(axis=1) / ((loadings**2).sum(axis=1) + noise[:, np.newaxis])
    return np.asarray((np.trace(S, axis1=1, axis2=2) - explained.sum(axis=1)) / noise)


def curvature(parameters: FactorParameters, excess: FloatArray, slopes: FloatArray) -> FloatArray:
    r"""The part of the complete data's information that the covariances' second derivatives add, (K, P, P).

    With :math:`E = \sum_n r_n (y y^\top - 1)` in the frame, which is zero where covariances are free, minus the second
    derivative along a direction with the slope D and the second derivative D2 of the covariance is
    :math:`\tfrac12 \sum_n r_n \operatorname{tr} D D + \operatorname{tr} D D E - \tfrac12 \operatorname{tr} D_2 E`.
    """
    K, P = slopes.shape[:2]
    _, d, k = parameters.loadings.shape
    left = (excess[:, np.newaxis] @ slopes).reshape(K, P, -1)
    total = left @ slopes.transpose(0, 1, 3, 2).reshape(K, P, -1).transpose(0, 2, 1)
    total = 0.5 * (total + total.transpose(0, 2, 1))
    U = parameters.inverses
    outside = U.transpose(0, 2, 1) @ excess @ U
    # D2 = 2 dW dW' + diag(psi dlog psi^2)
    total[:, : d * k, : d * k] -= np.einsum("cab,ij->caibj", outside, np.eye(k)).reshape(K, d * k, d * k)
    of_noise = 0.5 * parameters.free_noise * np.diagonal(outside, axis1=1, axis2=2)
    noise = np.arange(d * k, P)
    total[:, noise, noise] -= of_noise if len(noise) == d else of_noise.sum(axis=1, keepdims=True)
    return np.asarray(total)


def pack_slopes(slopes: FloatArray) -> FloatArray:
    """Slopes in the coordinates of ``GaussianComponents.score``, (K, d (d + 1) / 2, P)."""
    return np.asarray(pack_symmetric(slopes).transpose(0, 2, 1) / np.sqrt(2.0))
