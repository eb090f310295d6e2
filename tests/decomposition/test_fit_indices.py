"""Indices of fit beside those of psych, factanal and lavaan, and by their definitions."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from skentropy.decomposition import FactorAnalysis
from skentropy.decomposition._fit_indices import Discrepancy, fit_indices, noncentrality

REFERENCE = json.loads((Path(__file__).parent / "data" / "fit_indices.json").read_text())
COMPLETE = ["mtcars-6", "attitude", "mtcars"]


def fitted(name, load, **options):
    row = REFERENCE[name]
    X = load(row["data"])[:, row["columns"]]
    return X, FactorAnalysis(row["k"], gtol=1e-9, tol=1e-13, **options).fit(X)


@pytest.mark.parametrize("name", COMPLETE)
def test_with_bartletts_correction_they_are_those_of_psych_and_factanal(name, load):
    _, model = fitted(name, load)
    fit, psych, factanal = model.goodness_of_fit(), REFERENCE[name]["psych"], REFERENCE[name]["factanal"]
    assert fit.correction == "bartlett"
    assert fit.criterion == pytest.approx(factanal["criterion"], abs=1e-9)
    assert fit.statistic == pytest.approx(factanal["statistic_with_bartletts_correction"], abs=1e-8)
    assert fit.dof == factanal["dof"]
    assert fit.pvalue == pytest.approx(factanal["pvalue"], abs=1e-9)
    assert fit.baseline_statistic == pytest.approx(psych["null_chisq"], abs=1e-8)
    assert fit.baseline_dof == psych["null_dof"]
    # psych's own fits end where their criteria agree to 1e-8.
    assert fit.tli == pytest.approx(psych["TLI"], abs=1e-7)
    assert (fit.rmsea, *fit.rmsea_interval) == pytest.approx(psych["RMSEA_and_90_percent_interval"], abs=1e-6)
    assert fit.bic_difference == pytest.approx(psych["BIC_chisq_minus_dof_log_n"], abs=1e-6)
    assert fit.rmsr == pytest.approx(psych["RMSR"], abs=2e-6)
    # factanal's search ends where the criterion falls by less than 2e-9 of itself, a uniqueness within the root of that.
    np.testing.assert_allclose(1.0 - model.communalities_, factanal["uniquenesses"], atol=1e-5)


@pytest.mark.parametrize("name", COMPLETE)
def test_without_they_are_those_of_lavaan(name, load):
    X, model = fitted(name, load)
    lavaan = REFERENCE[name]["lavaan_without_correction"]
    for fit in (model.goodness_of_fit(correction=None), model.goodness_of_fit(X, correction=None)):
        assert fit.correction is None
        found = [fit.statistic, fit.dof, fit.pvalue, fit.cfi, fit.tli, fit.rmsea, *fit.rmsea_interval, fit.srmr]
        found += [fit.log_likelihood, fit.saturated_log_likelihood, fit.baseline_statistic, fit.baseline_dof]
        names = ["chisq", "df", "pvalue", "cfi", "tli", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper", "srmr", "logl"]
        names += ["unrestricted.logl", "baseline.chisq", "baseline.df"]
        # Their intervals are found to six digits.
        np.testing.assert_allclose(found, [lavaan[name] for name in names], atol=3e-7)
        # Its efa counts no means.
        assert fit.bic - X.shape[1] * np.log(len(X)) == pytest.approx(lavaan["bic"], abs=1e-6)
        assert fit.aic - 2 * X.shape[1] == pytest.approx(lavaan["aic"], abs=1e-6)
        assert fit.bic == pytest.approx(model.bic(X), abs=1e-8)


def test_with_gaps_they_are_those_of_full_information_maximum_likelihood(load):
    X, model = fitted("bfi-10", load)
    fit, lavaan = model.goodness_of_fit(X), REFERENCE["bfi-10"]["lavaan_without_correction"]
    assert fit.correction is None
    found = [fit.statistic, fit.dof, fit.cfi, fit.tli, fit.rmsea, *fit.rmsea_interval, fit.srmr, fit.rmsr, fit.bic]
    found += [fit.log_likelihood, fit.saturated_log_likelihood, fit.baseline_statistic]
    names = ["chisq", "df", "cfi", "tli", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper", "srmr_bentler_nomean", "crmr_nomean"]
    names += ["bic", "logl", "unrestricted.logl", "baseline.chisq"]
    # Its optimiser stops within 1e-6 of the log-likelihood, and parameters are known to the square root of that.
    np.testing.assert_allclose(found, [lavaan[name] for name in names], rtol=1e-6, atol=2e-5)
    with pytest.raises(ValueError, match="give the X that it was fitted to"):
        model.goodness_of_fit()


def test_gaps_that_are_weightless_change_nothing(load):
    """The same numbers by the likelihoods of rows with gaps and by moments, for data that are complete but for one row."""
    X = load("mtcars")[:, REFERENCE["mtcars-6"]["columns"]]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    beside = np.vstack([X, np.where(np.arange(6) == 2, np.nan, 0.0)])
    weight = np.append(np.full(32, 1e6), 1e-6)
    model = FactorAnalysis(2, tol=1e-14).fit(beside, sample_weight=weight)
    fit, expected = model.goodness_of_fit(beside, weight), FactorAnalysis(2).fit(X).goodness_of_fit(correction=None)
    assert fit.criterion == pytest.approx(expected.criterion, abs=1e-8)
    assert fit.srmr == pytest.approx(expected.srmr, abs=1e-6)
    assert fit.baseline_statistic / 32e6 == pytest.approx(expected.baseline_statistic / 32, rel=1e-8)


def test_a_published_correlation_matrix():
    row = REFERENCE["thurstone"]
    model = FactorAnalysis(3).fit_covariance(row["R"], row["n"])
    fit = model.goodness_of_fit()
    # psych's search ends above the minimum, where the criterion is known to 1e-9.
    assert 0.0 < row["statistic"] - fit.statistic < 2e-7
    assert fit.dof == row["dof"]
    assert fit.tli == pytest.approx(row["TLI"], abs=1e-7)
    assert (fit.rmsea, *fit.rmsea_interval) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(model.communalities_, row["communality"], atol=1e-4)


def test_under_the_model_the_test_has_its_level():
    """200 samples of a two-factor model: p-values of Bartlett's chi-square are uniform."""
    rng = np.random.default_rng(0)
    W, noise = np.kron(np.eye(2), [[0.8], [0.7], [0.6], [0.75]]), rng.uniform(0.4, 0.8, 8)
    pvalues = []
    for _ in range(200):
        X = rng.normal(size=(150, 2)) @ W.T + np.sqrt(noise) * rng.normal(size=(150, 8))
        pvalues.append(FactorAnalysis(2).fit(X).goodness_of_fit().pvalue)
    assert stats.kstest(pvalues, "uniform").pvalue > 0.01


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_of_the_rmsea_inverts_the_noncentral_chi_square(load, level):
    _, model = fitted("mtcars", load)
    fit = model.goodness_of_fit(correction=None, level=level)
    for bound, tail in zip(fit.rmsea_interval, (0.5 + 0.5 * level, 0.5 - 0.5 * level), strict=True):
        if bound:
            noncentral = bound**2 * fit.n_samples * fit.dof
            assert stats.ncx2.cdf(fit.statistic, fit.dof, noncentral) == pytest.approx(tail, abs=1e-9)
    assert noncentrality(5000.0, 10, 0.05) == pytest.approx(5000 - 10 + 1.645 * np.sqrt(2 * (10 + 2 * 4990)), rel=0.01)


def test_a_model_without_degrees_of_freedom_has_no_test():
    residual = np.zeros((3, 3))
    fit = fit_indices(Discrepancy(100.0, 1, 9, -3.0, -3.0, -4.0, residual), bartlett=False, level=0.9)
    assert fit.dof == 0
    assert np.isnan([fit.pvalue, fit.rmsea, *fit.rmsea_interval, fit.cfi, fit.tli]).all()
    assert "nan" not in str(fit).replace("interval nan to nan", "")


def test_it_prints_and_turns_into_a_frame(load):
    _, model = fitted("mtcars-6", load)
    fit = model.goodness_of_fit()
    lines = str(fit).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[2] == "chi-square                             5.560  test of the model; Bartlett's correction"
    assert lines[4].split() == ["p-value", "0.234"]
    assert lines[7] == "RMSEA                                  0.106  90% interval 0.000 to 0.312"
    assert repr(fit) == str(fit)
    assert "<td>RMSEA</td><td>0.106</td>" in fit._repr_html_()
    frame = fit.to_frame()
    assert frame.loc[0, "rmsea_upper"] == fit.rmsea_interval[1]
    assert frame.loc[0, "statistic"] == fit.statistic


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_can_not_be_tested_says_why(load):
    X = load("mtcars")
    model = FactorAnalysis(2).fit(X)
    with pytest.raises(ValueError, match="correction must be 'bartlett' or None, got 'swain'"):
        model.goodness_of_fit(correction="swain")
    for level in (0.0, 1.0, 90):
        with pytest.raises(ValueError, match=f"level must be between 0 and 1, got {level}"):
            model.goodness_of_fit(level=level)
    assert model.goodness_of_fit(level=0.005).level == 0.005
    with pytest.raises(ValueError, match="column 3 is constant"):
        FactorAnalysis(1).fit(np.insert(X, 3, 1.5, axis=1)).goodness_of_fit()
    with pytest.raises(ValueError, match="covariance of the data is singular"):
        FactorAnalysis(1).fit(X[:8]).goodness_of_fit()
    gaps = X[:9].copy()
    gaps[0, 0] = np.nan
    with pytest.raises(ValueError, match="covariance of the data is singular"):
        FactorAnalysis(1).fit(gaps).goodness_of_fit(gaps)


def test_where_nothing_is_left_to_test_the_table_says_so():
    fit = FactorAnalysis(6).fit(np.random.default_rng(0).normal(size=(300, 9))).goodness_of_fit()
    assert fit.dof == -3
    assert "nothing is left to test; take fewer factors" in str(fit)
    assert "nan" not in str(fit)


@pytest.mark.parametrize("expected", [0.0, 1e-3, 0.5, 30.0, 400.0])
def test_the_noncentrality_is_that_of_the_quantile(expected):
    for dof, probability in ((1, 0.05), (7, 0.95)):
        at = stats.ncx2.ppf(probability, dof, expected) if expected else 0.5 * stats.chi2.ppf(probability, dof)
        assert noncentrality(at, dof, probability) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_model_that_fits_better_than_expected_has_no_error():
    residual = np.array([[0.0, 0.1], [0.1, 0.0]])
    of = Discrepancy(100, 1, 9, -2.0, -1.999, -1.5, np.pad(residual, (0, 4)))
    fit = fit_indices(of, bartlett=False, level=0.9)
    assert (fit.statistic, fit.dof) == (pytest.approx(0.2), 9)
    assert (fit.rmsea, *fit.rmsea_interval, fit.cfi) == (0.0, 0.0, 0.0, 1.0)
    alone = fit_indices(Discrepancy(100, 0, 2, -1.0, -1.0, -1.0, np.zeros((1, 1))), bartlett=False, level=0.9)
    assert (alone.dof, alone.rmsr) == (0, 0.0)


def test_rows_that_the_model_was_not_fitted_to_have_their_own_mean_and_covariance(load):
    X = load("attitude")
    model, others = FactorAnalysis(2).fit(X), X[:20] * np.linspace(1.0, 1.5, 7) + 3.0
    fit = model.goodness_of_fit(others, correction=None)
    assert fit.log_likelihood == pytest.approx(20 * model.score(others), rel=1e-10)
    mean, covariance = others.mean(axis=0), np.cov(others.T, bias=True)
    assert fit.saturated_log_likelihood == pytest.approx(stats.multivariate_normal(mean, covariance).logpdf(others).sum())
    alone = stats.norm(mean, others.std(axis=0)).logpdf(others).sum()
    assert fit.baseline_statistic == pytest.approx(2.0 * (fit.saturated_log_likelihood - alone))
    assert fit.n_samples == 20


def test_what_hardly_fits_worse_than_expected_fits_as_badly_as_independence():
    baseline = -2.0  # the chi-square of independence is below its degrees of freedom
    of = Discrepancy(1.0, 1, 12, baseline - 4.5025, baseline, baseline, np.zeros((6, 6)))
    fit = fit_indices(of, bartlett=False, level=0.9)
    assert fit.statistic - fit.dof == pytest.approx(0.005)
    assert fit.cfi == 0.0
