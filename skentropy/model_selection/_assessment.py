"""From models to rows of a ranking: what can be ranked, fitting it, and evaluating it on the data that it was fitted to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import joblib
import numpy as np
from sklearn import get_config
from sklearn.base import MetaEstimatorMixin, is_classifier, is_regressor
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter

from .._base import Evaluation, LatentVariableModel, Traits
from .._data import required_backend
from .._em import as_part
from .._em._callbacks import subtask
from .._messages import list_columns, warn, warn_of_normalised
from .._typing import ArrayLike
from ..decomposition import PPCA
from ..entropy import check_has_entropy_sum, entropy_sum, has_discrete_latents, has_entropy_sum, n_parameters
from ._jacobian import log_jacobian
from ._ranking import Criterion, RankedModel
from ._validation import HeldOut

Named = Sequence[tuple[str, Any]]
Metadata = Mapping[str, Any]


# What is inside of pipelines and searches.


def steps_of(model: Any) -> list[Any]:
    """The transformers and, last, the model, out of pipelines and searches."""
    if isinstance(model, Pipeline):
        return [inner for _, step in model.steps if step not in (None, "passthrough") for inner in steps_of(step)]
    inner = _searched(model)
    return [model] if inner is None else steps_of(inner)


def _searched(model: Any) -> Any:
    """What a search has found or, unfitted, searches over; None for other models."""
    if not isinstance(model, MetaEstimatorMixin) or has_entropy_sum(model):
        return None
    return getattr(model, "best_estimator_", getattr(model, "estimator", None))


def fit_metadata(model: Any, metadata: Metadata) -> dict[str, Any]:
    """Metadata as a model's ``fit`` takes them: outside of routing a pipeline's weights and exposures are its last step's.

    So are those of a search over a pipeline.
    """
    given = {name: value for name, value in metadata.items() if value is not None}
    inner = _searched(model)
    if inner is not None:
        return fit_metadata(inner, given)
    if get_config()["enable_metadata_routing"] or not isinstance(model, Pipeline):
        return given
    name, last = model.steps[-1]
    own = fit_metadata(last, {key: given.pop(key) for key in ("sample_weight", "exposure") if key in given})
    return {**given, **{f"{name}__{key}": value for key, value in own.items()}}


def row_data(model: Any, metadata: Metadata) -> Metadata:
    """What of the metadata handed to a model's ``fit`` reaches the last step in it: its weights, its exposures."""
    if not metadata:
        return {}
    is_routed = get_config()["enable_metadata_routing"]
    if isinstance(model, Pipeline):
        name, last = model.steps[-1]
        if is_routed:
            return row_data(last, process_routing(model, "fit", **metadata)[name].fit)
        prefix = f"{name}__"
        return row_data(last, {key[len(prefix) :]: value for key, value in metadata.items() if key.startswith(prefix)})
    inner = _searched(model)
    if inner is None:
        return metadata
    return row_data(inner, process_routing(model, "fit", **metadata).estimator.fit if is_routed else metadata)


# What can be ranked.


def check_models(named: Named, criterion: Criterion, change_of_variables: str) -> None:
    """Refuse, before anything is fitted, what cannot be ranked or compared."""
    if change_of_variables not in ("refuse", "correct"):
        raise ValueError(f"change_of_variables must be 'refuse' or 'correct', got {change_of_variables!r}.")
    for name, model in named:
        _check_model(model)
        if criterion == "icl" and not has_discrete_latents(steps_of(model)[-1]):
            raise ValueError(
                f"The integrated completed likelihood is for models with discrete latent variables, and {name} has "
                "continuous ones; rank by 'bic'."
            )
        if criterion in ("bic", "aic", "aicc", "icl") and np.isnan(_count(steps_of(model)[-1], unfitted=True)):
            raise ValueError(
                f"The parameters of {name} count by no agreed rule, so that {criterion!r} is not defined; rank by "
                "'validation', the likelihood of rows that are held out."
            )
    if change_of_variables == "refuse":
        _check_same_transformation(named)


def _check_model(model: Any) -> None:
    steps = steps_of(model)
    if not steps or not hasattr(steps[-1], "fit"):
        raise TypeError(f"Models to rank must be estimators, but got {model!r}.")
    if is_classifier(steps[-1]) or is_regressor(steps[-1]):
        raise TypeError(f"{type(steps[-1]).__name__} is supervised; only generative models of X have an entropy sum.")
    check_has_entropy_sum(steps[-1])


def _check_same_transformation(named: Named) -> None:
    signatures = [[_signature(step) for step in steps_of(model)[:-1]] for _, model in named]
    for (name, _), signature in zip(named, signatures, strict=True):
        if signature != signatures[0]:
            raise ValueError(
                f"{named[0][0]} and {name} transform the data differently, and densities of different variables are not "
                "comparable: log p(x) = log p(T(x)) + log |det dT/dx|. Transform alike, or set "
                "change_of_variables='correct'."
            )


def _check_same_columns(ranked: Sequence[RankedModel]) -> None:
    """Refuse fitted models of different columns, as far as they say which those are; the others are of all."""
    lasts = [(row.name, steps_of(row.model)[-1]) for row in ranked]
    told = [(name, last, columns) for name, last in lasts if (traits := _traits(last)) and (columns := traits.columns)]
    if not told:
        return
    first, model, columns = told[0]
    for name, last in lasts:
        traits = _traits(last)
        other = (traits and traits.columns) or dict.fromkeys(range(model.n_features_in_))
        differing = sorted(columns.keys() ^ other.keys())
        how = "of which one of them is no model"
        if not differing:
            differing = [column for column, is_count in columns.items() if other[column] not in (None, is_count)]
            how = "a count or a category to one of them and a real number to the other"
        if differing:
            raise ValueError(
                f"{first} and {name} are models of different variables: {list_columns(model, differing)} {how}. Their "
                "likelihoods are not comparable; give all models the same columns."
            )


def _traits(model: Any) -> Traits | None:
    """What a model says of itself, if it is one of the package."""
    return model.traits() if isinstance(model, LatentVariableModel) else None


def _signature(transformer: Any) -> str:
    """What says that two transformers do the same, once fitted to the same data."""
    try:
        return str(joblib.hash((type(transformer), transformer.get_params())))
    except Exception:  # functions without a name cannot be hashed
        return repr(transformer)


def is_fitted(model: Any) -> bool:
    """Whether a model has been fitted."""
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def check_same_features(name: str, model: Any, X: Any) -> None:
    """Refuse a fitted model of another number of features."""
    expected, shape = getattr(model, "n_features_in_", None), tuple(getattr(X, "shape", ()))
    if expected is not None and len(shape) == 2 and expected != shape[1]:
        raise ValueError(
            f"{name} was fitted to {expected} features, but X has {shape[1]}; models of other data cannot be ranked."
        )


def check_same_data(row: RankedModel, X: Any, sample_weight: ArrayLike | None) -> None:
    """Refuse a model that came fitted to something else than X, as far as what it kept of its data tells."""
    *transformers, last = steps_of(row.model)
    if sample_weight is not None and not has_fit_parameter(last, "sample_weight"):
        return
    if hasattr(last, "lower_bound_"):
        # scikit-learn's bound is that before the last step. A bound by truncated posteriors has other posteriors by now.
        is_final = _has_converged(last) and getattr(last, "score_is_exact_", True)
        bound = last.lower_bound_ + row.log_jacobian
        # Rounding to single precision alone may move parameters this far from those of the fit.
        tolerance = 10.0 * getattr(last, "tol", 0.0) + 1e-3 * (1.0 + abs(bound))
        is_other = is_final and abs(row.log_likelihood - bound) > tolerance
    elif hasattr(last, "mean_"):
        for transformer in transformers:
            X = transformer.transform(X)
        X = np.asarray(X, dtype=np.float64)
        is_other = not np.allclose(last.mean_, X.mean(axis=0), rtol=0.0, atol=1e-6 * np.abs(X).max())
    else:
        is_other = False
    if is_other:
        raise ValueError(
            f"{row.name} was fitted to other data than X, or with other weights; models of other data cannot be ranked. "
            "Give it unfitted."
        )


# Fitting and evaluating.


def assess_all(
    named: Named,
    X: ArrayLike,
    metadata: Metadata,
    *,
    criterion: Criterion,
    n_jobs: int | None,
    correct: bool,
    raise_error: bool = False,
    caller: Any = None,
    context: Any = None,
    held_out: HeldOut | None = None,
    verbose: int = 0,
) -> list[RankedModel]:
    """Fit the models that are not fitted yet, in place, and evaluate all, also on the rows that are held out.

    ``context`` is the callback context of ``caller``'s fit, whose subtasks the fits are.
    """
    fitted = {i: (model, 0.0) for i, (_, model) in enumerate(named) if is_fitted(model)}
    fitted |= _fit_paths(named, X, metadata, skip=fitted)
    contexts = [None if context is None else context.subcontext(task_name="candidate", task_id=i) for i in range(len(named))]
    rows: list[RankedModel] = Parallel(n_jobs=n_jobs, require=required_backend(X))(
        delayed(_assess)(
            name,
            *fitted.get(i, (model, None)),
            X,
            fit_metadata(model, metadata),
            correct=correct,
            raise_error=raise_error,
            caller=caller,
            context=contexts[i],
            held_out=held_out,
            told=f"[{i + 1}/{len(named)}] " if verbose > 1 else "",
        )
        for i, (name, model) in enumerate(named)
    )
    for row in rows:
        if row.error:
            warn(f"{row.name} could not be fitted and evaluated: {row.error}", FitFailedWarning)
    ranked = [row for row in rows if not row.error]
    _check_same_columns(ranked)
    if not correct:  # once more, since searches may have changed transformers
        _check_same_transformation([(row.name, row.model) for row in ranked])
    _check_same_values(ranked)
    if criterion in ("bic", "aicc", "icl") and ranked:
        warn_of_normalised(min(row.n_samples for row in ranked))
    return rows


def _check_same_values(rows: list[RankedModel]) -> None:
    """Refuse models of values as they are beside models that have made zeros and ones of them."""
    binarized = [bool((traits := _traits(steps_of(row.model)[-1])) and traits.binarizes) for row in rows]
    if any(binarized) and not all(binarized):
        one, other = rows[binarized.index(True)].name, rows[binarized.index(False)].name
        raise ValueError(
            f"{one} has made zeros and ones of the data, and {other} has not; their probabilities are not comparable. "
            "Make the data binary before either."
        )


def _fit_paths(named: Named, X: ArrayLike, metadata: Metadata, skip: Any) -> dict[int, tuple[PPCA, float]]:
    """PPCAs that differ in their number of components only, from one eigendecomposition, with each one's seconds."""
    groups: dict[str, list[int]] = {}
    for i, (_, model) in enumerate(named):
        if type(model) is PPCA and i not in skip and isinstance(model.n_components, Integral):
            groups.setdefault(repr({**model.get_params(), "n_components": None}), []).append(i)
    fitted = {}
    for members in groups.values():
        if len(members) == 1:
            continue
        models, start = [named[i][1] for i in members], time.perf_counter()
        try:
            path = models[0].fit_path(X, [model.n_components for model in models], **fit_metadata(models[0], metadata))
        except Exception:  # each, fitted by itself, will tell what is wrong with it
            continue
        seconds = (time.perf_counter() - start) / len(members)
        fitted.update({i: (model, seconds) for i, model in zip(members, path, strict=True)})
    return fitted


def _assess(
    name: str,
    model: Any,
    seconds: float | None,
    X: ArrayLike,
    metadata: Metadata,
    *,
    raise_error: bool,
    told: str,
    **options: Any,
) -> RankedModel:
    """The row of one model, with an error if it has none otherwise; ``told`` begins the line that is printed of it."""
    try:
        row = _fit_and_evaluate(name, model, seconds, X, metadata, **options)
    except Exception as error:
        if raise_error:
            raise
        row = RankedModel(name, None, None, error=f"{type(error).__name__}: {error}")
    if told:
        print(f"{told}{name}: {row.error or f'entropy sum {row.elbo:.6f}, {row.fit_time:.2f} s'}", flush=True)
    return row


def _fit_and_evaluate(
    name: str,
    model: Any,
    seconds: float | None,
    X: ArrayLike,
    metadata: Metadata,
    *,
    correct: bool,
    caller: Any,
    context: Any,
    held_out: HeldOut | None,
) -> RankedModel:
    """The row of one model, which is fitted first unless that took some seconds already."""
    with as_part(), subtask(context, caller, model, X):
        if seconds is None:
            start = time.perf_counter()
            model.fit(X, **metadata)
            seconds = time.perf_counter() - start
    row = _row(name, model, X, row_data(model, metadata), seconds, correct=correct)
    if held_out is None:
        return row
    data = row_data(model, fit_metadata(model, held_out.metadata))
    return replace(row, validation=evaluate_steps(model, held_out.X, data, correct=correct)[0].elbo)


def _row(name: str, model: Any, X: Any, data: Metadata, seconds: float, *, correct: bool) -> RankedModel:
    """What a fitted model says of the data that it was fitted to."""
    last = steps_of(model)[-1]
    evaluation, jacobian = evaluate_steps(model, X, data, correct=correct)
    return RankedModel(
        name=name,
        model=model,
        entropy_sum=evaluation.entropy_sum,
        log_likelihood=evaluation.elbo,
        n_parameters=_count(last),
        n_samples=evaluation.weight,
        log_jacobian=jacobian,
        discrete=has_discrete_latents(last),
        classification=evaluation.classification,
        fit_time=seconds,
        converged=_has_converged(last),
        doubt=traits.doubt if (traits := _traits(last)) else "",
    )


def evaluate_steps(model: Any, X: Any, data: Metadata, *, correct: bool) -> tuple[Evaluation, float]:
    """What the last step says of data, its log-likelihood that of untransformed ones; and the log-Jacobian in it."""
    *transformers, last = steps_of(model)
    jacobian = 0.0
    for transformer in transformers:
        jacobian += log_jacobian(transformer, X, data.get("sample_weight")) if correct else 0.0
        X = transformer.transform(X)
    evaluation = evaluate(last, X, **data)
    return replace(evaluation, elbo=evaluation.elbo + jacobian), jacobian


def _count(model: Any, *, unfitted: bool = False) -> float:
    """The number of parameters of a model, NaN if they count by no agreed rule."""
    if isinstance(model, LatentVariableModel) and model.traits().why_no_criteria:
        return np.nan
    return 0 if unfitted else n_parameters(model)


def evaluate(model: Any, X: ArrayLike, sample_weight: ArrayLike | None = None, **data: Any) -> Evaluation:
    """Log-likelihood, entropy sum and total weight of data under a fitted model of any package."""
    if isinstance(model, LatentVariableModel):
        return model.evaluate(X, sample_weight, **data)
    if data:
        raise TypeError(f"{type(model).__name__} takes no {', '.join(data)}.")
    terms = entropy_sum(model, X, sample_weight)
    each = model.score_samples(X) if hasattr(model, "score_samples") else np.full(_num_samples(X), np.nan)
    n_samples = len(each) if sample_weight is None else np.sum(sample_weight)
    classification = np.nan
    if has_discrete_latents(model) and hasattr(model, "predict_proba"):
        classification = float(np.average(-np.log(model.predict_proba(X).max(axis=1)), weights=sample_weight))
    return Evaluation(float(np.average(each, weights=sample_weight)), terms, float(n_samples), classification)


def _has_converged(model: Any) -> bool:
    """What a model says of itself; where it only counts steps, whether it ended before the last one allowed."""
    if hasattr(model, "converged_"):
        return bool(model.converged_)
    return not (hasattr(model, "n_iter_") and model.n_iter_ >= getattr(model, "max_iter", np.inf))
