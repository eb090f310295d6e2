"""What the columns and the parameters of a mixture must be."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .._base import list_columns
from .._data import ColumnSurvey
from .._typing import Array, ArrayLike, FloatArray
from ..families import ExponentialFamily

# The rates or precisions of smaller values would overflow.
_SMALLEST_MEAN = 1e-305
_SMALLEST_VARIANCE = 1e-280
# Larger doubles are even: counts of this size can no longer be told apart.
_LARGEST_COUNT = 2.0**53


def check_columns(estimator: Any, family: ExponentialFamily, columns: ColumnSurvey) -> None:
    """Raise ValueError, by name, for columns that no mixture can be fitted to; warn of rows that say nothing."""
    unobserved = np.flatnonzero(columns.weight == 0)
    if unobserved.size:
        raise ValueError(f"X has no observed value in {list_columns(estimator, unobserved)}; leave such columns out.")
    too_large = np.flatnonzero(~np.isfinite(columns.mean * columns.weight))
    if too_large.size:
        raise ValueError(f"The sum of the values overflows in {list_columns(estimator, too_large)}; rescale the data.")
    equivariance = family.equivariance
    too_large = np.flatnonzero(
        (family.discrete & (columns.mean > _LARGEST_COUNT)) | ((equivariance != "scale") & ~np.isfinite(columns.variance))
    )
    if too_large.size:
        raise ValueError(f"The values are too large in {list_columns(estimator, too_large)}; rescale the data.")
    too_small = {
        "none": np.zeros_like(columns.mean, dtype=bool),
        "scale": (columns.mean > 0) & (columns.mean < _SMALLEST_MEAN),
        "affine": (columns.variance > 0) & (columns.variance < _SMALLEST_VARIANCE),
    }[equivariance]
    if too_small.any():
        raise ValueError(
            f"The values are too small in {list_columns(estimator, np.flatnonzero(too_small))}; rescale the data."
        )
    if columns.n_empty_rows:
        message = f"X has no observed value in {columns.n_empty_rows} of its rows; they carry no information."
        warnings.warn(message, UserWarning, stacklevel=7)


def count_parameters(family: ExponentialFamily, occurs: Array, n_components: int) -> int:
    """Number of free parameters of a mixture; ``occurs`` as the family's method of this name takes it."""
    return n_components - 1 + n_components * family.count_parameters(occurs)


def check_standard(family: ExponentialFamily, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
    """Raise ValueError for standard parameters outside their range, or with an axis that does not sum to one."""
    eta = family.from_standard(*standard)
    for name, given, kept in zip(family.attribute_names, standard, family.to_standard(eta), strict=True):
        if given.ndim > 2 and not np.allclose(kept, given, rtol=0.0, atol=1e-6):
            raise ValueError(
                f"{name}{suffix} must sum to one over the last axis; got sums from "
                f"{given.sum(axis=-1).min():g} to {given.sum(axis=-1).max():g}."
            )


def check_mixing_weights(weights: ArrayLike, name: str, n_components: int) -> FloatArray:
    """Mixing weights as an array that sums to one."""
    weights = np.array(weights, dtype=np.float64)
    if weights.shape != (n_components,):
        raise ValueError(f"{name} should have the shape ({n_components},), but got {weights.shape}.")
    if not (weights >= 0).all() or not np.isclose(weights.sum(), 1.0, rtol=0.0, atol=1e-6):
        raise ValueError(f"{name} must be non-negative and sum to one, but got {weights}.")
    return weights / weights.sum()
