"""Checks of the columns and the parameters of a mixture."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from .._data import ColumnSurvey
from .._messages import check_observed, list_columns
from .._typing import Array, ArrayLike, FloatArray
from ..families import ExponentialFamily

# Rates or precisions of smaller values would overflow.
_SMALLEST_MEAN = 1e-305
_SMALLEST_VARIANCE = 1e-280
# Larger doubles are all even, so adjacent counts can no longer be distinguished.
_LARGEST_COUNT = 2.0**53


def check_columns(estimator: Any, family: ExponentialFamily, columns: ColumnSurvey) -> None:
    """Raise ValueError, which names the columns, if no mixture can be fitted to some of them."""
    check_observed(estimator, columns.weight)
    with np.errstate(over="ignore"):
        too_large = np.flatnonzero(~np.isfinite(columns.mean * columns.weight))
    if too_large.size:
        raise ValueError(f"The sum of the values overflows in {list_columns(estimator, too_large)}; rescale the data.")
    equivariance = family.equivariance
    too_large = np.flatnonzero(
        (family.discrete & (columns.mean > _LARGEST_COUNT)) | ((equivariance != "scale") & ~np.isfinite(columns.variance))
    )
    if too_large.size:
        raise ValueError(f"The values are too large in {list_columns(estimator, too_large)}; rescale the data.")
    # Positive families need the logarithm or the inverse of a value, and in units of the mean a subnormal value is zero.
    positive = not family.in_support(np.zeros(1)).all()
    lost = positive & (columns.smallest_positive < np.finfo(np.float64).tiny * np.maximum(columns.mean, 1.0))
    too_small = {
        "none": np.zeros_like(columns.mean, dtype=bool),
        "scale": (columns.mean > 0) & (columns.mean < _SMALLEST_MEAN) | lost,
        "affine": (columns.variance > 0) & (columns.variance < _SMALLEST_VARIANCE),
    }[equivariance]
    if too_small.any():
        raise ValueError(
            f"The values are too small in {list_columns(estimator, np.flatnonzero(too_small))}; rescale the data."
        )


def is_outside(family: ExponentialFamily, values: Array, exposure: Array | float) -> Array:
    """Which values are outside a family's support; the caller treats NaN."""
    return ~(family.in_support(values, exposure) | np.isnan(values))


def check_sums(family: ExponentialFamily, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
    """Raise ValueError for standard parameters outside their range, or with a last axis that does not sum to one."""
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


def check_shapes(
    names: tuple[str, ...],
    suffix: str,
    values: tuple[FloatArray, ...],
    axes: tuple[list[tuple[str, int]], ...],
    arguments: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Raise ValueError, which names them, for parameters with other shapes; the family may have further axes.

    ``arguments`` are those of the mixture on which the shapes of parameters depend.
    """
    for name, value, wanted in zip(names, values, axes, strict=True):
        shape = tuple(length for _, length in wanted)
        if value.shape[: len(shape)] != shape:
            listed = ", ".join(axis for axis, _ in wanted) + ("," if len(wanted) == 1 else "")
            hint = f"; the shape depends on {arguments[name]}" if name in arguments else ""
            raise ValueError(f"{name}{suffix} should have the shape ({listed}) = {shape}, but got {value.shape}{hint}.")


def check_covariances(matrices: FloatArray, name: str, labels: list[str]) -> None:
    """Raise ValueError for matrices (G, d, d) that are not covariances; labels say which."""
    for label, matrix in zip(labels, matrices, strict=True):
        symmetric = np.isfinite(matrix).all() and np.allclose(matrix, matrix.T, rtol=1e-6, atol=0.0)
        if not symmetric or np.linalg.eigvalsh(matrix)[0] <= 0.0:
            raise ValueError(f"{name}{label} must be symmetric and positive definite.")
