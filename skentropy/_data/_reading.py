"""From a user's X, in any container, to validated rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_array, validate_data

from .._typing import ArrayLike, FloatArray
from ._blocks import Source
from ._checks import (
    check_distinct,
    check_has_columns,
    check_is_table,
    check_no_mask,
    check_total_weight,
    naming_infinities,
)
from ._columns import survey_rows
from ._containers import as_numbers, is_dask
from ._parts import PartReader
from ._streams import RowBlocks, StreamedRows


class Reader(PartReader):
    """How an estimator reads its data, with the parameters of ``PartReader``."""

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
        """Validated rows; with ``reset`` X sets the names and number of the features, otherwise it must agree with them.

        Without ``reset`` there is no pass over streams and Dask collections. The caller then has to check that their
        weights are not all zero, with ``check_total_weight``.
        """
        if is_dask(X):
            from ._dask import DaskRows

            source: Source = DaskRows.of(self, estimator, X, sample_weight, exposure, reset=reset)
        elif isinstance(X, RowBlocks):
            if sample_weight is not None or exposure is not None:
                raise ValueError("RowBlocks carry weights and exposures themselves: blocks (X, sample_weight, exposure).")
            source = StreamedRows(self, estimator, X, reset=reset)
        else:
            check_is_table(X)
            check_no_mask(X, "X")
            check_distinct(X)
            options = {"ensure_min_samples": min_samples, **self._options}
            check_has_columns(X)
            numbers = as_numbers(X)
            with naming_infinities(X):
                if numbers is X and not self.ignores_names(X):
                    numbers = validate_data(estimator, X, reset=reset, **options)
                else:
                    self.check_names(estimator, X, reset=reset)
                    numbers = check_array(numbers, estimator=estimator, input_name="X", **options)
            return self._in_memory(numbers, sample_weight, exposure)
        if reset:
            if self.surveys:
                survey_rows(source)
            if source.totals.n_rows < min_samples:
                raise ValueError(
                    f"Found {source.totals.n_rows} sample(s) while a minimum of {min_samples} is required by "
                    f"{type(estimator).__name__}."
                )
            check_total_weight(source.totals.weight)
        return source


def map_latents(decode: Callable[[FloatArray], Any], X: ArrayLike, n_latents: int, owner: str) -> Any:
    """Decode an array of latent variables in its precision, or a Dask collection of them lazily.

    ``owner`` is for the message about another number of columns: "the net has 2 hidden variables".
    """
    if is_dask(X):
        from ._dask import map_array

        return map_array(lambda part: map_latents(decode, part, n_latents, owner), X)
    Z = check_array(X, dtype=(np.float64, np.float32), ensure_min_features=0, input_name="X")
    if Z.shape[1] != n_latents:
        raise ValueError(f"X has {Z.shape[1]} columns, but {owner}.")
    return decode(Z)


def check_output_stays_lazy(estimator: Any, X: Any) -> None:
    """Raise ValueError if ``set_output`` asks for a frame in memory of a Dask collection."""
    container = _get_output_config("transform", estimator)["dense"]
    if is_dask(X) and container != "default":
        raise ValueError(
            f"A {container} frame is in memory, where the rows of a Dask collection need not fit; what transform returns of "
            "it is lazy with set_output(transform='default')."
        )


def required_backend(X: Any) -> str | None:
    """What parallel fits require of joblib: for Dask collections threads of this process, since workers do the work."""
    return "sharedmem" if is_dask(X) else None
