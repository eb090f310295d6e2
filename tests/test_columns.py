"""What is to be known of columns before a fit, against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from skentropy._data import Block, survey_columns


def table() -> tuple[Any, Any]:
    rng = np.random.RandomState(0)
    X = rng.poisson(1.5, size=(40, 5)).astype(float)
    X[:, 3] += 1.0  # nothing that is not stored
    X[:, 4] = 0.0
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X, rng.randint(0, 4, size=40).astype(float)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cut", [0, 15])
def test_surveys_are_those_of_the_copied_rows(form: Any, weighted: bool, cut: int) -> None:
    X, weight = table()
    weight = weight if weighted else np.ones(len(X))
    parts = [slice(0, cut), slice(cut, None)] if cut else [slice(None)]
    surveys = [survey_columns(Block(form(X[part]), weight[part] if weighted else None, None, 0)) for part in parts]
    survey = sum(surveys[1:], surveys[0])
    copies = np.repeat(X, weight.astype(int), axis=0)
    np.testing.assert_allclose(survey.weight, (~np.isnan(copies)).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(survey.mean, np.nanmean(copies, axis=0), rtol=1e-12)
    np.testing.assert_allclose(survey.scatter, np.nansum((copies - np.nanmean(copies, axis=0)) ** 2, axis=0), rtol=1e-12)
    np.testing.assert_allclose(survey.variance, np.nanvar(copies, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(survey.smallest, np.nanmin(copies, axis=0))
    np.testing.assert_array_equal(survey.largest, np.nanmax(copies, axis=0))
    positive = np.nanmin(np.where(copies > 0, copies, np.inf), axis=0)
    np.testing.assert_array_equal(survey.smallest_positive, positive)
    assert survey.constant.tolist() == [False] * 4 + [True]
