"""Fit covariance or correlation matrices, such as published ones, instead of data."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_array

from .._base import fit_method
from .._data import check_distinct
from .._typing import ArrayLike, FloatArray
from ..families._base import positive_or_one
from ._fitted import FittedLinearGaussian
from ._moments import Moments

# On the scale of correlations, entries are equal if they differ by less, and an eigenvalue no further below zero is a
# rounding error.
_SAME = 1e-8


class FitsCovariances(FittedLinearGaussian):
    """Adds the fit of a covariance matrix to models that can be fitted by moments."""

    _moments: Moments | None

    @fit_method
    def fit_covariance(
        self, covariance: ArrayLike, n_samples: float, *, mean: ArrayLike | None = None, ddof: float = 0
    ) -> Self:
        """Fit the model to a covariance or correlation matrix and a number of rows.

        The result equals that of ``fit`` for any complete rows with these moments, for any ``solver``. ``partial_fit`` can
        add rows to it.

        Parameters
        ----------
        covariance : array-like of shape (n_features, n_features)
            The columns of a frame are the names of the features.
        n_samples : float
            Number of rows, or their total weight, at least 2.
        mean : array-like of shape (n_features,), default=None
            None stands for zeros.
        ddof : float, default=0
            The covariance's denominator is ``n_samples - ddof``; 1 is the convention of ``numpy.cov``, ``DataFrame.cov`` and
            R. The likelihood uses the covariance with denominator ``n_samples``. With 0 the matrix is used unchanged, which
            is right for correlations.

        Returns
        -------
        self : object
            The fitted model.

        Raises
        ------
        ValueError
            If ``covariance`` is not square, symmetric and positive semidefinite, or an argument is out of range.

        Examples
        --------
        >>> from skentropy import FactorAnalysis
        >>> R = [[1, 0.83, 0.78, 0.44], [0.83, 1, 0.78, 0.49], [0.78, 0.78, 1, 0.46], [0.44, 0.49, 0.46, 1]]
        >>> FactorAnalysis(1).fit_covariance(R, 213).components_.round(3)
        array([[0.905, 0.916, 0.858, 0.518]])
        """
        total = check_n_samples(n_samples)
        if not (_is_number(ddof) and 0 <= float(ddof) < total):
            raise ValueError(f"ddof must be at least 0 and less than n_samples={total:g}, got {ddof!r}.")
        matrix = check_covariance(covariance)
        self._reader(lambda n_features: 1).check_names(self, covariance, reset=True)
        d = len(matrix)
        self.n_features_in_ = d
        center = np.zeros(d) if mean is None else check_array(mean, dtype=np.float64, ensure_2d=False, input_name="mean")
        if center.shape != (d,):
            raise ValueError(
                f"mean must have one value for each of the {d} columns of covariance, got shape {center.shape}."
            )
        moments = Moments(total, center, matrix * (total - float(ddof)))
        self._fit_to_moments(moments, np.float64)
        return self

    @abstractmethod
    def _fit_to_moments(self, moments: Moments, dtype: Any) -> None:
        """Fit the model to moments, and keep them."""


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)


def check_n_samples(n_samples: Any) -> float:
    """Check that a number of rows is large enough for a variance."""
    if not (_is_number(n_samples) and 2 <= float(n_samples) < np.inf):
        raise ValueError(f"n_samples must be a number of at least 2, got {n_samples!r}.")
    return float(n_samples)


def check_total(weight: float) -> None:
    """Refuse normalised weights where a test takes their sum as the number of rows."""
    if weight < 2.0:
        raise ValueError(
            f"sample_weight sums to {weight:g}. Weights are counts, and their sum is the number of rows, of which "
            "this needs at least 2; do not normalise them."
        )


def check_covariance(covariance: ArrayLike) -> FloatArray:
    """A covariance matrix as an array.

    Raises
    ------
    ValueError
        If it is not finite, square, symmetric and positive semidefinite, or if its rows and columns have different names.
    """
    check_distinct(covariance)
    columns, index = (getattr(covariance, name, None) for name in ("columns", "index"))
    if columns is not None and index is not None and not callable(index):
        names = list(map(str, index))
        if names != list(map(str, columns)) and names != list(map(str, range(len(names)))):
            raise ValueError("The rows of covariance must have the names of its columns, in the same order, or none.")
    matrix: FloatArray = check_array(covariance, dtype=np.float64, input_name="covariance")
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"covariance must be square, but has shape {matrix.shape}. To fit rows of data use fit.")
    variances = np.diag(matrix)
    if (variances < 0.0).any():
        raise ValueError(f"covariance must have no negative variance, but column {int(variances.argmin())} has one.")
    scale = np.sqrt(positive_or_one(variances))
    correlation = matrix / scale / scale[:, np.newaxis]
    difference = np.abs(correlation - correlation.T)
    if difference.max() > _SAME:
        i, j = np.unravel_index(int(difference.argmax()), difference.shape)
        raise ValueError(
            f"covariance must be symmetric, but its entries ({i}, {j}) and ({j}, {i}) are {matrix[i, j]:g} and "
            f"{matrix[j, i]:g}; fill in both triangles."
        )
    least = float(np.linalg.eigvalsh(correlation)[0])
    if least < -_SAME * len(matrix):
        raise ValueError(
            f"covariance must be positive semidefinite, but on the scale of correlations it has the eigenvalue {least:.3g}. "
            "Correlations that are rounded, or computed from other rows for each pair, may belong to no data set."
        )
    return 0.5 * (matrix + matrix.T)
