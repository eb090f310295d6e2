"""The closed form as a scorer for scikit-learn's tools."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from .._typing import ArrayLike
from ._assessment import evaluate
from ._steps import steps_of


class ClosedFormScorer(BaseEstimator):
    """A scorer ``(estimator, X, y=None, sample_weight=None) -> float`` that looks inside pipelines and searches.

    ``entropy_sum_scorer`` returns the entropy sum, and ``stationarity_gap_scorer`` minus the absolute stationarity gap, in
    nats per sample; higher is better.

    **Do not use these scorers for cross-validation.** For held-out data the entropy sum is neither the ELBO nor a bound, and
    it favours the largest model: with a true K of 3 it chose 8, and ``score`` chose 3. Cross-validate with ``scoring=None``,
    and use these scorers if models are fitted and scored on the same data. The gap on held-out data measures how far they
    are from the training data.

    Parameters
    ----------
    quantity : {"entropy_sum", "stationarity_gap"}, default="entropy_sum"

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy import PPCA
    >>> from skentropy.model_selection import entropy_sum_scorer
    >>> X = load_wine().data
    >>> ppca = PPCA(2).fit(X)
    >>> bool(abs(entropy_sum_scorer(ppca, X) - ppca.score(X)) < 1e-9)
    True
    """

    def __init__(self, quantity: str = "entropy_sum") -> None:
        self.quantity = quantity

    def __call__(self, estimator: Any, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        return self.score(estimator, X, y, sample_weight=sample_weight)

    def score(self, estimator: Any, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """The quantity for a fitted model or pipeline.

        Parameters
        ----------
        estimator : fitted estimator or pipeline
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        if self.quantity not in ("entropy_sum", "stationarity_gap"):
            raise ValueError(f"quantity must be 'entropy_sum' or 'stationarity_gap', got {self.quantity!r}.")
        *transformers, model = steps_of(estimator)
        for transformer in transformers:
            X = transformer.transform(X)
        evaluation = evaluate(model, X, sample_weight)
        value = evaluation.entropy_sum.value
        return value if self.quantity == "entropy_sum" else -abs(value - evaluation.elbo)


entropy_sum_scorer = ClosedFormScorer()
stationarity_gap_scorer = ClosedFormScorer("stationarity_gap")
