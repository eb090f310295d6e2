"""Hold out a share of the rows, on which fitted models are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy import sparse
from sklearn.model_selection import ShuffleSplit
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from .._data import RowBlocks, is_dask
from .._typing import ArrayLike


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows, and their metadata for ``fit``."""

    X: ArrayLike
    metadata: Mapping[str, Any]


def hold_out(
    X: ArrayLike, metadata: Mapping[str, Any], share: float, random_state: Any
) -> tuple[ArrayLike, dict[str, Any], HeldOut]:
    """Split rows and their metadata at random into training rows and held-out rows."""
    if isinstance(X, RowBlocks) or is_dask(X):
        raise ValueError("criterion='validation' splits the rows of X, which must be in memory.")
    if not 0.0 < share < 1.0:
        raise ValueError(f"validation_fraction must lie between 0 and 1, got {share!r}.")
    X = X.tocsr() if sparse.issparse(X) else X
    splitter = ShuffleSplit(n_splits=1, test_size=share, random_state=random_state)
    fitted, held = next(splitter.split(range(_num_samples(X))))
    given = {name: value for name, value in metadata.items() if value is not None}

    def rows(index: Any) -> tuple[Any, dict[str, Any]]:
        return _safe_indexing(X, index), {name: _safe_indexing(value, index) for name, value in given.items()}

    return *rows(fitted), HeldOut(*rows(held))
