"""Search over parameters by one fit a candidate, on all data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.ma import MaskedArray
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.model_selection import ParameterGrid
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, indexable

from .._typing import Array, ArrayLike
from ..decomposition import PPCA
from ._ranking import CRITERIA, ModelRanking, RankedModel, assess, check_model, evaluate


def _best_has(method: str) -> Any:
    def check(self: EntropySumSearch) -> bool:
        owner = self.best_estimator_ if hasattr(self, "best_estimator_") else self.estimator
        getattr(owner, method)
        return bool(self.refit) or not hasattr(self, "results_")

    return check


class EntropySumSearch(MetaEstimatorMixin, BaseEstimator):
    """Choose parameters by the closed form of the ELBO: ``GridSearchCV`` with one fit a candidate and no folds.

    Every candidate is fitted once to all data and ranked as by ``rank_models``. For ``PPCA`` all numbers of components come
    from one eigendecomposition.

    Parameters
    ----------
    estimator : estimator or pipeline
        Of a model with an entropy sum.
    param_grid : dict or list of dicts
        As for ``GridSearchCV``; it may replace steps of a pipeline, such as the model itself.
    criterion : {"elbo", "bic", "aic", "aicc", "icl"} or callable, default="bic"
        As for ``rank_models``.
    n_jobs : int or None, default=None
        Candidates that are fitted at a time, by joblib.
    refit : bool, default=True
        Keep the best model, as ``best_estimator_``; it has been fitted to all data already.
    error_score : "raise" or float, default=nan
        What a candidate is worth that cannot be fitted.

    Attributes
    ----------
    results_ : dict of arrays
        In the layout of ``cv_results_``: ``params``, ``param_*``, ``score`` (the criterion), ``rank_score``, ``fit_time``,
        the terms of the entropy sum, ``elbo``, ``log_likelihood``, ``gap``, ``n_parameters``, ``converged``, ``error``.
    ranking_ : ModelRanking
    best_estimator_ : fitted estimator
    best_params_ : dict
    best_score_ : float
        Nats per sample; higher is better.
    best_index_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    rank_models : The same for models that have no parameters in common.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy import PPCA, EntropySumSearch
    >>> X = load_wine().data
    >>> search = EntropySumSearch(PPCA(), {"n_components": range(1, 13)}).fit(X / X.std(axis=0))
    >>> search.best_params_
    {'n_components': 7}
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods("fit")],
        "param_grid": [dict, list],
        "criterion": [StrOptions(set(CRITERIA)), callable],
        "n_jobs": [None, Integral],
        "refit": ["boolean"],
        "error_score": [StrOptions({"raise"}), Real],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        criterion: Any = "bic",
        n_jobs: int | None = None,
        refit: bool = True,
        error_score: str | float = np.nan,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.criterion = criterion
        self.n_jobs = n_jobs
        self.refit = refit
        self.error_score = error_score

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None, **params: Any) -> Self:
        """Fit all candidates and rank them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        **params
            ``sample_weight``, or whatever metadata the estimator's ``fit`` requests.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there are no candidates, or none of them can be fitted.
        TypeError
            If a model has no entropy sum, or is supervised.
        """
        (X,) = indexable(X)
        candidates = list(ParameterGrid(self.param_grid))
        if not candidates:
            raise ValueError("param_grid has no candidates.")
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        weight = params.pop("sample_weight", None)
        if params:
            raise TypeError(f"{type(self).__name__}.fit takes no {', '.join(params)}.")
        models = [clone(self.estimator).set_params(**clone(candidate, safe=False)) for candidate in candidates]
        for model in models:
            check_model(model)
        names = [
            ", ".join(f"{name}={value!r}" for name, value in candidate.items()) or "default" for candidate in candidates
        ]
        rows = self._path(names, models, X, weight)
        if rows is None:
            rows = Parallel(n_jobs=self.n_jobs)(
                delayed(assess)(name, model, X, weight, refit=True, raise_error=self.error_score == "raise")
                for name, model in zip(names, models, strict=True)
            )
        if all(row.error for row in rows):
            raise ValueError(f"None of the {len(rows)} candidates could be fitted; the first failed with: {rows[0].error}")
        self.ranking_ = ModelRanking(rows, self.criterion)
        worst = np.nan if self.error_score == "raise" else self.error_score
        scores = np.array([worst if row.error else row.criterion(self.criterion) for row in rows], dtype=np.float64)
        self.results_ = _results(candidates, rows, scores)
        self.best_index_ = int(np.nanargmax(scores))
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = float(scores[self.best_index_])
        best = rows[self.best_index_].model
        if self.refit:
            self.best_estimator_ = best
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(best, name):
                setattr(self, name, getattr(best, name))
        return self

    @staticmethod
    def _path(names: list[str], models: list[Any], X: Any, weight: Any) -> list[RankedModel] | None:
        """All candidates from one eigendecomposition, if they are PPCAs that differ in their number of components only."""
        if not all(type(model) is PPCA for model in models):
            return None
        others = [{k: v for k, v in model.get_params().items() if k != "n_components"} for model in models]
        sizes = [model.n_components for model in models]
        if any(other != others[0] for other in others) or not all(isinstance(size, Integral) for size in sizes):
            return None
        start = time.perf_counter()
        fitted = models[0].fit_path(X, sizes, sample_weight=weight) if len(models) > 1 else None
        if fitted is None:
            return None
        seconds = (time.perf_counter() - start) / len(models)
        rows = (evaluate(name, model, X, weight) for name, model in zip(names, fitted, strict=True))
        return [replace(row, fit_time=seconds) for row in rows]

    def get_metadata_routing(self) -> MetadataRouter:
        """How metadata are handed on: those of ``fit`` to the estimator's.

        Returns
        -------
        MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def _best(self) -> Any:
        check_is_fitted(self, "results_")
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(f"This {type(self).__name__} was made with refit=False and keeps no model.")
        return self.best_estimator_

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
        return float(self._best().score(X, **params))

    @available_if(_best_has("score_samples"))
    def score_samples(self, X: ArrayLike) -> Array:
        """``score_samples`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return np.asarray(self._best().score_samples(X))

    @available_if(_best_has("predict"))
    def predict(self, X: ArrayLike) -> Array:
        """``predict`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return np.asarray(self._best().predict(X))

    @available_if(_best_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> Array:
        """``predict_proba`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return np.asarray(self._best().predict_proba(X))

    @available_if(_best_has("transform"))
    def transform(self, X: ArrayLike) -> Any:
        """``transform`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return self._best().transform(X)

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
    def inverse_transform(self, X: ArrayLike) -> Any:
        """``inverse_transform`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        return self._best().inverse_transform(X)

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


def _results(candidates: list[dict[str, Any]], rows: list[RankedModel], scores: Array) -> dict[str, Any]:
    """The table by columns, in the candidates' order."""
    results: dict[str, Any] = {"params": candidates}
    for name in sorted({name for candidate in candidates for name in candidate}):
        column: Any = MaskedArray(np.empty(len(candidates), dtype=object), mask=True)
        for index, candidate in enumerate(candidates):
            if name in candidate:
                column[index] = candidate[name]
        results[f"param_{name}"] = column
    results["score"] = scores
    results["rank_score"] = np.array(
        [1 + int((scores > score).sum()) if not np.isnan(score) else len(scores) for score in scores]
    )
    for name in ("fit_time", "elbo", "log_likelihood", "gap", "n_parameters", "converged", "error"):
        results[name] = np.array([getattr(row, name) for row in rows])
    for name in ("posterior", "prior", "hidden", "observable", "base_measure", "penalty"):
        results[name] = np.array([np.nan if row.entropy_sum is None else getattr(row.entropy_sum, name) for row in rows])
    return results
