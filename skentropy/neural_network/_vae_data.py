"""Training data of autoencoders: distinct rows in memory, or rows read block by block if there are too many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from .._data import Block, BlockSource, ColumnSurvey, RowBlocks, Rows, Source, survey_columns
from .._messages import check_observed, check_size, warn_of_data
from .._typing import Array, ArrayLike, FloatArray
from ..decomposition._gaussian import LinearGaussian
from ._autoencoder import Autoencoder
from ._vae_blocks import sums
from ._vae_start import fit_linear
from ._vae_sums import Sums
from ._vae_training import Batch
from ._vae_units import Units

# Data up to this size in double precision are held in memory. Larger data are shuffled within this number of rows.
IN_MEMORY_BYTES = 2**28
_SHUFFLED_ROWS = 8192

# Squares of values beyond these overflow or underflow; in float32 those of noise variances.
_SCALES = {np.float64: (1e-140, 1e140), np.float32: (1e-14, 1e18)}

MakeBatches = Callable[[np.random.Generator | None], Iterator[Batch]]


@dataclass(frozen=True)
class TrainingData(ABC):
    """Rows to train on.

    Attributes
    ----------
    columns : ColumnSurvey
    weight : float
        Total weight of the rows with observed entries.
    empty : float
        Total weight of the other rows.
    """

    columns: ColumnSurvey
    weight: float
    empty: float

    @abstractmethod
    def fit_linear(self, location: FloatArray, scale: float, n_components: int, *, tied: bool) -> LinearGaussian:
        """PPCA, or factor analysis, of (x - location) / scale."""

    @abstractmethod
    def batches(self, units: Units, size: int, dtype: Any) -> tuple[int, MakeBatches]:
        """The number of batches of an epoch, and a function that makes them, shuffled if it gets a generator."""

    @abstractmethod
    def reduce(self, function: Callable[[Block], Any]) -> Any:
        """The sum of a function over blocks of the rows with observed entries."""

    def sums(self, model: Autoencoder, units: Units) -> Sums:
        """The sums over rows with observed entries that ELBO and entropy sum need."""
        result: Sums = self.reduce(partial(sums, model, units))
        return result


def training_data(
    source: Source,
    X: ArrayLike,
    sample_weight: ArrayLike | None,
    bytes_of_row: int,
    view: Callable[[Block], Block] | None = None,
) -> TrainingData:
    """Data in memory if they are small enough; the source was made from ``X`` and ``sample_weight``.

    The view maps a block of rows to the values that the model sees; None stands for the rows themselves.
    """
    n_rows = source.totals.n_rows
    if 8 * n_rows * source.n_features <= IN_MEMORY_BYTES:
        return Table.of(source if view is None else source.view(view), bytes_of_row)
    return Stream.of(source, X, sample_weight, view)


def location_and_scale(estimator: Any, data: TrainingData, dtype: Any) -> tuple[FloatArray, float]:
    """The means of the columns, and the root of their mean variance."""
    columns = data.columns
    check_observed(estimator, columns.weight)
    if data.empty:
        warn_of_data("X has rows without any observed value; they carry no information.")
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.sqrt(columns.scatter / columns.weight)
        scale = float(np.sqrt(columns.scatter.sum() / columns.weight.sum()))
    check_size(estimator, size, _SCALES[np.dtype(dtype).type], dtype)
    # A variance due to rounding errors counts as zero.
    is_rounding = not scale > 1e-14 * float(np.abs(columns.mean).max())
    return columns.mean, 1.0 if is_rounding else scale


@dataclass(frozen=True)
class Table(TrainingData):
    """Distinct rows in ascending order, and their weights.

    The order does not depend on the order of the given rows or on the unit of measurement.
    """

    rows: Rows

    @classmethod
    def of(cls, source: BlockSource, bytes_of_row: int) -> Table:
        """Read all rows."""
        joined: Any = source.map(_with_weight)
        if hasattr(joined, "compute"):
            joined = joined.compute()
        joined = np.asarray(joined, dtype=np.float64)
        X, weight = joined[:, :-1], joined[:, -1]
        empty = np.isnan(X).all(axis=1)
        lost = float(weight[empty].sum())
        order = np.lexsort(X.T[::-1])
        order = order[(~empty & (weight > 0))[order]]
        X, weight = X[order], weight[order]
        del joined  # rows are in memory twice, not more often
        if len(X):
            differs = (X[1:] != X[:-1]) & ~(np.isnan(X[1:]) & np.isnan(X[:-1]))
            first = np.flatnonzero(np.concatenate([[True], differs.any(axis=1)]))
            if len(first) < len(X):
                X, weight = X[first], np.add.reduceat(weight, first)
        columns = Rows(X, weight).sum(survey_columns)
        return cls(columns, float(weight.sum()), lost, Rows(X, weight, row_bytes=bytes_of_row))

    def fit_linear(self, location: FloatArray, scale: float, n_components: int, *, tied: bool) -> LinearGaussian:
        X, weight = self.rows.X - location, self.rows.sample_weight
        assert weight is not None
        X /= scale
        # A small number of distinct rows is allowed, since each may stand for several rows.
        copies = -(-max(n_components, 2) // len(X))
        if copies > 1:
            X, weight = np.tile(X, (copies, 1)), np.tile(weight, copies)
        return fit_linear(X, weight, n_components, tied=tied)

    def batches(self, units: Units, size: int, dtype: Any) -> tuple[int, MakeBatches]:
        assert self.rows.sample_weight is not None
        n_batches = -(-self.rows.n_rows // size)
        everything = Batch.of(units.observe(self.rows.X), self.rows.sample_weight * (n_batches / self.weight), dtype)
        return n_batches, partial(everything.split, size)

    def reduce(self, function: Callable[[Block], Any]) -> Any:
        return self.rows.sum(function)


@dataclass(frozen=True)
class Stream(TrainingData):
    """Rows that are reread for each epoch; batches are shuffled within some thousand rows."""

    source: Source
    view: Callable[[Block], Block] | None
    given: tuple[ArrayLike, ArrayLike | None]

    @classmethod
    def of(
        cls, source: Source, X: ArrayLike, sample_weight: ArrayLike | None, view: Callable[[Block], Block] | None
    ) -> Stream:
        """Survey all rows."""
        rows = source if view is None else source.view(view)
        weight, empty = rows.sum(_weights).tolist()
        return cls(rows.sum(survey_columns), weight, empty, source, view, (X, sample_weight))

    def fit_linear(self, location: FloatArray, scale: float, n_components: int, *, tied: bool) -> LinearGaussian:
        X, sample_weight = self.given
        if self.view is not None:
            X, sample_weight = RowBlocks(lambda: ((block.X, block.weight) for block in self._blocks(None))), None
        return fit_linear(X, sample_weight, n_components, tied=tied).standardised(location, np.full(len(location), scale))

    def batches(self, units: Units, size: int, dtype: Any) -> tuple[int, MakeBatches]:
        n_batches = sum(-(-_n_seen(block) // size) for block in self._blocks(None))
        share = n_batches / self.weight

        def make(rng: np.random.Generator | None) -> Iterator[Batch]:
            for block in self._blocks(rng):
                seen = _seen(block)
                if seen.n_rows:
                    yield from Batch.of(units.observe(seen.X), seen.row_weight * share, dtype).split(size, rng)

        return n_batches, make

    def reduce(self, function: Callable[[Block], Any]) -> Any:
        rows = self.source if self.view is None else self.source.view(self.view)
        return rows.sum(partial(_of_seen, function))

    def _blocks(self, rng: np.random.Generator | None) -> Iterator[Block]:
        """Some thousand rows at a time, within each part in random order if there is a generator."""
        for rows in self.source.parts():
            starts = np.arange(0, rows.n_rows, _SHUFFLED_ROWS)
            for start in starts if rng is None else rng.permutation(starts):
                index = np.arange(start, min(start + _SHUFFLED_ROWS, rows.n_rows))
                weight = np.ones(len(index)) if rows.sample_weight is None else rows.sample_weight[index]
                block = Block(rows.X[index[0] : index[-1] + 1].astype(np.float64), weight, None, start=0)
                yield block if self.view is None else self.view(block)


def _with_weight(block: Block) -> Array:
    """Rows, and in a last column their weights."""
    return np.column_stack([block.X, block.row_weight])


def _is_seen(block: Block) -> Array:
    """Which rows have a weight and observed entries."""
    return np.asarray((block.row_weight > 0) & ~np.isnan(block.X).all(axis=1))


def _n_seen(block: Block) -> int:
    return int(_is_seen(block).sum())


def _seen(block: Block) -> Block:
    """The rows with a weight and observed entries."""
    kept = _is_seen(block)
    return replace(block, X=block.X[kept], weight=block.row_weight[kept])


def _weights(block: Block) -> FloatArray:
    """Weight of the rows with observed entries, and of the others."""
    weight, empty = block.row_weight, np.isnan(block.X).all(axis=1)
    return np.array([weight[~empty].sum(), weight[empty].sum()])


def _of_seen(function: Callable[[Block], Any], block: Block) -> Any:
    return function(_seen(block))
