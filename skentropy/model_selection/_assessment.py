"""From models to rows of a ranking: fit models, and evaluate them on their training data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples

from .._base import Evaluation, LatentVariableModel
from .._data import required_backend
from .._em import as_part
from .._em._callbacks import subtask
from .._messages import keeping_data_warnings, list_names, warn, warn_of_normalised, warn_once, warnings_of
from .._typing import ArrayLike
from ..decomposition import PPCA
from ..entropy import entropy_sum, has_discrete_latents
from ._comparable import (
    Named,
    check_ranked,
    count_parameters,
    has_converged,
    is_fitted,
    likelihood_kind,
    traits_of,
    why_no_value,
)
from ._jacobian import log_jacobian
from ._ranking import Criterion, RankedModel
from ._steps import Metadata, fit_metadata, row_data, steps_of
from ._validation import HeldOut


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
    """Fit unfitted models in place, and evaluate all models, also on held-out rows.

    ``context`` is the callback context of ``caller``'s fit; the models' fits are its subtasks.
    """
    fitted = {i: (model, 0.0) for i, (_, model) in enumerate(named) if is_fitted(model)}
    warned: dict[str, list[str]] = {name: [] for name, _ in named}
    fitted |= _fit_paths(named, X, metadata, skip=fitted, warned=warned)
    contexts = [None if context is None else context.subcontext(task_name="candidate", task_id=i) for i in range(len(named))]
    assessed: list[tuple[RankedModel, list[str]]] = Parallel(n_jobs=n_jobs, require=required_backend(X))(
        delayed(_assess)(
            name,
            *fitted.get(i, (model, None)),
            X,
            fit_metadata(model, metadata),
            correct=correct,
            raise_error=raise_error,
            criterion=criterion,
            caller=caller,
            context=contexts[i],
            held_out=held_out,
            line=f"[{i + 1}/{len(named)}] " if verbose > 1 else "",
        )
        for i, (name, model) in enumerate(named)
    )
    rows = [row for row, _ in assessed]
    warn_once({row.name: warned[row.name] + kept for row, kept in assessed})
    for row in rows:
        if row.error:
            warn(f"{row.name} could not be fitted and evaluated: {row.error}", FitFailedWarning)
    ranked = [row for row in rows if not row.error]
    check_ranked(ranked, criterion, correct=correct)
    if criterion in ("bic", "aicc", "icl") and ranked:
        warn_of_normalised(ranked[0].n_samples)
    return rows


def _fit_paths(
    named: Named, X: ArrayLike, metadata: Metadata, *, skip: Any, warned: Mapping[str, list[str]]
) -> dict[int, tuple[PPCA, float]]:
    """Fit PPCAs that differ only in their number of components by one eigendecomposition; also return the seconds of each.

    Their warnings about the data are added to ``warned``.
    """
    groups: dict[str, list[int]] = {}
    for i, (_, model) in enumerate(named):
        if type(model) is PPCA and i not in skip and isinstance(model.n_components, Integral):
            groups.setdefault(repr({**model.get_params(), "n_components": None}), []).append(i)
    fitted = {}
    for members in groups.values():
        if len(members) == 1:
            continue
        models, start = [named[i][1] for i in members], time.perf_counter()
        names, kept = [named[i][0] for i in members], list[str]()
        try:
            with warnings_of(f"models {list_names(names)}"), keeping_data_warnings(kept):
                path = models[0].fit_path(X, [model.n_components for model in models], **fit_metadata(models[0], metadata))
        except Exception:  # each is then fitted separately, and reports its own error
            continue
        for name in names:
            warned[name].extend(kept)
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
    line: str,
    **options: Any,
) -> tuple[RankedModel, list[str]]:
    """The row of one model, with an error if it cannot be fitted or evaluated, and its warnings about the data.

    ``line`` is the beginning of the printed line.
    """
    kept: list[str] = []
    try:
        with keeping_data_warnings(kept):
            row = _fit_and_evaluate(name, model, seconds, X, metadata, **options)
    except Exception as error:
        if raise_error:
            raise
        row = RankedModel(name, None, None, error=f"{type(error).__name__}: {error}")
    if line:
        print(f"{line}{name}: {row.error or f'entropy sum {row.elbo:.6f}, {row.fit_time:.2f} s'}", flush=True)
    return row, kept


def _fit_and_evaluate(
    name: str,
    model: Any,
    seconds: float | None,
    X: ArrayLike,
    metadata: Metadata,
    *,
    criterion: Criterion,
    correct: bool,
    caller: Any,
    context: Any,
    held_out: HeldOut | None,
) -> RankedModel:
    """The row of one model, which is fitted first if the seconds of its fit are not given."""
    if reason := why_no_value(name, model, criterion):
        raise ValueError(reason)
    with as_part(), subtask(context, caller, model, X), warnings_of(f"model {name!r}"):
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
    """The row of a fitted model for its training data."""
    last = steps_of(model)[-1]
    traits = traits_of(last)
    evaluation, jacobian = evaluate_steps(model, X, data, correct=correct)
    return RankedModel(
        name=name,
        model=model,
        entropy_sum=evaluation.entropy_sum,
        log_likelihood=evaluation.elbo,
        n_parameters=count_parameters(last),
        n_samples=evaluation.weight,
        log_jacobian=jacobian,
        discrete=has_discrete_latents(last),
        classification=evaluation.classification,
        fit_time=seconds,
        converged=has_converged(last),
        doubt=traits.doubt if traits else "",
        likelihood=likelihood_kind(last),
        zero_substitutes=traits.zero_substitutes if traits else {},
    )


def evaluate_steps(model: Any, X: Any, data: Metadata, *, correct: bool) -> tuple[Evaluation, float]:
    """Evaluate the last step, with the log-likelihood of the untransformed data; also return the log-Jacobian in it."""
    *transformers, last = steps_of(model)
    jacobian = 0.0
    for transformer in transformers:
        jacobian += log_jacobian(transformer, X, data.get("sample_weight")) if correct else 0.0
        X = transformer.transform(X)
    evaluation = evaluate(last, X, **data)
    return replace(evaluation, elbo=evaluation.elbo + jacobian), jacobian


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
