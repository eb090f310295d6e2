"""Methods of a fitted belief net: likelihoods or bounds, posteriors, draws."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, logit
from sklearn.utils.validation import check_is_fitted

from .._base import Evaluation
from .._data import BlockSource, Reader, Source, check_output_stays_lazy, map_latents
from .._em import as_fitted
from .._tables import Summary
from .._transformer import LatentTransformer
from .._typing import Array, ArrayLike, FloatArray
from ._binary import binary
from ._distinct_rows import row_bytes
from ._layers import BeliefNet, Layer
from ._posteriors import EnumeratedPosteriors, Posteriors, TruncatedPosteriors
from ._summary import summarize_net
from ._truncated import draw_states

# Layers with more variables are never enumerated.
MOST_LATENTS = 20


class FittedBeliefNet(LatentTransformer):
    """Methods of a fitted net, with exact or truncated posteriors."""

    binarize: float | None
    n_states: int
    n_jobs: int | None
    prior_: FloatArray
    components_: FloatArray
    score_is_exact_: bool

    _discrete_latents: ClassVar[bool] = True
    _likelihood = "probability"
    # With truncated posteriors: states of training rows that a search would miss.
    _known_states: Array = np.zeros((0, 0), np.uint8)

    def _read(
        self, sizes: tuple[int, ...], X: ArrayLike, sample_weight: ArrayLike | None = None, *, reset: bool = False
    ) -> Source:
        latents = min(sizes[0], MOST_LATENTS)
        reader = Reader(sparse="missing", dtype="numeric", row_bytes=partial(row_bytes, latents))
        return reader.read(self, X, sample_weight, reset=reset, min_samples=2 if reset else 1)

    def _ready(self, rows: Source) -> BlockSource:
        """The binary view of rows."""
        return rows.view(partial(binary, as_fitted(self).binarize))

    def _net(self) -> BeliefNet:
        check_is_fitted(self, "prior_")
        names = [("components_", "intercept_"), ("hidden_components_", "hidden_intercept_")]
        depth = 2 if hasattr(self, "hidden_components_") else 1
        layers = tuple(
            Layer(
                np.asarray(getattr(self, weights), dtype=np.float64).T, np.asarray(getattr(self, offsets), dtype=np.float64)
            )
            for weights, offsets in names[:depth]
        )
        prior = np.clip(np.asarray(self.prior_, dtype=np.float64), 1e-300, 1.0 - 1e-16)
        return BeliefNet(logit(prior), layers)

    def _ready_rows(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> BlockSource:
        return self._ready(self._read(self._net().sizes, X, sample_weight))

    def _evaluate_rows(self, rows: BlockSource, pool: ThreadPoolExecutor | None) -> Evaluation:
        elbo, terms, weight = self._posteriors(self._net()).evaluate(rows, pool)
        return Evaluation(elbo, replace(terms, penalty=self._fitted_penalty), weight)

    def summary(self) -> Summary:
        """A summary of the fit: the likelihood or its bound, the entropy sum, and each hidden variable.

        Returns
        -------
        Summary
            It prints as text, shows as HTML in notebooks, and converts to pandas frames.
        """
        check_is_fitted(self)
        return summarize_net(self, self._warned)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Weighted mean of ``score_samples``: the log-likelihood if states are enumerated, otherwise the ELBO.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
            Nats per sample; ``score_is_exact_`` says whether it is the log-likelihood.
        """
        return super().score(X, y, sample_weight)

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """Log-likelihood of each row, in nats, if states are enumerated; otherwise its ELBO, a lower bound.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples,)
        """
        return self._map_rows(self._posteriors(self._net()).evidence, X)

    def transform(self, X: ArrayLike) -> FloatArray:
        """Posterior probabilities that the hidden variables are 1, from the layer next to the data upward.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_hidden)
        """
        check_output_stays_lazy(self, X)
        return self._map_rows(self._posteriors(self._net()).marginals, X)

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Expected data ``S(W z + mu)`` for hidden variables z or their probabilities.

        Applied to the result of ``transform`` for rows with missing entries, it therefore imputes.

        Parameters
        ----------
        X : {array-like, Dask array or frame} of shape (n_samples, n_hidden)
            As from ``transform``; only the layer next to the data matters.

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_features)
        """
        net = self._net()

        def decode(Z: FloatArray) -> FloatArray:
            return expit(net.layers[0].logits(Z[:, : net.sizes[0]])).astype(Z.dtype)

        return map_latents(decode, X, sum(net.sizes), f"the net has {sum(net.sizes)} hidden variables")

    def _draw(self, n_samples: int, random_state: np.random.RandomState) -> FloatArray:
        net = self._net()
        states = net.split_states(draw_states(net, n_samples, random_state))
        p = expit(net.layers[0].logits(states[0]))
        return (random_state.uniform(size=p.shape) < p).astype(self.components_.dtype)

    def _posteriors(self, net: BeliefNet) -> Posteriors:
        """Posteriors of a net, of the kind that the fit used."""
        return EnumeratedPosteriors(net) if self.score_is_exact_ else self._truncated_posteriors(net)

    def _truncated_posteriors(self, net: BeliefNet) -> TruncatedPosteriors:
        known = self._known_states if self._known_states.shape[1] == sum(net.sizes) else self._known_states[:0]
        return TruncatedPosteriors(net, as_fitted(self).n_states, known)

    @property
    def _n_features_out(self) -> int:
        return sum(self._net().sizes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
