"""Methods of a fitted linear-Gaussian model: posteriors, likelihoods, draws."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from .._base import Evaluation
from .._data import Block, BlockSource, Reader, Source, check_output_stays_lazy, check_total_weight, map_latents, unique_rows
from .._entropy_sum import EntropySum
from .._transformer import LatentTransformer
from .._typing import ArrayLike, FloatArray
from ._gaussian import LinearGaussian

_FLOATS = (np.float64, np.float32)


class FittedLinearGaussian(LatentTransformer):
    """Methods of a fitted model x = mu + Lambda z + e with Gaussian z and e, for any solver."""

    n_jobs: int | None
    n_features_in_: int
    components_: FloatArray
    mean_: FloatArray
    noise_variance_: Any
    heywood_: Any = ()

    @property
    def _doubt(self) -> str:
        return super()._doubt or ("Heywood" if len(self.heywood_) else "")

    def _reader(self, row_bytes: Callable[[int], int]) -> Reader:
        return Reader(sparse="complete", dtype="numeric", row_bytes=row_bytes)

    def _parameters(self, *, orthogonal: bool = False) -> LinearGaussian:
        """The fitted model; with ``orthogonal``, independent factors replace correlated ones."""
        check_is_fitted(self, "components_")
        mean = np.asarray(self.mean_, dtype=np.float64)
        loadings = np.asarray(self.components_, dtype=np.float64).T
        noise = np.broadcast_to(np.asarray(self.noise_variance_, dtype=np.float64), mean.shape)
        correlation = np.asarray(getattr(self, "factor_correlation_", np.eye(loadings.shape[1])), dtype=np.float64)
        if orthogonal:
            return LinearGaussian.of(mean, loadings @ np.linalg.cholesky(correlation), noise)
        return LinearGaussian(mean, loadings, noise, correlation)

    def _ready_rows(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Source:
        check_is_fitted(self, "components_")
        reader = self._reader(partial(evaluation_row_bytes, len(self.components_)))
        return reader.read(self, X, sample_weight)

    def _evaluate_rows(self, rows: BlockSource, pool: ThreadPoolExecutor | None) -> Evaluation:
        parameters = self._parameters()
        sums = rows.sum(partial(_weighted_terms, parameters), pool)
        weight = float(sums[0])
        check_total_weight(weight)
        elbo, posterior, observable = (sums[1:] / weight).tolist()
        return Evaluation(elbo, EntropySum(posterior, parameters.entropy_sum().prior, observable), weight)

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """Log-likelihood of each row, or of its observed entries, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples,)
        """
        return self._map_rows(partial(_log_likelihood, self._parameters()), X)

    def transform(self, X: ArrayLike) -> FloatArray:
        """Posterior means of the latent variables given the observed entries of each row, or other ``scores``.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_components)
        """
        check_output_stays_lazy(self, X)
        return self._map_rows(partial(_scores, self._parameters(), getattr(self, "scores", "regression")), X)

    def posterior(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Means and variances of the latent variables given the observed entries of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        means, variances : ndarray, or lazy Dask array, of shape (n_samples, n_components)
        """
        joined, k = self._map_rows(partial(_means_and_variances, self._parameters()), X), len(self.components_)
        return joined[:, :k], joined[:, k:]

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Means of the observables given latent variables: ``X @ components_ + mean_``.

        Applied to the result of ``transform`` for rows with missing entries, it therefore imputes.

        Parameters
        ----------
        X : {array-like, Dask array or frame} of shape (n_samples, n_components)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_features)
        """
        check_is_fitted(self, "components_")
        n_components = len(self.components_)
        return map_latents(self._decode, X, n_components, f"the model has {n_components} components")

    def _decode(self, Z: FloatArray) -> FloatArray:
        return np.asarray(Z @ self.components_.astype(Z.dtype) + self.mean_.astype(Z.dtype))

    @property
    def posterior_covariance_(self) -> FloatArray:
        """Covariance of the latent variables given a complete row, the same for all such rows."""
        return self._parameters().posterior_covariance

    def get_covariance(self) -> FloatArray:
        """Covariance of the model, ``components_.T @ Phi @ components_ + noise``.

        Returns
        -------
        ndarray of shape (n_features, n_features)
        """
        return self._parameters().covariance()

    def get_precision(self) -> FloatArray:
        """Inverse covariance of the model.

        Returns
        -------
        ndarray of shape (n_features, n_features)
        """
        return self._parameters().precision()

    def _draw(self, n_samples: int, random_state: np.random.RandomState) -> FloatArray:
        p = self._parameters(orthogonal=True)
        z = random_state.normal(size=(n_samples, p.shape[1]))
        noise = random_state.normal(size=(n_samples, p.shape[0])) * np.sqrt(p.noise)
        return (z @ p.loadings.T + p.mean + noise).astype(self.components_.dtype)

    @property
    def _n_features_out(self) -> int:
        return int(self.components_.shape[0])


def evaluation_row_bytes(n_components: int, n_features: int) -> int:
    """Bytes that the computation of posteriors and likelihoods touches for one row."""
    return 8 * (3 * n_features + 4 * n_components)


def _log_likelihood(parameters: LinearGaussian, block: Block) -> FloatArray:
    return parameters.evaluate(block.X)[:, 0]


def _scores(parameters: LinearGaussian, kind: str, block: Block) -> FloatArray:
    if kind not in ("regression", "bartlett"):
        raise ValueError(f"scores must be 'regression' or 'bartlett', got {kind!r}.")
    return parameters.posterior_means(block.X) if kind == "regression" else parameters.bartlett_scores(block.X)


def _weighted_terms(parameters: LinearGaussian, block: Block) -> FloatArray:
    """Weighted sums over rows of one, log-likelihood, and entropies of the posterior and of the observed entries."""
    columns = parameters.evaluate(block.X)
    sums = columns.sum(axis=0) if block.weight is None else block.weight @ columns
    return np.concatenate([[block.total_weight], sums])


def _means_and_variances(parameters: LinearGaussian, block: Block) -> FloatArray:
    """Posterior means and variances side by side, (n, 2 k)."""
    X = np.zeros(block.X.shape) if sparse.issparse(block.X) else block.X  # sparse rows are complete
    patterns, index = unique_rows(~np.isnan(X))
    given = [
        replace(parameters, mean=parameters.mean[o], loadings=parameters.loadings[o], noise=parameters.noise[o])
        for o in patterns
    ]
    variances = np.array([np.diag(model.posterior_covariance) for model in given]).reshape(len(given), parameters.shape[1])
    return np.column_stack([parameters.posterior_means(block.X), variances[index]])
