"""Convert tables of any container to arrays of numbers: nulls become NaN, and columns without numbers are refused."""

from __future__ import annotations

import sys
from datetime import date, time, timedelta
from typing import Any

import numpy as np
from scipy import sparse

from .._typing import Array

# Types of dates, times of day and durations; pandas' types are subclasses of them.
TIMES = (np.datetime64, np.timedelta64, date, time, timedelta)
# The largest number of columns that a message names.
_MOST_NAMED = 3


def as_numbers(X: Any) -> Any:
    """X itself if it is an array, a sparse matrix or a sparse frame of plain numbers; otherwise an array of its numbers.

    Raises
    ------
    ValueError or TypeError
        If a value cannot be a number, such as text, a date or a category of text. The message names the columns.
    """
    if is_frame(X):
        if hasattr(X, "iloc"):
            if all(_is_plain(dtype) for dtype in X.dtypes):
                return X.to_numpy(np.result_type(bool, *X.dtypes))
            if hasattr(X, "sparse"):
                return X
        labels = [f"column {name!r}" for name in frame_names(X)]
        return _stack([np.asarray(column.to_numpy()) for column in frame_columns(X)], labels)
    if sparse.issparse(X):
        return X if _is_plain(X.dtype) else X.astype(np.float64)
    table = X
    if isinstance(X, (list, tuple)):
        try:
            table = np.asarray(X)
        except ValueError:  # ragged: validation refuses it
            return X
        if table.dtype.kind in "US":  # NumPy has turned numbers beside text into text
            table = np.array(X, dtype=object)
    if not isinstance(table, np.ndarray) or table.ndim != 2 or _is_plain(table.dtype):
        return X
    if table.dtype.kind == "f":
        return table.astype(np.float64)
    return _stack(list(table.T), [f"column {column}" for column in range(table.shape[1])])


def _is_plain(dtype: Any) -> bool:
    """Whether linear algebra knows numbers of this type; it does not know longdouble."""
    return isinstance(dtype, np.dtype) and (dtype.kind in "biuc" or (dtype.kind == "f" and dtype.itemsize <= 8))


def is_frame(X: Any) -> bool:
    """Whether X is a pandas or polars frame or an Arrow table; no library is imported to find out."""
    kinds = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table"}
    return any(name in sys.modules and isinstance(X, getattr(sys.modules[name], kind)) for name, kind in kinds.items())


def frame_columns(frame: Any) -> list[Any]:
    """The columns of a frame, as series."""
    if hasattr(frame, "iloc"):
        return [frame.iloc[:, column] for column in range(frame.shape[1])]
    return list(frame.get_columns() if hasattr(frame, "get_columns") else frame.columns)


def frame_names(frame: Any) -> list[Any]:
    """The names of the columns of a frame."""
    return list(frame.column_names if hasattr(frame, "column_names") else frame.columns)


def _stack(columns: list[Array], labels: list[str]) -> Array:
    """The numbers of all columns side by side."""
    numbers: list[Array] = []
    errors: dict[str, Exception] = {}
    for label, values in zip(labels, columns, strict=True):
        try:
            numbers.append(values if _is_plain(values.dtype) else _numbers(values))
        except (TypeError, ValueError) as error:
            errors[label] = error
    if not errors:
        return np.column_stack(numbers)
    first, named = next(iter(errors.values())), ", ".join([*errors][:_MOST_NAMED])
    more = f" and {len(errors) - _MOST_NAMED} more" if len(errors) > _MOST_NAMED else ""
    kind = TypeError if isinstance(first, TypeError) else ValueError
    hint = "" if kind is TypeError else ". ColumnMixture takes text as categories; other models take codes 0, 1, ..."
    raise kind(f"X must hold numbers, but {named}{more} cannot be made numbers: {first}{hint}") from first


def _numbers(values: Array) -> Array:
    """One column in double precision."""
    if values.dtype.kind in "mM" or any(isinstance(value, TIMES) for value in values):
        raise TypeError(
            f"its values are dates or durations, such as {values[0]}; make numbers of them or leave the columns out."
        )
    try:
        return (values.astype(object) if values.dtype.kind == "U" else values).astype(np.float64)
    except TypeError:
        null = getattr(sys.modules.get("pandas"), "NA", None)
        return np.array([np.nan if value is null else value for value in values], dtype=np.float64)


def is_dask(X: Any) -> bool:
    """Whether X is a Dask collection; Dask is not imported to find out."""
    return "dask" in sys.modules and callable(getattr(X, "__dask_graph__", None))
