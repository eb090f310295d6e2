"""Summaries of mixtures: tables against what the model and the data say otherwise."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning

from skentropy import (
    ColumnMixture,
    DirichletMixture,
    ExponentialFamilyMixture,
    GammaMixture,
    GaussianMixture,
    MultinomialMixture,
    PoissonMixture,
    StudentTMixture,
    VonMisesFisherMixture,
)
from skentropy._base import Evaluation
from skentropy.entropy import EntropySum
from skentropy.families import Categorical
from skentropy.mixture._profiles import Profiles
from skentropy.mixture._residuals import _strongest
from skentropy.mixture._summary import _notes, relative_entropy
from skentropy.model_selection import bootstrap
from tests.common import data
from tests.common.cases import CASES

from .test_gaussian import DATA

IRIS = pd.DataFrame(DATA["iris"], columns=["sepal length", "sepal width", "petal length", "petal width"])


@pytest.fixture(scope="module")
def iris() -> GaussianMixture:
    return GaussianMixture(3, random_state=0).fit(IRIS)


def answers(n: int = 400) -> Any:
    """Codes of three columns, the last two of which depend on each other; with gaps, and weights."""
    rng = np.random.default_rng(0)
    label = rng.choice(2, size=n)
    X = np.stack([rng.binomial(k, np.where(label, 0.8, 0.2)) for k in (2, 1, 3)], axis=1).astype(float)
    X[:, 2] = np.where(rng.random(n) < 0.5, X[:, 1], X[:, 2])
    X[rng.random(X.shape) < 0.1] = np.nan
    X[np.isnan(X).all(axis=1)] = 0.0
    return X, rng.exponential(size=n)


def binary() -> Any:
    columns = load_breast_cancer().data[:, [1, 4, 8, 9, 11, 14]]
    return pd.DataFrame((columns > np.median(columns, axis=0)) * 1.0, columns=list("abcdef"))


def test_tables_of_gaussians(iris: GaussianMixture) -> None:
    summary = iris.summary(IRIS)
    frames = summary.to_frames()
    assert list(frames) == ["components", "classification", "means", "observed", "correlations", "features"]
    np.testing.assert_array_equal(frames["components"]["weight"], iris.weights_)
    np.testing.assert_allclose(frames["components"]["rows"], 150 * iris.weights_)
    means = frames["means"]
    assert list(means.index) == list(IRIS.columns)
    np.testing.assert_allclose(means[["mean 0", "mean 1", "mean 2"]], iris.means_.T, rtol=1e-12)
    np.testing.assert_allclose(means["sd 1"], np.sqrt(np.diag(iris.covariances_[1])), rtol=1e-12)
    # At a maximum the mixture has the data's first two moments.
    np.testing.assert_allclose(means["mean all"], IRIS.mean(), rtol=1e-6)
    np.testing.assert_allclose(means["sd all"], IRIS.std(ddof=0), rtol=1e-4)
    q, labels = iris.predict_proba(IRIS), iris.predict(IRIS)
    np.testing.assert_allclose(frames["classification"]["rows"], np.bincount(labels))
    for c in range(3):
        np.testing.assert_allclose(frames["classification"].iloc[c, 1:], q[labels == c].mean(axis=0), atol=1e-9)


def test_correlations_within_components(iris: GaussianMixture) -> None:
    table = iris.summary()["correlations"]
    frame = table.to_frame()
    assert list(frame.columns) == ["component 0", "component 1", "component 2", "all"]
    assert len(frame) == 6
    within = frame.iloc[:, :3].abs().max(axis=1)
    assert within.is_monotonic_decreasing
    row = frame.loc["sepal length, petal width"]
    for c, covariance in enumerate(iris.covariances_):
        scale = np.sqrt(np.diag(covariance))
        assert row.iloc[c] == pytest.approx(covariance[0, 3] / scale[0] / scale[3], rel=1e-12)
    # At a maximum the mixture has the data's first two moments.
    assert row["all"] == pytest.approx(IRIS.corr().loc["sepal length", "petal width"], abs=1e-5)
    tied = GaussianMixture(2, covariance_type="tied", random_state=0).fit(IRIS)
    shared = tied.summary()["correlations"].to_frame()
    assert list(shared.columns) == ["within", "all"]
    scale = np.sqrt(np.diag(tied.covariances_))
    assert shared.loc["sepal length, sepal width", "within"] == pytest.approx(
        tied.covariances_[0, 1] / scale[0] / scale[1], rel=1e-12
    )
    assert "correlations" not in GaussianMixture(2, covariance_type="diag", random_state=0).fit(IRIS).summary().tables
    wide = GaussianMixture(1).fit(load_breast_cancer().data[:, :8]).summary()["correlations"]
    assert len(wide.rows) == 20
    assert "the largest 20 of 28" in wide.title
    blocks = [("own", "gaussian", [0]), ("joint", GaussianMixture(covariance_type="full"), [3, 1])]
    mixed = ColumnMixture(blocks, random_state=0).fit(IRIS).summary()["correlations"]
    assert list(mixed.rows) == ["petal width, sepal width"]


def test_what_tells_gaussians_apart(iris: GaussianMixture) -> None:
    frame = iris.summary()["features"].to_frame()
    assert frame["divergence"].is_monotonic_decreasing
    expected = np.zeros(4)
    for a in range(3):
        for b in range(3):
            va, vb = np.diag(iris.covariances_[a]), np.diag(iris.covariances_[b])
            step = (iris.means_[a] - iris.means_[b]) ** 2
            expected += iris.weights_[a] * iris.weights_[b] * 0.5 * (np.log(vb / va) + (va + step) / vb - 1.0)
    np.testing.assert_allclose(frame["divergence"].loc[list(IRIS.columns)], expected, rtol=1e-10)
    setosa = int(iris.means_[:, 2].argmin())
    assert str(setosa) in frame.loc["petal length", "most apart"]
    assert str(setosa) not in frame.loc["petal length", "least apart"]


@pytest.mark.parametrize("name", list(CASES))
def test_divergences_of_columns_add_up(name: str) -> None:
    case = CASES[name]
    names = case.family.attribute_names
    parameters = {
        name: np.stack([np.stack([np.asarray(c[i], float)] * 2) for c in case.components]) for i, name in enumerate(names)
    }
    mixture = ExponentialFamilyMixture.from_parameters(case.family, [0.4, 0.6], **parameters)
    model, own = mixture._fitted_model(None)
    columns = model.components.column_divergences(own.components, 1)
    assert columns.shape == (2, 2)
    assert columns[0, 0] > 0.0
    np.testing.assert_allclose(columns.sum(axis=1), model.components.divergence(own.components, 1), rtol=1e-12)


def test_diagonal_and_full_covariances_say_the_same_of_columns() -> None:
    means, variances = np.array([[0.0, 1.0], [3.0, -2.0]]), np.array([[1.0, 4.0], [0.5, 2.0]])
    tables = []
    for kind, covariances in (("diag", variances), ("full", variances[:, :, np.newaxis] * np.eye(2))):
        mixture = GaussianMixture.from_parameters([0.3, 0.7], means, covariances, kind)
        tables.append(mixture.summary().to_frames())
    for name in ("means", "features"):
        pd.testing.assert_frame_equal(tables[0][name], tables[1][name], rtol=1e-12)


def test_facts(iris: GaussianMixture) -> None:
    text = str(iris.summary(IRIS))
    assert f"{150 * iris.score(IRIS):.3f} nats in total" in text
    assert f"{iris.bic(IRIS):.3f}, {iris.aic(IRIS):.3f} nats" in text
    assert f"ICL                    {iris.icl(IRIS):.3f} nats" in text
    assert f"{iris.entropy_sum_score():.6f} nats per sample" in text
    q = iris.predict_proba(IRIS)
    entropy = stats.entropy(q, axis=1).mean()
    assert f"{entropy:.4f} nats per sample, of at most log 3 = {np.log(3):.4f}" in text
    assert f"relative entropy       {1.0 - entropy / np.log(3):.3f};" in text
    assert relative_entropy(0.0, 3) == 1.0
    assert relative_entropy(np.log(3), 3) == pytest.approx(0.0)
    # The fit alone says the same.
    own = str(iris.summary())
    for line in text.split("\n\n")[0].splitlines():
        assert line in own.splitlines()
    assert max(map(len, text.splitlines())) <= 100
    assert "<caption>average posterior" in iris.summary(IRIS)._repr_html_()


def test_what_mclust_says_of_iris(iris: GaussianMixture) -> None:
    """mclust 6.0.0, VVV: log-likelihood -180.1854771, BIC -580.8389072, ICL -584.0454596; these of the other sign."""
    summary = iris.summary(IRIS)
    assert summary.facts["log-likelihood"].startswith("-180.185 nats")
    assert summary.facts["parameters"] == "44"
    assert summary.facts["BIC, AIC"].startswith("580.839,")
    assert summary.facts["ICL"].startswith("584.045 nats")
    assert sorted(summary["classification"].to_frame()["rows"]) == [45, 50, 55]


def test_what_flexmix_says_of_latent_classes() -> None:
    """flexmix 2.3.18: log-likelihood -2219.21495652, BIC 4520.90035868, AIC 4464.42991304, ICL 4661.57416278."""
    X = binary()
    summary = ExponentialFamilyMixture("bernoulli", 2, random_state=0).fit(X).summary(X)
    assert summary.facts["log-likelihood"].startswith("-2219.215 nats")
    assert summary.facts["BIC, AIC"] == "4520.900, 4464.430 nats; lower is better"
    assert summary.facts["ICL"] == "4661.574 nats; lower is better"
    assert sorted(summary["classification"].to_frame()["rows"]) == [274, 295]


def test_means_are_in_the_units_of_the_data() -> None:
    """Whatever the parameters are called."""
    X = 1e3 * np.random.default_rng(0).gamma(3.0, size=(300, 2)) * [1.0, 1e-5]
    gamma = GammaMixture(2, random_state=0).fit(X)
    means = gamma.summary()["means"].to_frame()
    np.testing.assert_allclose(means["mean 1"], gamma.shapes_[1] / gamma.rates_[1], rtol=1e-10)
    np.testing.assert_allclose(means["sd 0"], np.sqrt(gamma.shapes_[0]) / gamma.rates_[0], rtol=1e-10)
    log_normal = ExponentialFamilyMixture("log_normal", 1).fit(X)
    means = log_normal.summary()["means"].to_frame()
    assert list(means.columns) == ["mean 0", "sd 0"]
    expected = np.exp(log_normal.log_means_ + 0.5 * log_normal.log_variances_)[0]
    np.testing.assert_allclose(means["mean 0"], expected, rtol=1e-10)


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_the_data_beside_the_model(as_given: Any) -> None:
    """Means and deviations of what is observed, with weights and gaps."""
    rng = np.random.default_rng(0)
    X, w = rng.poisson([1.0, 5.0], size=(200, 2)).astype(float), rng.exponential(size=200)
    X[rng.random(X.shape) < 0.2] = np.nan
    X[np.isnan(X).all(axis=1)] = 2.0
    mixture = PoissonMixture(2, random_state=0).fit(as_given(X), sample_weight=w)
    table = mixture.summary(as_given(X), sample_weight=w)["observed"].to_frame()
    for d in range(2):
        seen = ~np.isnan(X[:, d])
        mean = np.average(X[seen, d], weights=w[seen])
        variance = np.average((X[seen, d] - mean) ** 2, weights=w[seen])
        np.testing.assert_allclose(table.iloc[d][["rows", "mean", "sd"]], [w[seen].sum(), mean, np.sqrt(variance)])
    means = mixture.summary()["means"].to_frame()
    np.testing.assert_array_equal(table[["fitted mean", "fitted sd"]], means[["mean all", "sd all"]])
    assert "observed" not in mixture.summary().tables


def test_captions_of_rows_that_count_relative_to_their_size() -> None:
    """Parts and directions have no units, and no means to compare with those of the data."""
    rng = np.random.default_rng(0)
    rows = rng.gamma(3.0, size=(60, 3))
    for mixture, label in [
        (DirichletMixture(1), "for rows that sum to one"),
        (VonMisesFisherMixture(1), "for rows of length one"),
        (MultinomialMixture(1), "for rows with a total of one"),
    ]:
        summary = mixture.fit(rows).summary(rows)
        assert summary["means"].title.endswith(label)
        assert mixture.standard_errors(rows).title.endswith(label)
        assert bootstrap(mixture, rows, n=2, random_state=0).title.endswith(label)
        assert "observed" not in summary.tables
    blocks: list[Any] = [("sizes", "gaussian", [0]), ("parts", DirichletMixture(), [1, 2]), ("turns", "von_mises", [3])]
    table = np.column_stack([rows, rng.uniform(0.0, 1.0, 60)])
    summary = ColumnMixture(blocks, random_state=0).fit(table).summary(table)
    assert summary["means"].title.endswith("in the data's units; in block 'parts' for rows that sum to one")
    assert summary["observed"].rows == ["x0"]


def test_exposures_and_weights() -> None:
    rng = np.random.default_rng(0)
    s, w = rng.uniform(1.0, 9.0, size=200), rng.exponential(size=200)
    X = rng.poisson(rng.choice([0.5, 3.0], size=200) * s)[:, np.newaxis]
    mixture = PoissonMixture(2, random_state=0).fit(X, sample_weight=w, exposure=s)
    summary = mixture.summary(X, sample_weight=w, exposure=s, standard_errors=True)
    assert summary["means"].title.endswith("at an exposure of one")
    assert mixture.summary()["means"].title.endswith("at an exposure of one")
    assert "observed" not in summary.tables
    without = PoissonMixture(2, random_state=0).fit(X).summary(X)
    assert without["means"].title.endswith("in the data's units")
    given = PoissonMixture.from_parameters(mixture.weights_, mixture.rates_).summary(sparse.csr_array(X), exposure=s)
    assert given["means"].title.endswith("at an exposure of one")
    np.testing.assert_allclose(summary["means"].to_frame()[["mean 0", "mean 1"]], mixture.rates_.T)
    assert f"{mixture.icl(X, sample_weight=w, exposure=s):.3f} nats" in str(summary)
    q, labels = mixture.predict_proba(X, exposure=s), mixture.predict(X, exposure=s)
    frame = summary["classification"].to_frame()
    np.testing.assert_allclose(frame["rows"], np.bincount(labels, w))
    np.testing.assert_allclose(frame.iloc[0, 1:], np.average(q[labels == 0], weights=w[labels == 0], axis=0))
    errors = mixture.standard_errors(X, sample_weight=w, exposure=s)
    pd.testing.assert_frame_equal(summary["standard errors"].to_frame(), errors.to_frame())
    with pytest.raises(ValueError, match="give X as well"):
        mixture.summary(standard_errors=True)


def test_the_entropy_sum_of_other_rows() -> None:
    X = data.counts()
    mixture = PoissonMixture(2, random_state=0).fit(X[::2])
    assert "agree for the rows of the fit" in str(mixture.summary(X[1::2]))
    assert "agree for the rows of the fit" not in str(mixture.summary(X[::2])) + str(mixture.summary())


@pytest.mark.parametrize("magnitude", [0.25, 40.0])
@pytest.mark.parametrize("gap", [0.0, 1e-3])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_gap_is_told_that_differs_from_that_of_the_fit(magnitude: float, gap: float, sign: float) -> None:
    """By a hundred-thousandth of the terms, or of a nat."""
    fit = SimpleNamespace(entropy_sum_=None, stationarity_gap_=gap, is_degenerate=False)
    rows: Any = object()
    for share, told in ((0.998e-5, []), (1.002e-5, ["Log-likelihood and entropy sum differ"])):
        terms = EntropySum(posterior=0.0, prior=0.0, observable=magnitude)
        elbo = terms.value - gap - sign * share * max(magnitude, 1.0)
        found = _notes(fit, Evaluation(elbo, terms, 100.0), [], rows)
        assert [note.partition(":")[0] for note in found] == told


def test_components_without_weight_tell_nothing_apart_and_rare_ones_little() -> None:
    rates, weights = np.array([[3.0, 1.0], [5.0, 1.0], [0.0, 1.0]]), np.array([0.995, 0.005, 0.0])
    table = PoissonMixture.from_parameters(weights, rates).summary()["features"].to_frame()
    expected = 0.995 * 0.005 * (3.0 - 5.0) * np.log(3.0 / 5.0)
    np.testing.assert_allclose(table.loc[["x0", "x1"], "divergence"], [expected, 0.0], rtol=1e-9)


def test_latent_classes() -> None:
    X, w = answers()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = ExponentialFamilyMixture(Categorical((3, 2, 5)), 2, random_state=0).fit(frame, sample_weight=w)
    summary = model.summary(frame, sample_weight=w)
    assert list(summary.tables) == ["components", "classification", "probabilities", "features", "residuals"]
    table = summary["probabilities"].to_frame()
    # Of two categories the second is said; the fifth of c does not occur.
    assert list(table.index) == ["a = 0", "a = 1", "a = 2", "b = 1", "c = 0", "c = 1", "c = 2", "c = 3"]
    np.testing.assert_allclose(table.loc["a = 1", ["component 0", "component 1"]], model.probabilities_[:, 0, 1])
    np.testing.assert_allclose(table["all"]["b = 1"], model.weights_ @ model.probabilities_[:, 1, 1])

    residuals = model.bivariate_residuals(frame, sample_weight=w).to_frame()
    pd.testing.assert_frame_equal(summary["residuals"].to_frame(), residuals)
    assert residuals["residual"].is_monotonic_decreasing
    sizes, p = (3, 2, 4), model.probabilities_
    for i, j in ((0, 1), (0, 2), (1, 2)):
        both = ~np.isnan(X[:, [i, j]]).any(axis=1)
        chi_square = 0.0
        for a in range(sizes[i]):
            for b in range(sizes[j]):
                observed = w[both & (X[:, i] == a) & (X[:, j] == b)].sum()
                expected = w[both].sum() * (model.weights_ * p[:, i, a] * p[:, j, b]).sum()
                chi_square += (observed - expected) ** 2 / expected
        own = residuals.loc[f"{'abc'[i]}, {'abc'[j]}"]
        assert own["chi-square"] == pytest.approx(chi_square, rel=1e-9)
        assert own["df"] == (sizes[i] - 1) * (sizes[j] - 1)
        assert own["residual"] == pytest.approx(chi_square / own["df"], rel=1e-9)


def test_yes_and_no_are_categories() -> None:
    X, _ = answers()
    X = np.nan_to_num(X) > 0
    model = ExponentialFamilyMixture("bernoulli", 1, random_state=0).fit(sparse.csr_matrix(X.astype(float)))
    dense = ExponentialFamilyMixture(Categorical(2), 1, random_state=0).fit(X.astype(float))
    of_sparse, of_dense = (model.bivariate_residuals(sparse.csr_matrix(X.astype(float))), dense.bivariate_residuals(X * 1.0))
    pd.testing.assert_frame_equal(of_sparse.to_frame(), of_dense.to_frame(), rtol=1e-4)
    table = model.summary()["probabilities"].to_frame()
    np.testing.assert_allclose(table["component 0"], model.probabilities_[0])
    with pytest.raises(TypeError, match="two columns of categories, which the poisson family lacks"):
        PoissonMixture(1).fit(X * 1.0).bivariate_residuals(X * 1.0)
    with pytest.raises(ValueError, match="zeros and ones"):
        model.bivariate_residuals(X + 1.0)


def test_the_cell_that_adds_most_is_named() -> None:
    """By its residual over the root of its expectation, however small that is."""
    model = ExponentialFamilyMixture.from_parameters(Categorical(2), [1.0], probabilities=np.full((1, 2, 2), 0.5))
    expected = np.array([[100.0, 1.0], [4.0, 0.0]])
    for cell, step, words in (
        ((0, 0), 30.0, "0, 0 too often"),
        ((0, 1), 3.0, "0, 1 too often"),
        ((1, 0), -4.0, "1, 0 too rarely"),
        ((0, 1), 1e-6, "0, 1 too often"),
        ((1, 0), -1e-6, "1, 0 too rarely"),
    ):
        observed = expected.copy()
        observed[cell] += step
        observed[0, 0] += 0.5 * abs(step)  # is 5% of its root at most
        assert _strongest(model, (0, 1), observed, expected) == words


def test_profiles_of_numbers_and_categories() -> None:
    """Of two categories the second; with the moments of components and of all."""
    means, p, weights = np.array([[1.0], [4.0]]), np.array([[[0.2, 0.3, 0.5]], [[0.6, 0.4, 0.0]]]), np.array([0.25, 0.75])
    blocks = [("size", "poisson", [0]), ("kind", Categorical(3), [1]), ("answer", "bernoulli", [2])]
    given = {"size": {"rates": means}, "kind": {"probabilities": p}, "answer": {"probabilities": means / 5.0}}
    model = ColumnMixture.from_parameters(blocks, weights, given)
    profiles = Profiles.of(model, *model._fitted_model(None))
    assert [name.partition(" = ")[2] for name in profiles.names] == ["", "0", "1", "2", "1"]
    expected = np.column_stack([means, p[:, 0], means / 5.0])
    variances = np.column_stack([means, p[:, 0] * (1.0 - p[:, 0]), means / 5.0 * (1.0 - means / 5.0)])
    np.testing.assert_allclose(profiles.expected, expected, rtol=1e-12)
    np.testing.assert_allclose(profiles.deviations, np.sqrt(variances), rtol=1e-12)
    np.testing.assert_allclose(profiles.mean, weights @ expected, rtol=1e-12)
    second = weights @ (variances + expected**2) - (weights @ expected) ** 2
    np.testing.assert_allclose(profiles.deviation, np.sqrt(second), rtol=1e-12)
    np.testing.assert_array_equal(profiles.is_category, [False, True, True, True, True])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_columns_that_exclude_a_component() -> None:
    X = np.array([[0, 3], [0, 5], [0, 4], [90, 4], [80, 1], [110, 3], [0, 2], [70, 2]], dtype=float)
    model = PoissonMixture(2, random_state=0).fit(X)
    summary = model.summary()
    means = summary["means"].to_frame().loc["x0"]
    assert means[f"mean {model.rates_[:, 0].argmin()}"] == means[f"sd {model.rates_[:, 0].argmin()}"] == 0.0
    frame = summary["features"].to_frame()
    assert list(frame.index) == ["x0", "x1"]
    assert np.isinf(frame["divergence"]["x0"])
    assert np.isfinite(frame["divergence"]["x1"])
    assert "impossible" in summary["features"].title


def lumpy(rng: np.random.Generator) -> Any:
    """Forty percent of a column have the same value."""
    return np.column_stack([np.where(rng.random(200) < 0.4, 23.0, rng.normal(30.0, 5.0, size=200)), rng.normal(size=200)])


@pytest.mark.parametrize(
    "mixture",
    [
        StudentTMixture(2, random_state=0),
        ExponentialFamilyMixture("gaussian", 2, random_state=0),
        ColumnMixture([("a", GaussianMixture(), [0, 1]), ("b", "poisson", [2])], 2, random_state=0),
    ],
)
def test_a_collapse_is_known_after_the_fit(mixture: Any) -> None:
    rng = np.random.default_rng(0)
    X = lumpy(rng)
    X[rng.random(X.shape) < 0.05] = np.nan
    X = np.column_stack([X, rng.poisson(2.0, size=200)]) if isinstance(mixture, ColumnMixture) else X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the values that repeat, and of the collapse
        regular = clone(mixture).set_params(prior_counts=1.0).fit(X)
        mixture.fit(X)
    assert not regular.is_degenerate
    assert any("held at a bound" in note for note in mixture.summary().notes)
    assert mixture.is_degenerate
    assert mixture.traits().doubt == "degenerate"
    # Rounding errors of a collapsed component are no sign of other rows.
    assert "agree for the rows of the fit" not in str(mixture.summary(X))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture.standard_errors(X)
    advice = " ".join(str(warning.message) for warning in caught)
    assert "Give the data that it was fitted to" not in advice
    assert "use fewer components, or prior_counts > 0" in advice
    assert np.isinf(mixture.summary()["features"].to_frame()["divergence"]["x0"])


@pytest.mark.parametrize("unit", [1e-4, 1e4])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_columns_that_have_collapsed(kind: str, unit: float) -> None:
    rng = np.random.default_rng(0)
    X = unit * lumpy(rng)
    with pytest.warns(ConvergenceWarning, match="held at a bound"):
        table = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X).summary()["features"]
    divergence = table.to_frame()["divergence"]
    assert np.isinf(divergence["x0"])
    assert divergence["x1"] < 0.1
    assert "has collapsed onto one value" in " ".join(table.title.split())
    assert "inf" in str(table)
    regular = GaussianMixture(2, covariance_type=kind, random_state=0, prior_counts=1).fit(X).summary()["features"]
    assert np.isfinite(regular.to_frame()["divergence"]).all()
    apart = np.concatenate([rng.normal(size=(50, 1)), rng.normal(size=(50, 1)) + 1e5])  # far, but not collapsed
    told = GaussianMixture(2, covariance_type=kind, random_state=0).fit(apart).summary()["features"]
    assert float(str(told).split()[-1]) == pytest.approx(0.25e10 / np.var(apart[:50]), rel=0.3)
    assert len(str(told).splitlines()[-1]) < 25


def test_warnings_of_the_fit_stay() -> None:
    X = np.array([[0, 3], [0, 5], [0, 4], [90, 4], [80, 1], [110, 3], [0, 2], [70, 2]], dtype=float)
    with pytest.warns(ConvergenceWarning, match="probability zero"):
        model = PoissonMixture(2, random_state=0).fit(X)
    assert "Warning: PoissonMixture: component" in str(model.summary())
    model.fit(X + 1.0)
    assert "Warning" not in str(model.summary())


def test_without_a_fit() -> None:
    mixture = PoissonMixture.from_parameters([1.0], [[3.0]])
    text = str(mixture.summary())
    assert text.splitlines()[:2] == ["PoissonMixture: 1 component of 1 feature, the poisson family", "parameters  1"]
    assert "log-likelihood" not in text
    with_data = str(mixture.summary([[2], [3]]))
    assert f"{2 * mixture.score([[2], [3]]):.3f} nats in total" in with_data
    assert "relative entropy" not in with_data


def test_patterns_of_latent_classes() -> None:
    X = binary()
    model = ExponentialFamilyMixture("bernoulli", 2, random_state=0).fit(X)
    facts = model.summary(X).facts
    counts = X.value_counts()
    expected = len(X) * np.exp(model.score_samples(counts.index.to_frame(index=False)))
    g = 2.0 * (counts * np.log(counts / expected)).sum()
    x = ((counts - expected) ** 2 / expected).sum() + len(X) - expected.sum()
    assert facts["G-squared"] == f"{g:.3f} on 50 degrees of freedom, p {stats.chi2.sf(g, 50):.3g}"
    assert facts["X-squared"] == f"{x:.3f} on 50 degrees of freedom, p {stats.chi2.sf(x, 50):.3g}"
    weighted = model.summary(counts.index.to_frame(index=False), sample_weight=counts.to_numpy()).facts
    assert weighted["G-squared"] == facts["G-squared"]
    X.iloc[3, 2] = np.nan
    assert "G-squared" not in model.summary(X).facts
