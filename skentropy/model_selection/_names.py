"""Short names that distinguish models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.pipeline import Pipeline

from .._tables import cut, unique_names

# Largest numbers of characters of a model's own representation, and of a parameter's value, in a name.
_MODEL, _VALUE = 40, 30


def short_name(model: Any) -> str:
    """A representation on one line."""
    return " ".join(repr(model).split())


def model_names(models: Sequence[Any]) -> list[str]:
    """Name models by their classes, and by the parameters in which models of one class differ."""
    kinds = [tuple(type(step) for step in _steps(model)) for model in models]
    names = [""] * len(models)
    for kind in dict.fromkeys(kinds):
        members = [i for i, other in enumerate(kinds) if other == kind]
        by_step = zip(*[_steps(models[i]) for i in members], strict=True)
        columns = [_names_of_kind(step) for step in by_step]
        for i, parts in zip(members, zip(*columns, strict=True), strict=True):
            names[i] = " | ".join(parts)
    return unique_names(names)


def candidate_names(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name candidates of a search by the parameters in which they differ."""
    keys = list(dict.fromkeys(key for candidate in candidates for key in candidate))
    values = {key: [_value(candidate[key]) if key in candidate else "" for candidate in candidates] for key in keys}
    for key in keys:
        models = {id(c[key]): c[key] for c in candidates if key in c and hasattr(c[key], "get_params")}
        named = dict(zip(models, model_names(list(models.values())), strict=True))
        values[key] = [
            named.get(id(candidate.get(key)), value) for candidate, value in zip(candidates, values[key], strict=True)
        ]
    shown = [key for key in keys if len(set(values[key])) > 1] or keys
    names = [
        ", ".join(f"{key}={values[key][i]}" for key in shown if key in candidate) or "default"
        for i, candidate in enumerate(candidates)
    ]
    return unique_names(names)


def _steps(model: Any) -> list[Any]:
    if isinstance(model, Pipeline):
        return [inner for _, step in model.steps for inner in _steps(step)]
    return [model]


def _names_of_kind(models: Sequence[Any]) -> list[str]:
    """Name models of one class by the parameters in which they differ."""
    parameters = [_parameters(model) for model in models]
    differ = [key for key in parameters[0] if len({short_name(given.get(key)) for given in parameters}) > 1]
    if not differ:
        return [_name(model) for model in models]
    return [
        f"{type(model).__name__}({', '.join(f'{key}={_value(given.get(key))}' for key in differ)})"
        for model, given in zip(models, parameters, strict=True)
    ]


def _parameters(model: Any) -> Mapping[str, Any]:
    parameters: Mapping[str, Any] = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    return parameters


def _name(model: Any) -> str:
    """Name one model by its representation if that is short, else by class and size; name a search by its estimator."""
    if isinstance(model, str):
        return model
    name, parameters = short_name(model), _parameters(model)
    if "estimator" in parameters:
        return f"{type(model).__name__}({model_names([parameters['estimator']])[0]})"
    if "n_components" in parameters and (len(name) > _MODEL or "n_components" not in name):
        return f"{type(model).__name__}(n_components={_value(parameters['n_components'])})"
    return name if len(name) <= _MODEL else type(model).__name__


def _value(value: Any) -> str:
    return _name(value) if hasattr(value, "get_params") else cut(short_name(value), _VALUE)
