"""The mixtures as scikit-learn estimators."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skentropy import (
    ColumnMixture,
    ExponentialFamilyMixture,
    GammaMixture,
    GaussianMixture,
    NegativeBinomialMixture,
    PoissonMixture,
    StudentTMixture,
)
from skentropy.families import Categorical, Weibull

from ..common.threads import no_thread_outlives

ALL = [PoissonMixture(), GammaMixture(), ExponentialFamilyMixture()]
COUNTS = load_digits().data[:300, 18:30]
AMOUNTS = load_wine().data[:, [0, 6, 12]]


def counts(n: int = 400, seed: int = 0) -> Any:
    rng = np.random.RandomState(seed)
    return rng.poisson(np.where(rng.uniform(size=(n, 1)) < 0.4, [1.0, 8.0, 3.0], [6.0, 2.0, 3.0])).astype(float)


@pytest.mark.filterwarnings("ignore")
def test_grid_search_over_the_number_of_components() -> None:
    search = GridSearchCV(PoissonMixture(random_state=0), {"n_components": range(1, 5)}, cv=3).fit(counts())
    assert search.best_params_ == {"n_components": 2}


def test_pipelines() -> None:
    text = ["red red blue", "blue red", "green green grass", "grass green", "red blue blue", "grass grass green"]
    labels = make_pipeline(CountVectorizer(), PoissonMixture(2, prior_counts=0.5, random_state=0)).fit_predict(text)
    assert len(set(labels[[0, 1, 4]])) == 1
    assert len(set(labels[[2, 3, 5]])) == 1
    assert labels[0] != labels[2]
    frame = pd.DataFrame(counts(), columns=["a", "b", "c"])
    columns = ColumnTransformer([("keep", "passthrough", ["a", "b"])])
    pipeline = make_pipeline(columns, PoissonMixture(random_state=0)).fit(frame)
    assert pipeline.predict(frame).shape == (400,)
    assert np.isfinite(pipeline.score(frame))


def test_text_is_never_made_dense() -> None:
    rng = np.random.RandomState(0)
    X = sparse.random(
        2000, 30_000, density=0.001, random_state=rng, data_rvs=lambda k: rng.poisson(2, k) + 1.0, format="csr"
    )
    tracemalloc.start()
    with pytest.warns(UserWarning, match="prior_counts"):
        PoissonMixture(2, max_iter=3, tol=1.0, random_state=0).fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000 * 30_000 * 8 / 4


@pytest.mark.parametrize("family", ["poisson", "gamma", "gaussian"])
def test_n_jobs_changes_no_bit(family: str) -> None:
    rng = np.random.RandomState(0)
    X = rng.gamma(np.where(rng.uniform(size=(150_000, 1)) < 0.3, 2.0, 9.0), size=(150_000, 3))
    X = np.round(X) if family == "poisson" else X
    serial, threaded = (
        ExponentialFamilyMixture(family, random_state=0, max_iter=8, tol=1e-3, n_jobs=n_jobs).fit(X) for n_jobs in (1, 2)
    )
    assert serial.lower_bounds_ == threaded.lower_bounds_
    np.testing.assert_array_equal(serial.predict_proba(X), threaded.predict_proba(X))


@pytest.mark.parametrize("family", ["poisson", "gamma"])
def test_memory_stays_far_below_that_of_responsibilities(family: str) -> None:
    X = np.random.RandomState(0).poisson(3.0, size=(100_000, 50)) + 1.0
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ExponentialFamilyMixture(family, 10, max_iter=2, random_state=0).fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * X.nbytes


@pytest.mark.parametrize("factor", [2.0**-900, 2.0**900])
def test_gamma_is_equivariant_to_units(factor: float) -> None:
    plain, scaled = (GammaMixture(tol=1e-13, random_state=0).fit(X) for X in (AMOUNTS, AMOUNTS * factor))
    np.testing.assert_allclose(np.sort(scaled.shapes_, axis=0), np.sort(plain.shapes_, axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.sort(scaled.rates_ * factor, axis=0), np.sort(plain.rates_, axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaled.lower_bound_, plain.lower_bound_ - 3 * np.log(factor), rtol=1e-11)
    np.testing.assert_allclose(scaled.score(AMOUNTS * factor), scaled.lower_bound_, rtol=1e-11)
    np.testing.assert_allclose(scaled.entropy_sum_.value, scaled.lower_bound_, rtol=1e-8)


@pytest.mark.parametrize("family", ["gamma", "gaussian", "exponential", "log_normal", "inverse_gaussian"])
@pytest.mark.parametrize("factor", [3600.0, 1024.0, 1 / 2.54])
def test_fits_are_the_same_in_any_units(family: str, factor: float) -> None:
    rng = np.random.RandomState(0)
    X = rng.exponential(10.0 ** rng.uniform(-2.0, 2.0, size=(4, 6))[rng.randint(4, size=300)])
    for random_state in range(2):
        mixture = ExponentialFamilyMixture(family, 4, tol=1e-12, random_state=random_state)
        plain = mixture.fit(X).predict_proba(X)
        np.testing.assert_allclose(mixture.fit(X * factor).predict_proba(X * factor), plain, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*probability zero")
def test_the_order_of_rows_does_not_permute_components() -> None:
    X = load_iris().data
    for random_state in range(4):
        order = np.random.RandomState(random_state).permutation(len(X))
        for make, data in ((GammaMixture, X), (PoissonMixture, COUNTS[: len(X)])):
            mixture = make(3, n_init=5, random_state=random_state)
            plain = mixture.fit(data).predict_proba(data)
            np.testing.assert_allclose(mixture.fit(data[order]).predict_proba(data), plain, atol=1e-2)


def test_gaussian_mixture_with_a_large_mean() -> None:
    plain = ExponentialFamilyMixture("gaussian", random_state=0).fit(AMOUNTS)
    moved = ExponentialFamilyMixture("gaussian", random_state=0).fit(AMOUNTS + 2.0**26)
    np.testing.assert_allclose(moved.variances_, plain.variances_, rtol=1e-5)
    np.testing.assert_allclose(moved.score(AMOUNTS + 2.0**26), plain.lower_bound_, rtol=1e-7)


def test_missing_entries_are_marginalised() -> None:
    X = counts()
    mixture = PoissonMixture(random_state=0).fit(X)
    partial = X.copy()
    partial[:, 1] = np.nan
    without = PoissonMixture.from_parameters(mixture.weights_, mixture.rates_[:, [0, 2]])
    np.testing.assert_allclose(mixture.score_samples(partial), without.score_samples(X[:, [0, 2]]), rtol=1e-12)
    np.testing.assert_allclose(mixture.predict_proba(np.full((1, 3), np.nan)), mixture.weights_[np.newaxis], rtol=1e-12)


def test_exposures() -> None:
    rng = np.random.RandomState(0)
    exposure = rng.uniform(0.2, 20, size=3000)
    rates = np.where(rng.uniform(size=(3000, 1)) < 0.5, [1.0, 3.0], [2.0, 0.5])
    X = rng.poisson(exposure[:, np.newaxis] * rates)
    mixture = PoissonMixture(random_state=0).fit(X, exposure=exposure)
    np.testing.assert_allclose(np.sort(mixture.rates_, axis=0), [[1.0, 0.5], [2.0, 3.0]], rtol=0.06)
    np.testing.assert_allclose(mixture.score(X, exposure=exposure), mixture.lower_bound_, rtol=1e-10)
    np.testing.assert_allclose(mixture.entropy_sum(X, exposure=exposure).value, mixture.entropy_sum_.value, rtol=1e-10)
    with pytest.warns(UserWarning, match="was fitted with exposures, and X comes without: each row counts"):
        assert mixture.score(X) < mixture.lower_bound_ - 1
    for method in ("bic", "predict", "predict_proba", "score_samples", "impute", "summary", "standard_errors"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            getattr(mixture, method)(X)
        assert sum("Pass exposure" in str(warning.message) for warning in caught) == 1, method
    ones = PoissonMixture(random_state=0).fit(X, exposure=np.ones(3000))
    assert ones.score(X) == ones.score(X, exposure=np.ones(3000))
    with pytest.raises(ValueError, match="exposure is not defined for the gamma family"):
        GammaMixture().fit(X + 1.0, exposure=exposure)
    with pytest.raises(ValueError, match="exposure must be positive"):
        PoissonMixture().fit(X, exposure=np.zeros(3000))


def test_from_parameters_and_sample() -> None:
    mixture = PoissonMixture.from_parameters([0.25, 0.75], [[1.0, 20.0], [10.0, 2.0]])
    X, labels = mixture.sample(4000, random_state=0)
    assert X.shape == (4000, 2)
    np.testing.assert_allclose(labels.mean(), 0.75, atol=0.03)
    assert (mixture.predict(X) == labels).mean() > 0.99
    fitted = PoissonMixture(random_state=0).fit(X)
    np.testing.assert_allclose(np.sort(fitted.rates_, axis=0), [[1, 2], [10, 20]], rtol=0.12)
    assert mixture.n_parameters_ == fitted.n_parameters_
    with pytest.raises(ValueError, match="pass X"):
        mixture.entropy_sum()
    assert np.isfinite(mixture.entropy_sum(X).value)
    for weights in ([0.5, 0.6], [1.5, -0.5], [0.2, 0.3, 0.5]):
        with pytest.raises(ValueError, match=r"weights|rates"):
            PoissonMixture.from_parameters(weights, [[1.0], [2.0]])
    with pytest.raises(ValueError, match="rate must lie in"):
        PoissonMixture.from_parameters([0.5, 0.5], [[1.0], [-2.0]])


def test_starts_of_the_users() -> None:
    X = counts()
    start = {"weights_init": [0.3, 0.7], "rates_init": [[1.0, 8.0, 3.0], [6.0, 2.0, 3.0]]}
    at_start = PoissonMixture(max_iter=0, **start).fit(X)
    np.testing.assert_allclose(at_start.rates_, start["rates_init"], rtol=1e-12)
    np.testing.assert_allclose(at_start.weights_, start["weights_init"], rtol=1e-12)
    assert at_start.n_iter_ == 0
    gamma = {"shapes_init": np.ones((2, 3)), "rates_init": [[1.0] * 3, [0.1] * 3]}
    np.testing.assert_allclose(GammaMixture(max_iter=0, **gamma).fit(X + 1).rates_, gamma["rates_init"], rtol=1e-12)
    with pytest.raises(ValueError, match="shapes_init is missing"):
        GammaMixture(rates_init=np.ones((2, 3))).fit(X + 1)
    with pytest.raises(ValueError, match="rates_init should have the shape"):
        PoissonMixture(rates_init=[[1.0, 2.0]]).fit(X)
    with pytest.raises(ValueError, match="unknown keys"):
        ExponentialFamilyMixture(parameters_init={"rate": [[1.0]]}).fit(X)


def test_warm_start_goes_on() -> None:
    X = counts()
    warm = PoissonMixture(max_iter=2, warm_start=True, accelerate=False, n_starts=1, random_state=0, tol=0.0)
    with pytest.warns(UserWarning, match="did not converge"):
        warm.fit(X).fit(X)
    with pytest.warns(UserWarning, match="did not converge"):
        cold = PoissonMixture(max_iter=4, accelerate=False, n_starts=1, random_state=0, tol=0.0).fit(X)
    np.testing.assert_allclose(warm.lower_bound_, cold.lower_bound_, rtol=1e-12)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_before_the_first_step_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, n_jobs: int) -> None:
    from skentropy.mixture._model import MixtureModel

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MixtureModel, "expect", interrupted)
    mixture = PoissonMixture(3, n_starts=1, n_jobs=n_jobs, tol=0.0, random_state=0)
    with no_thread_outlives(), pytest.raises(KeyboardInterrupt):
        mixture.fit(counts())
    assert not hasattr(mixture, "weights_")


def test_zeros_substitutes_of_an_earlier_fit_are_forgotten() -> None:
    X = np.random.RandomState(0).gamma(2.0, size=(60, 2))
    X[0, 0] = 0.0
    mixture = GammaMixture(random_state=0)
    with pytest.warns(UserWarning, match="replaced by half"):
        mixture.fit(X)
    mixture.set_params(zeros="error").fit(X + 1)
    with pytest.raises(ValueError, match="positive values"):
        mixture.score(X)


def test_parameters_of_another_family_are_forgotten() -> None:
    X = np.random.RandomState(0).poisson(3.0, size=(60, 2)).astype(float)
    mixture = ExponentialFamilyMixture("poisson", random_state=0).fit(X)
    mixture.set_params(family="gaussian").fit(X)
    assert not hasattr(mixture, "rates_")
    assert hasattr(mixture, "variances_")


@pytest.mark.parametrize(
    ("family", "parameters", "message"),
    [
        ("gaussian", {"means": [[0.0, 1.0]], "variances": [[1.0]]}, "variances should have the shape"),
        ("gaussian", {"means": [[0.0]]}, "are means, variances; got means"),
        ("gaussian", {"means": [[0.0]], "variance": [[1.0]]}, "are means, variances; got means, variance"),
        ("gaussian", {"means": [[0.0]], "variances": [[1.0]], "rates": [[1.0]]}, "got means, variances, rates"),
        ("gaussian", {"means": [[0.0]], "variances": [[-1.0]]}, "variance"),
        ("poisson", {"rates": [1.0]}, "rates should have the shape"),
        ("poisson", {"rates": [[1.0], [2.0]]}, "rates should have the shape"),
        (Categorical(2), {"probabilities": [[[0.5, 0.4]]]}, "probabilities must sum to one"),
    ],
)
def test_from_parameters_refuses_what_is_not_right_by_name(family: Any, parameters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExponentialFamilyMixture.from_parameters(family, [1.0], **parameters)


def test_probabilities_to_start_from_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="probabilities_init must sum to one"):
        ExponentialFamilyMixture(Categorical(2), 1, parameters_init={"probabilities": [[[0.5, 0.4]]]}).fit([[0.0], [1.0]])


def test_what_was_made_from_parameters_has_no_stationarity_gap_of_its_own() -> None:
    mixture = PoissonMixture.from_parameters([1.0], [[2.0]])
    for method in (mixture.stationarity_gap, mixture.entropy_sum):
        with pytest.raises(ValueError, match="was made from parameters, not fitted to data; pass X"):
            method()
    assert mixture.stationarity_gap([[1.0], [3.0]]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestCategories:
    """Columns with different numbers of categories: no parameter of a category that does not occur."""

    X = np.random.RandomState(0).randint([2, 5, 3], size=(240, 3)).astype(float)

    @pytest.mark.parametrize("n_categories", [5, (2, 5, 3), "auto"])
    def test_only_probabilities_of_categories_that_occur_are_parameters(self, n_categories: Any) -> None:
        mixture = ExponentialFamilyMixture(Categorical(n_categories), 2, random_state=0).fit(self.X)
        assert mixture.n_parameters_ == 1 + 2 * (1 + 4 + 2)
        bic = -2 * len(self.X) * mixture.score(self.X) + mixture.n_parameters_ * np.log(len(self.X))
        assert mixture.bic(self.X) == pytest.approx(bic, rel=1e-12)
        assert mixture.probabilities_.shape == (2, 3, 5)
        assert (mixture.probabilities_[:, 0, 2:] == 0.0).all()
        drawn, _ = mixture.sample(2000, random_state=0)
        np.testing.assert_array_equal(drawn.max(axis=0), [1, 4, 2])
        again = ExponentialFamilyMixture.from_parameters(
            mixture.family_, mixture.weights_, probabilities=mixture.probabilities_
        )
        assert again.n_parameters_ == mixture.n_parameters_
        np.testing.assert_allclose(again.score(self.X), mixture.score(self.X), rtol=1e-12)

    def test_the_likelihood_is_the_same_however_the_numbers_are_given(self) -> None:
        fits = [ExponentialFamilyMixture(Categorical(n), 2, random_state=0).fit(self.X) for n in (5, (2, 5, 3), "auto")]
        np.testing.assert_allclose([fit.lower_bound_ for fit in fits], fits[0].lower_bound_, rtol=1e-12)
        assert [fit.family_ for fit in fits] == [Categorical(5), Categorical((2, 5, 3)), Categorical((2, 5, 3))]

    def test_the_name_takes_the_number_of_categories_from_the_data_or_the_parameters(self) -> None:
        mixture = ExponentialFamilyMixture("categorical", 2, prior_counts=1.0, random_state=0).fit(self.X)
        assert mixture.family_ == Categorical((2, 5, 3))
        p = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 2))
        X = np.array([[0.0, 2.0], [2.0, 1.0]])
        given = ExponentialFamilyMixture.from_parameters("categorical", [0.4, 0.6], probabilities=p)
        expected = np.log([0.4 * p[0, 0, a] * p[0, 1, b] + 0.6 * p[1, 0, a] * p[1, 1, b] for a, b in X.astype(int)])
        np.testing.assert_allclose(given.score_samples(X), expected, rtol=1e-12)
        assert given.n_parameters_ == 1 + 2 * 2 * 2
        table = ColumnMixture.from_parameters(
            [("codes", "categorical", [0, 1])], [0.4, 0.6], {"codes": {"probabilities": p}}
        )
        np.testing.assert_allclose(table.score_samples(X), expected, rtol=1e-12)
        for mixture in (given, table):
            with pytest.raises(ValueError, match="1 other value"):
                mixture.score([[3.0, 0.0]])

    def test_priors_put_nothing_on_categories_that_do_not_occur(self) -> None:
        mixture = ExponentialFamilyMixture(Categorical(5), 2, prior_counts=2.0, random_state=0).fit(self.X)
        assert mixture.n_parameters_ == 1 + 2 * (1 + 4 + 2)
        assert (mixture.probabilities_[:, 0, 2:] == 0.0).all()

    def test_a_code_that_a_column_does_not_have_is_refused_by_name(self) -> None:
        mixture = ExponentialFamilyMixture(Categorical("auto"), 2, random_state=0).fit(self.X)
        with pytest.raises(ValueError, match=r"holds 1 other value, in column 0"):
            mixture.predict([[2.0, 0.0, 0.0]])
        with pytest.raises(ValueError, match="n_categories has 2 entries, but X has 3 columns"):
            ExponentialFamilyMixture(Categorical((2, 5)), 2).fit(self.X)
        with pytest.raises(ValueError, match="in column 2"):
            ExponentialFamilyMixture(Categorical((2, 5, 2)), 2).fit(self.X)
        with pytest.raises(ValueError, match="other values"):
            ExponentialFamilyMixture(Categorical("auto"), 2).fit(self.X - 0.5)
        with pytest.raises(
            ValueError, match=r"code 10000; n_categories='auto' takes codes below 10000\. Number the categories"
        ):
            ExponentialFamilyMixture("categorical", 2).fit(np.vstack([self.X, np.full((1, 3), 10_000.0)]))
        for wrong in ("many", (2, 0), 1, ()):
            with pytest.raises(ValueError, match="n_categories must be"):
                Categorical(wrong)

    def test_zeros_are_reported_beside_columns_with_fewer_categories(self) -> None:
        z = np.random.RandomState(0).randint(2, size=300)
        X = np.column_stack([z, z + np.arange(300) % 2, np.arange(300) % 2, z]).astype(float)
        with pytest.warns(UserWarning, match="in column 1"):
            ExponentialFamilyMixture(Categorical((2, 3, 2, 2)), 2, random_state=0).fit(X)


def test_a_warm_start_of_another_family_starts_afresh() -> None:
    X = np.random.default_rng(0).poisson([[2.0, 9.0], [9.0, 3.0]] * 100).astype(float)
    model = ExponentialFamilyMixture("poisson", 2, warm_start=True, random_state=0).fit(X)
    with pytest.warns(UserWarning, match="starts afresh"):
        model.set_params(family="gaussian").fit(X)
    fresh = ExponentialFamilyMixture("gaussian", 2, random_state=0).fit(X)
    assert model.lower_bounds_ == fresh.lower_bounds_


class TestNarrowComponents:
    """Made from parameters, components far from the origin or next to nothing wide keep the digits of their densities."""

    @pytest.mark.parametrize(
        ("means", "variances"), [([0.0, 1e8], [1.0, 1.0]), ([0.0, 0.0], [1e-16, 1.0]), ([-1e6, 1e6], [1e-4, 4.0])]
    )
    def test_gaussian(self, means: Any, variances: Any) -> None:
        rng = np.random.default_rng(0)
        X = np.concatenate([m + np.sqrt(v) * rng.normal(size=50) for m, v in zip(means, variances, strict=True)])[
            :, np.newaxis
        ]
        mixture = ExponentialFamilyMixture.from_parameters(
            "gaussian", [0.5, 0.5], means=np.c_[means], variances=np.c_[variances]
        )
        expected = np.logaddexp.reduce(stats.norm.logpdf(X, means, np.sqrt(variances)), axis=1) + np.log(0.5)
        np.testing.assert_allclose(mixture.score_samples(X), expected, atol=1e-9)
        assert mixture.score(X) == pytest.approx(expected.mean(), abs=1e-9)
        gaps = np.column_stack([X, np.full(len(X), np.nan)])
        beside = ExponentialFamilyMixture.from_parameters(
            "gaussian", [0.5, 0.5], means=np.c_[means, means], variances=np.c_[variances, variances]
        )
        np.testing.assert_allclose(beside.score_samples(gaps), expected, atol=1e-9)

    def test_log_normal(self) -> None:
        X = np.exp(3.0 + 1e-7 * np.random.default_rng(0).normal(size=(50, 1)))
        mixture = ExponentialFamilyMixture.from_parameters("log_normal", [1.0], log_means=[[3.0]], log_variances=[[1e-14]])
        expected = (stats.norm.logpdf(np.log(X), 3.0, 1e-7) - np.log(X)).ravel()
        np.testing.assert_allclose(mixture.score_samples(X), expected, atol=1e-7)

    def test_gamma_of_a_large_shape_is_gaussian(self) -> None:
        shape = 1e13
        z = np.linspace(-3.0, 3.0, 13)
        X = (1.0 + z / np.sqrt(shape))[:, np.newaxis]
        mixture = GammaMixture.from_parameters([1.0], [[shape]], [[shape]])
        # The doubles next to 1 are 2e-16 apart, and a standard deviation is 3e-7.
        z = (X.ravel() - 1.0) * np.sqrt(shape)
        expected = stats.norm.logpdf(z) + 0.5 * np.log(shape)
        # Third cumulants: (z^3 / 3 - z) / sqrt(shape).
        np.testing.assert_allclose(mixture.score_samples(X), expected + (z**3 / 3.0 - z) / np.sqrt(shape), atol=1e-8)


@pytest.mark.parametrize(
    ("mixture", "change"),
    [
        (StudentTMixture(2, degrees_of_freedom=4.0), {"degrees_of_freedom": 50.0}),
        (StudentTMixture(2), {"degrees_of_freedom": 4.0}),
        (GaussianMixture(2), {"noise_volume": "box"}),
        (GaussianMixture(2, noise_volume="box"), {"noise_volume": None}),
        (PoissonMixture(2), {"zero_inflated": True}),
        (PoissonMixture(2, zero_inflated=True), {"zero_inflated": False}),
        (NegativeBinomialMixture(2), {"zero_inflated": True}),
        (NegativeBinomialMixture(2), {"dispersion_type": "tied"}),
        (NegativeBinomialMixture(2, dispersion_type="feature"), {"dispersion_type": "component"}),
    ],
)
def test_a_warm_start_of_another_model_starts_afresh(mixture: Any, change: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.negative_binomial(1, 0.5, size=(100, 2)), rng.negative_binomial(4, 0.2, size=(100, 2))])
    mixture.set_params(warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(X).set_params(**change)
    with pytest.warns(UserWarning, match="starts afresh"):
        mixture.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        afresh = clone(mixture).fit(X)
    assert mixture.lower_bound_ == pytest.approx(afresh.lower_bound_, abs=1e-9)
    assert mixture.n_parameters_ == afresh.n_parameters_


def test_given_weibull_shapes_go_on_from_the_scales_of_fitted_ones() -> None:
    X = np.random.default_rng(0).weibull(2.0, size=(200, 2)) * [1.0, 3.0]
    mixture = ExponentialFamilyMixture("weibull", 1, warm_start=True).fit(X).set_params(family=Weibull(2.0)).fit(X)
    assert mixture.lower_bound_ == pytest.approx(ExponentialFamilyMixture(Weibull(2.0), 1).fit(X).lower_bound_, abs=1e-9)
