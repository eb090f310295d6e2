"""Dask collections as a source: every block stays on the worker that has it; only parameters and sums travel."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed, delayed
from scipy import sparse

from ._blocks import Block, Prepared, Rows, SingleThreadedBLAS, Source, Statistics, part_of, result_dtype, total
from ._reading import Reader, is_dask, join_blocks
from ._typing import Array, FloatArray

# Sums that one task adds: a deep tree waits for the scheduler at every level.
_FAN_IN = 8
# Bytes that may be sent with each task.
_SMALL = 20_000


class DaskRows(Source):
    """The partitions of a Dask array or frame."""

    def __init__(
        self, reader: Reader, parts: list[_Part], lengths: list[float], n_features: int, dtype: Any, *, is_sparse: bool
    ) -> None:
        self._reader, self._parts, self._lengths = reader, parts, lengths
        self.n_features, self.dtype, self.is_sparse = n_features, result_dtype(dtype), is_sparse

    @classmethod
    def of(cls, reader: Reader, estimator: Any, X: Any, sample_weight: Any, exposure: Any, *, reset: bool) -> DaskRows:
        """Validated partitions; each is checked where it is, whenever it is used."""
        is_frame = hasattr(X, "to_dask_array")
        if is_frame:
            reader.check_names(estimator, X._meta, reset=reset)
            n_features, meta = len(X.columns), None
            blocks, lengths = X.to_delayed(), [math.nan] * X.npartitions
            # As in check_array: what is no number of NumPy's, nullable or Arrow's, becomes double precision.
            are_numbers = [isinstance(dtype, np.dtype) and dtype.kind in "fiub" for dtype in X.dtypes]
            dtype = np.result_type(*X.dtypes) if all(are_numbers) else np.dtype(np.float64)
        else:
            if X.ndim != 2:
                raise ValueError(f"Expected a Dask array of two dimensions, but got {X.ndim}.")
            if len(X.chunks[1]) > 1:
                X = X.rechunk({1: -1})
            n_features, dtype, meta = int(X.shape[1]), X.dtype, X._meta
            reader.check_names(estimator, np.empty((0, n_features), dtype), reset=reset)
            blocks, lengths = X.to_delayed().ravel(), list(X.chunks[0])
        weights, exposures = (
            _beside(values, lengths, name) for values, name in ((sample_weight, "sample_weight"), (exposure, "exposure"))
        )
        parts = [_Part(number, *columns) for number, columns in enumerate(zip(blocks, weights, exposures, strict=True))]
        return cls(reader, parts, lengths, n_features, dtype, is_sparse=sparse.issparse(meta))

    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        result = _tree_sum(self._of_parts(_sum_rows, _shared(function)))
        self._reader = self._reader.after_a_pass()
        return result

    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Any:
        """As a lazy Dask array with the chunks of X."""
        with np.errstate(all="ignore"):
            example = function(Block(np.full((1, self.n_features), np.nan), None, None, start=0))
        shape = example.shape[1:]
        blocks = self._of_parts(_map_rows, _shared(function), shape, example.dtype)
        return da.concatenate(
            [
                da.from_delayed(block, (length, *shape), example.dtype)
                for block, length in zip(blocks, self._lengths, strict=True)
            ],
            allow_unknown_chunksizes=True,
        )

    def take(self, index: Array, weight: FloatArray) -> Block:
        numbers = part_of(index)
        order = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
        taken = [
            self._parts[numbers[chosen[0]]].apply(self._reader, Rows.take, index[chosen], weight[chosen]) for chosen in order
        ]
        return join_blocks(list(dask.compute(*taken)), np.concatenate(order))

    def prepare(self, function: Callable[[Rows], Any]) -> Prepared:
        return DaskPrepared(list(dask.persist(*self._of_parts(_prepare_rows, _shared(function)))))

    def _of_parts(self, function: Callable[..., Any], *arguments: Any) -> list[Delayed]:
        return [part.apply(self._reader, function, *arguments) for part in self._parts]


@dataclass(frozen=True)
class _Part:
    """One partition, to be read where it is, whenever it is used."""

    number: int
    X: Any
    weight: Any
    exposure: Any

    def apply(self, reader: Reader, function: Callable[..., Any], *arguments: Any) -> Delayed:
        """function(rows, *arguments); rows is None where there are none."""
        # One task, since each costs about a millisecond, however small it is.
        read_and_apply = partial(_read_and_apply, reader, self.number, function)
        return delayed(read_and_apply)(self.X, self.weight, self.exposure, *arguments)


def _read_and_apply(
    reader: Reader, number: int, function: Callable[..., Any], X: Any, weight: Any, exposure: Any, *arguments: Any
) -> Any:
    return function(reader.read_part(X, weight, exposure, number), *arguments)


@dataclass(frozen=True)
class DaskPrepared:
    """What was made of the partitions, each on its worker."""

    parts: list[Delayed]

    def sum(self, function: Callable[[Any], Statistics]) -> Statistics:
        shared = _shared(function)
        return _tree_sum([delayed(_apply)(part, shared) for part in self.parts])


def _beside(values: Any, lengths: list[float], name: str) -> list[Any]:
    """One value a row, split as the rows are."""
    if values is None:
        return [None] * len(lengths)
    if not is_dask(values):
        if any(math.isnan(length) for length in lengths):
            raise ValueError(f"X has chunks of unknown size, so {name} must be a Dask array with the same partitions.")
        # Sent once, to be where the rows are, not with every pass.
        values = da.from_array(np.asarray(values), chunks=(tuple(lengths),)).persist()
    # Optimised graphs would name what is persisted without keeping it.
    parts = list(np.ravel(values.to_delayed(optimize_graph=False)))
    if len(parts) != len(lengths):
        raise ValueError(f"X has {len(lengths)} partitions of rows, but {name} has {len(parts)}; give both the same ones.")
    return parts


def _shared(function: Callable[..., Any]) -> Any:
    """What many tasks are to call: part of each, or where it is large sent to each worker once, at the price of a task."""
    return function if len(cloudpickle.dumps(function)) <= _SMALL else delayed(function, traverse=False)


def _sum_rows(rows: Rows | None, function: Callable[[Block], Any]) -> Any:
    if rows is None:
        return None
    with SingleThreadedBLAS():
        return rows.sum(function)


def _map_rows(rows: Rows | None, function: Callable[[Block], Array], shape: tuple[int, ...], dtype: Any) -> Array:
    if rows is None:
        return np.empty((0, *shape), dtype)
    with SingleThreadedBLAS():
        return rows.map(function)


def _prepare_rows(rows: Rows | None, function: Callable[[Rows], Any]) -> Any:
    return None if rows is None else function(rows)


def _apply(value: Any, function: Callable[[Any], Any]) -> Any:
    if value is None:
        return None
    with SingleThreadedBLAS():
        return function(value)


def _add(*terms: Any) -> Any:
    """The sum of some parts, from left to right; an empty one is None."""
    terms = tuple(term for term in terms if term is not None)
    return total(terms) if terms else None


def _tree_sum(parts: list[Delayed]) -> Any:
    """The sum of all parts, where they are, always in the same order."""
    while len(parts) > 1:
        parts = [delayed(_add)(*parts[start : start + _FAN_IN]) for start in range(0, len(parts), _FAN_IN)]
    result = parts[0].compute()
    if result is None:
        raise ValueError("X has no rows.")
    return result
