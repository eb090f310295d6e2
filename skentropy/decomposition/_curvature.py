"""The curvature of the profile likelihood, as far as the leading eigenpairs determine it."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray
from ._spectrum import Spectrum

# Assumed bound of the omitted eigenvalues, as a multiple of the estimate of the first of them, which comes from a vector
# that has not converged. This is a heuristic: nothing bounds how far the estimate is below the eigenvalue.
_BEYOND = 2.0


def expected_information(spectrum: Spectrum) -> FloatArray:
    """The diagonal of the expected Hessian of F in log psi, (1 - sum_j u_ij^2)^2."""
    return np.asarray((1.0 - (spectrum.vectors**2).sum(axis=1)) ** 2)


def curves_upwards(ratio: FloatArray, spectrum: Spectrum, free: Array) -> bool:
    """Whether F curves upwards in all directions of the free features; ``ratio`` are the R_ii / psi_i.

    True is certain as far as ``_BEYOND`` is large enough; False says nothing.

    In the Hessian the product of u_j with an eigenvector u_l that is no factor's has the coefficient (theta_j - 1) (theta_j
    + theta_l) / (theta_j - theta_l). That is no more than c_j, the same with t in place of theta_l, if t is at least one and
    at least all theta_l. With c_j for all of them the Hessian is the sum of the diagonal matrix of ratio_i - sum_j c_j
    u_ij^2 and the elementwise product of two matrices without negative eigenvalues.
    """
    if spectrum.beyond is None:
        return False
    theta, t = spectrum.values[spectrum.values > 1.0], max(_BEYOND * spectrum.beyond, 1.0)
    if (theta <= t).any():
        return False
    c = (theta - 1.0) * (theta + t) / (theta - t)
    least = ratio - spectrum.vectors[:, : len(theta)] ** 2 @ c
    return bool((least[free] > 0.0).all())
