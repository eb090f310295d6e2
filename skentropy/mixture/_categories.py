"""Names of categories."""

from __future__ import annotations

from typing import Any

from .._messages import feature_names


def category_name(estimator: Any, feature: int, code: int) -> Any:
    """The category that a code represents; the code itself if the model has read no names."""
    known = getattr(estimator, "categories_", {})
    name = feature_names(estimator)[feature] if hasattr(estimator, "feature_names_in_") else feature
    return known[name][code] if name in known else code
