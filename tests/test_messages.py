"""Where warnings point to."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skentropy import (
    PPCA,
    BernoulliVAE,
    ColumnMixture,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GaussianMixture,
    GaussianVAE,
    PoissonMixture,
)
from skentropy._messages import list_names, warn, warn_of_normalised
from skentropy.model_selection._comparable import _describe

FEW = np.random.default_rng(0).normal(size=(8, 10))


def deep_inside(level: int) -> None:
    deep_inside(level - 1) if level else warn("from here")


@pytest.mark.parametrize("model", [PPCA("bic"), make_pipeline(StandardScaler(), PPCA("bic"))])
def test_warnings_point_to_the_line_that_called_the_package(model: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = test_warnings_point_to_the_line_that_called_the_package.__code__.co_firstlineno
        model.fit(FEW)
    assert caught
    for warning in caught:
        assert warning.filename == __file__
        assert 0 < warning.lineno - line < 10


def test_warnings_of_what_is_not_of_the_package_point_to_their_line() -> None:
    with pytest.warns(UserWarning, match="from here") as caught:
        deep_inside(2)
    assert (caught[0].filename, caught[0].lineno) == (__file__, deep_inside.__code__.co_firstlineno + 1)


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        (ExponentialFamilyMixture("lognormal"), "Did you mean 'log_normal'?"),
        (GaussianMixture(covariance_type="diagonal"), "Did you mean 'diag'?"),
        (GaussianMixture(init_params="kmeans"), "Did you mean 'k-means++'?"),
        (FactorAnalysis(rotation="direct_oblimin"), "Did you mean 'oblimin'?"),
        (ColumnMixture([("sizes", "lognormal", [0])]), "Did you mean 'log_normal'?"),
        (ExponentialFamilyMixture(2), "The first argument is the family; for 2 components write n_components=2."),
        (GaussianMixture(covariance_type="xyz"), "Got 'xyz' instead."),
        (GaussianMixture(init_params=np.zeros(2)), "Got array([0., 0.]) instead."),
    ],
)
def test_names_that_are_meant(model: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint) + "$"):
        model.fit(FEW)


def test_long_lists_say_how_much_they_leave_out() -> None:
    assert list_names(list("abcde")) == "'a', 'b', 'c' and 2 more"
    assert list_names(["a"]) == "'a'"
    assert _describe([(0, 1.5), (2, 0.25), (3, 0.5), (4, 1.0)]) == (
        "1.5 in column 0, 0.25 in column 2, 0.5 in column 3 and 1 more"
    )
    assert _describe([]) == "none"


def test_shares_of_one_and_single_samples_are_no_counts() -> None:
    for total in (1.0, float(np.sum(np.full(7, 1 / 7))), 0.5):
        with pytest.warns(UserWarning, match="Weights are counts"):
            warn_of_normalised(total)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_normalised(1.005)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (FactorAnalysis(True), "n_components"),
        (PPCA(2, n_jobs=True), "n_jobs"),
        (GaussianMixture(n_init=True), "n_init"),
        (GaussianMixture(covariance_type="fa", n_factors=True), "n_factors"),
        (PoissonMixture(prior_counts=True), "prior_counts"),
        (GaussianVAE(True), "n_components"),
        (BernoulliVAE(binarize=False), "binarize"),
        (ColumnMixture([("all", GaussianMixture(covariance_type="fa", n_factors=True), [0, 1])]), "n_factors"),
    ],
)
def test_true_and_false_are_no_numbers(model: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number, got (True|False)"):
        model.fit(FEW)
