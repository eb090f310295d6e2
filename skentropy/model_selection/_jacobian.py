"""Densities of transformed data as densities of the data: the logarithm of the Jacobian's determinant."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from .._typing import ArrayLike


def log_jacobian(transformer: Any, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    r"""Mean log-determinant of the Jacobian of a fitted transformer, nats per sample.

    A density of T(x) is one of x by :math:`\log p(x) = \log p_T(T(x)) + \log |\det \partial T / \partial x|`: add the value
    to a log-likelihood or an entropy sum of transformed data to compare it with one of the data as they are.

    Parameters
    ----------
    transformer : fitted transformer, None or "passthrough"
        ``StandardScaler``, ``MinMaxScaler``, ``MaxAbsScaler``, ``RobustScaler``, or a ``FunctionTransformer`` of
        ``numpy.log``, ``numpy.log1p`` or nothing.
    X : array-like of shape (n_samples, n_features)
        What goes into the transformer.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the Jacobian of the transformer is not known here.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skentropy.model_selection import log_jacobian
    >>> X = np.array([[0.0], [2.0]])
    >>> round(log_jacobian(StandardScaler().fit(X * 10), X), 6)
    -2.302585
    """
    if transformer is None or transformer == "passthrough":
        return 0.0
    scale: Any = None
    if isinstance(transformer, (StandardScaler, RobustScaler, MaxAbsScaler)):
        scale = 1.0 if transformer.scale_ is None else 1.0 / transformer.scale_
    elif isinstance(transformer, MinMaxScaler):
        scale = transformer.scale_
    elif isinstance(transformer, FunctionTransformer):
        X = np.asarray(X, dtype=np.float64)
        if transformer.func is None:
            return 0.0
        if transformer.func in (np.log, np.log1p):
            shift = 1.0 if transformer.func is np.log1p else 0.0
            return float(np.average(-np.log(X + shift).sum(axis=1), weights=sample_weight))
    if scale is None:
        raise ValueError(
            f"The Jacobian of {type(transformer).__name__} is not known here. Its mean log-determinant must be added to the "
            "log-likelihood of transformed data before it can be compared with that of others."
        )
    return float(np.log(np.abs(scale)).sum())
