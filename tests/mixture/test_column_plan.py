"""Kinds of blocks of columns, as users give them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skentropy import ColumnMixture, DirichletMixture, GammaMixture, GaussianMixture, StudentTMixture


@pytest.mark.parametrize(
    ("template", "argument"),
    [
        (GaussianMixture(covariance_type="diagonal"), "covariance_type"),
        (GaussianMixture(covariance_type="fa", n_factors=0), "n_factors"),
        (GaussianMixture(reg_covar=-1.0), "reg_covar"),
        (StudentTMixture(scale_type="tie"), "scale_type"),
        (StudentTMixture(degrees_of_freedom=-1.0), "degrees_of_freedom"),
        (GammaMixture(zeros="half"), "zeros"),
        (DirichletMixture(zeros=-0.5), "zeros"),
    ],
    ids=str,
)
def test_arguments_of_blocks_are_checked_as_those_of_mixtures(template: Any, argument: str) -> None:
    X = np.random.default_rng(0).gamma(2.0, size=(30, 3))
    for triples, remainder in (([("block", template, [0, 1])], "drop"), ([("other", "gaussian", [2])], template)):
        with pytest.raises(ValueError, match=f"The '{argument}' parameter of {type(template).__name__} must be"):
            ColumnMixture(triples, remainder=remainder).fit(X)
