"""Log-Jacobians of transformers: what they take, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skentropy.model_selection import log_jacobian

X = np.random.RandomState(0).uniform(1.0, 3.0, size=(20, 3))
SCALER = StandardScaler().fit(pd.DataFrame(X, columns=list("abc")))
LOG = FunctionTransformer(np.log)


@pytest.mark.parametrize("weight", [None, np.arange(20.0)], ids=["", "weighted"])
def test_tables_of_every_kind(weight: Any) -> None:
    gaps = np.where(np.random.RandomState(1).uniform(size=X.shape) < 0.2, np.nan, X)
    expected = np.average(np.where(np.isnan(gaps), 0.0, -np.log(gaps)).sum(axis=1), weights=weight)
    frame = pd.DataFrame(gaps, columns=list("abc"))
    for table in (gaps, gaps.tolist(), frame, frame.astype("Float64"), np.asfortranarray(gaps)):
        assert log_jacobian(LOG, table, weight) == pytest.approx(expected, rel=1e-12)


def test_rows_of_weight_zero_do_not_count() -> None:
    weight = np.arange(20) % 2
    outside = np.where(weight[:, np.newaxis] == 0, 0.0, X)
    for table in (outside, sparse.csr_array(outside)):
        assert log_jacobian(LOG, table, weight) == pytest.approx(log_jacobian(LOG, X[1::2]), rel=1e-12)


@pytest.mark.parametrize(
    ("transformer", "table", "weight", "message"),
    [
        (SCALER, X[0], None, "Expected 2D array, got 1D array instead"),
        (SCALER, X[:, :2], None, "X has 2 features, but StandardScaler is expecting 3"),
        (SCALER, X, np.ones(3), r"sample_weight.shape == \(3,\), expected \(20,\)"),
        (SCALER, X, -np.ones(20), "Negative values in data passed to `sample_weight`"),
        (SCALER, X, np.zeros(20), "All of sample_weight is zero"),
        (SCALER, pd.DataFrame({"a": [1.0], "b": ["x"], "c": [2.0]}), None, "column 'b' cannot be made numbers"),
        (SCALER, np.where(X > 2.0, np.inf, X), None, "Input X contains infinity"),
        (MinMaxScaler(), X, None, "This MinMaxScaler instance is not fitted yet"),
        (LOG, np.where(np.arange(3) == 1, 0.0, X), None, "FunctionTransformer has no Jacobian at the value 0 in column 1"),
        (FunctionTransformer(np.log1p), X - 4.0, None, "FunctionTransformer has no Jacobian at the value -.* in column 0"),
        (
            FunctionTransformer(np.log).fit(-pd.DataFrame(X, columns=list("abc"))),
            -X,
            None,
            "has no Jacobian at the value -.* in column 'a'",
        ),
    ],
)
def test_refusals(transformer: Any, table: Any, weight: Any, message: str) -> None:
    with pytest.raises((ValueError, NotFittedError), match=message):
        log_jacobian(transformer, table, weight)
