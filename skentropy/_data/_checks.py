"""Checks of weights, exposures and columns, with their messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any, TypeGuard

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d

from .._typing import ArrayLike, FloatArray, Matrix

# Positive weights must lie between these, so that no sum of weighted statistics leaves double precision.
_WEIGHTS = (1e-100, 1e100)


def check_weights(sample_weight: ArrayLike | None, X: Matrix, *, all_zero: bool = False) -> FloatArray | None:
    """Sample weights as an array, or None; with ``all_zero`` they may all be zero, as in a part of the data.

    Raises
    ------
    ValueError
        If they are not one non-negative, finite number per row, are all zero, or are so small or large that their sums
        underflow or overflow.
    """
    if sample_weight is None:
        return None
    check_no_mask(sample_weight, "sample_weight")
    if not np.asarray(sample_weight).any():
        check_consistent_length(sample_weight, X)
        if not all_zero:
            raise ValueError("All of sample_weight is zero; at least one row must have a positive weight.")
        return np.zeros(X.shape[0])
    weight = sample_weight if _is_plain(sample_weight, X) else None
    if weight is None:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    positive = weight[weight > 0]
    if positive.min() < _WEIGHTS[0] or positive.max() > _WEIGHTS[1]:
        raise ValueError(
            f"Positive values of sample_weight must lie between {_WEIGHTS[0]:g} and {_WEIGHTS[1]:g}, but range from "
            f"{positive.min():g} to {positive.max():g}; rescale them, and leave out rows with tiny weights."
        )
    return weight


def _is_plain(sample_weight: ArrayLike, X: Matrix) -> TypeGuard[FloatArray]:
    """Whether weights are an array that no check would convert."""
    if type(sample_weight) is not np.ndarray or sample_weight.dtype != np.float64 or sample_weight.shape != X.shape[:1]:
        return False
    return bool(sample_weight.flags.c_contiguous and sample_weight.min() >= 0.0 and sample_weight.max() < np.inf)


def check_total_weight(weight: float) -> None:
    """Raise ValueError if the total weight of all rows is zero; for a stream it is known only at the end."""
    if weight == 0.0:
        raise ValueError("All of sample_weight is zero; at least one row must have a positive weight.")


def check_no_mask(values: Any, name: str) -> None:
    """Raise ValueError for a masked array, whose mask would be lost."""
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} is a masked array, whose mask would be lost; fill it, in X with NaN for missing entries: "
            "np.ma.filled(X.astype(float), np.nan)."
        )


def check_exposure(exposure: ArrayLike, X: Matrix) -> FloatArray:
    """Exposures as an array.

    Raises
    ------
    ValueError
        If they are not one positive, finite number per row.
    """
    check_no_mask(exposure, "exposure")
    exposure = column_or_1d(np.asarray(exposure, dtype=np.float64))
    check_consistent_length(X, exposure)
    if not (np.isfinite(exposure) & (exposure > 0)).all():
        raise ValueError("exposure must be positive and finite in every row.")
    return np.asarray(exposure)


def check_columns(columns: Any, expected: tuple[Any, ...]) -> None:
    """Raise ValueError if the columns of a part of a frame differ from those of the frame, also in order."""
    given = tuple(columns)
    if given == expected:
        return
    unexpected = ", ".join(repr(name) for name in given if name not in expected)
    missing = ", ".join(repr(name) for name in expected if name not in given)
    differences = [f"unexpected: {unexpected}"] * bool(unexpected) + [f"missing: {missing}"] * bool(missing)
    raise ValueError(
        "its feature names should be those of the whole frame, in the same order; "
        + ("; ".join(differences) or f"it has {', '.join(map(repr, given))} for {', '.join(map(repr, expected))}")
        + "."
    )


@contextmanager
def naming_infinities(X: Any) -> Iterator[None]:
    """Add the name of the column to the error for infinite values in X."""
    try:
        yield
    except ValueError as error:
        column = _first_infinite(X) if "infinity" in str(error) else None
        if column is None:
            raise
        raise ValueError(f"{str(error).rstrip('.')}; in {column}. Make it NaN where it means missing.") from error


def _first_infinite(X: Any) -> str | None:
    columns: Any = getattr(X, "columns", None)
    values = np.asarray(X, dtype=object) if not sparse.issparse(X) else np.empty((0, 0))
    if values.ndim != 2:
        return None
    for place, column in enumerate(values.T):
        numbers = np.array([value for value in column if isinstance(value, Real)], dtype=np.float64)
        if np.isinf(numbers).any():
            return f"column {place}" if columns is None else f"column {columns[place]!r}"
    return None


def check_has_columns(X: Any) -> None:
    """Refuse frames without columns, as scikit-learn refuses arrays without columns."""
    if hasattr(X, "columns") and len(X.columns) == 0:
        raise ValueError(f"Found a frame with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required.")


def check_is_table(X: Any) -> None:
    """Refuse what gives rows only when it is iterated or called, and so is no table."""
    if isinstance(X, Iterator) or callable(X):
        raise TypeError(
            f"X is a {type(X).__name__} and not a table. To fit rows block by block, pass RowBlocks(read) with a function "
            "that returns a new iterator over the blocks in each call."
        )


def check_distinct(X: Any) -> None:
    """Refuse frames in which several columns have one name."""
    columns: Any = getattr(X, "columns", None)
    if hasattr(columns, "duplicated") and columns.duplicated().any():  # those of pandas; other frames refuse it themselves
        repeated = ", ".join(sorted({str(name) for name in columns[columns.duplicated()]}))
        raise ValueError(f"Columns of X must have different names, but several are called {repeated}.")
