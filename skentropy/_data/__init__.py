"""Where data come from: containers, blocks, streams and Dask collections, all read as rows to sum statistics over."""

from ._blocks import (
    WORKING_SET_BYTES,
    Additive,
    Block,
    BlockSource,
    Prepared,
    Rows,
    RowTotals,
    Scratch,
    Source,
)
from ._checks import check_distinct, check_total_weight, check_weights
from ._columns import ColumnSurvey, has_nan, survey_columns, survey_rows
from ._containers import as_numbers, is_dask
from ._named import ColumnKind, Encoding, fill_frame, survey_kinds, table_values, with_values
from ._patterns import sort_rows, unique_rows
from ._reading import Reader, check_output_stays_lazy, map_latents, required_backend
from ._sampling import Rounding, RowSample, hash_rows
from ._streams import RowBlocks
from ._threads import SingleThreadedBLAS, blas_threads, thread_pool

__all__ = [
    "WORKING_SET_BYTES",
    "Additive",
    "Block",
    "BlockSource",
    "ColumnKind",
    "ColumnSurvey",
    "Encoding",
    "Prepared",
    "Reader",
    "Rounding",
    "RowBlocks",
    "RowSample",
    "RowTotals",
    "Rows",
    "Scratch",
    "SingleThreadedBLAS",
    "Source",
    "as_numbers",
    "blas_threads",
    "check_distinct",
    "check_output_stays_lazy",
    "check_total_weight",
    "check_weights",
    "fill_frame",
    "has_nan",
    "hash_rows",
    "is_dask",
    "map_latents",
    "required_backend",
    "sort_rows",
    "survey_columns",
    "survey_kinds",
    "survey_rows",
    "table_values",
    "thread_pool",
    "unique_rows",
    "with_values",
]
