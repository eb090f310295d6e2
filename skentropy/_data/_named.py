"""Columns of names, that is, of text or categories: they are encoded as numbers, and decoded again."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any, Self

import numpy as np
from scipy import sparse

from .._typing import Array
from ._checks import check_is_table
from ._containers import TIMES, as_numbers, frame_columns, frame_names, is_dask, is_frame
from ._streams import RowBlocks

# Number of rows among which the most frequent value is sought.
_ROWS_OF_MODE = 20_000
# A column with more categories holds an identifier rather than a property.
_MOST_CATEGORIES = 1_000
# The largest number of categories that a message names.
_MOST_NAMED = 5


@dataclass(frozen=True)
class ColumnKind:
    """The kind of the values of a column, judged by a sample of its rows.

    Attributes
    ----------
    names : tuple or None
        The distinct values of a column of names, or the categories that its dtype declares, in order; None for all other
        columns.
    seen : frozenset
        The names that occur.
    binary, whole : bool
        Whether all values are 0 or 1, or all are whole numbers from 0.
    mode : float
        The most frequent number in a column of numbers that are not all whole; else NaN.
    mode_count, n_seen, n_distinct : int
        How often the mode was seen, the number of values, and the number of distinct values.
    other : bool
        Whether the values are neither numbers nor names, such as dates.
    numbers : bool
        Whether there are values, and those of a block of rows are all numbers.
    """

    names: tuple[Any, ...] | None
    seen: frozenset[Any] = frozenset()
    binary: bool = False
    whole: bool = False
    mode: float = np.nan
    mode_count: int = 0
    n_seen: int = 0
    n_distinct: int = 0
    other: bool = False
    numbers: bool = False

    @property
    def mode_share(self) -> float:
        """Share of the mode among the sampled values."""
        return self.mode_count / max(self.n_seen, 1)

    @classmethod
    def of(cls, values: Any) -> Self:
        """The kind of a series or an array."""
        categories = getattr(getattr(values, "dtype", None), "categories", None)
        if categories is not None and hasattr(categories, "tolist"):
            occurring = frozenset(value for value in _as_list(values) if not _is_missing(value))
            return cls(tuple(categories.tolist()), occurring)
        objects = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
        if objects.dtype.kind in "OUS":
            present = [value for value in objects.tolist() if not _is_missing(value)]
            if any(isinstance(value, TIMES) for value in present):
                return cls(None, other=True)
            if not all(isinstance(value, Number | np.bool_) for value in present):
                names = tuple(_in_order(_distinct(present)))
                return cls(names, frozenset(names), n_seen=len(present), n_distinct=len(names))
            objects = np.array(present)
            if objects.dtype.kind == "O":  # such as decimal numbers
                objects = objects.astype(np.float64)
        if objects.dtype.kind not in "biuf":
            return cls(None, other=True)
        observed = objects[~np.isnan(objects)] if objects.dtype.kind == "f" else objects.astype(np.float64)
        integers = bool((observed == np.floor(observed)).all())
        whole = integers and bool((observed >= 0).all())
        binary = bool(np.isin(observed, (0.0, 1.0)).all())
        if integers or not observed.size:
            return cls(None, binary=binary, whole=whole, numbers=observed.size > 0)
        distinct, counts = np.unique(observed[:_ROWS_OF_MODE], return_counts=True)
        mode = float(distinct[counts.argmax()])
        return cls(
            None,
            binary=binary,
            whole=whole,
            mode=mode,
            mode_count=int(counts.max()),
            n_seen=int(counts.sum()),
            n_distinct=len(distinct),
            numbers=True,
        )

    def __add__(self, other: ColumnKind) -> ColumnKind:
        numbers = self.numbers or other.numbers
        if (self.names is None) != (other.names is None):
            return replace(self if self.names is not None else other, numbers=numbers)
        if self.names is not None and other.names is not None:
            new = set(other.names) - set(self.names)
            names = tuple(_in_order({*self.names, *new}) if new else self.names)
            seen = self.seen | other.seen
            n_seen = self.n_seen + other.n_seen
            return replace(self, names=names, seen=seen, n_seen=n_seen, n_distinct=len(names), numbers=numbers)
        first, second = (self, other) if self.mode_count >= other.mode_count else (other, self)
        return ColumnKind(
            None,
            binary=self.binary and other.binary,
            whole=self.whole and other.whole,
            mode=first.mode,
            mode_count=first.mode_count + (second.mode_count if second.mode == first.mode else 0),
            n_seen=self.n_seen + other.n_seen,
            n_distinct=max(self.n_distinct, other.n_distinct),
            other=self.other or other.other,
            numbers=numbers,
        )


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _distinct(values: list[Any]) -> set[Any]:
    try:
        return set(values)
    except TypeError as error:
        raise TypeError(f"X must hold numbers or names, but {values[0]!r} is neither: {error}.") from error


def _in_order(values: set[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:  # of several types
        return sorted(values, key=lambda value: (type(value).__name__, str(value)))


def survey_kinds(X: Any) -> tuple[list[Any] | None, list[ColumnKind]]:
    """The names of the columns, None if they have none, and their kinds; one pass over the rows."""
    if isinstance(X, RowBlocks):
        return _joint(survey_kinds(block) for block, _, _ in X)
    if is_dask(X):
        import dask

        parts = X.to_delayed() if hasattr(X, "columns") else X.rechunk({1: -1}).to_delayed().ravel()
        return _joint(dask.compute(*[dask.delayed(survey_kinds)(part) for part in parts]))
    return _names_of(X), [ColumnKind.of(values) for values in _columns_of(X)]


def _joint(surveys: Iterable[tuple[list[Any] | None, list[ColumnKind]]]) -> tuple[list[Any] | None, list[ColumnKind]]:
    """Join the surveys of parts; validation refuses columns that differ between parts."""
    names: list[Any] | None = None
    kinds: list[ColumnKind] = []
    for own_names, own in surveys:
        if not kinds:
            names, kinds = own_names, own
            continue
        if names is not None and own_names is not None and set(names) == set(own_names):
            own = [own[own_names.index(name)] for name in names]
        if len(own) == len(kinds):
            kinds = [a + b for a, b in zip(kinds, own, strict=True)]
    return names, kinds


def _names_of(X: Any) -> list[Any] | None:
    return list(frame_names(X)) if is_frame(X) else None


def _columns_of(X: Any) -> Iterator[Any]:
    if is_frame(X):
        yield from frame_columns(X)
    elif sparse.issparse(X):
        raise TypeError("Sparse data was passed, but dense data is required: columns of several kinds have no common zero.")
    else:
        check_is_table(X)
        table = np.array(X, dtype=object) if isinstance(X, list | tuple) else np.asarray(X)
        if table.ndim != 2:
            raise ValueError(f"Expected 2D array, got {table.ndim}D array instead. Reshape your data.")
        yield from table.T


@dataclass(frozen=True)
class Encoding:
    """Codes 0, 1, ... that replace names.

    Attributes
    ----------
    categories : dict
        Position of a column -> its categories.
    seen : dict
        Position of a column -> those of its categories that occur in the rows of the fit.
    unused : tuple of int
        Positions of columns without numbers that the model does not use.
    names : list or None
        Names of all columns, if they have some.
    unseen : {"error", "missing"}
        Whether a value that has not been seen is an error or counts as missing.
    """

    categories: dict[int, tuple[Any, ...]]
    seen: dict[int, frozenset[Any]]
    unused: tuple[int, ...]
    names: list[Any] | None
    unseen: str

    def __post_init__(self) -> None:
        for column, categories in self.categories.items():
            if len(categories) > _MOST_CATEGORIES:
                raise ValueError(
                    f"{self._label(column)} has {len(categories)} categories, more than {_MOST_CATEGORIES}; leave it out, "
                    "or take categories together."
                )

    def _label(self, column: int) -> str:
        return f"column {column}" if self.names is None else f"column {self.names[column]!r}"

    def apply(self, X: Any) -> Any:
        """X, in any container, with numbers only."""
        if not (self.categories or self.unused):
            return X
        if isinstance(X, RowBlocks):
            return RowBlocks(lambda: ((self.apply(block), weight, exposure) for block, weight, exposure in X))
        if is_dask(X):
            if not hasattr(X, "columns"):
                return X
            return X.map_partitions(self.apply, meta=self.apply(X._meta))
        if is_frame(X):
            return self._apply_to_frame(X)
        table = np.array(X, dtype=object)
        if table.ndim == 2:
            for column in (*self.categories, *self.unused):
                if column < table.shape[1]:
                    table[:, column] = self._codes(column, table[:, column])
        return as_numbers(table)

    def _apply_to_frame(self, X: Any) -> Any:
        here = list(frame_names(X))
        wanted = here if self.names is None else self.names
        coded = (*self.categories, *self.unused)
        # Validation refuses X if columns are missing.
        places = {here.index(wanted[column]): column for column in coded if wanted[column] in here}
        values = list(frame_columns(X))
        codes = {place: self._codes(column, values[place]) for place, column in places.items()}
        if hasattr(X, "iloc"):
            X = X.copy()
            for place, of_column in codes.items():
                X[here[place]] = of_column
            return X
        polars = sys.modules.get("polars")
        if polars is not None and isinstance(X, polars.DataFrame):
            return X.with_columns([polars.Series(here[place], of_column) for place, of_column in codes.items()])
        for place, of_column in codes.items():  # an Arrow table
            X = X.set_column(place, here[place], [of_column])
        return X

    def _codes(self, column: int, values: Any) -> Array:
        if column in self.unused:
            return np.zeros(len(values))
        seen = self.seen[column]
        number = {value: code for code, value in enumerate(self.categories[column]) if value in seen}
        given = _as_list(values)
        codes = np.array([np.nan if _is_missing(value) else number.get(value, -1) for value in given], dtype=np.float64)
        if (codes == -1).any():
            if self.unseen == "error":
                value, known = given[int((codes == -1).argmax())], list(number)
                listed = ", ".join(map(repr, known[:_MOST_NAMED])) + (" ..." if len(known) > _MOST_NAMED else "")
                raise ValueError(
                    f"{value!r} in {self._label(column)} is none of the categories that the fit has seen, {listed}; with "
                    "unseen='missing', set before the fit, it would count as missing."
                )
            codes[codes == -1] = np.nan
        return codes

    def restore(self, X: Array, given: Any = None) -> Array:
        """The values that the codes represent, as objects if any column holds names; unseen ones are kept as given."""
        if not self.categories:
            return X
        table = X.astype(object)
        for column, categories in self.categories.items():
            known = ~np.isnan(X[:, column])
            table[known, column] = [categories[int(code)] for code in X[known, column]]
        if self.unseen == "missing" and given is not None:
            start, parts = 0, (block for block, _, _ in given) if isinstance(given, RowBlocks) else [given]
            for columns in (list(map(_as_list, _columns_of(part))) for part in parts):
                for column in self.categories:
                    kept = {row: value for row, value in enumerate(columns[column], start) if not _is_missing(value)}
                    table[[*kept], column] = [*kept.values()]
                start += len(columns[0])
        return table


def fill_frame(X: Any, values: Array, columns: Container[int] | None = None) -> Any:
    """Fill the gaps in some columns of a pandas or polars frame with values; for other containers return the values."""
    if not is_frame(X):
        return values
    own = range(values.shape[1]) if columns is None else columns
    gaps = {
        place: name
        for place, (name, column) in enumerate(zip(frame_names(X), frame_columns(X), strict=True))
        if place in own and any(map(_is_missing, _as_list(column)))
    }
    if hasattr(X, "iloc"):
        import pandas

        X = X.copy()
        for place, name in gaps.items():
            dtype = X[name].dtype if isinstance(X[name].dtype, pandas.CategoricalDtype) else None
            X[name] = pandas.Series(values[:, place].tolist(), index=X.index, dtype=dtype)
        return X
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(X, polars.DataFrame):
        return X.with_columns([polars.Series(name, values[:, place].tolist()) for place, name in gaps.items()])
    return values


def table_values(X: Any) -> Array:
    """The values of a table in memory as an array; for a frame an array of objects."""
    return np.column_stack([np.array(_as_list(column), dtype=object) for column in frame_columns(X)]) if is_frame(X) else X


def with_values(X: Any, values: Array) -> Any:
    """Other values as a table like X: with X's names and categories if X is a pandas or polars frame; else the values."""
    if not is_frame(X):
        return values
    columns = {
        name: [None if _is_missing(value) else value for value in values[:, place].tolist()]
        for place, name in enumerate(frame_names(X))
    }
    if hasattr(X, "iloc"):
        import pandas

        ordered = {name: X[name].dtype for name in columns if isinstance(X[name].dtype, pandas.CategoricalDtype)}
        return pandas.DataFrame(columns).astype(ordered)
    polars = sys.modules.get("polars")
    return polars.DataFrame(columns) if polars is not None and isinstance(X, polars.DataFrame) else values


def _as_list(column: Any) -> list[Any]:
    as_list = next(getattr(column, name) for name in ("tolist", "to_list", "to_pylist") if hasattr(column, name))
    return list(as_list())
