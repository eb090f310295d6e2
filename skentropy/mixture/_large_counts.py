"""Very large counts: a base measure that keeps most digits of their likelihoods, and a warning of lost digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data import ColumnSurvey
from .._messages import list_columns, model_name, warn_of_data
from .._typing import FloatArray
from ..families import ExponentialFamily

# A rounding error of a row's log-likelihood, in nats, that is worth a warning; and the factor by which errors are larger in
# sparse data, whose base measure must be one at zero.
_ROUNDING = 1e-6
_SPARSE_ROUNDING = 64.0


def relative_to_data(
    estimator: Any, family: ExponentialFamily, columns: ColumnSurvey, *, is_sparse: bool
) -> ExponentialFamily:
    """The family, with the pooled distributions as base measures if counts are large; warn of the remaining errors."""
    errors = family.rounding_error(columns.largest) * (_SPARSE_ROUNDING if is_sparse else 1.0)
    for message in _cautions(estimator, columns.largest, errors):
        warn_of_data(message)
    return family if is_sparse else family.relative_to(columns.rate, float(columns.largest.max()))


def relative_to_parameters(
    family: ExponentialFamily, weights: FloatArray, standard: tuple[FloatArray, ...], exposure: float
) -> ExponentialFamily:
    """The same for data that a fitted mixture evaluates, assumed to be as large as its means at this exposure."""
    if not family.additive:
        return family
    means = family.moments(family.from_standard(*standard))[0]
    return family.relative_to(weights @ means, exposure * float(means.max()))


def cautions_of_means(estimator: Any, family: ExponentialFamily, standard: tuple[FloatArray, ...]) -> list[str]:
    """Warnings about given parameters."""
    if not family.additive:
        return []
    largest = family.moments(family.from_standard(*standard))[0].max(axis=0)
    return _cautions(estimator, largest, family.rounding_error(largest))


def _cautions(estimator: Any, largest: FloatArray, errors: FloatArray) -> list[str]:
    columns = np.flatnonzero(errors > _ROUNDING)
    if not columns.size:
        return []
    return [
        f"{model_name(estimator)}: counts up to {largest[columns].max():.3g} in {list_columns(estimator, columns)}; "
        f"log-likelihoods may be off by {errors.sum():.1g} nats a row, the spacing of doubles. Values of this size are as "
        "good as continuous: a family such as 'gamma' or 'log_normal' keeps all digits."
    ]
