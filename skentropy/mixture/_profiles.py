"""Expectations of each column within components, for any parameters: means, and probabilities of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._messages import feature_names
from .._typing import Array, FloatArray
from ..families._circle import mean_direction, turned
from ._categories import category_name
from ._components import Components
from ._model import MixtureModel, MixtureParameters


@dataclass(frozen=True)
class Profiles:
    """Expectations of R quantities: each is a column of numbers, or a category of another column.

    Attributes
    ----------
    names : list of str
        Names of the quantities.
    expected : ndarray of shape (K, R)
    deviations : ndarray of shape (K, R)
        Standard deviations of rows within each component.
    mean, deviation : ndarray of shape (R,)
        Moments of the mixture.
    is_category : ndarray of bool, of shape (R,)
    """

    names: list[str]
    expected: FloatArray
    deviations: FloatArray
    mean: FloatArray
    deviation: FloatArray
    is_category: Array

    @classmethod
    def of(cls, estimator: Any, model: MixtureModel, parameters: MixtureParameters) -> Profiles:
        """The profiles of a fitted mixture."""
        quantities = _quantities(model.components, parameters.components)
        expected, variances = _moments(model.components, parameters.components, quantities)
        weights, names = np.exp(parameters.log_weights), feature_names(estimator)
        labels = [
            names[column] if code is None else f"{names[column]} = {category_name(estimator, column, code)}"
            for column, code in quantities
        ]
        is_angle = np.isin([column for column, _ in quantities], model.components.circular_columns)
        mean, variance = moments_of_mixture(weights, expected, variances, is_angle)
        expected = np.where(is_angle, turned(expected, mean), expected)
        is_category = np.array([code is not None for _, code in quantities])
        return cls(labels, expected, np.sqrt(variances), mean, np.sqrt(variance), is_category)


def expectations(components: Components, parameters: Any, near: FloatArray | None = None) -> FloatArray:
    """The expectations (K, R) of a profile's quantities; angles differ by less than a turn from those in ``near``."""
    quantities = _quantities(components, parameters)
    expected, _ = _moments(components, parameters, quantities)
    if near is None:
        return expected
    is_angle = np.isin([column for column, _ in quantities], components.circular_columns)
    return np.where(is_angle, turned(expected, near), expected)


def moments_of_mixture(
    weights: FloatArray, means: FloatArray, variances: FloatArray, is_angle: Array
) -> tuple[FloatArray, FloatArray]:
    """Means and variances (R,) of the mixture of components that have these (K, R)."""
    mean = weights @ means
    variance = weights @ (variances + (means - mean) ** 2)  # law of total variance
    if is_angle.any():
        mean[is_angle], variance[is_angle] = mean_direction(weights, means[:, is_angle], variances[:, is_angle])
    return mean, variance


def _quantities(components: Components, parameters: Any) -> list[tuple[int, int | None]]:
    """Columns, and the codes of their categories; of two categories only the second, which determines the first."""
    probabilities = components.category_probabilities(parameters)
    means, _ = components.moments(parameters)
    quantities: list[tuple[int, int | None]] = []
    for column in np.flatnonzero(~np.isnan(means).all(axis=0)).tolist():
        if column not in probabilities:
            quantities.append((column, None))
            continue
        n_categories = probabilities[column].shape[1]
        quantities += [(column, code) for code in range(1 if n_categories == 2 else 0, n_categories)]
    return quantities


def _moments(
    components: Components, parameters: Any, quantities: Sequence[tuple[int, int | None]]
) -> tuple[FloatArray, FloatArray]:
    """Means and variances (K, R)."""
    means, variances = components.moments(parameters)
    probabilities = components.category_probabilities(parameters)
    each = []
    for column, code in quantities:
        if code is None:
            each.append((means[:, column], variances[:, column]))
        else:
            p = probabilities[column][:, code]
            each.append((p, p * (1.0 - p)))
    expected, spread = zip(*each, strict=True)
    return np.column_stack(expected), np.column_stack(spread)
