"""Models inside pipelines and searches, and the data that reach them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn import get_config
from sklearn.base import MetaEstimatorMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import process_routing

from ..entropy import has_entropy_sum

Metadata = Mapping[str, Any]


def steps_of(model: Any) -> list[Any]:
    """The transformers and, last, the model, taken out of pipelines and searches."""
    if isinstance(model, Pipeline):
        return [inner for _, step in model.steps if step not in (None, "passthrough") for inner in steps_of(step)]
    inner = searched(model)
    return [model] if inner is None else steps_of(inner)


def searched(model: Any) -> Any:
    """The best model of a search or, if it is not fitted, its estimator; None for other models."""
    if not isinstance(model, MetaEstimatorMixin) or has_entropy_sum(model):
        return None
    return getattr(model, "best_estimator_", getattr(model, "estimator", None))


def fit_metadata(model: Any, metadata: Metadata) -> dict[str, Any]:
    """Metadata as a model's ``fit`` takes them: without routing weights and exposures go to the last step of a pipeline.

    The same holds for a search over a pipeline.
    """
    given = {name: value for name, value in metadata.items() if value is not None}
    inner = searched(model)
    if inner is not None:
        return fit_metadata(inner, given)
    if get_config()["enable_metadata_routing"] or not isinstance(model, Pipeline):
        return given
    name, last = model.steps[-1]
    own = fit_metadata(last, {key: given.pop(key) for key in ("sample_weight", "exposure") if key in given})
    return {**given, **{f"{name}__{key}": value for key, value in own.items()}}


def row_data(model: Any, metadata: Metadata) -> Metadata:
    """The weights and exposures, among the metadata for a model's ``fit``, that reach the last step."""
    if not metadata:
        return {}
    is_routed = get_config()["enable_metadata_routing"]
    if isinstance(model, Pipeline):
        name, last = model.steps[-1]
        if is_routed:
            return row_data(last, process_routing(model, "fit", **metadata)[name].fit)
        prefix = f"{name}__"
        return row_data(last, {key[len(prefix) :]: value for key, value in metadata.items() if key.startswith(prefix)})
    inner = searched(model)
    if inner is None:
        return metadata
    return row_data(inner, process_routing(model, "fit", **metadata).estimator.fit if is_routed else metadata)
