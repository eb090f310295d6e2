"""From what a user hands over as X to validated rows: the one place that knows of containers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _num_features, check_array, check_consistent_length, column_or_1d, validate_data

from ._base import check_no_mask, check_total_weight, check_weights
from ._blocks import Block, Prepared, Rows, Source, Statistics, part_of, result_dtype, total
from ._columns import has_nan
from ._containers import as_numbers
from ._typing import Array, ArrayLike, FloatArray, Matrix


@dataclass(frozen=True)
class Reader:
    """How an estimator reads its data.

    Parameters
    ----------
    sparse : {"missing", "complete", "no"}
        Whether CSR matrices are taken, with NaN among what they store or only without.
    dtype : "numeric" or tuple of dtypes
        As in ``check_array``.
    row_bytes : callable
        Number of features -> bytes that one row takes in the computation.
    exposure : bool
        Whether rows may have an exposure.
    checked : bool
        Whether the rows are known to hold no infinity.
    columns : tuple or None
        Names that the columns of every part must have, in this order.
    """

    sparse: str
    dtype: Any
    row_bytes: Callable[[int], int]
    exposure: bool = False
    checked: bool = False
    columns: tuple[Any, ...] | None = None

    @property
    def _options(self) -> dict[str, Any]:
        accept_sparse = False if self.sparse == "no" else "csr"
        finite = False if self.checked else "allow-nan"
        return {"accept_sparse": accept_sparse, "dtype": self.dtype, "ensure_all_finite": finite}

    def read(
        self,
        estimator: Any,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        *,
        reset: bool = False,
        min_samples: int = 1,
    ) -> Source:
        """Validated rows; ``reset`` takes the names and number of the features from X, otherwise they must agree.

        Without ``reset`` what is no table in memory is not passed over: that its weights are not all zero is left to the
        caller, as ``check_total_weight``.
        """
        if is_dask(X):
            from ._dask import DaskRows

            source: Source = DaskRows.of(self, estimator, X, sample_weight, exposure, reset=reset)
        elif isinstance(X, RowBlocks):
            if sample_weight is not None or exposure is not None:
                raise ValueError("RowBlocks carry weights and exposures themselves: blocks (X, sample_weight, exposure).")
            source = StreamedRows(self, estimator, X, reset=reset)
        else:
            check_no_mask(X, "X")
            check_distinct(X)
            options = {"ensure_min_samples": min_samples, **self._options}
            numbers = as_numbers(X)
            if numbers is X:
                numbers = validate_data(estimator, X, reset=reset, **options)
            else:
                self.check_names(estimator, X, reset=reset)
                numbers = check_array(numbers, estimator=estimator, input_name="X", **options)
            return self._rows(numbers, sample_weight, exposure)
        if reset:
            if source.totals.n_rows < min_samples:
                raise ValueError(
                    f"Found {source.totals.n_rows} sample(s) while a minimum of {min_samples} is required by "
                    f"{type(estimator).__name__}."
                )
            check_total_weight(source.totals.weight)
        return source

    def check_names(self, estimator: Any, X: Any, *, reset: bool) -> None:
        """Take or compare the names and number of the features of something like X that need not hold the data."""
        check_distinct(X)
        validate_data(estimator, X, reset=reset, skip_check_array=True)

    def read_part(self, X: Any, sample_weight: Any = None, exposure: Any = None, part: int = 0) -> Rows | None:
        """Validated rows of one part; None if there are none."""
        if X.shape[0] == 0:
            return None
        try:
            if self.columns is not None:
                check_columns(X.columns, self.columns)
            check_no_mask(X, "X")
            return self._rows(check_array(as_numbers(X), **self._options), sample_weight, exposure, part=part)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"Block {part} of X, counted from 0: {error}") from error

    def _rows(self, X: Matrix, sample_weight: Any, exposure: Any, part: int | None = None) -> Rows:
        if sparse.issparse(X):
            if not X.has_canonical_format:
                X = X.copy()
                X.sum_duplicates()
            if self.sparse == "complete" and has_nan(X):
                raise ValueError(
                    "Sparse X must be complete, but it contains NaN; make it dense to have missing values marginalised."
                )
        weight = check_weights(sample_weight, X, all_zero=part is not None)
        if exposure is not None:
            if not self.exposure:
                raise ValueError("X has blocks with an exposure, which is not defined for this model; leave it out.")
            exposure = check_exposure(exposure, X)
        return Rows(X, weight, exposure, row_bytes=self.row_bytes(X.shape[1]), part=part or 0)


def check_exposure(exposure: ArrayLike, X: Matrix) -> FloatArray:
    """Exposures as an array.

    Raises
    ------
    ValueError
        If they are not one positive, finite number a row.
    """
    check_no_mask(exposure, "exposure")
    exposure = column_or_1d(np.asarray(exposure, dtype=np.float64))
    check_consistent_length(X, exposure)
    if not (np.isfinite(exposure) & (exposure > 0)).all():
        raise ValueError("exposure must be positive and finite in every row.")
    return np.asarray(exposure)


def check_distinct(X: Any) -> None:
    """Refuse frames in which several columns have one name."""
    columns: Any = getattr(X, "columns", None)
    if hasattr(columns, "duplicated") and columns.duplicated().any():  # those of pandas; other frames refuse it themselves
        repeated = ", ".join(sorted({str(name) for name in columns[columns.duplicated()]}))
        raise ValueError(f"Columns of X must have different names, but several are called {repeated}.")


def check_columns(columns: Any, expected: tuple[Any, ...]) -> None:
    """Raise ValueError if a part of a frame has other columns than the frame, or has them in another order."""
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


def check_output_stays_lazy(estimator: Any, X: Any) -> None:
    """Raise ValueError if ``set_output`` asks for a frame of something that is not in memory."""
    container = _get_output_config("transform", estimator)["dense"]
    if is_dask(X) and container != "default":
        raise ValueError(
            f"A {container} frame is in memory, where the rows of a Dask collection need not fit; what transform returns of "
            "it is lazy with set_output(transform='default')."
        )


def is_dask(X: Any) -> bool:
    """Whether X is a Dask collection; Dask is not imported for the question."""
    return "dask" in sys.modules and callable(getattr(X, "__dask_graph__", None))


def required_backend(X: Any) -> str | None:
    """What fits side by side require of joblib: to Dask collections they are threads here, and their work on its cluster."""
    return "sharedmem" if is_dask(X) else None


class RowBlocks:
    """Rows that are read block by block, anew for each pass: from files, a database, a generator.

    ``fit`` and ``score`` of every estimator but ``GaussianMixture``, and the other methods that take X, accept it in the
    place of an array. Memory holds one block at a time. For the initialisation of mixtures a bounded number of rows is kept.

    Parameters
    ----------
    read : callable
        Without arguments; returns a new iterator over the blocks, always the same ones in the same order. A block is
        anything that would do as X, all dense or all sparse, or a tuple ``(X, sample_weight)`` or
        ``(X, sample_weight, exposure)``; in blocks without weights every row counts 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy import PoissonMixture, RowBlocks
    >>> def read():
    ...     for seed in range(20):
    ...         rng = np.random.default_rng(seed)
    ...         yield rng.poisson(np.where(rng.random((500, 1)) < 0.4, [1.0, 9.0], [6.0, 2.0]))
    >>> mixture = PoissonMixture(2, random_state=0).fit(RowBlocks(read))
    >>> sorted(float(rate) for rate in mixture.rates_[:, 0].round(1))
    [1.0, 6.0]
    """

    def __init__(self, read: Callable[[], Iterable[Any]]) -> None:
        if not callable(read):
            raise TypeError(
                f"RowBlocks takes a function that returns a new iterator each time, but got {type(read).__name__}; an "
                "iterator alone would be exhausted after the first pass."
            )
        self._read = read

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        blocks = self._read()
        if hasattr(blocks, "shape"):
            raise TypeError(
                "The function that RowBlocks was given must return an iterator over blocks of rows, but returned a single "
                f"{type(blocks).__name__}."
            )
        for block in blocks:
            if isinstance(block, tuple) and not 1 <= len(block) <= 3:
                raise TypeError(
                    f"A block is X or (X, sample_weight, exposure), the last two optional, but got {len(block)} values."
                )
            X, weight, exposure = (*block, None, None)[:3] if isinstance(block, tuple) else (block, None, None)
            yield (np.asarray(X, dtype=object) if isinstance(X, list) else X), weight, exposure


class StreamedRows(Source):
    """``RowBlocks`` as a source."""

    def __init__(self, reader: Reader, estimator: Any, blocks: RowBlocks, *, reset: bool) -> None:
        self._reader, self._estimator, self._blocks = reader, estimator, blocks
        others = iter(blocks)
        first = next(others, None)
        if first is None:
            raise ValueError("X has no blocks of rows; the function that RowBlocks was given returned an empty iterator.")
        # The first pass over the rows goes on from here, so that one pass reads them once.
        self._begun: Any = first, others
        X: Any = first[0]
        reader.check_names(estimator, X, reset=reset)
        self.n_features = int(_num_features(X))
        self.is_sparse = sparse.issparse(X)
        rows = reader.read_part(*first)
        self._n_rows: int | None = None
        self.dtype = result_dtype(getattr(X, "dtype", None)) if rows is None else rows.dtype

    def _pass(self) -> Iterator[tuple[Any, Any, Any]]:
        begun, self._begun = self._begun, None
        if begun is None:
            yield from self._blocks
            return
        first, others = begun
        del begun
        yield first
        del first
        yield from others

    def parts(self) -> Iterator[Rows]:
        part, n_rows = -1, 0
        for part, (X, weight, exposure) in enumerate(self._pass()):
            if _num_features(X) != self.n_features:
                raise ValueError(
                    f"X has {_num_features(X)} features in block {part}, but {self.n_features} features in the first one."
                )
            if sparse.issparse(X) != self.is_sparse:
                kinds = ("dense", "sparse") if self.is_sparse else ("sparse", "dense")
                raise ValueError(f"Block {part} of X, counted from 0, is {kinds[0]}, but the first one is {kinds[1]}.")
            self._reader.check_names(self._estimator, X, reset=False)
            rows = self._reader.read_part(X, weight, exposure, part)
            if rows is not None:
                n_rows += rows.n_rows
                yield rows
        if part < 0:
            raise ValueError(
                "The function that RowBlocks was given returned an exhausted iterator in a later pass over the rows; it "
                "must return a new one each time."
            )
        if n_rows == 0:
            raise ValueError("X has no rows.")
        if self._n_rows not in (None, n_rows):
            raise ValueError(
                f"The function that RowBlocks was given returned {n_rows} rows in this pass over them, but "
                f"{self._n_rows} in the one before; it must return the same blocks each time."
            )
        self._n_rows = n_rows

    def sum(self, function: Callable[[Block], Statistics], pool: ThreadPoolExecutor | None = None) -> Statistics:
        result: Statistics = total(rows.sum(function, pool) for rows in self.parts())
        return result

    def map(self, function: Callable[[Block], Array], pool: ThreadPoolExecutor | None = None) -> Array:
        return np.concatenate([rows.map(function, pool) for rows in self.parts()])

    def take(self, index: Array, weight: FloatArray) -> Block:
        numbers = part_of(index)
        order, taken = [], []
        for part, (X, _, exposure) in enumerate(self._blocks):
            chosen = np.flatnonzero(numbers == part)
            if chosen.size:
                order.append(chosen)
                rows = self._reader.read_part(X, None, exposure, part)
                assert rows is not None
                taken.append(rows.take(index[chosen], weight[chosen]))
        return join_blocks(taken, np.concatenate(order))

    def prepare(self, function: Callable[[Rows], Any]) -> Prepared:
        return _Afresh(self, function)


@dataclass(frozen=True)
class _Afresh:
    """What is made of the parts of a stream, made again for each pass: nothing is kept."""

    source: StreamedRows
    function: Callable[[Rows], Any]

    def sum(self, function: Callable[[Any], Statistics]) -> Statistics:
        made = (self.function(rows) for rows in self.source.parts())
        result: Statistics = total(function(value) for value in made if value is not None)
        return result


def join_blocks(blocks: list[Block], places: Array) -> Block:
    """One block of the rows of several, each row at its place."""
    order = np.argsort(places)
    tables = [block.X for block in blocks]
    X: Any = sparse.vstack(tables, format="csr") if sparse.issparse(tables[0]) else np.concatenate(tables)
    weights, exposures = ([getattr(block, name) for block in blocks] for name in ("weight", "exposure"))
    exposure = None if exposures[0] is None else np.concatenate(exposures)[order]
    return Block(X[order], np.concatenate(weights)[order], exposure, start=0)
