"""Names for the types that recur in signatures."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Array: TypeAlias = npt.NDArray[Any]
SparseMatrix: TypeAlias = sp.csr_matrix | sp.csr_array
Matrix: TypeAlias = Array | SparseMatrix
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
