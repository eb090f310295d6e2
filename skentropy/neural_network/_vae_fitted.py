"""Methods of a fitted variational autoencoder: scores, posteriors, draws, imputations."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._base import Evaluation
from .._data import (
    Block,
    BlockSource,
    Reader,
    Source,
    check_output_stays_lazy,
    check_total_weight,
    fill_frame,
    is_dask,
    map_latents,
    thread_pool,
)
from .._em import as_fitted
from .._tables import Summary
from .._transformer import LatentTransformer
from .._typing import ArrayLike, FloatArray
from . import _vae_blocks as vae_blocks
from ._autoencoder import Autoencoder
from ._summary import summarize_autoencoder
from ._vae_observables import Observable
from ._vae_units import Units

_FLOATS = (np.float64, np.float32)


class FittedAutoencoder(LatentTransformer):
    """Methods of a fitted autoencoder: scores, posteriors, draws, imputations."""

    n_components: int
    hidden_layer_sizes: Any

    # The model in double precision, as a dict of arrays and names only.
    _autoencoder: dict[str, Any]
    _units: dict[str, Any]
    mean_: FloatArray
    decoder_linear_: FloatArray

    @property
    @abstractmethod
    def _kind(self) -> type[Observable]:
        """The kind of observables."""

    @property
    def _view(self) -> Callable[[Block], Block] | None:
        """The function by which the model sees a block of rows; None if it sees the rows themselves."""
        return None

    def _ready(self, rows: Source) -> BlockSource:
        """Rows as the model takes them."""
        return rows if self._view is None else rows.view(self._view)

    def _ready_rows(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> BlockSource:
        check_is_fitted(self, "decoder_linear_")
        return self._ready(self._read(X, sample_weight))

    def _evaluate_rows(self, rows: BlockSource, pool: ThreadPoolExecutor | None) -> Evaluation:
        model, units = self._fitted()
        sums = rows.sum(partial(vae_blocks.sums, model, units), pool)
        check_total_weight(sums.weight)
        log_jacobian = sums.log_jacobian(units)
        elbo = sums.elbo(model.observable) + log_jacobian
        terms = sums.entropy_sum(model.observable, ridge=0.0, log_jacobian=log_jacobian)
        return Evaluation(elbo, replace(terms, penalty=self._fitted_penalty), sums.weight)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Weighted mean of ``score_samples``: a lower bound of the log-likelihood up to a small error, nats per sample.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        return super().score(X, y, sample_weight)

    def summary(self) -> Summary:
        """A summary of the fit: the ELBO, the entropy sum, each latent's information about the data, and the noise.

        Returns
        -------
        Summary
            It prints as text, shows as HTML in notebooks, and converts to pandas frames.
        """
        check_is_fitted(self)
        return summarize_autoencoder(self, self._warned)

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """ELBO of each row, in nats: a lower bound of the log-likelihood of its observed entries, up to a small error.

        The expectation in it is computed with 2 H + 1 fixed nodes, so a row has the same score in every call, whatever the
        other rows are. The nodes are exact for polynomials of up to the third degree in the latents, thus for Gaussian noise
        of types "scalar" and "diag" around a linear decoder. Elsewhere they leave an error of either sign, and where the
        bound is tight, a row can get more than its log-likelihood; the excess was at most 0.01 nats in tables with one or
        two latents. ``importance_weighted_score`` needs no nodes, except for the posteriors.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples,)
        """
        return self._map_rows(partial(vae_blocks.elbos, *self._fitted()), X)

    def importance_weighted_score(
        self, X: ArrayLike, n_samples: int = 100, *, sample_weight: ArrayLike | None = None, random_state: Any = None
    ) -> float:
        """Importance-weighted bound of the mean log-likelihood (Burda, Grosse, Salakhutdinov 2016), nats per sample.

        On average it rises with ``n_samples``, from the ELBO to the log-likelihood.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
        n_samples : int, default=100
            Number of draws from each row's posterior.
        sample_weight : array-like of shape (n_samples,), default=None
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        float
        """
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        model, units = self._fitted()
        rows = self._ready_rows(X, sample_weight)
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        with thread_pool(1):
            weight, total = rows.sum(partial(vae_blocks.importance_weighted, model, units, n_samples, seed)).tolist()
        check_total_weight(weight)
        return float(total / weight)

    def posterior(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Means and variances of the latents' posteriors, which are independent Gaussians.

        Parameters
        ----------
        X : {array-like, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        means, variances : ndarray of shape (n_samples, n_components)
        """
        model, units = self._fitted()
        joined = self._map_rows(partial(vae_blocks.means_and_variances, model, units), X)
        return joined[:, : model.n_latents], joined[:, model.n_latents :]

    def transform(self, X: ArrayLike) -> FloatArray:
        """Posterior means of the latent variables.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_components)
        """
        check_output_stays_lazy(self, X)
        return self._map_rows(partial(vae_blocks.means, *self._fitted()), X)

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Means of the observables given latent variables, which the decoder computes.

        Parameters
        ----------
        X : {array-like, Dask array or frame} of shape (n_samples, n_components)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_features)
        """
        model, units = self._fitted()

        def decode(Z: FloatArray) -> FloatArray:
            return units.original(model.observable.mean(model.decoder(Z.astype(np.float64)))).astype(Z.dtype)

        return map_latents(decode, X, model.n_latents, f"the model has {model.n_latents} components")

    def impute(self, X: ArrayLike) -> Any:
        """X with missing entries replaced by their expected values, given the observed entries of their rows.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            NaN marks missing entries.

        Returns
        -------
        ndarray, pandas or polars frame, or lazy Dask array, of shape (n_samples, n_features)
            A frame if X is one; columns without gaps stay unchanged.
        """
        values = self._map_rows(partial(vae_blocks.imputed, *self._fitted()), X)
        return values if is_dask(X) else fill_frame(X, values)

    def _draw(self, n_samples: int, random_state: np.random.RandomState) -> FloatArray:
        model, units = self._fitted()
        outputs = model.decoder(model.prior.draw(random_state, (n_samples, model.n_latents)))
        return units.original(model.observable.draw(outputs, random_state)).astype(self.mean_.dtype)

    def _fitted(self) -> tuple[Autoencoder, Units]:
        check_is_fitted(self, "decoder_linear_")
        return Autoencoder.of_state(self._autoencoder), Units(**self._units)

    @property
    def _n_features_out(self) -> int:
        return int(self.decoder_linear_.shape[0])

    def _hidden_sizes(self, name: str) -> list[int]:
        given = getattr(self, name)
        sizes = [given] if isinstance(given, Integral) else list(given)
        if not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
            raise ValueError(f"{name}={given!r} must hold positive integers, the sizes of hidden layers.")
        return [int(size) for size in sizes]

    def _read(self, X: ArrayLike, sample_weight: ArrayLike | None = None, *, reset: bool = False) -> Source:
        reader = Reader(sparse="no", dtype="numeric", row_bytes=self._row_bytes)
        return reader.read(self, X, sample_weight, reset=reset, min_samples=2 if reset else 1)

    def _row_bytes(self, n_features: int) -> int:
        model = as_fitted(self)
        widest = max([0, *model._hidden_sizes("hidden_layer_sizes")])
        return vae_blocks.row_bytes(model.n_components, widest, model._kind.n_outputs * n_features)
