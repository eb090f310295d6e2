"""Names for the types that recur in signatures."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
# An array or a CSR matrix; SciPy has no types for the latter.
Matrix: TypeAlias = Any
# Anything that scikit-learn's validation turns into an array: lists, arrays, pandas and polars frames, sparse matrices.
ArrayLike: TypeAlias = Any
