"""Curvature at the end of a fit: a few Lanczos steps say whether it is a maximum or a saddle point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh_tridiagonal

from .._typing import FloatArray

# Orthogonalisation leaves less than this, relative to the operator, of a vector that lies in the space already spanned.
_EXHAUSTED = 1e-10


def largest_eigenpair(
    apply: Callable[[FloatArray], FloatArray], start: FloatArray, n_steps: int = 8
) -> tuple[float, FloatArray]:
    """The largest Ritz value of a symmetric operator and its unit vector, by Lanczos with full orthogonalisation.

    Parameters
    ----------
    apply : callable
        The operator: a vector -> a vector of the same size. It is called once a step.
    start : ndarray of shape (n,)
        Where the Krylov space starts, not zero.
    n_steps : int, default=8
        Largest number of steps.
    """
    basis = [start / np.linalg.norm(start)]
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    for _ in range(min(n_steps, start.size)):
        image = apply(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        span = np.stack(basis)
        for _ in range(2):
            image = image - span.T @ (span @ image)
        off_diagonal.append(float(np.linalg.norm(image)))
        if off_diagonal[-1] <= _EXHAUSTED * np.abs(diagonal).max():
            break
        basis.append(image / off_diagonal[-1])
    values, vectors = eigh_tridiagonal(diagonal, off_diagonal[: len(diagonal) - 1])
    vector = vectors[:, -1] @ np.stack(basis[: len(diagonal)])
    return float(values[-1]), vector / np.linalg.norm(vector)
