"""The meaning of each covariance_type: its components, initial covariances, and derived attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._typing import ArrayLike, FloatArray
from ..families import Gaussian
from ._component_attributes import narrow
from ._components import Components
from ._diagonal import DiagonalGaussian
from ._factors import FactorGaussian
from ._gaussian import CorrelatedGaussian
from ._prior import NormalInverseWishart

# Whether components share their covariance, and features their variance.
_DIAGONAL = {
    "diag": (False, False),
    "spherical": (False, True),
    "tied_diag": (True, False),
    "tied_spherical": (True, True),
}
_OF_FACTORS = ("ppca", "fa")
COVARIANCE_TYPES = ("full", "tied", *_DIAGONAL, *_OF_FACTORS)


def clusters(covariance_type: str, *, prior: NormalInverseWishart | None, reg_covar: float, n_factors: int) -> Components:
    """Gaussian components of a covariance_type, without noise; an unknown type counts as "full"."""
    # Tags and readers ask for these before the arguments are checked.
    over_components, over_features = _DIAGONAL.get(covariance_type, (False, False))
    if covariance_type in _DIAGONAL:
        if prior is not None:
            raise ValueError(f"prior is not for covariance_type={covariance_type!r}; use prior_counts.")
        return DiagonalGaussian(
            Gaussian(), over_components=over_components, over_features=over_features, reg_covar=reg_covar
        )
    options: dict[str, Any] = {"reg_covar": reg_covar, "prior": prior}
    if covariance_type in _OF_FACTORS:
        return FactorGaussian(n_factors=n_factors, isotropic=covariance_type == "ppca", **options)
    return CorrelatedGaussian(tied=covariance_type == "tied", **options)


def initial_covariances(
    covariances: ArrayLike | None, precisions: ArrayLike | None, covariance_type: str
) -> ArrayLike | None:
    """Initial covariances, from covariances or precisions."""
    if precisions is None:
        return covariances
    if covariances is not None:
        raise ValueError("covariances_init and precisions_init are alternatives; give one of them.")
    matrices = np.asarray(precisions, dtype=np.float64)
    if covariance_type in _DIAGONAL:
        if not (matrices > 0.0).all():
            raise ValueError("precisions_init must be positive.")
        return np.asarray(1.0 / matrices)
    try:
        return np.asarray(np.linalg.inv(matrices))
    except np.linalg.LinAlgError as error:
        raise ValueError("precisions_init must be symmetric and positive definite.") from error


def derived_attributes(attributes: Mapping[str, Any], covariance_type: str, dtype: np.dtype[Any]) -> dict[str, FloatArray]:
    """Attributes that follow from the others: covariances of factors, precisions and their factors."""
    derived = {}
    if covariance_type in _OF_FACTORS:
        loadings, noise = (np.asarray(attributes[name], dtype=np.float64) for name in ("loadings_", "noise_variances_"))
        d = loadings.shape[1]
        derived["covariances_"] = loadings @ loadings.transpose(0, 2, 1) + np.eye(d) * noise.reshape(len(noise), 1, -1)
    covariances = derived["covariances_"] if derived else np.asarray(attributes["covariances_"], dtype=np.float64)
    if covariance_type in _DIAGONAL:
        derived["precisions_"] = 1.0 / covariances
        derived["precisions_cholesky_"] = np.sqrt(derived["precisions_"])
    else:
        lower = np.linalg.inv(np.linalg.cholesky(covariances))
        derived["precisions_cholesky_"] = np.swapaxes(lower, -1, -2)
        derived["precisions_"] = derived["precisions_cholesky_"] @ lower
    return {name: narrow(value, dtype) for name, value in derived.items()}
