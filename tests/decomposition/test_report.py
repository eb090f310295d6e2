"""What is told of a fitted factor model: shares of variance, scores, summaries."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skentropy.decomposition import PPCA, FactorAnalysis
from skentropy.decomposition._gaussian import LinearGaussian
from skentropy.decomposition._report import _residual

REFERENCE = json.loads((Path(__file__).parent / "data" / "fit_indices.json").read_text())
THURSTONE = REFERENCE["thurstone"]["printed_after_oblimin"]


@pytest.fixture
def thurstone():
    names = THURSTONE["names"]
    R = pd.DataFrame(REFERENCE["thurstone"]["R"], columns=names, index=names)
    return FactorAnalysis(3, rotation="oblimin", kaiser_normalization=False, gtol=1e-9).fit_covariance(R, 213)


def test_what_psych_prints(thurstone):
    # psych ends where its criterion is 6e-10 above the minimum, parameters within the root of that.
    L, tolerance = thurstone.loadings_, 1e-4
    np.testing.assert_allclose(thurstone.structure_, THURSTONE["structure"], atol=tolerance)
    np.testing.assert_allclose(
        thurstone.factor_correlation_[np.tril_indices(3, -1)], THURSTONE["correlations"], atol=tolerance
    )
    np.testing.assert_allclose(thurstone.explained_variance_, THURSTONE["sum_of_squares"], atol=tolerance)
    np.testing.assert_allclose(thurstone.explained_variance_ratio_, THURSTONE["proportion"], atol=tolerance)
    np.testing.assert_allclose(thurstone.communalities_, REFERENCE["thurstone"]["communality"], atol=tolerance)
    np.testing.assert_allclose(L @ thurstone.factor_correlation_, thurstone.structure_)
    summary = thurstone.summary()
    np.testing.assert_allclose(summary["loadings"].to_frame()["complexity"], THURSTONE["complexity"], atol=1e-3)
    R2 = summary["scores"].to_frame().loc["their squared multiple correlation"]
    np.testing.assert_allclose(R2, THURSTONE["multiple_R_squared"], atol=tolerance)
    np.testing.assert_allclose(summary["scores"].to_frame().iloc[0], np.sqrt(R2))
    np.testing.assert_allclose(summary["scores"].to_frame().iloc[2], 2.0 * R2 - 1.0)


def test_shares_of_variance_add_up(load):
    X = load("wine")
    model = FactorAnalysis(3, rotation="oblimin").fit(X)
    variances = np.diag(model.get_covariance())
    np.testing.assert_allclose(model.communalities_, 1.0 - model.noise_variance_ / variances)
    assert model.explained_variance_.sum() == pytest.approx(model.communalities_.sum())
    assert model.explained_variance_ratio_.sum() == pytest.approx(model.communalities_.mean())
    np.testing.assert_allclose(model.loadings_ * np.sqrt(variances)[:, np.newaxis], model.components_.T)
    frame = model.summary()["variance"].to_frame()
    np.testing.assert_allclose(frame.loc["cumulative proportion"].iloc[-1], 1.0)
    np.testing.assert_allclose(frame.loc["cumulative variance"], np.cumsum(model.explained_variance_ratio_))
    np.testing.assert_allclose(frame.loc["proportion of what is explained"].sum(), 1.0)
    assert model.n_samples_ == 178


@pytest.mark.parametrize("n_components", [0, 2, 13])
def test_shares_of_components_are_those_of_pca_but_for_denominators(load, n_components):
    X = load("wine")
    ppca = PPCA(n_components).fit(X)
    expected = PCA(n_components).fit(X).explained_variance_ratio_
    np.testing.assert_allclose(ppca.explained_variance_ratio_, expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", ["mtcars-6", "attitude", "mtcars"])
def test_bartlett_scores_of_factanal(load, name):
    row = REFERENCE[name]
    X = load(row["data"])[:, row["columns"]]
    model = FactorAnalysis(row["k"], rotation="varimax", scores="bartlett", gtol=1e-9).fit(X)
    expected = np.array(row["factanal"]["bartlett_scores_of_the_first_rows"])
    # It divides by standard deviations with denominator n - 1, and its varimax stops early: one small rotation is allowed.
    found = model.transform(X)[:3] * np.sqrt((len(X) - 1) / len(X))
    if row["k"] == 2:
        left, _, right = np.linalg.svd(found.T @ expected)
        assert np.abs(np.abs(left @ right)[[0, 1], [0, 1]] - 1.0).max() < 0.01 or np.abs(left @ right)[0, 0] < 0.1
        np.testing.assert_allclose(found @ left @ right, expected, atol=2e-5)
    np.testing.assert_allclose((found**2).sum(axis=1), (expected**2).sum(axis=1), rtol=2e-4)


@pytest.mark.parametrize("rotation", [None, "oblimin"])
def test_bartlett_scores_are_weighted_least_squares(load, rotation):
    X = load("bfi")[:200, :10]
    model = FactorAnalysis(2, rotation=rotation).fit(X)
    regression = model.transform(X)
    bartlett = model.set_params(scores="bartlett").transform(X)
    for x, z, f in zip(X, regression, bartlett, strict=True):
        seen = ~np.isnan(x)
        W, psi = model.components_.T[seen], model.noise_variance_[seen]
        root = np.sqrt(psi)
        expected = np.linalg.lstsq(W / root[:, np.newaxis], (x - model.mean_)[seen] / root, rcond=None)[0]
        np.testing.assert_allclose(f, expected, atol=1e-8)
        precision = np.linalg.inv(model.factor_correlation_) + (W.T / psi) @ W
        np.testing.assert_allclose(z, np.linalg.solve(precision, (W.T / psi) @ W @ expected), atol=1e-8)
    complete = X[~np.isnan(X).any(axis=1)]
    np.testing.assert_allclose(model.transform(complete), bartlett[~np.isnan(X).any(axis=1)], atol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bartlett_scores_of_what_is_not_determined(load):
    X = load("wine_miss_std")[:, :6].copy()
    model = FactorAnalysis(2, scores="bartlett", tol=1e-6, noise_floor=1e-3, max_iter=50)
    model.fit(X)
    X[0, 1:] = np.nan
    found = model.transform(X[:2])
    assert np.isnan(found[0]).all()
    model.set_params(scores="ten Berge")
    with pytest.raises(ValueError, match="scores must be 'regression' or 'bartlett', got 'ten Berge'"):
        model.transform(X)


def test_a_summary_prints_what_users_expect(thurstone):
    lines = str(thurstone.summary(sort=True, cutoff=0.3)).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "FactorAnalysis: 3 factors of 9 features, rotation oblimin"
    assert lines[1] == "rows            213"
    start = lines.index("loadings (pattern matrix), on the scale of correlations; those below 0.3 are not shown")
    assert lines[start + 1] == "feature            factor0  factor1  factor2  communality  uniqueness  complexity"
    assert lines[start + 2] == "Sentences            0.908                          0.825       0.175        1.01"
    names = [line.split()[0] for line in lines[start + 2 : start + 11]]
    assert names == [
        *("Sentences", "Vocabulary", "Sent.Completion", "First.Letters", "Four.Letter.Words", "Suffixes"),
        *("Letter.Series", "Letter.Group", "Pedigrees"),
    ]
    text = "\n".join(lines)
    assert "sum of squared loadings            2.641    1.863    1.495" in text
    assert "factor1    0.591    1.000    0.518" in text
    assert ["RMSEA", "0.000", "90%", "interval", "0.000", "to", "0.000"] in [line.split() for line in lines]
    assert "<caption>correlations of the factors</caption>" in thurstone.summary()._repr_html_()
    frames = thurstone.summary().to_frames()
    assert list(frames) == ["loadings", "variance", "correlations", "scores", "fit"]
    assert list(frames["loadings"].index) == THURSTONE["names"]
    np.testing.assert_array_equal(frames["loadings"][["factor0", "factor1", "factor2"]], thurstone.loadings_)


def test_a_summary_with_standard_errors(load):
    X = load("wine")
    model = FactorAnalysis(2).fit(X)
    frame = model.summary(standard_errors=True)["standard errors"].to_frame()
    errors = model.standard_errors()
    np.testing.assert_array_equal(frame["error1"], errors["components"][1])
    np.testing.assert_array_equal(frame["error"], errors["noise_variance"])
    np.testing.assert_array_equal(frame["factor0"], model.components_[0])
    assert list(frame.index) == [f"x{i}" for i in range(13)]


def test_a_summary_after_gaps_needs_the_data_for_indices(load):
    X = load("bfi")[:300, :10]
    model = FactorAnalysis(2).fit(X)
    without, beside = model.summary(), model.summary(X)
    assert "fit" not in without.tables
    assert "call summary(X)" in str(without)
    assert beside["fit"].to_frame().loc["chi-square", "value"] == model.goodness_of_fit(X).statistic
    assert f"{model.bic(X):.3f}, {model.aic(X):.3f} nats" in str(beside)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("k", [0, 1, 13])
def test_summaries_of_any_number_of_components(load, k):
    X = load("wine")
    for model in (PPCA(k), FactorAnalysis(min(k, 8))):
        model.fit(X)
        assert max(map(len, str(model.summary(sort=True, cutoff=0.1)).splitlines())) <= 100


def test_a_summary_of_a_ppca(load):
    X = pd.DataFrame(load("iris"), columns=["sepal length", "sepal width", "petal length", "petal width"])
    model = PPCA(2).fit(X)
    summary = model.summary(cutoff=0.2)
    assert str(summary).splitlines()[0] == "PPCA: 2 components of 4 features"
    assert f"noise variance  {model.noise_variance_:.6g}" in str(summary)
    np.testing.assert_array_equal(summary["variance"].to_frame()["proportion"], model.explained_variance_ratio_)
    loadings = summary["loadings"].to_frame()
    np.testing.assert_array_equal(loadings["component0"], model.components_[0])
    np.testing.assert_allclose(loadings["variance"], np.diag(model.get_covariance()))
    assert f"{model.bic(X):.3f}, {model.aic(X):.3f} nats" in str(summary)
    assert list(loadings.index) == list(X.columns)


def test_what_is_wrong_is_said_in_the_summary(load):
    X = load("iris")
    with pytest.warns(ConvergenceWarning, match=r"Heywood case\) in column 2"):
        model = FactorAnalysis(1).fit(X)
    assert "Heywood case: the uniqueness of column 2 is on its floor" in str(model.summary())
    with pytest.warns(ConvergenceWarning, match="stopped after 1 steps"):
        model = FactorAnalysis(2, max_iter=1).fit(load("wine"))
    assert "The fit did not converge" in str(model.summary())


@pytest.mark.parametrize("rotation", [None, "oblimin"])
def test_tables_of_factors_are_their_plain_formulas(load, rotation):
    X = load("wine")
    model = FactorAnalysis(3, rotation=rotation).fit(X)
    summary, Phi = model.summary(), model.factor_correlation_
    sd = np.sqrt(np.diag(model.get_covariance()))
    L = model.components_.T / sd[:, np.newaxis]
    structure = L @ Phi
    common = (L * structure).sum(axis=1)
    loadings = summary["loadings"].to_frame()
    np.testing.assert_allclose(loadings[["factor0", "factor1", "factor2"]], L, rtol=1e-10)
    np.testing.assert_allclose(loadings["communality"], common, rtol=1e-10)
    np.testing.assert_allclose(loadings["uniqueness"], model.noise_variance_ / sd**2, rtol=1e-8)
    np.testing.assert_allclose(loadings["complexity"], (L**2).sum(axis=1) ** 2 / (L**4).sum(axis=1), rtol=1e-10)
    explained = np.diag(Phi @ L.T @ L)
    share = explained / explained.sum()
    expected = [explained, explained / 13, np.cumsum(explained) / 13, share, np.cumsum(share)]
    np.testing.assert_allclose(summary["variance"].to_frame(), expected, rtol=1e-10)
    precision = np.linalg.inv(model.get_covariance() / sd / sd[:, np.newaxis])
    squared = np.diag(structure.T @ precision @ structure)
    np.testing.assert_allclose(summary["scores"].to_frame(), [np.sqrt(squared), squared, 2.0 * squared - 1.0], rtol=1e-8)
    assert ("correlations" in summary.tables) == (rotation == "oblimin")


def test_tables_of_components_are_their_plain_formulas(load):
    X = load("wine") / load("wine").std(axis=0)
    X *= np.linspace(0.5, 3.0, 13)
    model = PPCA(2).fit(X)
    loadings = model.summary()["loadings"].to_frame()
    variances = np.diag(model.get_covariance())
    np.testing.assert_allclose(loadings[["component0", "component1"]], model.components_.T, rtol=1e-12)
    np.testing.assert_allclose(loadings["communality"], (model.components_**2).sum(axis=0) / variances, rtol=1e-10)
    np.testing.assert_allclose(loadings["variance"], variances, rtol=1e-10)


@pytest.mark.parametrize("model", [PPCA(2), FactorAnalysis(2), FactorAnalysis(2, rotation="oblimin")], ids=str)
def test_estimates_with_errors_are_those_of_the_model(load, model):
    X = load("attitude") * np.linspace(0.5, 3.0, 7)
    model.fit(X)
    errors = model.standard_errors()
    kinds = {estimate.name: estimate for estimate in errors.parameters}
    assert set(kinds) == {"components", "noise_variance", "mean", "factor_correlation"}
    correlation = getattr(model, "factor_correlation_", np.eye(2))
    for name, expected in (("components", model.components_), ("mean", model.mean_), ("factor_correlation", correlation)):
        np.testing.assert_allclose(kinds[name].values, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(kinds["noise_variance"].values, model.noise_variance_, rtol=1e-9)
    assert kinds["noise_variance"].low == 0.0
    assert (kinds["factor_correlation"].low, kinds["factor_correlation"].high) == (-1.0, 1.0)


def test_scores_of_weighted_rows_are_weighted(load):
    X, weight = load("attitude"), np.linspace(0.5, 2.0, 30)
    model = FactorAnalysis(2).fit(X)
    assert model.score(X, sample_weight=weight) == pytest.approx(np.average(model.score_samples(X), weights=weight))


def test_a_summary_of_two_rows_has_indices():
    assert "fit" in FactorAnalysis(1).fit_covariance(0.5 * np.eye(4) + 0.5, 2).summary().tables


def test_residuals_are_on_the_scale_of_the_correlations_of_the_data():
    p = LinearGaussian.of(np.zeros(3), np.array([[1.0], [2.0], [-1.0]]), np.array([0.5, 1.0, 2.0]))
    left = np.array([[0.0, 0.3, 0.0], [0.3, 0.0, 0.2], [0.0, 0.2, 0.0]])
    deviations = np.sqrt([1.5, 5.0, 3.0])
    np.testing.assert_allclose(_residual(p.covariance() + left, p), left / np.outer(deviations, deviations), atol=1e-12)
