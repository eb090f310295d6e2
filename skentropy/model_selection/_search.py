"""Search over parameters by one fit a candidate, on all data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.ma import MaskedArray
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.model_selection import ParameterGrid
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._callbacks import CallbackSupportMixin
from .._typing import ArrayLike
from ..entropy import EntropySum
from ._assessment import assess_all, check_models, fit_metadata, short_name
from ._ranking import CRITERIA, Criterion, ModelRanking, RankedModel
from ._validation import hold_out


def _best_has(method: str) -> Any:
    def check(self: EntropySumSearch) -> bool:
        owner = self.best_estimator_ if hasattr(self, "best_estimator_") else self.estimator
        getattr(owner, method)
        return bool(self.refit) or not hasattr(self, "results_")

    return check


class EntropySumSearch(CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """Choose parameters by the closed form of the ELBO: ``GridSearchCV`` with one fit a candidate and no folds.

    Every candidate is fitted once to all data and ranked as by ``rank_models``; a ``PPCA`` that is no step of a pipeline is
    fitted with all numbers of components from one eigendecomposition.

    Parameters
    ----------
    estimator : estimator or pipeline
        Of a model with an entropy sum.
    param_grid : dict or list of dicts
        As for ``GridSearchCV``; it may replace steps of a pipeline, such as the model itself.
    criterion : {"elbo", "bic", "aic", "aicc", "icl", "validation"} or callable, default="bic"
        As for ``rank_models``. For "validation" the candidates are fitted to a share of the rows and compared by the
        others, and the best one is then fitted to all.
    n_jobs : int or None, default=None
        Candidates that are fitted at a time, by joblib.
    refit : bool, default=True
        Keep the best model, as ``best_estimator_``, and the others in ``ranking_``; they have been fitted to all data
        already. False keeps none.
    error_score : "raise" or float, default=nan
        The ``score`` in ``results_`` of a candidate that cannot be fitted; it ranks last in any case.
    change_of_variables : {"refuse", "correct"}, default="refuse"
        As for ``rank_models``: what to do about candidates that transform the data differently.
    validation_fraction : float, default=0.25
        For "validation": the share of the rows that is held out.
    random_state : int, RandomState instance or None, default=None
        For "validation": which rows they are.

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
    feature_names_in_ : ndarray of shape (n_features,)

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
        "change_of_variables": [StrOptions({"refuse", "correct"})],
        "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither")],
        "random_state": ["random_state"],
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
        change_of_variables: str = "refuse",
        validation_fraction: float = 0.25,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.criterion = criterion
        self.n_jobs = n_jobs
        self.refit = refit
        self.error_score = error_score
        self.change_of_variables = change_of_variables
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None, **params: Any) -> Self:
        """Fit all candidates and rank them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        **params
            What the estimator's ``fit`` takes of each row: ``sample_weight``, ``exposure``, or, with metadata routing,
            whatever it requests. Without routing ``sample_weight`` is that of a pipeline's last step.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there are no candidates, none of them can be fitted, or they transform the data differently.
        TypeError
            If a model has no entropy sum, or is supervised.
        """
        for name in ("results_", "ranking_", "best_estimator_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        candidates = list(ParameterGrid(self.param_grid))
        if not candidates:
            raise ValueError("param_grid has no candidates.")
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        models = [clone(self.estimator).set_params(**clone(candidate, safe=False)) for candidate in candidates]
        names = [
            ", ".join(f"{name}={short_name(value)}" for name, value in candidate.items()) or "default"
            for candidate in candidates
        ]
        named = list(zip(names, models, strict=True))
        check_models(named, self.criterion, self.change_of_variables)
        context = self._init_callback_context(max_subtasks=len(models), sequential_subtasks=False)
        if context is not None:
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        data, metadata, held_out = X, params, None
        if self.criterion == "validation":
            data, metadata, held_out = hold_out(X, params, self.validation_fraction, self.random_state)
        rows = assess_all(
            named,
            data,
            metadata,
            n_jobs=self.n_jobs,
            correct=self.change_of_variables == "correct",
            raise_error=self.error_score == "raise",
            caller=self,
            context=context,
            held_out=held_out,
        )
        best = ModelRanking(rows, self.criterion).best_row
        self.best_index_ = next(index for index, row in enumerate(rows) if row is best)
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = best.criterion(self.criterion)
        self.results_ = _results(candidates, rows, self.criterion, self.error_score)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(best.model, name):
                setattr(self, name, getattr(best.model, name))
        if self.refit:
            self.best_estimator_ = best.model
            if held_out is not None:
                self.best_estimator_ = clone(best.model).fit(X, **fit_metadata(best.model, params))
        else:
            rows = [replace(row, model=None) for row in rows]
        self.ranking_ = ModelRanking(rows, self.criterion)
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """How metadata are handed on: those of ``fit`` and ``score`` to the estimator's.

        Returns
        -------
        MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="score", callee="score")
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
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "score", **params).estimator.score
        return float(self._best().score(X, **params))

    @available_if(_best_has("score_samples"))
    def score_samples(self, X: ArrayLike) -> Any:
        """``score_samples`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._best().score_samples(X)

    @available_if(_best_has("predict"))
    def predict(self, X: ArrayLike) -> Any:
        """``predict`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._best().predict(X)

    @available_if(_best_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> Any:
        """``predict_proba`` of the best model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return self._best().predict_proba(X)

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


def _results(
    candidates: list[dict[str, Any]], rows: list[RankedModel], criterion: Criterion, error_score: Any
) -> dict[str, Any]:
    """The table by columns, in the candidates' order."""
    results: dict[str, Any] = {"params": candidates}
    for name in sorted({name for candidate in candidates for name in candidate}):
        column: Any = MaskedArray(np.empty(len(candidates), dtype=object), mask=True)
        for index, candidate in enumerate(candidates):
            if name in candidate:
                column[index] = candidate[name]
        results[f"param_{name}"] = column
    values = np.array([row.criterion(criterion) for row in rows])
    results["score"] = np.array([error_score if row.error else value for row, value in zip(rows, values, strict=True)])
    results["rank_score"] = np.array([len(rows) if np.isnan(value) else 1 + int((values > value).sum()) for value in values])
    for name in ("fit_time", "elbo", "log_likelihood", "validation", "gap", "n_parameters", "converged", "error"):
        results[name] = np.array([getattr(row, name) for row in rows])
    for name in EntropySum.SIGNS:
        results[name] = np.array([np.nan if row.entropy_sum is None else getattr(row.entropy_sum, name) for row in rows])
    return results
