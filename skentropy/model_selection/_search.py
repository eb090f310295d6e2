"""Search over parameters with one fit of each candidate to all data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.ma import MaskedArray
from sklearn import get_config
from sklearn.base import _fit_context, clone
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import process_routing

from .._base import unchanged_by_failure
from .._em._callbacks import CallbackSupportMixin
from .._em._checkpoint import Checkpoint
from .._entropy_sum import EntropySum
from .._typing import ArrayLike
from ._assessment import assess_all
from ._best_model import BestModel
from ._comparable import Named, check_models
from ._names import candidate_names
from ._ranking import CRITERIA, Criterion, ModelRanking, RankedModel
from ._steps import Metadata, fit_metadata, steps_of
from ._validation import hold_out


class EntropySumSearch(CallbackSupportMixin, BestModel):
    """Choose parameters by the closed form of the ELBO, like ``GridSearchCV`` with one fit per candidate and no folds.

    Every candidate is fitted once to all data and ranked as by ``rank_models``. If a ``PPCA`` is not a step of a pipeline,
    one eigendecomposition fits all numbers of components.

    Parameters
    ----------
    estimator : estimator or pipeline
        A model with an entropy sum.
    param_grid : dict, list of dicts, ParameterGrid or ParameterSampler
        As for ``GridSearchCV``. The grid may replace steps of a pipeline, such as the model itself.
    criterion : {"elbo", "bic", "aic", "aicc", "icl", "validation"} or callable, default="bic"
        As for ``rank_models``. For "validation" the candidates are fitted to a share of the rows and compared by the
        others, and the best one is then fitted to all.
    n_jobs : int or None, default=None
        Number of candidates that are fitted at a time, by joblib.
    refit : bool or callable, default=True
        Whether to keep the best model as ``best_estimator_``, and the others in ``ranking_``; they are already fitted to all
        data. False keeps none. A callable takes ``cv_results_`` and returns the index of the best candidate.
    error_score : "raise" or float, default=nan
        The ``score`` in ``results_`` of a candidate that cannot be fitted; such a candidate always ranks last.
    change_of_variables : {"refuse", "correct"}, default="refuse"
        The treatment of candidates that transform the data differently, as for ``rank_models``.
    validation_fraction : float, default=0.25
        For "validation": the share of the rows that is held out.
    random_state : int, RandomState instance or None, default=None
        For "validation": determines the held-out rows.
    verbose : int, default=0
        1 prints the number of candidates, and 2 also each candidate when it is done.

    Attributes
    ----------
    results_ : dict of arrays
        The columns ``params``, ``param_*``, ``score`` (the criterion), ``rank_score``, ``fit_time``, the terms of the
        entropy sum, ``elbo``, ``log_likelihood``, ``validation``, ``gap``, ``n_parameters``, ``converged``, ``error``.
    cv_results_ : dict of arrays
        The same, with the columns that tools for ``GridSearchCV`` need: ``mean_test_score``, ``rank_test_score``,
        ``mean_fit_time`` and so on, as for one split.
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
        "param_grid": [dict, list, ParameterGrid, ParameterSampler],
        "criterion": [StrOptions(set(CRITERIA)), callable],
        "n_jobs": [None, Integral],
        "refit": ["boolean", callable],
        "error_score": [StrOptions({"raise"}), Real],
        "change_of_variables": [StrOptions({"refuse", "correct"})],
        "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]] | ParameterGrid | ParameterSampler,
        *,
        criterion: Any = "bic",
        n_jobs: int | None = None,
        refit: bool | Callable[[dict[str, Any]], int] = True,
        error_score: str | float = np.nan,
        change_of_variables: str = "refuse",
        validation_fraction: float = 0.25,
        random_state: Any = None,
        verbose: int = 0,
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
        self.verbose = verbose

    @unchanged_by_failure
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None, **params: Any) -> Self:
        """Fit all candidates and rank them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        **params
            Metadata of the rows for the estimator's ``fit``: ``sample_weight``, ``exposure``, or, with metadata routing, any
            requested metadata. Without routing the last step of a pipeline receives ``sample_weight``.

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
        began = time.time()
        candidates = self._candidates()
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        models = [clone(self.estimator).set_params(**clone(candidate, safe=False)) for candidate in candidates]
        named = list(zip(candidate_names(candidates), models, strict=True))
        check_models(named, self.criterion, self.change_of_variables)
        if self.verbose:
            print(f"{len(models)} candidates, each fitted once")
        context = self._init_callback_context(max_subtasks=len(models), sequential_subtasks=False)
        if context is not None:
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        rows = self._assess(named, X, params, context)
        best = self._choose(candidates, rows)
        if self.refit:
            self.best_estimator_ = best.model
            if self.criterion == "validation":
                self.best_estimator_ = clone(best.model).fit(X, **fit_metadata(best.model, params))
        else:
            rows = [replace(row, model=None) for row in rows]
        self.ranking_ = ModelRanking(rows, self.criterion)
        _leave_in_checkpoints(self.best_estimator_ if self.refit else best.model, began)
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _candidates(self) -> list[dict[str, Any]]:
        grid: Any = self.param_grid
        candidates: list[dict[str, Any]] = list(
            grid if isinstance(grid, ParameterGrid | ParameterSampler) else ParameterGrid(grid)
        )
        if not candidates:
            raise ValueError("param_grid has no candidates.")
        return candidates

    def _assess(self, named: Named, X: ArrayLike, params: Metadata, context: Any) -> list[RankedModel]:
        """Fit and evaluate all candidates; for "validation" fit them to a share of the rows and evaluate the others."""
        held_out = None
        if self.criterion == "validation":
            X, params, held_out = hold_out(X, params, self.validation_fraction, self.random_state)
        return assess_all(
            named,
            X,
            params,
            criterion=self.criterion,
            n_jobs=self.n_jobs,
            correct=self.change_of_variables == "correct",
            raise_error=self.error_score == "raise",
            caller=self,
            context=context,
            held_out=held_out,
            verbose=int(self.verbose),
        )

    def _choose(self, candidates: list[dict[str, Any]], rows: list[RankedModel]) -> RankedModel:
        """Set the results of all candidates and of the best one, and return the best one."""
        first = ModelRanking(rows, self.criterion).best_row
        self.results_ = _results(candidates, rows, self.criterion, self.error_score)
        self.best_index_ = [row.name for row in rows].index(first.name)
        if callable(self.refit):
            self.best_index_ = _chosen(self.refit(self.cv_results_), rows)
        best = rows[self.best_index_]
        self.best_params_ = candidates[self.best_index_]
        self.best_score_ = best.criterion(self.criterion)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(best.model, name):
                setattr(self, name, getattr(best.model, name))
        return best

    @property
    def cv_results_(self) -> dict[str, Any]:
        """The table of candidates, also under the names of ``GridSearchCV``, with all data as the only split."""
        if not hasattr(self, "results_"):
            raise AttributeError(f"This {type(self).__name__} has not been fitted.")
        score, seconds, rank = (self.results_[name] for name in ("score", "fit_time", "rank_score"))
        return {
            **self.results_,
            "split0_test_score": score,
            "mean_test_score": score,
            "std_test_score": np.zeros(len(score)),
            "rank_test_score": rank,
            "mean_fit_time": seconds,
            "std_fit_time": np.zeros(len(score)),
        }


def _leave_in_checkpoints(best: Any, began: float) -> None:
    """Put the best model into the files of checkpoints that candidates have written since the search began."""
    model = steps_of(best)[-1]
    for callback in getattr(model, "_skl_callbacks", ()):
        if isinstance(callback, Checkpoint):
            callback.on_search_end(model, began)


def _chosen(index: Any, rows: Sequence[RankedModel]) -> int:
    """Check the index that a callable ``refit`` has returned."""
    if not isinstance(index, Integral):
        raise TypeError(f"refit must return the index of a candidate, an integer, but returned {index!r}.")
    chosen = int(index)
    if not 0 <= chosen < len(rows):
        raise IndexError(f"refit returned {chosen}, but there are {len(rows)} candidates.")
    if rows[chosen].error:
        raise ValueError(f"refit chose candidate {chosen}, which could not be fitted: {rows[chosen].error}")
    return chosen


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
