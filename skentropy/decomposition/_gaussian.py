"""The linear-Gaussian model x = m + W z + e: posteriors, likelihood and entropies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import linalg, sparse

from .._data import has_nan, unique_rows
from .._entropy_sum import EntropySum
from .._linalg import LOG_2PI, invert
from .._typing import FloatArray, Matrix
from ._weighted_rows import centre_full_columns

# If the noise is less than this share of a variance, its inverse is far larger than the precision.
_CANCELS = 1e-3


@dataclass(frozen=True)
class LinearGaussian:
    """z ~ N(0, Phi), x | z ~ N(m + W z, diag(psi)), W(23) and W(31), in the notation of the paper.

    The public documentation writes mu for m and Lambda for W.

    Attributes
    ----------
    mean : (d,), m
    loadings : (d, k), W
    noise : (d,), psi
    correlation : (k, k), Phi; the identity unless the factors were rotated obliquely
    """

    mean: FloatArray
    loadings: FloatArray
    noise: FloatArray
    correlation: FloatArray

    @classmethod
    def of(cls, mean: FloatArray, loadings: FloatArray, noise: FloatArray) -> LinearGaussian:
        """The model with independent factors."""
        return cls(mean, loadings, noise, np.eye(loadings.shape[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """Features and factors."""
        return self.loadings.shape[0], self.loadings.shape[1]

    @cached_property
    def scaled(self) -> FloatArray:
        """psi^-1 W, (d, k)."""
        return self.loadings / self.noise[:, np.newaxis]

    @cached_property
    def prior_precision(self) -> FloatArray:
        """Phi^-1."""
        return np.linalg.inv(self.correlation)

    @cached_property
    def _precision_factor(self) -> FloatArray:
        """Lower Cholesky factor of the posterior precision Phi^-1 + W' psi^-1 W."""
        return np.linalg.cholesky(self.prior_precision + self.loadings.T @ self.scaled)

    def _solve(self, B: FloatArray) -> FloatArray:
        """The posterior covariance times B."""
        if not B.size:  # LAPACK takes no empty matrices
            return B
        return np.asarray(linalg.cho_solve((self._precision_factor, True), B))

    @cached_property
    def posterior_covariance(self) -> FloatArray:
        """Covariance of z given a complete row, the same for all rows."""
        return self._solve(np.eye(self.shape[1]))

    @cached_property
    def log_det_precision(self) -> float:
        """log det of the posterior precision, complete rows."""
        return 2.0 * float(np.log(np.diag(self._precision_factor)).sum())

    @cached_property
    def log_det_prior(self) -> float:
        """log det Phi."""
        return float(np.linalg.slogdet(self.correlation)[1])

    def covariance(self) -> FloatArray:
        """W Phi W' + psi, (d, d)."""
        return self.loadings @ self.correlation @ self.loadings.T + np.diag(self.noise)

    def precision(self) -> FloatArray:
        """Inverse covariance, (d, d), by the Woodbury identity unless its terms would cancel."""
        if not self.shape[1]:
            return np.diag(1.0 / self.noise)
        covariance = self.covariance()
        if (self.noise < _CANCELS * np.diag(covariance)).any():
            factor = linalg.cho_factor(covariance, lower=True)
            return np.asarray(linalg.cho_solve(factor, np.eye(len(covariance))))
        half = linalg.solve_triangular(self._precision_factor, self.scaled.T, lower=True)
        return np.diag(1.0 / self.noise) - half.T @ half

    def means(self, X: Matrix) -> FloatArray:
        """Posterior means of complete rows, (n, k)."""
        # The mean is subtracted from the rows first, since the residuals may be far smaller.
        if sparse.issparse(X):
            X, mean = centre_full_columns(X, self.mean)
            projected = X @ self.scaled - mean @ self.scaled
        else:
            projected = (X - self.mean) @ self.scaled
        return self._solve(projected.T).T

    def log_likelihood(self, X: Matrix) -> FloatArray:
        """Log-likelihood of complete rows, (n,)."""
        z = self.means(X)
        # The Mahalanobis distance is a sum of squares at the best z, in which nothing cancels, however small the noise is.
        distance = ((z @ self.prior_precision) * z).sum(axis=1)
        if sparse.issparse(X):
            distance += self._sparse_distance(X, z)
        else:
            residual = X - self.mean
            residual -= z @ self.loadings.T
            residual *= residual
            distance += residual @ (1.0 / self.noise)
        return -0.5 * (distance + self.log_det_precision + self.log_det_prior + self._log_noise)

    @property
    def _log_noise(self) -> float:
        return float(np.log(self.noise).sum()) + len(self.noise) * LOG_2PI

    def _sparse_distance(self, X: Any, z: FloatArray) -> FloatArray:
        """(x - m - W z)' psi^-1 (x - m - W z), without a dense copy of the rows."""
        X, mean = centre_full_columns(X, self.mean)
        weights = 1.0 / self.noise
        squares = X.multiply(X) @ weights - 2.0 * (X @ (mean * weights)) + mean @ (mean * weights)
        cross = X @ self.scaled - mean @ self.scaled
        return squares - 2.0 * (cross * z).sum(axis=1) + ((z @ (self.loadings.T @ self.scaled)) * z).sum(axis=1)

    def entropy_sum(self) -> EntropySum:
        r"""Sum of entropies of complete rows, which depends on the parameters only.

        :math:`-\frac12\log\det(W^\top\psi^{-1}W+I)-\frac12\sum_d\log(2\pi e\psi_d)`, W(32); with psi = sigma^2 I it is
        W(29), whose first sign is printed wrongly as plus.
        """
        d, k = self.shape
        return EntropySum(
            posterior=0.5 * (k * (1.0 + LOG_2PI) - self.log_det_precision),  # W(28) with its sign corrected
            prior=0.5 * (k * (1.0 + LOG_2PI) + self.log_det_prior),
            observable=0.5 * (self._log_noise + d),  # W(24), W(32)
        )

    def incomplete(self, X: FloatArray) -> IncompletePosterior:
        """Posteriors of rows with missing entries (NaN), given their observed entries."""
        d, k = self.shape
        observed = ~np.isnan(X)
        unique, index = unique_rows(observed)
        patterns = unique.astype(np.float64)
        residual = np.where(observed, X - self.mean, 0.0)
        outer = (self.scaled[:, :, np.newaxis] * self.loadings[:, np.newaxis, :]).reshape(d, k * k)
        precision = self.prior_precision + (patterns @ outer).reshape(len(patterns), k, k)
        covariance, log_det = invert(precision)
        means = np.matmul(covariance[index], (residual @ self.scaled)[:, :, np.newaxis])[:, :, 0]
        unexplained = (residual - means @ self.loadings.T) * observed
        distance = ((means @ self.prior_precision) * means).sum(axis=1)
        distance += (unexplained * unexplained) @ (1.0 / self.noise)
        log_noise = patterns @ (np.log(self.noise) + LOG_2PI)
        return IncompletePosterior(
            means=means,
            log_likelihood=-0.5 * (distance + (log_det + self.log_det_prior + log_noise)[index]),
            entropy=0.5 * (k * (1.0 + LOG_2PI) - log_det)[index],
            observable=0.5 * (log_noise + patterns.sum(axis=1))[index],
        )

    def evaluate(self, X: Matrix) -> FloatArray:
        """For each row log-likelihood, entropy of the posterior, and entropy of the observed entries given z; (n, 3)."""
        if has_nan(X):
            posterior = self.incomplete(X)
            return np.column_stack([posterior.log_likelihood, posterior.entropy, posterior.observable])
        terms = self.entropy_sum()
        columns = np.empty((X.shape[0], 3))
        columns[:, 0] = self.log_likelihood(X)
        columns[:, 1:] = terms.posterior, terms.observable
        return columns

    def posterior_means(self, X: Matrix) -> FloatArray:
        """Posterior means of rows, complete or not, (n, k)."""
        if has_nan(X):
            return self.incomplete(X).means
        return self.means(X)

    def bartlett_scores(self, X: Matrix) -> FloatArray:
        r"""Least squares estimates :math:`J^{-1} W^T\psi^{-1}(x - m)`, :math:`J = W^T\psi^{-1}W` (Bartlett 1937), (n, k).

        They are :math:`(I + J^{-1}\Phi^{-1})` times the posterior means given the observed entries; NaN if J is singular.
        """
        d, k = self.shape
        means = self.posterior_means(X)
        patterns, index = unique_rows(~np.isnan(X)) if has_nan(X) else (np.ones((1, d)), np.zeros(len(means), dtype=int))
        outer = (self.scaled[:, :, np.newaxis] * self.loadings[:, np.newaxis, :]).reshape(d, k * k)
        J = (patterns @ outer).reshape(len(patterns), k, k)
        lengthening = np.full(J.shape, np.nan)
        if k:
            is_determined = np.linalg.matrix_rank(J, hermitian=True) == k
            lengthening[is_determined] = np.linalg.inv(J[is_determined]) @ self.prior_precision
        return means + np.matmul(lengthening[index], means[:, :, np.newaxis])[:, :, 0]

    def rescaled(self, location: FloatArray, scale: FloatArray | float) -> LinearGaussian:
        """The model of location + scale * x."""
        scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), self.mean.shape)
        return replace(
            self,
            mean=location + scale * self.mean,
            loadings=scale[:, np.newaxis] * self.loadings,
            noise=scale**2 * self.noise,
        )

    def standardised(self, location: FloatArray, scale: FloatArray) -> LinearGaussian:
        """The model of (x - location) / scale."""
        return replace(
            self,
            mean=(self.mean - location) / scale,
            loadings=self.loadings / scale[:, np.newaxis],
            noise=self.noise / scale**2,
        )

    def canonical(self) -> LinearGaussian:
        """Rotate independent factors so that W' psi^-1 W is diagonal and descending; ``fix_signs`` chooses the signs."""
        root = np.sqrt(self.noise)[:, np.newaxis]
        left, singular, _ = np.linalg.svd(self.loadings / root, full_matrices=False)
        k = self.shape[1]
        loadings = np.zeros_like(self.loadings)
        loadings[:, : len(singular)] = (left * singular * root)[:, :k]
        return replace(self, loadings=fix_signs(loadings))


@dataclass(frozen=True)
class IncompletePosterior:
    """Rows with missing entries, n of them.

    Attributes
    ----------
    means : (n, k), of the posteriors
    log_likelihood : (n,)
    entropy : (n,), of the posteriors
    observable : (n,), entropy of the observed entries given z
    """

    means: FloatArray
    log_likelihood: FloatArray
    entropy: FloatArray
    observable: FloatArray


def fix_signs(loadings: FloatArray) -> FloatArray:
    """Change the signs of columns so that their largest entries are positive."""
    if not loadings.size:
        return loadings
    largest = np.abs(loadings).argmax(axis=0)
    return np.where(loadings[largest, np.arange(loadings.shape[1])] < 0, -loadings, loadings)
