"""The methods of a search, which it delegates to its best model."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._typing import ArrayLike
from ._steps import fit_metadata, row_data, steps_of

# Methods whose metadata scikit-learn routes.
_ROUTED = ("fit", "score", "predict", "predict_proba", "transform", "inverse_transform")


def _best_has(method: str) -> Any:
    def check(self: BestModel) -> bool:
        owner = self.best_estimator_ if hasattr(self, "best_estimator_") else self.estimator
        getattr(owner, method)
        return bool(self.refit) or not hasattr(self, "results_")

    return check


class BestModel(MetaEstimatorMixin, BaseEstimator):
    """Base of a search: it has the methods of its best model, and delegates to them.

    Before the fit the methods are those of ``estimator``.
    """

    estimator: Any
    refit: bool | Callable[[dict[str, Any]], int]
    best_estimator_: Any

    @abstractmethod
    def fit(self, X: ArrayLike, y: Any = None, **params: Any) -> Self:
        """Fit all candidates and rank them."""

    def get_metadata_routing(self) -> MetadataRouter:
        """Routing of metadata: metadata of ``fit``, ``score`` and predictions go to the estimator's methods.

        Returns
        -------
        MetadataRouter
        """
        mapping = MethodMapping()
        for method in _ROUTED:
            mapping.add(caller=method, callee=method)
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def _best(self) -> Any:
        check_is_fitted(self, "results_")
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(f"This {type(self).__name__} was made with refit=False and keeps no model.")
        return self.best_estimator_

    def _of_best(self, method: str, X: ArrayLike, **params: Any) -> Any:
        """Call a method of the best model with X and metadata."""
        if get_config()["enable_metadata_routing"] and method in _ROUTED:
            params = process_routing(self, method, **params).estimator[method]
        return getattr(self._best(), method)(X, **params)

    @available_if(_best_has("score"))
    def score(self, X: ArrayLike, y: Any = None, **params: Any) -> float:
        """Mean log-likelihood of X under the best model, nats per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        **params
            Handed to the model's ``score``.

        Returns
        -------
        float
        """
        return float(self._of_best("score", X, **params))

    @available_if(_best_has("score_samples"))
    def score_samples(self, X: ArrayLike, **params: Any) -> Any:
        """``score_samples`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **params
            Handed to the model's ``score_samples``.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._of_best("score_samples", X, **params)

    @available_if(_best_has("predict"))
    def predict(self, X: ArrayLike, **params: Any) -> Any:
        """``predict`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **params
            Handed to the model's ``predict``, such as ``exposure``.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._of_best("predict", X, **params)

    @available_if(_best_has("predict_proba"))
    def predict_proba(self, X: ArrayLike, **params: Any) -> Any:
        """``predict_proba`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **params
            Handed to the model's ``predict_proba``, such as ``exposure``.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return self._of_best("predict_proba", X, **params)

    @available_if(_best_has("predict"))
    def fit_predict(self, X: ArrayLike, y: Any = None, **params: Any) -> Any:
        """``fit``, and ``predict`` of the same X by the best model.

        Parameters
        ----------
        X, y, **params
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        best = self.fit(X, y, **params)._best()
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        given = row_data(best, fit_metadata(best, params))
        *transformers, last = steps_of(best)
        for transformer in transformers:
            X = transformer.transform(X)
        taken = inspect.signature(last.predict).parameters
        return last.predict(X, **{name: value for name, value in given.items() if name in taken})

    @available_if(_best_has("transform"))
    def transform(self, X: ArrayLike, **params: Any) -> Any:
        """``transform`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **params
            Handed to the model's ``transform``.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return self._of_best("transform", X, **params)

    @available_if(_best_has("transform"))
    def fit_transform(self, X: ArrayLike, y: Any = None, **params: Any) -> Any:
        """``fit``, and ``transform`` of the same X.

        Parameters
        ----------
        X, y, **params
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return self.fit(X, y, **params).transform(X)

    @available_if(_best_has("inverse_transform"))
    def inverse_transform(self, X: ArrayLike, **params: Any) -> Any:
        """``inverse_transform`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
        **params
            Handed to the model's ``inverse_transform``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        return self._of_best("inverse_transform", X, **params)

    @available_if(_best_has("sample"))
    def sample(self, n_samples: int = 1, **params: Any) -> Any:
        """``sample`` of the best model.

        Parameters
        ----------
        n_samples : int, default=1
        **params
            Handed to the model's ``sample``, such as ``random_state``.

        Returns
        -------
        ndarray, or tuple of ndarrays, as returned by the model
        """
        return self._best().sample(n_samples, **params)

    @available_if(_best_has("bic"))
    def bic(self, X: ArrayLike, **params: Any) -> float:
        """Bayesian information criterion of X under the best model, in nats in total; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **params
            Handed to the model's ``bic``.

        Returns
        -------
        float
        """
        return float(self._of_best("bic", X, **params))

    @available_if(_best_has("aic"))
    def aic(self, X: ArrayLike, **params: Any) -> float:
        """Akaike information criterion of X under the best model, in nats in total; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **params
            Handed to the model's ``aic``.

        Returns
        -------
        float
        """
        return float(self._of_best("aic", X, **params))

    @available_if(_best_has("icl"))
    def icl(self, X: ArrayLike, **params: Any) -> float:
        """Integrated completed likelihood of X under the best model, in nats in total; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        **params
            Handed to the model's ``icl``.

        Returns
        -------
        float
        """
        return float(self._of_best("icl", X, **params))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "results_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.input_tags = inner.input_tags
        tags.transformer_tags = inner.transformer_tags
        return tags
