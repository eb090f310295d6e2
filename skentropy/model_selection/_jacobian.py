"""Convert densities of transformed data to densities of the data, by the logarithm of the Jacobian's determinant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_array, check_is_fitted

from .._data import as_numbers, check_weights
from .._messages import column_label
from .._typing import ArrayLike, FloatArray

_OF_FUNCTIONS: dict[Any, Callable[[FloatArray], Any]] = {
    None: np.zeros_like,
    np.log: lambda values: -np.log(values),
    np.log1p: lambda values: -np.log1p(values),
}
# Number of rows of a sparse matrix that are made dense at a time.
_BATCH = 4096


def log_jacobian(transformer: Any, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    r"""Mean log-determinant of the Jacobian of a fitted transformer, nats per sample.

    A density of T(x) gives a density of x, :math:`\log p(x) = \log p_T(T(x)) + \log |\det \partial T / \partial x|`. Add the
    value to a log-likelihood or an entropy sum of transformed data to compare it with that of the untransformed data.

    Parameters
    ----------
    transformer : fitted transformer, None or "passthrough"
        ``StandardScaler``, ``MinMaxScaler``, ``MaxAbsScaler``, ``RobustScaler``, or a ``FunctionTransformer`` of
        ``numpy.log``, ``numpy.log1p`` or nothing.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The input of the transformer. Missing entries (NaN) contribute nothing, as in the densities of the observed entries.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the Jacobian of this kind of transformer is not known, or does not exist at a value of X.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skentropy.model_selection import log_jacobian
    >>> X = np.array([[0.0], [2.0]])
    >>> round(log_jacobian(StandardScaler().fit(X * 10), X), 6)
    -2.302585
    """
    log_slopes = _log_slopes(transformer)
    rows = check_array(as_numbers(X), accept_sparse="csr", dtype=np.float64, ensure_all_finite="allow-nan", input_name="X")
    _check_features(transformer, rows.shape[1])
    weight = check_weights(sample_weight, rows)
    if weight is not None:
        rows, weight = rows[weight > 0.0], weight[weight > 0.0]
    log_determinants = []
    for batch in gen_batches(rows.shape[0], _BATCH):
        values = rows[batch].toarray() if sparse.issparse(rows) else rows[batch]
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(np.isnan(values), 0.0, log_slopes(values))
        outside = np.argwhere(~np.isfinite(each))
        if outside.size:
            row, column = outside[0]
            raise ValueError(
                f"{type(transformer).__name__} has no Jacobian at the value {values[row, column]:g} in "
                f"{column_label(transformer, column)}."
            )
        log_determinants.append(each.sum(axis=1))
    return float(np.average(np.concatenate(log_determinants), weights=weight))


def _check_features(transformer: Any, n_features: int) -> None:
    """Refuse rows with another number of features than the transformer was fitted to."""
    expected = getattr(transformer, "n_features_in_", n_features)
    if n_features != expected:
        raise ValueError(
            f"X has {n_features} features, but {type(transformer).__name__} is expecting {expected} features as input."
        )


def _log_slopes(transformer: Any) -> Callable[[FloatArray], Any]:
    """A function from values to the logarithms of a transformer's slopes, entry by entry."""
    if transformer is None or transformer == "passthrough":
        return np.zeros_like
    if isinstance(transformer, (StandardScaler, RobustScaler, MaxAbsScaler, MinMaxScaler)):
        check_is_fitted(transformer)
    if isinstance(transformer, (StandardScaler, RobustScaler, MaxAbsScaler)):
        scale = transformer.scale_
        return np.zeros_like if scale is None else lambda values: -np.log(scale)
    if isinstance(transformer, MinMaxScaler):
        return lambda values: np.log(np.abs(transformer.scale_))
    if isinstance(transformer, FunctionTransformer) and transformer.func in _OF_FUNCTIONS:
        return _OF_FUNCTIONS[transformer.func]
    raise ValueError(
        f"The Jacobian of {type(transformer).__name__} is not known here. Its mean log-determinant must be added to the "
        "log-likelihood of transformed data before it can be compared with that of others."
    )
