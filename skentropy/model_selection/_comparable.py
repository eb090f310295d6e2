"""Check that models can be ranked: they have an entropy sum, and model the same data and kind of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._base import JOINT_KINDS, ColumnKinds, LatentVariableModel, Traits
from .._messages import list_columns, list_names, warn
from .._typing import ArrayLike
from ..entropy import check_has_entropy_sum, has_discrete_latents, n_parameters
from ._ranking import Criterion, RankedModel
from ._steps import steps_of

Named = Sequence[tuple[str, Any]]

# The kinds of likelihoods, as in ``Traits.likelihood``; no two kinds are comparable.
_KINDS = {
    "probability": "Probabilities of counts or categories",
    "given totals": "Probabilities of counts given the totals of the rows",
    "density": "Densities of real numbers",
    "angle": "Densities of angles, on a circle",
    "direction": "Densities of directions, on a sphere",
    "composition": "Densities of compositions, on a simplex",
    "mixed": "Likelihoods of different kinds in different columns",
}
# Words for how a model treats the values of a column.
_VALUES = {
    "probability": "a count or a category",
    "given totals": "a count with a given total",
    "density": "a real number",
    "angle": "an angle",
    "direction": "a part of a direction",
    "composition": "a part of a composition",
}


def check_models(named: Named, criterion: Criterion, change_of_variables: str) -> None:
    """Refuse models that cannot be ranked or compared, before any is fitted."""
    if change_of_variables not in ("refuse", "correct"):
        raise ValueError(f"change_of_variables must be 'refuse' or 'correct', got {change_of_variables!r}.")
    for _, model in named:
        _check_model(model)
    reasons = [why_no_value(name, model, criterion) for name, model in named]
    if all(reasons):
        raise ValueError(reasons[0])
    if change_of_variables == "refuse":
        _check_same_transformation(named)


def why_no_value(name: str, model: Any, criterion: Criterion) -> str:
    """Why a criterion is not defined for a model, fitted or not; empty if it is defined."""
    if criterion in ("bic", "aic", "aicc", "icl") and np.isnan(count_parameters(steps_of(model)[-1], unfitted=True)):
        return (
            f"The parameters of {name} count by no agreed rule, so that {criterion!r} is not defined; rank by "
            "'validation', the likelihood of rows that are held out."
        )
    if criterion == "icl" and not has_discrete_latents(steps_of(model)[-1]):
        return (
            f"The integrated completed likelihood is for models with discrete latent variables, and {name} has "
            "continuous ones; rank by 'bic'."
        )
    return ""


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
    """Refuse fitted models of different columns; a model without traits is assumed to model all columns."""
    lasts = [(row.name, steps_of(row.model)[-1]) for row in ranked]
    known = [(name, last, columns) for name, last in lasts if (traits := traits_of(last)) and (columns := traits.columns)]
    if not known:
        return
    first, model, columns = known[0]
    for name, last in lasts:
        other = _columns_of(last, columns, model.n_features_in_)
        differing = sorted(columns.keys() ^ other.keys())
        how = "of which one of them is no model"
        if not differing:
            pairs = {column: (own, other[column]) for column, own in columns.items() if own != other[column]}
            differing = [column for column, pair in pairs.items() if pair == next(iter(pairs.values()))]
            how = _how_they_differ(*next(iter(pairs.values()))) if pairs else ""
        if differing:
            raise ValueError(
                f"{first} and {name} are models of different variables: {list_columns(model, differing)} {how}. Their "
                "likelihoods are not comparable; give all models the same columns."
            )


def _columns_of(model: Any, like: ColumnKinds, n_features: int) -> ColumnKinds:
    """The kinds of the columns; a model without traits is assumed to have all columns, of the same kinds.

    Its columns form the same unit only if all columns do; a likelihood of another kind gives a warning, not an error.
    """
    traits = traits_of(model)
    if traits is not None and traits.columns:
        return traits.columns
    every = tuple(range(n_features))
    joint = traits.likelihood if traits is not None and traits.likelihood in JOINT_KINDS else None
    own = {column: like.get(column, ("", ())) for column in every}
    return {column: (kind, every if kind == joint else together) for column, (kind, together) in own.items()}


def _how_they_differ(one: tuple[str, tuple[int, ...]], other: tuple[str, tuple[int, ...]]) -> str:
    if one[0] == other[0]:
        return f"{_VALUES[one[0]]} to both, but together with different columns"
    return f"{_VALUES[one[0]]} to one of them and {_VALUES[other[0]]} to the other"


def traits_of(model: Any) -> Traits | None:
    """The traits of a model of this package; None for other models."""
    return model.traits() if isinstance(model, LatentVariableModel) else None


def _signature(transformer: Any) -> str:
    """A key that is equal for two transformers that do the same when fitted to the same data."""
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
    """Refuse a fitted model with another number of features."""
    expected, shape = getattr(model, "n_features_in_", None), tuple(getattr(X, "shape", ()))
    if expected is not None and len(shape) == 2 and expected != shape[1]:
        raise ValueError(
            f"{name} was fitted to {expected} features, but X has {shape[1]}; models of other data cannot be ranked."
        )


def check_same_data(row: RankedModel, X: Any, sample_weight: ArrayLike | None) -> None:
    """Refuse a fitted model whose stored bound shows that it was fitted to other data than X."""
    *transformers, last = steps_of(row.model)
    if sample_weight is not None and not has_fit_parameter(last, "sample_weight"):
        return
    if hasattr(last, "lower_bound_"):
        # scikit-learn's bound is that before the last step. The bound of truncated posteriors changes with a new search.
        is_final = has_converged(last) and getattr(last, "score_is_exact_", True)
        bound = last.lower_bound_ + row.log_jacobian
        # Rounding to single precision may move parameters this far from those of the fit.
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
            "Pass it unfitted."
        )


def check_ranked(ranked: Sequence[RankedModel], criterion: Criterion, *, correct: bool) -> None:
    """Refuse fitted models of different variables, and warn of likelihoods of different kinds."""
    _check_same_columns(ranked)
    if not correct:  # again, since searches may have changed transformers
        _check_same_transformation([(row.name, row.model) for row in ranked])
    _check_same_values(ranked)
    if not callable(criterion):
        _warn_of_kinds(ranked)
        _warn_of_replaced_zeros(ranked)


def _warn_of_kinds(ranked: Sequence[RankedModel]) -> None:
    """Warn of probabilities beside densities, and of probabilities given totals beside probabilities that include them."""
    names: dict[str, list[str]] = {}
    for row in ranked:
        if row.likelihood:
            names.setdefault(row.likelihood, []).append(row.name)
    if len(names) > 1:
        described = "; ".join(f"{_KINDS[kind]}: {list_names(names[kind])}" for kind in _KINDS if kind in names)
        warn(
            f"The likelihoods of these models are of different kinds, and their values are not comparable. {described}. "
            "Rank each kind separately, and choose the kind by the meaning of the values."
        )


def _warn_of_replaced_zeros(ranked: Sequence[RankedModel]) -> None:
    """Warn of models with likelihoods of one kind that have replaced zeros by different values."""
    for kind in _KINDS:
        names: dict[tuple[tuple[int, float], ...], list[str]] = {}
        for row in ranked:
            if row.likelihood == kind:
                names.setdefault(tuple(sorted(row.zero_substitutes.items())), []).append(row.name)
        if len(names) > 1:
            described = "; ".join(f"{list_names(own)}: {_describe(values)}" for values, own in names.items())
            warn(
                "These models have replaced zeros by different values, and their likelihoods are of different data, which "
                f"are not comparable. {described}. Replace the zeros before all fits."
            )


def _describe(values: Sequence[tuple[int, float]], most: int = 3) -> str:
    """Substitutes of columns for messages."""
    rest = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(f"{value:.4g} in column {column}" for column, value in values[:most]) + rest or "none"


def likelihood_kind(model: Any) -> str:
    """The kind, of ``_KINDS``, of a fitted model's likelihood; empty if it is not known."""
    traits = traits_of(model)
    if traits is not None:
        return traits.likelihood
    return "density" if isinstance(model, GaussianMixture | PCA | FactorAnalysis) else ""


def _check_same_values(rows: Sequence[RankedModel]) -> None:
    """Refuse to compare models of the values with models that have made the values binary."""
    binarized = [bool((traits := traits_of(steps_of(row.model)[-1])) and traits.binarizes) for row in rows]
    if any(binarized) and not all(binarized):
        one, other = rows[binarized.index(True)].name, rows[binarized.index(False)].name
        raise ValueError(
            f"{one} has converted the data to zeros and ones, and {other} has not; their probabilities are not comparable. "
            "Make the data binary before both fits."
        )


def count_parameters(model: Any, *, unfitted: bool = False) -> float:
    """The number of parameters of a model; NaN if there is no agreed rule for counting them."""
    if isinstance(model, LatentVariableModel) and model.traits().why_no_criteria:
        return np.nan
    return 0 if unfitted else n_parameters(model)


def has_converged(model: Any) -> bool:
    """Whether a model reports convergence; if it only counts steps, whether it ended before the last one."""
    if hasattr(model, "converged_"):
        return bool(model.converged_)
    return not (hasattr(model, "n_iter_") and model.n_iter_ >= getattr(model, "max_iter", np.inf))
