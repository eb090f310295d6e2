"""Dask collections as a source: every block stays on its worker; only parameters and sums travel."""

from __future__ import annotations

import math
import pickle
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import cloudpickle  # type: ignore[import-untyped]
import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed, delayed
from scipy import sparse

from .._typing import Array, FloatArray
from ._blocks import Block, Prepared, Rows, Source, Statistics, join_blocks, part_of, result_dtype, total
from ._checks import check_columns, check_no_mask
from ._containers import is_dask
from ._parts import PartReader
from ._threads import SingleThreadedBLAS

# Number of sums that are added at once: a deep tree waits for the scheduler at every level.
_FAN_IN = 8
# With at most this many features the last sums are added in this process, unless one takes more bytes than the second
# number.
_NARROW, _SMALL_SUM = 256, 100_000
# One task may sum up to eight partitions if they take no more bytes together: it needs all of them in memory.
_TOGETHER = 2**29
# Largest number of bytes that are sent with each task.
_SMALL = 20_000


class DaskRows(Source):
    """The partitions of a Dask array or frame."""

    maps_lazily = True

    def __init__(
        self,
        reader: PartReader,
        X: Any,
        parts: list[_Part],
        lengths: list[float],
        n_features: int,
        dtype: Any,
        is_sparse: bool,
    ) -> None:
        self._reader, self._parts, self._lengths = reader, parts, lengths
        self.n_features, self.dtype, self.is_sparse = n_features, result_dtype(dtype), is_sparse
        self._tree_sum = _TreeSum(parts, X, n_features)

    @classmethod
    def of(cls, reader: PartReader, estimator: Any, X: Any, sample_weight: Any, exposure: Any, *, reset: bool) -> DaskRows:
        """The partitions; each is checked on its worker, in the first pass over all of them."""
        if X.ndim != 2:
            raise ValueError(f"Expected a Dask collection of two dimensions, but got {X.ndim}.")
        is_frame = hasattr(X, "to_dask_array")
        if is_frame:
            reader.check_names(estimator, X._meta, reset=reset)
            reader = replace(reader, columns=tuple(X.columns))
            n_features, meta = len(X.columns), None
            lengths = [math.nan] * X.npartitions
            # As in check_array: nullable and Arrow's numbers become double precision.
            are_numbers = [isinstance(dtype, np.dtype) and dtype.kind in "fiub" for dtype in X.dtypes]
            dtype = np.result_type(*X.dtypes) if all(are_numbers) else np.dtype(np.float64)
        else:
            if len(X.chunks[1]) > 1:
                X = X.rechunk({1: -1})
            n_features, dtype, meta = int(X.shape[1]), X.dtype, X._meta
            reader.check_names(estimator, np.empty((0, n_features), dtype), reset=reset)
            lengths = list(X.chunks[0])
        weights, exposures = (
            _beside(values, lengths, name) for values, name in ((sample_weight, "sample_weight"), (exposure, "exposure"))
        )
        parts = [_Part(*part) for part in zip(_blocks(X), range(len(lengths)), weights, exposures, strict=True)]
        return cls(reader, X, parts, lengths, n_features, dtype, is_sparse=sparse.issparse(meta))

    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        result = self._tree_sum.of(partial(_of_part, self._reader, partial(_sum_rows, function)))
        # A partition is the same whenever it is computed: it suffices to look for infinities once.
        self._reader = replace(self._reader, checked=True)
        return result

    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Any:
        """Map the blocks to a lazy Dask array with the chunks of X."""
        with np.errstate(all="ignore"):
            example = function(Block(np.empty((0, self.n_features)), None, None, start=0))
        shape, dtype = example.shape[1:], example.dtype
        blocks = self._of_parts(self._parts, partial(_map_rows, function, shape, dtype))
        return da.concatenate(
            [da.from_delayed(block, (length, *shape), dtype) for block, length in zip(blocks, self._lengths, strict=True)],
            allow_unknown_chunksizes=True,
        )

    def parts(self) -> Iterator[Rows]:
        for part in self._parts:
            (rows,) = dask.compute(*self._of_parts([part], _itself))
            if rows is not None:
                yield rows

    def take(self, index: Array, weight: FloatArray) -> Block:
        numbers = part_of(index)
        order = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
        taken: list[Delayed] = []
        for chosen in order:
            part = self._parts[numbers[chosen[0]]]
            taken += self._of_parts([part], partial(_take_rows, index[chosen], weight[chosen]))
        return join_blocks(list(dask.compute(*taken)), np.concatenate(order))

    def prepare(self, function: Callable[[Rows], Any]) -> Prepared:
        return DaskPrepared(dask.persist(*self._of_parts(self._parts, partial(_prepare_rows, function))), self.n_features)

    def _of_parts(self, parts: list[_Part], function: Callable[[Rows | None], Any]) -> list[Delayed]:
        """function(rows) of each part, by one task a part; rows are None in an empty part."""
        packed = _pack(partial(_of_part, self._reader, function))
        return [delayed(_call)(packed, *part) for part in parts]


def map_array(function: Callable[[Any], Array], X: Any) -> Any:
    """Apply a function that maps rows to rows to the partitions of a Dask array or frame; a lazy Dask array."""
    if hasattr(X, "to_dask_array"):
        X = X.map_partitions(_with_columns, tuple(X.columns), meta=X._meta).to_dask_array()
    X = X if len(X.chunks[1]) == 1 else X.rechunk({1: -1})
    example = function(np.zeros((1, X.shape[1]), X.dtype))

    def of_block(block: Any) -> Array:
        return function(block) if len(block) else example[:0]

    return X.map_blocks(of_block, dtype=example.dtype, chunks=(X.chunks[0], example.shape[1:]), meta=example[:0])


def _with_columns(part: Any, columns: tuple[Any, ...]) -> Any:
    check_columns(part.columns, columns)
    return part


class _Part(NamedTuple):
    """One partition as it is stored; it is read on its worker whenever it is used."""

    X: Any
    number: int
    weight: Any
    exposure: Any


class DaskPrepared:
    """Things made of the partitions, each on its worker."""

    def __init__(self, parts: tuple[Delayed, ...], n_features: int) -> None:
        self._tree_sum = _TreeSum([(part,) for part in parts], parts, n_features)

    def sum(self, function: Callable[[Any], Statistics]) -> Statistics:
        return self._tree_sum.of(partial(_apply, function))


class _TreeSum:
    """Sums over all parts, which the workers compute, always in the same order.

    Parameters
    ----------
    parts : list of tuples
        The arguments that stand for each part; the first one is the part itself.
    stored : Dask collection or tuple of them
        The collections that the parts belong to; workers may store them.
    n_features : int
    """

    def __init__(self, parts: Sequence[tuple[Any, ...]], stored: Any, n_features: int) -> None:
        self._parts, self._stored, self._is_small = parts, stored, n_features <= _NARROW
        self._n_sums = 0
        # The futures of a sum are released when the next sum is on its way. If they were released just before, this message
        # would delay the next sum, since a client's messages are ten milliseconds apart.
        self._held: Any = None

    def of(self, function: Callable[..., Any]) -> Any:
        """The sum of function(*part) over the parts for which it is not None."""
        if self._n_sums < 2:  # after the first sum everything that is stored stays where it is
            self._bundles = _bundles([part[0].key for part in self._parts], self._stored if self._n_sums else ())
        self._n_sums += 1
        packed = _pack(partial(_of_each, function))
        nodes = [
            [delayed(_call)(packed, bundle, *chain(*(self._parts[number] for number in bundle))) for bundle in eight]
            for eight in self._bundles
        ]
        while len(nodes) > 1:
            nodes = list(_by_eight([delayed(_add)(*terms) for terms in nodes]))
        sums = dask.persist(*(nodes[0] if self._is_small else [delayed(_add)(*nodes[0])]))
        self._held = sums
        futures = _futures_of(sums)
        result = _add(*(_gather(futures) if futures else dask.compute(*sums)))
        if not result:
            raise ValueError("X has no rows.")
        self._is_small = self._is_small and len(pickle.dumps(result)) <= _SMALL_SUM
        return next(iter(result.values()))


def _bundles(keys: list[Any], stored: Any) -> list[list[list[int]]]:
    """Numbers of parts, in groups of eight. In each group, small parts on the same worker are bundled for one task.

    Otherwise a worker with one thread would wait for its next task after every part.
    """
    places: dict[Any, str] = {}
    sizes: dict[Any, int] = {}
    if futures := _futures_of(stored):
        client = futures[0].client
        sizes = client.nbytes([future.key for future in futures], summary=False)
        threads = client.nthreads()
        places = {key: on[0] for key, on in client.who_has(futures).items() if on and threads.get(on[0]) == 1}
    result = []
    for eight in _by_eight(range(len(keys))):
        together: dict[Any, list[int]] = defaultdict(list)
        for number in eight:
            together[places.get(keys[number], number)].append(number)
        apart = [[number] for number in eight]
        result.append([*together.values()] if sum(sizes.get(keys[number], 0) for number in eight) <= _TOGETHER else apart)
    return result


def _by_eight(items: Sequence[Any]) -> Iterator[Any]:
    return (items[start : start + _FAN_IN] for start in range(0, len(items), _FAN_IN))


def _futures_of(collections: Any) -> list[Any]:
    """The futures of what workers store, or are computing, of Dask collections."""
    return list(sys.modules["distributed"].futures_of(collections)) if "distributed" in sys.modules else []


def _gather(futures: list[Any]) -> list[Any]:
    """Gather the results of futures; a task gives up its thread while it waits for them, as in ``Client.get``."""
    from distributed import rejoin, secede
    from distributed.worker import thread_state

    in_task = bool(getattr(thread_state, "key", False))
    if in_task:
        secede()
    try:
        return list(futures[0].client.gather(futures))
    finally:
        if in_task:
            rejoin()


def _blocks(X: Any) -> list[Delayed]:
    """The partitions of a collection."""
    # An optimised graph would refer to persisted data without keeping them alive.
    return [_as_stored(part) for part in np.ravel(X.to_delayed(optimize_graph=not _futures_of(X)))]


def _as_stored(part: Delayed) -> Delayed:
    """A partition by its own key; its key in a stored frame would cost a task in every pass."""
    graph, key = part.__dask_graph__(), part.key
    while True:
        node = graph[key]
        # In older versions of Dask an alias is the other key itself.
        if type(node).__name__ == "Alias":
            key = node.target
        elif isinstance(node, tuple) and len(node) == 2 and isinstance(node[0], str) and node in graph:
            key = node
        else:
            break
    return part if key == part.key else Delayed(key, graph, layer=part.__dask_layers__()[0])


def _beside(values: Any, lengths: list[float], name: str) -> list[Any]:
    """Split an array with one value for each row as the rows are split."""
    if values is None:
        return [None] * len(lengths)
    if not is_dask(values):
        if any(math.isnan(length) for length in lengths):
            raise ValueError(f"X has chunks of unknown size, so {name} must be a Dask array with the same partitions.")
        if np.shape(values) != (sum(lengths),):
            raise ValueError(f"{name} has shape {np.shape(values)}, but X has {sum(lengths)} rows.")
        check_no_mask(values, name)
        # They are sent to the workers once, not with every pass.
        values = da.from_array(np.asarray(values), chunks=(tuple(lengths),)).persist()
    parts = _blocks(values)
    if len(parts) != len(lengths):
        raise ValueError(f"X has {len(lengths)} partitions of rows, but {name} has {len(parts)}; give both the same ones.")
    return parts


def _pack(function: Callable[..., Any]) -> Any:
    """A function for many tasks as bytes, which the scheduler need not interpret.

    A few bytes are part of each task. Many bytes are sent to each worker once, at the price of a task.
    """
    try:
        packed = cloudpickle.dumps(function)
    except (TypeError, AttributeError, pickle.PicklingError):  # the scheduler complains if it has to send it
        return delayed(function, traverse=False)
    return packed if len(packed) <= _SMALL else delayed(packed)


def _call(packed: Any, *arguments: Any) -> Any:
    function = pickle.loads(packed) if isinstance(packed, bytes) else packed
    return function(*arguments)


def _of_part(
    reader: PartReader, function: Callable[[Rows | None], Any], X: Any, number: int, weight: Any, exposure: Any
) -> Any:
    return function(reader.read_part(X, weight, exposure, number))


def _of_each(function: Callable[..., Any], numbers: list[int], *arguments: Any) -> dict[int, Any]:
    """function of each of some parts that have rows, by the part's number."""
    width = len(arguments) // len(numbers)
    values = (function(*arguments[start : start + width]) for start in range(0, len(arguments), width))
    return {number: value for number, value in zip(numbers, values, strict=True) if value is not None}


def _sum_rows(function: Callable[[Block], Any], rows: Rows | None) -> Any:
    if rows is None:
        return None
    with SingleThreadedBLAS():
        return rows.sum(function)


def _map_rows(function: Callable[[Block], Array], shape: tuple[int, ...], dtype: Any, rows: Rows | None) -> Array:
    if rows is None:
        return np.empty((0, *shape), dtype)
    with SingleThreadedBLAS():
        return rows.map(function)


def _itself(rows: Rows | None) -> Rows | None:
    return rows


def _take_rows(index: Array, weight: FloatArray, rows: Rows | None) -> Block:
    assert rows is not None
    return rows.take(index, weight)


def _prepare_rows(function: Callable[[Rows], Any], rows: Rows | None) -> Any:
    return None if rows is None else function(rows)


def _apply(function: Callable[[Any], Any], value: Any) -> Any:
    if value is None:
        return None
    with SingleThreadedBLAS():
        return function(value)


def _add(*sums: dict[int, Any]) -> dict[int, Any]:
    """Add sums of parts in the order of their numbers; the result has the number of the first."""
    terms = dict(sorted(chain(*(part.items() for part in sums))))
    return {next(iter(terms)): total(terms.values())} if terms else {}
