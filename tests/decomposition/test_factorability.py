"""KMO, Bartlett's test of sphericity and parallel analysis, beside psych's."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skentropy.decomposition import FactorAnalysis, bartlett_sphericity, kmo, parallel_analysis
from skentropy.decomposition._factorability import random_correlations

REFERENCE = json.loads((Path(__file__).parent / "data" / "fit_indices.json").read_text())
# psych 2.2.9: fa.parallel(mtcars, n.iter = 4000): means of the eigenvalues of random data, with SMC = TRUE for factors.
MTCARS = {
    "components": [2.088577, 1.726643, 1.471636, 1.258163, 1.073927, 0.907511, 0.755385, 0.616588, 0.48791, 0.367724],
    "factors": [1.456742, 1.0760144, 0.7939442, 0.5642177, 0.3653342, 0.1897424, 0.0390184, -0.0913095, -0.2011549],
}
LARGEST = {
    "components": [6.608400253, 2.650467893, 0.627197271],
    "factors": [6.4855427453, 2.4860094259, 0.4906408244],
}


@pytest.mark.parametrize("name", ["mtcars-6", "attitude", "mtcars"])
def test_kmo_and_sphericity_are_those_of_psych(load, name):
    row = REFERENCE[name]
    X, psych = load(row["data"])[:, row["columns"]], row["psych"]
    for given in ({"X": X}, {"covariance": np.cov(X.T)}):
        measure = kmo(**given)
        assert measure.overall == pytest.approx(psych["KMO"], abs=1e-10)
        np.testing.assert_allclose(measure.per_feature, psych["KMO_by_variable"], atol=1e-10)
    for test in (bartlett_sphericity(X), bartlett_sphericity(covariance=np.corrcoef(X.T), n_samples=len(X))):
        assert test.statistic == pytest.approx(psych["bartlett_sphericity"]["chisq"], abs=1e-8)
        assert test.dof == psych["bartlett_sphericity"]["dof"]
        assert test.pvalue == pytest.approx(stats.chi2.sf(test.statistic, test.dof))
    # It is the test of a factor analysis without factors.
    assert test.statistic == pytest.approx(FactorAnalysis(0).fit(X).goodness_of_fit().statistic)


@pytest.mark.parametrize("kind", ["components", "factors"])
def test_parallel_analysis_is_that_of_psych(load, kind):
    X = load("mtcars")
    found = parallel_analysis(X, kind=kind, quantile=None, n_draws=1500, random_state=0)
    # Two averages, of 1,500 and of 4,000 draws with standard deviations of 0.2 at most.
    k = len(MTCARS[kind])
    np.testing.assert_allclose(found.thresholds[:k], MTCARS[kind], atol=4 * 0.2 * np.sqrt(1 / 1500 + 1 / 4000))
    np.testing.assert_allclose(found.eigenvalues[:3], LARGEST[kind], atol=1e-8)
    assert found.n_components == 2


def test_thresholds_are_quantiles_of_eigenvalues_of_rows():
    rng = np.random.default_rng(0)
    drawn = [np.linalg.eigvalsh(np.corrcoef(rng.normal(size=(5, 40))))[::-1] for _ in range(4000)]
    R = np.full((5, 5), 0.4) + 0.6 * np.eye(5)
    found = parallel_analysis(covariance=R, n_samples=40, n_draws=4000, random_state=0)
    np.testing.assert_allclose(found.thresholds, np.quantile(drawn, 0.95, axis=0), atol=0.02)
    assert found.n_components == 1
    lower = parallel_analysis(covariance=R, n_samples=40, n_draws=4000, quantile=0.005, random_state=0)
    assert (lower.thresholds < found.thresholds).all()


@pytest.mark.parametrize("n", [4, 12.5])
def test_random_correlations(n):
    drawn = np.array([random_correlations(n, 5, np.random.RandomState(seed)) for seed in range(2000)])
    np.testing.assert_allclose(np.diagonal(drawn, axis1=1, axis2=2), 1.0)
    below = drawn[:, *np.tril_indices(5, -1)]
    # A correlation of independent features has the variance 1 / (n - 1).
    np.testing.assert_allclose(below.mean(axis=0), 0.0, atol=0.06)
    np.testing.assert_allclose(below.var(axis=0), 1.0 / (n - 1), rtol=0.15)


def test_independent_features_have_no_factors():
    X = np.random.default_rng(0).normal(size=(200, 8))
    assert parallel_analysis(X, random_state=0).n_components == 0
    assert bartlett_sphericity(X).pvalue > 0.01


def test_random_correlations_of_few_rows_are_those_of_rows_about_their_mean():
    """Two rows about their mean are opposite, so that all correlations are one or minus one."""
    drawn = random_correlations(2, 5, np.random.RandomState(0))
    np.testing.assert_allclose(np.abs(drawn), 1.0)
    for n, d in ((6, 5), (5, 5)):  # as many random numbers as fill a triangle, or the rows
        random_state, same = np.random.RandomState(0), np.random.RandomState(0)
        random_correlations(n, d, random_state)
        same.normal(size=(d, d))
        if n > d:
            same.chisquare(n - 1.0 - np.arange(d))
        assert random_state.normal() == same.normal()


def test_covariances_are_those_of_correlations_on_any_scale(load):
    R = np.corrcoef(load("attitude").T)
    scale = 10.0 ** np.arange(-3, 4)
    covariance = R * scale * scale[:, np.newaxis]
    for function in (kmo, bartlett_sphericity):
        options = {} if function is kmo else {"n_samples": 30}
        measures = [function(covariance=matrix, **options) for matrix in (R, covariance)]
        name = "overall" if function is kmo else "statistic"
        assert getattr(measures[0], name) == pytest.approx(getattr(measures[1], name), rel=1e-10)
    rows = parallel_analysis(covariance=covariance, n_samples=30, n_draws=2, random_state=0).table.rows
    assert list(rows) == ["1", "2", "3", "4", "5", "6", "7"]


def test_gaps_and_weights(load):
    X = load("bfi")[:, :10]
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    repeated = np.repeat(X, weight, axis=0)
    assert kmo(X, weight).overall == pytest.approx(kmo(repeated).overall, abs=1e-8)
    eigenvalues = parallel_analysis(X, weight, n_draws=1, random_state=0).eigenvalues
    np.testing.assert_allclose(eigenvalues, parallel_analysis(repeated, n_draws=1, random_state=1).eigenvalues, atol=1e-7)
    # The likeliest correlations are near those of pairs of columns.
    pairwise = np.linalg.eigvalsh(pd.DataFrame(repeated).corr())[::-1]
    np.testing.assert_allclose(eigenvalues, pairwise, atol=0.01)
    complete = X[~np.isnan(X).any(axis=1)]
    of_counts = bartlett_sphericity(complete, np.full(len(complete), 2))
    assert of_counts.statistic == pytest.approx(bartlett_sphericity(np.repeat(complete, 2, axis=0)).statistic)


def test_weights_that_are_normalised_are_no_counts(load):
    X = load("attitude")
    share = np.full(len(X), 1.0 / len(X))
    model = FactorAnalysis(2).fit(X, sample_weight=share)
    calls = [model.goodness_of_fit, lambda: bartlett_sphericity(X, share), lambda: parallel_analysis(X, share)]
    for call in calls:
        with pytest.raises(ValueError, match=r"sample_weight sums to 1\. Weights are counts"):
            call()
    assert "fit" not in model.summary().tables
    assert kmo(X, share).overall == pytest.approx(kmo(X).overall)


def test_two_rows_are_enough_to_count():
    X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]])
    test = bartlett_sphericity(X, np.full(3, 2.0 / 3.0))
    assert test.statistic == pytest.approx(-(2.0 - 1.0 - 1.5) * np.log1p(-(0.5**2)))


def test_they_print_names(load):
    frame = pd.DataFrame(load("attitude"), columns=["rating", "complaints", "privileges", "learning", "raises", "b", "c"])
    lines = str(kmo(frame)).splitlines()
    assert lines[1] == "feature       KMO"
    assert lines[2] == "overall     0.763"
    assert lines[4] == "complaints  0.737"
    assert kmo(covariance=frame.corr()).feature_names == list(frame.columns)
    assert kmo(frame.to_numpy()).feature_names[0] == "x0"
    analysis = parallel_analysis(frame, random_state=0)
    title = "parallel analysis: components with eigenvalues above the 0.95 quantile of random data: 1"
    assert str(analysis).splitlines()[0] == title
    assert analysis.to_frame()["eigenvalue"].tolist() == analysis.eigenvalues.tolist()
    assert str(analysis).splitlines()[2].endswith("yes")
    assert "<td>yes</td>" in analysis._repr_html_()
    assert "overall" in kmo(frame)._repr_html_()
    assert repr(kmo(frame)) == "\n".join(lines)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (kmo, {}, "Give either X or covariance"),
        (kmo, {"X": np.eye(3), "covariance": np.eye(3)}, "Give either X or covariance"),
        (kmo, {"covariance": np.eye(3), "sample_weight": np.ones(3)}, "sample_weight goes with X"),
        (kmo, {"covariance": np.ones((3, 3))}, "correlations are singular"),
        (kmo, {"X": np.array([[1.0, 2.0], [3.0, 2.0], [4.0, 2.0]])}, "column 1 is constant"),
        (kmo, {"covariance": np.diag([1.0, 0.0])}, "column 1 is constant"),
        (kmo, {"X": np.where(np.eye(4, 5), np.nan, np.arange(20).reshape(4, 5) ** 2.0)}, "correlations are singular"),
        (bartlett_sphericity, {"covariance": np.eye(3)}, "bartlett_sphericity of a covariance needs n_samples"),
        (bartlett_sphericity, {"X": np.eye(3), "n_samples": 3}, "n_samples goes with covariance"),
        (bartlett_sphericity, {"X": [[1.0, np.nan], [2.0, 1.0], [4.0, 2.0]]}, "X has missing values"),
        (bartlett_sphericity, {"covariance": np.ones((3, 3)), "n_samples": 9}, "correlations are singular"),
        (parallel_analysis, {"X": np.eye(3), "kind": "pca"}, "kind must be 'components' or 'factors', got 'pca'"),
        (parallel_analysis, {"X": np.eye(3), "quantile": 95}, "quantile must be between 0 and 1"),
        (parallel_analysis, {"X": np.eye(3), "quantile": 0.0}, "quantile must be between 0 and 1"),
        (parallel_analysis, {"X": np.eye(3), "quantile": 1.0}, "quantile must be between 0 and 1"),
        (parallel_analysis, {"X": np.eye(3), "n_draws": 0}, "n_draws must be at least 1"),
        (parallel_analysis, {"covariance": np.ones((2, 2)), "n_samples": 9, "kind": "factors"}, "correlations are singular"),
    ],
)
def test_what_they_refuse(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(**options)
