"""The mixtures as scikit-learn estimators."""

from __future__ import annotations

import pickle
import threading
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import Parallel, delayed, parallel_config
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_wine
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import skentropy
from skentropy import ExponentialFamilyMixture, GammaMixture, PoissonMixture

ALL = [PoissonMixture(), GammaMixture(), ExponentialFamilyMixture()]
COUNTS = load_digits().data[:300, 18:30]
AMOUNTS = load_wine().data[:, [0, 6, 12]]


def counts(n: int = 400, seed: int = 0) -> Any:
    rng = np.random.RandomState(seed)
    return rng.poisson(np.where(rng.uniform(size=(n, 1)) < 0.4, [1.0, 8.0, 3.0], [6.0, 2.0, 3.0])).astype(float)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ALL)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", ALL, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "check",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_n_features_in_after_fitting",
        "check_parameters_default_constructible",
        "check_set_output_transform",
    ],
)
def test_checks_that_check_estimator_leaves_out(estimator: Any, check: str) -> None:
    getattr(estimator_checks, check)(type(estimator).__name__, clone(estimator))


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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make", [lambda: PoissonMixture(random_state=0), lambda: ExponentialFamilyMixture("exponential", random_state=0)]
)
def test_copies(make: Any) -> None:
    X = counts()
    mixture = make().fit(X)
    for again in (pickle.loads(pickle.dumps(mixture)), clone(mixture).fit(X)):
        np.testing.assert_array_equal(again.score_samples(X), mixture.score_samples(X))


def test_loky() -> None:
    X = counts()
    with parallel_config(backend="loky"):
        fits = Parallel(n_jobs=2)(delayed(PoissonMixture(n_init=2, random_state=0).fit)(X) for _ in range(2))
        inside = PoissonMixture(n_init=2, n_jobs=2, random_state=0).fit(X)
    serial = PoissonMixture(n_init=2, random_state=0).fit(X)
    for fit in (*fits, inside):
        np.testing.assert_array_equal(fit.rates_, serial.rates_)


def test_skops_needs_two_trusted_types() -> None:
    sio = pytest.importorskip("skops.io")
    mixture = PoissonMixture(random_state=0).fit(counts())
    data = sio.dumps(mixture)
    untrusted = sio.get_untrusted_types(data=data)
    assert set(untrusted) == {"skentropy.entropy.EntropySum", "skentropy.mixture._poisson.PoissonMixture"}
    again = sio.loads(data, trusted=untrusted)
    np.testing.assert_array_equal(again.predict_proba(counts()), mixture.predict_proba(counts()))
    assert again.entropy_sum_ == mixture.entropy_sum_


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


def test_fits_in_threads_do_not_disturb_each_other() -> None:
    X = counts(5000)
    alone = PoissonMixture(random_state=0).fit(X)
    fits: list[PoissonMixture] = []
    threads = [threading.Thread(target=lambda: fits.append(PoissonMixture(random_state=0).fit(X))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fits) == 6
    for fit in fits:
        np.testing.assert_array_equal(fit.rates_, alone.rates_)


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


@pytest.mark.parametrize(("make", "X"), [(PoissonMixture, COUNTS), (GammaMixture, AMOUNTS)])
def test_invariances(make: Any, X: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rng = np.random.RandomState(1)
        repeats = rng.randint(0, 4, size=len(X))
        weighted = make(3, random_state=0).fit(X, sample_weight=repeats)
        copied = make(3, random_state=0).fit(np.repeat(X, repeats, axis=0))
        halves = make(3, random_state=0).fit(np.r_[X, X], sample_weight=np.r_[repeats, repeats] / 2)
        order = rng.permutation(len(X))
        shuffled = make(3, random_state=0).fit(X[order], sample_weight=repeats[order])
    for other in (copied, halves, shuffled):
        np.testing.assert_allclose(other.lower_bound_, weighted.lower_bound_, rtol=1e-9)
        np.testing.assert_allclose(other.weights_, weighted.weights_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        weighted.score(X, sample_weight=repeats), np.average(weighted.score_samples(X), weights=repeats), rtol=1e-12
    )


@pytest.mark.parametrize("factor", [2.0**-900, 2.0**900])
def test_gamma_is_equivariant_to_units(factor: float) -> None:
    plain, scaled = (GammaMixture(tol=1e-13, random_state=0).fit(X) for X in (AMOUNTS, AMOUNTS * factor))
    np.testing.assert_allclose(np.sort(scaled.shapes_, axis=0), np.sort(plain.shapes_, axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.sort(scaled.rates_ * factor, axis=0), np.sort(plain.rates_, axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaled.lower_bound_, plain.lower_bound_ - 3 * np.log(factor), rtol=1e-11)
    np.testing.assert_allclose(scaled.score(AMOUNTS * factor), scaled.lower_bound_, rtol=1e-11)
    np.testing.assert_allclose(scaled.entropy_sum_.value, scaled.lower_bound_, rtol=1e-8)


def test_gaussian_mixture_with_a_large_mean() -> None:
    plain = ExponentialFamilyMixture("gaussian", random_state=0).fit(AMOUNTS)
    moved = ExponentialFamilyMixture("gaussian", random_state=0).fit(AMOUNTS + 2.0**26)
    np.testing.assert_allclose(moved.variances_, plain.variances_, rtol=1e-5)
    np.testing.assert_allclose(moved.score(AMOUNTS + 2.0**26), plain.lower_bound_, rtol=1e-7)


def test_containers_give_the_same_fit(tmp_path: Any) -> None:
    X = counts()
    reference = PoissonMixture(random_state=0).fit(X)
    on_disk = np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=X.shape)
    on_disk[:] = X
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for other in (
        on_disk,
        np.asfortranarray(X),
        X.astype(int),
        X.astype(np.uint8),
        frame,
        sparse.csr_matrix(X),
        sparse.csr_array(X),
        sparse.csc_matrix(X),
        X.tolist(),
    ):
        fit = PoissonMixture(random_state=0).fit(other)
        np.testing.assert_allclose(fit.rates_, reference.rates_, rtol=1e-10)
        np.testing.assert_array_equal(fit.predict(other), reference.predict(X))
    for named in (frame, pl.DataFrame(X, schema=["a", "b", "c"])):
        fit = PoissonMixture(random_state=0).fit(named)
        assert list(fit.feature_names_in_) == ["a", "b", "c"]
        np.testing.assert_allclose(fit.rates_, reference.rates_, rtol=1e-10)


def test_float32_stays_float32() -> None:
    X = counts().astype(np.float32)
    mixture = PoissonMixture(random_state=0).fit(X)
    assert mixture.rates_.dtype == mixture.weights_.dtype == mixture.predict_proba(X).dtype == np.float32
    assert mixture.score_samples(X).dtype == np.float32
    double = PoissonMixture(random_state=0).fit(X.astype(np.float64))
    np.testing.assert_allclose(mixture.rates_, double.rates_, rtol=1e-6)
    np.testing.assert_allclose(mixture.lower_bound_, double.lower_bound_, rtol=1e-12)


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
    assert mixture.score(X) < mixture.lower_bound_ - 1
    assert mixture.bic(X, exposure=exposure) < mixture.bic(X)
    with pytest.raises(ValueError, match="exposure is not defined for the gamma family"):
        GammaMixture().fit(X + 1.0, exposure=exposure)
    with pytest.raises(ValueError, match="exposure must be positive"):
        PoissonMixture().fit(X, exposure=np.zeros(3000))


def test_criteria() -> None:
    X = counts()
    weight = np.random.RandomState(0).randint(1, 4, size=len(X))
    mixture = PoissonMixture(random_state=0).fit(X, sample_weight=weight)
    n, loglik = weight.sum(), weight @ mixture.score_samples(X)
    assert mixture.n_parameters_ == 1 + 2 * 3
    np.testing.assert_allclose(mixture.aic(X, sample_weight=weight), -2 * loglik + 2 * 7, rtol=1e-12)
    np.testing.assert_allclose(mixture.bic(X, sample_weight=weight), -2 * loglik + 7 * np.log(n), rtol=1e-12)
    q = mixture.predict_proba(X)
    entropy = -(weight[:, np.newaxis] * q * np.log(q + 1e-300)).sum()
    np.testing.assert_allclose(
        mixture.icl(X, sample_weight=weight), mixture.bic(X, sample_weight=weight) + 2 * entropy, rtol=1e-9
    )


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
    warm = PoissonMixture(max_iter=2, warm_start=True, accelerate=False, random_state=0, tol=0.0)
    with pytest.warns(UserWarning, match="did not converge"):
        warm.fit(X).fit(X)
    with pytest.warns(UserWarning, match="did not converge"):
        cold = PoissonMixture(max_iter=4, accelerate=False, random_state=0, tol=0.0).fit(X)
    np.testing.assert_allclose(warm.lower_bound_, cold.lower_bound_, rtol=1e-12)


def test_verbose_prints_what_gaussian_mixture_prints(capsys: Any) -> None:
    PoissonMixture(verbose=2, verbose_interval=1, random_state=0).fit(counts())
    printed = capsys.readouterr().out
    for word in ("Initialization 0", "Iteration 1", "time lapse", "ll change", "converged"):
        assert word in printed


@pytest.mark.parametrize("n_init", [1, 3])
def test_callbacks(n_init: int) -> None:
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9")

    class Recorder:
        scores: list[float]

        def setup(self, estimator: Any, context: Any) -> None:
            self.scores = []

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            pass

        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
            if context.task_name == "iteration":
                self.scores.append(fitted_estimator.score(X))
            return False

        def teardown(self, estimator: Any, context: Any) -> None:
            pass

    X, recorder = counts(), Recorder()
    mixture = (
        PoissonMixture(n_init=n_init, accelerate=False, random_state=0)
        .set_callbacks(recorder, callback.ProgressBar())
        .fit(X)
    )
    np.testing.assert_allclose(max(recorder.scores), mixture.lower_bound_, rtol=1e-10)
    assert len(recorder.scores) >= mixture.n_iter_
    if n_init == 1:
        np.testing.assert_allclose(recorder.scores, mixture.lower_bounds_, rtol=1e-10)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, n_jobs: int) -> None:
    from skentropy.mixture._model import MixtureModel

    original, calls = MixtureModel.maximize, []

    def interrupted(self: Any, statistics: Any) -> Any:
        calls.append(1)
        if len(calls) > 60:
            raise KeyboardInterrupt
        return original(self, statistics)

    monkeypatch.setattr(MixtureModel, "maximize", interrupted)
    mixture = PoissonMixture(3, n_jobs=n_jobs, tol=0.0, random_state=0)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        mixture.fit(counts())
    assert not hasattr(mixture, "weights_")
    assert threading.active_count() == before


def test_public_names() -> None:
    for name in skentropy.__all__:
        assert getattr(skentropy, name) is not None
