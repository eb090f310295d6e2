"""Fits of a covariance or correlation matrix and the number of its rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skentropy.decomposition import PPCA, FactorAnalysis

MODELS = [PPCA(2), PPCA("bic"), PPCA(0.9), PPCA(2, solver="em"), FactorAnalysis(2), FactorAnalysis(2, rotation="oblimin")]


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: " ".join(repr(model).split()))
def test_it_is_the_fit_of_data_with_that_covariance(load, model, ddof):
    X = load("wine") / load("wine").std(axis=0)
    expected = type(model)(**model.get_params()).set_params(solver="auto").fit(X)
    model.fit_covariance(np.cov(X.T, ddof=ddof), len(X), mean=X.mean(axis=0), ddof=ddof)
    for name in ("components_", "noise_variance_", "mean_", "lower_bound_", "n_parameters_"):
        np.testing.assert_allclose(getattr(model, name), getattr(expected, name), atol=1e-10)
    assert model.lower_bound_ == pytest.approx(model.score(X), abs=1e-10)
    assert model.entropy_sum_.value == pytest.approx(expected.entropy_sum_.value, abs=1e-10)
    errors, of_rows = model.standard_errors(), expected.standard_errors()
    np.testing.assert_allclose(errors["components"], of_rows["components"], rtol=1e-5)
    np.testing.assert_allclose(errors["mean"], of_rows["mean"], rtol=1e-8)


def test_rows_can_be_added_to_it(load):
    X = load("wine")
    model = FactorAnalysis(2).fit_covariance(np.cov(X[::2].T), 89, mean=X[::2].mean(axis=0), ddof=1).partial_fit(X[1::2])
    np.testing.assert_allclose(model.get_covariance(), FactorAnalysis(2).fit(X).get_covariance(), rtol=1e-8)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_name_the_features(load, frame):
    names = [f"column {i}" for i in range(13)]
    R = np.corrcoef(load("wine").T)
    model = FactorAnalysis(2).fit_covariance(frame(dict(zip(names, R, strict=True))), 178)
    assert list(model.feature_names_in_) == names
    assert model.n_features_in_ == 13
    np.testing.assert_array_equal(model.mean_, 0.0)
    by_pandas = FactorAnalysis(2).fit_covariance(pd.DataFrame(load("wine"), columns=names).corr(), 178)
    np.testing.assert_allclose(by_pandas.components_, model.components_, atol=1e-8)
    # A second fit without names forgets them.
    assert not hasattr(model.fit_covariance(R, 178), "feature_names_in_")


R = np.array([[1.0, 0.5, 0.3], [0.5, 1.0, 0.2], [0.3, 0.2, 1.0]])


@pytest.mark.parametrize(
    ("covariance", "options", "message"),
    [
        (R[:2], {}, r"covariance must be square, but has shape \(2, 3\)"),
        (np.tril(R), {}, r"entries \(0, 1\) and \(1, 0\) are 0 and 0.5; fill in both triangles"),
        (2.0 * np.eye(3) - 1.0, {}, r"positive semidefinite, but on the scale of correlations it has the eigenvalue -1"),
        (np.diag([1.0, -1.0, 1.0]), {}, "no negative variance, but column 1 has one"),
        (np.where(R == 0.2, np.nan, R), {}, "Input covariance contains NaN"),
        (pd.DataFrame(R, columns=list("abc"), index=list("acb")), {}, "must have the names of its columns"),
        (pd.DataFrame(R, columns=list("aab")), {}, "several are called a"),
        (R, {"n_samples": 1}, "n_samples must be a number of at least 2, got 1"),
        (R, {"n_samples": np.nan}, "n_samples must be a number of at least 2, got nan"),
        (R, {"ddof": 50}, "ddof must be at least 0 and less than n_samples=50, got 50"),
        (R, {"mean": [0.0, 1.0]}, r"one value for each of the 3 columns of covariance, got shape \(2,\)"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance, options, message):
    with pytest.raises(ValueError, match=message):
        PPCA(1).fit_covariance(covariance, **{"n_samples": 50, **options})


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="n_components=4 is too large"):
        PPCA(4).fit_covariance(R, 50)
    with pytest.raises(ValueError, match="The 'solver' parameter"):
        PPCA(1, solver="svd").fit_covariance(R, 50)
    with pytest.warns(UserWarning, match="Heywood") as caught:
        FactorAnalysis(1).fit_covariance(np.ones((3, 3)), 50)
    assert caught[0].filename == __file__
